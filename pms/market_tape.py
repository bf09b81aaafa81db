"""The market as it was, second by second, in `pms:stream:market` (contract.md, state keys).

Owns gathering and the pace of writing. Refuses to matter: it is written beside the daemon's state, over a connection of
its own, and what can't be written now is dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec
import structlog

from pms.bus.batch import Gone
from pms.bus.caller import Caller
from pms.bus.link import Command, Refusal
from pms.clock import Clock
from pms.market import Market
from pms.tasks import Tasks
from schemas import codec
from schemas.keys import Keys
from schemas.market import ZERO, Side
from schemas.tape import FIELD, Arrival, Entry, Second

Arrived = Callable[[str, str, str, Side, Decimal], None]  # parent, sub-account, symbol, side, quantity

SECOND_MS = 1000
ARRIVAL_LEVELS = 50
ENTRIES_MAX = 100_000  # of about 300 bytes: a day of one symbol, an hour of twenty-five

_replace = msgspec.structs.replace
_log = structlog.get_logger("pms.market_tape")


class Traded:
    """What takers did within one second."""

    __slots__ = ("bought", "count", "high", "last", "low", "notional", "sold")

    def __init__(self) -> None:
        self.count = 0
        self.bought = self.sold = self.notional = self.high = self.low = self.last = ZERO

    def add(self, price: Decimal, quantity: Decimal, taker: Side) -> None:
        """One trade."""
        self.high = max(self.high, price)
        self.low = min(self.low, price) if self.count else price
        self.last = price
        self.count += 1
        self.notional += price * quantity
        if taker is Side.BUY:
            self.bought += quantity
        else:
            self.sold += quantity

    def shown(self, second: Second) -> Second:
        """The second with its trades."""
        return _replace(
            second,
            trades=self.count,
            buy_quantity=self.bought,
            sell_quantity=self.sold,
            notional=self.notional,
            high=self.high,
            low=self.low,
            last=self.last,
        )


class Trades:
    """What was traded since it was last taken, by symbol."""

    def __init__(self) -> None:
        self._by_symbol: dict[str, Traded] = {}

    def on_trade(self, symbol: str, price: Decimal, quantity: Decimal, taker: Side) -> None:
        """A trade of whomsoever, as the venue's stream tells it."""
        traded = self._by_symbol.get(symbol)
        if traded is None:
            traded = self._by_symbol[symbol] = Traded()
        traded.add(price, quantity, taker)

    def take(self) -> dict[str, Traded]:
        """All since the last call."""
        taken, self._by_symbol = self._by_symbol, {}
        return taken


class MarketTape:
    """See the module."""

    def __init__(self, caller: Caller, names: Keys, market: Market, trades: Trades, clock: Clock, tasks: Tasks) -> None:
        self._caller = caller
        self._stream = names.market_stream
        self._market = market
        self._trades = trades
        self._clock = clock
        self._tasks = tasks

    def arrived(self, parent_id: str, sub_account_id: str, symbol: str, side: Side, quantity: Decimal) -> None:
        """A parent order begins: keep the book it met, once the order itself is on its way."""
        self._tasks.spawn(self._keep(parent_id, sub_account_id, symbol, side, quantity), "market tape")

    async def _keep(self, parent_id: str, sub_account_id: str, symbol: str, side: Side, quantity: Decimal) -> None:
        depth = self._market.depth(symbol, ARRIVAL_LEVELS, quantity)
        if depth is None:
            return
        update_id, bids, asks = depth
        arrival = Arrival(
            symbol=symbol,
            ts=self._clock.now_ms(),
            parent_id=parent_id,
            sub_account_id=sub_account_id,
            side=side,
            quantity=quantity,
            update_id=update_id,
            bids=bids,
            asks=asks,
        )
        await self._append([arrival])

    # --- writing ----------------------------------------------------------------------------------------

    async def run(self) -> None:
        """One entry per symbol at each full second."""
        ends = 0
        while True:
            now = self._clock.now_ms()
            boundary = now - now % SECOND_MS + SECOND_MS
            # Milliseconds are cut, so a sleep may seem to end within the second before.
            ends = boundary + SECOND_MS if boundary == ends else boundary
            await self._clock.sleep((ends - now) / 1000)
            traded = self._trades.take()
            found = (self._second(symbol, ends, traded.get(symbol)) for symbol in self._market.symbols())
            seconds = [second for second in found if second is not None]
            if seconds:
                await self._append(seconds)

    def _second(self, symbol: str, ends: int, traded: Traded | None) -> Second | None:
        """What to keep of the second that ends; None where nothing is known of it."""
        quote = self._market.quote(symbol)
        if quote is None and traded is None:
            return None
        second = Second(symbol=symbol, ts=ends)
        if quote is not None:
            instrument = self._market.instrument(symbol)
            bid, ask = instrument.price(quote.bid), instrument.price(quote.ask)
            second = _replace(second, bid=bid, ask=ask, bid_qty=quote.bid_qty, ask_qty=quote.ask_qty)
        return second if traded is None else traded.shown(second)

    async def _append(self, entries: list[Second] | list[Arrival]) -> None:
        try:
            for reply in await self._caller.calls([self._command(entry) for entry in entries]):
                if isinstance(reply, Refusal):
                    _log.warning("market_tape_refused", reason=str(reply))
        except Gone as gone:
            _log.info("market_tape_dropped", reason=str(gone), entries=len(entries))

    def _command(self, entry: Entry) -> Command:
        return ("XADD", self._stream, "MAXLEN", "~", ENTRIES_MAX, "*", FIELD, codec.encode(entry))

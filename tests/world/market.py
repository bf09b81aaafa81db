"""One symbol's market at the simulated venue that moves by calls only: touch, others' trades, others' takers."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from pms.clock import Clock
from pms.sim.assembly import OPENING
from pms.sim.model import FeedEvent, Mark, NewOrder, Order, Print
from pms.sim.scripted import ScriptedMarket
from pms.sim.synthetic import Listing
from pms.sim.wire import Venue

BEAT_S = 0.5
BEATS_PER_MARK = 2
OTHERS = "others"  # an account that is not ours


class Market:
    """See the module. Prices may be given as text."""

    def __init__(self, venue: Venue, symbol: str, clock: Clock) -> None:
        rules = venue.rules[symbol]
        self.symbol = symbol
        self.tick = rules.tick
        self.frozen = False
        self._venue = venue
        self._clock = clock
        self._ladder = ScriptedMarket(Listing(symbol, rules.tick, rules.step, OPENING[symbol]))
        self._apply(self._ladder.open(clock.now_ms()))
        self._mark()

    @property
    def bid(self) -> Decimal:
        return self._ladder.bid

    @property
    def ask(self) -> Decimal:
        return self._ladder.ask

    async def run(self) -> None:
        """The beat far from the touch, without which a stream would look dead, and a mark price each second."""
        beats = 0
        while True:
            await self._clock.sleep(BEAT_S)
            beats += 1
            if self.frozen:
                continue
            self._apply(self._ladder.beat(self._clock.now_ms()))
            if beats % BEATS_PER_MARK == 0:
                self._mark()

    def quote(self, bid: Decimal | str, ask: Decimal | str = "0") -> None:
        """Move the touch; an `ask` of 0 is one tick above. What of ours is crossed by it trades."""
        self._apply(self._ladder.quote(self._clock.now_ms(), Decimal(bid), Decimal(ask)))

    def move(self, ticks: int, spread: int = 0) -> None:
        """Move both sides by so many ticks; `spread` in ticks, as it was by default."""
        bid = self.bid + ticks * self.tick
        self.quote(bid, bid + (spread * self.tick or self.ask - self.bid))

    def hit(self, order: Order, quantity: Decimal | str) -> None:
        """Others trade into a resting order of ours: what stands before it in its queue goes first."""
        book = self._venue.exchange._market(self.symbol).book
        ladder = book.bids if order.side == "BUY" else book.asks
        (ahead,) = [rest.ahead + rest.clipped for rest in ladder.queues[order.price] if rest.order is order]
        maker_buys = order.side == "BUY"
        self._apply([Print(self.symbol, self._clock.now_ms(), order.price, ahead + Decimal(quantity), maker_buys)])

    def trade(self, price: Decimal | str, quantity: Decimal | str = "1") -> None:
        """Others trade with each other at a price."""
        self._apply([Print(self.symbol, self._clock.now_ms(), Decimal(price), Decimal(quantity), False)])

    def rest(
        self, account: str, side: str, price: Decimal, quantity: Decimal | str, name: str = "", **more: object
    ) -> Order:
        """An order placed past our daemon, by somebody with that key."""
        client_id = name or f"web_{self._clock.now_ms()}"
        new = NewOrder(self.symbol, side, "LIMIT", Decimal(quantity), client_id, price, **more)  # type: ignore[arg-type]
        order = self._venue.exchange.place(account, new)
        self._venue.streams.flush(self._clock.now_ms())
        return order

    def _mark(self) -> None:
        mid = (self.bid + self.ask) / 2
        self._apply([Mark(self.symbol, self._clock.now_ms(), mid, mid)])

    def _apply(self, events: Iterable[FeedEvent]) -> None:
        for event in events:
            self._venue.apply(event)

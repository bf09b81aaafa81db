"""The commands that start, change and end chases: checks at the door, then one atomic step (contract.md, algos.md).

Refuses to know doors and replies' bytes. Every refusal is an `Invalid` with a code of the closed list, and then nothing
was done.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal

import msgspec

from algos import chase, pricing, step
from algos.registry import CHASE
from pms.accounts import Accounts
from pms.bus.batch import Claim, Duplicate
from pms.clock import Clock
from pms.desk import Desk
from pms.runner import Runner
from pms.venue import NotDone, Refused, Unknown, Venue
from schemas import commands_algos
from schemas.chase import ChaseParams, ChaseState
from schemas.errors import ErrorCode, Invalid
from schemas.ids import base36
from schemas.market import Instrument, Quote
from schemas.orders import Cause
from schemas.records import SubAccount
from schemas.replies import Success

PRICE_WAIT_S = 2.5  # a reply is due within 3 s (contract.md)
PRICE_POLL_S = 0.01
END_WAIT_S = 2.5
END_POLL_S = 0.005


class Taken(Exception):
    """The request was accepted before: nothing was done now."""


class OwnerIds:
    """Ids of algos: kind letter, 8 base-36 digits of Unix ms, one to tell those of a millisecond apart. They only
    rise."""

    def __init__(self) -> None:
        self._last = 0

    def next(self, letter: str, now: int) -> str:
        self._last = max(self._last + 1, now * 36)
        return letter + base36(self._last, 9)


class Chases:
    """See the module."""

    def __init__(
        self,
        desk: Desk,
        accounts: Accounts,
        venue: Venue,
        clock: Clock,
        epoch: Callable[[], int],
        blocked: dict[str, str],
    ) -> None:
        self._desk = desk
        self._accounts = accounts
        self._venue = venue
        self._clock = clock
        self._epoch = epoch
        self._blocked = blocked
        self._ids = OwnerIds()
        self._leverage: dict[str, int] = {}
        self._setting: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def start(
        self, command: commands_algos.Chase, sub_account_id: str, request_id: str, claim: Callable[..., Claim | None]
    ) -> Runner:
        """Start one. Raises Invalid (nothing done) or Taken (the request was accepted before)."""
        now = self._desk.now()
        account = self._accounts.named(sub_account_id, now)
        instrument = self._instrument(command)
        await self._desk.market.watch(instrument)
        runner = None
        try:
            quote = await self._quote(instrument.symbol)
            params = self._params(command, instrument, quote)
            await self._set_leverage(instrument.symbol, params.leverage)
            runner = await self._launch(account, params, instrument, quote, request_id, claim)
        finally:
            if runner is None:
                await self._desk.market.release(instrument.symbol)
        return runner

    def prepared(self, command: commands_algos.Chase, sub_account_id: str) -> bool:
        """Whether `start` does nothing before its atomic step: the sub-account is there, and leverage is as wanted."""
        return self._accounts.knows(sub_account_id) and self._leverage.get(command.symbol) == command.leverage

    async def _launch(
        self,
        account: SubAccount,
        params: ChaseParams,
        instrument: Instrument,
        quote: Quote,
        request_id: str,
        claim: Callable[..., Claim | None],
    ) -> Runner:
        now = self._desk.now()
        who = chase.Identity(self._ids.next("c", now), account.id, account.tag, self._epoch(), request_id)
        state, actions = chase.start(who, params, instrument, quote, now)
        self._check_first(actions)
        runner = self._desk.begin(CHASE, state)
        outcome = await self._desk.launch(runner, actions, claim(chaseId=who.chase_id), request_id)
        if isinstance(outcome, Duplicate):
            self._desk.withdraw(runner)
            raise Taken
        if runner.ended:
            await self._desk.market.release(params.symbol)
        else:
            self._desk.follow(runner)
        return runner

    def _check_first(self, actions: tuple[step.Action, ...]) -> None:
        """What the gate would refuse at once is refused to the caller, rather than tried for ever (law 7)."""
        for action in actions:
            denied = self._desk.entry.check(action) if isinstance(action, step.PlaceChild) else None
            if denied is not None and denied.cause is not Cause.SELF_TRADE:  # that one a chase gets around by itself
                raise Invalid(denied.code, denied.message, limit=denied.limit, value=denied.value)

    async def preview(self, command: commands_algos.Chase, sub_account_id: str) -> tuple[ChaseParams, Decimal]:
        """What `start` would begin with: the parameters and the first price. Raises Invalid as `start` would."""
        self._accounts.named(sub_account_id, self._desk.now())
        instrument = self._instrument(command)
        await self._desk.market.watch(instrument)
        try:
            quote = await self._quote(instrument.symbol)
        finally:
            await self._desk.market.release(instrument.symbol)
        params = self._params(command, instrument, quote)
        return params, self._first_price(params, instrument, quote)

    # --- checks ---------------------------------------------------------------------------------------

    def _instrument(self, command: commands_algos.Chase) -> Instrument:
        instrument = self._desk.instruments.get(command.symbol)
        if instrument is None:
            raise Invalid(ErrorCode.UNKNOWN_SYMBOL, f"the venue has no symbol {command.symbol}.", path="symbol")
        if not instrument.trading and not command.reduce_only:
            raise Invalid(ErrorCode.SYMBOL_NOT_TRADING, f"{command.symbol} is not trading now.", path="symbol")
        if command.symbol in self._blocked and not command.reduce_only:
            reason = self._blocked[command.symbol]
            raise Invalid(ErrorCode.POSITION_DRIFT, f"no new risk on {command.symbol}: {reason}", path="symbol")
        return instrument

    async def _quote(self, symbol: str) -> Quote:
        """The newest quote; waits for the first one of a symbol that nobody watched before."""
        give_up = self._clock.monotonic() + PRICE_WAIT_S
        while (quote := self._desk.market.quote(symbol)) is None:
            if self._clock.monotonic() >= give_up:
                _, reason = self._desk.market.health(symbol)
                raise Invalid(ErrorCode.NO_PRICE, f"no fresh price of {symbol} within {PRICE_WAIT_S} s ({reason}).")
            await self._clock.sleep(PRICE_POLL_S)
        return quote

    def _params(self, command: commands_algos.Chase, instrument: Instrument, quote: Quote) -> ChaseParams:
        mid = quote.mid2 * instrument.tick / 2
        if command.quantity is not None:
            if not instrument.on_quantity_grid(command.quantity):
                message = f"{command.quantity} is no multiple of {command.symbol}'s step {instrument.step}."
                raise Invalid(ErrorCode.QUANTITY_OFF_GRID, message, path="quantity", step=instrument.step)
            quantity = instrument.quantity_down(command.quantity)
        else:
            assert command.size_usdt is not None, "the door lets exactly one of quantity and sizeUsdt through"
            quantity = instrument.quantity_down(command.size_usdt / mid)
        params = command.params(quantity)
        price = self._first_price(params, instrument, quote)
        if price <= 0:
            raise Invalid(ErrorCode.INVALID_FIELD, "the offset is larger than the price.", path="stalkOffsetTicks")
        if not instrument.sendable(quantity, price, command.reduce_only):
            message = (
                f"{quantity} at {price} is {quantity * price}; {command.symbol} takes at least {instrument.min_qty} "
                f"and {instrument.min_notional} USDT in one order."
            )
            raise Invalid(ErrorCode.BELOW_MINIMUM, message, path="quantity", minNotional=instrument.min_notional)
        return params

    def _first_price(self, params: ChaseParams, instrument: Instrument, quote: Quote) -> Decimal:
        ticks = pricing.follow_ticks(
            params.side,
            quote.bid,
            quote.ask,
            params.stalk_offset_ticks,
            pricing.scaled_pct(params.stalk_offset_pct),
            params.aggressive,
            0,
        )
        return instrument.price(ticks)

    async def _set_leverage(self, symbol: str, wanted: int) -> None:
        """At the venue, while the account is flat on the symbol and nothing rests; never lowered under a position
        (execution.md 15). Serialised per symbol; a refusal belongs to who asked."""
        if self._leverage.get(symbol) == wanted:
            return
        async with self._setting[symbol]:
            if self._leverage.get(symbol) == wanted or not self._is_flat(symbol):
                return
            outcome = await self._venue.set_leverage(symbol, wanted)
        match outcome:
            case Refused(message=message, code=code):
                raise Invalid(ErrorCode.EXCHANGE_REJECTED, f"leverage {wanted} was refused: {message}", venueCode=code)
            case NotDone(message=message) | Unknown(message=message):
                raise Invalid(ErrorCode.EXCHANGE_UNAVAILABLE, f"leverage could not be set: {message}")
        self._leverage[symbol] = wanted

    def _is_flat(self, symbol: str) -> bool:
        ledger = self._desk.ledger
        if ledger.open_by_symbol[symbol]:
            return False
        return not any(held.quantity for (_, name), held in ledger.positions.items() if name == symbol)

    # --- running ones ---------------------------------------------------------------------------------

    def find(self, chase_id: str, sub_account_id: str | None) -> Runner:
        """A live chase. Raises Invalid (ALGO_NOT_FOUND, NOT_OWNER)."""
        runner = self._desk.runners.get(chase_id)
        if runner is None or runner.kind is not CHASE:
            raise Invalid(ErrorCode.ALGO_NOT_FOUND, f"no chase {chase_id} is running.", path="chaseId")
        owner = runner.state.sub_account_id
        if sub_account_id and sub_account_id != owner:
            raise Invalid(ErrorCode.NOT_OWNER, f"chase {chase_id} belongs to another sub-account.", path="subAccountId")
        return runner

    async def cancel(self, runner: Runner, reason: str, request_id: str) -> Success:
        """End a chase; returns when its child is proven gone, or after the reply's time with the ending under way."""
        self._desk.offer(runner, step.CancelRequest(self._desk.now(), reason), request_id)
        give_up = self._clock.monotonic() + END_WAIT_S
        while not runner.ended and self._clock.monotonic() < give_up:
            await self._clock.sleep(END_POLL_S)
        details = msgspec.UNSET if runner.ended else {"state": runner.state.status.value}
        return Success(details=details)

    def amend(self, runner: Runner, command: commands_algos.ChaseAmend, request_id: str) -> Success:
        """Change parameters. Raises Invalid where the new quantity is below what is filled or off the grid."""
        state: ChaseState = runner.state
        if command.quantity is not None:
            if command.quantity < state.filled_quantity:
                message = f"{state.filled_quantity} is filled already; the new quantity can't be less."
                raise Invalid(ErrorCode.INVALID_FIELD, message, path="quantity", filled=state.filled_quantity)
            if not state.instrument.on_quantity_grid(command.quantity):
                message = f"{command.quantity} is no multiple of the step {state.instrument.step}."
                raise Invalid(ErrorCode.QUANTITY_OFF_GRID, message, path="quantity", step=state.instrument.step)
        request = step.AmendRequest(
            self._desk.now(),
            self._desk.quote_of(runner),
            command.quantity,
            command.stalk_mode,
            command.stalk_offset_pct,
            command.stalk_offset_ticks,
            command.max_distance_pct,
        )
        self._desk.offer(runner, request, request_id)
        return Success()

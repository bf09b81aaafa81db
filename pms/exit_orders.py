"""Immediate exits: a position closed by IOC orders within a price bound, tried until it is closed (execution.md 5, 10,
14, 28).

Owns one task per exit: its attempts, their forms and pauses. Refuses to decide that something is closed, and to judge a
request (gate, exit ledger). Invariant: an attempt leaves only when the one before has ended, or when its rule says that
it can do no harm any more; all attempts of an exit stand for the same quantity.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from decimal import Decimal

import msgspec
import structlog

from algos.step import Failure
from pms.bus.batch import Claim, Duplicate
from pms.clock import Clock
from pms.core import exits
from pms.core.exits import Form
from pms.desk import Desk
from pms.exit_evidence import Evidence, Fate
from pms.exit_goals import STOPPED, Exit, Goal, in_flight
from pms.exit_price import ExitPrices
from pms.market_tape import Arrived
from schemas.errors import ErrorCode
from schemas.ids import ATTEMPT_MAX, SLOT_MAX, OrderId, make
from schemas.market import ZERO, Instrument
from schemas.orders import Cause, Order

PAUSES_S = (0.25, 0.5, 1.0, 2.0)  # execution.md 28
REFUSALS_PER_FORM = 3  # ... change form on each third refusal
_FORMS = 3  # as the exit ledger says, without the flag, and at the venue's own price bound
FINAL = (ErrorCode.POSITION_DRIFT, ErrorCode.BELOW_MINIMUM, ErrorCode.QUANTITY_OFF_GRID)  # time mends none of these
TAKEN = "taken"  # an exit that ended because its command had been accepted before
CLAIM_S = 2.5  # by then the claim's step is durable, or the order that waited for it has failed
_LETTER = "x"  # of the owner ids of exits

_log = structlog.get_logger("pms.exit_orders")


class ExitOrders:
    """See the module. `next_id(letter, now)` makes an owner id; `arrived` keeps the book that a command's exit met."""

    def __init__(
        self,
        desk: Desk,
        evidence: Evidence,
        prices: ExitPrices,
        clock: Clock,
        next_id: Callable[[str, int], str],
        epoch: Callable[[], int],
        arrived: Arrived,
    ) -> None:
        self._desk = desk
        self._evidence = evidence
        self._prices = prices
        self._clock = clock
        self._next_id = next_id
        self._epoch = epoch
        self._arrived = arrived
        self._sent_for: Counter[str] = Counter()  # orders of this life by algo
        self._running: set[Exit] = set()

    def begin(self, goal: Goal, claim: Callable[[str], Claim | None] | None = None) -> Exit:
        """Close it, in a task of its own. The first order's step carries the `claim` on its client id."""
        under_way = Exit(goal, self._next_id(_LETTER, self._desk.now()))
        task = self._desk.tasks.spawn(self._run(under_way, claim), f"exit {goal.sub_account_id} {goal.symbol}")
        self._running.add(under_way)
        task.add_done_callback(lambda _: self._running.discard(under_way))
        return under_way

    def running(self, sub_account_id: str) -> list[Exit]:
        """A sub-account's exits under way, whoever began them: the books may not show yet what they bring."""
        return [one for one in self._running if one.goal.sub_account_id == sub_account_id and not one.done.done()]

    def flatten(self, order: Order, quantity: Decimal) -> None:
        """A closer has filled beyond its position: what it opened is closed at once (execution.md 14)."""
        _log.warning("flipped_by_race", client_order_id=order.client_order_id, quantity=str(quantity))
        goal = Goal(order.sub_account_id, order.symbol, order.side.opposite, quantity, request_id=order.request_id)
        self.begin(goal)

    def held(self, goal: Goal) -> Decimal:
        """What there is to be closed, whatever quantity the goal names."""
        held = self._desk.ledger.position(goal.sub_account_id, goal.symbol)
        if exits.closing_side(held.signed_quantity) is not goal.side:
            return ZERO
        return held.quantity if goal.position_id in ("", held.position_id) else ZERO

    def left(self, one: Exit) -> Decimal:
        """What of the goal is still held."""
        held, quantity = self.held(one.goal), one.goal.quantity
        if quantity is None:
            return held
        filled = sum((self._desk.ledger.orders[name].filled_qty for name in one.orders), ZERO)
        return max(min(held, quantity - filled), ZERO)

    async def first(self, goal: Goal) -> Order:
        """The first order that would close it as things stand now, at price 0 where there is none; nothing is sent."""
        instrument, one = self._desk.instruments[goal.symbol], Exit(goal, self._next_id(_LETTER, self._desk.now()))
        await self._desk.market.watch(instrument)
        try:
            price = await self._prices.bound(instrument, goal.side, wide=False)
        finally:
            await self._desk.market.release(instrument.symbol)
        return self._order(one, self.left(one), price)

    # --- one exit -------------------------------------------------------------------------------------

    async def _run(self, one: Exit, claim: Callable[[str], Claim | None] | None) -> None:
        instrument, subject = self._desk.instruments[one.goal.symbol], _subject(one.goal)
        reason = "broken"
        await self._desk.market.watch(instrument)
        try:
            reason = await self._pursue(one, instrument, claim)
        except asyncio.CancelledError:
            reason = STOPPED
            raise
        finally:
            one.ends(reason)
            await self._desk.market.release(instrument.symbol)
            if not reason:
                self._desk.alarms.clear("exit_refused", subject, self._desk.now())

    async def _pursue(self, one: Exit, instrument: Instrument, claim: Callable[[str], Claim | None] | None) -> str:
        while True:
            if not self.left(one):
                if not await self._more_may_come(one):
                    return ""
                continue
            if max(len(one.orders), self._sent_for[one.goal.parent_id]) >= ATTEMPT_MAX:
                return "attempts_exhausted"
            price = await self._prices.bound(instrument, one.goal.side, wide=_form(one) == _FORMS - 1)
            tried = self._try(one, instrument, price, claim) if price else ""
            if tried:
                if claim is not None and await self._taken(one, tried):
                    return TAKEN
                claim = None
                self._keep_book(one)
                if reason := await self._follow(one, tried):
                    return reason
            elif one.denied is not None and one.denied.code in FINAL:
                return one.denied.message
            if not tried and one.denied is None:
                await self._way_made(one)
            elif one.idle:
                await self._clock.sleep(max(PAUSES_S[min(one.idle, len(PAUSES_S)) - 1], one.wait_s))

    def _keep_book(self, one: Exit) -> None:
        """For looking back: once an exit, at its first order; an algo's book was kept when it began."""
        if len(one.orders) == 1 and not one.goal.parent_id:
            order = self._desk.ledger.orders[one.orders[0]]
            self._arrived(order.client_order_id, order.sub_account_id, order.symbol, order.side, order.quantity)

    async def _more_may_come(self, one: Exit) -> bool:
        """Wait for one of the placings in flight to become known; whether there was any."""
        waiting = [name for name in one.goal.after if in_flight(self._desk.ledger.orders.get(name))]
        if not waiting:
            return False
        with self._desk.fates.follow(waiting) as fate:
            orders = self._desk.ledger.orders
            await fate.until(lambda: not all(in_flight(orders.get(name)) for name in waiting), PAUSES_S[-1])
        return True

    async def _taken(self, one: Exit, name: str) -> bool:
        """Whether the first step's claim says that the command was accepted before: then nothing of it stands."""
        if one.claimed is None:
            return False
        await asyncio.wait((one.claimed,), timeout=CLAIM_S)
        if not one.claimed.done() or one.claimed.exception() or not isinstance(one.claimed.result(), Duplicate):
            return False
        self._desk.entry.forget((name,))
        one.orders.clear()
        return True

    async def _way_made(self, one: Exit) -> None:
        """Wait until resting closers have given back what they had, or a moment."""
        goal = one.goal
        standing = [closer.client_id for closer in self._desk.exits.closers(goal.sub_account_id, goal.symbol)]
        with self._desk.fates.follow(standing) as fate:
            orders = self._desk.ledger.orders
            await fate.until(lambda: any(orders[name].state.terminal for name in standing), PAUSES_S[0])

    def _try(
        self, one: Exit, instrument: Instrument, price: Decimal, claim: Callable[[str], Claim | None] | None
    ) -> str:
        """Record and send one order, in the step that takes over what resting closers had; its client id, empty where
        nothing could leave now."""
        desk, goal, left = self._desk, one.goal, self.left(one)
        desk.closers.fit(goal.sub_account_id, goal.symbol, left, apart_from=(goal.parent_id,))
        order = self._order(one, left, price)
        most = min(left, desk.exits.closable(order), instrument.max_qty)
        order = msgspec.structs.replace(order, quantity=instrument.quantity_down(most))
        one.denied = None
        if not order.quantity:
            return ""
        wanted = one.form or (Form.UNFLAGGED if _form(one) == 1 else None)
        with desk.step(goal.request_id, claim(order.client_order_id) if claim else None) as unit:
            _, denied = desk.entry.submit(unit, order, wanted)
            if denied is not None and denied.code is ErrorCode.BELOW_MINIMUM and order.quantity == self.held(goal):
                desk.books.retire(unit, goal.sub_account_id, goal.symbol, desk.mark(goal.symbol) or price)
                desk.positions_reduced(goal.symbol, (goal.sub_account_id,))
                return ""
        if denied is not None:
            self._refused(one, denied.message)
            one.denied, one.idle = denied, one.idle + 1
            return ""
        one.orders.append(order.client_order_id)
        if goal.parent_id:
            self._sent_for[goal.parent_id] += 1
        one.claimed = unit.durable if claim else one.claimed
        if not one.first.done():
            one.first.set_result(order.client_order_id)
        return order.client_order_id

    def _next_name(self, one: Exit, tag: str) -> str:
        """The client id of an exit's next order. An algo's carries the algo: its fills are told to it even where no
        record of the order was written (execution.md 23)."""
        algo = one.goal.parent_id
        if algo:
            return make(OrderId(tag, algo, self._epoch(), SLOT_MAX, self._sent_for[algo]))
        return make(OrderId(tag, one.owner, self._epoch(), 0, len(one.orders)))

    def _order(self, one: Exit, quantity: Decimal, price: Decimal) -> Order:
        goal, ledger = one.goal, self._desk.ledger
        name = self._next_name(one, ledger.sub_accounts[goal.sub_account_id].tag)
        leverage = ledger.position(goal.sub_account_id, goal.symbol).leverage
        return goal.order(name, one.owner, quantity, price, leverage, self._desk.now())

    # --- what became of an attempt --------------------------------------------------------------------

    async def _follow(self, one: Exit, name: str) -> str:
        """Wait for the attempt's end, or for the moment when the next may leave beside it. Returns why the exit is
        over, empty where it goes on."""
        asked = self._desk.ledger.orders[name].quantity
        with self._desk.fates.follow((name,)) as heard:
            known = await self._evidence.of(name, heard)
            failure = heard.failures.get(name)
        order = self._desk.ledger.orders[name]
        one.form = Form.FLAGGED if known is Fate.FLAGGED_NEXT else None
        if known is not Fate.KNOWN:
            return ""
        if order.cancel_wanted:
            return "cancelled"
        one.idle = 0 if order.filled_qty else one.idle + 1
        if order.filled_qty:
            one.refusals = 0
            self._desk.alarms.clear("exit_refused", _subject(one.goal), self._desk.now())
        if _denies_position(order, failure, asked):
            self._desk.exits.doubt(order.symbol)
            await self._evidence.read_back(order.symbol)
        one.wait_s = 0.0
        if failure is not None:
            self._failed(one, failure)
        return ""

    def _failed(self, one: Exit, failure: Failure) -> None:
        if failure.refused:
            one.refusals += 1
            self._refused(one, failure.message)
        wait_s = (failure.retry_at - self._desk.now()) / 1000
        one.wait_s = min(wait_s, PAUSES_S[-1])  # what the venue forbids for longer, the adapter holds back anyway

    def _refused(self, one: Exit, message: str) -> None:
        goal = one.goal
        text = (
            f"{goal.sub_account_id}'s position in {goal.symbol} is not closed: {message}. It is tried again until it "
            "is closed; look at the position at the venue."
        )
        self._desk.alarms.sound("exit_refused", "critical", _subject(goal), text, self._desk.now())


def _form(one: Exit) -> int:
    return one.refusals // REFUSALS_PER_FORM % _FORMS


def _subject(goal: Goal) -> str:
    return f"{goal.sub_account_id}:{goal.symbol}"


def _denies_position(order: Order, failure: Failure | None, asked: Decimal) -> bool:
    """Whether the venue said that there is less to reduce than the books say: refused, ended or shrunk."""
    if failure is not None:
        return failure.cause is Cause.REDUCE_ONLY
    return order.reason == Cause.REDUCE_ONLY.value or order.quantity < asked

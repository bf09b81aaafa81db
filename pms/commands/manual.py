"""Orders that no algo stands behind: from what a command asks for to records, requests and what became of them.

Owns the way that trade, limit, scale and basket share: price, leverage, the gate, one atomic step with the command's
claim, and the wait for the venue's answer. Refuses to know the commands' words and their replies. Invariants: nothing
leaves before everything was checked; an accepted order that had not left when the daemon died never leaves.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import NamedTuple

import msgspec

from algos.step import Failure, Identity
from pms.accounts import Accounts
from pms.bus.batch import Duplicate
from pms.bus.executor import Context
from pms.clock import Clock
from pms.commands import entry_guards
from pms.commands.asks import Ask
from pms.commands.denials import invalid
from pms.commands.identity import OwnerIds, Taken
from pms.commands.needs import MarketNeeds, Needs
from pms.commands.terms import Terms
from pms.core.limits import Weight
from pms.core.risk import Approved, Denied
from pms.desk import Desk
from pms.leverage import Leverage
from pms.market_tape import Arrived
from pms.runner import Runner
from schemas.errors import ErrorCode, Invalid
from schemas.fields import Command
from schemas.ids import OrderId, make, parse
from schemas.market import ZERO
from schemas.orders import Order, OrderState, Origin
from schemas.records import Request, SubAccount

ANSWER_S = 2.8  # from the command's turn on: a reply is due within 3 s (contract.md)
FATE_S = 30.0  # what a former life left in flight is looked up for twice the settle window (execution.md 2)
RESTING = ("GTC", "GTX")
_IN_DOUBT = (OrderState.PLACING, OrderState.UNKNOWN)


class Wants(msgspec.Struct, frozen=True):
    """A command's orders: `ask` makes them from the prices of that moment, or raises Invalid. `priced`: they need a
    price. `some`: those that the gate denies are left out, and the others are placed."""

    symbols: tuple[str, ...]
    ask: Callable[[], Sequence[Ask]]
    reduce_only: bool = False
    priced: bool = True
    some: bool = False
    guard: Command | None = None


class Batch(msgspec.Struct, frozen=True):
    """What became of a command's orders: as they are now, the `failures` of their requests by client id, and what the
    gate denied, with its path in the command."""

    orders: tuple[Order, ...]
    failures: Mapping[str, Failure]
    denied: tuple[tuple[str, Denied], ...] = ()


class Preview(NamedTuple):
    """The orders that a command would make, what the gate denies of them, with its path in the command, and what they
    come to."""

    asks: Sequence[Ask]
    denied: tuple[tuple[str, Denied], ...]
    weight: Weight


class Manual:
    """See the module. `gate` says why nothing is accepted now, empty when the doors are open for trading."""

    def __init__(
        self,
        desk: Desk,
        accounts: Accounts,
        terms: Terms,
        leverage: Leverage,
        ids: OwnerIds,
        epoch: Callable[[], int],
        gate: Callable[[], str],
        clock: Clock,
        arrived: Arrived,
    ) -> None:
        self._arrived = arrived
        self._desk = self.desk = desk
        self._accounts = accounts
        self._leverage = leverage
        self._ids = ids
        self._epoch = epoch
        self._gate = gate
        self._market = MarketNeeds(desk.market, terms)
        self._clock = clock
        self.terms = terms

    def prepared(self, sub_account: str, symbol: str, leverage: int, adds: Decimal) -> bool:
        """Whether an order would act by its own step alone: no sub-account to be made, no leverage to be set."""
        return self._accounts.knows(sub_account) and self._leverage.is_set(symbol, leverage, adds)

    # --- checking -------------------------------------------------------------------------------------

    async def preview(self, sub_account: str, wants: Wants) -> Preview:
        """Everything that `place` checks, nothing sent and nothing recorded. Raises Invalid as `place` would."""
        account = self._accounts.named(sub_account, self._desk.now())
        async with self._watched(wants):
            asks = wants.ask()
            intents = self._intents(asks, account, Origin.MANUAL, "")
            denials = self._desk.entry.check_orders(intents)
            weight = self._desk.entry.weigh(intents)
        denied = [(ask.path, denial) for ask, denial in zip(asks, denials, strict=True) if denial is not None]
        return Preview(asks, tuple(denied), weight)

    @asynccontextmanager
    async def _watched(self, wants: Wants) -> AsyncIterator[None]:
        """Have a book of each symbol, and a price where one is needed. Raises Invalid."""
        needs = [Needs(symbol, reduce_only=wants.reduce_only, priced=wants.priced) for symbol in wants.symbols]
        await self._market.watch(needs)
        try:
            await self._market.quotes(needs)
            yield
        finally:
            await self._market.release(needs)

    def _let_through(
        self, asks: Sequence[Ask], intents: Sequence[Order], some: bool, final: bool
    ) -> tuple[list[tuple[Order, Approved]], list[tuple[str, Denied]]]:
        """The orders that may be placed in this turn, and what is denied. Raises Invalid where none may, or not all and
        only `some` would do; of open orders there must be room for all (execution.md 10). Denials are published where
        they are `final`, or raise."""
        judged = self._desk.entry.judge(intents)
        going = [(order, verdict) for verdict, order in judged if isinstance(verdict, Approved)]
        if len(going) == len(intents):
            return going, []
        denied = [
            (order, ask.path, verdict)
            for order, ask, (verdict, _) in zip(intents, asks, judged, strict=True)
            if isinstance(verdict, Denied)
        ]
        told = [(path, denial) for _, path, denial in denied]
        short = [one for one in told if one[1].code is ErrorCode.MAX_OPEN_ORDERS]
        raises = short or not some or len(denied) == len(intents)
        if final or raises:
            with self._desk.step(intents[0].request_id) as unit:
                for order, _, denial in denied:
                    self._desk.entry.tell(unit, order, denial)
        if raises:
            path, denial = (*short, *told)[0]
            raise invalid(denial, path)
        return going, told

    def _intents(self, asks: Sequence[Ask], account: SubAccount, origin: Origin, request_id: str) -> list[Order]:
        now, epoch = self._desk.now(), self._epoch()
        owner = self._ids.next("o", now)
        return [
            Order(
                client_order_id=make(OrderId(account.tag, owner, epoch, slot, 0)),
                sub_account_id=account.id,
                symbol=ask.instrument.symbol,
                side=ask.side,
                order_type="LIMIT",
                time_in_force=ask.time_in_force,
                quantity=ask.quantity,
                price=ask.price,
                reduce_only=ask.reduce_only,
                state=OrderState.PLACING,
                origin=origin,
                parent_id="",
                root_id="",
                created_at=now,
                updated_at=now,
                request_id=request_id,
                leverage=ask.leverage,
            )
            for slot, ask in enumerate(asks)
        ]

    # --- placing --------------------------------------------------------------------------------------

    async def place(self, context: Context, origin: Origin, wants: Wants) -> Batch:
        """Carry a command out. Raises Invalid (nothing was done) and Taken."""
        answer_by = self._clock.monotonic() + ANSWER_S
        if reason := self._gate():
            raise Invalid(ErrorCode.NOT_READY, f"trading is not open: {reason}. Nothing was done; send it again.")
        account = self._accounts.named(context.sub_account, self._desk.now())
        async with self._watched(wants):
            asks = wants.ask()
            if not all(self._leverage.is_set(*wanted) for wanted in _leverages(asks)):
                self._let_through(
                    asks, self._intents(asks, account, origin, context.request_id), wants.some, final=False
                )
                for wanted in _leverages(asks):
                    await self._leverage.ensure(*wanted)
                asks = wants.ask()  # the price may have moved meanwhile
            intents = self._intents(asks, account, origin, context.request_id)
            going, denied = self._let_through(asks, intents, wants.some, final=True)
            names = [order.client_order_id for order, _ in going]
            with self._desk.fates.follow(names) as fate:
                await self._launch(going, intents, context, wants.guard)
                await fate.until(lambda: all(map(_answered, self._orders(names))), answer_by - self._clock.monotonic())
            return Batch(self._orders(names), fate.failures, tuple(denied))

    async def _launch(
        self,
        going: Sequence[tuple[Order, Approved]],
        intents: Sequence[Order],
        context: Context,
        guard: Command | None,
    ) -> None:
        """Record, claim and send what the gate has approved in this turn. Raises Taken."""
        guards = self._guards(intents[0], guard, context.request_id)
        claim = context.claim(clientOrderId=intents[0].client_order_id, count=str(len(intents)))
        with self._desk.step(context.request_id, claim) as unit:
            entry_guards.launch(self._desk, guards, context.request_id)
            for order, approved in going:
                self._desk.entry.take(unit, order, approved)
        assert unit.durable is not None, "a step with an order is committed"
        if isinstance(await unit.durable, Duplicate):
            for runner in guards:
                self._desk.withdraw(runner)
            self._desk.entry.forget([order.client_order_id for order, _ in going])
            raise Taken
        entry_guards.follow(self._desk, guards)
        for order, _ in going:
            self._arrived(order.client_order_id, order.sub_account_id, order.symbol, order.side, order.quantity)

    def _guards(self, order: Order, command: Command | None, request_id: str) -> list[Runner]:
        """The protection of a command's orders, where it asks for one."""
        if command is None or not entry_guards.wanted(command):
            return []
        whose = parse(order.client_order_id)
        assert isinstance(whose, OrderId), "an id of ours"
        account = self._desk.ledger.sub_accounts[order.sub_account_id]
        who = Identity(whose.owner, account.id, account.tag, self._epoch(), request_id)
        return entry_guards.runners_for(self._desk, self._ids, who, command, whose.owner)

    def _orders(self, names: Sequence[str]) -> tuple[Order, ...]:
        return tuple(self._desk.ledger.orders[name] for name in names)

    # --- after a restart ------------------------------------------------------------------------------

    async def found(self, request: Request, tell: Callable[[Batch], Awaitable[None]]) -> Batch | None:
        """What became of a request that a daemon before us accepted; None where nothing of it is known. What is still
        being looked up is waited for, after `tell` was given what is known now."""
        orders = self._desk.ledger.orders
        names = [name for name in _names(request) if name in orders]
        if not names:
            return None

        def known() -> bool:
            return not any(order.state in _IN_DOUBT for order in self._orders(names))

        with self._desk.fates.follow(names) as fate:
            if not known():
                await tell(Batch(self._orders(names), fate.failures))
                await fate.until(known, FATE_S)
            return Batch(self._orders(names), fate.failures)


def _names(request: Request) -> list[str]:
    first = parse(request.ids.get("clientOrderId", ""))
    if not isinstance(first, OrderId):
        return []
    count = int(request.ids.get("count", "1"))
    return [make(msgspec.structs.replace(first, slot=first.slot + step)) for step in range(count)]


def _answered(order: Order) -> bool:
    """Whether the venue has told what it makes of a new order: it rests, or where it can't rest, it has ended."""
    if order.time_in_force in RESTING:
        return order.state not in _IN_DOUBT
    return order.state.terminal


def _leverages(asks: Sequence[Ask]) -> list[tuple[str, int, Decimal]]:
    """(symbol, highest leverage asked, notional added) of each symbol."""
    wanted: dict[str, tuple[int, Decimal]] = {}
    for ask in asks:
        highest, adds = wanted.get(ask.instrument.symbol, (1, ZERO))
        more = ZERO if ask.reduce_only else ask.quantity * ask.price
        wanted[ask.instrument.symbol] = (max(highest, ask.leverage), adds + more)
    return [(symbol, leverage, adds) for symbol, (leverage, adds) in wanted.items()]

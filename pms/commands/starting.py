"""Starting an algo of any kind: checks at the door, then one atomic step (contract.md, algos.md).

Owns the way that all kinds share: the market of each symbol, leverage, the gate's word on what it would send first,
record and claim in one step, and `validate` over the same path. What is special to a kind is its `Door`. Every refusal
is an `Invalid` with a code of the closed list, and then nothing was done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, Protocol

import msgspec

from algos.registry import Kind
from algos.step import Action, Identity, PlaceChild
from pms.accounts import Accounts
from pms.bus.executor import Context
from pms.bus.outcomes import Reply
from pms.commands import answers, entry_guards
from pms.commands.denials import invalid
from pms.commands.first_actions import FirstActions
from pms.commands.identity import OwnerIds, Taken, taken
from pms.commands.needs import MarketNeeds, Needs, Planned
from pms.commands.previews import numbers
from pms.commands.table import Row, Tell
from pms.commands.terms import PRICE_BACK_S, Terms
from pms.core.risk import Approved, Denied
from pms.desk import Desk
from pms.leverage import Leverage
from pms.market_tape import Arrived
from pms.order_entry import Judged
from pms.runner import Runner
from schemas.errors import ErrorCode, Invalid
from schemas.fields import Command, camel
from schemas.market import ZERO, Quote
from schemas.orders import Cause, Order
from schemas.records import Request, SubAccount
from schemas.replies import Success, ValidateReply

# What an algo gets around by itself: an order of ours in its way, and nothing left to reduce, which ends it.
_BY_ITSELF = frozenset((Cause.SELF_TRADE, Cause.REDUCE_ONLY))
_NOBODY = "0000000000"  # the id of an algo that is only looked at
Refused = tuple[Order, Denied]  # an order, and what the gate has against it


class Door(Protocol):
    """What is special to one kind of algo. Each method raises Invalid for what can't be done."""

    kind: Kind
    command: type[Command]
    id_name: str  # as the reply and the claim call it: "chaseId"

    def needs(self, command: Any, sub_account: str) -> Sequence[Needs]:
        """The symbols; the first is the algo's own where it has one."""
        ...

    def params(self, command: Any, sub_account: str, quotes: Mapping[str, Quote]) -> Any:
        """Checked parameters, on the grid."""
        ...

    def planned(self, params: Any, quotes: Mapping[str, Quote]) -> Sequence[Planned]:
        """What they come to."""
        ...

    def reply(self, state: Any) -> Success:
        """The answer to the command, from the record as it began or as it stands."""
        ...


class Starts:
    """See the module. `gate` says why nothing is started now, empty when the doors are open for trading; `ended` holds
    the states of algos that ended before this process began."""

    def __init__(
        self,
        desk: Desk,
        accounts: Accounts,
        terms: Terms,
        leverage: Leverage,
        ids: OwnerIds,
        epoch: Callable[[], int],
        gate: Callable[[], str],
        ended: dict[str, Any],
        arrived: Arrived,
        doors: Sequence[Door],
    ) -> None:
        self._desk = desk
        self._accounts = accounts
        self._market = MarketNeeds(desk.market, terms)
        self._leverage = leverage
        self._ids = ids
        self._epoch = epoch
        self._gate = gate
        self._ended = ended
        self._arrived = arrived
        self._doors = doors
        self._first = FirstActions(desk)

    def rows(self) -> dict[type[Command], Row]:
        return {
            door.command: Row(
                partial(self.start, door),
                partial(self._prepared, door),
                partial(self.was_started, door),
                partial(self.preview, door),
            )
            for door in self._doors
        }

    async def start(self, door: Door, command: Command, context: Context) -> Reply:
        """Start an algo. Raises Invalid, with nothing done."""
        if reason := self._gate():
            raise Invalid(ErrorCode.NOT_READY, f"trading is not open: {reason}. Nothing was done; send it again.")
        needs = door.needs(command, context.sub_account)
        account = self._accounts.named(context.sub_account, self._desk.now())
        await self._market.watch(needs)
        try:
            quotes = await self._market.quotes(needs)
            params = door.params(command, account.id, quotes)
            if entry_guards.wanted(command):
                entry_guards.check_entry(self._desk, command, quotes)
            planned = door.planned(params, quotes)
            wanted = self._unset(needs, planned)
            if wanted:
                runner, actions = self._look(door, account, params, quotes)
                self._refuse(runner, actions, planned, context.request_id)
                for one in wanted:
                    await self._leverage.ensure(*one)
                quotes = await self._market.quotes(needs, PRICE_BACK_S)  # one may have gone meanwhile
            try:
                runner = await self._launch(door, command, account, params, planned, quotes, context)
            except Taken:
                return taken(context)
            if not runner.ended:
                self._desk.family.follow(runner)
        finally:
            await self._market.release(needs)
        return door.reply(runner.state)

    def _prepared(self, door: Door, command: Command, sub_account: str) -> bool:
        """An algo acts by its first step alone, unless it makes its sub-account or sets leverage."""
        if not self._accounts.knows(sub_account):
            return False
        try:
            needs = door.needs(command, sub_account)
        except Invalid:
            return True  # refused before anything is done
        return not self._unset(needs, ())

    def _unset(self, needs: Sequence[Needs], planned: Sequence[Planned]) -> list[tuple[str, int, Decimal]]:
        """(symbol, leverage, notional added) of each symbol that is traded to add and whose leverage is to be set."""
        unset = []
        for need in needs:
            if not need.leverage:
                continue
            adds = ZERO
            for one in planned:
                if one.symbol == need.symbol and not one.reduce_only:
                    adds += one.quantity * one.price
            if not self._leverage.is_set(need.symbol, need.leverage, adds):
                unset.append((need.symbol, need.leverage, adds))
        return unset

    async def _launch(
        self,
        door: Door,
        command: Command,
        owner: SubAccount,
        params: Any,
        planned: Sequence[Planned],
        quotes: Mapping[str, Quote],
        context: Context,
    ) -> Runner:
        """Raises Invalid (nothing done) or Taken (the request was accepted before)."""
        desk, kind, now = self._desk, door.kind, self._desk.now()
        algo_id = self._ids.next(kind.letter, now)
        who = Identity(algo_id, owner.id, owner.tag, self._epoch(), context.request_id)
        state, actions = self._first.begin(kind, who, params, quotes)
        runner = desk.begin(kind, state)
        judged = self._refuse(runner, actions, planned, context.request_id)
        claim = context.claim(**{door.id_name: algo_id})
        wanted = entry_guards.wanted(command)
        guards = entry_guards.runners_for(desk, self._ids, who, command, algo_id) if wanted else []
        approved = _at_once(actions, judged)
        if not await entry_guards.begin(desk, guards, runner, actions, claim, context.request_id, approved):
            raise Taken
        for asked in planned:
            self._arrived(algo_id, owner.id, asked.symbol, asked.side, asked.quantity)
        return runner

    def _look(
        self, door: Door, account: SubAccount, params: Any, quotes: Mapping[str, Quote]
    ) -> tuple[Runner, Sequence[Action]]:
        """What an algo would begin with; nobody knows of it."""
        who = Identity(_NOBODY, account.id, account.tag, self._epoch())
        state, actions = self._first.begin(door.kind, who, params, quotes)
        return self._desk.begin(door.kind, state), actions

    def _refuse(
        self, runner: Runner, actions: Sequence[Action], planned: Sequence[Planned], request_id: str
    ) -> list[Judged]:
        """What the gate would refuse at once is refused to the caller, and told, rather than tried for ever (law 7).
        Returns its word on the first orders."""
        judged = self._desk.entry.judge(self._first.orders(runner, actions))
        for order, denied in self._denials(runner, judged, planned):
            with self._desk.step(request_id) as unit:
                self._desk.entry.tell(unit, order, denied)
            raise invalid(denied)
        return judged

    def _denials(self, runner: Runner, judged: Sequence[Judged], planned: Sequence[Planned]) -> list[Refused]:
        """What the gate has against the first orders, and against any order of an algo that adds; but for what an algo
        gets around by itself."""
        refused: list[Refused] = []
        adding: set[str] = set()
        for verdict, order in judged:
            if isinstance(verdict, Denied):
                if verdict.cause not in _BY_ITSELF:
                    refused.append((order, verdict))
            elif not order.reduce_only:
                adding.add(order.symbol)
        if refused:
            return refused
        for one in planned:
            if one.symbol not in adding:  # what stops any order has not stopped those
                order = self._whole(runner, one)
                if (denied := self._desk.entry.stopped(order)) is not None:
                    refused.append((order, denied))
        return refused

    def _whole(self, runner: Runner, one: Planned, number: int = 0) -> Order:
        """All that an algo is to trade of a symbol on one side, as one order."""
        name, price = f"{_NOBODY}-{number}", one.price
        whole = PlaceChild(name, one.symbol, one.side, "GTC", price, one.quantity, one.reduce_only, one.leverage)
        return self._desk.entry.intent(runner, whole)

    async def was_started(self, door: Door, command: Command, request: Request, tell: Tell) -> Reply | None:
        """What an earlier daemon made of an accepted command: the algo as it stands or ended; None: it had not
        begun."""
        algo_id = request.ids.get(door.id_name, "")
        runner = self._desk.runners.get(algo_id)
        state = self._ended.get(algo_id) if runner is None else runner.state
        return None if state is None else door.reply(state)

    # --- validate -------------------------------------------------------------------------------------

    async def preview(self, door: Door, command: Command, sub_account: str) -> ValidateReply:
        """What the command would begin with: its first actions, and what its reply would tell. Raises Invalid as it
        would."""
        needs = door.needs(command, sub_account)
        account = self._accounts.named(sub_account, self._desk.now())
        await self._market.watch(needs)
        try:
            quotes = await self._market.quotes(needs)
            params = door.params(command, account.id, quotes)
            if entry_guards.wanted(command):
                entry_guards.check_entry(self._desk, command, quotes)
            planned = door.planned(params, quotes)
            runner, actions = self._look(door, account, params, quotes)
            denials = self._denials(runner, self._desk.entry.judge(self._first.orders(runner, actions)), planned)
            first = self._first.described(runner, actions)
            whole = [self._whole(runner, one, number) for number, one in enumerate(planned)]
            totals = _terms(planned) | (numbers(self._desk.entry.weigh(whole)) if whole else {})
        finally:
            await self._market.release(needs)
        errors = tuple(answers.denial("", denied) for _, denied in denials)
        told = msgspec.structs.asdict(door.reply(runner.state))
        shown = {camel(name): value for name, value in told.items() if name not in _OF_ANY}
        shown.pop(door.id_name, None)
        values = shown | totals | {"actions": first}
        return ValidateReply(valid=not errors, errors=errors, computed_values=values)


def _at_once(actions: Sequence[Action], judged: Sequence[Judged]) -> tuple[Order, Approved] | None:
    """The order that is all an algo asks for, where it adds and is approved: the gate need not be asked again in the
    same turn. None where there is more to it."""
    if len(actions) != 1 or not isinstance(actions[0], PlaceChild):
        return None
    ((verdict, order),) = judged
    return (order, verdict) if isinstance(verdict, Approved) and not order.reduce_only else None


_OF_ANY = frozenset(Success.__struct_fields__)


def _terms(planned: Sequence[Planned]) -> dict[str, Any]:
    """Quantity and first price where one symbol and side is traded."""
    return {"price": planned[0].price, "quantity": planned[0].quantity} if len(planned) == 1 else {}

"""The commands that start, change and end chases: checks at the door, then one atomic step (contract.md, algos.md).

Refuses to know doors and replies' bytes. Every refusal is an `Invalid` with a code of the closed list, and then nothing
was done.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from algos import chase, pricing, step
from algos.registry import CHASE
from pms.accounts import Accounts
from pms.bus.batch import Claim, Duplicate
from pms.bus.executor import Context
from pms.bus.outcomes import Reply
from pms.commands.algos import Algos
from pms.commands.identity import OwnerIds, Taken, taken
from pms.commands.previews import standing
from pms.commands.table import Arrived, Row, Tell
from pms.commands.terms import Terms
from pms.desk import Desk
from pms.leverage import Leverage
from pms.runner import Runner
from schemas.chase import ChaseParams, ChaseState
from schemas.commands_algos import Chase, ChaseAmend, ChaseCancel
from schemas.errors import ErrorCode, Invalid
from schemas.fields import Command
from schemas.market import Instrument, Quote
from schemas.orders import Cause
from schemas.records import Request, SubAccount
from schemas.replies import ChaseReply, Success, ValidateReply

# What a chase gets around by itself: an order of ours in its way, and nothing left to reduce, which ends it.
_BY_ITSELF = frozenset((Cause.SELF_TRADE, Cause.REDUCE_ONLY))


class Chases:
    """See the module. `gate` says why nothing is started now, empty when the doors are open for trading; `ended` holds
    the states of algos that ended before this process began."""

    def __init__(
        self,
        desk: Desk,
        accounts: Accounts,
        terms: Terms,
        leverage: Leverage,
        algos: Algos,
        ids: OwnerIds,
        epoch: Callable[[], int],
        gate: Callable[[], str],
        ended: dict[str, Any],
        arrived: Arrived,
    ) -> None:
        self._arrived = arrived
        self._desk = desk
        self._accounts = accounts
        self._terms = terms
        self._leverage = leverage
        self._algos = algos
        self._ids = ids
        self._epoch = epoch
        self._gate = gate
        self._ended = ended

    def rows(self) -> dict[type[Command], Row]:
        return {
            Chase: Row(self._chase, self._prepared, self._was_started, self._preview),
            ChaseCancel: Row(self._cancel),
            ChaseAmend: Row(self._amend),
        }

    # --- starting -------------------------------------------------------------------------------------

    async def _chase(self, command: Chase, context: Context) -> Reply:
        if reason := self._gate():
            raise Invalid(ErrorCode.NOT_READY, f"trading is not open: {reason}. Nothing was done; send it again.")
        try:
            runner = await self._start(command, context)
        except Taken:
            return taken(context)
        return _reply(runner.state)

    def _prepared(self, command: Chase, sub_account_id: str) -> bool:
        """A chase acts by its first step alone, unless it makes its sub-account or sets leverage."""
        return self._accounts.knows(sub_account_id) and self._leverage.is_set(command.symbol, command.leverage)

    async def _start(self, command: Chase, context: Context) -> Runner:
        """Start one. Raises Invalid (nothing done) or Taken (the request was accepted before)."""
        account = self._accounts.named(context.sub_account, self._desk.now())
        instrument = self._terms.instrument(command.symbol, command.reduce_only)
        await self._desk.market.watch(instrument)
        runner = None
        try:
            quote = await self._terms.quote(instrument.symbol)
            params = self._params(command, instrument, quote)
            adds = Decimal(0) if params.reduce_only else params.quantity * quote.mid2 * instrument.tick / 2
            await self._leverage.ensure(instrument.symbol, params.leverage, adds)
            runner = await self._launch(account, params, instrument, quote, context.request_id, context.claim)
        finally:
            if runner is None:
                await self._desk.market.release(instrument.symbol)
        return runner

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
        who = step.Identity(self._ids.next("c", now), account.id, account.tag, self._epoch(), request_id)
        state, actions = chase.start(who, params, instrument, quote, now)
        runner = self._desk.begin(CHASE, state)
        self._check_first(runner, actions)
        outcome = await self._desk.launch(runner, actions, claim(chaseId=who.algo_id), request_id)
        if isinstance(outcome, Duplicate):
            self._desk.withdraw(runner)
            raise Taken
        self._arrived(who.algo_id, account.id, params.symbol, params.side, params.quantity)
        if runner.ended:
            await self._desk.market.release(params.symbol)
        else:
            self._desk.follow(runner)
        return runner

    def _check_first(self, runner: Runner, actions: tuple[step.Action, ...]) -> None:
        """What the gate would refuse at once is refused to the caller, rather than tried for ever (law 7)."""
        for action in actions:
            denied = self._desk.entry.check(runner, action) if isinstance(action, step.PlaceChild) else None
            if denied is not None and denied.cause not in _BY_ITSELF:
                raise Invalid(denied.code, denied.message, limit=denied.limit, value=denied.value)

    def _params(self, command: Chase, instrument: Instrument, quote: Quote) -> ChaseParams:
        mid = quote.mid2 * instrument.tick / 2
        quantity = self._terms.quantity(instrument, command.quantity, command.size_usdt, mid)
        params = command.params(quantity)
        price = _first_price(params, instrument, quote)
        if price <= 0:
            raise Invalid(ErrorCode.INVALID_FIELD, "the offset is larger than the price.", path="stalkOffsetTicks")
        self._terms.sendable(instrument, quantity, price, command.reduce_only)
        return params

    async def _was_started(self, command: Chase, request: Request, tell: Tell) -> Reply | None:
        chase_id = request.ids.get("chaseId", "")
        runner = self._desk.runners.get(chase_id)
        state = self._ended.get(chase_id) if runner is None else runner.state
        return None if state is None else _reply(state)

    async def _preview(self, command: Chase, sub_account_id: str) -> ValidateReply:
        """What `chase` would begin with. Raises Invalid as it would."""
        self._accounts.named(sub_account_id, self._desk.now())
        instrument = self._terms.instrument(command.symbol, command.reduce_only)
        await self._desk.market.watch(instrument)
        try:
            quote = await self._terms.quote(instrument.symbol)
        finally:
            await self._desk.market.release(instrument.symbol)
        params = self._params(command, instrument, quote)
        price = _first_price(params, instrument, quote)
        notional = params.quantity * price
        adds = Decimal(0) if params.reduce_only else notional
        computed = {
            "price": price,
            "quantity": params.quantity,
            "notional": notional,
            "requiredMargin": adds / params.leverage,
        }
        return ValidateReply(valid=True, computed_values=computed | standing(self._desk, sub_account_id, adds))

    # --- running ones ---------------------------------------------------------------------------------

    def _find(self, chase_id: str, sub_account_id: str) -> Runner:
        """A live chase. Raises Invalid (ALGO_NOT_FOUND, NOT_OWNER)."""
        runner = self._desk.runners.get(chase_id)
        if runner is None or runner.kind is not CHASE:
            raise Invalid(ErrorCode.ALGO_NOT_FOUND, f"no chase {chase_id} is running.", path="chaseId")
        self._algos.check_owner(runner, sub_account_id)
        return runner

    async def _cancel(self, command: ChaseCancel, context: Context) -> Reply:
        runner = self._find(command.chase_id, context.sub_account)
        reason, also_close = "cancelled_by_command", command.close_positions
        return await self._algos.cancel(runner, reason, context.request_id, also_close)

    async def _amend(self, command: ChaseAmend, context: Context) -> Reply:
        """Change parameters. Raises Invalid where the new quantity is below what is filled or off the grid."""
        runner = self._find(command.chase_id, context.sub_account)
        state: ChaseState = runner.state
        if command.quantity is not None:
            if command.quantity < state.filled_quantity:
                message = f"{state.filled_quantity} is filled already; the new quantity can't be less."
                raise Invalid(ErrorCode.INVALID_FIELD, message, path="quantity", filled=state.filled_quantity)
            self._terms.quantity(state.instrument, command.quantity, None, Decimal(0))
        request = step.AmendRequest(
            self._desk.now(),
            self._desk.quote_of(runner),
            command.quantity,
            command.stalk_mode,
            command.stalk_offset_pct,
            command.stalk_offset_ticks,
            command.max_distance_pct,
        )
        self._desk.offer(runner, request, context.request_id)
        return Success()


def _first_price(params: ChaseParams, instrument: Instrument, quote: Quote) -> Decimal:
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


def _reply(state: ChaseState) -> ChaseReply:
    return ChaseReply(
        chase_id=state.chase_id,
        current_order_price=state.current_order_price,
        symbol=state.symbol,
        side=state.side,
        quantity=state.quantity,
    )

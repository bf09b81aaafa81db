"""The commands that concern any algo: end it, pause it, let it go on (contract.md).

Refuses to know kinds. An algo ends when its children are proven gone; who asks waits for that within the reply's time.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from algos import step
from algos.view import View
from pms.bus.executor import Context
from pms.bus.outcomes import Reply
from pms.clock import Clock
from pms.commands.table import Row
from pms.core import exits
from pms.desk import Desk
from pms.exit_goals import Goal, in_flight
from pms.family import view_of
from pms.plugins import Plugins, is_parked
from pms.runner import Runner
from schemas.commands_algos import (
    AlgoPause,
    AlgoResume,
    ChaseCancel,
    TrailStopCancel,
    TwapBasketCancel,
    TwapCancel,
    TwapPause,
    TwapResume,
)
from schemas.commands_scalper import ScalperCancel
from schemas.errors import ErrorCode, Invalid
from schemas.fields import Command, camel
from schemas.replies import Success

END_WAIT_S = 2.5  # a reply is due within 3 s (contract.md)
END_POLL_S = 0.005
# Which kind each ends, and the field that names it.
CANCELS: dict[type[Command], tuple[str, str]] = {
    ChaseCancel: ("chase", "chase_id"),
    TwapCancel: ("twap", "twap_id"),
    TwapBasketCancel: ("twap_basket", "twap_basket_id"),
    TrailStopCancel: ("trail_stop", "trail_stop_id"),
    ScalperCancel: ("scalper", "scalper_id"),
}


class Algos:
    """See the module."""

    def __init__(self, desk: Desk, clock: Clock, plugins: Plugins) -> None:
        self._desk = desk
        self._clock = clock
        self._plugins = plugins

    def rows(self) -> dict[type[Command], Row]:
        cancels = {command: Row(partial(self._cancel, kind, name)) for command, (kind, name) in CANCELS.items()}
        pauses: dict[type[Command], Row] = {AlgoPause: Row(self._pause), AlgoResume: Row(self._resume)}
        return cancels | pauses | {TwapPause: Row(self._pause_twap), TwapResume: Row(self._resume_twap)}

    def find(self, algo_id: str, sub_account_id: str, kind: str = "", path: str = "algoId") -> Runner:
        """A live algo, of a kind where one is named. Raises Invalid (ALGO_NOT_FOUND, NOT_OWNER, OWNED_BY_ALGO)."""
        runner = self._desk.runners.get(algo_id)
        if runner is None or kind not in ("", runner.kind.name):
            message = f"no {kind.replace('_', ' ') or 'algo'} {algo_id} is running."
            raise Invalid(ErrorCode.ALGO_NOT_FOUND, message, path=path)
        self.check_owner(runner, sub_account_id)
        return runner

    def check_owner(self, runner: Runner, sub_account_id: str) -> None:
        """Raises Invalid (NOT_OWNER, and OWNED_BY_ALGO for an algo's child)."""
        view = view_of(runner)
        if view.parent_id in self._desk.runners:
            raise Invalid(ErrorCode.OWNED_BY_ALGO, f"{view.algo_id} is a child of {view.parent_id}; command that.")
        if sub_account_id and sub_account_id != view.sub_account_id:
            raise Invalid(ErrorCode.NOT_OWNER, f"{view.algo_id} belongs to another sub-account.", path="subAccountId")

    async def cancel(self, runner: Runner, reason: str, request_id: str, close_positions: bool = False) -> Success:
        """End an algo, and close the positions on its symbols where asked; returns when its children are proven gone
        and nothing is left to close, or after the reply's time with that under way."""
        members = [view_of(member) for member in self._desk.family.members(view_of(runner).algo_id)]
        self._desk.offer(runner, step.CancelRequest(self._desk.now(), reason), request_id)
        give_up = self._clock.monotonic() + END_WAIT_S
        while not runner.ended and self._clock.monotonic() < give_up:
            await self._clock.sleep(END_POLL_S)
        closed = not close_positions or await self._closed(members, request_id, give_up)
        if runner.ended and closed:
            return Success()
        return Success(details={"state": runner.state.status.value if not runner.ended else "closing"})

    async def _closed(self, members: list[View], request_id: str, give_up: float) -> bool:
        """Close what the sub-account holds on the symbols of an algo and its children, with what one of their orders of
        unknown fate still adds; whether that is done within the reply's time."""
        symbols = dict.fromkeys(member.symbol for member in members if member.symbol)
        goals = [goal for symbol in symbols for goal in self._goals(members, symbol, request_id)]
        assert self._desk.closing is not None, "composed with the desk"
        under_way = [self._desk.closing.begin(goal).done for goal in goals]
        if under_way:
            await asyncio.wait(under_way, timeout=max(give_up - self._clock.monotonic(), 0))
        return all(done.done() and not done.result() for done in under_way)

    def _goals(self, members: list[View], symbol: str, request_id: str) -> list[Goal]:
        ledger = self._desk.ledger
        owner = members[0].sub_account_id
        held = ledger.position(owner, symbol).signed_quantity
        names = tuple(
            name
            for member in members
            if member.symbol == symbol
            for name in member.live_children
            if in_flight(ledger.orders.get(name))
        )
        sides = [exits.closing_side(held)] if held else [ledger.orders[name].side.opposite for name in names]
        return [Goal(owner, symbol, side, after=names, request_id=request_id) for side in sides[:1]]

    async def _cancel(self, kind: str, name: str, command: Any, context: Context) -> Reply:
        runner = self.find(getattr(command, name), context.sub_account, kind, camel(name))
        return await self.cancel(runner, "cancelled_by_command", context.request_id, command.close_positions)

    async def _pause(self, command: AlgoPause, context: Context) -> Reply:
        return self._paused(self.find(command.algo_id, context.sub_account), context)

    async def _resume(self, command: AlgoResume, context: Context) -> Reply:
        """Raises Invalid (PLUGIN_NOT_APPROVED) for an algo whose plug-in is missing: it can't go on."""
        runner = self.find(command.algo_id, context.sub_account)
        if is_parked(runner):
            message = f"{self._plugins.missing(runner)}. {command.algo_id} stays paused."
            raise Invalid(ErrorCode.PLUGIN_NOT_APPROVED, message, path="algoId")
        return self._resumed(runner, context)

    async def _pause_twap(self, command: TwapPause, context: Context) -> Reply:
        return self._paused(self.find(command.twap_id, context.sub_account, "twap", "twapId"), context)

    async def _resume_twap(self, command: TwapResume, context: Context) -> Reply:
        return self._resumed(self.find(command.twap_id, context.sub_account, "twap", "twapId"), context)

    def _paused(self, runner: Runner, context: Context) -> Success:
        for one in self._bearers(runner):
            self._desk.offer(one, step.PauseRequest(self._desk.now(), "paused_by_command"), context.request_id)
        return Success()

    def _resumed(self, runner: Runner, context: Context) -> Success:
        for one in self._bearers(runner):
            self._desk.alarms.clear("algo_paused", view_of(one).algo_id, self._desk.now())
            request = step.ResumeRequest(self._desk.now(), self._desk.quote_of(one))
            self._desk.offer(one, request, context.request_id)
        return Success()

    def _bearers(self, runner: Runner) -> list[Runner]:
        """Who is paused: a parent deals with its children itself, but one without a market of its own (a basket) has
        nothing to pause but these."""
        if view_of(runner).symbol:
            return [runner]
        members = list(self._desk.family.members(view_of(runner).algo_id))
        return [runner, *(one for one in members if view_of(one).parent_id == view_of(runner).algo_id)]

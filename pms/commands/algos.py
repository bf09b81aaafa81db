"""The commands that concern any algo: end it, pause it, let it go on (contract.md).

Refuses to know kinds. An algo ends when its children are proven gone; who asks waits for that within the reply's time.
"""

from __future__ import annotations

import msgspec

from algos import step
from pms.bus.executor import Context
from pms.bus.outcomes import Reply
from pms.clock import Clock
from pms.commands.table import Row
from pms.desk import Desk
from pms.runner import Runner
from schemas.commands_algos import AlgoPause, AlgoResume
from schemas.errors import ErrorCode, Invalid
from schemas.fields import Command
from schemas.replies import Success

END_WAIT_S = 2.5  # a reply is due within 3 s (contract.md)
END_POLL_S = 0.005


class Algos:
    """See the module."""

    def __init__(self, desk: Desk, clock: Clock) -> None:
        self._desk = desk
        self._clock = clock

    def rows(self) -> dict[type[Command], Row]:
        return {AlgoPause: Row(self._pause), AlgoResume: Row(self._resume)}

    def find(self, algo_id: str, sub_account_id: str) -> Runner:
        """A live algo. Raises Invalid (ALGO_NOT_FOUND, NOT_OWNER)."""
        runner = self._desk.runners.get(algo_id)
        if runner is None:
            raise Invalid(ErrorCode.ALGO_NOT_FOUND, f"no algo {algo_id} is running.", path="algoId")
        self.check_owner(runner, sub_account_id)
        return runner

    def check_owner(self, runner: Runner, sub_account_id: str) -> None:
        """Raises Invalid (NOT_OWNER)."""
        view = runner.kind.view(runner.state)
        if sub_account_id and sub_account_id != view.sub_account_id:
            raise Invalid(ErrorCode.NOT_OWNER, f"{view.algo_id} belongs to another sub-account.", path="subAccountId")

    async def cancel(self, runner: Runner, reason: str, request_id: str) -> Success:
        """End an algo; returns when its children are proven gone, or after the reply's time with the ending under
        way."""
        self._desk.offer(runner, step.CancelRequest(self._desk.now(), reason), request_id)
        give_up = self._clock.monotonic() + END_WAIT_S
        while not runner.ended and self._clock.monotonic() < give_up:
            await self._clock.sleep(END_POLL_S)
        details = msgspec.UNSET if runner.ended else {"state": runner.state.status.value}
        return Success(details=details)

    async def _pause(self, command: AlgoPause, context: Context) -> Reply:
        runner = self.find(command.algo_id, context.sub_account)
        self._desk.offer(runner, step.PauseRequest(self._desk.now(), "paused_by_command"), context.request_id)
        return Success()

    async def _resume(self, command: AlgoResume, context: Context) -> Reply:
        runner = self.find(command.algo_id, context.sub_account)
        self._desk.alarms.clear("algo_paused", command.algo_id, self._desk.now())
        request = step.ResumeRequest(self._desk.now(), self._desk.quote_of(runner))
        self._desk.offer(runner, request, context.request_id)
        return Success()

"""The port to what carries commands out: the inbox calls it, the desk side implements it. Nothing here acts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal, Protocol

from pms.bus.batch import Claim
from pms.bus.outcomes import Asked, Outcomes, Reply
from schemas.errors import ErrorCode, Invalid
from schemas.fields import Command
from schemas.records import Request


class Context:
    """What an executor needs to know beside the command. `claim()` belongs into the first batch it commits."""

    def __init__(self, asked: Asked, outcomes_: Outcomes, door: Literal["stream", "list"], admin: bool) -> None:
        self.request_id = asked.request_id
        self.sub_account = asked.sub_account
        self.door = door
        self.admin = admin
        self.claimed: dict[str, str] | None = None
        self._overtaken = ""
        self._asked = asked
        self._outcomes = outcomes_

    def overtake(self, message: str) -> None:
        """A sweep came over the command while it was being carried out: what it has not begun it does not begin."""
        self._overtaken = message

    def claim(self, **ids: str) -> Claim | None:
        """Accepts the command in the same atomic step as its first state, with the ids allocated for it.

        None where the command has no request id. A commit that answers `Duplicate` means that nothing was done. Raises
        `Invalid` (SUPERSEDED) where a sweep overtook it: nothing may be done then.
        """
        if self._overtaken:
            raise Invalid(ErrorCode.SUPERSEDED, self._overtaken)
        if not self.request_id:
            return None
        self.claimed = ids
        return self._outcomes.claim(self._asked, ids)


class Executor(Protocol):
    """Carries commands out."""

    async def handle(self, command: Command, context: Context) -> Reply:
        """The outcome.

        The sub-account's next command begins when this returns: what takes longer than the contract's 3 s is answered
        success with a state that says so. Refusals may be raised as `Invalid`.
        """
        ...

    def may_claim_first(self, command: Command) -> bool:
        """Whether `claims_first` can be true of such a command."""
        ...

    def claims_first(self, command: Command, sub_account: str) -> bool:
        """Whether nothing at all is done for the command before the step that claims it: a repeat is found there, and
        Redis need not be asked before.
        """
        ...

    def owner(self, command: Command) -> str:
        """The sub-account of the thing that an id in the command names; "" where there is none."""
        ...

    async def was_started(
        self, command: Command, request: Request, tell: Callable[[Reply], Awaitable[None]]
    ) -> Reply | None:
        """What became of a request that a daemon before us accepted and did not answer; None if it never began. Where
        that takes long to find out, `tell` answers meanwhile what is known."""
        ...

"""One row of the table of commands: how a type is carried out (contract.md, "Commands in")."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import msgspec

from pms.bus.executor import Context
from pms.bus.outcomes import Reply
from schemas.fields import Command
from schemas.records import Request
from schemas.replies import ValidateReply

Handle = Callable[[Any, Context], Awaitable[Reply]]
Tell = Callable[[Reply], Awaitable[None]]  # gives a reply before the final one


async def _nothing(command: Any, request: Request, tell: Tell) -> Reply | None:
    return None


class Row(msgspec.Struct, frozen=True):
    """How one type of command is carried out.

    `claims_first`: nothing at all is done for it before the step that claims it (pms.bus.executor); None: never so.
    `was_started`: what an earlier daemon made of an accepted request, from the ids allocated for it; None: it had not
    left. It may take its time to find out, once it has told what is known so far. `preview`: what `validate` answers
    for it, nothing sent; None: it can't be validated.
    """

    handle: Handle
    claims_first: Callable[[Any, str], bool] | None = None
    was_started: Callable[[Any, Request, Tell], Awaitable[Reply | None]] = _nothing
    preview: Callable[[Any, str], Awaitable[ValidateReply]] | None = None


class Group(Protocol):
    """Commands that belong together."""

    def rows(self) -> dict[type[Command], Row]:
        """One row per type; no type is in two groups."""
        ...

"""What a fault strikes, and how it is named and ended: the ground under the table of kinds (`pms.sim.fault_kinds`).

Owns nothing but that. Refuses to know any kind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from pms.sim.faults import Gate
from pms.sim.script import Fault, Rule
from pms.sim.wire import Venue

Way = Literal["private", "public", "market", "ws-fapi", ""]
"""The route of a socket; empty means any."""


class Stage(msgspec.Struct, frozen=True):
    """What a fault strikes. `fired(name)` counts it, `later(ms, undo)` ends it: after `ms`, or when all is healed."""

    venue: Venue
    gate: Gate
    now: Callable[[], int]
    fired: Callable[[str], None]
    later: Callable[[int, Callable[[], None]], None]

    def rule(self, rule: Rule) -> None:
        """Let a rule stand."""
        self.gate.script.add(rule)

    def accounts(self, named: str) -> tuple[str, ...]:
        """The account that is named, or all that have an API key."""
        return (named,) if named else self.venue.accounts

    def cut(self, route: str, code: int) -> None:
        """End the open sockets of a route."""
        for line in self.gate.live(route):
            line.cut(code)

    def passing(self, rule: Rule, for_ms: int) -> None:
        """A rule that is taken away after a while."""
        self.gate.script.add(rule)
        self.later(for_ms, lambda: self.gate.script.remove(rule))


def kind_of(fault: Fault) -> str:
    """The name of a fault's kind."""
    return str(fault.__struct_config__.tag)

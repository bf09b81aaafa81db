"""The groups of commands over one assembled daemon: composition only."""

from __future__ import annotations

from collections.abc import Callable

from pms.assembly import Assembly
from pms.commands.algos import Algos
from pms.commands.cancels import Cancels
from pms.commands.chases import Chases, OwnerIds
from pms.commands.table import Group
from pms.commands.terms import Terms
from pms.leverage import Leverage
from pms.restore import Restored


def groups(parts: Assembly, restored: Restored, gate: Callable[[], str]) -> tuple[Group, ...]:
    """Every group. `gate` says why nothing that adds risk is accepted now, empty when the doors are open for it."""
    desk, clock = parts.desk, parts.parts.clock
    algos = Algos(desk, clock)
    terms = Terms(desk, clock, parts.hands.blocked)
    leverage = Leverage(parts.ledger, parts.venue)

    def epoch() -> int:
        return parts.lease.epoch

    chases = Chases(desk, parts.accounts, terms, leverage, algos, OwnerIds(), epoch, gate, restored.ended)
    return (algos, chases, Cancels(desk, algos))

"""The groups of commands over one assembled daemon: composition only."""

from __future__ import annotations

from collections.abc import Callable

from pms.assembly import Assembly
from pms.commands.accounts import AccountCommands
from pms.commands.algos import Algos
from pms.commands.amends import Amends
from pms.commands.asks import Asks
from pms.commands.basket import Baskets
from pms.commands.cancels import Cancels
from pms.commands.chases import ChaseAmends, ChaseDoor
from pms.commands.closing import Closing
from pms.commands.freezes import Freezes
from pms.commands.halting import Halting
from pms.commands.identity import OwnerIds
from pms.commands.manual import Manual
from pms.commands.orders import Orders
from pms.commands.plugins import PluginAlgos
from pms.commands.positions import Positions
from pms.commands.previews import Previews
from pms.commands.protects import Protects
from pms.commands.scale import Scales
from pms.commands.scalpers import ScalperDoor
from pms.commands.starting import Door, Starts
from pms.commands.table import Group
from pms.commands.terms import Terms
from pms.commands.trail_stops import TrailStopDoor
from pms.commands.twaps import TwapBasketDoor, TwapDoor
from pms.restore import Restored


def groups(parts: Assembly, restored: Restored, gate: Callable[[], str]) -> tuple[Group, ...]:
    """Every group. `gate` says why nothing that adds risk is accepted now, empty when the doors are open for it."""
    desk, clock = parts.desk, parts.parts.clock
    algos = Algos(desk, clock, parts.plugins)
    terms, leverage = Terms(desk, clock), parts.leverage

    def epoch() -> int:
        return parts.lease.epoch

    ids, arrived = OwnerIds(), parts.tape.arrived
    twaps = TwapDoor(desk, terms)
    doors: tuple[Door, ...] = (
        ChaseDoor(terms),
        TrailStopDoor(desk, terms),
        twaps,
        TwapBasketDoor(twaps),
        ScalperDoor(terms),
    )
    starts = Starts(desk, parts.accounts, terms, leverage, ids, epoch, gate, restored.ended, arrived, doors)
    manual = Manual(desk, parts.accounts, terms, leverage, ids, epoch, gate, clock, arrived)
    asks, previews = Asks(desk, terms), Previews(manual)
    several = Scales(manual, asks, previews), Baskets(manual, asks, previews)
    accounts = AccountCommands(desk, parts.accounts)
    cancels = Cancels(desk, algos, clock)
    assert desk.closing is not None, "composed with the desk"
    closing = Closing(desk, desk.closing, cancels, clock)
    return (
        algos,
        starts,
        Protects(desk, terms, starts, clock),
        ChaseAmends(desk, terms, algos),
        PluginAlgos(parts.plugins, starts, terms, algos),
        Orders(manual, asks, previews),
        *several,
        Amends(desk, terms, clock),
        cancels,
        closing,
        Halting(desk, parts.halts, cancels, closing, clock),
        Freezes(desk, parts.watch.tell, parts.losses.forgive),
        accounts,
        Positions(desk, parts.hands, parts.venue, parts.audit.ask),
    )

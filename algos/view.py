"""What the shell reads of any algo's record, whatever its kind.

Refuses to decide anything.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from schemas.chase import AlgoStatus
from schemas.market import ZERO, Instrument
from schemas.trail_stop import TriggerSource


class View(msgspec.Struct, frozen=True):
    """What the shell needs of any algo's state without knowing its kind. `symbol` is empty where it follows none (a
    basket); `live_children` are its own orders, `child_algos` the ids of its live child algos; `news` is what is
    published at once when it changes; `mid` the last one seen, 0 where none was. `follows` is the price source of what
    protects a position while it waits for its trigger, `missed_since` from when on nobody has looked at that;
    `milestone` the word of an event that is told once, when it appears. `holds`: it keeps an inventory of its own, and
    hears when somebody else reduces it. `backstop`: what the venue is to close should we die; `exposed`: why not.
    `guards` is the entry that it protects, `unserved` why the venue does not hold its price, so that we do."""

    algo_id: str
    root_id: str
    sub_account_id: str
    symbol: str
    status: AlgoStatus
    wake_at: int
    reduce_only: bool
    live_children: tuple[str, ...]
    updated_at: int
    news: tuple[object, ...]
    tag: str = ""
    epoch: int = 0
    parent_id: str = ""
    child_algos: tuple[str, ...] = ()
    instrument: Instrument | None = None
    mid: Decimal = ZERO
    follows: TriggerSource | None = None
    missed_since: int = 0
    milestone: str = ""
    holds: bool = False
    backstop: Decimal = ZERO
    exposed: str = ""
    guards: str = ""
    unserved: str = ""

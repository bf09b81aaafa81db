"""The table of fault kinds: every way in which the venue and the network are known to misbehave, by name.

A fault file, the control port and the tests' virtual world all speak of these, and of no others. Owns the table and its
strict reading. Refuses to know when a fault strikes (`pms.sim.fault_schedule`) and where it was asked for.
"""

from __future__ import annotations

from typing import get_args

import msgspec

from pms.sim.fault_answers import (
    AnswerGarbage,
    AnswerLate,
    AnswerLost,
    AnswerRefused,
    OrdersLimited,
    RateLimited,
    RequestSlow,
    SnapshotStale,
)
from pms.sim.fault_streams import (
    BookCrossed,
    DayOver,
    DepthGap,
    DepthSwapped,
    DepthTwice,
    Disconnect,
    MarketGarbage,
    UserEventGarbage,
    UserEventLate,
    UserEventLost,
    UserEventSwapped,
    UserEventTwice,
    UserStreamSilent,
    WrongRoute,
)
from pms.sim.fault_venue import (
    Adl,
    ClockSkew,
    FiltersChanged,
    Liquidation,
    ListenKeyBogus,
    ListenKeyDeleted,
    ListenKeyExpired,
    Maintenance,
    Neighbour,
    NotReached,
    SymbolHalted,
)
from pms.sim.script import Fault, Rule

Requested = AnswerLost | AnswerLate | RequestSlow | AnswerGarbage | AnswerRefused | RateLimited | OrdersLimited
Told = UserEventTwice | UserEventSwapped | UserEventLate | UserEventLost | UserEventGarbage | UserStreamSilent
Shown = SnapshotStale | DepthGap | DepthTwice | DepthSwapped | BookCrossed | MarketGarbage | WrongRoute
Keyed = ListenKeyExpired | ListenKeyDeleted | ListenKeyBogus
Happening = Neighbour | ClockSkew | FiltersChanged | SymbolHalted | Adl | Liquidation
Named = Requested | Told | Shown | Keyed | Happening | Disconnect | DayOver | Maintenance | NotReached
AnyFault = Rule | Named
KINDS: dict[str, type[Fault]] = {kind.__struct_config__.tag: kind for kind in get_args(AnyFault)}
"""Every kind by its name."""


def decode(text: bytes) -> list[AnyFault]:
    """Read a fault file: a JSON list of faults. Raises `ValueError` naming what is wrong, and where."""
    try:
        return msgspec.json.decode(text, type=list[AnyFault])
    except msgspec.ValidationError as error:
        message = f"the faults can't be read: {error}"
        if str(error).endswith(".fault`"):
            message += f"; the kinds are {', '.join(KINDS)}"
        raise ValueError(message) from error

"""What commands are made of: the types of their fields with their bounds, and their base.

A bound stands once, in the type: the reader (door.py) obeys it and the generated JSON Schema shows it. Cross-field
rules are `__post_init__` of the command and raise `Invalid`. Refuses to know instruments: grids and minima are
checked later.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from schemas.errors import ErrorCode, Invalid

LEGS_MAX = 50  # of a basket: all are validated and sent together
LEVELS_MAX = 180  # of a scale: 200 open orders per symbol less 20 kept for exits (execution.md 10)
LEVERAGE_MAX = 125  # the venue's highest bracket
SLIPPAGE_BPS_MAX = 1_000  # beyond 10 % a bound is no bound
LOTS_MAX = 10_000  # of a TWAP: more would not fit one record and one event
SECONDS_MAX = 30 * 24 * 3600  # nothing is planned further ahead than 30 days
HOLD_MS_MAX = 3_600_000  # a throttle longer than an hour is a mistake of units
TICKS_MAX = 1_000_000
TIME_MS_MAX = 2**53 - 1  # what a JSON reader holds exactly
REQUEST_ID = r"^[A-Za-z0-9_.:-]{1,64}$"


def _bounds(**keywords: Any) -> Meta:
    """Bounds of a decimal in JSON Schema's own words; the reader takes them by their digits, so that 0.05 is exact."""
    return Meta(extra_json_schema=keywords)


Size = Annotated[Decimal, _bounds(exclusiveMinimum=0)]
Price = Annotated[Decimal, _bounds(exclusiveMinimum=0)]
Amount = Annotated[Decimal, _bounds(minimum=0)]
OffsetPct = Annotated[Decimal, _bounds(minimum=0, maximum=10)]
DistancePct = Annotated[Decimal, _bounds(minimum=0, maximum=100)]
JitterPct = Annotated[Decimal, _bounds(minimum=0, maximum=50)]
CallbackPct = Annotated[Decimal, _bounds(minimum=0.05, maximum=50)]
Skew = Annotated[Decimal, _bounds(minimum=-100, maximum=100)]
Seconds = Annotated[Decimal, _bounds(minimum=0, maximum=SECONDS_MAX)]
Interval = Annotated[Decimal, _bounds(exclusiveMinimum=0, maximum=SECONDS_MAX)]
Minutes = Annotated[Decimal, _bounds(exclusiveMinimum=0, maximum=SECONDS_MAX // 60)]
Multiple = Annotated[Decimal, _bounds(minimum=1, maximum=100)]

Leverage = Annotated[int, Meta(ge=1, le=LEVERAGE_MAX)]
SlippageBps = Annotated[int, Meta(ge=0, le=SLIPPAGE_BPS_MAX)]
Lots = Annotated[int, Meta(ge=1, le=LOTS_MAX)]
Ticks = Annotated[int, Meta(ge=0, le=TICKS_MAX)]
SomeTicks = Annotated[int, Meta(ge=1, le=TICKS_MAX)]
HoldMs = Annotated[int, Meta(ge=0, le=HOLD_MS_MAX)]
Layers = Annotated[int, Meta(ge=1, le=10)]
Count = Annotated[int, Meta(ge=0, le=LOTS_MAX)]
TimeMs = Annotated[int, Meta(ge=0, le=TIME_MS_MAX)]

Symbol = Annotated[str, Meta(extra={"read": "symbol"})]
RequestId = Annotated[str, Meta(pattern=REQUEST_ID)]
AccountId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]  # no ':', so that keys of two ids stay readable
ClientOrderId = Annotated[str, Meta(pattern=r"^[.A-Za-z0-9:/_-]{1,36}$")]  # the venue's rule
ObjectId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.:-]{1,128}$")]  # of algos and positions
Text = Annotated[str, Meta(min_length=1, max_length=64)]
Secret = Annotated[str, Meta(min_length=1, max_length=128)]


class Part(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An object inside a command."""

    ALIASES: ClassVar[dict[str, str]] = {}

    @classmethod
    def adapt(cls, given: dict[str, Any]) -> dict[str, Any]:
        """The object in today's words: aliases that existing gateways send are renamed. Raises `Invalid` where both
        are given."""
        for alias, name in cls.ALIASES.items():
            if alias in given:
                if name in given:
                    raise Invalid(ErrorCode.INVALID_FIELD, f"{alias} and {name} say the same; send one.", path=alias)
                given[name] = given.pop(alias)
        return given


def camel(name: str) -> str:
    """A field's name on the wire."""
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


class Command(Part, frozen=True, kw_only=True, tag_field="type"):
    """One command's own fields; requestId, subAccountId and the like are its envelope (commands.py)."""

    type: ClassVar[str] = ""  # its word at the doors: its tag, from the table of all commands (commands.py)


def exactly_one(**options: object) -> None:
    """Exactly one of the fields must be given. The keywords are their names on the wire."""
    number = 0
    for value in options.values():
        number += value is not None
    if number == 1:
        return
    given = at_most_one(**options)
    if not given:
        names = " or ".join(options)
        raise Invalid(ErrorCode.MISSING_FIELD, f"{names} is needed.", path=next(iter(options)))


def at_most_one(**options: object) -> list[str]:
    """The names of the fields given. Raises `Invalid` where there are several."""
    given = [name for name, value in options.items() if value is not None]
    if len(given) > 1:
        raise Invalid(ErrorCode.INVALID_FIELD, f"{' and '.join(given)} are both given; send one.", path=given[1])
    return given


def something(**options: object) -> None:
    """At least one of the fields must be given."""
    if all(value is None for value in options.values()):
        names = ", ".join(options)
        raise Invalid(ErrorCode.MISSING_FIELD, f"nothing to change: give one of {names}.", path=next(iter(options)))

"""All events: the union, its type words, encoding and reading.

Invariant: a type word belongs to one struct, and an encoded event begins with `{"type":"`, where the atomic function
splices.
"""

from __future__ import annotations

import typing

import msgspec

from schemas.codec import decode, encode
from schemas.errors import ErrorCode, Invalid
from schemas.events_algos import (
    AlgoEvent,
    ChaseEvent,
    ScalperEvent,
    ScalperFilled,
    TrailStopEvent,
    TwapBasketEvent,
    TwapEvent,
)
from schemas.events_orders import (
    Event,
    FundingPaid,
    OrderEvent,
    PositionReduced,
    PositionUpdated,
    ProtectionEvent,
)
from schemas.events_system import (
    AlarmEvent,
    CommandResult,
    LiquidationEvent,
    MarginWarning,
    PositionDrift,
    RecoveryAction,
    RecoveryCompleted,
    RecoveryStarted,
    RiskEvent,
    RiskRejected,
    SeqJump,
    SystemStatus,
)
from schemas.records import SYSTEM

FAMILIES: tuple[type[Event], ...] = (
    OrderEvent,
    ChaseEvent,
    TwapEvent,
    TwapBasketEvent,
    TrailStopEvent,
    ProtectionEvent,
    ScalperEvent,
    ScalperFilled,
    AlgoEvent,
    PositionUpdated,
    PositionReduced,
    FundingPaid,
    RiskEvent,
    MarginWarning,
    LiquidationEvent,
    PositionDrift,
    CommandResult,
    RiskRejected,
    RecoveryStarted,
    RecoveryAction,
    RecoveryCompleted,
    AlarmEvent,
    SystemStatus,
    SeqJump,
)


def types_of(family: type[Event]) -> tuple[str, ...]:
    """The type words of one struct."""
    return typing.get_args(typing.get_type_hints(family)["type"])


EVENTS: dict[str, type[Event]] = {word: family for family in FAMILIES for word in types_of(family)}


class Numbered(msgspec.Struct, frozen=True, rename="camel"):
    """The envelope as a reader of the stream needs it first, with what the atomic function spliced in."""

    type: str
    seq: int
    prev_seq: int
    epoch: int
    v: int
    ts: int
    sub_account_id: str
    request_id: str = ""


def decode_event(body: bytes | str) -> tuple[Event, Numbered]:
    """A published event with its number. Raises `Invalid` (MALFORMED) for what is no event of ours."""
    numbered = decode(Numbered, body)
    family = EVENTS.get(numbered.type)
    if family is None:
        raise Invalid(ErrorCode.MALFORMED, f"no event is called '{numbered.type}'", path="type")
    return decode(family, body), numbered


def command_result(
    command_type: str, reply: bytes, ts: int, sub_account_id: str = SYSTEM, request_id: str = ""
) -> bytes:
    """The encoded event `command_result` of an encoded reply: envelope, commandType, then the reply's own fields."""
    head = _ResultHead(ts=ts, sub_account_id=sub_account_id, request_id=request_id, command_type=command_type)
    return encode(head)[:-1] + b"," + reply[1:]


class _ResultHead(Event, frozen=True, kw_only=True):
    type: typing.Literal["command_result"] = "command_result"
    command_type: str

"""All commands: the union, who may send what, and the decoding of one at a door (contract.md, "Commands in").

Invariant: a decoded command is within its own bounds and knows no alias; grids, owners and risk are judged later.
"""

from __future__ import annotations

import re
import typing

import msgspec

from schemas import commands_algos as algo
from schemas import commands_control as control
from schemas import commands_orders as order
from schemas import commands_scalper as scalper
from schemas.door import Visit, reader_of
from schemas.errors import ErrorCode, Invalid
from schemas.fields import REQUEST_ID, AccountId, Command, Part, RequestId, Secret, TimeMs
from schemas.records import RESERVED
from schemas.tree import Tree, parse, shown

MAX_AGE_MS = 30_000  # of a command that does not say itself
FUTURE_MS = 5_000  # a command from further ahead is refused

Priced = (
    order.Trade
    | order.Limit
    | order.Scale
    | order.Amend
    | order.Stop
    | order.TakeProfit
    | order.Close
    | order.Basket
    | algo.Chase
    | algo.ChaseAmend
    | algo.Twap
    | algo.TwapBasket
    | algo.TrailStop
    | scalper.Scalper
    | algo.AlgoStart
)
_SHORT_FORM = ("symbol", "side", "quantity", "sizeUsdt", "leverage", "reduceOnly")


class Validate(Command, frozen=True, kw_only=True, tag="validate"):
    """What the real path would say to a command, with nothing sent. A bare symbol, side and quantity mean a `trade`."""

    command: Priced

    @classmethod
    def adapt(cls, given: Tree) -> Tree:
        """The short form as the long one."""
        if "command" in given or "symbol" not in given:
            return given
        short = {name: given.pop(name) for name in _SHORT_FORM if name in given}
        return given | {"command": {"type": "trade", **short}}


AnyCommand = (
    Priced
    | Validate
    | order.Cancel
    | order.CancelAll
    | order.CloseAll
    | algo.ChaseCancel
    | algo.TwapCancel
    | algo.TwapBasketCancel
    | algo.TrailStopCancel
    | scalper.ScalperCancel
    | algo.TwapPause
    | algo.TwapResume
    | algo.AlgoPause
    | algo.AlgoResume
    | algo.AlgoCancel
    | control.SubAccountPut
    | control.LimitsPut
    | control.Freeze
    | control.Unfreeze
    | control.Halt
    | control.Resume
    | control.AdminClose
    | control.PositionAssign
    | control.DriftAccept
)
COMMANDS: dict[str, type[Command]] = {str(kind.__struct_config__.tag): kind for kind in typing.get_args(AnyCommand)}
for _word, _kind in COMMANDS.items():
    _kind.type = _word

# Privileged ones have doors of their own, so that an ACL can tell people apart.
PRIVILEGED = frozenset("limits_put subaccount_put unfreeze resume admin_close position_assign drift_accept".split())
# Cancels, closes and halts: they overtake, and need neither a requestId nor an issuedAt.
REDUCING = frozenset(
    "cancel cancel_all close close_all admin_close halt chase_cancel twap_cancel twap_basket_cancel trail_stop_cancel"
    " scalper_cancel algo_cancel".split()
)
# These first take what still waits at both doors in their scope, and answer it SUPERSEDED where it adds risk.
SUPERSEDING = frozenset("close close_all cancel_all halt".split())

# Fields that name an owned thing, whose owner then need not be named; and what concerns no single sub-account.
_OWNED = "client_order_id chase_id twap_id twap_basket_id trail_stop_id scalper_id algo_id position_id".split()
_SHARED = frozenset("halt resume subaccount_put admin_close position_assign drift_accept".split())


class Envelope(Part, frozen=True, kw_only=True):
    """What any command may carry besides its own fields. Times are Unix ms; the last four authenticate it."""

    request_id: RequestId | None = None
    sub_account_id: AccountId | None = None
    issued_at: TimeMs | None = None
    max_age_ms: TimeMs = MAX_AGE_MS
    key_id: Secret | None = None
    timestamp: TimeMs | None = None
    nonce: Secret | None = None
    signature: Secret | None = None


_ENVELOPE = {field.encode_name for field in msgspec.structs.fields(Envelope)}


class Decoded(msgspec.Struct, frozen=True):
    """A command with its envelope. `ignored`: paths of unknown fields at the list door, for `details.ignored`."""

    command: Command
    envelope: Envelope
    ignored: tuple[str, ...] = ()


def decode_command(command_type: str, body: bytes, strict: bool) -> Decoded:
    """A command as it came through a door; `strict` (the stream door) refuses unknown fields.

    Raises `Invalid`, with the requestId and the sub-account that could be read.
    """
    tree = parse(body)
    try:
        return _decode(command_type, tree, strict)
    except Invalid as error:
        error.request_id = _readable(tree, "requestId")
        error.sub_account_id = _readable(tree, "subAccountId")
        raise


def _decode(command_type: str, tree: Tree, strict: bool) -> Decoded:
    kind = COMMANDS.get(command_type)
    if kind is None:
        raise Invalid(ErrorCode.UNKNOWN_COMMAND, f"there is no command {shown(command_type)}.", type=command_type[:64])
    visit = Visit(strict)
    enveloped: Tree = {}
    own: Tree = {}
    for name, item in tree.items():
        (enveloped if name in _ENVELOPE else own)[name] = item
    envelope: Envelope = reader_of(Envelope)(enveloped, "", visit)
    if own.pop("type", command_type) != command_type:
        message = f"the body says it is {shown(tree['type'])}, the door {command_type}."
        raise Invalid(ErrorCode.INVALID_FIELD, message, path="type")
    command: Command = reader_of(kind)(own, "", visit)
    _check_account(command, envelope.sub_account_id)
    return Decoded(command, envelope, tuple(visit.ignored))


def _readable(tree: Tree, name: str) -> str:
    value = tree.get(name)
    return value if isinstance(value, str) and re.fullmatch(REQUEST_ID, value) else ""


def _check_account(command: Command, sub_account: str | None) -> None:
    if sub_account in RESERVED:
        message = f"{sub_account} is not a sub-account to command; position_assign moves what stands on it."
        raise Invalid(ErrorCode.NOT_ALLOWED, message, path="subAccountId")
    if sub_account is not None:
        return
    scoped = isinstance(command, control.Halt | control.Resume) and command.scope == "subAccountId"
    owned = any(getattr(command, name, None) is not None for name in _OWNED)
    if scoped or not (owned or command.type in _SHARED):
        message = f"{command.type} needs subAccountId: nothing else in it tells whose it is."
        raise Invalid(ErrorCode.MISSING_FIELD, message, path="subAccountId")

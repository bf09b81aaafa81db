"""From events to rows: pure, so that the same log always makes the same tables.

Owns which event makes or changes which row. Refuses to know SQL. An event that this version can't read goes into the
log as it is and changes no other row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from pms.records import draft, rows_algos
from pms.records.columns import Row, instant
from pms.records.draft import Draft, Values
from pms.records.tables import (
    AlgoRun,
    Balance,
    Command,
    Event,
    Fill,
    Funding,
    Order,
    Position,
    PositionChange,
    RecoveryAction,
    RiskRejection,
    SubAccount,
)
from schemas import codec, events
from schemas.errors import Invalid
from schemas.events import Numbered
from schemas.events_orders import FundingPaid, OrderEvent, PositionReduced, PositionUpdated
from schemas.events_system import CommandResult, RiskEvent, RiskRejected
from schemas.events_system import RecoveryAction as RecoveryActionEvent
from schemas.market import ZERO
from schemas.orders import OrderState
from schemas.records import SYSTEM
from schemas.replies import SubAccountReply

_NUL = b"\\u0000"  # Postgres keeps no such character
_REPLACED = b"\\ufffd"
_FILLS = ("order_partial", "order_filled")
_CHANGES_ACCOUNTS = ("subaccount_put", "limits_put")
_COMMANDS_OWN = frozenset("type v ts seq prevSeq epoch subAccountId requestId commandType".split())


class Told(NamedTuple):
    """One event of the log: its envelope, its bytes, and what it says where this version can read it."""

    numbered: Numbered
    body: bytes
    event: Any | None


def read(body: bytes) -> Told:
    """An event of the stream. Raises `Invalid` where not even its number can be read, `codec.Newer` where a newer
    version wrote it."""
    if _NUL in body:
        body = body.replace(_NUL, _REPLACED)
    numbered = codec.decode(Numbered, body)
    if numbered.v > codec.VERSION:
        raise codec.Newer(f"event {numbered.seq} has format {numbered.v}; this version knows up to {codec.VERSION}")
    try:
        return Told(numbered, body, events.decode_event(body)[0])
    except Invalid:
        return Told(numbered, body, None)


def needs(told: Iterable[Told]) -> draft.Keys:
    """The rows that must be known before these events are applied."""
    wanted: draft.Keys = {}
    for numbered, body, event in told:
        wanted.setdefault(SubAccount, set()).add((numbered.sub_account_id,))
        if isinstance(event, OrderEvent):
            wanted.setdefault(Order, set()).add((event.client_order_id,))
        elif isinstance(event, PositionUpdated | PositionReduced):
            wanted.setdefault(Position, set()).add((event.position_id,))
        elif isinstance(event, CommandResult) and _makes_account(event):
            wanted[SubAccount].add((codec.decode(SubAccountReply, body).sub_account.id,))
        elif event is not None and (algo_id := rows_algos.algo_id_of(event)):
            wanted.setdefault(AlgoRun, set()).add((algo_id,))
    return wanted


def apply(rows: Draft, told: Told) -> None:
    """Put one event into the rows."""
    numbered, body, event = told
    log = {
        "ts": instant(numbered.ts),
        "seq": numbered.seq,
        "epoch": numbered.epoch,
        "type": numbered.type,
        "sub_account_id": numbered.sub_account_id,
        "request_id": numbered.request_id,
        "payload": body.decode(),
    }
    rows.add(Event, log)
    if event is None:
        return
    _seen(rows, numbered)
    if act := _ACTS.get(type(event)):
        act(rows, numbered, event, body)
    else:
        rows_algos.apply(rows, numbered, event, body)


def _shown(table: type[Row], event: Any) -> Values:
    """The fields of an event that the table has by the same name."""
    names = set(table.__table__.columns.keys()) & set(event.__struct_fields__)
    return {name: _plain(getattr(event, name)) for name in names - {"ts"}}


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, str) else value  # an enum's word


def _stamp(numbered: Numbered) -> Values:
    return {"seq": numbered.seq, "epoch": numbered.epoch}


def _history(numbered: Numbered) -> Values:
    return {**_stamp(numbered), "ts": instant(numbered.ts), "sub_account_id": numbered.sub_account_id}


def _seen(rows: Draft, numbered: Numbered) -> None:
    """Every sub-account that is spoken of has a row."""
    name = numbered.sub_account_id
    if name != SYSTEM and rows.get(SubAccount, name) is None:
        at = instant(numbered.ts)
        rows.put(SubAccount, {"id": name, "first_seen_at": at, "updated_at": at, **_stamp(numbered)})


# --- orders -----------------------------------------------------------------------------------------------


def _order(rows: Draft, numbered: Numbered, event: OrderEvent, _body: bytes) -> None:
    before = rows.get(Order, event.client_order_id)
    if event.type in _FILLS and event.trade_id:
        _fill(rows, numbered, event, before)
    at = instant(numbered.ts)
    values = _shown(Order, event) | _stamp(numbered)
    values |= {"created_at": instant(event.created_at), "updated_at": instant(event.updated_at)}
    if before is None:
        values |= {"placed_at": at, "amends": 0, "first_price": event.price}
    else:
        values |= {"request_id": before["request_id"], "amends": before["amends"] + (event.type == "order_amended")}
    if OrderState(event.state).terminal:
        values["ended_at"] = at
    if event.decision is not msgspec.UNSET:
        values |= {f"decision_{name}": getattr(event.decision, name) for name in event.decision.__struct_fields__}
    rows.put(Order, values)


def _fill(rows: Draft, numbered: Numbered, event: OrderEvent, before: Values | None) -> None:
    """The trade that an order event tells; its commission is what the order's sum grew by."""
    known: Decimal | None = ZERO if event.filled_qty == event.last_fill_qty else None
    if before is not None:
        known = before["commission"]
        if event.filled_qty == before["filled_qty"]:
            return  # the same trade once more: the order's end after its last part
    values = _shown(Fill, event) | _history(numbered)
    values |= {
        "price": event.last_fill_price,
        "quantity": event.last_fill_qty,
        "commission": None if known is None else event.commission - known,
    }
    rows.add(Fill, values)


# --- positions and money ----------------------------------------------------------------------------------


def _position(rows: Draft, numbered: Numbered, event: PositionUpdated | PositionReduced, _body: bytes) -> None:
    at = instant(numbered.ts)
    rows.add(PositionChange, _shown(PositionChange, event) | _history(numbered))
    before = rows.get(Position, event.position_id)
    values = _shown(Position, event) | _stamp(numbered) | {"updated_at": at}
    pnl, fees = (before["realized_pnl"], before["closing_fees"]) if before else (ZERO, ZERO)
    if isinstance(event, PositionReduced):
        pnl, fees = pnl + event.realized_pnl, fees + event.fee
    values |= {"realized_pnl": pnl, "closing_fees": fees}
    values["opened_at"] = at if before is None else before["opened_at"]
    if event.type == "position_closed":
        values["closed_at"] = at
    rows.put(Position, values)


def _risk(rows: Draft, numbered: Numbered, event: RiskEvent, _body: bytes) -> None:
    rows.add(Balance, _shown(Balance, event) | _history(numbered))
    values = _shown(SubAccount, event) | _stamp(numbered)
    rows.put(SubAccount, values | {"id": numbered.sub_account_id, "updated_at": instant(numbered.ts)})


def _funding(rows: Draft, numbered: Numbered, event: FundingPaid, _body: bytes) -> None:
    rows.add(Funding, _shown(Funding, event) | _history(numbered) | {"due_at": instant(event.due_at)})


# --- commands, refusals, recovery -------------------------------------------------------------------------


def _command(rows: Draft, numbered: Numbered, event: CommandResult, body: bytes) -> None:
    fields: dict[str, msgspec.Raw] = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    reply = msgspec.json.encode({name: raw for name, raw in fields.items() if name not in _COMMANDS_OWN})
    told = {name: None if value is msgspec.UNSET else value for name, value in _shown(Command, event).items()}
    rows.add(Command, told | _history(numbered) | {"reply": reply.decode()})
    if _makes_account(event):
        _account(rows, numbered, codec.decode(SubAccountReply, body))


def _makes_account(event: CommandResult) -> bool:
    return event.success and event.command_type in _CHANGES_ACCOUNTS


def _account(rows: Draft, numbered: Numbered, reply: SubAccountReply) -> None:
    """A sub-account that a command made or bounded: its stored record."""
    account = reply.sub_account
    at = instant(numbered.ts)
    values = _shown(SubAccount, account) | _stamp(numbered) | {"updated_at": at}
    values["limits"] = codec.encode(account.limits).decode()
    before = rows.get(SubAccount, account.id)
    rows.put(SubAccount, values | {"first_seen_at": before["first_seen_at"] if before else at})


def _refusal(rows: Draft, numbered: Numbered, event: RiskRejected, _body: bytes) -> None:
    values = _shown(RiskRejection, event.order) | _shown(RiskRejection, event) | _history(numbered)
    rows.add(RiskRejection, values | {"limit_value": event.limit})


def _recovery(rows: Draft, numbered: Numbered, event: RecoveryActionEvent, _body: bytes) -> None:
    rows.add(RecoveryAction, _shown(RecoveryAction, event) | _history(numbered))


_ACTS: dict[type, Callable[[Draft, Numbered, Any, bytes], None]] = {
    OrderEvent: _order,
    PositionUpdated: _position,
    PositionReduced: _position,
    FundingPaid: _funding,
    RiskEvent: _risk,
    CommandResult: _command,
    RiskRejected: _refusal,
    RecoveryActionEvent: _recovery,
}

"""The state keys held against what the event log says of them: pure.

Owns which facts an event settles. Refuses to know Redis and SQL. What changes without an event (a request in flight,
mark prices, margin) is not compared, and neither is what an event changed while the keys were being read.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from pms.records.columns import unix_ms
from pms.records.replay import Difference
from schemas.chase import AlgoStatus
from schemas.keys import AlgoKind, Keys
from schemas.orders import OrderState

Found = Mapping[str, Any]  # a record, or a row
_WORDS = ("subAccountId", "symbol", "side", "reduceOnly", "origin", "parentId", "rootId", "exchangeOrderId")
_ORDER = (*_WORDS, "quantity", "price", "filledQty", "avgFillPrice", "commission", "commissionAsset")
_POSITION = ("positionId", "side", "quantity", "entryPrice")
_ALGO = ("status", "filledQuantity")


class State(msgspec.Struct, frozen=True):
    """The state keys as they were read: order records and the ids in `open_orders`; positions by sub-account and
    symbol; algo records, and the ids in the indexes of live ones; ids that moved meanwhile."""

    orders: dict[str, Found]
    open_orders: set[str]
    positions: dict[tuple[str, str], Found]
    algos: dict[str, Found]
    active: set[str]
    moved: set[str] = msgspec.field(default_factory=set)


class Replayed(msgspec.Struct, frozen=True):
    """What the log makes of the same: rows by id. `begins` is the time of its first event."""

    orders: Mapping[str, Found]
    positions: Mapping[str, Found]
    algos: Mapping[str, Found]
    begins: datetime | None


def differences(keys: Keys, state: State, replayed: Replayed) -> list[Difference]:
    """Each record that is not what the events told."""
    return [*_orders(keys, state, replayed), *_positions(keys, state, replayed), *_algos(keys, state, replayed)]


def _orders(keys: Keys, state: State, replayed: Replayed) -> Iterator[Difference]:
    for name in sorted((set(state.orders) | set(replayed.orders) | state.open_orders) - state.moved):
        record, row, where = state.orders.get(name), replayed.orders.get(name), keys.order(name)
        yield from _pair(where, record, row, _ORDER, lambda state: OrderState(state).terminal, "state", replayed.begins)
        live = row is not None and row["ended_at"] is None
        if (row is not None or not _older(record, replayed.begins)) and live != (name in state.open_orders):
            yield Difference(keys.open_orders("*"), name, "", name in state.open_orders, live)


def _positions(keys: Keys, state: State, replayed: Replayed) -> Iterator[Difference]:
    rows = {(row["sub_account_id"], row["symbol"]): row for row in replayed.positions.values() if row["quantity"]}
    held = {where: record for where, record in state.positions.items() if record["quantity"]}
    for where in sorted({*rows, *held}):
        row, record = rows.get(where), held.get(where)
        ids = {found[name] for found, name in ((row, "position_id"), (record, "positionId")) if found is not None}
        if ids & state.moved:
            continue
        name = f"{keys.position(where[0])} {where[1]}"
        yield from _pair(name, record, row, _POSITION, None, "", replayed.begins)


def _algos(keys: Keys, state: State, replayed: Replayed) -> Iterator[Difference]:
    for name in sorted((set(state.algos) | set(replayed.algos) | state.active) - state.moved):
        record, row = state.algos.get(name), replayed.algos.get(name)
        if record is not None and "protectionId" in record:
            continue  # events tell what its orders do, and those are compared
        where = _algo_key(keys, "*" if row is None else row["kind"], name)
        yield from _pair(where, record, row, _ALGO, lambda word: AlgoStatus(word).terminal, "status", replayed.begins)
        live = row is not None and row["ended_at"] is None
        if (row is not None or not _older(record, replayed.begins)) and live != (name in state.active):
            yield Difference("index of live algos", name, "", name in state.active, live)


def _algo_key(keys: Keys, kind: str, name: str) -> str:
    own: dict[str, AlgoKind] = {word: word for word in typing.get_args(AlgoKind)}
    return keys.algo(own[kind], name) if kind in own else keys.plugin(kind, name)


def _pair(
    where: str,
    record: Found | None,
    row: Found | None,
    fields: tuple[str, ...],
    ended: Callable[[str], bool] | None,
    word: str,
    begins: datetime | None,
) -> Iterator[Difference]:
    """One record against its row. `ended` judges the `word` that says whether it lives; an ended record may have run
    out, and one from before the log can't be judged."""
    if record is None:
        if row is not None and (ended is None or not ended(row[word])):
            yield Difference(where, "", "", None, _shown(row, fields))
        return
    if row is None:
        if not _older(record, begins):
            yield Difference(where, "", "", {name: record.get(name) for name in fields}, None)
        return
    if ended is not None and ended(record[word]) != ended(row[word]):
        yield Difference(where, "", word, record[word], row[word])
        return
    for name in fields:
        stands, told = record.get(name), row.get(_snake(name))
        if name in record and told is not None and stands != told:
            yield Difference(where, "", name, _plain(stands), _plain(told))


def _older(record: Found | None, begins: datetime | None) -> bool:
    """Whether it began before the log does."""
    if record is None or begins is None:
        return False
    born = int(record.get("createdAt") or record.get("openedAt") or record.get("startedAt") or 0)
    return born < unix_ms(begins)


def _shown(row: Found, fields: tuple[str, ...]) -> dict[str, Any]:
    return {name: _plain(row.get(_snake(name))) for name in fields}


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal) else value


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)

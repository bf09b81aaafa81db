"""Reading back what a former life of the daemon left in Redis: records into the ledger, algos' states to the desk.

A damaged record goes to quarantine with the reason, never silently away; one of a newer version stops the start
(contract.md). Reads by SCAN and MGET only.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import msgspec
import structlog

from algos.plugin_kind import parked
from algos.registry import KINDS, Kind
from pms.bus.caller import Caller
from pms.ledger import Ledger
from schemas import codec
from schemas.books import Position, Risk
from schemas.errors import Invalid
from schemas.keys import Keys
from schemas.orders import Order
from schemas.plugin import ParkedState
from schemas.records import Alarm, Mode, Quarantined, SubAccount, Watermark

BATCH = 500  # keys a round trip: 10 000 records in 20, without stalling the server

_log = structlog.get_logger("pms.restore")
T = TypeVar("T", bound=msgspec.Struct)
Revive = Callable[[ParkedState], tuple[Kind, Any]]


class Restored(msgspec.Struct):
    """What came back besides the ledger's records; `ended` are the states of algos that ended within the last day,
    by id."""

    algos: list[tuple[Kind, Any]]
    ended: dict[str, Any]
    quarantined: list[Quarantined]
    alarms: dict[str, Alarm]


def park(state: ParkedState) -> tuple[Kind, Any]:
    """A plug-in's algo where no plug-in is loaded."""
    return parked(state.algo), state


async def read(
    caller: Caller, names: Keys, ledger: Ledger, now: int, revive: Revive = park, dry: bool = False
) -> Restored:
    """Fill the ledger. Raises `codec.Newer`; a damaged record is moved to quarantine, but for a `dry` run, which only
    names it and writes nothing. `revive` gives an algo of a plug-in its kind."""
    reader = _Reader(caller, names, now, dry)
    async for _, order, meta in reader.strings(names.order("*"), Order):
        ledger.restore_order(order, meta.rev)
    async for _, account, meta in reader.strings(names.subaccount("*"), SubAccount):
        ledger.restore_sub_account(account, meta.rev)
    async for _, watermark, meta in reader.strings(names.watermark, Watermark):
        ledger.restore_watermark(watermark, meta.rev)
    async for _, mode, meta in reader.strings(names.mode, Mode):
        ledger.restore_mode(mode, meta.rev)
    async for position, meta in reader.rows(names.position("*"), Position):
        ledger.restore_position(position, meta.rev)
    async for key, risk, meta in reader.strings(names.risk("*"), Risk):
        ledger.restore_risk(key.removeprefix(names.risk("")), risk, meta.rev)
    found: list[tuple[Kind, Any]] = []
    for kind in KINDS.values():
        async for key, state, meta in reader.strings(kind.key(names, "*"), kind.record):
            ledger.restore_algo(key, meta.rev)
            found.append((kind, state))
    ours = tuple(kind.key(names, "") for kind in KINDS.values())
    async for key, plugged, meta in reader.strings(names.plugin("*", "*"), ParkedState, apart_from=ours):
        ledger.restore_algo(key, meta.rev)
        found.append(revive(plugged))
    algos = [(kind, state) for kind, state in found if not kind.view(state).status.terminal]
    ended = {kind.view(state).algo_id: state for kind, state in found if kind.view(state).status.terminal}
    return Restored(algos, ended, reader.quarantined, await _alarms(caller, names))


async def _alarms(caller: Caller, names: Keys) -> dict[str, Alarm]:
    rows = await _hash(caller, names.alarms)
    return {field.decode(): codec.decode(Alarm, body) for field, body in rows.items()}


async def _hash(caller: Caller, key: str) -> dict[bytes, bytes]:
    flat = await caller.call("HGETALL", key)
    assert isinstance(flat, list), "HGETALL answers a flat list"
    return dict(zip(flat[::2], flat[1::2], strict=True))


class _Reader:
    def __init__(self, caller: Caller, names: Keys, now: int, dry: bool) -> None:
        self._dry = dry
        self._caller = caller
        self._names = names
        self._now = now
        self.quarantined: list[Quarantined] = []

    async def strings(
        self, pattern: str, kind: type[T], apart_from: tuple[str, ...] = ()
    ) -> AsyncIterator[tuple[str, T, codec.Meta]]:
        """Every record of a kind whose key matches and does not begin as one of `apart_from`."""
        async for page in self._pages(pattern):
            keys = [key for key in page if not key.startswith(apart_from)]
            if not keys:
                continue
            bodies = await self._caller.call("MGET", *keys)
            assert isinstance(bodies, list), "MGET answers a list"
            for key, body in zip(keys, bodies, strict=True):
                if body is None:  # ran out between SCAN and MGET
                    continue
                read = await self._decode(key, "", body, kind)
                if read is not None:
                    yield key, *read

    async def rows(self, pattern: str, kind: type[T]) -> AsyncIterator[tuple[T, codec.Meta]]:
        """Every row of the hashes whose key matches."""
        async for keys in self._pages(pattern):
            for key in keys:
                for field, body in (await _hash(self._caller, key)).items():
                    read = await self._decode(key, field.decode(), body, kind)
                    if read is not None:
                        yield read

    async def _pages(self, pattern: str) -> AsyncIterator[list[str]]:
        """Keys that match, a page at a time. SCAN may show a key twice; what was seen is left out."""
        seen: set[bytes] = set()
        cursor: bytes | int = 0
        while True:
            reply = await self._caller.call("SCAN", cursor, "MATCH", pattern, "COUNT", BATCH)
            assert isinstance(reply, list), "SCAN answers a cursor and keys"
            cursor, found = reply
            fresh = [key for key in found if key not in seen]
            seen.update(fresh)
            if fresh:
                yield [key.decode() for key in fresh]
            if cursor == b"0":
                return

    async def _decode(self, key: str, field: str, body: bytes, kind: type[T]) -> tuple[T, codec.Meta] | None:
        try:
            return codec.decode_record(kind, body)
        except Invalid as error:
            await self._quarantine(key, field, body, str(error))
            return None

    async def _quarantine(self, key: str, field: str, body: bytes, reason: str) -> None:
        """Copy first, then remove: a crash between leaves both, never neither."""
        subject = f"{key}:{field}" if field else key
        found = Quarantined(key=subject, body=body.decode(errors="replace"), reason=reason, at=self._now)
        self.quarantined.append(found)
        if self._dry:
            return
        await self._caller.call("SET", self._names.quarantine(subject), codec.encode(found))
        if field:
            await self._caller.call("HDEL", key, field)
        else:
            await self._caller.call("DEL", key)
        _log.error("record_quarantined", key=subject, reason=reason)

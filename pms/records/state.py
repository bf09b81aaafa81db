"""The state keys read from Redis, and which of them moved while they were read.

Owns the reading. Refuses to write and to judge. Raises `Gone` and `Refusal` as its caller does.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from pms.bus.caller import Caller
from pms.records.state_check import State
from schemas.keys import STREAM_FIELD, AlgoKind, Keys

PAGE = 1_000
_IDS = ("clientOrderId", "positionId", "chaseId", "twapId", "twapBasketId", "trailStopId", "scalperId", "algoId")

_record = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)


class StateKeys:
    """The reader under one namespace."""

    def __init__(self, caller: Caller, keys: Keys) -> None:
        self._caller, self._keys = caller, keys

    async def last_seq(self) -> int:
        """The number of the newest event; 0 where there is none."""
        newest = await self._caller.call("XREVRANGE", self._keys.event_stream, "+", "-", "COUNT", 1)
        assert isinstance(newest, list), "XREVRANGE answers entries"
        return int(newest[0][0].split(b"-")[0]) if newest else 0

    async def first_seq(self) -> int:
        """The number of the oldest event that the stream holds; 0 where there is none."""
        oldest = await self._caller.call("XRANGE", self._keys.event_stream, "-", "+", "COUNT", 1)
        assert isinstance(oldest, list), "XRANGE answers entries"
        return int(oldest[0][0].split(b"-")[0]) if oldest else 0

    async def events(self, after: int, last: int) -> list[bytes]:
        """A page of the stream's events after one number, up to another."""
        found = await self._caller.call("XRANGE", self._keys.event_stream, f"({after}-0", f"{last}-0", "COUNT", PAGE)
        assert isinstance(found, list), "XRANGE answers entries"
        return [fields[fields.index(STREAM_FIELD.encode()) + 1] for _, fields in found]

    async def read(self) -> State:
        """Every record, with the ids of what events changed meanwhile."""
        keys, before = self._keys, await self.last_seq()
        kinds = typing.get_args(AlgoKind)
        algos: dict[str, Mapping[str, Any]] = {}
        for pattern in (*(keys.algos(kind) for kind in kinds), keys.plugin("*", "*")):
            algos |= await self._strings(pattern)
        active: set[str] = set()
        for pattern in (*(keys.active(kind, "*") for kind in kinds), keys.active_plugins("*")):
            active |= {field for _, field in await self._hashes(pattern)}
        orders = await self._strings(keys.order("*"))
        resting = {field for _, field in await self._hashes(keys.open_orders("*"))}
        positions = await self._hashes(keys.position("*"))
        return State(orders, resting, positions, algos, active, await self._moved(before))

    async def _moved(self, before: int) -> set[str]:
        after, moved = before, set[str]()
        last = await self.last_seq()
        while after < last and (page := await self.events(after, last)):
            told = [_record.decode(body) for body in page]
            moved |= {event[name] for event in told for name in _IDS if event.get(name)}
            after = told[-1]["seq"]
        return moved

    async def names(self, pattern: str) -> list[str]:
        """The keys that match a pattern."""
        found, cursor = set[str](), b"0"
        while True:
            reply = await self._caller.call("SCAN", cursor, "MATCH", pattern, "COUNT", PAGE)
            assert isinstance(reply, list), "SCAN answers a cursor and keys"
            cursor, names = reply
            found |= {name.decode() for name in names}
            if cursor == b"0":
                return sorted(found)

    async def _strings(self, pattern: str) -> dict[str, Mapping[str, Any]]:
        """Records by the last part of their keys."""
        names = await self.names(pattern)
        found: dict[str, Mapping[str, Any]] = {}
        for start in range(0, len(names), PAGE):
            page = names[start : start + PAGE]
            bodies = await self._caller.call("MGET", *page)
            assert isinstance(bodies, list), "MGET answers values"
            told = zip(page, bodies, strict=True)
            found |= {name.rpartition(":")[2]: _record.decode(body) for name, body in told if body is not None}
        return found

    async def _hashes(self, pattern: str) -> dict[tuple[str, str], Mapping[str, Any]]:
        """Rows of hashes by the last part of their keys and the field."""
        found: dict[tuple[str, str], Mapping[str, Any]] = {}
        for name in await self.names(pattern):
            flat = await self._caller.call("HGETALL", name)
            assert isinstance(flat, list), "HGETALL answers fields and values"
            for field, body in zip(flat[::2], flat[1::2], strict=True):
                found[name.rpartition(":")[2], field.decode()] = _record.decode(body)
        return found

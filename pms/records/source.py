"""What the records are made from: the event stream and the market stream, from where the last commit stands.

Owns reading without loss: what was trimmed meanwhile comes from the archive, what is in neither is named. Refuses to
know SQL. Its one write is `pms:records`, by which the daemon trims.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import structlog

from pms.bus.caller import ANSWER_S, Caller
from pms.records import archive, rows, rows_market
from pms.records.database import Position
from pms.records.draft import Draft
from schemas import codec
from schemas.errors import Invalid
from schemas.events_system import SeqJump
from schemas.keys import STREAM_FIELD, Keys
from schemas.records import Commit
from schemas.tape import FIELD

PAGE = 1_000  # more at once would hold Redis up (setup.md)
WAIT_MS = 1_000

_log = structlog.get_logger("pms.records.source")


class Batch(msgspec.Struct, frozen=True):
    """What comes next, in order and each once. `gaps` are numbers that are nowhere to be found."""

    after: Position
    told: list[rows.Told] = []
    market: Draft = msgspec.field(default_factory=Draft)
    gaps: list[tuple[int, int]] = []


def gaps_in(last: int, told: list[rows.Told]) -> list[tuple[int, int]]:
    """The numbers that are missing after `last`; a jump says itself that there are none. Where nothing was ever read,
    the log begins where it begins."""
    missing: list[tuple[int, int]] = []
    for one in told:
        seq = one.numbered.seq
        reached = min(one.event.from_seq, seq - 1) if isinstance(one.event, SeqJump) else seq - 1
        if last and reached > last:
            missing.append((last + 1, reached))
        last = seq
    return missing


class Source:
    """See the module. `data` is the daemon's data directory."""

    def __init__(self, caller: Caller, keys: Keys, data: Path) -> None:
        self._caller, self._keys, self._data = caller, keys, data

    async def read(self, position: Position) -> Batch:
        """What follows `position`, waiting up to a second for it. Raises `Gone`, `Refusal` and `codec.Newer`."""
        streams = (self._keys.event_stream, self._keys.market_stream)
        starts = (f"{position.seq}-0", position.market_id)
        words = ("XREAD", "COUNT", PAGE, "BLOCK", WAIT_MS, "STREAMS", *streams, *starts)
        reply = await self._caller.call(*words, within_s=ANSWER_S + WAIT_MS / 1000)
        if reply is None:
            return Batch(position)
        assert isinstance(reply, list), "XREAD answers streams"
        entries: dict[str, list[list[Any]]] = {name.decode(): found for name, found in reply}
        told = self._told([fields for _, fields in entries.get(streams[0], [])], position.seq)
        if told and told[0].numbered.seq > position.seq + 1 and (older := self._archived(position, told)):
            return self._batch(position, older, [])
        return self._batch(position, told, entries.get(streams[1], []))

    def _batch(self, position: Position, told: list[rows.Told], market: list[list[Any]]) -> Batch:
        gaps = gaps_in(position.seq, told)
        for first, last in gaps:
            _log.error("events_missing", first=first, last=last, then="noted in the table gaps")
        last_told = told[-1].numbered if told else None
        after = Position(
            epoch=last_told.epoch if last_told else position.epoch,
            seq=last_told.seq if last_told else position.seq,
            market_id=market[-1][0].decode() if market else position.market_id,
        )
        taken = Draft()
        for _, fields in market:
            rows_market.apply(taken, _field(fields, FIELD))
        return Batch(after, told, taken, gaps)

    def _told(self, entries: list[list[bytes]], last: int) -> list[rows.Told]:
        return _ordered([_field(fields, STREAM_FIELD) for fields in entries], last)

    def _archived(self, position: Position, told: list[rows.Told]) -> list[rows.Told]:
        """Older events than those at hand, from the archive."""
        first = told[0].numbered.seq
        older = _ordered(archive.after(self._data, position.seq, first), position.seq)
        return [one for one in older if one.numbered.seq < first]

    async def tell(self, position: Position, now: int) -> None:
        """Say how far the records go. Raises `Gone`, `Refusal`."""
        commit = Commit(epoch=position.epoch, seq=position.seq, ts=now)
        await self._caller.call("SET", self._keys.records, codec.encode(commit))

    def close(self) -> None:
        self._caller.close()


def _field(fields: list[bytes], name: str) -> bytes:
    """The value of an entry's field."""
    return fields[fields.index(name.encode()) + 1]


def _ordered(bodies: list[bytes], last: int) -> list[rows.Told]:
    """Events after `last`, each once. What is no event of any version is left out, and shows as a gap."""
    told: list[rows.Told] = []
    for body in bodies:
        try:
            one = rows.read(body)
        except Invalid as error:
            _log.error("event_unreadable", reason=str(error))
            continue
        if one.numbered.seq > last:
            last = one.numbered.seq
            told.append(one)
    return told

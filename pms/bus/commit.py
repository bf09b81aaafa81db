"""The one atomic function seen from Python: the words of its call, and what its number means.

Owns the argument layout that commit.lua reads. Refuses to know connections.
"""

from __future__ import annotations

from pms.bus.batch import Batch, Committed, Event
from pms.bus.link import Word
from pms.bus.outbox import Entry
from pms.bus.scripts import COMMIT
from schemas.codec import encode
from schemas.events_system import SeqJump
from schemas.keys import Keys
from schemas.records import SYSTEM

_NO_CLAIM: tuple[Word, ...] = ("", "", "", "", "")


class Function:
    """The call under one namespace."""

    def __init__(self, keys: Keys) -> None:
        names = (keys.epoch, keys.seq, keys.seq_by_sub_account, keys.event_stream)
        self._start: tuple[Word, ...] = ("EVALSHA", COMMIT.sha, len(names), *names)
        self._channels = keys.event_channel("")

    def command(self, entry: Entry, epoch: int) -> list[Word]:
        """The whole call for one batch, fenced by `epoch`."""
        batch, claim = entry.batch, entry.batch.claim
        words: list[Word] = [*self._start, epoch, entry.base, int(entry.doubt), self._channels]
        words += (len(batch.records), len(batch.events), len(batch.puts), len(batch.deletes))
        words += _NO_CLAIM if claim is None else (claim.key, claim.value, claim.ttl_ms, claim.reply_key, claim.owner)
        for record in batch.records:
            index = record.index
            words += (record.key, record.field, record.v)
            words.append("" if record.expected_rev is None else record.expected_rev)
            words += (record.rev, "" if record.event is None else record.event, record.ttl_ms)
            words += ("", "") if index is None else (index.key, f"{'+' if index.keep else '-'}{index.field}")
            assert record.body.startswith(b'{"'), f"the body of a record is a non-empty object: {record.body!r}"
            words.append(record.body[1:])  # the spliced fields stand before: the body goes without its opening brace
        for event in batch.events:
            assert event.body.startswith(b'{"'), f"the body of an event is a non-empty object: {event.body!r}"
            words += (event.sub_account, event.type, event.body[1:])
        for put in batch.puts:
            words += (put.key, put.field, put.value, put.ttl_ms)
        for delete in batch.deletes:
            words += (delete.key, delete.field)
        return words


def committed(batch: Batch, last: int) -> Committed:
    """The answer to a batch that stands and whose last event (or, without one, the last event before it) is `last`."""
    return Committed(tuple(range(last - len(batch.events) + 1, last + 1)))


def jump(last: int, to: int, now_ms: int) -> Batch:
    """The batch that announces numbering on from `to` after `last` (contract.md, events out)."""
    told = SeqJump(ts=now_ms, sub_account_id=SYSTEM, from_seq=last, to_seq=to)
    return Batch(events=(Event(SYSTEM, told.type, encode(told)),))

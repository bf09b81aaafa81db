"""What is written of a command: its idempotency record, its reply, its event, and the dead letter of what nobody could
read.

Owns the shape of the reply as stored. Refuses to know doors and what a command does.
"""

from __future__ import annotations

import msgspec

from pms.bus.batch import Batch, Claim, Delete, Event, Put
from schemas import codec, events
from schemas.errors import Failure
from schemas.keys import REQUEST_TTL_S, RESULT_TTL_S, Keys
from schemas.records import NO_OUTCOME, Request
from schemas.replies import Success

Reply = Success | Failure
_RESULT_TTL_MS = RESULT_TTL_S * 1000
_REQUEST_TTL_MS = REQUEST_TTL_S * 1000


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One command as far as its outcome is concerned.

    Where the request id is "" there is nothing to be asked for later.
    """

    command_type: str
    request_id: str
    sub_account: str
    digest: str
    at: int


def owner_mark(sub_account: str) -> bytes:
    """How a stored reply begins: it says whose it is, so that another sub-account's is told from ours."""
    return b'{"subAccountId":' + msgspec.json.encode(sub_account) + b","


def encode_reply(reply: Reply, ignored: tuple[str, ...]) -> bytes:
    """The reply, with the unknown fields of the list door named in `details.ignored`."""
    if ignored:
        details = {} if reply.details is msgspec.UNSET else reply.details
        reply = msgspec.structs.replace(reply, details={**details, "ignored": list(ignored)})
    return codec.encode(reply)


class Outcomes:
    """The batches under one namespace."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def claim(self, asked: Asked, ids: dict[str, str]) -> Claim:
        """Accepted: no outcome yet."""
        return self._claim(asked, codec.encode(_request(asked, ids, NO_OUTCOME)))

    def _claim(self, asked: Asked, record: bytes) -> Claim:
        return Claim(
            self._keys.request(asked.sub_account, asked.request_id),
            record,
            reply_key=self._keys.result(asked.request_id),
            owner=owner_mark(asked.sub_account),
        )

    def final(self, asked: Asked, reply: bytes, keep: bool, claimed: dict[str, str] | None) -> Batch:
        """The outcome, once: record, reply and event. `claimed` are the ids of a claim that stands already.

        `keep` False (certainly not done, worth repeating): answered, and the id is free again.
        """
        if not asked.request_id:
            return Batch(events=(self._event(asked, reply),))
        key = self._keys.request(asked.sub_account, asked.request_id)
        puts = (self.result(asked, reply),)
        if not keep:
            deletes = () if claimed is None else (Delete(key),)
            return Batch(events=(self._event(asked, reply),), puts=puts, deletes=deletes)
        record = codec.encode(_request(asked, claimed or {}, msgspec.Raw(reply)))
        if claimed is None:
            return Batch(events=(self._event(asked, reply),), puts=puts, claim=self._claim(asked, record))
        stored = Put(key=key, value=record, ttl_ms=_REQUEST_TTL_MS)
        return Batch(events=(self._event(asked, reply),), puts=(stored, *puts))

    def result(self, asked: Asked, reply: bytes) -> Put:
        """The reply alone: for a repeat, which is no outcome of its own."""
        value = owner_mark(asked.sub_account) + reply[1:]
        return Put(key=self._keys.result(asked.request_id), value=value, ttl_ms=_RESULT_TTL_MS)

    def event_only(self, asked: Asked, reply: bytes) -> Batch:
        """The event alone: where the reply's place is somebody else's."""
        return Batch(events=(self._event(asked, reply),))

    def _event(self, asked: Asked, reply: bytes) -> Event:
        body = events.command_result(asked.command_type, reply, asked.at, asked.sub_account, asked.request_id)
        return Event(asked.sub_account, "command_result", body)


def _request(asked: Asked, ids: dict[str, str], outcome: msgspec.Raw) -> Request:
    return Request(
        command_type=asked.command_type, body_hash=asked.digest, accepted_at=asked.at, ids=ids, outcome=outcome
    )

"""What is known and written of requests: looked up, answered once, repeated, refused.

Owns the idempotency record's life. Refuses to know doors, lanes and what a command does. Invariant: one outcome per
request id; a repeat gets the reply again and no event.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal

import msgspec
import structlog

from pms.bus import acceptance, outcomes
from pms.bus.acceptance import Arrival, Item
from pms.bus.auth import Unauthorised
from pms.bus.batch import Batch, Duplicate, Gone
from pms.bus.caller import Answers, Caller
from pms.bus.executor import Context, Executor
from pms.bus.link import Command
from pms.bus.outcomes import Asked, Outcomes, Reply
from pms.bus.store import Store
from pms.clock import Clock
from schemas import codec
from schemas.commands import REDUCING
from schemas.errors import ErrorCode, Failure, Invalid
from schemas.keys import NONCE_TTL_S, Keys
from schemas.records import SYSTEM, DeadLetter, Request

RETRY_S = 0.25
DEAD_MAX = 1_000
DEAD_BODY_CHARS = 4_096

_log = structlog.get_logger("pms.bus.requests")


class Requests:
    """See the module. `venue_now` is Unix ms corrected to the venue's clock."""

    def __init__(
        self,
        ask: Caller,
        store: Store,
        keys: Keys,
        executor: Executor,
        clock: Clock,
        venue_now: Callable[[], int],
    ) -> None:
        self._ask, self._store, self._keys, self._executor, self._clock = ask, store, keys, executor, clock
        self._venue_now = venue_now
        self._outcomes = Outcomes(keys)

    def context(self, item: Item) -> Context:
        """What the executor is given beside the command."""
        door: Literal["stream", "list"] = "stream" if item.arrival.entry_id else "list"
        return Context(self._asked(item), self._outcomes, door, item.arrival.admin)

    def ask_ahead(self, item: Item) -> Answers:
        """Begin the look-up before the command has its turn, unless it may turn out then that none is needed.

        What comes in between comes through this process, which knows it.
        """
        if not item.request_id or self._executor.may_claim_first(item.command):
            return []
        return self._ask.begin(self._questions(item))

    def _questions(self, item: Item) -> list[Command]:
        mark = outcomes.owner_mark(item.sub_account)
        return [
            ("GET", self._keys.request(item.sub_account, item.request_id)),
            ("GETRANGE", self._keys.result(item.request_id), 0, len(mark) - 1),
        ]

    async def look_up(self, item: Item, ahead: Answers) -> tuple[Request | None, bool]:
        """The request record, if there is one, and whether the reply's place is another sub-account's."""
        if not item.request_id:
            return None, False
        while True:
            try:
                if ahead:
                    stored, begins = await self._ask.answers(ahead)
                else:
                    stored, begins = await self._ask.calls(self._questions(item))
            except Gone:
                if item.command.type in REDUCING:  # exits do not wait for Redis
                    return None, False
                ahead = []
                await self._clock.sleep(RETRY_S)
                continue
            record = codec.decode(Request, stored) if isinstance(stored, bytes) else None
            return record, isinstance(begins, bytes) and begins not in (b"", outcomes.owner_mark(item.sub_account))

    async def answer(self, item: Item, reply: Reply, context: Context) -> bytes:
        encoded = self._encode(item, reply)
        keep = kept(encoded)
        first = not keep and context.claimed is None and self._executor.claims_first(item.command, item.sub_account)
        if first:  # it claims nothing, so nobody has asked
            stored, foreign = await self.look_up(item, [])
            if stored is not None:
                return await self.seen_before(item, stored)
            if foreign:
                return await self.foreign(item)
        outcome = await self._store.commit(self._outcomes.final(self._asked(item), encoded, keep, context.claimed))
        if isinstance(outcome, Duplicate):
            if not outcome.stored:
                return await self.foreign(item)
            return await self.seen_before(item, codec.decode(Request, outcome.stored))
        return encoded

    async def seen_before(self, item: Item, stored: Request) -> bytes:
        """A repeat of a request that an earlier daemon accepted."""
        if stored.body_hash != item.digest:
            return await self._reused(item)
        if stored.answered:
            reply = bytes(stored.outcome)
            await self._store.commit(Batch(puts=(self._outcomes.result(self._asked(item), reply),)))
            return reply
        outcome = await self._executor.was_started(item.command, stored, lambda reply: self.meanwhile(item, reply))
        if outcome is None:
            message = "it was accepted before a restart and had not begun; it will not be carried out. Send a new one."
            outcome = Failure.of(ErrorCode.NOT_EXECUTED, message)
        reply = self._encode(item, outcome)
        await self._store.commit(self._outcomes.final(self._asked(item), reply, True, stored.ids))
        return reply

    async def repeat(self, item: Item, digest: str, reply: bytes) -> None:
        """A repeat within this process: the same reply again, no event; another body under the same id is refused."""
        if digest != item.digest:
            await self._reused(item)
        else:
            await self._store.commit(Batch(puts=(self._outcomes.result(self._asked(item), reply),)))

    async def _reused(self, item: Item) -> bytes:
        message = f"the requestId {item.request_id} stands for another command; nothing was done. Take a new id."
        reply = self._encode(item, Failure.of(ErrorCode.REQUEST_ID_REUSED, message))
        asked = self._asked(item)
        batch = self._outcomes.event_only(asked, reply)
        await self._store.commit(msgspec.structs.replace(batch, puts=(self._outcomes.result(asked, reply),)))
        return reply

    async def foreign(self, item: Item) -> bytes:
        """The reply's place is another sub-account's: told by event only."""
        message = f"the requestId {item.request_id} was used by another sub-account; nothing was done. Take a new id."
        reply = self._encode(item, Failure.of(ErrorCode.REQUEST_ID_REUSED, message))
        await self._store.commit(self._outcomes.event_only(self._asked(item), reply))
        return reply

    def meanwhile(self, item: Item, known: Reply) -> asyncio.Future[Any]:
        """A reply before the outcome: the outcome takes its place. What is returned ends once it stands."""
        reply = self._encode(item, known)
        return self._store.commit(Batch(puts=(self._outcomes.result(self._asked(item), reply),)))

    async def refuse(self, item: Item, failure: Failure) -> None:
        """Answer a command that is not carried out, unless it was answered before."""
        stored, foreign = await self.look_up(item, [])
        if stored is not None:
            await self.seen_before(item, stored)
        elif foreign:
            await self.foreign(item)
        else:
            await self.answer(item, failure, self.context(item))

    async def once(self, item: Item) -> None:
        """See that a signed command's nonce is used for this request alone. Raises `Invalid` (AUTH_REPLAYED,
        REDIS_UNAVAILABLE)."""
        envelope = item.envelope
        assert envelope.key_id is not None, "the keyring has let it through"
        assert envelope.nonce is not None, "the keyring has let it through"
        key, ours = self._keys.nonce(envelope.key_id, envelope.nonce), f"{item.request_id} {item.digest}".encode()
        try:
            if await self._ask.call("SET", key, ours, "NX", "PX", NONCE_TTL_S * 1000) is not None:
                return
            stands = await self._ask.call("GET", key)
        except Gone as gone:
            if item.command.type in REDUCING:  # exits do not wait for Redis
                return
            message = f"whether it was sent before can't be known now ({gone}); nothing was done. Send it again."
            raise Invalid(ErrorCode.REDIS_UNAVAILABLE, message) from gone
        if stands != ours or not item.request_id:
            message = "its nonce was used before; nothing was done. Sign each command with a new one."
            raise Invalid(ErrorCode.AUTH_REPLAYED, message, path="nonce")

    async def deny(self, arrival: Arrival, error: Unauthorised) -> None:
        """Answer who had no right to send: by event, and by a reply where none stands. No request is recorded, so that
        the rightful sender's id stays free."""
        asked = Asked(
            command_type=arrival.type[:64],
            request_id=error.request_id,
            sub_account=error.sub_account_id or SYSTEM,
            digest="",
            at=self._venue_now(),
        )
        reply = outcomes.encode_reply(error.failure(), ())
        if asked.request_id:
            put = self._outcomes.result(asked, reply)
            try:
                await self._ask.call("SET", put.key, put.value, "NX", "PX", put.ttl_ms)
            except Gone as gone:
                _log.warning("denial_not_answered", reason=str(gone), request_id=asked.request_id)
        await self._store.commit(self._outcomes.event_only(asked, reply))

    async def refuse_unread(self, arrival: Arrival, error: Invalid) -> None:
        """What could not be decoded: answered where there is an id, and kept as a dead letter where it was no command
        at all.
        """
        if isinstance(error, Unauthorised):
            await self.deny(arrival, error)
            return
        request_id = error.request_id or arrival.entry_id
        if error.code is ErrorCode.MALFORMED or not request_id:
            await self._bury(arrival, error)
        sub_account = error.sub_account_id or SYSTEM
        digest = acceptance.digest(arrival.type.encode(), arrival.body)
        asked = Asked(
            command_type=arrival.type[:64],
            request_id=request_id,
            sub_account=sub_account,
            digest=digest,
            at=self._venue_now(),
        )
        reply = outcomes.encode_reply(error.failure(), ())
        outcome = await self._store.commit(self._outcomes.final(asked, reply, True, None))
        if isinstance(outcome, Duplicate) and not outcome.stored:
            await self._store.commit(self._outcomes.event_only(asked, reply))
        elif isinstance(outcome, Duplicate):
            await self._refused_again(asked, codec.decode(Request, outcome.stored))

    async def _refused_again(self, asked: Asked, stored: Request) -> None:
        if stored.body_hash == asked.digest and stored.answered:
            put = self._outcomes.result(asked, bytes(stored.outcome))
        else:
            message = f"the requestId {asked.request_id} stands for another command; nothing was done."
            put = self._outcomes.result(
                asked, outcomes.encode_reply(Failure.of(ErrorCode.REQUEST_ID_REUSED, message), ())
            )
        await self._store.commit(Batch(puts=(put,)))

    async def _bury(self, arrival: Arrival, error: Invalid) -> None:
        body = arrival.body[:DEAD_BODY_CHARS].decode(errors="replace")
        letter = DeadLetter(
            door=arrival.key, body=body, reason=f"{error.code}: {error.message}", at=self._clock.now_ms()
        )
        push = ("LPUSH", self._keys.dead, codec.encode(letter))
        try:
            await self._ask.calls([push, ("LTRIM", self._keys.dead, 0, DEAD_MAX - 1)])
        except Gone as gone:
            _log.warning("dead_letter_lost", reason=str(gone), door=arrival.key, why=error.message)

    def _asked(self, item: Item) -> Asked:
        return Asked(
            command_type=item.command.type,
            request_id=item.request_id,
            sub_account=item.sub_account,
            digest=item.digest,
            at=self._venue_now(),
        )

    def _encode(self, item: Item, reply: Reply) -> bytes:
        return outcomes.encode_reply(reply, item.ignored)


def kept(reply: bytes) -> bool:
    """Whether an outcome is stored: what was certainly not done and is worth repeating is not."""
    return not msgspec.json.decode(reply, type=_Retryable).retryable


class _Retryable(msgspec.Struct):
    retryable: bool = False

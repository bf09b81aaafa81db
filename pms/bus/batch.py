"""What one atomic step holds: records with their index rows, events, plain puts and a claim.

Owns the values that go into the one atomic function and the answers that come back. Refuses to know Redis and what a
body means: a body is the bytes of a JSON object *without* the fields that are spliced in (contract.md: Lua never
decodes JSON).
"""

from __future__ import annotations

import asyncio

import msgspec

from pms.tasks import Prompt
from schemas import keys


class Index(msgspec.Struct, frozen=True):
    """The hash row that mirrors a record; `keep=False` removes it (a terminal record)."""

    key: str
    field: str
    keep: bool = True


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One versioned record. Stored as `{"v":v,"epoch":E,"rev":rev,"seq":S,<rest of body>`.

    `field` makes it a row of the hash `key`. `expected_rev` is the version that must stand there (0: none); None takes
    whatever stands there, for a rewrite from memory after Redis came back empty. `event` is the position in the batch
    of the event that changed it (its seq is the record's); None takes the batch's last seq. `ttl_ms` 0 keeps it; hash
    rows can't expire.
    """

    key: str
    body: bytes
    rev: int
    expected_rev: int | None
    field: str = ""
    v: int = 1
    event: int | None = None
    index: Index | None = None
    ttl_ms: int = 0


class Event(msgspec.Struct, frozen=True):
    """Sent as `{"seq":S,"prevSeq":P,"epoch":E,<rest of body>` on the channel of its type, and kept in the stream."""

    sub_account: str
    type: str
    body: bytes


class Put(msgspec.Struct, frozen=True, kw_only=True):
    """A write without a version: a reply, an outcome, a price, an alarm row (`field`). `ttl_ms` 0 keeps it."""

    key: str
    value: bytes
    field: str = ""
    ttl_ms: int = 0


class Delete(msgspec.Struct, frozen=True):
    """A key, or a row of a hash, to be gone."""

    key: str
    field: str = ""


class Claim(msgspec.Struct, frozen=True):
    """A request's idempotency record: written only where none stands. Where another one stands nothing of the batch is
    done; nor where the reply's place, `reply_key`, holds one that does not begin with `owner`: another sub-account's.
    """

    key: str
    value: bytes
    ttl_ms: int = keys.REQUEST_TTL_S * 1000
    reply_key: str = ""
    owner: bytes = b""


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """All of it or nothing of it.

    `progress`: may be left out in an outage once a later batch overwrites its records. `overwrites`: where a record is
    not at the expected version, all is written over whatever stands there (contract.md: deleting a record does not lose
    the algo of a running daemon).
    """

    records: tuple[Record, ...] = ()
    events: tuple[Event, ...] = ()
    puts: tuple[Put, ...] = ()
    deletes: tuple[Delete, ...] = ()
    claim: Claim | None = None
    progress: bool = False
    overwrites: bool = False


class Committed(msgspec.Struct, frozen=True):
    """The batch stands in Redis; one seq per event, in order."""

    seqs: tuple[int, ...] = ()


class Duplicate(msgspec.Struct, frozen=True):
    """The claim was taken before: nothing of the batch was done. `stored` is the other claim's record as it stands,
    empty where the reply's place is another sub-account's.
    """

    stored: bytes


class Shed(msgspec.Struct, frozen=True):
    """A progress batch that a later one made needless while Redis was away: never written, nothing is missing."""


Outcome = Committed | Duplicate | Shed


class Durable(asyncio.Future[Outcome]):
    """The outcome of a commit, when there is one; `ended` is what was told, `None` before."""

    ended: Outcome | Exception | None = None
    _ahead: tuple[Prompt[Outcome | Exception | None], ...] = ()

    def ahead(self) -> Prompt[Outcome | Exception | None]:
        """The outcome or error before who awaits the outcome hears. Whoever awaits this goes on within the answer that
        says "committed": what acts on it has left by the time others write their answers."""
        future: Prompt[Outcome | Exception | None] = Prompt()
        if self.ended is None:
            self._ahead += (future,)
        else:
            future.set_result(self.ended)
        return future

    def end(self, outcome: Outcome | Exception) -> None:
        """Tell it."""
        ahead, self._ahead = self._ahead, ()
        self.ended = self.ended or outcome
        for future in ahead:
            if future.done():
                continue
            if isinstance(outcome, Committed):
                future.tell(outcome)
            else:  # nothing leaves on it, so it has time until nobody is in the middle of the queue
                future.set_result(outcome)
        if self.done():  # its waiter may have left
            return
        if isinstance(outcome, Exception):
            self.set_exception(outcome)
            self.exception()  # whoever waits sees it; of a step that nobody waits for, the store's owner was told
        else:
            self.set_result(outcome)


class Conflict(Exception):
    """A record is not at the expected version (or the key holds something else): nothing of the batch was done. A bug,
    or a client's write.
    """


class Fenced(Exception):
    """Another daemon holds a higher epoch, or the lease: nothing was done and nothing more may be. Stop acting."""


class Gone(Exception):
    """Redis can't be reached, or takes no writes for now (MISCONF, OOM, LOADING, READONLY).

    Internal to the bus: the store waits it out.
    """

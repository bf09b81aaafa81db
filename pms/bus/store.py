"""The one writer of state: batches leave in commit order over one connection, each as one atomic step (commit.lua).

Owns the order, the numbering of events, what happens when an answer is lost, and waiting while Redis is away. Refuses
to know what is stored. Invariants: a batch is applied once or not at all; seq has no hole; after `Fenced` nothing is
ever written again.

How a lost answer is told from a lost write: under our epoch nobody else counts, so each batch carries the seq that must
stand before it. One whose answer was lost is sent again with that number; a higher one standing there proves that it
was applied.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable

import structlog

from pms.bus import commit
from pms.bus.batch import Batch, Duplicate, Durable, Fenced, Gone
from pms.bus.fence import Down, Fence, Lost, Notice, Restored, Standing
from pms.bus.lease import Taken
from pms.bus.link import Link, Reply
from pms.bus.outbox import Entry, Outbox
from pms.bus.scripts import COMMIT
from pms.clock import Clock
from pms.tasks import Tasks
from schemas.keys import Keys

FLYING_BATCHES = 256  # unanswered at once: bounds what a lost connection leaves in doubt
REPLY_TIMEOUT_S = 2.0  # a commit takes 0.1 ms; a server this late is stopped or swapping
WATCH_S = 0.5
NOTE_SEQ_S = 5.0  # a file write; the number only has to be near
FIRST_RETRY_S = 0.05
LONGEST_RETRY_S = 1.0  # well inside the 10 s after which resting children are cancelled
_GONE_WORDS = frozenset("NOSCRIPT OOM MISCONF LOADING READONLY MASTERDOWN BUSY NOAUTH NOREPLICAS NOPERM".split())

_log = structlog.get_logger("pms.bus.store")


class Store:
    """See the module. `tell` hears each Notice by plain call; what it commits comes after all that waits."""

    def __init__(
        self,
        link: Link,
        keys: Keys,
        fence: Fence,
        clock: Clock,
        tasks: Tasks,
        outbox: Outbox,
        tell: Callable[[Notice], None],
    ) -> None:
        self._link, self._fence, self._clock, self._tasks = link, fence, clock, tasks
        self._outbox = outbox
        self._tell = tell
        self._flying: deque[Entry] = deque()
        self._held: list[Entry] = []  # answered "not yet": their predecessor did not count
        self._open = False
        self._draining = False
        self._fenced: Fenced | None = None
        self._seq = 0
        self._ahead = 0  # seq once all that flies is applied
        self._noted = 0
        self._noted_at = 0.0
        self._lost = asyncio.Event()
        self._down_since: float | None = None
        self._function = commit.Function(keys)

    @property
    def seq(self) -> int:
        """Number of the last event that is known to stand."""
        return self._seq

    @property
    def epoch(self) -> int:
        return self._fence.epoch

    @property
    def down_since(self) -> float | None:
        """Monotonic seconds when Redis went away; None while it takes writes."""
        return self._down_since

    @property
    def waiting(self) -> int:
        """Batches committed and not yet answered."""
        return len(self._outbox) + len(self._flying) + len(self._held)

    async def start(self, taken: Taken, known_seq: int = 0) -> bool:
        """Open after the lease was taken. Writes a joining spill file first. Returns whether Redis holds all that a
        former life is known to have written. Raises Gone, Fenced.

        `known_seq` is the last event that SQL holds: where it, or our own file, knows more than Redis, Redis is an
        older one, and numbering jumps (contract.md, "seq never goes back"); so it does where `taken` is in doubt.
        """
        self._seq = max(taken.seq, known_seq, self._outbox.noted_seq())
        spilled = self._outbox.recover(taken.previous_epoch, taken.seq)
        if spilled is not None:
            self._seq = spilled.seq
            for batch in spilled.batches:
                self._outbox.push(Entry(batch, Durable(), doubt=True))
            self._outbox.begin(taken.epoch, spilled.seq)
        known = self._seq
        whole = await self._connect(taken.in_doubt)
        self._tasks.spawn(self._run(), "bus.store")
        return whole or not known

    def commit(self, batch: Batch) -> Durable:
        """Apply `batch` after all earlier ones.

        The future ends with Committed, Duplicate (its claim was taken; nothing done) or Shed; or raises Conflict
        (nothing done; never where it overwrites) or Fenced. While Redis is away it waits: a caller that may not wait
        looks at `down_since`. A caller that leaves does not take the batch back.
        """
        future = Durable()
        if self._fenced is not None:
            future.end(Fenced(str(self._fenced)))
            return future
        entry = Entry(batch, future)
        if self._open and not self._draining and not self._outbox and len(self._flying) < FLYING_BATCHES:
            self._send(entry)
        else:
            self._outbox.push(entry)
        return future

    async def flushed(self) -> None:
        """Return once nothing waits. For a clean stop; bound it with asyncio.timeout."""
        while self.waiting and self._fenced is None:
            await self._clock.sleep(0.005)

    def close(self) -> None:
        """Write nothing more. What still waits stays in the spill file for the next start."""
        self._fenced = self._fenced or Fenced("the store is closed")
        self._lost.set()
        self._link.close()
        self._open = False
        self._outbox.note_seq(self._seq)
        self._outbox.close()

    # sending and answers

    def _send(self, entry: Entry) -> None:
        entry.base = self._ahead
        entry.sent_at = self._clock.monotonic()
        self._ahead += len(entry.batch.events)
        self._flying.append(entry)
        self._link.send(self._function.command(entry, self._fence.epoch))

    def _on_reply(self, reply: Reply) -> None:
        entry = self._flying.popleft()
        if isinstance(reply, int):
            self._seq = reply
            entry.resolve(commit.committed(entry.batch, reply))
        elif isinstance(reply, list):
            self._on_answer(entry, reply[0].decode(), reply[1])
        else:
            self._on_refusal(entry, str(reply))
        if self._draining and not self._flying:
            self._draining = False
            self._ahead = self._seq
            self._outbox.push_front(self._held)
            self._held = []
        if self._outbox.used:
            self._pump()

    def _on_answer(self, entry: Entry, word: str, detail: bytes) -> None:
        if word == "DUPLICATE":
            entry.resolve(Duplicate(detail))
        elif word == "APPLIED":
            first = entry.batch.records[0].event
            last = int(detail) if first is None else int(detail) - first + len(entry.batch.events) - 1
            entry.resolve(commit.committed(entry.batch, last))
        elif word == "CONFLICT":
            self._outbox.conflict(entry, detail.decode())
        elif word == "SEQ" and self._draining:
            self._held.append(entry)
            return
        else:  # FENCED, or a counter that nobody but us may move: the lease decides what happened
            self._flying.appendleft(entry)
            self._cut(f"{word} {detail.decode()}")
            return
        self._not_counted(entry)

    def _on_refusal(self, entry: Entry, text: str) -> None:
        # Redis 6.2 wraps an error within a script into a sentence of its own; "XADD" is a stream ahead of the counter.
        if not _GONE_WORDS.isdisjoint(re.findall("[A-Z]+", text)) or "XADD" in text:
            self._flying.appendleft(entry)
            self._cut(text)
        else:
            self._outbox.conflict(entry, text)
            self._not_counted(entry)

    def _not_counted(self, entry: Entry) -> None:
        """A batch whose events did not count: those sent after it will be answered SEQ and go again."""
        if entry.batch.events and self._flying:
            self._draining = True
        elif not self._flying and not self._draining:
            self._ahead = self._seq

    def _pump(self) -> None:
        while self._open and not self._draining and len(self._flying) < FLYING_BATCHES and len(self._outbox):
            self._send(self._outbox.pop())
        if self._open and not self.waiting:
            self._outbox.end()

    # the connection

    def _cut(self, reason: str) -> None:
        self._link.close()
        self._on_lost(reason)

    def _on_lost(self, reason: str) -> None:
        since = self._flying[0].sent_at if self._flying else self._clock.monotonic()
        for entry in self._flying:
            entry.doubt = True
        self._outbox.push_front([*self._held, *self._flying])
        self._held, self._draining = [], False
        self._flying.clear()
        self._open = False
        self._lost.set()
        if self._down_since is None and self._fenced is None:
            self._down_since = since
            _log.warning("redis_gone", reason=reason, waiting=len(self._outbox))
            self._outbox.begin(self._fence.epoch, self._seq)
            self._tell(Down(reason, since))

    async def _connect(self, in_doubt: bool = False) -> bool:
        self._lost.clear()
        await self._link.open([("SCRIPT", "LOAD", COMMIT.text)], self._on_reply, self._on_lost)
        standing = await self._fence.confirm()
        if self._lost.is_set():
            raise Gone("lost while opening")
        highest = self._seq + self._outbox.events_in_doubt
        # A counter of nothing proves nothing: an emptied Redis looks like a new one.
        continuous = not in_doubt and 0 < standing.seq == standing.stream_last and self._seq <= standing.seq <= highest
        if not continuous:
            await self._renumber(standing)
        self._ahead = self._seq
        self._open = True
        if self._down_since is not None:
            self._down_since = None
            _log.info("redis_back", waiting=len(self._outbox), continuous=continuous)
            self._tell(Restored(continuous))
        self._pump()
        return continuous

    async def _renumber(self, standing: Standing) -> None:
        """Redis came back empty or older: number on beyond everything seen, and say so before anything else
        (contract.md, seq_jump).
        """
        before = max(self._seq, standing.seq, standing.stream_last)
        self._seq = await self._fence.jump(before)
        self._outbox.force()
        self._outbox.push_front([Entry(commit.jump(before, self._seq + 1, self._clock.now_ms()), Durable())])

    async def _run(self) -> None:
        delay, opened_at = FIRST_RETRY_S, self._clock.monotonic()
        while self._fenced is None:
            if self._open:
                await self._watch()
                continue
            if self._clock.monotonic() - opened_at > LONGEST_RETRY_S:
                delay = FIRST_RETRY_S
            await self._clock.sleep(delay)  # also after a success: one that does not last must not become a busy loop
            delay = min(2 * delay, LONGEST_RETRY_S)
            try:
                await self._connect()
                opened_at = self._clock.monotonic()
            except Gone:
                self._link.close()
                opened_at = self._clock.monotonic()
            except Fenced as error:
                self._fence_off(error)

    async def _watch(self) -> None:
        """Until the connection is lost. A server that takes our bytes and says nothing is lost too."""
        try:
            async with asyncio.timeout(WATCH_S):
                await self._lost.wait()
        except TimeoutError:
            if self._flying and self._clock.monotonic() - self._flying[0].sent_at > REPLY_TIMEOUT_S:
                self._cut(f"no answer for {REPLY_TIMEOUT_S} s")
            self._note_seq()

    def _note_seq(self) -> None:
        now = self._clock.monotonic()
        if self._seq > self._noted and now - self._noted_at > NOTE_SEQ_S:
            self._noted, self._noted_at = self._seq, now
            self._outbox.note_seq(self._seq)

    def _fence_off(self, error: Fenced) -> None:
        self._fenced = error
        self._link.close()
        _log.error("fenced", reason=str(error), unwritten=len(self._outbox))
        while len(self._outbox):
            self._outbox.pop().fail(Fenced(str(error)))
        self._outbox.end()
        self._tell(Lost(str(error)))

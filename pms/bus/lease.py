"""Who owns the account: the lease, its fencing epoch, and the deadline up to which we may act (execution.md 19-20).

Owns `pms:lease` and `pms:epoch`, both moved by one Lua function, and the note in the data directory by which a
restarted daemon proves its own predecessor dead. Refuses to know what is written under the epoch. Invariants: an epoch
is never taken twice; past `deadline()` somebody else may hold the account, so nothing but cancels and exits may leave.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import structlog

from pms.bus import host
from pms.bus.batch import Fenced, Gone
from pms.bus.caller import Caller
from pms.bus.fence import Lost, Notice, Standing
from pms.bus.link import Refusal
from pms.bus.scripts import LEASE
from pms.clock import Clock
from pms.tasks import Tasks
from schemas import records
from schemas.keys import LEASE_TTL_S, Keys

RENEW_S = 3.0
RETRY_S = 1.0
ACTING_S = LEASE_TTL_S - RENEW_S  # measured from when the renewal was sent: the server's TTL began later
SETTLE_S = 3.0  # recvWindow of a placing (2 s) + 1 s: what an unproven predecessor sent has arrived or never will
HOLDER_FILE = "holder.json"
_RELEASED = re.compile(r'\{"epoch":\d+,"released":true\}$')  # what lease.lua writes

_log = structlog.get_logger("pms.bus.lease")


class LeaseHeld(Exception):
    """Another daemon holds the account. Nothing was done; stop that one, or wait for its lease to run out."""

    def __init__(self, holder: records.Holder) -> None:
        super().__init__(
            f"another daemon holds this account: {holder}. Stop it, or wait {LEASE_TTL_S} s after it is gone."
        )
        self.holder = holder


class Taken(msgspec.Struct, frozen=True):
    """The lease is ours. `previous_epoch` 0: Redis knew none (first contact, or emptied). `in_doubt`: this host booted
    since our predecessor lived, and that did not end cleanly: a Redis that lost power with it lost its last second."""

    epoch: int
    previous_epoch: int
    seq: int
    stream_last: int
    in_doubt: bool = False


class _Answer(msgspec.Struct, frozen=True):
    word: str
    before: int
    now: int
    seq: int
    stream_last: int
    lease: str


class Lease:
    """See the module. `folder` is the data directory; None where there is none."""

    def __init__(
        self,
        caller: Caller,
        keys: Keys,
        clock: Clock,
        tasks: Tasks,
        holder: records.Holder,
        folder: Path | None,
        tell: Callable[[Notice], None],
    ) -> None:
        self._caller, self._clock, self._tasks, self._tell = caller, clock, tasks, tell
        self._names = (keys.lease, keys.epoch, keys.seq, keys.event_stream)
        self._holder = holder
        self._rest = msgspec.json.encode(holder).decode()[1:]
        self._note = None if folder is None else folder / HOLDER_FILE
        self._one_at_a_time = asyncio.Lock()
        self._epoch = 0
        self._renewed_at = 0.0

    @property
    def epoch(self) -> int:
        """Our fencing number; 0 before the lease is taken."""
        return self._epoch

    def deadline(self) -> float:
        """Monotonic seconds up to which the account is certainly ours: read right before each send."""
        return self._renewed_at + ACTING_S

    async def take(self) -> Taken:
        """Take the lease and the next epoch. Waits `SETTLE_S` after a lease that ran out, unless its holder is proven
        dead.

        Raises LeaseHeld, Gone.
        """
        dead = self._dead_predecessor()
        answer = await self._run("take", str(self._clock.now_ms() // 1000), dead)
        if answer.word == "HELD" and not answer.lease.endswith(self._rest):
            raise LeaseHeld(_holder_of(answer.lease))
        # Held by ourselves: the answer to our own taking was lost and the client asked again.
        self._epoch = answer.now
        if answer.word == "HELD":
            await self.confirm()
        proven = answer.lease != "" or (dead != "" and _epoch_of(dead) == answer.before)
        if answer.before and not proven:
            _log.warning("lease_had_run_out", previous_epoch=answer.before, waiting_s=SETTLE_S)
            await self._clock.sleep(SETTLE_S)
        self._write_note()
        self._tasks.spawn(self._renew(), "bus.lease")
        in_doubt = dead != "" and not _RELEASED.match(answer.lease) and self._booted_since(dead)
        return Taken(answer.now, answer.before, answer.seq, answer.stream_last, in_doubt)

    async def confirm(self) -> Standing:
        """Renew. Takes lease and epoch again where Redis came back without them. Raises Gone, Fenced."""
        return await self._hold("confirm", "")

    async def jump(self, last: int) -> int:
        """Set the event counter beyond `last` and Unix ms (contract.md, events out).

        Returns it. Raises Gone, Fenced.
        """
        to = max(last, self._clock.now_ms())
        await self._hold("jump", str(to))
        return to

    async def raise_epoch(self, to: int) -> None:
        """An id of epoch `to` - 1 was found at the venue: go beyond it before anything is sent. Raises Gone, Fenced."""
        await self._hold("raise", str(to))
        self._write_note()

    async def release(self) -> None:
        """Give the lease up cleanly: the next daemon need not wait. Raises Gone, Fenced."""
        await self._hold("release", "")
        self._renewed_at = self._clock.monotonic() - ACTING_S
        self._epoch = 0

    async def _renew(self) -> None:
        pause = RENEW_S
        while self._epoch:
            await self._clock.sleep(pause)
            pause = RENEW_S
            try:
                if self._epoch:
                    await self.confirm()
            except Gone as error:
                _log.warning("lease_not_renewed", reason=str(error), acting_s=self.deadline() - self._clock.monotonic())
                pause = RETRY_S
            except Fenced as error:
                self._tell(Lost(str(error)))
                return

    async def _hold(self, what: str, number: str) -> Standing:
        async with self._one_at_a_time:
            if not self._epoch:
                raise Fenced("the lease was given up")
            answer = await self._run(what, number, "")
            if answer.word == "HELD":
                raise Fenced(f"epoch {answer.before} stands, ours is {self._epoch}; lease: {answer.lease or 'none'}")
            if answer.word == "EMPTY":
                _log.error("redis_forgot_the_lease", epoch=self._epoch, found=answer.before)
            self._epoch = answer.now
            return Standing(answer.seq, answer.stream_last)

    async def _run(self, what: str, number: str, override: str) -> _Answer:
        sent_at = self._clock.monotonic()
        ours = str(self._epoch or "")
        arguments = (*self._names, what, ours, self._rest, LEASE_TTL_S * 1000, number, override)
        try:
            reply = await self._caller.call("EVAL", LEASE.text, len(self._names), *arguments)
        except Refusal as error:
            raise Gone(f"the lease was refused: {error}") from error
        assert isinstance(reply, list)
        word, before, now, seq, last, lease = (part.decode() for part in reply)
        answer = _Answer(word, int(before), int(now), int(seq), int(last.split("-")[0]), lease)
        if word != "HELD":
            self._renewed_at = sent_at
        return answer

    # the note about ourselves

    def _write_note(self) -> None:
        if self._note is not None:
            self._note.parent.mkdir(parents=True, exist_ok=True)
            fresh = self._note.with_suffix(".new")
            fresh.write_text(self._text())
            fresh.replace(self._note)

    def _text(self) -> str:
        return f'{{"epoch":{self._epoch},{self._rest}'

    def _dead_predecessor(self) -> str:
        """The lease text of the last daemon on this data directory (whose lock we hold), if it is proven dead."""
        if self._note is None or not self._note.exists():
            return ""
        text = self._note.read_text()
        try:
            predecessor = msgspec.json.decode(text, type=records.Lease)
        except msgspec.DecodeError:
            return ""
        return text if host.is_dead(predecessor, self._holder) else ""

    def _booted_since(self, text: str) -> bool:
        """Whether this host has booted since its daemon wrote that note."""
        return _holder_of(text).boot_id != self._holder.boot_id


def _holder_of(text: str) -> records.Holder:
    try:
        return msgspec.json.decode(text, type=records.Lease)
    except msgspec.DecodeError:  # not a lease of this version: somebody's all the same
        return records.Holder(host=f"a host unknown ({text[:80]})", boot_id="", pid_namespace="", pid=0, started=0)


def _epoch_of(text: str) -> int:
    return msgspec.json.decode(text, type=records.Lease).epoch

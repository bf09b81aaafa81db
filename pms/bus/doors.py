"""The two command doors: streams with a consumer group, and lists (contract.md, "Commands in").

Owns reading, acknowledging and emptying them; every entry becomes an `Arrival`, taken by plain call. Refuses to decode.
Invariants: a stream entry is acknowledged only after `done`; before `open` and after `close` nothing is read.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from pms.bus.acceptance import Arrival
from pms.bus.batch import Gone
from pms.bus.caller import ANSWER_S, Caller
from pms.bus.link import Refusal, Reply
from pms.clock import Clock
from pms.tasks import Tasks
from schemas.commands import COMMANDS, REDUCING
from schemas.keys import COMMAND_BODY_FIELD, COMMAND_GROUP, COMMAND_TYPE_FIELD, Keys, ListDoor

BLOCK_MS = 500  # how long a reader waits in Redis, and so how long closing takes at most
SCAN_S = 5.0
READ_COUNT = 64
DRAIN_COUNT = 1_000
BREATH_S = 0.001  # what was taken goes through Redis before the next is asked for, which costs Redis 70 waits
DRAIN_ROUNDS = 20  # a sender who fills a door faster than it is emptied must not hold up a close
RETRY_S = 0.25
_BLOCK = f"{BLOCK_MS / 1000}"
_BLOCKING_S = BLOCK_MS / 1000 + ANSWER_S

_log = structlog.get_logger("pms.bus.doors")


class Doors:
    """Both doors. `caller` opens a connection: each blocking reader has its own."""

    def __init__(
        self,
        caller: Callable[[], Caller],
        keys: Keys,
        consumer: str,
        clock: Clock,
        tasks: Tasks,
        take: Callable[[Arrival], None],
    ) -> None:
        self._keys, self._consumer, self._clock, self._tasks, self._take = keys, consumer, clock, tasks, take
        self._ask = caller()
        self._stream_reader, self._list_reader = caller(), caller()
        self._streams = {keys.commands: False, keys.admin: True}
        # BRPOP serves its keys in order: what only reduces risk comes first.
        words = sorted(COMMANDS, key=lambda word: (word not in REDUCING, word))
        self._lists = {
            keys.command_list(word, admin): ListDoor(word, admin) for word in words for admin in (True, False)
        }
        self._early: dict[str, int] = {}
        self._busy: set[tuple[str, str]] = set()
        self._finished: list[tuple[str, str]] = []
        self._acknowledging = False
        self._torn = True
        self._redis_ahead_ms = 0
        self._closing = asyncio.Event()
        self._readers: list[asyncio.Task[None]] = []

    def redis_now(self) -> int:
        """Redis TIME in ms, as measured lately."""
        return self._clock.now_ms() + self._redis_ahead_ms

    async def open(self) -> None:
        """Begin to read. What a dead daemon had read and not finished comes first. Raises Gone."""
        await self._measure_time()
        lengths = await self._ask.calls([("LLEN", name) for name in self._lists])
        self._early = {name: n for name, n in zip(self._lists, lengths, strict=True) if isinstance(n, int) and n}
        loops = {"streams": self._read_streams, "lists": self._read_lists, "unknown": self._find_unknown}
        self._readers = [self._tasks.spawn(self._repeat(step), f"bus.door {name}") for name, step in loops.items()]

    async def close(self) -> None:
        """Read no more. What was read and is not finished stays pending in the group."""
        self._closing.set()  # a reader that were cancelled could lose what was just popped for it
        if self._readers:
            await asyncio.wait(self._readers)
        for caller in (self._stream_reader, self._list_reader, self._ask):
            caller.close()

    def done(self, arrival: Arrival) -> None:
        """The outcome of `arrival` is stored: it may be forgotten."""
        if arrival.entry_id:
            self._finished.append((arrival.key, arrival.entry_id))
            if not self._acknowledging:
                self._acknowledging = True
                self._tasks.spawn(self._acknowledge(), "bus.door acknowledge")

    async def drain(self) -> list[Arrival]:
        """Everything that waits unread at both doors now, in the order of each. Raises Gone, Refusal."""
        found: list[Arrival] = []
        for _ in range(DRAIN_ROUNDS):
            batch = self._arrivals(await self._ask.call(*self._read_words(DRAIN_COUNT)))
            lengths = await self._ask.calls([("LLEN", name) for name in self._lists])
            for name, length in zip(self._lists, lengths, strict=True):
                if isinstance(length, int) and length:
                    batch += await self._pop(name, min(length, DRAIN_COUNT))
            found += batch
            if not batch:
                break
        return found

    # streams

    def _read_words(self, count: int, block_ms: int = 0) -> tuple[str | int, ...]:
        block = ("BLOCK", block_ms) if block_ms else ()
        places = ("STREAMS", *self._streams, *(">" for _ in self._streams))
        return ("XREADGROUP", "GROUP", COMMAND_GROUP, self._consumer, "COUNT", count, *block, *places)

    async def _read_streams(self) -> None:
        if self._torn:  # what was read when the connection broke, or the group went, never reached us
            await self._make_groups()
            await self._claim_pending()
            self._torn = False
        try:
            entries = await self._stream_reader.call(*self._read_words(READ_COUNT, BLOCK_MS), within_s=_BLOCKING_S)
        except (Gone, Refusal):
            self._torn = True
            raise
        for arrival in self._arrivals(entries):
            self._take(arrival)
        await self._clock.sleep(BREATH_S)

    async def _make_groups(self) -> None:
        for stream in self._streams:
            try:
                # From 0: what came while there was no group is not lost, and what was done is known by its id.
                await self._ask.call("XGROUP", "CREATE", stream, COMMAND_GROUP, "0", "MKSTREAM")
            except Refusal as error:
                if not str(error).startswith("BUSYGROUP"):
                    raise

    async def _claim_pending(self) -> None:
        """Take over what was delivered to anybody and not finished: we hold the lease, so the others are dead."""
        for stream in self._streams:
            cursor: Any = "0-0"
            while True:
                words = ("XAUTOCLAIM", stream, COMMAND_GROUP, self._consumer, 0, cursor, "COUNT", READ_COUNT)
                reply = await self._ask.call(*words)
                assert isinstance(reply, list)
                cursor = reply[0]
                for arrival in self._arrivals([[stream.encode(), reply[1]]]):
                    self._take(arrival)
                if cursor == b"0-0":
                    break

    def _arrivals(self, reply: Reply) -> list[Arrival]:
        found: list[Arrival] = []
        for stream, entries in reply if isinstance(reply, list) else ():
            key = stream.decode()
            for entry in entries:
                if entry is None or entry[1] is None:  # deleted while pending: Redis 6.2 lists it so
                    continue
                place = (key, entry[0].decode())
                if place in self._busy:
                    continue
                self._busy.add(place)
                fields = dict(zip(entry[1][::2], entry[1][1::2], strict=False))
                found.append(
                    Arrival(
                        key=key,
                        type=fields.get(COMMAND_TYPE_FIELD.encode(), b"").decode(errors="replace"),
                        body=fields.get(COMMAND_BODY_FIELD.encode(), b""),
                        admin=self._streams[key],
                        entry_id=place[1],
                    )
                )
        return found

    async def _acknowledge(self) -> None:
        """XACK and XDEL: the stream holds what is still to be done, so it needs no cap."""
        while self._finished:
            places, self._finished = self._finished, []
            commands = []
            for stream in self._streams:
                ids = [entry_id for key, entry_id in places if key == stream]
                if ids:
                    commands += [("XACK", stream, COMMAND_GROUP, *ids), ("XDEL", stream, *ids)]
            try:
                await self._ask.calls(commands)
            except Gone:
                self._finished += places
                await self._clock.sleep(RETRY_S)
                continue
            self._busy.difference_update(places)
        self._acknowledging = False

    # lists

    async def _read_lists(self) -> None:
        reply = await self._list_reader.call("BRPOP", *self._lists, _BLOCK, within_s=_BLOCKING_S)
        if isinstance(reply, list):
            self._take(self._popped(reply[0].decode(), reply[1]))
            await self._clock.sleep(BREATH_S)

    def _popped(self, name: str, body: bytes) -> Arrival:
        door = self._lists.get(name) or self._keys.list_door(name)
        assert door is not None
        early = self._early.get(name, 0) > 0
        if early:
            self._early[name] -= 1
        return Arrival(key=name, type=door.type, body=body, admin=door.admin, early=early)

    async def _pop(self, name: str, count: int) -> list[Arrival]:
        reply = await self._ask.call("RPOP", name, count)
        return [self._popped(name, body) for body in reply or ()] if isinstance(reply, list) else []

    async def _find_unknown(self) -> None:
        """Lists of names that no command has: their senders are told, rather than left waiting."""
        await self._measure_time()
        cursor: Any = 0
        while True:
            reply = await self._ask.call(
                "SCAN", cursor, "MATCH", self._keys.command_lists, "COUNT", 1000, "TYPE", "list"
            )
            assert isinstance(reply, list)
            cursor = reply[0]
            for name in map(bytes.decode, reply[1]):
                if self._keys.list_door(name) is not None and name not in self._lists:
                    for arrival in await self._pop(name, DRAIN_COUNT):
                        self._take(arrival)
            if cursor == b"0":
                break
        await self._pause(SCAN_S)

    async def _measure_time(self) -> None:
        reply = await self._ask.call("TIME")
        assert isinstance(reply, list)
        self._redis_ahead_ms = int(reply[0]) * 1000 + int(reply[1]) // 1000 - self._clock.now_ms()

    async def _repeat(self, step: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Redis away, or refusing for now: the next attempt follows; nothing is lost, since nothing was read."""
        while not self._closing.is_set():
            try:
                await step()
            except (Gone, Refusal) as error:
                _log.debug("door_waits", reason=str(error))
                await self._pause(RETRY_S)

    async def _pause(self, seconds: float) -> None:
        """Wait, but not beyond closing."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closing.wait()

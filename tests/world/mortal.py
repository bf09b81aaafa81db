"""One life of the daemon: every effect it has on the world passes here, so that it can end between any two of them.

Effects are the atomic steps written to Redis and the requests that change something at the venue, each of which passes
here before and after it takes place, and the events of the user stream as they come in. After the effect `die_at`,
counted from 1, or at the first passage called `die_on` after `spared` of them, the life freezes: its caller and every
later one wait for ever, as a killed process does. To die before an effect is to die after the one before it: the world
has seen the same.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from pms.binance.transport import Response
from pms.clock import Alarm, Clock
from pms.sim.faults import Gate
from pms.tasks import Tasks
from tests.world.memory import MemoryHttp, MemorySocket, MemorySockets

ORDERS = {"/fapi/v1/order": "", "/fapi/v1/algoOrder": " conditional"}
USER_STREAM = "/private"
_EVENT = re.compile(rb'"e":"(\w+)"')
_CLAIM = 15  # where a step's words name the claim (`pms.bus.commit.Function`)


class Life:
    """See the module. `effects` names what took place, in order; `passed` counts all passages; `commands` names the
    Redis commands that were sent."""

    def __init__(self) -> None:
        self.tasks = Tasks()
        self.effects: list[str] = []
        self.passed: Counter[str] = Counter()
        self.commands: set[str] = set()
        self.die_at = 0
        self.die_on = ""
        self.spared = 0
        self.meanwhile: dict[str, Callable[[], None]] = {}  # what else happens, once, as an effect comes about
        self.frozen = asyncio.Event()
        self.over = False
        self.clock_off_ms = 0  # how wrong the host's clock is
        self.sockets: MemorySockets | None = None

    async def effect(self, what: str) -> None:
        """An effect is about to happen, or has just happened."""
        if not self.frozen.is_set():
            counts = what.startswith("after")
            if counts:
                self.effects.append(what)
            self.passed[what] += 1
            self.meanwhile.pop(what, lambda: None)()
            if not (counts and len(self.effects) == self.die_at) and not self._is_last(what):
                return
            self.frozen.set()
            self._hang_up()
        await self.alive()

    def heard(self, what: str) -> bool:
        """An event has come in; whether anybody is left to hear it."""
        if self.frozen.is_set():
            return False
        self.effects.append(what)
        self.passed[what] += 1
        if len(self.effects) != self.die_at and not self._is_last(what):
            return True
        self.frozen.set()
        self._hang_up()
        return False

    def _is_last(self, what: str) -> bool:
        return what == self.die_on and self.passed[what] > self.spared

    async def alive(self) -> None:
        """Return while the life goes on. A client may have swallowed its task's cancellation: it meets another one."""
        if self.over:
            raise asyncio.CancelledError
        if self.frozen.is_set():
            await asyncio.get_running_loop().create_future()

    def die(self) -> None:
        """From now on nothing of this life does anything."""
        self.over = True
        self.frozen.set()
        self._hang_up()

    def _hang_up(self) -> None:
        if self.sockets is not None:
            self.sockets.down = True
            self.sockets.die()


class MortalHttp:
    """`transport.Http` of one life."""

    def __init__(self, http: MemoryHttp, life: Life) -> None:
        self._http = http
        self._life = life

    async def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Response:
        path = target.partition("?")[0]
        counts = method != "GET"
        what = method + ORDERS.get(path, f" {path.rpartition('/')[2]}")
        if counts:
            await self._life.effect(f"before {what}")
        await self._life.alive()
        try:
            return await self._http.request(method, target, headers, body)
        finally:
            if counts and not self._life.over:
                await self._life.effect(f"after {what}")

    async def close(self) -> None:
        await self._http.close()


class MortalSockets(MemorySockets):
    """`transport.Sockets` of one life: what the user stream tells is counted."""

    def __init__(self, gate: Gate, life: Life) -> None:
        super().__init__(gate)
        self._life = life

    async def connect(
        self, url: str, on_frame: Callable[[bytes], None], on_close: Callable[[str], None]
    ) -> MemorySocket:
        def heard(frame: bytes) -> None:
            event = _EVENT.search(frame)
            if event is None or self._life.heard(f"heard {event[1].decode()}"):
                on_frame(frame)

        return await super().connect(url, heard if USER_STREAM in url else on_frame, on_close)


class MortalClient:
    """What `ClientLink` needs of a Redis client, of one life."""

    def __init__(self, client: Any, life: Life) -> None:
        self._client = client
        self._life = life
        self.response_callbacks = client.response_callbacks

    async def execute_command(self, *words: Any) -> Any:
        counts = words[0] == "EVALSHA"
        step = "claim" if counts and words[_CLAIM] else "step"
        if counts:
            await self._life.effect(f"before {step}")
        await self._life.alive()
        self._life.commands.add(str(words[0]))
        reply = await self._client.execute_command(*words)
        if counts:
            await self._life.effect(f"after {step}")
        return reply


class MortalClock:
    """`Clock` of one life: its alarms do not ring after the end."""

    def __init__(self, clock: Clock, life: Life) -> None:
        self._clock = clock
        self._life = life
        self.monotonic = clock.monotonic

    def now_ms(self) -> int:
        return self._clock.now_ms() + self._life.clock_off_ms

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        await self._life.alive()

    def call_later(self, seconds: float, call: Callable[[], None]) -> Alarm:
        return self._clock.call_later(seconds, lambda: None if self._life.frozen.is_set() else call())

"""Fakes of the ports under the adapter: a clock that a test moves, an `Http` that a function answers, sockets."""

from __future__ import annotations

import asyncio
import heapq
import json
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl

from pms.binance.transport import NotSent, Response
from pms.notices import Notice
from pms.venue import AccountChange, FillHint, UserStreamState
from schemas.reports import Report

EPOCH_MS = 1_790_526_539_000
SETTLE_TURNS = 50  # of the loop: more than any chain of callbacks here is long


class ManualClock:
    """Implements `pms.clock.Clock`; time moves by `advance` only."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0
        self.skew_ms = 0  # of the host's wall clock

    def now_ms(self) -> int:
        return EPOCH_MS + int((self._now - 1000) * 1000) + self.skew_ms

    def monotonic(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        waiter = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._sleepers, (self._now + seconds, self._count, waiter))
        await waiter

    def jump(self, seconds: float) -> None:
        """Let time pass without letting anybody run."""
        self._now += seconds

    async def advance(self, seconds: float) -> None:
        """Let time pass, waking each sleeper at its moment."""
        until = self._now + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= until:
            due, _, waiter = heapq.heappop(self._sleepers)
            self._now = max(self._now, due)
            if not waiter.done():
                waiter.set_result(None)
                await settle()
        self._now = until


async def settle() -> None:
    """Let everything run that can run without time passing."""
    for _ in range(SETTLE_TURNS):
        await asyncio.sleep(0)


class Asked:
    """One request as the fake venue sees it."""

    def __init__(self, method: str, target: str, headers: Mapping[str, str]) -> None:
        self.method = method
        self.target = target
        self.path, _, query = target.partition("?")
        self.params = dict(parse_qsl(query, keep_blank_values=True))
        self.headers = headers

    @property
    def name(self) -> str:
        return f"{self.method} {self.path.removeprefix('/fapi/')}"


Answering = Callable[[Asked], Response | Exception]


class FakeHttp:
    """Implements `transport.Http`: `answer` decides; `hold` keeps requests on the wire until it is set."""

    def __init__(self, answer: Answering) -> None:
        self.answer = answer
        self.asked: list[Asked] = []
        self.hold: asyncio.Event | None = None
        self.in_flight = 0
        self.most_in_flight = 0
        self.closed = False

    async def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Response:
        asked = Asked(method, target, headers)
        self.asked.append(asked)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        if self.hold is not None:
            await self.hold.wait()
        self.in_flight -= 1
        answer = self.answer(asked)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def close(self) -> None:
        self.closed = True

    def names(self) -> list[str]:
        return [asked.name for asked in self.asked]


def ok(value: object, headers: Mapping[str, str] | None = None) -> Response:
    return Response(200, dict(headers or {}), json.dumps(value).encode())


def error(status: int, code: int, text: str = "no", headers: Mapping[str, str] | None = None) -> Response:
    return Response(status, dict(headers or {}), json.dumps({"code": code, "msg": text}).encode())


class FakeSocket:
    """Implements `transport.Socket`; the test plays the venue's end by `push` and `drop`."""

    def __init__(self, url: str, on_frame: Callable[[bytes], None], on_close: Callable[[str], None]) -> None:
        self.url = url
        self.push = on_frame
        self._on_close = on_close
        self.sent: list[str] = []
        self.open = True

    def send(self, text: str) -> None:
        if self.open:
            self.sent.append(text)

    async def close(self) -> None:
        self.drop("closed: by us")

    def drop(self, reason: str = "closed by the venue: 1006") -> None:
        if self.open:
            self.open = False
            self._on_close(reason)


class FakeSockets:
    """Implements `transport.Sockets`. `on_connect` may refuse by raising, or drop the new socket at once."""

    def __init__(self) -> None:
        self.opened: list[FakeSocket] = []
        self.attempts = 0
        self.refusing = False
        self.on_connect: Callable[[FakeSocket], None] = lambda _: None

    async def connect(self, url: str, on_frame: Callable[[bytes], None], on_close: Callable[[str], None]) -> FakeSocket:
        self.attempts += 1
        if self.refusing:
            raise NotSent("connection refused")
        socket = FakeSocket(url, on_frame, on_close)
        self.opened.append(socket)
        self.on_connect(socket)
        return socket


class Notes:
    """Implements `pms.venue.Sink`: writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[Report | AccountChange | FillHint | Notice | UserStreamState] = []
        self._more = asyncio.Event()

    def _note(self, told: Report | AccountChange | FillHint | Notice | UserStreamState) -> None:
        self.told.append(told)
        self._more.set()

    on_report = on_account = on_fill_hint = on_notice = on_user_stream = _note

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return once what was told fulfils `condition`; TimeoutError after five seconds."""
        async with asyncio.timeout(5):
            while not condition():
                self._more.clear()
                await self._more.wait()

    @property
    def states(self) -> list[UserStreamState]:
        return [told for told in self.told if isinstance(told, UserStreamState)]

    @property
    def reports(self) -> list[Report]:
        return [told for told in self.told if isinstance(told, Report)]

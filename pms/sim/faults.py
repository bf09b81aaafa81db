"""The gate: every request and every socket of the simulator passes here, where the script may spoil it.

Owns latency and the live sockets that a test may cut or mute. Refuses to know what a request means. The TCP shell and
the in-memory world use the same gate, so a fault is the same on both.
Invariants: without a rule and without latency a request is one plain call; a request that was taken is carried out
even if its client has left, as at the venue; frames of one socket keep their order whatever the delay.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial

import msgspec

from pms.binance.transport import Lost, Response
from pms.clock import Clock
from pms.sim.model import VenueError
from pms.sim.params import Request
from pms.sim.script import ABNORMAL, Chance, OnFrame, OnRequest, OnSocket, Script
from pms.sim.session import Session
from pms.sim.wire import Venue
from pms.sim.ws_api import PATH, ApiSession, Asked
from pms.tasks import Tasks

QUEUE_MAX = 100_000  # delayed frames of one socket; beyond it the client is cut off as too slow
TOO_SLOW = 1008


class Latency(msgspec.Struct, frozen=True):
    """Milliseconds before execution, before the REST answer and before a stream frame; each plus up to `jitter_ms`.

    An answer slower than the stream gives the venue's race: the event comes before the answer (binance.md 3.3).
    """

    engine_ms: int = 0
    answer_ms: int = 0
    stream_ms: int = 0
    jitter_ms: int = 0


class Line:
    """One socket behind the gate. The transport calls `on_text` and `on_close`; a test may `mute` or `cut` it."""

    def __init__(
        self,
        path: str,
        delay_ms: int,
        clock: Clock,
        script: Script,
        send: Callable[[bytes], None],
        close: Callable[[int, str], None],
        freeze: Callable[[], None],
    ) -> None:
        self.path = path
        self.muted = False
        self.frozen = False
        self.session: Session | ApiSession | None = None
        self.delay_ms = delay_ms
        self._clock = clock
        self._script = script
        self._send = send
        self._close = close
        self._freeze = freeze
        self._held: list[bytes] = []  # frames that let the next one pass
        self._queue: deque[tuple[int, bytes]] = deque()
        self._more = asyncio.Event()
        self.ended = False

    def deliver(self, frame: bytes) -> None:
        """Pass a frame of the venue on, at once or in its turn, as the script has it. A muted line drops it."""
        rule = self._script.for_frame(self.path, frame) if self._script.frames and not self.muted else None
        if rule is None:
            self._pass_on(frame)
        else:
            for each in self._spoilt(rule, frame):
                self._pass_on(each)
        if self._held and (rule is None or rule.do != "swap"):
            self._let_go()

    def _spoilt(self, rule: OnFrame, frame: bytes) -> Iterator[bytes]:
        """What goes on at once of a frame that meets a rule."""
        match rule.do:
            case "twice":
                yield from (frame, frame)
            case "garble":
                yield frame[: len(frame) // 2]
            case "cross":
                yield _crossed(frame)
            case "late":
                self._clock.call_later(rule.ms / 1000, partial(self._pass_on, frame))
            case "swap":
                self._held.append(frame)
                self._clock.call_later(rule.ms / 1000, self._let_go)
            case "drop":
                return

    def _let_go(self) -> None:
        held, self._held = self._held, []
        for frame in held:
            self._pass_on(frame)

    def _pass_on(self, frame: bytes) -> None:
        if self.muted or self.ended:
            return
        if not self.delay_ms:
            self._send(frame)
        elif len(self._queue) >= QUEUE_MAX:
            self.cut(TOO_SLOW)
        else:
            self._queue.append((self._clock.now_ms() + self.delay_ms, frame))
            self._more.set()

    def on_text(self, text: str | bytes) -> None:
        """Pass a client's message on; a muted line swallows it."""
        if self.session is not None and not self.muted:
            self.session.on_text(text, self._clock.now_ms())

    def on_close(self) -> None:
        """The transport has ended."""
        self.ended = True
        self._more.set()
        if self.session is not None:
            self.session.on_close()

    def mute(self) -> None:
        """Say nothing any more and hear nothing, with the connection open; `unmute` ends it."""
        self.muted = True

    def unmute(self) -> None:
        """Speak and hear again."""
        self.muted = False

    def freeze(self) -> None:
        """Be half-open: the peer is gone and nobody says so. Pings are not answered either."""
        self.mute()
        self.frozen = True
        self._freeze()

    def cut(self, code: int) -> None:
        """End the connection from the venue's side; 1006 drops it without a close frame."""
        if not self.ended:
            self.on_close()
            self._close(code, "")

    def closed_by_venue(self, code: int, reason: str) -> None:
        """The session ended itself: hand it to the transport, once."""
        if not self.ended:
            self.ended = True
            self._more.set()
            self._close(code, reason)

    async def pump(self) -> None:
        """Send delayed frames when they are due, in order, until the line ends."""
        while not self.ended:
            await self._more.wait()
            self._more.clear()
            while self._queue and not self.ended:
                due, frame = self._queue.popleft()
                await self._clock.sleep(max(0, due - self._clock.now_ms()) / 1000)
                if not (self.muted or self.ended):
                    self._send(frame)


class Gate:
    """The way in: `serve` for a request, `open` for a socket."""

    def __init__(
        self, venue: Venue, clock: Clock, script: Script, chance: Chance, latency: Latency, tasks: Tasks
    ) -> None:
        self.venue = venue
        self.script = script
        self.latency = latency
        self.lines: list[Line] = []
        self.requests = 0
        self._clock = clock
        self._chance = chance
        self._tasks = tasks

    async def serve(self, request: Request) -> Response:
        """Answer one request. Raises `Lost` when the script lets the connection end without an answer."""
        self.requests += 1
        rule = self._rule(request)
        if rule is None:
            return self.venue.handle(request)
        task = self._tasks.spawn(self._spoil(rule, lambda: self.venue.handle(request)), "sim.request")
        answer = await asyncio.shield(task)
        if answer is None:
            raise Lost("the simulator's fault script dropped the connection")
        return answer

    def open(
        self,
        target: str,
        ip: str,
        send: Callable[[bytes], None],
        close: Callable[[int, str], None],
        freeze: Callable[[], None] = lambda: None,
    ) -> Line:
        """Open a socket; `freeze` makes the transport deaf. Raises `VenueError` with the HTTP status of a refused
        handshake."""
        path = target.partition("?")[0]
        rule = self.script.for_socket(target) or OnSocket(count=0)
        if rule.refuse:
            raise VenueError(0, "Refused by the fault script", rule.refuse)
        late = 0 if path == PATH else self.latency.stream_ms  # an answer has its own lateness
        line = Line(path, rule.delay_ms + late, self._clock, self.script, send, close, freeze)
        if path == PATH:
            carry = partial(self._carry, line)
            line.session = self.venue.open_ws_api(line.deliver, line.closed_by_venue, carry, ip)
        else:
            line.session = self.venue.open_stream(target, line.deliver, line.closed_by_venue, ip)
        self.lines = [*(known for known in self.lines if not known.ended), line]
        if line.delay_ms:
            self._tasks.spawn(line.pump(), "sim.line")
        if rule.mute_after_ms is not None:
            self._clock.call_later(rule.mute_after_ms / 1000, line.mute)
        if rule.cut_after_ms is not None:
            self._clock.call_later(rule.cut_after_ms / 1000, lambda: line.cut(rule.cut_code))
        return line

    def live(self, route: str) -> list[Line]:
        """The open sockets of a route (`private`, `public`, `market`, `ws-fapi`), all of them where it is empty."""
        return [line for line in self.lines if not line.ended and line.path.startswith(f"/{route}")]

    def _rule(self, request: Request) -> OnRequest | None:
        """What this request meets; None where it is one plain call."""
        rule = self.script.for_request(request)
        slow = self.latency.engine_ms or self.latency.answer_ms or self.latency.jitter_ms
        return OnRequest() if rule is None and slow else rule

    def _carry(self, line: Line, session: ApiSession, asked: Asked) -> None:
        """One request of the WebSocket API; where the script drops the answer, it drops the connection with it."""
        self.requests += 1
        rule = self._rule(asked.request)
        if rule is None:
            session.tell(asked, self.venue.handle_ws(session, asked))
        else:
            self._tasks.spawn(self._spoil_ws(line, session, asked, rule), "sim.request")

    async def _spoil_ws(self, line: Line, session: ApiSession, asked: Asked, rule: OnRequest) -> None:
        answer = await self._spoil(rule, lambda: self.venue.handle_ws(session, asked))
        if answer is None:
            line.cut(ABNORMAL)
        else:
            session.tell(asked, answer)

    async def _spoil(self, rule: OnRequest, execute: Callable[[], Response]) -> Response | None:
        await self._wait(rule.delay_before_ms + self.latency.engine_ms)
        if rule.lose == "before":
            return None
        scripted = _scripted(rule) if rule.status else None
        executed = execute() if scripted is None or rule.execute else None
        if rule.lose == "after":
            return None
        await self._wait(rule.delay_after_ms + self.latency.answer_ms)
        return scripted or executed

    async def _wait(self, milliseconds: int) -> None:
        if self.latency.jitter_ms:
            milliseconds += int(self._chance.random() * (self.latency.jitter_ms + 1))
        if milliseconds:
            await self._clock.sleep(milliseconds / 1000)


def _scripted(rule: OnRequest) -> Response:
    if rule.body is not None:
        body = rule.body.encode()
    else:
        body = msgspec.json.encode({"code": rule.code, "msg": rule.msg})
    return Response(rule.status, {"content-type": "application/json", **rule.headers}, body)


def _crossed(frame: bytes) -> bytes:
    """A depth frame with one bid more, at twice the price of one of its levels: above every ask."""
    told = msgspec.json.decode(frame)
    depth = told.get("data", told)
    price, _ = (depth["b"] or depth["a"])[0]
    depth["b"].append([str(2 * Decimal(price)), "1"])
    return msgspec.json.encode(told)

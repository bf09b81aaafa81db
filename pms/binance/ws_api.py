"""Order entry over one long-lived socket of the venue's WebSocket API (binance.md 1.3, 3.6).

Owns the socket that is in use, its logon, its proof of life and its renewal. Refuses to retry, and to know orders: a
request is sent once, and what came of it is told in REST's form. Where no socket is open, nothing is taken
(`call` gives None), and whoever asks goes over REST instead.

Invariants: an answer is told to the request with its id and to no other; a request that was written and not answered
in time is `Lost`, and so is every one in flight when its socket ends; a socket that left an order unanswered for
`ANSWER_S` and said nothing else meanwhile is thrown away; a new socket takes over before the old one is let go, where
the venue says that it goes away (`serverShutdown`) and before a connection's day is over.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial

import msgspec
import structlog

from pms.binance import ws_calls
from pms.binance.gate import Gate
from pms.binance.queries import Request
from pms.binance.signing import Credentials
from pms.binance.transport import Lost, NotSent, Response, Socket, Sockets
from pms.binance.venue_clock import VenueClock
from pms.binance.ws_calls import Call, Frame
from pms.clock import Clock
from pms.core.backoff import Connects
from pms.core.limiter import Charge, Lane
from pms.tasks import Tasks

ANSWER_S = 5.0  # as over REST: then a look-up tells more than waiting does
LOOK_UP_S = 1.0  # a look-up costs nothing to repeat: then it goes over REST
PROBE_S = 15.0  # a socket that was silent for so long is asked something harmless: an order shall not find out
RENEW_S = 23.5 * 3600  # of the 24 hours that a connection lives
IN_FLIGHT_MAX = 256  # far above what the rate limits let be in flight; beyond it REST takes over
PATH = "/ws-fapi/v1"
HANDSHAKE, LOGON, PROBE = Charge(weight=5), Charge(weight=2), Charge(weight=1)
LOGON_WINDOW_MS = 5_000

_log = structlog.get_logger("pms.binance.ws_api")


class Link:
    """One socket and what is in flight on it."""

    def __init__(self, clock: Clock) -> None:
        self.waiting: dict[int, asyncio.Future[Frame]] = {}
        self.opened_at = clock.monotonic()
        self.heard = 0  # answers, late ones too
        self.up = False  # proven, and not ended
        self.session = False  # logged on: requests need no key and no signature
        self.leaving = ""  # why another socket is to take over
        self.ended = ""
        self.wake = asyncio.Event()
        self.socket: Socket | None = None
        self._clock = clock

    def on_frame(self, data: bytes) -> None:
        """Tell an answer to its request. What can't be read may have been anybody's: the socket is of no more use."""
        try:
            frame = ws_calls.decode(data)
        except msgspec.MsgspecError as error:
            self.end(f"a frame can't be read ({error})")
            return
        if frame.event is not None:
            if frame.event.e == "serverShutdown":
                self.leave("the venue says that it goes away")
            return
        self.heard += 1
        waiter = self.waiting.get(frame.id) if isinstance(frame.id, int) else None
        if waiter is None or waiter.done():
            _log.warning("order_socket_answer_left_aside", id=repr(frame.id)[:12], status=frame.status)
            return
        waiter.set_result(frame)

    def leave(self, reason: str) -> None:
        self.leaving = self.leaving or reason
        self.wake.set()

    def end(self, reason: str) -> None:
        """The socket is over: what is in flight may have been executed."""
        if self.ended:
            return
        self.ended, self.up = reason, False
        for waiter in self.waiting.values():
            if not waiter.done():
                waiter.set_exception(Lost(f"the order socket ended before the answer: {reason}"))
        self.wake.set()

    def over(self) -> bool:
        """Whether another socket is to take over."""
        return bool(self.ended or self.leaving)

    async def exchange(self, ident: int, text: str, within_s: float = ANSWER_S) -> Frame:
        """Send a request and wait for its answer. Raises `Lost`."""
        assert self.socket is not None, "opened before"
        waiter: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self.waiting[ident] = waiter
        late = self._clock.call_later(within_s, partial(self._late, waiter, self.heard, within_s))
        self.socket.send(text)
        try:
            return await waiter
        finally:
            late.cancel()
            del self.waiting[ident]

    def _late(self, waiter: asyncio.Future[Frame], heard: int, within_s: float) -> None:
        if waiter.done():
            return
        waiter.set_exception(Lost(f"no answer over the order socket within {within_s:g} s"))
        if self.heard == heard and within_s >= ANSWER_S:
            self.end(f"nothing answered for {within_s:g} s")


class Framed(msgspec.Struct, frozen=True):
    """A request made for one socket: with a signature, or for its session."""

    link: Link
    call: Call


class WsApi:
    """See the module. `url` is the whole address; `gate` is the one that REST passes too."""

    def __init__(
        self,
        url: str,
        sockets: Sockets,
        gate: Gate,
        venue: VenueClock,
        clock: Clock,
        tasks: Tasks,
        connects: Connects,
        credentials: Credentials,
    ) -> None:
        self._url = url
        self._sockets = sockets
        self._gate = gate
        self._venue = venue
        self._clock = clock
        self._tasks = tasks
        self._connects = connects
        self._key = credentials.key
        self._signer = credentials.signer()
        self._link: Link | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._ids = 0

    @property
    def up(self) -> bool:
        """Whether orders would leave over the socket now."""
        return self._link is not None and self._link.up

    def start(self) -> None:
        """Open a socket, and keep one open."""
        self._keeper = self._tasks.spawn(self._keep(), "order-socket")

    async def close(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
        if self._link is not None:
            await self._let_go(self._link)

    # --- requests ---------------------------------------------------------------------------------------

    def call(self, request: Request) -> Framed | None:
        """The request made ready ahead of the moment of sending; None where it has to go over REST."""
        link = self._link
        if link is None or not link.up or not request.call or not ws_calls.callable_with(request.params):
            return None
        signer = None if link.session else self._signer
        return Framed(link, Call(request.call, request.params, request.window_ms, self._key, signer))

    def takes(self, framed: Framed) -> bool:
        """Whether the socket that it was made for is still the one in use."""
        return framed.link is self._link and framed.link.up and len(framed.link.waiting) < IN_FLIGHT_MAX

    async def send(self, framed: Framed, within_s: float) -> Response:
        """Send, once. Raises `Lost`; `NotSent` where the socket is not in use any more."""
        if not self.takes(framed):
            raise NotSent("the order socket is not open")
        return await self._ask(framed.link, framed.call, within_s)

    async def _ask(self, link: Link, call: Call, within_s: float = ANSWER_S) -> Response:
        self._ids += 1
        now = self._venue.now_ms()
        return ws_calls.response(await link.exchange(self._ids, call.text(self._ids, now), within_s), now)

    # --- the socket -------------------------------------------------------------------------------------

    async def _keep(self) -> None:
        while True:
            await self._clock.sleep(self._connects.delay())
            await self._clock.sleep(self._gate.wait_ms("GET", PATH) / 1000)
            link = await self._open()
            if link is None:
                continue
            old, self._link = self._link, link
            link.up = not link.ended
            _log.info("order_socket_open", session=link.session)
            if old is not None:
                self._tasks.spawn(self._drain(old), "order-socket-drain")
            await self._watch(link)
            _log.warning("order_socket_replaced", reason=link.ended or link.leaving)
            if link.ended:
                self._link = None
                await self._let_go(link)

    async def _open(self) -> Link | None:
        """A socket that is proven to answer; None where there is none."""
        link = Link(self._clock)
        self._count(HANDSHAKE)
        try:
            link.socket = await self._sockets.connect(self._url, link.on_frame, link.end)
            await self._prove(link)
        except (NotSent, Lost) as error:
            _log.warning("order_socket_not_open", reason=str(error))
            if isinstance(error, NotSent):
                self._connects.not_opened()
            await self._let_go(link)
            return None
        self._connects.proven()
        return link

    async def _prove(self, link: Link) -> None:
        """An accepted socket proves nothing (binance.md 0.5), an answer does. Raises `Lost`."""
        if self._signer.kind != "ed25519":
            await self._probe(link)
            return
        self._count(LOGON)
        logon = Call("session.logon", (), LOGON_WINDOW_MS, self._key, self._signer)
        answer = await self._ask(link, logon)
        link.session = answer.status == 200
        if not link.session:
            _log.warning("order_socket_logon_refused", status=answer.status)

    async def _probe(self, link: Link) -> None:
        """Ask what costs little and changes nothing: whatever the answer, it is one. Raises `Lost`."""
        self._count(PROBE)
        probe = f'"method":"userDataStream.ping","params":{{"apiKey":"{self._key}"}}}}'
        self._ids += 1
        await link.exchange(self._ids, f'{{"id":{self._ids},{probe}')

    async def _watch(self, link: Link) -> None:
        """Until another socket has to take over."""
        heard = link.heard
        while not link.over():
            with suppress(TimeoutError):
                async with asyncio.timeout(PROBE_S):
                    await link.wake.wait()
            if self._clock.monotonic() - link.opened_at >= RENEW_S:
                link.leave("its day is nearly over")
            elif not link.over() and link.heard == heard and not self._gate.wait_ms("GET", PATH):
                with suppress(Lost):
                    await self._probe(link)
            heard = link.heard

    async def _drain(self, link: Link) -> None:
        """Let a socket go when all that is in flight on it is answered or given up."""
        link.up = False
        while link.waiting:
            await self._clock.sleep(0.05)
        await self._let_go(link)

    async def _let_go(self, link: Link) -> None:
        link.end("closed by us")
        if link.socket is not None:
            await link.socket.close()

    def _count(self, charge: Charge) -> None:
        """What leaves past the gate's own counting: the handshake, the logon and the probe."""
        governor = self._gate.governor
        governor.answered(charge, None, governor.sent(charge, Lane.EXIT))

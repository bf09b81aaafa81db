"""Signed REST: one request in, one outcome out (execution.md 1-6, binance.md 2, 3.1, 5).

Owns signing at the moment of sending, the reading of refusals, and the task that carries a read: a waiter may leave,
the request goes on. An order request is carried by the task that awaits it. Refuses to retry anything and to know
orders: outcomes tell the caller what it may do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import msgspec
import structlog

from pms.binance import codec, errors, queries
from pms.binance.errors import Fate, Pause, Verdict
from pms.binance.gate import Gate, Held
from pms.binance.queries import Request
from pms.binance.signing import Credentials, Signing, unsaid
from pms.binance.transport import Lost, NotSent, Response
from pms.binance.venue_clock import VenueClock
from pms.binance.ws_api import ANSWER_S, LOOK_UP_S, Framed, WsApi
from pms.core.limiter import Lane
from pms.governor import Errand, Short
from pms.tasks import Tasks
from pms.venue import AuthFailed, Done, Outcome, Unavailable, Unknown
from schemas.reports import Report

T = TypeVar("T")
_log = structlog.get_logger("pms.binance.rest")

HEAD_CHARS = 120  # of an answer that can't be read, for the log and the message
READS_MAX = 8  # of a lane on the wire at once: recovery asks for hundreds, and orders want the wire too
READ_PATIENCE_S = 61.0  # a read waits for the next minute's weight at most, then its asker comes again
DOUBTS_MAX = 3  # refusals in a row of a key that has worked, before it is taken for dead (a short ban looks the same)
RETRY_READ_MS = 1000  # for a read whose refusal names no time
_PAUSE_MS = {
    Pause.NONE: 0,
    Pause.BRIEF: 200,  # the venue's first step for -1008; who retries doubles it
    Pause.SLOW: 5000,
    Pause.CLOCK: 250,  # the measuring takes five round trips
}


class Declined(Unavailable):
    """A read was not answered with what was asked; `code` is the venue's, or 0."""

    def __init__(self, request: Request, verdict: Verdict) -> None:
        reason = f"{verdict.code} {verdict.message}" if verdict.code else verdict.message
        super().__init__(f"{request.method} {request.path}: {reason}", verdict.retry_ms or RETRY_READ_MS)
        self.code = verdict.code


class Passage(msgspec.Struct, frozen=True):
    """What an order request is asked right before it leaves. `refusal`: empty, or why it may not leave (any more);
    `errand`: where it stands in line while the rate budget is short."""

    refusal: Callable[[], str]
    errand: Callable[[], Errand]


class Rest:
    """Requests of one API key."""

    def __init__(self, gate: Gate, venue: VenueClock, tasks: Tasks, credentials: Credentials) -> None:
        self._gate = gate
        self._governor = gate.governor
        self._venue = venue
        self._tasks = tasks
        self._signer = credentials.signer()
        self._key = credentials.key
        self._headers = {"X-MBX-APIKEY": credentials.key}
        self._reads = {lane: asyncio.Semaphore(READS_MAX) for lane in Lane}
        self._measuring = False
        self._worked = False
        self._doubts = 0
        self.socket: WsApi | None = None  # the fast way of orders, where the settings name it

    def sign(self, request: Request) -> Signing | Framed:
        """What of a request does not depend on the moment of sending, for the way that is open now."""
        framed = self.socket.call(request) if self.socket is not None else None
        return framed or self._signer.begin(request.query, request.window_ms)

    async def order(
        self,
        request: Request,
        signing: Signing | Framed | None = None,
        passage: Passage | None = None,
        decode: Callable[[bytes], Report] = codec.order,
    ) -> Outcome:
        """Send an order request, in the caller's own task (execution.md 6: `pms.execution` gives each one its own).

        Raises `AuthFailed`; every other end is an outcome.
        """
        answer = await self._carry(request, signing, passage)
        if isinstance(answer, Verdict):
            return errors.outcome(answer)
        try:
            return Done(decode(answer))
        except msgspec.MsgspecError as error:
            return Unknown(f"HTTP 200, but the answer is no order ({error}): {self._head(answer)}")

    async def read(self, request: Request, decode: Callable[[bytes], T]) -> T:
        """Ask for something. Raises `Unavailable` where no usable answer came, `AuthFailed`."""
        answer = await self.send(request)
        if isinstance(answer, Verdict):
            raise Declined(request, answer)
        try:
            return decode(answer)
        except msgspec.MsgspecError as error:
            raise Unavailable(f"{request.path}: the answer can't be read ({error}): {self._head(answer)}") from error

    async def send(self, request: Request, refusal: Callable[[], str] | None = None) -> bytes | Verdict:
        """The body of a success, or the verdict. Raises `AuthFailed`. `refusal` is asked right before it leaves.

        The request runs on by itself if the caller is cancelled (execution.md 6).
        """
        passage = None if refusal is None else Passage(refusal, partial(_in_its_turn, request))
        carry = self._queued(request, passage) if request.queued else self._carry(request, passage=passage)
        return await asyncio.shield(self._tasks.spawn(carry, f"{request.method} {request.path}"))

    async def measure_clock(self) -> None:
        """Measure the venue's time anew. Raises `Unavailable`."""
        await self._venue.measure(lambda: self.read(queries.public("/fapi/v1/time"), codec.server_time))

    async def _queued(self, request: Request, passage: Passage | None) -> bytes | Verdict:
        async with self._reads[request.lane]:
            return await self._carry(request, passage=passage)

    async def _carry(
        self, request: Request, signing: Signing | Framed | None = None, passage: Passage | None = None
    ) -> bytes | Verdict:
        if not self._governor.ample(request.charge) and (short := await self._turn(request, passage)):
            return short
        if passage is not None and (stopped := passage.refusal()):
            return Verdict(Fate.NOT_DONE, stopped)
        try:
            response = await self._exchange(request, signing)
        except Held as held:
            return Verdict(Fate.NOT_DONE, str(held), pause=Pause.ALL, retry_ms=held.retry_ms)
        except NotSent as error:
            return self._timed(errors.not_sent(str(error)), request)
        except Lost as error:
            return errors.lost(unsaid(str(error), self._key))
        if response.status == 200:
            if request.signed:
                self._worked, self._doubts = True, 0
            return response.body
        body = self._unsaid(response.body).encode()
        return self._judged(errors.read(Response(response.status, response.headers, body)), request)

    async def _exchange(self, request: Request, signing: Signing | Framed | None) -> Response:
        """Send, the fast way if it is open. What was written is never sent again, but for a look-up, which changes
        nothing."""
        if self.socket is not None and (framed := self._framed(request, signing)) is not None:
            looks = request.method == "GET"
            send = partial(self.socket.send, framed, LOOK_UP_S if looks else ANSWER_S)
            try:
                return await self._gate.passed(request.method, request.path, send, request.charge, request.lane)
            except Lost:
                if not looks:
                    raise
        query = request.query
        if request.signed:
            made = signing if isinstance(signing, Signing) else self._signer.begin(query, request.window_ms)
            query = made.at(self._venue.now_ms())
        target = f"{request.path}?{query}" if query else request.path
        send = partial(self._gate.http.request, request.method, target, self._headers)
        return await self._gate.passed(request.method, request.path, send, request.charge, request.lane)

    def _framed(self, request: Request, signing: Signing | Framed | None) -> Framed | None:
        """What leaves over the order socket; None: REST. What was signed for REST while no socket was open stays so."""
        if self.socket is None or isinstance(signing, Signing):
            return None
        framed = signing or self.socket.call(request)
        return framed if framed is not None and self.socket.takes(framed) else None

    async def _turn(self, request: Request, passage: Passage | None) -> Verdict | None:
        """Wait in line for the rate budget. None: it may leave, now."""
        errand = _in_its_turn(request) if passage is None else passage.errand()
        try:
            await self._governor.turn(request.charge, errand)
        except Short as short:
            pause = Pause.TURN if short.called else Pause.ALL
            return Verdict(Fate.NOT_DONE, str(short), pause=pause, retry_ms=short.retry_ms)
        return None

    def _judged(self, verdict: Verdict, request: Request) -> Verdict:
        if verdict.fate is Fate.AUTH:
            return self._doubted(verdict)
        if verdict.pause is Pause.CLOCK and not self._measuring:
            self._measuring = True
            self._tasks.spawn(self._remeasure(), "venue-clock")
        return self._timed(verdict, request)

    def _timed(self, verdict: Verdict, request: Request) -> Verdict:
        wait = _PAUSE_MS.get(verdict.pause)
        if wait is None:
            wait = self._gate.wait_ms(request.method, request.path)
        return msgspec.structs.replace(verdict, retry_ms=wait)

    def _doubted(self, verdict: Verdict) -> Verdict:
        """A key that worked a minute ago may be refused for a while; only a lasting refusal stops us (binance.md 2)."""
        passing = verdict.code in (errors.BAD_KEY, errors.BAD_SIGNATURE)
        if passing and self._worked and self._doubts < DOUBTS_MAX:
            self._doubts += 1
            _log.warning("credentials_doubted", code=verdict.code, message=verdict.message, doubts=self._doubts)
            return Verdict(Fate.NOT_DONE, verdict.message, verdict.code, retry_ms=_PAUSE_MS[Pause.SLOW])
        raise AuthFailed(
            f"The venue refuses our credentials ({verdict.code} {verdict.message}). The request was not executed. "
            "Check the API key, its secret, its futures permission and its allowed IP addresses."
        )

    async def _remeasure(self) -> None:
        try:
            await self.measure_clock()
        except Unavailable as error:
            _log.warning("venue_clock_not_measured", error=str(error))
        finally:
            self._measuring = False

    def _head(self, body: bytes) -> str:
        return self._unsaid(body[: 2 * HEAD_CHARS])[:HEAD_CHARS]

    def _unsaid(self, body: bytes) -> str:
        """An error page may repeat the request: our key and signature end with us."""
        return unsaid(body.decode("utf-8", "replace"), self._key)


def _in_its_turn(request: Request) -> Errand:
    """Where in line what is no order stands."""
    return Errand(request.lane, patience_s=READ_PATIENCE_S)

"""The user data stream: listen key, socket, and the proof that nothing was missed (binance.md 7.1, execution.md 21).

Owns the key's life, the reconnects and the buffer that fills while a gap is read by REST. Refuses to judge events.
Invariants: events reach the sink in order, and after a gap only once its reader has called `replay`; the listen key is
never deleted; no more connects than `Connects` allows, even where the venue accepts and closes at once.

A stream that is open proves nothing. Dead ones are found by three signs: the socket ends, the key is gone or another
than ours (a PUT whenever nothing was heard for `PROBE_S`), or the venue answered an order request and its event did not
come. Before the venue ends a socket after 24 hours the next one is open, and carries on without a gap.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import msgspec
import structlog

from pms.binance import codec, errors, events, queries
from pms.binance.hand_over import Overlap
from pms.binance.rest import Declined, Rest
from pms.binance.transport import NotSent, Socket, Sockets
from pms.clock import Clock
from pms.core.backoff import Connects
from pms.notices import LeverageSet, MarginCall, ModeSwitched
from pms.tasks import Tasks
from pms.venue import AccountChange, AuthFailed, FillHint, Sink, Unavailable, UserStreamState
from schemas.reports import Report

_log = structlog.get_logger("pms.binance.user_stream")

RENEW_S = 30 * 60.0  # the key lives 60 minutes
KEY_LIVES_S = 60 * 60.0
PROBE_S = 1.5  # a silent stream's key is asked for this often: somebody else may have ended it, and nobody tells us
URGENT_S = 60.0  # so long unproven, it is asked for although the venue's counter is nearly full
HAND_OVER_S = 23.5 * 3600.0  # the venue ends a connection after 24 hours
OVERLAP_S = 10.0  # both sockets are open so long: the stream lags by seconds in bad markets
HAND_OVER_AGAIN_S = 60.0
LATE_S = 10.0  # the stream lags by seconds in bad markets; beyond this it is taken for dead
LOOK_S = 0.5  # how often the signs of death are looked for
SAME_MS = 1000  # an event this little older than the answer may be the answer's own
TAKEN = "the listen key was ended by somebody else"
BUFFER_MAX = 50_000  # events; far more than a gap's reading lasts, and 100 MB at most


class UserStream:
    """One account's events, told to one sink. `private_url` is the stream host with the private route."""

    def __init__(
        self, rest: Rest, sockets: Sockets, private_url: str, clock: Clock, tasks: Tasks, connects: Connects
    ) -> None:
        self._rest = rest
        self._sockets = sockets
        self._url = private_url.rstrip("/")
        self._clock = clock
        self._tasks = tasks
        self._connects = connects
        self._sink: Sink | None = None
        self._socket: Socket | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._ended: asyncio.Future[str] | None = None
        self._key = ""
        self._renewed = 0.0  # monotonic seconds at which the key was last known to live
        self._asking: asyncio.Task[None] | None = None
        self._overlap: Overlap | None = None  # while the next socket is open beside this one
        self._next: asyncio.Future[str] | None = None  # the end of the socket that has taken over
        self._buffer: list[events.UserEvent] = []
        self._gap = 0  # the number of the gap that is being read; 0 while live, or closed
        self._gaps = 0
        self._heard = 0.0  # monotonic seconds of the last frame
        self._told_ms = 0  # venue time of the newest order event: the data watermark
        self._awaited: tuple[int, float] | None = None  # venue time that the watermark must reach, and until when

    async def start(self, sink: Sink) -> None:
        """Open the stream and keep it open. Raises `Unavailable` or `AuthFailed` where the first attempt fails."""
        self._sink = sink
        await self._clock.sleep(self._connects.delay())
        ended = await self._open()
        self._keeper = self._tasks.spawn(self._keep(ended), "user-stream")

    async def close(self) -> None:
        """Close the socket and open no other. The listen key stays (execution.md 21)."""
        if self._keeper is not None:
            self._keeper.cancel()
        if self._socket is not None:
            await self._socket.close()

    def replay(self, gap: int) -> None:
        """That gap was read: tell what was kept, then go live (`Venue.replay`)."""
        if gap == 0 or gap != self._gap:
            return
        kept, self._buffer, self._gap = self._buffer, [], 0
        for event in kept:
            self._hand_on(event)
        self._tell(UserStreamState(live=True))

    def expect(self, report: Report) -> None:
        """The venue has answered an order request so: its event must come too."""
        if report.time > self._told_ms + SAME_MS and self._awaited is None:
            self._awaited = (report.time - SAME_MS, self._clock.monotonic() + LATE_S)

    async def _open(self) -> asyncio.Future[str]:
        """Open a socket on a living key; the future gives the reason of its end. Raises `Unavailable`, `AuthFailed`."""
        self._key = await self._rest.read(queries.listen_key("POST"), codec.listen_key)
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._awaited = None
        self._heard = self._renewed = self._clock.monotonic()
        self._open_gap()
        self._socket = await self._connect(ended, partial(self._on_frame, ended))
        self._tell(UserStreamState(live=False, reason="the stream has been opened", gap=self._gap))
        return ended

    async def _connect(self, ended: asyncio.Future[str], on_frame: Callable[[bytes], None]) -> Socket:
        try:
            return await self._sockets.connect(f"{self._url}/ws/{self._key}", on_frame, lambda why: _end(ended, why))
        except NotSent as error:
            reason = str(error).replace(self._key, "…")  # a peer that is not the venue may repeat the address
            raise Unavailable(f"The user stream could not be opened: {reason}") from None

    def _open_gap(self) -> None:
        """From here on events are kept."""
        self._gaps += 1
        self._gap = self._gaps
        self._buffer = []

    def suspect(self, reason: str) -> None:
        """Somebody has evidence that this stream is deaf: give it up. Without effect while another is being opened."""
        if self._ended is not None:
            _end(self._ended, reason)

    async def _keep(self, ended: asyncio.Future[str]) -> None:
        while True:
            self._ended = ended
            watch = self._tasks.spawn(self._watch(ended), "user-stream-watch")
            try:
                reason = await ended
            finally:
                watch.cancel()
            following, self._next = self._next, None
            if following is not None:
                ended = following
                continue
            await self._lost(reason)
            ended = await self._reopen()

    async def _reopen(self) -> asyncio.Future[str]:
        while True:
            await self._clock.sleep(self._connects.delay())
            try:
                return await self._open()
            except Unavailable as error:
                _log.warning("user_stream_not_opened", error=str(error))
                self._connects.not_opened()
                self._tell(UserStreamState(live=False, reason=str(error)))
                await self._clock.sleep(error.retry_ms / 1000)
            except AuthFailed as error:
                self._tell(UserStreamState(live=False, reason=str(error)))
                raise

    async def _lost(self, reason: str) -> None:
        _log.warning("user_stream_lost", reason=reason)
        self._gap = 0
        self._buffer = []
        self._tell(UserStreamState(live=False, reason=reason, taken=reason == TAKEN))
        if self._socket is not None:
            await self._socket.close()

    async def _watch(self, ended: asyncio.Future[str]) -> None:
        """Look for the signs of a dead stream, keep the key alive, and hand over in time."""
        asked = self._clock.monotonic()
        hand_over = asked + HAND_OVER_S
        while not ended.done():
            await self._clock.sleep(LOOK_S)
            now = self._clock.monotonic()
            if self._late(now):
                _end(ended, f"the event of an answered order request did not come within {LATE_S:.0f} s")
            elif now - asked >= PROBE_S and (now - self._heard >= PROBE_S or now - self._renewed >= RENEW_S):
                if self._asking is None or self._asking.done():
                    asked = now
                    self._asking = self._tasks.spawn(self._renew(ended, now), "listen-key")
            if now >= hand_over and not self._gap and not ended.done():
                hand_over = now + HAND_OVER_AGAIN_S
                await self._hand_over(ended)

    async def _renew(self, ended: asyncio.Future[str], now: float) -> None:
        """Prolong the key. One that is gone or not ours ends the stream, a venue that can't be asked does not."""
        urgent = now - max(self._heard, self._renewed) >= URGENT_S or now - self._renewed >= RENEW_S
        try:
            key = await self._rest.read(queries.listen_key("PUT", urgent), codec.renewed_key)
        except Declined as error:
            if error.code == errors.NO_LISTEN_KEY:
                expired = now - self._renewed >= KEY_LIVES_S
                _end(ended, "the listen key is gone" if expired else TAKEN)
            else:
                _log.info("listen_key_not_renewed", error=str(error))
        except Unavailable as error:
            _log.info("listen_key_not_renewed", error=str(error))
        except AuthFailed as error:
            _end(ended, str(error))  # opening again meets the same refusal and raises it
        else:
            self._renewed = self._clock.monotonic()
            if key not in ("", self._key):
                _end(ended, TAKEN)
            self._connects.proven()

    async def _hand_over(self, ended: asyncio.Future[str]) -> None:
        """Open the next socket beside this one and let it carry on where this one stands. Where it does not open, does
        not bring what this one brings, or either of them ends meanwhile, nothing has changed."""
        following: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        overlap = Overlap()

        def on_frame(frame: bytes) -> None:
            if overlap.is_news(frame):
                self._on_frame(following, frame)

        await self._clock.sleep(self._connects.delay())
        try:
            opened = await self._connect(following, on_frame)
        except Unavailable as error:
            _log.warning("user_stream_not_handed_over", error=str(error))
            self._connects.not_opened()
            return
        retired: Socket | None = opened
        self._overlap = overlap
        try:
            await self._clock.sleep(OVERLAP_S)
            if overlap.deaf:
                await self._clock.sleep(OVERLAP_S)  # what came at the very end may be on its way
            if ended.done() or following.done() or self._gap or overlap.deaf or overlap.too_much:
                _log.warning("user_stream_not_handed_over", deaf=overlap.deaf)
                return
            retired, self._socket, self._next, self._overlap = self._socket, opened, following, None
            for frame in overlap.take_over():
                self._on_frame(following, frame)
            _end(ended, "handed over")
        finally:
            self._overlap = None
            if retired is not None:
                self._tasks.spawn(retired.close(), "user-stream-retired")

    def _late(self, now: float) -> bool:
        if self._awaited is None:
            return False
        awaited_ms, deadline = self._awaited
        if self._told_ms >= awaited_ms:
            self._awaited = None
            return False
        return now >= deadline

    def _on_frame(self, ended: asyncio.Future[str], frame: bytes) -> None:
        if ended.done():
            return  # of a socket that was given up: the gap's reading covers it
        self._heard = self._clock.monotonic()
        if self._overlap is not None:
            self._overlap.on_old(frame)
        try:
            event = events.decode(frame)
        except msgspec.MsgspecError as error:
            _log.error("user_event_unreadable", error=str(error), frame=frame[:500].decode("utf-8", "replace"))
            self._open_gap()
            self._tell(UserStreamState(live=False, reason="an event could not be read", gap=self._gap))
            return
        if event is None:
            return
        self._connects.proven()
        if isinstance(event, Report):
            self._told_ms = max(self._told_ms, event.time)
        if isinstance(event, events.KeyExpired):
            _end(ended, "the listen key has expired")
        elif not self._gap:
            self._hand_on(event)
        elif len(self._buffer) < BUFFER_MAX:
            self._buffer.append(event)
        else:
            _end(ended, f"{BUFFER_MAX} events were kept and the gap is still not read")

    def _hand_on(self, event: events.UserEvent) -> None:
        assert self._sink is not None, "frames come after start"
        match event:
            case Report():
                self._sink.on_report(event)
            case AccountChange():
                self._sink.on_account(event)
            case FillHint():
                self._sink.on_fill_hint(event)
            case ModeSwitched() | LeverageSet() | MarginCall():
                self._sink.on_notice(event)

    def _tell(self, state: UserStreamState) -> None:
        assert self._sink is not None, "opened after start"
        self._sink.on_user_stream(state)


def _end(ended: asyncio.Future[str], reason: str) -> None:
    if not ended.done():
        ended.set_result(reason)

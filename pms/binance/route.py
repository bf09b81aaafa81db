"""One socket of a route of the venue's streams, kept open and subscribed (binance.md 1.2, 6.1).

Owns connecting, the pace of requests, acknowledgements and the signs of a dead or mute socket. Refuses to know what
the streams carry. What is asked next follows from what is wanted and what the venue was asked for, never from a queue:
a stream that is wanted and let go a hundred times in a second costs nothing. Invariants: never more than 5 requests a
second; no more connects than `Connects` allows; whatever the venue does, each open stream is either acknowledged or
the socket is thrown away.

An accepted socket and an acknowledged name prove nothing (binance.md 0.1, 0.5), only data does. A `steady` route,
where data must come each second, is cut when none does; on another, silence is answered with a question for the
subscriptions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

import msgspec
import structlog

from pms.binance.frames import Reply
from pms.binance.transport import NotSent, Socket, Sockets
from pms.clock import Clock
from pms.core.backoff import Connects
from pms.tasks import Tasks

PACE_S = 0.2  # between two requests: half of the 10 messages a second that the venue takes, pongs count too
NAMES_MAX = 200  # stream names in one request: what has been seen to work
REPLY_S = 5.0  # an acknowledgement comes within a round trip
SILENT_S = 10.0  # ten pushes of the mark price
LOOK_S = 0.5  # how often the signs are looked for

_log = structlog.get_logger("pms.binance.route")
_encode = msgspec.json.encode


class Route:
    """`on_frame` gets every frame with the route that it came by, counts those that prove life in `frames`, and hands
    replies to `on_reply`; `on_lost` is told why an open socket ended.
    """

    def __init__(
        self,
        url: str,
        steady: bool,
        sockets: Sockets,
        clock: Clock,
        tasks: Tasks,
        connects: Connects,
        on_frame: Callable[[Route, bytes], None],
        on_lost: Callable[[Route, str], None],
    ) -> None:
        self._url = url
        self._steady = steady
        self._sockets = sockets
        self._clock = clock
        self._tasks = tasks
        self._connects = connects
        self._on_frame = partial(on_frame, self)
        self._on_lost = on_lost
        self._wanted: dict[str, None] = {}
        self._asked: dict[str, int] = {}  # stream the venue was asked for: id of that request
        self._acknowledged: set[str] = set()
        self._doubted: set[str] = set()
        self._question = False  # whether the venue is to be asked what it knows of us
        self._waiting: dict[int, tuple[str, tuple[str, ...], float]] = {}  # request id: what was asked, and when
        self._wake = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._socket: Socket | None = None
        self._end = ""  # why the open socket is to be thrown away
        self._ids = self._turn = 0
        self.frames = self._frames_seen = 0
        self._heard_at = self._sent_at = 0.0

    @property
    def wanted(self) -> int:
        """How many streams are to be subscribed on this socket."""
        return len(self._wanted)

    def want(self, streams: Sequence[str]) -> None:
        """Subscribe, now or as soon as there is a socket. How many one socket takes is its user's care."""
        self._wanted.update(dict.fromkeys(streams))
        self._wake.set()
        if self._keeper is None:
            self._keeper = self._tasks.spawn(self._keep(), f"route {self._url}")

    def unwant(self, streams: Sequence[str]) -> None:
        for stream in streams:
            self._wanted.pop(stream, None)
        self._wake.set()

    def renew(self, streams: Sequence[str]) -> None:
        """Have the venue forget streams that are wanted and subscribe them anew: acknowledged is not heard."""
        self._doubted.update(stream for stream in streams if stream in self._asked)
        self._wake.set()

    def confirmed(self, stream: str) -> bool:
        """Whether the open socket has acknowledged the stream, which does not mean that it delivers."""
        return stream in self._wanted and stream in self._acknowledged

    def on_reply(self, reply: Reply) -> None:
        """An answer to one of our requests."""
        asked = self._waiting.pop(reply.id, None) if isinstance(reply.id, int) else None
        if reply.refusal:
            self._cut(f"a request was refused: {reply.refusal}")
        elif asked is not None and asked[0] == "SUBSCRIBE":
            self._acknowledged.update(stream for stream in asked[1] if self._asked.get(stream) == reply.id)
        elif asked is not None and asked[0] == "LIST_SUBSCRIPTIONS":
            listed = reply.result if isinstance(reply.result, list) else []
            if missing := self._acknowledged.difference(listed):
                self._cut(f"the venue has forgotten {len(missing)} subscriptions")

    async def close(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
        if self._socket is not None:
            await self._socket.close()

    # --- the socket -------------------------------------------------------------------------------------

    async def _keep(self) -> None:
        while True:
            while not self._wanted:  # a socket that nobody needs would only use up connects
                self._wake.clear()
                await self._wake.wait()
            await self._clock.sleep(self._connects.delay())
            self._end = ""
            try:
                self._socket = await self._sockets.connect(self._url, self._on_frame, self._closing())
            except NotSent as error:
                _log.warning("route_not_opened", url=self._url, error=str(error))
                self._connects.not_opened()
                continue
            self._renew()
            while not self._end:
                self._send_next()
                self._look()
                await self._pause()
            _log.warning("route_lost", url=self._url, reason=self._end)
            self._acknowledged.clear()
            self._on_lost(self, self._end)
            await self._socket.close()

    def _renew(self) -> None:
        """A new socket knows nothing of what was asked before."""
        self._asked.clear()
        self._doubted.clear()
        self._waiting.clear()
        self._question = False
        self._frames_seen, self._heard_at = self.frames, self._clock.monotonic()

    def _closing(self) -> Callable[[str], None]:
        """What the next socket tells its end to: an older one that ends late must not end its successor."""
        self._turn += 1
        turn = self._turn
        return lambda reason: self._cut(reason) if turn == self._turn else None

    def _cut(self, reason: str) -> None:
        self._end = self._end or reason
        self._wake.set()

    async def _pause(self) -> None:
        """Until something is to do: the next request's turn, a wake-up, the next look."""
        self._wake.clear()
        if self._end:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(PACE_S if self._next_request() else LOOK_S):
                await self._wake.wait()

    # --- requests ---------------------------------------------------------------------------------------

    def _next_request(self) -> tuple[str, tuple[str, ...]] | None:
        """What is to be asked next; None where the venue was asked for just what is wanted."""
        if new := [stream for stream in self._wanted if stream not in self._asked]:
            return "SUBSCRIBE", tuple(new[:NAMES_MAX])
        if old := [stream for stream in self._asked if stream not in self._wanted or stream in self._doubted]:
            return "UNSUBSCRIBE", tuple(old[:NAMES_MAX])
        return ("LIST_SUBSCRIPTIONS", ()) if self._question else None

    def _send_next(self) -> None:
        now = self._clock.monotonic()
        if self._socket is None or now - self._sent_at < PACE_S or (request := self._next_request()) is None:
            return
        method, streams = request
        self._ids += 1
        self._waiting[self._ids] = (method, streams, now)
        self._sent_at = now
        if method == "SUBSCRIBE":
            self._asked.update(dict.fromkeys(streams, self._ids))
        elif method == "UNSUBSCRIBE":
            for stream in streams:
                del self._asked[stream]
            self._acknowledged.difference_update(streams)
            self._doubted.difference_update(streams)
        else:
            self._question = False
        self._socket.send(_encode({"method": method, "params": streams, "id": self._ids}).decode())

    def _look(self) -> None:
        """The signs of a dead or mute socket."""
        now = self._clock.monotonic()
        if any(now - asked[2] > REPLY_S for asked in self._waiting.values()):
            self._cut(f"no answer to a request within {REPLY_S:.0f} s")
        elif self.frames != self._frames_seen:
            self._frames_seen, self._heard_at = self.frames, now
            self._connects.proven()
        elif self._acknowledged and now - self._heard_at > SILENT_S:
            if self._steady:
                self._cut(f"no data for {SILENT_S:.0f} s")
            elif not self._waiting:
                self._heard_at = now
                self._question = True

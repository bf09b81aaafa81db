"""A market that is somewhere else, followed as it happens: shadow trading is this simulator with the production venue's
book, trades and mark prices (design.md, modes).

Owns two sockets and one book's joint per symbol (binance.md 6.3); what it reads becomes feed events at the time of its
arrival. Refuses to send anything but public GETs: it has no key. A cut or a gap costs the book until the next snapshot,
as it would cost any client.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import msgspec
import structlog

from pms.binance.transport import Http, Lost, NotSent, Sockets
from pms.clock import Clock
from pms.sim.captures import DepthFrame, SnapshotFrame, TouchFrame
from pms.sim.model import DepthDiff, DepthSnapshot, FeedEvent, Mark, Print, Touch

HELD_MAX = 2_000  # frames that wait for a snapshot: more than three minutes of them
SNAPSHOT_PACE_S = 1.0  # between two asks: 20 of the 2 400 weight a minute each
SILENCE_S = 3.0  # the mark price alone comes each second: such a silence is a dead connection
AGAIN_S = (1.0, 30.0)  # the first and the longest wait between two attempts to connect

_log = structlog.get_logger("pms.sim.follow")


class FollowFailed(OSError):
    """The market can't be followed; the text says why and what to do."""


class TradeRow(msgspec.Struct, frozen=True, tag_field="e", tag="aggTrade"):
    """Trades at one price by one taker."""

    s: str
    p: Decimal
    q: Decimal
    m: bool


class MarkRow(msgspec.Struct, frozen=True, tag_field="e", tag="markPriceUpdate"):
    """Mark price `p`, index `i`, funding rate `r` and the time of the next funding `T`."""

    s: str
    p: Decimal
    i: Decimal
    r: Decimal
    T: int


class _Frame(msgspec.Struct, frozen=True):
    data: DepthFrame | TouchFrame | TradeRow | MarkRow


class _Symbols(msgspec.Struct, frozen=True):
    symbols: list[dict[str, Any]]


_decode_frame = msgspec.json.Decoder(_Frame).decode
_decode_snapshot = msgspec.json.Decoder(SnapshotFrame).decode
_decode_symbols = msgspec.json.Decoder(_Symbols).decode


async def listings(http: Http, symbols: Sequence[str]) -> tuple[dict[str, Any], ...]:
    """The `exchangeInfo` rows of these symbols. Raises `FollowFailed`."""
    rows = {row["symbol"]: row for row in _decode_symbols(await _get(http, "/fapi/v1/exchangeInfo")).symbols}
    if unknown := [symbol for symbol in symbols if symbol not in rows]:
        raise FollowFailed(f"the venue to follow has no symbol {', '.join(unknown)}. Name others with --symbols.")
    return tuple(rows[symbol] for symbol in symbols)


async def _get(http: Http, target: str) -> bytes:
    try:
        response = await http.request("GET", target, {})
    except (NotSent, Lost) as error:
        raise FollowFailed(
            f"the venue to follow does not answer: {error}. Look at its address and the network."
        ) from error
    if response.status != 200:
        raise FollowFailed(f"the venue to follow answers {response.status} to {target}: try again later.")
    return response.body


class Joint:
    """One symbol's frames and snapshot made one book. `lost` says that a snapshot is wanted."""

    def __init__(self, symbol: str) -> None:
        self._symbol = symbol
        self._held: deque[DepthFrame] = deque(maxlen=HELD_MAX)
        self._last = 0  # the update id that the book is at, 0 without one
        self._joined = False  # whether a frame has continued the snapshot

    @property
    def lost(self) -> bool:
        return not self._last and bool(self._held)

    @property
    def stands(self) -> bool:
        return bool(self._last)

    def reset(self) -> None:
        """The connection ended: what comes next does not continue what came before."""
        self._held.clear()
        self._last, self._joined = 0, False

    def frame(self, frame: DepthFrame, time: int) -> list[FeedEvent]:
        """What a depth frame changes; nothing while a snapshot is waited for."""
        if not self._last:
            self._held.append(frame)
            return []
        if frame.u < self._last:
            return []
        fits = frame.pu == self._last if self._joined else frame.U <= self._last <= frame.u
        if not fits:
            self.reset()
            self._held.append(frame)
            return []
        self._joined, self._last = True, frame.u
        return [DepthDiff(self._symbol, time, frame.b, frame.a, frame.U, frame.u, frame.pu)]

    def snapshot(self, snapshot: SnapshotFrame, time: int) -> list[FeedEvent]:
        """The book, and what was held and continues it; nothing where it is older than the oldest frame held."""
        later = [frame for frame in self._held if frame.u >= snapshot.last_update_id]
        if later and snapshot.last_update_id < later[0].U:
            return []
        self.reset()
        self._last = snapshot.last_update_id
        events: list[FeedEvent] = [DepthSnapshot(self._symbol, time, snapshot.bids, snapshot.asks, self._last)]
        for frame in later:
            events += self.frame(frame, time)
        return events


class Follower:
    """See the module. `streams` is the base URL of the market streams; `chance` gives [0, 1), for jitter."""

    def __init__(
        self,
        http: Http,
        sockets: Sockets,
        streams: str,
        symbols: Sequence[str],
        clock: Clock,
        chance: Callable[[], float],
    ) -> None:
        self._http = http
        self._sockets = sockets
        self._streams = streams
        self._joints = {symbol: Joint(symbol) for symbol in symbols}
        self._clock = clock
        self._chance = chance
        self._apply: Callable[[FeedEvent], None] = lambda event: None
        self._sees: Callable[[bool], None] = lambda seen: None
        self._seen = True
        self._heard_at = 0.0
        self._cut = ""
        self._life = 0  # of the connection: what a former one still tells is nobody's

    async def run(self, apply: Callable[[FeedEvent], None], sees: Callable[[bool], None]) -> None:
        """Follow for ever; `apply` is told each event, `sees` when the market is lost, and when every book is there
        again."""
        self._apply, self._sees = apply, sees
        wait = AGAIN_S[0]
        while True:
            try:
                await self._connected()
                wait = AGAIN_S[0]
            except NotSent as error:
                self._cut = str(error)
            self._show(False)
            _log.warning("market_lost", reason=self._cut, again_in_s=round(wait, 1))
            await self._clock.sleep(wait * (0.5 + self._chance() / 2))
            wait = min(2 * wait, AGAIN_S[1])

    async def _connected(self) -> None:
        """One connection's life. Raises `NotSent` where it does not begin."""
        self._cut, self._life = "", self._life + 1
        life = self._life
        for joint in self._joints.values():
            joint.reset()
        names = [symbol.lower() for symbol in self._joints]
        public = "/".join(f"{name}@depth@100ms/{name}@bookTicker" for name in names)
        market = "/".join(f"{name}@aggTrade/{name}@markPrice@1s" for name in names)
        open_ = []
        try:
            for route, streams in (("public", public), ("market", market)):
                url = f"{self._streams}/{route}/stream?streams={streams}"
                open_.append(await self._sockets.connect(url, self._on_frame, lambda reason: self._end(life, reason)))
            self._heard_at = self._clock.monotonic()
            while not self._cut:
                await self._clock.sleep(SNAPSHOT_PACE_S)
                await self._look()
        finally:
            for socket in open_:
                await socket.close()

    async def _look(self) -> None:
        if self._clock.monotonic() - self._heard_at > SILENCE_S:
            self._cut = self._cut or f"silent for more than {SILENCE_S:g} s"
        for symbol, joint in self._joints.items():
            if joint.lost and not self._cut:
                await self._ask(symbol, joint)
        if all(joint.stands for joint in self._joints.values()):
            self._show(True)

    def _show(self, seen: bool) -> None:
        if seen != self._seen:
            self._seen = seen
            self._sees(seen)

    async def _ask(self, symbol: str, joint: Joint) -> None:
        try:
            body = await _get(self._http, f"/fapi/v1/depth?symbol={symbol}&limit=1000")
        except FollowFailed as error:
            _log.warning("snapshot_not_had", symbol=symbol, reason=str(error))
            return
        for event in joint.snapshot(_decode_snapshot(body), self._clock.now_ms()):
            self._apply(event)

    def _end(self, life: int, reason: str) -> None:
        if life == self._life:
            self._cut = self._cut or reason or "closed"

    def _on_frame(self, frame: bytes) -> None:
        self._heard_at = self._clock.monotonic()
        try:
            row = _decode_frame(frame).data
        except msgspec.DecodeError as error:
            self._cut = f"a frame could not be read: {error}"
            return
        for event in self._events(row, self._clock.now_ms()):
            self._apply(event)

    def _events(self, row: DepthFrame | TouchFrame | TradeRow | MarkRow, now: int) -> Sequence[FeedEvent]:
        joint = self._joints.get(row.s)
        if joint is None or (not isinstance(row, DepthFrame) and not joint.stands):
            return ()  # what is told before there is a book has nothing to stand on
        match row:
            case DepthFrame():
                return joint.frame(row, now)
            case TouchFrame():
                return (Touch(row.s, now, row.b, row.B, row.a, row.A, row.u),)
            case TradeRow():
                return (Print(row.s, now, row.p, row.q, row.m),)
            case _:
                return (Mark(row.s, now, row.p, row.i, row.r, row.T),)

"""The venue as one object without sockets: requests in and answers out, stream sessions, timers.

Composes exchange, REST, streams, limits and listen keys; nothing else knows all of them. Refuses to know TCP, tasks and
waiting: a driver calls `tick` when `next_due` says so, and a shell or an in-memory transport carries the bytes.
Invariants: every entry is synchronous and whole; frames that an entry causes have been sent when it returns.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from pms.binance.transport import Response
from pms.sim import symbols
from pms.sim.auth import Keys
from pms.sim.exchange import Exchange, Settings
from pms.sim.hub import Hub
from pms.sim.journal import Journal
from pms.sim.limits import Limits, Meter
from pms.sim.listenkeys import ListenKeys
from pms.sim.model import FeedEvent
from pms.sim.params import Params, Request
from pms.sim.rest import Call, Rest
from pms.sim.routes_account import ROUTES as ACCOUNT_ROUTES
from pms.sim.routes_conditional import ROUTES as CONDITIONAL_ROUTES
from pms.sim.routes_market import ROUTES as MARKET_ROUTES
from pms.sim.routes_orders import ROUTES as ORDER_ROUTES
from pms.sim.session import GOING_AWAY, Session, address_of
from pms.sim.streams import Reads, Streams
from pms.sim.views import Kline
from pms.sim.ws_api import HANDSHAKE_WEIGHT, ApiSession, Asked, WsApi

ROUTES = (*MARKET_ROUTES, *ORDER_ROUTES, *CONDITIONAL_ROUTES, *ACCOUNT_ROUTES)
# A timer that is set between two looks (a countdown, an aggregate) is seen this late at most.
HEARTBEAT_MS = 100
S = TypeVar("S", Session, ApiSession)


class VenueSettings(msgspec.Struct, frozen=True):
    """What a venue is made of: its symbols, the API keys with their secrets, its limits and its seed. `listings` are
    the symbols' `exchangeInfo` rows where they are not the simulator's own."""

    api_keys: dict[str, str]
    symbols: Sequence[str] = symbols.SYMBOLS
    limits: Limits = Limits()
    exchange: Settings = Settings()
    seed: str = "0"
    listings: tuple[dict[str, Any], ...] = ()


class Venue:
    """The simulated Binance USD-M futures venue."""

    def __init__(self, settings: VenueSettings, now: Callable[[], int], journal: Journal | None = None) -> None:
        listings = settings.listings or symbols.rows(settings.symbols)
        self.listed = symbols.rules_by_name(listings)
        self.rules = dict(self.listed)
        self.hub = Hub()
        self.listen_keys = ListenKeys(settings.seed)
        self.meter = Meter(settings.limits)
        self.streams = Streams(self.hub, self.listen_keys, self.rules, now)
        self.exchange = Exchange(self.rules, now, self.streams, journal, settings.exchange)
        self.streams.connect(Reads(self.exchange.depth, self.exchange.mark, self._candles))
        self.sessions: dict[Session | ApiSession, None] = {}
        self._settings = settings
        self._rows = {row["symbol"]: row for row in listings}
        self._now = now
        self._ids_made = 0
        self._api_keys = Keys(settings.api_keys)
        self.rest = Rest(ROUTES, self._api_keys, self.meter, self._call, now)
        self._ws_api = WsApi(self.rest, self._api_keys, self.meter, settings.limits, now)

    @property
    def accounts(self) -> tuple[str, ...]:
        """The accounts that have an API key."""
        return tuple(self._settings.api_keys)

    def handle(self, request: Request) -> Response:
        """Answer one REST request. Frames that it caused have been sent before it returns."""
        response = self.rest.handle(request)
        self.streams.flush(self._now())
        return response

    def apply(self, event: FeedEvent) -> None:
        """Let one event of the feed happen."""
        self.exchange.apply(event)
        self.streams.flush(self._now())

    def open_stream(
        self, target: str, send: Callable[[bytes], None], close: Callable[[int, str], None], ip: str = "127.0.0.1"
    ) -> Session:
        """Open a stream connection. Raises `VenueError` with the HTTP status of a refused handshake."""
        now = self._now()
        address = address_of(target)
        self.meter.connect(ip, now)
        return self._known(Session(self.hub, address, now, send, close))

    def open_ws_api(
        self,
        send: Callable[[bytes], None],
        close: Callable[[int, str], None],
        carry: Callable[[ApiSession, Asked], None],
        ip: str = "127.0.0.1",
    ) -> ApiSession:
        """Open a connection of the WebSocket API; `carry` is given each request. Raises `VenueError` as above."""
        now = self._now()
        self.meter.connect(ip, now)
        self.meter.charge(ip, HANDSHAKE_WEIGHT, now)
        return self._known(ApiSession(self._ws_api, now, ip, send, close, carry))

    def _known(self, session: S) -> S:
        self.sessions = {known: None for known in self.sessions if known.open}
        self.sessions[session] = None
        return session

    def handle_ws(self, session: ApiSession, asked: Asked) -> Response:
        """Carry out one request of the WebSocket API. Frames that it caused have been sent before it returns."""
        response = session.execute(asked)
        self.streams.flush(self._now())
        return response

    def shut_down(self, after_ms: int) -> None:
        """Tell every connection of the WebSocket API that the server goes away (`serverShutdown`), and end it then."""
        now = self._now()
        for session in self.sessions:
            if isinstance(session, ApiSession):
                session.warn(now, now + after_ms)

    def expire_listen_keys(self, now: int) -> list[str]:
        """Let every listen key expire now, as after an hour without a sign of life; which ones."""
        return self.streams.expire_keys(now, self.listen_keys.expire_all())

    def change_rules(self, symbol: str, **changes: str) -> None:
        """Let a symbol have other rules from now on (`symbols.changed`), which no event tells."""
        row = self._rows[symbol] = symbols.changed(self._rows[symbol], **changes)
        self.rules[symbol] = symbols.rules_of(row)
        self.exchange.set_rules(self.rules[symbol])

    @property
    def skew_ms(self) -> int:
        """How far the clock that the venue shows, and by which it judges timestamps, goes before the engine's."""
        return self._api_keys.skew_ms

    @skew_ms.setter
    def skew_ms(self, milliseconds: int) -> None:
        self._api_keys.skew_ms = milliseconds

    def tick(self, now: int) -> None:
        """Do everything that is due at `now`: windows, marks, candles, expiries, countdowns, ends of connections."""
        self.exchange.tick(now)
        self.streams.tick(now)
        for session in [session for session in self.sessions if session.ends_at <= now]:
            session.end(GOING_AWAY, "24 hours are over")
            del self.sessions[session]

    def next_due(self, now: int) -> int:
        """When `tick` is wanted next: at the next timer, and at least every `HEARTBEAT_MS` aligned to the clock."""
        dues = [(now // HEARTBEAT_MS + 1) * HEARTBEAT_MS, self.streams.next_due(now)]
        if due := self.exchange.next_due():
            dues.append(due)
        return min(dues)

    def _call(self, account: str, params: Params, now: int) -> Call:
        return Call(
            exchange=self.exchange,
            rules=self.rules,
            info={"symbols": list(self._rows.values())},
            limits=self._settings.limits,
            keys=self.listen_keys,
            account=account,
            params=params,
            now=now,
            new_id=self._new_id,
            skew_ms=self.skew_ms,
        )

    def _new_id(self) -> str:
        """A client order id for an order sent without one: 22 characters, never the same twice."""
        self._ids_made += 1
        text = f"{self._settings.seed}|{self._ids_made}|{self._now()}"
        return hashlib.sha256(text.encode()).hexdigest()[:22]

    def _candles(self, symbol: str, start: int) -> list[Kline]:
        return self.exchange.klines(symbol, start=start, limit=24 * 60)

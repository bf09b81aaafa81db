"""A signing client on the in-process venue, with a market that moves only when it is told to."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from decimal import Decimal
from urllib.parse import urlencode

from pms.binance.transport import Response
from pms.sim.limits import Limits
from pms.sim.model import FeedEvent
from pms.sim.params import Request
from pms.sim.scripted import ScriptedMarket
from pms.sim.synthetic import Listing
from pms.sim.wire import Venue, VenueSettings
from pms.sim.ws_api import METHODS

START = 1_790_526_600_000  # a whole minute, and a whole 10 seconds
KEYS = {"alice": "s3cret", "bob": "0ther"}
LISTINGS = {
    "BTCUSDT": Listing("BTCUSDT", Decimal("0.10"), Decimal("0.001"), Decimal("84551.00")),
    "ETHUSDT": Listing("ETHUSDT", Decimal("0.01"), Decimal("0.001"), Decimal("2690.17")),
}


def sign(text: str, secret: str) -> str:
    """The hex HMAC that a client sends."""
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def signed(params: Mapping[str, str], key: str, now: int) -> str:
    """The query of a signed request."""
    query = urlencode({**params, "timestamp": str(now)})
    return f"{query}&signature={sign(query, KEYS[key])}"


class Wire:
    """A stream connection and what came over it."""

    def __init__(self, desk: Desk, target: str) -> None:
        self.frames: list[dict] = []
        self.closed: list[tuple[int, str]] = []
        self.session = desk.venue.open_stream(
            target, lambda raw: self.frames.append(json.loads(raw)), lambda *end: self.closed.append(end)
        )

    def events(self, name: str) -> list[dict]:
        """The bare frames of one event type, unwrapped where wrapped."""
        bare = [frame.get("data", frame) for frame in self.frames]
        return [frame for frame in bare if isinstance(frame, dict) and frame.get("e") == name]


NAMES = {route: name for name, route in METHODS.items()}


def api_params(params: Mapping[str, str], key: str, secret: str, now: int) -> dict[str, object]:
    """The parameters of a signed request over the WebSocket API."""
    sent = {**params, "apiKey": key, "timestamp": str(now)}
    text = "&".join(f"{name}={sent[name]}" for name in sorted(sent))
    return {**sent, "timestamp": now, "signature": sign(text, secret)}


class Api:
    """A connection of the WebSocket API and what came over it."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.frames: list[dict] = []
        self.closed: list[tuple[int, str]] = []
        self.session = desk.venue.open_ws_api(
            lambda raw: self.frames.append(json.loads(raw)),
            lambda *end: self.closed.append(end),
            lambda session, asked: session.tell(asked, desk.venue.handle_ws(session, asked)),
        )

    def say(self, text: str) -> dict:
        """One message as given; what it is answered."""
        self.session.on_text(text, self._desk.now)
        return self.frames[-1]

    def ask(self, method: str, params: Mapping[str, object], ident: object = 1) -> dict:
        """One request as given."""
        return self.say(json.dumps({"id": ident, "method": method, "params": params}))

    def call(self, method: str, key: str = "alice", **params: str) -> dict:
        """One signed request."""
        return self.ask(method, api_params(params, key, KEYS[key], self._desk.now))


class Desk:
    """A venue at a time of its own."""

    def __init__(self, limits: Limits | None = None, journal=None, keys: Mapping[str, str] | None = None) -> None:
        self.now = START
        settings = VenueSettings({**KEYS, **(keys or {})}, tuple(LISTINGS), limits or Limits(), seed="test")
        self.venue = Venue(settings, lambda: self.now, journal)
        self.markets = {symbol: ScriptedMarket(listing) for symbol, listing in LISTINGS.items()}
        for market in self.markets.values():
            self.apply(*market.open(self.now))

    def apply(self, *events: FeedEvent) -> None:
        """Let the market move."""
        for event in events:
            self.venue.apply(event)

    def wait(self, milliseconds: int) -> None:
        """Let time pass, with every timer called when it is due."""
        end = self.now + milliseconds
        while (due := self.venue.next_due(self.now)) <= end:
            self.now = due
            self.venue.tick(self.now)
        self.now = end

    def raw(self, method: str, path: str, query: str = "", key: str | None = "alice", body: str = "") -> Response:
        """One request as given."""
        headers = {} if key is None else {"x-mbx-apikey": key}
        return self.venue.handle(Request(method, f"{path}?{query}" if query else path, headers, body.encode()))

    def call(self, method: str, path: str, key: str = "alice", **params: str) -> Response:
        """One signed request; public routes ignore the signature."""
        return self.raw(method, path, signed(params, key, self.now), key)

    def ok(self, method: str, path: str, key: str = "alice", **params: str):
        """The decoded answer of a request that must succeed."""
        answer = self.call(method, path, key, **params)
        assert answer.status == 200, answer.body
        return json.loads(answer.body)

    def order(self, key: str = "alice", **changes: str):
        """A resting LIMIT order far from the market, but for `changes`."""
        params = {
            "symbol": "BTCUSDT",
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": "GTC",
            "quantity": "0.010",
            "price": "84000.00",
        }
        return self.ok("POST", "/fapi/v1/order", key, **{**params, **changes})

    def stream(self, target: str) -> Wire:
        """Open a stream connection."""
        return Wire(self, target)

    def private(self, key: str = "alice") -> Wire:
        """A private socket on the account's listen key."""
        answer = self.raw("POST", "/fapi/v1/listenKey", key=key)
        return self.stream(f"/private/ws/{json.loads(answer.body)['listenKey']}")

    def api(self) -> Api:
        """Open a connection of the WebSocket API."""
        return Api(self)

"""The WebSocket API: requests over one socket, carried out by the very routes of REST (binance.md 3.6).

Owns the form of requests and answers, sessions and their logon, and which method is which route. Refuses to know what a
route does, and the fault script: the gate lets a request pass, or spoils it. Invariants: a method is checked, weighed
and counted as its route is; each request has one answer at most, with its own id; an answer that is scripted as
something else than JSON is sent as it is, and then names nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from pms.binance.transport import Response
from pms.sim.auth import Keys, not_permitted
from pms.sim.limits import Limits, Meter
from pms.sim.model import VenueError
from pms.sim.params import Params, Request, not_valid
from pms.sim.rest import Rest, Route, refusal
from pms.sim.session import LIFE_MS

PATH = "/ws-fapi/v1"
HANDSHAKE_WEIGHT = 5
SESSION_WEIGHT = 2
METHODS: Mapping[str, tuple[str, str]] = {
    "order.place": ("POST", "/fapi/v1/order"),
    "order.modify": ("PUT", "/fapi/v1/order"),
    "order.cancel": ("DELETE", "/fapi/v1/order"),
    "order.status": ("GET", "/fapi/v1/order"),
    "algoOrder.place": ("POST", "/fapi/v1/algoOrder"),
    "algoOrder.cancel": ("DELETE", "/fapi/v1/algoOrder"),
    "account.balance": ("GET", "/fapi/v2/balance"),
    "v2/account.balance": ("GET", "/fapi/v3/balance"),
    "account.status": ("GET", "/fapi/v2/account"),
    "v2/account.status": ("GET", "/fapi/v3/account"),
    "account.position": ("GET", "/fapi/v2/positionRisk"),
    "v2/account.position": ("GET", "/fapi/v3/positionRisk"),
    "userDataStream.start": ("POST", "/fapi/v1/listenKey"),
    "userDataStream.ping": ("PUT", "/fapi/v1/listenKey"),
    "userDataStream.stop": ("DELETE", "/fapi/v1/listenKey"),
    "depth": ("GET", "/fapi/v1/depth"),
    "ticker.price": ("GET", "/fapi/v1/ticker/price"),
    "ticker.book": ("GET", "/fapi/v1/ticker/bookTicker"),
}
SESSION_METHODS = ("session.logon", "session.status", "session.logout")
_OF_THE_WIRE = ("apiKey", "signature", "returnRateLimits")  # no parameters of a route
_COUNTERS = (
    ("x-mbx-used-weight-1m", "REQUEST_WEIGHT", "MINUTE", 1, "weight_1m"),
    ("x-mbx-order-count-10s", "ORDERS", "SECOND", 10, "orders_10s"),
    ("x-mbx-order-count-1m", "ORDERS", "MINUTE", 1, "orders_1m"),
)


class _Frame(msgspec.Struct):
    """A client's message. The id is echoed as it came."""

    method: str
    params: dict[str, msgspec.Raw] = {}
    id: int | str | None = None


class Asked(msgspec.Struct, frozen=True):
    """One request: its parameters as texts, and the request of REST that it stands for."""

    id: int | str | None
    method: str
    values: dict[str, str]
    request: Request


class ApiSession:
    """An open socket. The transport calls `on_text` and `on_close`; the gate calls `execute`, then `tell`."""

    def __init__(
        self,
        api: WsApi,
        now: int,
        ip: str,
        send: Callable[[bytes], None],
        close: Callable[[int, str], None],
        carry: Callable[[ApiSession, Asked], None],
    ) -> None:
        self.ends_at = now + LIFE_MS
        self.open = True
        self.opened_at = now
        self.account = ""  # who has logged on
        self.authorized_at = 0
        self.ip = ip
        self._api = api
        self._send = send
        self._close = close
        self._carry = carry

    def on_text(self, text: str | bytes, now: int) -> None:
        """Take one message; what is no request at all is refused at once."""
        try:
            asked = self._read(text)
        except VenueError as error:
            self._answer(None, refusal(error), True)
            return
        self._carry(self, asked)

    def _read(self, text: str | bytes) -> Asked:
        try:
            frame = msgspec.json.decode(text, type=_Frame)
            values = {name: _text(name, raw) for name, raw in frame.params.items() if raw != b"null"}
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise VenueError(-1135, f"Invalid JSON Request: {error}") from None
        method, path = METHODS.get(frame.method, ("WS", f"{PATH}/{frame.method}"))
        query = "&".join(f"{name}={value}" for name, value in values.items())
        return Asked(frame.id, frame.method, values, Request(method, f"{path}?{query}", ip=self.ip, transport="ws"))

    def execute(self, asked: Asked) -> Response:
        """Carry the request out, once."""
        return self._api.execute(self, asked)

    def tell(self, asked: Asked, response: Response) -> None:
        """Answer a request."""
        self._answer(asked.id, response, asked.values.get("returnRateLimits") != "false")

    def _answer(self, ident: int | str | None, response: Response, counted: bool) -> None:
        if self.open:
            self._send(self._api.envelope(ident, response, counted))

    def warn(self, now: int, ends_at: int) -> None:
        """Tell that the server goes away at `ends_at` (binance.md 1.3)."""
        self.ends_at = min(self.ends_at, ends_at)
        if self.open:
            self._send(msgspec.json.encode({"event": {"e": "serverShutdown", "E": now}}))

    def on_close(self) -> None:
        """The transport has ended."""
        self.open = False

    def end(self, code: int, reason: str) -> None:
        """Close from the venue's side."""
        if self.open:
            self.on_close()
            self._close(code, reason)


class WsApi:
    """Carries out what sessions ask, through REST's routes."""

    def __init__(self, rest: Rest, keys: Keys, meter: Meter, limits: Limits, now: Callable[[], int]) -> None:
        self._rest = rest
        self._keys = keys
        self._meter = meter
        self._limits = limits
        self._now = now

    def execute(self, session: ApiSession, asked: Asked) -> Response:
        """The answer in the form of REST's."""
        now = self._now()
        route = self._rest.routes.get(METHODS.get(asked.method, ("", "")))
        if route is not None:
            values = {name: value for name, value in asked.values.items() if name not in _OF_THE_WIRE}
            return self._rest.answer(
                route, values, asked.request, lambda params: self._account(session, route, asked.values, now), now
            )
        try:
            body = self._session(session, asked, now)
        except VenueError as error:
            return self._rest.counted(refusal(error), asked.request, now)
        return self._rest.counted(Response(200, {}, msgspec.json.encode(body)), asked.request, now)

    def _account(self, session: ApiSession, route: Route, values: Mapping[str, str], now: int) -> str:
        """Who asks: by key and signature, or by the session's logon, which replaces both."""
        if route.security == "NONE":
            return ""
        params = Params(values)
        if session.account and "apiKey" not in params and "signature" not in params:
            if route.security == "SIGNED":
                self._keys.verify_time(params, now)
            return session.account
        account = self._keys.identify(values.get("apiKey"))
        if route.security == "SIGNED":
            self._keys.verify_text(account, signed_text(values), params, now)
        return account

    def _session(self, session: ApiSession, asked: Asked, now: int) -> object:
        """Logon, logout, and who is on. HMAC and RSA keys can't log on (binance.md 1.3)."""
        if asked.method not in SESSION_METHODS:
            raise VenueError(-1020, "This operation is not supported.")
        self._meter.charge(session.ip, SESSION_WEIGHT, now)
        if asked.method == "session.logon":
            account = self._keys.identify(asked.values.get("apiKey"))
            if not self._keys.may_log_on(account):
                raise not_permitted()
            self._keys.verify_text(account, signed_text(asked.values), Params(asked.values), now)
            session.account, session.authorized_at = account, now
        elif asked.method == "session.logout":
            session.account, session.authorized_at = "", 0
        return {
            "apiKey": session.account or None,
            "authorizedSince": session.authorized_at or None,
            "connectedSince": session.opened_at,
            "returnRateLimits": True,
            "serverTime": now,
        }

    def envelope(self, ident: int | str | None, response: Response, counted: bool) -> bytes:
        """An answer as a frame."""
        try:
            body = msgspec.json.decode(response.body, type=msgspec.Raw)
        except msgspec.MsgspecError:
            return response.body
        told: dict[str, object] = {"id": ident, "status": response.status}
        if response.status == 200:
            told["result"] = body
        else:
            told["error"] = self._error(body, response.headers)
        if counted:
            told["rateLimits"] = [
                {"rateLimitType": kind, "interval": interval, "intervalNum": number,
                 "limit": getattr(self._limits, limit), "count": int(response.headers[header])}
                for header, kind, interval, number, limit in _COUNTERS
                if header in response.headers
            ]  # fmt: skip
        return msgspec.json.encode(told)

    def _error(self, body: msgspec.Raw, headers: Mapping[str, str]) -> object:
        """The error, with the moment from which one may ask again where REST has `Retry-After`."""
        seconds = next((value for name, value in headers.items() if name.lower() == "retry-after"), None)
        if seconds is None:
            return body
        now = self._now()
        error: dict[str, object] = msgspec.json.decode(body)
        return error | {"data": {"serverTime": now, "retryAfter": now + int(seconds) * 1_000}}


def signed_text(values: Mapping[str, str]) -> str:
    """What the client signed: all parameters by name but the signature (binance.md 2)."""
    return "&".join(f"{name}={values[name]}" for name in sorted(values) if name != "signature")


def _text(name: str, raw: msgspec.Raw) -> str:
    """A parameter's text: of a number and of a flag, as it was written."""
    text = bytes(raw).decode()
    if text.startswith('"'):
        return str(msgspec.json.decode(raw, type=str))
    if text[0] in "[{":
        raise not_valid(name)
    return text

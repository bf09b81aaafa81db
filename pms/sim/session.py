"""One stream connection: its address, its subscriptions and what the client may say on it (binance.md 1.2, 6.1, 10a).

Owns the subscription protocol. Refuses to know transport (it is given `send` and `close`) and where frames come from.
Invariants: every name is acknowledged, whether it exists or not; only names of this socket's route deliver;
a closed session sends nothing and stands in no index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from urllib.parse import parse_qsl, unquote

import msgspec

from pms.sim import names
from pms.sim.hub import Filter, Hub
from pms.sim.model import VenueError

STREAMS_MAX = 1_024  # per connection
MESSAGES_MAX = 10  # client messages per second
LIFE_MS = 86_400_000  # a connection lives 24 hours
POLICY = 1008  # close code of a client that breaks a rule
GOING_AWAY = 1001  # close code at the end of the 24 hours
_ROUTES: tuple[names.Route, ...] = ("public", "market", "private")


class Address(msgspec.Struct, frozen=True):
    """What a stream URL asks for: route, form and first subscriptions."""

    route: names.Route
    combined: bool
    streams: tuple[str, ...] = ()
    keys: tuple[tuple[str, Filter], ...] = ()


def address_of(target: str) -> Address:
    """Read a stream URL's path and query; a path that is no stream path is refused with 404."""
    path, _, query = target.partition("?")
    parts = [unquote(part) for part in path.split("/") if part]
    route: names.Route = "legacy"
    for known in _ROUTES:
        if parts and parts[0] == known:
            route, parts = known, parts[1:]
            break
    if not parts or parts[0] not in ("ws", "stream"):
        raise VenueError(0, "Not Found", 404)
    combined = parts[0] == "stream"
    keys, streams = _query(query)
    if combined:
        return Address(route, True, streams, keys)
    return Address(route, False, (*parts[1:], *streams), keys)


def _query(query: str) -> tuple[tuple[tuple[str, Filter], ...], tuple[str, ...]]:
    """`listenKey=k&events=A/B`, repeatable, an `events` belonging to the key before it; and `streams=a/b`."""
    keys: list[tuple[str, Filter]] = []
    streams: list[str] = []
    for name, value in parse_qsl(query):
        if name == "streams":
            streams.extend(part for part in value.split("/") if part)
        elif name == "listenKey":
            keys.append((value, Filter(by_event=True)))
        elif name == "events" and keys:
            keys[-1] = (keys[-1][0], Filter(frozenset(value.split("/")), by_event=True))
    return tuple(keys), tuple(streams)


class _Asked(msgspec.Struct):
    """A client's message. The id may be a number, a text or missing; it is echoed as it came."""

    method: str
    params: list[str | bool] = []
    id: int | str | None = None


class Session:
    """An open connection. The transport calls `on_text` and `on_close`; the venue calls `deliver`."""

    def __init__(
        self, hub: Hub, address: Address, now: int, send: Callable[[bytes], None], close: Callable[[int, str], None]
    ) -> None:
        self.route = address.route
        self.combined = address.combined
        self.ends_at = now + LIFE_MS
        self._hub = hub
        self._send = send
        self._close = close
        self._names: dict[str, names.Stream | None] = {}
        self.open = True
        self._second = 0
        self._messages = 0
        for key, how in address.keys:
            self._names[key] = None
            if self.route == "private":
                hub.listen(self, key, how)
        self._subscribe(address.streams)

    def deliver(self, frame: bytes) -> None:
        """Send one frame."""
        if self.open:
            self._send(frame)

    def on_text(self, text: str | bytes, now: int) -> None:
        """Answer one client message; more than 10 in a second close the connection with 1008."""
        if not self.open:
            return
        if now // 1_000 != self._second:
            self._second, self._messages = now // 1_000, 0
        self._messages += 1
        if self._messages > MESSAGES_MAX:
            self.end(POLICY, "Too many requests")
            return
        try:
            asked = msgspec.json.decode(text, type=_Asked)
        except msgspec.ValidationError as error:
            self._refuse(2, f"Invalid request: {error}", None)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self._refuse(3, f"Invalid JSON: {error}", None)
        else:
            self._answer(asked)

    def on_close(self) -> None:
        """The transport has ended: leave every index."""
        self.open = False
        self._unsubscribe(list(self._names))

    def end(self, code: int, reason: str) -> None:
        """Close from the venue's side."""
        if self.open:
            self.on_close()
            self._close(code, reason)

    def _answer(self, asked: _Asked) -> None:
        params = [param for param in asked.params if isinstance(param, str)]
        if asked.method == "SUBSCRIBE" and params:
            if self._subscribe(params):
                self._result(None, asked.id)
        elif asked.method == "UNSUBSCRIBE" and params:
            self._unsubscribe(params)
            self._result(None, asked.id)
        elif asked.method == "LIST_SUBSCRIPTIONS":
            self._result(list(self._names), asked.id)
        elif asked.method == "SET_PROPERTY" and len(asked.params) == 2 and isinstance(asked.params[1], bool):
            self.combined = asked.params[1]
            self._result(None, asked.id)
        elif asked.method == "GET_PROPERTY":
            self._result(self.combined, asked.id)
        else:
            self._refuse(2, f"Invalid request: unknown method or parameters for {asked.method}", asked.id)

    def _subscribe(self, wanted: Iterable[str]) -> bool:
        """Add names; the 1025th is answered with an error and ends the connection."""
        for name in wanted:
            if name in self._names:
                continue
            if len(self._names) >= STREAMS_MAX:
                self._refuse(4, f"Too many subscriptions: the maximum is {STREAMS_MAX} streams per connection", None)
                self.end(POLICY, "Too many subscriptions")
                return False
            stream = names.parse(name)
            self._names[name] = stream
            if stream is not None and names.delivers(self.route, stream.kind):
                self._hub.attach(self, stream)
            elif stream is None and self.route == "private":
                self._hub.listen(self, name, Filter())
        return True

    def _unsubscribe(self, unwanted: Iterable[str]) -> None:
        for name in unwanted:
            stream = self._names.pop(name, None)
            if stream is not None:
                self._hub.detach(self, stream)
            else:
                self._hub.unlisten(self, name)

    def _result(self, result: object, ident: int | str | None) -> None:
        self.deliver(msgspec.json.encode({"result": result, "id": ident}))

    def _refuse(self, code: int, message: str, ident: int | str | None) -> None:
        answer: dict[str, object] = {"error": {"code": code, "msg": message}}
        if ident is not None:
            answer["id"] = ident
        self.deliver(msgspec.json.encode(answer))

"""Who listens to what: the index from stream names and listen keys to sessions, and the fan-out of a frame.

Owns the index. Refuses to know how frames come about and what a session says.
Invariants: a frame is encoded once by its producer and wrapped at most once per label, never once per subscriber;
a name or key without listener has no entry.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from pms.sim.names import Kind, Stream


class Listener(Protocol):
    """What the hub needs of a session."""

    combined: bool

    def deliver(self, frame: bytes) -> None:
        """Take one frame; silently without effect once closed."""
        ...


class Filter(msgspec.Struct, frozen=True):
    """How one session listens to one listen key (binance.md 1.2).

    `events` None means every event. `by_event`: the wrapper's `stream` is the event's name instead of the key.
    """

    events: frozenset[str] | None = None
    by_event: bool = False


def wrap(label: str, frame: bytes) -> bytes:
    """The combined form of a frame. `label` is a stream name, a listen key or an event name."""
    return b'{"stream":%s,"data":%s}' % (msgspec.json.encode(label), frame)


class Hub:
    """The venue's subscriptions."""

    def __init__(self) -> None:
        self._sessions: dict[str, dict[Listener, None]] = {}
        self._wanted: dict[tuple[Kind, str], dict[str, Stream]] = {}
        self._keys: dict[str, dict[Listener, Filter]] = {}

    def attach(self, session: Listener, stream: Stream) -> None:
        """Deliver `stream` to `session` from now on."""
        self._sessions.setdefault(stream.name, {})[session] = None
        self._wanted.setdefault((stream.kind, stream.symbol), {})[stream.name] = stream

    def detach(self, session: Listener, stream: Stream) -> None:
        """Stop delivering; the stream is forgotten with its last listener."""
        sessions = self._sessions.get(stream.name)
        if sessions is None:
            return
        sessions.pop(session, None)
        if sessions:
            return
        del self._sessions[stream.name]
        wanted = self._wanted[stream.kind, stream.symbol]
        del wanted[stream.name]
        if not wanted:
            del self._wanted[stream.kind, stream.symbol]

    def heard(self, name: str) -> bool:
        """Whether someone listens to a stream name."""
        return name in self._sessions

    def wanted(self, kind: Kind, symbol: str) -> tuple[Stream, ...]:
        """The streams of a kind and symbol that someone listens to."""
        found = self._wanted.get((kind, symbol))
        return tuple(found.values()) if found else ()

    def all_wanted(self, kind: Kind) -> list[Stream]:
        """The streams of a kind that someone listens to, of every symbol."""
        return [stream for (of, _), found in self._wanted.items() if of == kind for stream in found.values()]

    def publish(self, name: str, frame: bytes) -> None:
        """Send one encoded frame to the listeners of a stream name."""
        wrapped = b""
        for session in list(self._sessions.get(name, ())):
            if session.combined:
                wrapped = wrapped or wrap(name, frame)
                session.deliver(wrapped)
            else:
                session.deliver(frame)

    def listen(self, session: Listener, key: str, how: Filter) -> None:
        """Deliver the user events of a listen key. A bogus key is accepted: it will never have an event."""
        self._keys.setdefault(key, {})[session] = how

    def unlisten(self, session: Listener, key: str) -> None:
        """Stop delivering the user events of a key."""
        listeners = self._keys.get(key)
        if listeners is None:
            return
        listeners.pop(session, None)
        if not listeners:
            del self._keys[key]

    def tell(self, key: str, event: str, frame: bytes) -> None:
        """Send one encoded user event to the listeners of a listen key."""
        for session, how in list(self._keys.get(key, {}).items()):
            if how.events is None or event in how.events:
                session.deliver(wrap(event if how.by_event else key, frame) if session.combined else frame)

"""The fault script: rules as data, and which rule a request, a socket or a frame meets.

Owns the rules and how often each has matched. Refuses to know time, sockets and what a request means: it sees method,
path and parameters. Chance comes through a seeded port, so that a run can be repeated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Literal, Protocol

import msgspec

from pms.sim.model import VenueError
from pms.sim.params import Request, pairs_of

ABNORMAL = 1006  # a close code that is never sent: the connection just ends


Ms = Annotated[int, msgspec.Meta(ge=0)]
"""Milliseconds from 0 up."""
Count = Annotated[int, msgspec.Meta(ge=0)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Chance(Protocol):
    """A seeded source of numbers in [0, 1)."""

    def random(self) -> float: ...


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="fault"):
    """What every fault has: when it strikes, counted from the simulator's start or from when it was sent to it.

    It strikes at `at_ms`, and with `every_ms` again and again, `times` in all (0: for ever), each time up to
    `jitter_ms` later by the seed.
    """

    at_ms: Ms = 0
    every_ms: Ms = 0
    times: Count = 1
    jitter_ms: Ms = 0


class OnRequest(Fault, frozen=True, forbid_unknown_fields=True, tag="request"):
    """What happens to a matching request. Empty `method` or `path` match all; a path ending in `*` is a prefix. What
    comes over the WebSocket API matches as the request of REST that it stands for, unless `transport` names the other.

    `status` > 0 answers instead of the venue: `body` as given, else `{"code","msg"}`; with `execute` the venue has
    carried the request out all the same. `lose`: the connection ends without an answer, before or after the venue has
    executed the request. `count` 0 means for ever, `skip` lets the first pass. It is counted as `name`.
    """

    name: str = "request"
    method: str = ""
    path: str = ""
    transport: Literal["", "rest", "ws"] = ""
    params: dict[str, str] = {}
    skip: Count = 0
    count: Count = 1
    probability: Share = 1.0
    delay_before_ms: Ms = 0
    delay_after_ms: Ms = 0
    execute: bool = False
    status: int = 0
    code: int = 0
    msg: str = ""
    headers: dict[str, str] = {}
    body: str | None = None
    lose: Literal["", "before", "after"] = ""


class OnSocket(Fault, frozen=True, forbid_unknown_fields=True, tag="socket"):
    """What happens to a matching socket, from its opening on. `path` as in OnRequest, over the stream URL's path.

    `refuse` > 0 answers the handshake with that HTTP status. A muted socket stays open and says nothing.
    """

    name: str = "socket"
    path: str = ""
    skip: Count = 0
    count: Count = 1
    probability: Share = 1.0
    refuse: int = 0
    delay_ms: Ms = 0
    mute_after_ms: Ms | None = None
    cut_after_ms: Ms | None = None
    cut_code: int = ABNORMAL


class OnFrame(Fault, frozen=True, forbid_unknown_fields=True, tag="frame"):
    """What happens to a matching frame on its way out. `path` as in OnSocket; `events` are names of `e`, none of them
    means every frame that has one; `symbol` binds it to one.

    `drop` loses it, `twice` sends it again, `swap` sends it after the next one (after `ms` at the latest), `late` sends
    it `ms` later, past others; `garble` cuts it in two and keeps the first half; `cross` adds to a depth frame a bid
    far above every ask.
    """

    name: str = "frame"
    path: str = ""
    events: tuple[str, ...] = ()
    symbol: str = ""
    skip: Count = 0
    count: Count = 1
    probability: Share = 1.0
    do: Literal["drop", "twice", "swap", "late", "garble", "cross"] = "drop"
    ms: Ms = 1_000


Rule = OnRequest | OnSocket | OnFrame


def _covers(pattern: str, path: str) -> bool:
    return path.startswith(pattern[:-1]) if pattern.endswith("*") else pattern in ("", path)


def _shows(rule: OnFrame, frame: bytes) -> bool:
    """Whether a frame is of those that a rule means. The venue writes no blanks."""
    named = [f'"e":"{event}"'.encode() in frame for event in rule.events] or [b'"e":"' in frame]
    return any(named) and (not rule.symbol or f'"s":"{rule.symbol}"'.encode() in frame)


class Script:
    """The rules with how often each has matched. The first rule that matches decides."""

    def __init__(self, rules: Iterable[Rule], chance: Chance) -> None:
        self._rules: list[Rule] = []
        self._seen: list[int] = []
        self._chance = chance
        self.fired: Counter[str] = Counter()
        """How often a rule has struck, by its name."""
        self.frames = False
        """Whether any rule is about frames."""
        for rule in rules:
            self.add(rule)

    @property
    def standing(self) -> list[Rule]:
        """The rules that may still strike."""
        pairs = zip(self._rules, self._seen, strict=True)
        return [rule for rule, seen in pairs if not rule.count or seen < rule.skip + rule.count]

    def add(self, rule: Rule) -> None:
        """Append a rule."""
        self._rules.append(rule)
        self._seen.append(0)
        self.frames = self.frames or isinstance(rule, OnFrame)

    def remove(self, rule: Rule) -> None:
        """Take a rule away; nothing happens where it is gone already."""
        for index, known in enumerate(self._rules):
            if known is rule:
                del self._rules[index], self._seen[index]
                return

    def clear(self) -> None:
        """Forget every rule; what has struck stays counted."""
        self._rules.clear()
        self._seen.clear()
        self.frames = False

    def for_request(self, request: Request) -> OnRequest | None:
        """The rule that this request meets."""
        if not self._rules:
            return None
        path, _, query = request.target.partition("?")
        for index, rule in enumerate(self._rules):
            if isinstance(rule, OnRequest) and rule.method in ("", request.method) and _covers(rule.path, path):
                if (
                    rule.transport in ("", request.transport)
                    and self._has(rule, query, request.body)
                    and self._spends(index, rule)
                ):
                    return rule
        return None

    def for_socket(self, target: str) -> OnSocket | None:
        """The rule that this socket meets."""
        path = target.partition("?")[0]
        for index, rule in enumerate(self._rules):
            if isinstance(rule, OnSocket) and _covers(rule.path, path) and self._spends(index, rule):
                return rule
        return None

    def for_frame(self, path: str, frame: bytes) -> OnFrame | None:
        """The rule that this frame meets on a socket of that path."""
        for index, rule in enumerate(self._rules):
            if isinstance(rule, OnFrame) and _covers(rule.path, path) and _shows(rule, frame):
                if self._spends(index, rule):
                    return rule
        return None

    @staticmethod
    def _has(rule: OnRequest, query: str, body: bytes) -> bool:
        if not rule.params:
            return True
        try:
            values = {**pairs_of(body.decode("utf-8", "replace")), **pairs_of(query)}
        except VenueError:
            return False
        return all(values.get(name) == value for name, value in rule.params.items())

    def _spends(self, index: int, rule: Rule) -> bool:
        if rule.count and self._seen[index] >= rule.skip + rule.count:
            return False
        if rule.probability < 1.0 and self._chance.random() >= rule.probability:
            return False
        self._seen[index] += 1
        if self._seen[index] <= rule.skip:
            return False
        self.fired[rule.name] += 1
        return True

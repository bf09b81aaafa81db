"""The fault script: rules as data, and which rule a request or a socket meets.

Owns the rules and how often each has matched. Refuses to know time, sockets and what a request means: it sees method,
path and parameters. Chance comes through a seeded port, so that a run can be repeated.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Protocol

import msgspec

from pms.sim.model import VenueError
from pms.sim.params import Request, pairs_of

ABNORMAL = 1006  # a close code that is never sent: the connection just ends


class Chance(Protocol):
    """A seeded source of numbers in [0, 1)."""

    def random(self) -> float: ...


class OnRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="request", tag_field="on"):
    """What happens to a matching request. Empty `method` or `path` match all; a path ending in `*` is a prefix. What
    comes over the WebSocket API matches as the request of REST that it stands for, unless `transport` names the other.

    `status` > 0 answers instead of the venue: `body` as given, else `{"code","msg"}`; with `execute` the venue has
    carried the request out all the same. `lose`: the connection ends without an answer, before or after the venue has
    executed the request. `count` 0 means for ever, `skip` lets the first pass.
    """

    method: str = ""
    path: str = ""
    transport: Literal["", "rest", "ws"] = ""
    params: dict[str, str] = {}
    skip: int = 0
    count: int = 1
    probability: float = 1.0
    delay_before_ms: int = 0
    delay_after_ms: int = 0
    execute: bool = False
    status: int = 0
    code: int = 0
    msg: str = ""
    headers: dict[str, str] = {}
    body: str | None = None
    lose: Literal["", "before", "after"] = ""


class OnSocket(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="socket", tag_field="on"):
    """What happens to a matching socket, from its opening on. `path` as in OnRequest, over the stream URL's path.

    `refuse` > 0 answers the handshake with that HTTP status. A muted socket stays open and says nothing.
    """

    path: str = ""
    skip: int = 0
    count: int = 1
    probability: float = 1.0
    refuse: int = 0
    delay_ms: int = 0
    mute_after_ms: int | None = None
    cut_after_ms: int | None = None
    cut_code: int = ABNORMAL


Rule = OnRequest | OnSocket


def decode_rules(text: bytes) -> list[Rule]:
    """Read a fault file: a JSON list of rules. Raises `msgspec.ValidationError` naming the wrong field."""
    return msgspec.json.decode(text, type=list[Rule])


def _covers(pattern: str, path: str) -> bool:
    return path.startswith(pattern[:-1]) if pattern.endswith("*") else pattern in ("", path)


class Script:
    """The rules with how often each has matched. The first rule that matches decides."""

    def __init__(self, rules: Iterable[Rule], chance: Chance) -> None:
        self._rules: list[Rule] = list(rules)
        self._seen: list[int] = [0] * len(self._rules)
        self._chance = chance

    def add(self, rule: Rule) -> None:
        """Append a rule."""
        self._rules.append(rule)
        self._seen.append(0)

    def clear(self) -> None:
        """Forget every rule."""
        self._rules.clear()
        self._seen.clear()

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
        return self._seen[index] > rule.skip

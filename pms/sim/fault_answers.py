"""Faults of requests and their answers: lost, late, slow, unreadable, refused, limited (binance.md 5).

Owns what each kind takes and does. Refuses to know when it strikes. What comes over the WebSocket API is struck as the
request of REST that it stands for, unless `transport` names the other.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from pms.sim.fault_stage import Stage, kind_of
from pms.sim.params import Request
from pms.sim.script import Count, Fault, Ms, OnRequest, Share

LOCAL = "127.0.0.1"
NOBODY = "nobody"  # who pays for the simulator's own questions


class Answer(Fault, frozen=True, forbid_unknown_fields=True):
    """Strikes `count` requests (0: all from then on) that match, after `skip` of them, each with `probability`."""

    method: str = ""
    path: str = ""
    transport: Literal["", "rest", "ws"] = ""
    params: dict[str, str] = msgspec.field(default_factory=dict)
    skip: Count = 0
    count: Count = 1
    probability: Share = 1.0

    def on(self, **what: Any) -> OnRequest:
        return OnRequest(
            name=kind_of(self),
            method=self.method,
            path=self.path,
            transport=self.transport,
            params=self.params,
            skip=self.skip,
            count=self.count,
            probability=self.probability,
            **what,
        )


class AnswerLost(Answer, frozen=True, forbid_unknown_fields=True, tag="answer_lost"):
    """The connection ends without an answer, before or after the venue has executed the request."""

    when: Literal["before", "after"] = "after"

    def strike(self, stage: Stage) -> None:
        stage.rule(self.on(lose=self.when))


class AnswerLate(Answer, frozen=True, forbid_unknown_fields=True, tag="answer_late"):
    """The request is executed at once and answered `ms` later; beyond 5 s nobody waits for it any more."""

    ms: Ms = 3_000

    def strike(self, stage: Stage) -> None:
        stage.rule(self.on(delay_after_ms=self.ms))


class RequestSlow(Answer, frozen=True, forbid_unknown_fields=True, tag="request_slow"):
    """The request is executed `ms` after it came."""

    ms: Ms = 500

    def strike(self, stage: Stage) -> None:
        stage.rule(self.on(delay_before_ms=self.ms))


class AnswerGarbage(Answer, frozen=True, forbid_unknown_fields=True, tag="answer_garbage"):
    """HTTP 200 with a body that is none of the venue's; `execute`: the request was carried out all the same."""

    body: str = "<html>welcome</html>"
    execute: bool = True

    def strike(self, stage: Stage) -> None:
        stage.rule(self.on(status=200, body=self.body, execute=self.execute))


class AnswerRefused(Answer, frozen=True, forbid_unknown_fields=True, tag="answer_refused"):
    """Any HTTP status and code of the venue's, as `{"code","msg"}` or as `body`; `execute`: carried out none the
    less."""

    status: Annotated[int, msgspec.Meta(ge=200, le=599)] = 503
    code: int = 0
    msg: str = ""
    body: str | None = None
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    execute: bool = False

    def strike(self, stage: Stage) -> None:
        stage.rule(
            self.on(
                status=self.status,
                code=self.code,
                msg=self.msg,
                body=self.body,
                headers=self.headers,
                execute=self.execute,
            )
        )


class RateLimited(Answer, frozen=True, forbid_unknown_fields=True, tag="rate_limited"):
    """429 or 418 (banned) with -1003 and `Retry-After`, whatever was used."""

    status: Literal[429, 418] = 429
    retry_after_s: Count = 5

    def strike(self, stage: Stage) -> None:
        until = stage.now() + self.retry_after_s * 1_000
        banned = f"Way too many requests; IP({LOCAL}) banned until {until}."
        msg = banned if self.status == 418 else "Too many requests; please use the websocket for live updates."
        headers = {"retry-after": str(self.retry_after_s)}
        stage.rule(self.on(status=self.status, code=-1003, msg=msg, headers=headers))


class OrdersLimited(Answer, frozen=True, forbid_unknown_fields=True, tag="orders_limited"):
    """429 with -1015: too many new orders, whatever was counted."""

    def strike(self, stage: Stage) -> None:
        msg = "Too many new orders; current limit is 300 orders per TEN_SECONDS."
        stage.rule(self.on(status=429, code=-1015, msg=msg))


class SnapshotStale(Fault, frozen=True, forbid_unknown_fields=True, tag="snapshot_stale"):
    """The next `count` depth snapshots of a symbol are of the moment of striking, however much later they are asked
    for."""

    symbol: str
    count: Count = 1

    def strike(self, stage: Stage) -> None:
        told = stage.venue.handle(Request("GET", f"/fapi/v1/depth?symbol={self.symbol}&limit=1000", ip=NOBODY))
        name, body = kind_of(self), told.body.decode()
        path, params = "/fapi/v1/depth", {"symbol": self.symbol}
        stage.rule(OnRequest(name=name, path=path, params=params, count=self.count, status=200, body=body))

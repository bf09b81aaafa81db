"""Faults of sockets and of the frames that they carry: doubled, reordered, lost, garbled, crossed, silent, ended.

Owns what each kind takes and does. Refuses to know when it strikes. What has a `for_ms` ends by itself after so long, 0
meaning when all is healed.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from pms.sim.fault_stage import Stage, Way, kind_of
from pms.sim.script import ABNORMAL, Count, Fault, Ms, OnFrame, Share
from pms.sim.session import GOING_AWAY

NORMAL = 1000


class Frames(Fault, frozen=True, forbid_unknown_fields=True):
    """Strikes `count` frames (0: all from then on), after `skip` of them, each with `probability`."""

    symbol: str = ""
    skip: Count = 0
    count: Count = 1
    probability: Share = 1.0

    def on(self, path: str, events: tuple[str, ...], **what: Any) -> OnFrame:
        return OnFrame(
            name=kind_of(self),
            path=path,
            events=events,
            symbol=self.symbol,
            skip=self.skip,
            count=self.count,
            probability=self.probability,
            **what,
        )


class UserFrames(Frames, frozen=True, forbid_unknown_fields=True):
    """User events by their names `e`; none of them means all."""

    events: tuple[str, ...] = ("ORDER_TRADE_UPDATE",)


class UserEventTwice(UserFrames, frozen=True, forbid_unknown_fields=True, tag="user_event_twice"):
    """A user event comes twice."""

    def strike(self, stage: Stage) -> None:
        stage.rule(self.on("/private/*", self.events, do="twice"))


class UserEventSwapped(UserFrames, frozen=True, forbid_unknown_fields=True, tag="user_event_swapped"):
    """A user event comes after the next one, or `ms` later where none follows."""

    ms: Ms = 1_000

    def strike(self, stage: Stage) -> None:
        stage.rule(self.on("/private/*", self.events, do="swap", ms=self.ms))


class UserEventLate(UserFrames, frozen=True, forbid_unknown_fields=True, tag="user_event_late"):
    """A user event comes `ms` later, past those that follow."""

    ms: Ms = 3_000

    def strike(self, stage: Stage) -> None:
        stage.rule(self.on("/private/*", self.events, do="late", ms=self.ms))


class UserEventLost(UserFrames, frozen=True, forbid_unknown_fields=True, tag="user_event_lost"):
    """A user event never comes."""

    def strike(self, stage: Stage) -> None:
        stage.rule(self.on("/private/*", self.events, do="drop"))


class UserEventGarbage(UserFrames, frozen=True, forbid_unknown_fields=True, tag="user_event_garbage"):
    """A user event is cut in two, and its second half lost."""

    def strike(self, stage: Stage) -> None:
        stage.rule(self.on("/private/*", self.events, do="garble"))


class DepthGap(Frames, frozen=True, forbid_unknown_fields=True, tag="depth_gap"):
    """Depth frames are lost, so that `pu` does not join."""

    def strike(self, stage: Stage) -> None:
        stage.rule(self.on("/public/*", ("depthUpdate",), do="drop"))


class DepthTwice(Frames, frozen=True, forbid_unknown_fields=True, tag="depth_twice"):
    """A depth frame comes twice."""

    def strike(self, stage: Stage) -> None:
        stage.rule(self.on("/public/*", ("depthUpdate",), do="twice"))


class DepthSwapped(Frames, frozen=True, forbid_unknown_fields=True, tag="depth_swapped"):
    """A depth frame comes after the next frame."""

    def strike(self, stage: Stage) -> None:
        stage.rule(self.on("/public/*", ("depthUpdate",), do="swap"))


class BookCrossed(Frames, frozen=True, forbid_unknown_fields=True, tag="book_crossed"):
    """A depth frame brings a bid above every ask."""

    def strike(self, stage: Stage) -> None:
        stage.rule(self.on("/public/*", ("depthUpdate",), do="cross"))


class MarketGarbage(Frames, frozen=True, forbid_unknown_fields=True, tag="market_garbage"):
    """A market frame is cut in two, and its second half lost."""

    def strike(self, stage: Stage) -> None:
        stage.rule(self.on("/public/*", (), do="garble"))


class WrongRoute(Fault, frozen=True, forbid_unknown_fields=True, tag="wrong_route"):
    """Streams have moved to another route: this one opens, acknowledges all that is asked, and delivers nothing."""

    route: Literal["private", "public", "market"] = "public"
    for_ms: Ms = 0

    def strike(self, stage: Stage) -> None:
        stage.passing(OnFrame(name=kind_of(self), path=f"/{self.route}/*", count=0, do="drop"), self.for_ms)


class UserStreamSilent(Fault, frozen=True, forbid_unknown_fields=True, tag="user_stream_silent"):
    """The user streams that are open now stay open and tell nothing any more."""

    for_ms: Ms = 0

    def strike(self, stage: Stage) -> None:
        for line in stage.gate.live("private"):
            line.mute()
            stage.fired(kind_of(self))
            stage.later(self.for_ms, line.unmute)


class Disconnect(Fault, frozen=True, forbid_unknown_fields=True, tag="disconnect"):
    """The open sockets of a route (all of them: "") end: `clean` with close code `code`, by a `reset`, or `half_open`:
    the peer is gone, nothing says so, and no ping is answered."""

    route: Way = ""
    how: Literal["clean", "reset", "half_open"] = "reset"
    code: Annotated[int, msgspec.Meta(ge=1000, le=4999)] = NORMAL

    def strike(self, stage: Stage) -> None:
        for line in stage.gate.live(self.route):
            if self.how == "half_open":
                line.freeze()
            else:
                line.cut(ABNORMAL if self.how == "reset" else self.code)
            stage.fired(f"{kind_of(self)}_{self.how}")


class DayOver(Fault, frozen=True, forbid_unknown_fields=True, tag="day_over"):
    """The venue ends the open sockets of a route as it does after 24 hours."""

    route: Way = ""

    def strike(self, stage: Stage) -> None:
        for line in stage.gate.live(self.route):
            if line.session is not None:
                line.session.end(GOING_AWAY, "24 hours are over")
                stage.fired(kind_of(self))

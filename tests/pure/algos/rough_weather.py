"""What happens to an algo before the rough venue, whatever its kind: as strategies, and carried out."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from algos import step
from algos.step import Action, CancelChild
from schemas.orders import Cause
from schemas.reports import VenueStatus
from tests.pure.algos.rough_venue import RoughVenue

DENIALS = [cause for cause in Cause if cause not in (Cause.NOT_FOUND, Cause.DUPLICATE_ID)]  # those are looked up
ENDS = [
    (VenueStatus.CANCELLED, Cause.NONE),
    (VenueStatus.EXPIRED, Cause.NONE),
    (VenueStatus.EXPIRED, Cause.SELF_TRADE),
    (VenueStatus.EXPIRED, Cause.LIQUIDATION),
]
NUMBER = st.integers(0, 100)
COMMON = (
    st.tuples(st.just("move"), st.integers(-5, 5), st.sampled_from([0, 50, 300])),
    st.tuples(st.just("wait"), st.sampled_from([1, 250, 1000, 5000, 60_000])),
    st.tuples(st.just("answer"), st.booleans()),
    st.tuples(st.just("answer"), st.just(False)),
    st.tuples(st.just("deny"), st.sampled_from(DENIALS), st.booleans()),
    st.tuples(st.just("lose"), st.booleans(), st.booleans()),
    st.tuples(st.just("trade"), NUMBER),
    st.tuples(st.just("stream"), NUMBER, st.booleans()),
    st.tuples(st.just("kill"), st.sampled_from(ENDS)),
    st.tuples(st.just("hold"), st.sampled_from(["", "book", "redis"]), st.booleans()),
    st.tuples(st.just("pause"), st.booleans()),
    st.tuples(st.just("restart"), st.booleans(), st.booleans()),
    st.tuples(st.just("cancel")),
)


def blow(venue: RoughVenue, word: str, *how: Any) -> None:
    """One thing happens; a move of the market is the stage's own."""
    match word:
        case "wait":
            venue.run(how[0])
        case "answer":
            venue.answer(*how)
        case "deny":
            venue.deny(*how)
        case "lose":
            venue.lose(*how)
        case "trade":
            for client_id in venue.resting:
                venue.trade(client_id, how[0])
        case "stream":
            venue.stream(*how)
        case "kill":
            venue.kill(*how[0])
        case "hold":
            venue.health(how[0], withdraw=bool(how[0]) and how[1])
        case "pause":
            asked = step.PauseRequest(venue.now, "p") if how[0] else step.ResumeRequest(venue.now, venue.touch)
            venue.give(asked)
        case "restart":
            stopped, paused = how
            if stopped:
                venue.give(step.StopRequest(venue.now))
            venue.restart("down_too_long" if paused else "", epoch=venue.state.id_epoch + 1)
        case "cancel":
            venue.give(step.CancelRequest(venue.now, "asked"))
        case _:
            raise AssertionError(f"nothing is known of {word}")


def calm(venue: RoughVenue, rounds: int) -> None:
    """Everything is told and answered, nothing is missing, and the market trades what rests, for so many minutes or
    until it has ended."""
    for _ in range(rounds):
        while venue.venue.untold:
            venue.stream(0, False)
        for _ in tuple(venue.venue.flying):
            venue.answer()
        venue.audit()
        venue.check()
        if venue.state.status.terminal and not venue.flying:
            return
        venue.health("")
        venue.give(step.ResumeRequest(venue.now, venue.touch))
        venue.run(61_000)
        for client_id in venue.resting:
            venue.trade(client_id, 100)
        venue.check()


def denied_for_ever(venue: RoughVenue, kind: type[Action], cause: Cause, refused: bool) -> list[Action]:
    """What it asks for in the last of three minutes in which each request of a kind is denied, while the quote moves
    ten times a second (law 7)."""
    if kind is CancelChild:
        venue.answer()
        venue.give(step.PauseRequest(venue.now, "p"))
    for turn in range(1800):
        venue.move(1000 + turn % 7, 1010 + turn % 7, after_ms=100)
        flying = venue.flying
        if flying is None:
            continue
        if isinstance(flying.action, kind):
            venue.deny(cause, refused)
        else:
            venue.answer()
        venue.check()
    return [action for at, action in venue.sent if at > venue.now - 60_000 and isinstance(action, kind)]

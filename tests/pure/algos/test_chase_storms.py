"""A chase in any weather: whatever the venue does and tells, the laws hold, and once it is calm the chase ends."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algos import step
from algos.step import AmendChild, CancelChild, PlaceChild
from schemas.chase import AlgoStatus, ChaseState
from schemas.market import Side
from schemas.orders import Cause
from tests.pure.algos import rough_weather
from tests.pure.algos.rough_venue import RoughVenue
from tests.pure.algos.rough_weather import COMMON, calm, denied_for_ever
from tests.pure.algos.stage import EPOCH, RULES, quote, rules

D = Decimal
REACTIONS = [  # one for each way a chase answers
    Cause.POST_ONLY,
    Cause.SELF_TRADE,
    Cause.REDUCE_ONLY,
    Cause.NO_CHANGE,
    Cause.NOT_AMENDABLE,
    Cause.OTHER,
]

ASKED = st.fixed_dictionaries(
    {},
    optional={
        "side": st.sampled_from(Side),
        "quantity": st.sampled_from(["1", "1.0004", "150", "100.01", "0.06"]),
        "stalk_mode": st.sampled_from(["none", "maintain", "trail"]),
        "stalk_offset_ticks": st.integers(0, 3),
        "aggressive": st.booleans(),
        "post_only": st.booleans(),
        "reduce_only": st.booleans(),
        "reprice_min_ms": st.sampled_from([0, 250, 2000]),
        "reprice_min_ticks": st.integers(1, 3),
        "max_distance_pct": st.sampled_from(["0", "0.5"]),
        "on_limit": st.sampled_from(["cancel", "rest", "take"]),
        "deadline_seconds": st.sampled_from(["0", "3", "30"]),
        "on_deadline": st.sampled_from(["cancel", "rest", "take"]),
        "on_stop": st.sampled_from(["cancel", "leave"]),
    },
)
WEATHER = st.one_of(
    *COMMON,
    st.tuples(st.just("resize"), st.sampled_from(["0", "0.001", "0.5", "10"])),
    st.tuples(st.just("retune"), st.sampled_from(["none", "maintain", "trail"]), st.integers(0, 3)),
    st.tuples(st.just("grid"), st.sampled_from(["0.1", "0.5", "0.01"])),
)


def blow(venue: RoughVenue, word: str, *how: object) -> None:
    """One thing happens."""
    state, now = venue.state, venue.now
    match word:
        case "move":
            ticks, after_ms = how
            middle = int(D(100) / state.instrument.tick) + ticks
            venue.move(middle, middle + 3, after_ms)
        case "resize":
            quantity = RULES.quantity_down(state.filled_quantity) + D(how[0])
            venue.give(step.AmendRequest(now, venue.touch, quantity=quantity))
        case "retune":
            venue.give(step.AmendRequest(now, venue.touch, stalk_mode=how[0], stalk_offset_ticks=how[1]))
        case "grid":
            bid, ask = (int(D(price) / D(how[0])) for price in (100, 101))
            venue.touch = quote(bid, ask, now)
            venue.give(step.InstrumentChanged(now, rules(tick=how[0]), venue.touch))
        case _:
            rough_weather.blow(venue, word, *how)


@settings(max_examples=400, deadline=None)
@given(ASKED, st.lists(WEATHER, max_size=60))
def test_the_laws_hold_in_any_weather_and_the_chase_ends_once_it_is_calm(asked, weather) -> None:
    venue = RoughVenue(**asked)
    venue.check()
    ended: ChaseState | None = None
    for happening in weather:
        blow(venue, *happening)
        venue.check()
        if ended is not None:
            assert (venue.state.status, venue.state.child) == (ended.status, None)
        if venue.state.status.terminal:
            ended = venue.state
    calm(venue, rounds=30)
    assert venue.state.status.terminal
    assert venue.all_told()
    if venue.state.status is AlgoStatus.FILLED:
        bound = max(RULES.min_qty, D(0) if venue.state.params.reduce_only else RULES.min_notional / D(80))
        assert venue.state.residual < bound


@settings(max_examples=100, deadline=None)
@given(ASKED, st.lists(WEATHER, max_size=40))
def test_the_same_weather_gives_the_same_chase(asked, weather) -> None:
    """Law 10."""
    one, other = RoughVenue(**asked), RoughVenue(**asked)
    for happening in weather:
        blow(one, *happening)
        other.state = msgspec.json.decode(msgspec.json.encode(other.state), type=ChaseState)
        blow(other, *happening)
    assert one.sent == other.sent
    assert one.state == other.state


@pytest.mark.parametrize("throttle_ms", [0, 250])
@pytest.mark.parametrize("refused", [True, False])
@pytest.mark.parametrize("kind", [PlaceChild, AmendChild, CancelChild])
@pytest.mark.parametrize("cause", REACTIONS)
def test_a_venue_that_denies_for_ever_gets_few_requests(cause, kind, refused, throttle_ms) -> None:
    """Law 7 against a nervous market."""
    last_minute = denied_for_ever(RoughVenue(reprice_min_ms=throttle_ms), kind, cause, refused)
    post_only = cause in (Cause.POST_ONLY, Cause.SELF_TRADE) and kind is not CancelChild
    if not refused:
        assert len(last_minute) <= 240, "one each 250 ms"
    elif post_only:
        assert len(last_minute) <= 1 + step.POST_ONLY_BUDGET
    else:
        assert len(last_minute) <= 1, "at most one probe a minute"


def test_the_first_life_of_a_chase_uses_its_own_epoch() -> None:
    venue = RoughVenue()
    venue.answer()
    venue.restart()
    assert venue.state.id_epoch == EPOCH + 1
    assert venue.state.attempt == 0

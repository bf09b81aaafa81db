"""A plug-in's algo in any weather: whatever the venue does and tells, and however often its plug-in goes missing, the
laws hold, and once it is calm it ends."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algos import step
from algos.plugin_kind import kind_of, revived
from algos.step import CancelChild, PlaceChild
from schemas import codec
from schemas.market import Side
from schemas.orders import Cause
from schemas.plugin import ParkedState
from tests.data.iceberg.pms_iceberg import ICEBERG
from tests.pure.algos import rough_weather
from tests.pure.algos.plugin_stage import LINE, MAKER, PluginStage, iceberg_params, maker_params
from tests.pure.algos.rough_venue import RoughVenue, _Memory
from tests.pure.algos.rough_weather import COMMON, calm, denied_for_ever

D = Decimal
NONE = D(0)


class RoughPlugin(RoughVenue, PluginStage):
    """A plug-in's algo before the rough venue."""

    def __init__(self, kind: str, reduce_only: bool, quantity: str) -> None:
        self.venue = _Memory()
        if kind == "iceberg":
            asked = iceberg_params(quantity=D(quantity), display_quantity=D("0.2"), reduce_only=reduce_only)
            PluginStage.__init__(self, ICEBERG, asked)
        else:
            PluginStage.__init__(self, MAKER, maker_params(quantity=D(quantity)))
        self.planned = {leg.side: leg.quantity for leg in self.state.legs}

    def restart(self, pause: str = "", epoch: int = 0) -> tuple[step.Action, ...]:
        """With its plug-in, which may have been missing."""
        if isinstance(self.state, ParkedState):
            self.state = revived(self.plugin, LINE, codec.decode(ParkedState, codec.encode(self.state)))
            self.kind = kind_of(self.plugin, LINE)
        return PluginStage.restart(self, pause, epoch or self.state.id_epoch + 1)

    def check(self) -> None:
        """What must hold at any moment: no side is ever filled beyond its plan, whatever is still on its way."""
        coming = [
            (flying.action.side, flying.action.quantity)
            for name, flying in self.venue.flying.items()
            if isinstance(flying.action, PlaceChild) and self.venue.truths[name].status is None
        ]
        resting = [(self.orders[name].side, self.venue.truths[name].open) for name in self.resting]
        for side, planned in self.planned.items():
            filled = sum((truth.filled for name, truth in self.venue.truths.items() if self.orders[name].side is side))
            asked = sum((quantity for of, quantity in (*coming, *resting) if of is side), NONE)
            assert filled + asked <= planned, "more than was planned"
        assert len(coming) + len(resting) <= len(self.planned), "two live orders in a slot"
        for leg in self.state.legs:
            booked = (order.filled_qty for order in self.orders.values() if order.side is leg.side)
            assert leg.filled == sum(booked, NONE)
        if self.state.status.terminal:
            assert coming + resting == [], "an ended algo with an order in the market"


KINDS = st.sampled_from(["iceberg", "maker"])
WEATHER = st.one_of(
    *COMMON,
    st.tuples(st.just("reduced"), st.sampled_from(["0", "0.1", "2"])),
    st.tuples(st.just("missing")),
)


def blow(venue: RoughPlugin, word: str, *how: object) -> None:
    """One thing happens."""
    match word:
        case "move":
            venue.move(1000 + how[0], 1010 + how[0], how[1])
        case "reduced":
            sign = -venue.state.legs[0].side.sign
            venue.give(step.PositionReduced(venue.now, sign * D(how[0]), venue.touch))
        case "missing":
            if not isinstance(venue.state, ParkedState):
                venue.park(epoch=venue.state.id_epoch + 1)
        case _:
            rough_weather.blow(venue, word, *how)


@settings(max_examples=300, deadline=None)
@given(KINDS, st.booleans(), st.sampled_from(["1", "0.64"]), st.lists(WEATHER, max_size=60))
def test_the_laws_hold_in_any_weather_and_the_algo_ends_once_it_is_calm(kind, reduce_only, quantity, weather) -> None:
    venue = RoughPlugin(kind, reduce_only, quantity)
    venue.check()
    ended = None
    for happening in weather:
        blow(venue, *happening)
        venue.check()
        assert ended is None or venue.state.status is ended
        ended = venue.state.status if venue.state.status.terminal else None
    venue.restart()  # its plug-in is there
    calm(venue, rounds=60)
    assert venue.state.status.terminal, venue.state
    assert venue.all_told()


@settings(max_examples=80, deadline=None)
@given(KINDS, st.lists(WEATHER, max_size=40))
def test_the_same_weather_gives_the_same_algo(kind, weather) -> None:
    """Law 10."""
    one, other = RoughPlugin(kind, False, "1"), RoughPlugin(kind, False, "1")
    for happening in weather:
        blow(one, *happening)
        other.state = codec.decode(other.kind.record, codec.encode(other.state))
        blow(other, *happening)
    assert one.sent == other.sent
    assert codec.encode(one.state) == codec.encode(other.state)


@pytest.mark.parametrize("refused", [True, False])
@pytest.mark.parametrize("kind", [PlaceChild, CancelChild])
@pytest.mark.parametrize("cause", [Cause.POST_ONLY, Cause.SELF_TRADE, Cause.OTHER, Cause.MARGIN])
def test_a_venue_that_denies_for_ever_gets_few_requests(cause, kind, refused) -> None:
    """Law 7 against a nervous market."""
    venue = RoughPlugin("iceberg", False, "1")
    last_minute = denied_for_ever(venue, kind, cause, refused)
    assert len(last_minute) <= (1 if refused else 240)
    assert venue.planned == {Side.BUY: D(1)}

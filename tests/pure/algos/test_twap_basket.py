"""twap_basket: its legs start together, are told together, and end it together."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from algos import step, twap_basket, twap_plan
from algos.children import ChildChanged, ChildDone, ChildReport, Spawn, StopChild
from algos.step import Action, Input
from algos.twap_laws import check_twap_basket
from algos.twap_told import event_basket, view_basket
from schemas.chase import AlgoStatus
from schemas.market import Side
from schemas.twap import TwapBasketParams, TwapBasketState
from tests.pure.algos.stage import EPOCH, T0, quote
from tests.pure.algos.twap_stage import MINUTE, twap_params

D = Decimal
WHO = step.Identity("b123456789", "main", "main", EPOCH, "request-1")


class Stage:
    """A basket of a buy and a sell, each of one coin in four lots; each step is made twice and judged."""

    def __init__(self, **asked: Any) -> None:
        legs = (
            twap_params(symbol="BTCUSDT", lots=4, **asked),
            twap_params(symbol="ETHUSDT", side=Side.SELL, lots=4, **asked),
        )
        self.state, self.first = twap_basket.start(WHO, TwapBasketParams(basket_name="pair", legs=legs), None, None, T0)
        check_twap_basket(None, None, self.state, self.first)
        self.now = T0

    def give(self, given: Input) -> tuple[Action, ...]:
        before = self.state
        after, actions = twap_basket.step_twap_basket(before, given)
        assert (after, actions) == twap_basket.step_twap_basket(before, given)
        assert actions or after is before or after != before, "an equal record is the same object"
        check_twap_basket(before, given, after, actions)
        self.state = after
        return actions

    def leg(self, number: int, filled: str, status: str = "active", reason: str = "") -> tuple[Action, ...]:
        quantity = D(filled)
        report = ChildReport(
            self.state.legs[number].twap_id,
            number,
            AlgoStatus(status),
            reason,
            quantity,
            quantity * 101,
            {"USDT": quantity},
            arrival_mid=D(100),
        )
        kind = ChildDone if report.status.terminal else ChildChanged
        return self.give(kind(self.now, report))


def test_all_legs_start_in_its_first_step() -> None:
    stage = Stage()
    assert [(type(action), action.kind, action.slot, action.params.symbol) for action in stage.first] == [
        (Spawn, "twap", 0, "BTCUSDT"),
        (Spawn, "twap", 1, "ETHUSDT"),
    ]
    assert [action.child_id for action in stage.first] == [leg.twap_id for leg in stage.state.legs]
    assert len({leg.twap_id for leg in stage.state.legs}) == 2


def test_it_tells_progress_over_its_legs() -> None:
    stage = Stage()
    stage.leg(0, "0.5")
    stage.leg(1, "0.25")
    told = event_basket("twap_basket_progress", stage.state, T0 + 1000)
    assert [(leg.symbol, leg.filled_lots, leg.total_lots) for leg in told.legs] == [
        ("BTCUSDT", 2, 4),
        ("ETHUSDT", 1, 4),
    ]
    assert (told.filled_lots, told.total_lots, told.basket_name) == (3, 8, "pair")
    assert [leg.slippage_bps for leg in told.legs] == [100, -100]
    assert told.slippage_bps == D("33.33")
    assert told.fees == {"USDT": D("0.75")}
    assert told.next_lot_at == T0 + MINUTE
    assert event_basket("twap_basket_started", Stage().state, T0).slippage_bps == 0


def test_the_same_report_twice_is_no_news_and_sums_never_shrink() -> None:
    stage = Stage()
    stage.leg(0, "0.5")
    told = stage.state
    stage.leg(0, "0.5")
    assert stage.state is told
    stage.leg(0, "0.2", "failed", "record_lost")
    assert stage.state.legs[0].filled_quantity == D("0.5")


@pytest.mark.parametrize(
    ("ends", "status", "reason"),
    [
        (["completed", "completed"], "completed", ""),
        (["completed", "expired"], "expired", "why"),
        (["cancelled", "expired"], "expired", "why"),
        (["cancelled", "failed"], "failed", "why"),
        (["cancelled", "completed"], "cancelled", "why"),
    ],
)
def test_it_ends_with_its_last_leg_as_the_worst_of_them(ends, status, reason) -> None:
    stage = Stage()
    stage.leg(0, "1", ends[0], "" if ends[0] == "completed" else "why")
    assert stage.state.status == "active"
    assert view_basket(stage.state).child_algos == (stage.state.legs[1].twap_id,)
    stage.leg(1, "1", ends[1], "" if ends[1] == "completed" else "why")
    assert (stage.state.status, stage.state.reason) == (status, reason)
    assert event_basket("twap_basket_completed", stage.state, T0).next_lot_at == 0


def test_it_waits_where_all_its_live_legs_do_and_says_why() -> None:
    stage = Stage()
    stage.leg(0, "0.1", "paused", "down_too_long")
    assert (stage.state.status, stage.state.reason) == ("active", "")
    stage.leg(1, "0.1", "paused", "down_too_long")
    assert (stage.state.status, stage.state.reason) == ("paused", "down_too_long")
    stage.leg(1, "0.2")
    assert (stage.state.status, stage.state.reason) == ("active", "")


def test_one_cancel_ends_all_legs_and_it_ends_with_them() -> None:
    stage = Stage()
    stage.leg(0, "1", "completed")
    (stop,) = stage.give(step.CancelRequest(T0, "cancelled_by_command"))
    assert stop == StopChild(stage.state.legs[1].twap_id, "cancelled_by_command")
    assert stage.state.status == "stopping"
    assert stage.give(step.CancelRequest(T0, "again")) == ()
    stage.leg(1, "0.25", "cancelled", "cancelled_by_command")
    assert (stage.state.status, stage.state.reason) == ("cancelled", "cancelled_by_command")
    ended = stage.state
    assert stage.give(step.CancelRequest(T0, "late")) == ()
    assert stage.state is ended
    stage.leg(1, "0.26", "cancelled", "cancelled_by_command")
    assert (stage.state.status, stage.state.legs[1].filled_quantity) == ("cancelled", D("0.26"))


def test_a_cancel_that_meets_the_last_fill_is_completed() -> None:
    stage = Stage()
    stage.give(step.CancelRequest(T0, "asked"))
    stage.leg(0, "1", "completed")
    stage.leg(1, "1", "completed")
    assert stage.state.status == "completed"


def test_its_status_is_that_of_its_legs_where_they_agree() -> None:
    stage = Stage()
    stage.leg(0, "0", "paused", "paused_by_command")
    assert stage.state.status == "active"
    stage.leg(1, "0", "paused", "paused_by_command")
    assert stage.state.status == "paused"
    stage.leg(0, "0", "blocked", "halted")
    assert stage.state.status == "active"


def test_a_new_life_tells_its_legs_again_to_end() -> None:
    stage = Stage()
    assert stage.give(step.Recovered(T0, EPOCH + 1, None)) == ()
    assert stage.state.id_epoch == EPOCH + 1
    stage.give(step.CancelRequest(T0, "asked"))
    stage.state = msgspec.json.decode(msgspec.json.encode(stage.state), type=TwapBasketState)
    assert len(stage.give(step.Recovered(T0, EPOCH + 2, None))) == 2


def test_what_concerns_its_legs_alone_changes_nothing() -> None:
    stage = Stage()
    before = stage.state
    for given in (
        quote(1, 2),
        step.PauseRequest(T0, "x"),
        step.ResumeRequest(T0, None),
        step.StreamHealth(T0, "redis"),
        step.StopRequest(T0),
    ):
        assert stage.give(given) == ()
    assert stage.state is before


def test_it_only_reduces_where_all_its_legs_do() -> None:
    assert view_basket(Stage(reduce_only=True).state).reduce_only
    view = view_basket(Stage().state)
    assert (view.reduce_only, view.symbol, view.live_children, view.epoch) == (False, "", (), EPOCH)


def test_each_leg_has_a_plan_of_its_own_that_follows_from_its_id() -> None:
    stage = Stage(jitter_pct="30")
    assert twap_plan.seed_of("t123456789") == "5f6ba1fcc538c685"
    one, other = (
        twap_plan.plan(params, twap_plan.seed_of(leg.twap_id))
        for leg, params in zip(stage.state.legs, stage.state.params.legs, strict=True)
    )
    assert one.due != other.due

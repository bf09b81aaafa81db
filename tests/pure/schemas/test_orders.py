"""An order's life is a table: terminal states absorb, and only what was never at the venue can fail."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from schemas.chase import AlgoStatus
from schemas.orders import TERMINAL, TRANSITIONS, Order, OrderState
from tests.pure.schemas.test_events import ORDER


def test_every_state_has_its_row_and_terminal_ones_lead_nowhere() -> None:
    assert set(TRANSITIONS) == set(OrderState)
    assert {state for state, following in TRANSITIONS.items() if not following} == TERMINAL


@pytest.mark.parametrize("state", OrderState)
def test_a_state_knows_whether_it_is_terminal(state) -> None:
    assert state.terminal is (state.value in {"filled", "cancelled", "expired", "failed"})


def test_what_was_seen_at_the_venue_can_no_longer_fail() -> None:
    from_where = {state for state, following in TRANSITIONS.items() if OrderState.FAILED in following}
    assert from_where == {OrderState.PLACING, OrderState.UNKNOWN}


def test_every_live_state_can_reach_every_evidence_of_an_end() -> None:
    for state in set(OrderState) - TERMINAL:
        assert {OrderState.FILLED, OrderState.CANCELLED, OrderState.EXPIRED} <= TRANSITIONS[state]


@pytest.mark.parametrize(
    "booked, told, remaining", [("0", "0", "0.01"), ("0.004", "0", "0.006"), ("0.004", "0.007", "0.003")]
)
def test_what_may_still_fill_follows_whoever_says_more(booked, told, remaining) -> None:
    order = msgspec.structs.replace(ORDER, filled_qty=Decimal(booked), venue_filled=Decimal(told))
    assert isinstance(order, Order)
    assert order.remaining == Decimal(remaining)


@pytest.mark.parametrize("status", AlgoStatus)
def test_an_algos_status_knows_whether_it_is_terminal(status) -> None:
    assert status.terminal is (status.value in {"completed", "filled", "cancelled", "expired", "failed"})

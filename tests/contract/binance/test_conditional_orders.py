"""Conditional orders through the adapter against the simulated venue: placed, told, looked up, triggered, cancelled."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import msgspec
import pytest

from pms.sim.faults import Latency
from pms.sim.script import OnRequest
from pms.venue import Cancel, Done, Outcome, Place, Refused, Unknown
from schemas.market import Side
from schemas.orders import Cause
from schemas.reports import Report, VenueStatus
from tests.contract.binance.test_against_simulator import SYMBOL, World

D = Decimal
ALGO = "/fapi/v1/algoOrder"
STOP = Place(SYMBOL, "stop-1", Side.SELL, "STOP_MARKET", "GTC", D("0.010"), D(0), False, D(80000))


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World(Latency())
    await world.start()
    await world.live()
    yield world
    await world.stop()


def report(outcome: Outcome) -> Report:
    assert isinstance(outcome, Done), outcome
    return outcome.report


async def test_one_that_waits_is_told_listed_looked_up_and_cancelled(world: World) -> None:
    placed = report(await world.venue.place(STOP))
    assert (placed.status, placed.conditional, placed.order_id) == (VenueStatus.OPEN, True, 0)
    assert (placed.trigger_price, placed.quantity, placed.client_id) == (D(80000), D("0.010"), "stop-1")
    (waiting,) = await world.venue.open_orders(SYMBOL)
    assert (waiting.algo_id, waiting.order_type) == (placed.algo_id, "STOP_MARKET")
    assert await world.venue.look_up(SYMBOL, "stop-1") is None, "nobody said that it may wait"
    found = await world.venue.look_up(SYMBOL, "stop-1", conditional=True)
    assert found is not None
    assert found.algo_id == placed.algo_id
    cancelled = report(await world.venue.cancel(Cancel(SYMBOL, "stop-1", conditional=True)))
    assert (cancelled.status, cancelled.client_id) == (VenueStatus.CANCELLED, "stop-1")
    await world.notes.until(
        lambda: [event.status for event in world.notes.reports if event.conditional][-1:] == [VenueStatus.CANCELLED]
    )
    assert [event.status for event in world.notes.reports] == [VenueStatus.OPEN, VenueStatus.CANCELLED]
    again = await world.venue.cancel(Cancel(SYMBOL, "stop-1", conditional=True))
    assert isinstance(again, Refused)
    assert again.cause is Cause.NOT_FOUND


async def test_one_that_is_triggered_is_told_and_found_as_the_order_that_it_became(world: World) -> None:
    above = msgspec.structs.replace(STOP, side=Side.BUY, trigger_price=D("84000.2"), working_type="CONTRACT_PRICE")
    report(await world.venue.place(above))
    report(await world.place("mover", "84000.3", "2", "IOC"))
    await world.notes.until(lambda: any(event.fill for event in world.notes.reports if event.client_id == "stop-1"))
    ordinary = [event for event in world.notes.reports if event.client_id == "stop-1" and not event.conditional]
    assert ordinary[-1].status is VenueStatus.FILLED
    assert all(event.status is VenueStatus.OPEN for event in world.notes.reports if event.conditional)
    found = await world.venue.look_up(SYMBOL, "stop-1", conditional=True)
    assert found is not None
    assert (found.conditional, found.status, found.order_id) == (False, VenueStatus.FILLED, ordinary[-1].order_id)
    assert await world.venue.open_orders(SYMBOL) == []


async def test_one_whose_price_is_reached_already_is_refused_with_that_cause(world: World) -> None:
    outcome = await world.venue.place(msgspec.structs.replace(STOP, trigger_price=D(90000)))
    assert isinstance(outcome, Refused)
    assert outcome.cause is Cause.TRIGGERED


@pytest.mark.ambiguity
@pytest.mark.parametrize("lose, there", [("before", False), ("after", True)])
async def test_a_lost_answer_is_unknown_and_the_lists_tell(world: World, lose: str, there: bool) -> None:
    world.spoil(OnRequest(method="POST", path=ALGO, lose=lose))  # type: ignore[arg-type]
    assert isinstance(await world.venue.place(STOP), Unknown)
    assert (await world.venue.look_up(SYMBOL, "stop-1", conditional=True) is not None) == there


@pytest.mark.ambiguity
async def test_a_lost_answer_to_a_cancel_is_unknown_and_the_lists_tell(world: World) -> None:
    report(await world.venue.place(STOP))
    world.spoil(OnRequest(method="DELETE", path=ALGO, lose="after"))
    assert isinstance(await world.venue.cancel(Cancel(SYMBOL, "stop-1", conditional=True)), Unknown)
    found = await world.venue.look_up(SYMBOL, "stop-1", conditional=True)
    assert found is not None
    assert found.status is VenueStatus.CANCELLED

"""Exits that get through, whatever the venue says, and stops that see, whatever is gone: one table each, with the times
(execution.md 1, 5, 14, 27, 28)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from pms.market_data import TouchFrame
from tests.world.stops import ends, opened, position, ready, stop, stopped
from tests.world.test_trail_blind import book_gone, marks_gone, no_answers
from tests.world.world import World, in_world

D = Decimal
Told = Callable[[str, object], None]  # `record_property`: lines under "told" are printed at the end
ROUND_TRIP_S = 0.1  # of a question to the venue, in here


def no(code: int, count: int, status: int = 400, **more: Any) -> dict[str, Any]:
    return {"status": status, "code": code, "msg": "no", "count": count} | more


REFUSALS: dict[str, tuple[dict[str, Any], float]] = {  # what happens to the exit's requests, and by when it is closed
    "nothing": ({"count": 1, "delay_after_ms": 1}, 0.1),
    "-2022 once": (no(-2022, 1), 0.5),
    "-2022 seven times": (no(-2022, 7), 11.0),
    "-4118 three times": (no(-4118, 3), 2.5),
    "-2021 three times": (no(-2021, 3), 2.5),
    "-1008 four times": (no(-1008, 4, 503), 5.5),
    "-4131 three times": (no(-4131, 3), 2.5),
    "-1015 once": (no(-1015, 1, 429), 12.0),
    "418 for five seconds": (no(-1003, 1, 418, headers={"retry-after": "5"}), 8.0),
    "503, not executed": ({"status": 503, "msg": "Unknown error, please check your request."}, 2.5),
    "503, executed": ({"status": 503, "msg": "Unknown error, please check your request.", "execute": True}, 0.1),
    "timeout, never arrived": ({"lose": "before"}, 2.5),
    "timeout, executed": ({"lose": "after"}, 0.1),
    "timeout, arrives late": ({"delay_before_ms": 800}, 1.5),
}


async def closed(world: World, within_s: float) -> float:
    """Let time pass until the venue has us flat; how long that took. On the way it never has us on the other side."""
    began = world.clock.monotonic()
    while world.held():
        assert world.held() > 0, "flipped"
        assert world.clock.monotonic() - began < within_s, f"still {world.held()} after {within_s} s"
        await world.clock.sleep(0.001)
    return world.clock.monotonic() - began


def sold(world: World) -> Decimal:
    """What was ever sold of the account's, with or without the venue's flag."""
    return sum((order.filled for order in world.placed() if order.side == "SELL"), D(0))


@pytest.mark.parametrize("refusal", REFUSALS)
@in_world()
async def test_an_exit_gets_through_whatever_the_venue_says(world: World, record_property: Told, refusal: str) -> None:
    fault, within_s = REFUSALS[refusal]
    await ready(world)
    held = await opened(world)
    name = await stopped(world, positionId=held, callbackTicks=1000, backstopPct=0)
    await world.run(0.5)
    world.fault("POST", **fault)
    world.market.move(-1000)
    took_s = await closed(world, within_s)
    state = await ends(world, name, 20)
    assert (state["status"], state["filledQuantity"], state["residual"]) == ("completed", D("0.010"), 0)
    assert sold(world) == D("0.010")
    assert (await position(world))["quantity"] == 0
    record_property(
        "told", f"exit refused, {refusal:24} closed after {took_s * 1000:6.0f} ms (bound {within_s * 1000:6.0f})"
    )
    await world.run(25 if "lose" in fault or fault.get("status") == 503 else 1)  # what was lost is known to have been
    assert world.held() == 0


@in_world()
async def test_an_exit_of_a_position_that_shrank_unseen_closes_what_is_left(
    world: World, record_property: Told
) -> None:
    """Somebody else closed a part, and the stream did not tell."""
    await ready(world)
    held = await opened(world)
    name = await stopped(world, positionId=held, callbackTicks=1000, backstopPct=0)
    await world.run(0.5)
    world.mute("/private")
    world.market.rest(world.account, "SELL", D("61700.0"), "0.004", time_in_force="IOC")
    assert world.held() == D("0.006")
    world.market.move(-1000)
    took_s = await closed(world, 5)
    state = await ends(world, name, 120)
    await world.run(5)
    assert (state["status"], world.held()) == ("completed", 0)
    assert sold(world) == D("0.010"), "theirs and ours"
    assert (await position(world))["quantity"] == 0
    record_property(
        "told", f"exit refused, {'position shrank unseen':24} closed after {took_s * 1000:6.0f} ms (bound   5000)"
    )


@pytest.mark.parametrize("lose", ["before", "after"])
@in_world()
async def test_two_sub_accounts_on_one_side_with_exits_of_unknown_fate_sell_their_own_once(
    world: World, record_property: Told, lose: str
) -> None:
    await ready(world)
    held = [await opened(world), await opened(world, quantity="0.006", account="other")]
    body = {"callbackTicks": 1000}
    names = [
        await stopped(world, positionId=held[0], **body),
        await stopped(world, positionId=held[1], subAccountId="other", **body),
    ]
    await world.run(3)
    world.fault("POST", lose=lose, count=2)
    world.market.move(-1000)
    took_s = await closed(world, 20)
    states = [await ends(world, name, 20) for name in names]
    await world.run(25)
    assert [state["filledQuantity"] for state in states] == [D("0.010"), D("0.006")]
    assert sold(world) == D("0.016")
    assert [(await position(world, name))["quantity"] for name in ("main", "other")] == [0, 0]
    assert (world.held(), world.waiting()) == (0, [])
    record_property("told", f"two exits of unknown fate, lost {lose:6} both closed after {took_s * 1000:6.0f} ms")


# --- blindness ----------------------------------------------------------------------------------------


def by_ticker(world: World) -> None:
    """The trigger is touched, as the stream of best bid and ask tells it."""
    world.market.move(-1000)
    now, bid = world.clock.now_ms(), 61_700.0
    world.daemon.market.on_touch(TouchFrame("BTCUSDT", 10_000_000 + now % 1_000_000, bid, 1.0, bid + 0.1, 1.0, now))


def by_mark(world: World) -> None:
    """The trigger is touched; the mark is the mid."""
    world.market.move(-1000)


@pytest.mark.parametrize("phase_s", [0.1, 0.9])
@pytest.mark.parametrize(
    "source, gone, touch, within_s",
    [
        ("bookTicker", (book_gone, marks_gone, no_answers), by_ticker, 0.1),
        ("mark stream", (book_gone, no_answers), by_mark, 1.2),
        ("REST alone", (book_gone, marks_gone), by_mark, 1.5 + ROUND_TRIP_S),
    ],
)
@in_world()
async def test_with_the_book_gone_the_next_source_sees_the_trigger_in_time(
    world: World,
    record_property: Told,
    source: str,
    gone: tuple[Callable[[World], Any], ...],
    touch: Callable[[World], None],
    within_s: float,
    phase_s: float,
) -> None:
    """Whenever in the beat of that source the trigger is touched."""
    await ready(world)
    held = await opened(world)
    name = await stopped(world, positionId=held, callbackTicks=1000, backstopPct=0)
    for part in gone:
        going = part(world)
        if going is not None:
            await going
    world.fault("GET", "/fapi/v1/premiumIndex", delay_after_ms=int(ROUND_TRIP_S * 1000), count=0)
    await world.run(6 + phase_s)
    assert (await stop(world, name))["triggeredAt"] == 0
    touch(world)
    took_s = await closed(world, 10)
    assert (await ends(world, name))["status"] == "completed"
    record_property(
        "told", f"touch of the trigger to closed, by {source:11} {took_s * 1000:5.0f} ms (bound {within_s * 1000:5.0f})"
    )
    assert took_s <= within_s

"""The governor's shell on a virtual clock: who waits, for how long, and who is called (execution.md 18)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from pms.clock import LoopClock
from pms.core.limiter import Charge, Lane, Limits, Usage
from pms.governor import CALLED_S, Deaf, Errand, Governor, Short
from pms.tasks import Tasks
from tests.virtual import VirtualLoop

T0 = 1_790_000_040_000  # the beginning of a minute
ORDER, CANCEL = Charge(0, 1, 1), Charge(1)
LIMITS = Limits(weight_1m=100, orders_10s=10, orders_1m=1000)
ENTRY = Errand(Lane.NEAR, "a", "chase", 0)


class Ears(Deaf):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.starving: list[int] = []

    def on_scarce(self, owner: str) -> None:
        self.told.append(("scarce", owner))

    def on_turn(self, owner: str) -> None:
        self.told.append(("turn", owner))

    def on_ample(self, owner: str) -> None:
        self.told.append(("ample", owner))

    def on_starving(self, waiting: int, used: str) -> None:
        self.starving.append(waiting)


class Stage:
    def __init__(self) -> None:
        self.clock = LoopClock(asyncio.get_running_loop(), T0)
        self.tasks = Tasks()
        self.ears = Ears()
        self.governor = Governor(self.clock, self.clock.now_ms, self.ears, LIMITS)
        self.left: list[tuple[str, float]] = []

    async def send(self, name: str, charge: Charge, errand: Errand) -> None:
        """Ask, send, be answered at once."""
        if not self.governor.ample(charge):
            await self.governor.turn(charge, errand)
        sent_at = self.governor.sent(charge, errand.lane)
        self.left.append((name, self.clock.monotonic()))
        self.governor.answered(charge, None, sent_at)

    def neighbour(self, orders: int) -> None:
        sent_at = self.governor.sent(CANCEL, Lane.EXIT)
        self.governor.answered(CANCEL, Usage(None, orders, orders), sent_at)

    def ask(self, name: str, charge: Charge, errand: Errand) -> asyncio.Task[None]:
        return self.tasks.spawn(self.send(name, charge, errand), name)

    async def at(self, second: float) -> None:
        await self.clock.sleep(second - self.clock.monotonic())


def on_stage(test: Callable[[Stage], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def run() -> None:
        async def live() -> None:
            stage = Stage()
            await stage.at(0.5)  # clear of the edge
            try:
                await test(stage)
            finally:
                await stage.tasks.close()

        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(live())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@on_stage
async def test_with_an_ample_budget_nobody_is_told_and_nobody_waits(stage: Stage) -> None:
    for number in range(6):
        await stage.send(str(number), ORDER, ENTRY)
    assert [when for _, when in stage.left] == [0.5] * 6
    assert stage.ears.told == []


@on_stage
async def test_beyond_the_easy_part_an_owner_is_told_once_and_again_when_the_window_turns(stage: Stage) -> None:
    for number in range(8):
        await stage.send(str(number), ORDER, ENTRY)
    assert stage.ears.told == [("scarce", "chase")]
    await stage.at(10.1)
    assert stage.ears.told == [("scarce", "chase"), ("ample", "chase")]


@on_stage
async def test_an_amend_that_finds_no_room_is_taken_back_and_its_owner_called_when_there_is(stage: Stage) -> None:
    stage.neighbour(9)
    for _ in range(2):
        with pytest.raises(Short) as short:
            await stage.send("amend", ORDER, ENTRY)
        assert short.value.called
    assert stage.governor.used()["waiting"] == 1, "an owner waits once"
    await stage.at(10.1)
    assert stage.ears.told[0] == ("turn", "chase")
    await stage.send("newer", ORDER, ENTRY)
    assert stage.left == [("newer", 10.1)]
    assert stage.governor.used()["conflated"] == 1


@on_stage
async def test_the_slot_of_an_owner_that_was_called_is_nobody_elses(stage: Stage) -> None:
    stage.neighbour(9)
    with pytest.raises(Short):
        await stage.send("amend", ORDER, ENTRY)
    await stage.at(10.1)
    stage.neighbour(7)
    with pytest.raises(Short):
        await stage.send("other", ORDER, Errand(Lane.NEAR, "b", "other", 0))
    await stage.send("newer", ORDER, ENTRY)
    assert [name for name, _ in stage.left] == ["newer"]


@on_stage
async def test_a_slot_that_is_not_wanted_goes_to_the_next(stage: Stage) -> None:
    stage.neighbour(9)
    with pytest.raises(Short):
        await stage.send("amend", ORDER, ENTRY)
    await stage.at(10.1)
    stage.neighbour(7)
    stage.ask("other", ORDER, Errand(Lane.NEAR, "b", "other", 5))
    await stage.at(10.02 + CALLED_S + 0.2)
    assert [name for name, _ in stage.left] == ["other"]


@on_stage
async def test_a_new_order_waits_as_long_as_its_price_may_be_true(stage: Stage) -> None:
    stage.neighbour(9)
    asked = stage.ask("place", ORDER, Errand(Lane.NEAR, "a", "", 2))
    await stage.at(2.6)
    error = asked.exception()
    assert isinstance(error, Short)
    assert not error.called
    assert error.retry_ms == 10_020 - 2_500
    assert stage.left == []


@on_stage
async def test_cancels_pass_all_entries_that_wait(stage: Stage) -> None:
    stage.neighbour(8)
    for number in range(20):
        stage.ask(f"place {number}", ORDER, Errand(Lane.NEAR, "a", "", 30))
    await stage.at(1)
    await stage.send("cancel", CANCEL, Errand(Lane.EXIT))
    await stage.send("exit", ORDER, Errand(Lane.EXIT))
    assert stage.left == [("cancel", 1.0), ("exit", 1.0)]


@on_stage
async def test_when_the_window_turns_exits_leave_first_and_no_more_than_fit(stage: Stage) -> None:
    stage.neighbour(10)
    for number in range(12):
        stage.ask(f"place {number}", ORDER, Errand(Lane.FAR, "a", "", 30))
    stage.ask("near", ORDER, Errand(Lane.NEAR, "a", "", 30))
    stage.ask("exit", ORDER, Errand(Lane.EXIT))
    await stage.at(10.1)
    assert [name for name, _ in stage.left] == ["exit", "near", *(f"place {number}" for number in range(6))]
    assert {when for _, when in stage.left} == {10.02}
    await stage.at(20.1)
    assert len(stage.left) == 14


@on_stage
async def test_who_no_longer_wants_to_wait_takes_nothing(stage: Stage) -> None:
    stage.neighbour(10)
    gone = stage.ask("gone", ORDER, Errand(Lane.EXIT))
    await stage.at(1)
    gone.cancel()
    await stage.at(10.1)
    assert stage.left == []
    used = stage.governor.used()
    assert (used["orders10s"], used["waiting"]) == (0, 0)


@on_stage
async def test_what_was_not_sent_is_given_back(stage: Stage) -> None:
    stage.governor.sent(ORDER, Lane.NEAR)
    stage.governor.unsent(ORDER)
    assert stage.governor.used()["orders10s"] == 0


@on_stage
async def test_entries_that_starve_are_told_of_once_and_when_it_is_over(stage: Stage) -> None:
    sent_at = stage.governor.sent(CANCEL, Lane.EXIT)
    stage.governor.answered(CANCEL, Usage(None, None, 900), sent_at)
    stage.ask("place", ORDER, Errand(Lane.NEAR, "a", "", 90))
    await stage.at(12)
    assert stage.ears.starving == []
    await stage.at(41)
    assert stage.ears.starving == [1]
    await stage.at(61)
    assert stage.ears.starving == [1, 0]
    assert [name for name, _ in stage.left] == ["place"]


@on_stage
async def test_the_venues_limits_bind_and_ours_where_they_are_smaller(stage: Stage) -> None:
    stage.governor.limit(Limits(5000, 5, 0))
    assert stage.governor.limits == Limits(100, 5, 1000)

"""The daemon killed after each of its effects in turn: what a scenario is, and how it is run (execution.md 19-26).

Owns counting the effects of a run that is left alone, running it again for each of them with a death right after it,
and comparing what comes of it with the ends that the scenario allows. Whatever died: at the end venue, records and
events agree to the last digit, and a second recovery finds nothing to do. All of it repeats exactly.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

from recovery.plan import Show
from tests.virtual import VirtualLoop
from tests.world.books import check_books
from tests.world.world import World

ENDS_MOST = 4
Facts = dict[str, Any]
Part = Callable[[World, Facts], Awaitable[None]]


class Scenario(NamedTuple):
    """`prepare` brings a daemon to the moment; `act` is what it dies in, and goes on whether it lives or not; `end`
    lets the next life go on, and says which of the `ends` it came to, raising AssertionError where it is none of them.
    `least` effects show that the scenario is what it is called. `starts`: what it dies in is a start."""

    prepare: Part
    act: Part
    end: Callable[[World, Facts], Awaitable[str]]
    ends: tuple[str, ...]
    least: int
    starts: bool = False


class Swept(NamedTuple):
    """What came of a scenario: how many effects it has, and how often each end was reached."""

    effects: int
    reached: Counter[str]


def sweep(scenario: Scenario, folder: Callable[[], Path]) -> Swept:
    """Every death of a scenario. Raises AssertionError with the effect after which something else came of it."""
    assert 1 <= len(scenario.ends) <= ENDS_MOST
    first, effects = _in_a_world(scenario, folder(), 0)
    reached = Counter([first])
    assert len(effects) >= scenario.least, effects
    for point in range(1, len(effects) + 1):
        try:
            ended, _ = _in_a_world(scenario, folder(), point)
        except (AssertionError, TimeoutError) as error:
            raise AssertionError(f"killed after effect {point} of {effects}: {error}") from error
        reached[ended] += 1
    assert set(reached) == set(scenario.ends), f"{dict(reached)} of {effects}"
    return Swept(len(effects), reached)


def _in_a_world(scenario: Scenario, folder: Path, point: int) -> tuple[str, list[str]]:
    async def live() -> tuple[str, list[str]]:
        world = World(folder)
        try:
            return await _lived(world, scenario, point)
        finally:
            await world.close()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(live())


async def _lived(world: World, scenario: Scenario, point: int) -> tuple[str, list[str]]:
    """The end that was reached, and the effects of the act. `point` 0: nobody dies."""
    facts: Facts = {}
    await scenario.prepare(world, facts)
    before = 0 if scenario.starts else len(world.life.effects)
    if scenario.starts:
        world.next_death = point
    elif point:
        world.life.die_at = before + point
    await scenario.act(world, facts)
    effects = world.life.effects[before:]
    if point:
        await world.until(lambda: world.daemon is None, 10)
        await world.run(1)
        await world.start()
    ended = await scenario.end(world, facts)
    await check_books(world)
    if world.daemon is not None:
        again = await world.daemon.recovery.run("again")
        assert {type(verdict) for verdict in again.verdicts} <= {Show}, again.verdicts
    return ended, effects

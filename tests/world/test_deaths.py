"""Killed after each of its effects, a daemon's next life brings each scenario to one of its allowed ends; each of them
is reached (execution.md 19-26). Effects are steps to Redis, requests that change something at the venue, and events of
the user stream."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.world.deaths import sweep
from tests.world.deaths_of_algos import SCENARIOS as ALGOS
from tests.world.deaths_of_orders import SCENARIOS as ORDERS
from tests.world.deaths_of_protections import SCENARIOS as PROTECTIONS

pytestmark = pytest.mark.crash
SCENARIOS = ORDERS | ALGOS | PROTECTIONS


@pytest.mark.parametrize("name", SCENARIOS)
def test_after_a_death_at_any_effect_all_is_put_right(
    name: str, tmp_path: Path, cases: Callable[[int], None], told: Callable[[str], None]
) -> None:
    numbers = itertools.count()

    def folder() -> Path:
        made = tmp_path / str(next(numbers))
        made.mkdir()
        return made

    swept = sweep(SCENARIOS[name], folder)
    cases(swept.effects)
    ends = ", ".join(f"{end}: {count}" for end, count in sorted(swept.reached.items()))
    told(f"crash  {name}: {swept.effects} effects; {ends}")

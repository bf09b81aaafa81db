"""What `pms up` says of its start."""

from __future__ import annotations

import pytest

from pms.cli.serve import recovered
from schemas.records import RecoveryRun, RecoveryStep

STEP = RecoveryStep(action="book", subject="x", evidence="y", outcome="booked")


@pytest.mark.parametrize(
    "steps, unresolved, algos, said",
    [
        ((), (), 0, "nothing to recover"),
        ((), (), 1, "1 algo goes on, nothing was to be put right"),
        ((), (), 2, "2 algos go on, nothing was to be put right"),
        ((STEP,), (), 2, "2 algos go on, recovery took 1 step (pms recover tells)"),
        ((STEP, STEP), ("BTCUSDT",), 0, "recovery took 2 steps, unresolved: BTCUSDT (pms recover tells)"),
    ],
)
def test_a_start_tells_what_goes_on_and_what_was_put_right(
    steps: tuple[RecoveryStep, ...], unresolved: tuple[str, ...], algos: int, said: str
) -> None:
    run = RecoveryRun(cause="start", started_at=1, steps=steps, unresolved=unresolved)
    assert recovered(run, algos) == said


def test_a_start_without_a_recovery_has_nothing_to_tell() -> None:
    assert recovered(None, 0) == "nothing to recover"

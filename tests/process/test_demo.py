"""The demo on real processes: the whole stack, judged from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.process.stack import ROOT

LIMIT_S = 150  # it takes three quarters of a minute
CAPTURE = "btcusdt_20240808.gz"


def _demo(*words: str) -> dict[str, object]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("PMS_", "PYTEST_"))}
    command = [sys.executable, "-m", "pms", "demo", "--json", *words]
    done = subprocess.run(command, cwd=ROOT, env=ours, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def _check(verdict: dict[str, object]) -> None:
    assert verdict["ok"] is True
    assert verdict["reasons"] == []
    assert verdict["holes"] == 0
    assert verdict["chases"] >= 12
    assert verdict["partlyFilled"] >= 3
    assert verdict["amends"] >= 50
    filled = verdict["filled"]
    assert filled["venue"] == filled["redis"] == filled["events"] > 0


@pytest.mark.replay
def test_on_a_recorded_market_venue_redis_and_events_agree(shared: Path) -> None:
    _check(_demo("--replay", str(shared / "data" / "captures" / CAPTURE)))


@pytest.mark.slow
@pytest.mark.parametrize("speed", ["1", "3"])
def test_on_the_synthetic_market_venue_redis_and_events_agree(speed: str) -> None:
    _check(_demo("--speed", speed))

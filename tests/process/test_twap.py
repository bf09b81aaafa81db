"""TWAPs across processes: the same seed, the same plan; and the commands as people type them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from algos import twap_plan
from pms import exits
from tests.process.stack import ROOT
from tests.process.typed import Up
from tests.pure.algos.twap_stage import twap_params

ASKED = {"quantity": "5", "lots": 12, "jitter_pct": "40", "irregular": True}
MADE = f"""
from algos import twap_plan
from tests.pure.algos.twap_stage import twap_params
plan = twap_plan.plan(twap_params(**{ASKED!r}), twap_plan.seed_of("t123456789"))
print([str(lot) for lot in plan.lots], plan.due, hash("a string") % 1000)
"""


def _made(hash_seed: str) -> str:
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    command = [sys.executable, "-c", MADE]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


def test_the_same_seed_gives_the_same_plan_in_processes_that_hash_differently() -> None:
    one, other = _made("1"), _made("2")
    assert one.rsplit(maxsplit=1)[1] != other.rsplit(maxsplit=1)[1], "they do hash differently"
    assert one.rsplit(maxsplit=1)[0] == other.rsplit(maxsplit=1)[0]
    plan = twap_plan.plan(twap_params(**ASKED), twap_plan.seed_of("t123456789"))
    assert one.rsplit(maxsplit=1)[0] == f"{[str(lot) for lot in plan.lots]} {plan.due}"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder: Path = tmp_path_factory.mktemp("twap")
    stack = Up(folder / "data", "--profile", "still", "--symbols", "BTCUSDT", "ETHUSDT")
    yield stack
    assert stack.end(signal.SIGTERM) == exits.OK


def test_a_twap_is_followed_lot_by_lot_to_its_end(up: Up) -> None:
    done = up.pms("twap", "BTCUSDT", "BUY", "0.010", "--lots", "2", "--interval-seconds", "0.5", "--follow")
    assert done.returncode == exits.OK, done.stderr
    first, *events = done.stdout.splitlines()
    assert "BUY" in first
    assert "0.01" in first
    kinds = [line.split()[2] for line in events]
    assert (kinds[0], kinds[-1]) == ("twap_started", "twap_completed")
    assert kinds.count("order_filled") == 2
    assert "lots 2/2" in events[-1]


def test_a_basket_is_seen_among_the_algos_and_cancelled_by_its_id(up: Up) -> None:
    legs = ("BTCUSDT:BUY:0.010", "ETHUSDT:SELL:0.100")
    done = up.pms("twap-basket", "pair", *legs, "--lots", "2", "--style", "chase", "--json")
    assert done.returncode == exits.OK, done.stderr
    reply = json.loads(done.stdout)
    shown = up.pms("algos").stdout
    assert "BTCUSDT/ETHUSDT" in shown
    assert all(name in shown for name in (reply["twapBasketId"], *reply["twapIds"]))
    done = up.pms("cancel", reply["twapBasketId"])
    assert (done.returncode, done.stdout) == (exits.OK, f"{reply['twapBasketId']} is cancelled.\n")
    assert json.loads(up.pms("algos", "--json").stdout) == []


def test_too_many_lots_are_refused_with_the_most_that_would_work(up: Up) -> None:
    done = up.pms("twap", "BTCUSDT", "BUY", "0.010", "--lots", "11")
    assert done.returncode == exits.NO
    assert done.stderr.startswith("Refused (VALIDATION_TWAP_LOTS_INVALID): ")
    assert "at most 10" in done.stderr

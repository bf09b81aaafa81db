"""`pms halt --direct`: keys alone, no Redis and no daemon; and what a daemon finds afterwards (execution.md 32)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from pms import config, exits
from tests.process import stack
from tests.process.stack import KEYS, ROOT, SYMBOL, Stack
from tests.waiting import until


@pytest.fixture
def still(tmp_path: Path) -> Iterator[Stack]:
    """Redis and a venue whose market does not move."""
    with stack.running(tmp_path, "--profile", "still", "--symbols", SYMBOL) as standing:
        yield standing


def direct(still: Stack, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """`pms halt --direct --json` on the daemon's data directory, with nothing of Redis in its settings."""
    told = {"PMS_DATA_DIR": str(still.folder / "daemon"), "PMS_LOG_FORMAT": "json"}
    told |= {"PMS_REST_URL": still.venue.rest, "PMS_STREAM_URL": still.venue.streams} | settings
    program = [sys.executable, "-m", "pms", "halt", "--direct", "--json", *arguments]
    return subprocess.run(
        program, cwd=ROOT, env=config.clean_environment(**told), capture_output=True, text=True, timeout=60, check=False
    )


def answer(done: subprocess.CompletedProcess[str]) -> dict[str, object]:
    return json.loads(done.stdout.splitlines()[-1])


def position(still: Stack) -> Decimal:
    rows = still.venue.ask("paper", "GET", "/fapi/v3/positionRisk", symbol=SYMBOL)
    return sum((Decimal(row["positionAmt"]) for row in rows), Decimal(0))


def holds_a_position_and_two_orders(still: Stack) -> str:
    """A daemon that bought 0.010, a chase that rests, and a foreign order; the foreign order's id."""
    still.daemon().opened()
    bought = still.chase("0.010", stalkMode="none")
    still.venue.hit(still.resting(), "0.010")
    still.until_state(bought, status="filled")
    still.chase("0.010", stalkMode="none")
    still.resting()
    foreign = still.venue.order("paper", "BUY", Decimal("0.010"), Decimal(60000), "GTC")
    until(lambda: len(still.venue.open_orders()) == 2, 5, "ours and the foreign order rest")
    return str(foreign["clientOrderId"])


def test_without_redis_and_daemon_our_orders_leave_and_the_next_start_is_still_halted(still) -> None:
    foreign = holds_a_position_and_two_orders(still)
    still.daemons[0].kill()
    still.kill_redis()

    done = direct(still)
    assert done.returncode == exits.OK, done.stderr
    assert answer(done) == {"cancelled": 1, "closed": 0, "ordersLeft": [], "positionsLeft": []}
    assert [order["clientOrderId"] for order in still.venue.open_orders()] == [foreign]
    assert position(still) == Decimal("0.010")

    still.start_redis()
    still.daemon().opened()
    health = still.read(KEYS.health)
    assert health["mode"] == "HALTED"
    still.command("chase", symbol=SYMBOL, side="BUY", quantity="0.010")
    assert still.venue.open_orders() == []  # the foreign one by the start's policy, and nothing new


def test_flatten_closes_the_account_and_the_books_agree_afterwards(still) -> None:
    holds_a_position_and_two_orders(still)
    still.daemons[0].kill()
    done = direct(still, "--flatten")
    assert done.returncode == exits.OK, done.stderr
    assert answer(done)["closed"] == 1
    assert position(still) == 0

    still.daemon().opened()
    until(lambda: still.read(KEYS.health)["blocked"] == [], 5, "nothing is blocked")
    still.check_books()


def test_beside_a_running_daemon_no_entry_follows(still) -> None:
    foreign = holds_a_position_and_two_orders(still)
    done = direct(still)
    assert done.returncode == exits.OK, done.stderr
    until(lambda: still.read(KEYS.health)["mode"] == "HALTED", 5, "the daemon has seen halt.json")
    still.venue.raise_bid()
    assert [order["clientOrderId"] for order in still.venue.open_orders()] == [foreign]


def test_a_venue_that_can_not_be_asked_leaves_the_halt_written_down(still) -> None:
    (still.folder / "daemon").mkdir()
    done = direct(still, PMS_REST_URL="http://127.0.0.1:9")
    assert done.returncode == exits.UNAVAILABLE
    assert "orders may still rest" in done.stderr
    assert (still.folder / "daemon" / "halt.json").exists()


@pytest.mark.parametrize("words", [("--symbol", SYMBOL), ("--keep-orders",), ("--close-positions",)])
def test_direct_takes_no_scope(still, words) -> None:
    done = direct(still, *words)
    assert done.returncode == exits.USAGE
    assert "Nothing was done" in done.stderr
    assert not (still.folder / "daemon" / "halt.json").exists()


def test_live_needs_its_label_here_too(still) -> None:
    done = direct(still, PMS_MODE="live", PMS_ACCOUNT_LABEL="acct")
    assert done.returncode == exits.CONFIG
    assert "--live" in done.stderr

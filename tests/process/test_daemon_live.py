"""Taking over a live account (README; execution.md 24), with a simulator in the venue's place."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from pms import config, exits
from tests.process import stack
from tests.process.stack import ROOT, START_LIMIT_S, SYMBOL, Stack

LABEL = "main-account"

Pms = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def still(tmp_path: Path) -> Iterator[Stack]:
    with stack.running(tmp_path, "--profile", "still", "--symbols", SYMBOL) as standing:
        yield standing


@pytest.fixture
def settings(still: Stack) -> dict[str, str]:
    return {
        "PMS_MODE": "live",
        "PMS_ACCOUNT_LABEL": LABEL,
        "PMS_API_KEY": "paper",
        "PMS_API_SECRET": "paper",
        "PMS_FOREIGN_ORDERS": "report",
        "PMS_DATA_DIR": str(still.folder / "live"),
        "PMS_REDIS_URL": still.endpoint.url_unix,
        "PMS_REST_URL": still.venue.rest,
        "PMS_STREAM_URL": still.venue.streams,
    }


@pytest.fixture
def pms(settings: dict[str, str]) -> Pms:
    """Type a command with these settings, changed as asked."""

    def pms(*words: str, **changed: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pms", *words]
        environment = config.clean_environment(**(settings | changed))
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=START_LIMIT_S
        )

    return pms


def _foreign(still: Stack, price: str) -> None:
    """Somebody trades on the account by hand."""
    still.venue.order("paper", "BUY", Decimal("0.010"), Decimal(price), "GTC")


def _resting(still: Stack) -> list[str]:
    return [order["price"] for order in still.venue.open_orders()]


def test_nothing_is_touched_until_the_plan_was_applied(still, pms, settings) -> None:
    _foreign(still, "61000.00")
    refused = pms("run", "--live", LABEL)
    assert refused.returncode == exits.FIRST_CONTACT
    assert "pms recover" in refused.stderr
    assert "foreign order left alone (policy `report`)" in refused.stderr, "the plan is printed"

    planned = pms("recover", "--live", LABEL, "--dry-run", "--policy", "cancel")
    assert planned.returncode == exits.FIRST_CONTACT, planned.stderr
    assert "planned" in planned.stdout
    assert "cancelorder" in planned.stdout
    assert "Nobody has agreed" in planned.stdout
    assert pms("run", "--live", LABEL).returncode == exits.FIRST_CONTACT
    assert _resting(still) == ["61000.00"]

    applied = pms("recover", "--live", LABEL, "--apply", "--policy", "cancel")
    assert applied.returncode == exits.ACTED, applied.stderr
    assert _resting(still) == []
    assert pms("recover", "--live", LABEL, "--dry-run").returncode == exits.OK
    _foreign(still, "61001.00")
    daemon = stack.Daemon(Path(settings["PMS_DATA_DIR"]), still.endpoint.url_unix, still.venue, LABEL, **settings)
    still.daemons.append(daemon)
    assert daemon.opened()["mode"] == "live"
    assert still.chase("0.010")["success"]
    assert "61001.00" in _resting(still)  # by its own policy, which is to report


@pytest.mark.parametrize(
    "words, changed",
    [
        (("run",), {}),
        (("run", "--live", "another"), {}),
        (("run", "--live", LABEL), {"PMS_MODE": "paper"}),
        (("run", "--live", LABEL), {"PMS_ACCOUNT_LABEL": ""}),
        (("run", "--live", LABEL), {"PMS_API_SECRET": ""}),
        (("run", "--live", LABEL), {"PMS_FOREIGN_ORDERS": ""}),
    ],
)
def test_live_comes_by_two_equal_words_and_all_settings_only(still, pms, words, changed) -> None:
    refused = pms(*words, **changed)
    assert refused.returncode == exits.CONFIG, refused.stderr
    assert not list(still.redis.scan_iter())

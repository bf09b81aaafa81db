"""Binance clients that others wrote trade on `pms sim`; nothing of them is changed but the base URL.

Each is installed at its pinned version into a folder of its own (two of them are called `binance`), kept for the next
run. The light one is in every run.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pms import bootstrap, package_index
from tests.process.stack import ROOT, SYMBOL, Venue

CACHE = ROOT / ".pms" / "test-clients"
HERE = Path(__file__).parent / "venue_clients"
INSTALL_LIMIT_S = 120
RUN_LIMIT_S = 60

CONNECTOR = (
    *("binance-futures-connector==4.2.0", "pycryptodome==3.23.0", "requests==2.34.2", "websocket-client==1.9.0"),
    *("certifi==2026.10.18", "charset-normalizer==3.5.2", "idna==3.20", "urllib3==2.8.0"),
)
CLIENTS = [
    pytest.param("connector", CONNECTOR, id="binance-futures-connector"),
    pytest.param("python_binance", ("python-binance==1.0.37",), id="python-binance", marks=pytest.mark.slow),
    pytest.param("unified", ("ccxt==4.5.90",), id="ccxt", marks=pytest.mark.slow),
]


def _install(requirements: tuple[str, ...], folder: Path, scratch: Path) -> None:
    """With pip, which .venv need not have. Skips where the index can't be reached."""
    environment = package_index.pip_environment(os.environ, bootstrap.DEFAULT_INDEX)
    try:
        pip = [f"{package_index.fetch(bootstrap.PIP_WHEEL, bootstrap.PIP_SHA256, scratch, environment)}/pip"]
    except bootstrap.SetUpFailed:
        if importlib.util.find_spec("pip") is None:
            pytest.skip("there is no pip to install a client with")
        pip = ["-m", "pip"]
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = folder.with_name(f"{folder.name}.{os.getpid()}")  # renamed when it is whole
    options = ["install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:", "--target", str(fresh)]
    done = subprocess.run(
        [sys.executable, *pip, *options, *requirements],
        env=environment, capture_output=True, text=True, check=False, timeout=INSTALL_LIMIT_S,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"{requirements[0]} could not be installed: {done.stderr[-300:]}")
    fresh.rename(folder)


@pytest.fixture
def run(tmp_path: Path) -> Callable[[str, tuple[str, ...], Venue], object]:
    """Run a client's script against a venue; what it tells."""

    def run(script: str, requirements: tuple[str, ...], venue: Venue) -> object:
        folder = CACHE / f"{requirements[0]}-{sys.implementation.cache_tag}"
        if not folder.exists():
            _install(requirements, folder, tmp_path)
        # -S: of all installed packages it sees its own only
        command = [sys.executable, "-S", str(HERE / f"{script}.py"), venue.rest, "paper", "paper"]
        environment = {"PYTHONPATH": str(folder), "PATH": os.environ["PATH"]}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=RUN_LIMIT_S
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[Venue]:
    standing = Venue(tmp_path, "--profile", "still", "--symbols", SYMBOL)
    yield standing
    standing.stop()


@pytest.mark.parametrize("script, requirements", CLIENTS)
def test_a_client_places_amends_cancels_fills_and_reads_its_trades(run, venue, script, requirements) -> None:
    assert run(script, requirements, venue) == {
        "placed": ["NEW", 1],
        "amended": 50,
        "cancelled": "CANCELED",
        "filled": ["FILLED", 0.01],
        "trades": [[True, 0.01]],
        "position": 0.01,
    }
    (trade,) = venue.trades()
    assert trade["qty"] == "0.010"
    assert [order["status"] for order in venue.orders()] == ["CANCELED", "FILLED"]

"""The example client of docs/ with its libraries, and a running stack for it on each Redis version found."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pms.embedded import Binary
from tests.conftest import REDIS_BINARIES, ROOT
from tests.process import stack
from tests.process.stack import SYMBOL, Stack

EXAMPLE = ROOT / "docs" / "examples" / "js-client"
HERE = Path(__file__).parent
LIBRARIES = ("ioredis", "redis")
INSTALL_LIMIT_S = 120
# Without a registry that answers, a skip is told within seconds, not minutes.
NPM_OPTIONS = ("--no-audit", "--no-fund", "--fetch-retries=1", "--fetch-retry-mintimeout=1000")
RUN_LIMIT_S = 60

Script = Callable[..., str]


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example as its reader would have it: copied, with `npm ci` done."""
    folder = tmp_path_factory.mktemp("js") / "client"
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not on PATH")
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("node_modules"))
    for script in HERE.glob("*.mjs"):
        shutil.copy(script, folder)
    command = [npm, "ci", "--prefer-offline", *NPM_OPTIONS]
    installed = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=INSTALL_LIMIT_S
    )
    if installed.returncode:
        pytest.skip(f"the libraries of {EXAMPLE} could not be installed: {installed.stderr[-300:]}")
    return folder


@pytest.fixture
def run(node: str, client: Path) -> Script:
    """Run one of the scripts beside this file next to the example; its output."""

    def run(script: str, *arguments: str, given: str = "") -> str:
        command = [node, script, *arguments]
        done = subprocess.run(
            command, cwd=client, input=given, capture_output=True, text=True, check=False, timeout=RUN_LIMIT_S
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return done.stdout

    return run


def _version(binary: Binary) -> str:
    return "redis-" + ".".join(map(str, binary.version))


@pytest.fixture(scope="module", params=REDIS_BINARIES, ids=_version)
def standing(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A daemon in a busy market."""
    folder = tmp_path_factory.mktemp("stack")
    with stack.running(folder, "--profile", "busy", "--symbols", SYMBOL, binary=request.param.path) as started:
        started.daemon().opened()
        yield started

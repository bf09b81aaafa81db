"""The set-up for real: a copy of the checkout, an empty home, python3 alone. Slow, and needs a package index."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pms.bootstrap import INTERRUPTED, ROOT
from tests.waiting import until

pytestmark = pytest.mark.slow

COPIED = ("pms", "schemas", "algos", "recovery", "requirements.lock", "pyproject.toml")
# Goes on inside the environment as `python3 -m pms` does, and says where it is and what is there.
WORK = "from pms import bootstrap; bootstrap.enter(); import sys, redis, uvloop, pytest; print(sys.prefix)"
WITHOUT_ENSUREPIP = "import sys; sys.modules['ensurepip'] = None; "  # Debian without python3-venv
WITHOUT_WHEEL = "from pms import bootstrap; bootstrap.PIP_WHEEL = 'pip-0-none.whl'; "  # an index that lacks it
LIMIT_S = 60
OVERHEAD_LIMIT_S = 0.06


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Path]:
    copy = tmp_path / "checkout"
    copy.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy / name)
    yield copy
    shutil.rmtree(copy)


def _start(checkout: Path, code: str = WORK) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PMS_", "PYTHON"))}
    # PATH as a bare host has it; a home in which there is nothing
    environment |= {"HOME": str(checkout / "nobody"), "PATH": "/usr/bin:/bin"}
    python = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    return subprocess.Popen(
        [python, "-c", code], cwd=checkout, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def _finish(process: subprocess.Popen[str]) -> tuple[str, str]:
    told, said = process.communicate(timeout=3 * LIMIT_S)
    assert process.returncode == 0, said
    return told.strip(), said


@pytest.mark.parametrize("without", [WITHOUT_ENSUREPIP, WITHOUT_WHEEL], ids=["by pip's wheel", "by ensurepip"])
def test_the_first_start_sets_up_and_the_second_costs_next_to_nothing(checkout, without) -> None:
    started = time.monotonic()
    told, said = _finish(_start(checkout, without + WORK))
    assert time.monotonic() - started < LIMIT_S
    assert told == str(checkout / ".venv")
    assert said.count("pms set-up:") == 3

    def timed(code: str) -> float:
        started = time.perf_counter()
        assert _finish(_start(checkout, code))[1] == ""
        return time.perf_counter() - started

    inside = f"import os; os.execv({str(checkout / '.venv/bin/python')!r}, ['python', '-c', 'pass'])"
    through = "from pms import bootstrap; bootstrap.enter()"
    overhead = min(timed(through) for _ in range(9)) - min(timed(inside) for _ in range(9))
    assert overhead < OVERHEAD_LIMIT_S


def test_an_interrupted_set_up_is_begun_anew(checkout) -> None:
    first = _start(checkout)
    until((checkout / ".venv" / "pyvenv.cfg").exists, LIMIT_S, "the environment is begun")
    first.send_signal(signal.SIGINT)
    assert "interrupted" in first.communicate(timeout=LIMIT_S)[1]
    assert first.returncode == INTERRUPTED
    assert _finish(_start(checkout))[0] == str(checkout / ".venv")


def test_two_starts_at_once_make_one_environment(checkout) -> None:
    both = [_finish(process) for process in [_start(checkout), _start(checkout)]]
    assert {told for told, _ in both} == {str(checkout / ".venv")}
    assert sorted("installing" in said for _, said in both) == [False, True]

"""Every branch of the pure decisions is taken by their own tests (algos.md: the laws need evidence, not luck)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
TOLD = "TOTAL"


def _python(*words: str, data: Path) -> subprocess.CompletedProcess[str]:
    given = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    command = [sys.executable, "-m", *words]
    environment = given | {"COVERAGE_FILE": str(data)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1200, check=False)


@pytest.mark.slow
def test_every_branch_of_the_algos_is_taken_by_their_pure_tests(tmp_path: Path) -> None:
    data = tmp_path / "coverage"
    options = ("-q", "-n", "0", "-p", "no:cacheprovider", "--hypothesis-seed=0", f"--basetemp={tmp_path / 'temp'}")
    ran = _python("coverage", "run", "--source=algos", "-m", "pytest", *options, "tests/pure/algos", data=data)
    assert ran.returncode == 0, ran.stdout[-3000:]
    told = _python("coverage", "report", "--show-missing", "--skip-covered", "--fail-under=100", data=data)
    print(told.stdout)
    (total,) = [line for line in told.stdout.splitlines() if line.startswith(TOLD)]
    assert int(total.split()[3]) > 900, "branches are counted"
    assert (told.returncode, total.split()[-1]) == (0, "100%"), told.stdout

"""The rule that a demanded test may not skip, the slow ones' choice and the tally: pytest runs on a planted tree."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pms import selftest
from tests.conftest import ROOT

PLANTED = """
import pytest

def test_it_needs_the_recorded_data(shared):
    assert (shared / "data").is_dir()

def test_it_needs_the_recorded_data_and_still_skips(shared):
    pytest.skip("no reason")

def test_it_needs_node(node):
    assert node

@pytest.mark.ambiguity
def test_it_checks_many_cases(cases):
    cases(40)

@pytest.mark.ambiguity
def test_it_checks_one_case():
    assert True

@pytest.mark.slow
def test_it_takes_long():
    assert True
"""
ONE_OF_MANY = """
import os, pytest

@pytest.mark.parametrize("number", range(12))
def test_it_starts_a_daemon(number, told):
    told("run by " + os.environ["PYTEST_XDIST_WORKER"])
"""
HANGS = "def test_it_hangs_for_ever():\n    while True: ...\n"
SKIPS_WHOLE = "import pytest\npytest.skip('whole', allow_module_level=True)\n"


@pytest.fixture
def run(tmp_path: Path):
    """pytest on the planted tree, with these variables and arguments; its output."""
    planted = tmp_path / "tests" / "pure" / "test_planted.py"
    planted.parent.mkdir(parents=True)
    planted.write_text(PLANTED)
    (tmp_path / "shared" / "data").mkdir(parents=True)

    def run(*arguments: str, **variables: str) -> str:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PMS_", "PYTEST_"))}
        plugin = ["-p", "tests.conftest", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(tmp_path)]
        command = [sys.executable, "-m", "pytest", "-rA", *plugin, *arguments, str(tmp_path / "tests")]
        return subprocess.run(
            command, cwd=ROOT, env={**environment, **variables}, capture_output=True, text=True, check=False
        ).stdout

    return run


def test_without_demands_what_is_missing_skips(run) -> None:
    told = run(PATH="/nonexistent")
    assert "PMS_SHARED is not set" in told
    assert "2 passed, 3 skipped, 1 deselected" in told


def test_with_the_shared_folder_a_skip_of_its_tests_is_a_failure(run, tmp_path) -> None:
    told = run(PMS_SHARED=str(tmp_path / "shared"))
    assert "skipped although shared is demanded" in told
    assert "1 failed, 4 passed, 1 deselected" in told


def test_with_a_wrong_shared_folder_its_tests_fail(run, tmp_path) -> None:
    told = run(PMS_SHARED=str(tmp_path / "nothing"))
    assert "has no data folder" in told
    assert "3 passed, 1 deselected, 2 errors" in told


def test_with_node_demanded_its_absence_is_a_failure(run) -> None:
    told = run(PATH="/nonexistent", PMS_REQUIRE="node")
    assert "skipped although node is demanded" in told


def test_a_module_that_skips_itself_whole_fails_when_tests_are_demanded(run, tmp_path) -> None:
    (tmp_path / "tests" / "pure" / "test_whole.py").write_text(SKIPS_WHOLE)
    assert "a whole module skipped" not in run()
    assert "a whole module skipped" in run(PMS_REQUIRE="node")


def test_slow_tests_run_only_when_asked_for(run) -> None:
    assert "1 deselected" in run()
    told = run("--slow")
    assert "deselected" not in told
    assert "::test_it_takes_long" in told.partition("PASSED")[2]


def test_tests_of_real_processes_run_one_after_the_other_beside_the_others(run, tmp_path) -> None:
    alone = tmp_path / "tests" / "process" / "test_planted.py"
    alone.parent.mkdir()
    alone.write_text(ONE_OF_MANY)
    told = run("-n", "3", "--dist", "loadgroup", "--show-capture=no")
    assert len(re.findall(r"^PASSED \S*test_it_starts_a_daemon", told, re.MULTILINE)) == 12
    assert len(set(re.findall(r"^run by (\w+)$", told, re.MULTILINE))) == 1


def test_what_tests_start_keeps_its_bytecode() -> None:
    asked = [sys.executable, "-c", "import sys; print(sys.dont_write_bytecode)"]
    assert not sys.dont_write_bytecode
    assert subprocess.run(asked, capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.mark.parametrize("processes", [[], ["-n", "2", "--dist", "loadgroup"]])
def test_the_tally_counts_cases_and_the_time_of_the_layer(run, processes) -> None:
    told = run(*processes)
    assert "ambiguity 41" in told
    assert "pure " in told.partition("layers and cases")[2]


def test_a_test_that_hangs_ends_the_run_as_a_failure_that_names_it(run, tmp_path) -> None:
    (tmp_path / "tests" / "pure" / "test_hanging.py").write_text(HANGS)
    told = run(*selftest.command([])[3:], "-o", "faulthandler_timeout=2")
    assert "crashed while running 'tests/pure/test_hanging.py::test_it_hangs_for_ever'" in told
    assert "1 failed" in told

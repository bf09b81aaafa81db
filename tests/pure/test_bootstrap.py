"""The bootstrap's decisions: when it steps aside, what its stamp depends on, and that the lock is whole."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib

import pytest

from pms import bootstrap, selftest

PIN = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)
SHARED_OUT = ["-n", "3", "--dist", "loadgroup", "--max-worker-restart", "0"]


def _pins() -> dict[str, str]:
    return dict(PIN.findall(bootstrap.LOCK.read_text()))


def test_every_locked_package_has_a_hash_and_no_address() -> None:
    blocks = re.split(r"\n(?=[a-z])", bootstrap.LOCK.read_text().partition("\n\n")[0])
    assert len(_pins()) > 30
    assert all("--hash=sha256:" in block for block in blocks if PIN.match(block))
    assert "://" not in bootstrap.LOCK.read_text()


def test_the_lock_holds_what_the_project_asks_for() -> None:
    project = tomllib.loads((bootstrap.ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    pins = _pins()
    for requirement in asked:
        name, extra, lowest = re.match(r"([a-z-]+)(\[[a-z]+\])?>=([0-9.]+)", requirement).groups()
        assert name in pins, f"{name} is not locked"
        locked, wanted = ([int(part) for part in text.split(".")] for text in (pins[name], lowest))
        assert locked >= wanted, f"{name}: the lock is older than what pyproject.toml asks for"
        assert extra is None or {"[hiredis]": "hiredis", "[asyncio]": "greenlet"}[extra] in pins


def test_what_is_installed_here_is_what_is_locked() -> None:
    from importlib.metadata import version

    for name in ("redis", "aiohttp", "msgspec", "pytest", "mypy"):
        assert version(name) == _pins()[name]


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A checkout of its own whose environment is not made yet; what would set it up or start it is recorded."""
    done: list[str] = []
    monkeypatch.delenv("PMS_NO_VENV", raising=False)
    lock = tmp_path / "requirements.lock"
    lock.write_text("a==1\n")
    monkeypatch.setattr(bootstrap, "LOCK", lock)
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(bootstrap, "PYTHON", tmp_path / ".venv/bin/python")
    monkeypatch.setattr(bootstrap, "STAMP", tmp_path / ".venv/pms-stamp")
    monkeypatch.setattr(bootstrap, "_set_up", lambda wanted: done.append("set up"))
    monkeypatch.setattr(bootstrap.os, "execv", lambda path, argv: done.append("start"))
    return done


def _make_standing(stamp: str) -> None:
    bootstrap.PYTHON.parent.mkdir(parents=True)
    bootstrap.PYTHON.write_text("")
    bootstrap.STAMP.write_text(stamp)


def test_a_missing_environment_is_made_before_the_start(elsewhere) -> None:
    bootstrap.enter()
    assert elsewhere == ["set up", "start"]


def test_a_standing_environment_is_used_as_it_is(elsewhere) -> None:
    _make_standing(bootstrap.stamp())
    bootstrap.enter()
    assert elsewhere == ["start"]


def test_a_changed_lock_makes_the_environment_anew(elsewhere) -> None:
    _make_standing(bootstrap.stamp())
    bootstrap.LOCK.write_text("a==2\n")
    bootstrap.enter()
    assert elsewhere == ["set up", "start"]


def test_an_environment_whose_python_is_gone_is_made_anew(elsewhere) -> None:
    _make_standing(bootstrap.stamp())
    bootstrap.PYTHON.unlink()
    bootstrap.enter()
    assert elsewhere == ["set up", "start"]


def test_another_python_makes_it_anew(elsewhere, monkeypatch) -> None:
    _make_standing(bootstrap.stamp())
    monkeypatch.setattr(bootstrap.sys, "version", "3.99")
    bootstrap.enter()
    assert elsewhere == ["set up", "start"]


def test_it_steps_aside_when_told_to(elsewhere, monkeypatch) -> None:
    monkeypatch.setenv("PMS_NO_VENV", "1")
    bootstrap.enter()
    assert elsewhere == []


def test_it_steps_aside_inside_the_environment(elsewhere, monkeypatch) -> None:
    monkeypatch.setattr(bootstrap.sys, "prefix", str(bootstrap.VENV))
    bootstrap.enter()
    assert elsewhere == []


def test_it_steps_aside_in_an_installed_package(elsewhere) -> None:
    bootstrap.LOCK.unlink()
    bootstrap.enter()
    assert elsewhere == []


def test_a_python_that_is_too_old_is_told_so(elsewhere, monkeypatch, capsys) -> None:
    monkeypatch.setattr(bootstrap, "MIN_PYTHON", (4, 0))
    with pytest.raises(SystemExit) as caught:
        bootstrap.enter()
    assert caught.value.code == bootstrap.EX_SETUP
    assert "needs Python 4.0 or newer" in capsys.readouterr().err


def test_it_imports_the_standard_library_only() -> None:
    code = "import sys; import pms.bootstrap, pms.package_index; print(*{m.split('.')[0] for m in sys.modules})"
    loaded = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(bootstrap.ROOT)!r}); {code}"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    ours = {"pms", "__main__"}
    assert "pms" in loaded
    assert not {name for name in loaded if name not in sys.stdlib_module_names and name not in ours}


@pytest.mark.parametrize("arguments", [[], ["-q"], ["-x", "-v"]])
def test_the_whole_run_is_shared_out_over_two_processes(arguments) -> None:
    assert selftest.command(arguments)[1:] == ["-m", "pytest", *SHARED_OUT, *arguments]


def test_slow_tests_are_given_an_hour_before_they_count_as_hanging() -> None:
    told = selftest.command(["--slow"])[1:]
    assert told == ["-m", "pytest", *SHARED_OUT, "-o", "faulthandler_timeout=3600", "--slow"]


@pytest.mark.parametrize("arguments", [["tests/pure"], ["-k", "fill"], ["--pdb"], ["--version"]])
def test_a_callers_own_choice_goes_to_pytest_as_it_is(arguments) -> None:
    assert selftest.command(arguments)[1:] == ["-m", "pytest", *arguments]

"""Every planted error still has its place, those of the slow run too: a line that moved would let it find nothing."""

from __future__ import annotations

import importlib

import pytest

from tests.static.planting import ROOT, Planted

FILES = sorted(path.stem for path in (ROOT / "tests" / "static").glob("test_planted*errors.py"))


@pytest.mark.parametrize("name", FILES)
def test_each_planted_error_has_its_place_and_changes_it(name: str) -> None:
    told = importlib.import_module(f"tests.static.{name}").ERRORS
    errors = list(told.values()) if isinstance(told, dict) else list(told)
    assert errors
    for error in (one if isinstance(one, Planted) else Planted(0, *one) for one in errors):
        source = (ROOT / error.path).read_text()
        assert source.count(error.right) == 1, f"{error.right!r} has no place in {error.path} any more"
        assert error.wrong != error.right

"""`pms bench`: every measured budget beside its reference loop, from one run.

Owns what is printed and the exit code: not 0 where a budget is missed. Refuses to measure: that, and the
reference loops, are tests/bench's, which only a checkout has.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

import msgspec

from pms import exits

_COLUMNS = (("", "<"), ("p50", ">"), ("p99", ">"), ("reference", ">"), ("ratio", ">"), ("budget", ">"), ("", "<"))
_GAP = "  "


class Row(Protocol):
    """One path. `budget` bounds what `budget_of` names: the ratio p50 ÷ reference, p50 or p99 from above, "least": p50
    from below, or "told": nothing."""

    name: str
    unit: str
    p50: float
    p99: float
    reference: float
    ratio: float
    budget: float
    budget_of: str
    ok: bool


def main(arguments: list[str]) -> int:
    """Measure, print, and judge."""
    parser = argparse.ArgumentParser(
        prog="pms bench", description="Measure against the budgets; takes a minute or two."
    )
    parser.add_argument("--json", action="store_true", help="one JSON list of rows")
    parser.add_argument("--recording", type=Path, metavar="FILE", help="depth and touch frames from a recording")
    parser.add_argument("--only", metavar="WORD", default="", help="the rows of groups with WORD in their name")
    args = parser.parse_args(arguments)
    try:
        suite = importlib.import_module("tests.bench.suite")
    except ModuleNotFoundError:
        print("The reference loops are in the project's checkout (tests/bench): run it there.", file=sys.stderr)
        return exits.UNAVAILABLE
    rows: list[Row] = suite.rows(args.recording, args.only)
    if args.json:
        print(msgspec.json.encode(rows).decode())
    else:
        print(table(rows))
    return exits.OK if all(row.ok for row in rows) else exits.NO


def table(rows: Iterable[Row]) -> str:
    """Aligned for people. The bounded figure is marked with its budget's sign."""
    lines = [[name for name, _ in _COLUMNS], *(_cells(row) for row in rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(_COLUMNS))]
    return "\n".join(
        _GAP.join(
            f"{cell:{side}{width}}" for cell, width, (_, side) in zip(line, widths, _COLUMNS, strict=True)
        ).rstrip()
        for line in lines
    )


def _cells(row: Row) -> list[str]:
    least = row.budget_of == "least"
    bound = f"{'≥' if least else '≤'} {row.budget:g} {'×' if row.budget_of == 'ratio' else row.unit}"
    if row.budget_of == "p99":
        bound += " (p99)"
    figures = [f"{row.p50:,.4g} {row.unit}", f"{row.p99:,.4g}"]
    compared = [f"{row.reference:,.4g}", f"{row.ratio:.2f} ×"] if row.reference else ["", ""]
    judged = ["", ""] if row.budget_of == "told" else [bound, "ok" if row.ok else "MISSED"]
    return [row.name, *figures, *compared, *judged]

"""Every row of the recovery's truth table against the plan, and against the policy's own words (design.md, "Recovery
policy"; execution.md 22-24)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from schemas.orders import OrderState
from tests.pure.recovery import truth
from tests.pure.recovery.truth import Row


@pytest.fixture(scope="module")
def answers() -> dict[Row, str]:
    return {row: truth.verdicts(row) for row in truth.rows()}


def test_the_table_that_people_read_is_what_the_plan_says(answers: dict[Row, str]) -> None:
    """After a change that is meant: python -m tests.pure.recovery.truth, and read what differs."""
    assert truth.lines_of(answers) == truth.TABLE.read_text().splitlines()
    assert len(answers) >= 4_000


def test_every_kind_of_algo_under_every_policy_is_judged_alike(answers: dict[Row, str]) -> None:
    ours = [row for row in answers if row.kind]
    assert {row.kind for row in ours} >= {"chase", "twap", "twap_basket", "trail_stop", "scalper", "plug", "manual"}
    by_case: dict[tuple[str, ...], set[str]] = {}
    for row in ours:
        by_case.setdefault((row.found, *row[2:6]), set()).add(answers[row])
    assert {case: said for case, said in by_case.items() if len(said) > 1} == {}


def test_each_row_is_judged_as_the_policy_says(answers: dict[Row, str]) -> None:
    wrong = {row: said for row, said in answers.items() if said != (", ".join(policy(row)) or "nothing")}
    assert wrong == {}


def policy(row: Row) -> Iterator[str]:
    """The policy in its own order: take in what became of what we recorded, book, take up or ask on, then judge what
    rests."""
    recorded, live = row.record != "none", row.record != "none" and not OrderState(row.record).terminal
    if live and (row.at_venue not in ("open", "not found") or (row.at_venue == "open" and row.record != "active")):
        yield "Settle"
    if "filled" in row.at_venue:
        yield "Book"  # the records of these rows know of no trade
    if live and row.at_venue == "not found":
        yield "Resolve"
    if row.at_venue.startswith("open"):
        yield from _resting(row, recorded, live)


def _resting(row: Row, recorded: bool, live: bool) -> Iterator[str]:
    waits = row.form.startswith(("STOP", "TAKE_PROFIT"))
    if row.found in ("liquidation", "ADL") or (waits and row.found in ("another's", "damaged id")):
        yield "Show"
    elif row.form.startswith("STOP") and row.owner == "has no child":
        yield "CancelOrder"  # none of these has use for what waits for its price
    elif row.found == "another's":
        yield "CancelOrder" if row.policy == "cancel" and "reduce-only" not in row.form else "Show"
    elif row.found == "damaged id" or (recorded and not live):
        yield "CancelOrder"
    elif not recorded and row.owner in ("stands for it", "has no child"):
        yield "Adopt"
    elif row.owner in ("has no child", "stands for another", "is gone") or not recorded:
        yield "CancelOrder"

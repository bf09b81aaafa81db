"""The truth table of a recovery's plan: what is at the venue, what the record says, and who stands for it, against the
verdicts (design.md, "Recovery policy"; execution.md 22-24).

Owns the rows and asking the plan for each. `python -m tests.pure.recovery.truth` writes the table, which a person reads
and a test holds against the plan: every kind of algo, every state of a record, every form and fate at the venue.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, get_args

import msgspec

from algos.plugin_kind import parked
from algos.registry import KINDS
from recovery import reconcile
from recovery.plan import ForeignPolicy
from schemas.orders import OrderState
from schemas.reports import VenueStatus
from tests.pure.recovery.account import NOW, Account, Hands, at_once, no_pause, order_id, view

TABLE = Path(__file__).parent / "truth_table.tsv"
HEADER = ("found", "its owner", "form", "at the venue", "record", "policy", "verdicts")
LETTERS = {kind.name: kind.letter for kind in (*KINDS.values(), parked("plug"))}
OWNERS = ("stands for it", "has no child", "stands for another", "is gone")
FORMS = ("LIMIT", "STOP_MARKET")
AT_VENUE = ("open", "open, part filled", "filled", "cancelled", "cancelled, part filled", "expired", "not found")
STATES = ("none", *OrderState)
POLICIES = get_args(ForeignPolicy)
FOREIGN = {
    "another's": "web_1",
    "damaged id": order_id()[:-1] + "#",
    "liquidation": "autoclose-1",
    "ADL": "adl_autoclose",
}
FOREIGN_FORMS = ("LIMIT", "MARKET", "LIMIT, reduce-only", "STOP_MARKET", "TAKE_PROFIT_MARKET, reduce-only")


class Row(NamedTuple):
    """One situation. `kind` is the algo's, "manual" for an order by hand, "" where the order is not ours."""

    kind: str
    found: str
    owner: str
    form: str
    at_venue: str
    record: str
    policy: ForeignPolicy


def ours() -> Iterator[Row]:
    """Orders of ours, of every kind of algo and by hand; one kind under each policy, which is about other orders."""
    under = [(kind, policy) for kind in LETTERS for policy in POLICIES if policy == "cancel" or kind == "chase"]
    for owner, form, there, state in itertools.product(OWNERS, FORMS, AT_VENUE, STATES):
        for kind, policy in under:
            yield Row(kind, "an algo's order", owner, form, there, state, policy)
    for form, there, state, policy in itertools.product(FORMS, AT_VENUE, STATES, POLICIES):
        yield Row("manual", "an order by hand", "a person", form, there, state, policy)


def others() -> Iterator[Row]:
    """What rests and is not ours, or can't be told."""
    for whose, form, policy in itertools.product(FOREIGN, FOREIGN_FORMS, POLICIES):
        yield Row("", whose, "-", form, "open", "none", policy)


def verdicts(row: Row) -> str:
    """What the plan says to a row, in its order."""
    account = Account()
    owner = LETTERS.get(row.kind, "m") + "000000001"
    name = FOREIGN.get(row.found) or order_id(owner)
    form, _, reduces = row.form.partition(", ")
    status, filled = _fate(row.at_venue)
    number = 0
    if status is not None:
        report = account.at_venue(name, status, filled)
        number = report.order_id
        account.truth[name] = msgspec.structs.replace(report, order_type=form, reduce_only=bool(reduces))
    if row.record != "none":
        parent = "" if row.kind == "manual" else owner
        account.record(name, OrderState(row.record), parent, exchange_order_id=number, created_at=NOW - 5_000)
    children = {"stands for it": [name], "stands for another": [order_id(owner, 9)]}.get(row.owner, [])
    if children and children != [name]:
        other = account.at_venue(children[0])
        account.record(children[0], OrderState.ACTIVE, owner, exchange_order_id=other.order_id)
    if row.kind not in ("", "manual") and row.owner != "is gone":
        account.algos[owner] = view(owner, *children)
    made = at_once(reconcile.examine(account, Hands(account), row.policy, no_pause))[1]
    return ", ".join(type(verdict).__name__ for verdict in made.verdicts) or "nothing"


def _fate(at_venue: str) -> tuple[VenueStatus | None, int]:
    if at_venue == "not found":
        return None, 0
    status = VenueStatus(at_venue.partition(",")[0])
    return status, 10 if status is VenueStatus.FILLED else 4 * ("part filled" in at_venue)


def possible(row: Row) -> bool:
    """Whether it can come about: what has ended with something filled was not taken for failed, and an order that the
    venue ended without a fill is not recorded as filled."""
    if row.record == OrderState.FILLED:
        return row.at_venue in ("filled", "open, part filled", "open")
    return True


def table() -> list[str]:
    """The lines of the file: rows that differ in the kind of algo or the policy only are one, and say so."""
    return lines_of({row: verdicts(row) for row in rows()})


def rows() -> Iterator[Row]:
    """All that is asked."""
    yield from filter(possible, ours())
    yield from others()


def lines_of(answers: Mapping[Row, str]) -> list[str]:
    """See `table`."""
    told: dict[tuple[str, ...], dict[str, set[str]]] = {}
    for row, answer in answers.items():
        key = (row.found, row.owner, row.form, row.at_venue, row.record)
        told.setdefault(key, {}).setdefault(answer, set()).add(row.policy)
    lines = ["\t".join(HEADER)]
    for key, by_verdict in told.items():
        for verdict, policies in by_verdict.items():
            named = "any" if len(policies) == len(POLICIES) else "|".join(sorted(policies))
            lines.append("\t".join((*key, named, verdict)))
    return lines


if __name__ == "__main__":
    TABLE.write_text("\n".join(table()) + "\n")

"""The Prisma schema: made from the models, and other people's held against them."""

from __future__ import annotations

import re

import pytest

from pms import cli, exits
from pms.records import prisma, prisma_check
from pms.records.tables import TABLES

OURS = prisma.FILE.read_text()


def test_the_committed_schema_is_the_models() -> None:
    assert prisma.schema() == OURS, "write it anew: python -m pms.records.prisma"


def test_every_table_and_column_is_in_it_under_its_own_name() -> None:
    found = {model.table: set(model.fields) for model in prisma_check.models(OURS)}
    wanted = {prisma.table_of(model).name: set(prisma.table_of(model).columns.keys()) for model in TABLES}
    assert found == wanted
    assert all(re.fullmatch("[a-z][a-z0-9_]*", name) for name in (*wanted, *set().union(*wanted.values())))


def test_our_own_fits_and_so_does_a_part_of_it_among_other_models() -> None:
    assert prisma_check.differences(OURS) == []
    orders = re.search(r"model Order \{.*?^\}", OURS, re.DOTALL | re.MULTILINE)
    assert orders is not None
    other = "enum Role { ADMIN }\nmodel User {\n  id String @id // theirs\n  role Role\n  posts Post[]\n}\n"
    assert prisma_check.differences(other + orders[0]) == []


@pytest.mark.parametrize(
    "ours, theirs, line",
    [
        ("avgFillPrice    Decimal ", "avgFillPrice    Float ", "orders.avg_fill_price: Float there, Decimal here"),
        ("amends          BigInt", "amends          Int", "orders.amends: Int there, BigInt here"),
        ('@map("ended_at") @db.Timestamptz(6)', '@map("ended_at")', "orders.ended_at: without a time zone there"),
        ('@map("decision_bid") @db.Decimal', '@map("decision_bid") @db.Decimal(18, 8)', "orders.decision_bid: bounded"),
        ("decisionAsk     Decimal?", "decisionAsk     Decimal ", "orders.decision_ask: may be null here"),
        ("side            String\n", "side            Side\n", "orders.side: the column is not in model Order"),
        ('@map("root_id")', '@map("rootid")', "orders.rootid: in model Order, but there is no such column"),
        ("reason          String", "reason          String @db.VarChar(20)", "orders.reason: @db.VarChar(20) there"),
    ],
)
def test_what_does_not_fit_is_named(ours: str, theirs: str, line: str) -> None:
    start = OURS.index("model Order {")
    assert ours in OURS[start:], "the test's own premise"
    changed = OURS[:start] + OURS[start:].replace(ours, theirs, 1)
    found = prisma_check.differences(changed)
    assert any(one.startswith(line) for one in found), found


def test_a_file_without_any_of_our_tables_does_not_fit() -> None:
    assert prisma_check.differences("model User {\n  id String @id\n}\n") == [
        "no model in it is of a table that pms keeps (by its name or @@map)"
    ]


def test_the_command_tells_line_by_line_and_by_its_exit_code(tmp_path, capsys) -> None:
    assert cli.main(["records", "check", str(prisma.FILE)]) == exits.OK
    assert "fits the tables" in capsys.readouterr().out
    changed = tmp_path / "schema.prisma"
    changed.write_text(OURS.replace("Timestamptz", "Timestamp"))
    assert cli.main(["records", "check", str(changed)]) == exits.NO
    assert "orders.placed_at: without a time zone there" in capsys.readouterr().out
    assert cli.main(["records", "check"]) == exits.USAGE
    assert cli.main(["records", "check", str(tmp_path / "none")]) == exits.USAGE

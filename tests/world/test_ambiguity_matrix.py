"""{place, amend, cancel} x what the venue says x what it did: one row of data/ambiguity.csv each, and after each the
books are the venue's (execution.md 1 to 5).

`venue` tells whether an honest venue plays the cell; a lying one says "no such order" and takes it, or "not done" and
does it late. Even then no two orders stay for one intent, and no fill is lost.
"""

from __future__ import annotations

import csv
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.world import matrix
from tests.world.books import check_books
from tests.world.world import World, in_world

D = Decimal
pytestmark = pytest.mark.ambiguity


OF_THE_TABLE = ("-2011", "-2013", "-4116")  # read by one table of codes, whichever way the answer comes


class Row(NamedTuple):
    """One cell and its end."""

    action: str
    answer: str
    landing: str
    requests: str
    live: str
    filled: str
    status: str
    venue: str

    @property
    def cell(self) -> tuple[str, str, str]:
        return self.action, self.answer, self.landing

    @property
    def end(self) -> matrix.End:
        return matrix.End(int(self.requests), int(self.live), self.filled, self.status)


def rows() -> list[Row]:
    with (Path(__file__).parent / "data" / "ambiguity.csv").open() as file:
        return [Row(**row) for row in csv.DictReader(file)]


def test_the_table_has_every_cell_once() -> None:
    wanted = {
        (action, answer, landing)
        for action in matrix.METHODS
        for answer in matrix.ANSWERS
        for landing in matrix.LANDINGS
    }
    found = Counter(row.cell for row in rows())
    assert set(found) == wanted
    assert set(found.values()) == {1}
    assert len(wanted) == 132


def played() -> list[Any]:
    """Each row over REST, and over the WebSocket API too: there, what no part of the wire decides is left to --slow."""
    told = {
        transport: [
            pytest.param(
                row,
                transport,
                id=f"{', '.join(row.cell)}, {transport}",
                marks=[pytest.mark.slow] if transport == "ws" and row.answer in OF_THE_TABLE else [],
            )
            for row in rows()
        ]
        for transport in ("rest", "ws")
    }
    return [*told["rest"], *told["ws"]]


@pytest.mark.parametrize("row, transport", played())
@in_world(books=False)
async def test_a_cell_ends_as_the_table_says_and_the_books_are_right(world: World, row: Row, transport: str) -> None:
    assert await matrix.play(world, *row.cell, transport) == row.end
    await check_books(world, lied=row.venue == "lying")
    world.heal()
    for order in world.resting():
        world.market.hit(order, order.remaining)
    await world.run(5)
    assert world.resting() == []
    assert world.held() == (D(row.filled) if row.action == "cancel" else D("0.010"))
    await check_books(world, lied=row.venue == "lying")

"""Cancels of one turn of the loop: few leave side by side, many in batches, each with its own outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pms.binance.cancels import MANY, Together
from pms.tasks import Tasks
from pms.venue import Cancel, NotDone, Outcome, Unknown


class Venue:
    """Answers each cancel with its own id, and notes how it was asked."""

    def __init__(self) -> None:
        self.alone: list[str] = []
        self.batches: list[tuple[str, list[str]]] = []
        self.together = Together(self.many, Tasks())

    async def many(self, symbol: str, client_ids: Sequence[str]) -> list[Outcome]:
        self.batches.append((symbol, list(client_ids)))
        return [Unknown(name) for name in client_ids]

    def cancel(self, name: str, symbol: str = "BTCUSDT", refused: str = "") -> asyncio.Future[Outcome]:
        async def alone() -> Outcome:
            self.alone.append(name)
            return Unknown(name)

        return asyncio.ensure_future(self.together.send(Cancel(symbol, name), alone, lambda: refused))


async def test_few_leave_by_themselves() -> None:
    venue = Venue()
    outcomes = await asyncio.gather(*(venue.cancel(str(number)) for number in range(MANY - 1)))
    assert outcomes == [Unknown(str(number)) for number in range(MANY - 1)]
    assert len(venue.alone) == MANY - 1
    assert venue.batches == []


async def test_many_of_a_symbol_leave_together_and_each_hears_its_own_outcome() -> None:
    venue = Venue()
    names = [str(number) for number in range(25)]
    others = [venue.cancel("e", "ETHUSDT")]
    outcomes = await asyncio.gather(*map(venue.cancel, names))
    assert outcomes == [Unknown(name) for name in names]
    assert venue.batches == [("BTCUSDT", names)]
    assert await others[0] == Unknown("e")
    assert venue.alone == ["e"]


async def test_those_of_another_turn_do_not_wait() -> None:
    venue = Venue()
    assert await venue.cancel("a") == Unknown("a")
    assert await venue.cancel("b") == Unknown("b")
    assert venue.alone == ["a", "b"]


async def test_one_that_may_not_leave_stays_behind_and_the_others_go() -> None:
    venue = Venue()
    stays = venue.cancel("fenced", refused="fenced")
    outcomes = await asyncio.gather(stays, *(venue.cancel(str(number)) for number in range(MANY)))
    assert outcomes[0] == NotDone("fenced")
    assert venue.batches == [("BTCUSDT", [str(number) for number in range(MANY)])]


async def test_who_left_disturbs_nobody() -> None:
    venue = Venue()
    left = venue.cancel("left")
    others = [venue.cancel(str(number)) for number in range(MANY)]
    await asyncio.sleep(0)
    left.cancel()
    assert await asyncio.gather(*others) == [Unknown(str(number)) for number in range(MANY)]

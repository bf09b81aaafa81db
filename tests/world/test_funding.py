"""Money that no trade brings: funding on each book's own position, exactly once; transfers to `external` (execution.md
13, 16)."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from pms.sim.views import Income
from tests.world.test_audit import alarms
from tests.world.test_sub_accounts import QUOTE, balance, fill, signed
from tests.world.world import START_MS, World, in_world

D = Decimal
HOUR_MS = 3_600_000
EVE_MS = (START_MS // HOUR_MS + 1) * HOUR_MS - 20_000  # shortly before a funding
RATE, MARK = D("0.0001"), D("61802.5")


class Funding:
    """The venue's funding, told by its history and its income; `tell` False: the row comes later."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rows: list[dict[str, Any]] = []
        self._numbers = 10**6

    async def hour(self) -> int:
        """Let time pass until a second before the next whole hour; that hour."""
        self.world.market.frozen = True
        now = self.world.clock.now_ms()
        due = (now // HOUR_MS + 1) * HOUR_MS
        await self.world.run((due - now) / 1000 - 1)
        return due

    def pay(self, time: int, tell: bool = True) -> Decimal:
        """The account is paid on its net; what it gets."""
        amount = (-self.world.held() * MARK * RATE).quantize(D("0.00000001"))
        self.rows.append({"symbol": "BTCUSDT", "fundingRate": str(RATE), "fundingTime": time, "markPrice": str(MARK)})
        self.world.heal()
        self.world.fault("GET", "/fapi/v1/fundingRate", status=200, body=json.dumps(self.rows), count=0)
        self.world.exchange._account(self.world.account).wallet += amount
        if amount and tell:
            self.tell(time, amount)
        return amount

    def tell(self, time: int, amount: Decimal, word: str = "FUNDING_FEE", symbol: str = "BTCUSDT") -> None:
        self._numbers += 1
        row = Income(symbol, word, amount, "USDT", 0, time + 3, self._numbers)  # type: ignore[arg-type]
        self.world.exchange._account(self.world.account).income.append(row)


async def told(world: World) -> dict[str, dict[str, Any]]:
    """What events said of the one funding, by sub-account; each must speak once."""
    events = await world.events("funding_paid")
    found = {event["subAccountId"]: event for event in events}
    assert len(found) == len(events)
    return found


async def owned(world: World, *names: str) -> list[Decimal]:
    return [await balance(world, name) for name in names]


async def opposite(world: World, long: str, short: str) -> list[Decimal]:
    """Two sub-accounts against each other; what each owns, and `external`."""
    world.market.quote(*QUOTE)
    await world.start()
    await fill(world, "long", "BUY", long)
    await fill(world, "short", "SELL", short)
    return await owned(world, "long", "short", "external")


@in_world(start_ms=EVE_MS)
async def test_each_book_is_paid_on_its_own_position_though_the_venue_pays_on_the_net(world: World) -> None:
    long, short, external = await opposite(world, "0.010", "0.004")
    funding = Funding(world)
    time = await funding.hour()
    await world.run(1)
    row = funding.pay(time)
    assert row == D("-0.0370815")
    await world.run(60)
    paid = [D("-0.0618025"), D("0.024721")]
    assert await owned(world, "long", "short") == [long + paid[0], short + paid[1]]
    assert await balance(world, "external") == external + row - sum(paid)
    watermark = await world.record("watermark")
    assert watermark["symbols"]["BTCUSDT"]["incomeTime"] == time
    events = await told(world)
    amounts = {name: event["amount"] for name, event in events.items()}
    assert amounts == {"long": paid[0], "short": paid[1]}, "nothing remains of the venue's row"
    shown = ("positionId", "quantity", "dueAt", "rate", "markPrice")
    assert [events["short"][name] for name in shown] == ["short:BTCUSDT:1", D("-0.004"), time, RATE, MARK]
    assert (await world.record("subaccount:short"))["seq"] >= events["short"]["seq"], "told and booked in one step"
    assert await alarms(world) == set()


@in_world(start_ms=EVE_MS)
async def test_books_that_cancel_out_get_their_funding_though_the_venue_pays_nothing(world: World) -> None:
    long, short, external = await opposite(world, "0.010", "0.010")
    funding = Funding(world)
    time = await funding.hour()
    await world.run(1)
    assert funding.pay(time) == 0
    await world.run(60)
    assert await owned(world, "long", "short", "external") == [long - D("0.0618025"), short + D("0.0618025"), external]


@pytest.mark.parametrize("while_down", [False, True])
@in_world(start_ms=EVE_MS)
async def test_funding_is_booked_once_whatever_restarts(world: World, while_down: bool) -> None:
    long, short, external = await opposite(world, "0.010", "0.004")
    funding = Funding(world)
    time = await funding.hour()
    if while_down:
        await world.kill()
    await world.run(2)
    row = funding.pay(time)
    if while_down:
        await world.start()
    await world.run(60)
    for _ in range(2):
        await world.stop()
        await world.start()
        await world.run(60)
    assert await owned(world, "long", "short") == [long - D("0.0618025"), short + D("0.024721")]
    assert await balance(world, "external") == external + row + D("0.0618025") - D("0.024721")
    assert sum(event["amount"] for event in (await told(world)).values()) == row


@in_world(start_ms=EVE_MS)
async def test_the_position_at_the_funding_time_counts_not_the_one_when_it_is_booked(world: World) -> None:
    long, short, _ = await opposite(world, "0.010", "0.004")
    funding = Funding(world)
    time = await funding.hour()
    world.market.frozen = False
    await world.run(2)
    funding.pay(time)
    await fill(world, "long", "SELL", "0.010")
    await fill(world, "short", "BUY", "0.004")
    assert [await signed(world, name) for name in ("long", "short")] == [0, 0]
    before = await owned(world, "long", "short")
    await world.run(60)
    after = await owned(world, "long", "short")
    assert [now - then for now, then in zip(after, before, strict=True)] == [D("-0.0618025"), D("0.024721")]
    assert long != before[0]
    assert short != before[1]
    assert {name: event["quantity"] for name, event in (await told(world)).items() if name != "external"} == {
        "long": D("0.010"),
        "short": D("-0.004"),
    }


@in_world(start_ms=EVE_MS)
async def test_a_payment_that_the_venue_does_not_tell_of_is_waited_for(world: World) -> None:
    long, short, _ = await opposite(world, "0.010", "0.004")
    funding = Funding(world)
    time = await funding.hour()
    await world.run(1)
    row = funding.pay(time, tell=False)
    await world.run(300)
    assert await owned(world, "long", "short") == [long, short]
    await world.run(400)
    assert "funding_missing:BTCUSDT" in await alarms(world)
    funding.tell(time, row)
    await world.run(90)
    assert await owned(world, "long", "short") == [long - D("0.0618025"), short + D("0.024721")]
    assert await alarms(world) == set()


@in_world(start_ms=EVE_MS)
async def test_a_transfer_goes_to_external_once(world: World) -> None:
    """The second one has the first one's row read again."""
    await world.start()
    main, external = await owned(world, "main", "external")
    funding = Funding(world)
    for amount in (D(500), D(-200)):
        world.exchange._account(world.account).wallet += amount
        funding.tell(world.clock.now_ms(), amount, "TRANSFER", "")
        await world.run(60)
        await world.kill()
        await world.start()
        await world.run(60)
    assert await owned(world, "main", "external") == [main, external + 300]
    assert await alarms(world) == set()


# --- the simulator's own ------------------------------------------------------------------------------

SIXTEEN_MS = 1_790_006_400_000  # 2026-09-21 16:00 UTC


def income(world: World) -> list[Decimal]:
    rows = world.exchange.income(world.account)
    return [row.income for row in rows if row.income_type == "FUNDING_FEE"]


@pytest.mark.parametrize("short", ["0.004", "0.010"])
@in_world(start_ms=SIXTEEN_MS - 20_000)
async def test_the_venue_s_funding_is_booked_to_the_last_digit_of_its_income(world: World, short: str) -> None:
    before = await opposite(world, "0.010", short)
    await world.run(90)
    (row,) = world.exchange.funding.history("BTCUSDT")
    assert row.time == SIXTEEN_MS
    paid = [(-held * row.mark * row.rate).quantize(D("1e-8")) for held in (D("0.010"), -D(short))]
    net = sum(income(world), D(0))
    assert await owned(world, "long", "short", "external") == [
        before[0] + paid[0],
        before[1] + paid[1],
        before[2] + net - sum(paid),
    ]
    assert len(income(world)) == (0 if short == "0.010" else 1)
    amounts = [event["amount"] for event in (await told(world)).values()]
    assert sum(amounts) == net
    assert amounts[:2] == paid
    assert await alarms(world) == set()


@in_world(start_ms=SIXTEEN_MS - 20_000)
async def test_a_funding_while_nobody_watched_is_booked_after_the_restart(world: World) -> None:
    before = await opposite(world, "0.010", "0.004")
    await world.kill()
    await world.run(60)
    await world.start()
    await world.run(90)
    (net,) = income(world)
    assert sum(await owned(world, "long", "short", "external")) == sum(before) + net

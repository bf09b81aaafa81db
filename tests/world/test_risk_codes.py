"""Each reason of the risk gate is reached through a door: the reply says it with its numbers, an event tells it, and
nothing is sent (contract.md, the RISK row)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from pms.core.circuit import TIMES
from schemas.errors import RISK_CODES, ErrorCode
from tests.world.world import World, in_world

D = Decimal
ORDER: dict[str, Any] = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010"}
LIMIT = ORDER | {"price": 61000}
Prepare = Callable[[World], Awaitable[dict[str, Any]]]


async def nothing(world: World) -> dict[str, Any]:
    await world.limited()
    return {}


def limits(**given: Any) -> Prepare:
    async def prepare(world: World) -> dict[str, Any]:
        await world.limited(**given)
        return {}

    return prepare


def after(prepare: Prepare, kind: str, **body: Any) -> Prepare:
    """Something is placed before."""

    async def placed(world: World) -> dict[str, Any]:
        reply = await world.command(kind, **body)
        assert reply["success"], reply
        return await prepare(world)

    return placed


def told(kind: str, **body: Any) -> Prepare:
    async def prepare(world: World) -> dict[str, Any]:
        assert (await world.command(kind, **body))["success"]
        return {}

    return prepare


def lost(**given: Any) -> Prepare:
    """A trade whose fee alone is more than may be lost."""

    async def prepare(world: World) -> dict[str, Any]:
        daemon = world.daemon
        assert daemon is not None
        await world.limited(**given)
        await world.run(2)
        assert (await world.command("trade", **ORDER | {"quantity": "0.100"}))["success"]
        await world.until(lambda: daemon.ledger.sub_accounts["main"].status == "reduce", 10)
        return {}

    return prepare


async def older_redis(world: World) -> dict[str, Any]:
    """Redis comes back without what was written: the next life only reduces."""
    await world.stop()
    await world.redis.delete("pms:seq", "pms:stream:events")
    await world.start()
    return {}


async def stale(world: World) -> dict[str, Any]:
    """A resting order, and then a book that says nothing any more."""
    reply = await world.command("limit", **LIMIT)
    world.socket_fault("/public*", refuse=503, count=0)
    world.cut("/public")
    await world.run(2)
    return {"clientOrderId": reply["clientOrderId"]}


async def refused_again_and_again(world: World) -> dict[str, Any]:
    world.fault("POST", status=400, code=-2010, msg="Account has insufficient balance.", count=TIMES)
    for _ in range(TIMES):
        assert (await world.command("limit", **LIMIT))["errorCode"] == "EXCHANGE_REJECTED"
    return {}


async def drifted(world: World) -> dict[str, Any]:
    """The venue shows a position that no trade explains."""
    await world.kill()
    world.market.rest(world.account, "BUY", D("61900"), "0.007", "web_1", time_in_force="IOC")
    world.fault("GET", path="/fapi/v1/userTrades", status=200, body="[]", count=0)
    await world.start()
    await world.run(3)
    return {}


async def marked(world: World) -> dict[str, Any]:
    """The mark price is known."""
    await world.command("validate", **ORDER)
    await world.run(2)
    return await nothing(world)


class Case(msgspec.Struct, frozen=True):
    """What stands before the command, the command, and the numbers that its refusal names (None: any)."""

    prepare: Prepare
    kind: str
    body: dict[str, Any]
    numbers: tuple[Any, Any] | None = None
    settings: dict[str, str] = {}


CASES = {
    "HALTED": (
        Case(told("halt"), "limit", LIMIT, ("trading", "stopped")),
        Case(told("halt", scope="symbol", symbol="BTCUSDT"), "chase", ORDER | {"leverage": 7}),
        Case(told("halt", scope="subAccountId"), "basket", {"legs": [ORDER]}),
    ),
    "REDUCE_ONLY_MODE": (
        Case(older_redis, "trade", ORDER),
        Case(older_redis, "chase", ORDER),
    ),
    "SUBACCOUNT_FROZEN": (
        Case(told("freeze"), "trade", ORDER),
        Case(told("freeze"), "chase", ORDER | {"leverage": 7}),
        Case(
            told("freeze"),
            "scale",
            {"symbol": "BTCUSDT", "side": "BUY", "levels": [{"price": 61000, "quantity": 0.01}]},
        ),
    ),
    "MAX_ORDER_NOTIONAL": (
        Case(limits(maxOrderNotional=600), "limit", LIMIT, (600, 610)),
        Case(limits(maxOrderNotional=600), "chase", ORDER, (600, 618)),
    ),
    "MAX_TOTAL_NOTIONAL": (Case(after(limits(maxTotalNotional=1000), "limit", **LIMIT), "limit", LIMIT),),
    "MAX_POSITION": (
        Case(after(limits(maxPosition=1000), "trade", **ORDER), "trade", ORDER),
        Case(after(limits(maxPosition=1000), "trade", **ORDER), "chase", ORDER),
    ),
    "MAX_OPEN_ORDERS": (Case(after(limits(maxOpenOrders=1), "limit", **LIMIT), "limit", LIMIT, (1, 1)),),
    "MAX_LEVERAGE": (
        Case(limits(maxLeverage=5), "limit", LIMIT | {"leverage": 6}, (5, 6)),
        Case(limits(maxLeverage=5), "trade", ORDER | {"leverage": 6}, (5, 6)),
        Case(limits(maxLeverage=5), "chase", ORDER | {"leverage": 6}, (5, 6)),
    ),
    "INSUFFICIENT_MARGIN": (
        Case(nothing, "limit", LIMIT | {"quantity": 1}),
        Case(nothing, "chase", ORDER | {"quantity": 1}),
    ),
    "PRICE_COLLAR": (
        Case(limits(priceCollarPct=1), "limit", LIMIT | {"price": 62500}, (D("62418.0505"), 62500)),
        Case(limits(priceCollarPct="0.1"), "trade", ORDER),
    ),
    "PERCENT_PRICE": (Case(marked, "limit", LIMIT | {"price": 70000}),),
    "REDUCE_ONLY_EXCEEDS": (
        Case(nothing, "limit", LIMIT | {"side": "SELL", "price": 62000, "reduceOnly": True}, (0, D("0.010"))),
        Case(
            after(nothing, "trade", **ORDER), "trade", ORDER | {"side": "SELL", "quantity": "0.011", "reduceOnly": True}
        ),
    ),
    "DAILY_LOSS": (Case(lost(maxDailyLoss=1), "limit", LIMIT),),
    "DRAWDOWN": (Case(lost(maxDrawdownPct="0.01"), "chase", ORDER),),
    "ORDER_RATE": (
        Case(after(limits(maxOrdersPerMinute=1), "limit", **LIMIT), "limit", LIMIT, (1, 1)),
        Case(after(limits(maxOrdersPerMinute=1), "limit", **LIMIT), "chase", ORDER, (1, 1)),
    ),
    "STALE_BOOK": (Case(stale, "amend", {"price": 61001}),),
    "REJECTION_CIRCUIT": (Case(refused_again_and_again, "limit", LIMIT),),
    "POSITION_DRIFT": (Case(drifted, "limit", LIMIT), Case(drifted, "chase", ORDER)),
    "OPPOSING_REFUSED": (
        Case(
            after(nothing, "limit", **LIMIT),
            "limit",
            LIMIT | {"side": "SELL", "price": 63000, "subAccountId": "other"},
            settings={"PMS_OPPOSING": "refuse"},
        ),
    ),
}
ROWS = [(code, case) for code, cases in CASES.items() for case in cases]


def name_of(row: tuple[str, Case]) -> str:
    """The row's number, its code and its kind of command."""
    return f"{ROWS.index(row) + 1} {row[0]} {row[1].kind}"


def sent(world: World) -> list[tuple[str, str]]:
    """All that this life of the daemon has asked the venue to change."""
    return [(method, path) for method, path in world.http.requests if method != "GET" and "listenKey" not in path]


def test_every_reason_of_the_gate_is_reached() -> None:
    assert set(CASES) == {code.value for code in RISK_CODES}


@pytest.mark.parametrize("code, case", ROWS, ids=map(name_of, ROWS))
@in_world(books=False)
async def test_a_refusal_names_its_reason_and_numbers_and_is_told_and_nothing_is_sent(
    world: World, code: str, case: Case
) -> None:
    await world.start(**case.settings)
    body = {"subAccountId": "main"} | case.body | await case.prepare(world)
    before = sent(world)
    reply = await world.command(case.kind, requestId="refused", **body)
    assert not reply["success"], reply
    assert (reply["errorCode"], reply["errorCategory"], reply["retryable"]) == (code, "RISK", False), reply
    numbers = reply["details"]["limit"], reply["details"]["value"]
    assert all(number is not None for number in numbers)
    assert case.numbers in (None, numbers)
    events = [event for event in await world.events("risk_rejected") if event["requestId"] == "refused"]
    assert len(events) == 1, "told once"
    (event,) = events
    assert (event["reasonCode"], event["layer"], event["order"]["symbol"]) == (code, "gate", "BTCUSDT")
    assert event["subAccountId"] == body["subAccountId"]
    words = [number for number in numbers if isinstance(number, str)]
    assert words or (event["limit"], event["value"]) == numbers
    await world.run(3)
    assert sent(world) == before
    assert (await world.reply("refused"))["success"] is False, "the outcome stands"
    assert ErrorCode(code) in RISK_CODES

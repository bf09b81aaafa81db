"""validate tells the numbers that the gate judges by, says what it would say, and shows what a start would do first
(contract.md, `validate`; algos.md)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from tests.world.world import World, in_world

D = Decimal
CENT = D("0.01")
BUY: dict[str, Any] = {"symbol": "BTCUSDT", "side": "BUY"}
LEVELS = [{"price": 61000 - 100 * step, "quantity": "0.010"} for step in range(3)]
COMMANDS: dict[str, dict[str, Any]] = {
    "limit": BUY | {"quantity": "0.010", "price": 61000, "leverage": 5},
    "trade": BUY | {"quantity": "0.010"},
    "chase": BUY | {"quantity": "0.010", "leverage": 3},
    "scale": BUY | {"levels": LEVELS, "leverage": 2},
    "basket": {"legs": [BUY | {"quantity": "0.010"}, BUY | {"symbol": "ETHUSDT", "quantity": "0.100"}]},
}


async def beside(world: World) -> None:
    """A position and two resting orders in `main`: the numbers are not those of an empty account."""
    assert (await world.command("trade", leverage=5, **BUY | {"quantity": "0.020"}))["success"]
    assert (await world.command("limit", leverage=4, **BUY | {"quantity": "0.015", "price": 60000}))["success"]
    sell = {"symbol": "ETHUSDT", "side": "SELL", "quantity": "0.2", "price": 9000}
    assert (await world.command("limit", leverage=2, **sell))["success"]
    await world.run(2)  # so that the mark prices are known


async def preview(world: World, kind: str) -> dict[str, Any]:
    return await world.command("validate", command={"type": kind, **COMMANDS[kind]})


async def is_edge(world: World, kind: str, limit: str, value: Decimal, code: str) -> None:
    """A limit of exactly this value lets the command through; a cent less does not, with the value as it was told."""
    await world.limited(**{limit: str(value)})
    assert (await preview(world, kind))["valid"] is True, f"{limit} of {value}"
    await world.limited(**{limit: str(value - CENT)})
    errors = (await preview(world, kind))["errors"]
    assert errors
    error = errors[0]
    assert (error["errorCode"], error["details"]["value"]) == (code, value), error


@pytest.mark.parametrize("kind", COMMANDS)
@in_world(symbols=("BTCUSDT", "ETHUSDT"))
async def test_the_exposure_of_a_preview_is_the_value_that_the_gate_judges(world: World, kind: str) -> None:
    await world.start()
    await beside(world)
    await world.limited()
    values = (await preview(world, kind))["computedValues"]
    await is_edge(world, kind, "maxTotalNotional", values["exposure"], "MAX_TOTAL_NOTIONAL")


@pytest.mark.parametrize("kind", ["limit", "trade", "chase"])
@in_world(symbols=("BTCUSDT", "ETHUSDT"))
async def test_the_notional_of_a_preview_is_the_value_that_the_gate_judges(world: World, kind: str) -> None:
    await world.start()
    await beside(world)
    await world.limited()
    values = (await preview(world, kind))["computedValues"]
    await is_edge(world, kind, "maxOrderNotional", values["notional"], "MAX_ORDER_NOTIONAL")


@pytest.mark.parametrize("kind", COMMANDS)
@in_world(symbols=("BTCUSDT", "ETHUSDT"))
async def test_the_margins_of_a_preview_are_those_that_the_gate_judges(world: World, kind: str) -> None:
    """The money that is missing by a cent is missed by the gate, with the sums that were told."""
    await world.start()
    await beside(world)
    await world.limited()
    values = (await preview(world, kind))["computedValues"]
    left = values["availableMargin"] - values["requiredMargin"]
    assert left > 0
    drain(world, left)
    assert (await preview(world, kind))["valid"] is True
    drain(world, CENT)
    errors = (await preview(world, kind))["errors"]
    assert errors
    error = errors[0]
    needed = values["equity"] - values["availableMargin"] + values["requiredMargin"]
    numbers = (error["errorCode"], error["details"]["limit"], error["details"]["value"])
    assert numbers == ("INSUFFICIENT_MARGIN", values["equity"] - left - CENT, needed)


def drain(world: World, amount: Decimal) -> None:
    """Money leaves `main` for `external`, as nothing but a person's transfer does."""
    assert world.daemon is not None
    accounts = world.daemon.ledger.sub_accounts
    with world.daemon.desk.step() as unit:
        for name, change in (("main", -amount), ("external", amount)):
            unit.sub_account(msgspec.structs.replace(accounts[name], balance=accounts[name].balance + change))


@in_world()
async def test_a_preview_of_what_only_reduces_takes_no_margin_and_adds_no_exposure(world: World) -> None:
    await world.start()
    await world.command("trade", **BUY | {"quantity": "0.010", "leverage": 5})
    closer = {"symbol": "BTCUSDT", "side": "SELL", "quantity": "0.010", "reduceOnly": True}
    for kind, more in (("limit", {"price": 64000}), ("trade", {}), ("chase", {})):
        reply = await world.command("validate", command={"type": kind, **closer, **more})
        values = reply["computedValues"]
        assert (reply["valid"], values["requiredMargin"], values["exposure"]) == (True, 0, D("618.0005")), reply
        assert values["availableMargin"] == values["equity"] - D("618.0005") / 5


@pytest.mark.parametrize("kind", COMMANDS)
@in_world(symbols=("BTCUSDT", "ETHUSDT"))
async def test_a_preview_says_what_the_gate_would_say(world: World, kind: str) -> None:
    await world.start()
    await world.command("halt")
    reply = await preview(world, kind)
    assert (reply["valid"], {error["errorCode"] for error in reply["errors"]}) == (False, {"HALTED"}), reply
    assert reply["computedValues"]["notional"] > 0, "the numbers are told all the same"
    assert world.order_requests() == []
    assert await world.events("risk_rejected") == [], "nobody has asked for it yet"


@pytest.mark.parametrize(
    "quantity, shown", [({}, "0.010"), ({"quantity": "0.004"}, "0.004"), ({"quantity": 5}, "0.010")]
)
@in_world()
async def test_a_preview_of_a_close_shows_what_would_leave_whatever_rests_in_its_way(
    world: World, quantity: dict[str, Any], shown: str
) -> None:
    await world.start()
    await world.command("trade", **BUY | {"quantity": "0.010"})
    resting = {"symbol": "BTCUSDT", "side": "SELL", "quantity": "0.010", "price": 64000, "reduceOnly": True}
    assert (await world.command("limit", **resting))["success"]
    close = {"type": "close", "symbol": "BTCUSDT", "side": "SELL", **quantity}
    reply = await world.command("validate", command=close)
    values = reply["computedValues"]
    assert (reply["valid"], values["quantity"], values["requiredMargin"]) == (True, D(shown), 0), reply
    assert len(world.resting()) == 1, "nothing was sent, and nothing had to make way"
    before = len(world.placed())
    del close["type"]
    assert (await world.command("close", **close))["success"]
    exit_ = world.placed()[before]
    assert (exit_.quantity, exit_.price) == (D(shown), values["price"])


@in_world()
async def test_a_preview_of_a_close_says_what_the_close_would_say(world: World) -> None:
    await world.start()
    close = {"type": "close", "symbol": "BTCUSDT", "side": "SELL"}
    reply = await world.command("validate", command=close)
    assert (reply["valid"], reply["computedValues"]) == (True, {"quantity": 0}), "nothing is held: a close does nothing"
    await world.command("trade", **BUY | {"quantity": "0.010"})
    wrong = await world.command("validate", command=close | {"side": "BUY"})
    assert [error["errorCode"] for error in wrong["errors"]] == ["POSITION_SIDE_MISMATCH"], wrong
    stranger = await world.command("validate", command={"type": "close", "positionId": "other:BTCUSDT:1"})
    assert [error["errorCode"] for error in stranger["errors"]] == ["POSITION_NOT_FOUND"], stranger


@in_world()
async def test_a_preview_of_a_changed_chase_shows_where_it_would_stand_and_changes_nothing(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase(quantity="0.010")
    change = {"type": "chase_amend", "chaseId": chase, "quantity": "0.020", "stalkOffsetTicks": 100}
    reply = await world.command("validate", command=change)
    values = reply["computedValues"]
    assert (reply["valid"], values["price"], values["quantity"]) == (True, D("61790.0"), D("0.020")), reply
    await world.run(2)
    assert [(order.price, order.quantity) for order in world.resting()] == [(D("61800.0"), D("0.010"))]
    del change["type"]
    assert (await world.command("chase_amend", **change))["success"]
    await world.until(lambda: [order.price for order in world.resting()] == [values["price"]], 3)
    await world.limited(maxTotalNotional="1300")
    larger = change | {"type": "chase_amend", "quantity": "0.030"}
    refused = await world.command("validate", command=larger)
    assert [error["errorCode"] for error in refused["errors"]] == ["MAX_TOTAL_NOTIONAL"], refused
    assert world.resting()[0].quantity == D("0.020")


# --- algos: the first actions ----------------------------------------------------------------------------

SELL_BACK: dict[str, Any] = {"symbol": "BTCUSDT", "side": "SELL"}
SIZE = {"quantity": "0.050", "lots": 5, "intervalSeconds": 20}
ALGOS: dict[str, tuple[str, dict[str, Any]]] = {
    "chase": ("chase", BUY | {"quantity": "0.010", "stalkOffsetTicks": 7}),
    "chase by size": ("chase", BUY | {"sizeUsdt": 700, "postOnly": False, "aggressive": True}),
    "reduce-only chase": ("chase", SELL_BACK | {"quantity": "0.010", "reduceOnly": True}),
    "twap": ("twap", BUY | SIZE | {"leverage": 4}),
    "twap by size": ("twap", SELL_BACK | {"sizeUsdt": 3000, "lots": 4, "durationMinutes": 2}),
    "twap of chases": ("twap", BUY | SIZE | {"style": "chase"}),
    "twap behind its limit": ("twap", BUY | SIZE | {"priceLimit": 61000}),
    "reduce-only twap": ("twap", SELL_BACK | SIZE | {"reduceOnly": True, "style": "chase"}),
    "twap basket": (
        "twap_basket",
        {"basketName": "pair", "lots": 3, "intervalSeconds": 20,
         "legs": [BUY | {"quantity": "0.030"}, SELL_BACK | {"symbol": "ETHUSDT", "quantity": "0.300"}]},
    ),
    "twap basket of chases": (
        "twap_basket",
        {"basketName": "pair", "lots": 3, "intervalSeconds": 20, "style": "chase",
         "legs": [BUY | {"quantity": "0.030"}, SELL_BACK | {"symbol": "ETHUSDT", "sizeUsdt": 1000}]},
    ),
    "trailing stop": ("trail_stop", {"symbol": "BTCUSDT", "positionSide": "LONG", "callbackTicks": 300}),
    "trailing stop, not active": (
        "trail_stop",
        {"symbol": "BTCUSDT", "positionSide": "LONG", "callbackPct": 2, "activationPrice": 70000},
    ),
    "scalper": ("scalper", {"symbol": "BTCUSDT", "longSizeUsd": 2000, "childCount": 3, "skew": 30}),
    "scalper from the short side": ("scalper", {"symbol": "BTCUSDT", "longSizeUsd": 620, "startSide": "SHORT"}),
    "neutral scalper": (
        "scalper",
        {"symbol": "BTCUSDT", "longSizeUsd": 1500, "shortSizeUsd": 900, "childCount": 2, "neutralMode": True,
         "maxPositionUsd": 1000},
    ),
}  # fmt: skip
PLACED = ("symbol", "side", "price", "quantity", "timeInForce", "reduceOnly")
SHOWN = {  # what the reply of each kind tells, besides its ids and its plan
    "chase": ("symbol", "side", "quantity"),
    "twap": ("symbol", "side", "quantity"),
    "twap_basket": (),
    "trail_stop": (
        "symbol",
        "side",
        "quantity",
        "extremePrice",
        "triggerPrice",
        "activated",
        "backstopPrice",
        "backstopQuantity",
    ),
    "scalper": ("symbol", "longLayers", "shortLayers"),
}


async def is_what_starts(world: World, kind: str, body: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The preview of a command has the first orders that its start then places, in their order, and the numbers of its
    reply; until then nothing leaves. Returns the orders."""
    before = len(await world.events("order_placed"))
    told = await world.command("validate", command={"type": kind, **body})
    assert told["valid"], told
    values = told["computedValues"]
    wanted = [tuple(row[name] for name in PLACED) for row in values["actions"] if row["action"] == "place"]
    await world.run(3)
    assert len(await world.events("order_placed")) == before
    reply = await world.command(kind, **body)
    assert reply["success"], reply
    await world.run(0.2)
    placed = [tuple(event[name] for name in PLACED) for event in (await world.events("order_placed"))[before:]]
    assert placed == wanted
    assert {name: values[name] for name in SHOWN[kind]} == {name: reply[name] for name in SHOWN[kind]}
    for shown, runs in zip(values.get("plan", ()), reply.get("plan", ()), strict=True):
        later = {row["dueAt"] - plan[0]["dueAt"] for row, plan in ((shown, values["plan"]), (runs, reply["plan"]))}
        assert len(later) == 1, "each lot as far from the first"
        assert shown | {"dueAt": 0} == runs | {"dueAt": 0}
    return wanted


@pytest.mark.parametrize("what", ALGOS)
@in_world(symbols=("BTCUSDT", "ETHUSDT"))
async def test_a_preview_of_an_algo_is_what_its_start_then_does(world: World, what: str) -> None:
    kind, body = ALGOS[what]
    await world.start()
    await world.unlimited()
    assert (await world.command("trade", **BUY | {"quantity": "0.100"}))["success"]
    await world.run(1)
    first = await is_what_starts(world, kind, body)
    assert bool(first) == (what not in ("trailing stop, not active", "twap behind its limit"))
    if kind == "twap_basket":
        assert [order[0] for order in first] == ["BTCUSDT", "ETHUSDT"]
    if kind == "scalper":
        assert len(first) == (1 if body.get("startSide") == "SHORT" else 3)


CHASE = BUY | {"quantity": "0.010"}
TWAP = BUY | SIZE
REFUSED: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("chase", CHASE | {"quantity": "0.0105001"}, "QUANTITY_OFF_GRID"),
    ("chase", CHASE | {"quantity": "0"}, "INVALID_FIELD"),
    ("chase", CHASE | {"sizeUsdt": 100}, "INVALID_FIELD"),
    ("chase", BUY | {"sizeUsdt": 1}, "BELOW_MINIMUM"),
    ("chase", CHASE | {"symbol": "NOPEUSDT"}, "UNKNOWN_SYMBOL"),
    ("chase", CHASE | {"stalkOffsetPct": 11}, "INVALID_FIELD"),
    ("chase", CHASE | {"aggressive": True, "stalkOffsetTicks": 3}, "INVALID_FIELD"),
    ("chase", CHASE | {"stalkMode": "hunt"}, "INVALID_FIELD"),
    ("chase", CHASE | {"onDeadline": "sell"}, "INVALID_FIELD"),
    ("chase", CHASE | {"maxDistancePct": -1}, "INVALID_FIELD"),
    ("twap", TWAP | {"lots": 400}, "VALIDATION_TWAP_LOTS_INVALID"),
    ("twap", TWAP | {"durationMinutes": 1}, "INVALID_FIELD"),
    ("twap", TWAP | {"jitterPct": 51}, "INVALID_FIELD"),
    ("twap_basket", {"basketName": "x", "legs": [], "lots": 2}, "INVALID_FIELD"),
    ("twap_basket", {"basketName": "x", "legs": [CHASE, CHASE | {"symbol": "NOPEUSDT"}], "lots": 2}, "UNKNOWN_SYMBOL"),
    ("trail_stop", {"symbol": "BTCUSDT", "positionSide": "LONG", "callbackPct": 0.01}, "INVALID_FIELD"),
    ("trail_stop", {"symbol": "BTCUSDT", "positionSide": "LONG"}, "POSITION_NOT_FOUND"),
    ("scalper", {"symbol": "BTCUSDT", "longSizeUsd": 620, "childCount": 11}, "INVALID_FIELD"),
    ("scalper", {"symbol": "BTCUSDT", "longSizeUsd": 1}, "BELOW_MINIMUM"),
    ("algo_start", {"algo": "nobody", "params": {}}, "PLUGIN_NOT_APPROVED"),
)


@in_world()
async def test_what_a_start_refuses_its_preview_refuses_with_the_same_word(world: World) -> None:
    await world.start()
    for kind, body, code in REFUSED:
        reply = await world.command(kind, **body)
        assert (reply["success"], reply["errorCode"]) == (False, code), (kind, body, reply)
        assert reply["error"]
        told = await world.command("validate", command={"type": kind, **body})
        errors = [told] if not told["success"] else told["errors"]
        assert (told.get("valid", False), errors[0]["errorCode"]) == (False, code), (kind, body, told)
        assert errors[0]["error"]
    assert world.order_requests() == []

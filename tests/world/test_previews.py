"""validate tells the numbers that the gate judges by, and says what it would say (contract.md, `validate`)."""

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

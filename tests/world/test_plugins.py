"""An algo from an installed package on the whole stack: approved or refused, traded to the end, over restarts."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.plugin_site import Site, site
from tests.world.world import World, in_world

D = Decimal
ICEBERG = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010", "displayQuantity": "0.004", "price": "61790.0"}


@pytest.fixture
def plugs(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as made:
        yield made


async def begin(world: World, plugs: Site) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start(PMS_PLUGINS=str(plugs.approved))


async def again(world: World, plugs: Site) -> None:
    await world.start(PMS_PLUGINS=str(plugs.approved))


async def iceberg(world: World, **changes: Any) -> str:
    reply = await world.command("algo_start", algo="iceberg", params=ICEBERG | changes)
    assert reply["success"], reply
    return str(reply["algoId"])


async def state_of(world: World, algo_id: str) -> dict[str, Any]:
    return await world.record(f"algo:iceberg:{algo_id}")


async def ends(world: World, algo_id: str, status: str = "completed") -> dict[str, Any]:
    async def ended() -> bool:
        return (await state_of(world, algo_id))["status"] == status

    await world.until(ended)
    return await state_of(world, algo_id)


async def shows(world: World, quantity: str) -> Any:
    """One order rests, of this quantity."""
    await world.until(lambda: [order.quantity for order in world.resting()] == [D(quantity)])
    return world.resting()[0]


@in_world()
async def test_an_iceberg_shows_a_piece_at_a_time_until_all_is_filled(world: World, plugs: Site) -> None:
    plugs.iceberg()
    plugs.approve()
    await begin(world, plugs)
    algo_id = await iceberg(world)
    for shown in ("0.004", "0.004", "0.002"):
        order = await shows(world, shown)
        assert (order.price, order.side) == (D("61790.0"), "BUY")
        world.market.hit(order, shown)
    state = await ends(world, algo_id)
    assert state["legs"][0]["filled"] == D("0.010") == world.held()
    assert await world.redis.hkeys("pms:active_algo:main") == []
    told = [event for event in await world.events() if event["type"].startswith("algo_")]
    assert {event["type"] for event in told} == {"algo_started", "algo_progress", "algo_completed"}
    leg = told[-1]["state"]["legs"][0]
    assert (leg["filledQuantity"], leg["avgPrice"], leg["slippageBps"]) == (D("0.010"), D("61790.0"), D("-2.02"))
    assert {order["origin"] for order in await world.events("order_placed")} == {"ALGO"}
    assert {order["parentId"] for order in await world.events("order_placed")} == {algo_id}


# --- approved or not ----------------------------------------------------------------------------------

MARK = "\nfrom pathlib import Path\nPath({mark!r}).write_text('imported')\n"


async def refused(world: World, **changes: Any) -> dict[str, Any]:
    reply = await world.command("algo_start", algo="iceberg", params=ICEBERG | changes)
    assert not reply["success"], reply
    return reply


@in_world()
async def test_an_unapproved_plug_in_is_never_imported_and_the_refusal_has_the_line(world: World, plugs: Site) -> None:
    mark = plugs.folder / "mark"
    plugs.iceberg(more=MARK.format(mark=str(mark)))
    await begin(world, plugs)
    reply = await refused(world)
    line = plugs.package().line
    assert (reply["errorCode"], reply["details"]) == ("PLUGIN_NOT_APPROVED", {"path": "algo", "line": line})
    assert f"add the line `{line}` to {plugs.approved}" in reply["error"]
    assert line.startswith("pms-iceberg==1.0.0 sha256:")
    told = await world.command("validate", command={"type": "algo_start", "algo": "iceberg", "params": ICEBERG})
    assert [error["errorCode"] for error in told["errors"]] == ["PLUGIN_NOT_APPROVED"]
    assert not mark.exists()
    await world.stop()
    plugs.approve(line)
    await again(world, plugs)
    assert mark.exists(), "the mark is made once the line stands"
    await iceberg(world)


@pytest.mark.parametrize("what", ["hash", "version", "name", "a changed byte", "another file"])
def test_a_line_for_anything_else_approves_nothing(what: str, tmp_path: Path, plugs: Site) -> None:
    mark = plugs.folder / "mark"
    plugs.iceberg(more=MARK.format(mark=str(mark)) + "# one\n")
    line = plugs.package().line
    changed = {
        "hash": line[:-1] + ("0" if line[-1] != "0" else "1"),
        "version": line.replace("==1.0.0", "==1.0.1"),
        "name": line.replace("pms-iceberg", "pms-glacier"),
    }
    plugs.approve(changed.get(what, line))
    if what == "a changed byte":
        plugs.iceberg(more=MARK.format(mark=str(mark)) + "# two\n")
    elif what == "another file":
        source = (plugs.folder / "pms_iceberg.py").read_text()
        files = {"pms_iceberg.py": source, "pms_iceberg_more.py": "NOTHING = 0\n"}
        plugs.install("pms-iceberg", "1.0.0", {"iceberg": "pms_iceberg:ICEBERG"}, files)

    @in_world()
    async def live(world: World) -> None:
        await begin(world, plugs)
        reply = await refused(world)
        assert (reply["errorCode"], reply["details"]["line"]) == ("PLUGIN_NOT_APPROVED", plugs.package().line)
        assert not mark.exists()

    live(tmp_path)


@in_world()
async def test_a_list_that_others_may_write_approves_nothing(world: World, plugs: Site) -> None:
    plugs.iceberg()
    plugs.approve()
    plugs.approved.chmod(0o620)
    await begin(world, plugs)
    reply = await refused(world)
    assert reply["errorCode"] == "PLUGIN_NOT_APPROVED"
    assert "can be written by others" in reply["error"]


@in_world()
async def test_a_plug_in_that_breaks_at_its_import_ends_nothing_but_itself(world: World, plugs: Site) -> None:
    plugs.iceberg(more="\nraise RuntimeError('not today')\n")
    plugs.approve()
    await begin(world, plugs)
    reply = await refused(world)
    assert (reply["errorCode"], reply["details"]) == ("PLUGIN_NOT_APPROVED", {"path": "algo"})
    assert "RuntimeError('not today')" in reply["error"]
    await world.chase()


@in_world()
async def test_an_algo_that_nobody_brings_is_refused_by_name(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    reply = await refused(world)
    assert reply["errorCode"] == "PLUGIN_NOT_APPROVED"
    assert "no installed package brings an algo iceberg" in reply["error"]


# --- at the door --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes, code, path",
    [
        ({"price": "61790.05"}, "PRICE_OFF_GRID", "params.price"),
        ({"quantity": "0.0105"}, "QUANTITY_OFF_GRID", "params.quantity"),
        ({"displayQuantity": "0.0005"}, "QUANTITY_OFF_GRID", "params.displayQuantity"),
        ({"displayQuantity": "0.011"}, "INVALID_FIELD", "params.displayQuantity"),
        ({"quantity": "0.0"}, "INVALID_FIELD", "params.quantity"),
        ({"price": "1000"}, "BELOW_MINIMUM", "params.displayQuantity"),
        ({"side": "UP"}, "INVALID_FIELD", "params.side"),
        ({"symbol": "NOUSDT"}, "UNKNOWN_SYMBOL", "params.symbol"),
        ({"leverage": 200}, "INVALID_FIELD", "params.leverage"),
        ({"colour": "red"}, "UNKNOWN_FIELD", "params.colour"),
        ({"reduceOnly": "no"}, "INVALID_FIELD", "params.reduceOnly"),
        ({"quantity": "20", "displayQuantity": "20"}, "MAX_ORDER_NOTIONAL", None),
    ],
)
def test_each_parameter_is_checked_at_the_door_and_by_validate(changes, code, path, tmp_path, plugs) -> None:
    @in_world()
    async def live(world: World) -> None:
        plugs.iceberg()
        plugs.approve()
        await begin(world, plugs)
        reply = await refused(world, **changes)
        assert (reply["errorCode"], reply["details"].get("path")) == (code, path), reply
        inner = {"type": "algo_start", "algo": "iceberg", "params": ICEBERG | changes}
        told = await world.command("validate", command=inner)
        assert (told["valid"], told["errors"][0]["errorCode"]) == (False, code)
        assert world.placed() == []

    live(tmp_path)


@in_world()
async def test_validate_shows_the_first_piece_and_the_whole_plans_margin(world: World, plugs: Site) -> None:
    plugs.iceberg()
    plugs.approve()
    await begin(world, plugs)
    told = await world.command("validate", command={"type": "algo_start", "algo": "iceberg", "params": ICEBERG})
    values = told["computedValues"]
    assert (told["valid"], values["quantity"], values["notional"]) == (True, D("0.010"), D("617.9"))
    (first,) = values["actions"]
    assert (first["quantity"], first["price"]) == (D("0.004"), D("61790"))
    assert world.placed() == []


@in_world()
async def test_a_repeat_is_answered_with_the_same_algo_over_a_restart_too(world: World, plugs: Site) -> None:
    plugs.iceberg()
    plugs.approve()
    await begin(world, plugs)
    body = {"algo": "iceberg", "params": ICEBERG, "requestId": "once"}
    first = await world.command("algo_start", **body)
    assert await world.command("algo_start", **body) == first
    await world.stop()
    await again(world, plugs)
    assert await world.command("algo_start", **body) == first
    assert len(await world.redis.hkeys("pms:active_algo:main")) == 1


# --- another one: two sides, amends, what it keeps ------------------------------------------------------

MAKER = """
import msgspec
from algos.plugin import NOTHING, Plan, Plugin, amend, place
from schemas.fields import Size
from schemas.market import Side
from schemas.orders import OrderState
from schemas.plugin import PluginParams


class Params(PluginParams, frozen=True, kw_only=True):
    quantity: Size


class Own(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    last_bid: int = 0


def plan(params, instrument, quote):
    sides = ((Side.BUY, quote.bid), (Side.SELL, quote.ask))
    return tuple(Plan(side, params.quantity, instrument.price(ticks)) for side, ticks in sides)


def decide(state, now, quote):
    if state.own.last_bid != quote.bid:
        state = msgspec.structs.replace(state, own=Own(last_bid=quote.bid))
    actions = NOTHING
    for slot, (side, ticks) in enumerate(((Side.BUY, quote.bid), (Side.SELL, quote.ask))):
        price, order = state.instrument.price(ticks), state.order(slot)
        if order is None and state.room(side):
            state, more = place(state, slot, side, price, state.room(side), "GTX")
            actions += more
        elif order is not None and order.price != price and order.state is OrderState.ACTIVE:
            state, more = amend(state, slot, price, order.quantity)
            actions += more
    return state, actions


MAKER = Plugin(name="maker", params=Params, plan=plan, decide=decide, own=Own)
"""


@in_world()
async def test_a_plug_in_may_quote_both_sides_and_move_its_orders(world: World, plugs: Site) -> None:
    plugs.install("maker", "0.1", {"maker": "maker_on_two_sides:MAKER"}, {"maker_on_two_sides.py": MAKER})
    plugs.approve()
    await begin(world, plugs)
    reply = await world.command("algo_start", algo="maker", params={"symbol": "BTCUSDT", "quantity": 0.01})
    assert reply["success"], reply
    world.market.quote("61801.0", "61804.0")

    def stands() -> list[tuple[str, Decimal]]:
        return sorted((order.side, order.price) for order in world.resting())

    await world.until(lambda: stands() == [("BUY", D("61801.0")), ("SELL", D("61804.0"))])
    assert world.order_requests().count("POST") == 2, "moved by amending"
    buy, sell = sorted(world.resting(), key=lambda order: order.side)
    world.market.hit(buy, "0.010")
    await world.run(1)
    record = await world.record(f"algo:maker:{reply['algoId']}")
    assert [(leg["side"], leg["filled"]) for leg in record["legs"]] == [("BUY", D("0.010")), ("SELL", 0)]
    assert record["own"]["lastBid"] == 618010
    world.market.hit(sell, "0.010")
    await world.run(1)
    assert (await world.events("algo_completed"))[-1]["state"]["own"] == record["own"]
    assert world.held() == 0
    assert len(world.placed()) == 2

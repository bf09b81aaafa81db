"""`pms:stream:market`: one entry per second and symbol in use (contract.md, state keys)."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from schemas.keys import Keys
from schemas.tape import FIELD, Arrival, Entry, Second
from tests.world.world import World, in_world

D = Decimal


async def tape(world: World) -> list[Second | Arrival]:
    rows = await world.redis.xrange(Keys().market_stream)
    return [msgspec.json.decode(row[FIELD.encode()], type=Entry) for _, row in rows]


async def seconds(world: World) -> list[Second]:
    return [entry for entry in await tape(world) if isinstance(entry, Second)]


@in_world()
async def test_each_second_of_a_symbol_in_use_has_its_touch(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    await world.run(3)
    assert await tape(world) == []  # nobody uses a symbol yet
    await world.chase(stalkMode="none", stalkOffsetTicks=50)
    await world.run(5)
    told = await seconds(world)
    assert {(second.symbol, second.bid, second.ask) for second in told} == {("BTCUSDT", D("61800.0"), D("61805.0"))}
    stamps = [second.ts for second in told]
    assert stamps == list(range(stamps[0], stamps[0] + 1000 * len(stamps), 1000))
    assert len(stamps) >= 4
    assert stamps[0] % 1000 == 0


@in_world()
async def test_trades_are_summed_by_the_takers_side_within_their_second(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    await world.chase(quantity="0.010")
    (order,) = world.resting()
    world.market.hit(order, "0.004")
    world.market.hit(order, "0.003")
    await world.run(3)
    told = [second for second in await seconds(world) if second.trades]
    aggregates = world.exchange.agg_trades("BTCUSDT", limit=1000)
    assert len(aggregates) == sum(second.trades for second in told) > 0
    assert sum(second.sell_quantity for second in told) == sum(trade.quantity for trade in aggregates)
    assert sum(second.buy_quantity for second in told) == 0
    assert sum(second.notional for second in told) == sum(trade.quantity * trade.price for trade in aggregates)
    assert max(second.high for second in told) == max(trade.price for trade in aggregates)
    assert min(second.low for second in told) == told[-1].last == order.price


@in_world()
async def test_while_redis_is_away_seconds_are_dropped_and_nothing_else_suffers(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    daemon = await world.start()
    await world.chase(stalkMode="none", stalkOffsetTicks=50)
    await world.run(2)
    before = await seconds(world)
    world.redis_goes()
    await world.run(3)
    world.redis_comes()
    await world.run(5)
    after = await seconds(world)
    assert after[: len(before)] == before
    assert len(after) > len(before)
    assert daemon.tasks.failures == 0


async def arrivals(world: World) -> list[Arrival]:
    return [entry for entry in await tape(world) if isinstance(entry, Arrival)]


@in_world()
async def test_each_parent_s_arrival_keeps_the_book_it_met(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    chase = await world.chase(stalkMode="none", stalkOffsetTicks=50)
    reply = await world.command("limit", symbol="BTCUSDT", side="BUY", quantity="0.010", price="61000.0")
    await world.run(1)
    first, second = await arrivals(world)
    assert (first.parent_id, first.symbol, first.quantity) == (chase, "BTCUSDT", D("0.010"))
    assert second.parent_id == reply["clientOrderId"]
    assert (first.bids[0][0], first.asks[0][0]) == (D("61800.0"), D("61805.0"))
    assert [price for price, _ in first.bids] == sorted((price for price, _ in first.bids), reverse=True)
    assert len(first.asks) <= 50
    assert first.update_id > 0


@in_world()
async def test_a_close_keeps_the_book_that_its_first_order_met(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start()
    await world.command("trade", symbol="BTCUSDT", side="BUY", quantity="0.010")
    world.fault("POST", "/fapi/v1/order", status=400, body='{"code":-2022,"msg":"ReduceOnly Order is rejected."}')
    reply = await world.command("close", symbol="BTCUSDT", side="SELL", quantity="0.004")
    await world.run(3)
    closing = [order for order in await world.events("order_placed") if order["side"] == "SELL"]
    assert len(closing) == 2, "the first is refused"
    met = [(one.parent_id, one.side, one.quantity, one.bids[0][0]) for one in await arrivals(world)]
    assert met[1:] == [(reply["clientOrderId"], "SELL", D("0.004"), D("61800.0"))]


@in_world()
async def test_a_large_parent_keeps_as_many_levels_as_cover_it(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    daemon = await world.start()
    await world.chase(stalkMode="none", stalkOffsetTicks=50)
    whole = daemon.market.depth("BTCUSDT", 10_000, D(0))
    assert whole is not None
    _, bids, asks = whole
    covered = daemon.market.depth("BTCUSDT", 1, sum(size for _, size in asks[:7]))
    assert covered is not None
    assert covered[2] == asks[:7]
    assert covered[1][0] == bids[0]

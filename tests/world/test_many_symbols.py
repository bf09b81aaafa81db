"""Market data of many symbols over few sockets: one socket's loss is its own symbols' (design.md, "When a part is
gone"; binance.md 6.1)."""

from __future__ import annotations

import pytest

from pms.market import LINGER_S
from tests.world.world import World, in_world

pytestmark = pytest.mark.faults
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "DOGEUSDT", "1000PEPEUSDT")
A_SOCKET = {"PMS_STREAMS_PER_SOCKET": "4"}  # two symbols: of five, a third socket has the last


def stale(world: World) -> set[str]:
    assert world.daemon is not None
    return {symbol for symbol in world.daemon.market.symbols() if not world.daemon.market.health(symbol)[0]}


def public(world: World) -> list[frozenset[str]]:
    """Whose depth each open public socket carries, at the venue."""
    lines = [line for line in world.sim.gate.live("public") if line.session is not None]
    return [frozenset(name.partition("@")[0].upper() for name in line.session._names) for line in lines]


async def trading(world: World) -> None:
    """A chase on each symbol, with every book known."""
    for symbol in SYMBOLS:
        await world.chase(symbol=symbol, quantity="1000" if symbol in SYMBOLS[3:] else "0.1", stalkMode="none")
    await world.until(lambda: not stale(world))


@in_world(symbols=SYMBOLS)
async def test_a_socket_of_three_that_is_lost_makes_only_its_own_symbols_stale(world: World) -> None:
    await world.start(**A_SOCKET)
    await world.unlimited()
    await trading(world)
    pairs = [frozenset(SYMBOLS[:2]), frozenset(SYMBOLS[2:4]), frozenset(SYMBOLS[4:])]
    assert public(world) == pairs
    lost = world.sim.gate.live("public")[1]
    lost.cut(1006)
    await world.until(lambda: stale(world))
    assert stale(world) == pairs[1]
    await world.until(lambda: not stale(world))
    assert set(public(world)) == set(pairs)
    told = {event["symbol"] for event in await world.events("system_status") if event.get("symbol")}
    assert told <= pairs[1]


@in_world(symbols=SYMBOLS)
async def test_a_mute_socket_holds_its_own_symbols_and_the_others_trade_on(world: World) -> None:
    await world.start(**A_SOCKET)
    await world.unlimited()
    await trading(world)
    world.sim.gate.live("public")[0].mute()
    await world.until(lambda: stale(world), 30)
    assert stale(world) <= set(SYMBOLS[:2])
    chase = await world.chase(symbol="SOLUSDT", quantity="0.1")
    await world.until(lambda: len(world.resting("SOLUSDT")) == 2)
    for order in world.resting("SOLUSDT"):
        world.markets["SOLUSDT"].hit(order, order.remaining)
    assert (await world.ends(chase))["status"] == "filled"
    await world.until(lambda: not stale(world), 60)


@in_world(symbols=SYMBOLS)
async def test_what_nobody_follows_any_more_is_unsubscribed_and_its_socket_let_go(world: World) -> None:
    await world.start(**A_SOCKET)
    await world.unlimited()
    await trading(world)
    for symbol in SYMBOLS[1:]:
        reply = await world.command("cancel_all", symbol=symbol)
        assert reply["success"], reply
    await world.run(LINGER_S + 2)
    assert public(world) == [frozenset(SYMBOLS[:1])]
    assert [len(world.sim.gate.live(route)) for route in ("public", "market")] == [1, 1]

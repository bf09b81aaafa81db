"""Three sub-accounts on one net, opposite and alike, through fills, closes, resting closers and lost answers: books
that agree, closers within their positions, and everybody flat in the end."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from pms.core import exits
from pms.sim.script import OnRequest
from tests.world.test_closing import ready
from tests.world.world import World, in_world

D = Decimal
ACCOUNTS = ("a", "b", "c")
ACTS = ("trade", "trade", "trade", "close", "part", "chase", "limit", "move", "cancel", "life")
LOSS = (0.05, 0.02, 0.03)  # of order requests: lost before, lost after, unknown and not done


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("seed", [*range(4), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(4, 8))])
@in_world()
async def test_a_storm_of_opposite_positions_and_their_exits_ends_flat_with_books_that_agree(
    world: World, seed: int
) -> None:
    dice = random.Random(seed)
    await ready(world)
    for account in ACCOUNTS:
        await world.command("trade", subAccountId=account, symbol="BTCUSDT", side="BUY", quantity="0.002")
    for chance, what in zip(LOSS, ({"lose": "before"}, {"lose": "after"}, {"status": 503, "msg": "?"}), strict=True):
        world.sim.faults.inject(OnRequest(path="/fapi/v1/order", method="POST", probability=chance, count=0, **what))
    for _ in range(40):
        await act(world, dice)
        await world.run(dice.choice((0, 0.05, 0.3)))
        closers_fit(world)
    world.heal()
    await world.run(20)
    for account in ACCOUNTS:
        reply = await world.command("close_all", wait_s=40, subAccountId=account)
        assert (reply["success"], reply["errors"]) == (True, []), reply
    await world.run(20)
    assert (world.held(), world.resting()) == (0, [])
    assert world.daemon is not None
    assert not any(position.quantity for position in world.daemon.ledger.positions.values())


async def act(world: World, dice: random.Random) -> None:
    account, quantity = dice.choice(ACCOUNTS), f"0.{dice.randint(1, 12):03}"
    side = dice.choice(("BUY", "SELL"))
    order = {"subAccountId": account, "symbol": "BTCUSDT", "side": side, "quantity": quantity}
    assert world.daemon is not None
    held = world.daemon.ledger.position(account, "BTCUSDT").signed_quantity
    closing = exits.closing_side(held).value
    match dice.choice(ACTS):
        case "trade":
            await world.command("trade", **order)
        case "close":
            await world.command("close", subAccountId=account, symbol="BTCUSDT", side=closing)
        case "part":
            await world.command("close", **(order | {"side": closing}))
        case "chase":
            await world.command("chase", **(order | {"side": closing}), reduceOnly=True)
        case "limit":
            price = str((world.market.bid * (D("1.01") if closing == "SELL" else D("0.99"))).quantize(D("1")))
            await world.command("limit", **(order | {"side": closing}), price=price, reduceOnly=True)
        case "move":
            world.market.move(dice.randint(-30, 30))
        case "cancel":
            await world.command("cancel_all", subAccountId=account, includeProtection=dice.random() < 0.5)
        case "life":
            if dice.random() < 0.3:
                await (world.kill() if dice.random() < 0.5 else world.stop())
                await world.start()


def closers_fit(world: World) -> None:
    """What is not on its way out never closes more than there is (execution.md 14)."""
    assert world.daemon is not None
    desk = world.daemon.desk
    for account in ACCOUNTS:
        held = desk.ledger.position(account, "BTCUSDT").signed_quantity
        standing = [
            closer
            for closer in desk.exits.closers(account, "BTCUSDT")
            if closer.rests and desk.ledger.orders[closer.client_id].state == "active"
        ]
        assert exits.reserved(standing) <= abs(held), f"{account} holds {held}: {standing}"

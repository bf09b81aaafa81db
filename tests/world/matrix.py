"""One cell of the ambiguity matrix played in the world: an action of a chase, what the venue says to it, and what it
did about it (execution.md 1 to 5).

Cells that no honest venue plays (it says "no such order" and has taken it) are played all the same: by a lying one.
"""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from typing import Any

import msgspec

from pms.sim.model import VenueError
from tests.world.world import World

D = Decimal

ANSWERS: dict[str, dict[str, Any]] = {
    "timeout": {},
    "reset": {},
    "503 unknown": {"status": 503, "msg": "Unknown error, please check your request or try again later."},
    "-1007": {"status": 408, "code": -1007, "msg": "Timeout waiting for response from backend server."},
    "-1008": {"status": 503, "code": -1008, "msg": "Server is currently overloaded with other requests."},
    "-2011": {"status": 400, "code": -2011, "msg": "Unknown order sent."},
    "-2013": {"status": 400, "code": -2013, "msg": "Order does not exist."},
    "-4116": {"status": 400, "code": -4116, "msg": "ClientOrderId is duplicated."},
    "429": {"status": 429, "code": -1003, "msg": "Too many requests.", "headers": {"retry-after": "5"}},
    "418": {"status": 418, "code": -1003, "msg": "Banned.", "headers": {"retry-after": "5"}},
    "garbage": {"status": 200, "body": "<html>welcome</html>"},
}
LANDINGS = ("landed", "did not", "landed late", "landed and filled")
METHODS = {"place": "POST", "amend": "PUT", "cancel": "DELETE"}

ANSWER_MS = 300  # the answer comes so late that a fill can come first
TIMEOUT_MS = 5_000  # after which our HTTP client gives a request up
LATE_S = {"place": 3.0, "amend": 1.5, "cancel": 3.0}  # within recvWindow and the settle window of each
SETTLED_S = 30.0  # by then every look-up and back-off of a single fault is over


class End(msgspec.Struct, frozen=True):
    """What a cell came to once all is settled: requests of its method since the fault, our orders at the venue, our
    position, and the chase's status."""

    requests: int
    live: int
    filled: str
    status: str


def _fault(action: str, answer: str, landing: str) -> dict[str, Any]:
    executed = landing in ("landed", "landed and filled")
    delay = TIMEOUT_MS if answer == "timeout" else ANSWER_MS
    side = "before" if action == "cancel" and landing == "landed and filled" else "after"  # the fill comes first
    if answer in ("timeout", "reset"):
        return {"lose": "after" if executed else "before", f"delay_{side if executed else 'before'}_ms": delay}
    return ANSWERS[answer] | {"execute": executed, f"delay_{side}_ms": delay}


async def play(world: World, action: str, answer: str, landing: str, transport: str = "rest") -> End:
    """Play one cell to its settled state. The fault binds the one transport, and so proves that it was taken."""
    world.market.quote("61800.0", "61805.0")
    await (world.start() if transport == "rest" else world.start_over_ws())
    chase = "" if action == "place" else await world.chase()
    before = world.order_requests().count(METHODS[action])
    world.fault(METHODS[action], transport=transport, **_fault(action, answer, landing))
    began = world.clock.monotonic()
    chase = await _act(world, action, chase)
    if landing == "landed and filled":
        await _fill(world, action)
    elif landing == "landed late":
        await world.run(LATE_S[action] - (world.clock.monotonic() - began))
        await _land(world, action)
    await world.run(SETTLED_S - (world.clock.monotonic() - began))
    state = await world.state(chase)
    if transport == "ws":
        assert (METHODS[action], "/fapi/v1/order") in world.sockets.requests, "it went the other way"
    requests = world.order_requests().count(METHODS[action]) - before
    return End(requests, len(world.resting()), str(world.held()), state["status"])


async def _act(world: World, action: str, chase: str) -> str:
    if action == "place":
        return await world.chase()
    if action == "amend":
        world.market.quote("61801.0", "61805.0")
        return chase
    body = f'{{"subAccountId":"main","requestId":"c","chaseId":"{chase}"}}'
    await world.redis.lpush("pms:cmd:chase_cancel", body)
    return chase


async def _fill(world: World, action: str) -> None:
    """Part of the order fills between its landing and the answer; before its cancel lands."""
    await world.until(lambda: len(world.resting()) == 1, 2)
    if action == "amend":
        await world.until(lambda: world.resting()[0].price == D("61801.0"), 2)
    world.market.hit(world.resting()[0], "0.004")


async def _land(world: World, action: str) -> None:
    """The request reaches the venue's engine only now, if it still can."""
    with suppress(VenueError):  # too late: the order is gone, or its id is taken
        if action == "place":
            placed = (await world.events("order_placed"))[0]
            price, quantity, name = D(placed["price"]), D(placed["quantity"]), placed["clientOrderId"]
            world.market.rest(world.account, "BUY", price, quantity, name, time_in_force="GTX")
            return
        for order in world.resting():
            if action == "cancel":
                world.exchange.cancel(world.account, "BTCUSDT", order_id=order.order_id)
            else:
                new = {"quantity": order.quantity, "price": D("61801.0"), "order_id": order.order_id}
                world.exchange.amend(world.account, "BTCUSDT", **new)
        world.sim.venue.streams.flush(world.clock.now_ms())

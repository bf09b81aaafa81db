"""A venue that accepts every socket and closes it: all of ours together stay within one budget of connects, and the
user stream keeps its share (binance.md 6.1, 0.5)."""

from __future__ import annotations

from itertools import pairwise

import pytest

from pms.core.backoff import CONNECT_CAP_S, CONNECTS_MAX, CONNECTS_WINDOW_S, USER_STREAMS
from tests.world.world import World, in_world

pytestmark = pytest.mark.faults
LONG_S = 500.0
OF_THE_WINDOW = CONNECTS_WINDOW_S - 0.001


def most_within_a_window(moments: list[float]) -> int:
    """Of moments in ascending order."""
    return max(sum(first <= moment < first + OF_THE_WINDOW for moment in moments) for first in moments)


@in_world()
async def test_all_sockets_together_stay_within_the_budget_and_the_user_stream_has_its_share(world: World) -> None:
    world.market.quote("61800.0", "61805.0")
    await world.start_over_ws()
    await world.chase(stalkMode="none")
    world.socket_fault("*", cut_after_ms=10, count=0)
    world.cut("")
    before = len(world.sockets.attempts)
    await world.run(LONG_S)
    attempts = world.sockets.attempts[before:]
    routes = {path.split("/")[1] for _, path in attempts}
    assert routes == {"private", "public", "market", "ws-fapi"}
    user = [at for at, path in attempts if path.startswith("/private")]
    others = [at for at, path in attempts if not path.startswith("/private")]
    assert most_within_a_window([at for at, _ in attempts]) <= CONNECTS_MAX
    assert most_within_a_window(others) == CONNECTS_MAX - USER_STREAMS, "they try as often as they may"
    assert most_within_a_window(user) >= USER_STREAMS
    settled = [at for at in user if at > attempts[0][0] + CONNECTS_WINDOW_S]
    longest = max(later - earlier for earlier, later in pairwise(settled))
    assert longest < 2 * CONNECT_CAP_S, "the user stream goes on at its own pace"
    world.heal()
    daemon = world.daemon
    assert daemon is not None
    await world.until(lambda: not daemon.watch.degraded, CONNECTS_WINDOW_S)
    await world.order_socket()

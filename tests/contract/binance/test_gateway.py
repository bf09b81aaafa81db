"""The venue port over a fake `Http`: what is read from where, and the clock that is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from pms.binance.gateway import CLOCK_S, BinanceVenue
from pms.binance.signing import Credentials
from pms.binance.transport import Lost, Response
from pms.core.backoff import ConnectBudget
from pms.governor import Governor
from pms.tasks import Tasks
from pms.venue import NotDone, Unavailable, Unknown
from tests.contract.binance.fakes import Asked, FakeHttp, FakeSockets, ManualClock, Notes, error, ok


class World:
    """One adapter on fakes; `answers` are bodies or errors by request."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.ahead_ms = 0
        self.answers: dict[str, Response | Exception] = {
            "GET v1/accountConfig": ok({"dualSidePosition": False, "multiAssetsMargin": False}),
            "POST v1/listenKey": ok({"listenKey": "key"}),
            "PUT v1/listenKey": ok({"listenKey": "key"}),
        }
        self.http = FakeHttp(self.answer)
        self.sockets = FakeSockets()
        self.tasks = Tasks()
        self.notes = Notes()
        self.venue = BinanceVenue(
            self.http,
            self.sockets,
            "wss://venue/",
            Credentials("key", "secret"),
            self.clock,
            self.tasks,
            ConnectBudget(lambda: 0.5, self.clock.monotonic),
            Governor(self.clock, self.clock.now_ms),
        )

    def answer(self, asked: Asked) -> Response | Exception:
        if asked.path == "/fapi/v1/time":
            return self.answers.get("GET v1/time", ok({"serverTime": self.clock.now_ms() + self.ahead_ms}))
        return self.answers[asked.name]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.venue.close()
    await world.tasks.close()


async def test_starting_measures_the_clock_reads_the_mode_and_opens_the_stream(world: World) -> None:
    world.ahead_ms = 700
    await world.venue.start(world.notes)
    names = world.http.names()
    assert names == ["GET v1/time"] * 5 + ["GET v1/accountConfig", "POST v1/listenKey"]
    assert world.http.asked[5].params["timestamp"] == str(world.clock.now_ms() + 700)
    assert world.sockets.opened[0].url == "wss://venue/private/ws/key"
    assert [state.gap for state in world.notes.states] == [1]
    assert world.venue.host_clock_error_ms() == -700


async def test_the_clock_is_measured_again_and_again(world: World) -> None:
    await world.venue.start(world.notes)
    world.ahead_ms = 40
    await world.clock.advance(CLOCK_S + 1)
    assert world.venue.time_ms() == world.clock.now_ms() + 40
    assert world.http.names().count("GET v1/time") == 10


async def test_a_measuring_that_fails_leaves_the_clock_and_is_tried_again(world: World) -> None:
    world.ahead_ms = 40
    await world.venue.start(world.notes)
    world.answers["GET v1/time"] = Lost("reset")
    await world.clock.advance(2 * CLOCK_S + 1)
    assert world.venue.time_ms() == world.clock.now_ms() + 40
    assert world.http.names().count("GET v1/time") == 7
    assert world.tasks.failures == 0


async def test_closing_ends_stream_clock_and_connections(world: World) -> None:
    await world.venue.start(world.notes)
    await world.venue.close()
    asked = len(world.http.asked)
    await world.clock.advance(2 * CLOCK_S)
    assert len(world.http.asked) == asked
    assert world.http.closed
    assert not world.sockets.opened[0].open


async def test_only_the_venues_word_means_that_an_order_is_not_known(world: World) -> None:
    world.answers["GET v1/order"] = error(400, -2013, "Order does not exist.")
    assert await world.venue.look_up("A", "x") is None
    for answer in (error(400, -1121), error(503, 0, "Service Unavailable."), Lost("reset"), Response(200, {}, b"")):
        world.answers["GET v1/order"] = answer
        with pytest.raises(Unavailable):
            await world.venue.look_up("A", "x")


async def test_leverage_ends_in_an_outcome(world: World) -> None:
    world.answers["POST v1/leverage"] = Lost("reset")
    assert isinstance(await world.venue.set_leverage("A", 5, lambda: ""), Unknown)
    world.answers["POST v1/leverage"] = error(503, 0, "Service Unavailable.")
    assert isinstance(await world.venue.set_leverage("A", 5, lambda: ""), NotDone)
    sent = len(world.http.asked)
    assert await world.venue.set_leverage("A", 5, lambda: "lease_not_renewed") == NotDone("lease_not_renewed")
    assert len(world.http.asked) == sent, "it did not leave"


def test_credentials_are_never_printed() -> None:
    assert "secret" not in f"{Credentials('key', 'secret')!r} {Credentials('key', 'secret')}"

"""The user stream on fake sockets and a moved clock: gaps, liveness, the key's life, a venue that closes at once."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from pms.binance import user_stream
from pms.binance.gate import Gate
from pms.binance.rest import Rest
from pms.binance.signing import Credentials
from pms.binance.transport import Lost, Response
from pms.binance.user_stream import UserStream
from pms.binance.venue_clock import VenueClock
from pms.core.backoff import CONNECTS_MAX, CONNECTS_WINDOW_S, ConnectBudget
from pms.governor import Governor
from pms.tasks import Tasks
from pms.venue import AuthFailed, FillHint, Unavailable, UserStreamState
from schemas.market import Side
from schemas.reports import Report, VenueStatus
from tests.contract.binance.fakes import (
    EPOCH_MS,
    Asked,
    FakeHttp,
    FakeSocket,
    FakeSockets,
    ManualClock,
    Notes,
    error,
    ok,
    settle,
)

EXPIRED = b'{"e":"listenKeyExpired","E":1,"listenKey":"k"}'


def hint(number: int) -> bytes:
    return json.dumps({"e": "TRADE_LITE", "s": "A", "c": "pms-1", "i": 7, "t": number}).encode()


def told(number: int) -> FillHint:
    return FillHint("A", "pms-1", 7, number)


def order_event(time: int) -> bytes:
    order = {"s": "A", "c": "pms-1", "S": "BUY", "o": "LIMIT", "q": "1", "p": "1", "x": "NEW", "X": "NEW", "i": 7}
    return json.dumps({"e": "ORDER_TRADE_UPDATE", "o": {**order, "z": "0", "T": time}}).encode()


def answered(time: int) -> Report:
    """A REST answer to an order request."""
    one = Decimal(1)
    return Report(
        "pms-1", 7, "A", Side.BUY, VenueStatus.OPEN, "LIMIT", "GTC", one, one, Decimal(0), reduce_only=False, time=time
    )


class World:
    """One user stream on fakes. The venue hands out key-1, key-2, ... and prolongs the newest."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.http = FakeHttp(self.answer)
        self.sockets = FakeSockets()
        self.tasks = Tasks()
        self.notes = Notes()
        venue_clock = VenueClock(self.clock)
        gate = Gate(self.http, self.clock, venue_clock, Governor(self.clock, self.clock.now_ms))
        rest = Rest(gate, venue_clock, self.tasks, Credentials("key", "secret"))
        connects = ConnectBudget(lambda: 0.5, self.clock.monotonic).pace(user_stream=True)
        self.stream = UserStream(rest, self.sockets, "wss://venue/private", self.clock, self.tasks, connects)
        self.keys = 0
        self.on_renewal: Response | Exception = ok({})

    def answer(self, asked: Asked) -> Response | Exception:
        if asked.method == "PUT":
            return self.on_renewal
        self.keys += 1
        return ok({"listenKey": f"key-{self.keys}"})

    @property
    def socket(self) -> FakeSocket:
        return self.sockets.opened[-1]

    @property
    def state(self) -> UserStreamState:
        return self.notes.states[-1]

    async def live(self) -> None:
        await self.stream.start(self.notes)
        self.stream.replay(self.state.gap)
        assert self.state.live


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.stream.close()
    await world.tasks.close()


# --- gaps ---------------------------------------------------------------------------------------------


async def test_events_are_kept_from_the_connect_until_the_gap_has_been_read(world: World) -> None:
    world.sockets.on_connect = lambda socket: socket.push(hint(1))
    await world.stream.start(world.notes)
    assert world.socket.url == "wss://venue/private/ws/key-1"
    world.socket.push(hint(2))
    (gap,) = world.notes.told
    assert gap == UserStreamState(live=False, reason="the stream has been opened", gap=1)
    world.stream.replay(1)
    world.socket.push(hint(3))
    assert world.notes.told[1:] == [told(1), told(2), UserStreamState(live=True), told(3)]


async def test_the_reading_of_an_older_gap_does_not_make_a_newer_one_live(world: World) -> None:
    await world.stream.start(world.notes)
    world.socket.push(hint(1))
    world.socket.drop()
    await world.clock.advance(1)
    assert world.state.gap == 2
    world.stream.replay(1)
    assert not world.state.live
    world.socket.push(hint(2))
    world.stream.replay(2)
    assert world.notes.told[-2:] == [told(2), UserStreamState(live=True)]
    assert told(1) not in world.notes.told


@pytest.mark.parametrize("gap", [0, 1, 99])
async def test_replaying_while_live_or_closed_changes_nothing(world: World, gap: int) -> None:
    await world.live()
    before = list(world.notes.told)
    world.stream.replay(gap)
    assert world.notes.told == before
    world.socket.drop()
    await settle()
    world.stream.replay(gap)
    assert world.state == UserStreamState(live=False, reason="closed by the venue: 1006")


async def test_a_lost_socket_is_told_at_once_and_opened_again_with_a_gap(world: World) -> None:
    await world.live()
    world.socket.drop("closed by the venue: 1006")
    await settle()
    assert world.state == UserStreamState(live=False, reason="closed by the venue: 1006")
    await world.clock.advance(1)
    assert world.state.gap == 2
    assert len(world.sockets.opened) == 2


async def test_frames_of_a_socket_that_was_given_up_are_not_told(world: World) -> None:
    await world.live()
    old = world.socket
    old.push(EXPIRED)
    await world.clock.advance(1)
    world.stream.replay(world.state.gap)
    before = list(world.notes.told)
    old.push(hint(9))
    assert world.notes.told == before


async def test_an_event_that_cannot_be_read_opens_a_gap_on_the_same_socket(world: World) -> None:
    await world.live()
    world.socket.push(b'{"e":"ORDER_TRADE_UPDATE","o":{"s":"A"}}')
    assert world.state == UserStreamState(live=False, reason="an event could not be read", gap=2)
    world.socket.push(hint(4))
    world.stream.replay(2)
    assert world.notes.told[-2:] == [told(4), UserStreamState(live=True)]
    assert len(world.sockets.opened) == 1


async def test_a_gap_that_nobody_reads_does_not_fill_the_memory(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_stream, "BUFFER_MAX", 3)
    await world.stream.start(world.notes)
    for number in range(4):
        world.socket.push(hint(number))
    await settle()
    assert "3 events" in world.notes.states[1].reason
    await world.clock.advance(1)
    assert world.state.gap == 2


# --- liveness -----------------------------------------------------------------------------------------


@pytest.mark.faults
async def test_a_mute_socket_is_found_by_the_missing_event_of_an_answered_order(world: World) -> None:
    await world.live()
    world.stream.expect(answered(EPOCH_MS + 5000))
    await world.clock.advance(9)
    assert world.state.live
    await world.clock.advance(2.5)
    assert "did not come within 10 s" in next(
        state.reason for state in world.notes.states if state.reason[:9] == "the event"
    )
    assert world.state.gap == 2


async def test_an_event_that_came_proves_the_stream(world: World) -> None:
    await world.live()
    world.stream.expect(answered(EPOCH_MS + 5000))
    await world.clock.advance(5)
    world.socket.push(order_event(EPOCH_MS + 5000))
    await world.clock.advance(30)
    assert world.state.live


async def test_an_event_before_its_answer_proves_the_stream_too(world: World) -> None:
    await world.live()
    world.socket.push(order_event(EPOCH_MS + 5000))
    world.stream.expect(answered(EPOCH_MS + 5000))
    await world.clock.advance(30)
    assert world.state.live


async def test_older_events_do_not_stand_in_for_the_missing_one(world: World) -> None:
    await world.live()
    world.stream.expect(answered(EPOCH_MS + 5000))
    world.socket.push(order_event(EPOCH_MS + 3000))
    await world.clock.advance(12)
    assert world.state.gap == 2


# --- the key ------------------------------------------------------------------------------------------


async def test_the_key_is_prolonged_every_half_hour_while_events_come(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.live()
    monkeypatch.setattr(user_stream, "RENEW_S", 60.0)
    for second in range(130):
        world.socket.push(hint(second))
        await world.clock.advance(1)
    assert world.http.names() == ["POST v1/listenKey", "PUT v1/listenKey", "PUT v1/listenKey"]
    assert "signature" not in world.http.asked[0].params


async def test_a_silent_stream_asks_for_its_key_all_the_time(world: World) -> None:
    await world.live()
    await world.clock.advance(60.2)
    assert world.http.names().count("PUT v1/listenKey") == 40
    assert world.state.live


async def test_what_is_heard_is_proof_enough(world: World) -> None:
    await world.live()
    for second in range(30):
        await world.clock.advance(1)
        world.socket.push(hint(second))
    assert world.http.names().count("PUT v1/listenKey") == 0


@pytest.mark.faults
@pytest.mark.parametrize(
    "answer",
    [error(400, -1125, "This listenKey does not exist."), ok({"listenKey": "another"})],
    ids=["gone", "renewed"],
)
async def test_a_key_that_somebody_ended_is_noticed_and_replaced_within_3_s(world: World, answer: Response) -> None:
    await world.live()
    await world.clock.advance(30)
    world.on_renewal = answer
    await world.clock.advance(2.1)
    assert world.socket.url.endswith("/key-2")
    assert world.state.gap == 2
    assert UserStreamState(live=False, reason=user_stream.TAKEN, taken=True) in world.notes.states


@pytest.mark.faults
async def test_a_key_that_was_not_prolonged_for_an_hour_has_expired_by_itself(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_stream, "KEY_LIVES_S", 90.0)
    await world.live()
    world.on_renewal = Lost("reset")
    await world.clock.advance(90)
    world.on_renewal = error(400, -1125, "This listenKey does not exist.")
    await world.clock.advance(2)
    assert UserStreamState(live=False, reason="the listen key is gone") in world.notes.states
    assert not any(state.taken for state in world.notes.states)


@pytest.mark.faults
async def test_an_expired_key_is_replaced(world: World) -> None:
    await world.live()
    world.socket.push(EXPIRED)
    await world.clock.advance(1)
    assert world.socket.url.endswith("/key-2")
    assert not world.sockets.opened[0].open


async def test_a_renewal_that_was_not_answered_is_tried_again_and_ends_nothing(world: World) -> None:
    await world.live()
    world.on_renewal = Lost("reset")
    await world.clock.advance(10)
    assert world.state.live
    assert world.http.names().count("PUT v1/listenKey") > 2


async def test_closing_never_deletes_the_key(world: World) -> None:
    await world.live()
    await world.stream.close()
    await world.clock.advance(300)
    assert {asked.method for asked in world.http.asked} == {"POST"}
    assert not world.socket.open
    assert len(world.sockets.opened) == 1


# --- handing over before the 24 hours are over --------------------------------------------------------

DAY_S = 24 * 3600.0


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection's day is two minutes."""
    monkeypatch.setattr(user_stream, "HAND_OVER_S", 120.0)


async def both_open(world: World) -> tuple[FakeSocket, FakeSocket]:
    """Until the next socket stands beside the present one."""
    await world.live()
    await world.clock.advance(121)
    old, new = world.sockets.opened
    assert (old.open, new.open, new.url) == (True, True, old.url)
    return old, new


def test_the_next_socket_is_open_before_the_venue_ends_this_one() -> None:
    assert user_stream.HAND_OVER_S + 10 * user_stream.HAND_OVER_AGAIN_S + 2 * user_stream.OVERLAP_S < DAY_S


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(8))
async def test_a_hand_over_loses_and_doubles_nothing_whichever_socket_is_ahead(
    world: World, soon: None, seed: int
) -> None:
    old, new = await both_open(world)
    chance = random.Random(seed)
    lines: dict[FakeSocket, list[int]] = {old: list(range(40)), new: list(range(40))}
    while lines[new]:
        socket = chance.choice([each for each in lines if lines[each]])
        number = lines[socket].pop(0)
        socket.push(hint(number))
        await world.clock.advance(chance.choice((0, 0, 0.5, 1.5)))
        if not old.open:
            lines[old].clear()
    await world.clock.advance(60)
    assert [note for note in world.notes.told if isinstance(note, FillHint)] == [told(number) for number in range(40)]
    assert not old.open
    assert new.open
    assert [state.live for state in world.notes.states] == [False, True]  # no gap: nothing had to be read
    assert world.http.names().count("POST v1/listenKey") == 1


@pytest.mark.faults
async def test_the_same_words_twice_are_told_twice(world: World, soon: None) -> None:
    old, new = await both_open(world)
    for socket in (old, new, old, new):
        socket.push(hint(1))
    await world.clock.advance(15)
    new.push(hint(1))
    assert world.notes.told.count(told(1)) == 3


@pytest.mark.faults
async def test_a_next_socket_that_brings_nothing_is_given_up_and_another_tried(world: World, soon: None) -> None:
    old, deaf = await both_open(world)
    old.push(hint(1))
    await world.clock.advance(25)
    assert old.open
    assert not deaf.open
    await world.clock.advance(61)
    new = world.sockets.opened[2]
    for socket in (old, new):
        socket.push(hint(2))
    await world.clock.advance(15)
    assert not old.open
    new.push(hint(3))
    assert world.notes.told[2:] == [told(1), told(2), told(3)]


@pytest.mark.faults
@pytest.mark.parametrize("which", [0, 1], ids=["the old one", "the new one"])
async def test_a_socket_that_ends_while_both_are_open_costs_a_gap_at_most(world: World, soon: None, which: int) -> None:
    both = await both_open(world)
    both[which].drop()
    await world.clock.advance(15)
    assert [state.gap for state in world.notes.states if state.gap] == ([1, 2] if which == 0 else [1])
    assert not both[1].open
    assert both[0].open is (which == 1)


async def test_closing_while_both_are_open_leaves_none_open(world: World, soon: None) -> None:
    await both_open(world)
    await world.stream.close()
    await world.clock.advance(1)
    assert not any(socket.open for socket in world.sockets.opened)


# --- opening ------------------------------------------------------------------------------------------


async def test_a_first_attempt_that_fails_is_the_starters_business(world: World) -> None:
    world.sockets.refusing = True
    with pytest.raises(Unavailable, match="could not be opened"):
        await world.stream.start(world.notes)


async def test_credentials_that_fail_later_are_told_and_counted(world: World) -> None:
    await world.live()
    world.http.answer = lambda _: error(401, -2014, "API-key format invalid.")
    world.socket.drop()
    await world.clock.advance(1)
    assert "refuses our credentials" in world.state.reason
    assert world.tasks.failures >= 1


async def test_credentials_that_fail_at_a_renewal_end_the_stream_and_are_told(world: World) -> None:
    await world.live()
    world.http.answer = lambda _: error(401, -2014, "API-key format invalid.")
    await world.clock.advance(65)
    assert "refuses our credentials" in world.state.reason
    assert not world.sockets.opened[0].open


async def test_bad_credentials_at_the_start_are_raised(world: World) -> None:
    world.http.answer = lambda _: error(401, -2014, "API-key format invalid.")
    with pytest.raises(AuthFailed):
        await world.stream.start(world.notes)


@pytest.mark.faults
async def test_a_venue_that_accepts_and_closes_at_once_is_asked_within_the_budget(world: World) -> None:
    await world.live()
    world.sockets.on_connect = lambda socket: socket.drop("closed by the venue: 1008")
    world.socket.drop()
    before = world.sockets.attempts
    await world.clock.advance(CONNECTS_WINDOW_S)
    assert 5 <= world.sockets.attempts - before <= CONNECTS_MAX
    world.sockets.on_connect = lambda _: None
    await world.clock.advance(60)
    assert world.state.gap > 2


@pytest.mark.parametrize("frames, reopened", [([hint(1)], 2), ([], 1)])
async def test_a_stream_that_lasted_and_gave_data_is_opened_again_at_once(
    world: World, frames: list[bytes], reopened: int
) -> None:
    await world.live()
    world.on_renewal = Lost("reset")
    for frame in frames:
        world.socket.push(frame)
    await world.clock.advance(15)
    world.socket.drop()
    await settle()
    assert len(world.sockets.opened) == reopened


async def test_a_silent_stream_whose_key_lives_is_a_good_one(world: World) -> None:
    await world.live()
    await world.clock.advance(75)
    world.socket.drop()
    await settle()
    assert len(world.sockets.opened) == 2


@pytest.mark.faults
async def test_a_venue_that_refuses_is_asked_again_until_it_lets_us_in(world: World) -> None:
    await world.live()
    world.sockets.refusing = True
    world.socket.drop()
    await world.clock.advance(120)
    assert "could not be opened" in world.state.reason
    assert world.sockets.attempts <= CONNECTS_MAX
    world.sockets.refusing = False
    await world.clock.advance(60)
    assert world.state.gap

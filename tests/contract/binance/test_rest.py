"""Signed REST, the gate and the venue's clock over a fake `Http`: what leaves, what it means, who waits how long."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable
from decimal import Decimal

import pytest

from pms.binance import codec, queries
from pms.binance.gate import Gate
from pms.binance.rest import READS_MAX, Declined, Rest
from pms.binance.signing import Credentials
from pms.binance.transport import Lost, NotSent, Response
from pms.binance.venue_clock import VenueClock
from pms.governor import Governor
from pms.tasks import Tasks
from pms.venue import AuthFailed, Cancel, Done, NotDone, Place, Refused, Unavailable, Unknown
from schemas.market import Side
from schemas.orders import Cause
from tests.contract.binance.fakes import EPOCH_MS, Answering, Asked, FakeHttp, ManualClock, error, ok, settle

PLACE = queries.place(Place("BTCUSDT", "pms-1", Side.BUY, "LIMIT", "GTX", Decimal("0.01"), Decimal(84000), False))
CANCEL = queries.cancel(Cancel("BTCUSDT", "pms-1"))
READ = queries.read("/fapi/v1/openOrders")
ROW = {
    "orderId": 7,
    "symbol": "BTCUSDT",
    "status": "NEW",
    "clientOrderId": "pms-1",
    "price": "84000",
    "origQty": "0.01",
    "executedQty": "0",
    "timeInForce": "GTX",
    "type": "LIMIT",
    "side": "BUY",
    "updateTime": 5,
}


class World:
    """One `Rest` on fakes."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.http = FakeHttp(lambda _: ok(ROW))
        self.tasks = Tasks()
        self.venue_clock = VenueClock(self.clock)
        self.governor = Governor(self.clock, self.venue_clock.now_ms)
        self.gate = Gate(self.http, self.clock, self.venue_clock, self.governor)
        self.rest = Rest(self.gate, self.venue_clock, self.tasks, Credentials("key", "secret"))

    def answers(self, *answers: Response | Exception | Answering) -> None:
        """Answer with these in turn; the last one stays."""
        left = list(answers)

        def answer(asked: Asked) -> Response | Exception:
            chosen = left.pop(0) if len(left) > 1 else left[0]
            return chosen(asked) if callable(chosen) else chosen

        self.http.answer = answer


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.tasks.close()


async def test_a_request_is_signed_over_what_is_sent_with_key_window_and_venue_time(world: World) -> None:
    assert isinstance(await world.rest.order(PLACE), Done)
    (asked,) = world.http.asked
    signed, _, signature = asked.target.partition("?")[2].rpartition("&signature=")
    assert signature == hmac.new(b"secret", signed.encode(), hashlib.sha256).hexdigest()
    assert asked.headers["X-MBX-APIKEY"] == "key"
    assert (asked.params["recvWindow"], asked.params["timestamp"]) == ("2000", str(EPOCH_MS))


async def test_a_read_that_waited_is_signed_when_it_leaves(world: World) -> None:
    world.answers(ok([]))
    world.http.hold = asyncio.Event()
    asking = [world.tasks.spawn(world.rest.read(READ, codec.orders), "read") for _ in range(READS_MAX + 1)]
    await settle()
    world.clock.jump(3)
    world.http.hold.set()
    await asyncio.gather(*asking)
    assert world.http.asked[-1].params["timestamp"] == str(EPOCH_MS + 3000)
    assert world.http.most_in_flight == READS_MAX


async def test_an_order_never_waits_behind_reads(world: World) -> None:
    world.http.hold = asyncio.Event()
    for _ in range(READS_MAX + 5):
        world.tasks.spawn(world.rest.send(READ), "read")
    world.tasks.spawn(world.rest.order(CANCEL), "cancel")
    await settle()
    assert world.http.names().count("DELETE v1/order") == 1


@pytest.mark.ambiguity
async def test_a_waiter_that_leaves_does_not_take_the_request_along(world: World) -> None:
    world.http.hold = asyncio.Event()
    waiter = world.tasks.spawn(world.rest.send(READ), "waiter")
    await settle()
    waiter.cancel()
    await settle()
    assert waiter.cancelled()
    assert world.http.in_flight == 1
    world.http.hold.set()
    await settle()
    assert world.http.in_flight == 0
    assert world.tasks.failures == 0


OUTCOMES: list[tuple[Response | Exception, type, dict[str, object]]] = [
    (ok(ROW), Done, {}),
    (Lost("reset"), Unknown, {"message": "reset"}),
    (NotSent("refused"), NotDone, {"message": "refused", "retry_ms": 200}),
    (Response(200, {}, b"<html>"), Unknown, {}),
    (Response(200, {}, b""), Unknown, {}),
    (Response(200, {}, b'{"orderId":1}'), Unknown, {}),
    (error(200, -2019), Unknown, {}),
    (error(400, -2019), Refused, {"cause": Cause.MARGIN}),
    (error(400, -4116), Refused, {"cause": Cause.DUPLICATE_ID}),
    (error(503, -1000, "Unknown error, please check your request or try again later."), Unknown, {}),
    (error(503, 0, "Service Unavailable."), NotDone, {"retry_ms": 5000}),
    (error(503, -1008, "Request throttled"), NotDone, {"retry_ms": 200}),
    (error(400, -1021), NotDone, {"retry_ms": 250, "code": -1021}),
]


@pytest.mark.ambiguity
@pytest.mark.parametrize("answer, kind, fields", OUTCOMES)
async def test_an_order_request_ends_in_exactly_one_outcome(
    world: World, answer: Response | Exception, kind: type, fields: dict[str, object]
) -> None:
    world.answers(answer)
    outcome = await world.rest.order(PLACE)
    assert type(outcome) is kind
    assert {name: getattr(outcome, name) for name in fields} == fields
    assert world.http.names().count("POST v1/order") == 1


@pytest.mark.parametrize(
    "answer", [Lost("x"), NotSent("x"), Response(200, {}, b"{"), error(500, -1000), error(400, -1121)]
)
async def test_a_read_that_was_not_answered_is_unavailable_and_says_when_to_come_again(
    world: World, answer: Response | Exception
) -> None:
    world.answers(answer)
    with pytest.raises(Unavailable) as told:
        await world.rest.read(READ, codec.orders)
    assert told.value.retry_ms > 0
    assert "/fapi/v1/openOrders" in str(told.value)


async def test_a_declined_read_keeps_the_venues_code(world: World) -> None:
    world.answers(error(400, -2013, "Order does not exist."))
    with pytest.raises(Declined, match="-2013 Order does not exist") as told:
        await world.rest.read(READ, codec.orders)
    assert told.value.code == -2013


# --- credentials --------------------------------------------------------------------------------------


async def test_credentials_that_never_worked_stop_us_at_once(world: World) -> None:
    world.answers(error(401, -2015, "Invalid API-key, IP, or permissions for action."))
    with pytest.raises(AuthFailed, match="allowed IP addresses"):
        await world.rest.order(PLACE)


@pytest.mark.parametrize("code", [-2015, -1022])
async def test_credentials_that_worked_are_doubted_three_times_before_we_stop(world: World, code: int) -> None:
    world.answers(ok(ROW), error(401, code))
    await world.rest.order(PLACE)
    for _ in range(3):
        assert isinstance(await world.rest.order(PLACE), NotDone)
    with pytest.raises(AuthFailed):
        await world.rest.order(PLACE)


async def test_a_success_ends_the_doubt(world: World) -> None:
    refusal = error(401, -2015)
    world.answers(ok(ROW), *(refusal, refusal, refusal, ok(ROW)) * 2, refusal)
    for _ in range(9):
        await world.rest.order(PLACE)
    assert isinstance(await world.rest.order(PLACE), NotDone)


# --- the gate -----------------------------------------------------------------------------------------


async def test_while_banned_nothing_leaves_at_all(world: World) -> None:
    world.answers(error(418, -1003, "Way too many requests.", {"retry-after": "120"}), ok(ROW))
    first = await world.rest.order(PLACE)
    assert first == NotDone("Way too many requests.", 120_020, -1003)
    for request in (PLACE, CANCEL):
        held = await world.rest.order(request)
        assert isinstance(held, NotDone)
        assert held.retry_ms == 120_020
    with pytest.raises(Unavailable, match="nothing was sent"):
        await world.rest.read(READ, codec.orders)
    world.clock.jump(119)
    assert isinstance(await world.rest.order(CANCEL), NotDone)
    assert len(world.http.asked) == 1
    world.clock.jump(1.03)
    assert isinstance(await world.rest.order(CANCEL), Done)


BANS = [
    (error(418, -1003, f"Way too many requests; IP banned until {EPOCH_MS + 30_000}."), 30_020),
    (Response(418, {}, b"<html>teapot</html>"), 120_020),
    (error(429, -1003, "Too many requests.", {"retry-after": "7"}), 7_020),
    (error(429, -1003, "Too many requests."), 60_000 - EPOCH_MS % 60_000 + 20),
    (error(429, -1003, "Too many requests.", {"retry-after": "soon"}), 60_000 - EPOCH_MS % 60_000 + 20),
]


@pytest.mark.parametrize("answer, wait", BANS)
async def test_silence_lasts_as_told_or_to_the_end_of_the_window(world: World, answer: Response, wait: int) -> None:
    world.answers(answer)
    told = await world.rest.order(CANCEL)
    assert isinstance(told, NotDone)
    assert told.retry_ms == wait


async def test_too_many_orders_hold_orders_back_until_the_next_slot_and_nothing_else(world: World) -> None:
    world.answers(error(429, -1015, "Too many new orders."), ok(ROW))
    told = await world.rest.order(PLACE)
    assert told == NotDone("Too many new orders.", 10_000 - EPOCH_MS % 10_000 + 20, -1015)
    assert isinstance(await world.rest.order(PLACE), NotDone)
    assert isinstance(await world.rest.order(CANCEL), Done)
    assert isinstance(await world.rest.read(READ, len), int)
    world.clock.jump(1.03)
    assert isinstance(await world.rest.order(PLACE), Done)
    assert world.http.names() == ["POST v1/order", "DELETE v1/order", "GET v1/openOrders", "POST v1/order"]


async def test_a_late_milder_answer_does_not_shorten_the_silence(world: World) -> None:
    ban = error(418, -1003, "no", {"retry-after": "120"})
    world.answers(ban, error(429, -1003, "no", {"retry-after": "1"}))
    world.http.hold = asyncio.Event()
    asking = [world.tasks.spawn(world.rest.order(CANCEL), "cancel") for _ in range(2)]
    await settle()
    world.http.hold.set()
    await asyncio.gather(*asking)
    held = await world.rest.order(CANCEL)
    assert isinstance(held, NotDone)
    assert held.retry_ms == 120_020


async def test_too_many_orders_of_a_minute_wait_for_the_minute(world: World) -> None:
    world.clock.jump(5)
    world.answers(error(429, -1015, "no", {"x-mbx-order-count-1m": "1201", "x-mbx-order-count-10s": "1"}))
    told = await world.rest.order(PLACE)
    assert isinstance(told, NotDone)
    assert told.retry_ms == 60_000 - world.clock.now_ms() % 60_000 + 20


async def test_the_venues_counts_are_kept_and_our_own_where_it_is_silent(world: World) -> None:
    counts = {"x-mbx-used-weight-1m": "17", "x-mbx-order-count-10s": "3", "x-mbx-order-count-1m": "9"}
    world.answers(ok(ROW, counts), error(400, -2019, "no", {"x-mbx-used-weight-1m": "18"}), ok(ROW))
    for weight, slot, minute in ((17, 3, 9), (18, 4, 10), (18, 5, 11)):
        await world.rest.order(PLACE)
        used = world.governor.used()
        assert (used["weight1m"], used["orders10s"], used["orders1m"]) == (weight, slot, minute)


# --- the venue's clock --------------------------------------------------------------------------------


def venue_time(world: World, trips: list[float], ahead_ms: int) -> Callable[[Asked], Response]:
    """Answers /time `ahead_ms` ahead; each trip takes its seconds, half of them on the way there."""
    left = iter(trips)

    def answer(asked: Asked) -> Response:
        assert asked.path == "/fapi/v1/time"
        trip = next(left)
        told = EPOCH_MS + (world.clock.monotonic() - 1000 + trip / 2) * 1000 + ahead_ms
        world.clock.jump(trip)
        return ok({"serverTime": round(told)})

    return answer


async def test_the_clock_follows_the_venue_by_the_median_round_trip(world: World) -> None:
    world.http.answer = venue_time(world, [0.01, 0.02, 3.0, 0.01, 0.02], 1500)
    await world.rest.measure_clock()
    expected = EPOCH_MS + (world.clock.monotonic() - 1000) * 1000 + 1500
    assert abs(world.venue_clock.now_ms() - expected) <= 1
    assert abs(world.venue_clock.host_error_ms() + 1500) <= 1


async def test_one_lopsided_trip_does_not_move_the_clock(world: World) -> None:
    def answer(asked: Asked) -> Response:
        told = world.clock.now_ms()
        world.clock.jump(2.0 if len(world.http.asked) == 2 else 0.002)
        return ok({"serverTime": told})

    world.http.answer = answer
    await world.rest.measure_clock()
    assert abs(world.venue_clock.host_error_ms()) <= 1


async def test_a_host_clock_that_is_set_meanwhile_moves_nothing(world: World) -> None:
    before = world.venue_clock.now_ms()
    world.clock.skew_ms = 3_600_000
    assert world.venue_clock.now_ms() == before


@pytest.mark.parametrize("code", [-1021, -5028])
async def test_a_refused_timestamp_measures_the_clock_anew(world: World, code: int) -> None:
    measured = venue_time(world, [0.01] * 5, 4000)

    def answer(asked: Asked) -> Response:
        return measured(asked) if asked.path == "/fapi/v1/time" else error(400, code)

    world.http.answer = answer
    first = await world.rest.order(PLACE)
    assert isinstance(first, NotDone)
    await settle()
    assert world.http.names() == ["POST v1/order"] + ["GET v1/time"] * 5
    assert abs(world.venue_clock.host_error_ms() + 4000) <= 1


async def test_a_clock_that_cannot_be_measured_stays(world: World) -> None:
    world.answers(error(400, -1021), Lost("reset"))
    before = world.venue_clock.now_ms()
    await world.rest.order(PLACE)
    await settle()
    assert world.venue_clock.now_ms() == before
    assert world.tasks.failures == 0


async def test_what_was_not_sent_counts_for_nothing_and_what_was_lost_counts(world: World) -> None:
    world.answers(NotSent("refused"), Lost("reset"))
    await world.rest.order(PLACE)
    assert world.governor.used()["orders10s"] == 0
    await world.rest.order(PLACE)
    assert world.governor.used()["orders10s"] == 1

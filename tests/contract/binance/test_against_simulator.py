"""The whole adapter over real loopback TCP against the simulator: it is understood, and what it tells is right."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from pms.binance import rest
from pms.binance.gateway import BinanceVenue
from pms.binance.http import HttpClient
from pms.binance.modes import HEDGE, MULTI_ASSETS
from pms.binance.signing import Credentials
from pms.binance.ws import WebSockets
from pms.binance.ws_api import PATH, WsApi
from pms.clock import SystemClock
from pms.core.backoff import ConnectBudget
from pms.governor import Governor
from pms.notices import LeverageSet, Unserved
from pms.sim.assembly import STILL, Options, Simulator
from pms.sim.faults import Latency
from pms.sim.model import DepthSnapshot, Mark
from pms.sim.params import Request
from pms.sim.script import OnRequest
from pms.sim.server import Server
from pms.tasks import Tasks
from pms.venue import (
    AccountChange,
    Amend,
    AuthFailed,
    Cancel,
    Done,
    FillHint,
    NotDone,
    Outcome,
    Place,
    Refused,
    Unavailable,
    Unknown,
)
from schemas.market import Side
from schemas.orders import Cause, OrderType, TimeInForce
from schemas.reports import Report, VenueStatus
from tests.contract.binance.fakes import Notes
from tests.waiting import eventually

SYMBOL = "BTCUSDT"
ORDER = "/fapi/v1/order"
D = Decimal


class HostClock(SystemClock):
    """This host's clock, set wrong by `ahead_ms`."""

    def __init__(self, ahead_ms: int = 0) -> None:
        self.ahead_ms = ahead_ms

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead_ms


class World:
    """A simulator with a book of 1 BTC at 84000.0 / 84000.1 and 5 behind, and one adapter on it."""

    def __init__(self, latency: Latency, ahead_ms: int = 0, transport: str = "rest") -> None:
        self.tasks = Tasks()
        self.transport = transport
        self.clock = HostClock(ahead_ms)
        options = Options({"k": "s"}, (SYMBOL,), STILL, latency=latency)
        self.simulator = Simulator(options, SystemClock(), self.tasks)
        self.server = Server(self.simulator.gate, self.tasks)
        self.notes = Notes()

    async def start(self) -> None:
        now = SystemClock().now_ms()
        bids = ((D("84000.0"), D(1)), (D("83999.9"), D(5)))
        asks = ((D("84000.1"), D(1)), (D("84000.2"), D(5)))
        self.simulator.venue.apply(DepthSnapshot(SYMBOL, now, bids, asks))
        self.simulator.venue.apply(Mark(SYMBOL, now, D(84000), D(84000)))
        await self.server.start()
        self.sockets = WebSockets(self.clock, random.Random(1).random)
        self.venue = self.adapter("s")

    def adapter(self, secret: str) -> BinanceVenue:
        self.governor = Governor(self.clock, self.clock.now_ms)
        return BinanceVenue(
            HttpClient(f"http://127.0.0.1:{self.server.rest_port}"),
            self.sockets,
            f"ws://127.0.0.1:{self.server.stream_port}",
            Credentials("k", secret),
            self.clock,
            self.tasks,
            ConnectBudget(random.Random(1).random, self.clock.monotonic),
            self.governor,
            f"ws://127.0.0.1:{self.server.stream_port}{PATH}" if self.transport == "ws" else "",
        )

    async def live(self) -> None:
        await self.venue.start(self.notes)
        self.venue.replay(self.notes.states[-1].gap)
        socket = self.venue.rest.socket
        if socket is not None:
            await eventually(lambda: opened(socket), 5, "the order socket is open")

    def count_orders(self) -> Counter[str]:
        """Counts from now on the requests for one order that come, by transport."""
        counted: Counter[str] = Counter()
        met = self.simulator.gate.script.for_request

        def meets(request: Request) -> OnRequest | None:
            if request.target.partition("?")[0] == ORDER:
                counted[request.transport] += 1
            return met(request)

        self.simulator.gate.script.for_request = meets  # type: ignore[method-assign]
        return counted

    async def stop(self) -> None:
        await self.venue.close()
        await self.sockets.close()
        await self.server.close()
        await self.tasks.close()

    def spoil(self, rule: OnRequest) -> None:
        self.simulator.gate.script.add(rule)

    async def place(
        self,
        client_id: str,
        price: str,
        quantity: str = "0.010",
        tif: TimeInForce = "GTX",
        side: Side = Side.BUY,
        kind: OrderType = "LIMIT",
        reduce_only: bool = False,
    ) -> Outcome:
        order = Place(SYMBOL, client_id, side, kind, tif, D(quantity), D(price), reduce_only)
        return await self.venue.place(order)

    async def amend(self, client_id: str, price: str, quantity: str = "0.010") -> Outcome:
        return await self.venue.amend(Amend(SYMBOL, client_id, Side.BUY, D(quantity), D(price)))

    async def cancel(self, client_id: str) -> Outcome:
        return await self.venue.cancel(Cancel(SYMBOL, client_id))

    async def ended(self, client_id: str) -> Report:
        """The event that ended an order."""

        def found() -> list[Report]:
            return [r for r in self.notes.reports if r.client_id == client_id and r.status is not VenueStatus.OPEN]

        await self.notes.until(lambda: bool(found()))
        return found()[0]


async def opened(socket: WsApi) -> bool:
    return socket.up


@pytest.fixture
def latency() -> Latency:
    return Latency()


@pytest.fixture(params=["rest", "ws"])
async def world(latency: Latency, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """Every case over REST, and with its orders over the WebSocket API."""
    world = World(latency, transport=request.param)
    await world.start()
    await world.live()
    yield world
    await world.stop()


def report(outcome: Outcome) -> Report:
    assert isinstance(outcome, Done), outcome
    return outcome.report


def cause(outcome: Outcome) -> Cause:
    assert isinstance(outcome, Refused), outcome
    return outcome.cause


async def test_an_order_rests_is_amended_and_cancelled_and_each_step_is_told(world: World) -> None:
    placed = report(await world.place("a-1", "83990"))
    amended = report(await world.amend("a-1", "83995", "0.020"))
    cancelled = report(await world.cancel("a-1"))
    end = await world.ended("a-1")
    assert [placed.status, amended.status, cancelled.status] == [
        VenueStatus.OPEN,
        VenueStatus.OPEN,
        VenueStatus.CANCELLED,
    ]
    assert (amended.price, amended.quantity, amended.order_id) == (D(83995), D("0.02"), placed.order_id)
    told = [(event.status, event.amended, event.price) for event in world.notes.reports]
    assert told == [
        (VenueStatus.OPEN, False, D(83990)),
        (VenueStatus.OPEN, True, D(83995)),
        (VenueStatus.CANCELLED, False, D(83995)),
    ]
    assert end.fill is None
    assert not any(isinstance(event, AccountChange) for event in world.notes.told)


async def test_fills_are_told_in_the_venues_order_and_found_again_by_reading(world: World) -> None:
    done = report(await world.place("a-1", "84000.2", "1.5", "IOC"))
    assert (done.status, done.filled, done.average) == (VenueStatus.FILLED, D("1.5"), None)
    end = await world.ended("a-1")
    kinds = [type(event) for event in world.notes.told[2:]]
    assert kinds == [FillHint, Report, AccountChange, Report, FillHint, AccountChange, Report]
    fills = [event.fill for event in world.notes.reports if event.fill is not None]
    assert [(fill.price, fill.quantity) for fill in fills] == [(D("84000.1"), D(1)), (D("84000.2"), D("0.5"))]
    assert end.filled == sum(fill.quantity for fill in fills)
    read = await world.venue.trades(SYMBOL, done.time - 1000)
    assert [(f.trade_id, f.price, f.quantity, f.commission) for f in read] == [
        (f.trade_id, f.price, f.quantity, f.commission) for f in fills
    ]
    assert await world.venue.trades(SYMBOL, done.time - 1000, done.order_id) == read
    found = await world.venue.look_up(SYMBOL, "a-1")
    assert found is not None
    assert found.average is not None
    assert abs(found.average - (D("84000.1") + D("84000.2") / 2) / D("1.5")) < D("0.0001")
    (position,) = await world.venue.positions()
    assert position.quantity == D("1.5")
    assert [row.client_id for row in await world.venue.orders(SYMBOL, done.time - 1000)] == ["a-1"]


async def test_refusals_carry_the_causes_that_algos_react_to(world: World) -> None:
    report(await world.place("a-1", "83990"))
    assert cause(await world.place("a-1", "83990")) is Cause.DUPLICATE_ID
    assert cause(await world.amend("a-1", "83990")) is Cause.NO_CHANGE
    assert cause(await world.place("a-2", "84000.1")) is Cause.POST_ONLY
    assert cause(await world.place("a-3", "83990.05")) is Cause.FILTER
    assert cause(await world.place("a-4", "83990", "0.0001")) is Cause.FILTER
    assert cause(await world.place("a-5", "99000", tif="GTC")) is Cause.PRICE_BAND
    assert cause(await world.place("a-6", "84001", side=Side.SELL, reduce_only=True)) is Cause.REDUCE_ONLY
    assert cause(await world.cancel("never")) is Cause.NOT_FOUND
    assert await world.venue.look_up(SYMBOL, "never") is None
    assert [order.client_id for order in await world.venue.open_orders()] == ["a-1"]
    assert [order.client_id for order in await world.venue.open_orders(SYMBOL)] == ["a-1"]


async def test_a_post_only_amend_that_crosses_ends_the_order(world: World) -> None:
    report(await world.place("a-1", "83990"))
    outcome = await world.amend("a-1", "84000.1")
    end = await world.ended("a-1")
    assert end.status in (VenueStatus.CANCELLED, VenueStatus.EXPIRED)
    assert not isinstance(outcome, Done) or outcome.report.status is end.status
    assert await world.venue.open_orders() == []


async def test_our_own_resting_order_hit_by_our_own_is_ended_by_self_trade_prevention(world: World) -> None:
    report(await world.place("ours", "84000.0", "0.010"))
    report(await world.place("hit", "84000.0", "2", side=Side.SELL, tif="IOC"))
    end = await world.ended("ours")
    assert (end.status, end.cause) == (VenueStatus.EXPIRED, Cause.SELF_TRADE)


async def test_an_ioc_remainder_expires_with_its_cause(world: World) -> None:
    done = report(await world.place("a-1", "84000.1", "1.5", "IOC"))
    end = await world.ended("a-1")
    assert (done.status, done.filled) == (VenueStatus.EXPIRED, D(1))
    assert (end.status, end.filled, end.cause) == (VenueStatus.EXPIRED, D(1), Cause.TIME_IN_FORCE)


@pytest.mark.parametrize("latency", [Latency(answer_ms=30)])
async def test_the_event_may_come_before_the_answer(world: World) -> None:
    placing = world.tasks.spawn(world.place("a-1", "83990"), "place")
    await world.notes.until(lambda: bool(world.notes.reports))
    assert not placing.done()
    assert report(await placing).order_id == world.notes.reports[0].order_id


@pytest.mark.ambiguity
@pytest.mark.parametrize("lose, there", [("before", False), ("after", True)])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_a_lost_answer_is_unknown_and_asked_once(world: World, method: str, lose: str, there: bool) -> None:
    if method != "POST":
        report(await world.place("a-1", "83990"))
    world.spoil(OnRequest(method=method, path=ORDER, lose=lose))  # type: ignore[arg-type]
    counted = world.count_orders()
    act = {"POST": world.place("a-1", "83990"), "PUT": world.amend("a-1", "83991"), "DELETE": world.cancel("a-1")}
    outcome = await act.pop(method)
    for unused in act.values():
        unused.close()
    assert isinstance(outcome, Unknown)
    assert counted == {world.transport: 1}
    found = await world.venue.look_up(SYMBOL, "a-1")
    if method == "POST":
        assert (found is not None) == there
    elif method == "PUT":
        assert found is not None
        assert found.price == (D(83991) if there else D(83990))
    else:
        assert found is not None
        assert found.status is (VenueStatus.CANCELLED if there else VenueStatus.OPEN)


@pytest.mark.ambiguity
async def test_an_answer_that_never_comes_is_unknown_in_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "ANSWER_S", 0.2)
    world.spoil(OnRequest(method="POST", path=ORDER, delay_after_ms=1_000))
    world.venue.gate.http._answer_s = 0.2  # type: ignore[attr-defined]
    assert isinstance(await world.place("a-1", "83990"), Unknown)
    assert await world.venue.look_up(SYMBOL, "a-1") is not None


async def test_a_ban_silences_everything_but_the_stream(world: World) -> None:
    world.spoil(OnRequest(path=ORDER, status=418, code=-1003, msg="banned", headers={"Retry-After": "60"}))
    assert isinstance(await world.place("a-1", "83990"), NotDone)
    requests = world.simulator.gate.requests
    assert isinstance(await world.cancel("a-1"), NotDone)
    with pytest.raises(Unavailable):
        await world.venue.positions()
    assert world.simulator.gate.requests == requests
    assert world.notes.states[-1].live


async def test_what_the_venue_counts_is_told(world: World) -> None:
    await world.place("a-1", "83990")
    await world.place("a-2", "83990")
    used = world.governor.used()
    assert (used["orders10s"], used["orders1m"]) == (2, 2)
    assert used["weight1m"] > 0


@pytest.mark.faults
async def test_what_happened_while_the_stream_was_cut_is_found_by_reading(world: World) -> None:
    report(await world.place("a-1", "83990"))
    (line,) = [line for line in world.simulator.gate.lines if line.path.startswith("/private")]
    line.cut(1006)
    done = report(await world.place("a-2", "84000.1", "0.5", "IOC"))
    await world.notes.until(lambda: world.notes.states[-1].gap == 2)
    fills = await world.venue.trades(SYMBOL, done.time - 1000)
    assert sum(fill.quantity for fill in fills) == D("0.5")
    assert {row.client_id for row in await world.venue.open_orders()} == {"a-1"}
    world.venue.replay(2)
    report(await world.cancel("a-1"))
    await world.ended("a-1")


async def test_instruments_wallet_and_mode_are_read(world: World) -> None:
    rules = (await world.venue.instruments())[SYMBOL]
    assert (rules.tick, rules.step, rules.min_notional) == (D("0.10"), D("0.001"), D(50))
    assert await world.venue.wallet() == {"USDT": D(1_000_000)}
    assert await world.venue.positions() == []
    assert await world.venue.unserved_modes() == ()
    assert await world.venue.account_margin() == (0, 1_000_000)


async def test_leverage_is_set_or_refused(world: World) -> None:
    await world.live()
    assert await world.venue.set_leverage(SYMBOL, 10, lambda: "") is None
    await world.notes.until(lambda: world.notes.told[-1] == LeverageSet(SYMBOL, 10))
    assert isinstance(await world.venue.set_leverage(SYMBOL, 1000, lambda: ""), Refused)


MODES = [("positionSide/dual", "set_dual_side", HEDGE), ("multiAssetsMargin", "set_multi_assets", MULTI_ASSETS)]


@pytest.mark.parametrize("setting, switch, mode", MODES)
async def test_an_account_in_another_mode_is_refused_with_the_way_to_change_it(
    setting: str, switch: str, mode: Unserved
) -> None:
    world = World(Latency())
    await world.start()
    getattr(world.simulator.venue.exchange, switch)("k", True)
    assert await world.venue.unserved_modes() == (mode,)
    with pytest.raises(AuthFailed, match=setting):
        await world.venue.start(world.notes)
    assert world.notes.told == []
    await world.stop()


async def test_a_wrong_secret_is_refused_at_the_start() -> None:
    world = World(Latency())
    await world.start()
    stranger = world.adapter("wrong")
    with pytest.raises(AuthFailed, match="Check the API key"):
        await stranger.start(world.notes)
    await stranger.close()
    await world.stop()


@pytest.mark.parametrize("ahead_ms", [-7_000, 7_000])
async def test_a_wrong_host_clock_is_corrected_before_anything_is_signed(ahead_ms: int) -> None:
    world = World(Latency(), ahead_ms)
    await world.start()
    await world.live()
    assert abs(world.venue.host_clock_error_ms() - ahead_ms) < 500
    report(await world.place("a-1", "83990"))
    await world.stop()


async def test_many_orders_are_cancelled_with_few_requests_each_with_its_own_outcome(world: World) -> None:
    names = [f"a-{number}" for number in range(14)]
    for number, name in enumerate(names):
        report(await world.place(name, str(83000 + number)))
    before = world.simulator.gate.requests
    outcomes = await world.venue.cancel_many(SYMBOL, [*names[:12], "never-was", *names[12:]])
    assert world.simulator.gate.requests - before == 2
    told = [report(outcome).client_id for outcome in outcomes if isinstance(outcome, Done)]
    assert told == names
    (refused,) = [outcome for outcome in outcomes if not isinstance(outcome, Done)]
    assert isinstance(refused, Refused)
    assert refused.cause is Cause.NOT_FOUND
    assert await world.venue.open_orders(SYMBOL) == []


async def test_all_orders_of_a_symbol_are_cancelled_with_one_request(world: World) -> None:
    for number in range(3):
        report(await world.place(f"a-{number}", str(83000 + number)))
    assert await world.venue.cancel_all(SYMBOL) is None
    assert await world.venue.open_orders(SYMBOL) == []

"""The public streams against a scripted venue on a virtual clock: routes, pace, replies, dead and mute sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pms.binance import frames
from pms.binance.gate import Gate
from pms.binance.market_stream import MarketStream
from pms.binance.rest import Rest
from pms.binance.route import SILENT_S
from pms.binance.signing import Credentials
from pms.binance.transport import NotSent, Response
from pms.binance.venue_clock import VenueClock
from pms.clock import LoopClock
from pms.core.backoff import CONNECTS_MAX, CONNECTS_WINDOW_S, USER_STREAMS, ConnectBudget
from pms.governor import Governor
from pms.market_data import DepthFrame, TouchFrame
from pms.tasks import Tasks
from pms.venue import Unavailable
from schemas.market import Side
from tests.virtual import virtual

DEPTH = (
    b'{"e":"depthUpdate","E":1790526539087,"T":1790526539086,"s":"BTCUSDT","ps":"BTCUSDT","U":11671659688131,'
    b'"u":11671659693014,"pu":11671659687966,"b":[["84551.00","2.027"],["67640.80","0.000"]],'
    b'"a":[["84551.10","5.303"]],"st":1}'
)
TOUCH = (
    b'{"e":"bookTicker","u":11671659686089,"s":"BTCUSDT","ps":"BTCUSDT","b":"84551.00","B":"2.645","a":"84551.10",'
    b'"A":"5.302","T":1790526538941,"E":1790526538942,"st":1}'
)
MARK = (
    b'{"e":"markPriceUpdate","E":1790526539000,"s":"BTCUSDT","p":"84551.10762319","ap":"84551.10762319",'
    b'"P":"84559.09090930","i":"84590.87304348","r":"0.00000801","T":1790553600000,"st":1}'
)
TRADE = (
    b'{"e":"aggTrade","E":1790526539033,"a":3466782974,"s":"BTCUSDT","p":"84551.10","q":"0.030","nq":"0.030",'
    b'"f":8123344783,"l":8123344783,"T":1790526538883,"m":false,"st":1}'
)
SNAPSHOT = (
    b'{"lastUpdateId":11671659687966,"E":1790526538990,"T":1790526538981,"bids":[["84551.00","2.027"]],'
    b'"asks":[["84551.10","5.302"]]}'
)
IDS = (11671659688131, 11671659693014, 11671659687966)
A_DEPTH = ("BTCUSDT", *IDS, 1790526539086, [(84551.0, 2.027), (67640.8, 0.0)], [(84551.1, 5.303)])
A_TOUCH = ("BTCUSDT", 11671659686089, 84551.0, 2.645, 84551.1, 5.302, 1790526538941)
PUBLIC = ["btcusdt@depth@100ms", "btcusdt@bookTicker"]
SEVEN = tuple(f"C{number}USDT" for number in range(7))


class Wire:
    """One accepted socket: what was sent, and a mouth for the venue."""

    def __init__(
        self, venue: Venue, url: str, on_frame: Callable[[bytes], None], on_close: Callable[[str], None]
    ) -> None:
        self.venue = venue
        self.url = url
        self.say = on_frame
        self.end = on_close
        self.sent: list[tuple[float, dict[str, Any]]] = []
        self.closed = False

    def send(self, text: str) -> None:
        request = msgspec.json.decode(text)
        self.sent.append((self.venue.time(), request))
        if self.venue.answers:
            listed = request["method"] == "LIST_SUBSCRIPTIONS"
            result = self.venue.listing if listed else None
            self.say(msgspec.json.encode({"result": result, "id": request["id"]}))

    async def close(self) -> None:
        self.closed = True
        self.end("closed: by us")

    def named(self, method: str) -> list[str]:
        return [name for _, request in self.sent if request["method"] == method for name in request["params"]]


class Venue:
    """Implements `transport.Sockets` and `transport.Http`."""

    def __init__(self) -> None:
        self.time = asyncio.get_running_loop().time
        self.wires: list[Wire] = []
        self.attempts: list[float] = []
        self.refuses = False
        self.ends_at_once = False
        self.answers = True
        self.listing: list[str] = list(PUBLIC)
        self.requests: list[str] = []

    async def connect(self, url: str, on_frame: Callable[[bytes], None], on_close: Callable[[str], None]) -> Wire:
        self.attempts.append(self.time())
        if self.refuses:
            raise NotSent("refused")
        wire = Wire(self, url, on_frame, on_close)
        self.wires.append(wire)
        if self.ends_at_once:
            on_close("closed by the venue: 1008")
        return wire

    async def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Response:
        self.requests.append(f"{method} {target}")
        return Response(200, {}, SNAPSHOT)

    async def close(self) -> None:
        self.refuses = True

    def of(self, route: str) -> list[Wire]:
        return [wire for wire in self.wires if route in wire.url]

    def last(self, route: str) -> Wire:
        return self.of(route)[-1]


class Sink:
    def __init__(self) -> None:
        self.told: list[object] = []

    def on_depth(self, frame: DepthFrame) -> None:
        self.told.append(msgspec.structs.astuple(frame))

    def on_touch(self, frame: TouchFrame) -> None:
        self.told.append(msgspec.structs.astuple(frame))

    def on_mark(self, symbol: str, price: Decimal, time: int) -> None:
        self.told.append((symbol, price, time))

    def on_trade(self, symbol: str, price: Decimal, quantity: Decimal, taker: Side, time: int) -> None:
        self.told.append((symbol, price, quantity, taker, time))

    def on_stream_lost(self, symbol: str, reason: str) -> None:
        self.told.append((symbol, reason))


class Setting:
    def __init__(self, most: int = 400) -> None:
        self.venue = Venue()
        self.sink = Sink()
        self.tasks = Tasks()
        clock = LoopClock(asyncio.get_running_loop(), 1_790_526_539_000)
        venue_clock = VenueClock(clock)
        gate = Gate(self.venue, clock, venue_clock, Governor(clock, clock.now_ms))
        rest = Rest(gate, venue_clock, self.tasks, Credentials("key", "secret"))
        connects = ConnectBudget(lambda: 0.5, clock.monotonic)
        self.stream = MarketStream(rest, self.venue, "wss://x", clock, self.tasks, connects, most=most)
        self.stream.start(self.sink)

    async def live(self) -> tuple[Wire, Wire]:
        await self.stream.watch("BTCUSDT")
        await asyncio.sleep(1)
        return self.venue.last("/public"), self.venue.last("/market")

    async def ticking(self, seconds: float, *routes: str) -> None:
        for _ in range(int(seconds)):
            for route in routes:
                self.venue.last(route).say(MARK)
            await asyncio.sleep(1)


def setting(test: Callable[[Setting], Any], **options: int) -> Callable[[], None]:
    async def run() -> None:
        stage = Setting(**options)
        try:
            await test(stage)
        finally:
            await stage.stream.close()
            await stage.tasks.close()

    run.__name__ = test.__name__
    return virtual(run)


# --- routes and frames ----------------------------------------------------------------------------------


@setting
async def test_each_stream_is_asked_for_on_the_route_that_delivers_it(stage: Setting) -> None:
    public, market = await stage.live()
    assert (public.url, market.url) == ("wss://x/public/ws", "wss://x/market/ws")
    assert public.named("SUBSCRIBE") == PUBLIC
    assert market.named("SUBSCRIBE") == ["btcusdt@markPrice@1s", "btcusdt@aggTrade"]


@setting
async def test_frames_reach_the_sink_as_the_ports_values(stage: Setting) -> None:
    public, market = await stage.live()
    public.say(DEPTH)
    public.say(TOUCH)
    market.say(MARK)
    market.say(TRADE)
    market.say(TRADE.replace(b'"m":false', b'"m":true'))
    trade = ("BTCUSDT", Decimal("84551.10"), Decimal("0.030"))
    assert stage.sink.told == [
        A_DEPTH,
        A_TOUCH,
        ("BTCUSDT", Decimal("84551.10762319"), 1790526539000),
        (*trade, Side.BUY, 1790526538883),
        (*trade, Side.SELL, 1790526538883),
    ]


@setting
async def test_keys_in_another_order_are_read_the_slow_way(stage: Setting) -> None:
    public, _ = await stage.live()
    for frame in (DEPTH, TOUCH):
        turned = dict(reversed(msgspec.json.decode(frame).items()))
        public.say(msgspec.json.format(msgspec.json.encode(turned), indent=1))
    assert stage.sink.told == [A_DEPTH, A_TOUCH]


@setting
async def test_garbage_and_unknown_events_are_passed_over(stage: Setting) -> None:
    public, _ = await stage.live()
    for frame in (
        b"",
        b"\xff",
        b"[]",
        b'{"e":"depthUpdate"}',
        b'{"e":"bookTicker","u":"x"}',
        b'{"e":"newThing"}',
        b'{"x":1}',
    ):
        public.say(frame)
    public.say(DEPTH)
    assert stage.sink.told == [A_DEPTH]
    assert len(stage.venue.wires) == 2


@setting
async def test_a_snapshot_is_asked_for_only_while_its_stream_is_subscribed(stage: Setting) -> None:
    stage.venue.answers = False
    await stage.stream.watch("BTCUSDT")
    await asyncio.sleep(1)
    with pytest.raises(Unavailable, match="not subscribed now"):
        await stage.stream.snapshot("BTCUSDT")
    assert stage.venue.requests == []
    stage.venue.last("/public").say(b'{"result":null,"id":1}')
    snapshot = await stage.stream.snapshot("BTCUSDT")
    assert (snapshot.last_id, snapshot.time) == (11671659687966, 1790526538981)
    assert (snapshot.bids, snapshot.asks) == ([(84551.0, 2.027)], [(84551.1, 5.302)])
    assert stage.venue.requests == ["GET /fapi/v1/depth?symbol=BTCUSDT&limit=1000"]


@setting
async def test_an_unwatched_symbol_is_unsubscribed_and_not_asked_for_again(stage: Setting) -> None:
    public, market = await stage.live()
    await stage.stream.watch("ETHUSDT")
    await stage.stream.unwatch("BTCUSDT")
    await asyncio.sleep(1)
    assert public.named("UNSUBSCRIBE") == PUBLIC
    assert market.named("UNSUBSCRIBE") == ["btcusdt@markPrice@1s", "btcusdt@aggTrade"]
    public.end("cut")
    await asyncio.sleep(5)
    assert stage.venue.last("/public").named("SUBSCRIBE") == ["ethusdt@depth@100ms", "ethusdt@bookTicker"]
    with pytest.raises(Unavailable):
        await stage.stream.snapshot("BTCUSDT")


@setting
async def test_subscribing_again_is_seen_by_the_venue(stage: Setting) -> None:
    public, _ = await stage.live()
    await stage.stream.renew("BTCUSDT")
    await asyncio.sleep(1)
    assert [request["method"] for _, request in public.sent] == ["SUBSCRIBE", "UNSUBSCRIBE", "SUBSCRIBE"]
    assert (await stage.stream.snapshot("BTCUSDT")).last_id


@setting
async def test_a_symbol_that_comes_and_goes_a_hundred_times_costs_no_request(
    stage: Setting,
) -> None:
    public, _ = await stage.live()
    for _ in range(100):
        await stage.stream.unwatch("BTCUSDT")
        await stage.stream.watch("BTCUSDT")
    assert (await stage.stream.snapshot("BTCUSDT")).last_id
    await asyncio.sleep(5)
    assert [request["method"] for _, request in public.sent] == ["SUBSCRIBE"]


@setting
async def test_an_acknowledgement_of_an_older_request_confirms_nothing(stage: Setting) -> None:
    await stage.live()
    await stage.stream.unwatch("BTCUSDT")
    await asyncio.sleep(1)
    with pytest.raises(Unavailable):
        await stage.stream.snapshot("BTCUSDT")
    await stage.stream.watch("BTCUSDT")
    with pytest.raises(Unavailable):
        await stage.stream.snapshot("BTCUSDT")
    await asyncio.sleep(1)
    assert (await stage.stream.snapshot("BTCUSDT")).last_id


# --- pace and bounds ------------------------------------------------------------------------------------


@setting
async def test_many_symbols_are_asked_for_in_few_requests_well_below_the_venues_pace(stage: Setting) -> None:
    for number in range(300):
        await stage.stream.watch(f"C{number}USDT")
        await asyncio.sleep(0.005)
    await asyncio.sleep(5)
    first, second = stage.venue.of("/public")
    asked = first.named("SUBSCRIBE") + second.named("SUBSCRIBE")
    assert len(set(asked)) == len(asked) == 600
    for socket in (first, second):
        assert max(len(request["params"]) for _, request in socket.sent) <= 200
        assert all(later - earlier >= 0.19 for (earlier, _), (later, _) in pairwise(socket.sent))


@setting
async def test_a_socket_that_ends_while_nobody_needs_it_is_opened_again_when_somebody_does(stage: Setting) -> None:
    public, market = await stage.live()
    await stage.stream.unwatch("BTCUSDT")
    await asyncio.sleep(1)
    for wire in (public, market):
        wire.end("idle")
    await asyncio.sleep(600)
    assert len(stage.venue.attempts) == 2, "of the connects that all sockets share none is spent on this"
    await stage.stream.watch("ETHUSDT")
    await asyncio.sleep(1)
    assert stage.venue.last("/public").named("SUBSCRIBE") == ["ethusdt@depth@100ms", "ethusdt@bookTicker"]
    assert (await stage.stream.snapshot("ETHUSDT")).last_id


# --- several sockets ------------------------------------------------------------------------------------


def several(test: Callable[[Setting], Any]) -> Callable[[], None]:
    """With seven symbols, of which a socket takes two: four sockets of each kind, the last with one symbol."""

    async def run(stage: Setting) -> None:
        for symbol in SEVEN:
            await stage.stream.watch(symbol)
        await asyncio.sleep(1)
        await test(stage)

    run.__name__ = test.__name__
    return setting(run, most=5)


@several
async def test_each_socket_has_no_more_streams_than_it_takes_and_each_symbol_one_socket(stage: Setting) -> None:
    for route, kinds in (("/public", ("depth@100ms", "bookTicker")), ("/market", ("markPrice@1s", "aggTrade"))):
        named = [wire.named("SUBSCRIBE") for wire in stage.venue.of(route)]
        pairs = (SEVEN[:2], SEVEN[2:4], SEVEN[4:6], SEVEN[6:])
        assert named == [[f"{symbol.lower()}@{kind}" for symbol in pair for kind in kinds] for pair in pairs]


@several
async def test_a_lost_socket_makes_its_own_symbols_stale_and_no_others(stage: Setting) -> None:
    stage.venue.of("/public")[1].end("cut")
    await asyncio.sleep(2)
    assert stage.sink.told == [("C2USDT", "cut"), ("C3USDT", "cut")]
    assert [len(wire.sent) for wire in stage.venue.of("/public")] == [1, 1, 1, 1, 1], "the others were left alone"
    assert stage.venue.last("/public").named("SUBSCRIBE")[::2] == ["c2usdt@depth@100ms", "c3usdt@depth@100ms"]


@several
async def test_a_mute_mark_price_socket_is_found_out_beside_others_that_speak(stage: Setting) -> None:
    wires = stage.venue.of("/market")
    for _ in range(round(SILENT_S) + 2):
        for wire in (wires[0], wires[2], wires[3]):
            wire.say(MARK)
        await asyncio.sleep(1)
    assert [wire.closed for wire in wires] == [False, True, False, False]


@several
async def test_a_symbol_that_goes_leaves_room_and_the_last_one_closes_its_socket(stage: Setting) -> None:
    public = stage.venue.of("/public")
    await stage.stream.unwatch("C2USDT")
    await stage.stream.watch("NEWUSDT")
    await stage.stream.unwatch("C6USDT")
    await asyncio.sleep(1)
    assert public[1].named("UNSUBSCRIBE") == ["c2usdt@depth@100ms", "c2usdt@bookTicker"]
    assert public[1].named("SUBSCRIBE")[4:] == ["newusdt@depth@100ms", "newusdt@bookTicker"]
    assert [wire.closed for wire in public] == [False, False, False, True]
    assert stage.venue.of("/public") == public, "nothing was opened"
    assert stage.sink.told == [], "nobody is told of a socket that was let go"


@several
async def test_the_last_socket_stands_ready_for_the_next_symbol(stage: Setting) -> None:
    for symbol in SEVEN:
        await stage.stream.unwatch(symbol)
    await asyncio.sleep(1)
    ready = [wire for wire in stage.venue.of("/public") if not wire.closed]
    assert len(ready) == 1
    await stage.stream.watch("BTCUSDT")
    await asyncio.sleep(1)
    assert ready[0].named("SUBSCRIBE")[-2:] == PUBLIC
    assert (await stage.stream.snapshot("BTCUSDT")).last_id


# --- ends, mutes and refusals ---------------------------------------------------------------------------


@setting
async def test_a_lost_public_socket_is_told_and_opened_and_subscribed_again(stage: Setting) -> None:
    public, _ = await stage.live()
    public.say(DEPTH)
    stage.sink.told.clear()
    public.end("closed by the venue: 1006")
    await asyncio.sleep(2)
    assert stage.sink.told == [("BTCUSDT", "closed by the venue: 1006")]
    assert public.closed
    assert stage.venue.last("/public") is not public
    assert stage.venue.last("/public").named("SUBSCRIBE") == PUBLIC


@setting
async def test_a_lost_mark_price_socket_leaves_the_book_alone(stage: Setting) -> None:
    _, market = await stage.live()
    market.end("cut")
    await asyncio.sleep(2)
    assert stage.sink.told == []
    assert stage.venue.last("/market") is not market


@setting
async def test_a_socket_that_ends_late_does_not_end_its_successor(stage: Setting) -> None:
    public, _ = await stage.live()
    public.end("cut")
    await asyncio.sleep(2)
    public.end("closed: late")
    await asyncio.sleep(2)
    assert len([wire for wire in stage.venue.wires if "/public" in wire.url]) == 2


@setting
async def test_an_unanswered_subscription_throws_the_socket_away(stage: Setting) -> None:
    stage.venue.answers = False
    public, _ = await stage.live()
    await asyncio.sleep(6)
    assert public.closed
    assert stage.sink.told == [("BTCUSDT", "no answer to a request within 5 s")]


@pytest.mark.parametrize(
    "refusal", [b'{"code":2,"msg":"Invalid request: x"}', b'{"error":{"code":4,"msg":"Too many"},"id":1}']
)
def test_a_refused_request_throws_the_socket_away(refusal: bytes) -> None:
    @setting
    async def run(stage: Setting) -> None:
        public, _ = await stage.live()
        public.say(refusal)
        await asyncio.sleep(1)
        assert public.closed

    run()


@setting
async def test_a_mute_mark_price_socket_is_replaced(stage: Setting) -> None:
    """The trap of the wrong route: accepted, acknowledged, silent."""
    _, market = await stage.live()
    await stage.ticking(20, "/market", "/public")
    assert not market.closed
    await stage.ticking(SILENT_S + 2, "/public")
    assert market.closed
    assert stage.venue.last("/market").named("SUBSCRIBE") == ["btcusdt@markPrice@1s", "btcusdt@aggTrade"]


@setting
async def test_a_silent_public_socket_is_asked_and_kept_while_it_answers(stage: Setting) -> None:
    public, _ = await stage.live()
    await stage.ticking(60, "/market")
    asked = [time for time, request in public.sent if request["method"] == "LIST_SUBSCRIPTIONS"]
    assert 4 <= len(asked) <= 6
    assert not public.closed
    stage.venue.answers = False
    await stage.ticking(SILENT_S + 7, "/market")
    assert public.closed


@setting
async def test_a_venue_that_has_forgotten_a_subscription_is_asked_anew(stage: Setting) -> None:
    public, _ = await stage.live()
    stage.venue.listing = PUBLIC[1:]
    await stage.ticking(SILENT_S + 2, "/market")
    assert public.closed
    assert ("BTCUSDT", "the venue has forgotten 1 subscriptions") in stage.sink.told


@setting
async def test_a_venue_that_accepts_and_closes_is_not_connected_to_more_than_the_budget(stage: Setting) -> None:
    stage.venue.ends_at_once = True
    await stage.stream.watch("BTCUSDT")
    await asyncio.sleep(3600)
    attempts, most = stage.venue.attempts, CONNECTS_MAX - USER_STREAMS
    assert len(attempts) > 100
    assert all(
        beyond - first >= CONNECTS_WINDOW_S - 1e-6 for first, beyond in zip(attempts, attempts[most:], strict=False)
    )


@setting
async def test_a_refused_socket_is_tried_again_with_growing_delays(stage: Setting) -> None:
    stage.venue.refuses = True
    await stage.stream.watch("BTCUSDT")
    await asyncio.sleep(120)
    assert 10 <= len(stage.venue.attempts) <= 40
    stage.venue.refuses = False
    await asyncio.sleep(31)
    assert stage.venue.last("/public").named("SUBSCRIBE") == PUBLIC


@setting
async def test_a_venue_that_was_away_is_connected_to_as_soon_as_it_is_back(stage: Setting) -> None:
    stage.venue.refuses = True
    await stage.stream.watch("BTCUSDT")
    await asyncio.sleep(CONNECTS_WINDOW_S - 10)
    assert len(stage.venue.attempts) > CONNECTS_MAX - USER_STREAMS, "what opens no socket uses up no connect"
    stage.venue.refuses = False
    await asyncio.sleep(31)
    assert stage.venue.last("/public").named("SUBSCRIBE") == PUBLIC


# --- recorded frames ------------------------------------------------------------------------------------


@pytest.mark.replay
def test_every_recorded_frame_of_2026_is_read(shared: Path, cases: Callable[[int], None]) -> None:
    kinds: dict[str, int] = {}
    for line in (shared / "data/shapes/market_2026-09-27_real.txt").read_text().splitlines():
        data = bytes(msgspec.json.decode(line.partition(" ")[2], type=dict[str, msgspec.Raw])["data"])
        value = frames.read(data)
        kinds[type(value).__name__] = kinds.get(type(value).__name__, 0) + 1
        if isinstance(value, DepthFrame):
            assert data.startswith(frames.DEPTH_HEAD)
            assert value == frames.depth(data)
        elif isinstance(value, TouchFrame):
            assert data.startswith(frames.TOUCH_HEAD)
            assert value == frames.touch(data)
    assert min(kinds["_Depth"], kinds["_Touch"], kinds["Mark"], kinds["NoneType"]) >= 1
    cases(sum(kinds.values()))

"""Every kind of fault with a case that shows it: docs/simulator.md lists the kinds, the tests carry out the cases."""

from __future__ import annotations

import inspect
import itertools
import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from pms.binance.transport import Lost, Response
from pms.sim import fault_kinds
from pms.sim.model import NewOrder, VenueError
from pms.sim.params import Request
from pms.sim.script import Fault
from pms.sim.ws_api import PATH
from tests.contract.sim_wire.client import signed
from tests.contract.sim_wire.hooks import ALICE, IP, SYMBOL, Stage

TIME = "/fapi/v1/time"
INFO = "/fapi/v1/exchangeInfo"
D = Decimal
ORDERS = ("ORDER_TRADE_UPDATE",)


class Play(Stage):
    """A stage that can be asked over the wire and listens to the depth as well."""

    def strike(self, **fault: Any) -> None:
        self.simulator.faults.inject(*fault_kinds.decode(json.dumps([fault]).encode()))

    async def say(self, path: str = TIME, ip: str = IP, **query: str) -> Response:
        """One request of alice's."""
        text = signed(query, ALICE, self.clock.now_ms())
        return await self.simulator.gate.serve(Request("GET", f"{path}?{text}", {"x-mbx-apikey": ALICE}, ip=ip))

    async def lost(self) -> bool:
        try:
            await self.say()
        except Lost:
            return True
        return False

    def listen(self, target: str) -> tuple[list[bytes], list[int]]:
        """One more socket: its frames and how it was closed."""
        frames: list[bytes] = []
        closed: list[int] = []
        self.simulator.gate.open(target, IP, frames.append, lambda code, _: closed.append(code))
        return frames, closed

    def depth(self) -> tuple[list[bytes], list[int]]:
        return self.listen(f"/public/ws/{SYMBOL.lower()}@depth@100ms")

    def refused(self, target: str) -> int:
        """The HTTP status of a handshake, 0 where it opens."""
        try:
            self.listen(target)
        except VenueError as error:
            return error.status
        return 0

    def trade(self) -> list[str]:
        """One fill of alice's, told in three events; which of them came, in what order."""
        before = len(self.frames)
        self.place("SELL")
        return [frame["e"] for frame in self.frames[before:]]


Shows = Callable[[Play], Awaitable[bool]]
FILL = ["TRADE_LITE", "ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE", "ORDER_TRADE_UPDATE"]


class Row(NamedTuple):
    """One case of a kind: what is injected, and whether the venue then does it."""

    fault: dict[str, Any]
    shows: Shows

    @property
    def kind(self) -> str:
        return str(self.fault["fault"])


def _answers(status: int, code: int = 0, retry: str = "") -> Shows:
    async def shows(play: Play) -> bool:
        answer = await play.say()
        told = json.loads(answer.body).get("code", 0) if code else 0
        return (answer.status, told, answer.headers.get("retry-after", "")) == (status, code, retry)

    return shows


def _slow(ms: int, executed: bool) -> Shows:
    async def shows(play: Play) -> bool:
        before = play.venue.meter.used(IP, play.clock.now_ms())
        task = play.tasks.spawn(play.say(), "asked")
        await play.clock.advance(ms - 10)
        early = play.venue.meter.used(IP, play.clock.now_ms()) > before
        return not task.done() and early is executed and ((await play.clock.advance(20)) or task.done())

    return shows


def _lost(charged: bool) -> Shows:
    async def shows(play: Play) -> bool:
        before = play.venue.meter.used(IP, play.clock.now_ms())
        return await play.lost() and (play.venue.meter.used(IP, play.clock.now_ms()) > before) is charged

    return shows


def _hears(*kinds: str, after_ms: int = 0) -> Shows:
    async def shows(play: Play) -> bool:
        told = play.trade()
        if after_ms:
            before = len(play.frames)
            await play.clock.advance(after_ms)
            told += ["later", *(frame["e"] for frame in play.frames[before:])]
        return told == list(kinds)

    return shows


async def _garbled(play: Play) -> bool:
    raw: list[bytes] = []
    play.simulator.gate.lines[0]._send = raw.append
    play.place("SELL")
    try:
        msgspec.json.decode(raw[0])
    except msgspec.DecodeError:
        return True
    return False


def _depth(chain: Callable[[list[dict[str, Any]]], bool]) -> Shows:
    async def shows(play: Play) -> bool:
        frames, _ = play.depth()
        await play.clock.advance(1_000)
        return chain([json.loads(frame) for frame in frames])

    return shows


def _joins(frames: list[dict[str, Any]]) -> list[bool]:
    return [after["pu"] == before["u"] for before, after in itertools.pairwise(frames)]


def _crosses(frames: list[dict[str, Any]]) -> bool:
    bids = [D(price) for frame in frames for price, size in frame["b"] if D(size)]
    return max(bids) > D(100_000) and all(_joins(frames))


async def _unreadable(play: Play) -> bool:
    frames, _ = play.depth()
    await play.clock.advance(300)
    return not frames[0].endswith(b"}") and frames[1].endswith(b"}")


async def _stale(play: Play) -> bool:
    before = play.exchange.depth(SYMBOL).last_id
    await play.clock.advance(1_000)
    answers = [await play.say("/fapi/v1/depth", symbol=SYMBOL, limit="1000") for _ in range(2)]
    told = [json.loads(answer.body)["lastUpdateId"] for answer in answers]
    return bool(told[0] == before < told[1])


async def _moved(play: Play) -> bool:
    frames, _ = play.listen("/public/ws")
    play.simulator.gate.lines[-1].on_text(json.dumps({"method": "SUBSCRIBE", "params": ["btcusdt@depth"], "id": 1}))
    await play.clock.advance(1_000)
    return [json.loads(frame) for frame in frames] == [{"result": None, "id": 1}]


def _silent(after_ms: int) -> Shows:
    async def shows(play: Play) -> bool:
        silent = play.trade() == [] and not play.closed
        await play.clock.advance(after_ms)
        return silent and play.trade() != []

    return shows


async def _ended(play: Play) -> bool:
    return len(play.closed) == 1 and play.trade() == []


async def _half_open(play: Play) -> bool:
    return not play.closed and play.trade() == []


async def _expired(play: Play) -> bool:
    return play.told == ["listenKeyExpired"] and play.trade() == [] and not play.closed


def _deleted(renewed: bool) -> Shows:
    async def shows(play: Play) -> bool:
        return not play.frames and play.trade() == [] and bool(play.venue.listen_keys.key_of(ALICE)) is renewed

    return shows


async def _bogus(play: Play) -> bool:
    request = Request("POST", "/fapi/v1/listenKey", {"x-mbx-apikey": ALICE})
    keys = [json.loads((await play.simulator.gate.serve(request)).body)["listenKey"] for _ in range(2)]
    frames, closed = play.listen(f"/private/ws/{keys[0]}")
    play.trade()
    return [play.venue.listen_keys.account_of(key) for key in keys] == [None, ALICE] and not frames and not closed


async def _neighbour(play: Play) -> bool:
    now = play.clock.now_ms()
    counts = play.venue.meter.count_orders(ALICE, 0, 0, now)
    return play.venue.meter.used("127.0.0.1", now) == 2_280 and counts == (150, 600)


async def _skewed(play: Play) -> bool:
    now = play.clock.now_ms()
    told = json.loads((await play.say()).body)["serverTime"]
    refused = json.loads((await play.say("/fapi/v1/openOrders", symbol=SYMBOL)).body)["code"]
    await play.clock.advance(500)
    healed = json.loads((await play.say()).body)["serverTime"] == play.clock.now_ms()
    return bool(told == now + 6_000 and refused == -1021 and healed)


async def _row_of(play: Play) -> dict[str, Any]:
    (row,) = json.loads((await play.say(INFO)).body)["symbols"]
    return dict(row)


async def _filtered(play: Play) -> bool:
    row = await _row_of(play)
    found = {entry["filterType"]: entry for entry in row["filters"]}
    rules = play.venue.rules[SYMBOL]
    return (found["PRICE_FILTER"]["tickSize"], found["LOT_SIZE"]["stepSize"], rules.tick) == ("0.5", "0.001", D("0.5"))


async def _halted(play: Play) -> bool:
    if (await _row_of(play))["status"] != "TRADING_HALT":
        return False
    try:
        play.exchange.place(ALICE, NewOrder(SYMBOL, "BUY", "MARKET", D("0.010"), "late"))
    except VenueError as error:
        refused = error.code
    await play.clock.advance(500)
    return refused == -4140 and (await _row_of(play))["status"] == "TRADING"


async def _leveraged(play: Play) -> bool:
    return play.amount == D("0.006")


async def _liquidated(play: Play) -> bool:
    return play.amount == 0


async def _maintained(play: Play) -> bool:
    down = (await play.say()).status, play.refused("/private/ws/x"), bool(play.closed)
    await play.clock.advance(500)
    return down == (503, 503, True) and (await play.say()).status == 200 and play.refused(PATH) == 0


async def _unreached(play: Play) -> bool:
    down = await play.lost(), play.refused("/private/ws/x"), bool(play.closed)
    await play.clock.advance(500)
    return down == (True, 502, True) and not await play.lost()


_GARBAGE = {"fault": "answer_garbage", "path": TIME}
ROWS = (
    Row({"fault": "request", "path": TIME, "status": 500}, _answers(500)),
    Row({"fault": "socket", "path": "/private/*", "refuse": 503}, lambda play: _is(play.refused("/private/ws/x"), 503)),
    Row({"fault": "frame", "path": "/private/*", "events": ["TRADE_LITE"], "do": "drop"},
        _hears("ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE", "ORDER_TRADE_UPDATE")),
    Row({"fault": "answer_lost", "when": "after"}, _lost(charged=True)),
    Row({"fault": "answer_lost", "when": "before"}, _lost(charged=False)),
    Row({"fault": "answer_late", "ms": 300}, _slow(300, executed=True)),
    Row({"fault": "request_slow", "ms": 300}, _slow(300, executed=False)),
    Row(_GARBAGE, lambda play: _is_in(play, b"<html>")),
    Row({"fault": "answer_refused", "status": 503, "code": -1008}, _answers(503, -1008)),
    Row({"fault": "answer_refused", "status": 400, "code": -2011, "msg": "Unknown order sent."}, _answers(400, -2011)),
    Row({"fault": "rate_limited"}, _answers(429, -1003, "5")),
    Row({"fault": "rate_limited", "status": 418, "retry_after_s": 9}, _answers(418, -1003, "9")),
    Row({"fault": "orders_limited"}, _answers(429, -1015)),
    Row({"fault": "snapshot_stale", "symbol": SYMBOL}, _stale),
    Row({"fault": "user_event_twice", "skip": 1}, _hears(*FILL, "ORDER_TRADE_UPDATE")),
    Row({"fault": "user_event_swapped", "events": ["ACCOUNT_UPDATE"]},
        _hears("TRADE_LITE", "ORDER_TRADE_UPDATE", "ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE")),
    Row({"fault": "user_event_late", "skip": 1, "ms": 300}, _hears(*FILL[:3], "later", FILL[3], after_ms=400)),
    Row({"fault": "user_event_lost", "skip": 1}, _hears(*FILL[:3])),
    Row({"fault": "user_event_garbage", "events": []}, _garbled),
    Row({"fault": "user_stream_silent", "for_ms": 300}, _silent(400)),
    Row({"fault": "depth_gap", "skip": 2}, _depth(lambda frames: _joins(frames).count(False) == 1)),
    Row({"fault": "depth_twice", "skip": 2}, _depth(lambda frames: frames[2] == frames[3])),
    Row({"fault": "depth_swapped", "skip": 2}, _depth(lambda frames: frames[2]["pu"] == frames[3]["u"])),
    Row({"fault": "book_crossed", "symbol": SYMBOL}, _depth(_crosses)),
    Row({"fault": "market_garbage"}, _unreadable),
    Row({"fault": "wrong_route", "route": "public"}, _moved),
    Row({"fault": "listen_key_expired"}, _expired),
    Row({"fault": "listen_key_deleted", "account": ALICE}, _deleted(renewed=False)),
    Row({"fault": "listen_key_deleted", "renewed": True}, _deleted(renewed=True)),
    Row({"fault": "listen_key_bogus"}, _bogus),
    Row({"fault": "disconnect", "route": "private", "how": "clean"}, _ended),
    Row({"fault": "disconnect", "how": "reset"}, _ended),
    Row({"fault": "disconnect", "how": "half_open"}, _half_open),
    Row({"fault": "day_over", "route": "private"}, _ended),
    Row({"fault": "neighbour", "weight_pct": 95, "orders_pct": 50}, _neighbour),
    Row({"fault": "clock_skew", "ms": 6_000, "for_ms": 400}, _skewed),
    Row({"fault": "filters_changed", "symbol": SYMBOL, "tick": "0.5"}, _filtered),
    Row({"fault": "symbol_halted", "symbol": SYMBOL, "for_ms": 400}, _halted),
    Row({"fault": "adl", "symbol": SYMBOL, "quantity": "0.004", "account": ALICE}, _leveraged),
    Row({"fault": "liquidation", "account": ALICE}, _liquidated),
    Row({"fault": "maintenance", "for_ms": 400}, _maintained),
    Row({"fault": "not_reached", "for_ms": 400}, _unreached),
)  # fmt: skip


async def _is(told: int, wanted: int) -> bool:
    return told == wanted


async def _is_in(play: Play, part: bytes) -> bool:
    return part in (await play.say()).body


def table() -> str:
    """The kinds for docs/simulator.md: name, what it does, what it takes beside the schedule."""
    common = {field.name for field in msgspec.structs.fields(Fault)}
    lines = ["| fault | what it does | what it takes (default) |", "| --- | --- | --- |"]
    for name, kind in fault_kinds.KINDS.items():
        takes = [_taken(field) for field in msgspec.structs.fields(kind) if field.name not in common]
        what = " ".join(inspect.cleandoc(kind.__doc__ or "").split("\n\n")[0].split())
        lines.append(f"| `{name}` | {what} | {', '.join(takes)} |")
    return "\n".join(lines)


def _taken(field: msgspec.structs.FieldInfo) -> str:
    if field.default is msgspec.NODEFAULT and field.default_factory is msgspec.NODEFAULT:
        return f"**{field.name}**"
    default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    shown = json.dumps(default) if default not in ("", None, {}, ()) else ""
    return f"{field.name} ({shown})" if shown else field.name

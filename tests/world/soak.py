"""Hours of bad luck: four algos on four symbols while every kind of fault strikes by a seed, and a supervisor that
starts what has ended.

The plan of faults, the markets and the commands follow from the seed. At the end all is healed, the algos are ended,
and venue, Redis and events have to say the same (`tests.world.books`).
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from pms.bus.batch import Gone
from pms.daemon import Refused
from pms.sim import fault_kinds
from pms.sim.limits import Limits
from schemas.ids import OrderId, parse
from tests.world.books import check_books
from tests.world.retold import check_retold
from tests.world.world import World

D = Decimal
LIMITS = Limits(first_ban_ms=10_000)  # a ban of two minutes would be half of a run
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "DOGEUSDT")
BEGIN_S, CALM_S = 5, 100  # the first fault; after the last one, and all healed, until everything is true again
EACH, LEAST = 4, 3  # times that a kind strikes in five minutes, and at least in any run
# From when on what has struck too rarely is helped, and for how long beyond the end at most: longer than the window of
# the connects (300 s), which bad luck uses up, so that no stream is there to be struck.
LATE, MORE_S = 0.6, 400
STEP_S = 0.5
Chance = random.Random
Made = dict[str, Any]
ORDER = "/fapi/v1/order"
TEXTS = ("Unknown error, please check your request or try again later.", "Service Unavailable.")
# What a request may be answered although it is well (binance.md 5): status, code, message.
ANSWERS = (
    (503, -1000, TEXTS[0]),
    (503, 0, TEXTS[1]),
    (503, -1008, "Request throttled by system-level protection."),
    (408, -1007, "Timeout waiting for response from backend server."),
    (400, -1006, "An unexpected response was received."),
    (400, -1001, "Internal error; unable to process your request."),
    (502, 0, "Bad Gateway"),
    (504, 0, "Gateway Timeout"),
    (403, 0, "Forbidden"),
    (503, -1016, "This service is no longer available."),
    (400, -1021, "Timestamp for this request is outside of the recvWindow."),
    (400, -5028, "Timestamp for this request is outside of the ME recvWindow."),
    (401, -2015, "Invalid API-key, IP, or permissions for action."),
)
UNCERTAIN = ANSWERS[:1] + ANSWERS[3:8]  # of these the venue may have carried the request out


def _asked(chance: Chance) -> Made:
    method = chance.choice(("POST", "PUT", "DELETE", "GET", ""))
    return {"method": method, "path": ORDER if method in ("POST", "PUT", "DELETE") else "", "params": {}}


def _refused(chance: Chance) -> Made:
    execute = chance.random() < 0.5
    status, code, msg = chance.choice(UNCERTAIN if execute else ANSWERS)
    return _asked(chance) | {"status": status, "code": code, "msg": msg, "execute": execute}


def _symbol(chance: Chance) -> Made:
    return {"symbol": chance.choice(SYMBOLS)}


def _events(chance: Chance) -> Made:
    return {"events": chance.choice(([], ["ORDER_TRADE_UPDATE"], ["TRADE_LITE"], ["ACCOUNT_UPDATE"]))}


def _none(chance: Chance) -> Made:
    return {}


MAKERS: dict[str, Callable[[Chance], Made]] = {
    "request": lambda c: _asked(c) | {"delay_before_ms": c.randrange(400), "delay_after_ms": c.randrange(400)},
    "socket": lambda c: {"path": "/private/*", "delay_ms": c.randrange(300), "cut_after_ms": c.randrange(9_000)},
    "frame": lambda c: {"path": "/market/*", "do": c.choice(("drop", "twice", "garble")), "count": 9},
    "answer_lost": lambda c: _asked(c) | {"when": c.choice(("before", "after"))},
    "answer_late": lambda c: _asked(c) | {"ms": c.choice((200, 1_500, 6_000))},
    "request_slow": lambda c: _asked(c) | {"ms": c.choice((100, 900, 2_500))},
    "answer_garbage": lambda c: _asked(c) | {"execute": c.random() < 0.5},
    "answer_refused": _refused,
    "rate_limited": lambda c: {"status": c.choice((429, 418)), "retry_after_s": c.randrange(1, 6)},
    "orders_limited": lambda c: {"method": c.choice(("POST", "PUT")), "path": ORDER},
    "snapshot_stale": lambda c: _symbol(c) | {"count": c.randrange(1, 3)},
    "user_event_twice": _events,
    "user_event_swapped": _events,
    "user_event_late": lambda c: _events(c) | {"ms": c.randrange(3_000)},
    "user_event_lost": _events,
    "user_event_garbage": _events,
    "user_stream_silent": lambda c: {"for_ms": c.choice((0, 2_000, 9_000))},
    "depth_gap": lambda c: _symbol(c) | {"count": c.randrange(1, 4)},
    "depth_twice": _symbol,
    "depth_swapped": _symbol,
    "book_crossed": _symbol,
    "market_garbage": lambda c: {"count": c.randrange(1, 4)},
    "wrong_route": lambda c: {"route": c.choice(("private", "public", "market")), "for_ms": 8_000},
    "listen_key_expired": _none,
    "listen_key_deleted": lambda c: {"renewed": c.random() < 0.5},
    "listen_key_bogus": _none,
    "neighbour": lambda c: {"weight_pct": c.choice((70, 95, 100)), "orders_pct": c.choice((0, 90))},
    "clock_skew": lambda c: {"ms": c.choice((-6_000, -1_500, 1_500, 6_000)), "for_ms": 6_000},
    "filters_changed": lambda c: {"symbol": "BTCUSDT", "tick": c.choice(("0.10", "0.20")), "for_ms": 9_000},
    "symbol_halted": lambda c: _symbol(c) | {"for_ms": 7_000},
    "adl": lambda c: {"symbol": "SOLUSDT", "quantity": "0.01"},
    "liquidation": _none,
    "disconnect": lambda c: {
        "route": c.choice(("private", "public", "market", "")), "how": c.choice(("clean", "reset", "half_open"))
    },
    "day_over": lambda c: {"route": c.choice(("private", "public", ""))},
    "maintenance": lambda c: {"for_ms": c.randrange(2_000, 8_000)},
    "not_reached": lambda c: {"for_ms": c.randrange(1_000, 8_000)},
}  # fmt: skip
OURS = ("redis_gone", "daemon_killed")  # what breaks on our own side


def plan(seed: int, seconds: float) -> list[Made]:
    """Every kind `EACH` times in five minutes, at times and with words that follow from the seed."""
    chance = random.Random(f"{seed}:plan")
    times = max(EACH, round(EACH * seconds / 300))
    faults = []
    for kind, make in MAKERS.items():
        for _ in range(times):
            at_ms = round(1000 * chance.uniform(BEGIN_S, seconds))
            faults.append({"fault": kind, "at_ms": at_ms, **make(chance)})
    return faults


def _camel(name: str) -> str:
    head, _, tail = name.partition("_")
    return head + tail.title()


class Soak:
    """One run in one world."""

    def __init__(self, world: World, seed: int, seconds: float) -> None:
        self.world = world
        self.chance = random.Random(f"{seed}:soak")
        self.seconds = seconds
        self.fired: Counter[str] = Counter()
        self.sent = 0
        chance = random.Random(f"{seed}:ours")
        times = max(EACH - 1, round((EACH - 1) * seconds / 300))
        at = [(chance.uniform(BEGIN_S, seconds * 0.8), kind) for kind in OURS for _ in range(times)]
        self._ours = sorted(at)

    async def run(self) -> None:
        """The whole of it. Raises AssertionError where something is not as it must be at the end."""
        world = self.world
        await self._start()
        world.sim.faults.inject(*fault_kinds.decode(json.dumps(plan(world.options.seed, self.seconds)).encode()))
        since = world.clock.monotonic()
        while (now := world.clock.monotonic() - since) < self.seconds or (
            self._lacking and now < self.seconds + MORE_S
        ):
            await self._break(now)
            late = now > self.seconds * LATE
            if late:
                self._top_up()
            await self._supervise()
            self._trade()
            if late or self.chance.random() < 0.5:
                await self._command()
            await world.run(STEP_S)
        await self._calm()
        await self._judge()

    # --- what happens -------------------------------------------------------------------------------

    async def _start(self) -> None:
        """As a supervisor does: again, until it runs."""
        for _ in range(60):
            try:
                await self.world.start(within_s=300)
            except (Refused, Gone):
                await self.world.kill()
                await self.world.run(1)
            else:
                return
        raise AssertionError("the daemon can't be started any more")

    async def _supervise(self) -> None:
        daemon = self.world.daemon
        assert daemon is not None
        if daemon.ended.done():
            raise AssertionError(f"the daemon has stopped by itself: {daemon.ended.result()}")

    async def _break(self, now: float) -> None:
        while self._ours and self._ours[0][0] <= now:
            _, kind = self._ours.pop(0)
            self.fired[kind] += 1
            if kind == "redis_gone":
                self.world.redis_goes()
                await self.world.run(self.chance.uniform(0.5, 12))
                self.world.redis_comes()
                await self.world.run(1)
            else:
                await self.world.kill()
                await self._start()

    @property
    def _lacking(self) -> list[str]:
        return [kind for kind, times in self.counts.items() if times < LEAST and kind in MAKERS]

    def _top_up(self) -> None:
        """What has struck too rarely, since nothing came that it was meant for, strikes whatever comes now."""
        for kind in self._lacking:
            if self.chance.random() < 0.1:
                made = MAKERS[kind](self.chance)
                if kind == "adl":
                    made["symbol"] = next(filter(self.world.held, SYMBOLS), SYMBOLS[0])
                    made["quantity"] = str(abs(self.world.held(made["symbol"])) or 1)
                if "method" in made:
                    made |= {"method": "", "path": ""}
                if kind.startswith("user_event"):
                    made["events"] = []
                    self.world.exchange.margin_call(self.world.account)  # an event that changes nothing
                if kind.startswith(("depth", "book")):
                    made.pop("symbol")
                self.world.strike(kind, **made)
                if kind == "snapshot_stale":
                    self.world.strike("depth_gap", symbol=made["symbol"])

    def _trade(self) -> None:
        """Others move the markets, and now and then trade into what rests of ours."""
        for symbol in SYMBOLS:
            market = self.world.markets[symbol]
            if self.chance.random() < 0.5:
                market.move(self.chance.randrange(-3, 4), spread=self.chance.randrange(1, 5))
            for order in self.world.resting(symbol):
                if self.chance.random() < 0.2:
                    part = (order.remaining * D(self.chance.choice(("0.3", "0.6", "1")))).quantize(
                        self.world.sim.venue.rules[symbol].step
                    )
                    if part:
                        market.hit(order, part)

    async def _command(self) -> None:
        """What is not running is begun: a chase, a TWAP, a scalper, and a stop on a position."""
        world, chance = self.world, self.chance
        side = chance.choice(("BUY", "SELL"))
        match chance.randrange(6):
            case 0:
                if not await self._live("chase", 1):
                    await self._send("chase", symbol="BTCUSDT", side=side, quantity="0.020", stalkMode="maintain")
            case 1:
                if not await self._live("twap"):
                    style = chance.choice(("market", "chase"))
                    body = {"quantity": "0.200", "lots": 4, "intervalSeconds": 8, "style": style}
                    await self._send("twap", symbol="ETHUSDT", side=side, **body)
            case 2:
                if not world.held("SOLUSDT"):
                    await self._send("trade", symbol="SOLUSDT", side=side, quantity="1.00")
                elif not await self._live("trail_stop"):
                    way = "LONG" if world.held("SOLUSDT") > 0 else "SHORT"
                    await self._send("trail_stop", symbol="SOLUSDT", positionSide=way, callbackPct=0.05)
            case 3:
                if not await self._live("scalper"):
                    body = {"longSizeUsd": 100, "shortSizeUsd": 100, "startSide": "BOTH"}
                    await self._send("scalper", symbol="DOGEUSDT", **body)
            case 4:
                await self._send("resume")
            case _:
                await self._send("unfreeze")

    async def _live(self, kind: str, most: int = 0) -> int:
        """How many algos of a kind run; a scalper's children are chases too."""
        rows = await self.world.redis.hgetall(f"pms:active_{kind}:main")
        return sum(json.loads(row).get("symbol") in SYMBOLS[:1] if most else 1 for row in rows.values())

    async def _send(self, kind: str, **body: Any) -> None:
        self.sent += 1
        text = json.dumps({"subAccountId": "main", "requestId": f"soak-{self.sent}"} | body)
        await self.world.redis.lpush(f"pms:cmd:{kind}", text)

    # --- the end ------------------------------------------------------------------------------------

    async def _calm(self) -> None:
        world = self.world
        world.heal()
        await world.run(CALM_S)
        await self._supervise()
        daemon = world.daemon
        assert daemon is not None
        assert not daemon.watch.degraded, daemon.watch.degraded
        for runner in tuple(daemon.desk.runners.values()):
            for kind in ("chase", "twap", "trail_stop", "scalper"):
                if algo_id := getattr(runner.state, f"{kind}_id", ""):
                    await self._send(f"{kind}_cancel", **{f"{_camel(kind)}Id": algo_id})
        await world.run(5)
        await self._send("cancel_all")
        await world.run(30)

    async def _judge(self) -> None:
        world = self.world
        daemon = world.daemon
        assert daemon is not None
        assert not daemon.desk.runners, [runner.state for runner in daemon.desk.runners.values()]
        assert not any(world.resting(symbol) for symbol in SYMBOLS)
        await check_books(world)
        await check_retold(world)
        records = {key.decode().split(":", 2)[2] async for key in world.redis.scan_iter("pms:order:*")}
        for symbol in SYMBOLS:
            for order in world.placed(symbol):
                if isinstance(parse(order.client_id), OrderId):
                    assert order.client_id in records, f"an order of nobody: {order}"

    @property
    def counts(self) -> dict[str, int]:
        """How often each kind has struck; the manners of a disconnect together."""
        fired = self.fired + self.world.sim.faults.fired
        found = {kind: fired[kind] for kind in (*MAKERS, *OURS)}
        found["disconnect"] = sum(n for name, n in fired.items() if name.startswith("disconnect_"))
        return found

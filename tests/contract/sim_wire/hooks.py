"""What a script can do to a simulator that runs in its own process, and what it can count there, as data with a proof.

docs/simulator.md is written from it; the tests carry out each proof, so that a row which no longer holds is found.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, NamedTuple

from pms.sim.assembly import Options, Simulator
from pms.sim.model import Mark, NewOrder
from pms.sim.params import Request
from pms.sim.script import OnRequest
from pms.sim.ws_api import PATH
from pms.tasks import Tasks
from tests.contract.sim_wire.client import KEYS, START
from tests.contract.sim_wire.hand_clock import HandClock

SYMBOL, ALICE, IP = "BTCUSDT", "alice", "10.0.0.1"
D = Decimal


class Stage:
    """A still market on which alice is 0.010 long and listens."""

    def __init__(self) -> None:
        self.clock, self.tasks = HandClock(SimpleNamespace(now=START)), Tasks()
        self.simulator = Simulator(Options(KEYS, (SYMBOL,), "still"), self.clock, self.tasks)
        self.venue, self.exchange = self.simulator.venue, self.simulator.venue.exchange
        self.frames: list[dict[str, Any]] = []
        self.closed: list[int] = []

    async def open(self) -> Stage:
        self.simulator.start()
        await self.clock.advance(1_000)
        self.place("BUY")
        key = self.venue.listen_keys.issue(ALICE, START)
        self.simulator.gate.open(
            f"/private/ws/{key}",
            IP,
            lambda raw: self.frames.append(json.loads(raw)),
            lambda *end: self.closed.append(1),
        )
        return self

    def place(self, side: str) -> None:
        new = NewOrder(SYMBOL, side, "MARKET", D("0.010"), f"by-hand-{side}")  # type: ignore[arg-type]
        self.exchange.place(ALICE, new)

    @property
    def amount(self) -> Decimal:
        return self.exchange.positions(ALICE, SYMBOL)[0].amount

    @property
    def told(self) -> list[str]:
        """What kinds of events came, each in a row once."""
        kinds = [frame["e"] for frame in self.frames]
        return [kind for at, kind in enumerate(kinds) if kinds[at - 1 : at] != [kind]]

    async def ask(self, path: str = "/fapi/v1/time") -> int:
        return (await self.simulator.gate.serve(Request("GET", path, ip=IP))).status


Proof = Callable[[Stage], Any]


class Hook(NamedTuple):
    """`path` from the `Simulator`; `lines[]` is any socket. `proof` uses it and tells whether it did what it says."""

    path: str
    what: str
    proof: Proof

    @property
    def call(self) -> str:
        """The path with its parameters' names, as the code has them; a counter that is no method stands alone."""
        found = self.of(Stage())
        return f"{self.path}({', '.join(inspect.signature(found).parameters)})" if callable(found) else self.path

    def of(self, stage: Stage) -> Any:
        """What the path leads to. Raises `AttributeError` where it leads nowhere."""
        found: Any = stage.simulator
        for name in self.path.split("."):
            if name == "lines[]":
                stage.simulator.gate.open("/private/ws/none", IP, lambda raw: None, lambda *end: None)
                found = found.lines[-1]
            else:
                found = getattr(found, name)
        return found


async def _neighbour(stage: Stage) -> bool:
    stage.venue.meter.charge(IP, 2_400, stage.clock.now_ms())
    return await stage.ask() == 429


async def _asked(stage: Stage) -> bool:
    before = stage.simulator.gate.requests
    await stage.ask()
    return stage.simulator.gate.requests == before + 1


async def _spoilt(stage: Stage, clear: bool) -> bool:
    faults = stage.simulator.faults
    faults.inject(OnRequest(path="/fapi/v1/time", status=503, count=0))
    if clear:
        faults.heal()
    return (await stage.ask() == 200) is clear


async def _stopped(stage: Stage) -> bool:
    await stage.clock.advance(1_000)
    stage.simulator.feed.stop()
    await stage.clock.advance(1_000)
    before = stage.exchange.depth(SYMBOL).last_id
    await stage.clock.advance(5_000)
    return stage.exchange.depth(SYMBOL).last_id == before


def _line(stage: Stage, act: str) -> bool:
    (line,) = stage.simulator.gate.lines
    line.mute() if act == "mute" else line.cut(1006)
    stage.exchange.margin_call(ALICE)
    return stage.frames == [] and bool(stage.closed) is (act == "cut")


async def _shut_down(stage: Stage) -> bool:
    frames: list[bytes] = []
    closed: list[int] = []
    stage.simulator.gate.open(PATH, IP, frames.append, lambda code, _: closed.append(code))
    stage.venue.shut_down(500)
    await stage.clock.advance(400)
    early = list(closed)
    await stage.clock.advance(200)
    return b"serverShutdown" in frames[0] and not early and closed == [1001]


def _after(act: Proof, holds: Proof) -> Proof:
    def proof(stage: Stage) -> bool:
        act(stage)
        return bool(holds(stage))

    return proof


HOOKS = (
    Hook(
        "venue.apply",
        "one event of the market happens: depth, touch, print or mark",
        _after(lambda s: s.venue.apply(Mark(SYMBOL, START, D(9), D(9))), lambda s: s.exchange.mark(SYMBOL).mark == 9),
    ),
    Hook("feed.stop", "the market's own feed ends, so that only `venue.apply` moves it", _stopped),
    Hook(
        "venue.exchange.place",
        "an order of anybody's, past the wire and its counters: an app's, another participant's",
        _after(lambda s: s.place("SELL"), lambda s: s.amount == 0),
    ),
    Hook(
        "venue.exchange.fund",
        "funding of a symbol is paid now, at its mark and this rate",
        _after(
            lambda s: s.exchange.fund(SYMBOL, D("0.001")),
            lambda s: s.told == ["ACCOUNT_UPDATE"] and s.frames[0]["a"]["m"] == "FUNDING_FEE",
        ),
    ),
    Hook(
        "venue.exchange.margin_call",
        "the account is warned of its margin now (MARGIN_CALL)",
        _after(lambda s: s.exchange.margin_call(ALICE), lambda s: s.told == ["MARGIN_CALL"]),
    ),
    Hook(
        "venue.exchange.liquidate",
        "the account is liquidated now: orders expire (er 5), positions close (autoclose-)",
        _after(lambda s: s.exchange.liquidate(ALICE), lambda s: s.amount == 0),
    ),
    Hook(
        "venue.exchange.adl",
        "so much of a position is deleveraged now (adl_autoclose)",
        _after(lambda s: s.exchange.adl(ALICE, SYMBOL, D("0.004")), lambda s: s.amount == D("0.006")),
    ),
    Hook(
        "venue.exchange.set_leverage",
        "leverage is set by another hand (ACCOUNT_CONFIG_UPDATE)",
        _after(lambda s: s.exchange.set_leverage(ALICE, SYMBOL, 7), lambda s: s.told == ["ACCOUNT_CONFIG_UPDATE"]),
    ),
    Hook(
        "venue.exchange.set_dual_side",
        "hedge mode is switched on or off; no event tells",
        _after(
            lambda s: (s.place("SELL"), s.exchange.set_dual_side(ALICE, True)), lambda s: s.exchange.dual_side(ALICE)
        ),
    ),
    Hook(
        "venue.exchange.set_multi_assets",
        "multi-assets mode is switched on or off (ACCOUNT_CONFIG_UPDATE)",
        _after(lambda s: s.exchange.set_multi_assets(ALICE, True), lambda s: s.told == ["ACCOUNT_CONFIG_UPDATE"]),
    ),
    Hook(
        "venue.listen_keys.close",
        "the account's listen key ends: its sockets stay open and fall silent",
        _after(
            lambda s: (s.venue.listen_keys.close(ALICE), s.exchange.margin_call(ALICE)),
            lambda s: not s.frames and not s.closed,
        ),
    ),
    Hook(
        "venue.shut_down",
        "every connection of the WebSocket API hears `serverShutdown`, and ends so much later",
        _shut_down,
    ),
    Hook("venue.meter.charge", "somebody else behind an IP uses up so much weight", _neighbour),
    Hook(
        "venue.meter.count_orders",
        "somebody else on an account uses up so many orders of 10 s and of the minute",
        lambda s: s.venue.meter.count_orders(ALICE, 299, 299, START) == (299, 299),
    ),
    Hook("faults.inject", "faults, as in the JSON list above", lambda s: _spoilt(s, clear=False)),
    Hook("faults.heal", "all is well again", lambda s: _spoilt(s, clear=True)),
    Hook("gate.lines[].mute", "a socket stays open and says nothing", lambda s: _line(s, "mute")),
    Hook("gate.lines[].cut", "a socket ends with this close code", lambda s: _line(s, "cut")),
)
COUNTERS = (
    Hook("gate.requests", "requests that came, spoilt ones included", _asked),
    Hook("faults.fired", "how often each kind of fault has struck", lambda s: dict(s.simulator.faults.fired) == {}),
    Hook("venue.meter.used", "weight of an IP in this minute", lambda s: s.venue.meter.used(IP, START) == 0),
    Hook(
        "venue.exchange.income",
        "every change of an account's wallet",
        lambda s: [row.income_type for row in s.exchange.income(ALICE)] == ["COMMISSION"],
    ),
    Hook("venue.exchange.funding.history", "every funding so far", lambda s: s.exchange.funding.history(SYMBOL) == []),
    Hook(
        "venue.exchange.forced_orders", "the venue's own orders on an account",
        _after(lambda s: s.exchange.liquidate(ALICE), lambda s: len(s.exchange.forced_orders(ALICE)) == 1),
    ),
    Hook("venue.exchange.trades", "an account's fills", lambda s: len(s.exchange.trades(ALICE)) == 1),
)  # fmt: skip

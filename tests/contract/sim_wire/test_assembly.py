"""The simulator put together: feeds that drive the venue, one seed for all chance, and what it refuses."""

from __future__ import annotations

import asyncio
import gzip
import json
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

from pms.sim.assembly import Options, Simulator
from pms.sim.journal import MemoryJournal
from pms.tasks import Tasks
from tests.contract.sim_wire.client import KEYS, START
from tests.contract.sim_wire.hand_clock import HandClock


async def _watch(options: Options, milliseconds: int, *streams: str, journal=None) -> tuple[Simulator, list[dict]]:
    """Run a simulator on a clock of its own and keep what its streams say."""
    clock, tasks = HandClock(SimpleNamespace(now=START)), Tasks()
    simulator = Simulator(options, clock, tasks, journal)
    frames: list[dict] = []
    for stream in streams:
        simulator.gate.open(stream, "127.0.0.1", lambda raw: frames.append(json.loads(raw)), lambda *end: None)
    simulator.start()
    await clock.advance(milliseconds)
    await tasks.close()
    assert tasks.failures == 0
    return simulator, frames


def _options(**changes) -> Options:
    return Options(**{"api_keys": KEYS, "symbols": ("BTCUSDT",), "profile": "quiet", **changes})


DEPTH, AGG = "/public/ws/btcusdt@depth@100ms", "/market/ws/btcusdt@aggTrade"


async def test_the_synthetic_market_moves_book_and_tape_in_unbroken_chains() -> None:
    _, frames = await _watch(_options(), 10_000, DEPTH, AGG)
    depth = [frame for frame in frames if frame["e"] == "depthUpdate"]
    assert len(depth) > 80
    assert any(frame["e"] == "aggTrade" for frame in frames)
    assert all(after["pu"] == before["u"] for before, after in pairwise(depth))


async def test_the_same_seed_gives_the_same_market_and_another_one_another() -> None:
    first, again, other = [(await _watch(_options(seed=seed), 3_000, DEPTH))[1] for seed in (1, 1, 2)]
    assert first == again
    assert first != other


async def test_the_still_market_has_a_price_and_nothing_trades() -> None:
    simulator, frames = await _watch(_options(profile="still"), 5_000, DEPTH, AGG, "/public/ws/btcusdt@bookTicker")
    assert [frame["e"] for frame in frames].count("bookTicker") == 1  # the opening
    assert {frame["e"] for frame in frames} == {"depthUpdate", "bookTicker"}
    assert simulator.venue.exchange.touch("BTCUSDT").bid == Decimal("61800.00")


async def test_a_restarted_market_goes_on_at_its_last_price() -> None:
    journal = MemoryJournal()
    simulator, _ = await _watch(_options(), 20_000, journal=journal)
    last = simulator.venue.exchange.last_price("BTCUSDT")
    assert last
    again, _ = await _watch(_options(profile="still"), 100, journal=journal)
    assert abs(again.venue.exchange.touch("BTCUSDT").bid - last) <= 1


async def test_a_recording_brings_its_own_symbols(tmp_path: Path) -> None:
    frame = {"e": "depthUpdate", "E": 900, "T": 899, "s": "ETHUSDT", "U": 8, "u": 10, "pu": 7, "b": [], "a": []}
    later = {**frame, "E": 1_150, "T": 1_149, "U": 12, "u": 13, "pu": 10, "b": [["2690.10", "4"]]}
    snapshot = {"lastUpdateId": 10, "E": 901, "T": 899, "bids": [["2690.00", "1"]], "asks": [["2690.50", "2"]]}
    lines = [{"stream": "ethusdt@depth@0ms", "data": frame}, snapshot, {"stream": "ethusdt@depth@0ms", "data": later}]
    recording = tmp_path / "eth.gz"
    recording.write_bytes(gzip.compress("".join(f"1 {json.dumps(line)}\n" for line in lines).encode()))
    options = _options(replay=(recording,), loop=False)
    simulator, frames = await _watch(options, 2_000, "/public/ws/ethusdt@depth@100ms")
    assert list(simulator.venue.rules) == ["ETHUSDT"]
    assert [frame["b"] for frame in frames] == [[["2690.00", "1.000"]], [["2690.10", "4.000"]]]


@pytest.mark.parametrize("changes, word", [({"profile": "wild"}, "wild"), ({"symbols": ("XYZUSDT",)}, "XYZUSDT")])
async def test_what_the_simulator_does_not_have_is_named(changes, word) -> None:
    with pytest.raises(KeyError, match=word):
        Simulator(_options(**changes), HandClock(SimpleNamespace(now=START)), Tasks())


async def test_it_says_when_every_symbol_has_its_book_and_not_before() -> None:
    clock, tasks, opened = HandClock(SimpleNamespace(now=START)), Tasks(), []
    simulator = Simulator(_options(symbols=("BTCUSDT", "ETHUSDT"), profile="still"), clock, tasks)

    def on_open() -> None:
        opened.append([simulator.venue.exchange.depth(symbol, 5).bids != () for symbol in simulator.venue.rules])

    simulator.start(on_open)
    assert opened == []
    await clock.advance(2_000)
    await tasks.close()
    assert opened == [[True, True]]


async def test_closing_its_tasks_ends_the_simulator() -> None:
    clock, tasks = HandClock(SimpleNamespace(now=START)), Tasks()
    Simulator(_options(), clock, tasks).start()
    await asyncio.sleep(0)
    assert len(tasks) == 2
    await tasks.close()
    assert len(tasks) == 0

"""The table of faults: each kind does what it says and is counted, in its time, by file, by HTTP and by call."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace

import aiohttp
import pytest

from pms.sim import fault_kinds
from pms.sim.assembly import Options, Simulator
from pms.sim.control import Control
from pms.tasks import Tasks
from tests.contract.sim_wire.client import KEYS, START
from tests.contract.sim_wire.fault_rows import ROWS, Play
from tests.contract.sim_wire.hand_clock import HandClock

pytestmark = pytest.mark.faults


@pytest.fixture
async def play():
    made = await Play().open()
    yield made
    await made.tasks.close()


@pytest.mark.parametrize("row", ROWS, ids=[f"{at} {row.kind}" for at, row in enumerate(ROWS)])
async def test_a_kind_does_what_it_says_and_is_counted(row, play) -> None:
    play.strike(**row.fault)
    assert await row.shows(play)
    assert [name for name in play.simulator.faults.fired if name.startswith(row.kind)], play.simulator.faults.fired


def test_every_kind_has_a_row() -> None:
    assert {row.kind for row in ROWS} == set(fault_kinds.KINDS)


@pytest.mark.parametrize(
    "text, words",
    [
        ("[{", "truncated"),
        ("{}", "Expected `array`"),
        ("[{}]", "missing required field `fault` - at `$[0]`"),
        ('[{"fault": "storm"}]', "Invalid value 'storm' - at `$[0].fault`; the kinds are request, socket"),
        ('[{"fault": "day_over", "way": "x"}]', "unknown field `way` - at `$[0]`"),
        ('[{"fault": "day_over"}, {"fault": "adl"}]', "missing required field `symbol` - at `$[1]`"),
        ('[{"fault": "disconnect", "how": "loud"}]', "Invalid enum value 'loud' - at `$[0].how`"),
        ('[{"fault": "depth_gap", "at_ms": -1}]', ">= 0 - at `$[0].at_ms`"),
        ('[{"fault": "depth_gap", "probability": 1.5}]', "<= 1.0 - at `$[0].probability`"),
        ('[{"fault": "filters_changed", "symbol": "BTCUSDT", "tick": "wide"}]', "at `$[0].tick`"),
    ],
)
def test_a_fault_file_is_read_strictly_and_says_what_is_wrong(text: str, words: str) -> None:
    with pytest.raises(ValueError) as error:
        fault_kinds.decode(text.encode())
    assert words in str(error.value)


async def test_what_names_a_symbol_or_an_account_that_is_not_there_is_refused_whole(play) -> None:
    for fault in ({"fault": "adl", "symbol": "XRPUSDT", "quantity": "1"}, {"fault": "liquidation", "account": "eve"}):
        with pytest.raises(ValueError, match=r"there is no (symbol XRPUSDT|account eve)"):
            play.simulator.faults.inject(
                *fault_kinds.decode(json.dumps([{"fault": "neighbour"}, {**fault, "at_ms": 5_000}]).encode())
            )
    assert not play.simulator.faults.fired
    assert play.simulator.faults.waiting == 0


async def test_a_fault_strikes_at_its_time_again_and_again_and_no_more(play) -> None:
    fired = play.simulator.faults.fired
    play.strike(fault="neighbour", at_ms=1_000, every_ms=500, times=3)
    counts = []
    for _ in range(10):
        await play.clock.advance(250)
        counts.append(fired["neighbour"])
    assert counts == [0, 0, 0, 1, 1, 2, 2, 3, 3, 3]
    play.strike(fault="neighbour", at_ms=100, every_ms=100, times=0)
    await play.clock.advance(1_000)
    assert (fired["neighbour"], play.simulator.faults.waiting) == (13, 1)


async def _struck_at(seed: int) -> list[int]:
    clock, tasks = HandClock(SimpleNamespace(now=START)), Tasks()
    faults = fault_kinds.decode(b'[{"fault": "neighbour", "every_ms": 100, "times": 5, "jitter_ms": 400}]')
    simulator = Simulator(Options(KEYS, ("BTCUSDT",), "still", seed=seed, faults=tuple(faults)), clock, tasks)
    simulator.start()
    found: list[int] = []
    for at in range(300):
        found += [at] * (simulator.faults.fired["neighbour"] - len(found))
        await clock.advance(10)
    await tasks.close()
    return found


async def test_the_schedule_of_a_file_follows_from_the_seed() -> None:
    first, again, other = [await _struck_at(seed) for seed in (1, 1, 2)]
    assert len(first) == len(other) == 5
    assert first == again != other


async def test_healing_takes_back_what_stands_and_what_is_to_come(play) -> None:
    for fault in ("maintenance", "clock_skew", "symbol_halted", "neighbour"):
        takes = {"ms": 6_000} if fault == "clock_skew" else {"symbol": "BTCUSDT"} if fault == "symbol_halted" else {}
        play.strike(fault=fault, at_ms=5_000 if fault == "neighbour" else 0, **takes)
    assert (await play.say()).status == 503
    play.simulator.faults.heal()
    assert json.loads((await play.say()).body) == {"serverTime": play.clock.now_ms()}
    assert play.venue.rules["BTCUSDT"].status == "TRADING"
    await play.clock.advance(40_000)
    assert play.simulator.faults.fired["neighbour"] == 0
    assert (await play.say()).status == 200


async def test_the_control_port_takes_faults_tells_what_struck_and_heals(play) -> None:
    control = Control(play.simulator.faults, 0)
    await control.start()
    async with asyncio.timeout(10), aiohttp.ClientSession(f"{control.url}/") as http:

        async def ask(method: str, body: str = "", **headers: str) -> tuple[int, dict]:
            async with http.request(method, "faults", data=body, headers=headers) as answer:
                return answer.status, await answer.json()

        nothing = {"fired": {}, "standing": [], "waiting": 0}
        assert await ask("GET") == (200, nothing)
        status, told = await ask("POST", '{"fault": "answer_lost", "path": "/fapi/v1/time", "count": 2}')
        assert (status, [rule["name"] for rule in told["standing"]]) == (200, ["answer_lost"])
        assert await play.lost()
        status, told = await ask("POST", '[{"fault": "neighbour"}, {"fault": "adl", "symbol": "BTCUSDT", "at_ms": 900,'
                                         ' "quantity": "1"}]')  # fmt: skip
        assert (status, told["fired"], told["waiting"]) == (200, {"answer_lost": 1, "neighbour": 1}, 1)
        status, told = await ask("POST", '{"fault": "answer_losst"}')
        assert (status, "the kinds are" in told["error"]) == (400, True)
        assert (await ask("POST", '{"fault": "liquidation"}', Origin="http://evil"))[0] == 403
        status, told = await ask("DELETE")
        assert (status, told) == (200, {**nothing, "fired": {"answer_lost": 1, "neighbour": 1}})
        assert not await play.lost()
    await control.close()


async def test_without_a_port_nothing_listens(play) -> None:
    control = Control(play.simulator.faults, -1)
    await control.start()
    assert control.url == ""
    await control.close()

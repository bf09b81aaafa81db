"""Recorded production frames, some lost, doubled and exchanged with the next: the market's book is right nearly always,
soon right again, and never wrong without saying so (issue D; binance.md 6.3)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import pytest

from pms.clock import LoopClock
from pms.core.book import Book
from pms.core.own import OwnOrders
from pms.market import Market
from pms.market_data import DepthFrame, MarketSink, Snapshot
from pms.tasks import Tasks
from schemas.market import Instrument, Quote
from tests.pure.core.test_book_replay import CAPTURES, STEP, Capture, load, windows
from tests.virtual import VirtualLoop

LOST, DOUBLED, SWAPPED = 0.004, 0.004, 0.004  # shares of all frames
ROUND_TRIP_S = 0.08
EVERY = 20  # the whole near book is compared at each so manieth frame
NEAR = 20

pytestmark = [pytest.mark.replay, pytest.mark.faults]


class Truth:
    """The venue: the book as it really is, and its snapshots, which take a round trip."""

    def __init__(self, tick: Decimal, snapshot: Snapshot) -> None:
        self.book = Book(tick, STEP)
        assert self.book.anchor(snapshot)
        self.levels: dict[str, dict[float, float]] = {"b": dict(snapshot.bids), "a": dict(snapshot.asks)}
        self.snapshots = 0

    def move(self, frame: DepthFrame) -> None:
        self.book.offer(frame)
        if not self.book.live:
            return
        for side, changes in (("b", frame.bids), ("a", frame.asks)):
            self.levels[side].update(changes)
            for price in [price for price, quantity in changes if not quantity]:
                self.levels[side].pop(price, None)

    # --- pms.market_data.MarketData -------------------------------------------------------------------

    async def watch(self, symbol: str) -> None:
        return

    async def renew(self, symbol: str) -> None:
        return

    async def unwatch(self, symbol: str) -> None:
        return

    def start(self, sink: MarketSink) -> None:
        return

    async def close(self) -> None:
        return

    async def snapshot(self, symbol: str) -> Snapshot:
        self.snapshots += 1
        await asyncio.sleep(ROUND_TRIP_S / 2)
        sides = {side: list(levels.items()) for side, levels in self.levels.items()}
        taken = Snapshot(self.book.last_id, sides["b"], sides["a"], self.book.time)
        await asyncio.sleep(ROUND_TRIP_S / 2)
        return taken


class Outcome(NamedTuple):
    """What the run came to: frames, of these with the right touch; the seconds from each fault until all was right."""

    frames: int
    right: int
    faults: int
    mended_s: list[float]
    unflagged: int
    compared: int


def spoilt(frames: list[DepthFrame], chance: random.Random) -> Iterator[tuple[DepthFrame, list[DepthFrame], bool]]:
    """(frame as sent, what arrives then, whether that is a fault)."""
    held: list[DepthFrame] = []
    for frame in frames:
        dice = 1.0 if held else chance.random()
        if dice < LOST:
            yield frame, [], True
        elif dice < LOST + DOUBLED:
            yield frame, [frame, frame], True
        elif dice < LOST + DOUBLED + SWAPPED:
            held = [frame]
            yield frame, [], True
        else:
            yield frame, [frame, *held], False
            held = []


def told(quote: Quote | None) -> tuple[int, Decimal, int, Decimal] | None:
    return None if quote is None else (quote.bid, quote.bid_qty, quote.ask, quote.ask_qty)


async def follow(capture: Capture, path: Path, seed: int) -> Outcome:
    changes, _, snapshot = load(path)
    tick = Decimal(capture.tick)
    frames = list(windows(changes))
    truth, own = Truth(tick, snapshot), OwnOrders()
    loop = asyncio.get_running_loop()
    tasks = Tasks()
    market = Market(truth, LoopClock(loop, frames[0].time), tasks, random.Random(seed).random)
    symbol = capture.name.partition("_")[0].upper()
    instrument = Instrument(
        symbol, tick, STEP, STEP, Decimal(1000), Decimal(5), tick, Decimal(10**7), Decimal(2), Decimal("0.5")
    )
    await market.watch(instrument)
    market.start()
    right = unflagged = faults = compared = counted = 0
    since: float | None = None
    mended: list[float] = []
    for number, (frame, arriving, fault) in enumerate(spoilt(frames, random.Random(seed))):
        await asyncio.sleep(max(0.0, (frame.time - frames[0].time) / 1000 - loop.time()))
        truth.move(frame)
        for each in arriving:
            market.on_depth(each)
        if not truth.book.live:
            continue
        is_right = told(market.quote(symbol)) == told(truth.book.quote(own, lambda: 0))
        counted += 1
        right += is_right
        if arriving and market.quote(symbol) is not None:
            unflagged += not is_right
            if number % EVERY == 0:
                compared += 1
                unflagged += market.depth(symbol, NEAR, Decimal(0)) != (
                    truth.book.last_id,
                    *truth.book.depth(NEAR, Decimal(0)),
                )
        if fault and counted > EVERY:
            faults += 1
            since = loop.time() if since is None else since
        if since is not None and not fault and is_right and market.depth(symbol, 1, Decimal(0)) is not None:
            mended.append(loop.time() - since)
            since = None
    await tasks.close()
    assert tasks.failures == 0
    return Outcome(counted, right, faults, mended, unflagged, compared)


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda capture: capture.name)
def test_the_book_survives_spoilt_frames(capture: Capture, shared: Path, cases: Callable[[int], None]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        found = runner.run(follow(capture, shared / f"data/captures/{capture.name}.gz", seed=1))
    slowest = sorted(found.mended_s)[int(len(found.mended_s) * 0.95)]
    share = found.right / found.frames
    print(f"{capture.name}: right {share:.2%} of {found.frames} frames, {found.faults} faults, p95 {slowest:.2f} s")
    assert found.faults >= 10
    assert found.compared >= 50
    assert found.unflagged == 0
    assert share >= 0.97
    assert slowest <= 1.0
    cases(found.faults)

"""Facts measured on the recordings, as the shapes that a synthetic market draws from.

Owns numbers only. Each profile is fitted to one capture (binance.md section 10); `pms sim --stats` prints how well.
Quantities are in quote money (USDT), so that one profile serves instruments of any price and step.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from math import expm1, log1p

import msgspec

Table = tuple[float, ...]
"""A distribution by its quantiles, one value for each of `SHARES`."""

SHARES = (0, 0.05, 0.1, 0.25, 0.4, 0.6, 0.75, 0.9, 0.95, 0.98, 0.981, 0.995, 1)


def quantile(table: Table, share: float) -> float:
    """The table's value at `share` (0 to 1); between two quantiles log(1 + value) is linear."""
    after = max(bisect_left(SHARES, share), 1)
    low, high = SHARES[after - 1], SHARES[after]
    value, following = log1p(table[after - 1]), log1p(table[after])
    return expm1(value + (share - low) / (high - low) * (following - value))


class Size(msgspec.Struct, frozen=True):
    """A log-normal amount in quote money: its median, and the sigma of its logarithm."""

    median: int
    sigma: float


class Profile(msgspec.Struct, frozen=True):
    """A market's regime. Times are per window of 100 ms unless named otherwise; moves and distances are in ticks."""

    trades_per_s: Table
    levels: Table
    """Levels changed in one window, both sides."""
    moves: Table
    """How far a move of the touch goes."""
    move_share: float
    """Share of windows with a move, on the average."""
    touches: float
    """Changes of the touch's size per changed level."""
    level_size: Size
    touch_size: Size
    trade_size: Size


# The highest 2 % of the seconds are held close to the capture's p99, hence the step of `trades_per_s` behind 0.98. A
# capture has 4 to 7 such seconds, so its p99 is one observation; drawn as steeply as recorded, one run of a few minutes
# would differ from the next by a factor of two.
BUSY = Profile(
    trades_per_s=(1, 7, 8, 13, 21, 36, 57, 101, 176, 484, 880, 1100, 1650),
    levels=(6, 22, 28, 41, 53, 76, 111, 249, 421, 684, 700, 1239, 1666),
    moves=(1, 2, 5, 14, 22, 37, 54, 85, 104, 198, 210, 500, 670),
    move_share=0.114,
    touches=0.082,
    level_size=Size(7_000, 1.5),
    touch_size=Size(165_000, 1.0),
    trade_size=Size(1_000, 2.1),
)
"""BTCUSDT in a busy hour: btcusdt_20240808."""

QUIET = Profile(
    trades_per_s=(0, 0, 0.4, 1, 3, 3, 5, 10, 17, 38, 58, 70, 110),
    levels=(3, 12, 14, 21, 26, 33, 41, 60, 82, 123, 125, 386, 1065),
    moves=(19, 19, 19, 20, 24, 32, 42, 60, 70, 74, 74, 74, 74),
    move_share=0.005,
    touches=0.107,
    level_size=Size(10_000, 1.6),
    touch_size=Size(1_260_000, 0.8),
    trade_size=Size(450, 2.4),
)
"""BTCUSDT before midnight: btcusdt_20240718."""

QUIET_ETH = Profile(
    trades_per_s=(0, 1, 2, 3, 5, 5, 10, 18, 24, 49, 90, 108, 139),
    levels=(4, 12, 15, 22, 27, 35, 42, 60, 82, 130, 135, 360, 604),
    moves=(1, 1, 1, 6, 14, 19, 21, 30, 38, 38, 38, 38, 38),
    move_share=0.0096,
    touches=0.13,
    level_size=Size(3_000, 1.9),
    touch_size=Size(240_000, 1.0),
    trade_size=Size(90, 2.7),
)
"""ETHUSDT before midnight: ethusdt_20240718."""

PROFILES: Mapping[str, Profile] = {"busy": BUSY, "quiet": QUIET, "quiet-eth": QUIET_ETH}

DEFAULT_PROFILE = "busy"
"""The largest capture, so the best founded fit; and its touch moves often enough to see algos work within a minute."""

DISTANCES: Table = (0, 13, 55, 171, 300, 550, 976, 3000, 4500, 5500, 5600, 5900, 6000)
"""How far from the touch a changed level lies, in ticks. The captures' furthest tenth lies up to 90 % away and is left
out, since no order rests there."""

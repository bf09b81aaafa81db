"""Modes of an account that we can't serve, and the way out of each in the venue's words (execution.md 17)."""

from __future__ import annotations

from pms.notices import Unserved

HEDGE = Unserved(
    "hedge_mode",
    "the account is in hedge mode; only one-way mode is supported",
    "Close its positions and orders and set Position Mode to One-way in the futures preferences (POST "
    "/fapi/v1/positionSide/dual, dualSidePosition=false)",
)
MULTI_ASSETS = Unserved(
    "multi_assets_mode",
    "the account is in multi-assets mode; only single-asset (USDT) margin is supported",
    "Set Asset Mode to Single-Asset in the futures preferences (POST /fapi/v1/multiAssetsMargin, "
    "multiAssetsMargin=false)",
)

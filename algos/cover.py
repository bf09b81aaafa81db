"""What an algo hears of the room for its orders that wait at the venue (execution.md 14)."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from schemas.market import Quote


class Cover(msgspec.Struct, frozen=True):
    """How much of the account's net position an algo's orders that wait at the venue may close, beside those of others
    (`most`), and that net in the direction of its own position, 0 where it stands opposite."""

    now: int
    most: Decimal
    net: Decimal
    quote: Quote | None = None

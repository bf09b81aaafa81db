"""What a protection hears besides what every algo does: how far its entry has come, in which form its orders leave, and
where they are to stand (algos.md, Protection).

Inputs only; refuses to decide.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from schemas.market import Quote
from schemas.protection import LegWord


class EntryChanged(msgspec.Struct, frozen=True):
    """What is protected has `filled` so much over its whole life, and may fill more while it is `live`; `position` is
    the signed position then, `position_id` its name."""

    now: int
    filled: Decimal
    live: bool
    position: Decimal
    position_id: str = ""
    quote: Quote | None = None


class Bare(msgspec.Struct, frozen=True):
    """Whether what closes the algo's position would now have to stand without the venue's reduce-only flag, and how
    much of it then may, beside what protects the same position (execution.md 14)."""

    now: int
    bare: bool
    most: Decimal
    quote: Quote | None = None


class ProtectRequest(msgspec.Struct, frozen=True):
    """One leg of a protection is to trigger elsewhere, or to close another quantity; what is None stays. Checked at the
    door."""

    now: int
    leg: LegWord
    trigger_price: Decimal | None = None
    limit_price: Decimal | None = None
    quantity: Decimal | None = None
    quote: Quote | None = None

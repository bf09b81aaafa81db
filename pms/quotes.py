"""What followers of a market get: how quotes are conflated without hiding an extreme, and the mark price. Pure."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from schemas.market import Quote


class Mark(msgspec.Struct, frozen=True, gc=False):
    """The venue's mark price; `ts` is the venue's time, `received` this host's, both Unix ms."""

    price: Decimal
    ts: int
    received: int


def widened(quote: Quote, high2: int, low2: int) -> Quote:
    """`quote` with a high and low that reach at least so far; the same object where they do already."""
    if high2 <= quote.high2 and low2 >= quote.low2:
        return quote
    return msgspec.structs.replace(quote, high2=max(high2, quote.high2), low2=min(low2, quote.low2))


def conflated(older: Quote | None, newer: Quote) -> Quote:
    """`newer` with the high and low of both."""
    return newer if older is None else widened(newer, older.high2, older.low2)

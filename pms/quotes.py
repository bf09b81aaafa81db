"""What followers of a market get: how quotes are conflated without hiding an extreme, and the mark price. Pure."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from schemas.market import Quote, Touches


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
    """`newer` with the high and low of both, of each side of the touch too where `older` has them."""
    if older is None:
        return newer
    newer = widened(newer, older.high2, older.low2)
    return newer if older.touches is None else reaching(newer, older.touches)


def reaching(quote: Quote, touches: Touches | None = None) -> Quote:
    """`quote` with how far each side of the touch has reached: as far as it is, and as `touches` tell."""
    told = quote.touches or Touches(quote.bid, quote.bid, quote.ask, quote.ask)
    if touches is not None:
        told = Touches(
            min(told.bid_low, touches.bid_low),
            max(told.bid_high, touches.bid_high),
            min(told.ask_low, touches.ask_low),
            max(told.ask_high, touches.ask_high),
        )
    return msgspec.structs.replace(quote, touches=told)

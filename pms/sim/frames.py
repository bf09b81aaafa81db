"""Market frames as the venue writes them: values in, JSON bytes out, keys in the venue's order (binance.md 6.2).

Owns the shapes of 2026 only. Refuses to know subscriptions, windows and time. Market frames carry numbers padded to
the symbol's precision, as recorded; money of klines carries price and quantity precision together.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from pms.sim.model import Mark, Print, Rules, Touch
from pms.sim.views import AggTrade, Kline, PriceLevel

MARK_PLACES = 8


class Ids(msgspec.Struct, frozen=True):
    """The update ids and the engine time of one depth frame: U, u, pu and T."""

    first: int
    last: int
    previous: int
    time: int


def levels(rows: Iterable[PriceLevel], rules: Rules) -> str:
    """Price levels as JSON; also the form of `GET /fapi/v1/depth`."""
    price_form, size_form = f".{rules.price_precision}f", f".{rules.quantity_precision}f"
    pairs = [f'["{price:{price_form}}","{size:{size_form}}"]' for price, size in rows]
    return f"[{','.join(pairs)}]"


def depth(rules: Rules, ids: Ids, now: int, bids: Iterable[PriceLevel], asks: Iterable[PriceLevel]) -> bytes:
    """`depthUpdate`, also for partial books."""
    return (
        f'{{"e":"depthUpdate","E":{now},"T":{ids.time},"s":"{rules.symbol}","ps":"{rules.symbol}",'
        f'"U":{ids.first},"u":{ids.last},"pu":{ids.previous},'
        f'"b":{levels(bids, rules)},"a":{levels(asks, rules)},"st":1}}'
    ).encode()


def book_ticker(rules: Rules, touch: Touch, now: int) -> bytes:
    """`bookTicker`."""
    price_form, size_form = f".{rules.price_precision}f", f".{rules.quantity_precision}f"
    return (
        f'{{"e":"bookTicker","u":{touch.update_id},"s":"{rules.symbol}","ps":"{rules.symbol}",'
        f'"b":"{touch.bid:{price_form}}","B":"{touch.bid_qty:{size_form}}",'
        f'"a":"{touch.ask:{price_form}}","A":"{touch.ask_qty:{size_form}}","T":{touch.time},"E":{now},"st":1}}'
    ).encode()


def trade(rules: Rules, tick: Print, now: int) -> bytes:
    """`trade`, the undocumented stream of single prints."""
    price, size = f"{tick.price:.{rules.price_precision}f}", f"{tick.quantity:.{rules.quantity_precision}f}"
    return (
        f'{{"e":"trade","E":{now},"T":{tick.time},"s":"{rules.symbol}","ps":"{rules.symbol}","t":{tick.trade_id},'
        f'"p":"{price}","q":"{size}","X":"MARKET","m":{_flag(tick.buyer_is_maker)},"st":1}}'
    ).encode()


def agg_trade(rules: Rules, agg: AggTrade, now: int) -> bytes:
    """`aggTrade`; `nq` equals `q`, as there are no RPI fills here."""
    price, size = f"{agg.price:.{rules.price_precision}f}", f"{agg.quantity:.{rules.quantity_precision}f}"
    return (
        f'{{"e":"aggTrade","E":{now},"a":{agg.agg_id},"s":"{rules.symbol}","p":"{price}","q":"{size}","nq":"{size}",'
        f'"f":{agg.first_id},"l":{agg.last_id},"T":{agg.time},"m":{_flag(agg.buyer_is_maker)},"st":1}}'
    ).encode()


def mark_price(mark: Mark, now: int) -> bytes:
    """`markPriceUpdate`; the moving average and the settle price are the mark and the index here."""
    price, index = f"{mark.mark:.{MARK_PLACES}f}", f"{mark.index:.{MARK_PLACES}f}"
    return (
        f'{{"e":"markPriceUpdate","E":{now},"s":"{mark.symbol}","p":"{price}","ap":"{price}","P":"{index}",'
        f'"i":"{index}","r":"{mark.funding_rate:.{MARK_PLACES}f}","T":{mark.next_funding},"st":1}}'
    ).encode()


def kline(rules: Rules, interval: str, candle: Kline, closed: bool, now: int) -> bytes:
    """`kline`: no `st`, and the spaces after commas that the venue writes there."""
    price_form, size_form = f".{rules.price_precision}f", f".{rules.quantity_precision}f"
    money_form = f".{rules.price_precision + rules.quantity_precision}f"
    return (
        f'{{"e":"kline","E":{now},"s":"{rules.symbol}","k":{{"t":{candle.open_time}, "T":{candle.close_time}, '
        f'"s":"{rules.symbol}", "i":"{interval}", "f":{candle.first_id}, "L":{candle.last_id}, '
        f'"o":"{candle.open:{price_form}}", "c":"{candle.close:{price_form}}", "h":"{candle.high:{price_form}}", '
        f'"l":"{candle.low:{price_form}}", "v":"{candle.volume:{size_form}}", "n":{candle.trades}, '
        f'"x":{_flag(closed)}, "q":"{candle.quote_volume:{money_form}}", "V":"{candle.taker_base:{size_form}}", '
        f'"Q":"{candle.taker_quote:{money_form}}", "B":"0"}}}}'
    ).encode()


def _flag(value: bool) -> str:
    return "true" if value else "false"

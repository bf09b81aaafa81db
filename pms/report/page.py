"""A report as one HTML file: tables, and charts as inline SVG, without script or anything from elsewhere. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from html import escape

from pms.report import charts, text
from pms.report.facts import Facts, Parent, Tape
from pms.report.measures import MARKOUTS_S, Figures, Measures
from pms.report.style import CSS
from pms.report.totals import Totals

CHARTED = 60  # parents with charts: the newest; the table has all
_HEADS = (
    *("slippage", "vs TWAP", "vs VWAP", "spread", "fees", "bps", "maker", "to fill", "reprices", "rejects"),
    *(f"+{seconds} s" for seconds in MARKOUTS_S),
    "saved",
)


def page(
    facts: Facts,
    measured: Sequence[Measures],
    days: Sequence[Totals],
    weeks: Sequence[Totals],
    every: Totals,
    made_at: int,
    since: int,
) -> str:
    """The whole file."""
    title = f"Execution report, {_day(since)} to {_day(made_at)}"
    body = [
        f"<header><h1>Execution</h1><p>{_day(since)} – {_day(made_at)} UTC · made {_time(made_at)}</p></header>",
        _cards(every),
        _section("Equity", _equity(facts)),
        _section("Days and weeks", _totals(days, weeks, every)),
        _section("Refused by the gate", _refused(days, every)),
        _section("Orders", _parents(measured)),
        *_each(facts.parents, measured),
        f"<footer>{_NOTES.format(taker=text.number(facts.taker_bps))}</footer>",
    ]
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>'
    return (
        f'<!doctype html><html lang="en"><head>{head}<style>{CSS}</style></head><body>{"".join(body)}</body></html>\n'
    )


def _section(title: str, content: str) -> str:
    return f"<section><h2>{title}</h2>{content}</section>" if content else ""


# --- figures ----------------------------------------------------------------------------------------------


def _cards(every: Totals) -> str:
    cost = _tone(None if every.slippage_bps is None else -every.slippage_bps)
    cards = (
        ("Traded", f"{every.notional:,.0f}", f"USDT, {every.parents} orders", ""),
        ("Slippage", text.bps(every.slippage_bps), "bps against arrival", cost),
        ("Spread earned", text.bps(every.spread_bps), "bps against mid", _tone(every.spread_bps)),
        ("Maker", text.percent(every.maker_pct), "of what was traded", ""),
        ("Fees", text.bps(every.fees_bps), "bps", ""),
        ("Against market", text.money(every.saved), "USDT saved, fees included", _tone(every.saved)),
    )
    shown = (
        f'<div class="card"><h3>{name}</h3><strong class="{tone}">{value}</strong><span>{unit}</span></div>'
        for name, value, unit, tone in cards
    )
    return f'<div class="cards">{"".join(shown)}</div>'


def _tone(value: Decimal | None) -> str:
    return "" if not value else "good" if value > 0 else "bad"


def _cell(words: str, tone: str = "") -> str:
    return f'<td class="{tone}">{escape(words)}</td>' if tone else f"<td>{escape(words)}</td>"


def _figures(one: Figures, saved: Decimal | None, beyond: bool = False) -> str:
    costs = (one.slippage_bps, one.twap_bps, one.vwap_bps)
    cells = [_cell(text.bps(value), _tone(None if value is None else -value)) for value in costs]
    cells.append(_cell(text.bps(one.spread_bps), _tone(one.spread_bps)))
    cells += [_cell(text.fees(one.fees)), _cell(text.bps(one.fees_bps)), _cell(text.percent(one.maker_pct))]
    cells += [_cell(text.lasted(one.time_to_fill_ms)), _cell(str(one.reprices)), _cell(str(one.rejects))]
    cells += [_cell(text.bps(value), _tone(value)) for value in one.markout_bps.values()]
    cells.append(_cell(text.money(saved) + "*" * beyond, _tone(saved)))
    return "".join(cells)


def _table(heads: Sequence[str], left: int, rows: Sequence[str]) -> str:
    """`left` columns of words, then figures."""
    shown = "".join(f'<th class="{"word" if at < left else ""}">{head}</th>' for at, head in enumerate(heads))
    return f'<div class="scroll"><table><thead><tr>{shown}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _totals(days: Sequence[Totals], weeks: Sequence[Totals], every: Totals) -> str:
    rows = [
        f'<tr class="{kind}"><th>{escape(one.name)}</th><td>{one.parents}</td><td>{one.notional:,.0f}</td>'
        f"{_figures(one, one.saved)}</tr>"
        for kind, many in (("", days), ("week", weeks), ("all", (every,)))
        for one in many
    ]
    return _table(("", "orders", "USDT", *_HEADS), 1, rows)


def _refused(days: Sequence[Totals], every: Totals) -> str:
    """How often each code came, by day."""
    codes = list(every.refusals)
    rows = [
        f'<tr class="{kind}"><th>{escape(one.name)}</th>'
        f"{''.join(_cell(str(one.refusals.get(code, text.NONE))) for code in codes)}</tr>"
        for kind, many in (("", days), ("all", (every,)))
        for one in many
        if one.refusals
    ]
    return _table(("", *map(escape, codes)), 1, rows) if codes else ""


def _parents(measured: Sequence[Measures]) -> str:
    rows = []
    for one in measured:
        market = one.at_market
        words = (text.when(one.started_at), one.kind.replace("_", " "), one.sub_account_id, one.symbol, one.side)
        cells = "".join(f'<td class="word {_side(word)}">{escape(word or text.NONE)}</td>' for word in words)
        whole = escape(one.id, quote=True)  # an order's own id is long: the table shows its beginning
        link = f'<td class="word"><a href="#{_anchor(one)}" title="{whole}">{whole}</a></td>'
        done = text.number(one.filled) + (f" of {text.number(one.quantity)}" if one.filled < one.quantity else "")
        saved, beyond = (None, False) if market is None else (market.saved, bool(market.beyond))
        figures = _figures(one, saved, beyond)
        rows.append(f"<tr>{link}{cells}{_cell(done)}{_cell(text.price(one.avg_price))}{figures}</tr>")
    heads = ("order", "began", "kind", "account", "symbol", "side", "filled", "average", *_HEADS)
    return _table(heads, 6, rows)


def _side(word: str) -> str:
    return word.lower() if word in ("BUY", "SELL") else ""


def _anchor(one: Measures) -> str:
    return escape(f"{one.id}-{one.symbol}", quote=True)


# --- charts -----------------------------------------------------------------------------------------------


def _equity(facts: Facts) -> str:
    shown = [
        _figure(f"{name} · {curve[-1][1]:,.2f} USDT", chart, ())
        for name, curve in facts.equity.items()
        if (chart := charts.equity(name, curve))
    ]
    return f'<div class="pair">{"".join(shown)}</div>' if shown else ""


def _figure(caption: str, chart: str, legend: Sequence[tuple[str, str]]) -> str:
    keys = "".join(f'<i class="key {style}"></i>{words}' for style, words in legend)
    return f'<figure><figcaption>{escape(caption)}<span class="legend">{keys}</span></figcaption>{chart}</figure>'


def _each(parents: Sequence[tuple[Parent, Tape]], measured: Sequence[Measures]) -> list[str]:
    """The newest parents, each with its figures and charts."""
    newest = list(zip(parents, measured, strict=True))[-CHARTED:]
    return [_one(parent, tape, one) for (parent, tape), one in newest if parent.fills or parent.steps]


_PRICE = (("mid", "mid"), ("order", "our order"), ("maker", "maker fill"), ("taker", "taker fill"))
_PLAN = (("plan", "plan"), ("filled", "filled"))


def _one(parent: Parent, tape: Tape, one: Measures) -> str:
    name = f"{one.kind.replace('_', ' ')} {one.symbol}"
    side = f'<b class="{_side(one.side)}">{one.side}</b>' if one.side else ""
    head = f'<h2 id="{_anchor(one)}">{escape(name)} {side} <small>{escape(one.id)} · {escape(one.status)}</small></h2>'
    shown = [_figure("Price", chart, _PRICE)] if (chart := charts.price(parent, tape)) else []
    legend = _PLAN if parent.plan else _PLAN[1:]
    shown += [_figure("Filled", chart, legend)] if (chart := charts.schedule(parent)) else []
    return f'<section>{head}<p>{_said(one)}</p><div class="pair">{"".join(shown)}</div></section>'


def _said(one: Measures) -> str:
    """The counterfactual and the outcome in words."""
    if not one.filled:
        return f"Nothing filled in {text.lasted(one.ended_at - one.started_at)}."
    told = (
        f"Filled {text.number(one.filled)} at {text.price(one.avg_price)} on average in "
        f"{text.lasted(one.time_to_fill_ms)}; the mid at arrival was {text.price(one.arrival_mid)}."
    )
    market = one.at_market
    if market is None:
        return told
    word = "saved" if market.saved >= 0 else "cost"
    return (
        f"{told} At once, at market, on the book at arrival: {text.price(market.avg_price)}, "
        f"{text.bps(market.cost_bps)} bps and {market.fees:,.2f} USDT of fees. Against that it "
        f'<b class="{_tone(market.saved)}">{word} {abs(market.saved):,.2f} USDT ({abs(market.saved_bps):.2f} bps)</b>.'
    )


def _day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d")


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


_NOTES = (
    "Basis points are of what was traded. Slippage and the comparisons with the interval's TWAP and VWAP are positive "
    "where they cost; the spread (against the mid before each fill) and the markouts (the mid so long after it) are "
    "positive where they were earned. “Saved” compares with the same quantity taken at once from the book as it stood "
    "at arrival, at a taker fee of {taker} bps, the fees of both included; with * the recorded book was not deep "
    "enough for all of it. Totals are weighted by what was traded. The market is known by the second."
)

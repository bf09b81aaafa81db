"""Events and tables as lines for people. Owns columns and words; refuses to leave anything important out."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from pms.cli.feed import Event

_HEAD = frozenset("type seq prevSeq epoch v ts subAccountId requestId".split())
_TYPE_WIDTH = 18  # most types; longer ones push their line


def when(ms: int) -> str:
    """UTC time of day with milliseconds."""
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC).strftime("%H:%M:%S.%f")[:-3]


def number(value: object) -> str:
    """A number in plain digits, without trailing zeros. An average's quotient has as many decimals as money has."""
    exact = Decimal(str(value))
    text = format(round(exact, 8) if abs(exact) >= 1 else exact, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def counted(many: int, what: str) -> str:
    """So many of what, in words."""
    return f"{many} {what}" if many == 1 else f"{many} {what}s"


def price(order: Event) -> str:
    """Where an order stands, or for which price it waits."""
    if not order.get("triggerPrice") or order.get("triggeredAt"):
        return number(order["price"])
    limit = f", limit {number(order['price'])}" if order["price"] else ""
    return f"trigger {number(order['triggerPrice'])}{limit}"


def event(told: Event) -> str:
    """One event as one line: when, its number, what, whose, and then by its family."""
    kind = told["type"]
    if kind.startswith("order_"):
        rest = _order(told)
    elif kind.startswith("algo_"):
        rest = _plugged(told)
    elif kind.startswith("chase_"):
        rest = _chase(told)
    elif kind.startswith("twap_basket_"):
        rest = _basket(told)
    elif kind.startswith("twap_"):
        rest = _twap(told)
    elif kind.startswith("trail_stop_"):
        rest = _trail_stop(told)
    elif kind.startswith("scalper_"):
        rest = _scalper(told)
    elif kind.startswith("protection_"):
        rest = _protection(told)
    elif kind.startswith("position_") and "quantity" in told:
        rest = _position(told)
    else:
        rest = _others(told)
    return f"{when(told['ts'])} {told['seq']:>8} {kind:{_TYPE_WIDTH}} {told['subAccountId']:8} {rest}".rstrip()


def _order(told: Event) -> str:
    done = f"filled {number(told['filledQty'])}/{number(told['quantity'])}"
    average = f" avg {number(told['avgFillPrice'])}" if told["avgFillPrice"] else ""
    reason = f" ({told['reason']})" if told["reason"] else ""
    return f"{told['symbol']} {told['side']:4} @ {price(told)} {done}{average} {told['clientOrderId']}{reason}"


def _chase(told: Event) -> str:
    done = f"filled {number(told['filledQuantity'])}/{number(told['quantity'])}"
    average = f" avg {number(told['fillPrice'])}" if told["fillPrice"] else ""
    touch = f"[{number(told['bid'])} | {number(told['ask'])}]"
    reason = f" ({told['reason']})" if told["reason"] else ""
    price = number(told["currentOrderPrice"])
    return (
        f"{told['symbol']} {told['side']:4} @ {price} {touch} {done}{average} {told['status']}, "
        f"{told['repriceCount']} reprices {told['chaseId']}{reason}"
    )


def _twap(told: Event) -> str:
    done = f"filled {number(told['filledQuantity'])}/{number(told['totalQuantity'])}"
    what = f"{told['symbol']} {told['side']:4} {done} {_lots(told)}{_cost(told)}"
    return f"{what} {told['status']} {told['twapId']}{_why(told)}"


def _basket(told: Event) -> str:
    legs = ", ".join(
        f"{leg['symbol']} {leg['side']} {number(leg['filledQuantity'])}/{number(leg['totalQuantity'])}{_cost(leg)}"
        for leg in told["legs"]
    )
    return f"{told['basketName']}: {legs}; {_lots(told)} {told['status']} {told['twapBasketId']}{_why(told)}"


def _lots(told: Event) -> str:
    coming = f", next {when(told['nextLotAt'])}" if told["nextLotAt"] else ""
    return f"lots {told['filledLots']}/{told['totalLots']}{coming}"


def _cost(told: Event) -> str:
    return f" avg {number(told['avgPrice'])} ({number(told['slippageBps'])} bps)" if told["avgPrice"] else ""


def _why(told: Event) -> str:
    return f" ({told['reason']})" if told["reason"] else ""


def _trail_stop(told: Event) -> str:
    best = f"extreme {number(told['extremePrice'])} trigger {number(told['triggerPrice'])}"
    waits = best if told["activated"] else "not active yet"
    fired = f" triggered {number(told['triggeredPrice'])}" if told["triggeredPrice"] else ""
    done = f" filled {number(told['filledQuantity'])}{_cost(told)}" if told["filledQuantity"] else ""
    what = f"{told['symbol']} {told['side']:4} {number(told['quantity'])} {waits}{fired}{done}"
    return f"{what} {told['status']} {told['trailStopId']}{_why(told)}"


def _protection(told: Event) -> str:
    fired = f" triggered {number(told['triggeredPrice'])}" if told["triggeredPrice"] else ""
    done = f" filled {number(told['filledQuantity'])}{_cost(told)}" if told["filledQuantity"] else ""
    what = f"{told['symbol']} {told['side']:4} {number(told['quantity'])} trigger {number(told['triggerPrice'])}"
    name = told["protectionId"] or told["trailStopId"]
    return f"{what}{fired}{done} {told['origin']} {told['status']} {name}{_why(told)}"


def _scalper(told: Event) -> str:
    """What it holds, then each layer: where it rests, or what holds it back."""
    filled = "fillQty" in told
    fill = f" {told['side']} filled {number(told['fillQty'])} @ {number(told['fillPrice'])}," if filled else ""
    held = f" {number(told['inventory'])} @ {number(told['entryPrice'])}" if told["inventory"] else " flat"
    legs = " | ".join(" ".join(map(_slot, told[side])) for side in ("longSlots", "shortSlots"))
    return (
        f"{told['symbol']}{fill}{held} realized {number(told['realizedPnl'])}, {told['totalFillCount']} fills "
        f"[{legs}] {told['status']} {told['scalperId']}{_why(told)}"
    )


def _slot(slot: dict[str, Any]) -> str:
    if slot.get("clientOrderId"):
        return number(slot["price"])
    until = f"<{when(slot['retryAt'])[:8]}" if slot.get("retryAt") else ""
    return (slot.get("pausedReason") or str(slot["status"])) + until


def _position(told: Event) -> str:
    closed = f" realized {number(told['realizedPnl'])}" if "realizedPnl" in told else ""
    return f"{told['symbol']} {told['side']} {number(told['quantity'])} @ {number(told['entryPrice'])}{closed}"


def _plugged(told: Event) -> str:
    """An algo of a plug-in: what each side has filled, and what the plug-in keeps."""
    legs = [
        f"{leg['side']:4} filled {number(leg['filledQuantity'])}/{number(leg['quantity'])}{_cost(leg)}"
        for leg in told["state"]["legs"]
    ]
    own = value_of(told["state"]["own"])
    parts = (told["symbol"], told["algo"], *legs, f"{told['status']},", own, told["algoId"])
    return " ".join(part for part in parts if part) + _why(told)


def _others(told: Event) -> str:
    parts = (
        f"{name}={value_of(value)}" for name, value in told.items() if name not in _HEAD and value not in ("", [], {})
    )
    return " ".join(parts)


def value_of(value: object) -> str:
    """Anything that an event or a reply holds, in a few characters."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal | int):
        return number(value)
    if isinstance(value, dict) and "offsetTicks" in value:
        return f"{number(value['quantity'])} at {value['offsetTicks']} ticks"
    if isinstance(value, dict):
        return ",".join(f"{name}:{value_of(item)}" for name, item in value.items())
    return ",".join(map(value_of, value)) if isinstance(value, list) else str(value)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], empty: str = "None.") -> str:
    """Columns as wide as they need; nothing but the words `empty` where there are no rows."""
    if not rows:
        return empty
    widths = [max(len(head), *(len(row[column]) for row in rows)) for column, head in enumerate(heads)]
    every = [heads, *rows]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in every
    )

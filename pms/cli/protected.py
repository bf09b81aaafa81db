"""What protects each position, from the records alone: where that lives, and what would happen without a daemon.

Pure: records in, rows and sentences out. Refuses to read anything. A take-profit closes at a gain only, so that it
covers nothing of a fall.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from pms.cli import lines

Record = Mapping[str, Any]

ZERO = Decimal(0)
_SOURCES = {"MARK_PRICE": "mark", "CONTRACT_PRICE": "last trade"}
_STOPS = ("STOP", "STOP_MARKET")
_COLUMNS = ("lives", "what", "side", "size", "trigger", "by", "id")


class Guard(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """One thing that closes a position at a price. `lives`: at the venue, or in the daemon, which acts only while it
    runs. `group`: those of one close the same quantity. `against_loss`: it acts when the price goes the wrong way."""

    lives: str
    what: str
    side: str
    quantity: Decimal
    trigger_price: Decimal
    by: str
    id: str
    note: str = ""
    group: str = ""
    against_loss: bool = True

    def row(self) -> list[str]:
        trigger = lines.number(self.trigger_price) if self.trigger_price else "none yet"
        cells = [self.lives, self.what, self.side, lines.number(self.quantity), trigger, self.by, self.id]
        return [*cells, self.note] if self.note else cells


class Protected(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """One position: `covered` is what the venue by itself closes of it in a fall, `if_we_died` a sentence."""

    sub_account_id: str
    symbol: str
    side: str
    quantity: Decimal
    entry_price: Decimal
    position_id: str
    guards: tuple[Guard, ...]
    covered: Decimal
    uncovered: Decimal
    if_we_died: str


def of(positions: Iterable[Record], orders: Iterable[Record], algos: Iterable[Record]) -> list[Protected]:
    """Every open position with what closes it by price."""
    orders, algos = list(orders), list(algos)
    held = [position for position in positions if _number(position["quantity"])]
    held.sort(key=lambda position: (position["subAccountId"], position["symbol"]))
    return [_protected(position, orders, algos) for position in held]


def text(protected: Sequence[Protected], health: Record | None) -> str:
    """All of it for people, with the dead-man timers and whether a daemon runs at all."""
    blocks = [_block(one) for one in protected] or ["No open position."]
    return "\n\n".join([*blocks, "\n".join(_state(health))])


# --- one position -----------------------------------------------------------------------------------


def _protected(position: Record, orders: list[Record], algos: list[Record]) -> Protected:
    quantity = _number(position["quantity"])
    sign = 1 if position["side"] == "LONG" else -1
    mine = [one for one in (*orders, *algos) if _same(one, position)]
    guards = [guard for one in mine for guard in _guards(one) if guard.side == ("SELL" if sign > 0 else "BUY")]
    guards.sort(key=lambda guard: (guard.lives != "venue", -sign * guard.trigger_price))
    closes = _covering(guards, quantity)
    covered = sum((size for _, size in closes), ZERO)
    return Protected(
        sub_account_id=position["subAccountId"],
        symbol=position["symbol"],
        side=position["side"],
        quantity=quantity,
        entry_price=_number(position["entryPrice"]),
        position_id=position["positionId"],
        guards=tuple(guards),
        covered=covered,
        uncovered=quantity - covered,
        if_we_died=_sentence(closes, quantity - covered),
    )


def _same(one: Record, position: Record) -> bool:
    return (one["subAccountId"], one["symbol"]) == (position["subAccountId"], position["symbol"])


def _covering(guards: Iterable[Guard], quantity: Decimal) -> list[tuple[Guard, Decimal]]:
    """Which orders at the venue close how much of a position in a fall, the nearest first."""
    left, seen, closes = quantity, set(), []
    for guard in guards:
        size = min(guard.quantity, left)
        if guard.lives == "venue" and guard.against_loss and guard.group not in seen and size:
            seen.add(guard.group)
            closes.append((guard, size))
            left -= size
    return closes


def _sentence(closes: Sequence[tuple[Guard, Decimal]], uncovered: Decimal) -> str:
    if not closes:
        return "If the daemon died now, nothing would close it: all of it stands unprotected."
    parts = [f"{lines.number(size)} at {lines.number(guard.trigger_price)} ({guard.by})" for guard, size in closes]
    rest = f"; {lines.number(uncovered)} of it would stand unprotected." if uncovered else ": all of it."
    return f"If the daemon died now, the venue would close {' and '.join(parts)}{rest}"


# --- what closes it ---------------------------------------------------------------------------------


def _guards(one: Record) -> list[Guard]:
    """What an open order or a live algo closes by price."""
    if "clientOrderId" in one:
        return _of_order(one)
    if "trailStopId" in one:
        return _of_stop(one)
    return [guard for leg in one.get("legs", ()) if "word" in leg for guard in _of_leg(one, leg)]


def _of_order(order: Record) -> list[Guard]:
    """An order that waits at the venue, as far as it is known to be there."""
    waits = order.get("triggerPrice") and not order["triggeredAt"] and order["state"] in ("active", "cancelling")
    if not (waits and order["reduceOnly"]):
        return []
    stops = order["orderType"] in _STOPS
    word = "backstop" if order["origin"] == "TRAIL_STOP" else "stop" if stops else "take-profit"
    guard = Guard(
        lives="venue",
        what=word,
        side=order["side"],
        quantity=_number(order["quantity"]),
        trigger_price=_number(order["triggerPrice"]),
        by=_SOURCES[order["workingType"]],
        id=order["clientOrderId"],
        note="is being cancelled" if order["state"] == "cancelling" else "",
        group=order["alternatives"] or order["clientOrderId"],
        against_loss=stops,
    )
    return [guard]


def _of_stop(stop: Record) -> list[Guard]:
    """A trailing stop, which the daemon follows."""
    params = stop["params"]
    if stop["triggeredAt"]:
        note = "is closing now"
    elif stop["paused"]:
        note = f"paused ({stop['paused']}): it does not act"
    elif not stop["activated"]:
        note = (
            f"follows from {lines.number(params['activationPrice'])} on"
            if params["activationPrice"]
            else "no price yet"
        )
    else:
        note = "sees no price" if stop["blind"] else ""
    guard = Guard(
        lives="daemon",
        what="trailing stop",
        side=stop["side"],
        quantity=_number(stop["quantity"]) - _number(stop["filledQuantity"]),
        trigger_price=_number(stop["triggerPrice"]),
        by=params["trigger"],
        id=stop["trailStopId"],
        note=note,
    )
    return [guard]


def _of_leg(protection: Record, leg: Record) -> list[Guard]:
    """A stop or take-profit that the daemon watches itself, since none of its orders stands at the venue."""
    if leg["orders"] or leg.get("dropped"):
        return []
    guard = Guard(
        lives="daemon",
        what="stop" if leg["word"] == "stop" else "take-profit",
        side=protection["side"],
        quantity=_number(protection["quantity"]) - _number(protection["filledQuantity"]),
        trigger_price=_number(leg["triggerPrice"]),
        by=_SOURCES[leg["workingType"]],
        id=protection["protectionId"],
        note=f"the venue refuses it: {leg['refusal']}" if leg.get("refusal") else "",
        against_loss=leg["word"] == "stop",
    )
    return [guard]


# --- words ------------------------------------------------------------------------------------------


def _block(one: Protected) -> str:
    size, price = lines.number(one.quantity), lines.number(one.entry_price)
    head = f"{one.sub_account_id}  {one.symbol}  {one.side} {size} from {price}"
    rows = [guard.row() for guard in one.guards]
    width = max((len(row) for row in rows), default=0)
    heads = [*_COLUMNS, ""][:width]
    table = lines.table(heads, [row + [""] * (width - len(row)) for row in rows], empty="Nothing closes it by price.")
    indented = "\n".join(f"  {line}" for line in table.splitlines())
    return f"{head}\n{indented}\n  {one.if_we_died}"


def _state(health: Record | None) -> list[str]:
    """Whether a daemon runs, and where the venue's own timer does."""
    if health is None:
        return ["No daemon runs now: what lives in it does not act. What lives at the venue does."]
    told = [f"The daemon runs ({health['status']}, {health['mode']})."]
    for symbol, at in sorted(health.get("deadMan", {}).items()):
        ago = max(health["ts"] - at, 0) // 1000
        told.append(
            f"Dead-man timer on {symbol}: confirmed {ago} s before; without us, what algos quote there goes after 60 s."
        )
    return told if len(told) > 1 else [*told, "No dead-man timer: no algo quotes where only ours rests."]


def _number(value: object) -> Decimal:
    return Decimal(str(value))

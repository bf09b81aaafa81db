"""How the venue writes numbers: streams trim them, REST pads them (binance.md 0, fact 12).

Owns the two formats only. Both are pure functions of a `Decimal`; neither rounds away a digit that counts.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

MONEY_PLACES = 8  # wallet, commission and realised profit carry 8 decimals (binance.md 8, "Commission precision")
_QUANTA = tuple(Decimal(1).scaleb(-places) for places in range(19))


def trimmed(number: Decimal) -> str:
    """The stream form: no exponent, no trailing zeros, `"0"` for zero (`"1.1359"`)."""
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("", "-0") else text


def padded(number: Decimal, places: int) -> str:
    """The REST form: exactly `places` decimals (`"1.1359000"`). More digits than that are rounded half to even."""
    return format(number.quantize(_QUANTA[places], ROUND_HALF_EVEN) + 0, "f")  # + 0: no "-0.00"


def money(number: Decimal) -> Decimal:
    """`number` rounded to the 8 decimals that wallets are kept in."""
    return number.quantize(_QUANTA[MONEY_PLACES], ROUND_HALF_EVEN)

"""What a venue tells of the account itself, unasked: values of the port, without any venue's own words."""

from __future__ import annotations

from decimal import Decimal

import msgspec


class Unserved(msgspec.Struct, frozen=True):
    """A mode of the account that we can't serve (execution.md 17): its name, why not, and the way out of it."""

    name: str
    reason: str
    remedy: str


class ModeSwitched(msgspec.Struct, frozen=True):
    """Somebody has switched such a mode on, or off again."""

    mode: Unserved
    on: bool


class LeverageSet(msgspec.Struct, frozen=True):
    """A symbol's leverage was set, by us or by another hand."""

    symbol: str
    leverage: int


class CalledPosition(msgspec.Struct, frozen=True):
    """A position that a margin call names; `wallet` is what is set aside for it where it has margin of its own."""

    symbol: str
    quantity: Decimal
    unrealized: Decimal
    maintenance: Decimal
    wallet: Decimal | None = None


class MarginCall(msgspec.Struct, frozen=True):
    """The venue warns that margin hardly covers maintenance: a hint that may also stay away (binance.md 7.5)."""

    time: int
    cross_wallet: Decimal
    positions: tuple[CalledPosition, ...]


Notice = ModeSwitched | LeverageSet | MarginCall

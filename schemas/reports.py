"""What an exchange says of an order or a position, in no exchange's own words.

Cumulative values, so that the order and the repetition of reports do not matter. Refuses to know which exchange.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from schemas.market import ZERO, Side
from schemas.orders import Cause, Fill


class VenueStatus(StrEnum):
    """An order's status as the venue tells it."""

    OPEN = "open"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Report(msgspec.Struct, frozen=True):
    """One order as the venue tells it: an answer, a stream event or a look-up. Cumulative, so order and repetition do
    not matter.

    `client_id` is the id as the venue knows it, whoever gave it. `fill` is the execution that a stream event carries.
    `amended` marks an event that confirms new price and total. `average` is absent where the channel does not tell it.
    `time` is the venue's, in ms. `algo_id` is the venue's id of a conditional order: such a report is about its
    waiting, and its `order_id` is 0.
    """

    client_id: str
    order_id: int
    symbol: str
    side: Side
    status: VenueStatus
    order_type: str
    time_in_force: str
    price: Decimal
    quantity: Decimal
    filled: Decimal
    reduce_only: bool
    time: int
    average: Decimal | None = None
    fill: Fill | None = None
    amended: bool = False
    cause: Cause = Cause.NONE
    created_at: int = 0
    trigger_price: Decimal = ZERO
    algo_id: int = 0

    @property
    def conditional(self) -> bool:
        """A word about an order that waits for its price, not about the one that it may have become."""
        return bool(self.algo_id)

    @property
    def waits(self) -> bool:
        """Whether its type is one that waits for a price, whoever's word it is."""
        return self.order_type not in ("LIMIT", "MARKET")


class VenuePosition(msgspec.Struct, frozen=True):
    """The account's net position in one symbol; `quantity` is signed. `mark` is 0 where it is not told."""

    symbol: str
    quantity: Decimal
    entry_price: Decimal
    time: int
    mark: Decimal = ZERO


class IncomeKind(StrEnum):
    """Where a change of the wallet came from, as far as the books differ. TRADE (profit and fee of a trade) is told
    with the trade itself."""

    TRADE = "trade"
    FUNDING = "funding"
    OTHER = "other"


class Income(msgspec.Struct, frozen=True):
    """One change of the wallet, signed. `name` names it once and for all; `about` is the venue's word.
    `symbol` is empty where there is none."""

    symbol: str
    kind: IncomeKind
    amount: Decimal
    asset: str
    time: int
    number: int
    about: str

    @property
    def name(self) -> str:
        return f"{self.about}:{self.number}"


class FundingRate(msgspec.Struct, frozen=True):
    """One funding of a symbol: longs pay quantity x mark x rate where the rate is positive."""

    symbol: str
    time: int
    rate: Decimal
    mark: Decimal

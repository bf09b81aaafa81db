"""What an exchange says of an order or a position, in no exchange's own words.

Cumulative values, so that the order and the repetition of reports do not matter. Refuses to know which exchange.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from schemas.market import Side
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
    `time` is the venue's, in ms.
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


class VenuePosition(msgspec.Struct, frozen=True):
    """The account's net position in one symbol; `quantity` is signed."""

    symbol: str
    quantity: Decimal
    entry_price: Decimal
    time: int

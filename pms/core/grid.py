"""Exact numbers from the floats of decoded frames: prices as whole ticks, quantities as decimals.

A float that was decoded from a decimal text of n × 10^-k is the double nearest to it, so n = round(x × 10^k) as
long as the two roundings stay under half a unit (n ≤ 2^51), and n / 10^k == x proves it: the division rounds once,
to the same double. What fails the proof (more decimals than the grid has, or larger) goes through Decimal(repr(x)),
which gives back every text of at most 15 significant digits. Refuses to know sides and books.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

EXACT_MAX = 2**51  # |error of x × 10^k| ≤ n × 2^-52 < 1/2
PLACES_MAX = 22  # 10^22 is the last power of ten that a double holds exactly


class Grid:
    """One instrument's tick and step. Raises ValueError where either is not positive or has more than 22 decimals."""

    __slots__ = ("_price_scale", "_price_unit", "_step_scale", "_step_unit", "_tick", "_tick_units")

    def __init__(self, tick: Decimal, step: Decimal) -> None:
        places, self._tick_units = _parts(tick)
        self._tick = tick
        self._price_scale = 10.0**places
        self._price_unit = Decimal(1).scaleb(-places)
        places, _ = _parts(step)
        self._step_scale = 10.0**places
        self._step_unit = Decimal(1).scaleb(-places)

    def ticks_down(self, price: float) -> int:
        """Whole ticks of a bid; one that is off the grid (after a change of the filter) counts as the tick below."""
        units = round(price * self._price_scale)
        if units <= EXACT_MAX and units / self._price_scale == price:
            return units // self._tick_units
        return int((Decimal(repr(price)) / self._tick).to_integral_value(ROUND_FLOOR))

    def ticks_up(self, price: float) -> int:
        """Whole ticks of an ask; one that is off the grid counts as the tick above."""
        units = round(price * self._price_scale)
        if units <= EXACT_MAX and units / self._price_scale == price:
            return -(-units // self._tick_units)
        return int((Decimal(repr(price)) / self._tick).to_integral_value(ROUND_CEILING))

    def touch(self, bid: float, bid_qty: float, ask: float, ask_qty: float) -> tuple[int, Decimal, int, Decimal]:
        """A touch by one call: `ticks_down` of the bid, `ticks_up` of the ask, and their quantities."""
        scale, step = self._price_scale, self._step_scale
        low, high = round(bid * scale), round(ask * scale)
        low_qty, high_qty = round(bid_qty * step), round(ask_qty * step)
        if (
            low <= EXACT_MAX
            and high <= EXACT_MAX
            and low_qty <= EXACT_MAX
            and high_qty <= EXACT_MAX
            and low / scale == bid
            and high / scale == ask
            and low_qty / step == bid_qty
            and high_qty / step == ask_qty
        ):
            tick, unit = self._tick_units, self._step_unit
            return low // tick, low_qty * unit, -(-high // tick), high_qty * unit
        return self.ticks_down(bid), self.quantity(bid_qty), self.ticks_up(ask), self.quantity(ask_qty)

    def price(self, price: float) -> Decimal:
        """The price as the venue wrote it, on the grid or not."""
        units = round(price * self._price_scale)
        if units <= EXACT_MAX and units / self._price_scale == price:
            return units * self._price_unit
        return Decimal(repr(price))

    def mid2(self, sum_of_touch: float) -> int:
        """Bid + ask in ticks; off the grid, rounded down to one."""
        return round(sum_of_touch * self._price_scale) // self._tick_units

    def quantity(self, quantity: float) -> Decimal:
        units = round(quantity * self._step_scale)
        if units <= EXACT_MAX and units / self._step_scale == quantity:
            return units * self._step_unit
        return Decimal(repr(quantity))


def _parts(size: Decimal) -> tuple[int, int]:
    """(k, m) with size = m × 10^-k and the smallest k ≥ 0."""
    exponent = size.normalize().as_tuple().exponent
    places = max(0, -exponent) if isinstance(exponent, int) else PLACES_MAX + 1
    if size <= 0 or places > PLACES_MAX:
        raise ValueError(f"{size} is no tick or step: a positive decimal with at most {PLACES_MAX} places is")
    return places, int(size.scaleb(places))

"""The exit ledger over the records: who closes what, and in which form a closer leaves (execution.md 14).

Owns the doubt about a symbol's books after the venue refused or shrank an exit. Refuses to send, and to decide what is
closed; the arithmetic is `pms.core.exits`.
"""

from __future__ import annotations

from decimal import Decimal

from pms.books import Books
from pms.core import exits
from pms.core.exits import Closer, Form
from pms.ledger import Ledger
from schemas.market import ZERO
from schemas.orders import Order


class ExitLedger:
    """See the module."""

    def __init__(self, ledger: Ledger, books: Books) -> None:
        self._ledger = ledger
        self._books = books
        self._doubted: set[str] = set()

    def closers(self, sub_account_id: str, symbol: str, apart_from: str = "") -> list[Closer]:
        """A sub-account's live and unknown closers on a symbol, oldest first."""
        orders = [
            order
            for order in self._ledger.open_orders(symbol)
            if order.reduce_only
            and not order.waiting  # until its price is reached it takes nothing from anybody
            and order.sub_account_id == sub_account_id
            and order.client_order_id != apart_from
        ]
        return [_closer(order) for order in sorted(orders, key=lambda one: (one.created_at, one.client_order_id))]

    def closable(self, order: Order) -> Decimal:
        """What a closer may ask for, its own quantity and its alternatives' not counted against it. One that waits for
        its price takes nothing from anybody until then, when it takes over what rests."""
        held = self._ledger.position(order.sub_account_id, order.symbol).signed_quantity
        if order.waiting:
            return exits.closable(held, order.side, ())
        others = self.closers(order.sub_account_id, order.symbol, order.client_order_id)
        return exits.closable(held, order.side, others, order.alternatives)

    def form(self, order: Order, wanted: Form | None = None) -> Form:
        """The form in which a closer leaves now, the `wanted` one where that is open to it. After a refusal the flag
        stays until the books are proven right."""
        symbol, side = order.symbol, order.side
        if order.waiting:  # the account's net bounds those that wait among themselves (pms.covers)
            found = exits.form(order.sub_account_id, side, order.remaining, False, self._books.held(symbol), ZERO)
            return found if found is Form.FORBIDDEN else wanted or found
        flagged = sum(
            (
                other.remaining
                for other in self._ledger.open_orders(symbol)
                if other.flagged and not other.waiting and other.side is side and not _same_quantity(other, order)
            ),
            ZERO,
        )
        found = exits.form(
            order.sub_account_id, side, order.remaining, not order.immediate, self._books.held(symbol), flagged
        )
        if found is Form.FORBIDDEN:
            return found
        if symbol in self._doubted:
            return Form.FLAGGED
        return wanted or found

    def shares(self, sub_account_id: str, symbol: str, leaving: Decimal) -> tuple[dict[str, Decimal], Decimal]:
        """What each closer may still fill by client id, once an exit of `leaving` has left, and what of the position
        is nobody's then."""
        held = self._ledger.position(sub_account_id, symbol).signed_quantity
        closers = self.closers(sub_account_id, symbol)
        given = exits.allotted(held, closers, leaving)
        return given, max(abs(held) - leaving - exits.reserved(closers), ZERO)

    def misfit(self, symbol: str) -> list[Order]:
        """Resting closers whose form would be another now: flagged ones that another book stands opposite to, which
        the venue would cancel or shrink, and unflagged ones that nothing opposes any more."""
        found = []
        for name in self._ledger.open_by_symbol[symbol]:
            order = self._ledger.orders[name]
            if order.reduce_only and not self.fits(order):
                found.append(order)
        return found

    def fits(self, order: Order) -> bool:
        """Whether an order stands in the form that it would leave in now, or is no resting closer at all."""
        rests = order.reduce_only and order.exchange_order_id and not (order.immediate or order.cancel_wanted)
        if not rests:
            return True
        form = self.form(order)
        return form is Form.FORBIDDEN or order.flagged == (form is Form.FLAGGED)

    def unflagged(self) -> list[Order]:
        """Resting closers without the venue's flag: they never outlive us (execution.md 14)."""
        return [
            order
            for names in self._ledger.open_by_symbol.values()
            for order in map(self._ledger.orders.__getitem__, names)
            if order.reduce_only and not (order.flagged or order.immediate or order.waiting)
        ]

    def doubt(self, symbol: str) -> None:
        """The venue refused or shrank a flagged exit: its position is not what the books say, or not yet."""
        self._doubted.add(symbol)

    def trust(self, symbol: str) -> None:
        """Position and trades were read after the refusal, are booked, and the books add up to the venue's."""
        self._doubted.discard(symbol)

    def doubts(self, symbol: str) -> bool:
        return symbol in self._doubted


def _same_quantity(one: Order, other: Order) -> bool:
    if one.alternatives and one.alternatives == other.alternatives:
        return True
    return one.client_order_id == other.client_order_id


def _closer(order: Order) -> Closer:
    quantity = max(order.quantity, order.next_quantity or ZERO) - max(order.filled_qty, order.venue_filled)
    return Closer(order.client_order_id, order.side, max(quantity, ZERO), not order.immediate, order.alternatives)

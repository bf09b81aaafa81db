"""Conditional orders: orders that wait for a price at the venue (binance.md 1.4, 3.4).

Owns their life from NEW to an end, and the ordinary order that one becomes when it is triggered: its client order id
equals the conditional one's. Refuses to check margin, position and book before that: the venue does it at the trigger,
and tells of a refusal by ALGO_UPDATE with its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from pms.sim import conditional_rules as refusals
from pms.sim import events
from pms.sim.accounts import Account
from pms.sim.conditional_model import CLOSED, Conditional, ConditionalRecord, NewConditional
from pms.sim.market import Market
from pms.sim.model import NewOrder, Order, VenueError
from pms.sim.order_entry import OrderEntry
from pms.sim.outbox import Outbox

FIRST_ALGO_ID = 4_000_000_000_000_000  # like the venue's: they fit JavaScript's numbers
KEPT = 10_000  # finished ones per account
PROTECT = Decimal("0.05")  # exchangeInfo.triggerProtect: mark and last may differ by so much of the mark
_ZERO = Decimal(0)
_HUNDRED = Decimal(100)
_REASONS = {-2022: "Reduce Only reject"}


class Conditionals:
    """All conditional orders of all accounts."""

    def __init__(
        self,
        accounts: Mapping[str, Account],
        entry: OrderEntry,
        outbox: Outbox,
        now: Callable[[], int],
    ) -> None:
        self._accounts = accounts
        self._entry = entry
        self._outbox = outbox
        self._now = now
        self._rows: dict[str, dict[int, Conditional]] = {}
        self._open: dict[str, dict[int, Conditional]] = {}  # by symbol: those a price is looked at for
        self._triggered: dict[str, dict[int, Conditional]] = {}  # by symbol: those whose order has not ended
        self._algo_id = FIRST_ALGO_ID

    # --- asked --------------------------------------------------------------------------------------

    def open(self, account: str, symbol: str | None = None) -> list[Conditional]:
        """Those that wait, oldest first."""
        rows = self._rows.get(account, {}).values()
        return [row for row in rows if row.is_open and symbol in (None, row.symbol)]

    def all(self, account: str, symbol: str) -> list[Conditional]:
        """Those of one symbol, ended ones too, oldest first."""
        return [row for row in self._rows.get(account, {}).values() if row.symbol == symbol]

    def find(self, account: str, algo_id: int | None, client_id: str | None, missing: VenueError) -> Conditional:
        """By its id, else the newest by client id; raises `missing`."""
        rows = self._rows.get(account, {})
        if algo_id is not None:
            found = rows.get(algo_id)
        else:
            found = next((row for row in reversed(rows.values()) if row.client_id == client_id), None)
        if found is None:
            raise missing
        return found

    # --- done ---------------------------------------------------------------------------------------

    def place(self, account: Account, market: Market, new: NewConditional) -> Conditional:
        """Accept one. Raises VenueError as binance.md 3.4 and 5.3 say."""
        price = self._price(market, new.working)
        refusals.check(market.rules, new, price, account.dual)
        if any(row.client_id == new.client_id and row.symbol == new.symbol for row in self.open(account.name)):
            raise VenueError(-4116, "ClientOrderId is duplicated.")
        if len(self.open(account.name)) >= refusals.MOST_OPEN:
            raise VenueError(-4045, "Reach max stop order limit.")
        self._algo_id += 1
        now = self._now()
        row = Conditional(algo_id=self._algo_id, account=account.name, new=new, created_at=now, updated_at=now)
        self._rows.setdefault(account.name, {})[row.algo_id] = row
        self._open.setdefault(new.symbol, {})[row.algo_id] = row
        if new.is_trailing and not new.activate:
            row.activated, row.extreme = True, price
        self._changed(row)
        self._forget(account.name)
        return row

    def cancel(self, row: Conditional) -> None:
        """Take one away that waits. Raises VenueError -2011."""
        if not row.is_open:
            raise VenueError(-2011, "Unknown order sent.")
        self._end(row, "CANCELED")

    def expire(self, account: Account) -> None:
        """The account is liquidated: what waits is gone."""
        for row in self.open(account.name):
            self._end(row, "EXPIRED")

    def look(self, market: Market) -> bool:
        """Trigger what the prices of a symbol reach now, and finish those whose orders have ended. Whether any was
        triggered, so that prices may be others."""
        for row in list(self._triggered.get(market.symbol, {}).values()):
            self._follow_order(row)
        due = [row for row in list(self._open.get(market.symbol, {}).values()) if self._reached(row, market)]
        for row in due:
            self._trigger(row, market)
        return bool(due)

    # --- prices -------------------------------------------------------------------------------------

    @staticmethod
    def _price(market: Market, working: str) -> Decimal:
        """The price that a trigger goes by; before the first trade the mark stands in for the last price. 0 while there
        is none."""
        return (market.tape.last_price if working == "CONTRACT_PRICE" else _ZERO) or market.mark_price()

    def _reached(self, row: Conditional, market: Market) -> bool:
        price = self._price(market, row.new.working)
        if not price:
            return False
        if not row.new.is_trailing:
            return refusals.triggers(row.new, price)
        return self._trails(row, price)

    def _trails(self, row: Conditional, price: Decimal) -> bool:
        """Follow the best price once active: a buy the lowest, a sell the highest."""
        new = row.new
        if not row.activated:
            if not (price <= new.activate if new.side == "BUY" else price >= new.activate):
                return False
            row.activated, row.extreme = True, price
            self._changed(row)
        row.extreme = min(row.extreme, price) if new.side == "BUY" else max(row.extreme, price)
        distance = row.extreme * new.callback / _HUNDRED
        return price >= row.extreme + distance if new.side == "BUY" else price <= row.extreme - distance

    # --- triggering ---------------------------------------------------------------------------------

    def _trigger(self, row: Conditional, market: Market) -> None:
        row.triggered_at = self._now()
        mark, last = market.mark_price(), self._price(market, "CONTRACT_PRICE")
        if row.new.price_protect and mark and abs(mark - last) > mark * PROTECT:
            self._end(row, "EXPIRED", "Price protect")
            return
        self._say(row, "TRIGGERING")
        account = self._accounts[row.account]
        try:
            order = self._entry.place(account, market, self._order(row, account), False)
        except VenueError as refusal:
            self._end(row, "REJECTED", _REASONS.get(refusal.code, refusal.message))
            return
        row.order = order
        del self._open[row.symbol][row.algo_id]
        self._triggered.setdefault(row.symbol, {})[row.algo_id] = row
        self._say(row, "TRIGGERED")
        self._follow_order(row)

    def _order(self, row: Conditional, account: Account) -> NewOrder:
        """The ordinary order that it becomes. Raises VenueError where there is nothing to close."""
        new, quantity = row.new, row.new.quantity
        if new.close_position:
            held = account.position(new.symbol).amount
            if not held or (held > 0) == (new.side == "BUY"):
                raise VenueError(-2022, "ReduceOnly Order is rejected.")
            quantity = abs(held)
        return NewOrder(
            symbol=new.symbol,
            side=new.side,
            type="LIMIT" if new.price else "MARKET",
            quantity=quantity,
            client_id=new.client_id,
            price=new.price,
            time_in_force=new.time_in_force,
            reduce_only=new.reduce_only or new.close_position,
            stp=new.stp,
            price_match=new.price_match,
        )

    def _follow_order(self, row: Conditional) -> None:
        if row.order is not None and not row.order.is_open:
            self._triggered[row.symbol].pop(row.algo_id, None)
            self._say(row, "FINISHED")

    # --- told and kept ------------------------------------------------------------------------------

    def _end(self, row: Conditional, status: str, reason: str = "") -> None:
        self._open.get(row.symbol, {}).pop(row.algo_id, None)
        row.reason = reason
        self._say(row, status)

    def _say(self, row: Conditional, status: str) -> None:
        row.status = status
        self._changed(row)

    def _changed(self, row: Conditional) -> None:
        row.updated_at = self._now()
        self._outbox.keep(("conditional", str(row.algo_id)), ConditionalRecord(row))
        self._outbox.user_event(row.account, events.algo_update(row, self._now()))

    def _forget(self, account: str) -> None:
        rows = self._rows[account]
        ended = [algo_id for algo_id, row in rows.items() if row.status in CLOSED]
        for algo_id in ended[: max(len(ended) - KEPT, 0)]:
            del rows[algo_id]

    # --- after a restart ----------------------------------------------------------------------------

    def restore(self, record: ConditionalRecord, order_of: Callable[[str, int], Order | None]) -> None:
        """Take over what the journal kept; its order, where it has one, is among the account's."""
        row = record.row
        if row.order is not None:
            row.order = order_of(row.account, row.order.order_id) or row.order
        self._rows.setdefault(row.account, {})[row.algo_id] = row
        self._algo_id = max(self._algo_id, row.algo_id)
        if row.is_open:
            self._open.setdefault(row.symbol, {})[row.algo_id] = row
        elif row.status in ("TRIGGERING", "TRIGGERED"):
            self._triggered.setdefault(row.symbol, {})[row.algo_id] = row

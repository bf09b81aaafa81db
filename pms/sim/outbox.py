"""What one operation of the exchange changed and has to say: first made durable, then told.

Owns the order "journal before anyone hears of it". Knows nothing of what the records and events mean.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pms.sim.journal import Journal, OrderRecord, PositionRecord, Record, TradeRecord, WalletRecord
from pms.sim.model import DepthDiff, Mark, Order, Print, Touch, Trade
from pms.sim.views import AggTrade


class Observer(Protocol):
    """Hears what the venue shows. Called after the journal was written, in the order in which things happened."""

    def user_event(self, account: str, event: dict[str, object]) -> None:
        """A complete user-stream payload (TRADE_LITE, ORDER_TRADE_UPDATE, ACCOUNT_UPDATE, ACCOUNT_CONFIG_UPDATE)."""
        ...

    def depth_changed(self, change: DepthDiff) -> None:
        """Levels whose *total* (external and own) changed.

        `first_id`..`last_id` are the change's update ids, rising and never reused; `prev_id` is the `last_id` told
        before. A window's U is its first `first_id`, its u the last `last_id`, its pu the u of the window before.
        """
        ...

    def touch_changed(self, touch: Touch) -> None:
        """The best bid or ask (own orders included) changed in price or total; an empty side has 0 and 0."""
        ...

    def printed(self, trade: Print) -> None:
        """One trade on the tape, ours or others'; `trade_id` is set, unique and rising per symbol."""
        ...

    def aggregated(self, trade: AggTrade) -> None:
        """An aggregate trade closed: by a print that does not belong to it, or by `tick` 100 ms after it opened."""
        ...

    def marked(self, mark: Mark) -> None:
        """A new mark price."""
        ...


class Outbox:
    """Collects during one operation; `commit` ends it."""

    def __init__(self, observer: Observer, journal: Journal | None) -> None:
        self._observer = observer
        self._journal = journal
        self._says: list[Callable[[], None]] = []
        self._orders: dict[int, Order] = {}
        self._records: dict[tuple[str, ...], Record] = {}
        self._trades: list[Trade] = []

    @property
    def has_trades(self) -> bool:
        return bool(self._trades)

    # --- told ---------------------------------------------------------------------------------------

    def user_event(self, account: str, event: dict[str, object]) -> None:
        self._says.append(lambda: self._observer.user_event(account, event))

    def depth_changed(self, change: DepthDiff) -> None:
        self._says.append(lambda: self._observer.depth_changed(change))

    def touch_changed(self, touch: Touch) -> None:
        self._says.append(lambda: self._observer.touch_changed(touch))

    def printed(self, trade: Print) -> None:
        self._says.append(lambda: self._observer.printed(trade))

    def aggregated(self, trade: AggTrade) -> None:
        self._says.append(lambda: self._observer.aggregated(trade))

    def marked(self, mark: Mark) -> None:
        self._says.append(lambda: self._observer.marked(mark))

    # --- kept ---------------------------------------------------------------------------------------

    def keep_order(self, order: Order) -> None:
        """The order's state at the end of the operation is journaled, however often it changed."""
        self._orders[order.order_id] = order

    def keep_trade(self, trade: Trade) -> None:
        self._trades.append(trade)

    def keep(self, key: tuple[str, ...], record: Record) -> None:
        """Journal `record`; a later one of the same operation with the same key replaces it."""
        self._records[key] = record

    def keep_account(self, wallet: WalletRecord, position: PositionRecord | None = None) -> None:
        self.keep(("wallet", wallet.account), wallet)
        if position is not None:
            self.keep(("position", position.account, position.symbol), position)

    def commit(self) -> None:
        """Make the operation durable, then tell it. If the journal fails nothing is told; the next commit does both."""
        if self._journal is not None and (self._orders or self._records or self._trades):
            orders = [OrderRecord(order) for order in self._orders.values()]
            trades = [TradeRecord(trade) for trade in self._trades]
            self._journal.write([*self._records.values(), *orders, *trades])
        says, self._says = self._says, []
        self._orders.clear()
        self._records.clear()
        self._trades.clear()
        for say in says:
            say()

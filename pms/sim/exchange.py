"""The simulated exchange as one object: what the wire calls, what feeds drive, what observers hear.

Every call is synchronous and whole: it checks, changes memory, writes the journal, and only then tells the observer,
so nothing leaves that a SIGKILL could take back. A refusal (`VenueError`) changes nothing.
Knows no HTTP, no sockets, no files and no time source: `now` is handed in.

Values passed back (`Order`) are live objects: read them before the next call, never write them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Literal, Protocol

import msgspec

from pms.sim.journal import Journal
from pms.sim.model import DepthDiff, FeedEvent, Mark, NewOrder, Order, Print, Rules, Side, Touch, Trade
from pms.sim.views import AccountView, AggTrade, Bracket, Depth, Income, Kline, PositionView


class Observer(Protocol):
    """Hears what the venue shows. Called after the journal was written, in the order in which things happened."""

    def user_event(self, account: str, event: dict[str, object]) -> None:
        """A complete user-stream payload (TRADE_LITE, ORDER_TRADE_UPDATE, ACCOUNT_UPDATE, ACCOUNT_CONFIG_UPDATE)."""
        ...

    def depth_changed(self, change: DepthDiff) -> None:
        """Levels whose *total* (external and own) changed. `first_id`..`last_id` are the change's update ids, rising and never reused; `prev_id` is the
        `last_id` of the change told before. A window's U is its first `first_id`, its u the last `last_id`, its pu the u of the window before."""
        ...

    def touch_changed(self, touch: Touch) -> None:
        """The best bid or ask (own orders included) changed in price or total. A side without any order has price and quantity 0."""
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


class Settings(msgspec.Struct, frozen=True):
    """What a deployment may choose. Rates are fractions of notional (binance.md 8, VIP 0)."""

    starting_wallet: Decimal = Decimal(1_000_000)
    maker_rate: Decimal = Decimal("0.0002")
    taker_rate: Decimal = Decimal("0.0005")


class Exchange:
    """Accounts, books and tape of every symbol in `rules`."""

    def __init__(
        self,
        rules: Mapping[str, Rules],
        now: Callable[[], int],
        observer: Observer,
        journal: Journal | None = None,
        settings: Settings = Settings(),
    ) -> None:
        """Load what the journal holds; its open orders go back into the books, at the back of their levels."""
        raise NotImplementedError

    # --- orders -----------------------------------------------------------------------------------

    def place(self, account: str, new: NewOrder, validate_only: bool = False) -> Order:
        """Accept, match and rest or end one order; the answer is its state after matching. `validate_only` (order/test) stops before matching."""
        raise NotImplementedError

    def amend(
        self,
        account: str,
        symbol: str,
        *,
        quantity: Decimal,
        price: Decimal | None,
        order_id: int | None = None,
        client_id: str | None = None,
        side: Side | None = None,
        price_match: str = "NONE",
        reduce_only: bool | None = None,
        modify_id: str | None = None,
    ) -> Order:
        """Change total quantity and price; the order goes to the back of its level (binance.md 3.3). May answer a CANCELED order. `order_id` wins."""
        raise NotImplementedError

    def cancel(self, account: str, symbol: str, *, order_id: int | None = None, client_id: str | None = None) -> Order:
        """Cancel one open order; -2011 when it is unknown or already closed."""
        raise NotImplementedError

    def cancel_all(self, account: str, symbol: str) -> list[Order]:
        """Cancel every open order of the account on the symbol, oldest first."""
        raise NotImplementedError

    def countdown(self, account: str, symbol: str, countdown_ms: int) -> None:
        """Cancel all of the symbol's orders `countdown_ms` from now unless called again; 0 stops the countdown."""
        raise NotImplementedError

    def tick(self, now: int) -> None:
        """Do what is due: countdowns that ran out, aggregate trades older than 100 ms."""
        raise NotImplementedError

    def next_due(self) -> int | None:
        """When `tick` has something to do; None when nothing waits."""
        raise NotImplementedError

    def order(self, account: str, symbol: str, *, order_id: int | None = None, client_id: str | None = None) -> Order:
        """One order, open or closed; by client id the newest. -2013 when there is none."""
        raise NotImplementedError

    def open_orders(self, account: str, symbol: str | None = None) -> list[Order]:
        """Open orders, oldest first."""
        raise NotImplementedError

    def all_orders(
        self,
        account: str,
        symbol: str | None = None,
        *,
        order_id: int | None = None,
        start: int | None = None,
        end: int | None = None,
        limit: int = 500,
    ) -> list[Order]:
        """Orders by ascending id, id >= `order_id`, created within [start, end]; the *newest* `limit` of them."""
        raise NotImplementedError

    def trades(
        self,
        account: str,
        symbol: str | None = None,
        *,
        order_id: int | None = None,
        start: int | None = None,
        end: int | None = None,
        from_id: int | None = None,
        limit: int = 500,
    ) -> list[Trade]:
        """The account's fills by ascending trade id; the *oldest* `limit` of them."""
        raise NotImplementedError

    # --- accounts ---------------------------------------------------------------------------------

    def open_account(self, account: str) -> None:
        """Know the account (its API key) from now on, with the starting wallet. Every other call does this by itself."""
        raise NotImplementedError

    def positions(self, account: str, symbol: str | None = None) -> list[PositionView]:
        """One row per symbol, flat ones included (v3 shows those with an amount or open orders)."""
        raise NotImplementedError

    def account(self, account: str) -> AccountView:
        """Wallet, margins and available balance."""
        raise NotImplementedError

    def set_leverage(self, account: str, symbol: str, leverage: int) -> PositionView:
        """-4028 outside the brackets, -2027 position too large for it, -2028 margin, -4161 lowered with an isolated position."""
        raise NotImplementedError

    def set_margin_type(self, account: str, symbol: str, margin_type: Literal["ISOLATED", "CROSSED"]) -> None:
        """-4046 already so, -4047 open orders, -4048 position."""
        raise NotImplementedError

    def dual_side(self, account: str) -> bool:
        """Always False: one-way mode only."""
        raise NotImplementedError

    def set_dual_side(self, account: str, dual: bool) -> None:
        """-4059 for False (already so); -4067, -4068 when blocked; -4084 otherwise, as hedge mode does not exist here."""
        raise NotImplementedError

    def commission_rates(self, account: str, symbol: str) -> tuple[Decimal, Decimal]:
        """Maker and taker rate."""
        raise NotImplementedError

    def income(self, account: str) -> Sequence[Income]:
        """Income rows since start, oldest first."""
        raise NotImplementedError

    def brackets(self, symbol: str) -> tuple[Bracket, ...]:
        """The symbol's leverage brackets."""
        raise NotImplementedError

    # --- market -----------------------------------------------------------------------------------

    def apply(self, event: FeedEvent) -> None:
        """Let one feed event happen: book, own fills, streams."""
        raise NotImplementedError

    def depth(self, symbol: str, limit: int = 500) -> Depth:
        """The book with own orders inside, best first."""
        raise NotImplementedError

    def touch(self, symbol: str) -> Touch:
        """Best bid and ask as last told to the observer."""
        raise NotImplementedError

    def last_price(self, symbol: str) -> Decimal:
        """Price of the newest print; 0 before the first."""
        raise NotImplementedError

    def mark(self, symbol: str) -> Mark:
        """The newest mark; before the feed gave one, built from last price or mid."""
        raise NotImplementedError

    def klines(self, symbol: str, *, start: int | None = None, end: int | None = None, limit: int = 500) -> list[Kline]:
        """One-minute candles by ascending open time, the running one last; the newest `limit`, or from `start` the oldest."""
        raise NotImplementedError

    def agg_trades(
        self,
        symbol: str,
        *,
        from_id: int | None = None,
        start: int | None = None,
        end: int | None = None,
        limit: int = 500,
    ) -> list[AggTrade]:
        """Aggregate trades by ascending id; the newest `limit`, or with `from_id` or `start` the oldest from there."""
        raise NotImplementedError

    def recent_trades(self, symbol: str, limit: int = 500) -> list[Print]:
        """The newest prints, oldest first."""
        raise NotImplementedError

"""Gathers what the risk gate must know of a sub-account, right before each order (`pms.core.limits`).

Owns the windows of the order rate and the circuits of repeated refusals. Refuses to judge. The sums are the ledger's
(`pms.core.exposure`); what is looked at here are the few symbols of one sub-account.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from decimal import Decimal

from pms.core.circuit import Circuit, Same
from pms.core.exposure import Stake
from pms.core.limits import Account, Intent
from pms.core.risk import Market as Seen
from pms.halts import Halts
from pms.ledger import Ledger
from pms.market import Market
from pms.unresolved import Unresolved
from schemas.errors import ErrorCode
from schemas.market import ZERO
from schemas.orders import Order
from schemas.records import EXTERNAL, SubAccount

MINUTE_MS = 60_000


class Allowances:
    """See the module. `blocked` names the symbols that take no new risk, with the reason, `unresolved` what a recovery
    could not resolve; with `opposing` False no sub-account may stand against another on a symbol."""

    def __init__(
        self,
        ledger: Ledger,
        market: Market,
        halts: Halts,
        blocked: Mapping[str, str],
        unresolved: Unresolved,
        now: Callable[[], int],
        opposing: bool,
    ) -> None:
        self._ledger = ledger
        self._market = market
        self._halts = halts
        self._blocked = blocked
        self._unresolved = unresolved
        self._now = now
        self._opposing = opposing
        self._placed: defaultdict[str, deque[int]] = defaultdict(deque)
        self.circuit = Circuit()

    def account(self, sub_account_id: str, intent: Intent, seen: Seen) -> Account:
        """The numbers beside which an order is judged; `seen` is its symbol's market."""
        symbol = intent.symbol
        account = self._ledger.sub_accounts[sub_account_id]
        stakes = self._ledger.exposure.of(sub_account_id)
        equity, notional, margin, live = account.balance, ZERO, ZERO, 0
        for name, stake in stakes.items():
            if not (stake.held or stake.live):
                continue
            live += stake.live
            price = (seen.mark if name == symbol else self._mark(name)) or stake.price
            equity += (price - stake.entry) * stake.held
            if name != symbol:
                worst = stake.worst * price
                notional += worst
                margin += worst / stake.leverage
        own = stakes.get(symbol, _NOTHING)
        mid = ZERO if seen.quote is None else seen.quote.mid2 * seen.instrument.tick / 2
        return Account(
            limits=account.limits,
            stopped=self._stopped(account, intent),
            equity=equity,
            mid=mid,
            reference=seen.mark or mid,
            held=own.held,
            bids=own.bids,
            asks=own.asks,
            leverage=own.leverage,
            other_notional=notional,
            other_margin=margin,
            open_orders=live,
            placed_last_minute=self._recent(sub_account_id),
            opposed=not self._opposing
            and self._ledger.exposure.opposes(sub_account_id, symbol, intent.side, apart_from=EXTERNAL),
        )

    def _mark(self, symbol: str) -> Decimal:
        """The mark price, 0 where it is not known."""
        mark = self._market.mark(symbol)
        return ZERO if mark is None else mark.price

    # --- what stands against it -------------------------------------------------------------------------

    def _stopped(self, account: SubAccount, intent: Intent) -> tuple[ErrorCode, str] | None:
        if (halt := self._halts.covering(account.id, intent.symbol)) is not None:
            return ErrorCode.HALTED, f"trading of {halt.subject or 'everything'} is halted: {halt.cause}"
        if account.status == "frozen":
            return ErrorCode.SUBACCOUNT_FROZEN, f"'{account.id}' is frozen: nothing that adds risk is sent for it"
        if account.status == "reduce":
            return ErrorCode(account.cause), f"'{account.id}' may only reduce until it is unfrozen ({account.cause})"
        if self._halts.mode == "REDUCE":
            return ErrorCode.REDUCE_ONLY_MODE, f"the account may only reduce: {self._halts.cause}"
        if (reason := self._blocked.get(intent.symbol)) is not None:
            return ErrorCode.POSITION_DRIFT, f"no new risk on {intent.symbol}: {reason}"
        if reason := self._unresolved.reason(account.id, intent.symbol):
            return ErrorCode.OUTCOME_UNKNOWN, f"'{account.id}' takes no new risk on {intent.symbol}: {reason}"
        if intent.by_algo or not intent.new:  # an algo paces itself
            return None
        wait_ms, reason = self.circuit.open(_same(account.id, intent), self._now())
        if wait_ms:
            message = f"the venue has refused the same order again and again ({reason}); it is tried in {wait_ms} ms"
            return ErrorCode.REJECTION_CIRCUIT, message
        return None

    # --- what happens -----------------------------------------------------------------------------------

    def _recent(self, sub_account_id: str) -> int:
        placed, since = self._placed[sub_account_id], self._now() - MINUTE_MS
        while placed and placed[0] <= since:
            placed.popleft()
        return len(placed)

    def placed(self, sub_account_id: str) -> None:
        """A new order that adds was approved."""
        self._placed[sub_account_id].append(self._now())

    def withdrawn(self, sub_account_id: str) -> None:
        """The newest of them was only tried."""
        self._placed[sub_account_id].pop()

    def refused(self, order: Order, reason: str) -> None:
        """The venue has refused a new order."""
        if not order.parent_id:
            self.circuit.refused(same_as(order), self._now(), reason)

    def taken(self, order: Order) -> None:
        """The venue has taken a new order."""
        self.circuit.taken(same_as(order))


_NOTHING = Stake()


def same_as(order: Order) -> Same:
    """What makes two orders the same to the circuit."""
    return order.sub_account_id, order.symbol, order.side, order.price, order.quantity


def _same(sub_account_id: str, intent: Intent) -> Same:
    return sub_account_id, intent.symbol, intent.side, intent.price, intent.quantity

"""From the journal's records back to accounts, orders and markets.

Pure: fills what it is handed. Records of symbols that are no longer listed are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from pms.sim.accounts import Account
from pms.sim.conditional import Conditionals
from pms.sim.conditional_model import ConditionalRecord
from pms.sim.funding import Funding
from pms.sim.journal import (
    FundingRecord,
    IncomeRecord,
    OrderRecord,
    PositionRecord,
    Record,
    SymbolRecord,
    TradeRecord,
    WalletRecord,
)
from pms.sim.market import Market
from pms.sim.model import Order
from pms.sim.settlement import Settlement


def restore(
    records: Iterable[Record],
    account: Callable[[str], Account],
    markets: Mapping[str, Market],
    settlement: Settlement,
    funding: Funding,
    conditionals: Conditionals,
) -> int:
    """Apply the newest record of every key; returns the highest order id. Open orders go to the back of the queues."""
    newest = 0
    resting: list[Order] = []
    for record in records:
        match record:
            case WalletRecord():
                account(record.account).restore(record)
            case PositionRecord() if record.symbol in markets:
                account(record.account).restore(record)
            case SymbolRecord() if record.symbol in markets:
                markets[record.symbol].restore(record)
            case TradeRecord() if record.trade.symbol in markets:
                account(record.trade.account).add_trade(record.trade)
            case OrderRecord() if record.order.symbol in markets:
                account(record.order.account).add_order(record.order)
                newest = max(newest, record.order.order_id)
                if record.order.is_open:
                    resting.append(record.order)
            case IncomeRecord():
                settlement.restore(record, account(record.account))
            case FundingRecord() if record.symbol in markets:
                funding.restore(record)
            case ConditionalRecord() if record.row.symbol in markets:
                conditionals.restore(record, lambda name, order_id: account(name).known(order_id))
            case _:
                continue  # of a symbol that is not listed any more
    for order in sorted(resting, key=lambda row: (row.updated_at, row.order_id)):
        markets[order.symbol].book.side(order.side).rest(order)
    return newest

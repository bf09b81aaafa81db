"""Every table of the records, by area."""

from __future__ import annotations

from pms.records.columns import Row
from pms.records.tables.accounts import Balance, Funding, SubAccount
from pms.records.tables.algos import AlgoRun
from pms.records.tables.log import Applied, Command, Event, Gap, RecoveryAction, RiskRejection
from pms.records.tables.market import ArrivalDepth, MarketSecond
from pms.records.tables.trading import Fill, Order, Position, PositionChange

TABLES: tuple[type[Row], ...] = (
    SubAccount,
    Balance,
    Funding,
    Order,
    Fill,
    Position,
    PositionChange,
    AlgoRun,
    Event,
    Command,
    RiskRejection,
    RecoveryAction,
    MarketSecond,
    ArrivalDepth,
    Applied,
    Gap,
)

__all__ = [
    "TABLES",
    "AlgoRun",
    "Applied",
    "ArrivalDepth",
    "Balance",
    "Command",
    "Event",
    "Fill",
    "Funding",
    "Gap",
    "MarketSecond",
    "Order",
    "Position",
    "PositionChange",
    "RecoveryAction",
    "RiskRejection",
    "Row",
    "SubAccount",
]

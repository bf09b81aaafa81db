"""What the state keys hold, but for orders (orders.py) and algos (one module each); contract.md, "State keys".

Refuses to know how a record changes. Times are Unix ms; amounts are in USDT unless the name says otherwise.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

import msgspec

from schemas.codec import VERSION

MAIN = "main"  # the sub-account that exists from the start
SYSTEM = "system"  # stands for a sub-account in events and request records where none can be told
EXTERNAL = "external"  # foreign orders and fills, and remainders; no command may name it
RESERVED = frozenset((SYSTEM, EXTERNAL))

# A reply as it was answered, byte for byte (contract.md, idempotency), or null: to a reader an object like any other.
Outcome = Annotated[
    msgspec.Raw,
    msgspec.Meta(extra_json_schema={"anyOf": [{"type": "object", "additionalProperties": {}}, {"type": "null"}]}),
]
NO_OUTCOME = msgspec.Raw(b"null")

TradingMode = Literal["NORMAL", "REDUCE", "HALTED"]
DaemonStatus = Literal["starting", "recovering", "gated", "open", "degraded", "stopping"]
Severity = Literal["info", "warning", "critical"]
HaltScope = Literal["all", "subAccountId", "symbol"]


class Record(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A record changed step by step: stored behind `codec.Meta`, the head of v, epoch, rev and seq, which it leaves
    free."""


class Put(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A record written whole, without history: it carries its `v` itself."""

    v: int = VERSION


class Part(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A part of a record."""


class Limits(Part, frozen=True, kw_only=True, omit_defaults=True):
    """What a sub-account may do; a limit left out is not set. Each is enforced with the risk code of its name
    (errors.py)."""

    max_order_notional: Decimal | None = None
    max_total_notional: Decimal | None = None
    max_position: Decimal | None = None
    max_open_orders: int | None = None
    max_leverage: int | None = None
    max_daily_loss: Decimal | None = None
    max_drawdown_pct: Decimal | None = None
    max_orders_per_minute: int | None = None
    price_collar_pct: Decimal | None = None


class SubAccount(Record, frozen=True, kw_only=True):
    """`pms:subaccount:{acct}`. `tag` stands in its order ids (ids.tag_of). `reduce`: it lost as much as its limits
    allow, or its margin ran out (`cause` is the risk code), and it may only reduce, until it is unfrozen like a frozen
    one."""

    id: str
    name: str
    tag: str
    status: Literal["active", "reduce", "frozen"] = "active"
    cause: str = ""
    initial_balance: Decimal
    balance: Decimal
    limits: Limits = Limits()
    created_at: int


class Price(Put, frozen=True, kw_only=True):
    """`pms:price:{SYMBOL}`: the touch as it is, our own orders included. `source` is where it came from (execution.md
    27)."""

    bid: Decimal
    ask: Decimal
    mid: Decimal
    mark: Decimal
    bid_qty: Decimal
    ask_qty: Decimal
    ts: int
    source: Literal["depth", "bookTicker", "markPrice", "premiumIndex"]


class Halt(Part, frozen=True, kw_only=True):
    """One halt in force. `subject` is the sub-account or the symbol, "" for all. `keep_orders`: what rested stays."""

    scope: HaltScope
    subject: str = ""
    since: int
    cause: str
    keep_orders: bool = False


class Mode(Record, frozen=True, kw_only=True):
    """`pms:mode`: survives a restart."""

    mode: TradingMode = "NORMAL"
    cause: str = ""
    halts: tuple[Halt, ...] = ()
    updated_at: int = 0


class Applied(Part, frozen=True, kw_only=True):
    """The newest of one symbol that is booked. What was traded until `accepted_at` stands in the books by
    `drift_accept`, with or without a record."""

    trade_time: int = 0
    trade_id: int = 0
    income_time: int = 0
    accepted_at: int = 0


class Watermark(Record, frozen=True, kw_only=True):
    """`pms:watermark`. `income_time` of a symbol is its newest booked funding; `income_time` here that of all other
    income (transfers, rebates), with the ids of the newest rows, since late ones come with older times. `since`: first
    contact; what was before stands in the opening balances. `consent_at`: when somebody agreed to the plan at first
    contact with the account (execution.md 24)."""

    symbols: dict[str, Applied] = {}
    since: int = 0
    income_time: int = 0
    income_ids: tuple[str, ...] = ()
    consent_at: int = 0


class Alarm(Put, frozen=True, kw_only=True):
    """One open alarm: `pms:alarms`, field `code:subject`."""

    code: str
    severity: Severity
    subject: str
    message: str
    since: int


class Commit(Put, frozen=True, kw_only=True):
    """`pms:records`: how far the events are in SQL."""

    epoch: int
    seq: int
    ts: int


class Health(Put, frozen=True, kw_only=True):
    """`pms:health`. `stream_ages_ms` by stream name; `dead_man` by symbol: when the venue last *confirmed* the
    timer."""

    mode: TradingMode
    status: DaemonStatus
    reason: str = ""
    seq: int
    epoch: int
    ts: int
    stream_ages_ms: dict[str, int] = {}
    clock_offset_ms: int = 0
    rate_budget: dict[str, int] = {}
    dead_man: dict[str, int] = {}
    counts: dict[str, int] = {}
    blocked: tuple[str, ...] = ()
    version: str


class Request(Put, frozen=True, kw_only=True):
    """`pms:request:{acct}:{requestId}`: that a command was accepted, and what came of it (null: not yet known).

    `ids` are those allocated at acceptance, so that a repeat after a crash finds what the first one made.
    """

    command_type: str
    body_hash: str
    accepted_at: int
    ids: dict[str, str] = {}
    outcome: Outcome = NO_OUTCOME

    @property
    def answered(self) -> bool:
        return bytes(self.outcome) != bytes(NO_OUTCOME)


class Holder(msgspec.Struct, frozen=True, rename="camel"):
    """One process for all time: pids return after a wrap, and every container has its own pid 1 (execution.md 19)."""

    host: str
    boot_id: str
    pid_namespace: str
    pid: int
    started: int  # clock ticks after boot

    def __str__(self) -> str:
        return f"pid {self.pid} on {self.host}"


class Lease(Holder, frozen=True, kw_only=True, rename="camel"):
    """`pms:lease` while it is held: by whom, under which epoch."""

    epoch: int


class LeaseReleased(Part, frozen=True, kw_only=True):
    """`pms:lease` after a clean release, kept without a lifetime: the next daemon need not wait."""

    epoch: int
    released: Literal[True] = True


class RecoveryStep(Part, frozen=True, kw_only=True):
    """One action of a recovery run, with the evidence for it."""

    action: str
    subject: str
    evidence: str
    outcome: str = ""


class RecoveryRun(Put, frozen=True, kw_only=True):
    """`pms:recovery:last`: plan and outcome of the last run. `unresolved` names what is blocked; `gated`: nobody has
    agreed to trading on this live account yet (execution.md 24)."""

    cause: str
    started_at: int
    finished_at: int = 0
    steps: tuple[RecoveryStep, ...] = ()
    unresolved: tuple[str, ...] = ()
    gated: bool = False


class DeadLetter(Put, frozen=True, kw_only=True):
    """One entry of `pms:cmd:dead`: input that could not be decoded, cut to a bounded length."""

    door: str
    body: str
    reason: str
    at: int


class Quarantined(Put, frozen=True, kw_only=True):
    """`pms:quarantine:{key}`: a damaged record as it was found."""

    key: str
    body: str
    reason: str
    at: int

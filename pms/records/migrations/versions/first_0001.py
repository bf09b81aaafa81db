"""The tables as they were first. Frozen: what changes later gets a migration of its own."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision: str | None = None
branch_labels = None
depends_on = None

TABLES = (
    *"sub_accounts balances funding orders fills positions position_changes algo_runs events commands".split(),
    *"risk_rejections recovery_actions market_seconds arrival_depths applied gaps".split(),
)
STATEMENTS = (
    """
    CREATE TABLE sub_accounts (
        id TEXT NOT NULL, name TEXT, tag TEXT, status TEXT, initial_balance NUMERIC, balance NUMERIC, equity NUMERIC,
        margin_used NUMERIC, available_margin NUMERIC, limits JSONB, first_seen_at TIMESTAMPTZ NOT NULL, updated_at
        TIMESTAMPTZ NOT NULL, epoch BIGINT NOT NULL, seq BIGINT NOT NULL, CONSTRAINT pk_sub_accounts PRIMARY KEY (id)
    )
    """,
    """
    CREATE TABLE balances (
        seq BIGINT NOT NULL, epoch BIGINT NOT NULL, ts TIMESTAMPTZ NOT NULL, sub_account_id TEXT NOT NULL, balance
        NUMERIC NOT NULL, equity NUMERIC NOT NULL, margin_used NUMERIC NOT NULL, available_margin NUMERIC NOT NULL,
        CONSTRAINT pk_balances PRIMARY KEY (seq)
    )
    """,
    "CREATE INDEX ix_balances_sub_account_id_ts ON balances (sub_account_id, ts)",
    """
    CREATE TABLE funding (
        seq BIGINT NOT NULL, epoch BIGINT NOT NULL, ts TIMESTAMPTZ NOT NULL, sub_account_id TEXT NOT NULL, position_id
        TEXT NOT NULL, symbol TEXT NOT NULL, due_at TIMESTAMPTZ NOT NULL, rate NUMERIC NOT NULL, mark_price NUMERIC
        NOT NULL, quantity NUMERIC NOT NULL, amount NUMERIC NOT NULL, CONSTRAINT pk_funding PRIMARY KEY (seq)
    )
    """,
    "CREATE INDEX ix_funding_sub_account_id_due_at ON funding (sub_account_id, due_at)",
    """
    CREATE TABLE orders (
        client_order_id TEXT NOT NULL, exchange_order_id BIGINT NOT NULL, sub_account_id TEXT NOT NULL, symbol TEXT
        NOT NULL, side TEXT NOT NULL, order_type TEXT NOT NULL, time_in_force TEXT NOT NULL, quantity NUMERIC NOT
        NULL, price NUMERIC NOT NULL, reduce_only BOOLEAN NOT NULL, state TEXT NOT NULL, filled_qty NUMERIC NOT NULL,
        avg_fill_price NUMERIC NOT NULL, commission NUMERIC NOT NULL, commission_asset TEXT NOT NULL, origin TEXT NOT
        NULL, parent_id TEXT NOT NULL, root_id TEXT NOT NULL, request_id TEXT NOT NULL, reason TEXT NOT NULL, amends
        BIGINT NOT NULL, first_price NUMERIC NOT NULL, decision_bid NUMERIC, decision_ask NUMERIC, decision_age_ms
        BIGINT, decision_book_seq BIGINT, created_at TIMESTAMPTZ NOT NULL, placed_at TIMESTAMPTZ NOT NULL, updated_at
        TIMESTAMPTZ NOT NULL, ended_at TIMESTAMPTZ, epoch BIGINT NOT NULL, seq BIGINT NOT NULL, CONSTRAINT pk_orders
        PRIMARY KEY (client_order_id)
    )
    """,
    "CREATE INDEX ix_orders_root_id ON orders (root_id)",
    "CREATE INDEX ix_orders_sub_account_id_placed_at ON orders (sub_account_id, placed_at)",
    "CREATE INDEX ix_orders_symbol_placed_at ON orders (symbol, placed_at)",
    """
    CREATE TABLE fills (
        symbol TEXT NOT NULL, exchange_order_id BIGINT NOT NULL, trade_id BIGINT NOT NULL, client_order_id TEXT NOT
        NULL, sub_account_id TEXT NOT NULL, side TEXT NOT NULL, price NUMERIC NOT NULL, quantity NUMERIC NOT NULL,
        commission NUMERIC, commission_asset TEXT NOT NULL, maker BOOLEAN NOT NULL, origin TEXT NOT NULL, parent_id
        TEXT NOT NULL, root_id TEXT NOT NULL, ts TIMESTAMPTZ NOT NULL, epoch BIGINT NOT NULL, seq BIGINT NOT NULL,
        CONSTRAINT pk_fills PRIMARY KEY (symbol, exchange_order_id, trade_id)
    )
    """,
    "CREATE INDEX ix_fills_client_order_id ON fills (client_order_id)",
    "CREATE INDEX ix_fills_root_id ON fills (root_id)",
    "CREATE INDEX ix_fills_sub_account_id_ts ON fills (sub_account_id, ts)",
    """
    CREATE TABLE positions (
        position_id TEXT NOT NULL, sub_account_id TEXT NOT NULL, symbol TEXT NOT NULL, side TEXT NOT NULL, entry_price
        NUMERIC NOT NULL, quantity NUMERIC NOT NULL, notional NUMERIC NOT NULL, margin NUMERIC NOT NULL, leverage
        BIGINT NOT NULL, liquidation_price NUMERIC NOT NULL, realized_pnl NUMERIC NOT NULL, closing_fees NUMERIC NOT
        NULL, opened_at TIMESTAMPTZ NOT NULL, updated_at TIMESTAMPTZ NOT NULL, closed_at TIMESTAMPTZ, epoch BIGINT NOT
        NULL, seq BIGINT NOT NULL, CONSTRAINT pk_positions PRIMARY KEY (position_id)
    )
    """,
    "CREATE INDEX ix_positions_sub_account_id_symbol ON positions (sub_account_id, symbol)",
    """
    CREATE TABLE position_changes (
        seq BIGINT NOT NULL, epoch BIGINT NOT NULL, ts TIMESTAMPTZ NOT NULL, type TEXT NOT NULL, position_id TEXT NOT
        NULL, sub_account_id TEXT NOT NULL, symbol TEXT NOT NULL, side TEXT NOT NULL, entry_price NUMERIC NOT NULL,
        quantity NUMERIC NOT NULL, notional NUMERIC NOT NULL, margin NUMERIC NOT NULL, leverage BIGINT NOT NULL,
        liquidation_price NUMERIC NOT NULL, request_id TEXT NOT NULL, closed_qty NUMERIC, realized_pnl NUMERIC, fee
        NUMERIC, close_price NUMERIC, CONSTRAINT pk_position_changes PRIMARY KEY (seq)
    )
    """,
    "CREATE INDEX ix_position_changes_position_id ON position_changes (position_id)",
    "CREATE INDEX ix_position_changes_sub_account_id_ts ON position_changes (sub_account_id, ts)",
    """
    CREATE TABLE algo_runs (
        algo_id TEXT NOT NULL, kind TEXT NOT NULL, sub_account_id TEXT NOT NULL, symbol TEXT, side TEXT, quantity
        NUMERIC, filled_quantity NUMERIC, avg_price NUMERIC, status TEXT NOT NULL, reason TEXT NOT NULL, request_id
        TEXT NOT NULL, started_at TIMESTAMPTZ NOT NULL, updated_at TIMESTAMPTZ NOT NULL, ended_at TIMESTAMPTZ, state
        JSONB NOT NULL, epoch BIGINT NOT NULL, seq BIGINT NOT NULL, CONSTRAINT pk_algo_runs PRIMARY KEY (algo_id)
    )
    """,
    "CREATE INDEX ix_algo_runs_kind_started_at ON algo_runs (kind, started_at)",
    "CREATE INDEX ix_algo_runs_sub_account_id_started_at ON algo_runs (sub_account_id, started_at)",
    """
    CREATE TABLE events (
        ts TIMESTAMPTZ NOT NULL, seq BIGINT NOT NULL, epoch BIGINT NOT NULL, type TEXT NOT NULL, sub_account_id TEXT
        NOT NULL, request_id TEXT NOT NULL, payload JSONB NOT NULL, CONSTRAINT pk_events PRIMARY KEY (ts, seq)
    ) PARTITION BY RANGE (ts)
    """,
    "CREATE INDEX ix_events_seq ON events (seq)",
    "CREATE INDEX ix_events_type_ts ON events (type, ts)",
    """
    CREATE TABLE commands (
        seq BIGINT NOT NULL, epoch BIGINT NOT NULL, ts TIMESTAMPTZ NOT NULL, request_id TEXT NOT NULL, sub_account_id
        TEXT NOT NULL, command_type TEXT NOT NULL, success BOOLEAN NOT NULL, error TEXT, error_code TEXT,
        error_category TEXT, retryable BOOLEAN, reply JSONB NOT NULL, CONSTRAINT pk_commands PRIMARY KEY (seq)
    )
    """,
    "CREATE INDEX ix_commands_request_id ON commands (request_id)",
    "CREATE INDEX ix_commands_sub_account_id_ts ON commands (sub_account_id, ts)",
    """
    CREATE TABLE risk_rejections (
        seq BIGINT NOT NULL, epoch BIGINT NOT NULL, ts TIMESTAMPTZ NOT NULL, sub_account_id TEXT NOT NULL, request_id
        TEXT NOT NULL, reason_code TEXT NOT NULL, layer TEXT NOT NULL, limit_value NUMERIC NOT NULL, value NUMERIC NOT
        NULL, symbol TEXT NOT NULL, side TEXT NOT NULL, order_type TEXT NOT NULL, time_in_force TEXT NOT NULL,
        quantity NUMERIC NOT NULL, price NUMERIC NOT NULL, reduce_only BOOLEAN NOT NULL, parent_id TEXT NOT NULL,
        CONSTRAINT pk_risk_rejections PRIMARY KEY (seq)
    )
    """,
    "CREATE INDEX ix_risk_rejections_sub_account_id_ts ON risk_rejections (sub_account_id, ts)",
    """
    CREATE TABLE recovery_actions (
        seq BIGINT NOT NULL, epoch BIGINT NOT NULL, ts TIMESTAMPTZ NOT NULL, sub_account_id TEXT NOT NULL, action TEXT
        NOT NULL, subject TEXT NOT NULL, symbol TEXT NOT NULL, evidence TEXT NOT NULL, outcome TEXT NOT NULL,
        CONSTRAINT pk_recovery_actions PRIMARY KEY (seq)
    )
    """,
    "CREATE INDEX ix_recovery_actions_subject ON recovery_actions (subject)",
    """
    CREATE TABLE market_seconds (
        symbol TEXT NOT NULL, ts TIMESTAMPTZ NOT NULL, bid NUMERIC NOT NULL, ask NUMERIC NOT NULL, bid_qty NUMERIC NOT
        NULL, ask_qty NUMERIC NOT NULL, trades BIGINT NOT NULL, buy_quantity NUMERIC NOT NULL, sell_quantity NUMERIC
        NOT NULL, notional NUMERIC NOT NULL, high NUMERIC NOT NULL, low NUMERIC NOT NULL, last NUMERIC NOT NULL,
        CONSTRAINT pk_market_seconds PRIMARY KEY (symbol, ts)
    ) PARTITION BY RANGE (ts)
    """,
    """
    CREATE TABLE arrival_depths (
        parent_id TEXT NOT NULL, ts TIMESTAMPTZ NOT NULL, sub_account_id TEXT NOT NULL, symbol TEXT NOT NULL, side
        TEXT NOT NULL, quantity NUMERIC NOT NULL, update_id BIGINT NOT NULL, bids JSONB NOT NULL, asks JSONB NOT NULL,
        CONSTRAINT pk_arrival_depths PRIMARY KEY (parent_id)
    )
    """,
    """
    CREATE TABLE applied (
        namespace TEXT NOT NULL, epoch BIGINT NOT NULL, seq BIGINT NOT NULL, ts TIMESTAMPTZ NOT NULL, market_id TEXT
        NOT NULL, CONSTRAINT pk_applied PRIMARY KEY (namespace)
    )
    """,
    """
    CREATE TABLE gaps (
        from_seq BIGINT NOT NULL, to_seq BIGINT NOT NULL, found_at TIMESTAMPTZ NOT NULL, CONSTRAINT pk_gaps PRIMARY
        KEY (from_seq)
    )
    """,
)


def upgrade() -> None:
    """Make them."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Drop them, partitions and all."""
    for name in TABLES:
        op.execute(f"DROP TABLE {name}")

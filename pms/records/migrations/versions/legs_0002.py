"""The depth that each leg of a basket met: legs share their parent, so that it alone names no row."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision: str | None = "0001"
branch_labels = None
depends_on = None

UP = (
    "ALTER TABLE arrival_depths DROP CONSTRAINT pk_arrival_depths",
    "ALTER TABLE arrival_depths ADD CONSTRAINT pk_arrival_depths PRIMARY KEY (parent_id, symbol, side)",
)
DOWN = (
    "DELETE FROM arrival_depths a USING arrival_depths b WHERE a.parent_id = b.parent_id AND a.ctid > b.ctid",
    "ALTER TABLE arrival_depths DROP CONSTRAINT pk_arrival_depths",
    "ALTER TABLE arrival_depths ADD CONSTRAINT pk_arrival_depths PRIMARY KEY (parent_id)",
)


def upgrade() -> None:
    """Name a row by its leg."""
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    """Keep the first leg's."""
    for statement in DOWN:
        op.execute(statement)

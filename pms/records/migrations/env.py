"""What Alembic runs for each of its commands: on the connection that it is given, in that connection's transaction."""

from __future__ import annotations

from alembic import context

from pms.records.tables import Row

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Row.metadata,
    version_table="records_version",
    compare_server_default=True,
)
context.run_migrations()

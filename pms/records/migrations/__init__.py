"""Alembic's migrations of the records; `schema` runs them."""

"""Database addresses as Prisma and others write them."""

from __future__ import annotations

import pytest

from pms.config import ConfigError
from pms.records import address

FRONTENDS = "postgresql://postgres:postgres@localhost:55432/postgres?connection_limit=10&pool_timeout=10"


def test_a_frontends_own_address_is_taken_verbatim() -> None:
    read = address.read(FRONTENDS)
    assert read.dsn == "postgresql://postgres:postgres@localhost:55432/postgres"
    assert (read.connections, read.wait_s, read.schema, read.prepared) == (10, 10, "public", True)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_every_usual_scheme_is_the_same(scheme: str) -> None:
    assert address.read(f"{scheme}://u:p@h/d").dsn == "postgresql://u:p@h/d"


def test_prismas_words_are_understood_and_libpqs_go_on() -> None:
    read = address.read("postgres://u@h/d?schema=pms&pgbouncer=true&connect_timeout=3&sslmode=require&host=%2Frun%2Fpg")
    assert read.dsn == "postgresql://u@h/d?sslmode=require&host=%2Frun%2Fpg"
    assert (read.schema, read.prepared, read.connect_s) == ("pms", False, 3)


def test_what_is_shown_has_neither_user_nor_password() -> None:
    read = address.read("postgresql://user:hidden@db:5432/records?schema=pms")
    assert (read.shown, str(read)) == ("db:5432/records", "Address(db:5432/records)")
    assert address.read("postgresql://pms@/postgres?host=/run/pg").shown == "/run/pg/postgres"


@pytest.mark.parametrize("text", ["mysql://u:hidden@h/d", "file:./dev.db", "postgresql://u:hidden@h:x/d", "hidden"])
def test_what_is_no_postgres_address_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ConfigError, match="no Postgres address") as refused:
        address.read(text)
    assert "hidden" not in str(refused.value)


def test_a_number_that_is_none_is_named() -> None:
    with pytest.raises(ConfigError, match="pool_timeout in PMS_DATABASE_URL is 'soon'"):
        address.read("postgresql://u@h/d?pool_timeout=soon")

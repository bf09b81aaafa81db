"""A database address as other tools write it, in the form that our driver takes.

Owns what Prisma, SQLAlchemy and libpq write differently. Refuses to connect, and to show an address: it has a password.
"""

from __future__ import annotations

from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import msgspec

from pms.config import ConfigError

SCHEMES = ("postgres", "postgresql", "postgresql+asyncpg")
DEFAULT_SCHEMA = "public"
DEFAULT_TIMEOUT_S = 10  # of connecting
# Words of Prisma's own that the driver does not know; the first four mean something to us.
_PRISMA = frozenset(
    "connection_limit pool_timeout schema pgbouncer connect_timeout socket_timeout sslidentity sslaccept sslpassword "
    "statement_cache_size max_idle_connection_lifetime".split()
)


class Address(msgspec.Struct, frozen=True):
    """Where the records are kept. `connections`: how many a reader may open, `wait_s` how long it waits for one."""

    dsn: str
    schema: str = DEFAULT_SCHEMA
    connections: int = 10
    wait_s: int = 10
    connect_s: int = DEFAULT_TIMEOUT_S
    prepared: bool = True

    def __repr__(self) -> str:
        return f"Address({self.shown})"

    @property
    def shown(self) -> str:
        """Host and database, without user and password."""
        parts = urlsplit(self.dsn)
        host = dict(parse_qsl(parts.query)).get("host") or parts.netloc.rpartition("@")[2]
        return f"{host}{parts.path}"


def read(text: str) -> Address:
    """The address from a URL. Raises `ConfigError`, which does not show it."""
    try:
        parts = urlsplit(text)
        good = parts.scheme in SCHEMES and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise ConfigError(
            "PMS_DATABASE_URL is no Postgres address (not shown, it may have a password). Set postgresql://user:"
            "password@host:port/database, with / @ : # of the password percent-encoded."
        )
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    numbers = {name: _number(options, name) for name in ("connection_limit", "pool_timeout", "connect_timeout")}
    kept = {name: value for name, value in options.items() if name not in _PRISMA}
    query = urlencode(kept, quote_via=quote)
    return Address(
        dsn=urlunsplit(("postgresql", parts.netloc, parts.path, query, "")),
        schema=options.get("schema") or DEFAULT_SCHEMA,
        connections=numbers["connection_limit"] or 10,
        wait_s=numbers["pool_timeout"] or 10,
        connect_s=numbers["connect_timeout"] or DEFAULT_TIMEOUT_S,
        prepared=options.get("pgbouncer", "false") != "true" and options.get("statement_cache_size") != "0",
    )


def _number(options: dict[str, str], name: str) -> int:
    text = options.get(name, "0")
    if not text.isdecimal():
        raise ConfigError(f"{name} in PMS_DATABASE_URL is '{text}'. Set it to a whole number.")
    return int(text)

"""`pms report`: how well orders were executed, in the terminal, as JSON, or as one HTML file.

Owns the words typed and where it goes. Refuses to compute (pms.report) and to write SQL.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from pms import config, exits
from pms.clock import Clock, SystemClock
from pms.records import address, postgres
from pms.records.columns import instant, unix_ms
from pms.records.database import UNUSABLE, Away, engine_of, open_connection
from pms.report import page, text
from pms.report.facts import Facts
from pms.report.measures import measure
from pms.report.read import Asked, Reader
from pms.report.totals import by_day, by_week, together
from schemas import codec

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `pms report`."""
    add = parser.add_argument
    add("--since", default="7d", metavar="WHEN", help="36h, 7d, 4w, or a date and time (UTC); default 7d")
    add("--sub-account", default="", metavar="ID", help="of one sub-account only")
    add("--html", type=Path, metavar="FILE", help="write a page with charts into FILE")
    add("--json", action="store_true", help="every figure as one JSON object")
    add("--taker-bps", type=Decimal, metavar="BPS", help="the fee of taking; default: what was paid last, or 5")


def main(args: argparse.Namespace) -> int:
    """Read, judge, show."""
    reach, clock = config.reach(), SystemClock()
    url = reach.database_url.reveal() or postgres.url_of(reach.data_dir)
    if not url:
        return _refused("There are no records: PMS_DATABASE_URL is not set, and no private Postgres ran here.")
    try:
        since = since_of(args.since, clock)
    except ValueError as error:
        return _refused(str(error), exits.USAGE)
    try:
        facts = asyncio.run(_read(address.read(url), Asked(since, args.sub_account)))
    except Away as error:
        return _refused(f"The records can't be read: {error}. Is `pms up` running, or PMS_DATABASE_URL right?")
    return _show(args, facts, since, clock.now_ms())


def since_of(words: str, clock: Clock) -> datetime:
    """A point in time from what was typed. Raises ValueError with a sentence."""
    if found := re.fullmatch(r"(\d{1,5})([mhdw])", words):
        return instant(clock.now_ms()) - timedelta(**{_UNITS[found[2]]: int(found[1])})
    try:
        at = datetime.fromisoformat(words)
    except ValueError:
        raise ValueError(f"--since {words} is no time: write 36h, 7d or 2026-11-20T08:00.") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


async def _read(where: address.Address, asked: Asked) -> Facts:
    engine = engine_of(where)
    connection = await open_connection(engine)
    try:
        return await Reader(connection).facts(asked)
    except UNUSABLE as error:
        raise Away(f"{type(error).__name__}: {str(error).splitlines()[0]}") from error
    finally:
        await connection.close()
        await engine.dispose()


def _show(args: argparse.Namespace, facts: Facts, since: datetime, now: int) -> int:
    taker = facts.taker_bps if args.taker_bps is None else args.taker_bps
    measured = [measure(parent, tape, taker) for parent, tape in facts.parents]
    days, weeks = by_day(measured, facts.refused), by_week(measured, facts.refused)
    every = together("all", measured, facts.refused)
    if args.html is not None:
        args.html.write_text(page.page(facts, measured, days, weeks, every, now, unix_ms(since)))
        print(f"{args.html}: {len(measured)} orders", file=sys.stderr)
    if args.json:
        told: dict[str, Any] = {"since": unix_ms(since), "takerBps": taker, "orders": measured}
        print(codec.encode(told | {"days": days, "weeks": weeks, "all": every}).decode())
    elif args.html is None:
        print(text.report(measured, days, weeks, every))
    return exits.OK


def _refused(message: str, code: int = exits.UNAVAILABLE) -> int:
    print(f"{message} (exit code {code})", file=sys.stderr)
    return code

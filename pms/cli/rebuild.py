"""`pms rebuild`: the event log replayed into empty tables and held against what is there.

Owns the words and the exit code: 0 where all agrees, 1 where anything differs. Refuses to compare: that is
pms.records.rebuild's.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

import msgspec

from pms import config, exits, log
from pms.bus.batch import Gone
from pms.bus.caller import Caller
from pms.bus.link import Refusal, WireLink
from pms.cli import wire
from pms.records import address, postgres, rebuild
from pms.records.database import Away, Held
from pms.records.rebuild import Verdict
from pms.records.replay import Difference
from pms.records.source import Source
from schemas.codec import Newer
from schemas.keys import Keys

_SHOWN = 60  # characters of a value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `pms rebuild`."""
    add = parser.add_argument
    add("--check", action="store_true", help="compare only; without it the tables are put right (stop `pms records`)")
    add("--json", action="store_true", help="the verdict with every difference as one JSON object")


def main(args: argparse.Namespace) -> int:
    """Compare, print each difference, and say the verdict."""
    log.configure(config.log_format())
    reach = config.reach()
    url = reach.database_url.reveal() or postgres.url_of(reach.data_dir)
    if not url:
        return _refused("There are no records: PMS_DATABASE_URL is not set, and no private Postgres ran here.")
    try:
        redis_url, keys = wire.find()
        verdict = asyncio.run(_compared(address.read(url), redis_url, keys, reach.data_dir, repair=not args.check))
    except Held as error:
        return _refused(
            f"Nothing was compared: {error}. End it first, or look only: pms rebuild --check", exits.LEASE_HELD
        )
    except (Away, Gone, Refusal, wire.Unreachable) as error:
        return _refused(f"Nothing was compared: {error}")
    except Newer as error:
        return _refused(f"Nothing was compared: {error}", exits.NEWER_DATA)
    if args.json:
        print(msgspec.json.encode(verdict).decode())
    else:
        print("\n".join([*map(line, verdict.differences), summary(verdict)]))
    return exits.NO if verdict.differences else exits.OK


async def _compared(where: address.Address, redis_url: str, keys: Keys, data: Path, repair: bool) -> Verdict:
    caller, source = Caller(WireLink(redis_url)), Source(Caller(WireLink(redis_url)), keys, data)
    try:
        return await rebuild.rebuild(where, caller, source, keys, repair)
    finally:
        source.close()
        caller.close()


def line(found: Difference) -> str:
    """One difference in one line."""
    at = f" {found.column}" if found.column else ""
    key = f" {found.key}" if found.key else ""
    return f"{found.where}{key}{at}: is {_shown(found.stands)}, by the log {_shown(found.replayed)}"


def _shown(value: object) -> str:
    if value is None:
        return "not there"
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def summary(verdict: Verdict) -> str:
    """The verdict in a sentence."""
    log_ = f"{verdict.events} events ({verdict.first} to {verdict.last}) were replayed, {verdict.records} records read"
    moved = f", {verdict.moved} of them in motion and not judged" if verdict.moved else ""
    if not verdict.differences:
        return f"{log_}{moved}: tables and state keys are what the log says."
    done = " The tables were put right; state keys are the daemon's, and were not touched." if verdict.put_right else ""
    return f"{log_}{moved}: {len(verdict.differences)} differences.{done}"


def _refused(message: str, code: int = exits.UNAVAILABLE) -> int:
    print(f"{message} (exit code {code})", file=sys.stderr)
    return code

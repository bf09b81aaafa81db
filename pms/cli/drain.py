"""`pms drain`: the daemon on this machine takes no new entries, lets what runs finish, and then stops with code 0.

Owns finding the daemon's process by the lease. Refuses to stop it by force: `pms halt` and SIGTERM are for that.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys
import typing
from typing import Any

import msgspec

from pms import exits
from pms.bus import host
from pms.cli import wire
from pms.cli.feed import read
from schemas.keys import AlgoKind, Keys
from schemas.records import Lease

_LOOK_S = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `pms drain`."""
    parser.add_argument("--wait", action="store_true", help="return when the daemon has stopped")


def main(args: argparse.Namespace) -> int:
    """Begin it; returns 0 where the daemon was told."""
    try:
        url, keys = wire.find()
        redis = wire.Redis(url)
        holder = _holder(redis, keys)
        if holder is None or host.is_dead(holder, host.this_process()):
            print("No daemon holds this account; nothing was done.", file=sys.stderr)
            return exits.UNAVAILABLE
        if not _is_here(holder):
            print(f"The daemon runs on {holder.host}; say `pms drain` there. Nothing was done.", file=sys.stderr)
            return exits.UNAVAILABLE
        os.kill(holder.pid, signal.SIGUSR1)
        waited = _running(redis, keys)
        print(f"It takes no new entries and stops when these have ended: {', '.join(waited) or 'none'}.")
        if args.wait:
            _wait(redis, keys, holder)
            print("It has stopped.")
    except (wire.Unreachable, wire.Refused) as error:
        print(error, file=sys.stderr)
        return exits.UNAVAILABLE
    except PermissionError:
        print("The daemon is another user's process; say it as that user. Nothing was done.", file=sys.stderr)
        return exits.NO
    return exits.OK


def _holder(redis: wire.Redis, keys: Keys) -> Lease | None:
    text = redis.call("GET", keys.lease)
    if text is None or msgspec.json.decode(text).get("released"):
        return None
    return msgspec.json.decode(text, type=Lease)


def _is_here(holder: Lease) -> bool:
    me = host.this_process()
    return (holder.host, holder.boot_id, holder.pid_namespace) == (me.host, me.boot_id, me.pid_namespace)


def _running(redis: wire.Redis, keys: Keys) -> list[str]:
    """The ids of the algos that are waited for: all but protection, and children with their parents."""
    patterns = [*(keys.active(kind, "*") for kind in typing.get_args(AlgoKind)), keys.active_plugins("*")]
    names = [key for pattern in patterns for key in sorted(redis.scan(pattern))]
    found = [(name, read(body)) for key in names for name, body in redis.rows(key).items()]
    return [name for name, record in found if not (record.get("parentId") or _protects(record))]


def _protects(record: dict[str, Any]) -> bool:
    return "trailStopId" in record or bool(record.get("params", {}).get("reduceOnly"))


def _wait(redis: wire.Redis, keys: Keys, holder: Lease) -> None:
    """Until the lease is another's or nobody's, or Redis, where it is the daemon's own child, has gone with it."""
    while True:
        try:
            now = _holder(redis, keys)
        except wire.Unreachable:
            return
        if now is None or now.epoch != holder.epoch or host.is_dead(holder, host.this_process()):
            return
        select.select((), (), (), _LOOK_S)

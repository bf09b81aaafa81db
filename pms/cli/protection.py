"""`pms protection`: what protects each position, where it lives, and what would happen if the daemon died now.

Reads the state keys only.
"""

from __future__ import annotations

import argparse
import sys

from pms import exits
from pms.cli import protected, wire
from pms.cli.feed import Event, read
from schemas import codec
from schemas.keys import Keys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `pms protection`."""
    parser.add_argument("--json", action="store_true", help="print the positions as one JSON array")


def main(args: argparse.Namespace) -> int:
    """Print every position with what closes it by price."""
    try:
        url, keys = wire.find()
        redis = wire.Redis(url)
        found = of(redis, keys)
        body = redis.call("GET", keys.health)
        redis.close()
    except (wire.Unreachable, wire.Refused) as error:
        print(error, file=sys.stderr)
        return exits.UNAVAILABLE
    if args.json:
        print(codec.encode(found).decode())
    else:
        print(protected.text(found, None if body is None else read(body)))
    return exits.OK


def of(redis: wire.Redis, keys: Keys) -> list[protected.Protected]:
    """From the state keys."""
    algos = [*_rows(redis, keys.active("trail_stop", "*")), *_rows(redis, keys.active_plugins("*"))]
    held = [row for row in algos if "trailStopId" in row or "protectionId" in row]
    return protected.of(_rows(redis, keys.position("*")), _rows(redis, keys.open_orders("*")), held)


def _rows(redis: wire.Redis, pattern: str) -> list[Event]:
    return [read(body) for key in sorted(redis.scan(pattern)) for body in redis.rows(key).values()]

"""`pms tail`: events as they happen, none missing and none twice, also over lost connections. Reads only."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from pms import exits
from pms.cli import lines, wire
from pms.cli.feed import Feed, read

_WAIT_S = 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `pms tail`."""
    add = parser.add_argument
    add("--from", dest="since", type=int, metavar="SEQ", help="begin with the events after this number; 0: all kept")
    add("--type", nargs="+", default=[], metavar="WORD", help="only types that begin with one of these")
    add("--count", type=int, default=0, metavar="N", help="end after so many")
    add("--json", action="store_true", help="the events' own bytes, one a line")


def main(args: argparse.Namespace) -> int:
    """Print until Ctrl-C."""
    try:
        url, keys = wire.find()
        feed = Feed(url, keys, args.since)
    except (wire.Unreachable, wire.Refused) as error:
        print(error, file=sys.stderr)
        return exits.UNAVAILABLE
    shown = 0
    for body in _bodies(feed):
        event = read(body)
        if args.type and not event["type"].startswith(tuple(args.type)):
            continue
        print(body.decode() if args.json else lines.event(event), flush=True)
        shown += 1
        if shown == args.count:
            break
    return exits.OK


def _bodies(feed: Feed) -> Iterator[bytes]:
    trimmed = 0
    while True:
        try:
            yield from feed.ready(_WAIT_S)
        except wire.Unreachable as error:
            print(f"{error} Waiting for it; nothing will be missed…", file=sys.stderr)
            feed.resume()
        if feed.trimmed > trimmed:
            print(f"{feed.trimmed - trimmed} events are no longer kept; read the state keys anew.", file=sys.stderr)
            trimmed = feed.trimmed

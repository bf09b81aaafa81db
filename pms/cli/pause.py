"""`pms pause ID` and `pms resume ID`: have an algo wait, and let it go on. The daemon does the rest."""

from __future__ import annotations

import argparse
import sys

from pms import exits
from pms.cli import request, wire

_DONE = {"pause": "paused; its entry orders leave. To go on: python3 -m pms resume", "resume": "goes on"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `pms pause`."""
    parser.add_argument("id", help="of an algo (pms algos)")
    request.add_arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Do it; returns 0 where the daemon has."""
    body = request.envelope(args) | {"algoId": args.id}
    try:
        url, keys = wire.find()
        reply = request.Client(url, keys).ask(f"algo_{args.command}", body)
    except (wire.Unreachable, wire.Refused) as error:
        print(error, file=sys.stderr)
        return exits.UNAVAILABLE
    done = f"{args.id} {_DONE[args.command]}" + (f" {args.id}" if args.command == "pause" else ".")
    return request.tell(reply, body["requestId"], args.json, done)

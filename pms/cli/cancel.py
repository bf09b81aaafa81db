"""`pms cancel ID`: end an algo or an order. Owns finding out which of them the id names; the daemon does the rest."""

from __future__ import annotations

import argparse
import sys
import typing
from typing import Any

from pms import exits
from pms.cli import request, wire
from schemas.keys import AlgoKind, Keys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `pms cancel`."""
    parser.add_argument("id", help="of an algo (pms algos) or an order (pms orders)")
    request.add_arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Cancel; returns 0 where it is done or under way."""
    try:
        url, keys = wire.find()
        client = request.Client(url, keys)
        kind, named = command_for(client.redis, keys, args.id)
        body = request.envelope(args) | named
        reply = client.ask(kind, body)
    except (wire.Unreachable, wire.Refused) as error:
        print(error, file=sys.stderr)
        return exits.UNAVAILABLE
    return request.tell(reply, body["requestId"], args.json, f"{args.id} is {outcome(reply)}.")


def outcome(reply: dict[str, Any] | None) -> str:
    """How it stands after a cancel: not every one is proven gone by then, and some filled before."""
    details = (reply or {}).get("details", {})
    return str(details.get("state", "cancelled"))


def command_for(redis: wire.Redis, keys: Keys, wanted: str) -> tuple[str, dict[str, Any]]:
    """The command for what the id names; an id that names no algo is an order's, and the daemon says if it is none."""
    for kind in typing.get_args(AlgoKind):
        if redis.call("EXISTS", keys.algo(kind, wanted)):
            first, *rest = kind.split("_")
            return f"{kind}_cancel", {first + "".join(word.title() for word in rest) + "Id": wanted}
    if any(key.rpartition(":")[2] == wanted for key in redis.scan(keys.plugin("*", "*"))):
        return "algo_cancel", {"algoId": wanted}
    return "cancel", {"clientOrderId": wanted}

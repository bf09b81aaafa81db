"""`pms chase SYMBOL SIDE QUANTITY`: start a chase, and follow it to its end where asked.

Owns flags for the parameters of algos.md, made from the command's own fields, so that they can't differ. Refuses to
check more than the command's form: the daemon decides.
"""

from __future__ import annotations

import argparse
import sys
import typing
from decimal import Decimal
from typing import Any

import msgspec

from pms import exits
from pms.cli import lines, request, wire
from pms.cli.feed import Event, Feed, read
from schemas import codec
from schemas.commands import decode_command
from schemas.commands_algos import Chase
from schemas.errors import Invalid
from schemas.records import MAIN

_POSITIONAL = ("symbol", "side", "quantity")
_HINTS = typing.get_type_hints(Chase)
_FLAGS = {
    field.name: field
    for field in msgspec.structs.fields(Chase)
    if field.name not in _POSITIONAL and field.name not in ("stop_loss", "take_profit")  # of later work
}
_FOLLOW_S = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `pms chase`."""
    parser.add_argument("symbol", help="BTCUSDT")
    parser.add_argument("side", help="BUY or SELL")
    parser.add_argument("quantity", nargs="?", help="in the base asset; or give --size-usdt")
    for name, field in _FLAGS.items():
        flag = "--" + name.replace("_", "-")
        shown = "" if field.default in (None, msgspec.NODEFAULT) else f"default {field.default}"
        if isinstance(field.default, bool):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=shown)
        else:
            choices = typing.get_args(_HINTS[name])
            words = [str(word) for word in choices if isinstance(word, str)]
            told = "one of " + ", ".join(words) if words else ""
            parser.add_argument(flag, metavar="X", help="; ".join(part for part in (told, shown) if part))
    parser.add_argument("--follow", action="store_true", help="print its events until it ends")
    request.add_arguments(parser)


def body_of(args: argparse.Namespace) -> dict[str, Any]:
    """The command's body. Raises `Invalid` where it can't be one."""
    body = request.envelope(args)
    body.setdefault("subAccountId", MAIN)
    for field in msgspec.structs.fields(Chase):
        if (value := getattr(args, field.name, None)) is not None:
            number = _HINTS[field.name] is int and str(value).lstrip("-").isdecimal()
            body[field.encode_name] = int(value) if number else value
    decode_command("chase", codec.encode(body), True)
    return body


def main(args: argparse.Namespace) -> int:
    """Start one; returns 0 where it was accepted, and with --follow where it filled."""
    try:
        body = body_of(args)
    except Invalid as error:
        print(f"{error} Nothing was sent.", file=sys.stderr)
        return exits.USAGE
    try:
        url, keys = wire.find()
        client = request.Client(url, keys)
        feed = Feed(url, keys) if args.follow else None
        reply = client.ask("chase", body)
    except (wire.Unreachable, wire.Refused) as error:
        print(error, file=sys.stderr)
        return exits.UNAVAILABLE
    code = request.tell(reply, body["requestId"], args.json, _sentence(reply))
    if reply is None or not reply["success"] or feed is None:
        return code
    return _follow(feed, reply["chaseId"], args.json)


def _sentence(reply: dict[str, Any] | None) -> str:
    if reply is None or not reply["success"]:
        return ""
    price = f" at {reply['currentOrderPrice']}" if reply["currentOrderPrice"] else ""
    started = f"Chase {reply['chaseId']}: {reply['side']} {reply['quantity']} {reply['symbol']}{price}."
    return f"{started} To end it: python3 -m pms cancel {reply['chaseId']}"


def _follow(feed: Feed, chase_id: str, as_json: bool) -> int:
    """Print what becomes of it until it ends; lost connections are resumed without a gap."""
    while True:
        try:
            for body in feed.ready(_FOLLOW_S):
                event = read(body)
                if chase_id not in (event.get("chaseId"), event.get("parentId")):
                    continue
                print(body.decode() if as_json else lines.event(event), flush=True)
                if event["type"] in ("chase_filled", "chase_cancelled", "chase_failed"):
                    return exits.OK if _whole(event) else exits.NO
        except wire.Unreachable as error:
            print(f"{error} Waiting for it…", file=sys.stderr)
            feed.resume()


def _whole(event: Event) -> bool:
    return Decimal(event["filledQuantity"]) >= Decimal(event["quantity"])

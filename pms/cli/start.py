"""`pms chase | twap | twap-basket | trail-stop | stop | take-profit | scalper …`: start an algo, and follow it to its
end where asked.
`pms preview ALGO …`: what that would do first; nothing is sent.

Owns flags for the parameters of algos.md, made from the commands' own fields, so that they can't differ. Refuses to
check more than a command's form: the daemon decides.
"""

from __future__ import annotations

import argparse
import sys
import typing
from typing import Any, NamedTuple

import msgspec

from pms import exits
from pms.cli import lines, request, wire
from pms.cli.feed import Event, Feed, read
from schemas import codec
from schemas.commands import decode_command
from schemas.commands_algos import Chase, TrailStop, Twap, TwapBasket
from schemas.commands_orders import Leg, Stop, TakeProfit
from schemas.commands_scalper import Scalper
from schemas.errors import Invalid
from schemas.fields import Command, camel
from schemas.records import MAIN

_FOLLOW_S = 1.0
_FILLED = ("filled", "completed")
_ENDED = (*_FILLED, "expired", "cancelled", "failed")


class Algo(NamedTuple):
    """How one kind is typed: its command, the words that come without a flag (the last of `optional` may be left
    out), the id in its reply, and the fields of the reply that say what began."""

    command: type[Command]
    words: tuple[str, ...]
    optional: tuple[str, ...]
    id_name: str
    told: tuple[str, ...]


ALGOS = {
    "chase": Algo(
        Chase, ("symbol", "side"), ("quantity",), "chaseId", ("side", "quantity", "symbol", "currentOrderPrice")
    ),
    "twap": Algo(Twap, ("symbol", "side"), ("quantity",), "twapId", ("side", "quantity", "symbol")),
    "twap-basket": Algo(TwapBasket, ("basket_name",), ("legs",), "twapBasketId", ("twapIds",)),
    "trail-stop": Algo(
        TrailStop, (), ("position_id",), "trailStopId", ("side", "quantity", "symbol", "extremePrice", "triggerPrice")
    ),
    "stop": Algo(Stop, ("trigger_price",), ("position_id",), "algoId", ("quantity", "state", "clientAlgoId")),
    "take-profit": Algo(
        TakeProfit, ("trigger_price",), ("position_id",), "algoId", ("quantity", "state", "clientAlgoId")
    ),
    "scalper": Algo(
        Scalper, ("symbol", "long_size_usd"), (), "scalperId", ("symbol", "startSide", "longLayers", "shortLayers")
    ),
}
_HELP = {
    "symbol": "BTCUSDT",
    "side": "BUY or SELL",
    "quantity": "in the base asset; or give --size-usdt",
    "basket_name": "how you call it",
    "legs": "SYMBOL:SIDE:QUANTITY, or SYMBOL:SIDE:100usdt; one or more",
    "position_id": "of an open position; or give --symbol and --position-side",
    "trigger_price": "where the venue closes it",
    "long_size_usd": "USDT of the whole long side",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of any of them; of `preview` the algo's own follow its name."""
    if parser.get_default("command") != "preview":
        add_algo(parser, str(parser.get_default("command")))
        return
    kinds = parser.add_subparsers(dest="algo", required=True, metavar="ALGO", help=", ".join(ALGOS))
    for word in ALGOS:
        add_algo(kinds.add_parser(word), word)


def add_algo(parser: argparse.ArgumentParser, word: str) -> None:
    """The arguments of one kind."""
    algo = ALGOS[word]
    for name in algo.words:
        parser.add_argument(name, help=_HELP[name])
    for name in algo.optional:
        parser.add_argument(name, nargs="*" if name == "legs" else "?", help=_HELP[name])
    hints = typing.get_type_hints(algo.command)
    for field in msgspec.structs.fields(algo.command):
        if field.name in (*algo.words, *algo.optional):
            continue
        flag = "--" + field.name.replace("_", "-")
        shown = "" if field.default in (None, msgspec.NODEFAULT) else f"default {field.default}"
        if isinstance(field.default, bool):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=shown)
        else:
            words = [str(choice) for choice in typing.get_args(hints[field.name]) if isinstance(choice, str)]
            told = "one of " + ", ".join(words) if words else ""
            parser.add_argument(flag, metavar="X", help="; ".join(part for part in (told, shown) if part))
    parser.add_argument("--follow", action="store_true", help="print its events until it ends")
    request.add_arguments(parser)


def body_of(word: str, args: argparse.Namespace) -> dict[str, Any]:
    """The command's body. Raises `Invalid` where it can't be one."""
    algo = ALGOS[word]
    hints = typing.get_type_hints(algo.command)
    body = request.envelope(args)
    body.setdefault("subAccountId", MAIN)
    for field in msgspec.structs.fields(algo.command):
        value = getattr(args, field.name, None)
        if field.name == "legs" and value is not None:
            body["legs"] = [_leg(text) for text in value]
        elif value is not None:
            number = hints[field.name] is int and str(value).lstrip("-").isdecimal()
            body[field.encode_name] = int(value) if number else value
    decode_command(word.replace("-", "_"), codec.encode(body), True)
    return body


def _leg(text: str) -> dict[str, Any]:
    """Raises `Invalid`."""
    symbol, side, size, *rest = (*text.split(":"), "", "")[: 3 + text.count(":")]
    leg: dict[str, Any] = {"symbol": symbol, "side": side}
    leg |= {"sizeUsdt": size[:-4]} if size.lower().endswith("usdt") else {"quantity": size}
    leverage = [part for part in rest if part]
    if leverage and leverage[0].isdecimal():
        leg["leverage"] = int(leverage[0])
    assert set(leg) <= {camel(name) for name in Leg.__struct_fields__}
    return leg


def main(args: argparse.Namespace) -> int:
    """Start one; returns 0 where it was accepted, and with --follow where it filled."""
    preview = args.command == "preview"
    word = args.algo if preview else args.command
    algo = ALGOS[word]
    try:
        body = body_of(word, args)
    except Invalid as error:
        print(f"{error} Nothing was sent.", file=sys.stderr)
        return exits.USAGE
    try:
        url, keys = wire.find()
        client = request.Client(url, keys)
        if preview:
            return _preview(client, word, body, args.json)
        feed = Feed(url, keys) if args.follow else None
        reply = client.ask(word.replace("-", "_"), body)
    except (wire.Unreachable, wire.Refused) as error:
        print(error, file=sys.stderr)
        return exits.UNAVAILABLE
    code = request.tell(reply, body["requestId"], args.json, _sentence(word, algo, reply))
    if reply is None or not reply["success"] or feed is None:
        return code
    return _follow(feed, algo.id_name, reply[algo.id_name], args.json)


def _sentence(word: str, algo: Algo, reply: dict[str, Any] | None) -> str:
    if reply is None or not reply["success"]:
        return ""
    named = reply[algo.id_name]
    told = [f"{name} {lines.value_of(reply[name])}" for name in algo.told if reply.get(name)]
    return f"{word} {named}: {', '.join(told)}. To end it: python3 -m pms cancel {named}"


def _follow(feed: Feed, id_name: str, algo_id: str, as_json: bool) -> int:
    """Print what becomes of it until it ends; lost connections are resumed without a gap."""
    while True:
        try:
            for body in feed.ready(_FOLLOW_S):
                event = read(body)
                named = event.get(id_name) or event.get("protectionId")
                if algo_id not in (named, event.get("parentId"), event.get("rootId")):
                    continue
                print(body.decode() if as_json else lines.event(event), flush=True)
                if named == algo_id and _ending(event) in _ENDED:
                    return exits.OK if _ending(event) in _FILLED else exits.NO
        except wire.Unreachable as error:
            print(f"{error} Waiting for it…", file=sys.stderr)
            feed.resume()


def _ending(event: Event) -> str:
    """The status of an algo whose event tells its end, "" for any other."""
    word = str(event["type"]).rpartition("_")[2]
    return str(event["status"]) if word in (*_ENDED, "removed") and event.get("status") in _ENDED else ""


# --- preview ------------------------------------------------------------------------------------------


def _preview(client: request.Client, word: str, body: dict[str, Any], as_json: bool) -> int:
    """Ask what the start would do; returns 0 where it could begin."""
    envelope = {name: body.pop(name) for name in ("requestId", "subAccountId")}
    inner = body | {"type": word.replace("-", "_")}
    reply = client.ask("validate", envelope | {"command": inner})
    if reply is None or not reply["success"] or as_json:
        code = request.tell(reply, envelope["requestId"], as_json)
        return exits.NO if code == exits.OK and not (reply or {}).get("valid") else code
    for error in reply["errors"]:
        print(f"It would be refused ({error['errorCode']}): {error['error']}", file=sys.stderr)
    print("\n".join(_shown(reply["computedValues"])))
    return exits.OK if reply["valid"] else exits.NO


def _shown(values: dict[str, Any]) -> list[str]:
    """The numbers, then lists of things as tables."""
    rows = [f"{name:18} {lines.value_of(value)}" for name, value in values.items() if not _is_table(value)]
    for name, value in values.items():
        if _is_table(value):
            heads = list(dict.fromkeys(key for row in value for key in row))
            cells = [[lines.value_of(row[head]) if head in row else "" for head in heads] for row in value]
            rows += ["", f"{name}:", lines.table(heads, cells)]
    return rows


def _is_table(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)

"""`pms algos` and `pms orders`: what runs and what rests, as the state keys hold it. Owns two tables; reads only."""

from __future__ import annotations

import argparse
import sys
import typing
from typing import Any

from pms import exits
from pms.cli import lines, wire
from pms.cli.feed import read
from schemas.keys import AlgoKind, Keys

_ALGOS = ("kind", "id", "account", "symbol", "side", "filled", "of", "average", "price", "reprices", "status", "why")
_ORDERS = ("id", "account", "symbol", "side", "price", "filled", "of", "state", "origin", "parent")

Rows = list[tuple[str, dict[str, Any], bytes]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of both."""
    parser.add_argument("--json", action="store_true", help="print the records as one JSON array")


def main(args: argparse.Namespace) -> int:
    """Print the table."""
    try:
        url, keys = wire.find()
        redis = wire.Redis(url)
        rows = _algos(redis, keys) if args.command == "algos" else _hashes(redis, keys.open_orders("*"), "")
        redis.close()
    except (wire.Unreachable, wire.Refused) as error:
        print(error, file=sys.stderr)
        return exits.UNAVAILABLE
    if args.json:  # the records' own bytes: exact, and complete
        print("[" + ",".join(body.decode() for _, _, body in rows) + "]")
    elif args.command == "algos":
        print(lines.table(_ALGOS, [algo_row(kind, record) for kind, record, _ in rows], "No algo is running."))
    else:
        print(lines.table(_ORDERS, [_order(record) for _, record, _ in rows], "No order is open."))
    return exits.OK


def _algos(redis: wire.Redis, keys: Keys) -> Rows:
    ours = [
        (kind, _named(record), body)
        for kind in typing.get_args(AlgoKind)
        for _, record, body in _hashes(redis, keys.active(kind, "*"), kind)
    ]
    others = _hashes(redis, keys.active_plugins("*"), "")
    return ours + [(*in_common_keys(record), body) for _, record, body in others]


def in_common_keys(record: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The kind of an algo that is listed with those of plug-ins, and its record in the words of a chase's."""
    if "protectionId" not in record:
        return record["algo"], _flat(record)
    trigger = record["legs"][0]["triggerPrice"]
    return "protection", {"currentOrderPrice": trigger} | _named(record)


def _named(record: dict[str, Any]) -> dict[str, Any]:
    """A record in the words of a chase's, whose columns all share. Of a basket its legs' symbols and sides: quantities
    of several symbols have no sum."""
    if "avgPrice" in record:
        price = {"currentOrderPrice": record["triggerPrice"]} if "triggerPrice" in record else {}
        return price | record | {"fillPrice": record["avgPrice"]}
    legs = record.get("params", {}).get("legs", [])
    return record | {name: "/".join(leg[name] for leg in legs) for name in ("symbol", "side") if legs}


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    """A plug-in's record with the sums over the sides that it trades."""
    legs = record["legs"]
    filled, quantity = (sum(leg[name] for leg in legs) for name in ("filled", "quantity"))
    average = sum(leg["quoteFilled"] for leg in legs) / filled if filled else 0
    told = {"side": "/".join(leg["side"] for leg in legs), "filledQuantity": filled, "quantity": quantity}
    return record | told | {"fillPrice": average, record["algo"] + "Id": record["algoId"]}


def _hashes(redis: wire.Redis, pattern: str, word: str) -> Rows:
    bodies = [body for key in sorted(redis.scan(pattern)) for _, body in sorted(redis.rows(key).items())]
    return [(word, read(body), body) for body in bodies]


def algo_row(kind: str, record: dict[str, Any]) -> list[str]:
    """One row; what a kind does not have is empty."""
    told = record.get("params", {}) | record
    name = f"{kind.split('_', maxsplit=1)[0]}"
    found = next((str(told[field]) for field in told if field.startswith(name) and field.endswith("Id")), "")
    words = ("subAccountId", "symbol", "side")
    numbers = ("filledQuantity", "quantity", "fillPrice", "currentOrderPrice")
    rest = ("repriceCount", "status", "reason")
    return [
        kind,
        found,
        *(str(told.get(field, "")) for field in words),
        *(lines.number(told.get(field, 0)) for field in numbers),
        *(str(told.get(field, "")) for field in rest),
    ]


def _order(record: dict[str, Any]) -> list[str]:
    """One row. What waits at the venue for its price says for which."""
    return [
        record["clientOrderId"],
        record["subAccountId"],
        record["symbol"],
        record["side"],
        lines.price(record),
        lines.number(record["filledQty"]),
        lines.number(record["quantity"]),
        record["state"],
        record["origin"],
        record["parentId"],
    ]

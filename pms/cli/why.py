"""`pms why ID`: how an algo, an order or a command came about: command, decision with what it saw, intent, the venue's
answer, fills and end, each with its event number. Reads the event stream only; what was trimmed is not told."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator

from pms import exits
from pms.cli import lines, wire
from pms.cli.feed import Event, read
from schemas.keys import STREAM_FIELD, Keys

_PAGE = 1000
_IDS = ("clientOrderId", "chaseId", "twapId", "twapBasketId", "trailStopId", "scalperId", "algoId")
_STEPS = {
    "order_active": "ack",
    "order_amended": "ack",
    "order_partial": "fill",
    "order_filled": "fill",
    "order_unknown": "unknown",
    "order_cancelled": "end",
    "order_expired": "end",
    "order_failed": "end",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `pms why`."""
    parser.add_argument("id", help="of an algo, an order (its client id) or a command (its request id)")
    parser.add_argument("--json", action="store_true", help="the events' own bytes, one a line")


def main(args: argparse.Namespace) -> int:
    """Print the chain; returns 1 where the stream holds nothing of it."""
    try:
        url, keys = wire.find()
        found = list(chain(args.id, [(read(body), body) for body in _bodies(wire.Redis(url), keys)]))
    except (wire.Unreachable, wire.Refused) as error:
        print(error, file=sys.stderr)
        return exits.UNAVAILABLE
    if not found:
        print(f"No event of {args.id} is kept; look at `pms algos`, `pms orders` and the records.", file=sys.stderr)
        return exits.NO
    if args.json:
        print("\n".join(body.decode() for _, body in found))
    else:
        print("\n".join(told([event for event, _ in found])))
    return exits.OK


def _bodies(redis: wire.Redis, keys: Keys) -> Iterator[bytes]:
    start = "-"
    while True:
        page = redis.call("XRANGE", keys.event_stream, start, "+", "COUNT", _PAGE)
        for _, fields in page:
            yield fields[fields.index(STREAM_FIELD.encode()) + 1]
        if len(page) < _PAGE:
            return
        start = f"({page[-1][0].decode()}"


def chain(wanted: str, events: Iterable[tuple[Event, bytes]]) -> Iterator[tuple[Event, bytes]]:
    """The events that belong to an id, in order: its own, its children's, and its commands'."""
    rows = list(events)
    ids, requests = {wanted}, {wanted}
    for event, _ in rows:
        own = _own(event)
        if event["type"] == "command_result":
            continue
        if event.get("requestId") in requests and own and event["type"].endswith(("_started", "_placed")):
            ids |= own
        if own & ids or {event.get("parentId"), event.get("rootId")} & ids:
            ids |= own | ({event["parentId"]} if event.get("rootId") in ids and event.get("parentId") else set())
            if event.get("requestId"):
                requests.add(event["requestId"])
    for event, body in rows:
        if _own(event) & ids or (event["type"] == "command_result" and event.get("requestId") in requests):
            yield event, body


def _own(event: Event) -> set[str]:
    return {event[name] for name in _IDS if event.get(name)}


def told(events: list[Event]) -> list[str]:
    """The chain as lines: when, how long after the one before, the step, what, and the event's number."""
    rows, before = [], events[0]["ts"]
    for event in events:
        for step, text in _steps(event):
            after = f"+{event['ts'] - before} ms"
            rows.append(f"{lines.when(event['ts'])} {after:>11}  {step:9} {text}  #{event['seq']}")
            before = event["ts"]
    return rows


def _steps(event: Event) -> Iterator[tuple[str, str]]:
    kind = event["type"]
    if kind == "command_result":
        answer = "accepted" if event["success"] else f"refused ({event['errorCode']}): {event['error']}"
        yield "command", f"{event['commandType']} {event['requestId']} {answer}"
    elif kind == "order_placed":
        if decision := event.get("decision"):
            touch = f"bid {lines.number(decision['bid'])}, ask {lines.number(decision['ask'])}"
            yield "decision", f"{touch}, stood {decision['ageMs']} ms, book {decision['bookSeq']}"
        yield "intent", _order(event)
    elif kind.startswith("order_"):
        yield _STEPS.get(kind, "order"), _became(event)
    else:
        yield "algo", f"{kind} {lines.event(event).partition(event['subAccountId'])[2].strip()}"


def _order(event: Event) -> str:
    only = ", reduce-only" if event["reduceOnly"] else ""
    size = f"{event['side']} {lines.number(event['quantity'])} {event['symbol']} at {lines.price(event)}"
    return f"{size} {event['timeInForce']}{only}, {event['origin']} {event['clientOrderId']}"


def _became(event: Event) -> str:
    kind = event["type"].removeprefix("order_")
    price = f"at {lines.price(event)}, filled {lines.number(event['filledQty'])}"
    reason = f" ({event['reason']})" if event["reason"] else ""
    if kind in ("partial", "filled"):
        fill = f"{lines.number(event['lastFillQty'])} at {lines.number(event['lastFillPrice'])}"
        fee = f"{'maker' if event['maker'] else 'taker'}, fee {lines.number(event['commission'])}"
        return f"{kind} {fill} ({fee} {event['commissionAsset']}), trade {event['tradeId']}, {event['clientOrderId']}"
    return f"{kind} {price}, venue order {event['exchangeOrderId']}, {event['clientOrderId']}{reason}"

"""`pms demo`: run the stack, show it live, and say whether venue, Redis and events agree.

Owns the screen and the exit code: 0 only where all agree and the minima were reached. Everything it starts and writes
is its own, in a temporary directory, and gone afterwards.
"""

from __future__ import annotations

import argparse
import http.client
import sys
import tempfile
from decimal import Decimal
from pathlib import Path

import msgspec

from pms import exits
from pms.cli import lines, serve, wire
from pms.cli.feed import read
from pms.clock import SystemClock
from pms.demo import show, stage, tally
from schemas import codec
from schemas.keys import STREAM_FIELD, Keys

_ROWS = 14
_DRAW_S = 0.2
_PLAIN_S = 10.0  # between lines where there is no terminal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `pms demo`."""
    add = parser.add_argument
    add("--replay", nargs="+", type=Path, default=[], metavar="FILE", help="recorded market instead of the synthetic")
    add("--speed", type=float, default=1.0, help="of the market")
    add("--seed", type=int, default=0, help="of the synthetic market")
    add("--json", action="store_true", help="print the verdict as JSON")
    parser.set_defaults(profile="busy", symbols=[])


def main(args: argparse.Namespace) -> int:
    """Run it; returns 0 where all agree."""
    clock = SystemClock()
    began = clock.monotonic()
    with tempfile.TemporaryDirectory(prefix="pms-demo-") as folder:
        try:
            scene = stage.Stage(Path(folder), serve.market_arguments(args))
        except stage.NotStarted as error:
            print(error, file=sys.stderr)
            return error.exit_code
        try:
            picture = Picture(scene.symbol)
            heard = show.Show(scene.redis_url, Keys(), scene.symbol, clock, picture.draw).run()
            seen = gather(scene, heard)
        except (wire.Unreachable, http.client.HTTPException, OSError) as error:
            print(f"The demo broke off: {error}", file=sys.stderr)
            return exits.NO
        finally:
            code = scene.close()
    minima = (show.CHASES_LEAST, show.PARTIALS_LEAST, show.AMENDS_LEAST)
    verdict = tally.judge(seen, scene.symbol, round(clock.monotonic() - began), minima)
    if code != exits.OK:
        verdict = msgspec.structs.replace(
            verdict, ok=False, reasons=[*verdict.reasons, f"the stack ended with exit code {code}"]
        )
    print(codec.encode(verdict).decode() if args.json else summary(verdict))
    return exits.OK if verdict.ok else exits.NO


def gather(scene: stage.Stage, heard: show.Heard) -> tally.Evidence:
    """Everything the three witnesses say, after the last order has ended."""
    redis, keys = wire.Redis(scene.redis_url), Keys()
    stored = [
        (int(entry.partition(b"-")[0]), fields[fields.index(STREAM_FIELD.encode()) + 1])
        for entry, fields in redis.call("XRANGE", keys.event_stream, "-", "+")
    ]
    first = read(heard.bodies[0])["seq"] if heard.bodies else 0
    last = read(heard.bodies[-1])["seq"] if heard.bodies else 0
    records = {key: read(redis.call("GET", key)) for key in redis.scan(keys.order("*"))}
    chases = [read(redis.call("GET", key)) for key in redis.scan(keys.algos("chase"))]
    positions: dict[str, Decimal] = {}
    for key in redis.scan(keys.position("*")):
        for row in map(read, redis.rows(key).values()):
            account = row["subAccountId"]
            positions[account] = positions.get(account, Decimal(0)) + Decimal(row["signedQuantity"])
    redis.close()
    return tally.Evidence(
        venue_orders=scene.venue.orders(scene.symbol),
        venue_trades=scene.venue.trades(scene.symbol),
        venue_position=scene.venue.position(scene.symbol),
        chases={record["chaseId"]: record for record in chases},
        orders={record["clientOrderId"]: record for record in records.values()},
        positions=positions,
        events=[read(body) for _, body in stored],
        numbers=[number for number, _ in stored],
        published=heard.bodies,
        stored=[body for number, body in stored if first <= number <= last],
        refused=heard.refused,
    )


class Picture:
    """The live picture on a terminal's stderr; elsewhere a line now and then."""

    def __init__(self, symbol: str) -> None:
        self._symbol = symbol
        self._screen = sys.stderr.isatty()
        self._drawn_at = -_PLAIN_S
        self._height = 0

    def draw(self, heard: show.Heard, seconds: float) -> None:
        """Told after each breath of the show."""
        if seconds - self._drawn_at < (_DRAW_S if self._screen else _PLAIN_S):
            return
        self._drawn_at = seconds
        head = (
            f"{self._symbol} {seconds:4.0f} s  {len(heard.chases)} chases ({len(heard.live)} live)  "
            f"{heard.orders} orders  {heard.amends} amends  {heard.fills} fills  {len(heard.bodies)} events"
        )
        if not self._screen:
            print(head, file=sys.stderr, flush=True)
            return
        newest = [heard.chases[name] for name in heard.chases][-_ROWS:]
        drawn = [head, *(self._row(event) for event in newest)]
        up = f"\x1b[{self._height}A" if self._height else ""
        print(up + "\n".join(f"\x1b[2K{line}" for line in drawn), file=sys.stderr, flush=True)
        self._height = len(drawn)

    @staticmethod
    def _row(event: dict[str, object]) -> str:
        filled, quantity = Decimal(str(event["filledQuantity"])), Decimal(str(event["quantity"]))
        bar = "█" * int(10 * filled / quantity) if quantity else ""
        price, average = lines.number(event["currentOrderPrice"]), lines.number(event["fillPrice"])
        return (
            f"  {event['side']:4} {event['stalkMode']:8} {bar:10} {lines.number(filled):>7}/{lines.number(quantity):7} "
            f"@ {price:>9}  avg {average[:10]:>10}  {event['repriceCount']:>3} reprices  {event['status']}"
        )


def summary(verdict: tally.Verdict) -> str:
    """The verdict for people."""
    told = [
        f"{verdict.symbol}, {verdict.seconds} s: {verdict.chases} chases, {verdict.partly_filled} filled in parts",
        f"  {verdict.orders} orders, {verdict.amends} amends",
        f"  filled    venue {verdict.filled.venue}  Redis {verdict.filled.redis}  events {verdict.filled.events}",
        *(
            f"  position  {account:8} venue {sums.venue}  Redis {sums.redis}  events {sums.events}"
            for account, sums in verdict.positions.items()
        ),
        *(
            f"  {side:8}  average {verdict.avg_price[side]}  touch at the start {verdict.touch[side]}"
            for side in verdict.avg_price
        ),
        f"  events    {verdict.seq_first} to {verdict.seq_last}, {verdict.holes} holes",
        "All agree." if verdict.ok else "Not all is well:",
        *(f"  - {reason}" for reason in verdict.reasons),
    ]
    return "\n".join(told)

"""`pms sim`: the simulated venue as a program of its own, for any Binance USD-M client.

Owns its arguments, the data directory, what it prints, and the way down. Refuses to know the daemon: it imports
nothing of it but the ports. Stops on SIGINT and SIGTERM; what was answered before is kept.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import msgspec

from pms.binance.http import HttpClient
from pms.binance.ws import WebSockets
from pms.clock import Clock, SystemClock
from pms.datadir import DataDir, DataDirInUse
from pms.sim import fault_kinds, follow, journal, stats, symbols, ws_api
from pms.sim.assembly import FEED_TASK, STILL, TIMER_TASK, Options, Simulator
from pms.sim.captures import CaptureError
from pms.sim.control import Control
from pms.sim.faults import Latency
from pms.sim.follow import Follower
from pms.sim.limits import UNLIMITED, Limits
from pms.sim.profiles import DEFAULT_PROFILE, PROFILES
from pms.sim.server import Server
from pms.tasks import Tasks

REST_PORT = 18_080
STREAM_PORT = 18_081
PAPER_KEY = "paper:paper-secret"
FAILED = 1  # exit code: the market or the timers broke, which the log tells
REFUSED = 2  # exit code: nothing was started, the message says why
_KEY_HELP = f"an API key with its secret, repeatable ({PAPER_KEY}); KEY:@FILE with the PEM of its public key"
_SAY = partial(print, flush=True)  # whoever waits for the ports may read a pipe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `pms sim`."""
    add = parser.add_argument
    add("--rest-port", type=int, default=REST_PORT, help="REST port on loopback, 0 for a free one")
    add("--stream-port", type=int, default=STREAM_PORT, help="WebSocket port on loopback, 0 for a free one")
    add("--data", type=Path, default=Path(".pms/venue"), help="where accounts, orders and trades are kept")
    add("--key", action="append", metavar="KEY:SECRET", help=_KEY_HELP)
    add("--replay", nargs="+", type=Path, default=[], metavar="FILE", help="recorded market instead of the synthetic")
    add("--follow", nargs=2, metavar=("REST", "STREAMS"), help="follow a real venue's public market, by its base URLs")
    add("--once", action="store_true", help="let the recorded market end instead of starting over")
    add("--speed", type=float, default=1.0, help="of the market; 0 is as fast as the venue takes it")
    add("--symbols", nargs="+", default=["BTCUSDT", "ETHUSDT"], metavar="SYMBOL", help=", ".join(symbols.SYMBOLS))
    add("--profile", default=DEFAULT_PROFILE, choices=[*PROFILES, STILL], help="of the synthetic market")
    add("--seed", type=int, default=0, help="of everything that is left to chance")
    add("--faults", type=Path, metavar="FILE", help="a JSON list of faults (docs/simulator.md)")
    add("--control-port", type=int, default=-1, help="loopback port that takes faults while it runs; 0 for a free one")
    add("--latency", default="0,0,0,0", metavar="MS", help="engine,answer,stream,jitter in milliseconds")
    add("--unlimited", action="store_true", help="count requests and orders, but refuse none for their number")
    add("--reset", action="store_true", help="forget all accounts, orders and trades first; asks")
    add("--yes", action="store_true", help="do not ask")
    add("--json", action="store_true", help="say where it listens as one line of JSON")
    add("--stats", action="store_true", help="compare the synthetic market with the recordings and end")


def options_of(args: argparse.Namespace) -> Options:
    """The simulator that the arguments ask for. Raises `ValueError` or `OSError` naming what is wrong."""
    keys = dict(text.partition(":")[::2] for text in args.key or [PAPER_KEY])
    if not all(keys) or not all(keys.values()):
        raise ValueError("--key needs KEY:SECRET, both not empty")
    keys = {key: Path(held[1:]).read_text() if held.startswith("@") else held for key, held in keys.items()}
    parts = [int(part) for part in args.latency.split(",")]
    if len(parts) != 4 or min(parts) < 0:
        raise ValueError("--latency needs four numbers from 0 up: engine,answer,stream,jitter")
    return Options(
        api_keys=keys,
        symbols=tuple(args.symbols),
        profile=args.profile,
        replay=tuple(args.replay),
        loop=not args.once,
        speed=args.speed or None,
        seed=args.seed,
        limits=UNLIMITED if args.unlimited else Limits(),
        latency=Latency(*parts),
        faults=tuple(fault_kinds.decode(args.faults.read_bytes())) if args.faults else (),
    )


async def run(
    args: argparse.Namespace,
    clock: Clock | None = None,
    say: Callable[[str], None] = _SAY,
    ask: Callable[[str], str] = input,
) -> int:
    """Run until a signal; returns the exit code."""
    if args.stats:
        rows = stats.compare(lambda: random.Random(args.seed))
        say(stats.table(rows))
        return 0 if all(row.ok for row in rows) else 1
    try:
        options = options_of(args)
        with DataDir(args.data) as held:
            if args.reset and not _reset(held.path, args.yes, say, ask):
                return REFUSED
            clock = clock or SystemClock()
            async with _followed(args, options, clock) as (options, source):
                return await _serve(args, options, source, held.path, clock, say)
    except (DataDirInUse, journal.JournalDamaged, CaptureError, OSError, ValueError, KeyError) as error:
        what = error.args[0] if isinstance(error, KeyError) else error
        say(f"The simulator was not started: {what}")
        return REFUSED


def _reset(path: Path, sure: bool, say: Callable[[str], None], ask: Callable[[str], str]) -> bool:
    if not sure and ask(f"Forget all accounts, orders and trades in {path}? [y/N] ").strip().lower() != "y":
        say("Nothing was forgotten and nothing was started.")
        return False
    journal.reset(path)
    say(f"The venue in {path} starts empty.")
    return True


@asynccontextmanager
async def _followed(
    args: argparse.Namespace, options: Options, clock: Clock
) -> AsyncIterator[tuple[Options, Follower | None]]:
    """The options with the instruments of the market that is followed, and what follows it."""
    if not args.follow:
        yield options, None
        return
    rest, streams = args.follow
    http, sockets = HttpClient(rest), WebSockets(clock, random.random)
    try:
        listings = await follow.listings(http, options.symbols)
        source = Follower(http, sockets, streams.rstrip("/"), options.symbols, clock, random.random)
        yield msgspec.structs.replace(options, listings=listings), source
    finally:
        await sockets.close()
        await http.close()


async def _serve(
    args: argparse.Namespace,
    options: Options,
    source: Follower | None,
    path: Path,
    clock: Clock,
    say: Callable[[str], None],
) -> int:
    stop = asyncio.Event()
    kept = journal.FileJournal(path)
    tasks = Tasks(lambda name, error: stop.set() if name in (FEED_TASK, TIMER_TASK) else None)
    simulator = Simulator(options, clock, tasks, kept, source)
    server = Server(simulator.gate, tasks, args.rest_port, args.stream_port)
    control = Control(simulator.faults, args.control_port)
    loop = asyncio.get_running_loop()
    try:
        await server.start()
        await control.start()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        welcome = _report if args.json else _welcome
        simulator.start(lambda: say(welcome(server, control, simulator, options, path)))
        await stop.wait()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        await control.close()
        await server.close()
        await tasks.close()
        kept.close()
    if not args.json:
        say("The simulator has stopped; the venue's state is kept.")
    return FAILED if tasks.failures else 0


def _market(options: Options) -> str:
    if options.listings:
        return "followed"
    return "recorded: " + ", ".join(map(str, options.replay)) if options.replay else f"synthetic, {options.profile}"


def _report(server: Server, control: Control, simulator: Simulator, options: Options, path: Path) -> str:
    """What `_welcome` says, as one line for a program (pms.paper reads it)."""
    told = {
        "rest": f"http://{server.host}:{server.rest_port}",
        "streams": f"ws://{server.host}:{server.stream_port}",
        "control": control.url,
        "market": _market(options),
        "symbols": list(simulator.venue.rules),
        "state": str(path),
    }
    return json.dumps(told)


def _welcome(server: Server, control: Control, simulator: Simulator, options: Options, path: Path) -> str:
    told = (f"  faults   {control.url}/faults",) if control.url else ()
    return "\n".join(
        (
            "Simulated Binance USD-M futures",
            f"  REST     http://{server.host}:{server.rest_port}",
            f"  streams  ws://{server.host}:{server.stream_port}/public, /market and /private",
            f"  WS API   ws://{server.host}:{server.stream_port}{ws_api.PATH}",
            *told,
            f"  market   {_market(options)}; {', '.join(simulator.venue.rules)}",
            f"  keys     {', '.join(options.api_keys)}",
            f"  state    {path}",
            "Stop it with Ctrl-C.",
        )
    )

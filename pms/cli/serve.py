"""`pms up` and `pms run`: start the stack, and say what stands where and what to type next.

Owns the words. Refuses to know how anything is started (pms.up).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec

from pms import config, datadir, exits, log, up
from pms.cli.lines import counted
from pms.clock import SystemClock
from pms.daemon import Refused
from pms.embedded import EmbeddedFailed
from pms.paper import VenueFailed
from pms.sim.profiles import DEFAULT_PROFILE, PROFILES
from schemas.keys import Keys
from schemas.records import RecoveryRun


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `pms up` and `pms run`."""
    add = parser.add_argument
    add("--live", default="", metavar="LABEL", help="trade live: with PMS_MODE=live, the label in PMS_ACCOUNT_LABEL")
    add("--json", action="store_true", help="say what stands as one line of JSON")
    market = parser.add_argument_group("the simulated venue's market (paper mode)")
    add = market.add_argument
    add("--replay", nargs="+", type=Path, default=[], metavar="FILE", help="recorded market instead of the synthetic")
    add("--speed", type=float, default=1.0, help="of the market; 0 is as fast as the venue takes it")
    add("--profile", default=DEFAULT_PROFILE, choices=[*PROFILES, "still"], help="of the synthetic market")
    add("--seed", type=int, default=0, help="of everything that is left to chance")
    add("--symbols", nargs="+", default=[], metavar="SYMBOL", help="of the synthetic market")
    add("--faults", type=Path, metavar="FILE", help="what goes wrong there: a JSON list (docs/simulator.md)")
    add("--control-port", type=int, default=-1, help="loopback port that takes faults while it runs; 0 for a free one")


def market_arguments(args: argparse.Namespace) -> list[str]:
    """What chooses the market, as arguments of `pms sim`."""
    told = ["--speed", str(args.speed), "--profile", args.profile, "--seed", str(args.seed)]
    if args.replay:
        told += ["--replay", *(str(path.absolute()) for path in args.replay)]
    return told + (["--symbols", *args.symbols] if args.symbols else [])


def fault_arguments(args: argparse.Namespace) -> list[str]:
    """What goes wrong there, as arguments of `pms sim`."""
    told = ["--faults", str(args.faults.absolute())] if args.faults else []
    return told + (["--control-port", str(args.control_port)] if args.control_port >= 0 else [])


def main(args: argparse.Namespace) -> int:
    """Run until a signal; returns the exit code."""
    clock = SystemClock()
    began = clock.monotonic()

    def announce(started: up.Started) -> None:
        seconds = round(clock.monotonic() - began, 2)
        print(_as_json(started, seconds) if args.json else _as_text(started, seconds, args.command), flush=True)

    try:
        settings = config.load(live_label=args.live)
        log.configure(settings.log_format)
        simulated = market_arguments(args) + fault_arguments(args)
        code = up.run(settings, simulated, clock, announce, records=args.command == "up")
    except config.ConfigError as error:
        return _refused(str(error), exits.CONFIG)
    except datadir.DataDirInUse as error:
        return _refused(f"Nothing was started: {error}.", exits.DATA_DIR_IN_USE)
    except (EmbeddedFailed, VenueFailed, Refused) as error:
        return _refused(f"{error}", error.exit_code)
    if not args.json:
        print("Stopped. All state is kept; the next start goes on from here.")
    return code


def _refused(message: str, code: int) -> int:
    print(f"{message} (exit code {code})", file=sys.stderr)
    return code


def _as_json(started: up.Started, seconds: float) -> str:
    redis, venue, settings = started.redis, started.venue, started.config
    told = {
        "mode": settings.mode,
        "redis": {"address": redis.address, "version": redis.version, "pid": redis.pid} if redis else None,
        "venue": msgspec.structs.asdict(venue)
        if venue
        else {"rest": settings.rest_url, "streams": settings.stream_url},
        "records": started.records,
        "dataDir": str(settings.data_dir),
        "epoch": started.epoch,
        "doorsOpenAfterS": seconds,
    }
    return msgspec.json.encode(told).decode()


def _as_text(started: up.Started, seconds: float, command: str) -> str:
    redis, venue, settings = started.redis, started.venue, started.config
    lines = [f"pms is open, {settings.mode} mode ({seconds} s)"]
    if redis is not None:
        lines.append(
            f"  redis    {redis.address}, Redis {redis.version} ({redis.binary}); with password: .pms/redis.url"
        )
        lines[-1] = lines[-1].replace(".pms/redis.url", str(settings.data_dir / "redis.url"))
    else:
        lines.append("  redis    by PMS_REDIS_URL")
    if venue is not None:
        lines.append(f"  venue    {venue.rest} and {venue.streams}, simulated; market {venue.market}")
        lines.append(f"  symbols  {', '.join(venue.symbols)}")
        lines += [f"  faults   {venue.control}/faults"] if venue.control else []
    else:
        lines.append(f"  venue    {settings.rest_url} and {settings.stream_url}")
    if started.records:
        lines.append(f"  records  {started.records}")
    lines.append(f"  data     {settings.data_dir}")
    lines.append(f"  start    epoch {started.epoch}; {recovered(started.recovery, started.algos)}")
    if command == "up":
        lines += [
            "Next, in another terminal:",
            "  python3 -m pms chase BTCUSDT BUY 0.01 --follow",
            "  python3 -m pms tail",
            f"  python3 -m pms redis-cli hgetall {Keys(settings.namespace).active('chase', 'main')}",
            "Stop with Ctrl-C.",
        ]
    return "\n".join(lines)


def recovered(run: RecoveryRun | None, algos: int) -> str:
    """What the start found of a former life, in a few words."""
    goes_on = f"{algos} algo{'s go' if algos > 1 else ' goes'} on, " if algos else ""
    if run is None or not run.steps:
        return f"{goes_on}nothing was to be put right" if goes_on else "nothing to recover"
    left = f", unresolved: {', '.join(run.unresolved)}" if run.unresolved else ""
    return f"{goes_on}recovery took {counted(len(run.steps), 'step')}{left} (pms recover tells)"

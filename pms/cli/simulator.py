"""`pms sim`: the simulated venue by itself, and `--reset`, which forgets the venue and what the daemon knows of it.

Owns that the two go together: a daemon that remembers orders of a venue that has forgotten them would find every one of
them missing. Refuses to clear a Redis that is not ours. The rest is the program's own.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
from pathlib import Path

import uvloop

from pms import config, datadir, exits, log
from pms.sim import program

# The daemon's state in its data directory: Redis' append-only files, and what waited to be written to them. Passwords,
# addresses and logs stay, and so does the event counter, which never goes back.
STATE = ("appendonlydir", "spill.jsonl")

add_arguments = program.add_arguments


def main(args: argparse.Namespace) -> int:
    """Run until a signal; returns the program's exit code."""
    try:
        log.configure(config.log_format())
        if args.reset and not _reset(args):
            return exits.NO
    except config.ConfigError as error:
        print(error, file=sys.stderr)
        return exits.CONFIG
    except datadir.DataDirInUse as error:
        print(f"Nothing was forgotten: {error}.", file=sys.stderr)
        return exits.DATA_DIR_IN_USE
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(program.run(args))


def _reset(args: argparse.Namespace) -> bool:
    """Ask once, for both; forget the daemon's part here, and let the program forget the venue's."""
    reach = config.reach()
    ours = reach.data_dir.is_dir() and args.data.absolute().parent == reach.data_dir
    if ours and reach.redis_url:
        raise config.ConfigError(
            "The daemon's state is in the Redis of PMS_REDIS_URL, which is yours: nothing was forgotten. Stop the "
            f"daemon, remove the keys {reach.namespace}:* there, and reset with PMS_REDIS_URL unset."
        )
    what = f"accounts, orders and trades in {args.data}" + (f", and the daemon's state in {reach.data_dir}" * ours)
    if not args.yes and not _agreed(f"Forget all {what}? [y/N] "):
        print("Nothing was forgotten and nothing was started.")
        return False
    if ours:
        with datadir.take(reach.data_dir):
            _forget(reach.data_dir)
    args.yes = True
    return True


def _agreed(question: str) -> bool:
    try:
        return input(question).strip().lower() == "y"
    except EOFError:  # nobody there to ask
        return False


def _forget(folder: Path) -> None:
    for name in STATE:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

"""`pms sim`: the simulated venue by itself. Owns its loop and its log; the rest is the program's own."""

from __future__ import annotations

import argparse
import asyncio

import uvloop

from pms import config, exits, log
from pms.sim import program

add_arguments = program.add_arguments


def main(args: argparse.Namespace) -> int:
    """Run until a signal; returns the program's exit code."""
    try:
        log.configure(config.log_format())
    except config.ConfigError as error:
        print(error)
        return exits.CONFIG
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(program.run(args))

"""The command line: which command is whose module, and nothing more (each imports only what it needs, when it runs).

Owns the list of commands and what every one shares: usage errors end with 64, Ctrl-C with 130, a reader that left with
nothing said. Refuses to know what a command does. A command's module has `add_arguments(parser)` and
`main(args)`; a raw one only `main(arguments)`.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from types import ModuleType
from typing import NamedTuple, NoReturn

from pms import exits


class Command(NamedTuple):
    """Where a command lives, and what it is for. `raw`: its arguments go on as they are."""

    module: str
    purpose: str
    raw: bool = False


COMMANDS = {
    "up": Command("pms.cli.serve", "start everything: Redis, the simulated venue and the daemon (paper trading)"),
    "run": Command("pms.cli.serve", "the daemon for a supervisor: Redis and venue by settings, ours where none is set"),
    "sim": Command("pms.cli.simulator", "the simulated Binance USD-M venue by itself, for any Binance client"),
    "demo": Command("pms.cli.demo", "run the whole stack on its own for about a minute and check that all agree"),
    "chase": Command("pms.cli.start", "one limit order that follows the top of the book"),
    "twap": Command("pms.cli.start", "equal slices on a schedule"),
    "twap-basket": Command("pms.cli.start", "TWAPs of several symbols, started together"),
    "trail-stop": Command("pms.cli.start", "protect a position by following its best price"),
    "stop": Command("pms.cli.start", "close a position at the venue where its loss reaches a price"),
    "take-profit": Command("pms.cli.start", "close a position at the venue where its profit reaches a price"),
    "scalper": Command("pms.cli.start", "a two-sided ladder of chases"),
    "preview": Command("pms.cli.start", "what starting an algo would do first; nothing is sent"),
    "pause": Command("pms.cli.pause", "have an algo wait: its entry orders leave"),
    "cancel": Command("pms.cli.cancel", "cancel an algo or an order by its id"),
    "halt": Command("pms.cli.halt", "stop trading: cancel all orders, and close positions if asked"),
    "resume": Command("pms.cli.halt", "let what was halted trade again, or with an ID a paused algo"),
    "drain": Command("pms.cli.drain", "take no new entries, let what runs finish, then stop"),
    "algos": Command("pms.cli.show", "the running algos"),
    "orders": Command("pms.cli.show", "the open orders"),
    "protection": Command("pms.cli.protection", "what protects each position, and what would if the daemon died now"),
    "why": Command("pms.cli.why", "how an algo, an order or a command came about, step by step"),
    "tail": Command("pms.cli.tail", "events as they happen, without a gap"),
    "recover": Command("pms.cli.recover", "what recovery did, or would do"),
    "plugins": Command("pms.cli.plugins", "installed packages that bring algos, and what approves them"),
    "records": Command("pms.cli.records", "keep orders, fills and all events in SQL, beside the daemon"),
    "rebuild": Command("pms.cli.rebuild", "replay the event log, and compare tables and state keys with it"),
    "report": Command("pms.cli.report", "how well orders were executed: table, JSON or a page with charts"),
    "backup": Command("pms.cli.backup", "state, events and records into one file, and back again"),
    "redis-cli": Command("pms.cli.console", "redis-cli on the daemon's Redis", raw=True),
    "bench": Command("pms.bench", "measure against the budgets", raw=True),
    "test": Command("pms.selftest", "lint, types and all tests; arguments go to pytest", raw=True),
}


class Parser(argparse.ArgumentParser):
    """argparse with the exit code of sysexits."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(exits.USAGE, f"{self.prog}: {message}. Nothing was done; see {self.prog} --help.\n")


def main(argv: list[str]) -> int:
    """Run one command; returns its exit code."""
    parser = Parser(prog="pms", epilog="pms COMMAND --help tells more.", formatter_class=argparse.RawTextHelpFormatter)
    listing = "\n".join(f"{name:12} {command.purpose}" for name, command in COMMANDS.items())
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help=listing)
    args = parser.parse_args(argv[:1])
    try:
        return _run(args.command, argv[1:])
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except BrokenPipeError:  # `pms tail | head`: whoever read us has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.OK


def _run(name: str, rest: list[str]) -> int:
    command = COMMANDS[name]
    module = importlib.import_module(command.module)
    from pms.config import ConfigError  # a command that reads settings has loaded it: most do

    try:
        return _ended(name, command, module, rest)
    except ConfigError as error:
        print(f"{error} (exit code {exits.CONFIG})", file=sys.stderr)
        return exits.CONFIG


def _ended(name: str, command: Command, module: ModuleType, rest: list[str]) -> int:
    if command.raw:
        code: int = module.main(rest)
        return code
    parser = Parser(prog=f"pms {name}", description=f"{command.purpose}.")
    parser.set_defaults(command=name)
    module.add_arguments(parser)
    done: int = module.main(parser.parse_args(rest))
    return done

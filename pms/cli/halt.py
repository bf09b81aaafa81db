"""`pms halt` and `pms resume`: stop trading now, and let it go on.

Owns the words and finding out what can still be reached. With `--direct` neither Redis nor a daemon is needed: the
halt is written into the data directory first, then the venue is asked with the keys alone.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec

from pms import config, exits, log
from pms.cli import lines, request, wire
from pms.clock import SystemClock
from schemas.records import Halt, HaltScope

CAUSE = "by hand"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of both."""
    scope = parser.add_mutually_exclusive_group()
    scope.add_argument("--symbol", default="", metavar="S", help="this symbol only (default: everything)")
    scope.add_argument("--sub-account", default="", metavar="ID", help="this sub-account only")
    parser.add_argument("--request-id", default="", metavar="ID", help="send again under the same id: done only once")
    parser.add_argument("--json", action="store_true", help="print the reply as JSON")
    if parser.get_default("command") == "resume":
        parser.add_argument("id", nargs="?", default="", help="of a paused algo, instead of what was halted")
        return
    parser.add_argument("--keep-orders", action="store_true", help="leave resting orders where they are")
    parser.add_argument("--close-positions", action="store_true", help="and close what is held")
    parser.add_argument("--direct", action="store_true", help="with the keys alone: no Redis, no daemon")
    parser.add_argument("--flatten", action="store_true", help="with --direct: close every position of the account")
    parser.add_argument("--live", default="", metavar="LABEL", help="with --direct: the live account's label")


def main(args: argparse.Namespace) -> int:
    """Do it; returns 0 where it is done."""
    if args.command == "halt" and (args.direct or args.flatten):
        return _direct(args)
    if args.command == "resume" and args.id:
        from pms.cli import pause

        return pause.main(args)
    scope, subject = _scope(args)
    body: request.Body = {"requestId": args.request_id or request.new_id(), "scope": scope}
    if scope == "symbol":
        body["symbol"] = subject
    elif scope == "subAccountId":
        body["subAccountId"] = subject
    if args.command == "halt":
        body |= {"cancelOrders": not args.keep_orders, "closePositions": args.close_positions}
    try:
        url, keys = wire.find()
        reply = request.Client(url, keys).ask(args.command, body, privileged=args.command == "resume")
    except (wire.Unreachable, wire.Refused) as error:
        print(error, file=sys.stderr)
        if args.command == "halt":
            print("To stop with the keys alone: python3 -m pms halt --direct", file=sys.stderr)
        return exits.UNAVAILABLE
    return request.tell(reply, body["requestId"], args.json, _sentence(args.command, subject, reply))


def _scope(args: argparse.Namespace) -> tuple[HaltScope, str]:
    if args.symbol:
        return "symbol", args.symbol
    return ("subAccountId", args.sub_account) if args.sub_account else ("all", "")


def _sentence(command: str, subject: str, reply: request.Body | None) -> str:
    where = subject or "everything"
    if command == "resume" or reply is None or not reply["success"]:
        return f"Trading of {where} goes on."
    left, closed = lines.counted(reply["cancelledCount"], "order"), lines.counted(reply["closedCount"], "position")
    back = f"--symbol {subject} or --sub-account {subject}" if subject else ""
    return f"Halted: {where}; {left} cancelled, {closed} closed. To go on: python3 -m pms resume {back}".rstrip()


# --- with the keys alone ------------------------------------------------------------------------------


def _direct(args: argparse.Namespace) -> int:
    """Halt everything by the keys. Returns 0 where the venue shows nothing of ours any more."""
    if args.symbol or args.sub_account or args.keep_orders or args.close_positions or not args.direct:
        message = "--direct halts everything and takes only --flatten beside it; --flatten needs --direct"
        print(f"{message}. Nothing was done.", file=sys.stderr)
        return exits.USAGE
    try:
        settings = config.load(live_label=args.live)
        log.configure(settings.log_format)
        _write_down(settings.data_dir)
    except (config.ConfigError, OSError) as error:
        print(f"{error} Nothing was halted.", file=sys.stderr)
        return exits.CONFIG
    print(f"The halt is written down in {settings.data_dir}: no daemon there sends an entry until `pms resume`.")
    return _at_venue(settings, args.flatten, args.json)


def _write_down(folder: Path) -> None:
    """First of all: a daemon that runs reads it before its next entry, one that starts before anything else."""
    from pms.halts import HaltFile  # not needed to ask a daemon

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = HaltFile(folder)
    now = SystemClock().now_ms()
    standing = {(halt.scope, halt.subject): halt for halt in file.read(now)}
    file.write(({("all", ""): Halt(scope="all", since=now, cause=CAUSE)} | standing).values())


def _at_venue(settings: config.Config, flatten: bool, as_json: bool) -> int:
    from pms import direct, up  # the adapter: only where it is needed
    from pms.paper import running
    from pms.tasks import Tasks
    from pms.venue import AuthFailed, Unavailable

    if settings.simulated:
        listening = running(settings.data_dir)
        if listening is None:
            print("The simulated venue does not run, so nothing can trade. Its orders leave when it starts again.")
            return exits.OK
        settings = up.settled(settings, None, listening)
    clock = SystemClock()

    async def work() -> direct.Halted:
        tasks = Tasks()
        async with direct.reached(settings, clock) as venue:
            try:
                return await direct.halt(venue, clock, tasks, flatten)
            finally:
                await tasks.close()

    try:
        done = up.on_loop(work())
    except (Unavailable, AuthFailed) as error:
        print(f"The venue could not be asked: {error} The halt stands; orders may still rest there.", file=sys.stderr)
        return exits.AUTH if isinstance(error, AuthFailed) else exits.UNAVAILABLE
    return _tell(done, flatten, as_json)


def _tell(done: object, flatten: bool, as_json: bool) -> int:
    shown = msgspec.to_builtins(done)
    if as_json:
        print(msgspec.json.encode(shown).decode())
    else:
        closed = f", {lines.counted(shown['closed'], 'symbol')} closed" if flatten else ""
        print(f"{lines.counted(shown['cancelled'], 'order')} cancelled{closed}.")
    left = [*shown["ordersLeft"], *shown["positionsLeft"]]
    if left:
        print(f"Still there: {', '.join(left)}. Look at the venue's own screen, and run it again.", file=sys.stderr)
        return exits.NO
    if not as_json:
        print("The venue shows no order of ours" + (" and no position." if flatten else "."))
    return exits.OK

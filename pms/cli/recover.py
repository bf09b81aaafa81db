"""`pms recover`: what recovery did on the running daemon; and without one, what it would do, or doing it.

Owns choosing between the three and the words. A dry run asks the venue by GET only and writes nothing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any, get_args

from pms import config, datadir, exits, log
from pms.cli import lines, wire
from pms.cli.feed import read
from pms.config_modes import ForeignPolicy
from schemas import codec
from schemas.records import RecoveryRun

LEFT_ALONE = "show"  # the verdict on what is only named


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `pms recover`."""
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--dry-run", action="store_true", help="only plan: nothing is sent or written")
    choice.add_argument("--apply", action="store_true", help="do it, with the doors closed; algos stay as they are")
    parser.add_argument(
        "--policy",
        choices=get_args(ForeignPolicy),
        default="",
        help="what becomes of orders that are not ours, instead of PMS_FOREIGN_ORDERS",
    )
    parser.add_argument("--live", default="", metavar="LABEL", help="the live account's label, as for `pms run`")
    parser.add_argument("--json", action="store_true", help="print the record as JSON")


def main(args: argparse.Namespace) -> int:
    """Print a run; the code says how it came out (`outcome`). With a policy it is one of our own, planned only unless
    `--apply` is given."""
    try:
        if not (args.dry_run or args.apply or args.policy):
            last = _last()
            if last is not None:
                return _tell(last, args.json)
        run = _once(args.live, args.policy, args.apply)
    except (wire.Unreachable, wire.Refused) as error:
        return _refused(str(error), exits.UNAVAILABLE)
    if isinstance(run, int):
        return run
    return _tell(read(codec.encode(run)), args.json)


def _last() -> dict[str, Any] | None:
    """The last run of a daemon that is running; None where there is none."""
    try:
        url, keys = wire.find()
        redis = wire.Redis(url)
    except wire.Unreachable:
        return None
    if not redis.call("EXISTS", keys.health):
        return None
    body = redis.call("GET", keys.recovery_last)
    redis.close()
    return read(body) if body else {}


def _once(live: str, policy: str, apply: bool) -> RecoveryRun | int:
    """A run of our own; an exit code where it was refused."""
    from pms import recovery_run  # the whole daemon: only where one is put together
    from pms.daemon import Refused
    from pms.embedded import EmbeddedFailed
    from pms.paper import VenueFailed

    try:
        settings = config.load(live_label=live, foreign_policy=policy)
        log.configure(settings.log_format)
        return recovery_run.run(settings, apply)
    except config.ConfigError as error:
        return _refused(str(error), exits.CONFIG)
    except datadir.DataDirInUse as error:
        message = f"A daemon runs on {error.path}; nothing was done. See what it did with `pms recover`, or stop it."
        return _refused(message, exits.DATA_DIR_IN_USE)
    except (EmbeddedFailed, VenueFailed, Refused) as error:
        return _refused(str(error), error.exit_code)


def _refused(message: str, code: int) -> int:
    print(f"{message} (exit code {code})", file=sys.stderr)
    return code


def outcome(run: Mapping[str, Any]) -> int:
    """The exit code of a run: gated before unresolved before acted before clean."""
    if run.get("gated"):
        return exits.FIRST_CONTACT
    if run.get("unresolved"):
        return exits.UNRESOLVED
    done = [step for step in run.get("steps", ()) if step["action"] != LEFT_ALONE]
    return exits.ACTED if done else exits.OK


def _tell(run: dict[str, Any], as_json: bool) -> int:
    unresolved = run.get("unresolved", [])
    if as_json:
        print(codec.encode(run).decode())
    elif not run:
        print("No recovery has been recorded yet.")
    else:
        took = run["finishedAt"] - run["startedAt"]
        print(f"Recovery ({run['cause']}) at {lines.when(run['startedAt'])} UTC, {took} ms, {len(run['steps'])} steps")
        rows = [[step[name] for name in ("action", "subject", "evidence", "outcome")] for step in run["steps"]]
        if rows:
            print(lines.table(("action", "subject", "evidence", "outcome"), rows))
        if unresolved:
            print(f"Unresolved, and so blocked: {', '.join(unresolved)}")
        if run.get("gated"):
            print("Nobody has agreed to this account yet: `pms run` trades on it after `pms recover --apply`.")
    return outcome(run)

"""One command to the daemon and its reply (contract.md, "Commands in"), as any client would do it.

Owns the envelope and the waiting. Refuses to know what is asked. A command without a reply in time may still be
carried out: the text says so, and the same request id asks again without doing it twice.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
from typing import Any

from pms import exits
from pms.cli import wire
from pms.cli.feed import read
from pms.clock import SystemClock
from schemas import codec
from schemas.keys import COMMAND_BODY_FIELD, COMMAND_TYPE_FIELD, Keys

REPLY_S = 5.0  # contract.md: within 3 s; and a reserve
POLL_S = 0.05

Body = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What every command to the daemon takes."""
    parser.add_argument("--sub-account", default="", metavar="ID", help="whose it is (default: main)")
    parser.add_argument("--request-id", default="", metavar="ID", help="send again under the same id: done only once")
    parser.add_argument("--json", action="store_true", help="print the reply as JSON")


def new_id() -> str:
    """A request id that nobody had."""
    return f"cli-{secrets.token_hex(8)}"


def envelope(args: argparse.Namespace) -> Body:
    """The envelope that the arguments ask for, with a request id in any case."""
    body: Body = {"requestId": args.request_id or new_id()}
    return body | ({"subAccountId": args.sub_account} if args.sub_account else {})


class NoDaemon(wire.Unreachable):
    """Redis is there, and no daemon on it."""


class Client:
    """A connection that sends commands. Raises `wire.Unreachable`."""

    def __init__(self, url: str, keys: Keys) -> None:
        self._keys = keys
        self.redis = wire.Redis(url)
        self._results = wire.Redis(url)
        self._results.call("SUBSCRIBE", keys.event_channel("command_result"))
        self._clock = SystemClock()
        if not self.redis.call("EXISTS", keys.health):
            raise NoDaemon("Redis is there, but no daemon works on it; nothing was sent. Start: python3 -m pms up")

    def ask(self, kind: str, body: Body, privileged: bool = False) -> Body | None:
        """Send a body with its envelope and wait for the reply; None where none came in time. Privileged types have a
        door of their own (contract.md)."""
        body = body | {"issuedAt": self._clock.now_ms()}
        result = self._keys.result(body["requestId"])
        self.redis.call("DEL", result)  # of an earlier time under the same id: the stored outcome is told again
        words = (COMMAND_TYPE_FIELD, kind, COMMAND_BODY_FIELD, json.dumps(body, default=str))
        door = self._keys.admin if privileged else self._keys.commands
        self.redis.call("XADD", door, "*", *words)
        give_up = self._clock.monotonic() + REPLY_S
        while self._clock.monotonic() < give_up:
            self._results.read(POLL_S)  # woken by any outcome, ours among them
            if (reply := self.redis.call("GET", result)) is not None:
                return read(reply)
        return None


def tell(reply: Body | None, request_id: str, as_json: bool, sentence: str = "") -> int:
    """Print a reply, and return the exit code that it means."""
    if reply is None:
        print(
            f"No reply within {REPLY_S:.0f} s. It may still be carried out: look at `pms algos` and `pms orders`, or "
            f"send it again with --request-id {request_id}, which does it only once.",
            file=sys.stderr,
        )
        return exits.NO_ANSWER
    if as_json:
        print(codec.encode(reply).decode())
    elif reply["success"]:
        print(sentence or "Done.")
    else:
        print(f"Refused ({reply['errorCode']}): {reply['error']}", file=sys.stderr)
    return exits.OK if reply["success"] else exits.NO

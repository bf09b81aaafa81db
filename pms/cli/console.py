"""`pms redis-cli [ARGS]`: becomes redis-cli, connected to the daemon's Redis.

The password goes by environment, never by an argument: arguments are for everyone on the host to read.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pms import config, exits
from pms.cli import wire


def main(arguments: list[str]) -> int:
    """Replace this process by redis-cli; returns only where that can't be done."""
    try:
        url, _ = wire.find()
    except wire.Unreachable as error:
        print(error, file=sys.stderr)
        return exits.UNAVAILABLE
    program = shutil.which("redis-cli") or shutil.which("valkey-cli") or shutil.which("redis-cli", path=_OURS)
    if program is not None:
        address, secrets = connection(url)
        os.execve(program, [program, *address, *arguments], config.environment(**secrets))
    print("redis-cli was not found; install it (Debian: redis-tools). Nothing was done.", file=sys.stderr)
    return exits.UNAVAILABLE


_OURS = str(Path(sys.prefix) / "redis")


def connection(url: str) -> tuple[list[str], dict[str, str]]:
    """redis-cli's arguments for an address, and what goes by environment."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        arguments = ["-s", unquote(parts.path)]
    else:
        arguments = ["-h", parts.hostname or "localhost", "-p", str(parts.port or 6379)]
        arguments += ["--tls"] if parts.scheme == "rediss" else []
        arguments += ["-n", parts.path.strip("/")] if parts.path.strip("/") else []
    if parts.username:
        arguments += ["--user", unquote(parts.username)]
    password = unquote(parts.password or "")
    return arguments, {"REDISCLI_AUTH": password} if password else {}

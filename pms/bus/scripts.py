"""The Lua functions of the bus, read once, with the digests by which EVALSHA calls them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec


class Script(msgspec.Struct, frozen=True):
    """One function: its text for SCRIPT LOAD, its SHA-1 for EVALSHA."""

    text: str
    sha: str


def _read(name: str) -> Script:
    text = Path(__file__).with_name(name).read_text()
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


COMMIT = _read("commit.lua")
LEASE = _read("lease.lua")

"""The Redis server we stand on: examined before trading, and cleared of prices that nobody keeps any more
(contract.md).

Owns the findings and the purge. Refuses to decide what a finding means: live refuses to start on one, paper warns.
Invariant: nothing but `pms:price:*` is ever deleted by pattern, by SCAN and UNLINK.
"""

from __future__ import annotations

import msgspec

from pms.bus.batch import Put
from pms.bus.caller import Caller
from schemas import codec
from schemas.keys import HEALTH_TTL_S, Keys
from schemas.records import Health

SCAN_COUNT = 1_000
OLDEST = (6, 2)


class Finding(msgspec.Struct, frozen=True):
    """Something about the server that can lose orders: what it is, and what to do."""

    code: str
    message: str


_FIXES = {
    "maxmemory_policy": "Redis may evict keys (maxmemory-policy {found}). Set: CONFIG SET maxmemory-policy noeviction",
    "no_aof": "Redis keeps no append-only file: a crash loses orders. Set: CONFIG SET appendonly yes",
    "cluster": "Redis runs in cluster mode, where one atomic step can't span keys. Use a single server.",
    "replica": "Redis is a replica ({found}): what is written here is lost. Connect to its primary.",
    "too_old": "Redis {found} is older than 6.2, whose commands we use. Upgrade it.",
    "unknown": "Redis would not say how it is set up ({found}). Allow the daemon's user INFO.",
}


async def examine(caller: Caller) -> tuple[Finding, ...]:
    """What is wrong with the server, worst first; nothing where all is well. Raises Gone."""
    (reply,) = await caller.calls([("INFO", "everything")])
    if not isinstance(reply, bytes):
        return (_finding("unknown", str(reply)),)
    info = dict(line.split(":", 1) for line in reply.decode(errors="replace").splitlines() if ":" in line)
    version = info.get("redis_version", "0")
    checks = (
        ("too_old", version, tuple(map(int, version.split(".")[:2])) < OLDEST),
        ("cluster", "", info.get("cluster_enabled", "0") != "0"),
        ("replica", f"of {info.get('master_host')}", info.get("role", "master") != "master"),
        ("no_aof", "", info.get("aof_enabled") != "1"),
        ("maxmemory_policy", info.get("maxmemory_policy", ""), info.get("maxmemory_policy") != "noeviction"),
    )
    return tuple(_finding(code, found) for code, found, wrong in checks if wrong)


def _finding(code: str, found: str) -> Finding:
    return Finding(code, _FIXES[code].format(found=found))


async def purge_prices(caller: Caller, keys: Keys) -> int:
    """Remove the prices of an earlier run and nothing else. Returns how many there were. Raises Gone, Refusal."""
    removed, cursor = 0, b"0"
    while True:
        reply = await caller.call("SCAN", cursor, "MATCH", keys.prices, "COUNT", SCAN_COUNT)
        assert isinstance(reply, list)
        cursor, names = reply
        if names:
            count = await caller.call("UNLINK", *names)
            assert isinstance(count, int)
            removed += count
        if cursor == b"0":
            return removed


def health(keys: Keys, record: Health) -> Put:
    """`pms:health`: gone 15 s after the last one, so that a dead daemon shows."""
    return Put(key=keys.health, value=codec.encode(record), ttl_ms=HEALTH_TTL_S * 1000)

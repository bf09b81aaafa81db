"""One recovery by itself, without a running daemon: planned only, or carried out with the doors closed.

Owns putting a daemon together for that. Refuses while another daemon holds the account. A dry run takes no lease,
writes nothing to Redis, and asks the venue by GET only; damaged records are a part of its plan.
"""

from __future__ import annotations

import msgspec

from pms import exits, planned, restore, up
from pms.bus import host
from pms.clock import SystemClock
from pms.config import Config
from pms.daemon import Daemon, Refused
from pms.venue import Unavailable
from schemas.records import Lease, RecoveryRun

_STILL = ("--profile", "still")  # a paper market must not trade while we look


def run(config: Config, apply: bool) -> RecoveryRun:
    """Plan, or plan and carry out. Raises as `up.stack` does, and Refused."""
    with up.stack(config, list(_STILL)) as stands:
        return up.on_loop(_run(stands.config, apply))


async def _run(config: Config, apply: bool) -> RecoveryRun:
    async with up.composed(config, SystemClock()) as daemon:
        work = daemon.put_right() if apply else examine(daemon)
        if (refused := await up.attempt(work)) is not None:
            raise refused
        assert daemon.recovery.last is not None, "a run was made"
        return daemon.recovery.last


async def _refuse_beside_another(daemon: Daemon) -> None:
    """Raises Refused while the lease stands, but for a holder that is provably dead."""
    text = await daemon.caller.call("GET", daemon.names.lease)
    if text is None:
        return
    assert isinstance(text, bytes), "the lease is a string"
    lease = msgspec.json.decode(text)
    if lease.get("released"):
        return
    holder = msgspec.convert(lease, Lease)
    if not host.is_dead(holder, daemon.parts.holder):
        raise Refused(f"another daemon holds this account: {holder}. Nothing was done.", exits.LEASE_HELD)


async def examine(daemon: Daemon) -> None:
    """Give a daemon that was not started the plan as its last run. Raises Refused, Gone."""
    await _refuse_beside_another(daemon)
    now = daemon.parts.clock.now_ms()
    restored = await restore.read(daemon.caller, daemon.names, daemon.ledger, now, dry=True)
    try:
        daemon.recovery.last = await planned.look(daemon, restored)
    except Unavailable as error:
        raise Refused(f"the venue can't be read: {error}. Nothing was done.", exits.UNAVAILABLE) from error

"""What a recovery would do, looked at and not done: for `pms recover --dry-run` and for the first contact with an
account (execution.md 24).

Owns putting records and venue side by side on a daemon that was not started. Refuses to change either: it writes
nothing to Redis and asks the venue by GET only.
"""

from __future__ import annotations

from pms import recover, restore
from pms.assembly import Assembly
from recovery import reconcile
from schemas.records import Quarantined, RecoveryRun, RecoveryStep

PLANNED = "planned"


async def look(parts: Assembly, restored: restore.Restored) -> RecoveryRun:
    """The plan as a run whose steps are all `planned`; damaged records are a part of it. Raises Unavailable."""
    for kind, state in restored.algos:
        parts.desk.register(parts.desk.begin(kind, state))
    await parts.venue.rest.measure_clock()
    started = parts.desk.now()
    policy = parts.config.foreign_policy
    _, made = await reconcile.examine(parts.venue, parts.hands, policy, parts.parts.clock.sleep)
    return RecoveryRun(
        cause="dry_run",
        started_at=started,
        finished_at=parts.desk.now(),
        steps=(*map(_quarantine, restored.quarantined), *(recover.described(one, PLANNED) for one in made.verdicts)),
        unresolved=made.unresolved,
        gated=parts.config.live and not parts.ledger.watermark.consent_at,
    )


def in_words(run: RecoveryRun) -> str:
    """A plan's steps, one a line."""
    lines = (f"  {step.action} {step.subject}: {step.evidence}" for step in run.steps)
    return "\n".join(lines) or "  nothing: what the venue shows is what the records say"


def _quarantine(found: Quarantined) -> RecoveryStep:
    return RecoveryStep(action="quarantine", subject=found.key, evidence=found.reason, outcome=PLANNED)

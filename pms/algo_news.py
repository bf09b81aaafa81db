"""What of an algo's step is told: its event where there is news, and the alarm of one that does not go on.

Owns the pace of progress events. Refuses to know kinds.
"""

from __future__ import annotations

from algos.view import View
from pms.alarms import Alarms
from pms.runner import PROGRESS_MS, Runner
from schemas.chase import AlgoStatus
from schemas.events_orders import Event


def event_of(runner: Runner, view: View, started: bool, now: int) -> Event | None:
    """The event of a step, None where nothing is to be told yet. A status, children, fills and a
    milestone are told at once, the rest once a second."""
    kind = runner.kind
    word = "started" if started else view.status.value if view.status.terminal else "progress"
    if word == "progress" and view.milestone != runner.milestone:
        runner.milestone = word = view.milestone
    if word == "progress" and view.news == runner.told and now - runner.told_at < PROGRESS_MS:
        return None
    runner.told, runner.told_at = view.news, now
    return kind.event(f"{kind.name}_{word}", runner.state, now)


def alarm(alarms: Alarms, view: View, reason: str, now: int) -> None:
    """An algo that is blocked is told to people, once, until it goes on (law 7)."""
    if not (alarms.open or view.exposed or view.unserved or view.status is AlgoStatus.BLOCKED):
        return  # nothing to be told, and nothing stands that could be over
    _alarm_exposed(alarms, view, now)
    _alarm_unserved(alarms, view, now)
    if view.status is AlgoStatus.BLOCKED:
        message = (
            f"{view.algo_id} does not go on: {reason}. It does by itself once that is over, trying at most once a "
            "minute where it is refused; mend the cause or cancel it."
        )
        alarms.sound("algo_blocked", "warning", view.algo_id, message, now)
    else:
        alarms.clear("algo_blocked", view.algo_id, now)
    if view.status.terminal:
        alarms.clear("plugin_missing", view.algo_id, now)


def _alarm_exposed(alarms: Alarms, view: View, now: int) -> None:
    """Protection that should stand at the venue and does not is told to people, once, until it does."""
    if view.exposed and not view.status.terminal:
        message = (
            f"{view.algo_id} has no backstop at the venue: {view.exposed}. It protects {view.symbol} only while this "
            "daemon lives, and tries again; look at what the venue says, or close the position."
        )
        alarms.sound("backstop_missing", "critical", view.algo_id, message, now)
    else:
        alarms.clear("backstop_missing", view.algo_id, now)


def _alarm_unserved(alarms: Alarms, view: View, now: int) -> None:
    """A trigger that the venue refuses to hold is told to people, once, until it does."""
    subject = f"{view.algo_id}:venue"
    if view.unserved and not view.status.terminal:
        message = (
            f"the venue does not take {view.algo_id}'s order on {view.symbol} ({view.unserved}). The daemon watches "
            "its price itself: if it dies now, nothing protects the position. It asks again each minute."
        )
        alarms.sound("protection_blind", "critical", subject, message, now)
    else:
        alarms.clear("protection_blind", subject, now)

"""What a recovery could not resolve: orders of unknown fate, and orders that should be gone and are not.

Owns which sub-account and symbol each of them blocks for new risk, and the alarm that says so (design.md, "Start-up").
Refuses to find out what became of them: whoever does says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from pms.alarms import Alarms

ALARM = "recovery_unresolved"
EVERYBODY = ""  # nobody can tell whose it is, so that it is everybody's


class Open(msgspec.Struct, frozen=True):
    """One of them. `leaves`: an order that should be gone."""

    sub_account_id: str
    symbol: str
    why: str
    leaves: bool


class Unresolved:
    """See the module. `tell` is called with a symbol for which the answer to `reason` has changed."""

    def __init__(self, alarms: Alarms, now: Callable[[], int], tell: Callable[[str], None]) -> None:
        self._alarms = alarms
        self._now = now
        self._tell = tell
        self._open: dict[str, Open] = {}

    @property
    def subjects(self) -> tuple[str, ...]:
        """The client ids of all of them."""
        return tuple(self._open)

    @property
    def leaving(self) -> bool:
        """Whether something should have left the market and did not."""
        return any(one.leaves for one in self._open.values())

    def begin(self, found: Iterable[str]) -> None:
        """A new run found these: whatever else stood, also of a former life, is over."""
        still = set(found)
        former = [alarm.subject for alarm in self._alarms.open.values() if alarm.code == ALARM]
        for client_id in {*self._open, *former} - still:
            self.over(client_id)

    def add(self, client_id: str, sub_account_id: str, symbol: str, why: str, leaves: bool = False) -> None:
        """One more; it is told once."""
        known = client_id in self._open
        self._open[client_id] = Open(sub_account_id, symbol, why, leaves)
        whose = f"'{sub_account_id}'" if sub_account_id else "any sub-account"
        message = f"{client_id}: {why}. Until that is over {whose} takes no new risk on {symbol}; it is asked for on."
        self._alarms.sound(ALARM, "warning", client_id, message, self._now())
        if not known:
            self._tell(symbol)

    def over(self, client_id: str) -> None:
        """It is known what became of one. Nothing where none was open."""
        self._alarms.clear(ALARM, client_id, self._now())
        if (one := self._open.pop(client_id, None)) is not None:
            self._tell(one.symbol)

    def reason(self, sub_account_id: str, symbol: str) -> str:
        """Why a sub-account takes no new risk on a symbol; empty where nothing stands against it."""
        for client_id, one in self._open.items():
            if one.symbol == symbol and one.sub_account_id in (EVERYBODY, sub_account_id):
                return f"{client_id}: {one.why}"
        return ""

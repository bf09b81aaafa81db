"""The logs `orders` and `audit`: each event as a line, beside the tables and from the same read.

Owns which event goes into which log and what its line has bound. Refuses to know SQL. Each event is logged once, also
over a SIGKILL: a line is written before its batch is committed, and a repeat is known by its number.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import structlog

from pms.log_files import RotatedFile
from pms.records.columns import instant
from pms.records.rows import Told
from schemas import codec
from schemas.errors import Invalid

ORDERS, AUDIT = "orders", "audit"
_PREFIXES = ("order_", "chase_", "twap_", "trail_stop_", "scalper_", "algo_", "protection_", "position_", "funding_")
# By these people find out who did what, and what the daemon did on its own account.
_AUDITED = (*"command_result risk_rejected alarm system_status seq_jump position_drift adl_triggered".split(),)
_AUDITED_PREFIXES = ("recovery_", "full_liquidation", "margin_warning")

_log = structlog.get_logger("pms.records.journal")


class _Bound(msgspec.Struct, frozen=True, rename="camel"):
    """The names that an event may have for its order and its algo."""

    client_order_id: str = ""
    root_id: str = ""
    parent_id: str = ""
    chase_id: str = ""
    twap_id: str = ""
    twap_basket_id: str = ""
    trail_stop_id: str = ""
    scalper_id: str = ""
    algo_id: str = ""

    @property
    def algo(self) -> str:
        """The algo that an event is about; of an order the topmost one."""
        own = (self.chase_id, self.twap_id, self.twap_basket_id, self.trail_stop_id, self.scalper_id, self.algo_id)
        return next((name for name in (*own, self.root_id, self.parent_id) if name), "")


class _Seq(msgspec.Struct, frozen=True):
    seq: int = 0


def stream_of(event_type: str) -> str:
    """The log that an event goes into; "" for none: prices of positions, twice a second, are no history."""
    if event_type in _AUDITED or event_type.startswith(_AUDITED_PREFIXES):
        return AUDIT
    return ORDERS if event_type.startswith(_PREFIXES) else ""


def line(told: Told) -> bytes:
    """An event as a line: what every log binds first, then the event as it was published."""
    numbered, bound = told.numbered, msgspec.json.decode(told.body, type=_Bound)
    failed = numbered.type.endswith(("_failed", "_rejected")) or numbered.type in ("alarm", "order_unknown")
    fields: dict[str, Any] = {
        "timestamp": f"{instant(numbered.ts):%Y-%m-%dT%H:%M:%S.%fZ}",
        "level": "warning" if failed else "info",
        "logger": f"pms.{stream_of(numbered.type)}",
        "event": numbered.type,
        "seq": numbered.seq,
        "requestId": numbered.request_id,
        "algoId": bound.algo,
        "clientOrderId": bound.client_order_id,
        "subAccountId": numbered.sub_account_id,
        "told": msgspec.Raw(told.body),
    }
    return msgspec.json.encode(fields)


class Journal:
    """Both logs in a folder."""

    def __init__(self, folder: Path) -> None:
        self._files = {name: RotatedFile(folder, name) for name in (ORDERS, AUDIT)}
        self._last = {name: _last_seq(file.last_line()) for name, file in self._files.items()}
        self._full = False

    def note(self, told: Iterable[Told]) -> None:
        """Log what was not logged yet. A disk that takes nothing costs lines, never the records."""
        try:
            for one in told:
                name, seq = stream_of(one.numbered.type), one.numbered.seq
                if name and seq > self._last[name]:
                    self._files[name].write(line(one))
                    self._last[name] = seq
            for file in self._files.values():
                file.flush()
            self._full = False
        except OSError as error:
            if not self._full:
                _log.error("log_not_written", reason=str(error), then="lines are missing until there is room")
            self._full = True

    def close(self) -> None:
        """What was noted is in the files."""
        for file in self._files.values():
            file.close()


def _last_seq(last: bytes) -> int:
    """The number of a log's last line; a line that is none proves nothing to be there."""
    try:
        return codec.decode(_Seq, last).seq if last else 0
    except Invalid as error:
        _log.warning("log_unreadable", reason=str(error))
        return 0

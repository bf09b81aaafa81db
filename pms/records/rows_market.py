"""From the market stream to rows: pure."""

from __future__ import annotations

import msgspec
import structlog

from pms.records.columns import instant
from pms.records.draft import Draft, Values
from pms.records.tables import ArrivalDepth, MarketSecond
from schemas import codec
from schemas.errors import Invalid
from schemas.tape import Arrival, Entry, Second

_log = structlog.get_logger("pms.records.market")


def apply(rows: Draft, body: bytes) -> None:
    """Put one entry into the rows. What can't be read is left out: it is for looking back only."""
    try:
        entry: Second | Arrival = codec.decode(Entry, body)  # type: ignore[arg-type]  # a union is no class
    except Invalid as error:
        _log.warning("market_entry_unreadable", reason=str(error))
        return
    values: Values = {name: getattr(entry, name) for name in entry.__struct_fields__ if name != "v"}
    values["ts"] = instant(entry.ts)
    if isinstance(entry, Second):
        rows.add(MarketSecond, values)
        return
    levels: dict[str, msgspec.Raw] = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    values |= {"side": str(entry.side), "bids": bytes(levels["bids"]).decode(), "asks": bytes(levels["asks"]).decode()}
    rows.add(ArrivalDepth, values)

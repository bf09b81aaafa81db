"""The facts of a report, read from the records in SQL in one snapshot.

Owns the queries: each asks once for all parents together. Refuses to judge. Reads only: it runs beside the writer and
holds nobody up.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pms.records.columns import instant, unix_ms
from pms.report.facts import Depth, Facts, Fill, Lot, Parent, Refusal, Second, Step, Tape
from schemas.market import ZERO, Side

BEFORE = timedelta(seconds=10)  # of a parent, so that its first fills have a mid
AFTER = timedelta(seconds=35)  # the longest markout
TAKER_BPS = Decimal(5)  # the venue's ordinary taker fee, where the records hold no taker fill

Found = Mapping[str, Any]
Key = tuple[str, str]  # a parent and its symbol
_Levels = tuple[tuple[Decimal, Decimal], ...]
_levels = msgspec.json.Decoder(_Levels)


class Asked(msgspec.Struct, frozen=True):
    """Which parents: those that began since then, of one sub-account or ("") of all."""

    since: datetime
    sub_account: str = ""


class _Kept:
    """What was found of all parents, by what it belongs to."""

    def __init__(self) -> None:
        self.orders: dict[Key, list[Found]] = {}
        self.runs: dict[str, Found] = {}
        self.depths: dict[Key, Depth] = {}
        self.fills: defaultdict[Key, list[Fill]] = defaultdict(list)
        self.steps: defaultdict[Key, list[Step]] = defaultdict(list)
        self.plans: dict[str, tuple[Lot, ...]] = {}
        self.refusals: defaultdict[Key, Counter[str]] = defaultdict(Counter)
        self.refused: list[Refusal] = []

    def parent(self, key: Key) -> Parent:
        """One of them, whole."""
        (name, symbol), orders, run = key, self.orders[key], self.runs.get(key[0])
        first, last, refusals = orders[0], orders[-1], self.refusals[key]
        ends = [order["ended_at"] or order["updated_at"] for order in orders]
        ended = max(ends) if run is None else run["ended_at"] or max(run["updated_at"], *ends)
        return Parent(
            id=name,
            kind=first["origin"].lower() if run is None else run["kind"],
            sub_account_id=first["sub_account_id"],
            symbol=symbol,
            started_at=unix_ms(first["placed_at"] if run is None else run["started_at"]),
            ended_at=unix_ms(ended),
            status=last["state"] if run is None else run["status"],
            quantity=first["quantity"] if run is None else _asked(run, symbol),
            placed=len(orders),
            reprices=sum(order["amends"] for order in orders),
            rejects=refusals.total() + len([order for order in orders if order["state"] == "failed"]),
            arrival=_decided(first),
            depth=self.depths.get(key),
            fills=tuple(self.fills[key]),
            steps=tuple(self.steps[key]),
            plan=self.plans.get(name, ()),
            refusals=dict(sorted(refusals.items())),
        )


class Reader:
    """Queries on one connection."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def facts(self, asked: Asked) -> Facts:
        """Everything asked for."""
        await self._connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
        kept = _Kept()
        await self._orders(kept, asked)
        await self._runs(kept)
        await self._depths(kept)
        await self._refusals(kept, asked)
        await self._fills(kept)
        await self._steps(kept)
        parents = [kept.parent(key) for key in kept.orders]
        parents.sort(key=lambda parent: (parent.started_at, parent.id, parent.symbol))
        tapes = await self._tapes(parents)
        paired = [(parent, tapes[parent.symbol]) for parent in parents]
        return Facts(paired, await self._equity(asked), await self._taker_bps(), kept.refused)

    async def _rows(self, query: str, **given: object) -> Sequence[Found]:
        return [dict(row) for row in (await self._connection.execute(text(query), given)).mappings()]

    async def _orders(self, kept: _Kept, asked: Asked) -> None:
        """Orders of every parent that began in time: an algo's by its topmost algo, another's by its own id."""
        found = await self._rows(
            "SELECT coalesce(nullif(o.root_id, ''), o.client_order_id) AS parent, o.* FROM orders o "
            "LEFT JOIN algo_runs r ON r.algo_id = o.root_id "
            "WHERE coalesce(r.started_at, o.placed_at) >= :since AND (:one = '' OR o.sub_account_id = :one) "
            "ORDER BY o.placed_at, o.client_order_id",
            since=asked.since,
            one=asked.sub_account,
        )
        for order in found:
            kept.orders.setdefault((order["parent"], order["symbol"]), []).append(order)

    async def _runs(self, kept: _Kept) -> None:
        """The runs among the parents, and the plans that the replies to TWAPs told."""
        found = await self._rows(
            "SELECT r.*, r.state::text AS told, (c.reply->'plan')::text AS plan FROM algo_runs r "
            "LEFT JOIN commands c ON c.request_id = r.request_id AND c.reply->>'twapId' = r.algo_id "
            "WHERE r.algo_id = ANY(CAST(:ids AS text[]))",
            ids=sorted({name for name, _ in kept.orders}),
        )
        for run in found:
            kept.runs[run["algo_id"]] = run
            if run["plan"]:
                kept.plans[run["algo_id"]] = msgspec.json.decode(run["plan"], type=tuple[Lot, ...])

    async def _depths(self, kept: _Kept) -> None:
        found = await self._rows(
            "SELECT parent_id, symbol, ts, bids::text AS bids, asks::text AS asks FROM arrival_depths "
            "WHERE parent_id = ANY(CAST(:ids AS text[])) ORDER BY side DESC",
            ids=sorted({name for name, _ in kept.orders}),
        )
        for row in found:
            kept.depths[row["parent_id"], row["symbol"]] = _depth(row)

    async def _refusals(self, kept: _Kept, asked: Asked) -> None:
        """What the gate refused: of the parents and their children, and what no parent came of."""
        owners = {one["parent_id"]: name for (name, _), orders in kept.orders.items() for one in orders}
        owners = {name: name for name, _ in kept.orders} | {child: name for child, name in owners.items() if child}
        found = await self._rows(
            "SELECT d.parent_id, d.symbol, d.reason_code, min(d.ts) AS ts, count(*) AS n FROM risk_rejections d "
            "LEFT JOIN algo_runs r ON r.algo_id = d.parent_id WHERE d.parent_id = ANY(CAST(:parents AS text[])) OR "
            "(coalesce(r.started_at, d.ts) >= :since AND (:one = '' OR d.sub_account_id = :one)) "
            "GROUP BY d.parent_id, d.symbol, d.reason_code, CAST(d.ts AT TIME ZONE 'UTC' AS date) ORDER BY 4, 3",
            parents=sorted(owners),
            since=asked.since,
            one=asked.sub_account,
        )
        for row in found:
            key = (owners.get(row["parent_id"], ""), row["symbol"])
            if key in kept.orders:
                kept.refusals[key][row["reason_code"]] += row["n"]
            else:
                kept.refused.append(Refusal(unix_ms(row["ts"]), row["reason_code"], row["n"]))

    async def _fills(self, kept: _Kept) -> None:
        owners = _owners(kept)
        found = await self._rows(
            "SELECT * FROM fills WHERE client_order_id = ANY(CAST(:ids AS text[])) ORDER BY ts, seq", ids=list(owners)
        )
        for row in found:
            kept.fills[owners[row["client_order_id"]]].append(_fill(row))

    async def _steps(self, kept: _Kept) -> None:
        """Where resting orders stood, from their events; the limit of one that never rests is no level."""
        owners, orders = _owners(kept), [order for orders in kept.orders.values() for order in orders]
        if not orders:
            return
        found = await self._rows(
            "SELECT ts, type, payload->>'clientOrderId' AS id, (payload->>'price')::numeric AS price FROM events "
            "WHERE ts BETWEEN :first AND :last AND type = ANY(CAST(:types AS text[])) "
            "AND payload->>'clientOrderId' = ANY(CAST(:ids AS text[])) AND (payload->>'price')::numeric > 0 "
            "AND payload->>'timeInForce' NOT IN ('IOC', 'FOK') "
            "ORDER BY seq",
            first=min(order["placed_at"] for order in orders) - BEFORE,
            last=max(order["ended_at"] or order["updated_at"] for order in orders) + AFTER,
            types=["order_active", "order_amended", *_GONE],
            ids=list(owners),
        )
        for row in found:
            price = None if row["type"] in _GONE else row["price"]
            kept.steps[owners[row["id"]]].append(Step(unix_ms(row["ts"]), row["id"], price))

    async def _tapes(self, parents: Sequence[Parent]) -> dict[str, Tape]:
        """Each symbol's seconds, as far as they are around a parent."""
        found = await self._rows(
            "SELECT DISTINCT m.symbol, m.ts, m.bid, m.ask, m.buy_quantity + m.sell_quantity AS quantity, m.notional "
            "FROM unnest(CAST(:symbols AS text[]), CAST(:firsts AS timestamptz[]), CAST(:lasts AS timestamptz[])) "
            "AS around (symbol, first, last) JOIN market_seconds m "
            "ON m.symbol = around.symbol AND m.ts BETWEEN around.first AND around.last ORDER BY m.symbol, m.ts",
            symbols=[parent.symbol for parent in parents],
            firsts=[instant(parent.started_at) - BEFORE for parent in parents],
            lasts=[instant(parent.ended_at) + AFTER for parent in parents],
        )
        seconds: dict[str, list[Second]] = {parent.symbol: [] for parent in parents}
        for row in found:
            mid = (row["bid"] + row["ask"]) / 2 if row["bid"] and row["ask"] else None
            seconds[row["symbol"]].append(Second(unix_ms(row["ts"]), mid, row["quantity"], row["notional"]))
        return {symbol: Tape(known) for symbol, known in seconds.items()}

    async def _equity(self, asked: Asked) -> dict[str, list[tuple[int, Decimal]]]:
        found = await self._rows(
            "SELECT sub_account_id, ts, equity FROM balances WHERE ts >= :since "
            "AND (:one = '' OR sub_account_id = :one) ORDER BY sub_account_id, seq",
            since=asked.since,
            one=asked.sub_account,
        )
        curves: dict[str, list[tuple[int, Decimal]]] = {}
        for row in found:
            curves.setdefault(row["sub_account_id"], []).append((unix_ms(row["ts"]), row["equity"]))
        return curves

    async def _taker_bps(self) -> Decimal:
        """The newest taker fee that was paid in dollars."""
        found = await self._rows(
            "SELECT commission * 10000 / (price * quantity) AS bps FROM fills WHERE NOT maker AND commission > 0 "
            "AND commission_asset = 'USDT' ORDER BY ts DESC LIMIT 1"
        )
        return Decimal(found[0]["bps"]).quantize(Decimal("0.01")) if found else TAKER_BPS


_GONE = ("order_filled", "order_cancelled", "order_expired", "order_failed")


def _owners(kept: _Kept) -> dict[str, Key]:
    """The parent of each order."""
    return {order["client_order_id"]: key for key, orders in kept.orders.items() for order in orders}


def _fill(row: Found) -> Fill:
    return Fill(
        ts=unix_ms(row["ts"]),
        side=Side(row["side"]),
        price=row["price"],
        quantity=row["quantity"],
        commission=row["commission"],
        asset=row["commission_asset"],
        maker=row["maker"],
    )


def _asked(run: Found, symbol: str) -> Decimal:
    """What was asked for of a symbol; a basket has it by legs."""
    if run["quantity"] is not None:
        quantity: Decimal = run["quantity"]
        return quantity
    told = msgspec.json.Decoder(float_hook=Decimal).decode(run["told"])
    return sum((Decimal(leg["totalQuantity"]) for leg in told.get("legs", ()) if leg["symbol"] == symbol), ZERO)


def _decided(order: Found) -> Decimal | None:
    bid, ask = order["decision_bid"], order["decision_ask"]
    return (bid + ask) / 2 if bid and ask else None


def _depth(row: Found) -> Depth:
    return Depth(unix_ms(row["ts"]), _levels.decode(row["bids"]), _levels.decode(row["asks"]))

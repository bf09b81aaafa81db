"""The facts of a report, read from the records in SQL in one snapshot.

Owns the queries. Refuses to judge. Reads only: it runs beside the writer and holds nobody up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from pms.records.columns import instant, unix_ms
from pms.report.facts import Depth, Facts, Fill, Lot, Parent, Second, Step, Tape
from schemas.market import ZERO, Side

BEFORE = timedelta(seconds=10)  # of a parent, so that its first fills have a mid
AFTER = timedelta(seconds=35)  # the longest markout
TAKER_BPS = Decimal(5)  # the venue's ordinary taker fee, where the records hold no taker fill

Found = Mapping[str, Any]
_Levels = tuple[tuple[Decimal, Decimal], ...]
_levels = msgspec.json.Decoder(_Levels)


class Asked(msgspec.Struct, frozen=True):
    """Which parents: those that began since then, of one sub-account or ("") of all."""

    since: datetime
    sub_account: str = ""


class Reader:
    """Queries on one connection."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def facts(self, asked: Asked) -> Facts:
        """Everything asked for."""
        await self._connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
        groups: dict[tuple[str, str], list[Found]] = {}
        for order in await self._orders(asked):
            groups.setdefault((order["parent"], order["symbol"]), []).append(order)
        parents = [await self._parent(*key, orders) for key, orders in groups.items()]
        parents.sort(key=lambda parent: (parent.started_at, parent.id, parent.symbol))
        tapes = [(parent, await self._tape(parent)) for parent in parents]
        return Facts(tapes, await self._equity(asked), await self._taker_bps())

    async def _rows(self, query: str, **given: object) -> Sequence[Found]:
        return [dict(row) for row in (await self._connection.execute(text(query), given)).mappings()]

    async def _orders(self, asked: Asked) -> Sequence[Found]:
        """Orders of every parent that began in time: an algo's by its topmost algo, another's by its own id."""
        return await self._rows(
            "SELECT coalesce(nullif(o.root_id, ''), o.client_order_id) AS parent, o.* FROM orders o "
            "LEFT JOIN algo_runs r ON r.algo_id = o.root_id "
            "WHERE coalesce(r.started_at, o.placed_at) >= :since AND (:one = '' OR o.sub_account_id = :one) "
            "ORDER BY o.placed_at, o.client_order_id",
            since=asked.since,
            one=asked.sub_account,
        )

    async def _parent(self, name: str, symbol: str, orders: Sequence[Found]) -> Parent:
        runs = await self._rows("SELECT r.*, r.state::text AS told FROM algo_runs r WHERE algo_id = :id", id=name)
        run, first, last = (runs[0] if runs else None), orders[0], orders[-1]
        ids = [order["client_order_id"] for order in orders]
        started = first["placed_at"] if run is None else run["started_at"]
        ends = [order["ended_at"] or order["updated_at"] for order in orders]
        ended = max(ends) if run is None else run["ended_at"] or max(run["updated_at"], *ends)
        depths = await self._rows(
            "SELECT ts, bids::text AS bids, asks::text AS asks FROM arrival_depths WHERE parent_id = :id "
            "AND symbol = :symbol",
            id=name,
            symbol=symbol,
        )
        return Parent(
            id=name,
            kind=first["origin"].lower() if run is None else run["kind"],
            sub_account_id=first["sub_account_id"],
            symbol=symbol,
            started_at=unix_ms(started),
            ended_at=unix_ms(ended),
            status=last["state"] if run is None else run["status"],
            quantity=first["quantity"] if run is None else _asked(run, symbol),
            placed=len(orders),
            reprices=sum(order["amends"] for order in orders),
            rejects=await self._rejects(name, orders),
            arrival=_decided(first),
            depth=_depth(depths[0]) if depths else None,
            fills=await self._fills(ids),
            steps=await self._steps(ids, started, ended),
            plan=await self._plan(run),
        )

    async def _rejects(self, name: str, orders: Sequence[Found]) -> int:
        parents = sorted({name, *(order["parent_id"] for order in orders if order["parent_id"])})
        query = "SELECT count(*) AS n FROM risk_rejections WHERE parent_id = ANY(CAST(:parents AS text[]))"
        refused = (await self._rows(query, parents=parents))[0]["n"]
        return int(refused) + len([order for order in orders if order["state"] == "failed"])

    async def _fills(self, ids: Sequence[str]) -> tuple[Fill, ...]:
        found = await self._rows(
            "SELECT * FROM fills WHERE client_order_id = ANY(CAST(:ids AS text[])) ORDER BY ts, seq", ids=ids
        )
        return tuple(
            Fill(
                ts=unix_ms(row["ts"]),
                side=Side(row["side"]),
                price=row["price"],
                quantity=row["quantity"],
                commission=row["commission"],
                asset=row["commission_asset"],
                maker=row["maker"],
            )
            for row in found
        )

    async def _steps(self, ids: Sequence[str], started: datetime, ended: datetime) -> tuple[Step, ...]:
        """Where its resting orders stood, from their events; the limit of one that never rests is no level."""
        found = await self._rows(
            "SELECT ts, type, payload->>'clientOrderId' AS id, (payload->>'price')::numeric AS price FROM events "
            "WHERE ts BETWEEN :first AND :last AND type = ANY(CAST(:types AS text[])) "
            "AND payload->>'clientOrderId' = ANY(CAST(:ids AS text[])) AND (payload->>'price')::numeric > 0 "
            "AND payload->>'timeInForce' NOT IN ('IOC', 'FOK') "
            "ORDER BY seq",
            first=started - BEFORE,
            last=ended + AFTER,
            types=["order_active", "order_amended", *_GONE],
            ids=ids,
        )
        return tuple(
            Step(unix_ms(row["ts"]), row["id"], None if row["type"] in _GONE else row["price"]) for row in found
        )

    async def _plan(self, run: Found | None) -> tuple[Lot, ...]:
        if run is None or run["kind"] != "twap":
            return ()
        query = "SELECT (reply->'plan')::text AS plan FROM commands WHERE request_id = :id AND reply->>'twapId' = :algo"
        told = await self._rows(query, id=run["request_id"], algo=run["algo_id"])
        return msgspec.json.decode(told[0]["plan"], type=tuple[Lot, ...]) if told and told[0]["plan"] else ()

    async def _tape(self, parent: Parent) -> Tape:
        found = await self._rows(
            "SELECT ts, bid, ask, buy_quantity + sell_quantity AS quantity, notional FROM market_seconds "
            "WHERE symbol = :symbol AND ts BETWEEN :first AND :last ORDER BY ts",
            symbol=parent.symbol,
            first=instant(parent.started_at) - BEFORE,
            last=instant(parent.ended_at) + AFTER,
        )
        return Tape(
            [
                Second(
                    ts=unix_ms(row["ts"]),
                    mid=(row["bid"] + row["ask"]) / 2 if row["bid"] and row["ask"] else None,
                    quantity=row["quantity"],
                    notional=row["notional"],
                )
                for row in found
            ]
        )

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

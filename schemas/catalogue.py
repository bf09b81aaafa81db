"""What there is to describe: every key with what it holds, and the names under which structs are published.

Owns the table behind the generated documents (export.py); a test holds it against `Keys`. Refuses to know formats.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from schemas import books, keys, records
from schemas.chase import ChaseState
from schemas.fields import Command
from schemas.keys import Keys
from schemas.orders import Order
from schemas.plugin import PluginState
from schemas.protection import ProtectionState
from schemas.replies import Success
from schemas.scalper import ScalperState
from schemas.trail_stop import TrailStopState
from schemas.twap import TwapBasketState, TwapState

_ALGOS = ChaseState | TrailStopState | TwapState | TwapBasketState | ScalperState | ProtectionState | PluginState
RedisType = Literal["string", "hash", "list", "stream", "channel"]


class Row(msgspec.Struct, frozen=True):
    """One key or channel.

    `holds` is the JSON of its value, row or entry, `or_holds` its other form; None for plain text. `ttl_s` 0: kept.
    """

    name: str
    key: str
    redis: RedisType
    about: str
    holds: type[msgspec.Struct] | None = None
    ttl_s: int = 0
    or_holds: type[msgspec.Struct] | None = None

    @property
    def forms(self) -> tuple[type[msgspec.Struct], ...]:
        return tuple(kind for kind in (self.holds, self.or_holds) if kind is not None)


def key_table(namespace: str = keys.NAMESPACE) -> tuple[Row, ...]:
    """Every key and channel with placeholders in braces, in the contract's order."""
    k = Keys(namespace)
    return (*_doors(k), *_algos(k), *_state(k), *_system(k), *_out(k))


def _doors(k: Keys) -> tuple[Row, ...]:
    return (
        Row("commands", k.commands, "stream", "commands in; entries have the fields type and body"),
        Row("admin", k.admin, "stream", "privileged commands in"),
        Row("commandList", k.command_list("{type}"), "list", "commands in: LPUSH the body"),
        Row("adminList", k.command_list("{type}", admin=True), "list", "privileged commands in: LPUSH the body"),
        Row("dead", k.dead, "list", "input that could not be decoded, newest first", records.DeadLetter),
        Row(
            "request",
            k.request("{acct}", "{requestId}"),
            "string",
            "idempotency record",
            records.Request,
            keys.REQUEST_TTL_S,
        ),
        Row("result", k.result("{requestId}"), "string", "the reply to a command", Success, keys.RESULT_TTL_S),
        Row("nonce", k.nonce("{keyId}", "{nonce}"), "string", "replay guard", None, keys.NONCE_TTL_S),
    )


def _algos(k: Keys) -> tuple[Row, ...]:
    return (
        Row("chase", k.algo("chase", "{id}"), "string", "state of a chase", ChaseState),
        Row("twap", k.algo("twap", "{id}"), "string", "state of a TWAP", TwapState),
        Row("trailStop", k.algo("trail_stop", "{id}"), "string", "state of a trailing stop", TrailStopState),
        Row("scalper", k.algo("scalper", "{id}"), "string", "state of a scalper", ScalperState),
        Row("twapBasket", k.algo("twap_basket", "{id}"), "string", "state of a TWAP basket", TwapBasketState),
        Row("plugin", k.plugin("{kind}", "{id}"), "string", "state of an algo of a plug-in", PluginState),
        Row(
            "protection",
            k.plugin("protection", "{id}"),
            "string",
            "state of a stop and a take-profit",
            ProtectionState,
        ),
        Row("activeChase", k.active("chase", "{acct}"), "hash", "live chases by id", ChaseState),
        Row("activeTwap", k.active("twap", "{acct}"), "hash", "live TWAPs by id", TwapState),
        Row("activeTrailStop", k.active("trail_stop", "{acct}"), "hash", "live trailing stops by id", TrailStopState),
        Row("activeScalper", k.active("scalper", "{acct}"), "hash", "live scalpers by id", ScalperState),
        Row("activeTwapBasket", k.active("twap_basket", "{acct}"), "hash", "live TWAP baskets by id", TwapBasketState),
        Row(
            "activePlugins",
            k.active_plugins("{acct}"),
            "hash",
            "live protections, and algos of plug-ins, by id",
            PluginState,
            or_holds=ProtectionState,
        ),
    )


def _state(k: Keys) -> tuple[Row, ...]:
    return (
        Row("openOrders", k.open_orders("{acct}"), "hash", "live orders by clientOrderId", Order),
        Row("order", k.order("{clientOrderId}"), "string", "an order from intent to terminal", Order),
        Row("position", k.position("{acct}"), "hash", "the virtual book by symbol", books.Position),
        Row("risk", k.risk("{acct}"), "string", "balance, margin and positions", books.Risk),
        Row("subaccount", k.subaccount("{acct}"), "string", "a sub-account", records.SubAccount),
        Row("price", k.price("{symbol}"), "string", "the touch", records.Price, keys.PRICE_TTL_S),
    )


def _system(k: Keys) -> tuple[Row, ...]:
    return (
        Row("mode", k.mode, "string", "trading mode and halts", records.Mode),
        Row("watermark", k.watermark, "string", "newest applied trade and income", records.Watermark),
        Row(
            "lease",
            k.lease,
            "string",
            "who owns the account; once released it stays",
            records.Lease,
            keys.LEASE_TTL_S,
            records.LeaseReleased,
        ),
        Row("epoch", k.epoch, "string", "fencing number of the lease"),
        Row("seq", k.seq, "string", "number of the last event"),
        Row("seqBySubAccount", k.seq_by_sub_account, "hash", "number of the last event by sub-account"),
        Row("alarms", k.alarms, "hash", "open alarms by code:subject", records.Alarm),
        Row("records", k.records, "string", "how far the events are in SQL", records.Commit),
        Row("health", k.health, "string", "how the daemon is", records.Health, keys.HEALTH_TTL_S),
        Row("quarantine", k.quarantine("{key}"), "string", "a damaged record", records.Quarantined),
        Row("recoveryLast", k.recovery_last, "string", "the last recovery run", records.RecoveryRun),
    )


def _out(k: Keys) -> tuple[Row, ...]:
    return (
        Row("eventStream", k.event_stream, "stream", "the event log; entries have the field event, ids are {seq}-0"),
        Row("marketStream", k.market_stream, "stream", "one-second touch and trade aggregates"),
        Row("eventChannel", k.event_channel("{type}"), "channel", "the same bytes as in the event stream"),
    )


def published_name(kind: type[msgspec.Struct]) -> str:
    """The name of a struct in the documents; commands and records say what they are, since events share their words."""
    name = kind.__name__.lstrip("_")
    if issubclass(kind, Command):
        return f"{name}Command"
    if issubclass(kind, records.Record | records.Put | Order | _ALGOS):
        return f"{name.removesuffix('State')}Record"
    return "Success" if kind is Success else name

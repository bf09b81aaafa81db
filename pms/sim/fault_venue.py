"""Faults of the venue itself: listen keys, a neighbour, its clock, its rules, what it does to accounts, its being away.

Owns what each kind takes and does. Refuses to know when it strikes. No
`account` means every account that has an API key. What has a `for_ms` ends by itself after so long, 0
meaning when all is healed.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Annotated

import msgspec

from pms.sim.fault_answers import LOCAL
from pms.sim.fault_stage import Stage, kind_of
from pms.sim.script import ABNORMAL, Count, Fault, Ms, OnRequest, OnSocket
from pms.sim.session import GOING_AWAY

LISTEN_KEY = "/fapi/v1/listenKey"
SHUTTING_DOWN = -1016
Amount = Annotated[str, msgspec.Meta(pattern=r"^[0-9]+(\.[0-9]+)?$")]
Percent = Annotated[int, msgspec.Meta(ge=0, le=1000)]


class ListenKeyExpired(Fault, frozen=True, forbid_unknown_fields=True, tag="listen_key_expired"):
    """Every listen key expires now: `listenKeyExpired` is told, the sockets stay open and silent."""

    def strike(self, stage: Stage) -> None:
        if stage.venue.expire_listen_keys(stage.now()):
            stage.fired(kind_of(self))


class ListenKeyDeleted(Fault, frozen=True, forbid_unknown_fields=True, tag="listen_key_deleted"):
    """Somebody else with the account's API key deletes its listen key: nobody is told, the sockets stay open and
    silent. `renewed`: and takes a new one, so that a renewal succeeds and helps nothing."""

    account: str = ""
    renewed: bool = False

    def strike(self, stage: Stage) -> None:
        keys = stage.venue.listen_keys
        for account in filter(keys.key_of, stage.accounts(self.account)):
            keys.close(account)
            if self.renewed:
                keys.issue(account, stage.now())
            stage.fired(kind_of(self))


class ListenKeyBogus(Fault, frozen=True, forbid_unknown_fields=True, tag="listen_key_bogus"):
    """The next `count` requests for a listen key are given one that does not exist; its socket opens and is silent."""

    count: Count = 1

    def strike(self, stage: Stage) -> None:
        body = json.dumps({"listenKey": "b0" * 32})
        name = kind_of(self)
        stage.rule(OnRequest(name=name, method="POST", path=LISTEN_KEY, count=self.count, status=200, body=body))


class Neighbour(Fault, frozen=True, forbid_unknown_fields=True, tag="neighbour"):
    """Somebody else behind our address and on our account has used the weight of this minute up to `weight_pct` of its
    limit, and the order counts up to `orders_pct`."""

    weight_pct: Percent = 95
    orders_pct: Percent = 0
    account: str = ""
    ip: str = LOCAL

    def strike(self, stage: Stage) -> None:
        meter, now = stage.venue.meter, stage.now()
        meter.fill(self.ip, self.weight_pct, now)
        for account in stage.accounts(self.account):
            meter.fill_orders(account, self.orders_pct, now)
        stage.fired(kind_of(self))


class ClockSkew(Fault, frozen=True, forbid_unknown_fields=True, tag="clock_skew"):
    """The clock that the venue shows and judges timestamps by goes `ms` before ours (behind it: negative)."""

    ms: int
    for_ms: Ms = 0

    def strike(self, stage: Stage) -> None:
        stage.venue.skew_ms = self.ms
        stage.fired(kind_of(self))
        stage.later(self.for_ms, lambda: setattr(stage.venue, "skew_ms", 0))


class FiltersChanged(Fault, frozen=True, forbid_unknown_fields=True, tag="filters_changed"):
    """A symbol has other filters from now on; what is not named stays as it is. No event tells of it."""

    symbol: str
    tick: Amount = ""
    step: Amount = ""
    min_qty: Amount = ""
    max_qty: Amount = ""
    min_notional: Amount = ""
    for_ms: Ms = 0

    def strike(self, stage: Stage) -> None:
        names = ("tick", "step", "min_qty", "max_qty", "min_notional")
        _change_rules(stage, self.symbol, self.for_ms, **{name: getattr(self, name) for name in names})
        stage.fired(kind_of(self))


class SymbolHalted(Fault, frozen=True, forbid_unknown_fields=True, tag="symbol_halted"):
    """A symbol's `status` is no longer TRADING: new orders and amendments are refused, cancels go."""

    symbol: str
    status: str = "TRADING_HALT"
    for_ms: Ms = 0

    def strike(self, stage: Stage) -> None:
        _change_rules(stage, self.symbol, self.for_ms, status=self.status)
        stage.fired(kind_of(self))


class Adl(Fault, frozen=True, forbid_unknown_fields=True, tag="adl"):
    """So much of an account's position is deleveraged now; nothing happens without one."""

    symbol: str
    quantity: Amount
    account: str = ""

    def strike(self, stage: Stage) -> None:
        quantity = Decimal(self.quantity)
        for account in stage.accounts(self.account):
            (held,) = stage.venue.exchange.positions(account, self.symbol)
            if abs(held.amount) >= quantity > 0:
                stage.venue.exchange.adl(account, self.symbol, quantity)
                stage.fired(kind_of(self))


class Liquidation(Fault, frozen=True, forbid_unknown_fields=True, tag="liquidation"):
    """An account is liquidated now: its orders expire, its positions close."""

    account: str = ""

    def strike(self, stage: Stage) -> None:
        for account in stage.accounts(self.account):
            stage.venue.exchange.liquidate(account)
            stage.fired(kind_of(self))


class Maintenance(Fault, frozen=True, forbid_unknown_fields=True, tag="maintenance"):
    """The venue is down for maintenance: `serverShutdown`, every socket ends with 1001, handshakes are refused and
    requests answered with 503 and -1016."""

    for_ms: Ms = 30_000

    def strike(self, stage: Stage) -> None:
        name = kind_of(self)
        stage.venue.shut_down(0)
        msg = "This service is no longer available."
        stage.passing(OnRequest(name=name, count=0, status=503, code=SHUTTING_DOWN, msg=msg), self.for_ms)
        stage.passing(OnSocket(name=name, count=0, refuse=503), self.for_ms)
        stage.cut("", GOING_AWAY)
        stage.fired(name)


class NotReached(Fault, frozen=True, forbid_unknown_fields=True, tag="not_reached"):
    """The network between us and the venue is gone: every connection is dropped, none can be opened."""

    for_ms: Ms = 10_000

    def strike(self, stage: Stage) -> None:
        name = kind_of(self)
        stage.passing(OnRequest(name=name, count=0, lose="before"), self.for_ms)
        stage.passing(OnSocket(name=name, count=0, refuse=502), self.for_ms)
        stage.cut("", ABNORMAL)
        stage.fired(name)


def _change_rules(stage: Stage, symbol: str, for_ms: int, **changes: str) -> None:
    """Let a symbol have other rules, and those that it was listed with back."""
    stage.venue.change_rules(symbol, **changes)
    listed = stage.venue.listed[symbol]
    stage.later(
        for_ms, lambda: stage.venue.change_rules(symbol, **{name: str(getattr(listed, name)) for name in changes})
    )

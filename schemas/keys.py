"""Every Redis key, channel and lifetime of contract.md; the only place that spells the prefix.

Refuses to know what is stored. Invariant: nothing outside `{namespace}:` is ever named, channels included.
Sub-account ids have no ':' (fields.py), so a key of two ids can be read only one way.
"""

from __future__ import annotations

from typing import Literal

import msgspec

NAMESPACE = "pms"  # setting PMS_NAMESPACE

PRICE_TTL_S = 30
HEALTH_TTL_S = 15
LEASE_TTL_S = 10  # execution.md 19
RESULT_TTL_S = 300
TERMINAL_TTL_S = 24 * 3600  # terminal algos and orders; live ones never expire
REQUEST_TTL_S = 7 * 24 * 3600
NONCE_TTL_S = 600  # twice the ±5 min a signed command may be off

STREAM_FIELD = "event"  # of the event stream's entries
COMMAND_TYPE_FIELD = "type"  # of the command streams' entries
COMMAND_BODY_FIELD = "body"
COMMAND_GROUP = "daemon"  # consumer group of both command streams

AlgoKind = Literal["chase", "twap", "trail_stop", "scalper", "twap_basket"]
_STATE_WORD = {"trail_stop": "trailstop"}  # the one kind whose state key is spelled otherwise
_ADMIN = "admin"


class ListDoor(msgspec.Struct, frozen=True):
    """A command list taken apart: the type it carries, and whether it is the privileged door."""

    type: str
    admin: bool


class Keys(msgspec.Struct, frozen=True):
    """The names under one namespace."""

    namespace: str = NAMESPACE

    # commands in

    @property
    def commands(self) -> str:
        return f"{self.namespace}:commands"

    @property
    def admin(self) -> str:
        return f"{self.namespace}:{_ADMIN}"

    def command_list(self, command_type: str, admin: bool = False) -> str:
        return f"{self.namespace}:cmd:{_ADMIN}:{command_type}" if admin else f"{self.namespace}:cmd:{command_type}"

    @property
    def command_lists(self) -> str:
        """SCAN pattern of all lists (the dead-letter list, too)."""
        return f"{self.namespace}:cmd:*"

    def list_door(self, key: str) -> ListDoor | None:
        """What a command list carries; None for the dead letters and for keys that are no command list."""
        start = f"{self.namespace}:cmd:"
        if not key.startswith(start) or key == self.dead:
            return None
        first, colon, rest = key[len(start) :].partition(":")
        return ListDoor(rest, True) if colon and first == _ADMIN else ListDoor(key[len(start) :], False)

    @property
    def dead(self) -> str:
        """Input that could not be decoded, newest first, capped."""
        return f"{self.namespace}:cmd:dead"

    def request(self, sub_account: str, request_id: str) -> str:
        return f"{self.namespace}:request:{sub_account}:{request_id}"

    def result(self, request_id: str) -> str:
        return f"{self.namespace}:result:{request_id}"

    def nonce(self, key_id: str, nonce: str) -> str:
        return f"{self.namespace}:nonce:{key_id}:{nonce}"

    # state

    def algo(self, kind: AlgoKind, algo_id: str) -> str:
        """The whole state record of one algo."""
        return f"{self.namespace}:{_STATE_WORD.get(kind, kind)}:{algo_id}"

    def active(self, kind: AlgoKind, sub_account: str) -> str:
        """Hash of a sub-account's live algos, id → the same JSON."""
        return f"{self.namespace}:active_{kind}:{sub_account}"

    def algos(self, kind: AlgoKind) -> str:
        """SCAN pattern of the state records of a kind."""
        return self.algo(kind, "*")

    def plugin(self, kind: str, algo_id: str) -> str:
        """The state record of an algo from a plug-in."""
        return f"{self.namespace}:algo:{kind}:{algo_id}"

    def active_plugins(self, sub_account: str) -> str:
        return f"{self.namespace}:active_algo:{sub_account}"

    def open_orders(self, sub_account: str) -> str:
        return f"{self.namespace}:open_orders:{sub_account}"

    def order(self, client_order_id: str) -> str:
        return f"{self.namespace}:order:{client_order_id}"

    def position(self, sub_account: str) -> str:
        return f"{self.namespace}:position:{sub_account}"

    def risk(self, sub_account: str) -> str:
        return f"{self.namespace}:risk:{sub_account}"

    def subaccount(self, sub_account: str) -> str:
        return f"{self.namespace}:subaccount:{sub_account}"

    def price(self, symbol: str) -> str:
        return f"{self.namespace}:price:{symbol}"

    @property
    def prices(self) -> str:
        """SCAN pattern of what start-up purges: nothing else is ever deleted by pattern."""
        return self.price("*")

    @property
    def mode(self) -> str:
        return f"{self.namespace}:mode"

    @property
    def watermark(self) -> str:
        return f"{self.namespace}:watermark"

    @property
    def lease(self) -> str:
        return f"{self.namespace}:lease"

    @property
    def epoch(self) -> str:
        return f"{self.namespace}:epoch"

    @property
    def seq(self) -> str:
        return f"{self.namespace}:seq"

    @property
    def seq_by_sub_account(self) -> str:
        """Hash sub-account → seq of its last event, the source of `prevSeq`."""
        return f"{self.namespace}:seq:acct"

    @property
    def alarms(self) -> str:
        return f"{self.namespace}:alarms"

    @property
    def records(self) -> str:
        return f"{self.namespace}:records"

    @property
    def health(self) -> str:
        return f"{self.namespace}:health"

    def quarantine(self, key: str) -> str:
        """Where a damaged record goes; `key` is its full name."""
        return f"{self.namespace}:quarantine:{key}"

    @property
    def recovery_last(self) -> str:
        return f"{self.namespace}:recovery:last"

    # events out

    @property
    def event_stream(self) -> str:
        return f"{self.namespace}:stream:events"

    @property
    def market_stream(self) -> str:
        return f"{self.namespace}:stream:market"

    def event_channel(self, event_type: str) -> str:
        return f"{self.namespace}:events:{event_type}"

    @property
    def event_channels(self) -> str:
        """PSUBSCRIBE pattern; an ACL allows it literally."""
        return self.event_channel("*")

"""The modes: paper, shadow, testnet and live (design.md): which venue each may meet, and what it needs.

Owns the venue's addresses and every refusal that keeps orders from being real by accident.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args
from urllib.parse import urlsplit

from pms.config_values import ConfigError, choice

Mode = Literal["paper", "shadow", "testnet", "live"]
ForeignPolicy = Literal["cancel", "ours", "report"]
OrderEntry = Literal["rest", "ws"]

# Where the venue is (binance.md 1.1): REST, streams, WebSocket API. Production's only in shadow, which has no key,
# and in live, which has to name them.
PRODUCTION = ("https://fapi.binance.com", "wss://fstream.binance.com", "wss://ws-fapi.binance.com/ws-fapi/v1")
TESTNET = (
    "https://demo-fapi.binance.com",
    "wss://demo-fstream.binance.com",
    "wss://testnet.binancefuture.com/ws-fapi/v1",
)
ADDRESSES = ("PMS_REST_URL", "PMS_STREAM_URL", "PMS_WS_API_URL")


def addresses(env: Mapping[str, str], mode: str) -> tuple[str, str, str]:
    """REST, streams and WebSocket API. Raises ConfigError for production's outside of shadow and live."""
    usual = {"shadow": PRODUCTION, "testnet": TESTNET}.get(mode, ("", "", ""))
    found = tuple((env.get(name) or place).rstrip("/") for name, place in zip(ADDRESSES, usual, strict=True))
    for name, address in zip(ADDRESSES, found, strict=True):
        if mode in ("paper", "testnet") and _is_production(address):
            raise ConfigError(
                f"{name} is an address of the production venue, and PMS_MODE is '{mode}': orders there would be real. "
                "Nothing was started. Leave it out, or set PMS_MODE=shadow to follow its market with play money."
            )
    return found[0], found[1], found[2]


def _is_production(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    return host.endswith(("binance.com", "binance.us")) and not host.startswith(("demo-", "testnet."))


def order_entry(env: Mapping[str, str], mode: str, ws_api_url: str) -> OrderEntry:
    """How orders reach the venue. Away from the simulator the WebSocket API has a host of its own, to be named."""
    entry = choice(env, "PMS_ORDER_ENTRY", get_args(OrderEntry), "rest")
    if entry == "ws" and mode not in ("paper", "shadow") and not ws_api_url.startswith(("ws://", "wss://")):
        raise ConfigError("PMS_ORDER_ENTRY=ws needs PMS_WS_API_URL, a ws:// or wss:// address. Nothing was started.")
    return entry  # type: ignore[return-value]


def check(env: Mapping[str, str], mode: str, live_label: str) -> None:
    """Raises ConfigError where something that the mode needs is missing, or what it must not have is there."""
    label = env.get("PMS_ACCOUNT_LABEL", "")
    if mode in ("shadow", "testnet") and env.get("PMS_REDIS_URL") and env.get("PMS_NAMESPACE", "pms") == "pms":
        raise ConfigError(
            f"PMS_MODE={mode} keeps books of another venue, and PMS_REDIS_URL may hold those of a real one. Nothing "
            f"was started. Set PMS_NAMESPACE, to pms-{mode} for instance."
        )
    if mode != "live":
        if mode == "testnet" and not env.get("PMS_API_KEY"):
            raise ConfigError(
                "PMS_MODE=testnet needs PMS_API_KEY and PMS_API_SECRET of a demo account. Nothing was started."
            )
        if live_label:
            raise ConfigError(
                f"--live {live_label} was given but PMS_MODE is '{mode}'. Set PMS_MODE=live to trade live."
            )
        return
    if not label or live_label != label:
        raise ConfigError(
            "PMS_MODE=live trades real money, and needs `--live LABEL` with the same label as PMS_ACCOUNT_LABEL. "
            "Nothing was started. Set both, or leave PMS_MODE out for paper trading."
        )
    needed = ["PMS_API_KEY", "PMS_API_SECRET", "PMS_REST_URL", "PMS_STREAM_URL"]
    if env.get("PMS_API_KEY_TYPE", "hmac") != "hmac":
        needed[1] = "PMS_API_KEY_FILE"  # a secret would be its passphrase
    if missing := [name for name in needed if not env.get(name)]:
        raise ConfigError(f"PMS_MODE=live needs {', '.join(missing)}. Nothing was started.")


def foreign_policy(mode: str, named: str) -> ForeignPolicy:
    """Foreign orders at start: `cancel` in paper, shadow and testnet; in live it must be named (execution.md 24)."""
    if not named and mode == "live":
        raise ConfigError(
            "PMS_MODE=live needs PMS_FOREIGN_ORDERS: what becomes at the start of orders that are not ours. "
            "Set cancel, ours (cancel only ours without an owner) or report. Nothing was started."
        )
    return named or "cancel"  # type: ignore[return-value]

"""The adapter that the settings ask for: which API key signs, and how orders reach the venue.

Owns what of the settings the adapter is made of. Refuses to open anything: that is the adapter's start.
"""

from __future__ import annotations

from pms.binance.gateway import BinanceVenue
from pms.binance.signing import Credentials
from pms.binance.transport import Http, Sockets
from pms.binance.venue_clock import VenueClock
from pms.binance.ws_api import PATH
from pms.clock import Clock
from pms.config import Config, ConfigError
from pms.core.backoff import ConnectBudget
from pms.governor import Governor
from pms.tasks import Tasks

NOWHERE = "ws://127.0.0.1"  # for programs that open no stream


def credentials(config: Config) -> Credentials:
    """The API key. Raises ConfigError where its file holds no key of the type that is named."""
    key, secret = config.api_key.reveal(), config.api_secret.reveal()
    if config.key_type == "hmac":
        return Credentials(key, secret)
    made = Credentials(key, config.private_key.reveal(), config.key_type, secret)
    try:
        made.signer()
    except ValueError as error:
        raise ConfigError(
            f"PMS_API_KEY_FILE can't be used: {error}. Set PMS_API_KEY_TYPE to the key's type, and PMS_API_SECRET to "
            "the passphrase of an encrypted key. Nothing was started."
        ) from error
    return made


def adapter(
    config: Config,
    http: Http,
    sockets: Sockets,
    clock: Clock,
    tasks: Tasks,
    connects: ConnectBudget,
    governor: Governor,
    venue_clock: VenueClock | None = None,
) -> BinanceVenue:
    """The venue, not started. Raises ConfigError."""
    streams = config.stream_url or NOWHERE
    ws_api = (config.ws_api_url or streams + PATH) if config.order_entry == "ws" else ""
    wire, keys = (http, sockets, streams), credentials(config)
    return BinanceVenue(*wire, keys, clock, tasks, connects, governor, ws_api, venue_clock)

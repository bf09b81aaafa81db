"""Settings: every environment variable the project reads, with its default and its meaning. The only place that reads
the environment.

The set-up (`pms.bootstrap`) reads pip's own variables besides. Secrets are held in `Secret`, which never prints itself.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import urlsplit

import msgspec

from pms import config_modes as modes
from pms.config_modes import ForeignPolicy, Mode, OrderEntry
from pms.config_values import ConfigError, Secret
from pms.config_values import choice as _choice
from pms.config_values import number as _number
from pms.config_values import secret as _secret
from pms.core.limiter import Limits

__all__ = ["Config", "ConfigError", "Reach", "Secret", "environment", "load", "reach"]

LogFormat = Literal["auto", "json", "text"]
KeyType = Literal["hmac", "ed25519", "rsa"]

PAPER_KEY = "paper"
PAPER_SECRET = "paper"  # the simulator's own account, on loopback, with play money


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """One daemon's settings. URLs of an empty text mean: start our own (Redis, simulator). `followed` are REST and
    streams of the venue whose market our simulator follows, in shadow."""

    mode: Mode
    account_label: str
    namespace: str
    data_dir: Path
    redis_url: str
    redis_fsync: Literal["everysec", "always"]
    records: Literal["on", "off"]
    rest_url: str
    stream_url: str
    api_key: Secret
    api_secret: Secret
    key_type: KeyType
    private_key: Secret
    order_entry: OrderEntry
    ws_api_url: str
    followed: tuple[str, str] | None
    foreign_policy: ForeignPolicy
    admin_door_only: bool
    command_keys: Secret
    resume_max_age_s: int
    resume_max_move_pct: int
    depth_speed: str
    book_ticker: bool
    streams_per_socket: int
    opposing: Literal["allow", "refuse"]
    margin_action: Literal["reduce", "close", "notify"]
    dead_man: Literal["auto", "on", "off"]
    sub_account_balance: int
    rate_limits: Limits
    log_format: LogFormat
    plugins: Path

    def __repr__(self) -> str:  # the Redis address has a password
        return f"Config({self.mode}, {self.data_dir})"

    @property
    def live(self) -> bool:
        return self.mode == "live"

    @property
    def simulated(self) -> bool:
        """Whether orders go to our own simulator, started with the daemon."""
        return self.mode in ("paper", "shadow") and not self.rest_url


def load(environ: Mapping[str, str] | None = None, live_label: str = "", foreign_policy: str = "") -> Config:
    """Settings from the environment. `live_label` is what the command line gave with `--live`, `foreign_policy` what it
    gave in place of PMS_FOREIGN_ORDERS. Raises ConfigError.

    Live needs both `PMS_MODE=live` and `--live X` equal to `PMS_ACCOUNT_LABEL`, so that it never comes by accident
    (design.md, modes).
    """
    env = os.environ if environ is None else environ
    mode = _choice(env, "PMS_MODE", get_args(Mode), "paper")
    modes.check(env, mode, live_label)
    rest_url, stream_url, ws_api_url = modes.addresses(env, mode)
    policy = foreign_policy or env.get("PMS_FOREIGN_ORDERS", "")
    if policy not in ("", *get_args(ForeignPolicy)):
        raise ConfigError(f"PMS_FOREIGN_ORDERS is '{policy}'. Set it to cancel, ours or report.")
    return Config(
        mode=mode,  # type: ignore[arg-type]
        account_label=env.get("PMS_ACCOUNT_LABEL", ""),
        namespace=_namespace(env),
        data_dir=_data_dir(env),
        redis_url=_redis_url(env),
        redis_fsync=_choice(env, "PMS_REDIS_FSYNC", ("everysec", "always"), "everysec"),  # type: ignore[arg-type]
        records=_choice(env, "PMS_RECORDS", ("on", "off"), "on"),  # type: ignore[arg-type]
        rest_url="" if mode == "shadow" else rest_url,
        stream_url="" if mode == "shadow" else stream_url,
        api_key=_secret(env, "PMS_API_KEY", PAPER_KEY if mode == "paper" else ""),
        api_secret=_secret(env, "PMS_API_SECRET", PAPER_SECRET if mode == "paper" else ""),
        key_type=_choice(env, "PMS_API_KEY_TYPE", get_args(KeyType), "hmac"),  # type: ignore[arg-type]
        private_key=_private_key(env),
        order_entry=modes.order_entry(env, mode, ws_api_url),
        ws_api_url="" if mode == "shadow" else ws_api_url,
        followed=(rest_url, stream_url) if mode == "shadow" else None,
        foreign_policy=modes.foreign_policy(mode, policy),
        command_keys=Secret(env.get("PMS_COMMAND_KEYS", "")),
        admin_door_only=env.get("PMS_ADMIN_DOOR", "only" if mode == "live" else "open") == "only",
        resume_max_age_s=_number(env, "PMS_RESUME_MAX_AGE_SECONDS", 300),
        resume_max_move_pct=_number(env, "PMS_RESUME_MAX_MOVE_PCT", 1),
        depth_speed=_choice(env, "PMS_DEPTH_SPEED", ("100ms", "0ms"), "100ms"),
        book_ticker=_choice(env, "PMS_BOOK_TICKER", ("on", "off"), "on") == "on",
        streams_per_socket=_number(env, "PMS_STREAMS_PER_SOCKET", 400),
        dead_man=_choice(env, "PMS_DEAD_MAN", ("auto", "on", "off"), "auto"),  # type: ignore[arg-type]
        margin_action=_choice(env, "PMS_MARGIN_ACTION", ("reduce", "close", "notify"), "reduce"),  # type: ignore[arg-type]
        opposing=_choice(env, "PMS_OPPOSING", ("allow", "refuse"), "allow"),  # type: ignore[arg-type]
        sub_account_balance=_number(env, "PMS_SUBACCOUNT_BALANCE", 10_000),
        rate_limits=_rate_limits(env),
        log_format=log_format(env),
        plugins=plugins(env),
    )


class Reach(msgspec.Struct, frozen=True):
    """Where a command finds a daemon's Redis and its records: the URLs, or the data directory in which private servers
    leave theirs. `keep_days` is how long the records keep what grows by the day, by table; 0 is for ever."""

    namespace: str
    data_dir: Path
    redis_url: str
    database_url: Secret
    postgres_port: int
    keep_days: dict[str, int]

    def __repr__(self) -> str:
        return f"Reach({self.data_dir})"


def reach(environ: Mapping[str, str] | None = None) -> Reach:
    """The settings of commands that only talk to a daemon; whether it trades live is none of theirs."""
    env = os.environ if environ is None else environ
    keep = {
        "events": _number(env, "PMS_RECORDS_KEEP_DAYS", 400),
        "market_seconds": _number(env, "PMS_MARKET_KEEP_DAYS", 30),
    }
    database_url, port = Secret(env.get("PMS_DATABASE_URL", "")), _number(env, "PMS_PG_PORT", 0)
    return Reach(_namespace(env), _data_dir(env), _redis_url(env), database_url, port, keep)


class Notify(msgspec.Struct, frozen=True):
    """Where a service manager listens, "" where none does; and within how many seconds it waits for a sign of life, 0
    where it does not."""

    address: str = ""
    watchdog_s: float = 0.0


def notify(environ: Mapping[str, str] | None = None) -> Notify:
    """What systemd gives to what it starts (sd_notify(3)): NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID."""
    env = os.environ if environ is None else environ
    address = env.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return Notify()
    address = "\0" + address[1:] if address.startswith("@") else address  # "@" names one outside the file system
    microseconds = env.get("WATCHDOG_USEC", "")
    ours = env.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return Notify(address, int(microseconds) / 1_000_000 if ours and microseconds.isdecimal() else 0.0)


def log_format(environ: Mapping[str, str] | None = None) -> LogFormat:
    """The form of the log, for programs without other settings. Raises ConfigError."""
    env = os.environ if environ is None else environ
    return _choice(env, "PMS_LOG_FORMAT", get_args(LogFormat), "auto")  # type: ignore[return-value]


def plugins(environ: Mapping[str, str] | None = None) -> Path:
    """The list of approved plug-ins: in the data directory where none is named."""
    env = os.environ if environ is None else environ
    return Path(env.get("PMS_PLUGINS") or _data_dir(env) / "plugins.txt").absolute()


def environment(**more: str) -> dict[str, str]:
    """Our environment with additions, for a program that we start or become."""
    return {**os.environ, **more}


def clean_environment(**settings: str) -> dict[str, str]:
    """Our environment with these settings and no others, for a program that must not see ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PMS_") or name in _SET_UP}
    return kept | settings


_SET_UP = ("PMS_NO_VENV",)  # the set-up's own; not a setting of the daemon


def _rate_limits(env: Mapping[str, str]) -> Limits:
    return Limits(
        weight_1m=_number(env, "PMS_RATE_WEIGHT_1M", 0),
        orders_10s=_number(env, "PMS_RATE_ORDERS_10S", 0),
        orders_1m=_number(env, "PMS_RATE_ORDERS_1M", 0),
    )


def _namespace(env: Mapping[str, str]) -> str:
    return env.get("PMS_NAMESPACE", "pms")


def _data_dir(env: Mapping[str, str]) -> Path:
    """Shadow and testnet have places of their own: their orders and books are of another venue."""
    mode = env.get("PMS_MODE", "")
    usual = f".pms-{mode}" if mode in ("shadow", "testnet") else ".pms"
    return Path(env.get("PMS_DATA_DIR", usual)).absolute()


def _private_key(env: Mapping[str, str]) -> Secret:
    """The text of the key file of an Ed25519 or RSA key; empty for an HMAC key, whose secret needs no file."""
    if env.get("PMS_API_KEY_TYPE", "hmac") == "hmac":
        return Secret("")
    try:
        return Secret(Path(env.get("PMS_API_KEY_FILE", "")).read_text("ascii"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"PMS_API_KEY_FILE can't be read ({type(error).__name__}). Set it to the file of the private key, in PEM."
        ) from None


def _redis_url(env: Mapping[str, str]) -> str:
    """Refused here where it can't be read: the parser's own error would show a part of the password."""
    text = env.get("PMS_REDIS_URL", "")
    try:
        parts = urlsplit(text)
        good = not text or (parts.scheme in ("redis", "rediss", "unix") and parts.port != 0)
    except ValueError:
        good = False
    if not good:
        raise ConfigError(
            "PMS_REDIS_URL is no Redis address (not shown, it may have a password). Set redis://, rediss:// or "
            "unix://, with / @ : # of the password percent-encoded."
        )
    return text

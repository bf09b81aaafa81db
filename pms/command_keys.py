"""The keys that commands are signed with, from the setting that names them (contract.md, authentication)."""

from __future__ import annotations

from pms.bus import auth
from pms.bus.auth import Keyring
from pms.config import Config, ConfigError


def keyring(config: Config) -> Keyring:
    """Who may command. Raises ConfigError, with nothing of the setting in it."""
    if not config.command_keys:
        return Keyring(())
    try:
        return Keyring(auth.parse(config.command_keys.reveal()))
    except ValueError as error:
        raise ConfigError(
            f"PMS_COMMAND_KEYS can't be used: {error}. Set a JSON list of keyId, secret, subAccounts, roles."
        ) from error

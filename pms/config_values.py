"""Values of settings: what has one of a few names, a number, a secret; and the error that names a wrong one.

Owns their forms. Refuses to know which settings there are: that is `pms.config`.
"""

from __future__ import annotations

from collections.abc import Mapping


class ConfigError(Exception):
    """A setting that can't be; nothing was started. The text names it, what is wrong and what to set."""


class Secret:
    """A value that must never reach a log, an argument list or an error."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    def __bool__(self) -> bool:
        return bool(self._value)


def choice(env: Mapping[str, str], name: str, allowed: tuple[str, ...], default: str) -> str:
    """One of a few names. Raises ConfigError."""
    value = env.get(name, default)
    if value not in allowed:
        raise ConfigError(f"{name} is '{value}'. Set it to one of: {', '.join(allowed)}.")
    return value


def number(env: Mapping[str, str], name: str, default: int) -> int:
    """A whole number, 0 or more. Raises ConfigError."""
    text = env.get(name, str(default))
    if not text.isdecimal():
        raise ConfigError(f"{name} is '{text}'. Set it to a whole number.")
    return int(text)


def secret(env: Mapping[str, str], name: str, default: str) -> Secret:
    """Refused here where HTTP can't carry it: an encoder's error would show it."""
    value = env.get(name, default)
    if not (value.isascii() and value.isprintable() and " " not in value):
        raise ConfigError(f"{name} has a blank, a line break or a letter that keys do not have. Copy it once more.")
    return Secret(value)

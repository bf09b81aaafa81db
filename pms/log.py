"""Logging: structlog on stderr, in lines for people on a terminal and in JSON lines for machines otherwise.

Owns the form and the screen for secrets. Refuses to know what is logged. Invariant: no password, key or signature
leaves, be it a field of its own or part of an address.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import Processor

Fields = MutableMapping[str, Any]

HIDDEN = "…"
_SECRET_NAME = re.compile(r"secret|password|passwd|signature|listen_?key|api_?key|token", re.IGNORECASE)
# Passwords in URLs, signatures and listen keys in requests: whatever follows, up to a delimiter.
_SECRET_TEXT = re.compile(
    r"""(://[^/\s:@]*:)[^@\s]+(?=@)|((?:signature|listenKey)"?\s*[:=]\s*"?|/private/ws/)[^&\s"']+"""
)


class _Lines(structlog.PrintLogger):
    """Writes lines and knows the name it was asked for by."""

    def __init__(self, file: TextIO, name: str) -> None:
        super().__init__(file)
        self.name = name


def configure(form: Literal["auto", "json", "text"] = "auto", file: TextIO | None = None) -> None:
    """Set up logging for this process. `auto` is text on a terminal and JSON otherwise."""
    out = sys.stderr if file is None else file
    text = form == "text" or (form == "auto" and out.isatty())
    # The plain form of a traceback: a pretty one would show the values of local names.
    pretty = structlog.dev.ConsoleRenderer(colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback)
    last: list[Processor] = [pretty]
    if not text:
        last = [structlog.processors.JSONRenderer(default=str)]
    structlog.configure(
        processors=[
            structlog.stdlib.add_logger_name,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S.%f" if text else "iso", utc=True),
            structlog.processors.format_exc_info,  # first, so that tracebacks are screened too
            hide_secrets,
            *last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda name="pms": _Lines(out, name),
        cache_logger_on_first_use=True,
    )


def hide_secrets(_logger: object, _method: str, fields: Fields) -> Fields:
    """A structlog processor: nothing secret gets past it."""
    for name, value in fields.items():
        if _SECRET_NAME.search(name):
            fields[name] = HIDDEN
        elif isinstance(value, str):
            fields[name] = _SECRET_TEXT.sub(lambda found: f"{found[1] or found[2]}{HIDDEN}", value)
    return fields

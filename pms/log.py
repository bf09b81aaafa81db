"""Logging: structlog on stderr, in lines for people on a terminal and in JSON lines for machines otherwise, and beside
that in a file where one is kept.

Owns the form, the names of what is bound, and the screen for secrets. Refuses to know what is logged. Invariant: no
password, key or signature leaves, be it a field of its own or part of an address.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import Processor

from pms.log_files import RotatedFile

Fields = MutableMapping[str, Any]

HIDDEN = "…"
SYSTEM = "system"  # the file's stream; orders and audit are the records writer's (pms/records/journal.py)
# What lines are joined by across all logs and the wire has one name.
_BOUND = {"request_id": "requestId", "algo_id": "algoId", "algo": "algoId", "client_order_id": "clientOrderId"}
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
    last: list[Processor] = [_time_of_day, pretty]
    if not text:
        last = [structlog.processors.JSONRenderer(default=str)]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            bind_names,
            structlog.stdlib.add_logger_name,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,  # first, so that tracebacks are screened too
            hide_secrets,
            _keep,
            *last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda name="pms": _Lines(out, name),
        cache_logger_on_first_use=True,
    )


_kept: list[RotatedFile] = []  # at most one: where lines are kept besides
_full: list[str] = []  # what was last wrong with it
_line = structlog.processors.JSONRenderer(default=str)


def keep(file: RotatedFile | None) -> None:
    """Write each line to `file`, too, from now on; None ends that, and closes it."""
    for former in _kept:
        former.close()
    _kept[:] = [] if file is None else [file]


def _keep(logger: object, method: str, fields: Fields) -> Fields:
    """A structlog processor: the line as JSON into the file. A disk that takes nothing is said once, on stderr."""
    for file in _kept:
        try:
            told = _line(logger, method, dict(fields))  # a copy: the next one gets it whole
            file.write(told.encode() if isinstance(told, str) else told)
            file.flush()
            _full.clear()
        except OSError as error:
            if not _full:
                _full.append(str(error))
                print(f"The log file can't be written: {error}", file=sys.stderr)
    return fields


def _time_of_day(_logger: object, _method: str, fields: Fields) -> Fields:
    """A structlog processor: on a screen the day is known."""
    fields["timestamp"] = fields["timestamp"][11:-1]
    return fields


def bind_names(_logger: object, _method: str, fields: Fields) -> Fields:
    """A structlog processor: the ids that lines are joined by have one name each."""
    for name, wire in _BOUND.items():
        if name in fields:
            fields[wire] = fields.pop(name)
    return fields


def hide_secrets(_logger: object, _method: str, fields: Fields) -> Fields:
    """A structlog processor: nothing secret gets past it."""
    for name, value in fields.items():
        if _SECRET_NAME.search(name):
            fields[name] = HIDDEN
        elif isinstance(value, str):
            fields[name] = _SECRET_TEXT.sub(lambda found: f"{found[1] or found[2]}{HIDDEN}", value)
    return fields

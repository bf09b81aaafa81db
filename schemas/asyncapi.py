"""The contract as an AsyncAPI 3 document, from the daemon's point of view: it receives commands and sends events.

Redis is what the standard's empty bindings can't describe, so it stands in `x-pms-redis` of each channel (what kind of
key, which stream, how long it lives), and the state keys in `x-pms-keys`.
"""

from __future__ import annotations

import msgspec

from schemas import keys
from schemas.catalogue import key_table, published_name
from schemas.commands import COMMANDS, PRIVILEGED
from schemas.errors import Failure
from schemas.events import EVENTS
from schemas.jsonschema import Definitions, Schema, either
from schemas.keys import Keys
from schemas.replies import reply_of

VERSION = "1"  # of the contract, as `v` of records and events
_KEYS = Keys()
_SCHEMA = "#/components/schemas/"
_MESSAGE = "#/components/messages/"


def _command_channel(word: str) -> Schema:
    privileged = word in PRIVILEGED
    return {
        "address": _KEYS.command_list(word, admin=privileged),
        "description": (COMMANDS[word].__doc__ or "").strip(),
        "messages": {word: {"$ref": f"{_MESSAGE}command.{word}"}},
        "x-pms-redis": {
            "list": {"key": _KEYS.command_list(word, admin=privileged), "push": "LPUSH"},
            "stream": {
                "key": _KEYS.admin if privileged else _KEYS.commands,
                "add": "XADD",
                "fields": {keys.COMMAND_TYPE_FIELD: word, keys.COMMAND_BODY_FIELD: "the message"},
            },
        },
    }


def _reply_channel(word: str) -> Schema:
    return {
        "address": _KEYS.result("{requestId}"),
        "parameters": {"requestId": {"description": "the requestId of the command"}},
        "messages": {word: {"$ref": f"{_MESSAGE}reply.{word}"}, "failure": {"$ref": f"{_MESSAGE}failure"}},
        "x-pms-redis": {"string": {"key": _KEYS.result("{requestId}"), "ttlSeconds": keys.RESULT_TTL_S}},
    }


def _event_channel(word: str) -> Schema:
    return {
        "address": _KEYS.event_channel(word),
        "messages": {word: {"$ref": f"{_MESSAGE}event.{word}"}},
        "x-pms-redis": {
            "pubsub": {"channel": _KEYS.event_channel(word), "pattern": _KEYS.event_channels},
            "stream": {"key": _KEYS.event_stream, "field": keys.STREAM_FIELD, "id": "{seq}-0"},
        },
    }


def _receive(word: str) -> Schema:
    channel = f"#/channels/command.{word}"
    answer = f"#/channels/reply.{word}"
    return {
        "action": "receive",
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{word}"}],
        "reply": {
            "channel": {"$ref": answer},
            "messages": [{"$ref": f"{answer}/messages/{word}"}, {"$ref": f"{answer}/messages/failure"}],
        },
    }


def _send(word: str) -> Schema:
    channel = f"#/channels/event.{word}"
    return {"action": "send", "channel": {"$ref": channel}, "messages": [{"$ref": f"{channel}/messages/{word}"}]}


def _messages() -> dict[str, Schema]:
    messages: dict[str, Schema] = {"failure": _message("failure", {"$ref": f"{_SCHEMA}{published_name(Failure)}"})}
    for word, kind in COMMANDS.items():
        messages[f"command.{word}"] = _message(word, {"$ref": f"{_SCHEMA}{published_name(kind)}"})
        messages[f"reply.{word}"] = _message(word, {"$ref": f"{_SCHEMA}{published_name(reply_of(word))}"})
    for word, family in EVENTS.items():
        narrowed = {"properties": {"type": {"const": word}}}
        messages[f"event.{word}"] = _message(
            word, {"allOf": [{"$ref": f"{_SCHEMA}{published_name(family)}"}, narrowed]}
        )
    return messages


def _message(name: str, payload: Schema) -> Schema:
    return {"name": name, "contentType": "application/json", "payload": payload}


def _held(kind: type[msgspec.Struct]) -> Schema:
    return {"$ref": _SCHEMA + published_name(kind)}


def _key_rows() -> list[Schema]:
    return [
        {
            "name": row.name,
            "key": row.key,
            "redis": row.redis,
            "description": row.about,
            **({"ttlSeconds": row.ttl_s} if row.ttl_s else {}),
            **({"holds": either([_held(kind) for kind in row.forms])} if row.forms else {}),
        }
        for row in key_table()
    ]


def document(definitions: Definitions) -> Schema:
    """The whole document; `definitions` were made with this document's prefix."""
    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": "pms",
            "version": VERSION,
            "description": "Commands in, numbered events out, state between: Redis is the whole interface.",
        },
        "defaultContentType": "application/json",
        "channels": {
            **{f"command.{word}": _command_channel(word) for word in COMMANDS},
            **{f"reply.{word}": _reply_channel(word) for word in COMMANDS},
            **{f"event.{word}": _event_channel(word) for word in EVENTS},
        },
        "operations": {
            **{f"command.{word}": _receive(word) for word in COMMANDS},
            **{f"event.{word}": _send(word) for word in EVENTS},
        },
        "components": {"messages": _messages(), "schemas": definitions.schemas},
        "x-pms-keys": _key_rows(),
    }

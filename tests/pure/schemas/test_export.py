"""The generated documents are what the types say now, and say what is on the wire."""

from __future__ import annotations

import json
import subprocess
import sys

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import codec, export, records
from schemas.catalogue import key_table, published_name
from schemas.commands import COMMANDS
from schemas.events import EVENTS, FAMILIES
from schemas.jsonschema import Definitions
from schemas.keys import Keys
from schemas.orders import Order
from tests.pure.schemas.strategies import structs

DOCUMENTS = export.documents()
DEFS = json.loads(DOCUMENTS["schema.json"])["$defs"]
ASYNC = json.loads(DOCUMENTS["asyncapi.json"])
PATTERNS = {"command_lists", "algos", "prices", "event_channels"}  # what is searched for, not what is there


def test_the_committed_documents_are_not_stale() -> None:
    assert export.stale() == [], "run: python -m schemas.export"


def test_a_stale_missing_or_surplus_document_is_named(tmp_path, capsys) -> None:
    folder = tmp_path / "generated"
    assert export.main([], folder) == 0
    assert export.main(["--check"], folder) == 0
    (folder / "pms.d.ts").write_text("export {};")
    (folder / "schema.json").unlink()
    (folder / "old.json").write_text("{}")
    assert export.main(["--check"], folder) == 1
    assert "old.json, pms.d.ts, schema.json" in capsys.readouterr().err


def test_the_command_line_checks_the_committed_documents() -> None:
    command = [sys.executable, "-m", "schemas.export", "--check"]
    result = subprocess.run(command, cwd=export.FOLDER.parents[1], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_every_name_that_keys_can_make_is_in_the_table() -> None:
    told = {row.key for row in key_table("two")}
    keys = Keys("two")
    made = {
        "command_list": keys.command_list("{type}"),
        "request": keys.request("{acct}", "{requestId}"),
        "result": keys.result("{requestId}"),
        "nonce": keys.nonce("{keyId}", "{nonce}"),
        "algo": keys.algo("chase", "{id}"),
        "active": keys.active("chase", "{acct}"),
        "plugin": keys.plugin("{kind}", "{id}"),
        "order": keys.order("{clientOrderId}"),
        "price": keys.price("{symbol}"),
        "quarantine": keys.quarantine("{key}"),
        "event_channel": keys.event_channel("{type}"),
    }
    public = {name for name in vars(Keys) if not name.startswith("_")} - PATTERNS - {"namespace", "list_door"}
    for name in public - made.keys():
        value = getattr(keys, name)
        made[name] = value if isinstance(value, str) else value("{acct}")
    assert len(public) > 25
    assert set(made.values()) <= told
    assert len(told) == len(key_table("two"))


@pytest.mark.parametrize("document", ["schema.json", "asyncapi.json"])
def test_every_reference_leads_somewhere(document) -> None:
    tree = json.loads(DOCUMENTS[document])
    references = []

    def visit(node) -> None:
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            if key == "$ref":
                references.append(value)
            elif isinstance(value, dict | list):
                visit(value)

    visit(tree)
    for reference in references:
        target = tree
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]
        assert target
    assert len(references) > 50


def test_published_names_are_unique() -> None:
    kinds = {*COMMANDS.values(), *FAMILIES, *records.Record.__subclasses__(), *records.Put.__subclasses__(), Order}
    assert len({published_name(kind) for kind in kinds}) == len(kinds)


@settings(max_examples=100)
@given(st.sampled_from([*FAMILIES, *records.Record.__subclasses__(), *records.Put.__subclasses__()]).flatmap(structs))
def test_what_is_written_has_exactly_the_fields_its_schema_requires(value) -> None:
    schema = DEFS[published_name(type(value))]
    written = set(json.loads(codec.encode(value)))
    head = {"seq", "prevSeq", "epoch", "v", "rev"}
    assert set(schema["required"]) - head <= written <= set(schema["properties"])


def test_a_commands_schema_shows_bounds_defaults_and_the_envelope() -> None:
    chase = DEFS["ChaseCommand"]
    assert chase["required"] == ["symbol", "side"]
    assert chase["additionalProperties"] is False
    offset = chase["properties"]["stalkOffsetPct"]
    assert (offset["type"], offset["minimum"], offset["maximum"], offset["default"]) == (["number", "string"], 0, 10, 0)
    assert chase["properties"]["side"]["enum"] == ["BUY", "SELL", "LONG", "SHORT"]
    assert chase["properties"]["leverage"] == {"type": "integer", "minimum": 1, "maximum": 125, "default": 1}
    assert "requestId" in chase["properties"]
    assert DEFS["BasketCommand"]["x-pms-aliases"] == {"items": "legs"}
    assert DEFS["TrailStopCommand"]["properties"]["callbackPct"]["anyOf"][0]["minimum"] == 0.05


def test_the_asyncapi_document_has_a_channel_for_every_command_reply_and_event() -> None:
    assert ASYNC["asyncapi"].startswith("3.")
    assert len(ASYNC["channels"]) == 2 * len(COMMANDS) + len(EVENTS)
    assert ASYNC["channels"]["command.chase"]["x-pms-redis"]["stream"]["key"] == "pms:commands"
    assert ASYNC["channels"]["command.resume"]["x-pms-redis"]["list"]["key"] == "pms:cmd:admin:resume"
    assert ASYNC["channels"]["reply.chase"]["x-pms-redis"]["string"]["ttlSeconds"] == 300
    assert ASYNC["channels"]["event.order_filled"]["x-pms-redis"]["stream"]["field"] == "event"
    assert {row["name"] for row in ASYNC["x-pms-keys"]} == {row.name for row in key_table()}


def test_a_type_that_is_never_on_the_wire_has_no_schema() -> None:
    class Odd(msgspec.Struct):
        blob: bytes

    with pytest.raises(TypeError, match="nothing on the wire"):
        Definitions().ref(Odd)

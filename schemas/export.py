"""`python -m schemas.export [--check]` writes the generated documents: JSON Schema, AsyncAPI 3, TypeScript types.

They are committed; `--check` writes nothing and exits 1 when one is stale. Refuses to know what is in them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from schemas import asyncapi, codec, typescript
from schemas.catalogue import key_table
from schemas.commands import COMMANDS
from schemas.errors import Failure
from schemas.events import FAMILIES
from schemas.jsonschema import Definitions
from schemas.replies import reply_of

FOLDER = Path(__file__).parent / "generated"
_STALE = 1


def definitions(prefix: str) -> Definitions:
    """Schemas of all there is, references beginning with `prefix`."""
    found = Definitions(prefix)
    replies = [reply_of(word) for word in COMMANDS]
    held = [kind for row in key_table() for kind in row.forms]
    kinds: tuple[type[msgspec.Struct], ...] = (Failure, *COMMANDS.values(), *FAMILIES, *replies, *held)
    for kind in kinds:
        found.ref(kind)
    found.schemas = dict(sorted(found.schemas.items()))
    return found


def documents() -> dict[str, bytes]:
    """Every generated file by name."""
    schemas = definitions("#/$defs/")
    json_schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "pms", "$defs": schemas.schemas}
    return {
        "schema.json": _pretty(json_schema),
        "asyncapi.json": _pretty(asyncapi.document(definitions("#/components/schemas/"))),
        "pms.d.ts": typescript.declarations(schemas).encode(),
    }


def _pretty(tree: Any) -> bytes:
    return msgspec.json.format(codec.encode(tree), indent=1) + b"\n"


def stale(folder: Path = FOLDER) -> list[str]:
    """The names of the files that are not as they would be written now."""
    wanted = documents()
    found = {path.name: path.read_bytes() for path in folder.glob("*")}
    return sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))


def main(arguments: Sequence[str], folder: Path = FOLDER) -> int:
    """The command. Exit code 1: something is stale."""
    if "--check" in arguments:
        names = stale(folder)
        if names:
            print(f"stale: {', '.join(names)}. Run: python -m schemas.export", file=sys.stderr)
        return _STALE if names else 0
    folder.mkdir(exist_ok=True)
    for name, content in documents().items():
        (folder / name).write_bytes(content)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The files of installed packages that bring algos, and modules made of exactly the bytes that were approved.

Owns finding packages by the entry point group, the digest over their files, and loading: what is imported are the bytes
that were hashed, never a file or a cached compilation of it that may have changed since. Refuses to judge who is
approved. Nothing is imported before `Verified.load`.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.metadata
import importlib.util
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any

import msgspec

GROUP = "pms.algos"

_OURS = frozenset(("schemas", "algos", "recovery", "pms"))


class Entry(msgspec.Struct, frozen=True):
    """One entry point: the algo's name, and where its `Plugin` stands."""

    algo: str
    module: str
    attribute: str


class Package(msgspec.Struct, frozen=True):
    """One installed package that brings algos. `files` are its modules and their data by path; `problem` says why it
    can't be loaded whoever approves it."""

    name: str
    version: str
    entries: tuple[Entry, ...]
    files: Mapping[str, bytes]
    sha256: str
    problem: str = ""

    @property
    def line(self) -> str:
        """What approves it."""
        return approving(self.name, self.version, self.sha256)


def approving(name: str, version: str, sha256: str) -> str:
    """A line of the approval list."""
    return f"{re.sub(r'[-_.]+', '-', name).lower()}=={version} sha256:{sha256}"


def digest(files: Mapping[str, bytes]) -> str:
    """SHA-256 over the files in the order of their paths, each with its path and its length before it, so that no two
    sets of files look alike."""
    total = hashlib.sha256()
    for path in sorted(files):
        total.update(f"{path}\0{len(files[path])}\0".encode())
        total.update(files[path])
    return total.hexdigest()


def installed() -> list[Package]:
    """Every package of the group, by name. Reads files and imports nothing."""
    found: dict[str, tuple[importlib.metadata.Distribution, list[Entry]]] = {}
    for point in importlib.metadata.entry_points(group=GROUP):
        if point.dist is not None:
            _, entries = found.setdefault(point.dist.name, (point.dist, []))
            entries.append(Entry(point.name, point.module, point.attr))
    return [_package(*found[name]) for name in sorted(found)]


def _package(dist: importlib.metadata.Distribution, entries: list[Entry]) -> Package:
    files, problem = {}, ""
    try:
        files = {str(path): Path(path.locate()).read_bytes() for path in dist.files or () if _is_module_file(path)}
    except OSError as error:
        problem = f"{error.filename} of its files can't be read"
    package = Package(dist.name, dist.version, tuple(entries), files, digest(files), problem)
    return package if problem else msgspec.structs.replace(package, problem=_problem(package))


def _is_module_file(path: PurePosixPath) -> bool:
    """Neither the metadata, nor what Python compiled, nor a script elsewhere."""
    if ".." in path.parts or path.is_absolute() or "__pycache__" in path.parts:
        return False
    return not path.parts[0].endswith((".dist-info", ".egg-info", ".pth")) and path.suffix != ".pyc"


def _problem(package: Package) -> str:
    modules = modules_of(package.files)
    missing = [entry.module for entry in package.entries if entry.module not in modules]
    if missing:
        return f"{missing[0]} is not among its files (only installed Python sources are loaded, no editable install)"
    roots = {name.partition(".")[0] for name in modules}
    if taken := sorted(roots & (_OURS | sys.stdlib_module_names)):
        return f"its module {taken[0]} has a name that is not its own"
    return ""


def modules_of(files: Iterable[str]) -> dict[str, str]:
    """The Python modules among files: name to path."""
    modules = {}
    for path in files:
        parts = PurePosixPath(path).with_suffix("").parts
        if path.endswith(".py") and all(part.isidentifier() for part in parts):
            modules[".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)] = path
    return modules


class Verified(importlib.abc.MetaPathFinder, importlib.abc.SourceLoader):  # type: ignore[misc]
    """Finds and loads the modules of one package from the bytes that were hashed."""

    def __init__(self, package: Package) -> None:
        self._package = package
        self._modules = modules_of(package.files)

    def load(self, entry: Entry) -> Any:
        """What an entry point names. Raises whatever its module raises. Nothing that was imported before stands in for
        it."""
        others = [finder for finder in sys.meta_path if not self._is_same_package(finder)]
        sys.meta_path[:] = [self, *others]
        for name in self._modules:
            sys.modules.pop(name, None)
        found: Any = importlib.import_module(entry.module)
        for name in entry.attribute.split("."):
            found = getattr(found, name)
        return found

    def _is_same_package(self, finder: object) -> bool:
        return isinstance(finder, Verified) and finder._package.name == self._package.name

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in self._modules:
            return None
        inside = self._modules[fullname].endswith("__init__.py")
        return importlib.util.spec_from_loader(fullname, self, origin=self.get_filename(fullname), is_package=inside)

    def get_filename(self, fullname: str) -> str:
        return f"<{self._package.line}>/{self._modules[fullname]}"

    def get_data(self, path: bytes | str) -> bytes:
        """The bytes of a module's file, as they were hashed. Raises OSError for any other path."""
        name = str(path).partition(">/")[2]
        if name not in self._package.files:
            raise OSError(f"{name} is no file of {self._package.name}")
        return self._package.files[name]

"""Packages installed for a test: a module and its .dist-info in a folder of their own on sys.path, gone afterwards.

Owns what an installer would write (METADATA, entry_points.txt, RECORD). The worked example is tests/data/iceberg.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pms import plugin_files
from pms.plugin_files import Package

ICEBERG = Path(__file__).parent / "data" / "iceberg" / "pms_iceberg.py"


class Site:
    """See the module. `approved` is the approval list's file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "site"
        self.approved = folder / "plugins.txt"
        self.folder.mkdir()

    def install(self, name: str, version: str, entries: dict[str, str], files: dict[str, str | bytes]) -> None:
        """Put a package there, in place of an older one of that name."""
        info = self.folder / f"{name.replace('-', '_')}.dist-info"
        info.mkdir(exist_ok=True)
        for path, content in files.items():
            target = self.folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.encode() if isinstance(content, str) else content)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        points = "\n".join(f"{algo} = {value}" for algo, value in entries.items())
        (info / "entry_points.txt").write_text(f"[{plugin_files.GROUP}]\n{points}\n")
        listed = [*files, f"{info.name}/METADATA", f"{info.name}/entry_points.txt", f"{info.name}/RECORD"]
        (info / "RECORD").write_text("".join(f"{path},,\n" for path in listed))
        importlib.invalidate_caches()

    def iceberg(self, version: str = "1.0.0", more: str = "") -> None:
        """The worked example, with more at its end."""
        entries = {"iceberg": "pms_iceberg:ICEBERG"}
        self.install("pms-iceberg", version, entries, {"pms_iceberg.py": ICEBERG.read_text() + more})

    def package(self, name: str = "pms-iceberg") -> Package:
        (found,) = [package for package in plugin_files.installed() if package.name == name]
        return found

    def approve(self, *lines: str) -> None:
        """Write the list: these lines, or all that is installed."""
        self.approved.write_text("\n".join(lines or [package.line for package in plugin_files.installed()]) + "\n")
        self.approved.chmod(0o600)


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    """A site on sys.path; afterwards nothing of it is left in this process."""
    before = set(sys.modules)
    made = Site(folder)
    sys.path.insert(0, str(made.folder))
    try:
        yield made
    finally:
        sys.path.remove(str(made.folder))
        sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, plugin_files.Verified)]
        for name in set(sys.modules) - before:
            if isinstance(getattr(sys.modules[name], "__loader__", None), plugin_files.Verified):
                del sys.modules[name]
        importlib.invalidate_caches()

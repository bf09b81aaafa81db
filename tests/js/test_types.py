"""The committed TypeScript types compile, and a client's narrowing works with them."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.js.conftest import NPM_OPTIONS

ROOT = Path(__file__).resolve().parents[2]
TYPES = ROOT / "schemas" / "generated" / "pms.d.ts"
TYPESCRIPT = "typescript@7.0.2"  # the version the types were written for; any newer one may be stricter
CACHE = ROOT / ".pms" / "test-node" / TYPESCRIPT.replace("@", "-")


@pytest.fixture
def tsc(node: str) -> Path:
    """The TypeScript compiler, installed once by npm: beside its place and then renamed, by one worker at a time."""
    program = CACHE / "node_modules" / ".bin" / "tsc"
    npm = shutil.which("npm", path=str(Path(node).parent)) or shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not on PATH")
    CACHE.parent.mkdir(parents=True, exist_ok=True)
    with CACHE.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            _install(npm)
    return program


def _install(npm: str) -> None:
    fresh = CACHE.with_suffix(".new")
    for leftover in (fresh, CACHE):
        shutil.rmtree(leftover, ignore_errors=True)
    fresh.mkdir()
    command = [npm, "install", "--no-save", *NPM_OPTIONS, "--prefix", str(fresh), TYPESCRIPT]
    installed = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if installed.returncode:
        pytest.skip(f"{TYPESCRIPT} could not be installed: {installed.stderr[-300:]}")
    fresh.rename(CACHE)


def _compile(tsc: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(tsc), "--strict", "--noEmit", "--target", "es2022", "--module", "nodenext", "client.ts", "pms.d.ts"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.js
def test_a_strict_client_compiles_with_the_committed_types(tsc, tmp_path, cases) -> None:
    client = Path(__file__).with_name("client.ts")
    shutil.copy(client, tmp_path)
    shutil.copy(TYPES, tmp_path / "pms.d.ts")
    result = _compile(tsc, tmp_path)
    assert result.returncode == 0, result.stdout
    cases(client.read_text().count("export "))


@pytest.mark.js
def test_a_mistaken_client_does_not_compile(tsc, tmp_path) -> None:
    shutil.copy(TYPES, tmp_path / "pms.d.ts")
    (tmp_path / "client.ts").write_text(
        'import type { PmsEvent } from "./pms.js";\n'
        'export const f = (event: PmsEvent): string => (event.type === "order_filled" ? event.chaseId : "");\n'
    )
    result = _compile(tsc, tmp_path)
    assert result.returncode != 0
    assert "chaseId" in result.stdout

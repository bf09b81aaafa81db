"""What every test shares: options, the shared data folder, the rule that a demanded test may not skip, and the tally.

`PMS_SHARED` names the folder of recorded data, `PMS_REQUIRE` (comma separated: `node`) programs that must be there.
What one of them demands may not skip: its skip is turned into a failure. Layers are the folders under tests/.
"""

from __future__ import annotations

import gc
import gzip
import os
import re
import shutil
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import hypothesis
import pytest
import redis
from xdist.scheduler import LoadScopeScheduling

from pms import embedded
from pms.datadir import DataDir
from schemas.keys import Keys

# How long an example takes says more of the machine than of the code; a test that hangs is ended by its own limit.
hypothesis.settings.register_profile("pms", deadline=None)
hypothesis.settings.load_profile("pms")

ROOT = Path(__file__).resolve().parent.parent
REDIS_BINARIES = tuple(embedded.binaries())
TALLIED = ("replay", "ambiguity", "faults", "crash", "soak", "js")
# Which tests one process runs, one after the other, beside all the others: of real processes, because two at once would
# measure each other; of the rules of style, because the tree is read once then.
TOGETHER = {
    "tests/process/": "processes",
    "tests/js/": "processes",
    "tests/static/test_tidy.py": "style",
}
# Hundreds of processes are started, each of which would compile the project where the environment wants no bytecode.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def _demanded() -> set[str]:
    demanded = {name.strip() for name in os.environ.get("PMS_REQUIRE", "").split(",") if name.strip()}
    return demanded | ({"shared"} if os.environ.get("PMS_SHARED") else set())


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the slow tests too (up to an hour)")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling | None:
    """Give what stands in `TOGETHER` to one process. xdist's own marker for that does nothing: it renames the tests,
    which this pytest takes no notice of."""
    return _Sharing(config, log) if config.getvalue("dist") == "loadgroup" else None


class _Sharing(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return next((group for start, group in TOGETHER.items() if nodeid.startswith(start)), nodeid)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave slow tests out unless asked for: deselected, so that they count neither as passed nor as skipped."""
    if config.getoption("--slow"):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if not item.get_closest_marker("slow")]


def pytest_collection_finish() -> None:
    """Look for garbage less often, and never again among what was collected: thousands of tests and their modules."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 10)


def _secrets_in(folder: Path) -> dict[str, Path]:
    """The passwords of every private Redis and Postgres that ran below a folder, with where each is kept."""
    found: dict[str, Path] = {}
    for name in ("redis.url", "postgres.url", "postgres.tcp.url"):
        for note in folder.rglob(name):
            if password := urlsplit(note.read_text().strip()).password:
                found[password] = note
    return found


def logged(path: Path) -> str:
    """What a log says, be it full and compressed."""
    kept = path.read_bytes()
    return (gzip.decompress(kept) if path.suffix == ".gz" else kept).decode("latin-1")


def secrets_logged(folder: Path) -> list[str]:
    """Each log below a folder that tells a password, a signature or a listen key of what ran there."""
    secrets = _secrets_in(folder)
    offences = []
    for path in folder.rglob("*"):
        if not path.is_file() or not any(part in path.name for part in (".log", ".jsonl")) or path.suffix == ".new":
            continue
        text = logged(path)
        offences += [f"{path} tells what {note} keeps" for secret, note in secrets.items() if secret in text]
        offences += [f"{path} tells {said[0][:24]}" for said in re.finditer(r"signature=[0-9a-f]{64}", text)]
    return offences


@pytest.fixture(scope="session", autouse=True)
def every_log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """At the end of a run: no log that any of its programs wrote tells a secret."""
    yield
    assert secrets_logged(tmp_path_factory.getbasetemp()) == []


@pytest.fixture
def shared() -> Path:
    """The folder of recorded data (`PMS_SHARED`)."""
    named = os.environ.get("PMS_SHARED")
    if not named:
        pytest.skip("PMS_SHARED is not set: no recorded data")
    folder = Path(named).resolve()
    if not (folder / "data").is_dir():
        pytest.fail(f"PMS_SHARED={named} has no data folder")
    return folder


@pytest.fixture
def node() -> str:
    """The path of the `node` program."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("node is not on PATH")
    return found


@pytest.fixture
def cases(record_property: Callable[[str, object], None]) -> Callable[[int], None]:
    """For a test that checks many cases in one body: `cases(n)` makes the tally count n instead of one."""

    def count(number: int) -> None:
        record_property("cases", number)

    return count


@pytest.fixture
def told(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """For a test whose figures are worth reading: `told(line)` has the line printed at the end."""

    def tell(line: str) -> None:
        record_property("told", line)

    return tell


def _version(binary: embedded.Binary | None) -> str:
    return "redis-" + (".".join(map(str, binary.version)) if binary else "none")


@pytest.fixture(scope="session", params=REDIS_BINARIES or (None,), ids=_version)
def redis_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[embedded.Endpoint]:
    """A private real Redis, one of each version found on this host, kept for the session."""
    if request.param is None:
        pytest.fail("no redis-server was found: install one, or run `python3 -m pms test`, which fetches one")
    with DataDir(tmp_path_factory.mktemp("redis") / "data") as data:
        server = embedded.EmbeddedRedis(data, Keys(), binary=request.param.path, port=0, fsync="no")
        yield server.start()
        server.stop()


@pytest.fixture
def real_redis(redis_server: embedded.Endpoint) -> embedded.Endpoint:
    """The private real Redis, emptied."""
    with redis.Redis.from_url(redis_server.url_unix) as client:
        client.flushall()
    return redis_server


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn the skip of a demanded test into a failure."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        wanted = set(getattr(item, "fixturenames", ())) | {mark.name for mark in item.iter_markers()}
        if missing := wanted & _demanded():
            report.outcome = "failed"
            report.longrepr = f"skipped although {', '.join(sorted(missing))} is demanded: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a module that skips itself whole: what it holds can't be told, so any demand forbids it."""
    report = yield
    if report.outcome == "skipped" and _demanded():
        report.outcome = "failed"
        report.longrepr = f"a whole module skipped although tests are demanded: {report.longrepr}"
    return report


def _layer(nodeid: str) -> str:
    parts = nodeid.split("::", 1)[0].split("/")
    return parts[1] if len(parts) > 2 and parts[0] == "tests" else "other"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests told, the time of each layer (summed over workers) and the cases of each tallied marker."""
    seconds: defaultdict[str, float] = defaultdict(float)
    tests: Counter[str] = Counter()
    tally: Counter[str] = Counter()
    lines: list[str] = []
    for reports in terminalreporter.stats.values():
        for report in reports:
            if not isinstance(report, pytest.TestReport):
                continue
            layer = _layer(report.nodeid)
            seconds[layer] += report.duration
            if report.when == "call" and not report.skipped:
                tests[layer] += 1
                lines += [str(value) for name, value in report.user_properties if name == "told"]
                counted = sum(int(value) for name, value in report.user_properties if name == "cases") or 1
                tally.update({name: counted for name in TALLIED if name in report.keywords})
    if not tests:
        return
    if lines:
        terminalreporter.section("told by tests")
        terminalreporter.write("".join(f"{line}\n" for line in sorted(lines)))
    terminalreporter.section("layers and cases")
    for layer in sorted(seconds, key=lambda name: -seconds[name]):
        terminalreporter.write_line(f"{layer:10} {tests[layer]:6} tests {seconds[layer]:8.1f} s")
    terminalreporter.write_line("cases: " + ", ".join(f"{name} {tally[name]}" for name in TALLIED))

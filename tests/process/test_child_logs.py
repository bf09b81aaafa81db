"""The logs of the programs beside the daemon stay bounded for as long as those run."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

from pms import child, config
from pms.datadir import DataDir
from pms.embedded import EmbeddedRedis
from pms.log_files import ChildLog
from pms.paper import PaperVenue
from pms.records.beside import KeptRecords
from pms.records.postgres import EmbeddedPostgres
from pms.up import Children
from schemas.keys import Keys
from tests.waiting import until

FULL = 20_000
LINES = 40_000
# Slow enough for many a look at it.
PROGRAM = f"""
import sys, time
for number in range({LINES}):
    print(f"{{number:07}}", file=sys.stderr, flush=number % 10 == 0)
    if number % 200 == 0:
        time.sleep(0.001)
"""


def test_a_program_that_never_stops_talking_fills_no_disk_and_its_last_words_are_kept(tmp_path: Path) -> None:
    log = ChildLog(tmp_path / "venue.log", full_bytes=FULL, kept=2)
    program = child.start([sys.executable, "-c", PROGRAM], log)
    sizes = []

    def over() -> bool:
        log.look()
        sizes.append(log.path.stat().st_size)
        return program.poll() is not None

    until(over, 60, "it has said all")
    log.close()
    packed = sorted(tmp_path.glob("venue.*.log.gz"))
    assert program.returncode == 0
    assert len(packed) == 2
    assert max(sizes) < LINES * 8 / 2, "it was emptied while it was written to"
    words = b"".join(gzip.decompress(path.read_bytes()) for path in packed) + log.path.read_bytes()
    assert words.split()[-1] == b"%07d" % (LINES - 1)


def test_the_supervisor_looks_at_the_log_of_each_program_it_started(tmp_path: Path) -> None:
    with DataDir(tmp_path) as data:
        redis, venue = EmbeddedRedis(data, Keys(), port=0), PaperVenue(data, [])
        settings = {"PMS_DATA_DIR": str(tmp_path)}
        kept = KeptRecords(config.load(settings), config.reach(settings))
        kept._server = EmbeddedPostgres(tmp_path)
        logs = [redis.log, venue.log, kept._log, kept._server.log]
        assert [log.path.name for log in logs] == ["redis.log", "venue.log", "records.log", "postgres.log"]
        for log in logs:
            log._full_bytes = 10
            log.path.write_text("more than ten bytes\n")
        Children(redis, venue, kept).revive()
        for log in logs:
            log.close()
            assert log.path.read_text() == ""
            assert gzip.decompress(next(tmp_path.glob(f"{log.path.stem}.*.gz")).read_bytes())

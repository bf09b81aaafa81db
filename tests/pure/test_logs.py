"""The log: what each line binds, its two forms, and files that stay bounded and lose nothing to a SIGKILL."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from pms import log
from pms.log_files import ChildLog, RotatedFile


@pytest.fixture
def out(tmp_path: Path) -> Iterator[io.StringIO]:
    """A log at which tests look, with a file beside it."""
    before = structlog.get_config()
    made = io.StringIO()
    yield made
    log.keep(None)
    structlog.configure(**before)


def configure(form: str, out: io.StringIO) -> None:
    log.configure(form, out)  # type: ignore[arg-type]
    structlog.configure(cache_logger_on_first_use=False)


def test_a_line_binds_the_command_the_algo_and_the_order_under_the_wires_names(
    out: io.StringIO, tmp_path: Path
) -> None:
    configure("json", out)
    log.keep(RotatedFile(tmp_path, log.SYSTEM))
    with structlog.contextvars.bound_contextvars(requestId="r-1"):
        structlog.get_logger("pms.x").info("seen", algo="c1", client_order_id="pms-1", seq=7)
    structlog.get_logger("pms.x").info("after")
    told, after = map(json.loads, out.getvalue().splitlines())
    assert told.items() >= {"requestId": "r-1", "algoId": "c1", "clientOrderId": "pms-1", "seq": 7}.items()
    assert "requestId" not in after
    kept = (tmp_path / "system.jsonl").read_text()
    assert kept == out.getvalue()


def test_a_terminal_gets_words_and_the_file_json_both_without_secrets(out: io.StringIO, tmp_path: Path) -> None:
    configure("text", out)
    log.keep(RotatedFile(tmp_path, log.SYSTEM))
    structlog.get_logger("pms.x").warning("refused", url="redis://u:hunter2@h/0", api_key="k-123", seq=1)
    line = json.loads((tmp_path / "system.jsonl").read_text())
    assert line["timestamp"].endswith("Z")
    assert (line["event"], line["seq"], line["logger"]) == ("refused", 1, "pms.x")
    assert "refused" in out.getvalue()
    assert not out.getvalue().startswith("{")
    for secret in ("hunter2", "k-123"):
        assert secret not in out.getvalue() + json.dumps(line)


def lines_of(folder: Path) -> list[bytes]:
    """All that is kept, oldest first."""
    packed = sorted(folder.glob("orders.*.jsonl.gz"))
    whole = b"".join(gzip.decompress(path.read_bytes()) for path in packed)
    return (whole + (folder / "orders.jsonl").read_bytes()).splitlines()


def test_a_full_file_is_packed_and_only_the_oldest_are_dropped(tmp_path: Path) -> None:
    file = RotatedFile(tmp_path, "orders", full_bytes=1_000, kept=3)
    for number in range(200):
        file.write(b'{"seq":%d,"pad":"%s"}' % (number, b"x" * 30))
    file.close()
    assert len(list(tmp_path.glob("orders.*.jsonl.gz"))) <= 3
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 4_000
    numbers = [json.loads(line)["seq"] for line in lines_of(tmp_path)]
    assert numbers == list(range(numbers[0], 200))
    assert len(numbers) > 60
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_a_torn_line_is_cut_off_and_the_last_whole_one_is_known(tmp_path: Path) -> None:
    file = RotatedFile(tmp_path, "orders")
    file.write(b'{"seq":1}')
    file.write(b'{"seq":2}')
    file.close()
    with (tmp_path / "orders.jsonl").open("ab") as torn:
        torn.write(b'{"se')
    again = RotatedFile(tmp_path, "orders")
    assert again.last_line() == b'{"seq":2}'
    again.write(b'{"seq":3}')
    again.close()
    assert lines_of(tmp_path) == [b'{"seq":1}', b'{"seq":2}', b'{"seq":3}']


def test_right_after_a_rotation_the_last_line_is_the_packed_ones(tmp_path: Path) -> None:
    file = RotatedFile(tmp_path, "orders", full_bytes=20)
    file.write(b'{"seq":1,"pad":"xxxxxxxxx"}')
    file.close()
    again = RotatedFile(tmp_path, "orders", full_bytes=20)
    assert again.last_line().startswith(b'{"seq":1,')
    again.close()


def test_what_died_while_packing_is_packed_at_the_next_start(tmp_path: Path) -> None:
    (tmp_path / "orders.000001.jsonl").write_bytes(b'{"seq":1}\n')
    RotatedFile(tmp_path, "orders").close()
    assert gzip.decompress((tmp_path / "orders.000001.jsonl.gz").read_bytes()) == b'{"seq":1}\n'
    assert not (tmp_path / "orders.000001.jsonl").exists()


def kept_of(folder: Path) -> list[int]:
    """The numbers in all that is kept of a program's log, oldest first."""
    packed = sorted(folder.glob("redis.*.log.gz"))
    whole = b"".join(gzip.decompress(path.read_bytes()) for path in packed)
    return [int(line) for line in (whole + (folder / "redis.log").read_bytes()).split()]


def test_the_log_of_a_program_is_bounded_while_it_goes_on_writing(tmp_path: Path) -> None:
    log_of_redis = ChildLog(tmp_path / "redis.log", full_bytes=1_000, kept=3)
    program = log_of_redis.begin()
    for number in range(3_000):
        program.write(b"%07d\n" % number)
        program.flush()
        if not number % 50:
            log_of_redis.look()
            log_of_redis.close()  # it has been put away before more comes
    program.close()
    assert (tmp_path / "redis.log").stat().st_size < 1_500
    assert len(list(tmp_path.glob("redis.*"))) == 1 + 3
    numbers = kept_of(tmp_path)
    assert numbers == list(range(numbers[0], 3_000))
    assert len(numbers) > 400
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_a_program_begins_an_empty_log_and_the_former_ones_stay(tmp_path: Path) -> None:
    for start in range(5):
        log_of_redis = ChildLog(tmp_path / "redis.log", kept=3)
        with log_of_redis.begin() as program:
            program.write(b"%d\n" % start)
        log_of_redis.close()
    assert (tmp_path / "redis.log").read_bytes() == b"4\n"
    assert kept_of(tmp_path) == [1, 2, 3, 4]

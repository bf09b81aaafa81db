"""The private Redis as a real process: what it keeps, how it ends, who may use its directory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis

from pms import datadir, embedded, exits
from pms.datadir import DataDir, DataDirInUse
from pms.embedded import EmbeddedFailed, EmbeddedRedis
from schemas.keys import Keys
from tests.conftest import REDIS_BINARIES, ROOT
from tests.waiting import until

KEYS = Keys()
NEWEST = max(REDIS_BINARIES, key=lambda binary: binary.version, default=None)
OLDEST = min(REDIS_BINARIES, key=lambda binary: binary.version, default=None)
BINARIES = pytest.mark.parametrize("binary", REDIS_BINARIES, ids=lambda binary: ".".join(map(str, binary.version)))

# A daemon in miniature: starts the private Redis, writes one key, says the addresses, waits to be killed.
PARENT = """
import sys, time
from pathlib import Path
import redis
from pms.datadir import DataDir
from pms.embedded import EmbeddedRedis
from schemas.keys import Keys
found = EmbeddedRedis(DataDir(Path(sys.argv[1])), Keys(), binary=Path(sys.argv[2]), port=0).start()
redis.Redis.from_url(found.url_unix).set("kept", "yes")
print(found.pid, found.url_tcp, flush=True)
time.sleep(60)
"""


@pytest.fixture
def data(tmp_path: Path) -> Iterator[DataDir]:
    with DataDir(tmp_path / "data") as held:
        yield held


def _get(url: str, key: str) -> bytes | None:
    with redis.Redis.from_url(url) as client:
        return client.get(key)


@BINARIES
def test_it_answers_on_both_addresses_and_says_what_it_is(data, binary) -> None:
    server = EmbeddedRedis(data, KEYS, binary=binary.path, port=0)
    found = server.start()
    try:
        for url in (found.url_tcp, found.url_unix):
            with redis.Redis.from_url(url) as client:
                assert client.info("server")["redis_version"] == found.version
                settings = client.config_get("*")
                assert settings["maxmemory-policy"] == "noeviction"
                assert settings["appendonly"] == "yes"
                assert settings["appendfsync"] == "everysec"
                assert settings["bind"] == "127.0.0.1"
    finally:
        server.stop()
    assert not datadir.runs(found.pid)


@BINARIES
def test_what_it_holds_survives_a_stop_and_the_passwords_stay(data, binary) -> None:
    server = EmbeddedRedis(data, KEYS, binary=binary.path, port=0)
    first = server.start()
    with redis.Redis.from_url(first.url_tcp) as client:
        client.set("kept", "yes")
    server.stop()
    second = server.start()
    try:
        assert _get(second.url_tcp, "kept") == b"yes"
        assert second.url_tcp == first.url_tcp
        assert second.url_read == first.url_read
    finally:
        server.stop()


@pytest.mark.crash
@BINARIES
def test_it_ends_with_its_killed_parent_and_the_next_start_sees_its_state(tmp_path, binary) -> None:
    folder = tmp_path / "data"
    command = [sys.executable, "-c", PARENT, str(folder), str(binary.path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        pid = int(parent.stdout.readline().split()[0])
        assert datadir.runs(pid)
        parent.kill()
        parent.wait()
    until(lambda: not datadir.runs(pid), 10, "Redis ends with its parent")
    with datadir.take(folder) as data:
        server = EmbeddedRedis(data, KEYS, binary=binary.path, port=0)
        try:
            assert _get(server.start().url_tcp, "kept") == b"yes"
        finally:
            server.stop()


@pytest.mark.crash
@BINARIES
def test_a_killed_server_is_noticed_and_comes_back_at_the_same_address_with_its_state(data, binary) -> None:
    server = EmbeddedRedis(data, KEYS, binary=binary.path, port=0, fsync="always")
    first = server.start()
    try:
        with redis.Redis.from_url(first.url_tcp) as client:
            client.set("kept", "yes")
        assert not server.ended()
        os.kill(first.pid, signal.SIGKILL)
        until(server.ended, 5, "the death is seen")
        second = server.start()
        assert second.address == first.address
        assert _get(second.url_tcp, "kept") == b"yes"
    finally:
        server.stop()


def test_a_second_process_is_told_who_holds_the_directory(tmp_path) -> None:
    folder = tmp_path / "data"
    command = [sys.executable, "-c", PARENT, str(folder), str(NEWEST.path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        parent.stdout.readline()
        with pytest.raises(DataDirInUse, match=f"process {parent.pid}") as caught:
            DataDir(folder)
        assert caught.value.pid == parent.pid
        assert caught.value.holder_lives
        parent.kill()


def test_the_directory_stays_held_while_the_dead_daemons_server_still_writes(tmp_path) -> None:
    folder = tmp_path / "data"
    command = [sys.executable, "-c", PARENT, str(folder), str(NEWEST.path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        pid = int(parent.stdout.readline().split()[0])
        os.kill(pid, signal.SIGSTOP)  # a server that takes long to put things away
        parent.kill()
        parent.wait()
        with pytest.raises(DataDirInUse) as caught:
            DataDir(folder)
        assert not caught.value.holder_lives
        os.kill(pid, signal.SIGCONT)
        datadir.take(folder).close()  # waits for it
        until(lambda: not datadir.runs(pid), 1, "the server that let go is gone")


def test_taking_a_directory_does_not_wait_for_a_living_holder(tmp_path) -> None:
    started = time.monotonic()
    with closing(DataDir(tmp_path / "data")), pytest.raises(DataDirInUse):
        datadir.take(tmp_path / "data")
    assert time.monotonic() - started < 1.0


def test_a_directory_let_go_can_be_taken_again(tmp_path) -> None:
    with closing(DataDir(tmp_path / "data")), pytest.raises(DataDirInUse, match=f"process {os.getpid()}"):
        DataDir(tmp_path / "data")
    DataDir(tmp_path / "data").close()


def test_all_it_writes_is_for_its_owner_only(data) -> None:
    server = EmbeddedRedis(data, KEYS, port=0)
    server.start()
    server.stop()
    assert data.path.stat().st_mode & 0o777 == 0o700
    open_to_others = [path.name for path in data.path.rglob("*") if path.is_file() and path.stat().st_mode & 0o077]
    assert open_to_others == []


def test_a_taken_port_falls_back_to_a_free_one_and_the_url_file_says_which(tmp_path) -> None:
    with DataDir(tmp_path / "one") as one, DataDir(tmp_path / "two") as two:
        first = EmbeddedRedis(one, KEYS, port=0)
        found = first.start()
        second = EmbeddedRedis(two, KEYS, port=found.port)
        try:
            other = second.start()
            assert other.port != found.port
            assert (two.path / "redis.url").read_text().strip() == other.url_tcp
        finally:
            second.stop()
            first.stop()


def test_a_path_too_long_for_a_socket_moves_the_socket_to_a_private_folder(tmp_path) -> None:
    with DataDir(tmp_path / ("long" * 30)) as data:
        server = EmbeddedRedis(data, KEYS, port=0)
        found = server.start()
        try:
            assert _get(found.url_unix, "nothing") is None
            folder = Path(found.url_unix.partition("@")[2]).parent
            assert folder != data.path
            assert folder.stat().st_mode & 0o777 == 0o700
        finally:
            server.stop()
        assert not folder.exists()


@pytest.mark.skipif(NEWEST == OLDEST, reason="only one Redis version on this host")
def test_a_newer_redis_takes_over_an_older_ones_state_and_never_the_other_way(data) -> None:
    older = EmbeddedRedis(data, KEYS, binary=OLDEST.path, port=0)
    with redis.Redis.from_url(older.start().url_tcp) as client:
        client.set("kept", "yes")
    older.stop()
    newer = EmbeddedRedis(data, KEYS, binary=NEWEST.path, port=0)
    assert _get(newer.start().url_tcp, "kept") == b"yes"
    newer.stop()
    with pytest.raises(EmbeddedFailed, match="was written by Redis"):
        older.start()


def test_without_any_redis_the_refusal_names_the_package_and_the_setting(data, monkeypatch) -> None:
    monkeypatch.setattr(embedded, "binaries", lambda: iter(()))
    with pytest.raises(EmbeddedFailed, match=r"apt-get install redis-server.*PMS_REDIS_URL") as caught:
        EmbeddedRedis(data, KEYS, port=0).start()
    assert caught.value.exit_code == exits.UNAVAILABLE


def test_a_binary_that_does_not_run_is_refused_by_name(data, tmp_path) -> None:
    broken = tmp_path / "redis-server"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    with pytest.raises(EmbeddedFailed, match=str(broken)):
        EmbeddedRedis(data, KEYS, binary=broken, port=0).start()


def test_a_server_that_ends_at_once_is_reported_with_its_last_words(data, tmp_path) -> None:
    dying = tmp_path / "redis-server"
    dying.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Redis server v=7.0.0" && exit\necho no memory; exit 1\n')
    dying.chmod(0o755)
    with pytest.raises(EmbeddedFailed, match="no memory"):
        EmbeddedRedis(data, KEYS, binary=dying, port=0).start()


@BINARIES
def test_an_empty_server_answers_soon_after_its_start(data, binary) -> None:
    server = EmbeddedRedis(data, KEYS, binary=binary.path, port=0)
    started = time.monotonic()
    server.start()
    took = time.monotonic() - started
    server.stop()
    assert took < 1.0  # 20-45 ms measured; the budget for all of the daemon's start is 2 s


def test_a_process_is_found_where_proc_is_not_mounted(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(datadir, "PROC", tmp_path)
    ended = subprocess.Popen(["true"])
    ended.wait()
    assert datadir.runs(os.getpid())
    assert not datadir.runs(ended.pid)

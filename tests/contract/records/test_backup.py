"""A backup put back is what it was made of: state keys, events, tables and files; and it overwrites nothing."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from pms import config, exits
from pms.bus.caller import Caller
from pms.bus.link import WireLink
from pms.records.backup import Refused, make, read
from tests.conftest import ROOT
from tests.contract.records.desk import KEYS, RecordsDesk
from tests.contract.records.test_rebuild import compared
from tests.world.diary import Diary

NOT_PUT_BACK = (KEYS.lease, KEYS.health, KEYS.records)  # of a daemon that lives; the last is the writer's here


async def backup(desk: RecordsDesk, *words: str) -> tuple[int, str]:
    told = config.clean_environment(
        PMS_DATABASE_URL=desk.where.dsn, PMS_REDIS_URL=desk.redis_url, PMS_DATA_DIR=str(desk.data)
    )
    command = [sys.executable, "-m", "pms", "backup", *words]
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, env=told, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout + done.stderr


async def everything(desk: RecordsDesk) -> dict[str, object]:
    """All of Redis but the stream of the market."""
    found: dict[str, object] = {}
    for key in sorted(await desk.redis.keys("*")):
        kind = (await desk.redis.type(key)).decode()
        if key.decode() != KEYS.market_stream:
            read = {"string": desk.redis.get, "hash": desk.redis.hgetall, "stream": desk.redis.xrange}
            found[key.decode()] = await read[kind](key)
    return found


async def test_a_backup_put_back_is_what_it_was_made_of(
    desk: RecordsDesk, diary_of_a_day: Diary, tmp_path: Path
) -> None:
    last = await desk.publish(diary_of_a_day.events, diary_of_a_day.market)
    await desk.write_until(last)
    state = {key: value for key, value in diary_of_a_day.state.items() if key not in NOT_PUT_BACK}
    await desk.restore(state)
    await desk.redis.pexpire(KEYS.epoch, 3_600_000)
    (desk.data / "halt.json").write_text('{"halts":[]}')
    before, tables = await everything(desk), await desk.digest()
    file = tmp_path / "kept.tar"
    code, said = await backup(desk, str(file), "--json")
    assert code == exits.OK, said
    manifest = json.loads(said)
    assert (manifest["seq"], manifest["events"]) == (last, len(diary_of_a_day.events))
    assert file.stat().st_mode & 0o777 == 0o600
    code, said = await backup(desk, str(file), "--restore")
    assert code == exits.UNAVAILABLE
    assert "already" in said
    assert await everything(desk) == before
    await desk.emptied()
    (desk.data / "halt.json").unlink()
    code, said = await backup(desk, str(file), "--restore")
    assert code == exits.OK, said
    assert await everything(desk) == before
    assert 0 < await desk.redis.pttl(KEYS.epoch) <= 3_600_000
    assert await desk.digest() == tables
    assert (desk.data / "halt.json").read_text() == '{"halts":[]}'
    assert (await compared(desk)).differences == []


async def test_a_damaged_backup_is_refused(desk: RecordsDesk, diary_of_a_day: Diary, tmp_path: Path) -> None:
    await desk.publish(diary_of_a_day.events[:5])
    file, caller = tmp_path / "kept.tar", Caller(WireLink(desk.redis_url))
    await make(file, caller, KEYS, None, desk.data, now=1)
    caller.close()
    body = bytearray(file.read_bytes())
    at = body.index(b"\x1f\x8b") + 11  # within the first packed member
    body[at] ^= 0xFF
    file.write_bytes(body)
    with pytest.raises(Refused, match="damaged"):
        read(file)

"""Each shipped Redis user on each Redis version found: what it can, and what it is refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from pms import acl
from pms.embedded import Endpoint
from schemas.keys import Keys

KEYS = Keys()

READ_MAY = [
    "GET pms:health",
    "HGETALL pms:position:main",
    "MGET pms:order:1 pms:order:2",
    "XRANGE pms:stream:events (1-0 + COUNT 1000",
    "XREAD COUNT 1 STREAMS pms:stream:events 0",
    "SCAN 0 MATCH pms:price:*",
    "TTL pms:health",
    "TYPE pms:health",
    "PING",
    "INFO server",
    "CLIENT SETNAME panel",
    "CLIENT ID",
    "PUBSUB NUMSUB pms:events:alarm",
]
READ_MAY_NOT = [
    "GET other:key",
    "SET pms:health x",
    "DEL pms:health",
    "XADD pms:stream:events * event x",
    "XADD pms:commands * type chase",
    "LPUSH pms:cmd:chase {}",
    "PUBLISH pms:events:alarm x",
    "XGROUP CREATE pms:commands daemon $",
    "BRPOP pms:cmd:chase 1",
    "SUBSCRIBE other",
    "PSUBSCRIBE pms:*",
    "PSUBSCRIBE pms:events:chase_*",
    "EVAL return(1) 0",
    "KEYS *",
    "CLIENT KILL ID 1",
    "CLIENT PAUSE 1",
    "CONFIG GET *",
    "ACL LIST",
    "FLUSHALL",
    "MONITOR",
    "SHUTDOWN",
]
COMMAND_MAY = [
    "XADD pms:commands * type chase body {}",
    "LPUSH pms:cmd:chase {}",
    "LPUSH pms:cmd:amend {}",
    "LPUSH pms:cmd:algo_start {}",
    "LPUSH pms:cmd:drift_report {}",
    "LPUSH pms:cmd:no_such_type {}",
    "PING",
    "INFO server",
    "CLIENT SETNAME desk",
]
COMMAND_MAY_NOT = [
    "GET pms:health",
    "GET pms:result:r-1",
    "LRANGE pms:cmd:chase 0 -1",
    "RPUSH pms:cmd:chase {}",
    "RPOP pms:cmd:chase",
    "DEL pms:commands",
    "XTRIM pms:commands MAXLEN 0",
    "XADD pms:admin * type halt",
    "XADD pms:stream:events * event x",
    "LPUSH pms:cmd:admin:unfreeze {}",
    "LPUSH pms:cmd:dead {}",
    "LPUSH pms:position:main {}",
    "LPUSH other {}",
    "PUBLISH pms:events:alarm x",
    "PSUBSCRIBE pms:events:*",
    "EVAL return(1) 0",
    "KEYS *",
    "CLIENT KILL ID 1",
    "CONFIG GET *",
    "FLUSHALL",
]


@pytest.fixture
def reader(real_redis: Endpoint) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(real_redis.url_read) as client:
        yield client


@pytest.fixture
def commander(real_redis: Endpoint) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(real_redis.url_command) as client:
        yield client


@pytest.mark.parametrize("line", READ_MAY)
def test_the_read_user_may(reader, line) -> None:
    reader.execute_command(*line.split())


@pytest.mark.parametrize("line", READ_MAY_NOT)
def test_the_read_user_may_not(reader, line) -> None:
    with pytest.raises(redis.exceptions.NoPermissionError):
        reader.execute_command(*line.split())


@pytest.mark.parametrize("line", COMMAND_MAY)
def test_the_command_user_may(commander, line) -> None:
    commander.execute_command(*line.split())


@pytest.mark.parametrize("line", COMMAND_MAY_NOT)
def test_the_command_user_may_not(commander, line) -> None:
    with pytest.raises(redis.exceptions.NoPermissionError):
        commander.execute_command(*line.split())


def test_the_read_user_receives_what_the_daemon_publishes(real_redis, reader) -> None:
    with reader.pubsub() as pubsub, redis.Redis.from_url(real_redis.url_tcp) as daemon:
        pubsub.psubscribe(KEYS.event_channels)
        assert pubsub.get_message(timeout=5)["type"] == "psubscribe"
        daemon.publish(KEYS.event_channel("alarm"), "{}")
        assert pubsub.get_message(timeout=5)["data"] == b"{}"


@pytest.mark.parametrize("user", ["pms-read", "pms-command"])
def test_a_wrong_password_opens_nothing(real_redis, user) -> None:
    with (
        redis.Redis.from_url(f"redis://{user}:wrong@{real_redis.address}") as client,
        pytest.raises(redis.exceptions.AuthenticationError),
    ):
        client.ping()


def test_without_a_password_nothing_is_answered(real_redis) -> None:
    with (
        redis.Redis.from_url(f"redis://{real_redis.address}") as client,
        pytest.raises(redis.exceptions.AuthenticationError),
    ):
        client.get(KEYS.health)


def test_the_printed_commands_make_the_same_users_as_the_embedded_server_has(real_redis) -> None:
    with redis.Redis.from_url(real_redis.url_tcp, decode_responses=True) as daemon:
        names = list(acl.rules(KEYS))
        loaded = {name: daemon.acl_getuser(name) for name in names}
        for command in acl.commands(KEYS):
            # other names, so that the session's users keep their passwords
            daemon.execute_command(*command.replace("SETUSER pms-", "SETUSER typed-").split())
        for name in names:
            typed = daemon.acl_getuser(name.replace("pms-", "typed-"))
            # how each was typed in leaves its mark in the flags and the password; what is allowed must be the same
            assert typed["enabled"]
            assert {**typed, "passwords": None, "flags": None} == {**loaded[name], "passwords": None, "flags": None}
            daemon.acl_deluser(name.replace("pms-", "typed-"))


def test_another_namespace_has_users_and_keys_of_its_own() -> None:
    text = " ".join(acl.directives(Keys("second"), {"second-read": "a", "second-command": "b"}))
    assert "user second-read on >a ~second:* " in text
    assert "pms" not in text

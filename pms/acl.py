"""The Redis users that other programs connect as (contract.md, authentication): what each may do, as ACL rules.

Owns the rules' text, which Redis 6.2 and 7 must both take: no selectors, and subcommands only where both know them.
Refuses to know passwords' origin and how the rules get into a server. Nobody but the daemon (the default user) can
write the event stream, the state keys or the replies.
"""

from __future__ import annotations

from collections.abc import Mapping

# What every client library sends on connecting. Not +@connection: on 6.2 that category includes CLIENT KILL and PAUSE.
# INFO is for ioredis' ready check, CLIENT SETNAME for names in CLIENT LIST. AUTH, HELLO and QUIT need no permission.
_CONNECT = ("-@all", "+ping", "+echo", "+select", "+info", "+client|id", "+client|getname", "+client|setname")

# Redis matches a PSUBSCRIBE pattern literally: `psubscribe events:*` is allowed, `psubscribe events:chase*` is not.
# KEYS and other commands that stall the server for everyone are taken out again.
_READ = ("+@read", "-@dangerous", "+info", "+subscribe", "+psubscribe", "+unsubscribe", "+punsubscribe", "+pubsub")
_COMMAND = ("+xadd", "+lpush")


def rules(namespace: str) -> dict[str, tuple[str, ...]]:
    """The rules of each user of the daemon whose keys carry `namespace`.

    The command user writes all lists `cmd:*` but the dead letters (`cmd:dead`) and the administrators' (`cmd:admin:*`):
    patterns can't exclude, so the three below spell what is left by its first letters.
    """
    lists = (f"~{namespace}:cmd:[^ad]*", f"~{namespace}:cmd:a[^d]*", f"~{namespace}:cmd:d[^e]*")
    return {
        f"{namespace}-read": (f"~{namespace}:*", "resetchannels", f"&{namespace}:events:*", *_CONNECT, *_READ),
        f"{namespace}-command": (f"~{namespace}:commands", *lists, "resetchannels", *_CONNECT, *_COMMAND),
    }


def directives(namespace: str, passwords: Mapping[str, str]) -> list[str]:
    """Lines for a redis.conf that define the users, with the password of each."""
    return [f"user {user} on >{passwords[user]} {' '.join(allowed)}" for user, allowed in rules(namespace).items()]


def commands(namespace: str) -> list[str]:
    """The same as commands to type into a Redis of one's own; `PASSWORD` is to be replaced."""
    return [f"ACL SETUSER {user} reset on >PASSWORD {' '.join(rule)}" for user, rule in rules(namespace).items()]

"""The Redis users that other programs connect as (contract.md, authentication): what each may do, as ACL rules.

Owns the rules' text, which Redis 6.2 and 7 must both take: no selectors, and subcommands only where both know them.
Refuses to know passwords' origin and how the rules get into a server. Nobody but the daemon (the default user) can
write the event stream, the state keys or the replies.
"""

from __future__ import annotations

from collections.abc import Mapping

from schemas.keys import Keys

# What every client library sends on connecting. Not +@connection: on 6.2 that category includes CLIENT KILL and PAUSE.
# INFO is for ioredis' ready check, CLIENT SETNAME for names in CLIENT LIST. AUTH, HELLO and QUIT need no permission.
_CONNECT = ("+ping", "+echo", "+select", "+info", "+client|id", "+client|getname", "+client|setname")

# Redis matches a PSUBSCRIBE pattern literally: `psubscribe events:*` is allowed, `psubscribe events:chase*` is not.
# KEYS and other commands that stall the server for everyone are taken out again (on 6.2 that takes whole commands, so
# it comes before the single permissions).
_READ = ("+@read", "-@dangerous", "+subscribe", "+psubscribe", "+unsubscribe", "+punsubscribe", "+pubsub")
_COMMAND = ("+xadd", "+lpush")


def rules(keys: Keys) -> dict[str, tuple[str, ...]]:
    """The rules of each user of the daemon that has these keys.

    The command user writes every command list but the dead letters (`dead`) and the administrators' (`admin:…`): a
    pattern can't exclude, so the three below spell what is left by its first letters.
    """
    lists = tuple(f"~{keys.command_list(start)}" for start in ("[^ad]*", "a[^d]*", "d[^e]*"))
    everything = f"~{keys.namespace}:*"
    return {
        f"{keys.namespace}-read": (everything, "resetchannels", f"&{keys.event_channels}", "-@all", *_READ, *_CONNECT),
        f"{keys.namespace}-command": (f"~{keys.commands}", *lists, "resetchannels", "-@all", *_COMMAND, *_CONNECT),
    }


def directives(keys: Keys, passwords: Mapping[str, str]) -> list[str]:
    """Lines for a redis.conf that define the users, with the password of each."""
    return [f"user {user} on >{passwords[user]} {' '.join(allowed)}" for user, allowed in rules(keys).items()]


def commands(keys: Keys) -> list[str]:
    """The same as commands to type into a Redis of one's own; `PASSWORD` is to be replaced."""
    return [f"ACL SETUSER {user} reset on >PASSWORD {' '.join(allowed)}" for user, allowed in rules(keys).items()]

"""The program that becomes the private Postgres: makes the cluster where there is none, then turns into the server.

Owns the choice of the binary, the account it runs under (Postgres refuses root) and its settings. Refuses to know the
tables. Invariants: reached by a socket in a private folder, by TCP only where a port was asked for, and then by
password; a cluster is whole or not there; one server at a time works on a directory. It is a program of its own, so
that a daemon that starts it waits for nothing.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, NoReturn
from urllib.parse import quote

from pms import bootstrap, child, config, datadir, exits
from pms.datadir import DataDir
from pms.embedded import EmbeddedFailed, socket_path

URL_FILE = "postgres.url"  # where it is reached by its socket
TCP_URL_FILE = "postgres.tcp.url"  # with password, where a port was asked for
USER = "pms"
DATABASE = "postgres"
USUAL_PORT = 5432  # names the socket; nobody listens there
LONGEST_SOCKET = ".s.PGSQL.65535"
HOSTS_OWN = Path("/usr/lib/postgresql")
OLDEST = 12  # generated partitions and ON CONFLICT on them
APART = Path("/var/lib")  # for a server under another account: ours may not be entered by it
NOBODY = 65534
ENDS = ("--", "setpriv", "--pdeathsig", "INT", "--")  # whatever changes the account forgets the tie to its parent
SETTINGS = {
    "shared_buffers": "32MB",
    "max_wal_size": "256MB",
    "max_connections": "50",
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class Programs(NamedTuple):
    """The folder of `initdb` and `postgres`, and their major version."""

    folder: Path
    major: int


class Place(NamedTuple):
    """Where the cluster and its socket lie, and what stands before each program's name so that it is not root's."""

    folder: Path
    sockets: Path
    before: tuple[str, ...]


def programs() -> Iterator[Programs]:
    """Every usable Postgres: the packed one, then the host's, newest first."""
    folders = [bootstrap.POSTGRES, *sorted(HOSTS_OWN.glob("*/bin"), key=_number, reverse=True)]
    for folder in folders:
        if all(os.access(folder / name, os.X_OK) for name in ("initdb", "postgres")):
            major = _number(folder) if folder.is_relative_to(HOSTS_OWN) else bootstrap.POSTGRES_MAJOR
            if major >= OLDEST:
                yield Programs(folder, major)


def _number(folder: Path) -> int:
    name = folder.parent.name
    return int(name) if name.isdecimal() else 0


def choose(cluster: Path) -> Programs:
    """The programs for this cluster: of the version that made it. Raises `EmbeddedFailed` where there are none."""
    found = tuple(programs())
    if not found:
        raise EmbeddedFailed(
            "no PostgreSQL was found on this host: no records are kept. Install one (Debian and Ubuntu: apt-get "
            "install postgresql), or set PMS_DATABASE_URL to a database of your own."
        )
    note = cluster / "PG_VERSION"
    if not note.exists():
        return found[0]
    made_by = int(note.read_text())
    for one in found:
        if one.major == made_by:
            return one
    raise EmbeddedFailed(
        f"the records in {cluster} were written by PostgreSQL {made_by}, which is not on this host (found: "
        f"{', '.join(str(one.major) for one in found)}). Install it, or move the folder away to begin new ones."
    )


def _account() -> str:
    """Another account to run under: the host's own for Postgres, or nobody's."""
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _named() -> bool:
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        return False
    return True


def _runs(*program: str) -> bool:
    try:
        return subprocess.run(program, capture_output=True, timeout=5, check=False).returncode == 0
    except OSError:
        return False


def place(data: DataDir) -> Place:
    """Where and how the server runs. Postgres refuses to be root and wants its account to have a name: a namespace of
    its own gives it one, and where the kernel refuses that, another account does.

    Raises `EmbeddedFailed` where neither can be had.
    """
    here = Place(data.path / "cluster", socket_path(data.path, LONGEST_SOCKET).parent, ())
    if os.getuid() and _named():
        return here
    renamed = ("unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}", *ENDS)
    if _runs(*renamed, "true"):
        return here._replace(before=renamed)
    if os.getuid():
        raise EmbeddedFailed("this account has no name and may not be given one (unshare): set PMS_DATABASE_URL")
    return other_account(data, APART)


def other_account(data: DataDir, root: Path) -> Place:
    """For root where namespaces are refused: another account, and a folder of its own below `root`."""
    account = pwd.getpwnam(_account())
    folder = root / f"pms-pg-{sha256(os.fsencode(data.path)).hexdigest()[:12]}"
    folder.mkdir(mode=0o700, exist_ok=True)
    os.chown(folder, account.pw_uid, account.pw_gid)
    before = ("setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups", *ENDS[2:])
    if not _runs(*before, "true"):
        raise EmbeddedFailed("Postgres does not run as root, and this host lets it run as nobody else (setpriv)")
    return Place(folder / "cluster", folder, before)


def reachable(where: Place, chosen: Programs) -> Path:
    """The programs' folder, or a copy that the server's account may read: programs and libraries go together."""
    if not where.before or _runs(*where.before, str(chosen.folder / "postgres"), "--version"):
        return chosen.folder
    whole = bootstrap.POSTGRES.parents[2]
    copy = where.sockets / "programs"
    if not copy.exists():
        shutil.copytree(whole, copy)
        copy.chmod(0o755)
        for path in copy.rglob("*"):
            path.chmod(0o755)
    return copy / chosen.folder.relative_to(whole)


def _make(where: Place, programs: Path, data: DataDir, password: str) -> None:
    """A new cluster: made beside its place, then put there as a whole."""
    fresh, secret = (where.folder.with_name(name) for name in ("cluster.new", "initdb.secret"))
    if fresh.exists():
        shutil.rmtree(fresh)
    secret.write_text(password)
    owner = where.folder.parent.stat()
    os.chown(secret, owner.st_uid, owner.st_gid)
    words = ["-U", USER, "--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={secret}"]
    made = subprocess.run(
        [*where.before, programs / "initdb", *words, "-E", "UTF8", "--no-locale", "-N", "-D", fresh],
        capture_output=True,
        text=True,
        env=config.environment(LC_ALL="C"),
        pass_fds=(data.lock,),  # an interrupted one keeps the directory until it has ended
        check=False,
    )
    secret.unlink()
    if made.returncode:
        told = " / ".join(made.stderr.strip().splitlines()[-3:])
        raise EmbeddedFailed(f"initdb ended with {made.returncode}: {told}")
    fresh.rename(where.folder)


def addresses(where: Place, password: str, port: int) -> dict[str, str]:
    """The files that say where the server is reached, by name. The socket is named after the port."""
    at = f"?host={quote(str(where.sockets))}&port={port or USUAL_PORT}"
    told = {URL_FILE: f"postgresql://{USER}@/{DATABASE}{at}"}
    if port:
        told[TCP_URL_FILE] = f"postgresql://{USER}:{password}@127.0.0.1:{port}/{DATABASE}"
    return told


def main(arguments: list[str]) -> int:
    """`FOLDER PORT`: become the server. Returns only where that can't be, with the exit code."""
    try:
        _become(Path(arguments[0]), int(arguments[1]))
    except datadir.DataDirInUse as error:
        print(f"Nothing was started: {error}.", file=sys.stderr)
        return exits.DATA_DIR_IN_USE
    except EmbeddedFailed as error:
        print(error, file=sys.stderr)
        return error.exit_code


def _become(folder: Path, port: int) -> NoReturn:
    os.umask(0o077)
    data = datadir.take(folder, patient=True)
    where = place(data)
    programs = reachable(where, choose(where.folder))
    password = data.passwords("postgres.secrets", [USER])[USER]
    if not where.folder.exists():
        _make(where, programs, data, password)
    if port and not child.is_free(port):
        print(f"port {port} (PMS_PG_PORT) is taken: the database is reached by its socket only", file=sys.stderr)
        port = 0
    (folder / TCP_URL_FILE).unlink(missing_ok=True)
    for name, address in addresses(where, password, port).items():
        data.write_private(name, address + "\n")
    os.set_inheritable(data.lock, True)
    settings = SETTINGS | {"listen_addresses": "127.0.0.1" if port else "", "port": str(port or USUAL_PORT)}
    words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    program = [*where.before, str(programs / "postgres"), "-D", str(where.folder), "-k", str(where.sockets)]
    found = shutil.which(program[0]) or program[0]
    os.execve(found, [*program, *words], config.environment(LC_ALL="C"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

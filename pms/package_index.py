"""Finding one file in the configured package index, before there is a pip. Standard library only.

Owns the reading of pip's settings (environment over files) and of an index page (PEP 503 HTML, PEP 691 JSON), a local
index or a folder of files. Refuses to know what the file is for. What it returns has the sha256 asked for, or it
raises.
"""

from __future__ import annotations

import base64
import configparser
import hashlib
import json
import os
import ssl
import sys
import urllib.request
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit, urlunsplit

from pms import bootstrap

ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.5"
TIMEOUT_S = 30
MAX_BYTES = 64 * 2**20  # an index page or pip's wheel; anything larger is not what we asked for

# Settings that would send pip's work elsewhere than into .venv, or contradict the lock.
_STRAY = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "PIP_CONSTRAINT", "PIP_NO_BINARY", "PIP_REQUIRE_HASHES")


def _settings_files(environment: dict[str, str]) -> list[Path]:
    """pip's files, weakest first: global, user, site, the named one."""
    home = Path(environment.get("HOME") or "/")
    xdg = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    files = [Path(folder, "pip/pip.conf") for folder in environment.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")]
    files += [Path("/etc/pip.conf"), home / ".pip/pip.conf", xdg / "pip/pip.conf", Path(sys.prefix, "pip.conf")]
    named = environment.get("PIP_CONFIG_FILE")
    return [path for path in [*files, *([Path(named)] if named else [])] if path.is_file()]


def _from_files(environment: dict[str, str]) -> dict[str, str]:
    if environment.get("PIP_CONFIG_FILE") == os.devnull:
        return {}
    merged: dict[str, str] = {}
    for section in ("global", "install"):
        for path in _settings_files(environment):
            parser = configparser.RawConfigParser()
            parser.read(path)
            if parser.has_section(section):
                merged.update({name.replace("_", "-"): value for name, value in parser.items(section)})
    return merged


def pip_environment(given: Mapping[str, str], default_index: str) -> dict[str, str]:
    """The environment that pip gets: the `given` one, with the index settled so that pip and `fetch` ask the same one.

    pip's variables win over its files, those over uv's variables, those over `default_index`.
    """
    environment = {name: value for name, value in given.items() if name not in _STRAY and not name.startswith("PYTHON")}
    files = _from_files(environment)
    uv = environment.get("UV_DEFAULT_INDEX") or environment.get("UV_INDEX_URL")
    settled = {
        "PIP_INDEX_URL": files.get("index-url") or uv or default_index,
        "PIP_EXTRA_INDEX_URL": files.get("extra-index-url") or environment.get("UV_EXTRA_INDEX_URL", ""),
        "PIP_FIND_LINKS": files.get("find-links", ""),
        "PIP_CERT": files.get("cert", ""),
        "PIP_NO_INDEX": files.get("no-index", ""),
    }
    quiet = {"PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore"}
    settled = {name: " ".join(value.split()) for name, value in settled.items() if value}
    return {**settled, **environment, **quiet}


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value for name, value in attrs if tag == "a" and name == "href" and value]


def links(page: bytes, content_type: str, address: str) -> list[str]:
    """The absolute addresses of the files that an index page lists, without their fragments."""
    if "json" in content_type:
        found = [str(entry["url"]) for entry in json.loads(page)["files"]]
    else:
        parser = _Links()
        parser.feed(page.decode("utf-8", "replace"))
        found = parser.links
    return [urldefrag(urljoin(address, link)).url for link in found]


def _context(environment: dict[str, str]) -> tuple[ssl.SSLContext, bool]:
    """How to trust https, and whether it is trusted. A host without any certificate store cannot judge; as the sha256
    of the file is known beforehand that is no danger to it, but then no password is sent."""
    context = ssl.create_default_context()
    for name in ("PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if path := environment.get(name):
            context.load_verify_locations(**{"capath" if Path(path).is_dir() else "cafile": path})
            return context, True
    store = ssl.get_default_verify_paths()
    if context.get_ca_certs() or (store.capath and any(Path(store.capath).glob("*.0"))):
        return context, True
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context, False


def _get(address: str, environment: dict[str, str]) -> tuple[bytes, str, str]:
    """Body, content type and final address."""
    parts = urlsplit(address)
    context, trusted = _context(environment)
    headers = {"Accept": ACCEPT}
    if parts.username and trusted:
        password = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = "Basic " + base64.b64encode(password.encode()).decode()
    plain = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    handlers: list[urllib.request.BaseHandler] = [urllib.request.HTTPSHandler(context=context)]
    if proxy := environment.get("PIP_PROXY"):
        handlers.append(urllib.request.ProxyHandler({"http": proxy, "https": proxy}))
    opener = urllib.request.build_opener(*handlers)
    with opener.open(urllib.request.Request(plain, headers=headers), timeout=TIMEOUT_S) as answer:
        return answer.read(MAX_BYTES), answer.headers.get("Content-Type", ""), answer.geturl()


def _candidates(name: str, environment: dict[str, str], failures: list[str]) -> list[str]:
    """Where a file of this name may lie: folders of files first, then what the index pages list."""
    project = name.partition("-")[0]
    found: list[str] = []
    pages: list[str] = []
    for place in environment.get("PIP_FIND_LINKS", "").split():
        folder = Path(urlsplit(place).path if place.startswith("file:") else place)
        if folder.is_dir():
            found += [(folder / name).as_uri()] if (folder / name).is_file() else []
        else:
            pages.append(place)
    if environment.get("PIP_NO_INDEX", "").lower() not in {"1", "true", "yes", "on"}:
        indexes = [environment["PIP_INDEX_URL"], *environment.get("PIP_EXTRA_INDEX_URL", "").split()]
        pages += [f"{index.rstrip('/')}/{project}/{'index.html' * index.startswith('file:')}" for index in indexes]
    for page in pages:
        try:
            listed = links(*_get(page, environment))
        except (OSError, ValueError, KeyError) as error:
            failures.append(f"{_shown(page)}: {error}")
            continue
        found += [link for link in listed if unquote(urlsplit(link).path).rpartition("/")[2] == name]
        failures.append(f"{_shown(page)}: {len(listed)} files listed")
    return found


def _shown(address: str) -> str:
    """An address without its password."""
    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def fetch(name: str, sha256: str, folder: Path, environment: dict[str, str]) -> Path:
    """Put the file `name` with that sha256 into `folder`. Raises `bootstrap.SetUpFailed`, naming all that was tried."""
    tried: list[str] = []
    for address in _candidates(name, environment, tried):
        try:
            content, _, _ = _get(address, environment)
        except OSError as error:
            tried.append(f"{_shown(address)}: {error}")
            continue
        if hashlib.sha256(content).hexdigest() == sha256:
            (folder / name).write_bytes(content)
            return folder / name
        tried.append(f"{_shown(address)}: not the file whose sha256 is {sha256[:12]}…")
    lines = "\n  ".join(tried)
    raise bootstrap.SetUpFailed(
        f"{name} was not found in the configured package index:\n  {lines}\n"
        "Install pip for this Python (Debian: python3-venv), or set PIP_INDEX_URL to an index that has it."
    )

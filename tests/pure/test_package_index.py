"""Finding a file in whatever index is configured: settings, pages in both forms, local folders, the checksum."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from pms import package_index
from pms.bootstrap import SetUpFailed

NAME = "pip-1.0-py3-none-any.whl"
CONTENT = b"a wheel"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
DEFAULT = "https://index.example/simple/"
PAGE = "https://index.example/simple/pip/"


def _html(href: str) -> str:
    return f'<html><a href="old.whl">old</a><a data-requires-python="&gt;=3" href="{href}">{NAME}</a></html>'


def _index(folder: Path, content: bytes = CONTENT) -> str:
    """A local index that has the file; its address."""
    (folder / "files").mkdir(parents=True)
    (folder / "files" / NAME).write_bytes(content)
    (folder / "simple" / "pip").mkdir(parents=True)
    (folder / "simple" / "pip" / "index.html").write_text(_html(f"../../files/{NAME}#sha256={SHA256}"))
    return (folder / "simple").as_uri()


def _settings(given: dict[str, str], tmp_path: Path, conf: str = "") -> dict[str, str]:
    """The environment for pip, seen from a home with this pip.conf."""
    (tmp_path / ".config" / "pip").mkdir(parents=True, exist_ok=True)
    (tmp_path / ".config" / "pip" / "pip.conf").write_text(conf)
    return package_index.pip_environment({"HOME": str(tmp_path), **given}, DEFAULT)


def test_html_links_are_made_absolute_and_lose_their_fragment() -> None:
    found = package_index.links(_html(f"../../f/{NAME}#sha256=0").encode(), "text/html", PAGE)
    assert found == [f"{PAGE}old.whl", f"https://index.example/f/{NAME}"]


def test_json_links_are_read_as_pep_691_says() -> None:
    page = json.dumps({"files": [{"filename": NAME, "url": f"https://files.example/{NAME}"}]}).encode()
    assert package_index.links(page, package_index.ACCEPT, PAGE) == [f"https://files.example/{NAME}"]


def test_without_settings_the_default_index_is_asked(tmp_path) -> None:
    settled = _settings({"PIP_CONFIG_FILE": "/dev/null"}, tmp_path)
    assert settled["PIP_INDEX_URL"] == DEFAULT
    assert "PIP_EXTRA_INDEX_URL" not in settled


def test_a_file_wins_over_uvs_variable_and_a_pip_variable_over_both(tmp_path) -> None:
    conf = "[global]\nindex-url = https://file.example/simple\nextra-index-url =\n  https://a.example\n  https://b.example\n"
    uv = {"UV_INDEX_URL": "https://uv.example"}
    assert _settings(uv, tmp_path, conf)["PIP_INDEX_URL"] == "https://file.example/simple"
    assert _settings(uv, tmp_path, conf)["PIP_EXTRA_INDEX_URL"] == "https://a.example https://b.example"
    assert (
        _settings({**uv, "PIP_INDEX_URL": "https://pip.example"}, tmp_path, conf)["PIP_INDEX_URL"]
        == "https://pip.example"
    )


def test_uvs_variable_wins_over_the_default(tmp_path) -> None:
    found = _settings({"UV_INDEX_URL": "https://uv.example", "PIP_CONFIG_FILE": "/dev/null"}, tmp_path)
    assert found["PIP_INDEX_URL"] == "https://uv.example"


def test_a_named_file_is_the_strongest_of_the_files(tmp_path) -> None:
    named = tmp_path / "named.conf"
    named.write_text("[install]\nindex_url = https://named.example\n")
    found = _settings({"PIP_CONFIG_FILE": str(named)}, tmp_path, "[global]\nindex-url = https://file.example\n")
    assert found["PIP_INDEX_URL"] == "https://named.example"


def test_settings_that_would_lead_pip_elsewhere_are_dropped_and_it_may_not_ask(tmp_path) -> None:
    found = _settings({"PIP_TARGET": "/x", "PIP_USER": "1", "PYTHONPATH": "/y", "KEPT": "1"}, tmp_path)
    assert not {"PIP_TARGET", "PIP_USER", "PYTHONPATH"} & found.keys()
    assert found["PIP_NO_INPUT"] == found["KEPT"] == "1"


def test_the_file_is_found_in_a_local_index(tmp_path) -> None:
    settled = _settings({"PIP_INDEX_URL": _index(tmp_path / "index")}, tmp_path)
    assert package_index.fetch(NAME, SHA256, tmp_path, settled).read_bytes() == CONTENT


def test_the_file_is_found_in_an_extra_index_when_the_first_fails(tmp_path) -> None:
    extra = _index(tmp_path / "index")
    settled = _settings({"PIP_INDEX_URL": (tmp_path / "none").as_uri(), "PIP_EXTRA_INDEX_URL": extra}, tmp_path)
    assert package_index.fetch(NAME, SHA256, tmp_path, settled).read_bytes() == CONTENT


@pytest.mark.parametrize("as_url", [False, True])
def test_the_file_is_found_in_a_folder_without_any_index(tmp_path, as_url) -> None:
    folder = tmp_path / "wheels"
    folder.mkdir()
    (folder / NAME).write_bytes(CONTENT)
    links = folder.as_uri() if as_url else str(folder)
    settled = _settings({"PIP_FIND_LINKS": links, "PIP_NO_INDEX": "1"}, tmp_path)
    assert package_index.fetch(NAME, SHA256, tmp_path, settled).read_bytes() == CONTENT


def test_another_content_under_the_name_is_passed_over_for_the_right_one(tmp_path) -> None:
    wrong, right = _index(tmp_path / "wrong", b"other"), _index(tmp_path / "right")
    settled = _settings({"PIP_INDEX_URL": wrong, "PIP_EXTRA_INDEX_URL": right}, tmp_path)
    assert package_index.fetch(NAME, SHA256, tmp_path, settled).read_bytes() == CONTENT


def test_a_failure_names_what_was_tried_and_what_to_do_but_no_password(tmp_path) -> None:
    wrong = _index(tmp_path / "wrong", b"other")
    settled = _settings({"PIP_INDEX_URL": wrong, "PIP_EXTRA_INDEX_URL": "ftp://me:secret@[bad/simple"}, tmp_path)
    settled["PIP_EXTRA_INDEX_URL"] = "nonsense://me:secret@host/simple"
    with pytest.raises(SetUpFailed) as caught:
        package_index.fetch(NAME, SHA256, tmp_path, settled)
    told = str(caught.value)
    assert "not the file whose sha256" in told
    assert "nonsense://host/simple/pip/" in told
    assert "python3-venv" in told
    assert "secret" not in told

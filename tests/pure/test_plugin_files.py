"""Files of installed packages: their digest, what is refused whoever approves it, and loading their very bytes."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pms import plugin_files
from pms.plugin_files import Entry, Package, Verified, approving, digest, modules_of
from tests.plugin_site import Site, site


@pytest.fixture
def plugs(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as made:
        yield made


# --- the digest ---------------------------------------------------------------------------------------


def test_the_digest_is_over_path_length_and_bytes_in_order() -> None:
    files = {"b.py": b"two", "a/c.py": b""}
    assert digest(files) == hashlib.sha256(b"a/c.py\x000\x00b.py\x003\x00two").hexdigest()
    assert digest(dict(reversed(files.items()))) == digest(files)


@pytest.mark.parametrize(
    "other",
    [
        {"b.py": b"twO", "a/c.py": b""},
        {"B.py": b"two", "a/c.py": b""},
        {"b.py": b"two"},
        {"b.py": b"two", "a/c.py": b"", "d.py": b""},
        {"b.py": b"", "a/c.py": b"two"},
        {"b.py\x003\x00two": b"", "a/c.py": b""},
    ],
)
def test_any_other_files_have_another_digest(other) -> None:
    assert digest(other) != digest({"b.py": b"two", "a/c.py": b""})


def test_the_line_has_the_packages_name_in_one_spelling() -> None:
    assert approving("My_Pack.age", "1.0", "ab") == "my-pack-age==1.0 sha256:ab"


def test_the_digest_covers_modules_and_data_but_no_metadata_and_nothing_compiled(plugs: Site) -> None:
    files = {"ice/__init__.py": "A = 1\n", "ice/deep.py": "", "ice/data.bin": b"\x00\xff"}
    plugs.install("ice", "1", {"ice": "ice:A"}, files)
    record = plugs.folder / "ice.dist-info" / "RECORD"
    listed = "ice/__pycache__/deep.cpython-311.pyc,,\nice/old.pyc,,\n../../../bin/ice,,\nice.pth,,\n"
    record.write_text(record.read_text() + listed)
    package = plugs.package("ice")
    assert set(package.files) == set(files)
    assert package.sha256 == digest(
        {name: text if isinstance(text, bytes) else text.encode() for name, text in files.items()}
    )
    assert package.line == f"ice==1 sha256:{package.sha256}"
    assert package.problem == ""


# --- what can't be loaded -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "entry, files, problem",
    [
        ("ice:A", {"other.py": ""}, "ice is not among its files"),
        ("ice.deep:A", {"ice/__init__.py": ""}, "ice.deep is not among its files"),
        ("json:A", {"json.py": ""}, "its module json has a name that is not its own"),
        ("algos.evil:A", {"algos/evil.py": ""}, "its module algos has a name that is not its own"),
        ("ice:A", {"ice.py": "", "pms/more.py": ""}, "its module pms has a name that is not its own"),
        ("ice:A", {}, "ice is not among its files"),
    ],
)
def test_a_package_without_its_own_sources_is_a_problem(entry, files, problem, plugs: Site) -> None:
    plugs.install("ice", "1", {"ice": entry}, files)
    assert plugs.package("ice").problem.startswith(problem)


def test_a_listed_file_that_is_gone_is_a_problem(plugs: Site) -> None:
    plugs.install("ice", "1", {"ice": "ice:A"}, {"ice.py": "A = 1\n"})
    (plugs.folder / "ice.py").unlink()
    assert "can't be read" in plugs.package("ice").problem


def test_a_package_without_a_list_of_files_is_a_problem(plugs: Site) -> None:
    plugs.install("ice", "1", {"ice": "ice:A"}, {"ice.py": "A = 1\n"})
    (plugs.folder / "ice.dist-info" / "RECORD").unlink()
    assert "ice is not among its files" in plugs.package("ice").problem


def test_modules_are_the_python_files_with_names() -> None:
    paths = ["one.py", "two/__init__.py", "two/three.py", "two/no-name.py", "data.txt", "__init__.py"]
    assert modules_of(paths) == {
        "one": "one.py",
        "two": "two/__init__.py",
        "two.three": "two/three.py",
        "__init__": "__init__.py",
    }


# --- loading ------------------------------------------------------------------------------------------


def made(name: str, files: dict[str, str]) -> Package:
    raw = {path: text.encode() for path, text in files.items()}
    return Package(name, "1", (Entry("it", "ice", "IT"),), raw, digest(raw))


def test_what_is_loaded_are_the_bytes_that_were_hashed(plugs: Site) -> None:
    plugs.install("ice", "1", {"it": "ice:IT"}, {"ice.py": "IT = 'as it was hashed'\n"})
    package = plugs.package("ice")
    (plugs.folder / "ice.py").write_text("IT = 'changed since'\n")
    assert Verified(package).load(package.entries[0]) == "as it was hashed"
    assert not (plugs.folder / "__pycache__").exists()


def test_nothing_that_was_imported_before_stands_in_for_it(plugs: Site) -> None:
    first, second = (made("ice", {"ice.py": f"IT = {number}\n"}) for number in (1, 2))
    assert [Verified(package).load(package.entries[0]) for package in (first, second, first)] == [1, 2, 1]
    assert sum(isinstance(finder, Verified) for finder in sys.meta_path) == 1


def test_a_package_may_have_modules_below_it_and_names_within_names(plugs: Site) -> None:
    files = {"ice/__init__.py": "from ice import deep\n", "ice/deep.py": "class Deep:\n    IT = __name__\n"}
    package = made("ice", files)
    assert Verified(package).load(Entry("it", "ice", "deep.Deep.IT")) == "ice.deep"


def test_a_module_that_is_not_among_the_files_is_not_found_beside_them(plugs: Site) -> None:
    (plugs.folder / "ice").mkdir()
    (plugs.folder / "ice" / "more.py").write_text("IT = 'from the disk'\n")
    package = made("ice", {"ice/__init__.py": "from ice import more\n"})
    with pytest.raises(ImportError, match="more"):
        Verified(package).load(package.entries[0])


def test_it_gives_no_other_file() -> None:
    package = made("ice", {"ice.py": "IT = 1\n"})
    verified = Verified(package)
    assert verified.get_data(verified.get_filename("ice")) == b"IT = 1\n"
    with pytest.raises(OSError, match="is no file of ice"):
        verified.get_data("/etc/passwd")
    assert verified.find_spec("json", None) is None


def test_without_packages_of_the_group_there_is_nothing(plugs: Site) -> None:
    assert plugin_files.installed() == []

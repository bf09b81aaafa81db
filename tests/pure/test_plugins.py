"""The approval list, who is refused and in which words, and what an entry point has to name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from algos.plugin import Plugin
from pms import exits, plugins
from pms.cli import plugins as cli
from pms.plugin_files import Entry, Package
from pms.plugins import Approvals, approvals, check_made, refusals
from schemas import codec
from schemas.plugin import PluginParams
from tests.data.iceberg.pms_iceberg import ICEBERG
from tests.plugin_site import Site, site
from tests.pure.algos.plugin_stage import MAKER

HEX = "0123456789abcdef" * 4
LINE = f"ice==1.0 sha256:{HEX}"


@pytest.fixture
def plugs(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as made:
        yield made


def package(name: str = "ice", *algos: str, problem: str = "") -> Package:
    entries = tuple(Entry(algo, "ice", algo.upper()) for algo in algos or ("ice",))
    return Package(name, "1.0", entries, {}, HEX, problem)


# --- the list -----------------------------------------------------------------------------------------


def test_lines_approve_comments_and_blanks_say_nothing(tmp_path: Path) -> None:
    path = tmp_path / "plugins.txt"
    path.write_text(
        f"# ours\n\n{LINE}  # looked at on Monday\n  My_Pack==2 \t sha256:{HEX}\nice==1.0\nice sha256:{HEX[1:]}\n"
    )
    found = approvals(path)
    assert found.lines == {LINE, f"my-pack==2 sha256:{HEX}"}
    assert found.unread == ("ice==1.0", f"ice sha256:{HEX[1:]}")
    assert found.problem == ""


def test_a_list_that_is_not_there_approves_nothing(tmp_path: Path) -> None:
    assert approvals(tmp_path / "none.txt") == Approvals(tmp_path / "none.txt")


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_list_that_others_can_write_counts_for_nothing(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "plugins.txt"
    path.write_text(LINE + "\n")
    path.chmod(mode)
    found = approvals(path)
    assert found.lines == frozenset()
    assert "can be written by others" in found.problem
    path.chmod(0o644)
    assert approvals(path).lines == {LINE}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_list_of_somebody_else_counts_for_nothing(tmp_path: Path) -> None:
    path = tmp_path / "plugins.txt"
    path.write_text(LINE + "\n")
    os.chown(path, 12_345, 12_345)
    assert approvals(path).lines == frozenset()


def test_a_list_that_cannot_be_read_counts_for_nothing(tmp_path: Path) -> None:
    found = approvals(tmp_path)
    assert (found.lines, "can't be read" in found.problem) == (frozenset(), True)


# --- refusals -----------------------------------------------------------------------------------------


def refused(*packages: Package, lines: frozenset[str] = frozenset(), problem: str = "") -> dict[str, plugins.Refusal]:
    return refusals(list(packages), Approvals(Path("/data/plugins.txt"), lines, problem))


def test_only_the_very_line_approves() -> None:
    assert refused(package(), lines=frozenset((LINE,))) == {}
    for line in (LINE.replace("1.0", "1.1"), LINE.replace("ice", "nice"), LINE[:-1] + "0"):
        assert refused(package(), lines=frozenset((line,)))["ice"].line == LINE


def test_the_refusal_names_the_line_and_the_file() -> None:
    told = refused(package())["ice"]
    assert told.message == f"ice 1.0 is not approved: add the line `{LINE}` to /data/plugins.txt and restart"
    told = refused(package(), lines=frozenset((LINE,)), problem="it is a pipe")["ice"]
    assert (told.message, told.line) == ("ice 1.0 is not approved: it is a pipe", LINE)


@pytest.mark.parametrize(
    "name", ["chase", "twap", "trail_stop", "scalper", "twap_basket", "algo", "Ice", "i:ce", "1ce", "i*"]
)
def test_a_name_of_ours_or_one_that_no_key_can_have_is_refused(name: str) -> None:
    told = refused(package("ice", name), lines=frozenset((LINE,)))
    assert [one.message for one in told.values()] == [f"ice 1.0 names an algo {name}, which no plug-in may"]


def test_two_packages_with_one_algo_are_both_refused() -> None:
    both = refused(package("ice", "ice"), package("frost", "fog", "ice"), lines=frozenset((LINE,)))
    assert set(both) == {"ice", "frost"}
    assert both["frost"].message == "ice is brought by two packages: remove one, frost 1.0 is one of them"


def test_a_package_with_a_problem_is_refused_whoever_approves_it() -> None:
    told = refused(package(problem="it has no files"), lines=frozenset((LINE,)))["ice"]
    assert (told.message, told.line) == ("ice 1.0 can't be loaded: it has no files", "")


# --- what an entry point names ------------------------------------------------------------------------


class Forgetful(msgspec.Struct, frozen=True):
    """Not what it was, once it was read back."""

    at: float = 1


class Elsewhere(PluginParams, frozen=True, kw_only=True):
    """A field that no command has."""

    where: set[int]


def test_a_plug_in_of_that_name_is_taken() -> None:
    check_made("iceberg", ICEBERG)
    check_made("maker", MAKER)


@pytest.mark.parametrize(
    "made, why",
    [
        (object(), "no algos.plugin.Plugin of that name"),
        (MAKER, "no algos.plugin.Plugin of that name"),
        (msgspec.structs.replace(ICEBERG, params=Forgetful), "no schemas.plugin.PluginParams"),
        (msgspec.structs.replace(ICEBERG, params=Elsewhere), "no field of a command may be"),
        (msgspec.structs.replace(ICEBERG, own=Elsewhere), "Missing required argument"),
    ],
)
def test_anything_else_is_refused_at_loading(made, why) -> None:
    with pytest.raises(TypeError, match=why):
        check_made("iceberg", made)


def test_what_cannot_be_read_back_is_refused_at_loading() -> None:
    class Own(msgspec.Struct, frozen=True):
        words: object = msgspec.field(default_factory=lambda: ("a",))  # read back as a list

    odd: Plugin = msgspec.structs.replace(ICEBERG, own=Own)
    with pytest.raises(TypeError, match="can't be read back"):
        check_made("iceberg", odd)


# --- pms plugins --------------------------------------------------------------------------------------


def shown(capsys, *words: str) -> str:
    import argparse

    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    assert cli.main(parser.parse_args(words)) == exits.OK
    return str(capsys.readouterr().out)


def test_the_command_line_lists_them_with_the_line_to_add(plugs: Site, capsys, monkeypatch) -> None:
    monkeypatch.setenv("PMS_PLUGINS", str(plugs.approved))
    assert shown(capsys) == "None.\n"
    plugs.iceberg(more="\nraise RuntimeError('imported')\n")
    line = plugs.package().line
    told = shown(capsys)
    assert f"pms-iceberg 1.0.0 is not approved: add the line `{line}` to {plugs.approved} and restart." in told
    plugs.approve(line, "nonsense")
    told = shown(capsys)
    assert told.splitlines()[1].split() == ["iceberg", "pms-iceberg", "1.0.0", plugs.package().sha256[:12], "yes"]
    assert told.splitlines()[2] == f"{plugs.approved} has a line that says nothing: nonsense"
    (row,) = codec.decode(list, shown(capsys, "--json"))
    assert (row["algos"], row["approved"], row["line"], row["reason"]) == (["iceberg"], True, line, "")
    plugs.approve("# nothing")
    (row,) = codec.decode(list, shown(capsys, "--json"))
    assert (row["approved"], "is not approved" in row["reason"]) == (False, True)

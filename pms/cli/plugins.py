"""`pms plugins`: the installed packages that bring algos, which of them are approved, and the line that approves the
others. Owns the words; reads files only and imports nothing of a package."""

from __future__ import annotations

import argparse
from typing import Any

from pms import config, exits
from pms.cli import lines
from pms.plugin_files import Package, installed
from pms.plugins import Refusal, approvals, refusals
from schemas import codec

DIGEST_SHOWN = 12  # of 64: enough to tell versions apart; the whole stands in the line
_HEADS = ("algo", "package", "version", "sha256", "approved")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `pms plugins`."""
    parser.add_argument("--json", action="store_true", help="print them as one JSON array")


def main(args: argparse.Namespace) -> int:
    """Print what is installed."""
    packages, approved = installed(), approvals(config.plugins())
    refused = refusals(packages, approved)
    if args.json:
        print(codec.encode([_described(package, refused.get(package.name)) for package in packages]).decode())
        return exits.OK
    print(lines.table(_HEADS, [_row(package, package.name not in refused) for package in packages]))
    for given in approved.unread:
        print(f"{approved.path} has a line that says nothing: {given}")
    for package in packages:
        if package.name in refused:
            print(f"{refused[package.name].message}.")
    return exits.OK


def _described(package: Package, refusal: Refusal | None) -> dict[str, Any]:
    return {
        "package": package.name,
        "version": package.version,
        "algos": [entry.algo for entry in package.entries],
        "sha256": package.sha256,
        "line": package.line,
        "approved": refusal is None,
        "reason": "" if refusal is None else refusal.message,
    }


def _row(package: Package, approved: bool) -> list[str]:
    algos = ", ".join(entry.algo for entry in package.entries)
    return [algos, package.name, package.version, package.sha256[:DIGEST_SHOWN], "yes" if approved else "no"]

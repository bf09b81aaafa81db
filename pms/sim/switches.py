"""The switches of an account and what blocks them: margin type, position mode, asset mode (binance.md 3.5, 5.4).

Pure: refuses in the venue's words, changes nothing. Refuses to know what a mode does.
"""

from __future__ import annotations

from pms.sim.accounts import Account
from pms.sim.model import VenueError


def check_margin_type(owner: Account, symbol: str, isolated: bool) -> None:
    """Refuse a margin type that is set already or that position, orders or asset mode forbid."""
    position = owner.position(symbol)
    if position.isolated == isolated:
        raise VenueError(-4046, "No need to change margin type.")
    if owner.multi_assets and isolated:
        raise VenueError(-4168, "Unable to adjust to isolated-margin mode under the Multi-Assets mode.")
    if owner.open.get(symbol):
        raise VenueError(-4047, "Margin type cannot be changed if there exists open orders.")
    if position.amount:
        raise VenueError(-4048, "Margin type cannot be changed if there exists position.")


def check_dual_side(owner: Account, dual: bool) -> None:
    """Refuse a position mode that is set already or that any order or position forbids."""
    if owner.dual == dual:
        raise VenueError(-4059, "No need to change position side.")
    if owner.open_orders():
        raise VenueError(-4067, "Position side cannot be changed if there exists open orders.")
    if any(position.amount for position in owner.positions.values()):
        raise VenueError(-4068, "Position side cannot be changed if there exists position.")


def check_multi_assets(owner: Account, multi_assets: bool) -> None:
    """Refuse an asset mode that is set already or that an isolated symbol or any order forbids."""
    if owner.multi_assets == multi_assets:
        raise VenueError(-4171, "Adjusted asset mode is currently set and does not need to be adjusted repeatedly.")
    if any(position.isolated for position in owner.positions.values()):
        raise VenueError(
            -4167, "Unable to adjust to Multi-Assets mode with symbols of USD-M Futures under isolated-margin mode."
        )
    if owner.open_orders():
        raise VenueError(-4170, "Unable to adjust Multi-Assets Mode with open orders in USD-M Futures.")

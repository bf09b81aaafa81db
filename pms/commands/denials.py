"""What the risk gate denies, as a refusal of the command (contract.md: category RISK). Pure words."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from pms.core.risk import Denied
from schemas.errors import Invalid


def invalid(denied: Denied, path: str = "") -> Invalid:
    """To be raised: nothing was done. `path` is where in the command, `limit` and `value` are the gate's numbers."""
    where = {"path": path} if path else {}
    return Invalid(denied.code, denied.message, **where, limit=_exact(denied.limit), value=_exact(denied.value))


def _exact(text: str) -> Decimal | str:
    """A number where it is one; some limits are words."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return text

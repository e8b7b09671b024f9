"""Money, as a journal stores it: in whole units, which a database adds without an error."""

from decimal import Decimal
from typing import Any, Final

from longcat.errors import ConfigurationError

UNITS: Final = 10**9
"""A US dollar in the unit in which money is stored."""
MAX_DOLLARS: Final = Decimal(2**62 // UNITS)
"""US dollars. More can't be stored."""


def to_units(dollars: Decimal) -> int:
    """Return money as it is stored. Raises ConfigurationError when it can't be stored exactly."""
    try:
        numerator, denominator = dollars.as_integer_ratio()
    except (ValueError, OverflowError):  # Not a number, or an infinite one.
        numerator, denominator = -1, 1
    units, rest = divmod(numerator * UNITS, denominator)
    if rest or not 0 <= units < 2**62:
        raise ConfigurationError(f"{dollars} US dollars is no price. Pass a number with nine decimal places at most.")
    return units


def to_bound(dollars: Decimal | None) -> int | None:
    """Return a bound for money as it is stored, rounded down. None: there is none, or none that is ever reached."""
    return int(dollars * UNITS) if dollars is not None and dollars < MAX_DOLLARS else None


def to_dollars(units: Any) -> Decimal:
    """Return money that was stored. Raises TypeError when it is no whole number."""
    if not isinstance(units, int):
        raise TypeError("money is stored in whole units")
    whole, part = divmod(units, UNITS)
    return Decimal(f"{whole}.{part:09}".rstrip("0").rstrip("."))

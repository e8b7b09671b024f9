"""The orders at a fake gateway: what each one was, and what the next ones get."""

from collections import deque
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from typing import Any

from attrs import define, evolve, field, frozen

from longcat.errors import ConfigurationError
from longcat.gateway.contract import SUBMIT, contract
from longcat.testing.script import MODEL, Script, ScriptedFault, check_faults
from longcat.text import show


@frozen
class Submission:
    """One order that came, and what was answered.

    Attributes:
        at: when it came, in seconds on the gateway's clock.
        request_id: the request that came of it. None: it was not taken.
        code: the HTTP status code of the answer. None: an exception was raised instead.
        fields: the fields of its body. Empty: it could not be read.
        headers: its headers but the key, the names in lower case.
    """

    at: float
    request_id: str | None
    code: int | None
    fields: Mapping[str, Any]
    headers: Mapping[str, str] = field(repr=False)


@define
class OrderScripts:
    """The scripts of the next orders.

    Attributes:
        next: a fault, or the script of the request that the order becomes; one for each order.
        rest: the script of all orders after those. None: they are done at once.
    """

    next: deque[ScriptedFault | Script] = field(factory=deque)
    rest: Script | None = None

    def add(self, script: Script, times: Any) -> None:
        """Script so many more orders; None: all that follow. Raises ConfigurationError when that can't be."""
        self._check_open()
        if times is None:
            self.rest = script
            return
        if not isinstance(times, int) or times < 1:
            raise ConfigurationError(f"times is one or more orders, or None, not {show(times)}. Pass such a number.")
        self.next.extend([script] * times)

    def add_faults(self, faults: Iterable[ScriptedFault]) -> None:
        """Script what so many more orders meet. Raises ConfigurationError for what is no fault."""
        self._check_open()
        faults = tuple(faults)
        check_faults(faults)
        self.next.extend(faults)

    def pop(self) -> ScriptedFault | Script:
        """Return what the next order gets."""
        return self.next.popleft() if self.next else self.rest or Script()

    def _check_open(self) -> None:
        if self.rest is not None:
            raise ConfigurationError(
                "All further orders are scripted already. Script those that come first before times=None."
            )


def begun(script: Script, request_id: str, pictures: int, began: float, created: float) -> Script:
    """Return the script of a request that begins now. `Script` says what the arguments are."""
    faults = deque(script.faults)
    return evolve(script, request_id=request_id, count=pictures, began=began, created=created, faults=faults)


def new_request_id(number: int, moment: float) -> str:
    """Return the id of the request that an order becomes, in the form of the documentation's example.

    Args:
        number: how many requests there are already, so that no two have one id.
        moment: seconds since the epoch, which ids begin with: 12 hexadecimal digits, in milliseconds.
    """
    born, rest = f"{int(moment * 1000):012x}", sha256(str(number).encode()).hexdigest()
    return f"{MODEL}_{born[:8]}-{born[8:]}-7{rest[:3]}-{rest[3:7]}-{rest[7:20]}"


def mistake_in(fields: Mapping[str, Any]) -> str | None:
    """Return what the contract does not allow in the fields of an order. None: nothing."""
    return next(map(str, contract(SUBMIT).body_checker(fields, str)), None)


def dollars(balance: Any) -> Decimal | None:
    """Return an amount of money, None for no end of it, or raise ConfigurationError when it is none."""
    if balance is None:
        return None
    try:
        amount = Decimal(str(balance))
    except InvalidOperation:
        amount = Decimal("NaN")
    if isinstance(balance, bool) or not amount.is_finite() or amount < 0:
        raise ConfigurationError(f"balance is zero or more US dollars, not {show(balance)}. Pass such a number.")
    return amount

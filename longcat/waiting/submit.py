"""Order a request, once. No I/O: a flow that yields commands, and what it needs of the store that outlives it.

An order costs money, so it is sent again only when it is certain that the gateway did not take it.
"""

from decimal import Decimal
from enum import Enum
from typing import Protocol

from attrs import frozen

from longcat.models import OrderRequest


class OrderState(Enum):
    """What is known about an order that a store holds."""

    INTENDED = "it is ours to send: it is about to go out"
    BUSY = "another program is sending it"
    TAKEN = "the gateway took it"
    UNKNOWN = "it may have gone out, and nobody knows whether the gateway took it"


@frozen
class OrderRecord:
    """An order, as a store holds it.

    Attributes:
        key: names it in the store.
        cost: what it costs at most, in US dollars.
        request_id: the request that came of it. None: unless `state` is `TAKEN`, there is none that is known.
        message: why its fate is unknown. None: it is not, or nobody could say.
    """

    key: str
    order: OrderRequest
    state: OrderState
    cost: Decimal
    request_id: str | None = None
    message: str | None = None


class OrderStore(Protocol):
    """What outlives an order, and may be shared by several programs: `longcat.saving.journal`.

    Every method that writes returns when what it wrote would survive a loss of power.
    """

    def begin(self, key: str, order: OrderRequest, cost: Decimal, *, resubmit_unknown: bool = False) -> OrderRecord:
        """Note that an order is about to be sent, unless it was before, and return how it stands.

        `INTENDED`: it is new, or was withdrawn, or its fate was unknown and `resubmit_unknown` is set: send it. Every
        other state: don't.

        Raises ConfigurationError when the key stands for another order.
        """

    def taken(self, key: str, request_id: str) -> None:
        """Note which request came of an order."""

    def withdraw(self, key: str) -> None:
        """Note that the gateway certainly did not take the order."""

    def unknown(self, key: str, message: str) -> None:
        """Note that nobody knows whether the gateway took the order, and why."""

    def known(self, key: str) -> OrderRecord | None:
        """Return how an order stands. None: it is new, or was withdrawn."""

    def spent(self) -> Decimal:
        """Return what all orders cost together, in US dollars: those that were taken, and those that may have been.

        Requests whose last answer has the word `ERROR` are not charged.
        """

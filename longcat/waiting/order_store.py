"""The order store keeps what outlives an order: its key, and how it stands. No I/O."""

import json
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from hashlib import sha256
from typing import Final, Protocol

from attrs import frozen

from longcat.errors import ConfigurationError, SubmitUnknown
from longcat.models import OrderRequest, Status
from longcat.text import shorten

AGAIN: Final = "\n#"
"""What stands in the key of an order that comes again before its number. No id has a line break."""


def another_order(key: str) -> ConfigurationError:
    """Return the error that says that a key stands for an order with other fields."""
    return ConfigurationError(
        f"{shorten(key)!r} names another order in the journal: its prompt or an option differs."
        " Give this order another id, or choose another journal."
    )


class OrderState(Enum):
    """The states of an order that a store holds."""

    INTENDED = "it is ours to send: it is about to go out"
    BUSY = "another program, or another thread of this one, is sending it, or may be"
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
        cost_before: what it may have cost besides, in US dollars, when it was sent before and its fate was unknown.
        is_marked: whether somebody has decided that it is sent again although its fate is unknown.
    """

    key: str
    order: OrderRequest
    state: OrderState
    cost: Decimal
    request_id: str | None = None
    message: str | None = None
    cost_before: Decimal = Decimal(0)
    is_marked: bool = False

    def check(self, order: OrderRequest) -> None:
        """Raise ConfigurationError unless this record is of an order with the same fields: 1 is 1.0 there."""
        if self.order.body != order.body:
            raise another_order(self.key)

    def doubt(self) -> SubmitUnknown:
        """Return the error that says that its fate is unknown, and why."""
        return SubmitUnknown(self.order, self.message or "the program that sent it ended before the answer came")


class OrderStore(Protocol):
    """Keeps what outlives an order, and may be shared by programs: `longcat.saving.journal.order_table.OrderTable`.

    Every method that writes returns when what it wrote would survive a loss of power. Every one but `check` and
    `later` may block, and every one but `later` raises JournalError.
    """

    def begin(self, key: str, order: OrderRequest, cost: Decimal, *, resubmit_unknown: bool = False) -> OrderRecord:
        """Note that an order is about to be sent, unless it was before, and return how it stands.

        `INTENDED`: it is new, or was withdrawn, or its fate was unknown and `resubmit_unknown` is set, or it was marked
        to be sent again: send it. Every other state: don't.

        Raises ConfigurationError when the key stands for another order, and for a cost that can't be stored exactly.
        """

    def check(self, key: str) -> None:
        """Raise JournalError unless an order that was begun is still ours to send, for certain. It does not block.

        When it raises, nobody sends the order until it is withdrawn and begun anew.
        """

    def taken(self, key: str, request_id: str, answer: Status | None = None) -> None:
        """Note which request came of an order, and how it ended if the answer to the order said so already.

        Such an answer may be all that there is: nothing can be asked about pictures that came without an id.
        """

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

    def later(self, write: Callable[[], object]) -> None:
        """Have something written by a thread, which tries again while another program has the store locked."""


def order_name(order: OrderRequest) -> str:
    """Return what names an order among those of a batch, unless it comes again: its id, or the hash of its fields."""
    if order.id is not None:
        return order.id
    return f"sha256:{sha256(json.dumps(order.body, sort_keys=True).encode()).hexdigest()}"


class OrderKeys:
    """Names the orders of a batch: each item is one order, also if it comes twice, wherever it stands."""

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def next(self, order: OrderRequest) -> str:
        """Return the key of the next order: its name, and a number if it comes again."""
        name = order_name(order)
        self._seen[name] += 1
        return name if self._seen[name] == 1 else f"{name}{AGAIN}{self._seen[name]}"

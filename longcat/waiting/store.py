"""What outlives an order and a wait, and how a flow uses it. No I/O."""

import json
import logging
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from hashlib import sha256
from typing import Final, Protocol, TypeVar

from attrs import define, field, frozen

from longcat.clock import RESOLUTION
from longcat.errors import ConfigurationError, JournalError, SubmitUnknown
from longcat.models import OrderRequest, Status
from longcat.text import shorten
from longcat.waiting.backoff import recheck_interval
from longcat.waiting.commands import Flow, Sleep, run_in_thread

T = TypeVar("T")

logger: Final = logging.getLogger("longcat")

AGAIN: Final = "\n#"
"""What stands in the key of an order that comes again before its number. No id has a line break."""


def another_order(key: str) -> ConfigurationError:
    """Return the error that says that a key stands for an order with other fields."""
    return ConfigurationError(
        f"{shorten(key)!r} names another order in the journal: its prompt or an option differs."
        " Give this order another id, or choose another journal."
    )


class OrderState(Enum):
    """What is known about an order that a store holds."""

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
    """What outlives an order, and may be shared by several programs: `longcat.saving.journal.journal`.

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


class RequestStore(Protocol):
    """What outlives a wait, and may be shared by several programs: `longcat.saving.journal.requests.RequestTable`.

    Every method but `later` and `is_ours` may block, and raises JournalError.
    """

    def claim(self, request_id: str) -> bool:
        """Claim a request, and return whether it is ours. False: another program waits for it."""

    def is_ours(self, request_id: str) -> bool:
        """Whether a request that we have claimed is ours still, for certain. False: `confirm` finds out."""

    def confirm(self, request_id: str) -> bool:
        """Find out whether a request that we have claimed is ours still. False: it is not claimed any more."""

    def release(self, request_id: str) -> None:
        """Leave a request to others."""

    def last(self, request_id: str) -> Status | None:
        """Return the last answer, whichever program got it. None: there was no answer."""

    def note(self, status: Status) -> None:
        """Keep an answer."""

    def note_refusal(self, request_id: str, reason: str) -> None:
        """Keep that the gateway refused to tell of a request, so that it counts as failed. It may be asked again."""

    def later(self, write: Callable[[], object]) -> None:
        """Have something written by a thread, which tries again while another program has the store locked."""


def call_store(function: Callable[[], T], left: Callable[[], float]) -> Flow[T]:
    """Have a function of a store called where it may block, and return its result or raise its error.

    While another program has the store locked, it is called again, until `left` says that no second is left. So it must
    change nothing when it raises, or the same when it is called again.
    """
    waited = 0.0
    while True:
        try:
            return (yield from run_in_thread(function))
        except JournalError as error:
            seconds = left()
            if not error.locked or seconds <= RESOLUTION:
                raise
        pause = min(recheck_interval(waited), seconds)
        waited += pause
        yield Sleep(pause)


@define
class StoredRequest:
    """A request in a store, as one wait uses it.

    Attributes:
        left: returns how many seconds are left until the deadline; negative after it.
        is_claimed: whether other programs leave the request to us.
    """

    store: RequestStore
    request_id: str
    left: Callable[[], float]
    is_claimed: bool = False
    _is_closed: bool = field(default=False, init=False)

    @property
    def is_ours(self) -> bool:
        """Whether other programs leave the request to us, for certain. False: `find` finds out."""
        return self.is_claimed and self.store.is_ours(self.request_id)

    def find(self) -> Flow[Status | None]:
        """Claim the request if it is free, and return the last answer that is known. A final one needs no claim.

        Raises JournalError; one that says `locked` when the time is up.
        """
        return (yield from call_store(self._find, self.left))

    def note(self, status: Status) -> Flow[None]:
        """Keep an answer; with a final one, leave the request to others. Raises JournalError, as `find` does.

        A final answer that can't be kept in time is kept later.
        """
        keep = self._keep_final if status.state.is_final else self.store.note
        try:
            yield from call_store(lambda: keep(status), self.left)
        except JournalError as error:
            if not (error.locked and status.state.is_final):
                raise
            logger.warning("request %s is done, but not yet noted: %s", shorten(self.request_id), error)
            self.store.later(lambda: keep(status))

    def leave(self, refusal: str | None = None) -> Flow[None]:
        """Leave the request to others, after an error that matters more than whether that works.

        Args:
            refusal: why the gateway will not tell of the request. None: that is not what happened.
        """
        if self.is_claimed:
            try:
                yield from run_in_thread(lambda: self._leave(refusal))
            except JournalError:
                if refusal is not None:
                    self.store.later(lambda: self.store.note_refusal(self.request_id, refusal))
                self.close()

    def close(self) -> None:
        """Leave the request to others as soon as that is possible. It may be called again.

        A claim that a thread is making just now is given back as soon as it is made.
        """
        self._is_closed = True
        if self.is_claimed:
            self.store.later(self._release)

    def _find(self) -> Status | None:
        last = self.store.last(self.request_id)
        if self.is_claimed and not _is_final(last) and not self.store.is_ours(self.request_id):
            self.is_claimed = self.store.confirm(self.request_id)
        if not self.is_claimed and not _is_final(last):
            self.is_claimed = self.store.claim(self.request_id)
            if self._is_closed:  # By another thread, which may have seen no claim yet.
                self.close()
                return last
            last = self.store.last(self.request_id)  # It may have come just before.
        if _is_final(last):
            self._release()
        return last

    def _leave(self, refusal: str | None) -> None:
        if refusal is not None:
            self.store.note_refusal(self.request_id, refusal)
        self._release()

    def _keep_final(self, status: Status) -> None:
        self.store.note(status)
        self._release()

    def _release(self) -> None:
        if self.is_claimed:
            self.store.release(self.request_id)
            self.is_claimed = False


def _is_final(status: Status | None) -> bool:
    return status is not None and status.state.is_final

"""Order a request, once. No I/O: a flow that yields commands.

An order costs money, so it is sent again only when it is certain that the gateway did not take it.
"""

import json
import logging
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from functools import partial
from http import HTTPStatus
from math import inf
from threading import Lock
from typing import Final, Protocol
from urllib.parse import urlsplit

from attrs import define, evolve, field

from longcat.clock import LONGEST_SLEEP, RESOLUTION
from longcat.errors import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    ConfigurationError,
    JournalError,
    LongCatError,
    RateLimitError,
    SubmitUnknown,
)
from longcat.gateway.messages import Answer, Call
from longcat.models import Order, OrderRequest, State, Status
from longcat.processes import ForkSafeLock
from longcat.text import shorten
from longcat.waiting.backoff import backoff, recheck_interval
from longcat.waiting.commands import Acquire, Flow, Sleep, ask_in_time, with_slot
from longcat.waiting.order_store import OrderRecord, OrderState, OrderStore
from longcat.waiting.rates.rate_limit import RateLimiter, Slot, pause_of
from longcat.waiting.schedule.plan import Random
from longcat.waiting.store_calls import call_store

logger: Final = logging.getLogger("longcat")

SUBMIT_TIMEOUT: Final = 60.0
"""Seconds that the answer to an order may take. To give up early would only leave its fate unknown."""
RETRIED_CODES: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
"""Of the answers that say that the order was not taken, these alone say that it may be taken later."""

MAX_REMEMBERED: Final = 10_000
"""How many requests a client compares new ones with."""


def taken_note(request_id: str) -> str:
    """Return the note for an exception that comes after an order was taken."""
    return f"The order was taken: request {shorten(request_id)}. Wait for it to get its picture."


class OrderGateway(Protocol):
    """A gateway that takes orders: `longcat.gateway.queue.QueueGateway`."""

    @property
    def base_url(self) -> str:
        """Scheme and host."""

    def cost(self, order: OrderRequest) -> Decimal:
        """Return what an order costs at most, in US dollars."""

    def order(self, order: OrderRequest, timeout: float) -> Call:
        """Return the call that sends an order."""

    def read_order(self, order: OrderRequest, answer: Answer) -> Order:
        """Return the order that the gateway took.

        Raises APIStatusError when it certainly did not take it, and SubmitUnknown when nobody can say.
        """


class TakenRequests:
    """The last requests of a client, each with what was ordered.

    A cache in front of the gateway may give the answer to one order to others as well. Each of them would then get the
    picture of that one.
    """

    def __init__(self) -> None:
        self._lock = ForkSafeLock()
        self._orders: dict[str, int] = {}

    def check(self, order: OrderRequest, taken: Order) -> None:
        """Raise SubmitUnknown when the request that came of an order came of one with other fields before."""
        fields = hash(json.dumps(order.body, sort_keys=True))
        with self._lock:
            if self._orders.setdefault(taken.request_id, fields) != fields:
                name = shorten(taken.request_id)
                raise SubmitUnknown(order, f"the answer names request {name}, which came of another order before")
            if len(self._orders) > MAX_REMEMBERED:
                del self._orders[next(iter(self._orders))]


@define
class Submit:
    """The sending of one order.

    Attributes:
        timeout: seconds until the order must have been answered. None: no bound.
        monotonic: the clock, in seconds.
        random: from 0.0 up to 1.0, for the jitter of pauses after refusals.
        store: what outlives it. None: nothing is kept.
        key: names the order in the store.
        resubmit_unknown: whether to send an order, the fate of which the store does not know, once more.
        taken_requests: those of the client.
        was_sent: whether we have sent it, and the gateway took it. False: not yet, or the store knew the order.
    """

    gateway: OrderGateway
    order: OrderRequest
    rate_limiter: RateLimiter
    timeout: float | None
    monotonic: Callable[[], float]
    random: Random
    store: OrderStore | None = None
    key: str = ""
    resubmit_unknown: bool = False
    taken_requests: TakenRequests = field(factory=TakenRequests)
    was_sent: bool = field(default=False, init=False)
    _began: float = field(default=0.0, init=False)
    _refusals: int = field(default=0, init=False)
    _sent: float = field(default=0.0, init=False)  # When it was last sent.
    _call: Call | None = field(default=None, init=False)  # The last one. None: it was not sent.
    _answer: Answer | None = field(default=None, init=False)  # Its answer, if it is one of `RETRIED_CODES`.

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return self.monotonic() - self._began

    @property
    def left(self) -> float:
        """Seconds until the deadline, negative after it; infinite where there is none."""
        return inf if self.timeout is None else self.timeout - self.elapsed

    def result(self) -> Flow[Order]:
        """Send the order, again only if it was certainly not taken, and return it once it is.

        Raises SubmitUnknown when nobody knows whether it was taken, and any other error when it certainly was not.
        """
        self._began = self.monotonic()
        known = None
        if self.store is not None:
            known = yield from call_store(partial(self.store.known, self.key), lambda: self.left)
        if known is not None and not self._is_to_be_sent(known):
            return self._recall(known)
        since = due = self._began
        while True:
            slot = yield from self._acquire(since, due)
            order = yield from self._intend()
            if order is not None:
                return order
            try:
                order = yield from self._send(slot)
                if order is not None:
                    return order
                seconds = 0.0
            except (APIConnectionError, APIStatusError) as error:
                seconds = self._seconds_to_pause(error)
                logger.info("order for %r: %s Sending it again.", shorten(self.order.prompt, 60), error)
            since = self.monotonic()
            due = since + seconds
            yield from self._sleep(seconds)

    def _acquire(self, since: float, due: float) -> Flow[Slot | None]:
        """Wait until the order may be sent. Raises APITimeoutError when there is no time left for that."""
        self._check_pause()
        acquire = Acquire(since, due, max(self.left, 0.0))
        yield acquire
        self._check_pause()
        if self.left <= RESOLUTION:
            raise self._no_time("there was no time left to send the order")
        return acquire.slot

    def _no_time(self, message: str) -> APITimeoutError:
        return APITimeoutError(message, urlsplit(self.gateway.base_url).netloc, sent=False)

    def _check_pause(self) -> None:
        """Raise APITimeoutError when the gateway is left alone for longer than there is time."""
        if self.rate_limiter.quiet_until >= self.monotonic() + max(self.left, RESOLUTION):
            raise self._no_time(f"the order was not sent, as {self.rate_limiter.pause}")

    def _is_to_be_sent(self, record: OrderRecord) -> bool:
        """Whether an order that the store knows may still have to be sent by us."""
        again = record.state is OrderState.UNKNOWN and (self.resubmit_unknown or record.is_marked)
        return again or record.state in {OrderState.INTENDED, OrderState.BUSY}

    def _recall(self, record: OrderRecord) -> Order:
        """Return the order that the store knows, or raise SubmitUnknown when it does not know what came of it.

        Raises ConfigurationError when the key stands for another order.
        """
        record.check(self.order)
        if record.request_id is not None:
            status = Status(record.request_id, State.QUEUED, State.QUEUED.value)
            return Order(record.request_id, status)
        raise record.doubt()

    def _intend(self) -> Flow[Order | None]:
        """Note that the order is about to go out. Return it if another program has sent it meanwhile."""
        if self.store is None:
            return None
        while True:
            record = yield from self._begin(self.store)
            if record.state is OrderState.INTENDED:
                return None
            if record.state is not OrderState.BUSY:
                return self._recall(record)
            if self.left <= RESOLUTION:
                raise SubmitUnknown(self.order, "another program was sending it all the time")
            yield Sleep(min(recheck_interval(self.elapsed), self.left))

    def _begin(self, store: OrderStore) -> Flow[OrderRecord]:
        """Have the store note that the order is about to go out. If the flow is stopped meanwhile, it does not go.

        A thread may still be at it then, as asyncio can cancel a task that waits for one. The order is withdrawn once,
        by whichever of the two comes last.
        """
        records: list[OrderRecord] = []
        stopped: list[bool] = []

        def begin() -> None:
            cost = self.gateway.cost(self.order)
            records.append(store.begin(self.key, self.order, cost, resubmit_unknown=self.resubmit_unknown))
            if stopped:
                give_back()

        def give_back() -> None:
            with suppress(IndexError):
                if records.pop().state is OrderState.INTENDED:
                    store.later(partial(store.withdraw, self.key))

        try:
            yield from call_store(begin, lambda: self.left)
        except BaseException:
            stopped.append(True)
            give_back()
            raise
        return records[0]

    def _send(self, slot: Slot | None) -> Flow[Order | None]:
        """Send the order once, and keep what came of it. None: it was not sent, as it may be another program's by now.

        A program that stands still, or is cut off from the store, is taken for gone by the others, who may send the
        order as well. So the store is asked right before the first byte goes out. What remains are the microseconds
        between that and the system's call that sends the byte: a program that is stopped just then, for longer than the
        store leaves to it, sends the order all the same when it goes on.
        """
        self._call = self._answer = None
        try:
            answer = yield from self._ask(slot)
            self._on_answer(answer)
            order = self.gateway.read_order(self.order, answer)
            self.taken_requests.check(self.order, order)
        except APIConnectionError as error:
            if error.sent:
                unknown = SubmitUnknown(self.order, f"no answer came from {error.host}: {error.message}")
                yield from self._keep_unknown(unknown)
                raise unknown from error
            yield from self._keep_not_taken()
            raise
        except SubmitUnknown as unknown:
            yield from self._keep_unknown(unknown)
            raise
        except JournalError as error:  # Of the check: nothing was sent.
            logger.info("order for %r: %s", shorten(self.order.prompt, 60), error)
            yield from self._keep_not_sent()
            return None
        except (APIStatusError, ConfigurationError):
            yield from self._keep_not_taken()
            raise
        except Exception as error:
            # Of the HTTP client, if it is the caller's: from an event hook, for example.
            doubt = SubmitUnknown(self.order, f"{type(error).__name__} was raised while it was sent")
            yield from self._keep_unknown(doubt)
            raise doubt from error
        except BaseException as error:
            self._on_stopped(error, may_have_sent=self._call is not None and self._call.progress.may_have_sent)
            raise
        self.was_sent = True
        yield from self._keep_taken(order)
        return order

    def _on_stopped(self, error: BaseException, *, may_have_sent: bool) -> None:
        """Have the store note whether the order may have been taken. While this program lives, nobody else does."""
        if may_have_sent:
            error.add_note(f"The order for {shorten(self.order.prompt, 60)!r} was under way, and may have been taken.")
        if self.store is not None:
            message = "its sending was stopped before the answer came"
            unknown = partial(self.store.unknown, self.key, message)
            self.store.later(unknown if may_have_sent else partial(self.store.withdraw, self.key))

    def _ask(self, slot: Slot | None) -> Flow[Answer]:
        """Send the order, and return the answer. If to note its intent has cost the slot, wait for another one."""
        answer = None
        while answer is None:
            self._call, self._sent = None, self.monotonic()
            if slot is None or self.rate_limiter.may_be_spent(slot, self._sent):
                call = self.gateway.order(self.order, min(SUBMIT_TIMEOUT, self.left))
                if self.store is not None:
                    call = evolve(call, check=partial(self.store.check, self.key))
                self._call = with_slot(call, slot, self.rate_limiter, self.monotonic)
                answer = yield from ask_in_time(self._call)
            if answer is None:
                slot = yield from self._acquire(self._sent, self._sent)
        return answer

    def _on_answer(self, answer: Answer) -> None:
        self._answer = answer if answer.status_code in RETRIED_CODES else None
        if answer.status_code != HTTPStatus.TOO_MANY_REQUESTS:
            self.rate_limiter.on_answer(self.monotonic(), self._sent)

    def _keep_taken(self, order: Order) -> Flow[None]:
        """Have the store note which request came of the order. Whatever goes wrong, the error tells which."""
        logger.info("order for %r was taken: request %s", shorten(self.order.prompt, 60), order.request_id)
        if self.store is None:
            return
        final = order.status if order.status.state.is_final else None
        try:
            yield from self._write(self.store, partial(self.store.taken, self.key, order.request_id, final))
        except LongCatError as error:
            raise SubmitUnknown(self.order, str(error), request_id=order.request_id) from error
        except BaseException as error:
            error.add_note(taken_note(order.request_id))
            raise

    def _keep_unknown(self, unknown: SubmitUnknown) -> Flow[None]:
        """Have the store note that the fate of the order is unknown. If it can't, the error says so, too."""
        if self.store is None:
            return
        try:
            yield from self._write(self.store, partial(self.store.unknown, self.key, unknown.message))
        except LongCatError as error:  # The store still knows that the order was about to be sent.
            unknown.add_note(str(error))

    def _keep_not_taken(self) -> Flow[None]:
        if self.store is not None:
            yield from self._write(self.store, partial(self.store.withdraw, self.key))

    def _keep_not_sent(self) -> Flow[None]:
        """Have the store note that the order was not sent, unless it is another program's by now."""
        try:
            yield from self._keep_not_taken()
        except JournalError as error:
            if error.locked:
                raise

    def _write(self, store: OrderStore, write: Callable[[], None]) -> Flow[None]:
        """Have the store write something, once. What can't be written in time, or is stopped before, is written later.

        When it is stopped, a thread may still be at it. Written a second time, it might change what came after it.
        """
        guard = Lock()
        written: list[bool] = []

        def once() -> None:
            with guard:
                if not written:
                    write()
                    written.append(True)

        try:
            yield from call_store(once, lambda: self.left)
        except BaseException as error:
            is_damaged = isinstance(error, LongCatError) and not error.transient
            if not written and not is_damaged:
                store.later(once)
            raise

    def _seconds_to_pause(self, error: APIConnectionError | APIStatusError) -> float:
        """Return how many seconds to pause before the order is sent again, or raise the error if it must not be."""
        if isinstance(error, APIConnectionError) and error.lasting:
            raise error
        if isinstance(error, APIStatusError) and error.status_code not in RETRIED_CODES:
            raise error
        self._refusals += 1
        seconds = backoff(self._refusals, self.random)
        if self._answer is not None and (pause := pause_of(self._answer, seconds)) is not None:
            seconds = pause.seconds
            if isinstance(error, RateLimitError):
                self.rate_limiter.on_rate_limited(self.monotonic(), self._sent, pause)
        if seconds >= self.left:
            raise error
        return seconds

    def _sleep(self, seconds: float) -> Flow[None]:
        end = self.monotonic() + seconds
        while (pause := end - self.monotonic()) >= RESOLUTION:
            yield Sleep(min(pause, LONGEST_SLEEP))

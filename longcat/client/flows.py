"""The flows that both clients obey: orders, waits, batches and downloads."""

import random
import secrets
from collections.abc import AsyncIterable, Callable, Collection, Iterable, Mapping
from math import inf
from os import PathLike, fspath
from typing import Any, Final

from longcat.client.options import OnChange, OnOrder, Unknown
from longcat.clock import Clock, is_made_for_tests
from longcat.errors import ConfigurationError
from longcat.gateway.gateways import GatewayKind, Gateways, age
from longcat.gateway.order_fields import Orderable, usable_order
from longcat.gateway.status import StatusGateway
from longcat.models import Image, Order, OrderRequest
from longcat.saving.download import Downloader
from longcat.saving.journal.journal import Journal
from longcat.saving.journal.request_table import RequestTable
from longcat.saving.stores.folder import FolderStore
from longcat.saving.stores.opening import open_store
from longcat.saving.stores.store import PictureStore
from longcat.settings import usable_timeout, usable_unknown
from longcat.waiting.batch import Batch
from longcat.waiting.commands import Flow
from longcat.waiting.generate import Generate
from longcat.waiting.order_store import OrderKeys
from longcat.waiting.outcome import Outcome, id_of
from longcat.waiting.rates.rate_limit import RateLimiter
from longcat.waiting.schedule.adaptive import AdaptivePolling
from longcat.waiting.schedule.plan import Plan, Polling
from longcat.waiting.submit import Submit, TakenRequests
from longcat.waiting.wait import Wait
from longcat.waiting.wake import Wake

FRESH: Final = 2.0  # Seconds since an order within which its answer is all that can be known about the request.


class Flows:
    """Makes the flows of one client, which share what they learn about the gateway.

    Args:
        gateways: those that are asked.
        clock: the time.
        polling: when to ask again. None: `AdaptivePolling`.
        max_rate: how many orders and questions may go out in a second. It may be infinite.
        max_in_flight: how many of them may be in flight at a time.
        journal: remembers what was done. None: nothing does.

    Attributes:
        rate_limiter: when the next order or question may go out.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what a client is told about them.
        self,
        gateways: Gateways,
        clock: Clock,
        polling: Polling | None,
        max_rate: float,
        max_in_flight: int,
        journal: Journal | None,
    ) -> None:
        self._gateways = gateways
        self._clock = clock
        least = gateways.queue.seconds_per_question
        self._queue_polling: Polling = polling if polling is not None else AdaptivePolling(seconds_per_question=least)
        self._result_polling: Polling = polling if polling is not None else AdaptivePolling()
        self._max_in_flight = max_in_flight
        self._journal = journal
        self.rate_limiter = self._rate_limiter(max_rate)
        self._downloader = Downloader(self._requests_of, clock.monotonic, random.random)
        self._taken_requests = TakenRequests()
        self._last_store: tuple[str, PictureStore] | None = None

    def _rate_limiter(self, max_rate: float) -> RateLimiter:
        """Return when the client may ask. All clients of a journal on a server share what they may and have learnt.

        What a policy of the caller's has learnt is the caller's. A clock made for tests knows nothing of a server's.
        """
        if self._journal is None or is_made_for_tests(self._clock):
            return RateLimiter(max_rate)
        queue, policies = self._gateways.queue, {"queue": self._queue_polling, "result": self._result_polling}
        ours = {} if policies["queue"] is policies["result"] else policies
        knowledge = {name: one.knowledge for name, one in ours.items() if isinstance(one, AdaptivePolling)}
        return self._journal.rate_limiter(queue.base_url, queue.api_key, max_rate, knowledge)

    def wait(  # noqa: PLR0913 - most are keywords, and pass through.
        self,
        request: str | Order,
        timeout: float | None,
        unknown: Unknown,
        gateway: GatewayKind | None = None,
        *,
        fresh: bool | None = None,
        wake: Wake | None = None,
    ) -> Wait:
        """Return the wait for a request. `fresh` tells whether it was ordered just now; None: as its id tells."""
        request_id, of = self._gateways.of_request(request, gateway)
        order = request if isinstance(request, Order) else None
        old = age(request_id, self._clock.time())
        return Wait(
            gateway=of,
            request_id=request_id,
            plan=self._plan(of, old, reserved=1 if wake is not None else 0),
            rate_limiter=self.rate_limiter,
            timeout=usable_timeout(timeout),
            unknown=usable_unknown(unknown),
            monotonic=self._clock.monotonic,
            random=random.random,
            store=self._store(of),
            order=order,
            fresh=order is not None and (old < FRESH if fresh is None else fresh),
            wake=wake,
        )

    def _plan(self, gateway: StatusGateway, old: float, reserved: int) -> Plan:
        polling = self._queue_polling if gateway is self._gateways.queue else self._result_polling
        return polling.plan(old, reserved=reserved) if isinstance(polling, AdaptivePolling) else polling.plan()

    @property
    def settle(self) -> Callable[[], None] | None:
        """Waits until what a batch left to write is written. None: there is no journal."""
        return self._journal.flush if self._journal is not None else None

    def _store(self, gateway: StatusGateway) -> RequestTable | None:
        return self._journal.requests(gateway.base_url) if self._journal is not None else None

    def _requests_of(self, request_id: str) -> RequestTable | None:
        """Return what the journal knows of the gateway that answered for a request. None: there is no journal.

        The form of the id may mislead, so the gateway is the one that the journal has an answer of.
        """
        if self._journal is None:
            return None
        likely = self._gateways.of(request_id)
        gateways = (likely, self._gateways.queue, self._gateways.result)
        tables = [self._journal.requests(gateway.base_url) for gateway in gateways]
        return next((table for table in tables if table.last(request_id) is not None), tables[0])

    def order(self, order: Orderable) -> OrderRequest:
        """Return what is to be ordered, or raise ConfigurationError when it can't be."""
        queue = self._gateways.queue
        return usable_order(order, plain_http=queue.base_url.startswith("http://"), api_key=queue.api_key)

    def orders(self, orders: Any) -> Any:
        """Return what yields orders. All of a collection are checked now. Raises ConfigurationError."""
        if isinstance(orders, str | bytes | Mapping) or not isinstance(orders, Iterable | AsyncIterable):
            kind = type(orders).__name__
            raise ConfigurationError(f"Pass the orders as a list or as what yields them, not as {kind}.")
        if not isinstance(orders, Collection):
            return orders
        checked: list[OrderRequest] = []
        for number, order in enumerate(orders, 1):
            try:
                checked.append(self.order(order))
            except ConfigurationError as error:
                raise ConfigurationError(f"Order {number}: {error}") from error
        return checked

    def submit(
        self, order: OrderRequest, timeout: float | None, *, key: str | None = None, resubmit_unknown: bool = False
    ) -> Submit:
        """Return the sending of an order. A key names it in the journal. None: the order is a new one."""
        return Submit(
            gateway=self._gateways.queue,
            order=order,
            rate_limiter=self.rate_limiter,
            timeout=usable_timeout(timeout),
            monotonic=self._clock.monotonic,
            random=random.random,
            store=self._journal.orders(self._gateways.queue.base_url) if self._journal is not None else None,
            key=key or order.id or secrets.token_hex(16),
            resubmit_unknown=resubmit_unknown,
            taken_requests=self._taken_requests,
        )

    def generate(
        self, submit: Submit, unknown: Unknown, wake: Wake | None, on_order: OnOrder | None = None
    ) -> Generate:
        """Return an order with the wait for its request."""
        usable_unknown(unknown)

        def begin_wait(order: Order, left: float, fresh: bool) -> Wait:
            return self.wait(order, left, unknown, fresh=fresh, wake=wake)

        return Generate(submit, begin_wait, on_order)

    def batch(  # noqa: PLR0913 - as above.
        self,
        timeout: float | None,
        gateway: GatewayKind | None,
        *,
        batch_timeout: float | None = None,
        unknown: Unknown = "wait",
        on_change: OnChange | None = None,
        wake: Wake | None = None,
    ) -> Batch[str | Order]:
        """Return the batch that waits for requests, each of them once."""
        left, end = self._bounds(timeout, batch_timeout)
        usable_unknown(unknown)  # Raise it once here, and not for every request. The same goes for the gateway.
        self._gateways.of("", gateway)
        seen: set[str] = set()

        def begin(request: str | Order) -> Wait | Outcome | None:
            request_id = id_of(request)
            if not isinstance(request_id, str):
                kind = type(request_id).__name__
                raise ConfigurationError(f"A request id is a string, not {kind}. Pass ids or orders only.")
            if request_id in seen:
                return None
            seen.add(request_id)
            try:
                return self.wait(request, left(), unknown, gateway, wake=wake)
            except ConfigurationError as error:
                return Outcome(request_id, error=error)

        return Batch(begin, on_change, self.rate_limiter, self._clock.monotonic, self._max_in_flight, end)

    def order_batch(  # noqa: PLR0913 - most are keywords, and pass through.
        self,
        timeout: float | None,
        resubmit_unknown: bool,
        on_order: OnOrder | None,
        *,
        key_of: Callable[[OrderRequest], str] | None = None,
        batch_timeout: float | None = None,
        unknown: Unknown = "wait",
        on_change: OnChange | None = None,
        wake: Wake | None = None,
    ) -> Batch[Orderable]:
        """Return the batch that orders requests, each item once, and waits for them.

        `key_of` returns the name of an order in the journal. None: they are named as `OrderKeys` does.
        """
        left, end = self._bounds(timeout, batch_timeout)
        usable_unknown(unknown)
        key_of = key_of or OrderKeys().next

        def begin(item: Orderable) -> Generate | Outcome:
            try:
                order = self.order(item)
            except ConfigurationError as error:
                return Outcome("", error=error)
            submit = self.submit(order, left(), key=key_of(order), resubmit_unknown=resubmit_unknown)
            return self.generate(submit, unknown, wake, on_order)

        return Batch(begin, on_change, self.rate_limiter, self._clock.monotonic, self._max_in_flight, end)

    def download(  # noqa: PLR0913, PLR0917 - the arguments of `LongCat.download_all`.
        self,
        image: Image | str,
        output: str | PathLike[str] | PictureStore,
        name: str | None,
        overwrite: bool,
        max_bytes: int,
        timeout: float | None,
        *,
        files_only: bool = False,
    ) -> Flow[list[str]]:
        """Return the flow that saves all pictures of an image in a file, a folder or another store.

        Raises ConfigurationError when there is no such store, or another one although `files_only` is set.
        """
        store = self._store_at(output) if isinstance(output, str | PathLike) else output
        if files_only and not isinstance(store, FolderStore):
            raise ConfigurationError("download saves files, and returns their paths. For other places, call save.")
        return self._downloader.download(image, store, name, overwrite, max_bytes, timeout)

    def _store_at(self, output: str | PathLike[str]) -> PictureStore:
        """Return the store at a place: the last one if it is the same, as it has its connections open."""
        place, last = fspath(output), self._last_store
        if last is None or last[0] != place:
            last = self._last_store = place, open_store(place)
        return last[1]

    def _bounds(self, timeout: float | None, batch_timeout: float | None) -> tuple[Callable[[], float], float]:
        """Return what gives the seconds for a request that begins now, and the moment at which the batch ends."""
        most, longest = usable_timeout(timeout), usable_timeout(batch_timeout)
        end = self._clock.monotonic() + (inf if longest is None else longest)

        def left() -> float:
            return min(max(end - self._clock.monotonic(), 0.0), inf if most is None else most)

        return left, end

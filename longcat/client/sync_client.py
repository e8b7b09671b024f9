"""LongCat: a thin driver of the flows, which the thread that calls it obeys. `async_client` has the other one."""

from collections.abc import Generator, Iterable, Iterator
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar, Unpack, assert_never

from longcat.client.base import BaseClient
from longcat.client.options import DEFAULT_TIMEOUT, MAX_PICTURE_BYTES, BatchOptions, OnChange, OnOrder, Unknown
from longcat.errors import LongCatError
from longcat.gateway.gateways import GatewayKind
from longcat.gateway.messages import Answer, Call
from longcat.gateway.order_fields import Orderable, OrderFields
from longcat.models import Image, Order, Status
from longcat.sending.http.libraries import SyncClient
from longcat.sending.sync_sender import SyncSender
from longcat.sending.threads import driver
from longcat.sending.threads.driver import Stopped
from longcat.settings import usable_request_ids
from longcat.waiting.commands import Acquire, Command, Flow, RunInThread, Sleep
from longcat.waiting.outcome import Outcome
from longcat.waiting.wake import Wake

if TYPE_CHECKING:
    from longcat.saving.stores.store import PictureStore
    from longcat.waiting.batch import Batch

T = TypeVar("T")


class LongCat(BaseClient[SyncClient]):
    """The client. One is enough for a program: it may be shared by threads, and keeps its connections.

    A context manager; or call `close` after the last call.

    Args:
        api_key: the subscription key. None: from `PIXAZO_API_KEY`, else from the one-line file `~/.pixazo/api-key`.
        base_url: scheme and host of a gateway that stands for both of the service's. None: from `LONGCAT_BASE_URL`,
            else each operation's own server in the contract.
        polling: when to ask again. None: `AdaptivePolling()`, for the queue gateway with the `seconds_per_question`
            that the contract advises.
        http_client: an `httpx.Client` or `httpx2.Client` that sends the calls; for proxies, certificates, other
            transports. The caller closes it. Its timeouts hold where they are shorter than ours, and it follows no
            redirect. None: connections of our own.
        clock: where the time comes from. None: this machine.
        max_rate: how many orders and questions may go out in a second, all waits together. None: as many as there are,
            until the gateway answers 429.
        max_in_flight: how many orders and questions may be in flight at a time.
        journal: an SQLite file, made if it is not there, or the `postgresql://` URL of a database. It remembers what
            was ordered, asked, answered and saved. None of that is done again, and programs that share it share the
            work. None: no journal.
        allow_private: whether pictures may be fetched from any address. False: from those on the public internet alone,
            unless the gateway itself is on this machine or in a private network.

    Raises:
        ConfigurationError: there is no key, or one of the arguments can't be used.
    """

    _http_client_kind = "Client"
    _sender_class = SyncSender
    _sender: SyncSender

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections, unless the HTTP client is the caller's, and the journal. It may be called again."""
        self._sender.close()  # First, so that the journal can note what becomes of calls in flight.
        if self._journal is not None:
            self._journal.settle()
            self._journal.close()

    def submit(self, prompt: str, *, timeout: float | None = DEFAULT_TIMEOUT, **fields: Unpack[OrderFields]) -> Order:
        """Order pictures, which costs money, and return the order once the gateway took it. It does not wait for them.

        The order is sent once; again only if it was certainly not taken, as after a refused connection or a 429.

        Args:
            prompt: what the pictures should show.
            timeout: seconds in which the order must have been answered. None: no bound.
            fields: see `OrderFields`. With an `id` and a journal, an order of the same id is sent once, whichever
                program sends it, and its request is returned from then on.

        Raises:
            SubmitUnknown: nobody knows whether the order was taken.
            APIStatusError: the gateway did not take it: 400, 401, 402, 403, or still 429 when the time was up.
            APIConnectionError: it was not sent, as no connection came about in time.
            ConfigurationError: a field can't be used. Nothing was sent.
        """
        return self._drive(self._flows.submit(self._flows.order({**fields, "prompt": prompt}), timeout).result())

    def generate(
        self,
        prompt: str,
        *,
        timeout: float | None = DEFAULT_TIMEOUT,
        unknown: Unknown = "wait",
        on_change: OnChange | None = None,
        wake: Wake | None = None,
        **fields: Unpack[OrderFields],
    ) -> Image:
        """Order pictures, which costs money, wait until they are done, and return them: `submit`, then `wait`.

        Args:
            prompt: what the pictures should show.
            timeout: seconds for the order and the wait together. None: no bound.
            unknown: as in `wait`.
            on_change: called with the answer to the order, and with every answer that differs from the one before.
            wake: as in `wait`: what takes the callbacks to `webhook_url`.
            fields: as in `submit`.

        Raises:
            LongCatError: what `submit` and `wait` raise. Once the order was taken, it has a note with the id of the
                request, which can be waited for again.
        """
        flows = self._flows
        submit = flows.submit(flows.order({**fields, "prompt": prompt}), timeout)
        return self._drive(flows.generate(submit, unknown, wake).image(on_change))

    def generate_all(
        self,
        orders: Iterable[Orderable],
        timeout: float | None = DEFAULT_TIMEOUT,
        *,
        resubmit_unknown: bool = False,
        on_order: OnOrder | None = None,
        **options: Unpack[BatchOptions],
    ) -> Generator[Outcome]:
        """Order many times, wait for all requests, and yield the outcome of each as it comes, as `as_completed` does.

        Each item is one order, also if it comes twice. With a journal, what was ordered before is not ordered again:
        the same items, in any order, go on where they were. To leave the loop early takes as long as the orders that
        are under way take to be answered, 10 s at most; those that are not answered by then are in doubt.

        Args:
            orders: prompts; mappings with `prompt` and the fields of `submit`; or what `Outcome.order` holds. Of a
                collection, all are checked before the first is sent; an iterator is taken as orders can be sent.
            timeout: seconds for each, from the moment it is taken from `orders`. None: no bound.
            resubmit_unknown: whether an order that the journal calls in doubt is sent once more, which may mean to pay
                twice.
            on_order: called with what was ordered and with its `Order`, as soon as it is known to be taken. What it
                raises ends the batch. None: nobody is told.
            options: as in `as_completed`.

        Raises:
            ConfigurationError: an argument can't be used, or an order of a collection. (One of an iterator is an
                outcome.)
        """
        batch = self._flows.order_batch(timeout, resubmit_unknown, on_order, **options)
        return self._outcomes(batch, iter(self._flows.orders(orders)))

    def status(self, request_id: str | Order, *, gateway: GatewayKind | None = None) -> Status:
        """Ask once how a request stands, for 30 s at most.

        Args:
            request_id: its id, or its order.
            gateway: which gateway gave the id out, `queue` or `result`. None: as the form of the id says.

        Raises:
            APIConnectionError: no answer came.
            APIStatusError: the gateway answered with an error.
            APIResponseValidationError: its answer breaks the contract.
            ConfigurationError: the request id can't be one.
        """
        return self._drive(self._question(request_id, gateway))

    def wait(
        self,
        request_id: str | Order,
        timeout: float | None = DEFAULT_TIMEOUT,
        *,
        unknown: Unknown = "wait",
        gateway: GatewayKind | None = None,
        wake: Wake | None = None,
    ) -> Image:
        """Wait until a request is done, and return its image.

        Args:
            request_id: the id that was given out when the image was ordered; or the order itself.
            timeout: seconds, the request in flight included; 0 asks nothing. None: for ever.
            unknown: what to do about a status word that is not documented: `wait` on with one warning, or `raise`.
            gateway: as in `status`.
            wake: what hears of the request, such as a `longcat.webhooks.Receiver`: upon news the gateway is asked at
                once. None: nothing.

        Raises:
            GenerationFailed, GenerationCancelled: the service says so.
            WaitTimeout: the request was not done in time. Transient errors are not raised, but end here.
            APIStatusError: 400, 401, 402, 403, 404 and what else asking again won't help.
            APIResponseValidationError: the answer breaks the contract.
            ConfigurationError: an argument can't be used.
        """
        return self._drive(self._flows.wait(request_id, timeout, unknown, gateway, wake=wake).image())

    def watch(
        self,
        request_id: str | Order,
        timeout: float | None = DEFAULT_TIMEOUT,
        *,
        unknown: Unknown = "wait",
        gateway: GatewayKind | None = None,
        wake: Wake | None = None,
    ) -> Iterator[Status]:
        """Wait as `wait` does, and yield the first answer and every one that differs from the one before.

        The last one is final; a failure is a status like any other here. Raises what `wait` raises but for failures.
        """
        return driver.changes(self._flows.wait(request_id, timeout, unknown, gateway, wake=wake), self._perform)

    def as_completed(
        self,
        request_ids: Iterable[str | Order],
        timeout: float | None = DEFAULT_TIMEOUT,
        *,
        gateway: GatewayKind | None = None,
        **options: Unpack[BatchOptions],
    ) -> Generator[Outcome]:
        """Wait for many requests, and yield the outcome of each as it comes. A failure is an outcome, too.

        Questions are sent while the next outcome is waited for; those in flight go on in between. To leave the loop
        early stops them all.

        Args:
            request_ids: the ids, or orders; one that comes again is not asked again. They are taken as they can be
                asked, up to 10,000 ahead of the outcomes; so they may be without an end, but should not keep the loop
                waiting.
            timeout: seconds for each request, from the moment it is taken from `request_ids`. None: no bound.
            gateway: as in `status`.
            options: see `BatchOptions`.

        Raises:
            ConfigurationError: an argument can't be used, or an id is no string. (A string that can't be one is an
                outcome.)
        """
        batch = self._flows.batch(timeout, gateway, **options)
        return self._outcomes(batch, iter(usable_request_ids(request_ids)))

    def wait_all(
        self,
        request_ids: Iterable[str | Order],
        timeout: float | None = DEFAULT_TIMEOUT,
        *,
        gateway: GatewayKind | None = None,
        **options: Unpack[BatchOptions],
    ) -> list[Image | LongCatError]:
        """Wait for many requests, and return for each its image or the error that `wait` would have raised.

        They stand in the order of the ids, one for each, even if an id comes twice. Arguments are those of
        `as_completed`. What was not taken within `batch_timeout` is a `WaitTimeout` here if the ids are a collection,
        such as a list; of an iterator, it is left there.
        """
        from longcat.waiting.outcome import OrderedResults  # noqa: PLC0415 - as in `_outcomes`.

        results = OrderedResults()
        ids = map(results.take, usable_request_ids(request_ids))
        batch = self._flows.batch(timeout, gateway, **options)
        for outcome in self._outcomes(batch, ids):
            results.add(outcome)
        return results.results(request_ids)

    def download(
        self,
        image: Image | str,
        path: str | PathLike[str],
        *,
        overwrite: bool = False,
        max_bytes: int = MAX_PICTURE_BYTES,
        timeout: float | None = DEFAULT_TIMEOUT,
    ) -> Path:
        """Save an image, and return where it is. The file appears whole or not at all. The key is not sent.

        Of several pictures, each gets a file whose name ends in its number (`cat-1.png`); the first is returned.

        Args:
            image: an image, or a URL of one.
            path: the file; or a folder that exists, in which the file is named after the request and its kind.
            overwrite: whether a file that is there already may be replaced.
            max_bytes: how large a picture may be.
            timeout: seconds for all pictures together. None: for ever.

        Raises:
            DownloadError: it could not be had (after four tries if it might), or written, or is no image or too large.
            ConfigurationError: an argument can't be used.
        """
        return self.download_all(image, path, overwrite=overwrite, max_bytes=max_bytes, timeout=timeout)[0]

    def download_all(  # noqa: PLR0913 - most are keywords that hardly anyone needs.
        self,
        image: Image | str,
        path: str | PathLike[str],
        *,
        name: str | None = None,
        overwrite: bool = False,
        max_bytes: int = MAX_PICTURE_BYTES,
        timeout: float | None = DEFAULT_TIMEOUT,
    ) -> list[Path]:
        """Save all pictures of an image, as `download` does, and return where they are.

        In a folder, they are called by the `name` that is given. None: as the request.
        """
        flow = self._flows.download(image, path, name, overwrite, max_bytes, timeout, files_only=True)
        return [*map(Path, self._drive(flow))]

    def save(  # noqa: PLR0913 - as above.
        self,
        image: Image | str,
        output: "str | PathLike[str] | PictureStore",
        *,
        name: str | None = None,
        overwrite: bool = False,
        max_bytes: int = MAX_PICTURE_BYTES,
        timeout: float | None = DEFAULT_TIMEOUT,
    ) -> list[str]:
        """Save all pictures of an image as `download_all` does, at a place of any kind, and return where they are.

        Args:
            image: an image, or a URL of one.
            output: a file; a folder that exists; a URL that names where else pictures are saved, such as
                `s3://bucket/prefix`, which needs the extra `cloud`; or what `open_store` returns for one of these.
            name: what they are called there. None: as the request.
            overwrite: whether pictures that are there already may be replaced.
            max_bytes: how large a picture may be.
            timeout: seconds for all pictures together. None: for ever.

        Returns:
            A path of each, or its URL.
        """
        return self._drive(self._flows.download(image, output, name, overwrite, max_bytes, timeout))

    def _outcomes(self, batch: "Batch[T]", items: Iterator[T]) -> Generator[Outcome]:
        from longcat.sending.threads.pool import outcomes  # noqa: PLC0415 - a program that asks once needs none of it.

        return outcomes(batch, items, self._clock, self._perform, self._flows.settle)

    def _drive(self, flow: Flow[T]) -> T:
        return driver.drive(flow, self._perform)

    def _perform(self, command: Command, stopped: Stopped | None = None) -> Answer | None:
        """Do what a command says, and return its result. A call is given up soon after `stopped` says so."""
        match command:
            case Call():
                return self._sender.send(command, stopped)
            case Sleep(seconds, wake):
                driver.sleep(self._clock, seconds, wake)
            case Acquire(left=left, spend=spend):
                for seconds in self._flows.rate_limiter.pauses(self._clock.monotonic, left, spend):
                    self._clock.sleep(seconds)
            case RunInThread(function):
                function()
            case _:
                assert_never(command)
        return None

"""AsyncLongCat: a thin driver of the flows, for asyncio and trio."""

from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from contextlib import aclosing
from os import PathLike
from pathlib import Path
from typing import Self, TypeVar, Unpack, assert_never

import anyio.to_thread

from longcat.client.base import BaseClient
from longcat.client.options import DEFAULT_TIMEOUT, MAX_PICTURE_BYTES, BatchOptions, OnChange, OnOrder, Unknown
from longcat.clock import hold
from longcat.errors import LongCatError
from longcat.gateway.gateways import GatewayKind
from longcat.gateway.messages import Answer, Call
from longcat.gateway.order_fields import Orderable, OrderFields
from longcat.models import Image, Order, Status
from longcat.saving.stores.store import PictureStore
from longcat.sending.async_sender import AsyncSender
from longcat.sending.http.libraries import AsyncClient
from longcat.sending.tasks import driver
from longcat.sending.tasks.pool import Outcomes, each
from longcat.settings import usable_request_ids
from longcat.waiting.commands import Acquire, Command, Flow, RunInThread, Sleep
from longcat.waiting.outcome import OrderedResults
from longcat.waiting.wake import Wake

T = TypeVar("T")


class AsyncLongCat(BaseClient[AsyncClient]):
    """`LongCat` for asyncio and trio: the same methods, with `await` and `async for`. See there.

    Its `http_client` is an `httpx.AsyncClient` or `httpx2.AsyncClient`, which serves one event loop at a time. Without
    one, several event loops may share a client; each has its own connections, and `max_in_flight` calls to itself.
    """

    _http_client_kind = "AsyncClient"
    _sender_class = AsyncSender
    _sender: AsyncSender

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections, unless the HTTP client is the caller's, and the journal. It may be called again."""
        try:
            await self._sender.close()  # First, so that the journal can note what becomes of calls in flight.
        finally:
            if self._journal is not None:
                with anyio.CancelScope(shield=True):
                    await anyio.to_thread.run_sync(self._journal.settle)
                    await anyio.to_thread.run_sync(self._journal.close)

    async def submit(
        self, prompt: str, *, timeout: float | None = DEFAULT_TIMEOUT, **fields: Unpack[OrderFields]
    ) -> Order:
        """Order pictures, and return the order once the gateway took it, as `LongCat.submit` does."""
        return await self._drive(self._flows.submit(self._flows.order({**fields, "prompt": prompt}), timeout).result())

    async def generate(
        self,
        prompt: str,
        *,
        timeout: float | None = DEFAULT_TIMEOUT,
        unknown: Unknown = "wait",
        on_change: OnChange | None = None,
        wake: Wake | None = None,
        **fields: Unpack[OrderFields],
    ) -> Image:
        """Order pictures, wait until they are done, and return them, as `LongCat.generate` does."""
        flows = self._flows
        submit = flows.submit(flows.order({**fields, "prompt": prompt}), timeout)
        return await self._drive(flows.generate(submit, unknown, wake).image(on_change))

    def generate_all(
        self,
        orders: Iterable[Orderable] | AsyncIterable[Orderable],
        timeout: float | None = DEFAULT_TIMEOUT,
        *,
        resubmit_unknown: bool = False,
        on_order: OnOrder | None = None,
        **options: Unpack[BatchOptions],
    ) -> Outcomes:
        """Order many times, and yield the outcome of each as it comes, as `LongCat.generate_all` does.

        `Outcomes.stop_ordering` ends it early without leaving an order in doubt.
        """
        batch = self._flows.order_batch(timeout, resubmit_unknown, on_order, **options)
        return Outcomes(batch, each(self._flows.orders(orders)), self._clock, self._perform, self._flows.settle)

    async def status(self, request_id: str | Order, *, gateway: GatewayKind | None = None) -> Status:
        """Ask once how a request stands, as `LongCat.status` does."""
        return await self._drive(self._question(request_id, gateway))

    async def wait(
        self,
        request_id: str | Order,
        timeout: float | None = DEFAULT_TIMEOUT,
        *,
        unknown: Unknown = "wait",
        gateway: GatewayKind | None = None,
        wake: Wake | None = None,
    ) -> Image:
        """Wait until a request is done, and return its image, as `LongCat.wait` does."""
        return await self._drive(self._flows.wait(request_id, timeout, unknown, gateway, wake=wake).image())

    def watch(
        self,
        request_id: str | Order,
        timeout: float | None = DEFAULT_TIMEOUT,
        *,
        unknown: Unknown = "wait",
        gateway: GatewayKind | None = None,
        wake: Wake | None = None,
    ) -> AsyncGenerator[Status]:
        """Yield the first answer and every one that differs from the one before, as `LongCat.watch` does.

        A loop that may be left early on trio needs `contextlib.aclosing`, as with every asynchronous generator.
        """
        return driver.changes(self._flows.wait(request_id, timeout, unknown, gateway, wake=wake), self._perform)

    def as_completed(
        self,
        request_ids: Iterable[str | Order] | AsyncIterable[str | Order],
        timeout: float | None = DEFAULT_TIMEOUT,
        *,
        gateway: GatewayKind | None = None,
        **options: Unpack[BatchOptions],
    ) -> Outcomes:
        """Wait for many requests, and yield the outcome of each as it comes, as `LongCat.as_completed` does.

        Questions are asked in the background, whatever the caller does between two outcomes. Request ids that have to
        be waited for come from an asynchronous iterable.
        """
        batch = self._flows.batch(timeout, gateway, **options)
        return Outcomes(batch, each(usable_request_ids(request_ids)), self._clock, self._perform, self._flows.settle)

    async def wait_all(
        self,
        request_ids: Iterable[str | Order] | AsyncIterable[str | Order],
        timeout: float | None = DEFAULT_TIMEOUT,
        *,
        gateway: GatewayKind | None = None,
        **options: Unpack[BatchOptions],
    ) -> list[Image | LongCatError]:
        """Wait for many requests, and return the image or the error of each, as `LongCat.wait_all` does."""
        results = OrderedResults()
        ids = each(usable_request_ids(request_ids), results.take)
        batch = self._flows.batch(timeout, gateway, **options)
        async with aclosing(Outcomes(batch, ids, self._clock, self._perform, self._flows.settle)) as outcomes:
            async for outcome in outcomes:
                results.add(outcome)
        return results.results(request_ids)

    async def download(
        self,
        image: Image | str,
        path: str | PathLike[str],
        *,
        overwrite: bool = False,
        max_bytes: int = MAX_PICTURE_BYTES,
        timeout: float | None = DEFAULT_TIMEOUT,
    ) -> Path:
        """Save an image, and return where it is, as `LongCat.download` does."""
        return (await self.download_all(image, path, overwrite=overwrite, max_bytes=max_bytes, timeout=timeout))[0]

    async def download_all(  # noqa: PLR0913 - as above.
        self,
        image: Image | str,
        path: str | PathLike[str],
        *,
        name: str | None = None,
        overwrite: bool = False,
        max_bytes: int = MAX_PICTURE_BYTES,
        timeout: float | None = DEFAULT_TIMEOUT,
    ) -> list[Path]:
        """Save all pictures of an image, and return where they are, as `LongCat.download_all` does."""
        flow = self._flows.download(image, path, name, overwrite, max_bytes, timeout, files_only=True)
        return [*map(Path, await self._drive(flow))]

    async def save(  # noqa: PLR0913 - as above.
        self,
        image: Image | str,
        output: str | PathLike[str] | PictureStore,
        *,
        name: str | None = None,
        overwrite: bool = False,
        max_bytes: int = MAX_PICTURE_BYTES,
        timeout: float | None = DEFAULT_TIMEOUT,
    ) -> list[str]:
        """Save all pictures of an image at a place of any kind, as `LongCat.save` does."""
        return await self._drive(self._flows.download(image, output, name, overwrite, max_bytes, timeout))

    async def _drive(self, flow: Flow[T]) -> T:
        return await driver.drive(flow, self._perform)

    async def _perform(self, command: Command) -> Answer | None:
        match command:
            case Call():
                return await self._sender.send(command)
            case Sleep(seconds, wake):
                await driver.sleep(self._clock, seconds, wake)
            case Acquire(left=left, spend=spend):
                for seconds in self._flows.rate_limiter.pauses(self._clock.monotonic, left, spend):
                    await self._clock.asleep(seconds)
            case RunInThread(function):
                with hold(self._clock):
                    await anyio.to_thread.run_sync(function)
            case _:
                assert_never(command)
        return None

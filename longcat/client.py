"""LongCat and AsyncLongCat: two thin drivers of the same conversations."""

import platform
import random
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, closing
from functools import partial
from math import inf
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Final, Generic, Literal, Self, TypeAlias, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread
import httpx

import longcat
from longcat import conversation
from longcat.clock import Clock, SystemClock
from longcat.conversation import Command, Conversation, Pause, Traffic, Wait
from longcat.download import MAX_BYTES, Target, fetch, url_stem
from longcat.errors import ConfigurationError, LongCatError
from longcat.models import Image, Status
from longcat.polling import GeometricPolling, Polling
from longcat.settings import find_api_key, find_base_url, usable_request_id, usable_timeout
from longcat.text import shorten
from longcat.transport import BoundedReads, Reader, closing_half_open, credentials, run_out, translated
from longcat.wire import Answer, Call, ResultGateway

T = TypeVar("T")
Http = TypeVar("Http", httpx.Client, httpx.AsyncClient)
Unknown: TypeAlias = Literal["wait", "raise"]

DEFAULT_TIMEOUT: Final = 300.0
"""Seconds that a wait or a download may take when nothing else is said."""
USER_AGENT: Final = f"longcat-image/{longcat.__version__} python/{platform.python_version()} httpx/{httpx.__version__}"


class _Client(Generic[Http]):
    """What both clients are made of."""

    def __init__(  # noqa: PLR0913, PLR0917 - the public signature, and one more.
        self,
        api_key: str | None,
        base_url: str | None,
        polling: Polling | None,
        http_client: Http | None,
        clock: Clock | None,
        http_class: type[Http],
    ) -> None:
        if http_client is not None and not isinstance(http_client, http_class):
            raise ConfigurationError(
                f"{type(self).__name__} needs an httpx.{http_class.__name__} as http_client, "
                f"not {type(http_client).__name__}. Pass one, or use the other client."
            )
        self._gateway = ResultGateway(find_base_url(base_url), find_api_key(api_key))
        self._polling = polling if polling is not None else GeometricPolling()
        self._clock = clock if clock is not None else SystemClock()
        self._traffic = Traffic()
        self._http_class: type[Http] = http_class
        self._owns_http = http_client is None
        self._http: Http = self._new_http() if http_client is None else http_client

    def _new_http(self) -> Http:
        try:
            return self._http_class(timeout=inf)
        except (ValueError, OSError, ImportError, httpx.InvalidURL) as error:
            raise ConfigurationError(
                f"The HTTP client can't be set up: {error}. Check the environment's proxies and certificates."
            ) from error

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self._gateway.base_url!r})"

    def _question(self, request_id: str) -> Conversation[Status]:
        return conversation.status(self._gateway, usable_request_id(request_id))

    def _wait(self, request_id: str, timeout: float | None, unknown: Unknown) -> Wait:
        if unknown not in ("wait", "raise"):
            raise ConfigurationError(f"unknown is 'wait' or 'raise', not {shorten(unknown)!r}.")
        return Wait(
            gateway=self._gateway,
            request_id=usable_request_id(request_id),
            plan=self._polling.plan(),
            traffic=self._traffic,
            timeout=usable_timeout(timeout),
            unknown=unknown,
            monotonic=self._clock.monotonic,
            random=random.random,
        )

    def _target(self, image: Image | str, path: str | PathLike[str], overwrite: bool, max_bytes: int) -> Target:
        if not isinstance(image, Image | str):
            raise ConfigurationError(f"Pass an Image or a URL to download, not {type(image).__name__}.")
        url = image if isinstance(image, str) else image.url
        stem = url_stem(url) if isinstance(image, str) else image.request_id
        return Target(Path(path), stem, overwrite, max_bytes, url)

    def _fetch(self, target: Target, timeout: float | None) -> Conversation[None]:
        return fetch(target.url, target, usable_timeout(timeout), self._clock.monotonic, random.random)

    def _request(self, call: Call) -> httpx.Request:
        """Return the request for a call, with the shorter of two timeouts: the call's and the HTTP client's own."""
        if self._http.is_closed:
            raise ConfigurationError("This client is closed. Make a new one, and close it after the last call.")
        usual = self._http.timeout.as_dict()
        limits = {phase: min(call.timeout, inf if limit is None else limit) for phase, limit in usual.items()}
        timeout = {phase: None if limit == inf else limit for phase, limit in limits.items()}
        # What we ask for is small or compressed already.
        headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **call.headers}
        if call.to_stranger:
            return httpx.Request(call.method, call.url, headers=headers, extensions={"timeout": timeout})
        return self._http.build_request(
            call.method, call.url, headers=headers, content=call.content, timeout=httpx.Timeout(**timeout)
        )


class LongCat(_Client[httpx.Client]):
    """The client. One is enough for a program: it may be shared by threads, and keeps its connections.

    A context manager; or call `close` after the last call.

    Args:
        api_key: the subscription key. None: from `PIXAZO_API_KEY`, else from the one-line file `~/.pixazo/api-key`.
        base_url: the gateway's scheme and host. None: from `LONGCAT_BASE_URL`, else the contract's server.
        polling: when to ask again. None: `GeometricPolling()`.
        http_client: sends the calls; for proxies, certificates, other transports. It stays the caller's to close, its
            timeouts hold where they are shorter than ours, and it follows no redirect for us. None: one of our own.
        clock: the time. None: this machine's.

    Raises:
        ConfigurationError: there is no key, or one of the arguments can't be used.
    """

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        *,
        polling: Polling | None = None,
        http_client: httpx.Client | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(api_key, base_url, polling, http_client, clock, httpx.Client)
        self._reads = BoundedReads()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections, unless the HTTP client is the caller's. Twice is as good as once."""
        if self._owns_http:
            self._http.close()

    def status(self, request_id: str) -> Status:
        """Ask once how a request stands, for 30 s at most. Nothing is repeated.

        Raises:
            APIConnectionError: no answer came.
            APIStatusError: the gateway answered with an error.
            APIResponseValidationError: its answer breaks the contract.
            ConfigurationError: the request id can't be one.
        """
        return self._drive(self._question(request_id))

    def wait(self, request_id: str, timeout: float | None = DEFAULT_TIMEOUT, *, unknown: Unknown = "wait") -> Image:
        """Wait until a request is done, and return its image.

        Args:
            request_id: the id that was given out when the image was ordered.
            timeout: seconds, the request in flight included; 0 asks nothing. None: for ever.
            unknown: what to do about a status word that nobody documented: `wait` on with one warning, or `raise`.

        Raises:
            GenerationFailed, GenerationCancelled: the service says so.
            WaitTimeout: the request was not done in time. Faults that may pass are not raised, but end here.
            APIStatusError: 400, 401, 402, 403, 404 and what else asking again won't help.
            APIResponseValidationError: the answer breaks the contract.
            ConfigurationError: an argument can't be used.
        """
        return self._drive(self._wait(request_id, timeout, unknown).image())

    def watch(
        self, request_id: str, timeout: float | None = DEFAULT_TIMEOUT, *, unknown: Unknown = "wait"
    ) -> Iterator[Status]:
        """Wait as `wait` does, and yield the first answer and every one that differs from the one before.

        The last one is final; a failure is a status like any other here. Raises what `wait` raises but for failures.
        """
        return self._changes(self._wait(request_id, timeout, unknown))

    def download(
        self,
        image: Image | str,
        path: str | PathLike[str],
        *,
        overwrite: bool = False,
        max_bytes: int = MAX_BYTES,
        timeout: float | None = DEFAULT_TIMEOUT,
    ) -> Path:
        """Bring an image to disk, and return where it is. The file appears whole or not at all.

        The key is not sent. Faults that may pass are tried again, three times at most.

        Args:
            image: an image, or a URL of one.
            path: the file; or a folder that exists, in which the file is named after the request and its kind.
            overwrite: whether a file that is there already may be replaced.
            max_bytes: how large it may be.
            timeout: seconds. None: for ever.

        Raises:
            DownloadError: it could not be had, is not an image or too large, or the file could not be written.
            ConfigurationError: an argument can't be used.
        """
        with self._target(image, path, overwrite, max_bytes) as target:
            self._drive(self._fetch(target, timeout))
            return target.commit()

    def _changes(self, wait: Wait) -> Iterator[Status]:
        while not wait.done:
            yield self._drive(wait.change())

    def _drive(self, talk: Conversation[T]) -> T:
        """Do what a conversation says until it is over, and return its result."""
        step = partial(next, talk)
        while True:
            try:
                command = step()
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            try:
                step = partial(talk.send, self._perform(command))
            except LongCatError as error:
                step = partial(talk.throw, error)

    def _perform(self, command: Command) -> Answer | None:
        if isinstance(command, Pause):
            self._clock.sleep(command.seconds)
            return None
        reader = Reader(command, self._clock)
        with translated(command), self._reads.until(command.timeout):
            request = self._request(command)
            request.extensions["trace"] = self._reads.trace
            response = self._http.send(request, stream=True, follow_redirects=False, auth=credentials(command))
            with closing(response):
                if reader.begin(response):
                    for chunk in response.iter_raw():
                        if not reader.take(chunk):
                            break
            return reader.answer()


class AsyncLongCat(_Client[httpx.AsyncClient]):
    """`LongCat` for asyncio and trio: the same methods, with `await` and `async for`. See there."""

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        *,
        polling: Polling | None = None,
        http_client: httpx.AsyncClient | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(api_key, base_url, polling, http_client, clock, httpx.AsyncClient)
        self._loop: object = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections, unless the HTTP client is the caller's. Twice is as good as once."""
        if self._owns_http:
            self._follow_loop()
            await self._http.aclose()

    async def status(self, request_id: str) -> Status:
        """Ask once how a request stands, as `LongCat.status` does."""
        return await self._drive(self._question(request_id))

    async def wait(
        self, request_id: str, timeout: float | None = DEFAULT_TIMEOUT, *, unknown: Unknown = "wait"
    ) -> Image:
        """Wait until a request is done, and return its image, as `LongCat.wait` does."""
        return await self._drive(self._wait(request_id, timeout, unknown).image())

    def watch(
        self, request_id: str, timeout: float | None = DEFAULT_TIMEOUT, *, unknown: Unknown = "wait"
    ) -> AsyncGenerator[Status]:
        """Yield the first answer and every one that differs from the one before, as `LongCat.watch` does.

        Who leaves the loop early on trio wraps this in `contextlib.aclosing`, as with every asynchronous generator.
        """
        return self._changes(self._wait(request_id, timeout, unknown))

    async def download(
        self,
        image: Image | str,
        path: str | PathLike[str],
        *,
        overwrite: bool = False,
        max_bytes: int = MAX_BYTES,
        timeout: float | None = DEFAULT_TIMEOUT,
    ) -> Path:
        """Bring an image to disk, and return where it is, as `LongCat.download` does."""
        with self._target(image, path, overwrite, max_bytes) as target:
            await self._drive(self._fetch(target, timeout))
            return await anyio.to_thread.run_sync(target.commit)

    async def _changes(self, wait: Wait) -> AsyncGenerator[Status]:
        while not wait.done:
            yield await self._drive(wait.change())

    async def _drive(self, talk: Conversation[T]) -> T:
        """Do what a conversation says until it is over, and return its result."""
        step = partial(next, talk)
        while True:
            try:
                command = step()
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            try:
                step = partial(talk.send, await self._perform(command))
            except LongCatError as error:
                step = partial(talk.throw, error)

    async def _perform(self, command: Command) -> Answer | None:
        if isinstance(command, Pause):
            await self._clock.asleep(command.seconds)
            return None
        reader = Reader(command, self._clock)
        self._follow_loop()
        with translated(command), anyio.fail_after(None if command.timeout == inf else command.timeout):
            request = self._request(command)
            request.extensions["trace"] = closing_half_open()
            response = await self._http.send(request, stream=True, follow_redirects=False, auth=credentials(command))
            async with aclosing(response):
                if reader.begin(response):
                    chunks = response.aiter_raw()
                    async for chunk in chunks:
                        if not reader.take(chunk):
                            await response.aclose()
                            await run_out(chunks)
                            break
            return reader.answer()

    def _follow_loop(self) -> None:
        """Leave the connections of an event loop that is over: in the next one, they would only raise."""
        loop = anyio.lowlevel.current_token()
        if self._loop not in {None, loop} and self._owns_http and not self._http.is_closed:
            self._http = self._new_http()
        self._loop = loop

"""What `LongCat` and `AsyncLongCat` are made of alike: their settings, and the conversations that they can have."""

import platform
import random
from collections.abc import Callable
from math import inf
from os import PathLike
from typing import Final, Generic, Literal, TypeAlias, TypeVar

import httpx

from longcat._version import __version__
from longcat.clock import Clock, SystemClock
from longcat.errors import ConfigurationError
from longcat.gateway.contract import contract
from longcat.gateway.messages import (
    Call,
)
from longcat.gateway.result import (
    ResultGateway,
)
from longcat.models import Status
from longcat.saving.download import Downloader
from longcat.saving.journal import Journal
from longcat.settings import (
    find_api_key,
    find_base_url,
    usable_count,
    usable_rate,
    usable_request_id,
    usable_timeout,
    usable_unknown,
)
from longcat.waiting import wait as conversation
from longcat.waiting.adaptive import (
    AdaptivePolling,
)
from longcat.waiting.batch import Batch
from longcat.waiting.commands import (
    Flow,
)
from longcat.waiting.polling import (
    Polling,
)
from longcat.waiting.rate_limit import RateLimiter
from longcat.waiting.wait import (
    Wait,
)

Http = TypeVar("Http", httpx.Client, httpx.AsyncClient)
Unknown: TypeAlias = Literal["wait", "raise"]
OnChange: TypeAlias = Callable[[Status], object]

MAX_IN_FLIGHT: Final = 20
"""Questions under way at a time. With more, httpx gets slower, not faster."""
DEFAULT_TIMEOUT: Final = 300.0
"""Seconds that a wait or a download may take when nothing else is said."""
USER_AGENT: Final = f"longcat-image/{__version__} python/{platform.python_version()} httpx/{httpx.__version__}"


class BaseClient(Generic[Http]):
    """What both clients are made of."""

    def __init__(  # noqa: PLR0913, PLR0917 - the public signature, and one more.
        self,
        api_key: str | None,
        base_url: str | None,
        polling: Polling | None,
        http_client: Http | None,
        clock: Clock | None,
        max_rate: float | None,
        max_in_flight: int,
        journal: str | PathLike[str] | None,
        http_class: type[Http],
    ) -> None:
        if http_client is not None and not isinstance(http_client, http_class):
            raise ConfigurationError(
                f"{type(self).__name__} needs an httpx.{http_class.__name__} as http_client, "
                f"not {type(http_client).__name__}. Pass one, or use the other client."
            )
        self._gateway = ResultGateway(find_base_url(base_url, contract().server), find_api_key(api_key))
        self._polling = polling if polling is not None else AdaptivePolling()
        self._clock = clock if clock is not None else SystemClock()
        self._rate_limiter = RateLimiter(usable_rate(max_rate))
        self._max_in_flight = usable_count(max_in_flight)
        self._http_class: type[Http] = http_class
        self._owns_http = http_client is None
        self._http: Http = self._new_http() if http_client is None else http_client
        self._journal: Journal | None = None
        if journal is not None:
            self._journal = Journal(journal, self._gateway.base_url, time=self._clock.time)
        self._downloader = Downloader(self._journal, self._clock.monotonic, random.random)

    def _close_journal(self) -> None:
        if self._journal is not None:
            self._journal.close()

    def _new_http(self) -> Http:
        try:
            return self._http_class(timeout=inf)
        except (ValueError, OSError, ImportError, httpx.InvalidURL) as error:
            raise ConfigurationError(
                f"The HTTP client can't be set up: {error}. Check the environment's proxies and certificates."
            ) from error

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self._gateway.base_url!r})"

    def _question(self, request_id: str) -> Flow[Status]:
        return conversation.status(self._gateway, usable_request_id(request_id))

    def _wait(self, request_id: str, timeout: float | None, unknown: Unknown) -> Wait:
        return Wait(
            gateway=self._gateway,
            request_id=usable_request_id(request_id),
            plan=self._polling.plan(),
            rate_limiter=self._rate_limiter,
            timeout=usable_timeout(timeout),
            unknown=usable_unknown(unknown),
            monotonic=self._clock.monotonic,
            random=random.random,
            store=self._journal,
        )

    def _batch(
        self, timeout: float | None, batch_timeout: float | None, unknown: Unknown, on_change: OnChange | None
    ) -> Batch:
        most, monotonic = usable_timeout(timeout), self._clock.monotonic
        left = usable_timeout(batch_timeout)
        end = monotonic() + (inf if left is None else left)
        usable_unknown(unknown)  # Else every request would raise it.

        def begin(request_id: str) -> Wait:
            left = max(end - monotonic(), 0.0)
            return self._wait(request_id, min(left, inf if most is None else most), unknown)

        return Batch(begin, on_change, self._rate_limiter, monotonic, self._max_in_flight, end)

    def _request(self, call: Call) -> httpx.Request:
        """Return the request for a call, with the shorter of two timeouts: the call's and the HTTP client's own."""
        if self._http.is_closed:
            raise ConfigurationError("This client is closed. Make a new one, and close it after the last call.")
        usual = self._http.timeout.as_dict()
        limits = {phase: min(call.timeout, inf if limit is None else limit) for phase, limit in usual.items()}
        timeout = {phase: None if limit == inf else limit for phase, limit in limits.items()}
        # What we ask for is small or compressed already.
        headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **call.headers}
        if call.cross_origin:
            return httpx.Request(call.method, call.url, headers=headers, extensions={"timeout": timeout})
        return self._http.build_request(
            call.method, call.url, headers=headers, content=call.content, timeout=httpx.Timeout(**timeout)
        )

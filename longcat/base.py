"""What `LongCat` and `AsyncLongCat` have in common: their settings, and the flows that they obey."""

import random
from collections.abc import Callable
from math import inf
from os import PathLike
from typing import Final, Generic, Literal, TypeAlias

from longcat.clock import Clock, SystemClock
from longcat.errors import ConfigurationError
from longcat.gateway.contract import contract
from longcat.gateway.result import ResultGateway
from longcat.models import Status
from longcat.saving.download import Downloader
from longcat.saving.journal import Journal
from longcat.sending.transport import HttpClient, HttpSender
from longcat.settings import (
    find_api_key,
    find_base_url,
    usable_count,
    usable_rate,
    usable_request_id,
    usable_timeout,
    usable_unknown,
)
from longcat.waiting import wait as flows
from longcat.waiting.adaptive import AdaptivePolling
from longcat.waiting.batch import Batch
from longcat.waiting.commands import Flow
from longcat.waiting.polling import Polling
from longcat.waiting.rate_limit import RateLimiter
from longcat.waiting.wait import Wait

Unknown: TypeAlias = Literal["wait", "raise"]
OnChange: TypeAlias = Callable[[Status], object]

MAX_IN_FLIGHT: Final = 20  # Questions in flight at a time. With more, httpx gets slower, not faster.
DEFAULT_TIMEOUT: Final = 300.0  # Seconds that a wait or a download may take when nothing else is said.


class BaseClient(Generic[HttpClient]):
    """What both clients have in common. `LongCat` says what the arguments mean."""

    _sender_class: type[HttpSender[HttpClient]]

    def __init__(  # noqa: PLR0913 - most are keywords that hardly anyone needs.
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        *,
        polling: Polling | None = None,
        http_client: HttpClient | None = None,
        clock: Clock | None = None,
        max_rate: float | None = None,
        max_in_flight: int = MAX_IN_FLIGHT,
        journal: str | PathLike[str] | None = None,
    ) -> None:
        wanted = self._sender_class.http_class
        if http_client is not None and not isinstance(http_client, wanted):
            raise ConfigurationError(
                f"{type(self).__name__} needs an httpx.{wanted.__name__} as http_client, "
                f"not {type(http_client).__name__}. Pass one, or use the other client."
            )
        self._gateway = ResultGateway(
            find_base_url(base_url, contract("get_request_result").server), find_api_key(api_key)
        )
        self._polling = polling if polling is not None else AdaptivePolling()
        self._clock = clock if clock is not None else SystemClock()
        self._rate_limiter = RateLimiter(usable_rate(max_rate))
        self._max_in_flight = usable_count(max_in_flight)
        self._sender: HttpSender[HttpClient] = self._sender_class(
            http_client, self._new_http, self._clock, self._max_in_flight
        )
        self._journal: Journal | None = None
        if journal is not None:
            self._journal = Journal(journal, self._gateway.base_url, time=self._clock.time)
        self._downloader = Downloader(self._journal, self._clock.monotonic, random.random)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self._gateway.base_url!r})"

    def _new_http(self) -> HttpClient:
        """Return an HTTP client of our own."""
        return self._sender_class.http_class(timeout=inf)

    def _question(self, request_id: str) -> Flow[Status]:
        return flows.status(self._gateway, usable_request_id(request_id))

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
        usable_unknown(unknown)  # Raise it once here, and not for every request.

        def begin(request_id: str) -> Wait:
            left = max(end - monotonic(), 0.0)
            return self._wait(request_id, min(left, inf if most is None else most), unknown)

        return Batch(begin, on_change, self._rate_limiter, monotonic, self._max_in_flight, end)

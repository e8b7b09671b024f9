"""The requests of an HTTP library for our calls. What is the same for many calls is prepared once."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import inf
from typing import TYPE_CHECKING, Final, TypeAlias

from longcat.gateway.messages import Call
from longcat.sending.http.libraries import HttpLibrary

if TYPE_CHECKING:
    import httpx

POOL_SHARE: Final = 0.9
"""The share of a call's time in which the HTTP client must have found a connection, or room for a new one."""
CACHE_SIZE: Final = 1024
"""How many URLs, and how many sets of headers, are kept."""
TIMED_STEPS: Final = ("connect", "read", "write", "pool")
"""Those that have a timeout."""
RawHeaders: TypeAlias = tuple[tuple[bytes, bytes], ...]


class RequestFactory:
    """Makes the requests for calls.

    To calls to the gateway it adds what the caller's HTTP client would: its headers and parameters, but no cookies.

    Args:
        library: whose requests are made.
        user_agent: how we call ourselves.
        client: the caller's HTTP client, whose timeouts hold where they are shorter. None: there is none.
    """

    def __init__(
        self, library: HttpLibrary, user_agent: str, client: "httpx.Client | httpx.AsyncClient | None"
    ) -> None:
        self._library = library
        self._client = client
        # What we ask for is small or compressed already.
        self._usual = {"User-Agent": user_agent, "Accept-Encoding": "identity"}
        self._url = lru_cache(CACHE_SIZE)(library.url)
        self._headers = lru_cache(CACHE_SIZE)(self._prepare_headers)

    def request(self, call: Call) -> "httpx.Request":
        """Return the request for a call. Raises the library's `invalid_url`."""
        url, content, more = self._url(call.url), call.content, None if call.cross_origin else self._client
        if more is not None and more.params:
            url = url.copy_merge_params(more.params)
        size = None if content is None else len(content)
        raw: RawHeaders = tuple(more.headers.raw) if more is not None else ()
        request = self._library.request(
            call.method,
            url,
            headers=self._headers(call.method, url.netloc, size, tuple(call.headers.items()), raw),
            stream=self._library.byte_stream(content or b""),
            extensions={"timeout": self._timeout(call)},
        )
        request.read()  # A hook of the caller's may look at it.
        return request

    def _prepare_headers(
        self, method: str, netloc: bytes, size: int | None, headers: tuple[tuple[str, str], ...], of_client: RawHeaders
    ) -> "httpx.Headers":
        """Return all headers of a request. The arguments are all that they depend on."""
        merged = self._library.headers([*of_client])
        merged.update({**self._usual, **dict(headers)})
        merged.pop("Cookie", None)
        url, content = f"any://{netloc.decode('ascii')}", None if size is None else bytes(size)
        return self._library.request(method, url, headers=merged, content=content).headers

    def _timeout(self, call: Call) -> dict[str, float | None]:
        """Return the timeouts of the steps: the call's, or the HTTP client's own if that is shorter."""
        own = None if self._client is None else self._client.timeout
        limits = (None,) * len(TIMED_STEPS) if own is None else (own.connect, own.read, own.write, own.pool)
        return dict(timeouts(call.timeout, limits))


@lru_cache(CACHE_SIZE)
def timeouts(seconds: float, of_client: Sequence[float | None]) -> Mapping[str, float | None]:
    """Return the timeouts of the steps of a call that may take so many seconds. None: a step has none."""
    limits = {
        step: seconds if limit is None else min(limit, seconds)
        for step, limit in zip(TIMED_STEPS, of_client, strict=True)
    }
    # That the pool was full says that nothing was sent, so it has to come before the end of the call's own time.
    limits["pool"] = min(limits["pool"], POOL_SHARE * seconds)
    return {step: None if limit == inf else limit for step, limit in limits.items()}

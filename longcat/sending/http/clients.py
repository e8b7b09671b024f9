"""The HTTP clients that calls are sent with: our own, and the caller's. None of them sends or keeps a cookie for us."""

from collections.abc import Iterable
from copy import copy
from math import inf
from typing import Any, TypedDict, TypeVar

import httpx

from longcat.sending.proxies import AsyncProxyTransport, Proxies, ProxyChoice, ProxyTransport
from longcat.url import Url

HttpClient = TypeVar("HttpClient", httpx.Client, httpx.AsyncClient)


class NoCookies:
    """The cookies of an HTTP client that has none, and keeps none. It does not even read those of an answer."""

    def __len__(self) -> int:
        return 0

    def extract_cookies(self, response: object) -> None:
        """Leave the cookies of an answer alone."""


def isolated(http: HttpClient) -> HttpClient:
    """Return an HTTP client whose requests have nothing to do with each other, and which shares the rest with this one.

    It neither sends nor keeps cookies. Nor does it read where a redirect leads that it is not to follow: httpx fails
    when that is no URL. Our own are so from the beginning; the caller's may be changed between two calls.
    """
    if isinstance(http.cookies, NoCookies):
        return http
    double = copy(http)
    # httpx has public ways for neither of the two: it copies cookies that are set into a jar of its own.
    double._cookies = NoCookies()  # type: ignore[assignment] # noqa: SLF001
    double._build_redirect_request = lambda request, response: request  # type: ignore[method-assign] # noqa: ARG005, SLF001
    return double


class _HttpSettings(TypedDict):
    trust_env: bool
    verify: Any
    timeout: float


def _settings(timeout: float) -> _HttpSettings:
    """Return what our HTTP clients are like: certificates are the environment's, proxies are chosen by `proxies`."""
    return {"trust_env": False, "verify": httpx.create_ssl_context(), "timeout": timeout}


def _usable_proxies(urls: Iterable[str]) -> Proxies:
    """Return the environment's proxies. Raises ConfigurationError when that of one of the URLs can't be used."""
    proxies = Proxies.of_environment()
    for url in urls:
        if (proxy := proxies.find(Url.read(url))) is not None:
            proxy.check()
    return proxies


def new_client(urls: Iterable[str] = (), timeout: float = inf) -> httpx.Client:
    """Return an HTTP client of our own that will be asked for these URLs, among others.

    Raises ConfigurationError for a proxy that can't be used, and OSError or ValueError for certificates that can't be.
    """
    proxies, settings = _usable_proxies(urls), _settings(timeout)
    verify = settings["verify"]
    choice = ProxyChoice(proxies, lambda proxy: httpx.HTTPTransport(verify=verify, proxy=proxy))
    mounts = {"all://": ProxyTransport(choice)} if proxies.by_scheme else None
    return isolated(httpx.Client(**settings, mounts=mounts))


def new_async_client(urls: Iterable[str] = (), timeout: float = inf) -> httpx.AsyncClient:
    """Return the same for asyncio and trio."""
    proxies, settings = _usable_proxies(urls), _settings(timeout)
    verify = settings["verify"]
    choice = ProxyChoice(proxies, lambda proxy: httpx.AsyncHTTPTransport(verify=verify, proxy=proxy))
    mounts = {"all://": AsyncProxyTransport(choice)} if proxies.by_scheme else None
    return isolated(httpx.AsyncClient(**settings, mounts=mounts))

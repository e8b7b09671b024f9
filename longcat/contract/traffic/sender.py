"""Sends one request of the probe: within a time and a size, following no redirect, the key to the base URL alone."""

import ipaddress
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

import httpx
from attrs import define, field, frozen

from longcat.contract.model import Exchange, Origin
from longcat.contract.openapi.spec import Spec
from longcat.contract.traffic.probe_requests import KeyUse, ProbeRequest
from longcat.contract.traffic.redact import redact
from longcat.errors import ConfigurationError
from longcat.gateway.messages import MAX_ANSWER
from longcat.sending.transport import USER_AGENT, BoundedReads
from longcat.text import shorten

WRONG_KEY: Final = "longcat-contract-wrong-key"
"""Sent where a key must be refused."""

SOURCE: Final = "probe, "
"""The source of each exchange is this, and the name of its request."""


@frozen
class Failure:
    """No answer came, or only a part of one.

    Attributes:
        reason: what happened, in words.
        partial: what came of an answer whose body stopped before its end. None: nothing.
        may_pass: whether it may pass, so that sending once more is worth it. A time-out has waited long enough.
    """

    reason: str
    partial: Exchange | None = None
    may_pass: bool = True


@define
class Sender:
    """Sends requests to one base URL.

    Attributes:
        base_url: scheme and host.
        api_key: the user's. It goes to the base URL and nowhere else.
        http: sends the requests.
        timeout: seconds until the whole answer must be there.
        origin: what kind of evidence the answers are.
    """

    base_url: str
    api_key: str | None = field(repr=False)
    http: httpx.Client
    timeout: float
    origin: Origin
    _reads: BoundedReads = field(factory=BoundedReads, init=False, repr=False)

    def send(self, request: ProbeRequest) -> Exchange | Failure:
        """Send a request, once."""
        self.http.cookies.clear()  # One request must not depend on another.
        message = self._message(request)
        message.extensions["trace"] = self._reads.trace
        deadline = time.monotonic() + self.timeout
        response: httpx.Response | None = None
        body = bytearray()
        try:
            with self._reads.until(self.timeout), _closing(self.http, message) as response:
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > MAX_ANSWER:
                        break
                    if time.monotonic() > deadline:
                        raise TimeoutError  # noqa: TRY301 - the same as a read that took too long.
        except (httpx.TimeoutException, TimeoutError):
            return Failure(f"no whole answer from {self.base_url} within {self.timeout:g} s", may_pass=False)
        except httpx.RemoteProtocolError as error:
            partial = None if response is None else self._exchange(request, message, response, bytes(body))
            return Failure(self._words(error), partial)
        except (httpx.RequestError, httpx.StreamError, OSError) as error:
            return Failure(self._words(error))
        return self._exchange(request, message, response, bytes(body[:MAX_ANSWER]))

    def _message(self, request: ProbeRequest) -> httpx.Request:
        headers = {"User-Agent": USER_AGENT, "Accept": "application/json", **request.headers}
        keys = {KeyUse.NONE: None, KeyUse.WRONG: WRONG_KEY, KeyUse.VALID: self.api_key, KeyUse.ANY: self.api_key}
        key = keys[request.key]
        if request.key_header is not None and key is not None:
            headers[request.key_header] = request.key_prefix + key
        return self.http.build_request(
            request.method, self.base_url + request.path, headers=headers, content=request.body, timeout=self.timeout
        )

    def _exchange(
        self, request: ProbeRequest, message: httpx.Request, response: httpx.Response, body: bytes
    ) -> Exchange:
        exchange = Exchange(
            method=message.method,
            url=str(message.url),
            request_headers=_lowered(message.headers),
            request_body=request.body,
            status_code=response.status_code,
            response_headers=_lowered(response.headers),
            response_body=body,
            source=f"{SOURCE}{request.name}",
            origin=self.origin,
            intent=request.intent,
        )
        # A value with a prefix is `Authorization`, which is known to hold a secret after it.
        names = [request.key_header] if request.key_header and not request.key_prefix else []
        return redact(exchange, names, thorough=False)

    def _words(self, error: Exception) -> str:
        return f"no answer from {self.base_url}: {shorten(error, 200) or type(error).__name__}"


@contextmanager
def client_for(timeout: float, given: httpx.Client | None) -> Iterator[httpx.Client]:
    """Lend an HTTP client: the one given, else one of our own."""
    if given is not None:
        yield given
        return
    try:
        client = httpx.Client(timeout=timeout, follow_redirects=False)
    except (ValueError, OSError, ImportError, httpx.InvalidURL) as error:
        raise ConfigurationError(
            f"The HTTP client can't be set up: {error}. Check the environment's proxies and certificates."
        ) from error
    with client:
        yield client


def is_loopback(base_url: str) -> bool:
    """Return whether a base URL names this machine."""
    host = urlsplit(base_url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def origin_of(spec: Spec, base_url: str) -> Origin:
    """Return what kind of evidence answers from a base URL are.

    The contract's own server is the live service. On this machine, it is taken to be the sandbox.
    """
    servers = {urlsplit(server["url"]).netloc for server in spec.document.get("servers", ())}
    if urlsplit(base_url).netloc in servers:
        return "live"
    return "sandbox" if is_loopback(base_url) else "unknown"


@contextmanager
def _closing(http: httpx.Client, request: httpx.Request) -> Iterator[httpx.Response]:
    response = http.send(request, stream=True, follow_redirects=False)
    try:
        yield response
    finally:
        response.close()


def _lowered(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}

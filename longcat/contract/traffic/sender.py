"""Sends one request of the probe: within a time and a size, following no redirect, the key to the base URL alone."""

import ipaddress
from typing import Final
from urllib.parse import urlsplit

import httpx
from attrs import frozen

from longcat.clock import Clock
from longcat.contract.model import Exchange, Origin
from longcat.contract.openapi.spec import Spec
from longcat.contract.traffic.probe_requests import KeyUse, ProbeRequest
from longcat.contract.traffic.redact import redact
from longcat.errors import APIConnectionError, APITimeoutError
from longcat.gateway.messages import Answer, Call
from longcat.sending.transport import AnswerReader, SyncSender
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


class ProbeSender:
    """Sends requests to one base URL. Close it at the end.

    Args:
        base_url: scheme and host.
        api_key: the user's. It goes to the base URL and nowhere else. None: there is none.
        timeout: seconds until the whole answer must be there.
        origin: what kind of evidence the answers are.
        http: the caller's HTTP client, which stays open. None: one of our own.
        clock: the time.

    Raises ConfigurationError when the HTTP client can't be made.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - see above.
        self,
        base_url: str,
        api_key: str | None,
        timeout: float,
        origin: Origin,
        http: httpx.Client | None,
        clock: Clock,
    ) -> None:
        self.api_key = api_key
        self._base_url = base_url
        self._timeout = timeout
        self._origin = origin
        self._clock = clock
        self._sender = SyncSender(http, lambda: httpx.Client(timeout=timeout), clock, max_in_flight=1)

    def close(self) -> None:
        """Close the HTTP client, unless it is the caller's."""
        self._sender.close()

    def send(self, request: ProbeRequest) -> Exchange | Failure:
        """Send a request, once."""
        self._sender.http.cookies.clear()  # One request must not depend on another.
        url = self._base_url + request.path
        call = Call(request.method, url, self._timeout, self._headers(request), request.body)
        reader = AnswerReader(call, self._clock)
        try:
            return self._exchange(request, call, self._sender.send(call, reader=reader))
        except APITimeoutError:
            return Failure(f"no whole answer from {self._base_url} within {self._timeout:g} s", may_pass=False)
        except APIConnectionError as error:
            answer = reader.partial() if isinstance(error.__cause__, httpx.RemoteProtocolError) else None
            partial = None if answer is None else self._exchange(request, call, answer)
            return Failure(f"no answer from {self._base_url}: {shorten(error.message, 200)}", partial)

    def _headers(self, request: ProbeRequest) -> dict[str, str]:
        keys = {KeyUse.NONE: None, KeyUse.WRONG: WRONG_KEY, KeyUse.VALID: self.api_key, KeyUse.ANY: self.api_key}
        key = keys[request.key]
        headers = {"Accept": "application/json", **request.headers}
        if request.key_header is not None and key is not None:
            headers[request.key_header] = request.key_prefix + key
        return headers

    def _exchange(self, request: ProbeRequest, call: Call, answer: Answer) -> Exchange:
        message = self._sender.request(call)
        exchange = Exchange(
            method=message.method,
            url=str(message.url),
            request_headers={name.lower(): value for name, value in message.headers.items()},
            request_body=request.body,
            status_code=answer.status_code,
            response_headers=answer.headers,
            response_body=answer.body,
            source=f"{SOURCE}{request.name}",
            origin=self._origin,
            intent=request.intent,
        )
        # A value with a prefix is `Authorization`, which is known to hold a secret after it.
        names = [request.key_header] if request.key_header and not request.key_prefix else []
        return redact(exchange, names, thorough=False)


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

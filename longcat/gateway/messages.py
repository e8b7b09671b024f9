"""The call to a gateway and the answer to it, whichever gateway it is."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final, Protocol

from attrs import field, frozen

from longcat.errors import APIResponseValidationError
from longcat.models import Status, Violation

MAX_ANSWER: Final = 1024 * 1024
"""How many bytes of an answer are read. The documented ones have some 300."""


class Sink(Protocol):
    """Where the body of a successful answer goes instead of into memory."""

    def begin(self, headers: Mapping[str, str], *, ends_with_connection: bool = False) -> None:
        """Start anew, for a body with these headers, their names in lower case.

        Nothing but its own form tells whether a body that ends with the connection is whole.
        """

    def write(self, chunk: bytes) -> None:
        """Take the next bytes of the body."""


@frozen
class Call:
    """One HTTP request to send.

    Attributes:
        headers: those to add to the usual ones. They may hold the key, so they are not in the repr.
        timeout: seconds until the whole answer must be there.
        content: the body. None: there is none.
        sink: where the body of a 200 goes. None: into `Answer.body`.
        cross_origin: whether it goes elsewhere than to the gateway. Then the HTTP client's own headers, cookies,
            parameters and credentials must not go along.
    """

    method: str
    url: str
    timeout: float
    headers: Mapping[str, str] = field(factory=dict, repr=False)
    content: bytes | None = None
    sink: Sink | None = None
    cross_origin: bool = False


@frozen
class Answer:
    """The HTTP response to a call.

    Attributes:
        headers: their names in lower case.
        body: what was read of it; empty when it went into the sink.
        whole: whether that was all of it. False: it is the first `MAX_ANSWER` bytes, or what came before the damage.
        received: when it came, in seconds since the epoch.
        coding: the content coding that the body is in and that can't be undone here; then none of it was read. None:
            there is none.
    """

    status_code: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool = True
    received: float = 0.0
    coding: str | None = None

    @property
    def retry_after(self) -> float | None:
        """How many seconds the server asks to wait. None: it does not say, or not in a way that can be read.

        `Retry-After` is a number of seconds or a date (RFC 9110, section 10.2.3). A date is compared with the
        server's own clock, its `Date` header, where there is one.
        """
        value = self.headers.get("retry-after", "").strip()
        if re.fullmatch(r"\d+(\.\d*)?", value, re.ASCII):
            return float(value)
        until, now = _http_date(value), _http_date(self.headers.get("date", ""))
        return max(0.0, until - (self.received if now is None else now)) if until is not None else None


def _http_date(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


class Gateway(Protocol):
    """An HTTP API that answers for requests."""

    def ask(self, request_id: str, timeout: float) -> Call:
        """Return the call that asks how a request stands. It may take `timeout` seconds."""

    def read(self, request_id: str, answer: Answer) -> Status:
        """Return what the answer says about the request.

        Raises APIStatusError when the gateway says no, APIResponseValidationError when it breaks the contract.
        """

    def breach(self, request_id: str, answer: Answer, wrong: Iterable[Violation]) -> APIResponseValidationError:
        """Return the error for an answer that breaks the contract in these places. The key is taken out of it."""

"""The call to a gateway and the answer to it, whichever gateway it is."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final, Protocol

from attrs import field, frozen

from longcat.errors import APIResponseValidationError
from longcat.gateway.send_progress import SendProgress
from longcat.models import Status, Violation

MAX_ANSWER: Final = 1024 * 1024
"""How many bytes of an answer are read. The documented ones have some 300."""
LONGEST_PAUSE: Final = 3600.0
"""Seconds. A `Retry-After` that asks for more is taken to ask for this."""
ENDLESS: Final = 1e9
"""Seconds that stand for every longer pause."""
MAX_DIGITS: Final = 9  # How many digits of seconds are read; more are `ENDLESS`.
LONGEST_DATE: Final = 64  # Characters.
_SECONDS: Final = re.compile(r"\d+(\.\d*)?", re.ASCII)


class Sink(Protocol):
    """Takes in the body of a successful answer, which is then not kept in memory."""

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
        progress: how far the sending is.
        check: called right before the first byte goes out. It must not block; when it raises a LongCatError, nothing
            goes out. None: nothing is checked.
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
    check: Callable[[], object] | None = field(default=None, eq=False, repr=False)
    progress: SendProgress = field(factory=SendProgress, init=False, eq=False, repr=False)


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
        """The seconds to leave the server alone: as many as it asks for, up to `LONGEST_PAUSE`. None: it does not say.

        The bound is there because one broken or hostile header would otherwise silence a client for years.
        """
        return min(self.asked_pause, LONGEST_PAUSE) if self.asked_pause is not None else None

    @property
    def asked_pause(self) -> float | None:
        """The seconds for which the server asks to be left alone, at most a billion.

        None: it does not say, or not in a way that can be read.

        `Retry-After` is a number of seconds or a date (RFC 9110, section 10.2.3). A date is compared with the
        server's own clock, its `Date` header. If that makes no pause that we would keep, the header may be wrong, and
        the date is compared with our clock.
        """
        value = self.headers.get("retry-after", "").strip()
        if _SECONDS.fullmatch(value):
            whole = value.partition(".")[0].lstrip("0")
            return float(value) if len(whole) <= MAX_DIGITS else ENDLESS
        until, sent = _http_date(value), _http_date(self.headers.get("date", ""))
        if until is None:
            return None
        pauses = [until - now for now in (sent, self.received) if now is not None]
        believable = (pause for pause in pauses if 0.0 <= pause <= LONGEST_PAUSE)
        return min(max(next(believable, pauses[0]), 0.0), ENDLESS)


def _http_date(text: str) -> float | None:
    """Return the seconds since the epoch of a date in one of the three forms of HTTP. None: it is none of them."""
    if len(text) > LONGEST_DATE:
        return None
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

"""The exceptions, all of them.

LongCatError
 +-- ConfigurationError
 |    +-- JournalError
 +-- APIConnectionError
 |    +-- APITimeoutError
 +-- APIStatusError
 |    +-- BadRequestError              400
 |    +-- AuthenticationError          401
 |    +-- InsufficientBalanceError     402
 |    +-- PermissionDeniedError        403
 |    +-- NotFoundError                404
 |    +-- RateLimitError               429
 |    +-- InternalServerError          5xx
 +-- APIResponseValidationError
 +-- GenerationFailed
 |    +-- GenerationCancelled
 +-- SubmitUnknown
 +-- WaitTimeout (also a TimeoutError)
 +-- DownloadError

Every message ends with the next thing to do, and none holds the key.
"""

import json
from typing import Any, ClassVar, Final

from attrs import define, field, fields, has

from longcat.models import OrderRequest, Pause, Status, Violation
from longcat.text import sentence, shorten, without_query

RETAINED: Final = 16 * 1024
"""How many bytes of an answer an error keeps in a batch."""
MAX_FINDINGS: Final = 20  # How many differences from the contract it keeps.


class LongCatError(Exception):
    """The base of every exception that this package raises on purpose."""

    @property
    def transient(self) -> bool:
        """Whether asking again, unchanged, may help. `wait` goes on after a transient error; `status` raises it."""
        return False


class ConfigurationError(LongCatError):
    """The client was used in a way that can't work: a key, an address or an argument. Nothing was sent."""


class JournalError(ConfigurationError):
    """The journal can't be used: another program has it locked, it is damaged, or it is no journal.

    An order is never sent while the journal can't say whether it was sent before.

    Args:
        message: what is wrong, what can be saved, and how.
        passing: whether trying again later may help, though it is not worth waiting for.

    Attributes:
        locked: whether another program has it locked, or the connection was lost, so that waiting for it may help.
    """

    def __init__(self, message: str, *, locked: bool = False, passing: bool = False) -> None:
        super().__init__(message)
        self.locked = locked
        self._passing = passing

    @property
    def transient(self) -> bool:
        """Whether trying again may help: it is locked, or its database can't be reached."""
        return self.locked or self._passing


@define(slots=False)
class APIConnectionError(LongCatError):
    """No answer came: the name was not found, the connection refused, reset or not trusted, or the answer cut.

    Attributes:
        message: what happened, in the words of the library below.
        host: the host that was asked.
        sent: whether a byte of the call may have gone out. False: the gateway can't have seen it.
        advice: what to do about it. None: `usual_advice`.
        lasting: whether it stays as it is until somebody changes something, such as a certificate that is not trusted.
    """

    usual_advice: ClassVar[str] = "Check the network and the base URL, then try again."

    message: str
    host: str
    sent: bool = True
    advice: str | None = None
    lasting: bool = False

    @property
    def next_step(self) -> str:
        """The next thing to do about it."""
        return self.advice or self.usual_advice

    @property
    def transient(self) -> bool:
        """Whether asking again may help: unless it lasts."""
        return not self.lasting

    def __str__(self) -> str:
        return f"No answer from {shorten(self.host)}: {sentence(self.message)} {self.next_step}"


class APITimeoutError(APIConnectionError):
    """The answer did not come in time; or there was no time left to ask for it."""

    usual_advice = "Check the network, or allow more time, then try again."


def is_transient(status_code: int) -> bool:
    """Return whether asking again may help after an answer with this status code: 408, 425, 429 or 5xx."""
    return status_code in {408, 425, 429, *range(500, 600)}


@define(slots=False)
class APIStatusError(LongCatError):
    """The gateway answered with an error, or with a status code that the contract does not know.

    Attributes:
        status_code: the HTTP status code. It need not be in the IANA's list: a CDN has its own, 520 to 530.
        message: the reason in the gateway's words, cut short, or a description of a body that gives none.
        body: the body as received; at most 1 MiB of it.
        retry_after: seconds that the gateway asks to wait, from `Retry-After`, at most an hour. None: it did not say.
        request_id: the request that was asked about. None: it was an order, which the gateway did not take.
        coding: the content coding of the body, where it is one that can't be undone here. None: there is none.
    """

    advice: ClassVar[str] = "See the body on this error, and tell the maintainers if it should be documented."
    order_advice: ClassVar[str | None] = None
    """The advice when it is the answer to an order. None: `advice`."""

    status_code: int
    message: str
    body: bytes = field(default=b"", repr=False)
    retry_after: float | None = None
    request_id: str | None = None
    coding: str | None = field(default=None, repr=False)

    @property
    def next_step(self) -> str:
        """The next thing to do about it."""
        return self.advice if self.request_id is not None else self.order_advice or self.advice

    @property
    def transient(self) -> bool:
        """Whether asking again may help: after 408, 425 and 429 and every 5xx."""
        return is_transient(self.status_code)

    def __str__(self) -> str:
        about = f" about request {shorten(self.request_id)!r}" if self.request_id is not None else ""
        pause = f" Leave it alone for {self.retry_after:.15g} s." if self.retry_after else ""
        return f"The gateway answered {self.status_code}{about}: {sentence(self.message)}{pause} {self.next_step}"


class BadRequestError(APIStatusError):
    """400: the gateway could not read the question, or does not take the order as it is."""

    advice = "Check the request id."
    order_advice = "Nothing was ordered: mend the order and send it again."


class AuthenticationError(APIStatusError):
    """401: the key is missing or not valid."""

    advice = "Check the key: the argument api_key, then PIXAZO_API_KEY, then ~/.pixazo/api-key."


class InsufficientBalanceError(APIStatusError):
    """402: the account's balance does not cover the request."""

    advice = "Top up the account, then try again."


@define(slots=False)
class PermissionDeniedError(APIStatusError):
    """403: the key is valid, but its subscription does not cover this. A CDN that refuses a call answers 403, too."""

    advice = "Check what the key's subscription covers."

    _was_transient: bool | None = field(default=None, init=False, repr=False)
    """Whether it was so before its body was cut. None: it was not cut."""

    @property
    def next_step(self) -> str:  # noqa: D102
        if not self.transient:
            return super().next_step
        later = "Ask again later; wait() does so by itself." if self.request_id is not None else "Order again later."
        return f"It most likely comes from the CDN in front. {later}"

    @property
    def transient(self) -> bool:
        """Whether asking again may help: a body that is not JSON comes from the CDN in front, not from the gateway."""
        if self._was_transient is not None:
            return self._was_transient
        try:
            json.loads(self.body)
        except (ValueError, RecursionError):
            return self.coding is None  # What nobody could read may have been the gateway's.
        return False


class NotFoundError(APIStatusError):
    """404: the gateway knows no such request, or no such endpoint; its documentation words both alike."""

    advice = "Check the request id and the base URL."
    order_advice = "Nothing was ordered: check the base URL."


class RateLimitError(APIStatusError):
    """429: too many calls."""

    advice = "Ask less often; wait() does so by itself."
    order_advice = "Nothing was ordered: order again later, or bound the client with max_rate."


class InternalServerError(APIStatusError):
    """5xx: the gateway, or the CDN in front of it, failed."""

    advice = "Ask again later; wait() does so by itself."
    order_advice = "Wait before you order again."


@define(slots=False)
class APIResponseValidationError(LongCatError):
    """The gateway answered with success, but its answer breaks the contract.

    Attributes:
        findings: what breaks it, each a pointer into the body, what was expected there, and what was seen.
        body: the body as received; at most 1 MiB of it.
        request_id: the request that was asked about. None: it was an order.
        is_json: whether the body could be read as JSON. One that could not is most likely a CDN's page or was cut.
        coding: the content coding that can't be undone here, where that is what is wrong; then the body was not read.
            None: there is none.
    """

    findings: tuple[Violation, ...]
    body: bytes = field(repr=False)
    request_id: str | None
    is_json: bool = True
    coding: str | None = field(default=None, repr=False)

    @property
    def transient(self) -> bool:
        """Whether asking again may help: when the body was not JSON."""
        return not self.is_json

    def __str__(self) -> str:
        differences = "; ".join(str(finding) for finding in self.findings)
        next_step = (
            "If the service has changed, change openapi.yaml and run make generate; the body is on this error."
            if self.is_json
            else "It most likely comes from the CDN in front of the gateway: ask again; wait() does so by itself."
        )
        if self.coding is not None:
            next_step = "Nothing but identity was asked for: look at what stands between the gateway and this machine."
        about = f" about request {shorten(self.request_id)!r}" if self.request_id is not None else ""
        return f"The answer{about} breaks the contract: {differences}. {next_step}"


@define(slots=False)
class GenerationFailed(LongCatError):  # noqa: N818 - the name is part of the public surface.
    """The service says that the request failed. This is final.

    Attributes:
        status: the last answer, with the service's reason in `status.error`.
    """

    verb: ClassVar[str] = "failed"

    status: Status

    def __str__(self) -> str:
        reason = f": {sentence(self.status.error)}" if self.status.error else ". It gave no reason."
        return (
            f"The service says {shorten(self.status.raw_state)!r}: request {shorten(self.status.request_id)!r} "
            f"{self.verb}{reason} Submit it again if the picture is still wanted."
        )


class GenerationCancelled(GenerationFailed):
    """The service says that the request was cancelled."""

    verb = "was cancelled"


@define(slots=False)
class SubmitUnknown(LongCatError):  # noqa: N818 - as above.
    """Nobody knows whether the gateway took an order: it went out, and no readable acceptance came back.

    It may have been taken, and paid for. It is never sent again by itself. The same goes for an order of which the
    journal could not note that it was taken: there the request is known.

    Attributes:
        order: what was ordered.
        message: what is known.
        status_code: what the gateway answered. None: no answer came.
        request_id: the request that came of it, where the gateway took it, but the journal could not note that. None:
            no request is known.
    """

    order: OrderRequest
    message: str
    status_code: int | None = None
    request_id: str | None = None

    def __str__(self) -> str:
        name = f" {shorten(self.order.id)!r}" if self.order.id is not None else ""
        order = f"The order{name} for {shorten(self.order.prompt, 60)!r}"
        if self.request_id is not None:
            return (
                f"{order} was taken, as request {shorten(self.request_id)}, but the journal does not say so:"
                f" {sentence(self.message)} Wait for that request, and don't send the order again; longcat does not, by"
                " itself."
            )
        return (
            f"{order} is in doubt: {sentence(self.message)} It may have"
            " been taken, and paid for. Look into the account before you send it again; longcat does not, by itself."
        )


@define(slots=False)
class WaitTimeout(LongCatError, TimeoutError):  # noqa: N818 - as above.
    """The deadline passed before the request was done. The request itself goes on; it can be waited for again.

    Attributes:
        request_id: the request that was waited for.
        elapsed: how many seconds were waited.
        last_status: the last answer. None: there was none.
        last_error: the transient error that came after it. None: the last question was answered.
        asked: whether the gateway was asked at all. It is not while a `Retry-After` holds, or while other waits use up
            the client's rate limit.
        pause: the pause that lasts longer than the wait was to last, which ended it early. None: there was none.
    """

    request_id: str
    elapsed: float
    last_status: Status | None = None
    last_error: LongCatError | None = None
    asked: bool = True
    pause: Pause | None = None

    def __str__(self) -> str:
        outcome = "no answer came" if self.elapsed and self.asked else "it was not asked about"
        if self.last_status is not None:
            progress = self.last_status.progress
            outcome = f"the last answer was {shorten(self.last_status.raw_state)!r}"
            outcome += f" at {progress:.0%}" if progress is not None else ""
        trouble = f" The last error was: {self.last_error}" if self.last_error is not None else ""
        reason = f" It was not waited for any longer, as {self.pause}." if self.pause is not None else ""
        return (
            f"Request {shorten(self.request_id)!r} was not done after {self.elapsed:.1f} s; {outcome}.{reason} "
            f"It goes on without us: wait for it again, or longer.{trouble}"
        )


@define(slots=False)
class DownloadError(LongCatError):
    """The picture could not be downloaded. The target is as it was before, and no partial file is left.

    Attributes:
        url: where it was to be downloaded from. No message shows its user and its query: they may let anybody in.
        message: why it was not.
        next_step: what to do about it.
        status_code: what the storage answered. None: it did not answer, or the fault is not in its answer.
        retryable: whether trying again may help.
        retry_after: seconds that the storage asks to wait before that, at most an hour. None: it did not say.
    """

    url: str = field(repr=lambda url: repr(without_query(url)))
    message: str
    next_step: str
    status_code: int | None = None
    retryable: bool = False
    retry_after: float | None = None

    @property
    def transient(self) -> bool:  # noqa: D102
        return self.retryable

    def __str__(self) -> str:
        return f"{shorten(without_query(self.url), 200)} was not downloaded: {sentence(self.message)} {self.next_step}"


def compact(error: LongCatError) -> None:
    """Take from an error what is large, as a batch may keep thousands: frames, causes, and all but a part of a body.

    What it says, and whether it is transient, stays the same.
    """
    error.__traceback__ = error.__context__ = None
    if isinstance(error.__cause__, LongCatError):
        compact(error.__cause__)
    else:
        error.__cause__ = None  # The errors of libraries hold connections, requests and answers.
    if isinstance(error, PermissionDeniedError) and len(error.body) > RETAINED:
        error._was_transient = error.transient  # noqa: SLF001 - it is of this module.
    match error:
        case APIStatusError():
            error.body = error.body[:RETAINED]
        case APIResponseValidationError():
            error.body = error.body[:RETAINED]
            error.findings = error.findings[:MAX_FINDINGS]
        case GenerationFailed():
            error.status = error.status.compact(RETAINED)
        case WaitTimeout():
            error.last_status = error.last_status and error.last_status.compact(RETAINED)
            if error.last_error is not None:
                compact(error.last_error)
    kind: Any = type(error)
    if has(kind):  # They hold the values that the error was made with.
        error.args = tuple(getattr(error, one.name) for one in fields(kind) if one.init)

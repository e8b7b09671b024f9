"""The errors of a store that is reached over a network, in words that say what to do about them.

The libraries below raise errors of a hundred classes. They are told apart by what they have in common: the HTTP status
that they carry, Python's own class of which they are, and the names of the few that have neither.
"""

import errno
from collections.abc import Iterator
from http import HTTPStatus
from typing import Final

from attrs import define

from longcat.errors import is_transient
from longcat.saving.stores.urls import StoreUrl
from longcat.text import shorten, without_queries

CREDENTIALS: Final = frozenset(
    {
        *("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound"),
        *("DefaultCredentialsError", "RefreshError", "ClientAuthenticationError", "TokenRetrievalError"),
        *("AuthenticationException", "PasswordRequiredException", "BadAuthenticationType", "UnknownHostError"),
    }
)
"""Errors about who we are, or who the other side is."""
TRANSIENT_ERRORS: Final = frozenset(
    {
        *("EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "ConnectionClosedError"),
        *("HTTPClientError", "ResponseParserError", "IncompleteReadError", "ServiceRequestError"),
        *("ServiceResponseError", "SSHException", "ChannelException", "ClientConnectionError", "ServerTimeoutError"),
        *("ClientPayloadError", "ServerDisconnectedError", "NoValidConnectionsError", "EOFError", "TransportError"),
        *("TimeoutError", "ConnectionError", "gaierror"),
    }
)
"""Errors of connections, which may come about later."""
TRANSIENT_ERRNOS: Final = frozenset(
    {
        *(errno.EBUSY, errno.ETIMEDOUT, errno.ECONNREFUSED, errno.ECONNRESET, errno.EPIPE, errno.ENETUNREACH),
        *(errno.EHOSTUNREACH, getattr(errno, "EREMOTEIO", errno.ETIMEDOUT)),
    }
)
TRANSIENT_WORDS: Final = ("Socket is closed", "(IncompleteBody)", "(BadDigest)", "(XAmzContentSHA256Mismatch)")
"""What paramiko says of a connection that has ended, and S3 of bytes that came in part, or came altered."""
SKEWED: Final = "TimeTooSkewed"
"""What S3 says of a clock that is wrong."""
NO_SUCCESS: Final = range(HTTPStatus.MULTIPLE_CHOICES, 600)
"""The status codes that say that a store did not do it."""
MAX_CHAIN: Final = 8
"""How many errors that led to one another are looked at."""


@define
class StoreError(OSError):
    """A store did not do what it was asked for.

    Attributes:
        message: why not.
        next_step: what to do about it.
        transient: whether trying again may help.
        denied: whether we may not do this, or it was not told apart from that.
    """

    message: str
    next_step: str
    transient: bool = False
    denied: bool = False

    def __str__(self) -> str:
        return f"{self.message} {self.next_step}"


def is_conflict(error: Exception) -> bool:
    """Whether an error of a library below says that there is such an object already."""
    return isinstance(error, FileExistsError) or HTTPStatus.PRECONDITION_FAILED in map(_status, _chain(error))


def fault_of(error: Exception, where: str, url: StoreUrl) -> StoreError | FileExistsError:
    """Return what an error of a library below means.

    Args:
        error: the error.
        where: the place that was written or asked, without any secret.
        url: the store, with what must be in no message.
    """
    if is_conflict(error):
        return FileExistsError(where)
    chain = list(_chain(error))
    names = {kind.__name__ for one in chain for kind in type(one).__mro__}
    status = next((status for one in chain if (status := _status(one)) is not None), None)
    reason = _reason(chain, url)
    is_skewed = any(SKEWED in str(one) for one in chain)
    if is_skewed or names & CREDENTIALS or "credentials" in reason:
        next_step = "Set the clock of this machine." if is_skewed else "Look at the credentials in the environment."
        return StoreError(f"{where} can't be used: {reason}", next_step)
    passes = names & TRANSIENT_ERRORS or any(
        getattr(one, "errno", None) in TRANSIENT_ERRNOS or any(word in str(one) for word in TRANSIENT_WORDS)
        for one in chain
    )
    if passes or (status is not None and (is_transient(status) or status == HTTPStatus.CONFLICT)):
        return StoreError(f"{where} can't be reached at the moment: {reason}", "Try again later.", transient=True)
    if isinstance(error, PermissionError) or status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        message = f"{where} may not be used: {reason}"
        return StoreError(message, "Look at the credentials, and at what they allow.", denied=True)
    message, next_step = f"{where} can't be used: {reason}", "Choose a place that can be written to."
    if isinstance(error, FileNotFoundError) or status == HTTPStatus.NOT_FOUND:
        message, next_step = f"There is no bucket or folder for {where}: {reason}", "Make it, or name another one."
    return StoreError(message, next_step)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what led to it, as far as anybody said so."""
    one: BaseException | None = error
    for _ in range(MAX_CHAIN):
        if one is None:
            return
        yield one
        one = one.__cause__


def _status(error: BaseException) -> int | None:
    """Return the HTTP status that an error carries. None: it carries none."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        found = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        return found if isinstance(found, int) else None
    for name in ("status_code", "status", "code"):
        found = getattr(error, name, None)
        if isinstance(found, str) and found.isdecimal():
            found = int(found)
        if isinstance(found, int) and found in NO_SUCCESS:
            return found
    return None


def _reason(chain: list[BaseException], url: StoreUrl) -> str:
    """Return the first words that an error has, or its class, without what nobody should see."""
    for one in chain:
        text = str(one.strerror if isinstance(one, OSError) and one.strerror else one).strip()
        if text:
            words = shorten(without_queries(url.hide(text).splitlines()[0]), 200)
            return words if words.endswith((".", "!", "?")) else f"{words}."
    return "it took too long." if isinstance(chain[0], TimeoutError) else f"{type(chain[0]).__name__}."

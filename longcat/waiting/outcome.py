"""The outcome of a request: its image, or the error that says why there is none."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from attrs import frozen

from longcat.errors import (
    APIStatusError,
    AuthenticationError,
    GenerationCancelled,
    GenerationFailed,
    InsufficientBalanceError,
    LongCatError,
    PermissionDeniedError,
    WaitTimeout,
    compact,
)
from longcat.models import Image, Order, OrderRequest, State, Status

GENERATION_ERRORS: Final[Mapping[State, type[GenerationFailed]]] = {
    State.FAILED: GenerationFailed,
    State.CANCELLED: GenerationCancelled,
}
ACCOUNT: Final = (AuthenticationError, InsufficientBalanceError, PermissionDeniedError)
"""What is wrong with the key or the account, and no order: each other one would be refused, too."""


def is_refusal(error: LongCatError) -> bool:
    """Whether the gateway refused this order, or to tell of this request, for good, as one that it does not know."""
    return isinstance(error, APIStatusError) and not error.transient and not isinstance(error, ACCOUNT)


def image_of(status: Status | None) -> Image:
    """Return the image of a final status, or raise GenerationFailed or GenerationCancelled."""
    if status is None or not status.state.is_final:
        raise ValueError("a request has an image when it is done, not before")
    if status.image is None:
        raise GENERATION_ERRORS[status.state](status)
    return status.image


@frozen
class Outcome:
    """The outcome of one request of many: an image, or the error that `wait` would have raised.

    Attributes:
        request_id: which request. Empty: it was to be ordered, and no request is known to have come of that.
        image: the image. None: the wait ended in an error.
        error: why there is no image. None: the wait ended in an image.
        status: the last answer. None: no answer came.
        elapsed: how many seconds were waited.
        order: what was ordered. None: the request was only waited for.

    A program may keep thousands of them, so an error has no traceback and no more than 16 KiB of a body, and the raw
    answer of a status is dropped if it is larger.
    """

    request_id: str
    image: Image | None = None
    error: LongCatError | None = None
    status: Status | None = None
    elapsed: float = 0.0
    order: OrderRequest | None = None

    def __attrs_post_init__(self) -> None:
        if self.error is not None:
            compact(self.error)

    def result(self) -> Image:
        """Return the image, or raise the error."""
        if self.image is None:
            raise self.error or ValueError("an outcome has an image or an error")
        return self.image


def id_of(request: str | Order) -> str:
    """Return the id of a request, or of the request that came of an order."""
    return request.request_id if isinstance(request, Order) else request


class OrderedResults:
    """The outcomes of the requests of a batch, in the order in which the ids were given."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._results: dict[str, Image | LongCatError | None] = {}

    def take(self, request: str | Order) -> str | Order:
        """Note a request that is taken, and return it."""
        self._ids.append(id_of(request))
        return request

    def add(self, outcome: Outcome) -> None:
        """Take in what came of a request."""
        self._results[outcome.request_id] = outcome.image or outcome.error

    def results(self, requests: Any) -> list[Image | LongCatError]:
        """Return one result for each request. One of a collection that was not even taken gets a `WaitTimeout`.

        Args:
            requests: what the requests were taken from.
        """
        ids = map(id_of, requests) if isinstance(requests, Collection) else self._ids
        return [self._results.get(one) or WaitTimeout(one, 0.0, asked=False) for one in ids]

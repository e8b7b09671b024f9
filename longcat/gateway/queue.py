"""The queue gateway: a POST that takes an order, and a GET that answers how the request of any model stands."""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeGuard, cast

from attrs import evolve, frozen
from longcat_api import models
from longcat_api.types import UNSET

from longcat.errors import APIResponseValidationError, APIStatusError, ConfigurationError, SubmitUnknown
from longcat.gateway import reading
from longcat.gateway.contract import SUBMIT, OperationId, contract
from longcat.gateway.messages import Answer, Call
from longcat.gateway.order_fields import cost
from longcat.gateway.sister_models import as_documented, picture_urls
from longcat.gateway.status import StatusGateway, or_none
from longcat.models import Image, Order, OrderRequest, State, Status, Violation
from longcat.settings import is_http_url, usable_request_id
from longcat.text import shorten, show
from longcat.text.hiding import KEY_PLACEHOLDER, hiding

if TYPE_CHECKING:
    from decimal import Decimal

NOT_TAKEN: Final = frozenset({*range(400, 500), 307, 308} - {HTTPStatus.REQUEST_TIMEOUT})
"""Answers that say that the order was not taken. All others leave it open: the gateway may have failed after it took
the order."""


@frozen
class QueueGateway(StatusGateway):
    """The gateway that takes orders."""

    operation_id: ClassVar[OperationId] = "get_request_status"
    address_pointer: ClassVar[str] = "/output/media_url/{}"

    @property
    def seconds_per_question(self) -> float:
        """The seconds that the contract advises between two questions about a request."""
        return float(self.contract.extensions["x-seconds-per-question"])

    def cost(self, order: OrderRequest) -> "Decimal":
        """Return what an order costs at most, in US dollars."""
        return cost(order)

    def ask(self, request_id: str, timeout: float) -> Call:
        """Return the call that asks how a request stands."""
        # It is private, as the generator means each call to be sent on its own; here, a driver sends them.
        from longcat_api.api.requests.get_request_status import _get_kwargs  # noqa: PLC0415 - it brings all models.

        return self._call(_get_kwargs(request_id), self.contract, timeout)

    def order(self, order: OrderRequest, timeout: float) -> Call:
        """Return the call that sends an order. It must not be sent twice."""
        from longcat_api.api.requests.submit_request import _get_kwargs  # noqa: PLC0415 - as above.

        arguments = _get_kwargs(
            body=models.SubmitRequest.from_dict(order.body),
            x_webhook_url=order.webhook_url or UNSET,
            x_webhook_mode=cast("Any", order.webhook_mode or UNSET),  # `longcat.gateway.order_fields` has checked it.
        )
        return self._call(arguments, contract(SUBMIT), timeout)

    def read_order(self, order: OrderRequest, answer: Answer) -> Order:
        """Return the order that the gateway took.

        Raises APIStatusError when it certainly did not take it, and SubmitUnknown when nobody can say.
        """
        try:
            body = reading.decode(None, answer, self.api_key)
        except APIStatusError as error:
            refused = error.status_code in NOT_TAKEN
            refused = refused or (error.status_code == HTTPStatus.SERVICE_UNAVAILABLE and error.retry_after is not None)
            taken_as = _taken_all_the_same(error.body)
            if refused and taken_as is None:
                raise
            message = f"the gateway answered {error.status_code}: {error.message}"
            if taken_as is not None:
                message += f", though it names the request {show(taken_as)}"
            raise SubmitUnknown(order, message, error.status_code) from error
        except APIResponseValidationError as error:
            seen = "; ".join(map(str, error.findings))
            raise SubmitUnknown(order, f"the answer can't be read: {seen}", answer.status_code) from error
        taken = self._taken(body)
        if taken is None:
            hide, words = hiding(self.api_key), reading.error_words(body)
            reason = f", and says: {shorten(hide(words), 200)}" if words else ""
            message = f"the answer names no request{reason}"
            if isinstance(body, dict) and body.get("request_id") is not None:
                message = (
                    f"the answer names a request that can't be asked for, {show(body['request_id'], hide)}{reason}"
                )
            raise SubmitUnknown(order, message, answer.status_code)
        return taken

    def _taken(self, body: Any) -> Order | None:
        """Return the order in a decoded answer. None: it has neither an id nor pictures."""
        if not isinstance(body, dict):
            return None
        request_id, word, urls = body.get("request_id"), body.get("status"), picture_urls(body)
        if any(KEY_PLACEHOLDER in url for url in urls):
            urls = ()  # The key would go to whoever they lead to.
        if not _is_request_id(request_id):
            if not urls:
                return None
            # The pictures themselves, of a request that has no id. They need a name, for files and for the journal.
            request_id = f"unnamed-{sha256(urls[0].encode(errors='surrogatepass')).hexdigest()[:16]}"
        if not isinstance(word, str):
            word = State.COMPLETED.value if urls else State.QUEUED.value
        state = State.COMPLETED if urls else State.of(word)
        words = reading.error_words(as_documented(body)) if state.is_final else None
        if state is State.COMPLETED and not urls:
            state = State.QUEUED  # It says that it is done, and does not say where the pictures are: ask.
        hide = hiding(self.api_key)
        status = Status(
            request_id,
            state,
            raw_state=hide(word),
            image=Image(request_id, urls[0], urls) if urls else None,
            error=hide(words) if words else None,
            raw=body,
        )
        url = body.get("polling_url")
        return Order(request_id, status, hide(url) if isinstance(url, str) and is_http_url(url) else None)

    def _as_documented(self, body: Any) -> Any:
        return as_documented(body)

    def _addresses(self, body: Mapping[str, Any]) -> Sequence[str]:
        return picture_urls(body)

    def _image(self, request_id: str, raw: Any) -> Image | None:
        if not isinstance(raw, models.CompletedRequest):
            return None
        urls = tuple(raw.output.media_url)
        began, ended = or_none(raw.created_at), or_none(raw.completed_at)
        duration = ended - began if began is not None and ended is not None and ended >= began else None
        return Image(request_id, urls[0], urls, began, duration)


def _taken_all_the_same(body: bytes) -> str | None:
    """Return the id of the request that is under way or done, as the body of an error says. None: it does not.

    An id alone says nothing: many gateways have one for each call, so that people can complain about it.
    """
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict) or not isinstance(word := fields.get("status"), str):
        return None
    is_alive = State.of(word) in {State.QUEUED, State.PROCESSING, State.COMPLETED}
    return fields["request_id"] if is_alive and _is_request_id(fields.get("request_id")) else None


def read_callback(body: bytes, *, whole: bool = True) -> Status:
    """Return the status in the body of a callback, which has the form of an answer about a request.

    Raises APIResponseValidationError when it has not, or when the body is not `whole`.
    """
    gateway, answer = QueueGateway("", ""), Answer(HTTPStatus.OK, {}, body, whole)
    try:
        decoded = reading.decode(None, answer, "")
    except APIResponseValidationError as error:
        raise evolve(error, is_json=True) from None  # To ask again, as after an answer that is cut, makes no sense.
    request_id = decoded.get("request_id") if isinstance(decoded, dict) else None
    if not _is_request_id(request_id):
        wrong = Violation("/request_id", "the id of a request", show(request_id))
        raise reading.breach(None, answer, "", [wrong])
    return gateway.read(request_id, answer)


def _is_request_id(value: Any) -> TypeGuard[str]:
    try:
        usable_request_id(value)
    except ConfigurationError:
        return False
    return KEY_PLACEHOLDER not in value  # The key would go into an address.

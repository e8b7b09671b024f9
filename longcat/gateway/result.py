"""The result gateway: one call, a POST that answers with the status and, once there is one, with the image."""

import json
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any, Final, TypeVar

from attrs import field, frozen
from longcat_api.api.requests.get_request_result import (
    # The generator keeps it to itself, as it means to send each call on its own; here, a driver sends them.
    _get_kwargs as request_result_call,
)
from longcat_api.models import CompletedStatus, StatusRequest
from longcat_api.types import Unset

from longcat.errors import APIResponseValidationError
from longcat.gateway import reading
from longcat.gateway.contract import contract
from longcat.gateway.messages import Answer, Call
from longcat.gateway.reading import error_words
from longcat.gateway.schema import MISSING, Schema, violations
from longcat.models import Image, State, Status, Violation
from longcat.text import Hide, hiding, show

T = TypeVar("T")

UNDOCUMENTED: Final[Schema] = {"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}}
"""All that can be asked of an answer whose status word the contract does not have."""


@frozen
class ResultGateway:
    """The gateway that answers for requests at one URL.

    Attributes:
        base_url: scheme and host, without a path.
        api_key: sent to this base URL and nowhere else. It is in no repr and in no message.
    """

    base_url: str
    api_key: str = field(repr=False)

    def ask(self, request_id: str, timeout: float) -> Call:
        """Return the call that asks how a request stands."""
        call = request_result_call(body=StatusRequest(request_id))
        return Call(
            method=call["method"].upper(),
            url=self.base_url + call["url"],
            timeout=timeout,
            headers={
                **call["headers"],
                "Accept": "application/json",
                contract("get_request_result").key_header: self.api_key,
            },
            content=json.dumps(call["json"]).encode(),
        )

    def read(self, request_id: str, answer: Answer) -> Status:
        """Return what the answer says about the request, or raise what is wrong with it."""
        body, hide = reading.decode(request_id, answer, self.api_key), hiding(self.api_key)
        wrong = list(_violations(request_id, body, hide))
        if wrong:
            raise self.breach(request_id, answer, wrong)
        try:
            return _status(request_id, body, hide)
        except OverflowError:
            expected, seen = "a number of seconds that a calendar can hold", show(body["duration_seconds"])
            raise self.breach(request_id, answer, [Violation("/duration_seconds", expected, seen)]) from None

    def breach(self, request_id: str, answer: Answer, wrong: Iterable[Violation]) -> APIResponseValidationError:
        """Return the error for an answer that breaks the contract in these places."""
        return reading.breach(request_id, answer, self.api_key, wrong)


def _violations(request_id: str, body: Any, hide: Hide) -> Iterator[Violation]:
    """Yield what in a decoded answer breaks the contract. An undocumented status word alone does not."""
    if not isinstance(body, dict) or not isinstance(body.get("status"), str):
        yield from violations(UNDOCUMENTED, body, hide)
        if words := error_words(body):
            yield Violation("/error", MISSING, show(words, hide))
        return
    # Documented words count in any case: the older and the newer gateway differ in it.
    word = body["status"].casefold()
    variant = contract("get_request_result").variants.get(word)
    yield from violations(variant.schema if variant is not None else UNDOCUMENTED, {**body, "status": word}, hide)
    answered = body.get("request_id", request_id)
    if isinstance(answered, str) and answered != request_id:
        yield Violation("/request_id", show(request_id), show(answered, hide))


def _status(request_id: str, body: dict[str, Any], hide: Hide) -> Status:
    """Return the status in a body that keeps the contract."""
    word: str = body["status"]
    state = State.of(word)
    variant = contract("get_request_result").variants.get(word.casefold())
    raw = variant.model.from_dict({**body, "status": word.casefold()}) if variant is not None else body
    progress: Any = body.get("progress")
    words = error_words(body) if state in {State.FAILED, State.CANCELLED} else None
    return Status(
        request_id,
        state,
        raw_state=hide(word),
        progress=float(progress) if _is_share(progress) else None,
        image=_image(raw) if isinstance(raw, CompletedStatus) else None,
        error=hide(words) if words else None,
        raw=raw,
    )


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _image(model: CompletedStatus) -> Image:
    """Return the image of a completed request. Raises OverflowError for a duration that Python can't hold."""
    seconds = _or_none(model.duration_seconds)
    return Image(
        request_id=model.request_id,
        url=model.result_url,
        urls=(model.result_url,),
        created_at=_or_none(model.created_at),
        duration=timedelta(seconds=seconds) if seconds is not None else None,
        model_version=_or_none(model.model_version),
    )


def _or_none(value: T | Unset) -> T | None:
    return None if isinstance(value, Unset) else value

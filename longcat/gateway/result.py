"""Calls out, answers in: the one module that knows the generated package.

A gateway is an object that turns a question into a `Call`, and the `Answer` to it into a `Status`. The queue gateway,
when it comes, is a second class beside `ResultGateway`, for `client` to choose.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final, TypeVar

import httpx
import longcat_api
from attrs import evolve, field, frozen
from longcat_api.api.requests.get_request_result import (
    # The generator keeps these to itself, as it means to send each call on its own; here, a driver sends them.
    _get_kwargs as request_result_call,
)
from longcat_api.api.requests.get_request_result import _parse_response as request_result_answer
from longcat_api.models import CompletedStatus, StatusRequest
from longcat_api.types import Unset

from longcat import errors
from longcat.gateway.contract import contract
from longcat.gateway.messages import MAX_ANSWER, Answer, Call
from longcat.gateway.schema import (
    MISSING,
    Schema,
    violations,
)
from longcat.models import (
    Image,
    State,
    Status,
    Violation,
)
from longcat.text import Hide, describe, hiding, shorten, show

T = TypeVar("T")

STATUS_ERRORS: Final[Mapping[int, type[errors.APIStatusError]]] = MappingProxyType(
    {
        400: errors.BadRequestError,
        401: errors.AuthenticationError,
        402: errors.InsufficientBalanceError,
        403: errors.PermissionDeniedError,
        404: errors.NotFoundError,
        429: errors.RateLimitError,
    }
)


@frozen
class ResultGateway:
    """The gateway with one call, a POST that answers status and result.

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
            headers={**call["headers"], "Accept": "application/json", contract().key_header: self.api_key},
            content=json.dumps(call["json"]).encode(),
        )

    def read(self, request_id: str, answer: Answer) -> Status:
        """Return what the answer says about the request, or raise what is wrong with it."""
        if not HTTPStatus.OK <= answer.status_code < HTTPStatus.MULTIPLE_CHOICES:
            raise self._status_error(request_id, answer)
        if not answer.whole:
            too_long = Violation("", f"at most {MAX_ANSWER} bytes long", "longer")
            is_json = answer.body.lstrip()[:1] in {b"{", b"["}
            raise self.breach(request_id, answer, [too_long], is_json=is_json)
        try:
            body = json.loads(answer.body, parse_int=_integer)
            wrong = list(_findings(request_id, body, self._hide))
            if wrong:
                raise self.breach(request_id, answer, wrong)
            return _status(request_id, body, self._hide)
        except ValueError:
            no_json = Violation("", "JSON", describe(self._without_key(answer)))
            raise self.breach(request_id, answer, [no_json], is_json=False) from None
        except RecursionError:
            too_deep = Violation("", "JSON", "nested too deeply to read")
            raise self.breach(request_id, answer, [too_deep]) from None
        except OverflowError:
            too_long = Violation(
                "/duration_seconds", "a number of seconds that a calendar can hold", show(body["duration_seconds"])
            )
            raise self.breach(request_id, answer, [too_long]) from None

    def breach(
        self, request_id: str, answer: Answer, wrong: Iterable[Violation], *, is_json: bool = True
    ) -> errors.APIResponseValidationError:
        """Return the error for an answer that breaks the contract so."""
        return errors.APIResponseValidationError(tuple(wrong), self._without_key(answer), request_id, is_json)

    def _status_error(self, request_id: str, answer: Answer) -> errors.APIStatusError:
        usual = errors.InternalServerError if answer.status_code in range(500, 600) else errors.APIStatusError
        body = self._without_key(answer)
        return STATUS_ERRORS.get(answer.status_code, usual)(
            status_code=answer.status_code,
            message=self._hide(_reason(evolve(answer, body=body))),
            body=body,
            retry_after=answer.retry_after,
            request_id=request_id,
        )

    @property
    def _hide(self) -> Hide:
        """What takes the key out of a text: an answer may quote what it was asked with."""
        return hiding(self.api_key)

    def _without_key(self, answer: Answer) -> bytes:
        body = self._hide(answer.body.decode("latin-1"))
        if not answer.whole:  # It may have been cut in the midst of the key.
            halves = (self.api_key[:length] for length in range(len(self.api_key) - 1, 0, -1))
            body = body.removesuffix(next((half for half in halves if body.endswith(half)), ""))
        return body.encode("latin-1")


def _reason(answer: Answer) -> str:
    """Return why the gateway said no: its own words, else what its body looks like, else the code's name."""
    if HTTPStatus.MULTIPLE_CHOICES <= answer.status_code < HTTPStatus.BAD_REQUEST and "location" in answer.headers:
        target = show(answer.headers["location"])
        return f"a redirect to {target}, not followed because the key would go with it"
    try:
        words = error_words(json.loads(answer.body))
    except (ValueError, RecursionError):
        words = describe(answer.body) if answer.body.strip() else None
    if words:
        return shorten(words, 200)
    try:
        return HTTPStatus(answer.status_code).phrase.lower()
    except ValueError:  # The CDN has codes of its own.
        return "no reason given"


def _integer(digits: str) -> int | float:
    """Return the number, as infinity when Python refuses to read so many digits."""
    try:
        return int(digits)
    except ValueError:
        return float(digits)


def error_words(body: Any) -> str | None:
    """Return what a decoded body gives as the reason, under `error`, `message` or both; one may hold the other."""
    if not isinstance(body, dict):
        return None
    words = [body.get("error"), body.get("message")]
    said = [error_words(word) if isinstance(word, dict) else word for word in words]
    return ": ".join(word for word in said if isinstance(word, str) and word.strip()) or None


def _findings(request_id: str, body: Any, hide: Hide) -> Iterator[Violation]:
    """Yield what in a decoded answer breaks the contract. A status word that is not documented does not by itself."""
    if not isinstance(body, dict) or not isinstance(body.get("status"), str):
        yield from violations(UNDOCUMENTED, body, hide)
        if words := error_words(body):
            yield Violation("/error", MISSING, show(words, hide))
        return
    # Documented words count in any case: the older and the newer gateway differ in it.
    word = body["status"].casefold()
    yield from violations(contract().variants.get(word, UNDOCUMENTED), {**body, "status": word}, hide)
    answered = body.get("request_id", request_id)
    if isinstance(answered, str) and answered != request_id:
        yield Violation("/request_id", show(request_id), show(answered, hide))


UNDOCUMENTED: Final[Schema] = {"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}}
"""All that can be asked of an answer whose status word the contract does not have."""


def _status(request_id: str, body: dict[str, Any], hide: Hide) -> Status:
    """Return the status in a body that was found to be good."""
    word: str = body["status"]
    state = State.of(word)
    progress: Any = body.get("progress")
    words = error_words(body) if state in {State.FAILED, State.CANCELLED} else None
    raw: Any = body
    image = None
    if word.casefold() in contract().variants:
        text = json.dumps({**body, "status": word.casefold()})
        raw = request_result_answer(
            client=longcat_api.Client(base_url=""), response=httpx.Response(HTTPStatus.OK, content=text.encode())
        )
        image = _image(raw) if isinstance(raw, CompletedStatus) else None
    return Status(
        request_id,
        state,
        raw_state=hide(word),
        progress=float(progress) if _is_share(progress) else None,
        image=image,
        error=hide(words) if words else None,
        raw=raw,
    )


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _image(model: CompletedStatus) -> Image:
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

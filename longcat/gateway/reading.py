"""Reads what the answers of all gateways have in common: status codes, JSON, reasons in words, and the key to hide."""

import json
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final

from attrs import evolve

from longcat.decoding import KNOWN
from longcat.errors import (
    APIResponseValidationError,
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    InsufficientBalanceError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
)
from longcat.gateway.messages import MAX_ANSWER, Answer
from longcat.models import Violation
from longcat.text import describe, shorten, show, without_query
from longcat.text.hiding import MIN_SECRET_LENGTH, Hide, hide_body, hiding, hiding_cut

SUCCESSFUL: Final = range(200, 300)
STATUS_ERRORS: Final[Mapping[int, type[APIStatusError]]] = MappingProxyType(
    {
        400: BadRequestError,
        401: AuthenticationError,
        402: InsufficientBalanceError,
        403: PermissionDeniedError,
        404: NotFoundError,
        429: RateLimitError,
    }
)


def decode(request_id: str | None, answer: Answer, api_key: str) -> Any:
    """Return the JSON value in an answer, without the key, which an answer may quote.

    A key that is so short that it could be any word stays in it.

    Raises the APIStatusError for a status code outside of 200 to 299, and APIResponseValidationError for a body that
    is too long, is in a content coding that can't be undone, or is not JSON.
    """
    if answer.status_code not in SUCCESSFUL:
        raise _status_error(request_id, answer, api_key)
    if answer.coding is not None:
        hide = hiding(api_key)
        unread = Violation("", f"in a content coding that can be read ({', '.join(KNOWN)})", show(answer.coding, hide))
        raise breach(request_id, answer, api_key, [unread])
    if not answer.whole:
        too_long = Violation("", f"at most {MAX_ANSWER} bytes long", "longer")
        is_json = answer.body.lstrip()[:1] in {b"{", b"["}
        raise breach(request_id, answer, api_key, [too_long], is_json=is_json)
    try:
        text = _text(answer.body)
        return _decode_json(text if len(api_key) < MIN_SECRET_LENGTH else _hidden(text, hiding(api_key)))
    except ValueError:
        no_json = Violation("", "JSON", describe(_without_key(answer, api_key)))
        raise breach(request_id, answer, api_key, [no_json], is_json=False) from None
    except RecursionError:
        too_deep = Violation("", "JSON", "nested too deeply to read")
        raise breach(request_id, answer, api_key, [too_deep]) from None


def breach(
    request_id: str | None, answer: Answer, api_key: str, wrong: Iterable[Violation], *, is_json: bool = True
) -> APIResponseValidationError:
    """Return the error for an answer that breaks the contract in these places. The key is taken out of its body."""
    coding = None if answer.coding is None else hiding(api_key)(answer.coding)
    return APIResponseValidationError(tuple(wrong), _without_key(answer, api_key), request_id, is_json, coding)


def error_words(body: Any, depth: int = 8) -> str | None:
    """Return what a decoded body gives as the reason, under `error`, `message` or both; one may hold the other.

    None: it gives none, or only deeper in such objects than `depth`.
    """
    if not isinstance(body, dict) or depth == 0:
        return None
    texts = []
    for word in (body.get("error"), body.get("message")):
        text = error_words(word, depth - 1) if isinstance(word, dict) else word
        if isinstance(text, str) and text.strip():
            texts.append(text)
    return ": ".join(texts) or None


def _status_error(request_id: str | None, answer: Answer, api_key: str) -> APIStatusError:
    usual = InternalServerError if answer.status_code in range(500, 600) else APIStatusError
    hide, body = hiding(api_key), _without_key(answer, api_key)
    headers = {name: hide(value) for name, value in answer.headers.items()}
    coding = None if answer.coding is None else hide(answer.coding)
    return STATUS_ERRORS.get(answer.status_code, usual)(
        status_code=answer.status_code,
        message=_reason(evolve(answer, headers=headers, body=body, coding=coding)),
        body=body,
        retry_after=answer.retry_after,
        request_id=request_id,
        coding=coding,
    )


def _reason(answer: Answer) -> str:
    """Return the reason for an error: the gateway's words, else what its body looks like, else the code's name.

    The answer must be without the key, as the words are cut short.
    """
    if HTTPStatus.MULTIPLE_CHOICES <= answer.status_code < HTTPStatus.BAD_REQUEST and "location" in answer.headers:
        target = show(without_query(answer.headers["location"]))
        return f"a redirect to {target}, not followed because the key would go with it"
    if answer.coding is not None:
        return f"a body in the content coding {show(answer.coding)}, which can't be read"
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


def _without_key(answer: Answer, api_key: str) -> bytes:
    """Return the body without the key."""
    return hide_body(answer.body, hiding(api_key) if answer.whole else hiding_cut(api_key))


def _integer(digits: str) -> int | float:
    """Return the number, as infinity when Python refuses to read so many digits."""
    try:
        return int(digits)
    except ValueError:
        return float(digits)


_DECODER: Final = json.JSONDecoder(parse_int=_integer)


def _text(body: bytes) -> str:
    """Return the text of a JSON body, in any of the encodings of RFC 4627. Raises ValueError when it is none."""
    # Looking for zeros and marks takes four times as long as decoding, and next to no body has them.
    is_plain = body[:1] == b"{" and body[1:2] != b"\0"
    return body.decode("utf-8" if is_plain else json.detect_encoding(body), "surrogatepass")


def _hidden(text: str, hide: Hide) -> str:
    """Return the text of a JSON body without the key."""
    # Line breaks stand between JSON's values and never in a key. As spaces, they need not be looked behind.
    flat = text.replace("\n", " ")
    return text if hide(flat) is flat else hide(text)


def _decode_json(text: str) -> Any:
    """Return the one JSON value in a text. Raises ValueError, or RecursionError when it is nested too deeply."""
    text = text.strip(" \t\n\r")
    value, end = _DECODER.raw_decode(text)
    if end != len(text):
        raise ValueError("more than one value")
    return value

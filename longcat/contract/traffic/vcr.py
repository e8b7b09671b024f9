"""One interaction of a cassette, as an exchange: the request and the response, each an object of its own.

These are known: all versions of vcrpy's format that vcrpy itself still plays, also what vcrpy 4 and 5 write for httpx;
the format of Ruby's VCR, which betamax, schemathesis and rVCR write; go-vcr 1 to 4; and what a serializer has changed
so that people can read the bodies. Other tools' cassettes, and lines of NDJSON, mostly look alike.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final, get_args

from longcat.contract.model import Exchange, Intent, Origin
from longcat.contract.traffic.decoding import (
    NoExchangeError,
    UnreadableError,
    bounded,
    from_base64,
    from_text,
    from_value,
)
from longcat.contract.traffic.exchanges import header_pairs, make_exchange, moment
from longcat.text import shorten

REQUEST_FIELDS: Final = ("request", "req")
RESPONSE_FIELDS: Final = ("response", "res")
URL_FIELDS: Final = ("url", "uri")
"""A gateway that logs both has but the path in the second."""
STATUS_FIELDS: Final = ("code", "status", "status_code", "statusCode")
"""go-vcr has both a code and a status, such as `200 OK`."""
BODY_FIELDS: Final = ("body", "content")
VALUE_FIELDS: Final = ("parsed_body", "json_body", "json")
"""Where a serializer for people puts a body that it has parsed."""
TIME_FIELDS: Final = (
    "recorded_at",
    "recordedAt",
    "recorded",
    "startedDateTime",
    "startedAt",
    "started_at",
    "timestamp",
)
WRAPPER_FIELDS: Final = frozenset({"string", "base64_string", "encoding", "recorded", "file", "raw_gzip"})
"""What an object around a body has of fields. One that has any other is the body itself."""


def is_interaction(data: Any) -> bool:
    """Whether a decoded value looks like an interaction: it holds a request, and perhaps nothing good beside it."""
    return isinstance(data, dict) and isinstance(_first(data, REQUEST_FIELDS), dict)


def exchange_of(
    data: Any, *, source: str, origin: Origin, recorded: datetime | None, key_names: Collection[str]
) -> Exchange:
    """Return the exchange that a decoded interaction holds. Raises UnreadableError when it holds none.

    `recorded` is when its file as a whole was recorded.
    """
    interaction = _mapping(data, "the interaction")
    if "response" in interaction and interaction["response"] is None:
        raise NoExchangeError("has no answer")
    request = _mapping(_first(interaction, REQUEST_FIELDS), "the request")
    response = _mapping(_first(interaction, RESPONSE_FIELDS), "the response")
    url = _first(request, URL_FIELDS)
    if url is None:
        raise UnreadableError("has no URL")
    status, question = _first(response, STATUS_FIELDS), interaction.get("question")
    return make_exchange(
        method=request.get("method"),
        url=url,
        request_headers=header_pairs(request.get("headers")),
        request_body=_body_in(request),
        status_code=_first(status, STATUS_FIELDS) if isinstance(status, dict) else status,
        response_headers=header_pairs(response.get("headers")),
        response_body=_body_in(response),
        source=f"{source} {shorten(question)}" if isinstance(question, str) else source,
        key_names=key_names,
        origin=origin,
        intent=next((known for known in get_args(Intent) if known == interaction.get("intent")), None),
        recorded=next(filter(None, (moment(interaction.get(name)) for name in TIME_FIELDS)), recorded),
    )


def body_from(data: Any) -> bytes | None:
    """Return a body that is text, bytes, an object around them, or the value that its JSON stands for.

    None: there is none. Raises UnreadableError for one that can't be read.
    """
    if isinstance(data, str):
        return from_text(data)
    if isinstance(data, dict | list) and not data:
        return None
    if isinstance(data, dict) and data.keys() <= WRAPPER_FIELDS:
        return _wrapped(data)
    if isinstance(data, dict | list):
        return from_value(data)
    if not isinstance(data, bytes | None):
        raise UnreadableError(f"has a body that is {_kind(data)}")
    return data and bounded(data)


def _body_in(message: Mapping[str, Any]) -> bytes | None:
    value = _first(message, VALUE_FIELDS)
    return body_from(_first(message, BODY_FIELDS)) if value is None else from_value(value)


def _wrapped(data: Mapping[str, Any]) -> bytes | None:
    """Return a body that is an object: a string, perhaps with the name of its encoding; or base64."""
    text, packed, encoding = (data.get(name) for name in ("string", "base64_string", "encoding"))
    if data.get("recorded") == "no":
        return None
    if isinstance(packed, str):
        return from_base64(packed)
    if isinstance(text, str) and isinstance(encoding, str):
        return from_text(text, encoding)
    if "string" not in data:
        raise UnreadableError("has a body that is an object without a string")
    return body_from(text)


def _first(data: Mapping[str, Any], names: Collection[str]) -> Any:
    """Return the first of some fields that there is. None: there is none of them."""
    return next((data[name] for name in names if data.get(name) is not None), None)


def _mapping(data: Any, what: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise UnreadableError(f"is no interaction: {what} is {_kind(data)}")
    return data


def _kind(data: Any) -> str:
    return {dict: "an object", list: "a list", type(None): "missing"}.get(type(data), "a single value")

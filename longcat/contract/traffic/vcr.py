"""One interaction of a VCR cassette, as an exchange.

vcrpy's interactions are known in every version of its format that vcrpy itself still plays; also those of httpx in
vcrpy 4 and 5, and those of Ruby's VCR, which schemathesis writes.
"""

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any, get_args

from longcat.contract.model import Exchange, Intent, Origin
from longcat.contract.traffic.decoding import (
    UnreadableError,
    bounded,
    from_base64,
    from_text,
    make_exchange,
    moment,
)
from longcat.text import shorten


def exchange_of(
    data: Any, *, source: str, origin: Origin, recorded: datetime | None, key_headers: Collection[str]
) -> Exchange:
    """Return the exchange that a decoded interaction holds. Raises UnreadableError when it holds none.

    `recorded` is when its file as a whole was recorded.
    """
    interaction = _mapping(data, "the interaction")
    if "response" in interaction and interaction["response"] is None:
        raise UnreadableError("has no answer")
    request = _mapping(interaction.get("request"), "the request")
    response = _mapping(interaction.get("response"), "the response")
    if "uri" not in request:
        raise UnreadableError("has no URL")
    status = response.get("status", response.get("status_code"))
    question = interaction.get("question")
    return make_exchange(
        method=request.get("method"),
        url=request["uri"],
        request_headers=_headers(request.get("headers")),
        request_body=_body(request.get("body")),
        status_code=status.get("code") if isinstance(status, dict) else status,
        response_headers=_headers(response.get("headers")),
        response_body=_body(response["body"] if "body" in response else response.get("content")),
        source=f"{source} {shorten(question)}" if isinstance(question, str) else source,
        key_headers=key_headers,
        origin=origin,
        intent=next((known for known in get_args(Intent) if known == interaction.get("intent")), None),
        recorded=moment(interaction.get("recorded_at")) or recorded,
    )


def _mapping(data: Any, what: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise UnreadableError(f"is no interaction: {what} is {_kind(data)}")
    return data


def _kind(data: Any) -> str:
    return {dict: "an object", list: "a list", type(None): "missing"}.get(type(data), "a single value")


def _headers(data: Any) -> Iterator[tuple[str, str]]:
    """Yield headers that are a mapping, to a value or to several."""
    if not isinstance(data, dict | None):
        raise UnreadableError("has headers that are not a mapping")
    for name, values in (data or {}).items():
        for value in values if isinstance(values, list) else [values]:
            if not isinstance(name, str) or not isinstance(value, str | bytes | int | float | None):
                raise UnreadableError("has a header that is not a name with a value")
            text = value.decode("latin-1") if isinstance(value, bytes) else "" if value is None else str(value)
            yield name, text.strip()


def _body(data: Any) -> bytes | None:
    """Return a body that is text, bytes, pieces of them, or an object around them; None when there is none."""
    if isinstance(data, dict):
        return _wrapped(data)
    if isinstance(data, list) and all(isinstance(piece, str | bytes) for piece in data):
        return b"".join(_body(piece) or b"" for piece in data)
    if isinstance(data, str):
        return from_text(data)
    if not isinstance(data, bytes | None):
        raise UnreadableError(f"has a body that is {_kind(data)}")
    return data and bounded(data)


def _wrapped(data: dict[str, Any]) -> bytes | None:
    """Return a body that is an object: a string, perhaps with the name of its encoding; or base64."""
    text, packed, encoding = (data.get(name) for name in ("string", "base64_string", "encoding"))
    if data.get("recorded") == "no":
        return None
    if isinstance(packed, str):
        return from_base64(packed)
    if isinstance(text, str) and isinstance(encoding, str):
        return from_text(text, encoding)
    if data and "string" not in data:
        raise UnreadableError("has a body that is an object without a string")
    return _body(text)

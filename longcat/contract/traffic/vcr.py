"""One interaction of a VCR cassette, as an exchange; and the other way round.

vcrpy's interactions are known in every version of its format that vcrpy itself still plays; also those of httpx in
vcrpy 4 and 5, and those of Ruby's VCR, which schemathesis writes.
"""

from collections.abc import Collection, Iterator, Mapping
from http import HTTPStatus
from typing import Any, get_args

from longcat.contract.model import Exchange, Intent, Origin
from longcat.contract.traffic.exchange import UnreadableError, bounded, from_base64, from_text, make_exchange
from longcat.text import shorten


def exchange_of(data: Any, *, source: str, origin: Origin, key_headers: Collection[str]) -> Exchange:
    """Return the exchange that a decoded interaction holds. Raises UnreadableError when it holds none."""
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
    )


def interaction_of(exchange: Exchange) -> dict[str, Any]:
    """Return the interaction that holds an exchange, for a serializer.

    vcrpy passes over what it does not know beside `request` and `response`, and in a response.
    """
    try:
        phrase = HTTPStatus(exchange.status_code).phrase
    except ValueError:  # A CDN has codes of its own.
        phrase = ""
    answer: dict[str, Any] = {"string": _readable(exchange.response_body or b"")}
    if exchange.response_body is None:
        answer["recorded"] = "no"
    about = {"question": _question(exchange.source), "intent": exchange.intent}
    return {
        **{name: value for name, value in about.items() if value},
        "request": {
            "method": exchange.method,
            "uri": exchange.url,
            "headers": _lists(exchange.request_headers),
            "body": None if exchange.request_body is None else _readable(exchange.request_body),
        },
        "response": {
            "status": {"code": exchange.status_code, "message": phrase},
            "headers": _lists(exchange.response_headers),
            "body": answer,
        },
    }


def _question(source: str) -> str:
    """Return a source without the file that it was read from."""
    file, number, question = source.partition("#")
    return question.lstrip("0123456789").strip() if number and file else source


def _lists(headers: Mapping[str, str]) -> dict[str, list[str]]:
    return {name: [headers[name]] for name in sorted(headers)}


def _readable(body: bytes) -> str | bytes:
    """Return a body as text if it is text: a cassette is read by people."""
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body


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
            yield name, _line(value)


def _line(value: str | bytes | float | None) -> str:
    text = value.decode("latin-1") if isinstance(value, bytes) else "" if value is None else str(value)
    return text.strip()


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

"""One entry of an HTTP Archive (HAR 1.2), as an exchange.

Browsers, proxies and API tools write it each in their own way: see the tests for what is known of them.
"""

import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

from longcat.contract.model import Exchange
from longcat.contract.traffic.decoding import NoExchangeError, UnreadableError, from_base64, from_pieces, from_text
from longcat.contract.traffic.exchanges import header, make_exchange, moment
from longcat.text import shorten


def is_entry(data: Any) -> bool:
    """Whether a decoded value looks like an entry."""
    if not isinstance(data, dict) or not isinstance(data.get("request"), dict):
        return False
    response = data.get("response")
    return "startedDateTime" in data or (isinstance(response, dict) and isinstance(response.get("content"), dict))


def exchange_of(data: Any, *, source: str, key_names: Collection[str]) -> Exchange:
    """Return the exchange that a decoded entry holds. Raises UnreadableError when it holds none.

    Its origin is unknown: a HAR file does not say what stood behind the host name.
    """
    entry = _mapping(data, "the entry")
    request = _mapping(entry.get("request"), "the request")
    if _is_web_socket(entry, request.get("url")):
        raise NoExchangeError("is a WebSocket, not one question with one answer")
    response = _mapping(entry.get("response"), "the response")
    if response.get("status") in (0, -1, None) and (why := _why_aborted(entry, response)):
        raise NoExchangeError(f"has no answer: {why}")
    return make_exchange(
        method=request.get("method"),
        url=request.get("url"),
        request_headers=_headers(request),
        request_body=_request_body(request),
        status_code=response.get("status"),
        response_headers=_headers(response),
        response_body=_response_body(response),
        source=source,
        key_names=key_names,
        recorded=moment(entry.get("startedDateTime")),
    )


def _mapping(data: Any, what: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise UnreadableError(f"is no entry of a HAR file: {what} is not an object")
    return data


def _is_web_socket(entry: Mapping[str, Any], url: object) -> bool:
    is_socket = isinstance(url, str) and url[:4].lower().startswith(("ws:", "wss:"))
    return is_socket or "_webSocketMessages" in entry or entry.get("_resourceType") == "websocket"


def _why_aborted(*places: Mapping[str, Any]) -> str | None:
    """Return the browser's reason why no response came, or None when it gave none."""
    reasons = [place.get(name) for place in places for name in ("_error", "_errorText", "_fetchError")]
    return next((shorten(reason) for reason in reasons if isinstance(reason, str) and reason), None)


def _list(data: Any) -> list[Any]:
    return data if isinstance(data, list) else []


def _headers(message: Mapping[str, Any]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for one in _list(message.get("headers")):
        name, value = (one.get("name"), one.get("value")) if isinstance(one, dict) else (None, None)
        if type(value) is str and type(name) is str and "\n" not in value:  # Nearly all are so.
            found.append((name, value.strip()))
        elif isinstance(value, list):  # Polly writes several, or one, so.
            found += [header(name, inner) for inner in value]
        else:
            found.append(header(name, value))
    return found


def _request_body(request: Mapping[str, Any]) -> bytes | None:
    """Return the request's body, or None when there was none or the recorder did not keep it."""
    posted = request.get("postData")
    if not isinstance(posted, dict):
        return None
    text = posted.get("text")
    if isinstance(text, str) and (text or not posted.get("params")):
        return _bytes(text, posted, request)
    if not _is_form(posted.get("mimeType")):
        return None  # The parts of a multipart body are there, but not the bytes.
    named = [param for param in _list(posted.get("params")) if isinstance(param, dict)]
    return urlencode([(str(param.get("name", "")), str(param.get("value") or "")) for param in named]).encode()


def _is_form(mime_type: object) -> bool:
    return isinstance(mime_type, str) and mime_type.lower().startswith("application/x-www-form-urlencoded")


def _response_body(response: Mapping[str, Any]) -> bytes | None:
    """Return the response's body, or None when the recorder did not keep it."""
    content = response.get("content")
    if not isinstance(content, dict):
        return None
    text = content.get("text")
    if isinstance(text, str):
        return _bytes(text, content, response)
    # Without a text, the body was empty, was too large to keep, or was gone when the file was written.
    empty = content.get("size") == 0 and _length(response) in {None, 0}
    return b"" if empty else None


def _bytes(text: str, holder: Mapping[str, Any], message: Mapping[str, Any]) -> bytes:
    encoding = str(holder.get("encoding") or holder.get("_encoding") or "").lower()
    if text.startswith('["') and (encoding == "base64" or _is_coded(message)):
        with suppress(ValueError, RecursionError):  # Polly has a list in JSON there.
            pieces = from_pieces(json.loads(text), encoding)
            if pieces is not None:
                return pieces
    return from_base64(text) if encoding == "base64" else from_text(text)


def _is_coded(message: Mapping[str, Any]) -> bool:
    return any(name.lower() == "content-encoding" for name, _ in _headers(message))


def _length(response: Mapping[str, Any]) -> int | None:
    """Return the length of the body on the wire, or None when the response does not say."""
    size = response.get("bodySize")
    if isinstance(size, int) and size > 0:
        return size
    length = next((value for name, value in _headers(response) if name.lower() == "content-length"), "")
    return int(length) if length.isdecimal() and len(length) < 20 else None  # noqa: PLR2004 - digits.

"""Reads what all formats of recorded traffic have in common: methods, URLs, headers, status codes and times."""

import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from longcat.contract.model import Exchange, Intent, Origin
from longcat.contract.traffic.decoding import NoExchangeError, UnreadableError, undo_encoding
from longcat.contract.traffic.redact import redact
from longcat.text import shorten

_DEFAULT_PORT: Final = re.compile(r"(http://[^/?#]*):80(?![^/?#])|(https://[^/?#]*):443(?![^/?#])", re.IGNORECASE)
_PLAIN_HTTP: Final = re.compile(r"https?://[A-Za-z0-9.-]+(?=[/?#]|\Z)")
"""How an HTTP URL begins that has neither a user nor a port, as most are."""
_PLACEHOLDER: Final = re.compile(r"(https?://)?(?:<{1,3}|\{{1,2}|\[)(\w[\w .-]*)(?:>{1,3}|\}{1,2}|\])/?(.*)", re.ASCII)
"""What a recorder puts in the place of a host, and of a scheme with it: `<HOST>`, `{{host}}`, `[HOST]`."""
LAST_SECOND: Final = 10_000_000_000
"""A larger time since 1970, after the year 2286, is in milliseconds; a still larger one in parts of these."""
_SECONDS: Final = re.compile(r"[0-9]{9,19}(?:\.[0-9]{1,9})?", re.ASCII)
_ZONE: Final = re.compile(r"(?<=[0-9]) (?:UTC|GMT|Z)\Z")
"""What Ruby and R write behind a time where ISO 8601 has a `Z`."""
_STATUS: Final = re.compile(r"([1-9]\d\d)(?: .*)?", re.ASCII | re.DOTALL)
_METHODS: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
"""The methods that nearly all requests have."""
_METHOD: Final = re.compile(r":?([A-Za-z][A-Za-z0-9-]{0,31})")
"""In older cassettes of Ruby it is a symbol, `:get`."""


def make_exchange(  # noqa: PLR0913 - all that was observed, each by its name.
    *,
    method: object,
    url: object,
    request_headers: Iterable[tuple[str, str]],
    request_body: bytes | None,
    status_code: object,
    response_headers: Iterable[tuple[str, str]],
    response_body: bytes | None,
    source: str,
    key_names: Collection[str],
    origin: Origin = "unknown",
    intent: Intent | None = None,
    recorded: datetime | None = None,
) -> Exchange:
    """Return a recorded exchange with its bodies decoded and its secrets taken out.

    Where a recorder does not say when it was, the answer's `Date` does.

    Raises UnreadableError when something in it can't be.
    """
    request_head, response_head = _folded(request_headers), _folded(response_headers)
    whole_url = _url(url, request_head.get("host"))
    try:
        request_head, request_body = undo_encoding(request_head, request_body)
        response_head, response_body = undo_encoding(response_head, response_body)
    except UnreadableError as error:
        raise UnreadableError(str(error), whole_url) from error
    exchange = Exchange(
        method=_method(method),
        url=whole_url,
        request_headers=request_head,
        request_body=request_body,
        status_code=_status_code(status_code),
        response_headers=response_head,
        response_body=response_body,
        source=source,
        origin=origin,
        intent=intent,
        recorded=recorded or moment(response_head.get("date")),
    )
    return redact(exchange, key_names, thorough=False)


def moment(value: object) -> datetime | None:
    """Return the time that a text gives, as ISO 8601 or as mails and HTTP write it; in UTC where it names no zone.

    A number counts the seconds since 1970, or thousandths, millionths or billionths of them. None: it gives none.
    """
    if isinstance(value, str) and "T" in value:  # Nearly all are so.
        with suppress(ValueError):
            found = datetime.fromisoformat(value)
            return found if found.tzinfo else found.replace(tzinfo=UTC)
    if isinstance(value, str) and _SECONDS.fullmatch(value):
        value = float(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        for parts in (1, 10**3, 10**6, 10**9):
            if value <= LAST_SECOND * parts:
                with suppress(ValueError, OverflowError, OSError):
                    return datetime.fromtimestamp(value / parts, UTC)
                return None
    if not isinstance(value, str) or not value:
        return None
    try:
        found = datetime.fromisoformat(_ZONE.sub("Z", value))
    except ValueError:
        from email.utils import parsedate_to_datetime  # noqa: PLC0415 - it is slow to import.

        try:
            found = parsedate_to_datetime(value)
        except ValueError:
            return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def header_pairs(data: object) -> Iterator[tuple[str, str]]:
    """Yield the headers of a message: a mapping to a value or to several, or a list of names and values.

    Raises UnreadableError for what is neither.
    """
    for name, values in _named(data):
        for value in values if isinstance(values, list) else [values]:
            yield header(name, value)


def header(name: object, value: object) -> tuple[str, str]:
    """Return a header as text. A value that has several lines is several values, as Safari and Firefox write them.

    Raises UnreadableError when it is no name with a value.
    """
    if type(value) is str and type(name) is str and "\n" not in value:  # Nearly all are so.
        return name, value.strip()
    if not isinstance(name, str) or not isinstance(value, str | bytes | int | float | None):
        raise UnreadableError("has a header that is not a name with a value")
    text = value.decode("latin-1") if isinstance(value, bytes) else "" if value is None else str(value)
    return name, ", ".join(text.splitlines()) if "\n" in text else text.strip()


def _named(data: object) -> Iterator[tuple[object, object]]:
    if isinstance(data, dict):
        yield from data.items()
    elif isinstance(data, list) and all(isinstance(one, str) for one in data):
        yield from zip(data[::2], data[1::2], strict=False)  # Names and values by turns, as Node has them.
    elif isinstance(data, list):
        for one in data:
            if isinstance(one, dict):
                yield one.get("name", one.get("key")), one.get("value")
            else:
                yield (one[0], one[1]) if isinstance(one, list) and len(one) == 2 else (None, None)  # noqa: PLR2004
    elif data is not None:
        raise UnreadableError("has headers that are not a mapping")


def _folded(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return headers with their names in lower case, and those of one name joined.

    HTTP/2 sends method, path and status as headers whose names begin with a colon. Recorders keep them; they go.
    """
    folded: dict[str, str] = {}
    for name, value in pairs:
        key = _header_name(name)
        if key in folded:
            folded[key] += f", {value}"
        elif key and key[0] != ":":
            folded[key] = value
    return folded


@lru_cache(maxsize=1024)  # The same few names come again with every exchange.
def _header_name(text: str) -> str:
    return text.strip().lower()


def _method(value: object) -> str:
    if isinstance(value, str) and value in _METHODS:
        return value
    found = _METHOD.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise UnreadableError(f"has no usable method, but {shorten(value)!r}")
    return found[1].upper()


def _url(value: object, host: str | None) -> str:
    """Return an absolute URL. A placeholder for its host becomes a host that there can't be (RFC 2606).

    Where it is a path alone, the header `Host` has what is missing of it.
    """
    if isinstance(value, str) and value.startswith("/") and host:
        value = f"https://{host}{value}"
    if isinstance(value, str) and (_PLAIN_HTTP.match(value) or _is_http(value)):
        port = _DEFAULT_PORT.match(value) if ":80" in value or ":443" in value else None
        return f"{port[1] or port[2]}{value[port.end() :]}" if port else value
    if isinstance(value, str) and (hidden := _PLACEHOLDER.fullmatch(value)):
        host = re.sub("[^a-z0-9]+", "-", hidden[2].lower()).strip("-") or "host"
        return f"{hidden[1] or 'https://'}{host}.invalid/{hidden[3]}"
    if isinstance(value, str) and ":" in value:  # What comes after the scheme may hold a secret.
        raise NoExchangeError(f"has no absolute HTTP URL, but {shorten(value.partition(':')[0] + ':...')!r}")
    raise UnreadableError(f"has no absolute HTTP URL, but {shorten(value)!r}")


@lru_cache(maxsize=256)  # Thousands of exchanges go to a few URLs.
def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _status_code(value: object) -> int:
    """Return a status code that is a number, or a text that begins with one, such as `200 OK`."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is int and 100 <= value <= 999:  # noqa: PLR2004 - what HTTP has.
        return value
    if value in (0, -1, "0", "-1") and not isinstance(value, bool):
        raise NoExchangeError("has no answer: the request was aborted or blocked")
    found = _STATUS.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise UnreadableError(f"has no usable status code, but {shorten(value)!r}")
    return int(found[1])

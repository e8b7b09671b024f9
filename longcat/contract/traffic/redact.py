"""Takes what must stay secret out of an exchange. Nothing shown or stored ever holds a key."""

import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

from longcat.contract.model import Exchange
from longcat.text import Hide, hiding, words_of

PLACEHOLDER: Final = "REMOVED"
"""Stands where a secret stood. It may stand in a host name, a URL and a JSON string without breaking them."""

# fmt: off
SENSITIVE: Final = frozenset({
    "accesstoken", "apikey", "auth", "authorization", "authtoken", "cookie", "credential", "credentials", "csrf", "jwt",
    "key", "passwd", "password", "pwd", "secret", "session", "sessionid", "sid", "sig", "signature", "token", "xsrf",
})
# fmt: on
"""A name with one of these words in it names a secret: `X-Api-Key`, `accessToken`, `X-Amz-Signature`."""

SHORTEST: Final = 6
"""Characters. A shorter key is taken out of its header only: elsewhere it could be any word."""

# In a URL, in a form, or in a URL inside of JSON, where the ampersand may be escaped.
_PARAMETER: Final = re.compile(r"""(^|[?&;]|\\u0026)([\w.%-]+)=([^&;#\s"'<>\\]+)""", re.ASCII)
_USER: Final = re.compile(r"""(?<=://)[^/?#@\s"'\\]+@""")
_FIELD: Final = re.compile(r'("((?:[^"\\]|\\.){1,64})"\s*:\s*)"(?:[^"\\]|\\.)+"')
_OPTION: Final = re.compile(r"""(?<!\S)(--?([\w-]+)(?:=|\s+))("[^"]*"|'[^']*'|\S+)""")
_TOKENS: Final = (
    # A subscription key of the vendor's platform. Digits alone are a number.
    re.compile(r"(?<![0-9A-Za-z])(?=[0-9]*[a-fA-F])[0-9a-fA-F]{32}(?![0-9A-Za-z])"),
    re.compile(r"(?<=\bbearer )[\w.~+/=-]{16,}|(?<=\bbasic )[\w.~+/=-]{16,}", re.ASCII | re.IGNORECASE),
    re.compile(r"\beyJ[\w-]{8,}(?:\.[\w-]+){1,2}", re.ASCII),
    re.compile(r"\b(?:sk|pk|rk)[-_][\w-]{16,}", re.ASCII),
)


@lru_cache(maxsize=1024)  # The same few names come again with every exchange.
def is_sensitive(name: str) -> bool:
    """Return whether a header, a parameter or a field of this name holds a secret."""
    return not SENSITIVE.isdisjoint(words_of(name))


def redact(exchange: Exchange, key_headers: Collection[str] = (), *, thorough: bool) -> Exchange:
    """Return the exchange without secrets.

    The values of headers and URL parameters that hold one are replaced; a header that was there still is, and an empty
    value stays empty. A key that is echoed elsewhere is replaced there as well.

    Args:
        exchange: as observed.
        key_headers: the headers that the contract says hold the key; others are known by their names.
        thorough: also replace what only looks like a secret, anywhere. For storing; a judge needs bodies as they were.
    """
    names = {name.lower() for name in key_headers}
    keys = _keys(exchange.request_headers, names)

    def text(value: str) -> str:
        value = _without(value, keys)
        return redact_text(value) if thorough else _redact_url(value)

    def headers(before: Mapping[str, str]) -> dict[str, str]:
        after = dict(before)
        for name, value in before.items():
            if name in names or is_sensitive(name):
                after[name] = PLACEHOLDER if value else value
            elif thorough or keys or "=" in value or "@" in value:  # Most have nothing to look at.
                after[name] = text(value)
        return after

    def body(before: bytes | None) -> bytes | None:
        if before is None or not (thorough or keys):
            return before
        after = _without(before.decode("utf-8", "surrogateescape"), keys)  # What is no text stays what it is.
        return (redact_text(after) if thorough else after).encode("utf-8", "surrogateescape")

    response_headers, response_body = headers(exchange.response_headers), body(exchange.response_body)
    if response_body != exchange.response_body and response_body is not None and "content-length" in response_headers:
        response_headers["content-length"] = str(len(response_body))
    return Exchange(  # Not by `evolve`, which takes as long as all the rest.
        method=exchange.method,
        url=text(exchange.url),
        request_headers=headers(exchange.request_headers),
        request_body=body(exchange.request_body),
        status_code=exchange.status_code,
        response_headers=response_headers,
        response_body=response_body,
        source=exchange.source,
        origin=exchange.origin,
        intent=exchange.intent,
    )


def _keys(headers: Mapping[str, str], names: Collection[str]) -> list[str]:
    """Return the keys that were sent, as far as they are long enough to be told from other words."""
    sent = [headers[name] for name in names if name in headers]
    if "authorization" not in names:
        sent.append(headers.get("authorization", "").rpartition(" ")[2])
    return [key for key in sent if len(key) >= SHORTEST and PLACEHOLDER not in key]


def _without(text: str, keys: Collection[str]) -> str:
    for key in keys:
        text = _hiding(key)(text)
    return text


@lru_cache(maxsize=4)  # One key is sent with thousands of requests.
def _hiding(key: str) -> Hide:
    return hiding(key, PLACEHOLDER)


def redact_text(text: str) -> str:
    """Return the text with everything replaced that looks like a secret: by its name, or by itself."""
    text = _FIELD.sub(lambda found: f'{found[1]}"{PLACEHOLDER}"' if is_sensitive(found[2]) else found[0], text)
    text = _redact_url(text)
    for token in _TOKENS:
        text = token.sub(PLACEHOLDER, text)
    return text


def redact_command(command: str) -> str:
    """Return a command line without the values of options such as `--api-key`."""
    named = _OPTION.sub(lambda found: found[1] + PLACEHOLDER if is_sensitive(found[2]) else found[0], command)
    return redact_text(named)


def _redact_url(text: str) -> str:
    if "@" in text:
        text = _USER.sub(f"{PLACEHOLDER}@", text)
    if "=" in text:
        text = _PARAMETER.sub(
            lambda found: f"{found[1]}{found[2]}={PLACEHOLDER}" if is_sensitive(unquote(found[2])) else found[0], text
        )
    return text

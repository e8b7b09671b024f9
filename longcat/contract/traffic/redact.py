"""Takes what must stay secret out of an exchange. Nothing shown or stored ever holds a key.

Too much is taken out rather than too little, but every value keeps its type, and JSON stays JSON: what is stored is
judged later. A field called `key` alone may hold the name of a file, which stays.
"""

import base64
import hashlib
import json
import os
import re
from collections.abc import Collection, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from functools import lru_cache, partial
from typing import Final
from urllib.parse import parse_qsl, unquote

from longcat.contract.model import Exchange
from longcat.contract.placeholders import is_placeholder
from longcat.contract.traffic.json_text import replace_values
from longcat.text import words_of
from longcat.text.hiding import Hide, hide_body, hiding

PLACEHOLDER: Final = "REMOVED"
"""Stands where a secret stood. It may stand in a host name, a URL and a JSON string without breaking them."""

# fmt: off
SENSITIVE: Final = frozenset({
    "accesstoken", "apikey", "auth", "authorization", "authtoken", "cookie", "credential", "credentials", "csrf", "jwt",
    "key", "passwd", "password", "pwd", "secret", "session", "sessionid", "sid", "sig", "signature", "token", "xsrf",
})
# fmt: on
"""A name with one of these words in it names a secret: `X-Api-Key`, `accessToken`, `X-Amz-Signature`."""
SEVERAL: Final = frozenset({"apikeys", "cookies", "passwords", "secrets", "signatures", "tokens"})
"""Names of several secrets, unless their value is a number: that says how many there are."""
OF_KEYS: Final = frozenset({"access", "api", "private", "secret", "subscription"})
"""With one of these words before it, `keys` are secrets, and not the names of fields."""
IN_URLS: Final = frozenset({"code", "policy"})
"""Parameters that are secrets in a URL and in a form alone: everywhere else, a code says what went wrong."""

MIN_SECRET: Final = 6
"""Characters. A shorter key is taken out of its header only: elsewhere it could be any word."""

# In a URL, in a form, or in a URL inside of another one or of JSON, where the signs between may be escaped.
_PARAMETER: Final = re.compile(
    r"(^|[?&;#]|\\u0026|%(?:25){0,3}(?:3F|26|23))([\w.%-]{1,64}?)(?:=|%(?:25){0,3}3D)", re.ASCII | re.IGNORECASE
)
_VALUE: Final = re.compile(r"""(?:(?!%(?:25){0,3}(?:26|23))[^&;#\s"'<>\\])+""", re.IGNORECASE)
_USER: Final = re.compile(r"""(:\\{0,4}/\\{0,4}/)[^/?#@\s"'\\]+@""")
_FIELD: Final = re.compile(r'("((?:[^"\\]|\\.){1,64})"\s*:\s*)("(?:[^"\\]|\\.)+"|[0-9][0-9.eE+-]*)')
_ELEMENT: Final = re.compile(r"(<([\w:.-]{1,64})(?:\s[^<>]{0,256})?>)([^<>]{1,4096})(?=</)")
_PART: Final = re.compile(r'\bname="([^"\r\n]{1,64})"', re.IGNORECASE)
_BLANK_LINE: Final = re.compile(r"(\r?\n\r?\n)")
_FILE: Final = re.compile(r"[\w ./-]*\w\.[A-Za-z][A-Za-z0-9]{1,4}")
_OPTION: Final = re.compile(r"""(?<!\S)(--?([\w-]+)(?:=|\s+))("[^"]*"|'[^']*'|\S+)""")
MIN_TOKEN: Final = 12
"""Characters that what looks like a secret by itself has at least."""
_TOKENS: Final = (
    # A subscription key of the vendor's platform. Digits alone are a number.
    re.compile(r"(?<![0-9A-Za-z])(?=[0-9]*[a-fA-F])[0-9a-fA-F]{32}(?![0-9A-Za-z])"),
    re.compile(r"(?<=\bbearer )[\w.~+/=-]{16,}|(?<=\bbasic )[\w.~+/=-]{16,}", re.ASCII | re.IGNORECASE),
    re.compile(r"\beyJ[\w-]{8,}(?:\.[\w-]+){1,2}", re.ASCII),
    re.compile(r"\b(?:sk|pk|rk)[-_][\w-]{16,}", re.ASCII),
    re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b", re.ASCII),
)


@lru_cache(maxsize=1024)  # The same few names come again with every exchange.
def is_sensitive(name: str) -> bool:
    """Return whether a header, a parameter or a field of this name holds a secret, whatever its value."""
    return not SENSITIVE.isdisjoint(words_of(name))


def _is_secret_field(name: str, value: object) -> bool:
    """Return whether a field holds a secret, by its name and its value; None is an object or a list."""
    if is_sensitive(name):
        return name.lower() != "key" or not isinstance(value, str) or not _FILE.fullmatch(value)
    words, is_count = words_of(name), value is not None and not isinstance(value, str)
    has_several = not SEVERAL.isdisjoint(words) or ("keys" in words and not OF_KEYS.isdisjoint(words))
    return has_several and not is_count


def _is_no_secret(_name: str, _value: object) -> bool:
    return False


def redact(
    exchange: Exchange, key_names: Collection[str] = (), *, thorough: bool, secrets: Collection[str] = ()
) -> Exchange:
    """Return the exchange without secrets.

    The values of headers and URL parameters that hold one are replaced; a header that was there still is, and an empty
    value stays empty. A key that is echoed elsewhere is replaced there as well.

    Args:
        exchange: as observed.
        key_names: the headers and parameters that the contract says hold a key; others are known by their names.
        thorough: also replace what only looks like a secret, anywhere. For storing; a judge needs bodies as they were.
        secrets: what else must be nowhere, such as a key that this exchange was not sent with, but others were.
    """
    names = _in_lower_case(frozenset(key_names))
    certain = _certain_secrets(exchange, names)
    every = certain | _named_secrets(exchange)
    known = {*(every if thorough else certain), *filter(_is_long, secrets)}
    if known and not thorough and not _may_hold(exchange, names, known):
        known = set()
    hide = partial(_without, secrets=sorted(known, key=len, reverse=True)) if known else str

    def text(value: str) -> str:
        value = _redact_url(hide(value), names)
        return redact_text(value) if thorough else value

    def headers(before: Mapping[str, str]) -> dict[str, str]:
        after: dict[str, str] = {}
        for name, value in before.items():
            if name in names or is_sensitive(name):
                after[hide(name)] = PLACEHOLDER if value else value
            elif thorough or known or "=" in value or "@" in value:  # Most have nothing to look at.
                after[hide(name)] = text(value)
            else:
                after[name] = value
        return after

    def body(before: bytes | None) -> bytes | None:
        if before is None or not (thorough or known):
            return before
        return hide_body(before, partial(_redact_body, hide=hide, thorough=thorough))

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
        source=hide(exchange.source),
        origin=exchange.origin,
        intent=exchange.intent,
        recorded=exchange.recorded,
        credentials=exchange.credentials or _digest(exchange, every),
        answered_before=exchange.answered_before,
    )


_SALT: Final = os.urandom(32)


def _digest(exchange: Exchange, secrets: AbstractSet[str]) -> str:
    """Return a digest of the keys of a request, which are among its secrets. It means something in this process only.

    It is empty when no key was seen, or when a recorder has replaced it.
    """
    cookie = exchange.request_headers.get("cookie", "")
    found = frozenset({*secrets, cookie} if _is_long(cookie) else secrets)
    return _digest_of(found) if found else ""


@lru_cache(maxsize=64)  # Most exchanges of a recording have the same keys.
def _digest_of(found: frozenset[str]) -> str:
    if any(map(is_placeholder, found)):
        return ""
    joined = "\0".join(sorted(found)).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(joined, key=_SALT, digest_size=16).hexdigest()


def _may_hold(exchange: Exchange, names: Collection[str], secrets: Collection[str]) -> bool:
    """Return whether a secret may be anywhere but in the headers that are taken out for their names.

    All texts are searched at once, as the search takes most of the time, and nearly all exchanges hold no secret.
    A body that is not UTF-8 is taken to hold one.
    """
    texts = [exchange.url, exchange.source]
    for headers in (exchange.request_headers, exchange.response_headers):
        texts += headers
        texts += [value for name, value in headers.items() if name not in names and not is_sensitive(name)]
    for body in (exchange.request_body, exchange.response_body):
        if body:
            if not _is_utf_8(body):
                return True
            texts.append(body.decode("utf-8", "surrogateescape"))
    joined = "\0".join(texts)
    return _without(joined, secrets) != joined


def _is_utf_8(body: bytes) -> bool:
    """Whether a body begins as one in UTF-8 does. How nearly all bodies of JSON begin is seen at once."""
    return (body[0] in b'{["' and body[1:2] != b"\0") or json.detect_encoding(body).startswith("utf-8")


@lru_cache(maxsize=64)  # A contract has the same for all exchanges.
def _in_lower_case(names: frozenset[str]) -> frozenset[str]:
    return frozenset(name.lower() for name in names)


def secrets_of(exchange: Exchange) -> set[str]:
    """Return the secrets that a request was sent with, without those so short that they could be any word."""
    return _certain_secrets(exchange) | _named_secrets(exchange)


def _certain_secrets(exchange: Exchange, key_names: Collection[str] = ()) -> set[str]:
    """Return the secrets of a request that HTTP or the contract calls keys."""
    headers = exchange.request_headers
    scheme, _, credentials = headers.get("authorization", "").rpartition(" ")
    found = [credentials, *(headers[name] for name in key_names if name in headers)]
    if scheme.lower() == "basic":
        with suppress(ValueError):
            found.append(base64.b64decode(credentials).decode("latin-1").partition(":")[2])
    if key_names and "?" in exchange.url:
        query = parse_qsl(exchange.url.partition("?")[2].partition("#")[0])
        found += [value for name, value in query if name.lower() in key_names]
    return {*filter(_is_long, found)}


def _named_secrets(exchange: Exchange) -> set[str]:
    """Return the secrets of a request that are known only by the names of its headers and of its URL's parameters."""
    headers, url = exchange.request_headers, exchange.url
    found = [value for name, value in headers.items() if is_sensitive(name) and name not in {"authorization", "cookie"}]
    if "=" in url or "%" in url:
        found += [unquote(url[start:end]) for start, end in _secret_parameters(url)]
    return {*filter(_is_long, found)}


def _is_long(secret: str) -> bool:
    return len(secret) >= MIN_SECRET and PLACEHOLDER not in secret


def _without(text: str, secrets: Collection[str]) -> str:
    for secret in secrets:
        text = hiding(secret, PLACEHOLDER)(text)
    return text


def _redact_body(text: str, hide: Hide, *, thorough: bool) -> str:
    """Return the text of a body without secrets."""
    if hide(text) == text:
        if not thorough:
            return text
        hide = str  # What the whole does not hold, none of its parts does.
    if text.lstrip("\ufeff\xef\xbb\xbf \t\r\n").startswith(("{", "[", '"')):
        if _is_json(text):
            return _redact_json(text, hide, thorough=thorough)
        # What makes it invalid, such as a quote in the key, may make names and values change places.
        text = _redact_json(hide(text), hide, thorough=thorough)
    text = hide(text)
    return redact_text(text) if thorough else text


def _is_json(text: str) -> bool:
    try:
        json.loads(text.lstrip("\ufeff\xef\xbb\xbf"))
    except (ValueError, RecursionError):
        return False
    return True


def _redact_json(text: str, hide: Hide, *, thorough: bool, depth: int = 4) -> str:
    def inner(value: str) -> str:
        if depth and value.lstrip().startswith(("{", "[")):  # JSON in a text of JSON.
            return _redact_json(value, hide, thorough=thorough, depth=depth - 1)
        return redact_text(hide(value)) if thorough else hide(value)

    return replace_values(text, _is_secret_field if thorough else _is_no_secret, PLACEHOLDER, inner)


def redact_text(text: str) -> str:
    """Return the text with everything replaced that looks like a secret: by its name, or by itself."""
    if text.startswith("--") and _PART.search(text):
        return _redact_parts(text)
    text = _FIELD.sub(_redacted_field, text) if '"' in text else text
    text = _ELEMENT.sub(_redacted_element, text) if "<" in text else text
    text = _redact_url(text, thorough=True)
    for token in _TOKENS if len(text) >= MIN_TOKEN else ():
        text = token.sub(PLACEHOLDER, text)
    return text


def _redacted_field(found: re.Match[str]) -> str:
    is_text = found[3].startswith('"')
    if not _is_secret_field(found[2], found[3].strip('"') if is_text else 0):
        return found[0]
    return f'{found[1]}"{PLACEHOLDER}"' if is_text else f"{found[1]}0"


def _redacted_element(found: re.Match[str]) -> str:
    return f"{found[1]}{PLACEHOLDER}" if _is_secret_field(found[2], found[3]) else found[0]


def _redact_parts(text: str) -> str:
    """Return a form in several parts, without the values of those parts whose names tell a secret."""
    boundary = text.partition("\n")[0].rstrip("\r")
    parts = []
    for part in text.split(boundary):
        head, blank, value = (*_BLANK_LINE.split(part, maxsplit=1), "", "")[:3]
        name = _PART.search(head)
        if name and value.strip() and is_sensitive(name[1]):
            value = PLACEHOLDER + value[len(value.rstrip("\r\n")) :]
        parts.append(head + blank + redact_text(value))
    return boundary.join(parts)


def redact_command(command: str, secrets: Collection[str] = ()) -> str:
    """Return a command line without these secrets, and without the values of options such as `--api-key`."""
    command = _without(command, [*filter(_is_long, secrets)])
    named = _OPTION.sub(lambda found: found[1] + PLACEHOLDER if is_sensitive(found[2]) else found[0], command)
    return redact_text(named)


def _redact_url(text: str, key_names: Collection[str] = (), *, thorough: bool = False) -> str:
    """Return the text without users, and without the parameters that are secrets by their names."""
    if "@" in text:
        text = _USER.sub(rf"\1{PLACEHOLDER}@", text)
    if "=" not in text and "%" not in text:
        return text
    parts, done = [], 0
    for start, end in _secret_parameters(text, key_names, thorough=thorough):
        parts += [text[done:start], PLACEHOLDER]
        done = end
    return "".join([*parts, text[done:]])


def _secret_parameters(
    text: str, key_names: Collection[str] = (), *, thorough: bool = False
) -> Iterator[tuple[int, int]]:
    """Yield where the values of the parameters stand that are secrets by their names, or by what the contract says.

    Thorough: also by names that mean something else in other places, such as `code`.
    """
    is_form = "&" in text and not re.search(r"\s", text)
    found = _PARAMETER.search(text)
    while found:
        name, end = unquote(found[2]), found.end()
        value = _VALUE.match(text, end)
        is_secret = is_sensitive(name) or name.lower() in key_names
        if value and (is_secret or (thorough and _is_secret_parameter(name, value[0], found[1] or is_form))):
            end = value.end()
            yield value.span()
        found = _PARAMETER.search(text, end)


def _is_secret_parameter(name: str, value: str, in_url: object) -> bool:
    return _is_secret_field(name, value) or (name.lower() in IN_URLS and bool(in_url))

"""The forms in which an answer may write a key, for the tests of what hides it."""

import base64
import html
import json
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import quote, quote_plus

HEX_KEY: Final = "0123456789abcdef" * 2
ODD_KEY: Final = "k3y&Ab<c>\"d'/e\\f=+~%41{q}"
"""A key of all the characters that one or another writer escapes, with something in it that looks like an escape."""

Form = Callable[[str], str]


def alternating(*forms: Form) -> Form:
    """Return what writes one character after the other in one of these forms each."""
    return lambda key: "".join(forms[index % len(forms)](one) for index, one in enumerate(key))


def after(before: str, *, urlsafe: bool = False) -> Form:
    """Return what writes a key in base64, with something before and after it."""
    encode = base64.urlsafe_b64encode if urlsafe else base64.b64encode
    return lambda key: encode(f"{before}{key}~~~".encode()).decode()


def in_json(key: str) -> str:
    """Return the key as JSON's usual writer has it."""
    return json.dumps(key)[1:-1]


def percent(key: str) -> str:
    """Return the key with every character escaped as in a URL."""
    return "".join(f"%{ord(one):02X}" for one in key)


ESCAPED: Final[Mapping[str, Form]] = {
    "plain": str,
    "JSON": in_json,
    "JSON with \\/": lambda key: in_json(key).replace("/", r"\/"),
    "JSON with \\u": alternating(lambda one: f"\\u{ord(one):04x}", lambda one: f"\\u{ord(one):04X}", in_json),
    "JSON, twice": lambda key: in_json(in_json(key)),
    "HTML": html.escape,
    "HTML, twice": lambda key: html.escape(html.escape(key)),
    "HTML, decimal": alternating(lambda one: f"&#{ord(one)};", lambda one: f"&#{ord(one):07};"),
    "HTML, hexadecimal": alternating(lambda one: f"&#x{ord(one):x};", lambda one: f"&#X{ord(one):06X};", html.escape),
    "HTML in JSON": lambda key: in_json(html.escape(key)).replace("&", r"\u0026"),
    "JSON in HTML": lambda key: html.escape(in_json(key)),
    "percent": percent,
    "percent, in part": lambda key: quote(key, safe=""),
    "percent, lower": lambda key: percent(key).lower(),
    "percent, twice": lambda key: quote(percent(key), safe=""),
    "percent, three times": lambda key: quote(quote(quote_plus(key), safe=""), safe=""),
    "percent in JSON": lambda key: in_json(percent(key)),
    "a string of Python": lambda key: repr(key)[1:-1],
    "folded": lambda key: f"{key[: len(key) // 2]}\r\n  {key[len(key) // 2 :]}",
}
"""Writers of which nothing is left when the key is hidden."""
ENCODED: Final[Mapping[str, Form]] = {
    **{f"base64 after {size}": after("user:x"[:size]) for size in range(7)},
    **{f"base64 of URLs after {size}": after("user:x"[:size], urlsafe=True) for size in range(3)},
    "base64 in JSON": lambda key: after("u:")(key).replace("/", r"\/"),
    "base64 in a URL": lambda key: quote(after("me:")(key), safe=""),
    "base64 in lines": lambda key: base64.encodebytes(f"{'x' * 50}{key}".encode()).decode(),
}
"""Writers that mix the key with what is around it."""
FORMS: Final[Mapping[str, Form]] = {**ESCAPED, **ENCODED}

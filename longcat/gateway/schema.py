"""How a value differs from a schema: the part of JSON Schema that the contract uses, read at run time.

The generated models do not check the types of primitives, know no bounds, and blame the last member of a union. So an
answer is checked against the contract itself, and a maintainer who changes `openapi.yaml` changes this check as well.
A test fails when a keyword of the contract is missing here, or when a full implementation disagrees.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from longcat_api.types import DATE_TIME, read_date_time

from longcat.models import Violation
from longcat.pointer import escape
from longcat.text import show
from longcat.text.hiding import Hide

Schema: TypeAlias = Mapping[str, Any]
MISSING: Final = "missing"


def violations(schema: Schema, value: Any, hide: Hide = str, pointer: str = "") -> Iterator[Violation]:
    """Yield what in a decoded JSON value breaks a schema without references, outermost first."""
    for keyword, limit in schema.items():
        check = CHECKS.get(keyword)
        if check is not None and not check(value, limit):
            yield Violation(pointer, expectation(keyword, limit), show(value, hide))
            return  # What else is wrong with this value follows from it, or will be seen once it is mended.
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        for name in schema.get("required", ()):
            if name not in value:
                expected = _expectations(properties.get(name, {})) or "present"
                yield Violation(f"{pointer}/{escape(name)}", expected, MISSING)
        for name, inner in properties.items():
            if name in value:
                yield from violations(inner, value[name], hide, f"{pointer}/{escape(name)}")
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from violations(schema.get("items", {}), item, hide, f"{pointer}/{index}")


def expectation(keyword: str, limit: Any) -> str:
    """Return in words what a keyword asks of a value."""
    words = _words(limit)
    if keyword == "format" and words[:1] in {"a", "e", "i"}:
        return f"an {words}"
    return EXPECTED.get(keyword, f"{keyword} {{}}").format(words)


def _expectations(schema: Schema) -> str:
    return ", ".join(expectation(keyword, limit) for keyword, limit in schema.items() if keyword in EXPECTED)


def _words(limit: Any) -> str:
    if isinstance(limit, list):
        return " or ".join(map(_words, limit))
    return limit if isinstance(limit, str) else show(limit)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# The narrowest type of a value comes first.
TYPES: Final[Mapping[str, Callable[[Any], bool]]] = MappingProxyType(
    {
        "null": lambda value: value is None,
        "boolean": lambda value: isinstance(value, bool),
        "integer": lambda value: _is_number(value) and value == value // 1,
        "number": _is_number,
        "string": lambda value: isinstance(value, str),
        "array": lambda value: isinstance(value, list),
        "object": lambda value: isinstance(value, dict),
    }
)

# RFC 3986, appendix A: scheme, authority, path, query and fragment, escapes included.
_AUTHORITY, _PATH, _QUERY = (
    rf"(?:[A-Za-z0-9._~!$&'()*+,;=:@{more}-]|%[0-9A-Fa-f]{{2}})*" for more in (r"\[\]", "/", "/?")
)
_URI = re.compile(rf"[A-Za-z][A-Za-z0-9+.-]*:(//{_AUTHORITY}(?=[/?#]|$))?{_PATH}(\?{_QUERY})?(#{_QUERY})?")
_PLAIN_URI = re.compile(rf"https?://[A-Za-z0-9.-]+(/{_PATH})?(\?{_QUERY})?")
"""An address without a user, a port or a fragment, as most are."""
_PLAIN_DATE_TIME = re.compile(
    r"(?!0000)\d{4}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
    r"T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?Z",
    re.ASCII,
)
"""A date-time that is sure to be one, as most are: without a leap day or second, and in UTC."""


def _is_date_time(text: str) -> bool:
    """Whether it is one of RFC 3339, section 5.6, notes included. It is read by more lenient rules."""
    if _PLAIN_DATE_TIME.fullmatch(text):
        return True
    if not DATE_TIME.fullmatch(text):
        return False
    try:
        read_date_time(text)
    except ValueError:
        return False
    return True


def _is_uri(text: str) -> bool:
    if _PLAIN_URI.fullmatch(text):
        return True
    try:
        parts = urlsplit(text)
        _ = parts.port  # Raises when it is no number, or too large for one.
    except ValueError:
        return False
    return _URI.fullmatch(text) is not None and (bool(parts.hostname) or parts.scheme not in {"http", "https"})


FORMATS: Final[Mapping[str, Callable[[str], bool]]] = MappingProxyType({"date-time": _is_date_time, "uri": _is_uri})


def _same(value: Any, wanted: Any) -> bool:
    """Whether two JSON values are equal. To Python True is 1; to JSON it is not."""
    if isinstance(value, list) and isinstance(wanted, list):
        return len(value) == len(wanted) and all(map(_same, value, wanted))
    if isinstance(value, dict) and isinstance(wanted, dict):
        return value.keys() == wanted.keys() and all(_same(value[name], wanted[name]) for name in value)
    return bool(value == wanted) and isinstance(value, bool) == isinstance(wanted, bool)


# A keyword says something only about values of its own type (JSON Schema, section 7.6.1): others pass.
# Bounds are written so that NaN, which Python's JSON reader lets through, is outside of them.
CHECKS: Final[Mapping[str, Callable[[Any, Any], bool]]] = MappingProxyType(
    {
        "type": lambda value, types: any(TYPES[t](value) for t in ([types] if isinstance(types, str) else types)),
        "const": _same,
        "enum": lambda value, wanted: any(_same(value, one) for one in wanted),
        "minimum": lambda value, limit: not _is_number(value) or value >= limit,
        "maximum": lambda value, limit: not _is_number(value) or value <= limit,
        "minLength": lambda value, limit: not isinstance(value, str) or len(value) >= limit,
        "maxLength": lambda value, limit: not isinstance(value, str) or len(value) <= limit,
        "minItems": lambda value, limit: not isinstance(value, list) or len(value) >= limit,
        "pattern": lambda value, pattern: not isinstance(value, str) or re.search(pattern, value) is not None,
        "format": lambda value, name: not isinstance(value, str) or name not in FORMATS or FORMATS[name](value),
    }
)
EXPECTED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "type": "of type {}",
        "const": "{}",
        "enum": "{}",
        "minimum": "at least {}",
        "maximum": "at most {}",
        "minLength": "of at least {} characters",
        "maxLength": "of at most {} characters",
        "minItems": "of at least {} items",
        "pattern": "text like {}",
        "format": "a {}",
    }
)
STRUCTURE: Final = frozenset({"properties", "required", "items"})

"""Finds how a value differs from a schema, by the part of JSON Schema that the contract uses, read at run time.

The generated models do not check the types of primitives, know no bounds, and blame the last member of a union. So an
answer is checked against the contract itself, and a maintainer who changes `openapi.yaml` changes this check as well.
A test fails when a keyword of the contract is missing here, or when a full implementation disagrees.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType, NoneType
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from longcat_api.types import DATE_TIME, read_date_time

from longcat.models import Violation
from longcat.text import shorten, show
from longcat.text.hiding import Hide
from longcat.text.pointer import escape

Schema: TypeAlias = Mapping[str, Any]
Predicate: TypeAlias = Callable[[Any], bool]
SchemaChecker: TypeAlias = Callable[[Any, Hide], Sequence[Violation]]
"""Returns what in a decoded JSON value breaks a schema, outermost first. What is shown of the value is hidden so."""
MISSING: Final = "missing"
MAX_NAMED: Final = 50
"""How many of the values that are allowed are named."""
MAX_WORDS: Final = 200
"""Characters that are shown of a text that a schema gives."""


def compile_schema(schema: Schema) -> SchemaChecker:
    """Return the checker of a schema without references, which looks its keywords up once for all values."""
    checker = _keywords_checker(schema)
    if "properties" in schema or "required" in schema:
        checker = _object_checker(checker, schema)
    return _array_checker(checker, compile_schema(schema["items"])) if "items" in schema else checker


def _keywords_checker(schema: Schema) -> SchemaChecker:
    """Return the checker for what a schema says of a value itself, and not of what is in it."""
    checks = {keyword: CHECKS[keyword](limit) for keyword, limit in schema.items() if keyword in CHECKS}
    classes = _classes(schema.get("type", ()))
    others = [is_met for keyword, is_met in checks.items() if keyword != "type" or classes is object]

    def check(value: Any, hide: Hide) -> Sequence[Violation]:
        if isinstance(value, classes):
            for is_met in others:
                if not is_met(value):
                    break
            else:
                return ()
        # What else is wrong with this value follows from it, or will be seen once it is mended.
        broken = next(keyword for keyword, is_met in checks.items() if not is_met(value))
        return [Violation("", expectation(broken, schema[broken]), show(value, hide))]

    return check


def _object_checker(itself: SchemaChecker, schema: Schema) -> SchemaChecker:
    """Return the checker that also looks at the properties of an object."""
    properties: Schema = schema.get("properties", {})
    required: Sequence[str] = schema.get("required", ())
    checkers = [(name, compile_schema(inner)) for name, inner in properties.items()]

    def check(value: Any, hide: Hide) -> Sequence[Violation]:
        wrong = itself(value, hide)
        if wrong or not isinstance(value, dict):
            return wrong
        found: list[Violation] = []
        for name in required:
            if name not in value:
                found += [_missing(name, properties.get(name, {}))]
        for name, checker in checkers:
            if name in value and (below := checker(value[name], hide)):
                found += _within(escape(name), below)
        return found

    return check


def _array_checker(itself: SchemaChecker, items: SchemaChecker) -> SchemaChecker:
    """Return the checker that also looks at the items of an array."""

    def check(value: Any, hide: Hide) -> Sequence[Violation]:
        wrong = itself(value, hide)
        if wrong or not isinstance(value, list):
            return wrong
        found: list[Violation] = []
        for index, item in enumerate(value):
            if below := items(item, hide):
                found += _within(str(index), below)
        return found

    return check


def _within(part: str, below: Iterable[Violation]) -> Iterable[Violation]:
    """Return what is wrong in a part of a value as what is wrong in the value."""
    return [Violation(f"/{part}{one.pointer}", one.expected, one.seen) for one in below]


def _missing(name: str, schema: Schema) -> Violation:
    wanted = ", ".join(expectation(keyword, limit) for keyword, limit in schema.items() if keyword in EXPECTED)
    return Violation(f"/{escape(name)}", wanted or "present", MISSING)


def expectation(keyword: str, limit: Any) -> str:
    """Return in words what a keyword asks of a value."""
    words = _words(limit)
    if keyword == "format" and words[:1] in {"a", "e", "i"}:
        return f"an {words}"
    return EXPECTED.get(keyword, f"{keyword} {{}}").format(words)


def _words(limit: Any) -> str:
    if isinstance(limit, list):
        named = [*map(_words, limit[:MAX_NAMED])]
        more = len(limit) - len(named)
        return " or ".join([*named, f"{more:,} other values"] if more else named)
    return shorten(limit, MAX_WORDS) if isinstance(limit, str) else show(limit)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_a(kind: type) -> Predicate:
    return lambda value: isinstance(value, kind)


CLASSES: Final[Mapping[str, type]] = MappingProxyType(
    {"null": NoneType, "boolean": bool, "string": str, "array": list, "object": dict}
)
"""The types whose values are those of one class."""
TYPES: Final[Mapping[str, Predicate]] = MappingProxyType(
    {
        "integer": lambda value: _is_number(value) and value == value // 1,
        "number": _is_number,  # After the narrower type.
        **{name: _is_a(kind) for name, kind in CLASSES.items()},
    }
)

# RFC 3986, appendix A: scheme, authority, path, query and fragment, escapes included. No character that ends one of
# them can be in it, so the repetitions are possessive.
_AUTHORITY, _PATH, _QUERY = (
    rf"{characters}*+(?:%[0-9A-Fa-f]{{2}}{characters}*+)*+"
    for characters in (rf"[A-Za-z0-9._~!$&'()*+,;=:@{more}-]" for more in (r"\[\]", "/", "/?"))
)
_URI = re.compile(rf"[A-Za-z][A-Za-z0-9+.-]*:(?://{_AUTHORITY}(?=[/?#]|$))?{_PATH}(?:\?{_QUERY})?(?:\#{_QUERY})?")
_PLAIN_URI = re.compile(rf"https?://[A-Za-z0-9.-]++(?:/{_PATH})?+(?:\?{_QUERY})?+")
"""An address without a user, a port or a fragment, as most are."""
_PLAIN_DATE_TIME = re.compile(
    r"(?!0000)\d{4}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
    r"T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?Z",
    re.ASCII,
)
"""A date-time that is sure to be one, as most are: without a leap day or second, and in UTC."""


def _is_date_time(value: Any) -> bool:
    """Whether it is one of RFC 3339, section 5.6, notes included, or no text. It is read by more lenient rules."""
    if not isinstance(value, str) or _PLAIN_DATE_TIME.fullmatch(value):
        return True
    if not DATE_TIME.fullmatch(value):
        return False
    try:
        read_date_time(value)
    except ValueError:
        return False
    return True


def _is_uri(value: Any) -> bool:
    """Whether it is one of RFC 3986 that leads somewhere, or no text."""
    if not isinstance(value, str) or _PLAIN_URI.fullmatch(value):
        return True
    try:
        parts = urlsplit(value)
        _ = parts.port  # Raises when it is no number, or too large for one.
    except ValueError:
        return False
    return _URI.fullmatch(value) is not None and (bool(parts.hostname) or parts.scheme not in {"http", "https"})


def _is_anything(_: Any) -> bool:
    return True


FORMATS: Final[Mapping[str, Predicate]] = MappingProxyType({"date-time": _is_date_time, "uri": _is_uri})


def _same(value: Any, wanted: Any) -> bool:
    """Whether two JSON values are equal. To Python True is 1; to JSON it is not."""
    if isinstance(value, list) and isinstance(wanted, list):
        return len(value) == len(wanted) and all(map(_same, value, wanted))
    if isinstance(value, dict) and isinstance(wanted, dict):
        return value.keys() == wanted.keys() and all(_same(value[name], wanted[name]) for name in value)
    return bool(value == wanted) and isinstance(value, bool) == isinstance(wanted, bool)


def _type(wanted: str | Sequence[str]) -> Predicate:
    types = [TYPES[name] for name in ([wanted] if isinstance(wanted, str) else wanted)]
    return types[0] if len(types) == 1 else lambda value: any(is_type(value) for is_type in types)


def _classes(wanted: str | Sequence[str]) -> type | tuple[type, ...]:
    """Return what `isinstance` alone needs to tell the values of these types; `object` when it can't."""
    if isinstance(wanted, str):
        return CLASSES.get(wanted, object)
    return tuple(CLASSES[name] for name in wanted) if wanted and CLASSES.keys() >= set(wanted) else object


def _enum(wanted: Sequence[Any]) -> Predicate:
    if all(isinstance(one, str) for one in wanted):
        return lambda value: value in wanted
    return lambda value: any(_same(value, one) for one in wanted)


def _pattern(pattern: str) -> Predicate:
    search = re.compile(pattern).search
    return lambda value: not isinstance(value, str) or search(value) is not None


# From the limit that a keyword sets to the check of a value.
# A keyword says something only about values of its own type (JSON Schema, section 7.6.1): others pass.
# Bounds are written so that NaN, which Python's JSON reader lets through, is outside of them.
CHECKS: Final[Mapping[str, Callable[[Any], Predicate]]] = MappingProxyType(
    {
        "type": _type,
        "const": lambda wanted: _enum([wanted]),
        "enum": _enum,
        "minimum": lambda limit: lambda value: not _is_number(value) or value >= limit,
        "maximum": lambda limit: lambda value: not _is_number(value) or value <= limit,
        "minLength": lambda limit: lambda value: not isinstance(value, str) or len(value) >= limit,
        "maxLength": lambda limit: lambda value: not isinstance(value, str) or len(value) <= limit,
        "minItems": lambda limit: lambda value: not isinstance(value, list) or len(value) >= limit,
        "pattern": _pattern,
        "format": lambda name: FORMATS.get(name, _is_anything),
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

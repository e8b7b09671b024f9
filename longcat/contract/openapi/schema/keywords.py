"""The keywords of a schema, and what of a schema can be used: one defect must not cost all that it stands in."""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final

import jsonschema_rs
from attrs import frozen

from longcat.contract.openapi.schema.patterns import Patterns
from longcat.text import shorten, show
from longcat.text.pointer import escape, join, split

# fmt: off
ASSERTIONS: Final = (
    "type", "const", "enum", "minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf", "minLength",
    "maxLength", "pattern", "format", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties",
)
# fmt: on
"""The keywords without schemas in them, which say something about a value itself. The most telling come first."""
IN_PLACE: Final = ("allOf", "oneOf", "anyOf")
_SCHEMA: Final = frozenset(
    {"additionalProperties", "unevaluatedProperties", "propertyNames", "items", "contains", "unevaluatedItems"}
    | {"not", "if", "then", "else"}
)
"""The keywords whose value is a schema."""
_SCHEMAS: Final = frozenset({"properties", "patternProperties", "dependentSchemas", "prefixItems", *IN_PLACE})
"""The keywords whose value holds schemas."""
_OTHERS: Final = frozenset({"required", "dependentRequired", "minContains", "maxContains", "$recursiveAnchor"})
TELLING_KEYWORDS: Final = (
    (frozenset(ASSERTIONS) - {"type"}) | _SCHEMA | _SCHEMAS - {"allOf"} | _OTHERS - {"$recursiveAnchor"}
)
"""The keywords that say more about a value than its type."""
_DISPENSABLE: Final = frozenset(ASSERTIONS) | _OTHERS
"""The keywords that can be left out of a schema, which then allows more and means the same otherwise."""
_SETS: Final = frozenset({"required", "type"})
"""The keywords whose value may be a list of words, in which a word that stands twice means nothing more."""
_NOT_FOLLOWED: Final = ("$dynamicRef", "$recursiveRef")
ALLOWS_EVERYTHING: Final[Mapping[str, Any]] = {"additionalProperties": True}
"""What stands for a schema that can't be used: it allows everything, and any field."""


@cache
def metaschema() -> jsonschema_rs.Draft202012Validator:
    """Return what validates schemas. It takes a millisecond to make."""
    return jsonschema_rs.Draft202012Validator(
        {"$ref": "https://json-schema.org/draft/2020-12/schema"}, validate_formats=True
    )


@frozen
class SchemaDefect:
    """A part of a schema that can't be used: the pointer within the schema, and why."""

    pointer: str
    why: str


def read_schema(written: Any, patterns: Patterns) -> tuple[Any, SchemaDefect | None]:
    """Return what of a schema can be used, and what is wrong with the rest of it. None: nothing.

    The schemas inside of it, and what its references lead to, are not looked at. `patterns` are those of the document.
    """
    if isinstance(written, bool):
        return written, None
    if not isinstance(written, Mapping):
        return ALLOWS_EVERYTHING, SchemaDefect("", f"{show(written)} is no schema")
    # A keyword without a value, as YAML may have it, says nothing.
    schema = {name: value for name, value in written.items() if value is not None or name == "const"}
    for name in _SETS & schema.keys():
        schema[name] = _without_repeats(schema[name])
    for name in _NOT_FOLLOWED:
        if name in schema:
            return ALLOWS_EVERYTHING, SchemaDefect(f"/{name}", "this kind of reference is not followed")
    first = defect = wrong_in(schema)
    while defect is not None:
        keyword = split(defect.pointer)[0] if defect.pointer else ""
        if keyword not in _DISPENSABLE:
            return ALLOWS_EVERYTHING, first
        del schema[keyword]
        defect = wrong_in(schema)
    if "string" in types_of(schema) and not {"integer", "number", "boolean"} & {*types_of(schema)}:
        schema |= {name: _as_texts(schema[name]) for name in ("const", "enum") if name in schema}
    usable, of_patterns = _with_usable_patterns(schema, patterns)
    return usable, first or of_patterns


def wrong_in(schema: Any) -> SchemaDefect | None:
    """Return what in a schema, the schemas inside of it left aside, is not as the metaschema says. None: nothing."""
    try:
        metaschema().validate(_outline(schema) if isinstance(schema, Mapping) else schema)
    except jsonschema_rs.ValidationError as error:
        return SchemaDefect(join(error.instance_path), f"it is not valid in a schema: {shorten(error.message, 200)}")
    return None


def _as_texts(listed: Any) -> Any:
    """Return a value that a schema of texts lists, or a list of them, as texts: `2.0` is a number to YAML alone."""
    if isinstance(listed, list):
        return [_as_texts(one) for one in listed]
    return json.dumps(listed) if isinstance(listed, bool | int | float) else listed


def _without_repeats(words: Any) -> Any:
    """Return a list of words with each of them once; anything else as it is."""
    is_list = isinstance(words, list) and all(isinstance(one, str) for one in words)
    return list(dict.fromkeys(words)) if is_list else words


def listed(schema: Mapping[str, Any], pointer: str, keyword: str) -> list[str]:
    """Return where the schemas stand that a keyword of the schema at a pointer lists, such as `allOf`."""
    return [f"{pointer}/{keyword}/{index}" for index, _ in enumerate(schema.get(keyword, ()))]


def types_of(schema: Any) -> Sequence[str]:
    """Return the types that a schema names. Empty: it names none, so that a value may be of any."""
    types = schema.get("type", ()) if isinstance(schema, Mapping) else ()
    return [types] if isinstance(types, str) else types


def inner_schemas(schema: Any, pointer: str) -> Iterator[str]:
    """Yield where the schemas stand that are directly in another one."""
    for name, value in schema.items() if isinstance(schema, Mapping) else ():
        if name in _SCHEMA:
            yield f"{pointer}/{name}"
        elif name in _SCHEMAS:
            names = value if isinstance(value, Mapping) else map(str, range(len(value)))
            yield from (f"{pointer}/{name}/{escape(one)}" for one in names)


def _outline(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords of a schema that say something about values, without the schemas inside and the patterns."""
    found: dict[str, Any] = {}
    for name, value in schema.items():
        if name in _SCHEMA:
            found[name] = True  # Schemas inside are looked at when they are reached.
        elif name in _SCHEMAS and isinstance(value, Mapping):
            # The names may be patterns, which are looked at elsewhere.
            found[name] = {str(index): True for index in range(len(value))}
        elif name in _SCHEMAS and isinstance(value, list):
            found[name] = [True] * len(value)
        elif name in {"pattern", "$ref"}:
            found[name] = "" if isinstance(value, str) else value
        elif name in ASSERTIONS or name in _OTHERS or name in _SCHEMAS:
            found[name] = value
    return found


def _with_usable_patterns(schema: dict[str, Any], patterns: Patterns) -> tuple[dict[str, Any], SchemaDefect | None]:
    """Return a schema without the patterns that can't be used, and what is wrong with one of these."""
    defect = None
    for keyword in ("pattern", "patternProperties"):
        held = schema.get(keyword, ())
        for pattern in (held,) if isinstance(held, str) else tuple(held):
            try:
                patterns.check(pattern)
            except ValueError as error:
                defect = SchemaDefect(f"/{keyword}", f"the pattern {show(pattern)} can't be used: {error}")
                if keyword == "pattern":
                    schema.pop("pattern")
                else:
                    rest = {name: one for name, one in schema[keyword].items() if name != pattern}
                    # It can't be told which names have the pattern, so that any may come.
                    schema |= {keyword: rest, "additionalProperties": True}
    return schema, defect

"""The fields of an object, as one or several schemas together describe them."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from enum import StrEnum
from typing import Final

from attrs import Factory, define

from longcat.contract.openapi.document import Document
from longcat.contract.openapi.errors import UnjudgeableError
from longcat.contract.openapi.schema.keywords import TELLING_KEYWORDS, types_of
from longcat.contract.openapi.schema.patterns import matches
from longcat.contract.openapi.schema.variants import unconditional
from longcat.text.pointer import escape

_PART_OF_UNION: Final = re.compile(r"/(any|one)Of/\d+$")


class Direction(StrEnum):
    """The way that a value travels: some fields only go one way. The values are the keywords that rule a field out."""

    REQUEST = "readOnly"
    RESPONSE = "writeOnly"


@define
class Fields:
    """The fields of an object, as several schemas together describe them.

    Attributes:
        named: for each field, where its schemas stand.
        required: for each field that must be there, where that is said.
        is_closed: whether any other field is new.
        owner: where a new field would be entered: the last of the schemas that name fields, the most special one.
        patterns: for each pattern of names, where the schema of such fields stands.
        others: where the schemas of all other fields stand.
        left_out: for each field that does not go this way, where that is said.
        forbidden: for each field that one of the schemas lists and another one forbids, where the other one stands.
    """

    named: dict[str, tuple[str, ...]] = Factory(dict)
    required: dict[str, str] = Factory(dict)
    is_closed: bool = False
    owner: str = ""
    patterns: dict[str, str] = Factory(dict)
    others: tuple[str, ...] = ()
    left_out: dict[str, str] = Factory(dict)
    forbidden: dict[str, str] = Factory(dict)

    def pointers(self, name: str) -> tuple[str, ...]:
        """Return where the schemas of a field stand; of a field that is not named, there may be some as well."""
        found = self.named.get(name, ())
        if self.patterns:
            found += tuple(pointer for pattern, pointer in self.patterns.items() if matches(pattern, name))
        return found or self.others


def fields_of(document: Document, pointers: Sequence[str], direction: Direction | None = None) -> Fields:
    """Return what the schemas at these pointers say about an object's fields.

    Fields that do not go in the direction are not required. None: no direction is looked at.
    """
    fields, is_open = Fields(), False
    unevaluated: tuple[str, ...] = ()
    for pointer in pointers:
        schema = document.schema(pointer)
        is_open |= _PART_OF_UNION.search(pointer) is not None and is_free(document, pointer)
        if not isinstance(schema, Mapping):
            continue
        for name in schema.get("properties", ()):
            fields.named[name] = (*fields.named.get(name, ()), f"{pointer}/properties/{escape(name)}")
        for pattern in schema.get("patternProperties", ()):
            fields.patterns[pattern] = f"{pointer}/patternProperties/{escape(pattern)}"
        for name in schema.get("required", ()):
            fields.required.setdefault(name, f"{pointer}/required")
        others = schema.get("additionalProperties")
        if isinstance(others, dict) and others:
            fields.others += (f"{pointer}/additionalProperties",)
        rest = schema.get("unevaluatedProperties")
        if isinstance(rest, dict) and rest:
            unevaluated += (f"{pointer}/unevaluatedProperties",)
        is_open |= others is True or others == {} or rest is True or rest == {}
        fields.is_closed |= bool(schema.get("properties")) or others is False
        fields.owner = pointer if schema.get("properties") else fields.owner
    fields.others = fields.others or unevaluated
    for name, places in fields.named.items():
        marks = [mark_of(document, place, direction) for place in places] if direction else []
        mark = next(filter(None, marks), None)
        if mark is not None:
            fields.left_out[name] = mark
            fields.required.pop(name, None)
    fields.forbidden = dict(_forbidden(document, pointers, fields.named)) if len(pointers) > 1 else {}
    fields.is_closed = fields.is_closed and not is_open
    fields.owner = fields.owner or next(iter(pointers), "")
    return fields


def _forbidden(document: Document, pointers: Sequence[str], names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the fields that one of the schemas at some pointers does not list and forbids, each with that schema."""
    for pointer in pointers:
        schema = document.schema(pointer)
        if isinstance(schema, Mapping) and schema.get("additionalProperties") is False:
            listed, patterns = schema.get("properties", ()), schema.get("patternProperties", ())
            for name in names:
                if name not in listed and not any(matches(pattern, name) for pattern in patterns):
                    yield name, pointer


def is_free(document: Document, pointer: str) -> bool:
    """Whether a schema says nothing about an object, so that any field may come."""
    schemas = [document.schema(one) for one in unconditional(document, pointer)]
    said = {name for schema in schemas if isinstance(schema, Mapping) for name, value in schema.items() if value != {}}
    types = [types_of(schema) for schema in schemas]
    is_object = not any(types) or any("object" in one for one in types)
    return is_object and said.isdisjoint(TELLING_KEYWORDS) and False not in schemas


def marks_of(document: Document, pointer: str) -> frozenset[Direction]:
    """Return the directions in which the field does not go whose schema stands at a pointer."""
    return frozenset(one for one in Direction if mark_of(document, pointer, one) is not None)


def mark_of(document: Document, pointer: str, direction: Direction) -> str | None:
    """Return where it is said that the field with the schema at a pointer does not go this way. None: it does go."""
    with suppress(UnjudgeableError):  # Values of the field can't be judged, but perhaps none comes.
        for one in unconditional(document, pointer):
            schema = document.schema(one)
            if isinstance(schema, Mapping) and schema.get(direction) is True:
                return f"{one}/{direction}"
    return None

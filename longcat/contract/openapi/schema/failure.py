"""The place at which a value breaks a schema, and what the broken keyword asks for."""

from collections.abc import Mapping
from typing import Any, Final

from attrs import Factory, define

from longcat.gateway.schema import expectation

_EXPECTED: Final[Mapping[str, str]] = {
    "anyOf": "a value that fits one of the schemas in anyOf",
    "oneOf": "a value that fits exactly one of the schemas in oneOf",
    "not": "a value that does not fit the schema in not",
    "contains": "a list with as many items as contains asks for",
    "propertyNames": "names that fit the schema in propertyNames",
    "required": "all required fields",
    "dependentRequired": "the fields that others need",
    "unevaluatedProperties": "no other fields",
    "unevaluatedItems": "no other items",
    "discriminator": "a word that leads to this schema",
    "writeOnly": "no such field in an answer",
}
"""What a keyword asks for, in words."""


@define
class SchemaFailure:
    """The first place at which a value breaks its schema.

    Attributes:
        pointer: of the keyword that is broken.
        expected: what it asks for, in words.
        path: to the part of the value that breaks it, from the inside out.
    """

    pointer: str
    expected: str
    path: list[str | int] = Factory(list)


def describe_keyword(schema: Mapping[str, Any], keyword: str) -> str:
    """Return what a keyword of a schema asks for, in words. Empty: the schema itself, which allows nothing."""
    if not keyword:
        return "nothing in this place"
    return _EXPECTED.get(keyword) or expectation(keyword, schema[keyword])

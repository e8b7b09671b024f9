"""A schema of a document, read once and ready to hold values against."""

from collections.abc import Mapping
from typing import Any, Final

from longcat.contract.lazy import cached_property
from longcat.contract.openapi.document import Document
from longcat.contract.openapi.schema.assertions import Assertions
from longcat.contract.openapi.schema.fields import Direction, is_free, marks_of
from longcat.contract.openapi.schema.keywords import IN_PLACE, listed
from longcat.text.pointer import escape

STEP: Final = 50
"""What it costs to hold one value against one schema, in steps of a budget."""
BACKTRACKING: Final = 50_000
"""What it costs to try a pattern that needs backtracking. All others take a time that grows with the text."""


class CompiledSchema:
    """A schema of a document, ready to use.

    Attributes:
        pointer: where it stands.
        schema: its keywords. Empty: it allows anything, or nothing at all.
        is_false: whether it allows nothing at all.
        defect: what in it can't be used, in words. Empty: nothing.
        assertions: what it says about a value itself.
        target: where the schema stands that its `$ref` leads to. Empty: it has none.
        cost: of a value in steps.
    """

    def __init__(self, document: Document, pointer: str) -> None:
        schema = document.schema(pointer)
        self.pointer, self.is_false, self.defect = pointer, schema is False, document.defects.get(pointer, "")
        self.schema: Mapping[str, Any] = schema if isinstance(schema, Mapping) else {}
        self.assertions = Assertions(self.schema)
        self.target = document.target(self.schema["$ref"], pointer) if "$ref" in self.schema else ""
        self.cost = STEP + BACKTRACKING * self.assertions.backtracks
        self.tracks_fields = "unevaluatedProperties" in self.schema or "unevaluatedItems" in self.schema
        self._document = document

    @cached_property
    def marks(self) -> frozenset[Direction]:
        """The directions in which a field with this schema does not go."""
        return marks_of(self._document, self.pointer)

    @cached_property
    def properties(self) -> dict[str, str]:
        """The pointers of the schemas of its fields."""
        return {name: f"{self.pointer}/properties/{escape(name)}" for name in self.schema.get("properties", ())}

    @cached_property
    def patterns(self) -> dict[str, str]:
        """The pointers of the schemas of fields whose names have a pattern."""
        names = self.schema.get("patternProperties", ())
        return {name: f"{self.pointer}/patternProperties/{escape(name)}" for name in names}

    @cached_property
    def others(self) -> str | None:
        """The pointer of the schema of all other fields. Empty: it allows anything. None: there is none."""
        others = self.schema.get("additionalProperties")
        return None if others is None else "" if others is True else f"{self.pointer}/additionalProperties"

    @cached_property
    def is_free(self) -> bool:
        """Whether it says nothing about a value but its type, so that any field may come."""
        return is_free(self._document, self.pointer)

    @cached_property
    def names_fields(self) -> bool:
        """Whether it names fields, itself or in a part: an object without names is free."""
        return _names_fields(self._document, self.pointer, set())


def _names_fields(document: Document, pointer: str, seen: set[str]) -> bool:
    schema = document.schema(pointer)
    if not isinstance(schema, Mapping) or pointer in seen:
        return False
    seen.add(pointer)
    if schema.get("properties") or schema.get("additionalProperties") is False:
        return True
    parts = [part for name in IN_PLACE for part in listed(schema, pointer, name)]
    parts += [f"{pointer}/{name}" for name in ("then", "else") if name in schema]
    if "$ref" in schema:
        parts.append(document.target(schema["$ref"], pointer))
    return any(_names_fields(document, part, seen) for part in parts)

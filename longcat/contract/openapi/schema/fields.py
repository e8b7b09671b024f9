"""The fields of an object, as one or several schemas together describe them."""

from collections.abc import Mapping, Sequence

from attrs import Factory, define

from longcat.contract.openapi.references import Document
from longcat.contract.openapi.schema.patterns import matches
from longcat.pointer import escape


@define
class Fields:
    """What several schemas together say about an object's fields.

    Attributes:
        named: for each field, where its schemas stand.
        required: for each field that must be there, where that is said.
        is_closed: whether any other field is new.
        owner: where a new field would be entered: the last of the schemas that name fields, as it is the most special.
        patterns: for each pattern of names, where the schema of such fields stands.
        others: where the schemas of all other fields stand.
    """

    named: dict[str, tuple[str, ...]] = Factory(dict)
    required: dict[str, str] = Factory(dict)
    is_closed: bool = False
    owner: str = ""
    patterns: dict[str, str] = Factory(dict)
    others: tuple[str, ...] = ()

    def pointers(self, name: str) -> tuple[str, ...]:
        """Return where the schemas of a field stand; of a field that is not named, there may be some as well."""
        found = self.named.get(name, ())
        if self.patterns:
            found += tuple(pointer for pattern, pointer in self.patterns.items() if matches(pattern, name))
        return found or self.others


def fields_of(document: Document, pointers: Sequence[str]) -> Fields:
    """Return what the schemas at these pointers say about an object's fields."""
    fields, is_open = Fields(), False
    unevaluated: tuple[str, ...] = ()
    for pointer in pointers:
        schema = document.schema(pointer)
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
    fields.is_closed = fields.is_closed and not is_open
    fields.owner = fields.owner or next(iter(pointers), "")
    return fields

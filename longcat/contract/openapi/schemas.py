"""The schemas of a document, ready to validate: read openly, as they stand, or closed.

An open object allows fields that its schema does not list. That is right for callers, who must go on when the gateway
learns to say more, and wrong for a watcher, who wants to hear of it. So the closed reading forbids them, wherever the
contract does not itself say that any field may come.
"""

import copy
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

import jsonschema_rs
from attrs import define, field, frozen

from longcat.contract.openapi.document import follow, nodes
from longcat.gateway import schema as core
from longcat.pointer import at, escape, join

ASSERTIONS: Final = (
    "type",
    "const",
    "enum",
    "minimum",
    "exclusiveMinimum",
    "maximum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
)
"""The keywords that say something about a value itself, the most telling first: without any other schema in them."""
IN_PLACE: Final = ("allOf", "oneOf", "anyOf")


@frozen
class Breach:
    """A keyword that a value breaks: where it stands in the document, and its own value."""

    keyword: str
    pointer: str
    limit: Any
    message: str
    path: tuple[str | int, ...] = ()


@define
class Schemas:
    """The schemas of a document of OpenAPI 3.1, each compiled when it is first needed."""

    document: dict[str, Any]
    _closed: dict[str, Any] | None = None
    _validators: dict[tuple[str, bool], jsonschema_rs.Validator] = field(factory=dict)
    _assertions: dict[str, jsonschema_rs.Validator] = field(factory=dict)

    def at(self, pointer: str) -> Any:
        """Return the schema at a pointer."""
        return at(self.document, pointer)

    def target(self, reference: str) -> str:
        """Return where a reference leads in the end."""
        return follow(self.document, {"$ref": reference}, "")[1]

    def is_valid(self, pointer: str, value: Any, *, closed: bool = False) -> bool:
        """Whether the schema at a pointer allows a value."""
        return bool(self._validator(pointer, closed=closed).is_valid(value))

    def breaches(self, pointer: str, value: Any, *, closed: bool = False) -> Iterator[Breach]:
        """Yield what in a value breaks the schema at a pointer, as the validator sees it."""
        for error in self._validator(pointer, closed=closed).iter_errors(value):
            yield Breach(error.kind.name, join(error.schema_path), None, error.message, tuple(error.instance_path))

    def assertions(self, pointer: str, value: Any) -> Iterator[Breach]:
        """Yield the assertions of one schema, without those inside of it, that a value breaks: most telling first."""
        schema = self.at(pointer)
        own = {name: schema[name] for name in ASSERTIONS if name in schema}
        if not own:
            return
        if pointer not in self._assertions:
            self._assertions[pointer] = _compile(own)
        broken = {error.kind.name: error.message for error in self._assertions[pointer].iter_errors(value)}
        for name in ASSERTIONS:
            if name in broken:
                yield Breach(name, f"{pointer}/{name}", own[name], broken[name])

    def _validator(self, pointer: str, *, closed: bool) -> jsonschema_rs.Validator:
        if (pointer, closed) not in self._validators:
            if closed and self._closed is None:
                self._closed = close(self.document)
            document = self._closed if closed and self._closed is not None else self.document
            self._validators[pointer, closed] = _compile({**document, "$ref": f"#{_fragment(pointer)}"})
        return self._validators[pointer, closed]


def _compile(schema: dict[str, Any]) -> jsonschema_rs.Validator:
    # The formats are those of the core, which knows what the typed client can read; the others are the validator's.
    return jsonschema_rs.Draft202012Validator(schema, formats=dict(core.FORMATS), validate_formats=True)


def close(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document in which every object is closed, unless its schema says that any field may come.

    `unevaluatedProperties` sees through references and compositions, but it must stand outside of them: beside a
    composition, never in a part of it, where it would forbid what the other parts allow. So it goes to the places that
    hold the whole schema of a value: a body, a property, an item.
    """
    closed = copy.deepcopy(document)
    for node, pointer in nodes(closed):
        for child in _value_places(node, pointer):
            schema = at(closed, child)
            if isinstance(schema, dict) and _lists_fields(closed, schema, set()):
                schema.setdefault("unevaluatedProperties", False)
    return closed


def _value_places(node: Mapping[str, Any], pointer: str) -> Iterator[str]:
    for name in ("schema", "items", "additionalProperties"):
        if isinstance(node.get(name), dict):
            yield f"{pointer}/{name}"
    for name in ("properties", "patternProperties"):
        if isinstance(node.get(name), dict):
            yield from (f"{pointer}/{name}/{escape(inner)}" for inner in node[name])
    if isinstance(node.get("prefixItems"), list):
        yield from (f"{pointer}/prefixItems/{index}" for index in range(len(node["prefixItems"])))


def _lists_fields(document: dict[str, Any], schema: Any, seen: set[int]) -> bool:
    """Whether a schema names fields, itself or in a part: an object without names is free."""
    if not isinstance(schema, dict) or id(schema) in seen:
        return False
    seen.add(id(schema))
    if schema.get("properties") or schema.get("additionalProperties") is False:
        return True
    parts = [part for name in IN_PLACE for part in schema.get(name, ())]
    parts += [schema[name] for name in ("then", "else") if name in schema]
    if isinstance(schema.get("$ref"), str):
        parts.append(at(document, follow(document, {"$ref": schema["$ref"]}, "")[1]))
    return any(_lists_fields(document, part, seen) for part in parts)


def _fragment(pointer: str) -> str:
    """Return a pointer as the fragment of a URI."""
    return quote(pointer, safe="/~!$&'()*+,;=:@-._")

"""Schemas of an OpenAPI document by themselves: for an independent validator, and for a generator of values.

What is a valid body, and which of its fields are listed, is decided here apart from the drift check, so that the two
can disagree.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import jsonschema_rs

from longcat.contract.openapi.document import target
from longcat.contract.openapi.nodes import is_data
from longcat.text.pointer import at, escape, unescape

DROPPED: Final = frozenset(
    {"$id", "$schema", "$anchor", "$dynamicAnchor", "$recursiveAnchor", "$vocabulary", "$comment", "discriminator"}
    | {"example", "examples", "title", "description", "default", "deprecated", "externalDocs", "xml", "nullable"}
)
NAMED: Final = ("properties", "patternProperties", "$defs", "dependentSchemas")
LISTS: Final = ("allOf", "anyOf", "oneOf", "prefixItems")
SINGLE: Final = ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames")
SHAPES: Final = {"properties", "additionalProperties", "allOf", "anyOf", "oneOf", "patternProperties", "$ref"}
WORDS: Final = {"type": "string", "pattern": "^[a-z]{3,9}( [a-z]{2,5})?$"}
"""What is made where anything would do."""
SHAPED: Final = frozenset({"type", "properties", "required", "additionalProperties"})
"""The keywords of an object that can be merged with others."""


class Bundle:
    """One schema of a document with all that it refers to, in four forms: `strict`, `open`, `closed` and `lean`.

    Attributes:
        strict: as the contract has it.
        open: with what harms nobody: fields that are not listed, and values that fit two variants.
        closed: with every object closed that lists fields, unless the contract says that any field may come.
        lean: for a generator: closed, every field required that can be, and values such as people send.
    """

    def __init__(self, document: Mapping[str, Any], pointer: str, *, answer: bool) -> None:
        self._document = document
        self._hidden = "writeOnly" if answer else "readOnly"
        self.strict = self._whole(pointer, "strict")
        self.open = self._whole(pointer, "open")
        self.closed = self._whole(pointer, "closed")

    def lean(self, pointer: str, *, full: bool) -> dict[str, Any]:
        """Return the schema for a generator. `full`: whether it must make every field that does not lead to itself."""
        return self._whole(pointer, "full" if full else "lean")

    def _whole(self, pointer: str, form: str) -> dict[str, Any]:
        builder = _Builder(self._document, self._hidden, form)
        schema = builder.value(node_at(self._document, pointer))
        return {**schema, "$defs": builder.definitions} if isinstance(schema, dict) else {"allOf": [schema]}


class _Builder:
    """Copies schemas of a document, each component once."""

    def __init__(self, document: Mapping[str, Any], hidden: str, form: str) -> None:
        self._document, self._hidden, self._form = document, hidden, form
        self.definitions: dict[str, Any] = {}
        self._open: list[str] = []
        self._cyclic = False

    @property
    def _is_lean(self) -> bool:
        return self._form in {"lean", "full"}

    def value(self, schema: Any) -> Any:
        """Return the schema of a whole value, closed where the form is."""
        schema = self._subtypes(schema) or self._inherited(schema)
        new = self.part(schema)
        if self._form == "closed" and isinstance(new, dict) and self._lists_fields(schema, set()):
            new.setdefault("unevaluatedProperties", False)
        return new

    def part(self, schema: Any) -> Any:
        """Return a schema that may be one of several for a value."""
        if not isinstance(schema, dict):
            return schema
        if isinstance(reference := schema.get("$ref"), str):
            return self._reference(reference)
        if self._is_lean:
            schema = self._merged(schema)
        new = {name: inner for name, inner in schema.items() if name not in DROPPED and not name.startswith("x-")}
        for name in NAMED:
            if isinstance(new.get(name), dict):
                new[name] = {key: self.value(inner) for key, inner in new[name].items()}
        self._compositions(schema, new)
        for name in SINGLE:
            if name in new:
                new[name] = self.value(new[name]) if name in {"items", "additionalProperties"} else self.part(new[name])
        self._fields(schema, new)
        return self._nullable(schema, self._modest(new))

    def _compositions(self, schema: Mapping[str, Any], new: dict[str, Any]) -> None:
        for name in LISTS:
            if isinstance(new.get(name), list):
                copy = self.value if name == "prefixItems" else self.part
                new[name] = [copy(inner) for inner in self._branches(schema, name)]
        if "oneOf" in new and "anyOf" not in new and self._form != "strict":
            new["anyOf"] = new.pop("oneOf")

    def _subtypes(self, schema: Any) -> dict[str, Any] | None:
        """Return the subtypes of a base, which a discriminator tells apart. None: it is no base."""
        parts = schema.get("allOf") if isinstance(schema, dict) else None
        alone = parts[0] if isinstance(parts, list) and len(parts) == 1 else schema
        reference = alone.get("$ref") if isinstance(alone, dict) else None
        base = node_at(self._document, reference.removeprefix("#")) if isinstance(reference, str) else {}
        discriminator = base.get("discriminator") if isinstance(base, dict) else None
        if not isinstance(discriminator, dict) or not {"oneOf", "anyOf"}.isdisjoint(base):
            return None
        name, subtypes = discriminator.get("propertyName"), []
        for target_of, words in _words(discriminator).items():
            if target_of.startswith("#"):
                word = {"properties": {name: {"enum": words}}, "required": [name]}
                subtypes.append({"allOf": [{"$ref": target_of}, word]})
        return {"anyOf": subtypes} if subtypes else None

    def _inherited(self, branch: Any) -> Any:
        """Return a schema with the word for it, where it is a subtype and its base's discriminator has one."""
        reference = branch.get("$ref") if isinstance(branch, dict) else None
        subtype = node_at(self._document, reference.removeprefix("#")) if isinstance(reference, str) else {}
        for part in subtype.get("allOf", ()) if isinstance(subtype, dict) else ():
            above = part.get("$ref") if isinstance(part, dict) else None
            base = node_at(self._document, above.removeprefix("#")) if isinstance(above, str) else {}
            given = base.get("discriminator") if isinstance(base, dict) else None
            discriminator = given if isinstance(given, dict) else {}
            words = _words(discriminator).get(str(reference))
            if words:
                return {"allOf": [branch, {"properties": {discriminator["propertyName"]: {"enum": words}}}]}
        return branch

    def _reference(self, reference: str) -> Any:
        pointer = reference.removeprefix("#")
        name = escape(pointer).replace("%", "~")
        if name in self._open:
            self._cyclic = True
        elif name not in self.definitions:
            self._open.append(name)
            self.definitions[name] = {}
            before, self._cyclic = self._cyclic, False
            made = self.part(node_at(self._document, pointer))
            self.definitions[name] = made
            self._cyclic = before
            self._open.pop()
        return {"$ref": f"#/$defs/{escape(name)}"}

    def _is_hidden(self, schema: Any) -> bool:
        reference = schema.get("$ref") if isinstance(schema, dict) else None
        if isinstance(reference, str):
            schema = node_at(self._document, reference.removeprefix("#"))
        return isinstance(schema, dict) and schema.get(self._hidden) is True

    def _fields(self, schema: Mapping[str, Any], new: dict[str, Any]) -> None:
        """Leave out the fields that go the other way, require what must be made, and open what is to be open."""
        given = schema.get("properties")
        hidden = [name for name, one in given.items() if self._is_hidden(one)] if isinstance(given, dict) else []
        if "required" in new:
            new["required"] = [name for name in dict.fromkeys(new["required"]) if name not in hidden]
        if self._form == "open":
            for name in ("additionalProperties", "unevaluatedProperties"):
                if new.get(name) is False:
                    del new[name]
        if self._is_lean and isinstance(given, dict):
            required = set(new.get("required", ()))
            new["properties"] = {}
            for name, inner in given.items():
                if name not in hidden:
                    self._cyclic = False
                    new["properties"][name] = made = self.value(inner)
                    required |= {name} if self._form == "full" and not self._cyclic and made is not False else set()
            new["required"] = sorted(required)
            new.setdefault("additionalProperties", False)

    def _branches(self, schema: Mapping[str, Any], name: str) -> Iterator[Any]:
        """Yield the parts of a composition; the words of a discriminator are laid down in its branches."""
        given = schema.get("discriminator")
        discriminator = given if isinstance(given, dict) else {}
        words = _words(discriminator) if name != "allOf" else {}
        for branch in schema[name]:
            reference = branch.get("$ref") if isinstance(branch, dict) else None
            if words and isinstance(reference, str):
                word = {"enum": words.get(reference) or [reference.rpartition("/")[2]]}
                named = {
                    "properties": {discriminator["propertyName"]: word},
                    "required": [discriminator["propertyName"]],
                }
                yield {"allOf": [branch, named]}
            else:
                yield self._inherited(branch) if name != "allOf" else branch

    def _merged(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return a schema with the parts of `allOf` in it, where all of them are plain objects."""
        parts = [schema, *self._parts(schema.get("allOf"))]
        inner = [{name: one for name, one in part.items() if name not in DROPPED | {"allOf"}} for part in parts]
        shaped = [
            {name for name in part if not name.startswith("x-") and name not in {"readOnly", "writeOnly"}}
            for part in inner
        ]
        if "allOf" not in schema or not all(names <= SHAPED for names in shaped):
            return schema
        merged: dict[str, Any] = {"properties": {}, "required": []}
        for part in inner:
            for name, one in part.get("properties", {}).items():
                known = merged["properties"].get(name)
                merged["properties"][name] = one if known in (None, one) else {"allOf": [known, one]}
            merged["required"] += part.get("required", [])
            merged |= {name: part[name] for name in ("type", "additionalProperties") if name in part}
        return merged

    def _parts(self, parts: Any) -> Iterator[dict[str, Any]]:
        for part in parts if isinstance(parts, list) else ():
            one = part
            for _ in range(20):
                if isinstance(one, dict) and isinstance(one.get("$ref"), str):
                    one = node_at(self._document, one["$ref"].removeprefix("#"))
            one = self._merged(one) if isinstance(one, dict) and "allOf" in one else one
            yield one if isinstance(one, dict) else {"not": {}}

    def _nullable(self, schema: Mapping[str, Any], new: dict[str, Any]) -> dict[str, Any]:
        if (
            schema.get("nullable") is not True
            or "null" in new.get("type", ())
            or not self._document.get("openapi", "").startswith("3.0")
        ):
            return new
        return {"anyOf": [new, {"type": "null"}]}

    def _modest(self, new: dict[str, Any]) -> dict[str, Any]:
        """Return a schema for values such as people send: short words, small numbers, short lists."""
        if not self._is_lean:
            return new
        if "properties" in new:
            new.setdefault("type", "object")
        kind = new.get("type")
        kinds = kind if isinstance(kind, list) else [kind]
        fixed = not {"enum", "const"}.isdisjoint(new)
        if "string" in kinds and not fixed and {"pattern", "format", "minLength", "maxLength"}.isdisjoint(new):
            new["pattern"] = WORDS["pattern"]
        if {"integer", "number"} & set(kinds) and not fixed:
            if not any("inimum" in name for name in new):
                new["minimum"] = 0 if not any("aximum" in name for name in new) else new.get("maximum", 1000) - 1000
            if not any("aximum" in name for name in new):
                new["maximum"] = new.get("minimum", 0) + 100_000
        if "array" in kinds or "items" in new:
            new["maxItems"] = min(new.get("maxItems", 3), max(3, new.get("minItems", 0)))
            new["minItems"] = max(new.get("minItems", 0), min(1, new["maxItems"]))
        if ("object" in kinds or "additionalProperties" in new) and {"properties", "anyOf", "allOf"}.isdisjoint(new):
            _tame(new)
        return new or dict(WORDS)

    def _lists_fields(self, schema: Any, seen: set[str]) -> bool:
        """Whether a schema names fields, itself or in a part, and does not let others be."""
        if not isinstance(schema, dict):
            return False
        if schema.get("additionalProperties") in (True, {}) or schema.get("unevaluatedProperties") is True:
            return False
        if schema.get("properties") or schema.get("additionalProperties") is False:
            return True
        if any(_is_free(part) for name in ("anyOf", "oneOf") for part in schema.get(name, ())):
            return False
        parts = [part for name in ("allOf", "anyOf", "oneOf") for part in schema.get(name, ())]
        reference = schema.get("$ref")
        if isinstance(reference, str) and reference not in seen:
            seen.add(reference)
            parts.append(node_at(self._document, reference.removeprefix("#")))
        return any(self._lists_fields(part, seen) for part in parts)


def _is_free(schema: Any) -> bool:
    """Whether a schema allows any object."""
    kinds = schema.get("type", ()) if isinstance(schema, dict) else ()
    return "object" in (kinds if isinstance(kinds, list) else [kinds]) and not SHAPES & schema.keys()


def extent(schema: Any, definitions: Mapping[str, Any], known: dict[str, int] | None = None) -> int:
    """Return how many values the largest value has that a lean schema makes, where none of them is optional."""
    known = {} if known is None else known
    if not isinstance(schema, dict):
        return 1
    if isinstance(reference := schema.get("$ref"), str):
        if reference not in known:
            known[reference] = 1  # What leads back to itself is optional.
            known[reference] = extent(definitions[unescape(reference.rpartition("/")[2])], definitions, known)
        return known[reference]
    required = schema.get("required", ())
    inner = sum(
        extent(one, definitions, known) for name, one in schema.get("properties", {}).items() if name in required
    )
    items = schema.get("maxItems", 1) * extent(schema["items"], definitions, known) if "items" in schema else 0
    parts = [extent(part, definitions, known) for name in ("allOf", "anyOf") for part in schema.get(name, ())]
    return 1 + inner + items + max(parts, default=0)


def _tame(schema: dict[str, Any]) -> None:
    """Have an object without named fields be a small map of words."""
    if schema.get("additionalProperties") in (None, True, {}):
        schema["additionalProperties"] = dict(WORDS)
    if isinstance(schema["additionalProperties"], dict):
        schema["propertyNames"] = {"pattern": "^[a-z]{3,8}$"}
        schema["maxProperties"] = min(schema.get("maxProperties", 3), max(3, schema.get("minProperties", 0)))


def _words(discriminator: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the words of a discriminator by what they refer to."""
    found: dict[str, list[str]] = {}
    for word, name in (discriminator.get("mapping") or {}).items():
        reference = name if "#" in name else f"#/components/schemas/{name}"
        found.setdefault(reference, []).append(word)
    return found if found or "propertyName" not in discriminator else {"": []}


def node_at(document: Mapping[str, Any], pointer: str) -> Any:
    """Return what stands at a pointer, with every reference in it as a pointer into the whole document.

    Raises SpecError or LookupError where nothing does, or where a reference leads nowhere.
    """
    return _with_whole_references(document, at(document, pointer), pointer)


def _with_whole_references(document: Mapping[str, Any], node: Any, base: str, *, named: bool = False) -> Any:
    """Return a copy of a node with whole references. `named`: its keys are names that somebody chose."""
    if isinstance(node, list):
        return [_with_whole_references(document, item, base) for item in node]
    if not isinstance(node, dict):
        return node
    if not named and isinstance(reference := node.get("$ref"), str):
        return {**node, "$ref": f"#{target(document, reference, base)}"}
    return {
        name: inner
        if not named and is_data(name, inner)
        else _with_whole_references(document, inner, base, named=not named and name in NAMED)
        for name, inner in node.items()
    }


def validator(schema: dict[str, Any], forgiven: Iterable[str] = ()) -> jsonschema_rs.Draft202012Validator:
    """Return what validates a value, formats included but for those that are forgiven."""
    formats = dict.fromkeys(forgiven, _any_text)
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True, formats=formats)


def _any_text(_text: str) -> bool:
    return True

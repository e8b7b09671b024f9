"""Every keyword that puts schemas together is understood, and what has no name of its own is still found."""

import json
from typing import Any

import pytest

from longcat.contract.checks.comparison import Comparison
from longcat.contract.openapi.errors import UnjudgeableError
from longcat.contract.openapi.examples import NO_EXAMPLES
from longcat.contract.openapi.limits import MAX_VALUE_DEPTH
from longcat.contract.openapi.parsing import parse_document
from longcat.contract.openapi.schema.fields import Direction
from longcat.contract.openapi.schema.plain import PlainSchemas
from longcat.contract.openapi.schema.validator import ValidationMode
from longcat.contract.openapi.spec import Spec, make_spec

CAT = {"required": ["kind", "lives"], "properties": {"kind": {"const": "cat"}, "lives": {"type": "integer"}}}
DOG = {"required": ["kind", "barks"], "properties": {"kind": {"const": "dog"}, "barks": {"type": "boolean"}}}
BIRD = {"required": ["kind", "song"], "properties": {"kind": {"type": "string"}, "song": {"type": "string"}}}
TREE = {
    "required": ["name"],
    "properties": {
        "name": {"type": "string"},
        "branches": {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}},
    },
}
COMPONENTS: dict[str, dict[str, Any]] = {"Cat": CAT, "Dog": DOG, "bird": BIRD, "Tree": TREE}


def either(*names: str, **discriminator: Any) -> dict[str, Any]:
    """Return a choice between components, told apart by their kind."""
    references = [{"$ref": f"#/components/schemas/{name}"} for name in names]
    return {"oneOf": references, "discriminator": {"propertyName": "kind", **discriminator}}


RECASED = ("value-recased", "/kind")
GONE = ("field-missing", "/lives")
TREES = {"$ref": "#/components/schemas/Tree"}
PLAIN_CHOICE = {"oneOf": [{"$ref": "#/components/schemas/Cat"}, {"type": "array", "items": {"type": "integer"}}]}
WHEN = {
    "type": "object",
    "properties": {"paid": {"type": "boolean"}},
    "required": ["paid"],
    "if": {"properties": {"paid": {"const": True}}},
    "then": {"properties": {"price": {"type": "number"}}, "required": ["price"]},
    "else": {"properties": {"reason": {"type": "string"}}},
}
WITH = {"properties": {"card": {}}, "dependentSchemas": {"card": {"properties": {"number": {"type": "string"}}}}}
MAPS = {
    "properties": {"a": {"type": "integer"}},
    "patternProperties": {"^x-": {"type": "string"}},
    "additionalProperties": {"type": "boolean"},
}
PAIR = {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False}


def found(schema: Any, value: Any) -> list[tuple[str, str]]:
    """Return the kind and the place of each difference between a value and a schema."""
    content = {"application/json": {"schema": schema}}
    document = {
        "openapi": "3.1.0",
        "paths": {"/a": {"get": {"responses": {"200": {"description": "", "content": content}}}}},
        "components": {"schemas": {name: {"type": "object", **schema} for name, schema in COMPONENTS.items()}},
    }
    spec = make_spec(parse_document(json.dumps(document), "small"))
    pointer = spec.operations[0].responses["200"].content["application/json"].schema
    assert pointer is not None
    result = [(mismatch.code, mismatch.pointer) for mismatch in Comparison(spec.schemas).compare(pointer, value)]
    assert not result or not is_plainly_right(spec, pointer, value)[1]
    return result


def is_plainly_right(spec: Spec, pointer: str, value: Any) -> list[bool]:
    """Return whether it is seen without a comparison that nothing is wrong, as a request and as an answer."""
    plain = PlainSchemas(spec.schemas, examples_are_complete=False)
    found = [plain.checker((pointer,), direction, "https", NO_EXAMPLES)(value) for direction in Direction]
    assert not found[0] or Comparison(spec.schemas, direction=Direction.REQUEST).allows(pointer, value)
    return found


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        (either("Cat", "Dog"), {"kind": "cat", "lives": 9}, []),
        (either("Cat", "Dog"), {"kind": "cat", "lives": "9"}, [("type-changed", "/lives")]),
        (either("Cat", "Dog"), {"kind": "fish"}, [("value-undocumented", "/kind")]),
        (either("Cat", "Dog"), {"lives": 9}, [("field-missing", "/kind")]),
        (either("Cat", "Dog"), 5, [("type-changed", "")]),
        (either("bird"), {"kind": "bird", "song": 5}, [("type-changed", "/song")]),
        (either("Cat", "Dog", mapping={"cat": "Cat", "dog": "Dog"}), {"kind": "dog"}, [("field-missing", "/barks")]),
        (either("Cat", mapping={"cat": "#/components/schemas/Cat"}), {"kind": "CAT"}, [RECASED, GONE]),
        (PLAIN_CHOICE, {"kind": "cat", "lives": 9, "new": 1}, [("field-new", "/new")]),
        (PLAIN_CHOICE, [1, "2"], [("type-changed", "/1")]),
        (PLAIN_CHOICE, "text", [("type-changed", "")]),
        (WHEN, {"paid": True, "price": 1}, []),
        (WHEN, {"paid": True}, [("field-missing", "/price")]),
        (WHEN, {"paid": True, "price": 1, "reason": "x"}, [("field-new", "/reason")]),
        (WHEN, {"paid": False, "reason": 5}, [("type-changed", "/reason")]),
        (WITH, {"card": 1, "number": "5"}, []),
        (WITH, {"card": 1, "number": 5}, [("type-changed", "/number")]),
        (WITH, {"number": "5"}, [("field-new", "/number")]),
        ({"type": "object", "required": ["a"]}, {}, [("field-missing", "/a")]),
        (MAPS, {"a": 1, "x-b": "text", "c": True}, []),
        (MAPS, {"x-b": 5}, [("type-changed", "/x-b")]),
        (MAPS, {"c": "text"}, [("type-changed", "/c")]),
        (PAIR, ["a", 1], []),
        (PAIR, ["a", "1"], [("type-changed", "/1")]),
        (PAIR, ["a", 1, 2], [("field-new", "/2")]),
        ({"properties": {"a": False}}, {"a": 1}, [("field-new", "/a")]),
        ({"properties": {"a": {}}, "additionalProperties": False}, {"b": 1}, [("field-new", "/b")]),
        ({"type": "string", "minLength": 3}, "ab", [("value-out-of-range", "")]),
        ({"type": "string", "pattern": "^a"}, "b", [("format-changed", "")]),
        ({"enum": [1, 2]}, 3, [("value-undocumented", "")]),
        ({"type": "integer"}, 1.5, [("type-changed", "")]),
        ({"type": "integer"}, 1.0, []),
        ({"type": ["string", "null"]}, 5, [("type-changed", "")]),
        ({"not": {"type": "string"}}, "x", [("constraint-broken", "")]),
        ({"contains": {"const": 1}}, [2], [("constraint-broken", "")]),
        ({"propertyNames": {"maxLength": 1}}, {"long": 1}, [("constraint-broken", "")]),
        ({"oneOf": [{"type": "integer"}, {"minimum": 0}]}, 5, []),  # To fit several harms nobody.
        (TREES, {"name": "a", "branches": [{"name": 5}]}, [("type-changed", "/branches/0/name")]),
    ],
)  # fmt: skip
def test_reading(schema: Any, value: Any, expected: list[tuple[str, str]]) -> None:
    """Each difference is found where it is, and named for what it is."""
    assert found(schema, value) == expected


NAMED = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}}
HIDDEN = {"properties": {"name": {"type": "string", "writeOnly": True}, "id": {"type": "string", "readOnly": True}}}


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        (NAMED, {"name": "a", "age": 5}, [True, True]),
        (NAMED, {"age": 5}, [False, False]),
        (NAMED, {"name": "a", "more": 5}, [False, False]),
        ({**NAMED, "additionalProperties": {"type": "null"}}, {"name": "a", "more": None}, [True, True]),
        ({**NAMED, "additionalProperties": True}, {"name": "a", "more": 5}, [True, True]),
        ({"type": "array", "items": NAMED}, [{"name": "a"}, {"name": "b"}], [True, True]),
        ({"type": "array", "items": NAMED}, [{"name": "a"}, {"name": 5}], [False, False]),
        ({"anyOf": [NAMED, {"type": "null"}]}, {"name": "a"}, [True, True]),
        ({"properties": {"a": {"oneOf": [{"type": "null"}, NAMED]}}}, {"a": None}, [True, True]),
        ({"oneOf": [{**NAMED, "type": ["object", "null"]}, {"type": "null"}]}, None, [False, False]),
        ({"allOf": [NAMED, {"properties": {"more": {"const": 1}}}]}, {"name": "a", "more": 1}, [True, True]),
        ({"allOf": [{"properties": {"a": NAMED}}] * 2}, {"a": {"name": "a"}}, [False, False]),
        (either("Cat", "Dog"), {"kind": "cat", "lives": 9}, [True, True]),
        (either("Cat", "Dog"), {"kind": "CAT", "lives": 9}, [False, False]),
        ({**NAMED, "minProperties": 2}, {"name": "a"}, [False, False]),
        (HIDDEN, {"name": "a"}, [True, False]),
        (HIDDEN, {"id": "a"}, [False, True]),
        (TREES, {"name": "a", "branches": [{"name": "b", "branches": []}]}, [True, True]),
    ],
)
def test_what_is_plainly_right(schema: Any, value: Any, expected: list[bool]) -> None:
    """Of most schemas it is seen at once that a value fits them, as a request or as an answer; else nothing is said."""
    named = {name: {"type": "object", **one} for name, one in COMPONENTS.items()}
    spec = make_spec({"openapi": "3.1.0", "paths": {}, "components": {"schemas": {**named, "Whole": schema}}})
    assert is_plainly_right(spec, "/components/schemas/Whole", value) == expected


WORD = {"$ref": "#/components/schemas/Word"}
OF_SCALARS = [
    *({}, False, {"type": "string", "minLength": 1}, {"type": ["integer", "null"]}, {"enum": [1, "a", None]}),
    *({"const": 5}, {"minimum": 0}, {"format": "date-time"}, {"format": "uri"}, {"pattern": "^(?=a)"}, {"not": {}}),
    *({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"allOf": [{"type": "string"}]}, {"type": "object"}),
    *({"type": "string", "readOnly": True}, {"type": "string", "writeOnly": True}, {"pattern": "("}),
    *(WORD, {**WORD, "maxLength": 0}, {"$ref": "#/components/schemas/Loop"}, {"$ref": "#/components/schemas/None"}),
]


@pytest.mark.parametrize("schema", OF_SCALARS, ids=json.dumps)
def test_what_is_right_at_once_is_right(schema: Any) -> None:
    """What is seen at once to be right is so for whoever looks at all of its schema, whichever way it goes."""
    whole = {"properties": {"a": schema}, "patternProperties": {"^never": {}}}  # So that all of it is looked at.
    named = {"Word": {"type": "string", "pattern": "^a"}, "Loop": {"$ref": "#/components/schemas/Loop"}, "Whole": whole}
    schemas = make_spec({"openapi": "3.1.0", "paths": {}, "components": {"schemas": named}}).schemas
    for value in ("", "a", "b", "2026-01-31T00:00:00Z", "https://example.com", 5, 5.0, 1.5, -1, True, None):
        if schemas.is_right_scalar(("/components/schemas/Whole/properties/a",), value):
            modes = [ValidationMode(closed, way) for closed in (False, True) for way in (None, *Direction)]
            assert [schemas.failure("/components/schemas/Whole", {"a": value}, mode) for mode in modes] == [None] * 6


def nested(levels: int) -> dict[str, Any]:
    """Return a tree whose deepest value has so many objects and lists around it."""
    tree: dict[str, Any] = {"name": "leaf"}
    for _ in range(levels // 2):
        tree = {"name": "branch", "branches": [tree]}
    return tree


def test_a_value_is_compared_down_to_a_fixed_level() -> None:
    """It is the same level whatever the stack would take. What is deeper can't be judged, and that is said."""
    assert found(TREES, nested(MAX_VALUE_DEPTH - 2)) == []
    for levels in (MAX_VALUE_DEPTH, 100_000):
        with pytest.raises(UnjudgeableError, match="more than 100 levels"):
            found(TREES, nested(levels))

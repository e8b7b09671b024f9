"""Schemas for values: as narrow as what was seen, and as wide."""

import re
from collections.abc import Sequence
from typing import Any, Final

from longcat.contract.openapi.nodes import Node
from longcat.gateway.schema import TYPES

MAX_DESCRIBED_DEPTH: Final = 6
"""How many levels down a value is described; what is below is free."""
MAX_DESCRIBED_FIELDS: Final = 50
"""How many fields of an object are described. One with more is rather a table, and free."""
MAX_FIELD_NAME: Final = 100
"""How long the name of a field may be. A longer one is rather a text, and its object free."""


_NAME: Final = re.compile(r"[A-Za-z_$@][\w$-]*", re.ASCII)
"""What may be the name of a field."""
_ID: Final = re.compile(r"\d{4}|[0-9a-f]{8}", re.IGNORECASE)
"""What is rather part of an id."""


def is_name(name: str) -> bool:
    """Whether a field's name is one that a contract could have."""
    return 0 < len(name) <= MAX_FIELD_NAME and name.isprintable()


def is_map(objects: Sequence[dict[str, Any]]) -> bool:
    """Whether objects are rather maps: their keys are data, and their values all of one kind.

    A key is data if no program would have it for a name, such as a number, an id, a date or a path. So are the keys of
    several objects of which no two have one in common.
    """
    names = [name for one in objects for name in one]
    if not names or len(united([type_of(value) for one in objects for value in one.values()])) > 1:
        return False
    all_differ = len(objects) > 1 and len(set(names)) == len(names) > len(objects)
    return all_differ or all(not _NAME.fullmatch(name) or _ID.search(name) for name in names)


def type_of(value: Any) -> str:
    """Return the narrowest type of a JSON value."""
    return next(name for name, is_type in TYPES.items() if is_type(value))


def united(types: Sequence[str]) -> list[str]:
    """Return types without those that another one includes, in their order."""
    found = list(dict.fromkeys(types))
    if "number" in found and "integer" in found:
        found.remove("integer")
    return found


def as_type(types: Sequence[str]) -> str | list[str]:
    """Return types as the keyword `type` has them."""
    return types[0] if len(types) == 1 else list(types)


def infer(values: Sequence[Any], depth: int = MAX_DESCRIBED_DEPTH) -> dict[str, Any]:
    """Return a schema that allows these values, and others of their kind. No field is required in it."""
    if not values:
        return {}
    return {"type": as_type(united([type_of(value) for value in values])), **inner(values, depth)}


def inner(values: Sequence[Any], depth: int = MAX_DESCRIBED_DEPTH) -> dict[str, Any]:
    """Return what a schema for these values says about their fields and items."""
    schema: dict[str, Any] = {}
    objects = [value for value in values if isinstance(value, dict)]
    names = dict.fromkeys(name for value in objects for name in value)
    if depth and is_map(objects):
        schema["additionalProperties"] = infer([one for value in objects for one in value.values()], depth - 1)
    elif 0 < len(names) <= MAX_DESCRIBED_FIELDS and depth and all(map(is_name, names)):
        schema["properties"] = {
            name: infer([value[name] for value in objects if name in value], depth - 1) for name in names
        }
    lists = [value for value in values if isinstance(value, list)]
    if lists:
        schema["items"] = infer([item for value in lists for item in value], depth - 1) if depth else {}
    return schema


def with_nullable(schema: Any) -> Any:
    """Return a schema in the way of OpenAPI 3.0: `nullable` for null beside one type, and alone for null alone."""
    if isinstance(schema, list):
        return [with_nullable(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    types = schema.get("type")
    named = types if isinstance(types, list) else [types]
    others = [one for one in named if one != "null"]
    if not TYPES.keys() >= set(map(str, named)) or len(others) == len(named) or len(others) > 1:
        return {name: with_nullable(one) for name, one in schema.items()}
    inner = {name: with_nullable(one) for name, one in schema.items() if name != "type"}
    return {**({"type": others[0]} if others else {}), "nullable": True, **inner}


def wrapped(value: Any, path: Sequence[str], schema: Node) -> Node:
    """Return a schema for a value in which, at a path, stands what another schema describes."""
    if not path:
        return schema
    if isinstance(value, list):
        return {"type": "array", "items": wrapped(value[0], path[1:], schema)}
    fields = infer([value]).get("properties", {})
    inside = wrapped(value[path[0]], path[1:], schema)
    return {"type": "object", "required": [path[0]], "properties": {**fields, path[0]: inside}}

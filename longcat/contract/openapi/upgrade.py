"""OpenAPI 3.0 as 3.1: the schema keywords that mean the same in other words."""

from typing import Any, Final

from longcat.contract.openapi.document import target
from longcat.contract.openapi.errors import SpecError
from longcat.contract.openapi.nodes import NAMED, Node, is_data
from longcat.text.pointer import at

_PARTS: Final = ("allOf", "anyOf", "oneOf")


def modern(node: Any, root: Any = None, *, named: bool = False) -> Any:
    """Return a part of a document with the schema keywords of OpenAPI 3.0 as JSON Schema 2020-12 has them.

    No schema moves, so a pointer means the same in both. Of a document of OpenAPI 3.1 the result is a copy, in which
    what is left of 3.0 is made new as well. `root` is the whole document (None: the part itself), and `named` says
    that the keys of the part are names that somebody chose.
    """
    root = node if root is None else root
    if isinstance(node, list):
        return [modern(item, root) for item in node]
    if not isinstance(node, dict):
        return node
    new = {
        name: inner if not named and is_data(name, inner) else modern(inner, root, named=not named and name in NAMED)
        for name, inner in node.items()
    }
    if named:
        return new
    if new.get("nullable") is True:
        _allow_null(new, root)
    if new.get("type") == "file":  # Of Swagger 2, for bytes.
        new["type"] = "string"
    for bound in ("Minimum", "Maximum"):
        exclusive, plain_name = f"exclusive{bound}", bound.lower()
        if new.get(exclusive) is True and plain_name in new:
            new[exclusive] = new.pop(plain_name)
        elif isinstance(new.get(exclusive), bool):
            del new[exclusive]
    return new


def _allow_null(schema: dict[str, Any], root: Node) -> None:
    """Have a schema with `nullable` allow null, wherever the keyword stands.

    OpenAPI 3.0 wants a `type` beside it. People write it without one as well, next to `$ref`, `allOf` and their like.
    """
    types = schema.get("type")
    if isinstance(types, str | list):
        schema["type"] = [*dict.fromkeys([*([types] if isinstance(types, str) else types), "null"])]
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
    if isinstance(schema.get("enum"), list) and None not in schema["enum"]:
        schema["enum"] = [*schema["enum"], None]
    parts = schema.get("allOf")
    for part in parts if isinstance(parts, list) else ():
        if isinstance(part, dict):
            _allow_null(part, root)
    if isinstance(reference := schema.get("$ref"), str) and not _allows_null({"$ref": reference}, root):
        either = [{"$ref": schema.pop("$ref")}, {"type": "null"}]
        if "anyOf" in schema:
            schema["allOf"] = [*(parts if isinstance(parts, list) else ()), {"anyOf": either}]
        else:
            schema["anyOf"] = either
    for keyword in ("anyOf", "oneOf"):
        parts = schema.get(keyword)
        if isinstance(parts, list) and parts and not any(_allows_null(part, root) for part in parts):
            schema[keyword] = [*parts, {"type": "null"}]


def _allows_null(schema: Any, root: Node, depth: int = 10) -> bool:
    """Whether null is allowed by a schema of a document whose keywords may still be old ones."""
    if not isinstance(schema, dict) or not depth:
        return schema is True
    if schema.get("nullable") is True or "null" in _listed(schema.get("type")):
        return True
    if "type" in schema or "const" in schema or ("enum" in schema and None not in _listed(schema["enum"])):
        return False
    if isinstance(reference := schema.get("$ref"), str):
        try:
            return _allows_null(at(root, target(root, reference, "")), root, depth - 1)
        except SpecError:
            return False
    parts = {name: [_allows_null(part, root, depth - 1) for part in _listed(schema.get(name))] for name in _PARTS}
    return all(parts["allOf"]) and all(any(parts[name]) for name in ("anyOf", "oneOf") if name in schema)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if isinstance(value, str) else []

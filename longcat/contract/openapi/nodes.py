"""The objects in an OpenAPI document, told apart from the data in it, such as examples."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from longcat.text.pointer import escape

Node: TypeAlias = Mapping[str, Any]

# Their keys are names that somebody chose, so that a property may be called `default` or `$ref`.
NAMED: Final = frozenset(
    {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "paths", "pathItems", "content"}
    | {"schemas", "responses", "parameters", "headers", "requestBodies", "securitySchemes", "links", "callbacks"}
)
# What stands there is data, and no part of the document's own structure.
_DATA: Final = frozenset({"example", "default", "const", "enum", "value", "mapping"})


def is_data(name: str, value: Any) -> bool:
    """Whether the value of a keyword is data or an extension, and no part of the document's own structure."""
    return name in _DATA or name.startswith("x-") or (name == "examples" and isinstance(value, list))


def nodes(node: Any, pointer: str = "", *, named: bool = False) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield every object of a document that is not data, with its JSON pointer."""
    if isinstance(node, list):
        for index, item in enumerate(node):
            yield from nodes(item, f"{pointer}/{index}")
    if isinstance(node, dict):
        if not named:
            yield node, pointer
        for key, inner in node.items():
            if named or not is_data(key, inner):
                yield from nodes(inner, f"{pointer}/{escape(key)}", named=not named and key in NAMED)


def schemas(document: Node) -> Iterator[tuple[Any, str]]:
    """Yield every schema that stands by itself: the components', and those of bodies, parameters and headers."""
    for name, schema in document.get("components", {}).get("schemas", {}).items():
        yield schema, f"/components/schemas/{escape(name)}"
    for node, pointer in nodes(document):
        if isinstance(node.get("schema"), dict | bool) and not pointer.startswith("/components/schemas/"):
            yield node["schema"], f"{pointer}/schema"

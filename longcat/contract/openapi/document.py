"""An OpenAPI document: read from a file as plain JSON values, its references followed, its old keywords made new."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

from longcat.contract.openapi.limits import MAX_BYTES, MAX_DEPTH, MAX_DIGITS, MAX_PATHS, MAX_VALUES, UnjudgeableError
from longcat.pointer import at, escape
from longcat.text import decode_text, shorten, show

Node: TypeAlias = Mapping[str, Any]


class SpecError(UnjudgeableError):
    """A spec, or a part of it, that can't be used.

    Of a whole spec, the message says what is wrong, where, and what to do next. Of a part, it is a sentence without a
    full stop, and costs what reaches that part: the spec is read as far as it is asked for.
    """


METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")
_VERSION: Final = re.compile(r"3\.[012](\..*)?")
MAX_REFERENCES: Final = 100
"""How many references may lead from one to the next."""
OTHER_REFERENCES: Final = ("$dynamicRef", "$recursiveRef")
"""The references that are not followed."""
IDENTIFIERS: Final = ("$id", "$schema", "$vocabulary", "$anchor", "$dynamicAnchor", "$recursiveAnchor")
"""The keywords by which a schema has another base, another dialect, or a name that is no JSON pointer.

A validator would fetch what they name. Nothing is ever fetched here, and a reference is a JSON pointer into the file.
"""


def invalid(pointer: str, why: str) -> SpecError:
    """Return the error that says what is wrong at a place of a spec."""
    return SpecError(f"the contract is not valid at {pointer or 'its top level'}: {why}")


def read_document(path: Path) -> dict[str, Any]:
    """Return the document in a YAML or JSON file as plain JSON values. Raises SpecError."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise _too_large(str(path), f"has more than {MAX_BYTES // 1024**2} MiB")
        text = decode_text(data)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SpecError(f"The spec {path} can't be read: {reason}. Name a file with an OpenAPI document.") from error
    return parse_document(text, str(path))


def parse_document(text: str, name: str) -> dict[str, Any]:
    """Return the document in a text as plain JSON values. Raises SpecError, which says `name`."""
    try:
        # JSON is YAML, but YAML forbids the tabs that JSON may be indented with, and reads it a hundred times slower.
        document = json.loads(text) if text.lstrip().startswith("{") else plain(_parse_yaml(text, name))
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise SpecError(f"The spec {name} is not JSON: {error.msg} ({where}). Mend it there.") from error
    except RecursionError:
        raise SpecError(
            f"The spec {name} is nested too deeply, in more than {MAX_DEPTH} levels, or an alias holds itself. Mend it."
        ) from None
    except ValueError as error:  # A whole number of more digits than Python reads.
        if isinstance(error, SpecError):
            raise
        raise _too_large(name, f"has a number of more than {MAX_DIGITS:,} digits") from error
    _check_extent(document, name)
    paths = document.get("paths") if isinstance(document, dict) else None
    if isinstance(paths, dict) and len(paths) > MAX_PATHS:
        raise _too_large(name, f"has more than {MAX_PATHS:,} paths")
    return _check_version(document, name)


def _too_large(name: str, why: str) -> SpecError:
    return SpecError(f"The spec {name} {why}. That is more than is read; take out what the drift check does not need.")


def _check_extent(document: Any, name: str) -> None:
    """Raise SpecError for a document that is larger, or nested more deeply, than is read."""
    size, level = 1, [document]
    for _ in range(MAX_DEPTH + 1):
        if any(isinstance(one, int) and one.bit_length() > _MAX_BITS for one in level):
            raise _too_large(name, f"has a number of more than {MAX_DIGITS:,} digits")
        level = [inner for one in level for inner in _inside(one)]
        size += len(level)
        if size > MAX_VALUES:
            raise _too_large(name, f"holds more than {MAX_VALUES:,} values")
        if not level:
            return
    raise SpecError(f"The spec {name} is nested too deeply, in more than {MAX_DEPTH} levels. Mend it.")


def _inside(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _parse_yaml(text: str, name: str) -> Any:
    import yaml  # type: ignore[import-untyped]  # noqa: PLC0415 - it is slow to import, and JSON does without it.

    from longcat.contract.openapi.yaml_loader import load_yaml  # noqa: PLC0415 - likewise.

    try:
        return load_yaml(text)
    except yaml.MarkedYAMLError as error:
        marks = [one for one in (error.problem_mark, error.context_mark) if one is not None]
        # What lacks its end has its problem after the last line, and its context where it begins.
        mark = next((one for one in marks if one.line < len(text.splitlines())), None)
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        problem = shorten(error.problem or error.context or "it can't be parsed", 200)
        raise SpecError(f"The spec {name} is not YAML: {problem}{where}. Mend it there.") from error
    except (yaml.YAMLError, ValueError) as error:
        raise SpecError(f"The spec {name} is not YAML: {shorten(error, 200)}. Mend it.") from error


def plain(value: Any) -> Any:
    """Return a value read from YAML as JSON has it: names are text, and so are dates."""
    if isinstance(value, Mapping):
        return {name if isinstance(name, str) else _word(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value.isoformat() if isinstance(value, date) else value


def _word(name: Any) -> str:
    return str(name).lower() if isinstance(name, bool) else str(name)


def _check_version(value: Any, name: str) -> dict[str, Any]:
    if value is None:
        raise SpecError(f"The spec {name} is empty. Name a file with an OpenAPI document.")
    document = value if isinstance(value, dict) else {}
    version = document.get("openapi")
    if isinstance(version, bool) or not isinstance(version, str | int | float):
        hint = (
            "It is Swagger 2. Convert it to OpenAPI 3, as `npx swagger2openapi FILE` does."
            if "swagger" in document
            else "Its top level has no `openapi: 3.1.0`."
        )
        raise SpecError(f"The spec {name} is not an OpenAPI document. {hint}")
    if not _VERSION.fullmatch(str(version).strip()):  # People write it as a number, as in `openapi: 3.1`.
        raise SpecError(f"The spec {name} is of OpenAPI {show(version)}, and 3.0 to 3.2 are understood. Convert it.")
    return document


# --- Places in a document.

_MAX_BITS: Final = int(MAX_DIGITS * 3.32)

# Their keys are names that somebody chose, so that a property may be called `default` or `$ref`.
_NAMED: Final = frozenset(
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
                yield from nodes(inner, f"{pointer}/{escape(key)}", named=not named and key in _NAMED)


def schemas(document: Node) -> Iterator[tuple[Any, str]]:
    """Yield every schema that stands by itself: the components', and those of bodies, parameters and headers."""
    for name, schema in document.get("components", {}).get("schemas", {}).items():
        yield schema, f"/components/schemas/{escape(name)}"
    for node, pointer in nodes(document):
        if isinstance(node.get("schema"), dict | bool) and not pointer.startswith("/components/schemas/"):
            yield node["schema"], f"{pointer}/schema"


def follow(document: Node, node: Any, pointer: str) -> tuple[Any, str]:
    """Return what a node refers to in the end, and where that stands; the node itself when it is no reference.

    Raises SpecError for a reference that leads nowhere, in a circle, or out of the document.
    """
    seen = {pointer}
    while isinstance(node, dict) and isinstance(reference := node.get("$ref"), str):
        pointer = _target(document, reference)
        if pointer in seen:
            raise SpecError(f"the reference {show(reference)} leads back to itself")
        if len(seen) > MAX_REFERENCES:
            raise SpecError(f"the reference {show(reference)} is one of more than {MAX_REFERENCES} in a row")
        seen.add(pointer)
        node = at(document, pointer)
    return node, pointer


def _target(document: Node, reference: str) -> str:
    """Return the pointer that a reference means."""
    file, _, fragment = reference.partition("#")
    if file or (fragment and not fragment.startswith("/")):
        raise SpecError(f"the reference {show(reference)} is not one into this file, `#/...`")
    pointer = unquote(fragment)
    try:
        at(document, pointer)
    except LookupError:
        raise SpecError(f"the reference {show(reference)} leads nowhere") from None
    return pointer


# --- OpenAPI 3.0 as 3.1.


def self_contained(document: Node) -> dict[str, Any]:
    """Return a copy of a document as OpenAPI 3.1 has it, without the keywords that have a validator look elsewhere."""
    new: dict[str, Any] = modern(document)
    for node, _ in nodes(new):
        for keyword in IDENTIFIERS:
            node.pop(keyword, None)
    return new


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
        name: inner if not named and is_data(name, inner) else modern(inner, root, named=not named and name in _NAMED)
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
            return _allows_null(at(root, _target(root, reference)), root, depth - 1)
        except SpecError:
            return False
    parts = {name: [_allows_null(part, root, depth - 1) for part in _listed(schema.get(name))] for name in _PARTS}
    return all(parts["allOf"]) and all(any(parts[name]) for name in ("anyOf", "oneOf") if name in schema)


_PARTS: Final = ("allOf", "anyOf", "oneOf")


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if isinstance(value, str) else []

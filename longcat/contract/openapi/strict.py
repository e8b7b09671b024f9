"""Checks the whole of a spec before anything is judged by it, for `--strict-spec`: whatever is wrong refuses it.

Without this, what is wrong in a spec costs only what reaches it.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import jsonschema_rs

from longcat.contract.openapi.document import OTHER_REFERENCES, Node, invalid, nodes, schemas
from longcat.contract.openapi.limits import MAX_PATTERNS
from longcat.contract.openapi.operation import (
    STATUS,
    Media,
    Operation,
    Parameter,
    read_credential,
    read_operations,
)
from longcat.contract.openapi.place import Place
from longcat.contract.openapi.schema.fields import check_pattern
from longcat.contract.openapi.schema.schemas import Schemas
from longcat.contract.openapi.steps import APPLICATORS, TooManyStepsError
from longcat.contract.openapi.urls.servers import server_url
from longcat.pointer import join
from longcat.text import shorten, show


def check_all(root: Place, known: Schemas) -> None:
    """Check everything in a document that an operation may lead to, and all that none leads to. Raises SpecError."""
    document = root.document
    paths = root.fields("paths")
    if not paths:
        raise root.error("there must be an object with at least one path", "paths")
    for path, item in paths.items():
        if not path.startswith(("/", "x-")):
            raise root.error(f"{show(path)} does not begin with a slash", "paths")
        if path.startswith("/"):
            _check_servers(item)
    _check_servers(root)
    for operation in read_operations(root):
        _check_operation(operation)
    components = root.get("components")
    for name in ("schemas", "securitySchemes"):
        for place in components.fields(name).values() if components else ():
            place.pointer  # noqa: B018 - it raises.
            if name == "securitySchemes":
                read_credential(place)
    _check_references(document)
    _check_schemas(document, known)


def _check_servers(place: Place) -> None:
    for server in place.items("servers"):
        server_url(server)


def _check_operation(operation: Operation) -> None:
    """Read everything of an operation. What can't be read raises SpecError."""
    if "operationId" in operation.place.object:
        operation.place.text("operationId")
    _check_servers(operation.place)
    _check_content(operation.request)
    for one in operation.parameters:
        _check_parameter(one)
    operation.security  # noqa: B018 - it raises.
    written = operation.place.fields("responses")
    if not written:
        raise operation.place.error("it has no responses")
    for code in written:
        if not (STATUS.fullmatch(code.upper()) or code.startswith("x-")):
            raise operation.place.error(f"{show(code)} is no status code", "responses")
    for response in operation.responses.values():
        _check_content(response.content)
        for header in response.headers.values():
            _check_parameter(header)


def _check_content(content: Mapping[str, Media]) -> None:
    for media in content.values():
        media.schema, media.place.fields("examples")


def _check_parameter(parameter: Parameter) -> None:
    parameter.required, parameter.schema  # noqa: B018 - they raise.


def _check_references(document: Node) -> None:
    for node, pointer in nodes(document):
        Place(document, node, pointer).pointer  # noqa: B018 - it raises.
        for keyword in OTHER_REFERENCES:
            if keyword in node:
                raise invalid(f"{pointer}/{keyword}", "this kind of reference is not followed")


def _check_patterns(document: Node) -> None:
    """Check that the patterns of all schemas can be used: they take memory."""
    sizes: dict[str, int] = {}
    for node, pointer in nodes(document):
        patterns = [node.get("pattern"), *_keys(node.get("patternProperties"))] if "/schema" in pointer else []
        for pattern in patterns:
            if isinstance(pattern, str) and pattern not in sizes:
                try:
                    sizes[pattern] = check_pattern(pattern)
                except ValueError as error:
                    raise invalid(pointer, f"the pattern {show(pattern)} can't be used: {error}") from None
                if sum(sizes.values()) > MAX_PATTERNS:
                    why = f"with the pattern {show(pattern)}, all patterns are larger than {MAX_PATTERNS:,} characters"
                    raise invalid(pointer, why)


def _keys(value: Any) -> Iterable[str]:
    return value if isinstance(value, dict) else ()


@cache
def _metaschema() -> jsonschema_rs.Draft202012Validator:
    """Return what validates schemas. It takes a millisecond to make."""
    return jsonschema_rs.Draft202012Validator(
        {"$ref": "https://json-schema.org/draft/2020-12/schema"}, validate_formats=True
    )


def _check_schemas(document: Node, known: Schemas) -> None:
    """Check the schemas, and what it takes to go by them."""
    for schema, pointer in schemas(document):
        try:
            _metaschema().validate(schema)
        except jsonschema_rs.ValidationError as error:
            why = f"it is not valid in a schema: {shorten(error.message, 200)}"
            raise invalid(pointer + join(error.instance_path), why) from None
    _check_patterns(document)
    for node, pointer in nodes(document):
        if not APPLICATORS.isdisjoint(node):
            try:
                known.steps.check(pointer)
            except TooManyStepsError as error:
                raise invalid(pointer, str(error)) from None

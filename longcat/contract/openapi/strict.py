"""Checks the whole of a spec before anything is judged by it, for `--strict-spec`: whatever is wrong refuses it.

Without this, what is wrong in a spec costs only what reaches it.
"""

from collections.abc import Mapping

from longcat.contract.openapi.document import Document
from longcat.contract.openapi.errors import SpecError, invalid
from longcat.contract.openapi.nodes import nodes, schemas
from longcat.contract.openapi.operation import (
    STATUS_KEY,
    Media,
    Operation,
    Parameter,
    read_credential,
    read_operations,
)
from longcat.contract.openapi.place import Place
from longcat.contract.openapi.schema.keywords import inner_schemas, wrong_in
from longcat.contract.openapi.urls.servers import server_url
from longcat.text import show
from longcat.text.pointer import at


def check_all(root: Place) -> None:
    """Check everything in a document that an operation may lead to, and all that none leads to. Raises SpecError."""
    document = root.document
    paths = root.fields("paths")
    if not paths:
        raise root.error("there must be an object with at least one path", "paths")
    for path, item in paths.items():
        if not path.startswith(("/", "x-")):
            raise root.error(f"{show(path)} does not begin with a slash", "paths")
        if path.startswith("/"):
            _check_object(item)
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
    for node, pointer in nodes(document):
        Place(document, node, pointer).pointer  # noqa: B018 - it raises.
    _check_schemas(document)


def _check_object(place: Place) -> None:
    """Raise SpecError for a key without a value, which is read as an empty object otherwise."""
    if place.node is None:
        raise place.error("null is not an object")


def _check_servers(place: Place) -> None:
    for server in place.items("servers"):
        server_url(server)


def _check_operation(operation: Operation) -> None:
    """Read everything of an operation. What can't be read raises SpecError."""
    if "operationId" in operation.place.object:
        operation.place.text("operationId")
    _check_servers(operation.place)
    _check_content(operation.request)
    for defect in operation.parameter_defects:
        raise defect
    for one in operation.parameters:
        _check_parameter(one)
    operation.security  # noqa: B018 - it raises.
    written = operation.place.fields("responses")
    if not written:
        raise operation.place.error("it has no responses")
    for code, answer in written.items():
        if not code.startswith("x-"):
            _check_object(answer)
        if not (STATUS_KEY.fullmatch(code.upper()) or code.startswith("x-")):
            raise operation.place.error(f"{show(code)} is no status code", "responses")
    for response in operation.responses.values():
        _check_content(response.content)
        for header in response.headers.values():
            _check_parameter(header)


def _check_content(content: Mapping[str, Media]) -> None:
    for media in content.values():
        _check_object(media.place)
        media.schema, media.place.fields("examples")


def _check_parameter(parameter: Parameter) -> None:
    parameter.required, parameter.schema  # noqa: B018 - they raise.


def _check_schemas(document: Document) -> None:
    """Check the schemas that stand by themselves, and all that is in them."""
    pending = [pointer for _, pointer in schemas(document)]
    while pending:
        pointer = pending.pop()
        schema = document.schema(pointer)
        # Words that stand twice, and keywords without a value, are read all the same; here they are wrong.
        defect = wrong_in(at(document, pointer))
        if defect is not None:
            raise invalid(document.describe(pointer) + defect.pointer, defect.why)
        if pointer in document.defects:
            raise SpecError(document.defects[pointer])
        pending += inner_schemas(schema, pointer)

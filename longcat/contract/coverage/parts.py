"""What there is to see of an operation: its parameters, its request body, and its answers with headers and bodies."""

from collections.abc import Iterator, Mapping
from typing import Final

from attrs import field, frozen

from longcat.contract.checks.media import MediaKind, kind_of
from longcat.contract.coverage.items import Kind, Trees
from longcat.contract.openapi.operation import Media, Operation, Parameter
from longcat.contract.openapi.schema.fields import Direction

REQUEST: Final = "request body"
"""The key and name of the part that is the request's body."""
IGNORED: Final = frozenset({"header accept", "header authorization", "header content-type"})
"""The parameters that OpenAPI ignores, as other parts of a contract describe them."""


@frozen(eq=False)
class Part:
    """A part of a message.

    Attributes:
        kind: OPERATION, STATUS, PARAMETER or HEADER. None: it only holds others, as a body does, and does not count.
        name: for people, such as `GET /cats`, `404`, `query page` or `application/json`.
        pointer: where it stands in the spec.
        direction: which way it travels.
        schema: where the schema of its value stands. None: it has none, or its values can't be judged.
        parts: those in it, by their keys: see `key_of`, media types by themselves, and status codes by their codes.
    """

    kind: Kind | None
    name: str
    pointer: str
    direction: Direction
    schema: str | None = None
    parts: Mapping[str, "Part"] = field(factory=dict, repr=False)

    def children(self) -> "Iterator[Part]":
        """Yield the parts that are directly in this one. Several media types of the same schema are one."""
        yield from dict.fromkeys(self.parts.values())


def key_of(parameter: Parameter) -> str:
    """Return the key of a parameter's part: headers have no case."""
    name = parameter.name.lower() if parameter.location == "header" else parameter.name
    return f"{parameter.location} {name}"


def part_of(operation: Operation, trees: Trees) -> Part:
    """Return an operation with all that is in it, as far as the spec can be read."""
    parts: dict[str, Part] = {}
    for read in (_parameters, _request, _answers):
        with trees.reading(operation.pointer):
            parts.update(read(operation, trees))
    name = f"{operation.method} {operation.path}"
    return Part(Kind.OPERATION, name, operation.pointer, Direction.REQUEST, parts=parts)


def _parameters(operation: Operation, _trees: Trees) -> Iterator[tuple[str, Part]]:
    for one in operation.parameters:
        if key_of(one) not in IGNORED:
            name = f"{one.location} {one.name}"
            yield key_of(one), Part(Kind.PARAMETER, name, one.pointer, Direction.REQUEST, one.schema)


def _request(operation: Operation, trees: Trees) -> Iterator[tuple[str, Part]]:
    if operation.request:
        bodies = _bodies(operation.request, Direction.REQUEST, trees)
        yield REQUEST, Part(None, REQUEST, f"{operation.pointer}/requestBody", Direction.REQUEST, parts=bodies)


def _answers(operation: Operation, trees: Trees) -> Iterator[tuple[str, Part]]:
    for code, response in operation.responses.items():
        parts: dict[str, Part] = {}
        with trees.reading(response.pointer):
            for one in response.headers.values():
                if key_of(one) not in IGNORED:
                    parts[key_of(one)] = Part(Kind.HEADER, key_of(one), one.pointer, Direction.RESPONSE, one.schema)
        with trees.reading(response.pointer):
            parts |= _bodies(response.content, Direction.RESPONSE, trees)
        yield code, Part(Kind.STATUS, code, response.pointer, Direction.RESPONSE, parts=parts)


def _bodies(content: Mapping[str, Media], direction: Direction, trees: Trees) -> dict[str, Part]:
    """Return the parts of a body's media types. Those that have one schema are one part."""
    alike: dict[tuple[str, ...], list[Media]] = {}
    for media in content.values():
        schema = schema_of(media)
        alike.setdefault((media.media_type,) if schema is None else trees.applied(schema), []).append(media)
    found: dict[str, Part] = {}
    for group in alike.values():
        name = ", ".join(media.media_type for media in group)
        part = Part(None, name, group[0].pointer, direction, schema_of(group[0]))
        found |= dict.fromkeys((media.media_type for media in group), part)
    return found


def schema_of(media: Media) -> str | None:
    """Return where the schema stands that a body, or each part of one, is held against. None: it is not judged."""
    media_type = media.media_type.partition(";")[0].strip().lower()
    is_judged = "*" in media_type or kind_of(media_type) is not MediaKind.OTHER
    return (media.item_schema or media.schema) if is_judged else None

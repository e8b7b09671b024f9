"""The parts of an operation that there are to see: parameters, request body, and answers with headers and bodies."""

from collections.abc import Iterator, Mapping
from typing import Final

from attrs import field, frozen

from longcat.contract.checks.media import MediaKind, kind_of
from longcat.contract.coverage.items import ItemKind, Trees
from longcat.contract.openapi.operation import Media, Operation, Parameter
from longcat.contract.openapi.place import Place
from longcat.contract.openapi.schema.fields import Direction

REQUEST_BODY: Final = "request body"
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

    kind: ItemKind | None
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
        with trees.reading(operation.place.written_at):
            parts.update(read(operation, trees))
    name = f"{operation.method} {operation.path}"
    return Part(ItemKind.OPERATION, name, _pointer(operation.place, trees), Direction.REQUEST, parts=parts)


def _parameters(operation: Operation, trees: Trees) -> Iterator[tuple[str, Part]]:
    for one in operation.parameters:
        if key_of(one) not in IGNORED:
            name = f"{one.location} {one.name}"
            yield key_of(one), _part_of_parameter(ItemKind.PARAMETER, name, one, Direction.REQUEST, trees)


def _part_of_parameter(kind: ItemKind, name: str, one: Parameter, direction: Direction, trees: Trees) -> Part:
    schema = None
    with trees.reading(one.place.written_at):
        schema = one.schema
    return Part(kind, name, _pointer(one.place, trees), direction, schema)


def _request(operation: Operation, trees: Trees) -> Iterator[tuple[str, Part]]:
    if operation.request:
        bodies = _bodies(operation.request, Direction.REQUEST, trees)
        yield REQUEST_BODY, Part(None, REQUEST_BODY, operation.body_pointer, Direction.REQUEST, parts=bodies)


def _answers(operation: Operation, trees: Trees) -> Iterator[tuple[str, Part]]:
    for code, response in operation.responses.items():
        parts: dict[str, Part] = {}
        with trees.reading(response.place.written_at):
            for one in response.headers.values():
                if (key := key_of(one)) not in IGNORED:
                    parts[key] = _part_of_parameter(ItemKind.HEADER, key, one, Direction.RESPONSE, trees)
        with trees.reading(response.place.written_at):
            parts |= _bodies(response.content, Direction.RESPONSE, trees)
        yield code, Part(ItemKind.STATUS, code, _pointer(response.place, trees), Direction.RESPONSE, parts=parts)


def _pointer(place: Place, trees: Trees) -> str:
    """Return where something stands; where it is referred to, if the reference leads nowhere."""
    with trees.reading(place.written_at):
        return place.pointer
    return place.written_at


def _bodies(content: Mapping[str, Media], direction: Direction, trees: Trees) -> dict[str, Part]:
    """Return the parts of a body's media types. Those that have one schema are one part."""
    alike: dict[tuple[str, ...], list[Media]] = {}
    schemas: dict[str, str | None] = {}
    for name, media in content.items():
        schemas[name] = None
        with trees.reading(media.place.written_at):
            schemas[name] = schema_of(media)
        schema = schemas[name]
        alike.setdefault((name,) if schema is None else trees.applied(schema), []).append(media)
    found: dict[str, Part] = {}
    for group in alike.values():
        names = [media.media_type for media in group]
        part = Part(None, ", ".join(names), _pointer(group[0].place, trees), direction, schemas[names[0]])
        found |= dict.fromkeys(names, part)
    return found


def schema_of(media: Media) -> str | None:
    """Return where the schema stands that a body, or each part of one, is held against. None: it is not judged."""
    media_type = media.media_type.partition(";")[0].strip().lower()
    is_judged = "*" in media_type or kind_of(media_type) is not MediaKind.OTHER
    return (media.item_schema or media.schema) if is_judged else None

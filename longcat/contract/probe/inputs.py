"""The inputs of an operation of the contract, with values that are known to fit or not to fit."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from attrs import field, frozen

from longcat.contract.openapi.document import Document, follow
from longcat.contract.openapi.nodes import Node
from longcat.contract.openapi.operation import SAFE_METHODS, Media, Operation, first_json
from longcat.contract.openapi.schema.fields import Direction, Fields, fields_of
from longcat.contract.openapi.schema.schemas import Schemas
from longcat.contract.openapi.schema.variants import unconditional
from longcat.contract.openapi.spec import Spec
from longcat.text.pointer import at

SAFE: Final = "x-safe"
"""The extension by which the contract says of an operation whether asking it changes nothing and costs nothing."""
UNKNOWN_IDS: Final = (
    "longcat-contract-no-such-request",
    "00000000-0000-4000-8000-000000000000",
    "longcat-image-498_00000000-0000-4000-8000-000000000000",
    2_147_483_646,
)
"""Ids that nobody has. The first one that the contract allows is used."""


@frozen
class Input:
    """One value that an operation takes.

    Attributes:
        location: path, query, header, cookie or body.
        schema: the pointer to its schema. None: anything fits.
        examples: values that the contract fixes or shows.
        is_id: whether it names what the operation is about.
    """

    name: str
    location: str
    schema: str | None
    required: bool
    examples: tuple[Any, ...] = ()
    is_id: bool = False


@frozen
class Inputs:
    """All that an operation takes.

    Attributes:
        base_url: where it is asked. Empty: nobody named a server.
        body: the media type of the body that is JSON. None: it takes none.
        is_safe: whether asking changes nothing and costs nothing, as far as the contract says.
        key_prefix: what stands before the key in its header, such as `Bearer `.
    """

    operation: Operation
    base_url: str
    values: tuple[Input, ...]
    body: Media | None
    is_safe: bool
    key_prefix: str
    _schemas: Schemas = field(repr=False)

    @property
    def id(self) -> Input | None:
        """The value that names what the operation is about, or None when it is about nothing by name."""
        return next((value for value in self.values if value.is_id), None)

    @property
    def has_id_pattern(self) -> bool:
        """Whether the contract says by a pattern what the ids look like."""
        schema = self.id.schema if self.id is not None else None
        document = self._schemas.document
        schemas = [] if schema is None else [at(document, one) for one in unconditional(document, schema)]
        return any("pattern" in one for one in schemas if isinstance(one, Mapping))

    def accepts(self, part: Input | Media | None, value: Any) -> bool:
        """Return whether the contract allows this value for an input, or for the body."""
        return part is None or part.schema is None or self._schemas.is_valid(part.schema, value)

    def unknown_id(self) -> Any:
        """Return an id that nobody has, or None when the contract allows none of ours."""
        return next((one for one in UNKNOWN_IDS if self.id is not None and self.accepts(self.id, one)), None)

    def as_id(self, text: str) -> Any:
        """Return the id that the user gave as the contract wants it, or None when it can't be one."""
        candidates = (text, int(text)) if text.isdecimal() and text.isascii() else (text,)
        return next((one for one in candidates if self.id is not None and self.accepts(self.id, one)), None)


def inputs_of(spec: Spec, operation: Operation, base_url: str) -> Inputs:
    """Return what an operation takes that is asked at this base URL."""
    document = spec.schemas.document
    body = first_json(operation.request)
    return Inputs(
        operation=operation,
        base_url=base_url,
        values=tuple(_values(document, operation, body)),
        body=body,
        is_safe=is_safe(spec, operation),
        key_prefix=_key_prefix(document, operation),
        schemas=spec.schemas,
    )


def is_safe(spec: Spec, operation: Operation) -> bool:
    """Return whether calling an operation changes nothing and costs nothing, as far as the contract says."""
    node = at(spec.schemas.document, operation.pointer)
    return operation.method in SAFE_METHODS if SAFE not in node else node[SAFE] is True


def id_assignment(asked: Sequence[Inputs], ids: Sequence[str]) -> Callable[[Inputs], list[str]]:
    """Return a function that returns which of the given ids an operation is asked about.

    An id belongs to the operations whose pattern of ids it matches. One that matches no pattern belongs to those that
    have no pattern. If all have one, it belongs to all, and each says that its contract allows no such id.
    """
    named = [inputs for inputs in asked if inputs.id is not None]
    loose = [inputs for inputs in named if not inputs.has_id_pattern]
    owners: dict[str, list[Inputs]] = {}
    for text in ids:
        strict = [inputs for inputs in named if inputs.has_id_pattern and inputs.as_id(text) is not None]
        owners[text] = strict or loose or named
    return lambda inputs: [text for text in ids if inputs in owners[text]]


def _key_prefix(document: Document, operation: Operation) -> str:
    schemes = document.get("components", {}).get("securitySchemes", {}).values()
    # The token of OAuth 2 goes the same way (RFC 6750).
    words = [(one.get("type"), one.get("scheme")) for one in schemes]
    bearers = [one for one in words if "oauth2" in one or "openIdConnect" in one or "bearer" in one]
    return "Bearer " if operation.key_header == "Authorization" and bearers else ""


def _values(document: Document, operation: Operation, body: Media | None) -> Iterator[Input]:
    echoed = _echoed(document, operation)

    def value(name: str, location: str, schema: str | None, required: bool, examples: tuple[Any, ...] = ()) -> Input:
        of_value = _at(document, schema)[0]
        kinds = of_value.get("type")
        kinds = set(kinds if isinstance(kinds, list) else [kinds]) - {"null"}
        is_name = kinds in ({"string"}, {"integer"}) and not {"const", "enum"} & of_value.keys()
        is_id = location == "path" or (required and name in echoed and is_name)
        return Input(name, location, schema, required, (*_fixed(of_value), *examples), is_id)

    for one in operation.parameters:
        yield value(one.name, one.location, one.schema, one.required)
    if body is not None and body.schema is not None:
        shown = [example for example in body.examples.values if isinstance(example, Mapping)]
        fields = fields_of(document, unconditional(document, body.schema), Direction.REQUEST)
        for name, places in fields.named.items():
            if name in fields.left_out:
                continue
            examples = tuple(example[name] for example in shown if name in example)
            yield value(name, "body", places[-1], name in fields.required, examples)


def _at(document: Document, schema: str | None) -> tuple[Node, str]:
    """Return a schema, its references followed, and where it stands; an empty one for None."""
    node, pointer = follow(document, at(document, schema), schema) if schema else ({}, "")
    return (node if isinstance(node, Mapping) else {}), pointer


def _fields(document: Document, schema: str) -> Fields:
    """Return the fields of an object, those of all parts (`allOf`) together."""
    return fields_of(document, unconditional(document, schema))


def _echoed(document: Document, operation: Operation) -> set[str]:
    """Return the names of the fields that every variant of every documented success has."""
    successes = [response for code, response in operation.responses.items() if code.startswith("2")]
    bodies = [media.schema for response in successes for media in response.content.values()]
    names = [_always_named(document, schema) if schema else set() for schema in bodies]
    return set.intersection(*names) if names else set()


def _always_named(document: Document, schema: str) -> set[str]:
    """Return the names of the fields that every variant of a schema has."""
    node, pointer = _at(document, schema)
    parts = [f"{pointer}/{word}/{index}" for word in ("oneOf", "anyOf") for index, _ in enumerate(node.get(word, ()))]
    variants = [_always_named(document, part) for part in parts]
    return set(_fields(document, schema).named) | (set.intersection(*variants) if variants else set())


def _fixed(schema: Node) -> Iterator[Any]:
    """Yield the values that a schema fixes or shows."""
    yield from (schema[word] for word in ("const", "default", "example") if word in schema)
    for word in ("examples", "enum"):
        yield from schema.get(word, ())

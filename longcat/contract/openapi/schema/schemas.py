"""The schemas of a document, ready to validate: read openly, as they stand, or closed.

An open object allows fields that its schema does not list. That is right for callers, who must go on when the gateway
learns to say more, and wrong for a watcher, who wants to hear of it. So the closed reading forbids them, wherever the
contract does not itself say that any field may come.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache, lru_cache, partial
from typing import Any, Final, TypeAlias
from urllib.parse import quote

import jsonschema_rs
from attrs import frozen

from longcat.contract.lazy import cached_property
from longcat.contract.openapi.document import SpecError, follow, nodes
from longcat.contract.openapi.limits import MAX_LEVELS, PATTERNS, StepBudget, UnjudgeableError, extent, name_of
from longcat.contract.openapi.schema.fields import Fields, fields_of
from longcat.contract.openapi.schema.variants import Variants, unconditional, variants_of
from longcat.contract.openapi.steps import Steps
from longcat.gateway import schema as core
from longcat.pointer import at, escape
from longcat.text import shorten

# fmt: off
ASSERTIONS: Final = (
    "type", "const", "enum", "minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf", "minLength",
    "maxLength", "pattern", "format", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties",
)
# fmt: on
"""The keywords that say something about a value itself, the most telling first: without any other schema in them."""
CHOICES: Final = frozenset({"oneOf", "anyOf", "if", "dependentSchemas"})
"""The keywords by which it depends on the value which other schemas apply to it."""
IN_PLACE: Final = ("allOf", "oneOf", "anyOf")
TOO_DEEP: Final = f"it can't be judged: its JSON has more than {MAX_LEVELS} levels"
MOST_KEPT: Final = 4096
"""How many combinations of schemas are kept: hostile traffic could make more of them than fit in memory."""

_FromPointers: TypeAlias = Callable[[tuple[str, ...]], tuple[str, ...]]


@frozen
class Breach:
    """A keyword that a value breaks: where it stands in the document, and its own value."""

    keyword: str
    pointer: str
    limit: Any


class Schemas:
    """The schemas of a document of OpenAPI 3.1. What is found out about one is kept, as every exchange asks for it.

    Attributes:
        document: the whole document.
        at: returns the schema at a pointer.
        variants: returns how the schemas of a `oneOf` or `anyOf` at a pointer are told apart; None: by their shape.
        fields: returns what the schemas at several pointers say about an object's fields.
        applied: returns where the schemas stand that those at several pointers apply, whatever the value is.
        choosing: returns those of several pointers whose schemas apply further ones, depending on the value.
        check: returns what tells whether a value breaks no assertion of the schemas at several pointers.
        steps: counts what it takes to hold a value against a schema.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.at: Callable[[str], Any] = cache(partial(at, document))
        self.variants: Callable[[str], Variants | None] = cache(partial(variants_of, document))
        self.fields: Callable[[tuple[str, ...]], Fields] = lru_cache(MOST_KEPT)(partial(fields_of, document))
        self.applied: _FromPointers = lru_cache(MOST_KEPT)(lambda pointers: unconditional(document, *pointers))
        self.choosing: _FromPointers = lru_cache(MOST_KEPT)(self._choosing)
        self.check: Callable[[tuple[str, ...]], Callable[[Any], bool]] = lru_cache(MOST_KEPT)(self._check)
        self.steps = Steps(document, self.at)
        self._validator: Callable[[str, bool], jsonschema_rs.Validator] = cache(self._compile)
        self._own: Callable[[str], jsonschema_rs.Validator] = cache(lambda pointer: _compile(self._assertions(pointer)))

    def is_valid(self, pointer: str, value: Any, *, closed: bool = False, budget: StepBudget | None = None) -> bool:
        """Whether the schema at a pointer allows a value. Raises UnjudgeableError when the budget does not allow it.

        Without a budget, the value gets one of its own.
        """
        self.spend(pointer, value, budget)
        return bool(self._validator(pointer, closed).is_valid(value))

    def fits(self, pointers: Sequence[str], value: Any, budget: StepBudget | None = None) -> bool:
        """Whether a value fits all schemas at some pointers; where there are none, nothing does."""
        return bool(pointers) and all(self.is_valid(one, value, budget=budget) for one in pointers)

    def error(self, pointer: str, value: Any, budget: StepBudget | None = None) -> jsonschema_rs.ValidationError | None:
        """Return what in a value first breaks the schema at a pointer, read closed, as the validator sees it."""
        self.spend(pointer, value, budget)
        try:
            self._validator(pointer, True).validate(value)
        except jsonschema_rs.ValidationError as error:
            name_of(error)
            return error
        return None

    def spend(self, pointer: str, value: Any, budget: StepBudget | None = None) -> None:
        """Take from a budget what it costs at most to hold a value against a schema. Raises UnjudgeableError."""
        levels, size = extent(value)
        if levels > MAX_LEVELS:
            raise UnjudgeableError(TOO_DEEP)
        (budget or StepBudget()).spend(self.steps.most(pointer, levels) * size)

    def assertions(self, pointer: str, value: Any) -> Iterator[Breach]:
        """Yield the assertions of one schema, without those inside of it, that a value breaks: most telling first.

        Raises UnjudgeableError for a pattern that takes too many steps.
        """
        broken = {name_of(error) for error in self._own(pointer).iter_errors(value)}
        for name, limit in self._assertions(pointer).items():
            if name in broken:
                yield Breach(name, f"{pointer}/{name}", limit)

    def _assertions(self, pointer: str) -> dict[str, Any]:
        schema = self.at(pointer)
        return {name: schema[name] for name in ASSERTIONS if name in schema} if isinstance(schema, Mapping) else {}

    def _choosing(self, pointers: tuple[str, ...]) -> tuple[str, ...]:
        schemas = {pointer: self.at(pointer) for pointer in pointers}
        return tuple(where for where, one in schemas.items() if isinstance(one, Mapping) and CHOICES & one.keys())

    def _check(self, pointers: tuple[str, ...]) -> Callable[[Any], bool]:
        """Return what tells whether a value breaks no assertion of the schemas at some pointers."""
        parts = [True, *(False if self.at(one) is False else self._assertions(one) for one in pointers)]
        is_valid: Callable[[Any], bool] = _compile({"allOf": parts}).is_valid
        return is_valid

    @cached_property
    def _registry(self) -> jsonschema_rs.Registry:
        """The document, open and closed: held once, and not by each of the validators."""
        resources = [(_OPEN, self.document), (_CLOSED, close(self.document))]
        return jsonschema_rs.Registry(resources, retriever=_retrieve_nothing)

    def _compile(self, pointer: str, closed: bool) -> jsonschema_rs.Validator:
        self.steps.check(pointer)
        return _compile({"$ref": f"{_CLOSED if closed else _OPEN}#{_fragment(pointer)}"}, self._registry)


_OPEN: Final = "urn:longcat:open"
_CLOSED: Final = "urn:longcat:closed"


def _retrieve_nothing(uri: str) -> Any:
    """Refuse to fetch a schema: the drift check opens no connection and no file for one."""
    raise LookupError(f"{uri} is not fetched")


def _compile(schema: dict[str, Any], registry: jsonschema_rs.Registry | None = None) -> jsonschema_rs.Validator:
    """Return what validates by a schema. Raises SpecError when it is no valid one, or refers to what is not there."""
    # The formats are those of the core, which knows what the typed client can read; the others are the validator's.
    try:
        return jsonschema_rs.Draft202012Validator(
            schema,
            formats=dict(core.FORMATS),
            validate_formats=True,
            registry=registry,
            retriever=_retrieve_nothing,
            pattern_options=PATTERNS,
            mask="the value",  # In the words of an error, which would quote all of it.
        )
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise SpecError(f"a schema of the contract is not valid: {shorten(error, 200)}") from None


def close(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document in which every object is closed, unless its schema says that any field may come.

    `unevaluatedProperties` sees through references and compositions, but it must stand outside of them: beside a
    composition, never in a part of it, where it would forbid what the other parts allow. So it goes to the places that
    hold the whole schema of a value: a body, a property, an item.
    """
    closed = copy.deepcopy(document)
    for node, pointer in nodes(closed):
        for child in _value_places(node, pointer):
            schema = at(closed, child)
            if isinstance(schema, dict) and _lists_fields(closed, schema, set()):
                schema.setdefault("unevaluatedProperties", False)
    return closed


def _value_places(node: Mapping[str, Any], pointer: str) -> Iterator[str]:
    for name in ("schema", "items", "additionalProperties"):
        if isinstance(node.get(name), dict):
            yield f"{pointer}/{name}"
    for name in ("properties", "patternProperties"):
        if isinstance(node.get(name), dict):
            yield from (f"{pointer}/{name}/{escape(inner)}" for inner in node[name])
    if isinstance(node.get("prefixItems"), list):
        yield from (f"{pointer}/prefixItems/{index}" for index in range(len(node["prefixItems"])))


def _lists_fields(document: dict[str, Any], schema: Any, seen: set[int]) -> bool:
    """Whether a schema names fields, itself or in a part: an object without names is free."""
    if not isinstance(schema, dict) or id(schema) in seen:
        return False
    seen.add(id(schema))
    if schema.get("properties") or schema.get("additionalProperties") is False:
        return True
    parts = [part for name in IN_PLACE for part in schema.get(name, ())]
    parts += [schema[name] for name in ("then", "else") if name in schema]
    if isinstance(schema.get("$ref"), str):
        with suppress(SpecError):
            parts.append(follow(document, schema, "")[0])
    return any(_lists_fields(document, part, seen) for part in parts)


def _fragment(pointer: str) -> str:
    """Return a pointer as the fragment of a URI."""
    return quote(pointer, safe="/~!$&'()*+,;=:@-._")

"""The schemas of a document, ready to validate: read openly, as they stand, or closed.

An open object allows fields that its schema does not list. That is right for callers, who must go on when the gateway
learns to say more, and wrong for a watcher, who wants to hear of it. So the closed reading forbids them, wherever the
contract does not itself say that any field may come.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, lru_cache, partial
from typing import Any, Final, TypeAlias

from attrs import frozen

from longcat.contract.openapi.document import Document
from longcat.contract.openapi.limits import StepBudget
from longcat.contract.openapi.schema.compiled import CompiledSchema
from longcat.contract.openapi.schema.failure import SchemaFailure
from longcat.contract.openapi.schema.fields import Fields, fields_of
from longcat.contract.openapi.schema.keywords import listed
from longcat.contract.openapi.schema.validator import ValidationMode, Validator
from longcat.contract.openapi.schema.variants import Subtypes, Variants, unconditional, variants_of
from longcat.text.pointer import last_name, parent

CONSTRAINTS: Final = frozenset({"not", "contains", "propertyNames", "dependentRequired"})
"""The keywords that forbid a value by other schemas, or by other fields, which do not apply to it themselves."""
CHOICES: Final = frozenset({"oneOf", "anyOf", "if", "dependentSchemas"}) | CONSTRAINTS
"""The keywords that have to be looked at with the value: because of some, other schemas apply to it."""
MAX_CACHED_SCHEMAS: Final = 4096
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
        at: returns the schema at a pointer, without what can't be used of it.
        variants: returns how the schemas of a `oneOf` or `anyOf` at a pointer are told apart; None: by their shape.
        fields: returns what the schemas at several pointers say about an object's fields, in a direction (see Fields).
        subtypes: tells the components apart that extend others.
        applied: returns where the schemas stand that those at several pointers apply, whatever the value is.
        of_address: returns which of several schemas says that a text is an address. None: no schema does.
        choosing: returns those of several pointers whose schemas apply others only to some values, or test a value by
            others, as `oneOf` and `not` do.
        compiled: returns the schema at a pointer, ready to use.
    """

    def __init__(self, document: Document) -> None:
        self.document = document
        self.at: Callable[[str], Any] = document.schema
        self.variants: Callable[[str], Variants | None] = cache(partial(variants_of, document))
        self.fields: Callable[..., Fields] = lru_cache(MAX_CACHED_SCHEMAS)(partial(fields_of, document))
        self.applied: _FromPointers = lru_cache(MAX_CACHED_SCHEMAS)(lambda pointers: unconditional(document, *pointers))
        self.of_address: Callable[[tuple[str, ...]], str | None] = lru_cache(MAX_CACHED_SCHEMAS)(self._of_address)
        self.subtypes = Subtypes(document)
        self.choosing: _FromPointers = lru_cache(MAX_CACHED_SCHEMAS)(self._choosing)
        self._validator = Validator(document, self.variants, self.subtypes)
        self.compiled: Callable[[str], CompiledSchema] = self._validator.compiled

    def branches(self, pointer: str) -> list[str]:
        """Return where the schemas stand of the `oneOf` or `anyOf` at a pointer."""
        owner, keyword = parent(pointer), last_name(pointer)
        return listed(self.at(owner), owner, keyword)

    def is_valid(self, pointer: str, value: Any, *, closed: bool = False, budget: StepBudget | None = None) -> bool:
        """Whether the schema at a pointer allows a value. Raises UnjudgeableError when the budget does not allow it.

        None: the value has a budget of its own.
        """
        return self.failure(pointer, value, ValidationMode(closed), budget) is None

    def fits(self, pointers: Sequence[str], value: Any, budget: StepBudget | None = None) -> bool:
        """Whether a value fits all schemas at some pointers; where there are none, nothing does."""
        if self.is_right_scalar(pointers, value):
            return True
        return bool(pointers) and all(self.is_valid(one, value, budget=budget) for one in pointers)

    def failure(
        self, pointer: str, value: Any, mode: ValidationMode, budget: StepBudget | None = None
    ) -> SchemaFailure | None:
        """Return where a value first breaks the schema at a pointer. None: nowhere."""
        return self._validator.failure(pointer, value, mode, budget or StepBudget())

    def meets_assertions(self, pointers: Sequence[str], value: Any) -> bool:
        """Whether a value breaks no assertion of the schemas at some pointers, whatever is inside of it."""
        schemas = [self._validator.compiled(pointer) for pointer in pointers]
        return all(not one.is_false and one.assertions.allow(value) for one in schemas)

    def is_right_scalar(self, pointers: Sequence[str], value: Any) -> bool:
        """Whether a value that holds no others is right by one schema that says all about it, which is quick to see."""
        if len(pointers) != 1 or type(value) is dict or type(value) is list:
            return False
        schema = self._validator.of_scalars(pointers[0])
        return schema is not None and schema.assertions.allow(value)

    def assertions(self, pointer: str, value: Any) -> Iterator[Breach]:
        """Yield the assertions of one schema, without those inside of it, that a value breaks: most telling first.

        Raises UnjudgeableError for a pattern that takes too many steps.
        """
        assertions = self._validator.compiled(pointer).assertions
        broken = assertions.broken(value)
        for name, limit in assertions.limits.items():
            if name in broken:
                yield Breach(name, f"{pointer}/{name}", limit)

    def note_defects(self, pointers: Sequence[str], budget: StepBudget) -> None:
        """Note what in the schemas at some pointers can't be used."""
        defects = self.document.defects
        for pointer in pointers if defects else ():
            if pointer in defects:
                budget.note(defects[pointer])

    def _of_address(self, pointers: tuple[str, ...]) -> str | None:
        schemas = ((pointer, self.at(pointer)) for pointer in pointers)
        found = (at for at, one in schemas if isinstance(one, Mapping) and one.get("format") in {"uri", "url"})
        return next(found, None)

    def _choosing(self, pointers: tuple[str, ...]) -> tuple[str, ...]:
        schemas = {pointer: self.at(pointer) for pointer in pointers}
        return tuple(
            where
            for where, one in schemas.items()
            if (isinstance(one, Mapping) and CHOICES & one.keys()) or self.subtypes.of(where) is not None
        )

"""Sees quickly of most values that they fit their schemas, and agree with what the contract shows in their place.

A plain schema lists the fields and items of a value, and what each of them must be; of a union, a word or null tells
which schema is meant. Schemas that say more than that are not looked at here. So a value is either right, or nothing is
known about it; and the comparison, which reads schemas closed, finds nothing in a value that is right.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from longcat.contract.openapi.errors import UnjudgeableError
from longcat.contract.openapi.examples import NO_EXAMPLES, Examples, scheme_of
from longcat.contract.openapi.schema.fields import Direction
from longcat.contract.openapi.schema.schemas import CHOICES, MAX_CACHED_SCHEMAS, Schemas
from longcat.contract.openapi.schema.variants import Variants, is_null
from longcat.gateway.schema import Predicate

_OF_CONTENT: Final = frozenset(
    {"properties", "required", "additionalProperties", "patternProperties", "items", "prefixItems", "format"}
)
"""The keywords by which a schema around a union would say more of a value than which types and words it may be."""


def _unsure(_: Any) -> bool:
    return False


def _sure(_: Any) -> bool:
    return True


class PlainSchemas:
    """The plain schemas among those of a document. What is found out about one is kept.

    Attributes:
        schemas: all schemas of the document.
        checker: returns a function that tells of a value whether nothing is wrong with it for certain. The arguments
            are the pointers of its schemas, which way it goes, the scheme by which the gateway was asked, such as
            `https`, and what the contract shows.
    """

    def __init__(self, schemas: Schemas, *, examples_are_complete: bool) -> None:
        self.schemas = schemas
        self._examples_are_complete = examples_are_complete
        self.checker: Callable[[tuple[str, ...], Direction, str, Examples], Predicate] = lru_cache(MAX_CACHED_SCHEMAS)(
            self._check_of
        )

    def _check_of(self, pointers: tuple[str, ...], direction: Direction, scheme: str, examples: Examples) -> Predicate:
        try:
            return _PlainSchema(self, pointers, direction, scheme, examples).check()
        except UnjudgeableError:
            return _unsure

    def shown(self, examples: Examples) -> Examples:
        """Return those examples from which something follows for a text."""
        return examples if self._examples_are_complete and examples.texts else NO_EXAMPLES


class _PlainSchema:
    """Makes the check of one value. The arguments are those of `PlainSchemas.checker`."""

    def __init__(
        self, plain: PlainSchemas, pointers: tuple[str, ...], direction: Direction, scheme: str, examples: Examples
    ) -> None:
        self._plain, self._schemas, self._pointers = plain, plain.schemas, pointers
        self._direction, self._scheme, self._examples = direction, scheme, examples
        self._applied = self._schemas.applied(pointers)
        self._compiled = [*map(self._schemas.compiled, self._applied)]

    def check(self) -> Predicate:
        """Return the check for a value."""
        if any(one.defect or one.is_false or one.tracks_fields or one.assertions.backtracks for one in self._compiled):
            return _unsure
        choosing = self._schemas.choosing(self._applied)
        if choosing:
            return self._with_own(self._union(choosing[0]) if len(choosing) == 1 else _unsure)
        text, has_content = self._text(), self._may_have_content()
        if not has_content:
            return self._with_own(text)
        fields, items = self._fields(), self._items()

        def content(value: Any) -> bool:
            kind = type(value)
            return fields(value) if kind is dict else items(value) if kind is list else text(value)

        return self._with_own(content)

    def _with_own(self, then: Predicate) -> Predicate:
        """Return the check for what a value itself must be, and then for something else."""
        own = [one.assertions.allow for one in self._compiled if one.assertions.limits]
        if then is _unsure or not own:
            return then
        if len(own) > 1:
            return lambda value: all(allow(value) for allow in own) and then(value)
        first = own[0]
        return first if then is _sure else lambda value: first(value) and then(value)

    def _may_have_content(self) -> bool:
        return all(one.assertions.may_be_container for one in self._compiled)

    def _checker(self, pointers: tuple[str, ...], examples: Examples) -> Predicate:
        """Return the check of a value inside of this one."""
        return self._plain.checker(pointers, self._direction, self._scheme, examples)

    # --- A union.

    def _union(self, pointer: str) -> Predicate:
        """Return the check for the schema that a value means among those of the one at a pointer."""
        schema = self._schemas.at(pointer)
        keywords = CHOICES & schema.keys()
        is_subtype = self._schemas.subtypes.of(pointer) is not None
        if is_subtype or len(keywords) != 1 or not keywords <= {"oneOf", "anyOf"}:
            return _unsure
        if any(_OF_CONTENT & one.schema.keys() for one in self._compiled):
            return _unsure
        where = f"{pointer}/{next(iter(keywords))}"
        if "discriminator" in schema:
            variants = self._schemas.variants(where)
            return self._by_word(variants) if variants else _unsure
        branches = self._schemas.branches(where)
        others = [one for one in branches if not is_null(self._schemas.at(one))]
        return self._or_null(others[0]) if len(others) == 1 < len(branches) else _unsure

    def _or_null(self, pointer: str) -> Predicate:
        """Return the check for null and what else the schema at a pointer allows."""
        if self._schemas.meets_assertions(self._schemas.applied((pointer,)), None):
            return _unsure  # Of a `oneOf`, null would fit two.
        other = self._checker((pointer,), self._examples)
        return lambda value: value is None or other(value)

    def _by_word(self, variants: Variants) -> Predicate:
        """Return the check for the schema that the word of a discriminator leads to."""
        name, branches = variants.name, variants.branches
        by_word: dict[Any, Predicate] = {}
        shown = [one for one in self._examples.values if isinstance(one, dict)]
        if not all(isinstance(one.get(name), str) and one[name] in branches for one in shown):
            return _unsure
        for word, target in branches.items():
            alike = tuple(one for one in shown if branches[one[name]] == target)
            by_word[word] = self._checker((target,), Examples(alike) if alike else NO_EXAMPLES)

        def check(value: Any) -> bool:
            word = value.get(name) if type(value) is dict else None
            return type(word) is str and by_word.get(word, _unsure)(value)

        return check

    # --- What is in a value.

    def _fields(self) -> Predicate:
        """Return the check for the fields of an object."""
        if len(self._pointers) > 1:
            return _unsure  # Each of the schemas is read closed by itself.
        fields = self._schemas.fields(self._applied, self._direction)
        if fields.patterns:
            return _unsure
        shown = Examples(tuple(one for one in self._examples.values if isinstance(one, dict)))
        required = frozenset({*self._schemas.fields(self._applied).required, *shown.always})
        known: dict[str, Predicate] = dict.fromkeys(fields.left_out, _unsure)
        named, others, checker = fields.named, fields.others, self._checker
        other = _unsure if fields.is_closed else _sure

        def check(value: Any) -> bool:
            if not required <= value.keys():
                return False
            for name, inner in value.items():
                found = known.get(name)
                if found is None:
                    if name in named:
                        found = known[name] = checker(named[name], shown.field(name))
                    else:
                        found = checker(others, shown.field(name)) if others else other
                if not found(inner):
                    return False
            return True

        return check

    def _items(self) -> Predicate:
        """Return the check for the items of a list."""
        if any("prefixItems" in one.schema for one in self._compiled):
            return _unsure
        pointers = tuple(f"{one.pointer}/items" for one in self._compiled if "items" in one.schema)
        if not pointers or len(self._pointers) > 1:
            return _unsure if pointers else _sure
        examples, checker = self._examples.items, self._checker

        def check(value: Any) -> bool:
            item = checker(pointers, examples)
            return all(map(item, value))

        return check

    # --- A text.

    def _text(self) -> Predicate:
        """Return the check for what follows for a text from those that the contract shows."""
        shown = self._plain.shown(self._examples)
        if shown is NO_EXAMPLES:
            return _sure
        schemes = {*shown.schemes, self._scheme} if self._schemas.of_address(self._applied) is not None else None

        def check(value: Any) -> bool:
            if type(value) is not str:
                return True
            return bool(value.strip()) and (schemes is None or scheme_of(value) in schemes)

        return check

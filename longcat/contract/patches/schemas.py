"""How a schema must change to allow what was seen: it is widened as far as that goes, and no further."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from longcat.contract.patches.edit import Drop, Edit, Put
from longcat.contract.patches.group import FindingGroup, RefusedError
from longcat.contract.patches.infer import as_type, infer, inner, is_name, type_of, united
from longcat.contract.patches.words import TELLS, Words, is_word
from longcat.text import show

BOUNDS: Final[Mapping[str, tuple[str, Callable[[Any], Any], Callable[[Any], Any]]]] = {
    "minimum": ("minimum", min, lambda value: value),
    "exclusiveMinimum": ("minimum", min, lambda value: value),
    "maximum": ("maximum", max, lambda value: value),
    "exclusiveMaximum": ("maximum", max, lambda value: value),
    "minLength": ("minLength", min, len),
    "maxLength": ("maxLength", max, len),
    "minItems": ("minItems", min, len),
    "maxItems": ("maxItems", max, len),
    "minProperties": ("minProperties", min, len),
    "maxProperties": ("maxProperties", max, len),
}
"""For each bound: the keyword that allows what was seen, which of several values goes furthest, what is measured."""
FORMS: Final = frozenset({"format", "pattern", "multipleOf", "uniqueItems"})
"""The keywords that say yes or no, and can only go."""


@frozen
class Widener(Words):
    """Says how the schemas of a document must change."""

    # --- Keywords.

    def keyword(self, group: FindingGroup) -> Iterator[Edit]:
        """Yield the changes for values that break a keyword."""
        owner, _, keyword = group.rule.rpartition("/")
        if keyword in {"mapping", "discriminator", "oneOf", "anyOf"}:
            yield from self.word(group)
        elif keyword == "type":
            yield from self._type(group, owner)
        elif keyword in {"const", "enum"}:
            yield from self._value(group, owner, keyword)
        elif keyword in BOUNDS:
            yield from self._bound(group, owner, keyword)
        elif keyword in FORMS:
            limit = self.raw(group.rule)
            words = f"text that is no {limit}" if keyword == "format" else f"a value without this {keyword}"
            yield Drop(group.rule, group.says(words))
        else:
            raise RefusedError("No single keyword of the contract forbids it. Change the schema by hand.")

    def _type(self, group: FindingGroup, owner: str) -> Iterator[Edit]:
        if owner in self.telling():
            raise RefusedError(TELLS)
        schema, seen = self.raw(owner), united([type_of(value) for value in group.values])
        said = group.says("null" if seen == ["null"] else f"a value of type {' or '.join(seen)}")
        known = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        types = united([*known, *seen])
        if self.is_old and seen == ["null"]:
            old = "nullable" if "nullable" in schema else None
            yield Put(owner, "nullable", value=True, comment=said, instead_of=old)
            return
        if types != known:
            yield Put(owner, "type", as_type(types), said, instead_of="type")
        for name, content in inner(group.values).items():
            if name not in schema:
                yield Put(owner, name, content)

    def _bound(self, group: FindingGroup, owner: str, keyword: str) -> Iterator[Edit]:
        name, furthest, measure = BOUNDS[keyword]
        limit = furthest([measure(value) for value in group.values])
        schema, said = self.raw(owner), group.says(show(limit))
        if schema[keyword] is True or (name != keyword and name in schema):  # `exclusiveMaximum: true` is OpenAPI 3.0.
            yield Put(owner, name, limit, said, instead_of=name)
            yield Drop(group.rule)
        else:
            yield Put(owner, name, limit, said, instead_of=keyword)

    def _value(self, group: FindingGroup, owner: str, keyword: str) -> Iterator[Edit]:
        """Yield the changes for values that are not among those that are listed."""
        schema = self.raw(owner)
        known = schema["enum"] if keyword == "enum" else [schema["const"]]
        new = [value for index, value in enumerate(group.values) if value not in group.values[:index]]
        said = group.says("another value" if len(new) == 1 else "other values")
        told = self.telling().get(owner)
        if told is not None and not all(isinstance(value, str) and value.strip() for value in new):
            raise RefusedError(TELLS)
        kinds = {type_of(value) for value in [*known, *new]} - {"null"}
        if any(isinstance(value, str) and not is_word(value) for value in new):
            raise RefusedError("It is rather a text than a word. Look at the answer.")
        if kinds in ({"string"}, {"integer"}):
            yield from self.listed(owner, new, said)
            for variants, branch in told or ():
                yield from self.mapped(variants, branch, new, group)
        elif any(isinstance(value, bool) for value in known):
            # True and false are all there is; and beside other types the generator can't read them.
            yield Drop(group.rule, group.says(f"{_few(new)}, so that no value is fixed any more"))
        else:
            raise RefusedError("A list of words or whole numbers is all that can be generated from. Decide by hand.")

    # --- Fields.

    def property(self, group: FindingGroup) -> Iterator[Edit]:
        """Yield the changes for a field that the contract does not have."""
        owner, words = group.rule, "a new field"
        schema: Any = infer(group.values)
        if group.code == "field-renamed":
            if group.rule in self.telling():
                raise RefusedError(TELLS)
            owner = re.sub(r"/(properties/[^/]*|required)$", "", group.rule)
            words = f"{group.findings[0].expected.removeprefix('named ')} under this name"
            if owner != group.rule and not group.rule.endswith("/required"):
                schema = self.like([group.rule], group.values)
        if not is_name(group.name):
            raise RefusedError("Its name is no name that a contract could have. Look at the answer.")
        if self.raw(owner) is False:
            raise RefusedError("The contract forbids the field in so many words. Decide by hand.")
        said, properties = group.says(words), self.raw(owner).get("properties")
        if properties is None:
            yield Put(owner, "properties", {group.name: schema}, said)
        elif group.name not in properties:
            yield Put(f"{owner}/properties", group.name, schema, said)

    def missing(self, group: FindingGroup) -> Iterator[Edit]:
        """Yield the changes for a required field that is not there."""
        owner = group.rule.removesuffix("/required")
        for variants in self.all_variants():
            branches = variants.branches.values()
            if group.name == variants.name and any(owner in self.parts(branch) for branch in branches):
                raise RefusedError(TELLS)
        required, said = self.raw(group.rule), group.says(f"an answer without {group.name}")
        if required == [group.name]:
            yield Drop(group.rule, said)
        elif group.name in required:
            yield Drop(f"{group.rule}/{required.index(group.name)}", said)


def _few(values: Sequence[Any]) -> str:
    """Return values for a comment: their kinds if they are texts."""
    return " and ".join("a text" if isinstance(value, str) else show(value, limit=20) for value in values[:2])

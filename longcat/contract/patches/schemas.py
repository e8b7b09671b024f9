"""Changes a schema so that it allows what was seen: it is widened as far as that goes, and no further."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from longcat.contract.openapi.schema.variants import unconditional
from longcat.contract.patches.draft import Draft
from longcat.contract.patches.edit import Drop, Edit, Put
from longcat.contract.patches.group import FindingGroup, RefusedError
from longcat.contract.patches.infer import as_type, infer, inner, is_name, type_of, united
from longcat.contract.patches.words import TELLS_VARIANTS_APART, add_words, is_word, map_words, new_word
from longcat.text import show
from longcat.text.pointer import last_name, parent

BOUNDS: Final[Mapping[str, Callable[[Any], Any]]] = {
    **dict.fromkeys(("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"), lambda value: value),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), len),
}
"""For each keyword that is a bound, how a value is measured."""
_MAPS: Final = frozenset({"additionalProperties", "patternProperties", "propertyNames"})
"""The keywords by which an object without named fields is a map."""
REMOVABLE: Final = frozenset({"format", "pattern", "multipleOf", "uniqueItems"})
"""The keywords that can't be widened, but only be removed."""


def broken_keyword(draft: Draft, group: FindingGroup) -> Iterator[Edit]:
    """Yield the edits for values that break a keyword."""
    owner, keyword = parent(group.rule), last_name(group.rule)
    if keyword in {"mapping", "discriminator", "oneOf", "anyOf"}:
        yield from new_word(draft, group)
    elif keyword == "type":
        yield from _type(draft, group, owner)
    elif keyword in {"const", "enum"}:
        yield from _listed_value(draft, group, owner, keyword)
    elif keyword in BOUNDS:
        yield from _bound(draft, group, owner, keyword)
    elif keyword in REMOVABLE:
        is_format = keyword == "format"
        words = f"text that is no {draft.raw(group.rule)}" if is_format else f"a value without this {keyword}"
        yield Drop(group.rule, group.comment(words))
    else:
        raise RefusedError("No single keyword of the contract forbids it. Change the schema by hand.")


def _type(draft: Draft, group: FindingGroup, owner: str) -> Iterator[Edit]:
    if owner in draft.discriminators():
        raise RefusedError(TELLS_VARIANTS_APART)
    schema, seen = draft.raw(owner), united([type_of(value) for value in group.values])
    comment = group.comment("null" if seen == ["null"] else f"a value of type {' or '.join(seen)}")
    known = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    types = united([*known, *seen])
    if draft.is_openapi_3_0 and seen == ["null"]:
        old = "nullable" if "nullable" in schema else None
        yield Put(owner, "nullable", value=True, comment=comment, instead_of=old)
        return
    if types != known:
        yield Put(owner, "type", as_type(types), comment, instead_of="type")
    yield from (Put(owner, name, content) for name, content in inner(group.values).items() if name not in schema)


def _bound(draft: Draft, group: FindingGroup, owner: str, keyword: str) -> Iterator[Edit]:
    name = keyword.removeprefix("exclusive").lower() if keyword.startswith("exclusive") else keyword
    limit = (min if name.startswith("min") else max)(map(BOUNDS[keyword], group.values))
    schema, comment = draft.raw(owner), group.comment(show(limit))
    if schema[keyword] is True or (name != keyword and name in schema):  # `exclusiveMaximum: true` is OpenAPI 3.0.
        yield Put(owner, name, limit, comment, instead_of=name)
        yield Drop(group.rule)
    else:
        yield Put(owner, name, limit, comment, instead_of=keyword)


def _listed_value(draft: Draft, group: FindingGroup, owner: str, keyword: str) -> Iterator[Edit]:
    """Yield the edits for values that are not among those that are listed."""
    schema = draft.raw(owner)
    known = schema["enum"] if keyword == "enum" else [schema["const"]]
    new = [value for index, value in enumerate(group.values) if value not in group.values[:index]]
    variants = draft.discriminators().get(owner)
    if variants is not None and not all(isinstance(value, str) and value.strip() for value in new):
        raise RefusedError(TELLS_VARIANTS_APART)
    if any(isinstance(value, str) and not is_word(value) for value in new):
        raise RefusedError("It is rather a text than a word. Look at the answer.")
    if {type_of(value) for value in [*known, *new]} - {"null"} in ({"string"}, {"integer"}):
        yield from add_words(draft, owner, new, group.comment("another value" if len(new) == 1 else "other values"))
        for one, branch in variants or ():
            yield from map_words(draft, one, branch, new, group)
    elif any(isinstance(value, bool) for value in known):
        # True and false are all there is; and beside other types the generator can't read them.
        yield Drop(group.rule, group.comment(f"{_few(new)}, so that no value is fixed any more"))
    else:
        raise RefusedError("A list of words or whole numbers is all that can be generated from. Decide by hand.")


def _few(values: Sequence[Any]) -> str:
    """Return one or two values for a comment; of a text, only that it is one."""
    return " and ".join("a text" if isinstance(value, str) else show(value, limit=20) for value in values[:2])


# --- Fields.


def new_field(draft: Draft, group: FindingGroup) -> Iterator[Edit]:
    """Yield the edits for a field that the contract does not have, or not in an answer."""
    if group.rule.endswith("/writeOnly") and draft.raw(group.rule) is True:
        yield Drop(group.rule, group.comment("the field in an answer"))
        return
    yield from _add_field(draft, group, group.rule, infer(group.values), "a new field")


def renamed_field(draft: Draft, group: FindingGroup) -> Iterator[Edit]:
    """Yield the edits for a field that came under another name. `rule` is the schema of the old name, or `required`."""
    if group.rule in draft.discriminators():
        raise RefusedError(TELLS_VARIANTS_APART)
    owner = re.sub(r"/(properties/[^/]*|required)$", "", group.rule)
    has_schema = owner != group.rule and not group.rule.endswith("/required")
    schema = draft.schema_like([group.rule] if has_schema else [], group.values)
    words = f"{group.findings[0].expected.removeprefix('named ')} under this name"
    yield from _add_field(draft, group, owner, schema, words)


def _add_field(draft: Draft, group: FindingGroup, owner: str, schema: Any, words: str) -> Iterator[Edit]:
    if not is_name(group.name):
        raise RefusedError("Its name is no name that a contract could have. Look at the answer.")
    if draft.raw(owner) is False:
        raise RefusedError("The contract forbids the field in so many words. Decide by hand.")
    schema_there = draft.raw(owner)
    properties = schema_there.get("properties")
    if properties is None and not _MAPS.isdisjoint(schema_there):
        raise RefusedError("The object is a map, whose keys are data. Widen what it says of its keys by hand.")
    if properties is None:
        yield Put(owner, "properties", {group.name: schema}, group.comment(words))
    elif group.name not in properties:
        yield Put(f"{owner}/properties", group.name, schema, group.comment(words))


def missing_field(draft: Draft, group: FindingGroup) -> Iterator[Edit]:
    """Yield the edits for a required field that is not there."""
    owner = group.rule.removesuffix("/required")
    for variants in draft.variants():
        branches = variants.branches.values()
        if group.name == variants.name and any(owner in unconditional(draft.document, branch) for branch in branches):
            raise RefusedError(TELLS_VARIANTS_APART)
    yield from drop_required(draft, group.rule, {group.name}, group.comment(f"an answer without {group.name}"))


def drop_required(draft: Draft, pointer: str, names: Collection[str], comment: str = "") -> Iterator[Edit]:
    """Yield the edits that take names out of a `required`, or all of it where no other name is left."""
    required = draft.raw(pointer)
    if names and set(required) <= set(names):
        yield Drop(pointer, comment)
    else:
        gone = [index for index, name in enumerate(required) if name in names]
        yield from (Drop(f"{pointer}/{index}", comment) for index in reversed(gone))

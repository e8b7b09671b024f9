"""The fields of an object, as one or several schemas together describe them."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

import jsonschema_rs
from attrs import Factory, define

from longcat.contract.openapi.document import Node
from longcat.contract.openapi.limits import PATTERNS, name_of
from longcat.pointer import at, escape


@define
class Fields:
    """What several schemas together say about an object's fields.

    Attributes:
        named: for each field, where its schemas stand.
        required: for each field that must be there, where that is said.
        is_closed: whether any other field is new.
        owner: where a new field would be entered: the last of the schemas that name fields, as it is the most special.
        patterns: for each pattern of names, where the schema of such fields stands.
        others: where the schemas of all other fields stand.
    """

    named: dict[str, tuple[str, ...]] = Factory(dict)
    required: dict[str, str] = Factory(dict)
    is_closed: bool = False
    owner: str = ""
    patterns: dict[str, str] = Factory(dict)
    others: tuple[str, ...] = ()

    def pointers(self, name: str) -> tuple[str, ...]:
        """Return where the schemas of a field stand; of a field that is not named, there may be some as well."""
        found = self.named.get(name, ())
        if self.patterns:
            found += tuple(pointer for pattern, pointer in self.patterns.items() if _matches(pattern, name))
        return found or self.others


def fields_of(document: Node, pointers: Sequence[str]) -> Fields:
    """Return what the schemas at these pointers say about an object's fields."""
    fields, is_open = Fields(), False
    for pointer in pointers:
        schema = at(document, pointer)
        if not isinstance(schema, Mapping):
            continue
        for name in schema.get("properties", ()):
            fields.named[name] = (*fields.named.get(name, ()), f"{pointer}/properties/{escape(name)}")
        for pattern in schema.get("patternProperties", ()):
            fields.patterns[pattern] = f"{pointer}/patternProperties/{escape(pattern)}"
        for name in schema.get("required", ()):
            fields.required.setdefault(name, f"{pointer}/required")
        others = schema.get("additionalProperties")
        if isinstance(others, dict) and others:
            fields.others += (f"{pointer}/additionalProperties",)
        is_open |= others is True or others == {} or schema.get("unevaluatedProperties") is True
        fields.is_closed |= bool(schema.get("properties")) or others is False
        fields.owner = pointer if schema.get("properties") else fields.owner
    fields.is_closed = fields.is_closed and not is_open
    fields.owner = fields.owner or next(iter(pointers), "")
    return fields


def _matches(pattern: str, name: str) -> bool:
    """Whether a name has a pattern. Raises UnjudgeableError when that takes too many steps."""
    try:
        _validator(pattern).validate(name)
    except jsonschema_rs.ValidationError as error:
        name_of(error)
        return False
    return True


@lru_cache(maxsize=4096)  # A contract that is changed is read again after each change.
def check_pattern(pattern: str) -> int:
    """Return how large a pattern is, with what it repeats written out. Raises ValueError when it can't be used."""
    try:
        _validator(pattern)
    except jsonschema_rs.ValidationError:
        raise ValueError("it is no regular expression, or too large a one") from None
    sizes, last = [0], 0
    for token in _TOKENS.finditer(pattern):
        if token[0] == "(":
            sizes.append(0)
        elif token[0] == ")" and len(sizes) > 1:
            last = sizes.pop()
            sizes[-1] += last
        elif token[1]:
            sizes[-1] += last * (int(token[2] or token[1]) - 1)
        else:
            last = 1
            sizes[-1] += 1
    return sum(sizes)


_TOKENS: Final = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]|\{(\d{1,9})(?:,(\d{0,9}))?\}|.", re.DOTALL)
"""What a pattern is made of: a character, a class of them, a bracket, or how often what is before it is repeated."""


@lru_cache(maxsize=64)  # Each may take megabytes.
def _validator(pattern: str) -> jsonschema_rs.Validator:
    """Return what finds a pattern in a text: Python's own expressions may take for ever."""
    return jsonschema_rs.Draft202012Validator({"pattern": pattern}, pattern_options=PATTERNS)

"""A difference between an exchange and the contract, before it is a finding, and the words for it."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from attrs import field, frozen

from longcat.contract.openapi.schemas import ASSERTIONS
from longcat.gateway import schema as core
from longcat.pointer import join
from longcat.text import describe, show, without_queries

Path: TypeAlias = tuple[str | int, ...]
"""Where in a value: names and indexes. A name that is data, rather than that of a field, is a `MapKey`."""


class MapKey(str):
    """The key of a map: a name that no contract could list, as its `additionalProperties` or a pattern allows it."""

    __slots__ = ()


@frozen
class Mismatch:
    """One difference. `rule`, `expected`, `seen` and `evidence` are as in a finding.

    Attributes:
        path: where in the body.
        location: where else: `status` or `header:NAME`. Empty: the path says it.
    """

    code: str
    path: Path
    rule: str
    expected: str
    seen: str
    evidence: Any = field(default=None, repr=False)
    location: str = ""

    @property
    def pointer(self) -> str:
        """Where it is, as a finding says it."""
        return self.location or join(self.path)

    @property
    def place(self) -> str:
        """Where it is, whatever the data: the pointer with `*` for indexes of lists and for keys of maps."""
        return self.location or join("*" if isinstance(part, int | MapKey) else part for part in self.path)


def distinct(mismatches: Iterable[Mismatch]) -> list[Mismatch]:
    """Return the first mismatch of each rule and place: the same in every item of a list is one difference."""
    found: dict[tuple[str, str, str], Mismatch] = {}
    for one in mismatches:
        found.setdefault((one.code, one.rule, one.place), one)
    return list(found.values())


def describe_assertions(schemas: Iterable[Any]) -> str:
    """Return what schemas ask of a value itself, in words."""
    phrases = dict.fromkeys(
        core.expectation(keyword, schema[keyword])
        for schema in schemas
        if isinstance(schema, Mapping)
        for keyword in ASSERTIONS
        if keyword in schema
    )
    return ", ".join(phrases) or "present"


def show_value(value: Any) -> str:
    """Return a value for people: cut short, and an address without its query, which may hold a signature."""
    return show(value, without_queries)


def show_body(body: bytes) -> str:
    """Return what a body that is not JSON looks like, in a few words."""
    return describe(body, without_queries)

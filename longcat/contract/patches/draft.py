"""The contract as it stands between two changes, and what a change asks about it."""

import copy
from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from typing import Any
from urllib.parse import urlsplit

from attrs import field, frozen

from longcat.contract.model import Exchange
from longcat.contract.openapi.document import schemas
from longcat.contract.openapi.spec import Spec, make_spec
from longcat.contract.openapi.variants import Variants, properties_of
from longcat.contract.patches.edit import Edit, Source
from longcat.contract.patches.infer import infer
from longcat.pointer import at, escape


@frozen
class Draft:
    """A contract as it stands between two changes.

    Attributes:
        source: its text and document.
        spec: the same contract, ready to judge by. It answers for the hosts of the exchanges as well.
    """

    source: Source
    spec: Spec = field(repr=False)
    _hosts: tuple[str, ...] = field(repr=False, alias="hosts")

    @classmethod
    def of(cls, source: Source, hosts: tuple[str, ...]) -> "Draft":
        """Return the draft with this text."""
        return cls(source, reduce(Spec.served_at, hosts, make_spec(source.document, "as it is now")), hosts)

    def edited(self, edits: Sequence[Edit]) -> "Draft":
        """Return the draft with some changes. Raises UneditableError, and SpecError if it would be no contract."""
        return Draft.of(self.source.edited(*edits), self._hosts)

    @property
    def is_openapi_3_0(self) -> bool:
        """Whether the document is of OpenAPI 3.0, which has `nullable` and no lists of types."""
        return str(self.source.document["openapi"]).startswith("3.0")

    def raw(self, pointer: str) -> Any:
        """Return what the file has at a pointer. Raises LookupError."""
        return at(self.source.document, pointer)

    def variants(self) -> Iterator[Variants]:
        """Yield each choice between schemas that are told apart by a field."""
        for root, pointer in schemas(self.spec.schemas.document):
            yield from filter(None, (self.spec.schemas.variants(place) for place in _choices(root, pointer)))

    def discriminators(self) -> dict[str, list[tuple[Variants, str]]]:
        """Return the schemas of the fields that tell variants apart, each with the variants and their branch."""
        found: dict[str, list[tuple[Variants, str]]] = {}
        for variants in self.variants():
            for branch in dict.fromkeys(variants.branches.values()):
                place = properties_of(self.spec.schemas.document, branch).get(variants.name)
                if place is not None:
                    found.setdefault(place, []).append((variants, branch))
        return found

    def schema_like(self, places: Iterable[str], values: Sequence[Any]) -> Any:
        """Return a copy of the first of some schemas that allows all values; if none does, one made for the values."""
        for place in places:
            if all(self.spec.schemas.is_valid(place, value, closed=True) for value in values):
                return copy.deepcopy(self.raw(place))
        return infer(values)


def hosts_of(exchanges: Iterable[Exchange]) -> tuple[str, ...]:
    """Return the base URLs of the hosts that some exchanges were with."""
    found = set()
    for exchange in exchanges:
        try:
            parts = urlsplit(exchange.url)
        except ValueError:  # A host in broken brackets.
            continue
        found.add(f"{parts.scheme}://{parts.netloc}")
    return tuple(sorted(found))


def _choices(node: Any, pointer: str) -> Iterator[str]:
    """Yield where in a schema there is a choice between others."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name in {"oneOf", "anyOf"} and isinstance(value, list):
                yield f"{pointer}/{name}"
            yield from _choices(value, f"{pointer}/{escape(name)}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _choices(value, f"{pointer}/{index}")

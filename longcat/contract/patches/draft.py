"""The contract as it stands between two changes, and what a change asks about it."""

import copy
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import reduce
from typing import Any

from attrs import evolve, field, frozen

from longcat.contract.model import Exchange
from longcat.contract.openapi.document import Document, references_in
from longcat.contract.openapi.nodes import nodes
from longcat.contract.openapi.schema.variants import Variants, properties_of
from longcat.contract.openapi.spec import Spec
from longcat.contract.openapi.urls.templates import split_url
from longcat.contract.patches.edit import Edit
from longcat.contract.patches.infer import infer
from longcat.contract.patches.sources import EditableContract


@frozen
class Draft:
    """A contract as it stands between two changes.

    Attributes:
        source: what it is written in.
        spec: the same contract, ready to judge by.
        references: how many references there were to each place of the contract before any change.
    """

    source: EditableContract
    spec: Spec = field(repr=False)
    references: Counter[str] = field(repr=False)
    _with_servers: Callable[[Spec], Spec] = field(repr=False)

    @classmethod
    def of(cls, source: EditableContract, with_servers: Callable[[Spec], Spec]) -> "Draft":
        """Return the draft of a contract; `with_servers` gives a contract the servers that were asked.

        Raises SpecError.
        """
        spec = with_servers(source.spec())
        return cls(source, spec, references_in(spec.schemas.document), with_servers)

    def edited(self, edits: Sequence[Edit]) -> "Draft":
        """Return the draft with some changes. Raises UneditableError, and SpecError if it would be no contract."""
        source = self.source.edited(edits)
        return evolve(self, source=source, spec=self._with_servers(source.spec()))

    @property
    def is_openapi_3_0(self) -> bool:
        """Whether the document is of OpenAPI 3.0, which has `nullable` and no lists of types."""
        return str(self.source.document["openapi"]).startswith("3.0")

    @property
    def document(self) -> Document:
        """The document in the words of OpenAPI 3.1."""
        return self.spec.schemas.document

    def raw(self, pointer: str) -> Any:
        """Return what the file has at a pointer. Raises LookupError."""
        return self.source.raw(pointer)

    def variants(self) -> Iterator[Variants]:
        """Yield each choice between schemas that are told apart by a field."""
        for node, pointer in nodes(self.document):
            for name in ("oneOf", "anyOf"):
                variants = self.spec.schemas.variants(f"{pointer}/{name}") if isinstance(node.get(name), list) else None
                if variants is not None:
                    yield variants

    def discriminators(self) -> dict[str, list[tuple[Variants, str]]]:
        """Return the schemas of the fields that tell variants apart, each with the variants and their branch."""
        found: dict[str, list[tuple[Variants, str]]] = {}
        for variants in self.variants():
            for branch in dict.fromkeys(variants.branches.values()):
                pointer = properties_of(self.document, branch).get(variants.name)
                if pointer is not None:
                    found.setdefault(pointer, []).append((variants, branch))
        return found

    def allows(self, pointer: str, values: Iterable[Any], *, closed: bool = False) -> bool:
        """Whether the schema at a pointer allows all of some values; read closed, without any further field."""
        return all(self.spec.schemas.is_valid(pointer, value, closed=closed) for value in values)

    def schema_like(self, pointers: Iterable[str], values: Sequence[Any], *, closed: bool = True) -> Any:
        """Return a copy of the first of some schemas that allows all values; if none does, one made for the values."""
        for pointer in pointers:
            if self.allows(pointer, values, closed=closed):
                return copy.deepcopy(self.raw(pointer))
        return infer(values)


def asked_servers(exchanges: Iterable[Exchange], servers: Sequence[str]) -> Callable[[Spec], Spec]:
    """Return what gives a contract the servers that were asked: those named, else its own and the hosts of exchanges.

    At a host that the contract does not name, an exchange may be below the path of any of its servers.
    """
    urls = [split_url(exchange.url) for exchange in exchanges]
    hosts = sorted({f"{url.scheme}://{url.netloc}" for url in urls if url.netloc})

    def served(spec: Spec) -> Spec:
        if servers:
            return spec.served_only_at(servers)
        return reduce(
            Spec.served_at, [f"{host}{path}" for host in hosts for path in sorted({*spec.base_paths, ""})], spec
        )

    return served

"""The contract as the rest of this package sees it: operations, what they take, and what they may answer.

Nothing here knows this one API. An operation that is added to the spec is watched from then on.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from importlib.resources import files
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import SplitResult, unquote, urlsplit

import attrs
from attrs import Factory, define, field, frozen

from longcat.contract.lazy import cached_property
from longcat.contract.openapi.document import SpecError, parse_document, read_document, self_contained
from longcat.contract.openapi.operation import (
    PARAMETER,
    Operation,
    read_operations,
    read_servers,
)
from longcat.contract.openapi.place import Place
from longcat.contract.openapi.schemas import Schemas
from longcat.contract.openapi.strict import check_all

_ByServer: TypeAlias = dict[str, dict[str, set[int]]]
"""Numbers by the host, in lower case, and the path of a server, without a slash at the end."""


@frozen(slots=False)  # A cached property is looked up faster there.
class Spec:
    """A contract.

    Attributes:
        document: the whole of it, as the file has it, in plain JSON values.
        operations: all of them; those with fewer parameters in their path come first (OpenAPI, "Path Templating").
        servers: their base URLs, without a slash at the end.
        digest: the SHA-256 of the document's canonical form, in hex. A change of comments or order does not change it.
        schemas: the schemas of the document, ready to validate.
    """

    document: dict[str, Any] = field(repr=False)
    operations: tuple[Operation, ...]
    servers: tuple[str, ...]
    digest: str
    schemas: Schemas = field(repr=False, eq=False)

    @property
    def server(self) -> str:
        """The base URL of the first server; empty when the contract names none."""
        return self.servers[0] if self.servers else ""

    def served_at(self, base_url: str) -> "Spec":
        """Return the same contract of a gateway that answers at this base URL as well, such as the sandbox."""
        base = base_url.rstrip("/")
        return self if base in self.servers else attrs.evolve(self, servers=(*self.servers, base))

    @cached_property
    def key_headers(self) -> frozenset[str]:
        """The headers that carry keys, as far as that can be read."""
        found = set()
        for operation in self.operations:
            with suppress(SpecError):
                found.add(operation.key_header or "")
        return frozenset(found - {""})

    def match(self, method: str, url: str) -> Operation | None:
        """Return the operation that a method and a URL mean, whichever host they name. None: there is none."""
        operations, _ = self.locate(url)
        return next((one for one in operations if one.method == method.upper()), None)

    def locate(self, url: str) -> tuple[tuple[Operation, ...], dict[str, str]]:
        """Return the operations of a URL's path, whichever host it names, and the values of the path's parameters.

        The path is looked for below each server, the longest first, and then below none.
        """
        return next(self._matches(url), ((), {}))

    def candidates(self, url: str) -> tuple[Operation, ...]:
        """Return the operations of every path that a URL fits, whichever host it names."""
        return tuple(one for operations, _ in self._matches(url) for one in operations)

    def _matches(self, url: str) -> Iterator[tuple[tuple[Operation, ...], dict[str, str]]]:
        path = _path_of(url)
        for base in self._bases:
            if path.startswith(f"{base}/") and path.count("/") - base.count("/") <= self._paths.levels:
                segments = [unquote(segment) for segment in path.removeprefix(base).split("/")]
                for _, operations, values in sorted(self._paths.find(segments), key=itemgetter(0)):
                    yield operations, dict(zip(PARAMETER.findall(operations[0].path), values, strict=True))

    def serves(self, url: str) -> bool:
        """Whether a URL is below one of the servers."""
        return bool(_above(self._servers, url))

    def operations_at(self, url: str) -> tuple[Operation, ...]:
        """Return the operations of the server that a URL is below: none, if the contract has no such server."""
        return tuple(self.operations[index] for index in sorted(_above(self._operations_by_server, url)))

    def path_below_server(self, url: str) -> str:
        """Return the path of a URL without that of a server, the longest that fits, whichever host it names."""
        path = _path_of(url)
        return path.removeprefix(next(base for base in self._bases if path.startswith(f"{base}/")))

    @cached_property
    def _bases(self) -> tuple[str, ...]:
        """What a path may begin with before the contract's own part: the servers' paths, the longest first."""
        return tuple(sorted({_path_of(server).rstrip("/") for server in self.servers} | {""}, key=len, reverse=True))

    @cached_property
    def _servers(self) -> _ByServer:
        return _by_server((server, 0) for server in self.servers)

    @cached_property
    def _operations_by_server(self) -> _ByServer:
        return _by_server((server, index) for index, one in enumerate(self.operations) for server in one.servers)

    @cached_property
    def _paths(self) -> "_Paths":
        """The documented paths, each with its operations, in their order."""
        by_path: dict[str, list[Operation]] = {}
        for one in self.operations:
            by_path.setdefault(one.path, []).append(one)
        found = _Paths()
        for index, (path, operations) in enumerate(by_path.items()):
            found.add(path.split("/"), index, tuple(operations))
        return found


_Match: TypeAlias = tuple[int, tuple[Operation, ...], tuple[str, ...]]
"""The number of a path that fits, its operations, and the values of its parameters."""


@define
class _Paths:
    """Paths by their segments, so that those which fit are found without a look at all the others.

    Attributes:
        literal: the paths that go on with a segment as it stands.
        templated: those that go on with one that has parameters: the text around these, and the paths.
        ending: those that end here.
        levels: how many more segments a path has at most.
    """

    literal: dict[str, "_Paths"] = Factory(dict)
    templated: dict[tuple[str, ...], "_Paths"] = Factory(dict)
    ending: list[tuple[int, tuple[Operation, ...]]] = Factory(list)
    levels: int = 0

    def add(self, segments: Sequence[str], index: int, operations: tuple[Operation, ...]) -> None:
        """Add a path, from one of its segments on."""
        place = self
        for left, segment in zip(range(len(segments), 0, -1), segments, strict=True):
            place.levels = max(place.levels, left)
            texts = tuple(PARAMETER.split(segment)[::2])
            if len(texts) == 1:
                place = place.literal.setdefault(segment, _Paths())
            else:
                place = place.templated.setdefault(texts, _Paths())
        place.ending.append((index, operations))

    def find(self, segments: Sequence[str], at: int = 0, values: tuple[str, ...] = ()) -> Iterator[_Match]:
        """Yield the paths that fit, from one of the segments on."""
        if at == len(segments):
            yield from ((index, operations, values) for index, operations in self.ending)
            return
        if (literal := self.literal.get(segments[at])) is not None:
            yield from literal.find(segments, at + 1, values)
        for texts, inner in self.templated.items():
            if (found := _values_between(texts, segments[at])) is not None:
                yield from inner.find(segments, at + 1, (*values, *found))


def _values_between(texts: Sequence[str], segment: str) -> tuple[str, ...] | None:
    """Return what stands in a segment between some texts: something each time, and first as much as possible.

    None: the segment is another one. Each text is looked for once, as an expression would try them in all combinations.
    """
    first, *others, last = texts
    if not segment.startswith(first) or not segment.endswith(last):
        return None
    values, end = [], len(segment) - len(last)
    for text in reversed(others):
        at = segment.rfind(text, len(first), max(end - 1, 0))
        if at < 0:
            return None
        values.append(segment[at + len(text) : end])
        end = at
    values.append(segment[len(first) : end])
    return tuple(reversed(values)) if all(values) else None


def split_url(url: str) -> SplitResult:
    """Return the parts of a URL. They are empty if it is none."""
    try:
        return urlsplit(url)
    except ValueError:  # A host in broken brackets.
        return urlsplit("")


def _path_of(url: str) -> str:
    return split_url(url).path or "/"


def _by_server(pairs: Iterable[tuple[str, int]]) -> _ByServer:
    """Return numbers by the host and the path of a server."""
    found: _ByServer = {}
    for server, number in pairs:
        host, path = split_url(server).netloc.lower(), _path_of(server).rstrip("/")
        found.setdefault(host, {}).setdefault(path, set()).add(number)
    return found


def _above(servers: _ByServer, url: str) -> set[int]:
    """Return the numbers of all servers that a URL is below."""
    paths, path = servers.get(split_url(url).netloc.lower(), {}), f"{_path_of(url)}/"
    return {number for one, numbers in paths.items() if path.startswith(f"{one}/") for number in numbers}


def load_spec(path: Path | None = None, *, strict: bool = False) -> Spec:
    """Return the contract in a YAML or JSON file; None: the one that came with longcat.

    Raises SpecError for what is no OpenAPI document. What is wrong within one costs what reaches it, later; strict:
    everything is checked now, and anything wrong raises.
    """
    if path is not None:
        return make_spec(read_document(path), str(path), strict=strict)
    packaged = files("longcat_api") / "openapi.json"
    name = "that came with longcat"
    return make_spec(parse_document(packaged.read_text("utf-8"), name), name, strict=strict)


def make_spec(document: dict[str, Any], name: str = "that was given", *, strict: bool = False) -> Spec:
    """Return the contract in a document. Raises SpecError, which says `name`, as `load_spec` does."""
    try:
        canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        why = "holds half of a character, which JSON can escape and no text can hold. Take it out."
        raise SpecError(f"The spec {name} {why}") from None
    try:
        new = self_contained(document)
        root, known = Place(new, new, ""), Schemas(new)
        if strict:
            check_all(root, known)
        operations = list(read_operations(root))
    except SpecError as error:
        raise SpecError(f"The spec {name} {str(error).removeprefix('the contract ')}. Mend it.") from None
    servers = [server for one in operations for server in one.servers]
    return Spec(
        document=document,
        operations=tuple(sorted(operations, key=lambda one: len(PARAMETER.findall(one.path)))),
        servers=tuple(dict.fromkeys([*read_servers(root), *servers])),
        digest=hashlib.sha256(canonical).hexdigest(),
        schemas=known,
    )

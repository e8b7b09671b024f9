"""The contract as the rest of this package sees it: operations, what they take, and what they may answer.

Nothing here knows this one API. An operation that is added to the spec is watched from then on.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

import attrs
from attrs import field, frozen

from longcat.contract.lazy import cached_property
from longcat.contract.openapi.document import Document, SpecFiles
from longcat.contract.openapi.errors import SpecError
from longcat.contract.openapi.operation import Credential, Operation, read_credential, read_operations
from longcat.contract.openapi.parsing import parse_document, read_document, read_value
from longcat.contract.openapi.place import Place
from longcat.contract.openapi.schema.schemas import MAX_CACHED_SCHEMAS, Schemas
from longcat.contract.openapi.strict import check_all
from longcat.contract.openapi.upgrade import modern
from longcat.contract.openapi.urls.paths import PathIndex
from longcat.contract.openapi.urls.servers import Base, BaseIndex, base_of, read_servers, segments_of
from longcat.contract.openapi.urls.templates import PARAMETER, kept_by_url, split_url


@frozen(slots=False)  # A cached property is looked up faster there.
class Spec:
    """A contract.

    Attributes:
        document: the whole of it, as its own file has it, in plain JSON values.
        operations: all of them; those with fewer parameters in their path come first (OpenAPI, "Path Templating").
        servers: their base URLs, without a slash at the end.
        digest: the SHA-256 of the document's canonical form, in hex, and of the bytes of all files that it refers to. A
            change of comments or order in its own file does not change it.
        schemas: the schemas of the document, ready to validate.
        elsewhere: where it is served as well as at its own servers.
        only_at: where it is served instead of at its own servers. Empty: at its own.
    """

    document: dict[str, Any] = field(repr=False)
    operations: tuple[Operation, ...]
    servers: tuple[str, ...]
    digest: str
    schemas: Schemas = field(repr=False, eq=False)
    elsewhere: frozenset[Base] = frozenset()
    only_at: frozenset[Base] = frozenset()

    @property
    def server(self) -> str:
        """The base URL of the first server; empty when the contract names none."""
        return self.servers[0] if self.servers else ""

    @property
    def examples_are_complete(self) -> bool:
        """Whether the contract says that its examples show every field, so that one that is absent is missed."""
        info = self.document.get("info")
        return isinstance(info, dict) and info.get("x-longcat-examples-complete") is True

    def served_at(self, base_url: str) -> "Spec":
        """Return the same contract of a gateway that answers at this base URL as well, such as the sandbox."""
        base = base_url.rstrip("/")
        if base in self.servers:
            return self
        return attrs.evolve(self, servers=(*self.servers, base), elsewhere=self.elsewhere | {base_of(base)})

    def source_of(self, pointer: str) -> tuple[Path | None, str]:
        """Return the file in which a pointer stands, and the pointer in that file. None: the contract has no file."""
        return self.schemas.document.source_of(pointer)

    def served_only_at(self, urls: Sequence[str]) -> "Spec":
        """Return the same contract of gateways that answer below these URLs, and at none of its own servers.

        A URL without a path stands for one with the path of any of its servers as well. Without URLs, nothing changes.
        """
        if not urls:
            return self
        given = {base_of(url) for url in urls}
        given |= {Base(base.host, path) for base in given if not base.path for path in self.base_paths}
        return attrs.evolve(self, servers=tuple(urls), only_at=frozenset(given))

    @cached_property
    def credentials(self) -> frozenset[Credential]:
        """Whatever the contract calls a key, as far as that can be read, for whichever operation it is."""
        found = set()
        with suppress(SpecError):
            document = self.schemas.document
            components = Place(document, document, "").get("components")
            for scheme in components.fields("securitySchemes").values() if components else ():
                with suppress(SpecError):
                    found.add(read_credential(scheme))
        return frozenset(one for one in found if one is not None)

    @cached_property
    def key_names(self) -> frozenset[str]:
        """The names of headers, parameters and cookies that carry keys, in lower case, as far as that can be read."""
        return frozenset(one.name.lower() for one in self.credentials)

    def match(self, method: str, url: str) -> Operation | None:
        """Return the operation that a method and a URL mean (see `locate`). None: there is none."""
        return self.locate(url, method).operation(method)

    def locate(self, url: str, method: str = "", choose: "Choose | None" = None) -> "Located":
        """Return which operations a URL means: those of the first path that has the method, else of the first path.

        A path is looked for below the servers of its operations, the longest first. Where no server has the host of
        the URL, it is as if all had it: a gateway may answer elsewhere. Of several paths that have the method,
        `choose` may choose another than the first.
        """
        found = self._located(url)
        if len(found) == 1:
            return found[0]
        with_method = [one for one in found if one.operation(method) is not None] or found
        if choose is not None and len(with_method) > 1:
            return choose(with_method)
        return with_method[0] if with_method else Located()

    def candidates(self, url: str) -> tuple[Operation, ...]:
        """Return the operations of every path that a URL fits, whichever host it names."""
        return tuple(one for found in self._below(self._anywhere(url), url) for one in found.operations)

    def serves(self, url: str) -> bool:
        """Whether a URL is below one of the servers that the contract names with their hosts."""
        return any(base.host for base, _ in self._bases.above(url))

    def covers(self, url: str) -> bool:
        """Whether a URL is below one of the servers, or on one of the paths for which the contract names no host."""
        if self.serves(url):
            return True
        located = () if self.only_at else self.locate(url).operations
        return any(not base.host for one in located for base in one.bases)

    def operations_at(self, url: str) -> tuple[Operation, ...]:
        """Return the operations of the servers that a URL is below: none, if the contract has no such server."""
        bases = {base for base, _ in self._bases.above(url)}
        return tuple(one for one in self.operations if self._is_served(one, bases))

    def general_path(self, url: str) -> str:
        """Return the path of a URL below a server, the longest that fits, whichever host it names.

        Where it begins as documented paths do, `*` stands for the values of their parameters.
        """
        return "/" + "/".join(self._paths.general(self._anywhere(url)[0][1]))

    @property
    def names_hosts(self) -> bool:
        """Whether the contract says of all its operations at which hosts they are."""
        return self._bases.names_hosts

    @cached_property
    def _located(self) -> Callable[[str], tuple["Located", ...]]:
        """Return a function that returns all that a URL may mean, the best first, and keeps the last answers."""

        def located(url: str) -> tuple[Located, ...]:
            found = tuple(self._below(self._bases.above(url), url))
            return found if found or self._bases.knows(url) else tuple(self._below(self._anywhere(url), url))

        return kept_by_url(located)

    def _anywhere(self, url: str) -> list[tuple[Base | None, list[str]]]:
        """Return what a URL may be below, whichever host it names: the paths of all servers, and none."""
        whole = segments_of(split_url(url).path)
        return [*self._bases.anywhere(url), (None, whole)]

    def _below(self, below: Sequence[tuple[Base | None, list[str]]], url: str) -> Iterator["Located"]:
        """Yield what a URL may mean below some bases. A base that is None is that of all operations."""
        text = split_url(url).query
        query = parse_qsl(text, keep_blank_values=True) if text else ()
        is_found = False
        for find in (self._paths.find, self._paths.find_spanning):
            for base, segments in below if not is_found else ():
                for match in find(segments, query):
                    operations = self._by_path[match.number] if base is None else self._at_base(match.number, base)
                    if operations:
                        is_found = True
                        yield Located(operations, match.values, match.spans)

    def _is_served(self, operation: Operation, bases: AbstractSet[Base]) -> bool:
        return not (bases.isdisjoint(self.only_at or operation.bases) and bases.isdisjoint(self.elsewhere))

    @cached_property
    def base_paths(self) -> frozenset[str]:
        """The paths of all servers, which come before those of the operations."""
        return frozenset(base.path for one in self.operations for base in one.bases)

    @cached_property
    def _bases(self) -> BaseIndex:
        own = self.only_at or {base for one in self.operations for base in one.bases}
        return BaseIndex(own | self.elsewhere)

    @cached_property
    def _by_path(self) -> list[tuple[Operation, ...]]:
        """The operations of each documented path."""
        by_path: dict[str, list[Operation]] = {}
        for one in self.operations:
            by_path.setdefault(one.path, []).append(one)
        return [*map(tuple, by_path.values())]

    @cached_property
    def _at_base(self) -> Callable[[int, Base], tuple[Operation, ...]]:
        """Return a function that returns which operations of a path have a base, and keeps the last answers."""

        def at_base(number: int, base: Base) -> tuple[Operation, ...]:
            return tuple(one for one in self._by_path[number] if self._is_served(one, {base}))

        return lru_cache(MAX_CACHED_SCHEMAS)(at_base)

    @cached_property
    def _paths(self) -> PathIndex:
        found = PathIndex()
        for number, operations in enumerate(self._by_path):
            found.add(operations[0].path, number)
        return found


@frozen
class Located:
    """The part of a contract that a URL means.

    Attributes:
        operations: those of its path, whichever their method. Empty: the contract has no such path.
        values: of the path's parameters, as they are encoded in the URL.
        spans: whether one of these holds slashes, which OpenAPI does not allow.
        is_chosen: whether the URL may mean several paths, and more than the URL had to tell which.
        new_path: the path of the URL, with `*` for parameters, where it only looks like one that the contract has.
    """

    operations: tuple[Operation, ...] = ()
    values: Mapping[str, str] = field(factory=dict)
    spans: bool = False
    is_chosen: bool = False
    new_path: str = ""

    def operation(self, method: str) -> Operation | None:
        """Return the operation of a method. None: the path has none."""
        method = method.upper()
        for one in self.operations:
            if one.method == method:
                return one
        return None


Choose: TypeAlias = Callable[[Sequence[Located]], Located]
"""Returns which of several that a URL may mean is meant."""


def load_spec(path: Path | None = None, *, strict: bool = False, folders: Iterable[Path] = ()) -> Spec:
    """Return the contract in a YAML or JSON file; None: the one that came with longcat.

    Its references may lead to other files in its own folder, and in these further ones. Raises SpecError for what is no
    OpenAPI document. What is wrong within one costs what reaches it, later; strict: everything is checked now, and
    anything wrong raises.
    """
    if path is not None:
        document = read_document(path, strict=strict)
        found = SpecFiles(
            path.parent.resolve() / path.name, _read_part, [path.parent.resolve(), *map(Path.resolve, folders)]
        )
        return make_spec(document, str(path), strict=strict, files=found)
    packaged = resources.files("longcat_api") / "openapi.json"
    name = "that came with longcat"
    return make_spec(parse_document(packaged.read_text("utf-8"), name), name, strict=strict)


def _read_part(path: Path) -> Any:
    return modern(read_value(path))


def make_spec(
    document: dict[str, Any], name: str = "that was given", *, strict: bool = False, files: SpecFiles | None = None
) -> Spec:
    """Return the contract in a document. Raises SpecError, which says `name`, as `load_spec` does.

    `files` are those of the spec. None: the document came from no file.
    """
    try:
        canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        why = "holds half of a character, which JSON can escape and no text can hold. Take it out."
        raise SpecError(f"The spec {name} {why}") from None
    new = Document(modern(document), files)
    root, known = Place(new, new, ""), Schemas(new)
    try:
        if strict:
            check_all(root)
        operations = list(read_operations(root))
    except SpecError as error:
        raise SpecError(f"The spec {name} {str(error).removeprefix('the contract ')}. Mend it.") from None
    digest = hashlib.sha256(canonical)
    for other, content in files.referred_to(canonical) if files else ():
        digest.update(other.encode() + content)
    servers = [server for one in operations for server in one.servers]
    return Spec(
        document=document,
        operations=tuple(sorted(operations, key=lambda one: len(PARAMETER.findall(one.path)))),
        servers=tuple(dict.fromkeys([*read_servers(root), *servers])),
        digest=digest.hexdigest(),
        schemas=known,
    )

"""The contract as the rest of this package sees it: operations, what they take, and what they may answer.

Nothing here knows this one API. An operation that is added to the spec is watched from then on.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

import attrs
import jsonschema_rs
from attrs import field, frozen

from longcat.contract.lazy import cached_property
from longcat.contract.openapi.document import (
    SpecError,
    nodes,
    parse_document,
    read_document,
    schemas,
    self_contained,
)
from longcat.contract.openapi.operation import (
    PARAMETER,
    Operation,
    methods_of,
    read_operations,
    read_paths,
    read_servers,
)
from longcat.contract.openapi.place import Place
from longcat.contract.openapi.schemas import Schemas
from longcat.contract.openapi.steps import APPLICATORS, TooManyStepsError
from longcat.pointer import join
from longcat.text import shorten


@frozen
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
            if path.startswith(f"{base}/"):
                segments = [unquote(segment) for segment in path.removeprefix(base).split("/")]
                for patterns, operations in self._paths.get(len(segments), ()):
                    pairs = zip(patterns, segments, strict=True)
                    matches = [match for pattern, segment in pairs if (match := pattern.fullmatch(segment))]
                    if len(matches) == len(segments):
                        values = (value for match in matches for value in match.groups())
                        yield operations, dict(zip(PARAMETER.findall(operations[0].path), values, strict=True))

    def serves(self, url: str) -> bool:
        """Whether a URL is below one of the servers."""
        return any(_is_below(server, url) for server in self.servers)

    def operations_at(self, url: str) -> tuple[Operation, ...]:
        """Return the operations of the server that a URL is below: none, if the contract has no such server."""
        return tuple(one for one in self.operations if any(_is_below(server, url) for server in one.servers))

    @cached_property
    def _bases(self) -> tuple[str, ...]:
        """What a path may begin with before the contract's own part: the servers' paths, the longest first."""
        return tuple(sorted({_path_of(server).rstrip("/") for server in self.servers} | {""}, key=len, reverse=True))

    @cached_property
    def _paths(self) -> dict[int, list[tuple[list[re.Pattern[str]], tuple[Operation, ...]]]]:
        """The documented paths, by how many segments they have: a pattern for each segment, and the operations."""
        by_path: dict[str, list[Operation]] = {}
        for one in self.operations:
            by_path.setdefault(one.path, []).append(one)
        found: dict[int, list[tuple[list[re.Pattern[str]], tuple[Operation, ...]]]] = {}
        for path, operations in by_path.items():
            patterns = [_segment_pattern(segment) for segment in path.split("/")]
            found.setdefault(len(patterns), []).append((patterns, tuple(operations)))
        return found


def _segment_pattern(segment: str) -> re.Pattern[str]:
    """Return the pattern for a part of a path between slashes, without percent-encoding."""
    literals = PARAMETER.split(segment)[::2]
    return re.compile("(.+)".join(map(re.escape, literals)))


def split_url(url: str) -> SplitResult:
    """Return the parts of a URL. They are empty if it is none."""
    try:
        return urlsplit(url)
    except ValueError:  # A host in broken brackets.
        return urlsplit("")


def _path_of(url: str) -> str:
    return split_url(url).path or "/"


def _is_below(server: str, url: str) -> bool:
    is_same_host = split_url(server).netloc.lower() == split_url(url).netloc.lower()
    return is_same_host and f"{_path_of(url)}/".startswith(f"{_path_of(server).rstrip('/')}/")


def load_spec(path: Path | None = None) -> Spec:
    """Return the contract in a YAML or JSON file; None: the one that came with longcat. Raises SpecError."""
    if path is not None:
        return make_spec(read_document(path), str(path))
    packaged = files("longcat_api") / "openapi.json"
    name = "that came with longcat"
    return make_spec(parse_document(packaged.read_text("utf-8"), name), name)


def make_spec(document: dict[str, Any], name: str = "that was given") -> Spec:
    """Return the contract in a document. Raises SpecError, which says `name`, for what can't be worked with."""
    try:
        canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        why = "holds half of a character, which JSON can escape and no text can hold. Take it out."
        raise SpecError(f"The spec {name} {why}") from None
    try:
        new = self_contained(document)
        root, known = Place(new, new, ""), Schemas(new)
        operations, servers = list(read_operations(root)), _read_servers(root)
        _check(new, known)
    except SpecError as error:
        raise SpecError(f"The spec {name} is not valid {error}") from None
    return Spec(
        document=document,
        operations=tuple(sorted(operations, key=lambda one: len(PARAMETER.findall(one.path)))),
        servers=servers,
        digest=hashlib.sha256(canonical).hexdigest(),
        schemas=known,
    )


def _read_servers(root: Place) -> tuple[str, ...]:
    """Return the base URLs of all servers, without a slash at the end."""
    found = [root]
    for item in read_paths(root).values():
        found += [item, *(place for _, place in methods_of(item))]
    return tuple(dict.fromkeys(server for place in found for server in read_servers(place)))


def _check(document: dict[str, Any], known: Schemas) -> None:
    """Check the schemas and references that no operation may have led to, and what it takes to go by them."""
    for node, pointer in nodes(document):
        Place.of(document, node, pointer)
    metaschema = jsonschema_rs.Draft202012Validator(
        {"$ref": "https://json-schema.org/draft/2020-12/schema"}, validate_formats=True
    )
    for schema, pointer in schemas(document):
        try:
            metaschema.validate(schema)
        except jsonschema_rs.ValidationError as error:
            where = Place(document, schema, pointer + join(error.instance_path))
            raise where.error(f"it is not valid in a schema: {shorten(error.message, 200)}") from None
    for node, pointer in nodes(document):
        if not APPLICATORS.isdisjoint(node):
            try:
                known.steps.check(pointer)
            except TooManyStepsError as error:
                raise Place(document, node, pointer).error(str(error)) from None

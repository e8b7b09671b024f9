"""The contract as the rest of this package sees it: operations, what they take, and what they may answer.

Nothing here knows this one API. An operation that is added to the spec is watched from then on.
"""

import hashlib
import json
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import attrs
from attrs import field, frozen

from longcat.contract.openapi.document import SpecError, modern, parse_document, read_document
from longcat.contract.openapi.operation import Operation, PathPattern
from longcat.contract.openapi.reader import DocumentReader
from longcat.contract.openapi.schemas import Schemas


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
        path = _path_of(url)
        for base in self._bases:
            if path.startswith(f"{base}/"):
                segments = [unquote(segment) for segment in path.removeprefix(base).split("/")]
                for pattern, operations in self._patterns.get(len(segments), ()):
                    values = pattern.values(segments)
                    if values is not None:
                        return operations, values
        return (), {}

    def serves(self, url: str) -> bool:
        """Whether a URL is below one of the servers."""
        return any(_host_of(server) == _host_of(url) and _is_below(server, url) for server in self.servers)

    @cached_property
    def _bases(self) -> tuple[str, ...]:
        """What a path may begin with before the contract's own part: the servers' paths, the longest first."""
        return tuple(sorted({_path_of(server).rstrip("/") for server in self.servers} | {""}, key=len, reverse=True))

    @cached_property
    def _patterns(self) -> dict[int, list[tuple[PathPattern, tuple[Operation, ...]]]]:
        """The documented paths with their operations, by how many segments they have."""
        by_path: dict[str, list[Operation]] = {}
        for one in self.operations:
            by_path.setdefault(one.path, []).append(one)
        found: dict[int, list[tuple[PathPattern, tuple[Operation, ...]]]] = {}
        for path, operations in by_path.items():
            found.setdefault(len(path.split("/")), []).append((PathPattern.of(path), tuple(operations)))
        return found


def _is_below(server: str, url: str) -> bool:
    return f"{_path_of(url)}/".startswith(f"{_path_of(server).rstrip('/')}/")


def _host_of(url: str) -> str | None:
    try:
        return urlsplit(url).netloc.lower() or None
    except ValueError:  # A host in broken brackets.
        return None


def _path_of(url: str) -> str:
    try:
        return urlsplit(url).path or "/"
    except ValueError:
        return "/"


def load_spec(path: Path | None = None) -> Spec:
    """Return the contract in a YAML or JSON file; None: the one that came with longcat. Raises SpecError."""
    if path is not None:
        return make_spec(read_document(path), str(path))
    packaged = files("longcat_api") / "openapi.json"
    name = "that came with longcat"
    return make_spec(parse_document(packaged.read_text("utf-8"), name), name)


def make_spec(document: dict[str, Any], name: str = "that was given") -> Spec:
    """Return the contract in a document. Raises SpecError, which says `name`, for what can't be worked with."""
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    reader = DocumentReader(modern(document))
    try:
        operations, servers = list(reader.operations()), reader.servers()
        reader.check()
    except SpecError as error:
        raise SpecError(f"The spec {name} is not valid {error}") from None
    return Spec(
        document=document,
        operations=tuple(sorted(operations, key=lambda one: len(PathPattern.of(one.path).names))),
        servers=servers,
        digest=hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest(),
        schemas=Schemas(reader.document),
    )

"""The contract as the rest of this package sees it: operations, what they take, and what they may answer.

Nothing here knows this one API. An operation that is added to the spec is watched from then on.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import attrs
from attrs import field, frozen

from longcat.contract.openapi.document import (
    METHODS,
    Node,
    SpecError,
    follow,
    modern,
    parse_document,
    read_document,
)
from longcat.contract.openapi.operation import (
    NAME,
    Credential,
    Header,
    Media,
    Operation,
    Parameter,
    PathPattern,
    Response,
    is_json,
)
from longcat.contract.openapi.schemas import Schemas
from longcat.pointer import at, escape

__all__ = [
    "Credential",
    "Header",
    "Media",
    "Operation",
    "Parameter",
    "Response",
    "Spec",
    "SpecError",
    "is_json",
    "load_spec",
    "make_spec",
]


@frozen
class Spec:
    """A contract.

    Attributes:
        document: the whole of it, as the file has it, in plain JSON values.
        operations: all of them; those of a more literal path come first.
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
        found: dict[int, list[tuple[PathPattern, tuple[Operation, ...]]]] = {}
        for path in dict.fromkeys(one.path for one in self.operations):
            operations = tuple(one for one in self.operations if one.path == path)
            found.setdefault(len(path.split("/")), []).append((PathPattern.of(path), operations))
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
        return make_spec(read_document(path))
    packaged = files("longcat_api") / "openapi.json"
    return make_spec(parse_document(packaged.read_text("utf-8"), "that came with longcat"))


def make_spec(document: dict[str, Any]) -> Spec:
    """Return the contract in a document that was checked."""
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    reader = _Reader(modern(document))
    operations = sorted(reader.operations(), key=lambda one: len(NAME.findall(one.path)))
    return Spec(
        document=document,
        operations=tuple(operations),
        servers=reader.servers(),
        digest=hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest(),
        schemas=Schemas(reader.document),
    )


@frozen
class _Reader:
    """Reads the parts of a checked document."""

    document: dict[str, Any]

    def servers(self) -> tuple[str, ...]:
        found = list(self.document.get("servers", ()))
        for item in self.document["paths"].values():
            if isinstance(item, Mapping):
                found += item.get("servers", ())
                found += [server for method in METHODS for server in item.get(method, {}).get("servers", ())]
        return tuple(dict.fromkeys(_server_url(server) for server in found))

    def operations(self) -> Iterator[Operation]:
        for path, node in self.document["paths"].items():
            if not path.startswith("/"):
                continue  # An extension, `x-`.
            item, pointer = follow(self.document, node, f"/paths/{escape(path)}")
            for method in METHODS:
                if method in item:
                    yield self._operation(method, path, item, pointer)

    def _operation(self, method: str, path: str, item: Node, pointer: str) -> Operation:
        node, pointer = item[method], f"{pointer}/{method}"
        body, body_pointer = follow(self.document, node.get("requestBody", {}), f"{pointer}/requestBody")
        request = self._content(body, body_pointer)
        schema = next((media.schema for media in request.values() if is_json(media.media_type) and media.schema), None)
        return Operation(
            operation_id=node.get("operationId", f"{method.upper()} {path}"),
            method=method.upper(),
            path=path,
            pointer=pointer,
            security=tuple(self._security(node)),
            request=request,
            request_schema=self._schema(schema) if schema else None,
            request_required=body.get("required") is True,
            parameters=tuple(self._parameters(node, pointer, item)),
            responses=dict(self._responses(node, pointer)),
            deprecated=node.get("deprecated") is True,
        )

    def _schema(self, pointer: str) -> Node | None:
        schema, _ = follow(self.document, at(self.document, pointer), pointer)
        return schema if isinstance(schema, Mapping) else None

    def _security(self, node: Node) -> Iterator[frozenset[Credential]]:
        schemes = self.document.get("components", {}).get("securitySchemes", {})
        for way in node.get("security", self.document.get("security", ())):
            found = [follow(self.document, schemes[name], "")[0] for name in way]
            yield frozenset(_credential(scheme) for scheme in found if scheme.get("type") != "mutualTLS")

    def _parameters(self, node: Node, pointer: str, item: Node) -> Iterator[Parameter]:
        found: dict[tuple[str, str], Parameter] = {}
        shared = f"{pointer.rpartition('/')[0]}/parameters"
        for nodes, where in (
            (item.get("parameters", ()), shared),
            (node.get("parameters", ()), f"{pointer}/parameters"),
        ):
            for index, one in enumerate(nodes):
                parameter, place = follow(self.document, one, f"{where}/{index}")
                found[parameter["in"], parameter["name"]] = Parameter(
                    name=parameter["name"],
                    place=parameter["in"],
                    required=parameter.get("required") is True or parameter["in"] == "path",
                    schema=f"{place}/schema" if "schema" in parameter else None,
                )
        yield from found.values()

    def _responses(self, node: Node, pointer: str) -> Iterator[tuple[str, Response]]:
        for code, one in node["responses"].items():
            if not code.startswith("x-"):
                response, where = follow(self.document, one, f"{pointer}/responses/{code}")
                content, headers = self._content(response, where), dict(self._headers(response, where))
                yield code, Response(code, where, content, headers)

    def _content(self, node: Node, pointer: str) -> dict[str, Media]:
        return {
            name: Media(
                media_type=name,
                pointer=(where := f"{pointer}/content/{escape(name)}"),
                schema=f"{where}/schema" if "schema" in media else None,
                examples=tuple(self._examples(media)),
            )
            for name, media in node.get("content", {}).items()
        }

    def _examples(self, media: Node) -> Iterator[Any]:
        if "example" in media:
            yield media["example"]
        for one in media.get("examples", {}).values():
            example, _ = follow(self.document, one, "")
            if isinstance(example, Mapping) and "value" in example:
                yield example["value"]

    def _headers(self, node: Node, pointer: str) -> Iterator[tuple[str, Header]]:
        for name, one in node.get("headers", {}).items():
            header, where = follow(self.document, one, f"{pointer}/headers/{escape(name)}")
            schema = f"{where}/schema" if "schema" in header else None
            yield name.lower(), Header(name.lower(), where, schema, header.get("required") is True)


def _credential(scheme: Node) -> Credential:
    if scheme.get("type") == "apiKey":
        return Credential(scheme["name"], scheme["in"])
    return Credential("Authorization", "header")  # `http`, `oauth2` and `openIdConnect` all use it.


def _server_url(server: Node) -> str:
    """Return a server's URL, each of its variables at its default."""
    variables = server.get("variables", {})
    return NAME.sub(lambda name: str(variables.get(name[1], {}).get("default", name[0])), server["url"]).rstrip("/")

"""Reads the parts of a contract out of an OpenAPI document, and refuses what could not be worked with.

What is checked is what the drift check relies on, where it is read. The whole of the OpenAPI specification is checked
by the linters of `make lint-spec`.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import jsonschema_rs
from attrs import frozen

from longcat.contract.openapi.document import METHODS, Node, nodes, schemas
from longcat.contract.openapi.operation import (
    NAME,
    Credential,
    Header,
    Media,
    Operation,
    Parameter,
    Response,
    first_json,
)
from longcat.contract.openapi.place import Place
from longcat.pointer import at, join
from longcat.text import shorten, show

_STATUS: Final = re.compile(r"[1-5]([0-9][0-9]|XX)|default")
_PLACES: Final = ("path", "query", "header", "cookie")


@frozen
class DocumentReader:
    """Reads a document of OpenAPI 3.1. Every method raises SpecError, with a pointer, for what it can't work with."""

    document: dict[str, Any]

    @property
    def _root(self) -> Place:
        return Place(self.document, self.document, "")

    def check(self) -> None:
        """Check the schemas and references that no operation may have led to."""
        for node, pointer in nodes(self.document):
            Place.of(self.document, node, pointer)
        metaschema = jsonschema_rs.Draft202012Validator(
            {"$ref": "https://json-schema.org/draft/2020-12/schema"}, validate_formats=True
        )
        for schema, pointer in schemas(self.document):
            for error in metaschema.iter_errors(schema):
                where = Place(self.document, schema, pointer + join(error.instance_path))
                raise where.error(f"it is not valid in a schema: {shorten(error.message, 200)}")

    def paths(self) -> Iterator[tuple[str, Place]]:
        """Yield the documented paths, each with its item."""
        found = self._root.fields("paths")
        if not found:
            raise self._root.error("there must be an object with at least one path", "paths")
        for path, item in found.items():
            if path.startswith("/"):
                yield path, item
            elif not path.startswith("x-"):
                raise self._root.error(f"{show(path)} does not begin with a slash", "paths")

    def servers(self) -> tuple[str, ...]:
        """Return the base URLs of all servers, without a slash at the end."""
        found = self._root.items("servers")
        for _, item in self.paths():
            found += item.items("servers")
            found += [server for _, place in _operations(item) for server in place.items("servers")]
        return tuple(dict.fromkeys(map(_server_url, found)))

    def operations(self) -> Iterator[Operation]:
        """Yield the operations, in the order of the document."""
        credentials = self._credentials()
        for path, item in self.paths():
            for method, place in _operations(item):
                yield self._operation(method, path, item, place, credentials)

    def _operation(
        self, method: str, path: str, item: Place, place: Place, credentials: Mapping[str, Credential | None]
    ) -> Operation:
        body = place.get("requestBody")
        request = _content(body) if body else {}
        media = first_json({name: one for name, one in request.items() if one.schema})
        secured = place if "security" in place.object else self._root
        return Operation(
            operation_id=place.text("operationId") if "operationId" in place.object else f"{method.upper()} {path}",
            method=method.upper(),
            path=path,
            pointer=place.pointer,
            security=tuple(_security(secured, credentials)),
            request=request,
            request_schema=self._schema(media.schema) if media and media.schema else None,
            request_required=body is not None and body.object.get("required") is True,
            parameters=tuple(_parameters([*item.items("parameters"), *place.items("parameters")])),
            responses=dict(_responses(place)),
            deprecated=place.object.get("deprecated") is True,
        )

    def _schema(self, pointer: str) -> Node | None:
        node = Place.of(self.document, at(self.document, pointer), pointer).node
        return node if isinstance(node, Mapping) else None

    def _credentials(self) -> dict[str, Credential | None]:
        """Return where each security scheme has its key. None: it needs none that can be seen, as in mutual TLS."""
        components = self._root.get("components")
        found: dict[str, Credential | None] = {}
        for name, scheme in components.fields("securitySchemes").items() if components else ():
            if scheme.object.get("type") == "apiKey":
                found[name] = Credential(scheme.text("name"), scheme.word("in", _PLACES[1:]))
            elif scheme.object.get("type") == "mutualTLS":
                found[name] = None
            else:
                found[name] = Credential("Authorization", "header")  # `http`, `oauth2` and `openIdConnect` all use it.
        return found


def _operations(item: Place) -> Iterator[tuple[str, Place]]:
    for method in METHODS:
        place = item.get(method)
        if place is not None:
            yield method, place


def _security(place: Place, credentials: Mapping[str, Credential | None]) -> Iterator[frozenset[Credential]]:
    """Yield the ways to be let in, each a set of credentials."""
    for way in place.items("security"):
        for name in way.object:
            if name not in credentials:
                why = f"there is no security scheme {show(name)} in components. Add it, or mend the name"
                raise place.error(why, "security")
        yield frozenset(found for name in way.object if (found := credentials[name]) is not None)


def _parameters(places: list[Place]) -> Iterator[Parameter]:
    """Yield the parameters. One of an operation replaces one of its path by the same name."""
    found: dict[tuple[str, str], Parameter] = {}
    for place in places:
        name, where = place.text("name"), place.word("in", _PLACES)
        required = place.object.get("required") is True or where == "path"
        found[where, name] = Parameter(name, where, required, place.schema())
    yield from found.values()


def _responses(place: Place) -> Iterator[tuple[str, Response]]:
    responses = place.fields("responses")
    if not responses:
        raise place.error("it has no responses")
    for code, one in responses.items():
        if _STATUS.fullmatch(code):
            yield code, Response(code, one.pointer, _content(one), dict(_headers(one)))
        elif not code.startswith("x-"):
            raise place.error(f"{show(code)} is no status code", "responses")


def _content(place: Place) -> dict[str, Media]:
    return {
        name: Media(name, media.pointer, media.schema(), tuple(_examples(media)))
        for name, media in place.fields("content").items()
    }


def _examples(media: Place) -> Iterator[Any]:
    if "example" in media.object:
        yield media.object["example"]
    for one in media.fields("examples").values():
        if isinstance(one.node, Mapping) and "value" in one.node:
            yield one.node["value"]


def _headers(place: Place) -> Iterator[tuple[str, Header]]:
    for name, header in place.fields("headers").items():
        required = header.object.get("required") is True
        yield name.lower(), Header(name.lower(), header.pointer, header.schema(), required)


def _server_url(server: Place) -> str:
    """Return a server's URL, each of its variables at its default."""
    variables = server.fields("variables")

    def default(name: re.Match[str]) -> str:
        variable = variables.get(name[1])
        return str(variable.object.get("default", name[0])) if variable else name[0]

    return NAME.sub(default, server.text("url")).rstrip("/")

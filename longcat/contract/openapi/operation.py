"""The parts of a contract, read out of its document: what can be asked of the gateway, and what it may answer.

What is checked here is what the drift check relies on. The linters of `make lint-spec` check the whole of the OpenAPI
specification. Every function that takes a `Place` raises SpecError, with a pointer, for what it can't work with.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import field, frozen

from longcat.contract.openapi.document import METHODS
from longcat.contract.openapi.examples import Examples
from longcat.contract.openapi.place import Place
from longcat.text import show

PARAMETER: Final = re.compile(r"\{([^{}]*)\}")
"""A parameter in a path, or a variable in a server's URL."""
_STATUS: Final = re.compile(r"[1-5]([0-9][0-9]|XX)|default")
_PLACES: Final = ("path", "query", "header", "cookie")


@frozen
class Media:
    """One media type of a body.

    Attributes:
        media_type: as the contract writes it; it may be a range such as `image/*`.
        pointer: of the media type in the document.
        schema: where the schema of the body stands. None: there is none.
        examples: the bodies that the contract shows.
    """

    media_type: str
    pointer: str
    schema: str | None
    examples: Examples = field(repr=False, eq=False)


@frozen
class Parameter:
    """A documented parameter of a request, or a header of an answer.

    Attributes:
        location: path, query, header or cookie.
        pointer: of the parameter in the document.
        schema: as in Media.
    """

    name: str
    location: str
    pointer: str
    required: bool
    schema: str | None


@frozen
class Response:
    """A documented answer. `code` is a status code, a range such as `4XX`, or `default`; headers are in lower case."""

    code: str
    pointer: str
    content: Mapping[str, Media]
    headers: Mapping[str, Parameter]


@frozen
class Credential:
    """Where a key travels: `location` is header, query or cookie."""

    name: str
    location: str


@frozen
class Operation:
    """What can be asked of the gateway.

    Attributes:
        operation_id: its name; METHOD and path where the contract gives none.
        method: in upper case.
        path: with `{parameters}`.
        pointer: of the operation in the document.
        security: the ways to be let in, each a set of credentials; an empty way means that no key is needed.
        request: the media types of the request body, by their names.
        request_required: whether a request without a body breaks the contract.
        parameters: of the path, the query, the headers and the cookies.
        responses: the documented answers, by their codes.
        deprecated: whether the contract says so itself.
        servers: their base URLs, without a slash at the end: its own, else its path's, else the document's.
    """

    operation_id: str
    method: str
    path: str
    pointer: str
    security: tuple[frozenset[Credential], ...] = ()
    request: Mapping[str, Media] = field(factory=dict, repr=False)
    request_required: bool = False
    parameters: tuple[Parameter, ...] = field(default=(), repr=False)
    responses: Mapping[str, Response] = field(factory=dict, repr=False)
    deprecated: bool = False
    servers: tuple[str, ...] = field(default=(), repr=False)

    @property
    def key_header(self) -> str | None:
        """The header that carries the key. None: no key is needed, or it travels elsewhere."""
        found = (one.name for way in self.security for one in way if one.location == "header")
        return next(found, None) if self.needs_key else None

    @property
    def needs_key(self) -> bool:
        """Whether a call without any credential is to be refused."""
        return bool(self.security) and all(self.security)

    def response(self, status_code: int) -> Response | None:
        """Return the documented answer for a status code: the code itself, its range, or the default."""
        for code in (str(status_code), f"{status_code // 100}XX", "default"):
            if code in self.responses:
                return self.responses[code]
        return None


# --- Media types.


def is_json(media_type: str) -> bool:
    """Whether a media type, without parameters, is of JSON (RFC 6839, section 3.1)."""
    return media_type.lower() in {"application/json", "text/json"} or media_type.lower().endswith("+json")


def media_for(content: Mapping[str, Media], media_type: str) -> Media | None:
    """Return what is documented for a media type: for itself, or for a range such as `image/*`."""
    if media_type in content:
        return content[media_type]
    by_type = {name.partition(";")[0].strip().lower(): media for name, media in content.items()}
    for name in (media_type, f"{media_type.partition('/')[0]}/*", "*/*"):
        if media_type and name in by_type:
            return by_type[name]
    return None


def first_json(content: Mapping[str, Media]) -> Media | None:
    """Return the first documented media type of JSON. None: there is none."""
    return next((media for media in content.values() if is_json(media.media_type)), None)


# --- Reading.


def read_operations(root: Place) -> Iterator[Operation]:
    """Yield the operations of a document, in its order."""
    credentials = _credentials(root)
    for path, item in read_paths(root).items():
        for method, place in methods_of(item):
            body = place.get("requestBody")
            secured = place if "security" in place.object else root
            yield Operation(
                operation_id=place.text("operationId") if "operationId" in place.object else f"{method.upper()} {path}",
                method=method.upper(),
                path=path,
                pointer=place.pointer,
                security=tuple(_security(secured, credentials)),
                request=_content(body) if body else {},
                request_required=body is not None and body.flag("required"),
                parameters=tuple(_parameters([*item.items("parameters"), *place.items("parameters")])),
                responses=dict(_responses(place)),
                deprecated=place.flag("deprecated"),
                servers=next(filter(None, map(read_servers, (place, item, root))), ()),
            )


def read_paths(root: Place) -> dict[str, Place]:
    """Return the documented paths, each with its item."""
    found = root.fields("paths")
    if not found:
        raise root.error("there must be an object with at least one path", "paths")
    for path in found:
        if not path.startswith(("/", "x-")):
            raise root.error(f"{show(path)} does not begin with a slash", "paths")
    return {path: item for path, item in found.items() if path.startswith("/")}


def methods_of(item: Place) -> Iterator[tuple[str, Place]]:
    """Yield the methods of a path's item, each with its operation."""
    for method in METHODS:
        place = item.get(method)
        if place is not None:
            yield method, place


def read_servers(place: Place) -> tuple[str, ...]:
    """Return the base URLs of the servers that a document, a path or an operation names for itself."""
    return tuple(map(_server_url, place.items("servers")))


def _server_url(server: Place) -> str:
    """Return a server's URL without a slash at the end, each of its variables at its default."""
    variables = server.fields("variables")

    def default(name: re.Match[str]) -> str:
        variable = variables.get(name[1])
        return str(variable.object.get("default", name[0])) if variable else name[0]

    return PARAMETER.sub(default, server.text("url")).rstrip("/")


def _credentials(root: Place) -> dict[str, Credential | None]:
    """Return where each security scheme has its key. None: it needs none that can be seen, as in mutual TLS."""
    components = root.get("components")
    found: dict[str, Credential | None] = {}
    for name, scheme in components.fields("securitySchemes").items() if components else ():
        if scheme.object.get("type") == "apiKey":
            found[name] = Credential(scheme.text("name"), scheme.word("in", _PLACES[1:]))
        elif scheme.object.get("type") == "mutualTLS":
            found[name] = None
        else:
            found[name] = Credential("Authorization", "header")  # `http`, `oauth2` and `openIdConnect` all use it.
    return found


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
    for one in places:
        name, where = one.text("name"), one.word("in", _PLACES)
        found[where, name] = Parameter(name, where, one.pointer, one.flag("required") or where == "path", one.schema())
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


def _headers(place: Place) -> Iterator[tuple[str, Parameter]]:
    for name, one in place.fields("headers").items():
        yield name.lower(), Parameter(name.lower(), "header", one.pointer, one.flag("required"), one.schema())


def _content(place: Place) -> dict[str, Media]:
    return {
        name: Media(name, media.pointer, media.schema(), Examples(tuple(_examples(media))))
        for name, media in place.fields("content").items()
    }


def _examples(media: Place) -> Iterator[Any]:
    if "example" in media.object:
        yield media.object["example"]
    for one in media.fields("examples").values():
        if isinstance(one.node, Mapping) and "value" in one.node:
            yield one.node["value"]

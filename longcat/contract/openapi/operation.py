"""The parts of a contract, read out of its document: what can be asked of the gateway, and what it may answer.

Each part is read when it is first asked for. What can't be worked with raises SpecError there and then, with a pointer,
and costs only what needs that part. What is checked here is what the drift check relies on; the linters of
`make lint-spec` check the whole of the OpenAPI specification.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from attrs import field, frozen

from longcat.contract.lazy import cached_property
from longcat.contract.openapi.errors import SpecError
from longcat.contract.openapi.examples import Examples
from longcat.contract.openapi.place import Place
from longcat.contract.openapi.urls.servers import ANYWHERE, Base, read_bases, read_servers
from longcat.text import show

METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "QUERY", "TRACE"})
"""The methods that change nothing (RFC 9110, section 9.2.1)."""
STATUS_KEY: Final = re.compile(r"[1-5]([0-9][0-9]|XX)|DEFAULT")
"""A key of an operation's responses, in upper case."""
_PLACES: Final = ("path", "query", "header", "cookie", "querystring")
_HEADERS_OF_THEIR_OWN: Final = frozenset({"accept", "content-type", "authorization"})
"""The headers that no parameter describes (OpenAPI, "Parameter Object")."""


@frozen(slots=False)  # A cached property is looked up faster there. That goes for the classes below as well.
class Media:
    """One media type of a body. `media_type` is as the contract writes it; it may be a range such as `image/*`."""

    media_type: str
    place: Place = field(repr=False, eq=False)

    @property
    def pointer(self) -> str:
        """The pointer of the media type in the document."""
        return self.place.pointer

    @cached_property
    def schema(self) -> str | None:
        """The pointer of the schema of the body. None: there is none."""
        return self.place.schema()

    @cached_property
    def item_schema(self) -> str | None:
        """The pointer of the schema of each part of a body, such as of an event (OpenAPI 3.2). None: there is none."""
        return self.place.schema("itemSchema")

    @cached_property
    def encodings(self) -> Mapping[str, "Encoding"]:
        """The encodings of the fields of a form, by their names, where the contract says them."""
        return {name: Encoding.of(name, place) for name, place in self.place.fields("encoding").items()}

    @cached_property
    def examples(self) -> Examples:
        """The bodies that the contract shows. Those that can't be read are left out, as nothing depends on them."""
        return Examples(tuple(_examples(self.place)))


@frozen
class Encoding:
    """The way in which a parameter, or a field of a form, is written (OpenAPI, "Style Values" and "Encoding Object").

    Attributes:
        name: of the parameter or the field.
        style: such as `form`, or `deepObject`.
        explode: whether each item of a list, and each field of an object, is written with a name.
    """

    name: str
    style: str = "form"
    explode: bool = True

    @classmethod
    def of(cls, name: str, place: Place, default: str = "form") -> "Encoding":
        """Return the encoding at a place; `default` is the style where there is no word about it."""
        style, explode = place.object.get("style") or default, place.object.get("explode")
        return cls(name, str(style), explode if isinstance(explode, bool) else str(style) in {"form", "cookie"})


@frozen(slots=False)
class Parameter:
    """A documented parameter of a request, or a header of an answer.

    `location` is path, query, header, cookie or querystring; the latter is the query as a whole (OpenAPI 3.2).
    """

    name: str
    location: str
    place: Place = field(repr=False, eq=False)

    @property
    def pointer(self) -> str:
        """The pointer of the parameter in the document."""
        return self.place.pointer

    @cached_property
    def required(self) -> bool:
        """Whether a message without it breaks the contract."""
        return self.location == "path" or self.place.flag("required")

    @cached_property
    def schema(self) -> str | None:
        """The pointer of the schema of its value. None: there is none."""
        return self.content.schema if self.content else self.place.schema()

    @cached_property
    def content(self) -> Media | None:
        """The media type of its text, such as JSON. None: its style says how it is written."""
        return next(iter(_content(self.place).values()), None)

    @property
    def explode(self) -> bool:
        """As in Encoding."""
        return self.encoding.explode

    @cached_property
    def encoding(self) -> "Encoding":
        """The way in which it is written."""
        return Encoding.of(self.name, self.place, "simple" if self.location in {"path", "header"} else "form")

    @cached_property
    def is_plain_segment(self) -> bool:
        """Whether it is a part of the path that is written as it stands."""
        return self.location == "path" and self.content is None and self.encoding.style not in {"label", "matrix"}

    @property
    def allows_empty(self) -> bool:
        """Whether it may be empty, whatever its schema says."""
        return self.place.flag("allowEmptyValue")


@frozen(slots=False)
class Response:
    """A documented answer. `code` is a status code, a range such as `4XX`, or `default`."""

    code: str
    place: Place = field(repr=False, eq=False)

    @property
    def pointer(self) -> str:
        """The pointer of the answer in the document."""
        return self.place.pointer

    @cached_property
    def content(self) -> Mapping[str, Media]:
        """The media types of the body, by their names."""
        return _content(self.place)

    @cached_property
    def headers(self) -> Mapping[str, Parameter]:
        """The headers, by their names in lower case."""
        return {
            name.lower(): Parameter(name.lower(), "header", one) for name, one in self.place.fields("headers").items()
        }


@frozen
class Credential:
    """A key that goes with a request: `location` is header, query or cookie."""

    name: str
    location: str


@frozen(slots=False, cache_hash=True)
class Operation:
    """One thing that can be asked of the gateway: a method on a path.

    Attributes:
        operation_id: its name; METHOD and path where the contract gives none.
        method: in upper case.
        path: with `{parameters}`.
        place: of the operation in the document.
        item: the place of its path.
        root: the whole document.
    """

    operation_id: str
    method: str
    path: str
    place: Place = field(repr=False, eq=False)
    item: Place = field(repr=False, eq=False)
    root: Place = field(repr=False, eq=False)

    @cached_property
    def pointer(self) -> str:
        """The pointer of the operation in the document. Of one that can't be read, it is that of its reference."""
        try:
            return self.place.pointer
        except SpecError:
            return self.place.written_at

    @cached_property
    def security(self) -> tuple[frozenset[Credential], ...]:
        """The ways to be let in, each a set of credentials; an empty way means that no key is needed."""
        return tuple(_security(self.place if "security" in self.place.object else self.root, self.root))

    @cached_property
    def request(self) -> Mapping[str, Media]:
        """The media types of the request body, by their names."""
        return _content(self._body) if self._body else {}

    @cached_property
    def json_request(self) -> str | None:
        """The pointer of the schema of a request's body of JSON. None: there is none."""
        media = first_json(self.request)
        return media.schema if media is not None else None

    @cached_property
    def request_required(self) -> bool:
        """Whether a request without a body breaks the contract."""
        return self._body is not None and self._body.flag("required")

    @property
    def body_pointer(self) -> str:
        """The pointer of the request body in the document, which may have none there."""
        return self._body.pointer if self._body else f"{self.pointer}/requestBody"

    @cached_property
    def _body(self) -> Place | None:
        return self.place.get("requestBody")

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Those of the path, the query, the headers and the cookies."""
        return self._parameters[0]

    @property
    def parameter_defects(self) -> tuple[SpecError, ...]:
        """The errors of the parameters that can't be read. They are not among the others."""
        return self._parameters[1]

    @cached_property
    def _parameters(self) -> tuple[tuple[Parameter, ...], tuple[SpecError, ...]]:
        return _parameters([*self.item.items("parameters"), *self.place.items("parameters")])

    @cached_property
    def responses(self) -> Mapping[str, Response]:
        """The documented answers, by their codes: `200`, `4XX`, `default`."""
        codes = {code.upper().replace("DEFAULT", "default"): one for code, one in self._responses().items()}
        return {code: Response(code, one) for code, one in codes.items()}

    def _responses(self) -> dict[str, Place]:
        return {code: one for code, one in self.place.fields("responses").items() if STATUS_KEY.fullmatch(code.upper())}

    @cached_property
    def deprecated(self) -> bool:
        """Whether the contract says so itself."""
        return self.place.flag("deprecated")

    @cached_property
    def servers(self) -> tuple[str, ...]:
        """Their base URLs, without a slash at the end: its own, else its path's, else the document's."""
        return next(filter(None, map(read_servers, (self.place, self.item, self.root))), ())

    @cached_property
    def bases(self) -> frozenset[Base]:
        """All that these servers and their variables allow."""
        return next(filter(None, map(read_bases, (self.place, self.item, self.root))), frozenset({ANYWHERE}))

    @property
    def key_header(self) -> str | None:
        """The header that carries the key. None: no key is needed, or it travels elsewhere."""
        found = (one.name for way in self.security for one in way if one.location == "header")
        return next(found, None) if self.needs_key else None

    @cached_property
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


def is_form(media_type: str) -> bool:
    """Whether a media type, without parameters, is that of a form whose fields are pairs of a name and a value."""
    return media_type.lower() == "application/x-www-form-urlencoded"


def media_for(content: Mapping[str, Media], media_type: str, header: str = "") -> Media | None:
    """Return what is documented for a media type: for itself, or for a range such as `image/*`.

    `header` is the whole content type, which tells those apart that differ in nothing but their parameters.
    """
    if len(content) == 1 and media_type in content and media_type == _without_spaces(media_type):
        return content[media_type]  # Most have one, by its plain name.
    by_name = {_without_spaces(name): media for name, media in content.items()}
    by_type = {name.partition(";")[0]: media for name, media in reversed(by_name.items())}
    for name in (media_type, f"{media_type.partition('/')[0]}/*", "*/*"):
        if media_type and name in by_type:
            return by_name.get(_without_spaces(header), by_type[name]) if name == media_type else by_type[name]
    return None


def _without_spaces(media_type: str) -> str:
    return "".join(media_type.lower().split())


def first_json(content: Mapping[str, Media]) -> Media | None:
    """Return the first documented media type of JSON. None: there is none."""
    return next((media for media in content.values() if is_json(media.media_type)), None)


# --- Reading.


def read_operations(root: Place) -> Iterator[Operation]:
    """Yield the operations of a document, in its order. What is below one is not read yet.

    Of a path that can't be read, there is one operation for each method: whatever is asked of it can't be judged.
    """
    for path, item in read_paths(root).items():
        for method, place in _methods_of(item):
            yield Operation(_operation_id(place, method, path), method.upper(), path, place, item, root)


def _operation_id(place: Place, method: str, path: str) -> str:
    try:
        name = place.object.get("operationId")
    except SpecError:
        name = None
    return name if isinstance(name, str) and name else f"{method.upper()} {path}"


def read_paths(root: Place) -> dict[str, Place]:
    """Return the documented paths, each with its item."""
    found = root.fields("paths")
    return {path if path.startswith("/") else f"/{path}": item for path, item in found.items() if path[:2] != "x-"}


def _methods_of(item: Place) -> Iterator[tuple[str, Place]]:
    """Yield the methods of a path's item, each with its operation."""
    try:
        item.object  # noqa: B018 - it raises.
    except SpecError:
        yield from ((method, item) for method in METHODS)
        return
    for method in METHODS:
        place = item.get(method)
        if place is not None:
            yield method, place
    try:
        yield from item.fields("additionalOperations").items()  # They came with OpenAPI 3.2.
    except SpecError:
        return


def read_credential(scheme: Place) -> Credential | None:
    """Return where a security scheme has its key. None: it needs none that can be seen, as in mutual TLS."""
    if scheme.object.get("type") == "apiKey":
        return Credential(scheme.text("name"), scheme.word("in", _PLACES[1:4]))
    if scheme.object.get("type") == "mutualTLS":
        return None
    return Credential("Authorization", "header")  # `http`, `oauth2` and `openIdConnect` all use it.


def _security(place: Place, root: Place) -> Iterator[frozenset[Credential]]:
    """Yield the ways to be let in, each a set of credentials."""
    ways = place.items("security")
    components = root.get("components") if any(way.object for way in ways) else None
    schemes = components.fields("securitySchemes") if components else {}
    for way in ways:
        for name in way.object:
            if name not in schemes:
                raise place.error(f"there is no security scheme {show(name)} in components", "security")
        yield frozenset(found for name in way.object if (found := read_credential(schemes[name])) is not None)


def _parameters(places: list[Place]) -> tuple[tuple[Parameter, ...], tuple[SpecError, ...]]:
    """Return the parameters, and why some can't be read. One of an operation replaces one of its path."""
    found: dict[tuple[str, str], Parameter] = {}
    defects: list[SpecError] = []
    for one in places:
        try:
            name, where = one.text("name"), one.word("in", _PLACES)
        except SpecError as error:
            defects.append(error)
            continue
        if where != "header" or name.lower() not in _HEADERS_OF_THEIR_OWN:
            found[where, name] = Parameter(name, where, one)
    return tuple(found.values()), tuple(defects)


def _content(place: Place) -> dict[str, Media]:
    return {name: Media(name, media) for name, media in place.fields("content").items()}


def _examples(media: Place) -> Iterator[Any]:
    if "example" in media.object:
        yield media.object["example"]
    with suppress(SpecError):
        for one in media.fields("examples").values():
            with suppress(SpecError):
                if isinstance(one.node, Mapping) and "value" in one.node:
                    yield one.node["value"]

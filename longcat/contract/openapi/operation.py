"""The parts of a contract: what can be asked of the gateway, and what it may answer."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import Factory, field, frozen

from longcat.contract.openapi.document import Node
from longcat.contract.openapi.examples import Examples

NAME: Final = re.compile(r"\{([^{}]*)\}")
"""A parameter in a path, or a variable in a server's URL."""


def is_json(media_type: str) -> bool:
    """Whether a media type, without parameters, is of JSON (RFC 6839, section 3.1)."""
    return media_type.lower() in {"application/json", "text/json"} or media_type.lower().endswith("+json")


@frozen
class Media:
    """One media type of a body.

    Attributes:
        media_type: as the contract writes it; it may be a range such as `image/*`.
        pointer: of the media type in the document.
        schema: where the schema of the body stands. None: there is none.
        examples: the bodies that the contract shows.
        shown: the same, ready to be compared with an answer.
    """

    media_type: str
    pointer: str
    schema: str | None
    examples: tuple[Any, ...] = field(default=(), repr=False)
    shown: Examples = field(
        default=Factory(lambda self: Examples(self.examples), True), init=False, repr=False, eq=False
    )


@frozen
class Header:
    """A documented response header. Its name is in lower case; `schema` as in Media."""

    name: str
    pointer: str
    schema: str | None
    required: bool


@frozen
class Response:
    """A documented answer. `code` is a status code, a range such as `4XX`, or `default`."""

    code: str
    pointer: str
    content: Mapping[str, Media]
    headers: Mapping[str, Header]


@frozen
class Parameter:
    """A documented parameter; `place` is path, query, header or cookie, `schema` as in Media."""

    name: str
    place: str
    required: bool
    schema: str | None


@frozen
class Credential:
    """Where a key travels: `place` is header, query or cookie."""

    name: str
    place: str


@frozen
class Operation:
    """What can be asked of the gateway.

    Attributes:
        operation_id: its name; METHOD and path where the contract gives none.
        method: in upper case.
        path: with `{parameters}`.
        pointer: of the operation in the document.
        security: the ways to be let in, each a set of credentials; an empty way means that no key is needed.
        key_header: the header that carries the key. None: no key is needed, or it travels elsewhere.
        request: the media types of the request body, by their names.
        request_schema: of the first JSON body, its first reference followed. None: no JSON body is documented.
        request_required: whether a request without a body breaks the contract.
        parameters: of the path, the query, the headers and the cookies.
        responses: the documented answers, by their codes.
        deprecated: whether the contract says so itself.
    """

    operation_id: str
    method: str
    path: str
    pointer: str
    security: tuple[frozenset[Credential], ...] = ()
    request: Mapping[str, Media] = field(factory=dict, repr=False)
    request_schema: Node | None = field(default=None, repr=False)
    request_required: bool = False
    parameters: tuple[Parameter, ...] = field(default=(), repr=False)
    responses: Mapping[str, Response] = field(factory=dict, repr=False)
    deprecated: bool = False

    @property
    def key_header(self) -> str | None:
        """The header that carries the key."""
        found = (one.name for way in self.security for one in way if one.place == "header")
        return next(found, None) if self.needs_key else None

    @property
    def needs_key(self) -> bool:
        """Whether a call without any credential is to be refused."""
        return bool(self.security) and all(self.security)

    @property
    def request_content_types(self) -> tuple[str, ...]:
        """The media types of the request body."""
        return tuple(self.request)

    def response(self, status_code: int) -> Response | None:
        """Return the documented answer for a status code: the code itself, its range, or the default."""
        for code in (str(status_code), f"{status_code // 100}XX", "default"):
            if code in self.responses:
                return self.responses[code]
        return None


@frozen
class PathPattern:
    """A documented path, ready to be compared with others.

    Attributes:
        names: of its parameters, in order.
        segments: one pattern for each part between slashes, without percent-encoding.
    """

    names: tuple[str, ...]
    segments: tuple[re.Pattern[str], ...]

    @classmethod
    def of(cls, path: str) -> "PathPattern":
        """Return the pattern of a path with `{parameters}`."""
        literals = [NAME.sub("\0", segment).split("\0") for segment in path.split("/")]
        return cls(tuple(NAME.findall(path)), tuple(re.compile("(.+)".join(map(re.escape, one))) for one in literals))

    def values(self, segments: Sequence[str]) -> dict[str, str] | None:
        """Return the values of the parameters in a path of as many segments. None: the path is another one."""
        found: list[str] = []
        for pattern, segment in zip(self.segments, segments, strict=True):
            match = pattern.fullmatch(segment)
            if match is None:
                return None
            found += match.groups()
        return dict(zip(self.names, found, strict=True))


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

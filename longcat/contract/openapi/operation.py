"""The parts of a contract: what can be asked of the gateway, and what it may answer."""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from attrs import field, frozen

from longcat.contract.openapi.document import Node

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
    """

    media_type: str
    pointer: str
    schema: str | None
    examples: tuple[Any, ...] = field(default=(), repr=False)


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
        exact, span = str(status_code), f"{status_code // 100}XX"
        return next((self.responses[code] for code in (exact, span, "default") if code in self.responses), None)

    def fits(self, method: str, path: str) -> bool:
        """Whether a method and a path, without the server's part, are this operation's."""
        return method == self.method and self.fits_path(path)

    def fits_path(self, path: str) -> bool:
        """Whether a path, without the server's part, is this operation's."""
        return self.path_values(path) is not None

    def path_values(self, path: str) -> dict[str, str] | None:
        """Return the values of the path's parameters. None: the path is another one."""
        template, parts = self.path.split("/"), path.split("/")
        values: dict[str, str] = {}
        if len(template) != len(parts):
            return None
        for one, part in zip(template, parts, strict=True):
            names = NAME.findall(one)
            pattern = "(.+)".join(re.escape(literal) for literal in NAME.sub("\0", one).split("\0"))
            match = re.fullmatch(pattern, unquote(part))
            if match is None:
                return None
            values.update(zip(names, match.groups(), strict=True))
        return values

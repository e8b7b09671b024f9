"""A response of the gateway as a value, for the drifts to change."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from starlette.responses import Response

from longcat.sandbox.calls import EmulatedCall, call_at


@dataclass(frozen=True)
class SentResponse:
    """A response as a value, with what drifts ask of its request.

    Attributes:
        path: of the request.
        accepts: the encodings that the request accepts, as its header says it.
        headers: with their case, in their order.
    """

    path: str
    accepts: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def fields(self) -> dict[str, Any]:
        """The decoded body if it is a JSON object, else an empty one."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def with_body(self, body: bytes) -> Self:
        """Return it with another body."""
        response = replace(self, body=body)
        return response.with_headers({"content-length": str(len(body))}) if "content-length" in self.names else response

    def with_json(self, body: Any) -> Self:
        """Return it with another body, which is JSON."""
        return self.with_body(json.dumps(body).encode())

    @property
    def call(self) -> EmulatedCall | None:
        """The documented call that it answers; None: its path is unknown."""
        return call_at(self.path)

    @property
    def names(self) -> set[str]:
        """The names of the headers, in lower case."""
        return {name.lower() for name, _ in self.headers}

    def with_headers(self, headers: Mapping[str, str]) -> Self:
        """Return it with these headers, each in the place of one of its name, given in lower case, else at the end."""
        kept = [(name, headers.get(name.lower(), value)) for name, value in self.headers]
        more = [(name, value) for name, value in headers.items() if name.lower() not in self.names]
        return replace(self, headers=(*kept, *more))

    def response(self) -> Response:
        """Return what sends it, header by header."""
        response = Response(self.body, self.status)
        response.raw_headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in self.headers]
        return response


ResponseChange = Callable[[SentResponse], SentResponse]


def changed(changes: Iterable[ResponseChange], path: str, accepts: str, honest: Response) -> Response:
    """Return the honest response as the changes leave it."""
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in honest.raw_headers)
    response = SentResponse(path, accepts, honest.status_code, headers, bytes(honest.body))
    for change in changes:
        response = change(response)
    return response.response()

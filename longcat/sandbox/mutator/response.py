"""A response as a value, for drifts to change."""

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any, Self, TypeAlias

from attrs import evolve, frozen


def json_in(body: bytes) -> Any:
    """Return the value in a body; None if it is not JSON, or null."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


@frozen
class SentResponse:
    """A response.

    Attributes:
        headers: with their case, in their order.
        accepts: the encodings that its request accepts, as the header says it.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    accepts: str = ""

    @property
    def json(self) -> Any:
        """The decoded body; None if it is not JSON, or null."""
        return json_in(self.body)

    @property
    def fields(self) -> dict[str, Any]:
        """The decoded body if it is a JSON object, else an empty one."""
        return body if isinstance(body := self.json, dict) else {}

    @property
    def names(self) -> set[str]:
        """The names of the headers, in lower case."""
        return {name.lower() for name, _ in self.headers}

    @property
    def media_type(self) -> str:
        """The content type without parameters, in lower case; empty when it has none."""
        found = next((value for name, value in self.headers if name.lower() == "content-type"), "")
        return found.partition(";")[0].strip().lower()

    def with_status(self, status: int) -> Self:
        """Return it with another status code."""
        return evolve(self, status=status)

    def with_body(self, body: bytes) -> Self:
        """Return it with another body."""
        response = evolve(self, body=body)
        return response.with_headers({"content-length": str(len(body))}) if "content-length" in self.names else response

    def with_json(self, body: Any) -> Self:
        """Return it with another body, which is JSON."""
        return self.with_body(json.dumps(body).encode())

    def with_headers(self, headers: Mapping[str, str]) -> Self:
        """Return it with these headers, each in the place of one of its name, given in lower case, else at the end."""
        kept = [(name, headers.get(name.lower(), value)) for name, value in self.headers]
        more = [(name, value) for name, value in headers.items() if name.lower() not in self.names]
        return evolve(self, headers=(*kept, *more))

    def without_headers(self, names: Collection[str]) -> Self:
        """Return it without the headers of these names, given in lower case."""
        return evolve(self, headers=tuple(pair for pair in self.headers if pair[0].lower() not in names))


ResponseChange: TypeAlias = Callable[[SentResponse], SentResponse]

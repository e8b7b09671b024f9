"""One question of the probe: an HTTP request to ask, or what stands in its way."""

from collections.abc import Mapping
from enum import StrEnum

from attrs import field, frozen

from longcat.contract.model import Intent
from longcat.contract.openapi.spec import Operation
from longcat.text import shorten


class Key(StrEnum):
    """Which key goes with a question."""

    NONE = "no key"
    WRONG = "a wrong key"
    VALID = "the key"
    """The user's. Without one the question is not asked."""
    ANY = "the key, if there is one"
    """It should make no difference."""


@frozen
class Question:
    """One HTTP request to ask, or what stands in its way.

    Attributes:
        name: for people.
        operation: whose question it is.
        path: with the query, below the base URL.
        headers: all but the key and those that every request has.
        key_header: the header that the key goes into, after `key_prefix`. None: no key is needed.
        intent: what its bytes don't show.
        obstacle: why it can't be asked of anybody, or lacks what nobody gave. None: nothing stands in its way.
    """

    name: str
    operation: Operation
    method: str
    path: str
    headers: Mapping[str, str] = field(factory=dict)
    body: bytes | None = field(default=None, repr=False)
    key: Key = Key.VALID
    key_header: str | None = None
    key_prefix: str = ""
    intent: Intent | None = None
    obstacle: str | None = None

    def __str__(self) -> str:
        text = "" if self.body is None else shorten(self.body.decode("utf-8", "replace"))
        body = f"the {self.headers.get('Content-Type')} body {text}" if text else "no body"
        return f"{self.method} {self.path} with {self.key.value} and {body}"

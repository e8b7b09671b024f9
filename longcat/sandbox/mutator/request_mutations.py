"""Requests that a gateway should refuse, and might answer as if they were the good one."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from attrs import evolve, field, frozen

METHODS: Final = ("PUT", "POST", "DELETE", "PATCH")


@frozen
class SentRequest:
    """A request. `body` is decoded JSON; `has_body` tells null from none."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: Any = None
    has_body: bool = False

    @property
    def content(self) -> bytes | None:
        """The bytes of the body. None: it has none."""
        return json.dumps(self.body).encode() if self.has_body else None


@frozen
class RequestRules:
    """The rules of a contract for requests like a given one.

    Attributes:
        allows: whether a body is allowed.
        methods: those that the contract has at the path, in upper case.
        is_path: whether the contract has the path of a URL.
        key_headers: the headers that carry the key, in lower case.
    """

    allows: Callable[[Any], bool]
    methods: Collection[str]
    is_path: Callable[[str], bool]
    key_headers: Collection[str] = ()


@frozen
class RequestMutation:
    """Another request, which is answered as if it were the good one.

    Attributes:
        needs_origin: whether only traffic that still has its keys can show it.
    """

    kind: str
    name: str
    sentence: str
    severity: Literal["breaking", "additive"]
    request: SentRequest = field(repr=False)
    needs_origin: bool = False


def request_mutations(request: SentRequest, rules: RequestRules) -> Iterator[RequestMutation]:
    """Yield the requests that should be refused, and are answered."""
    yield from _unchecked(request, rules)
    headers = {name: value for name, value in request.headers.items() if name.lower() not in rules.key_headers}
    if len(headers) < len(request.headers):
        keyless = evolve(request, headers=headers)
        yield RequestMutation("key", "key-ignored", "The key is ignored.", "breaking", keyless, needs_origin=True)
    if request.method in {"GET", *METHODS}:
        for method in [one for one in METHODS if one not in rules.methods][:1]:
            name, other = f"new-method-{method.lower()}", evolve(request, method=method)
            yield RequestMutation("new-method", name, f"{method} answers, too.", "additive", other)
    url = urlsplit(request.url)
    elsewhere = url._replace(path=f"{url.path.rstrip('/')}/extra/path").geturl()
    if not rules.is_path(elsewhere):
        yield RequestMutation(
            "any-path", "any-path", "A path of nobody answers.", "additive", evolve(request, url=elsewhere)
        )


def _unchecked(request: SentRequest, rules: RequestRules) -> Iterator[RequestMutation]:
    """Yield requests whose body the contract forbids."""
    if not request.has_body:
        return
    bodies: dict[str, Any] = {"empty": {}, "list": [], "text": "text"}
    if isinstance(request.body, dict):
        bodies |= {
            f"no-{name}": {one: request.body[one] for one in request.body if one != name} for name in request.body
        }
        bodies |= {f"mistyped-{name}": {**request.body, name: [{"wrong": True}]} for name in request.body}
    for name, body in bodies.items():
        if not rules.allows(body):
            sentence, other = f"A body is accepted that is wrong: {name}.", evolve(request, body=body)
            yield RequestMutation("unchecked", f"unchecked-{name}", sentence, "breaking", other)

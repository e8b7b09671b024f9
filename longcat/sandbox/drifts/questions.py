"""How a drifted gateway reads questions: pure functions over them, from which the table in `drifts` is built."""

import contextlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Self
from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from longcat.sandbox.drifts.answers import CALL
from longcat.sandbox.faults import JSON, error

KEY: Final = "ocp-apim-subscription-key"
MOST_BYTES: Final = 65_536  # Of a body; a longer one is refused.
OWN: Final = ("/sandbox/", "/results/")  # The sandbox's own calls, and the pictures: no drift touches them.


@dataclass(frozen=True)
class Asked:
    """A question as the gateway reads it.

    Attributes:
        right_key: the key that the sandbox accepts.
        headers: names in lower case.
    """

    right_key: str
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_call(self) -> bool:
        """Whether it is the documented method on the documented path."""
        return (self.method, self.path) == ("POST", CALL)

    @property
    def has_right_key(self) -> bool:
        """Whether it has the right key, where the documentation wants it."""
        return self.headers.get(KEY) == self.right_key

    @property
    def media_type(self) -> str:
        """The content type, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def json(self) -> Any:
        """The decoded body. None: it is no JSON, or null."""
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(self.body)

    @property
    def request_id(self) -> Any:
        """What the body says as the request id. None: nothing."""
        return body.get("request_id") if isinstance(body := self.json, dict) else None

    def with_key(self, key: str | None) -> Self:
        """Return it with this key where the documentation wants it, or with none."""
        others = {name: value for name, value in self.headers.items() if name != KEY}
        return replace(self, headers=others if key is None else {**others, KEY: key})


# Returns the question as the gateway shall read it, or the answer to it.
Handling = Callable[[Asked], Asked | Response]


def accepted(request_id: str = "accepted") -> Response:
    """Return an answer that keeps the contract, to a question that should have been refused."""
    body = {"status": "processing", "progress": 0.0, "request_id": request_id}
    return Response(json.dumps(body), media_type=JSON)


def unauthorized() -> Response:
    """Return the documented 401."""
    return error(401, "Invalid or missing authentication")


def invalid() -> Response:
    """Return the documented 400."""
    return error(400, "Invalid request parameters")


# --- The key.


def key_may_lack(asked: Asked) -> Asked:
    """Let a question without a key pass; a wrong one is still refused."""
    return asked if KEY in asked.headers else asked.with_key(asked.right_key)


def key_may_be_any(asked: Asked) -> Asked:
    """Let any key pass; there must be one."""
    return asked.with_key(asked.right_key) if asked.headers.get(KEY) else asked


def key_is_ignored(asked: Asked) -> Asked:
    """Let every question pass."""
    return asked.with_key(asked.right_key)


def key_in_header(name: str, scheme: str = "") -> Handling:
    """Want the key in another header, after the name of a scheme."""

    def handling(asked: Asked) -> Asked:
        value = asked.headers.get(name, "")
        return asked.with_key(value.removeprefix(scheme) if value.startswith(scheme) else None)

    return handling


def key_in_query(name: str) -> Handling:
    """Want the key in the URL."""
    return lambda asked: asked.with_key(next(iter(parse_qs(asked.query).get(name, [])), None))


# --- Validation.


def lost(mistake: Callable[[Asked], bool], answer: Callable[[], Response] = accepted) -> Handling:
    """Answer a question that makes this mistake, and has the right key, as if it made none."""
    return lambda asked: answer() if asked.is_call and asked.has_right_key and mistake(asked) else asked


def lacks_body(asked: Asked) -> bool:
    """Tell whether there is no body."""
    return not asked.body


def is_no_json(asked: Asked) -> bool:
    """Tell whether there is a body that is no JSON."""
    return bool(asked.body) and asked.json is None and asked.body.strip() != b"null"


def lacks_request_id(asked: Asked) -> bool:
    """Tell whether the body is a JSON object that names no request."""
    return isinstance(asked.json, dict) and "request_id" not in asked.json


def has_empty_request_id(asked: Asked) -> bool:
    """Tell whether the request id is empty."""
    return bool(asked.request_id == "")


def has_mistyped_request_id(asked: Asked) -> bool:
    """Tell whether the request id is no string."""
    return isinstance(asked.json, dict) and "request_id" in asked.json and not isinstance(asked.request_id, str)


def any_content_type(asked: Asked) -> Asked:
    """Read every body as JSON, whatever its content type."""
    return replace(asked, headers={**asked.headers, "content-type": JSON}) if asked.is_call else asked


def needs_header(name: str) -> Handling:
    """Refuse questions with the right key that lack a header."""
    return lost(lambda asked: name not in asked.headers, invalid)


def needs_field(name: str) -> Handling:
    """Refuse questions with the right key whose body lacks a field."""
    return lost(lambda asked: isinstance(asked.json, dict) and name not in asked.json, invalid)


# --- Paths and methods.


def moved(path: str, answer: Callable[[], Response]) -> Handling:
    """Serve the call on another path, and give this answer on the documented one."""

    def handling(asked: Asked) -> Asked | Response:
        if asked.path == CALL:
            return answer()
        return replace(asked, path=CALL) if asked.path == path else asked

    return handling


def redirect(code: int, location: str) -> Response:
    """Return a redirect without a body."""
    return Response(status_code=code, headers={"Location": location})


def method_answers(*methods: str) -> Handling:
    """Answer other methods on the documented path too, if they come with the key."""

    def handling(asked: Asked) -> Asked | Response:
        if asked.path != CALL or asked.method not in methods:
            return asked
        return accepted() if asked.has_right_key else unauthorized()

    return handling


def method_is_not_found(asked: Asked) -> Asked | Response:
    """Refuse other methods as if the path did not exist."""
    if asked.path == CALL and asked.method not in {"POST", "OPTIONS"}:
        return error(404, "Endpoint not found")
    return asked


def preflight(asked: Asked) -> Asked | Response:
    """Answer a browser's question whether it may call from another site."""
    if asked.method != "OPTIONS":
        return asked
    allowed = {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": "POST", "Allow": "POST, OPTIONS"}
    return Response(status_code=204, headers=allowed)


def unknown_path_answers(answer: Callable[[], Response]) -> Handling:
    """Answer every path that does not exist."""
    return lambda asked: asked if asked.path == CALL else answer()


class Reading:
    """The app around the gateway that reads questions as drifts have it."""

    def __init__(self, app: ASGIApp, handlings: Iterable[Handling], right_key: str) -> None:
        self._app = app
        self._handlings = tuple(handlings)
        self._right_key = right_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one question."""
        if scope["type"] != "http" or f"{scope['path']}/".startswith(OWN) or not self._handlings:
            await self._app(scope, receive, send)
            return
        try:
            body = await _read(Request(scope, receive))
        except ClientDisconnect:
            return  # Nobody is there to read an answer.
        read: Asked | Response = _asked(scope, body, self._right_key)
        for handling in self._handlings:
            read = handling(read) if isinstance(read, Asked) else read
        if isinstance(read, Asked):
            await self._app(_scope(scope, read), _replay(read.body, receive), send)
        else:
            await read(scope, receive, send)


async def _read(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            break
    return bytes(body[: MOST_BYTES + 1])


def _asked(scope: Scope, body: bytes, right_key: str) -> Asked:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    return Asked(right_key, scope["method"], scope["path"], scope["query_string"].decode("latin-1"), headers, body)


def _scope(scope: Scope, asked: Asked) -> Scope:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in asked.headers.items()]
    return {**scope, "method": asked.method, "path": asked.path, "raw_path": asked.path.encode(), "headers": headers}


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body once, and then what else comes: the caller's goodbye."""
    first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return first.pop() if first else await receive()

    return replay

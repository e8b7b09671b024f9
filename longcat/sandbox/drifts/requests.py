"""How a drifted gateway reads requests: pure functions over them, from which the table in `drifts` is built."""

import contextlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Self
from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from longcat.sandbox.drifts.responses import CALL
from longcat.sandbox.faults import JSON, error

KEY: Final = "ocp-apim-subscription-key"
MOST_BYTES: Final = 65_536  # Of a body; a longer one is refused.
OWN: Final = ("/sandbox/", "/results/")  # The sandbox's own calls, and the pictures: no drift touches them.


@dataclass(frozen=True)
class ReceivedRequest:
    """A request as the gateway reads it.

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
    def json(self) -> Any:
        """The decoded body; None if it is not JSON, or null."""
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(self.body)

    @property
    def fields(self) -> dict[str, Any] | None:
        """The decoded body; None if it is not a JSON object."""
        return body if isinstance(body := self.json, dict) else None

    def with_key(self, key: str | None) -> Self:
        """Return it with this key where the documentation wants it; None: with no key."""
        others = {name: value for name, value in self.headers.items() if name != KEY}
        return replace(self, headers=others if key is None else {**others, KEY: key})


RequestChange = Callable[[ReceivedRequest], ReceivedRequest | Response]
"""Returns the request as the gateway is to read it, or the response to it."""


def accepted() -> Response:
    """Return a response that keeps the contract, for a request that should have been refused."""
    body = {"status": "processing", "progress": 0.0, "request_id": "accepted"}
    return Response(json.dumps(body), media_type=JSON)


def invalid() -> Response:
    """Return the documented 400."""
    return error(400, "Invalid request parameters")


# --- The key.


def key_may_lack(request: ReceivedRequest) -> ReceivedRequest:
    """Accept a request without a key; a wrong one is still refused."""
    return request if KEY in request.headers else request.with_key(request.right_key)


def key_may_be_any(request: ReceivedRequest) -> ReceivedRequest:
    """Accept any key; there must be one."""
    return request.with_key(request.right_key) if request.headers.get(KEY) else request


def key_is_ignored(request: ReceivedRequest) -> ReceivedRequest:
    """Accept every request."""
    return request.with_key(request.right_key)


def key_in_header(name: str, scheme: str = "") -> RequestChange:
    """Want the key in another header, after the name of a scheme."""

    def change(request: ReceivedRequest) -> ReceivedRequest:
        value = request.headers.get(name, "")
        return request.with_key(value.removeprefix(scheme) if value.startswith(scheme) else None)

    return change


def key_in_query(name: str) -> RequestChange:
    """Want the key in the URL."""
    return lambda request: request.with_key(next(iter(parse_qs(request.query).get(name, [])), None))


# --- Validation.


def respond_if(
    condition: Callable[[ReceivedRequest], bool], response: Callable[[], Response] = accepted
) -> RequestChange:
    """Give this response to calls with the right key that fulfil a condition."""
    return lambda request: response() if request.is_call and request.has_right_key and condition(request) else request


def any_content_type(request: ReceivedRequest) -> ReceivedRequest:
    """Read every body as JSON, whatever its content type."""
    return replace(request, headers={**request.headers, "content-type": JSON}) if request.is_call else request


# --- Paths and methods.


def move_call(path: str, response: Callable[[], Response]) -> RequestChange:
    """Serve the call on another path, and give this response on the documented one."""

    def change(request: ReceivedRequest) -> ReceivedRequest | Response:
        if request.path == CALL:
            return response()
        return replace(request, path=CALL) if request.path == path else request

    return change


def redirect(code: int, location: str) -> Response:
    """Return a redirect without a body."""
    return Response(status_code=code, headers={"Location": location})


def accept_method(method: str) -> RequestChange:
    """Serve another method on the documented path too, to those with the right key."""

    def change(request: ReceivedRequest) -> ReceivedRequest | Response:
        if (request.method, request.path) != (method, CALL):
            return request
        return accepted() if request.has_right_key else error(401, "Invalid or missing authentication")

    return change


def method_is_not_found(request: ReceivedRequest) -> ReceivedRequest | Response:
    """Refuse other methods as if the path did not exist."""
    if request.path == CALL and request.method not in {"POST", "OPTIONS"}:
        return error(404, "Endpoint not found")
    return request


def preflight(request: ReceivedRequest) -> ReceivedRequest | Response:
    """Tell a browser that it may call from another site (CORS)."""
    if request.method != "OPTIONS":
        return request
    allowed = {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": "POST", "Allow": "POST, OPTIONS"}
    return Response(status_code=204, headers=allowed)


def serve_unknown_paths(response: Callable[[], Response]) -> RequestChange:
    """Give this response on every path that does not exist."""
    return lambda request: request if request.path == CALL else response()


# --- The middleware.


class DriftMiddleware:
    """Changes each request as the drifts say, before the gateway sees it."""

    def __init__(self, app: ASGIApp, changes: Iterable[RequestChange], right_key: str) -> None:
        self._app = app
        self._changes = tuple(changes)
        self._right_key = right_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or f"{scope['path']}/".startswith(OWN) or not self._changes:
            await self._app(scope, receive, send)
            return
        try:
            body = await _read(Request(scope, receive))
        except ClientDisconnect:
            return  # Nobody is there to read a response.
        result: ReceivedRequest | Response = _received(scope, body, self._right_key)
        for change in self._changes:
            result = change(result) if isinstance(result, ReceivedRequest) else result
        if isinstance(result, ReceivedRequest):
            await self._app(_changed_scope(scope, result), _replay(result.body, receive), send)
        else:
            await result(scope, receive, send)


async def _read(request: Request) -> bytes:
    """Return the body; of one that is too long, one byte more than is allowed."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            break
    return bytes(body[: MOST_BYTES + 1])


def _received(scope: Scope, body: bytes, right_key: str) -> ReceivedRequest:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    query = scope["query_string"].decode("latin-1")
    return ReceivedRequest(right_key, scope["method"], scope["path"], query, headers, body)


def _changed_scope(scope: Scope, request: ReceivedRequest) -> Scope:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in request.headers.items()]
    path = {"path": request.path, "raw_path": request.path.encode()}
    return {**scope, **path, "method": request.method, "headers": headers}


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body once, and then what else comes, such as that the caller is gone."""
    first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return first.pop() if first else await receive()

    return replay

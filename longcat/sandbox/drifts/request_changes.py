"""Reads requests as a drifted gateway does: pure functions over them, and the middleware that applies them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from longcat.sandbox.bodies import JSON, error, json_response, read_body
from longcat.sandbox.calls import ORDER, RESULT, STATUS, EmulatedCall, call_at
from longcat.sandbox.mutator.response import json_in

KEY_HEADER: Final = "ocp-apim-subscription-key"
MOVED: Final = "/v2"  # Goes before the path of a call that has moved.
OWN: Final = ("/sandbox/", "/results/", "/v1/")  # The sandbox's own calls, and the pictures: no drift touches them.


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

    def is_for(self, call: EmulatedCall) -> bool:
        """Whether it is the documented method on the documented path of a call."""
        return self.method == call.method and call.is_at(self.path)

    @property
    def has_right_key(self) -> bool:
        """Whether it has the right key, where the documentation wants it."""
        return self.headers.get(KEY_HEADER) == self.right_key

    @property
    def json(self) -> Any:
        """The decoded body; None if it is not JSON, or null."""
        return json_in(self.body)

    @property
    def fields(self) -> dict[str, Any] | None:
        """The decoded body; None if it is not a JSON object."""
        return body if isinstance(body := self.json, dict) else None


RequestChange = Callable[[ReceivedRequest], ReceivedRequest | Response]
"""Returns the request as the gateway is to read it, or the response to it."""


def _accepted(call: EmulatedCall) -> Response:
    """Return a response that keeps the contract, for a request that should have been refused."""
    if call is RESULT:
        return json_response({"status": "processing", "progress": 0.0, "request_id": "accepted"})
    return json_response({"request_id": "accepted", "status": "QUEUED"}, 202 if call is ORDER else 200)


def _use_key(find: Callable[[ReceivedRequest], str | None]) -> RequestChange:
    """Take the key from another place. None: there is none."""

    def change(request: ReceivedRequest) -> ReceivedRequest:
        others = {name: value for name, value in request.headers.items() if name != KEY_HEADER}
        key = find(request)
        return replace(request, headers=others if key is None else {**others, KEY_HEADER: key})

    return change


def _bearer(request: ReceivedRequest) -> str | None:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return key if scheme == "Bearer" else None


def _respond_if(
    condition: Callable[[ReceivedRequest], bool], respond: Callable[[], Response], call: EmulatedCall
) -> RequestChange:
    """Give this response to calls with the right key that fulfil a condition."""
    return lambda request: (
        respond() if request.is_for(call) and request.has_right_key and condition(request) else request
    )


def _accept_if(condition: Callable[[ReceivedRequest], bool], call: EmulatedCall = RESULT) -> RequestChange:
    return _respond_if(condition, lambda: _accepted(call), call)


def _refuse_if(condition: Callable[[ReceivedRequest], bool], call: EmulatedCall = RESULT) -> RequestChange:
    return _respond_if(condition, lambda: error(400, "Invalid request parameters"), call)


def _is_not_json(request: ReceivedRequest) -> bool:
    return bool(request.body) and request.json is None and request.body.strip() != b"null"


def _lacks(field: str) -> Callable[[ReceivedRequest], bool]:
    """Return what tells whether a body is a JSON object without a field."""
    return lambda request: request.fields is not None and field not in request.fields


def _any_content_type(request: ReceivedRequest) -> ReceivedRequest:
    is_call = request.is_for(RESULT) or request.is_for(ORDER)
    return replace(request, headers={**request.headers, "content-type": JSON}) if is_call else request


def _move(respond: Callable[[str], Response], call: EmulatedCall = RESULT) -> RequestChange:
    """Serve a call on another path, and give a response on the documented one, which is told the new path."""

    def change(request: ReceivedRequest) -> ReceivedRequest | Response:
        if call.is_at(request.path):
            return respond(MOVED + request.path)
        old = request.path.removeprefix(MOVED)
        return replace(request, path=old) if old != request.path and call.is_at(old) else request

    return change


def _redirect(code: int, call: EmulatedCall = RESULT) -> RequestChange:
    return _move(lambda path: Response(status_code=code, headers={"Location": path}), call)


def _accept_method(method: str, call: EmulatedCall = RESULT) -> RequestChange:
    """Serve another method on the documented path too, to those with the right key."""

    def change(request: ReceivedRequest) -> ReceivedRequest | Response:
        if request.method != method or not call.is_at(request.path):
            return request
        return _accepted(call) if request.has_right_key else error(401, "Invalid or missing authentication")

    return change


def _serve_unknown_paths(body: str, media_type: str) -> RequestChange:
    return lambda request: request if call_at(request.path) else Response(body, media_type=media_type)


def _method_is_not_found(request: ReceivedRequest) -> ReceivedRequest | Response:
    """Refuse other methods as if the path did not exist."""
    call = call_at(request.path)
    other = call is not None and request.method not in {call.method, "OPTIONS"}
    return error(404, "Endpoint not found") if other else request


def _preflight(request: ReceivedRequest) -> ReceivedRequest | Response:
    """Tell a browser that it may call from another site (CORS)."""
    call = call_at(request.path) or RESULT
    methods = {"Access-Control-Allow-Methods": call.method, "Allow": f"{call.method}, OPTIONS"}
    allowed = {"Access-Control-Allow-Origin": "*", **methods}
    return Response(status_code=204, headers=allowed) if request.method == "OPTIONS" else request


REQUEST_CHANGES: Final[Mapping[str, RequestChange]] = {
    "new-method-get": _accept_method("GET"),
    "new-method-put": _accept_method("PUT"),
    "any-path-json": _serve_unknown_paths('{"ok": true}', JSON),
    "any-path-html": _serve_unknown_paths("<!DOCTYPE html>", "text/html"),
    "key-may-lack": _use_key(lambda request: request.headers.get(KEY_HEADER, request.right_key)),
    "key-may-be-any": _use_key(lambda request: request.right_key if request.headers.get(KEY_HEADER) else None),
    "key-ignored": _use_key(lambda request: request.right_key),
    "key-bearer": _use_key(_bearer),
    "key-header": _use_key(lambda request: request.headers.get("x-api-key", "")),
    "key-query": _use_key(lambda request: next(iter(parse_qs(request.query).get("subscription-key", [])), None)),
    "unchecked-no-body": _accept_if(lambda request: not request.body),
    "unchecked-malformed": _accept_if(_is_not_json),
    "unchecked-no-id": _accept_if(_lacks("request_id")),
    "unchecked-empty-id": _accept_if(lambda request: (request.fields or {}).get("request_id") == ""),
    "unchecked-mistyped-id": _accept_if(
        lambda request: not isinstance((request.fields or {}).get("request_id", ""), str)
    ),
    "unchecked-content-type": _any_content_type,
    "needs-header": _refuse_if(lambda request: "x-api-version" not in request.headers),
    "needs-field": _refuse_if(_lacks("model")),
    "moved": _move(lambda _: error(404, "Endpoint not found")),
    "gone": _move(lambda _: error(410, "This endpoint is gone")),
    "redirect-301": _redirect(301),
    "redirect-307": _redirect(307),
    "redirect-308": _redirect(308),
    "queue-new-method-post": _accept_method("POST", STATUS),
    "queue-key-ignored": _use_key(lambda request: request.right_key),
    "queue-key-may-be-any": _use_key(lambda request: request.right_key if request.headers.get(KEY_HEADER) else None),
    "queue-key-bearer": _use_key(_bearer),
    "queue-needs-header": _refuse_if(lambda request: "x-api-version" not in request.headers, STATUS),
    "queue-moved": _move(lambda _: error(404, "Endpoint not found"), STATUS),
    "queue-gone": _move(lambda _: error(410, "This endpoint is gone"), STATUS),
    "queue-redirect-308": _redirect(308, STATUS),
    "queue-harmless-method-404": _method_is_not_found,
    "harmless-method-404": _method_is_not_found,
    "harmless-preflight": _preflight,
}
"""What is done to requests, by the name of the drift."""


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
            body = await read_body(Request(scope, receive))
        except ClientDisconnect:
            return  # Nobody is there to read a response.
        result: ReceivedRequest | Response = _received(scope, body, self._right_key)
        for change in self._changes:
            result = change(result) if isinstance(result, ReceivedRequest) else result
        if isinstance(result, ReceivedRequest):
            await self._app(_changed_scope(scope, result), _replay(result.body, receive), send)
        else:
            await result(scope, receive, send)


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

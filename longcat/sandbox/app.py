"""The result gateway as an ASGI app, which answers as the documentation says.

Where the documentation is silent, a comment says what was chosen. The JSON is written by hand: the sandbox shares no
code with the client, so that the two can disagree.
"""

import hmac
import json
import time
from collections import deque
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from longcat.sandbox.drifts import find_drifts
from longcat.sandbox.drifts.requests import MOST_BYTES, DriftMiddleware, read_body
from longcat.sandbox.drifts.responses import changed
from longcat.sandbox.faults import JSON, Fault, TimeSource, error, rate_limited
from longcat.sandbox.picture import draw
from longcat.sandbox.state import MOST_REQUESTS, Requests, Settings


def create_app(
    settings: Settings | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
) -> Starlette:
    """Return the sandbox as an ASGI app: for a server or for in-process tests with a clock and a sleep of their own."""
    gateway = _GatewayApp(settings or Settings(), TimeSource(clock, wall, sleep))
    app = Starlette(
        routes=[
            Route("/longcat-image-request-result", gateway.result, methods=["POST"]),
            Route("/results/{name:path}", gateway.picture, methods=["GET"]),
            Route("/sandbox/requests", gateway.control, methods=["GET", "POST"]),
        ],
        middleware=[Middleware(DriftMiddleware, changes=gateway.request_changes, right_key=gateway.api_key)],
        exception_handlers={HTTPException: gateway.problem, ClientDisconnect: gateway.problem},
    )
    app.router.redirect_slashes = False
    return app


class _GatewayApp:
    def __init__(self, settings: Settings, time: TimeSource) -> None:
        self._settings = settings
        self._time = time
        self._requests = Requests(settings)
        self._answered: deque[float] = deque(maxlen=settings.rate_limit or 0)
        drifts = find_drifts(settings.drifts)
        self._response_changes = [drift.response for drift in drifts if drift.response]
        self.request_changes = [drift.request for drift in drifts if drift.request]
        self.api_key = settings.api_key

    async def result(self, request: Request) -> ASGIApp:
        """Answer the documented call: honestly, then as the drifts have it, then spoilt by a fault."""
        answer, fault = await self._honest(request)
        answer = self._drifted(request, answer)
        return fault.spoil(answer, self._time) if fault else answer

    async def _honest(self, request: Request) -> tuple[Response, Fault | None]:
        """Return the honest answer and its fault. Path and method are right already; then key, rate, body, request."""
        # The real service may compare in another order; the page does not say.
        key = request.headers.get("Ocp-Apim-Subscription-Key", "")
        if not hmac.compare_digest(key.encode("latin-1"), self._settings.api_key.encode()):
            return error(401, "Invalid or missing authentication"), None
        if self._too_many():
            return rate_limited(), None
        try:
            request_id = await _read_request_id(request)
        except ValueError:
            # The page's table has this wording; its example has "Invalid parameters".
            return error(400, "Invalid request parameters"), None
        emulated = self._requests.get(request_id)
        if emulated is None:
            return _not_found(), None
        emulated.start(self._time)
        fault = emulated.next_fault(of_picture=False)
        url = f"{request.base_url}results/{quote(request_id, safe='')}.png"
        return _json(emulated.answer(self._time.clock(), url)), fault

    def _drifted(self, request: Request, honest: Response) -> Response:
        if not self._response_changes:
            return honest
        accepts = request.headers.get("Accept-Encoding", "")
        return changed(self._response_changes, request.url.path, accepts, honest)

    def _too_many(self) -> bool:
        """Whether the rate limit is used up: so many calls were answered within the last second."""
        now, answered = self._time.clock(), self._answered
        if not self._settings.rate_limit:
            return False
        if len(answered) == answered.maxlen and now - answered[0] < 1.0:
            return True
        answered.append(now)
        return False

    async def picture(self, request: Request) -> ASGIApp:
        """Serve a completed request's picture. No key is needed, as for the real one's storage."""
        name: str = request.path_params["name"]
        emulated = self._requests.get(name.removesuffix(".png")) if name.endswith(".png") else None
        if emulated is None or not emulated.has_picture(self._time.clock()):
            return _not_found()
        png = await anyio.to_thread.run_sync(draw, emulated.request_id)
        if request.method == "HEAD":
            return Response(headers={"Content-Length": str(len(png))}, media_type="image/png")
        fault = emulated.next_fault(of_picture=True)
        answer = Response(png, media_type="image/png")
        return fault.spoil(answer, self._time) if fault else answer

    async def control(self, request: Request) -> Response:
        """List the requests, or add one. This is the sandbox's own: no gateway has it, and it needs no key."""
        if request.method != "POST":
            return _json([emulated.describe() for emulated in self._requests.values()])
        try:
            wanted = _read_wanted(await _read(request))
            if wanted.get("request_id") in self._requests:
                return error(409, "A request of this id exists already.")
            if len(self._requests) >= MOST_REQUESTS:
                return error(503, f"The sandbox holds {MOST_REQUESTS} requests, which is its limit: restart it.")
            return _json(self._requests.add(**wanted).describe(), 201)
        except ValueError as mistake:
            return error(400, str(mistake))

    async def problem(self, request: Request, problem: Exception) -> Response:
        """Answer an unknown path, another method, or a caller who is gone and reads none of this."""
        # The page lists no 405: it is answered in the shape of the other errors.
        answer = _not_found()
        if isinstance(problem, HTTPException) and problem.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            answer = error(HTTPStatus.METHOD_NOT_ALLOWED, "Method not allowed", problem.headers)
        return self._drifted(request, answer)


def _json(body: Any, status: int = 200) -> Response:
    return Response(json.dumps(body), status, media_type=JSON)


def _not_found() -> Response:
    # The page has one wording for everything that is not there, and it names the endpoint.
    return error(404, "Endpoint not found")


async def _read(request: Request) -> bytes:
    """Return the body; raise ValueError when it is too long."""
    body = await read_body(request)
    if len(body) > MOST_BYTES:
        raise ValueError(f"The body is longer than {MOST_BYTES} bytes.")
    return body


def _parse(body: bytes) -> dict[str, Any]:
    """Return a JSON object; raise ValueError for anything else, NaN and repeated names included."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError("The body says a name twice.")
        return found

    def refuse(word: str) -> None:
        raise ValueError(f"{word} is not JSON.")

    try:
        parsed = json.loads(body.decode(), object_pairs_hook=unique, parse_constant=refuse)
    except RecursionError:
        raise ValueError("The body is nested too deeply.") from None
    if isinstance(parsed, dict):
        return parsed
    raise ValueError("The body is not a JSON object.")


async def _read_request_id(request: Request) -> str:
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type != JSON:
        raise ValueError(media_type)
    request_id = _parse(await _read(request)).get("request_id")
    if not isinstance(request_id, str) or not request_id:
        raise ValueError("request_id")
    return request_id


def _read_wanted(body: bytes) -> dict[str, Any]:
    """Return the fields of a control call, each of its type; raise ValueError naming the field that is wrong."""
    wanted = _parse(body) if body else {}
    types = {"request_id": (str,), "duration": (int, float), "outcome": (str,), "fault": (str,)}
    for name, value in wanted.items():
        if name not in types:
            raise ValueError(f"There is no field {name[:40]!r}: there are {', '.join(types)}.")
        if type(value) not in types[name]:
            raise ValueError(f"The field {name} has the wrong type.")
    return wanted

"""Both gateways on one port, as an ASGI app, with the pictures and the sandbox's own calls."""

import time
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from longcat.sandbox.behaviours import TimeSource
from longcat.sandbox.bodies import error, json_response, parse_object, read_body
from longcat.sandbox.browsers import BrowserGuard
from longcat.sandbox.calls import ORDER, RESULT, STATUS
from longcat.sandbox.drifts import find_drifts
from longcat.sandbox.drifts.request_changes import DriftMiddleware
from longcat.sandbox.faults import Fault, FaultTarget
from longcat.sandbox.gateway import RateLimit
from longcat.sandbox.picture import draw, draw_small
from longcat.sandbox.queue.gateway import EmulatedQueueGateway
from longcat.sandbox.result import EmulatedResultGateway, not_found
from longcat.sandbox.state import (
    MAX_REQUESTS,
    EmulatedGatewayName,
    EmulatedRequest,
    EmulatedRequests,
    NewRequest,
    Settings,
)

_WANTED: Final[Mapping[str, tuple[type, ...]]] = {
    "request_id": (str,),
    "duration": (int, float),
    "outcome": (str,),
    "fault": (str,),
    "gateway": (str,),
}


def create_app(
    settings: Settings | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    local: bool = False,
) -> Starlette:
    """Return the sandbox as an ASGI app: for a server or for in-process tests with a clock and a sleep of their own.

    Web pages of other sites are refused. `local`: it is on a socket that only this machine reaches, so a name that a
    stranger's name server leads here is refused as well.
    """
    settings = settings or Settings()
    sandbox = _SandboxApp(settings, TimeSource(clock, wall, sleep))
    changes = [drift.request for drift in find_drifts(settings.drifts) if drift.request]
    app = Starlette(
        routes=[
            Route(RESULT.path, sandbox.result_gateway.result, methods=["POST"]),
            Route(ORDER.path, sandbox.queue_gateway.order, methods=["POST"]),
            Route(STATUS.path + "{request_id:path}", sandbox.queue_gateway.status, methods=["GET"]),
            Route("/results/{name:path}", sandbox.result_picture, methods=["GET"]),
            Route("/v1/{request_id:path}/output-{number:int}.{format:str}", sandbox.queue_picture, methods=["GET"]),
            Route("/sandbox/requests", sandbox.requests, methods=["GET", "POST"]),
            Route("/sandbox/faults", sandbox.faults, methods=["POST"]),
            Route("/sandbox/orders", sandbox.orders, methods=["GET"]),
            Route("/sandbox/orders/count", sandbox.count_orders, methods=["GET"]),
        ],
        middleware=[
            Middleware(BrowserGuard, local=local),
            Middleware(DriftMiddleware, changes=changes, right_key=settings.api_key),
        ],
        exception_handlers={HTTPException: sandbox.problem, ClientDisconnect: sandbox.problem},
    )
    app.router.redirect_slashes = False
    return app


class _SandboxApp:
    def __init__(self, settings: Settings, time: TimeSource) -> None:
        self._settings = settings
        self._time = time
        self._requests = EmulatedRequests(settings)
        rate_limit = RateLimit(settings.rate_limit, time)
        self.result_gateway = EmulatedResultGateway(settings, time, self._requests, rate_limit)
        self.queue_gateway = EmulatedQueueGateway(settings, time, self._requests, rate_limit)

    async def result_picture(self, request: Request) -> ASGIApp:
        """Serve a picture of a request of the result gateway. No key is needed, as for the real one's storage."""
        name: str = request.path_params["name"]
        stem = name.removesuffix(".png")
        emulated = self._requests.find(EmulatedGatewayName.RESULT, stem) if name.endswith(".png") else None
        if emulated is None:
            return not_found()
        return await self._picture(request, emulated, stem)

    async def queue_picture(self, request: Request) -> ASGIApp:
        """Serve one of the pictures of a request of the queue gateway."""
        name, number, kind = (request.path_params[part] for part in ("request_id", "number", "format"))
        emulated = self._requests.find(EmulatedGatewayName.QUEUE, name)
        if emulated is None or number not in range(1, emulated.pictures + 1) or kind != emulated.look.format.lower():
            return not_found()
        return await self._picture(request, emulated, name if number == 1 else f"{name} #{number}")

    async def _picture(self, request: Request, emulated: EmulatedRequest, text: str) -> ASGIApp:
        if not emulated.has_picture(self._time.clock()):
            return not_found()
        if self._settings.small_pictures:
            content = draw_small(text, emulated.look)
        else:
            content = await anyio.to_thread.run_sync(draw, text, emulated.look)
        media_type = f"image/{emulated.look.format.lower()}"
        if request.method == "HEAD":
            return Response(headers={"Content-Length": str(len(content))}, media_type=media_type)
        fault = emulated.next_fault(FaultTarget.PICTURE)
        answer = Response(content, media_type=media_type)
        return fault.spoil(answer, self._time) if fault else answer

    async def requests(self, request: Request) -> Response:
        """List the requests, or add one. This is the sandbox's own: no gateway has it, and it needs no key."""
        if request.method != "POST":
            return json_response([emulated.describe() for emulated in self._requests.values()])
        try:
            wanted = _read_fields(await read_body(request), _WANTED)
            if wanted.get("request_id") in self._requests:
                return error(409, "A request of this id exists already.")
            if len(self._requests) >= MAX_REQUESTS:
                return error(503, f"The sandbox holds {MAX_REQUESTS} requests, which is its limit: restart it.")
            return json_response(self._requests.add(NewRequest(**wanted)).describe(), 201)
        except ValueError as mistake:
            return error(400, str(mistake))

    async def faults(self, request: Request) -> Response:
        """Set the faults of all orders and requests to come, which are given as the field `fault`."""
        try:
            faults = Fault.parse_all(_read_fields(await read_body(request), {"fault": (str,)}).get("fault", ""))
        except ValueError as mistake:
            return error(400, str(mistake))
        self._requests.faults = faults
        self.queue_gateway.orders.set_faults(faults)
        return json_response({"fault": ",".join(map(str, faults)) or None})

    async def orders(self, _request: Request) -> Response:
        """Tell how many orders came, how many were taken, and what each was. The sandbox's own, too."""
        orders = self.queue_gateway.orders
        return json_response({**orders.count(), "orders": [order.describe() for order in orders.received]})

    async def count_orders(self, _request: Request) -> Response:
        """Tell how many orders came and how many were taken."""
        return json_response(self.queue_gateway.orders.count())

    async def problem(self, request: Request, problem: Exception) -> Response:
        """Answer an unknown path, another method, or a caller who is gone and reads none of this."""
        # The page lists no 405: it is answered in the shape of the other errors.
        answer = not_found()
        if isinstance(problem, HTTPException) and problem.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            answer = error(HTTPStatus.METHOD_NOT_ALLOWED, "Method not allowed", problem.headers)
        return self.result_gateway.drifted(request, answer)


def _read_fields(body: bytes, types: Mapping[str, tuple[type, ...]]) -> dict[str, Any]:
    """Return the fields of a control call, each of its type; raise ValueError naming the field that is wrong."""
    fields = parse_object(body) if body else {}
    for name, value in fields.items():
        if name not in types:
            raise ValueError(f"There is no field {name[:40]!r}: there are {', '.join(types)}.")
        if type(value) not in types[name]:
            raise ValueError(f"The field {name} has the wrong type.")
    return fields

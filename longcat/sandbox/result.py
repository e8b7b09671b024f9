"""The result gateway, which answers as the documentation says.

Where the documentation is silent, a comment says what was chosen. The JSON is written by hand: the sandbox shares no
code with the client, so that the two can disagree.
"""

from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from longcat.sandbox.behaviours import rate_limited
from longcat.sandbox.bodies import base_url, error, has_json_type, json_response, parse_object, read_body
from longcat.sandbox.faults import Fault, FaultTarget
from longcat.sandbox.gateway import EmulatedGateway
from longcat.sandbox.state import EmulatedGatewayName, EmulatedRequest, RequestOutcome


class EmulatedResultGateway(EmulatedGateway):
    """Answers questions about requests."""

    async def result(self, request: Request) -> ASGIApp:
        """Answer the documented call: honestly, then as the drifts have it, then spoilt by a fault."""
        answer, fault = await self._honest(request)
        return self._sent(request, answer, fault)

    async def _honest(self, request: Request) -> tuple[Response, Fault | None]:
        """Return the honest answer and its fault. Path and method are right already; then key, rate, body, request."""
        # The real service may compare in another order; the page does not say.
        if not self._has_key(request):
            return error(401, "Invalid or missing authentication"), None
        if self._rate_limit.is_used_up():
            return rate_limited(), None
        try:
            request_id = await _read_request_id(request)
        except ValueError:
            # The page's table has this wording; its example has "Invalid parameters".
            return error(400, "Invalid request parameters"), None
        emulated = self._requests.find(EmulatedGatewayName.RESULT, request_id)
        if emulated is None:
            return not_found(), None
        emulated.start(self._time)
        fault = emulated.next_fault(FaultTarget.STATUS)
        url = f"{base_url(request)}results/{quote(request_id, safe='')}.png"
        return json_response(_answer(emulated, self._time.clock(), url)), fault


def not_found() -> Response:
    """Return the 404 of the page, which has one wording for everything that is not there: it names the endpoint."""
    return error(404, "Endpoint not found")


def _answer(emulated: EmulatedRequest, now: float, result_url: str) -> dict[str, Any]:
    """Return the body of a truthful answer."""
    if not emulated.is_over(now):
        return {"status": "processing", "progress": emulated.progress(now), "request_id": emulated.request_id}
    if emulated.outcome is RequestOutcome.COMPLETED:
        return {
            "status": "completed",
            "progress": 1.0,
            "request_id": emulated.request_id,
            "result_url": result_url,
            "created_at": f"{emulated.date():%Y-%m-%dT%H:%M:%SZ}",
            "duration_seconds": round(emulated.duration),
            "model_version": "longcat-v1.2",
        }
    # The page says that failures exist and gives no body for them. This one is a guess, after the words of the
    # queue gateway (`FAILED`, and `error`, a string), in this gateway's lower case.
    return {
        "status": emulated.outcome.value,
        "progress": emulated.progress(now),
        "request_id": emulated.request_id,
        "error": f"The sandbox was told that this request ends as {emulated.outcome.value}.",
    }


async def _read_request_id(request: Request) -> str:
    if not has_json_type(request):
        raise ValueError("Content-Type")
    request_id = parse_object(await read_body(request)).get("request_id")
    if not isinstance(request_id, str) or not request_id:
        raise ValueError("request_id")
    return request_id

"""The queue gateway: it takes orders, and answers for the requests that come of them.

As for the result gateway, a comment says what was chosen where the documentation is silent.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from longcat.sandbox.bodies import json_response, queue_error, read_body
from longcat.sandbox.faults import Fault, FaultTarget, TimeSource
from longcat.sandbox.gateway import EmulatedGateway, RateLimit
from longcat.sandbox.orders import MODEL, Orders, ReceivedOrder, WantedPictures, read_order
from longcat.sandbox.state import (
    MOST_REQUESTS,
    EmulatedRequest,
    GatewayKind,
    NewRequest,
    RequestOutcome,
    Requests,
    Settings,
)

ORDER_PATH: Final = f"/{MODEL}/v1/longcat-image-request"
STATUS_PATH: Final = "/v2/requests/status/"


class EmulatedQueueGateway(EmulatedGateway):
    """Takes orders, and answers questions about them."""

    def __init__(self, settings: Settings, time: TimeSource, requests: Requests, rate_limit: RateLimit) -> None:
        super().__init__(settings, time, requests, rate_limit)
        self.orders = Orders()

    async def order(self, request: Request) -> ASGIApp:
        """Answer an order: path and method are right already; then key, rate, model, body, balance."""
        record = self.orders.receive(request)
        answer, fault = await self._taken(request, record)
        return self._sent(request, answer, fault)

    async def _taken(self, request: Request, record: ReceivedOrder) -> tuple[Response, Fault | None]:
        if (refusal := self._refusal(request)) is not None:
            return refusal, None
        record.body = await read_body(request)
        try:
            wanted = read_order(request, record.body)
        except ValueError as mistake:
            # No page has the body of a failed validation.
            return queue_error(400, "Invalid request", str(mistake)), None
        if self._settings.disabled:
            return queue_error(400, "Model not found", f"Model '{MODEL}' not found or is disabled"), None
        if self._settings.balance is not None and self.orders.spent + wanted.cost > self._settings.balance:
            return queue_error(402, "Insufficient Balance", "Your wallet does not have enough balance."), None
        if len(self._requests) >= MOST_REQUESTS:
            return queue_error(503, "Full", f"The sandbox holds {MOST_REQUESTS} requests: restart it."), None
        emulated = self._begin(record, wanted)
        url = f"{request.base_url}{STATUS_PATH[1:]}{emulated.request_id}"
        return json_response({"request_id": emulated.request_id, "status": "QUEUED", "polling_url": url}, 202), None

    def _begin(self, record: ReceivedOrder, wanted: WantedPictures) -> EmulatedRequest:
        request_id = self.orders.next_id(self._time.wall())
        new = NewRequest(request_id, gateway=GatewayKind.QUEUE, pictures=wanted.count, look=wanted.look)
        emulated = self._requests.add(new)
        emulated.start(self._time)
        # ERROR is the one outcome of which the page says that it is not charged.
        free = emulated.outcome is RequestOutcome.ERROR
        self.orders.take(record, request_id, Decimal(0) if free else wanted.cost)
        return emulated

    async def status(self, request: Request) -> ASGIApp:
        """Answer a question about a request."""
        answer, fault = self._status(request)
        return self._sent(request, answer, fault)

    def _status(self, request: Request) -> tuple[Response, Fault | None]:
        if (refusal := self._refusal(request)) is not None:
            return refusal, None
        emulated = self._requests.find(GatewayKind.QUEUE, request.path_params["request_id"])
        if emulated is None:
            # The page lists no 404, but those of sister models do. Its body is published nowhere.
            return queue_error(404, "Not found", "There is no request of this id."), None
        emulated.start(self._time)
        fault = emulated.next_fault(FaultTarget.STATUS)
        return json_response(self._body(emulated, f"{request.base_url}")), fault

    def _refusal(self, request: Request) -> Response | None:
        # The page lists these codes and shows no body for them.
        if not self._has_key(request):
            return queue_error(401, "Unauthorized", "The subscription key is missing or invalid.")
        if self._rate_limit.is_used_up():
            return queue_error(429, "Too Many Requests", "Rate limit exceeded, please retry later.")
        return None

    def _body(self, emulated: EmulatedRequest, base_url: str) -> dict[str, Any]:
        """Return the body of a truthful answer."""
        now = self._time.clock()
        body = {"request_id": emulated.request_id, "status": "PROCESSING", "model_id": MODEL}
        if not emulated.is_over(now):
            # No page shows these: they are the body for ERROR, with nulls.
            word = "QUEUED" if emulated.share(now) < self._settings.queued else "PROCESSING"
            return {**body, "status": word, "error": None, "output": None}
        if emulated.outcome is not RequestOutcome.COMPLETED:
            message = f"The sandbox was told that this request ends as {emulated.outcome.value}."
            return {**body, "status": emulated.outcome.value.upper(), "error": message, "output": None}
        kind = emulated.look.format.lower()
        name = quote(emulated.request_id, safe="")
        urls = [f"{base_url}v1/{name}/output-{n}.{kind}" for n in range(1, emulated.pictures + 1)]
        done = _date(emulated.date(emulated.duration))
        return {
            **body,
            "status": "COMPLETED",
            "error": None,
            "output": {"media_url": urls, "media_type": f"image/{kind}"},
            "created_at": _date(emulated.date()),
            "updated_at": done,
            "completed_at": done,
        }


def _date(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"

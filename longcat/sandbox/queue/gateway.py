"""The queue gateway: it takes orders, answers for the requests that come of them, and calls back.

As for the result gateway, a comment says what was chosen where the documentation is silent.
"""

import json
from datetime import datetime
from decimal import Decimal
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from longcat.sandbox.behaviours import TimeSource
from longcat.sandbox.bodies import JSON, base_url, json_response, read_body
from longcat.sandbox.calls import MODEL, STATUS
from longcat.sandbox.faults import Fault, FaultTarget
from longcat.sandbox.gateway import EmulatedGateway, RateLimit
from longcat.sandbox.queue.received_orders import (
    OrderRefusedError,
    ReceivedOrder,
    ReceivedOrders,
    WantedPictures,
    read_order,
)
from longcat.sandbox.queue.sister_variants import BodyKind, HonestBody, find_variants, vary
from longcat.sandbox.queue.webhooks import WebhookSender, read_webhook
from longcat.sandbox.state import (
    MAX_REQUESTS,
    EmulatedGatewayName,
    EmulatedRequest,
    EmulatedRequests,
    NewRequest,
    RequestOutcome,
    Settings,
)

UNREAD: Final = "order-unread"  # The one fault that strikes before the order is known.


class EmulatedQueueGateway(EmulatedGateway):
    """Takes orders, and answers questions about them."""

    def __init__(self, settings: Settings, time: TimeSource, requests: EmulatedRequests, rate_limit: RateLimit) -> None:
        super().__init__(settings, time, requests, rate_limit)
        self.orders = ReceivedOrders(settings.faults, settings.fault_every)
        self._webhooks = WebhookSender(time)
        self._variants = find_variants(settings.variants)

    # --- Orders.

    async def order(self, request: Request) -> ASGIApp:
        """Answer an order: path and method are right already; then key, rate, body, model, balance."""
        record = self.orders.receive(request)
        try:
            answer, fault = await self._order(request, record)
        except OrderRefusedError as refused:
            answer, fault = self._refuse(refused.code, refused.error, str(refused)), None
        record.fault = str(fault) if fault else None
        return self._sent(request, answer, fault)

    async def _order(self, request: Request, record: ReceivedOrder) -> tuple[Response, Fault | None]:
        """Return the honest answer and its fault; raise OrderRefusedError."""
        if (refusal := self._refusal(request)) is not None:
            return refusal, None
        if (fault := self.orders.peek_fault()) and fault.name == UNREAD:
            return Response(), self.orders.next_fault()
        body = await read_body(request)
        self.orders.keep_body(record, body)
        wanted, webhook = read_order(request, body), read_webhook(request.headers)
        self._check(wanted)
        if (fault := self.orders.next_fault()) and not fault.takes:
            return Response(), fault
        emulated = self._take(record, wanted)
        base = base_url(request)
        if webhook:
            self._webhooks.start(webhook, emulated, lambda: bytes(self._answer(emulated, base).body))
        return self._accepted(emulated, base), fault

    def _check(self, wanted: WantedPictures) -> None:
        """Raise OrderRefusedError for an order that is right and is not taken all the same."""
        if self._settings.disabled:
            raise OrderRefusedError(400, "Model not found", f"Model '{MODEL}' not found or is disabled")
        if self._settings.balance is not None and self.orders.spent + wanted.cost > self._settings.balance:
            raise OrderRefusedError(402, "Insufficient Balance", "Your wallet does not have enough balance.")
        if len(self._requests) >= MAX_REQUESTS:
            raise OrderRefusedError(503, "Full", f"The sandbox holds {MAX_REQUESTS} requests: restart it.")

    def _take(self, record: ReceivedOrder, wanted: WantedPictures) -> EmulatedRequest:
        """Begin the request that an order asks for, and charge for it."""
        request_id = self.orders.next_id(self._time.wall())
        emulated = self._requests.add(
            NewRequest(
                request_id,
                duration=0 if any(variant.at_once for variant in self._variants) else None,
                outcome=wanted.outcome,
                gateway=EmulatedGatewayName.QUEUE,
                pictures=wanted.count,
                look=wanted.look,
            )
        )
        emulated.start(self._time)
        # ERROR is the one outcome of which the page says that it is not charged.
        is_free = emulated.outcome is RequestOutcome.ERROR
        self.orders.take(record, request_id, Decimal(0) if is_free else wanted.cost)
        return emulated

    def _accepted(self, emulated: EmulatedRequest, base: str) -> Response:
        if any(variant.at_once for variant in self._variants):
            body = self._body(emulated, base).body
        else:
            polling_url = f"{base}{STATUS.path[1:]}{emulated.request_id}"
            body = {"request_id": emulated.request_id, "status": "QUEUED", "polling_url": polling_url}
        return self._response(HonestBody(BodyKind.ORDER, body, 202))

    # --- Questions.

    async def status(self, request: Request) -> ASGIApp:
        """Answer a question about a request."""
        answer, fault = self._status(request)
        return self._sent(request, answer, fault)

    def _status(self, request: Request) -> tuple[Response, Fault | None]:
        if (refusal := self._refusal(request)) is not None:
            return refusal, None
        request_id = request.path_params["request_id"]
        emulated = self._requests.find(EmulatedGatewayName.QUEUE, request_id)
        if emulated is None:
            # The page lists no 404, but those of sister models do. Its body is published nowhere.
            return self._refuse(404, "Not found", f"There is no request '{request_id}'."), None
        emulated.start(self._time)
        fault = emulated.next_fault(FaultTarget.STATUS)
        return self._answer(emulated, base_url(request)), fault

    def _answer(self, emulated: EmulatedRequest, base: str) -> Response:
        return self._response(self._body(emulated, base))

    def _body(self, emulated: EmulatedRequest, base: str) -> HonestBody:
        """Return the body of a truthful answer."""
        now = self._time.clock()
        model = emulated.request_id.rpartition("_")[0] or MODEL
        common = {"request_id": emulated.request_id, "status": "PROCESSING", "model_id": model}
        if not emulated.is_over(now):
            # No page shows these: they are the body for ERROR, with nulls.
            word = "QUEUED" if emulated.share(now) < self._settings.queued else "PROCESSING"
            return HonestBody(BodyKind.OPEN, {**common, "status": word, "error": None, "output": None})
        if emulated.outcome is not RequestOutcome.COMPLETED:
            # The page has no word for a request that was cancelled: CANCELLED is a guess.
            error = f"Processing failed: the sandbox was told that this request ends as {emulated.outcome.value}."
            word = emulated.outcome.value.upper()
            return HonestBody(BodyKind.FAILED, {**common, "status": word, "error": error, "output": None})
        kind = emulated.look.format.lower()
        name = quote(emulated.request_id, safe="")
        urls = [f"{base}v1/{name}/output-{n}.{kind}" for n in range(1, emulated.pictures + 1)]
        done = _date(emulated.date(emulated.duration))
        completed = {
            **common,
            "status": "COMPLETED",
            "error": None,
            "output": {"media_url": urls, "media_type": f"image/{kind}"},
            "created_at": _date(emulated.date()),
            "updated_at": done,
            "completed_at": done,
        }
        return HonestBody(BodyKind.COMPLETED, completed)

    # --- What both calls have.

    def _refusal(self, request: Request) -> Response | None:
        """Return the refusal of a call without the key, or of one too many."""
        # The page lists these codes and shows no body for them.
        if not self._has_key(request):
            return self._refuse(401, "Unauthorized", "The subscription key is missing or invalid.")
        if self._rate_limit.is_used_up():
            return self._refuse(429, "Too many requests", "Rate limit exceeded, please retry later.")
        return None

    def _refuse(self, code: int, error: str, message: str) -> Response:
        return self._response(HonestBody(BodyKind.REFUSAL, {"error": error, "message": message}, code))

    def _response(self, honest: HonestBody) -> Response:
        varied = vary(self._variants, honest)
        return json_response(varied.body, varied.code)

    def _sent(self, request: Request, answer: Response, fault: Fault | None) -> ASGIApp:
        """Return what is sent; refusals by a fault are as the variants have them, too."""
        sent = super()._sent(request, answer, fault)
        if not (fault and self._variants and isinstance(sent, Response)):
            return sent
        if sent.status_code < 400 or sent.media_type != JSON:  # noqa: PLR2004 - where errors begin.
            return sent
        varied = vary(self._variants, HonestBody(BodyKind.REFUSAL, json.loads(bytes(sent.body)), sent.status_code))
        headers = {
            name: value for name, value in sent.headers.items() if name not in {"content-length", "content-type"}
        }
        return json_response(varied.body, varied.code, headers)


def _date(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"

"""The base of both gateways: they check the key, count the calls, and answer as the drifts and faults have it."""

import hmac
from collections import deque

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from longcat.sandbox.behaviours import TimeSource
from longcat.sandbox.drifts import drifted, find_drifts
from longcat.sandbox.faults import Fault
from longcat.sandbox.state import EmulatedRequests, Settings


class RateLimit:
    """Counts the calls of the last second, those of both gateways together."""

    def __init__(self, limit: int | None, time: TimeSource) -> None:
        self._limit = limit
        self._time = time
        self._answered: deque[float] = deque(maxlen=limit or 0)

    def is_used_up(self) -> bool:
        """Whether so many calls were answered within the last second. If not, one more is counted."""
        if not self._limit:
            return False
        now, answered = self._time.clock(), self._answered
        if len(answered) == answered.maxlen and now - answered[0] < 1.0:
            return True
        answered.append(now)
        return False


class EmulatedGateway:
    """The base of the two gateways."""

    def __init__(self, settings: Settings, time: TimeSource, requests: EmulatedRequests, rate_limit: RateLimit) -> None:
        self._settings = settings
        self._time = time
        self._requests = requests
        self._rate_limit = rate_limit
        self._key = settings.api_key.encode()
        self._response_changes = [drift.response for drift in find_drifts(settings.drifts) if drift.response]

    def _has_key(self, request: Request) -> bool:
        key = request.headers.get("Ocp-Apim-Subscription-Key", "")
        return hmac.compare_digest(key.encode("latin-1"), self._key)

    def _sent(self, request: Request, answer: Response, fault: Fault | None) -> ASGIApp:
        """Return what is sent for an honest answer: what the drifts make of it, spoilt by the fault."""
        answer = self.drifted(request, answer)
        return fault.spoil(answer, self._time) if fault else answer

    def drifted(self, request: Request, honest: Response) -> Response:
        """Return an honest answer as the drifts have it."""
        if not self._response_changes:
            return honest
        accepts = request.headers.get("Accept-Encoding", "")
        return drifted(self._response_changes, request.url.path, accepts, honest)

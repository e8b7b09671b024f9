"""One question about a request. No I/O."""

from typing import Final

from longcat.gateway.messages import Gateway
from longcat.models import Status
from longcat.waiting.commands import Flow, ask

QUESTION_TIMEOUT: Final = 30.0  # Seconds that one question may take.


def status(gateway: Gateway, request_id: str) -> Flow[Status]:
    """Ask once, and return the answer or raise the error."""
    answer = yield from ask(gateway.ask(request_id, QUESTION_TIMEOUT))
    return gateway.read(request_id, answer)

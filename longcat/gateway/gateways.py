"""The gateways of a client, and which of them answers for a request."""

import re
from typing import Any, Final, Literal, TypeAlias

from attrs import frozen

from longcat.errors import ConfigurationError
from longcat.gateway.contract import contract
from longcat.gateway.queue import QueueGateway
from longcat.gateway.result import ResultGateway
from longcat.gateway.status import StatusGateway
from longcat.models import Order
from longcat.settings import find_api_key, find_base_url, refuse_key, usable_request_id
from longcat.text import show

GatewayKind: TypeAlias = Literal["queue", "result"]

_BIRTH: Final = re.compile(r"[^_]+_([0-9a-f]{8})-([0-9a-f]{4})-", re.ASCII)


@frozen
class Gateways:
    """The gateways that a client asks.

    Attributes:
        queue: takes orders, and answers for the requests that came of them.
        result: answers for the requests that were ordered elsewhere.
    """

    queue: QueueGateway
    result: ResultGateway

    @classmethod
    def find(cls, api_key: str | None, base_url: str | None) -> "Gateways":
        """Return the gateways, with the key and the servers as `settings` finds them. One URL stands for both."""
        queue, result = (
            find_base_url(base_url, contract(operation).server)
            for operation in (QueueGateway.operation_id, ResultGateway.operation_id)
        )
        key = find_api_key(api_key)
        return cls(QueueGateway(queue, key), ResultGateway(result, key))

    @property
    def base_urls(self) -> tuple[str, ...]:
        """The URLs of the gateways, each once."""
        return tuple(dict.fromkeys((self.queue.base_url, self.result.base_url)))

    def of(self, request_id: str, name: Any = None) -> StatusGateway:
        """Return the gateway that answers for a request.

        Args:
            request_id: its id. The queue gateway's are documented to have a form of their own.
            name: `queue` or `result`. None: as the form of the id says.

        Raises:
            ConfigurationError: there is no gateway of this name.
        """
        kind = name if name is not None else likely_gateway(request_id)
        if kind == "queue":
            return self.queue
        if kind == "result":
            return self.result
        raise ConfigurationError(f"The gateway is 'queue' or 'result', not {show(name)}. Pass one of the two, or none.")

    def of_request(self, request: str | Order, name: Any = None) -> tuple[str, StatusGateway]:
        """Return the id of a request, and the gateway that answers for it; for an order, that is the queue gateway.

        Raises ConfigurationError when the id can't be one, or as `of` does.
        """
        request_id = request.request_id if isinstance(request, Order) else request
        refuse_key(self.queue.api_key, "The request id", request_id)
        kind = name or "queue" if isinstance(request, Order) else name
        return usable_request_id(request_id), self.of(request_id, kind)


def likely_gateway(request_id: str) -> GatewayKind:
    """Return which gateway gave an id out, as far as its form tells."""
    form = contract(QueueGateway.operation_id).parameters["request_id"]["pattern"]
    return "queue" if re.search(form, request_id) else "result"


def age(request_id: str, now: float) -> float:
    """Return how many seconds ago a request was ordered, as far as its id tells; 0 if it does not.

    The part after the underscore begins with the milliseconds since the epoch, in 12 hexadecimal digits. Nobody
    documents it: it is a hint for the schedule, and nothing else may rely on it.

    Args:
        request_id: the id.
        now: this moment, in seconds since the epoch.
    """
    birth = _BIRTH.match(request_id)
    seconds = now - int(birth[1] + birth[2], 16) / 1000 if birth else 0.0
    return max(seconds, 0.0)

"""The base of `LongCat` and `AsyncLongCat`: their settings, and what they send with."""

from os import PathLike
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from longcat.client.options import MAX_IN_FLIGHT
from longcat.clock import Clock, SystemClock
from longcat.errors import ConfigurationError
from longcat.gateway.gateways import GatewayKind, Gateways
from longcat.models import Order, Status
from longcat.processes import ForkSafeLock
from longcat.sending.addresses import warn_of_plain_http
from longcat.sending.destination import AddressRule
from longcat.sending.http.libraries import ClientKind, is_client
from longcat.sending.sender import HttpSender
from longcat.settings import usable_count, usable_rate
from longcat.text.known_keys import KNOWN_KEYS
from longcat.waiting import question
from longcat.waiting.commands import Flow
from longcat.waiting.schedule.plan import Polling

if TYPE_CHECKING:
    from longcat.client.flows import Flows
    from longcat.saving.journal.journal import Journal

HttpClient = TypeVar("HttpClient")


class BaseClient(Generic[HttpClient]):
    """The base of both clients. `LongCat` says what the arguments mean."""

    _http_client_kind: ClassVar[ClientKind]
    _sender_class: type[HttpSender[Any]]

    def __init__(  # noqa: PLR0913 - most are keywords that hardly anyone needs.
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        *,
        polling: Polling | None = None,
        http_client: HttpClient | None = None,
        clock: Clock | None = None,
        max_rate: float | None = None,
        max_in_flight: int = MAX_IN_FLIGHT,
        journal: str | PathLike[str] | None = None,
        allow_private: bool = False,
    ) -> None:
        kind = self._http_client_kind
        if http_client is not None and not is_client(http_client, kind):
            raise ConfigurationError(
                f"{type(self).__name__} needs an httpx.{kind} or httpx2.{kind} as http_client,"
                f" not {type(http_client).__name__}. Pass one, or use the other client."
            )
        self._gateways = Gateways.find(api_key, base_url)
        KNOWN_KEYS.add(self._gateways.queue.api_key)
        self._clock = clock if clock is not None else SystemClock()
        self._polling = polling
        self._max_rate = usable_rate(max_rate)
        self._max_in_flight = usable_count(max_in_flight, "max_in_flight")
        for url in self._gateways.base_urls:
            warn_of_plain_http(url)
        rule = AddressRule.of_gateways(self._gateways.base_urls, allow_private=allow_private)
        self._sender: HttpSender[Any] = self._sender_class(
            http_client, self._new_transports, self._clock, self._max_in_flight, rule
        )
        self._journal = self._open_journal(journal) if journal is not None else None
        self._made_flows: Flows | None = None
        self._making_flows = ForkSafeLock()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self._gateways.queue.base_url!r})"

    def _new_transports(self) -> Any:
        """Return transports of our own. Raises ConfigurationError for a proxy that can't be used."""
        return self._sender_class.new_transports(self._gateways.base_urls)

    def _open_journal(self, file: str | PathLike[str]) -> "Journal":
        from longcat.saving.journal.journal import Journal  # noqa: PLC0415 - few have one, and it takes long to import.

        return Journal(file, time=self._clock.time)

    def _question(self, request: str | Order, gateway: GatewayKind | None) -> Flow[Status]:
        """Return the flow that asks once. It needs none of `_flows`, which take long to import."""
        request_id, of = self._gateways.of_request(request, gateway)
        return question.status(of, request_id)

    @property
    def _flows(self) -> "Flows":
        """Makes all other flows. It is made for the first of them, as it takes long to import."""
        if self._made_flows is not None:
            return self._made_flows
        with self._making_flows:
            if self._made_flows is None:  # Another thread may have made it meanwhile.
                from longcat.client.flows import Flows  # noqa: PLC0415 - see above.

                self._made_flows = Flows(
                    self._gateways, self._clock, self._polling, self._max_rate, self._max_in_flight, self._journal
                )
            return self._made_flows

"""The state of the sandbox: its settings, and each request as a function of the time that has passed."""

import itertools
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, Never

from longcat.sandbox.behaviours import TimeSource
from longcat.sandbox.drifts import find_drifts
from longcat.sandbox.faults import MAX_FAULT_SECONDS, MAX_OWN_FAULTS, Fault, FaultTarget, strikes
from longcat.sandbox.picture import PLAIN, Look
from longcat.sandbox.queue.sister_variants import find_variants

EXAMPLE_ID: Final = "XXXXXXXXXXXXX"  # The example id of the result gateway's documentation: always known.
EXAMPLE_QUEUE_ID: Final = "longcat-image-498_019dxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"  # That of the queue gateway's.
EXAMPLE_KEY: Final = "your-subscription-key-here"  # The documentation's placeholder for the key.
MAX_REQUESTS: Final = 100_000  # Nothing is ever forgotten, so the state is bounded here.
MAX_ID: Final = 1024  # Characters: the id must fit into a URL.


class RequestOutcome(StrEnum):
    """The ends that a request may have."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ERROR = "error"  # A fault of the system, which is not charged.

    @classmethod
    def _missing_(cls, value: object) -> Never:
        raise ValueError(f"{value!r} is not a valid outcome")


class EmulatedGatewayName(StrEnum):
    """The gateway that answers for a request, of the two."""

    RESULT = "result"
    QUEUE = "queue"

    @classmethod
    def _missing_(cls, value: object) -> Never:
        raise ValueError(f"{value!r} is not a gateway: there are {', '.join(cls)}")

    @classmethod
    def of(cls, request_id: str) -> "EmulatedGatewayName":
        """Return the gateway whose documentation has ids of this form: `<model_id>_<uuid-like>` is the queue's."""
        return cls.QUEUE if re.fullmatch(r"[^_]+_[0-9A-Za-z]+(-[0-9A-Za-z]+){4}", request_id) else cls.RESULT


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The behaviour of the sandbox. Raises ValueError for a bad value."""

    api_key: str = EXAMPLE_KEY
    duration: float = 6.0  # Seconds from an order, or from the first question about a request, to its end.
    queued: float = 0.2  # The share of the duration for which the queue gateway says QUEUED.
    outcome: RequestOutcome = RequestOutcome.COMPLETED
    requests: tuple[str, ...] = ()  # Known ids, beside the documentation's examples.
    faults: tuple[Fault, ...] = ()  # For every request; those of a single request come before them.
    fault_every: int = 1  # Faults of orders strike every N-th order only.
    drifts: tuple[str, ...] = ()  # Names: how the gateway has changed. They work together, in their order.
    variants: tuple[str, ...] = ()  # Names: what sister models of the queue answer. They work together, in their order.
    rate_limit: int | None = None  # Calls answered in any one second, for all requests together.
    balance: Decimal | None = None  # US dollars that orders may cost. None: there is no end to it.
    disabled: bool = False  # Whether the model is disabled, so that no order is taken.
    small_pictures: bool = False  # Whether pictures are of some pixels only, which takes no time to draw.

    def __post_init__(self) -> None:
        if not self.api_key:
            raise ValueError("The sandbox's API key must not be empty.")
        if self.rate_limit is not None and self.rate_limit < 1:
            raise ValueError(f"The rate limit is 1 question a second or more, not {self.rate_limit}.")
        if not 0 <= self.queued <= 1:
            raise ValueError(f"The share of the time in the queue is between 0 and 1, not {self.queued}.")
        if self.fault_every < 1:
            raise ValueError(f"Faults strike every N-th order, and N is 1 or more, not {self.fault_every}.")
        if self.balance is not None and not (self.balance.is_finite() and self.balance >= 0):
            raise ValueError(f"The balance is an amount of US dollars, not {self.balance}.")
        find_drifts(self.drifts)
        find_variants(self.variants)
        for request_id in (EXAMPLE_ID, *self.requests):
            EmulatedRequest(request_id, self.duration, RequestOutcome(self.outcome))


@dataclass(slots=True)
class EmulatedRequest:
    """One image request: it starts with its order, or else with the first question, and takes `duration` seconds."""

    request_id: str
    duration: float
    outcome: RequestOutcome
    faults: tuple[Fault, ...] = ()
    common_faults: tuple[Fault, ...] = ()  # Those of all requests, which come after its own.
    gateway: EmulatedGatewayName = EmulatedGatewayName.RESULT
    pictures: int = 1
    look: Look = PLAIN
    asked: int = 0  # Valid status calls for it so far, those spoilt by a fault included.
    downloaded: int = 0  # The same for its pictures.
    called_back: int = 0  # The same for its webhook.
    started: float | None = field(default=None, repr=False)
    born: float = field(default=0.0, repr=False)  # Seconds since 1970.

    def __post_init__(self) -> None:
        if not (0 < len(self.request_id) <= MAX_ID and self.request_id.isprintable()):
            raise ValueError(f"A request id is 1 to {MAX_ID} printable characters, not {self.request_id[:40]!r}.")
        if not 0 <= self.duration <= MAX_FAULT_SECONDS:
            raise ValueError("A duration is between 0 seconds and a year.")

    def start(self, time: TimeSource) -> None:
        """Begin the work, unless it has begun."""
        if self.started is None:
            self.started = time.clock()
            self.born = time.wall()

    def is_over(self, now: float) -> bool:
        """Whether it has reached its outcome."""
        return self.started is not None and now - self.started >= self.duration

    def has_picture(self, now: float) -> bool:
        """Whether its pictures can be downloaded."""
        return self.outcome is RequestOutcome.COMPLETED and self.is_over(now)

    def next_fault(self, target: FaultTarget) -> Fault | None:
        """Count one more answer, download or callback, and return the fault that spoils it."""
        match target:
            case FaultTarget.PICTURE:
                nth, self.downloaded = self.downloaded, self.downloaded + 1
            case FaultTarget.WEBHOOK:
                nth, self.called_back = self.called_back, self.called_back + 1
            case _:
                nth, self.asked = self.asked, self.asked + 1
        return strikes((fault for fault in self._all_faults() if fault.target is target), nth)

    def _all_faults(self) -> Iterator[Fault]:
        return itertools.chain(self.faults, self.common_faults)

    def share(self, now: float) -> float:
        """Return the share of the duration that has passed, from 0 to 1."""
        begun = now if self.started is None else self.started
        return min((now - begun) / self.duration, 1.0) if self.duration else 1.0

    def progress(self, now: float) -> float:
        """Return p in [0, 0.99], rounded to 2 decimals, from x, the share of the duration that has passed.

        p = 0.7 x + 0.3 x^2 (3 - 2 x) + 0.015 (sin(6 pi x + a) - sin a), where a comes from the id: slow, quick, slow,
        with a little life; the slope is always positive. A request that will not complete gets to two thirds of that.
        """
        x = self.share(now)
        a = sum(map(ord, self.request_id))
        p = 0.7 * x + 0.3 * x * x * (3 - 2 * x) + 0.015 * (math.sin(6 * math.pi * x + a) - math.sin(a))
        return round(min(p, 0.99) * (1 if self.outcome is RequestOutcome.COMPLETED else 2 / 3), 2)

    def date(self, after: float = 0.0) -> datetime:
        """Return the moment so many seconds after its start, in UTC."""
        return datetime.fromtimestamp(self.born + after, UTC)

    def describe(self) -> dict[str, Any]:
        """Return it as the control calls show it."""
        described = {
            "request_id": self.request_id,
            "duration": self.duration,
            "outcome": self.outcome.value,
            "fault": ",".join(map(str, self._all_faults())) or None,
            "asked": self.asked,
            "downloaded": self.downloaded,
        }
        if self.gateway is EmulatedGatewayName.QUEUE:
            described |= {"pictures": self.pictures, "called_back": self.called_back}
        return described


@dataclass(frozen=True)
class NewRequest:
    """A request that is to be added. What is None comes from the settings; an id is made up."""

    request_id: str | None = None
    duration: float | None = None
    outcome: str | None = None
    fault: str | None = None
    gateway: str | None = None
    pictures: int = 1
    look: Look = PLAIN


class EmulatedRequests(dict[str, EmulatedRequest]):
    """All requests that the sandbox knows, by id. It forgets none, so whoever adds them must heed MAX_REQUESTS.

    Attributes:
        faults: those of every request that is added from now on.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self.faults = settings.faults
        self._numbers = itertools.count(1)
        for request_id in (EXAMPLE_ID, *settings.requests):
            self.add(NewRequest(request_id))

    def find(self, gateway: EmulatedGatewayName, request_id: str) -> EmulatedRequest | None:
        """Return the request of a gateway; None if this gateway has none of this id."""
        if request_id == EXAMPLE_QUEUE_ID and request_id not in self and gateway is EmulatedGatewayName.QUEUE:
            self.add(NewRequest(request_id))  # Always known, and listed once somebody has asked for it.
        found = self.get(request_id)
        return found if found and found.gateway is gateway else None

    def add(self, new: NewRequest) -> EmulatedRequest:
        """Add a request. Raises ValueError for a bad value."""
        settings, request_id = self._settings, new.request_id
        if request_id is None:
            request_id = next(name for n in self._numbers if (name := f"sandbox-{n:04}") not in self)
        request = EmulatedRequest(
            request_id,
            settings.duration if new.duration is None else new.duration,
            RequestOutcome(settings.outcome if new.outcome is None else new.outcome),
            Fault.parse_all(new.fault or "", MAX_OWN_FAULTS),
            self.faults,
            EmulatedGatewayName.of(request_id) if new.gateway is None else EmulatedGatewayName(new.gateway),
            new.pictures,
            new.look,
        )
        self[request_id] = request
        return request

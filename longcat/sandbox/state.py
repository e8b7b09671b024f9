"""The state of the sandbox: its settings, and each request as a function of the time that has passed."""

import itertools
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, Never

from longcat.sandbox.drifts import find_drifts
from longcat.sandbox.faults import LONGEST, Fault, TimeSource, strikes

EXAMPLE_ID: Final = "XXXXXXXXXXXXX"  # The documentation's example id: always known.
EXAMPLE_KEY: Final = "your-subscription-key-here"  # The documentation's placeholder for the key.
MOST_REQUESTS: Final = 100_000  # Nothing is ever forgotten, so the state is bounded here.
LONGEST_ID: Final = 1024  # Characters: the id must fit into a URL.


class RequestOutcome(StrEnum):
    """How a request ends."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @classmethod
    def _missing_(cls, value: object) -> Never:
        raise ValueError(f"{value!r} is not a valid outcome")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How the sandbox behaves. Raises ValueError for a bad value."""

    api_key: str = EXAMPLE_KEY
    duration: float = 6.0  # Seconds from the first status call for a request to its end.
    outcome: RequestOutcome = RequestOutcome.COMPLETED
    requests: tuple[str, ...] = ()  # Known ids, beside the documentation's example.
    faults: tuple[Fault, ...] = ()  # For every request; those of a single request come before them.
    drifts: tuple[str, ...] = ()  # Names: how the gateway has changed. They work together, in their order.
    rate_limit: int | None = None  # Status calls answered in any one second, for all requests together.

    def __post_init__(self) -> None:
        if not self.api_key:
            raise ValueError("The sandbox's API key must not be empty.")
        if self.rate_limit is not None and self.rate_limit < 1:
            raise ValueError(f"The rate limit is 1 question a second or more, not {self.rate_limit}.")
        find_drifts(self.drifts)
        for request_id in (EXAMPLE_ID, *self.requests):
            EmulatedRequest(request_id, self.duration, RequestOutcome(self.outcome))


@dataclass(slots=True)
class EmulatedRequest:
    """One image request: it starts with the first status call for it, and takes `duration` seconds."""

    request_id: str
    duration: float
    outcome: RequestOutcome
    faults: tuple[Fault, ...] = ()
    asked: int = 0  # Valid status calls for it so far, those spoilt by a fault included.
    downloaded: int = 0  # The same for its picture.
    started: float | None = field(default=None, repr=False)
    created_at: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if not (0 < len(self.request_id) <= LONGEST_ID and self.request_id.isprintable()):
            raise ValueError(f"A request id is 1 to {LONGEST_ID} printable characters, not {self.request_id[:40]!r}.")
        if not 0 <= self.duration <= LONGEST:
            raise ValueError("A duration is between 0 seconds and a year.")

    def start(self, time: TimeSource) -> None:
        """Begin the work, unless it has begun."""
        if self.started is None:
            self.started = time.clock()
            self.created_at = f"{datetime.fromtimestamp(int(time.wall()), UTC):%Y-%m-%dT%H:%M:%SZ}"

    def is_over(self, now: float) -> bool:
        """Whether it has reached its outcome."""
        return self.started is not None and now - self.started >= self.duration

    def has_picture(self, now: float) -> bool:
        """Whether its picture can be downloaded."""
        return self.outcome is RequestOutcome.COMPLETED and self.is_over(now)

    def next_fault(self, *, of_picture: bool) -> Fault | None:
        """Count one more answer, or one more download, and return the fault that spoils it."""
        nth = self.downloaded if of_picture else self.asked
        if of_picture:
            self.downloaded += 1
        else:
            self.asked += 1
        return strikes((fault for fault in self.faults if fault.of_picture is of_picture), nth)

    def progress(self, now: float) -> float:
        """Return p in [0, 0.99], rounded to 2 decimals, from x, the share of the duration that has passed.

        p = 0.7 x + 0.3 x^2 (3 - 2 x) + 0.015 (sin(6 pi x + a) - sin a), where a comes from the id: slow, quick, slow,
        with a little life; the slope is always positive. A request that will not complete gets to two thirds of that.
        """
        begun = now if self.started is None else self.started
        x = min((now - begun) / self.duration, 1.0) if self.duration else 1.0
        a = sum(map(ord, self.request_id))
        p = 0.7 * x + 0.3 * x * x * (3 - 2 * x) + 0.015 * (math.sin(6 * math.pi * x + a) - math.sin(a))
        return round(min(p, 0.99) * (1 if self.outcome is RequestOutcome.COMPLETED else 2 / 3), 2)

    def answer(self, now: float, result_url: str) -> dict[str, Any]:
        """Return the body of a truthful answer."""
        if not self.is_over(now):
            return {"status": "processing", "progress": self.progress(now), "request_id": self.request_id}
        if self.outcome is RequestOutcome.COMPLETED:
            return {
                "status": "completed",
                "progress": 1.0,
                "request_id": self.request_id,
                "result_url": result_url,
                "created_at": self.created_at,
                "duration_seconds": round(self.duration),
                "model_version": "longcat-v1.2",
            }
        # The page says that failures exist and gives no body for them. This one is a guess, after the words of the
        # queue gateway (`FAILED`, and `error`, a string), in this gateway's lower case.
        return {
            "status": self.outcome.value,
            "progress": self.progress(now),
            "request_id": self.request_id,
            "error": f"The sandbox was told that this request ends as {self.outcome.value}.",
        }

    def describe(self) -> dict[str, Any]:
        """Return it as the control calls show it."""
        return {
            "request_id": self.request_id,
            "duration": self.duration,
            "outcome": self.outcome.value,
            "fault": ",".join(map(str, self.faults)) or None,
            "asked": self.asked,
            "downloaded": self.downloaded,
        }


class Requests(dict[str, EmulatedRequest]):
    """All requests that the sandbox knows, by id. It forgets none, so whoever adds them must heed MOST_REQUESTS."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self._numbers = itertools.count(1)
        for request_id in (EXAMPLE_ID, *settings.requests):
            self.add(request_id)

    def add(
        self,
        request_id: str | None = None,
        duration: float | None = None,
        outcome: str | None = None,
        fault: str | None = None,
    ) -> EmulatedRequest:
        """Add a request. What is None comes from the settings; an id is made up. Raises ValueError for a bad value."""
        if request_id is None:
            request_id = next(name for n in self._numbers if (name := f"sandbox-{n:04}") not in self)
        request = EmulatedRequest(
            request_id,
            self._settings.duration if duration is None else duration,
            RequestOutcome(self._settings.outcome if outcome is None else outcome),
            (*map(Fault.parse, fault.split(",") if fault else ()), *self._settings.faults),
        )
        self[request_id] = request
        return request

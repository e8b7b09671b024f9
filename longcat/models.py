"""The values that the client returns: the state of a request, one answer about it, and the image that it yields."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from attrs import evolve, field, fields, frozen, has


class State(StrEnum):
    """The state of a request. Every word that is not documented means `UNKNOWN`."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"

    @classmethod
    def of(cls, word: str) -> "State":
        """Return the state that a word on the wire stands for, whatever its case."""
        return STATE_OF_WORD.get(word.casefold()) or cls.UNKNOWN

    @property
    def is_final(self) -> bool:
        """Whether the service will never change its answer again."""
        return self in FINAL


STATE_OF_WORD: Final[Mapping[str, State]] = MappingProxyType(
    {
        "queued": State.QUEUED,
        "processing": State.PROCESSING,
        # The words of the queue gateway's supplier, which some models' answers have.
        "in_queue": State.QUEUED,
        "in_progress": State.PROCESSING,
        "completed": State.COMPLETED,
        # The result gateway's page has no word for a failure. These are the queue gateway's, and the usual ones.
        "failed": State.FAILED,
        "error": State.FAILED,
        "cancelled": State.CANCELLED,
        "canceled": State.CANCELLED,
    }
)
FAILURES: Final = (State.FAILED, State.CANCELLED)
FINAL: Final = frozenset({State.COMPLETED, *FAILURES})


@frozen
class Image:
    """The image that a completed request yields: where the picture is, and how it came about.

    Attributes:
        request_id: the request that made it.
        url: where the first picture is. The service does not say for how long, nor that the key is needed there.
        urls: every picture of the request, at least one; `urls[0]` is `url`.
        created_at: when the service says it was made, with its time zone. None: the answer did not say.
        duration: how long the service says it took. None: the answer did not say.
        model_version: the model's name for itself, such as `longcat-v1.2`. None: the answer did not say.
    """

    request_id: str
    url: str
    urls: tuple[str, ...]
    created_at: datetime | None = None
    duration: timedelta | None = None
    model_version: str | None = None


@frozen
class Status:
    """One answer about a request at one moment. Two are equal when they tell a caller the same.

    Attributes:
        request_id: the request that was asked about.
        state: where it stands.
        raw_state: the word on the wire that `state` was read from.
        progress: from 0.0 to 1.0. None: the answer did not say.
        image: what the request yielded. None unless `state` is `COMPLETED`.
        error: why the request failed, in the service's words. None: it did not fail, or no reason was given.
        raw: the generated model of a documented answer, the decoded body of any other. Unknown fields are kept.
    """

    request_id: str
    state: State
    raw_state: str
    progress: float | None = None
    image: Image | None = None
    error: str | None = None
    raw: Any = field(default=None, eq=False, repr=False)

    def compact(self, most: int) -> "Status":
        """Return it without a raw answer that has more than so many characters and values, and with shorter texts."""
        return evolve(
            self,
            raw_state=self.raw_state[:most],
            error=self.error and self.error[:most],
            raw=None if _is_larger(self.raw, most) else self.raw,
        )


@frozen
class OrderRequest:
    """An order that is to be sent.

    Attributes:
        prompt: what the pictures should show.
        options: the other fields of the order, by their documented names; only those that are sent.
        id: the caller's own name for the order. With a journal, an order of the same name is not sent twice. None: it
            has none.
        webhook_url: where the gateway posts the status. None: nowhere.
        webhook_mode: how often it does: `terminal` or `sync`. None: as the gateway chooses.
    """

    prompt: str
    options: Mapping[str, Any] = field(factory=dict, hash=False)
    id: str | None = None
    webhook_url: str | None = None
    webhook_mode: str | None = None

    @property
    def body(self) -> dict[str, Any]:
        """The fields as they are sent."""
        return {"prompt": self.prompt, **self.options}

    @property
    def pictures(self) -> int:
        """The number of pictures that are ordered."""
        return max(int(self.options.get("num_images", 1)), 1)


@frozen
class Order:
    """An order that the gateway took.

    Attributes:
        request_id: the request that came of it. It names the request from now on, also in other programs.
        status: how the request stood in the answer to the order; queued if the journal knew the order already, and
            nobody was asked.
        polling_url: where the gateway says that the status can be asked for. A hint: the client asks the gateway that
            it knows, and sends the key nowhere else. None: the answer did not say.
    """

    request_id: str
    status: Status
    polling_url: str | None = None


@frozen
class Violation:
    """One difference between an answer and the contract.

    Attributes:
        pointer: where in the body, as a JSON pointer (RFC 6901); empty for the body itself.
        expected: what the contract wants there, in words.
        seen: what stands there, cut short.
    """

    pointer: str
    expected: str
    seen: str

    def __str__(self) -> str:
        return f"{self.pointer or 'the body'} should be {self.expected}, but is {self.seen}"


@frozen
class Pause:
    """A time in which a client asks nothing, because the gateway refused a question.

    Attributes:
        seconds: how long it is.
        began: when it began, in seconds since the epoch.
        asked: how many seconds the gateway asked for, which may be more or fewer. None: it did not say.
    """

    seconds: float
    began: float
    asked: float | None = None

    def __str__(self) -> str:
        try:
            when = f" at {datetime.fromtimestamp(self.began, UTC):%Y-%m-%dT%H:%M:%SZ}"
        except (ValueError, OverflowError, OSError):  # A clock of the caller's may tell any time.
            when = ""
        if self.asked is None or self.asked < self.seconds:
            return f"the gateway answered 429{when}, and is left alone for {self.seconds:.1f} s"
        kept = f", of which longcat keeps to {self.seconds:.0f} s" if self.asked > self.seconds else ""
        return f"the gateway asked{when} to be left alone for {self.asked:.15g} s{kept}"


def _is_larger(value: Any, most: int) -> bool:
    """Whether a decoded answer, or the generated model of one, has more characters and values than that."""
    left, parts = most, [value]
    while parts and left >= 0:
        part = parts.pop()
        left -= 1
        if isinstance(part, str | bytes):
            left -= len(part)
        elif isinstance(part, Mapping):
            parts += [*part.keys(), *part.values()]
        elif isinstance(part, list | tuple):
            parts += part
        elif has(type(part)):
            parts += [getattr(part, one.name) for one in fields(type(part))]
    return left < 0

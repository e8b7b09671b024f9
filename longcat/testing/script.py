"""The script of one request of a fake gateway, and the answers about it at each moment."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from http.client import responses
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import quote

import httpx
from attrs import define, field

from longcat.errors import ConfigurationError
from longcat.models import State
from longcat.testing.picture import draw
from longcat.text import show

Shape: TypeAlias = Literal["linear", "eased", "stepped", "stuck"]
Progress: TypeAlias = Shape | Callable[[float], float] | None
"""How progress grows: the name of a shape, or a function from the share of the time to the progress, both from 0 to 1.

None: it stays 0 until the request is done. To leave it out would break the contract; `answer` can do that.
"""
Reaction: TypeAlias = Callable[[httpx.Request], httpx.Response]
ScriptedFault: TypeAlias = int | httpx.Response | Exception | Reaction
"""What comes instead of a good answer: a status code from 400 to 599, any response, what the transport raises, or a
function that is called with the request and returns the response.
"""
Pictures: TypeAlias = bytes | Sequence[bytes] | None
"""The bytes of a picture, or of each of several. None: a small PNG, different for each."""
STORAGE: Final = "https://storage.test/results/"
"""Where the pictures are. Names that end in `.test` lead nowhere, should a test ask outside."""
MODEL: Final = "longcat-image-498"
SHAPES: Final[Mapping[str, Callable[[float], float]]] = {
    "linear": lambda share: share,
    "eased": lambda share: share * share * (3 - 2 * share),
    "stepped": lambda share: math.floor(4 * share) / 4,
    "stuck": lambda share: min(share, 0.9),
}
BODIES: Final[Mapping[int, Mapping[str, str]]] = {
    400: {"error": "Invalid request parameters"},
    401: {"error": "Invalid or missing authentication"},
    402: {"error": "Insufficient Balance", "message": "Your wallet does not have enough balance."},
    403: {"error": "Access denied for this operation"},
    404: {"error": "Endpoint not found"},
    429: {"error": "Rate limit exceeded, please retry later"},
    500: {"error": "An unexpected error occurred, please try again later"},
}
"""The documented errors, in the documentation's words: the queue gateway's for 402, and the result gateway's for all
others, as the queue gateway's page shows no body of theirs."""
DROPPED: Final = frozenset({"content-encoding", "content-length", "transfer-encoding"})
"""Headers that are wrong once a body has been read and unpacked."""


def refusal(code: int, retry_after: float | None = None) -> httpx.Response:
    """Return the answer with an error's status code: the documented body, or the HTML page of a CDN for other codes.

    Args:
        code: from 400 to 599.
        retry_after: the seconds in the header `Retry-After`. None: no such header; the page documents none.

    Raises:
        ConfigurationError: it is no such code, or no such time.
    """
    if not 400 <= code <= 599:  # noqa: PLR2004 - the codes that mean no.
        raise ConfigurationError(
            f"A fault's status code is from 400 to 599, not {code}. Pass an httpx.Response instead."
        )
    headers = {} if retry_after is None else {"Retry-After": f"{seconds('retry_after', retry_after):.15g}"}
    if code in BODIES:
        return httpx.Response(code, headers=headers, json=BODIES[code])
    title = f"{code} {responses.get(code, '')}".rstrip()  # The CDN has codes of its own.
    page = f"<!doctype html><html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
    return httpx.Response(code, headers=headers, html=page)


def react(fault: ScriptedFault, request: httpx.Request) -> httpx.Response:
    """Return the answer that a fault gives to a request, or raise what it raises."""
    if isinstance(fault, Exception):
        raise fault
    if isinstance(fault, int):
        return refusal(fault)
    return _fresh(fault if isinstance(fault, httpx.Response) else fault(request))


def _fresh(response: httpx.Response) -> httpx.Response:
    """Return a copy of a response, which httpx may change; a body that is a stream is the same stream."""
    try:
        content = response.content
    except httpx.ResponseNotRead:
        return httpx.Response(response.status_code, headers=response.headers, stream=response.stream)
    headers = [(name, value) for name, value in response.headers.multi_items() if name.lower() not in DROPPED]
    return httpx.Response(response.status_code, headers=headers, content=content)


@define(kw_only=True)
class Script:
    """One request of a fake gateway. `FakeGateway.request` says what the other arguments mean.

    Attributes:
        request_id: its id. Empty: it is yet to be ordered.
        began: when it was scripted or ordered, in seconds on the clock.
        created: the same moment, in seconds since the epoch.
        count: how many pictures it has, unless `picture` has several.
        pictures: their bytes.
        urls: where they are, once it is completed.
    """

    request_id: str = ""
    began: float = 0.0
    created: float = 0.0
    count: int = 1
    takes: float = 0.0
    progress: Progress = "linear"
    words: Mapping[str, float] = field(factory=dict)
    ends: str | None = None
    fails: str | None = None
    faults: deque[ScriptedFault] = field(factory=deque)
    picture: Pictures = None
    answer: Reaction | None = None
    pictures: tuple[bytes, ...] = field(init=False, repr=False)
    urls: tuple[str, ...] = field(init=False)
    _shape: Callable[[float], float] = field(init=False, repr=False)
    _end: str = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.takes = seconds("takes", self.takes)
        self._shape = _shape(self.progress)
        self._check_words()
        if self.fails is not None and _means(self.ends, State.COMPLETED):
            raise ConfigurationError("A completed request has no reason to fail. Leave out ends, or fails.")
        self._end = self.ends or ("completed" if self.fails is None else "failed")
        check_faults(self.faults)
        self.pictures = self._pictures()
        names = [self.request_id] if len(self.pictures) == 1 else self._numbered(len(self.pictures))
        self.urls = tuple(map(_url, names))

    @property
    def is_free(self) -> bool:
        """Whether it ends in the one way that is documented as not charged."""
        return self._end.casefold() == "error"

    def is_completed(self, now: float) -> bool:
        """Whether it has a picture at this moment on the clock."""
        return _means(self.word(now), State.COMPLETED)

    def word(self, now: float) -> str:
        """Return the status word at this moment on the clock."""
        age = now - self.began
        if age >= self.takes:
            return self._end
        for word, lasts in self.words.items():
            if age < lasts:
                return word
            age -= lasts
        return "processing"

    def result_body(self, now: float) -> dict[str, Any]:
        """Return the body of the result gateway's good answer at this moment on the clock."""
        word = self.word(now)
        body: dict[str, Any] = {"status": word, "request_id": self.request_id}
        if _means(word, State.COMPLETED):
            created = f"{datetime.fromtimestamp(int(self.created), UTC):%Y-%m-%dT%H:%M:%SZ}"
            about = {"created_at": created, "duration_seconds": self.takes, "model_version": "longcat-v1.2"}
            return {**body, "progress": 1.0, "result_url": self.urls[0], **about}
        if _means(word, State.PROCESSING):
            return {**body, "progress": self._progress(now)}
        if self.fails is not None and word == self._end:
            return {**body, "error": self.fails}
        return body

    def queue_body(self, now: float) -> dict[str, Any]:
        """Return the body of the queue gateway's good answer at this moment on the clock: its words are in capitals."""
        word = self.word(now)
        reason = self.fails if word == self._end else None
        body = {"request_id": self.request_id, "status": word.upper(), "model_id": MODEL, "error": reason}
        if not _means(word, State.COMPLETED):
            return {**body, "output": None}
        ended = _date(self.created + self.takes)
        return {
            **body,
            "output": {"media_url": [*self.urls], "media_type": "image/png"},
            "created_at": _date(self.created),
            "updated_at": ended,
            "completed_at": ended,
        }

    def _pictures(self) -> tuple[bytes, ...]:
        if isinstance(self.picture, bytes):
            return (self.picture,) * self.count
        if self.picture is None:
            names = [self.request_id] if self.count == 1 else self._numbered(self.count)
            return tuple(draw(name) for name in names)
        several: Any = self.picture
        if not isinstance(several, Sequence) or not several or not all(isinstance(one, bytes) for one in several):
            raise ConfigurationError(
                f"A picture is its bytes, or the bytes of each of several, not {show(several)}. Pass such bytes."
            )
        return tuple(several)

    def _numbered(self, count: int) -> list[str]:
        """Return a name for each of several pictures."""
        return [f"{self.request_id}-{number}" for number in range(1, count + 1)]

    def _progress(self, now: float) -> float:
        share = min((now - self.began) / self.takes, 1.0) if self.takes else 1.0
        value = self._shape(share)
        if not 0 <= value <= 1:
            raise ConfigurationError(
                f"The progress of {show(self.request_id)} is {value} at the share {share:g} of its time, and the"
                " contract takes 0 to 1 only. Change the function, or script the whole answer with answer=."
            )
        return round(value, 4)

    def _check_words(self) -> None:
        for word, lasts in self.words.items():
            if State.of(word).is_final:
                raise ConfigurationError(f"The word {show(word)} is final, and can't come first. Pass it as ends.")
            seconds(f"The time of the word {show(word)}", lasts)
        if sum(self.words.values()) > self.takes:
            raise ConfigurationError(
                f"The words last {sum(self.words.values()):g} s, and the request takes {self.takes:g} s only. Let it"
                " take longer."
            )


def seconds(name: str, value: Any) -> float:
    """Return a number of seconds, zero or more, or raise ConfigurationError with the name of the argument."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise ConfigurationError(f"{name} is zero or more seconds, not {show(value)}. Pass such a number.")
    return value


@lru_cache(maxsize=1024)
def _url(name: str) -> str:
    """Return where the picture of this name is."""
    return str(httpx.URL(f"{STORAGE}{quote(name, safe='')}.png"))


def _date(moment: float) -> str:
    """Return a moment, in seconds since the epoch, as the queue gateway's page writes it."""
    return f"{datetime.fromtimestamp(moment, UTC).isoformat(timespec='milliseconds').removesuffix('+00:00')}Z"


def _means(word: str | None, state: State) -> bool:
    return word is not None and State.of(word) is state


def _shape(progress: Progress) -> Callable[[float], float]:
    if progress is None:
        return lambda _: 0.0
    if callable(progress):
        return progress
    if progress not in SHAPES:
        names = ", ".join(SHAPES)
        raise ConfigurationError(f"There is no progress {show(progress)}. Pass one of {names}, a function, or None.")
    return SHAPES[progress]


def check_faults(faults: Iterable[Any]) -> None:
    """Raise ConfigurationError for what is no fault."""
    for fault in faults:
        if isinstance(fault, int):
            refusal(fault)
        elif not (isinstance(fault, httpx.Response | Exception) or callable(fault)) or isinstance(fault, type):
            raise ConfigurationError(
                f"A fault is a status code, an httpx.Response, an exception or a function, not {show(fault)}. Pass one"
                " of these; an exception with its message, as in httpx.ReadTimeout('late')."
            )

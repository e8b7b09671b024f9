"""The faults that can come between a caller and the gateways, by name.

A fault is written `NAME[:COUNT[:SECONDS]]`. It spoils the first COUNT answers about each request (3 unless told, or
`all`); faults given together follow one another. It stands in place of an answer that would have been good, so what the
caller did wrong is still told. Where the sentence of a fault says BYTES or CODE, that stands in the place of SECONDS.

The beginning of a name says what it spoils:

- `order-`: orders, the first COUNT of all. Each fault says whether the gateway took the order, so that a request began.
- `picture-`: downloads of the pictures.
- `webhook-`: callbacks, the first COUNT of each request.
- any other: answers to questions, of both gateways.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from starlette.responses import Response
from starlette.types import ASGIApp

from longcat.sandbox.behaviours import (
    Behaviour,
    CallbackBehaviour,
    TimeSource,
    break_off,
    break_off_after_bytes,
    close,
    edited,
    edited_callback,
    late,
    never,
    page,
    page_of_code,
    rate_limited,
    repeated,
    reset,
    respond,
    retry_after,
    retry_after_date,
    silence,
    spread,
    unavailable,
    with_fields,
)
from longcat.sandbox.bodies import error
from longcat.sandbox.name_lookup import similar

MAX_FAULTS: Final = 1000
"""Of the list for all requests, which they share."""
MAX_OWN_FAULTS: Final = 20
"""Of one request's own list."""
MAX_FAULT_SECONDS: Final = 365 * 86_400  # No duration and no delay is longer than a year, in seconds.


class FaultTarget(StrEnum):
    """The things that a fault may spoil: the beginning of its name says which."""

    STATUS = "status"
    ORDER = "order"
    PICTURE = "picture"
    WEBHOOK = "webhook"


@dataclass(frozen=True)
class FaultUnit:
    """The number of a fault: its name, with the verb, and its limits."""

    name: str
    verb: str
    lowest: float
    highest: float
    limits: str
    whole: bool = True


SECONDS: Final = FaultUnit("seconds", "are", 0, MAX_FAULT_SECONDS, "between 0 and a year", whole=False)
BYTES: Final = FaultUnit("bytes", "are", 0, 65_536, "between 0 and 65536")
CODE: Final = FaultUnit("status code", "is", 300, 599, "between 300 and 599")


@dataclass(frozen=True)
class FaultKind:
    """The effect of a fault, under its name in `FAULTS`.

    Attributes:
        behaviour: what it does to an answer. None: it spoils callbacks.
        number: the fault's number when none is given. None: the fault takes none.
        takes: whether the gateway takes the order that the fault spoils.
    """

    sentence: str
    behaviour: Behaviour | None
    number: float | None = None
    unit: FaultUnit = SECONDS
    takes: bool = True
    callbacks: CallbackBehaviour | None = None


@dataclass(frozen=True)
class Fault:
    """A fault by name, and how often it strikes."""

    name: str
    count: int | None = 3  # None: every answer.
    number: float | None = None  # None: as the table says.

    def __post_init__(self) -> None:
        if (kind := FAULTS.get(self.name)) is None:
            hint = similar(self.name, FAULTS)
            raise ValueError(f"There is no fault {self.name[:40]!r}. {hint}The faults are: {', '.join(FAULTS)}.")
        if self.count is not None and self.count < 1:
            raise ValueError(f"The fault {self.name} strikes once or more, or 'all' answers, not {self.count} times.")
        if self.number is None:
            return
        if kind.number is None:
            raise ValueError(f"The fault {self.name} takes no {kind.unit.name}.")
        unit = kind.unit
        if not unit.lowest <= self.number <= unit.highest or (unit.whole and self.number != int(self.number)):
            raise ValueError(f"The {unit.name} of the fault {self.name} {unit.verb} {unit.limits}, not {self.number}.")

    @classmethod
    def parse_all(cls, text: str, most: int = MAX_FAULTS) -> tuple[Self, ...]:
        """Read faults that are separated by commas. Raises ValueError when there are more than `most`."""
        texts = text.split(",") if text else []
        if len(texts) > most:
            raise ValueError(f"{len(texts)} faults are more than {most}, which is the limit here. Give fewer.")
        return tuple(map(cls.parse, texts))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `NAME[:COUNT[:SECONDS]]`; a mistake is a ValueError with a readable message."""
        name, _, rest = text.partition(":")
        count, _, number = rest.partition(":")
        try:
            times = None if count == "all" else int(count) if count else cls.count
            value = float(number) if number else None
        except ValueError:
            raise ValueError(
                f"A fault is written NAME[:COUNT[:SECONDS]], such as slow:2:0.5; not {text[:60]!r}."
            ) from None
        return cls(name, times, value)

    def __str__(self) -> str:
        number = "" if self.number is None else f":{self.number:g}"
        return f"{self.name}:{'all' if self.count is None else self.count}{number}"

    @property
    def target(self) -> FaultTarget:
        """The thing that it spoils."""
        prefix = self.name.partition("-")[0]
        return FaultTarget(prefix) if prefix in list(FaultTarget) else FaultTarget.STATUS

    @property
    def takes(self) -> bool:
        """Whether the gateway takes the order that the fault spoils."""
        return FAULTS[self.name].takes

    def spoil(self, answer: Response, time: TimeSource) -> ASGIApp:
        """Return what is sent in place of the honest answer."""
        kind = FAULTS[self.name]
        if kind.behaviour is None:
            raise ValueError(f"The fault {self.name} spoils no answers.")
        return kind.behaviour(answer, self._number(kind), time)

    def callbacks(self, body: bytes) -> list[tuple[float, bytes]]:
        """Return what is sent in place of the honest callback, each after so many seconds."""
        kind = FAULTS[self.name]
        if kind.callbacks is None:
            raise ValueError(f"The fault {self.name} spoils no callbacks.")
        return kind.callbacks(body, self._number(kind))

    def _number(self, kind: FaultKind) -> float:
        return kind.number or 0.0 if self.number is None else self.number


def strikes(faults: Iterable[Fault], nth: int) -> Fault | None:
    """Return the fault that spoils answer number `nth`, counted from 0, or None when they are all spent."""
    for fault in faults:
        if fault.count is None or nth < fault.count:
            return fault
        nth -= fault.count
    return None


def _server_error() -> Response:
    return error(500, "An unexpected error occurred, please try again later")


_FORBIDDEN: Final = respond(lambda: error(403, "Access denied for this operation"))
_CHALLENGE: Final = page(403, "Just a moment...", {"cf-mitigated": "challenge"})
_CUT_JSON: Final = edited(lambda body: body[: len(body) // 2])
_MALFORMED_JSON: Final = edited(lambda body: body.replace(b'"', b"'"))

_STATUS: Final[Mapping[str, FaultKind]] = {
    "slow": FaultKind("The answer comes SECONDS late.", spread(1), 2.0),
    "drip": FaultKind("The body arrives byte by byte, over SECONDS.", spread(None), 3.0),
    "rate-limit": FaultKind("429 with a Retry-After of SECONDS.", retry_after(rate_limited), 1.0),
    "rate-limit-date": FaultKind("429 with a Retry-After that is a date, SECONDS ahead.", retry_after_date, 2.0),
    "rate-limit-bare": FaultKind("429 without a Retry-After, as documented.", respond(rate_limited)),
    "forbidden": FaultKind("403 with the documented body.", _FORBIDDEN),
    "not-found": FaultKind("404, as if the request were not visible yet.", respond(lambda: error(404, "Not found"))),
    "server-error": FaultKind("500 with the documented body.", respond(_server_error)),
    "cdn-522": FaultKind("522 and an HTML page of the CDN in front.", page(522, "522: the origin did not answer")),
    "challenge": FaultKind("403 and an HTML page of the CDN in front, meant for browsers.", _CHALLENGE),
    "html": FaultKind("200 and an HTML page.", page(200, "Welcome")),
    "empty-body": FaultKind("200 and no body.", edited(lambda _: b"")),
    "cut-json": FaultKind("A whole HTTP answer whose JSON stops half-way.", _CUT_JSON),
    "malformed-json": FaultKind("JSON with the wrong quotation marks.", _MALFORMED_JSON),
    "unknown-status": FaultKind("A status word that nobody documented: paused.", edited(with_fields(status="paused"))),
    "hang-up": FaultKind("The connection is closed without an answer.", break_off(close, after=0)),
    "cut-body": FaultKind("The connection is closed half-way through the body.", break_off(close, after=0.5)),
    "reset": FaultKind(
        "The connection is reset (TCP RST) half-way through the body.",
        break_off(reset, after=0.5),
    ),
}

_NOT_TAKEN: Final[Mapping[str, FaultKind]] = {
    "order-unread": FaultKind(
        "The connection is closed before the body is read. Not taken.",
        break_off(close, after=0),
        takes=False,
    ),
    "order-hang-up": FaultKind(
        "The connection is closed without an answer. Not taken.",
        break_off(close, after=0),
        takes=False,
    ),
    "order-silence": FaultKind("No answer for SECONDS, then a hang-up. Not taken.", silence, 600.0, takes=False),
    "order-rate-limit": FaultKind(
        "429 with a Retry-After of SECONDS. Not taken.",
        retry_after(rate_limited),
        1.0,
        takes=False,
    ),
    "order-rate-limit-date": FaultKind(
        "429 with a Retry-After that is a date, SECONDS ahead. Not taken.",
        retry_after_date,
        2.0,
        takes=False,
    ),
    "order-rate-limit-bare": FaultKind("429 without a Retry-After. Not taken.", respond(rate_limited), takes=False),
    "order-unavailable": FaultKind(
        "503 with a Retry-After of SECONDS. Not taken.",
        retry_after(unavailable),
        1.0,
        takes=False,
    ),
    "order-unavailable-bare": FaultKind("503 without a Retry-After. Not taken.", respond(unavailable), takes=False),
    "order-server-error": FaultKind("500 and a JSON body. Not taken.", respond(_server_error), takes=False),
    "order-status": FaultKind("An HTML page with the status CODE. Not taken.", page_of_code, 502, CODE, takes=False),
    "order-forbidden": FaultKind("403 and a JSON body. Not taken.", _FORBIDDEN, takes=False),
    "order-challenge": FaultKind("403 and an HTML page of the CDN in front. Not taken.", _CHALLENGE, takes=False),
}

_TAKEN: Final[Mapping[str, FaultKind]] = {
    "order-slow": FaultKind("Taken; the answer comes SECONDS late.", spread(1), 2.0),
    "order-drip": FaultKind("Taken; the body arrives byte by byte, over SECONDS.", spread(None), 3.0),
    "order-hang-up-taken": FaultKind("Taken; the connection is closed without an answer.", break_off(close, after=0)),
    "order-silence-taken": FaultKind("Taken; no answer for SECONDS, then a hang-up.", silence, 600.0),
    "order-cut": FaultKind(
        "Taken; the connection is closed after BYTES of the answer, its head included.",
        break_off_after_bytes(close),
        100,
        BYTES,
    ),
    "order-reset": FaultKind(
        "Taken; the connection is reset (TCP RST) after BYTES of the answer, its head included.",
        break_off_after_bytes(reset),
        100,
        BYTES,
    ),
    "order-server-error-taken": FaultKind("Taken; the answer is 500 and a JSON body.", respond(_server_error)),
    "order-unavailable-taken": FaultKind("Taken; the answer is 503 without a Retry-After.", respond(unavailable)),
    "order-status-taken": FaultKind("Taken; the answer is an HTML page with the status CODE.", page_of_code, 502, CODE),
    "order-html": FaultKind("Taken; the answer is 200 and an HTML page.", page(200, "Welcome")),
    "order-empty-body": FaultKind("Taken; the answer is 202 and no body.", edited(lambda _: b"")),
    "order-cut-json": FaultKind("Taken; the answer is 202 and JSON that stops half-way.", _CUT_JSON),
    "order-malformed-json": FaultKind("Taken; the answer is 202 and no JSON.", _MALFORMED_JSON),
    "order-no-id": FaultKind(
        "Taken; the answer is 202 and JSON without a request_id.",
        edited(with_fields(request_id=None, polling_url=None)),
    ),
}

_PICTURE: Final[Mapping[str, FaultKind]] = {
    "picture-html": FaultKind("The picture's URL serves an HTML page, with 200.", page(200, "Sign in")),
    "picture-404": FaultKind("The picture's URL answers 404, with an HTML page.", page(404, "Not found")),
    "picture-cut": FaultKind("The connection is closed half-way through the picture.", break_off(close, after=0.5)),
    "picture-slow": FaultKind("The picture arrives in 20 pieces, over SECONDS.", spread(20), 3.0),
}

_WEBHOOK: Final[Mapping[str, FaultKind]] = {
    "webhook-never": FaultKind("The callback is not sent.", None, callbacks=never),
    "webhook-repeated": FaultKind("The callback is sent twice.", None, callbacks=repeated),
    "webhook-late": FaultKind(
        "The callback is sent SECONDS late; the next one may overtake it.", None, 20.0, callbacks=late
    ),
    "webhook-forged": FaultKind(
        "The callback says COMPLETED, whatever is true.",
        None,
        callbacks=edited_callback(with_fields(status="COMPLETED")),
    ),
    "webhook-malformed": FaultKind(
        "The callback's JSON stops half-way.",
        None,
        callbacks=edited_callback(lambda body: body[: len(body) // 2]),
    ),
}

FAULTS: Final[Mapping[str, FaultKind]] = {**_STATUS, **_NOT_TAKEN, **_TAKEN, **_PICTURE, **_WEBHOOK}

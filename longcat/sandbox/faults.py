"""What can go wrong between a caller and the gateway, by name.

A fault is written `NAME[:COUNT[:SECONDS]]`: it spoils the first COUNT answers about each request (3 unless told, or
`all`); faults given together follow one another. It stands in place of an answer that would have been 200, so what the
caller did wrong is still told. Names that begin with `picture-` spoil downloads of the picture, the others answers.
"""

import asyncio
import difflib
import json
import math
import socket
import struct
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from enum import StrEnum
from typing import Final, Self

import anyio
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from longcat.sandbox.bodies import JSON, error

LONGEST: Final = 365 * 86_400  # No duration and no delay is longer than a year, in seconds.
TRANSPORT: Final = "longcat.sandbox.transport"  # Where the server leaves the connection, in the scope's state.


@dataclass(frozen=True)
class TimeSource:
    """Time as the sandbox knows it, injected, so that tests run in virtual time."""

    clock: Callable[[], float]  # Seconds, never going back.
    wall: Callable[[], float]  # Seconds since 1970.
    sleep: Callable[[float], Awaitable[None]]


class FaultTarget(StrEnum):
    """What a fault spoils: the prefix of its name says so, and a name without one spoils answers to questions."""

    STATUS = "status"
    ORDER = "order"
    PICTURE = "picture"
    WEBHOOK = "webhook"


# Takes the honest answer and SECONDS, returns what is sent instead.
Behaviour = Callable[[Response, float, TimeSource], ASGIApp]


@dataclass(frozen=True)
class FaultKind:
    """What a fault does to an answer, under its name in `FAULTS`."""

    sentence: str
    behaviour: Behaviour
    seconds: float | None = None  # SECONDS when not given; None: the fault takes none.


@dataclass(frozen=True)
class Fault:
    """A fault by name, and how often it strikes each request."""

    name: str
    count: int | None = 3  # None: every answer.
    seconds: float | None = None  # None: as the table says.

    def __post_init__(self) -> None:
        if (kind := FAULTS.get(self.name)) is None:
            near = difflib.get_close_matches(self.name, FAULTS, n=1)
            hint = f"Did you mean {near[0]}? " if near else ""
            raise ValueError(f"There is no fault {self.name[:40]!r}. {hint}The faults are: {', '.join(FAULTS)}.")
        if self.count is not None and self.count < 1:
            raise ValueError(f"The fault {self.name} strikes once or more, or 'all' answers, not {self.count} times.")
        if self.seconds is not None and kind.seconds is None:
            raise ValueError(f"The fault {self.name} takes no seconds.")
        if self.seconds is not None and not 0 <= self.seconds <= LONGEST:
            raise ValueError(f"The seconds of the fault {self.name} are between 0 and a year, not {self.seconds}.")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `NAME[:COUNT[:SECONDS]]`; a mistake is a ValueError with a readable message."""
        name, _, rest = text.partition(":")
        count, _, seconds = rest.partition(":")
        try:
            times = None if count == "all" else int(count) if count else cls.count
            delay = float(seconds) if seconds else None
        except ValueError:
            raise ValueError(
                f"A fault is written NAME[:COUNT[:SECONDS]], such as slow:2:0.5; not {text[:60]!r}."
            ) from None
        return cls(name, times, delay)

    def __str__(self) -> str:
        delay = "" if self.seconds is None else f":{self.seconds:g}"
        return f"{self.name}:{'all' if self.count is None else self.count}{delay}"

    @property
    def target(self) -> FaultTarget:
        """What it spoils."""
        prefix = self.name.partition("-")[0]
        return FaultTarget(prefix) if prefix in list(FaultTarget) else FaultTarget.STATUS

    def spoil(self, answer: Response, time: TimeSource) -> ASGIApp:
        """Return what is sent in place of the honest answer."""
        kind = FAULTS[self.name]
        return kind.behaviour(answer, kind.seconds or 0.0 if self.seconds is None else self.seconds, time)


def strikes(faults: Iterable[Fault], nth: int) -> Fault | None:
    """Return the fault that spoils answer number `nth`, counted from 0, or None when they are all spent."""
    for fault in faults:
        if fault.count is None or nth < fault.count:
            return fault
        nth -= fault.count
    return None


def rate_limited(headers: Mapping[str, str] | None = None) -> Response:
    """Return the documented 429; the page names no header that would say how long to wait."""
    return error(429, "Rate limit exceeded, please retry later", headers)


# --- What the faults do.


def _instead(make: Callable[[], Response]) -> Behaviour:
    return lambda _answer, _seconds, _time: make()


def _page(status: int, title: str, headers: Mapping[str, str] | None = None) -> Behaviour:
    text = f"<!DOCTYPE html>\n<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n"
    return _instead(lambda: Response(text, status, headers, "text/html"))


def _retry_after(_answer: Response, seconds: float, _time: TimeSource) -> ASGIApp:
    return rate_limited({"Retry-After": str(math.ceil(seconds))})


def _retry_after_date(_answer: Response, seconds: float, time: TimeSource) -> ASGIApp:
    return rate_limited({"Retry-After": formatdate(math.ceil(time.wall() + seconds), usegmt=True)})


def _edited(edit: Callable[[bytes], bytes]) -> Behaviour:
    """Send another body, made of the honest one."""
    return lambda answer, _seconds, _time: Response(edit(bytes(answer.body)), media_type=JSON)


def _unknown_status(body: bytes) -> bytes:
    return json.dumps({**json.loads(body), "status": "paused"}).encode()


def _until_gone(app: ASGIApp) -> ASGIApp:
    """Stop the answer as soon as its reader is gone, so that nothing slow outlives its connection."""

    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        async def watch() -> None:
            await _goodbye(receive)
            group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            await app(scope, receive, send)
            group.cancel_scope.cancel()

    return watched


async def _goodbye(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _start(answer: Response) -> dict[str, object]:
    return {"type": "http.response.start", "status": answer.status_code, "headers": answer.raw_headers}


def _part(body: bytes, *, more: bool = True) -> dict[str, object]:
    return {"type": "http.response.body", "body": body, "more_body": more}


def _spread(pieces: int | None) -> Behaviour:
    """Send the answer in so many pieces, or byte by byte, each after its share of SECONDS."""

    def behaviour(answer: Response, seconds: float, time: TimeSource) -> ASGIApp:
        body = bytes(answer.body)
        step = max(1, len(body) // (pieces or len(body)))
        starts = range(0, len(body), step)

        async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
            for start in starts:
                await time.sleep(seconds / len(starts))
                if start == 0:
                    await send(_start(answer))
                await send(_part(body[start : start + step]))
            await send(_part(b"", more=False))

        return _until_gone(app)

    return behaviour


def _transport(scope: Scope) -> asyncio.Transport:
    transport: asyncio.Transport | None = scope.get("state", {}).get(TRANSPORT)
    if transport is None:
        raise RuntimeError("This fault needs a real connection: run the sandbox with serve() or running().")
    return transport


def _close(transport: asyncio.Transport) -> None:
    transport.close()


def _reset(transport: asyncio.Transport) -> None:
    # Closing with a linger time of 0 makes the kernel send RST instead of FIN.
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _break(end: Callable[[asyncio.Transport], None], *, after: float) -> Behaviour:
    """End the connection after that share of the body; 0: before the answer begins."""

    def behaviour(answer: Response, _seconds: float, _time: TimeSource) -> ASGIApp:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            transport = _transport(scope)
            if after:
                await send(_start(answer))
                await send(_part(bytes(answer.body)[: int(len(answer.body) * after)]))
            end(transport)
            await _goodbye(receive)

        return app

    return behaviour


FAULTS: Final[Mapping[str, FaultKind]] = {
    "slow": FaultKind("The answer comes SECONDS late.", _spread(1), 2.0),
    "drip": FaultKind("The body arrives byte by byte, over SECONDS.", _spread(None), 3.0),
    "rate-limit": FaultKind("429 with a Retry-After of SECONDS.", _retry_after, 1.0),
    "rate-limit-date": FaultKind("429 with a Retry-After that is a date, SECONDS ahead.", _retry_after_date, 2.0),
    "rate-limit-bare": FaultKind("429 without a Retry-After, as documented.", _instead(rate_limited)),
    "forbidden": FaultKind(
        "403 with the documented body.", _instead(lambda: error(403, "Access denied for this operation"))
    ),
    "server-error": FaultKind(
        "500 with the documented body.",
        _instead(lambda: error(500, "An unexpected error occurred, please try again later")),
    ),
    "cdn-522": FaultKind("522 and an HTML page of the CDN in front.", _page(522, "522: the origin did not answer")),
    "challenge": FaultKind(
        "403 and an HTML page of the CDN in front, meant for browsers.",
        _page(403, "Just a moment...", {"cf-mitigated": "challenge"}),
    ),
    "html": FaultKind("200 and an HTML page.", _page(200, "Welcome")),
    "empty-body": FaultKind("200 and no body.", _edited(lambda _: b"")),
    "cut-json": FaultKind(
        "A whole HTTP answer whose JSON stops half-way.", _edited(lambda body: body[: len(body) // 2])
    ),
    "malformed-json": FaultKind("JSON with the wrong quotation marks.", _edited(lambda body: body.replace(b'"', b"'"))),
    "unknown-status": FaultKind("A status word that nobody documented: paused.", _edited(_unknown_status)),
    "hang-up": FaultKind("The connection is closed without an answer.", _break(_close, after=0)),
    "cut-body": FaultKind("The connection is closed half-way through the body.", _break(_close, after=0.5)),
    "reset": FaultKind("The connection is reset (TCP RST) half-way through the body.", _break(_reset, after=0.5)),
    "picture-html": FaultKind("The picture's URL serves an HTML page, with 200.", _page(200, "Sign in")),
    "picture-404": FaultKind("The picture's URL answers 404, with an HTML page.", _page(404, "Not found")),
    "picture-cut": FaultKind("The connection is closed half-way through the picture.", _break(_close, after=0.5)),
    "picture-slow": FaultKind("The picture arrives in 20 pieces, over SECONDS.", _spread(20), 3.0),
}

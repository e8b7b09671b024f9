"""Does to answers and to callbacks what faults ask for."""

import asyncio
import json
import math
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

import anyio
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from longcat.sandbox.bodies import JSON, error

TRANSPORT: Final = "longcat.sandbox.transport"  # Where the server leaves the connection, in the scope's state.


@dataclass(frozen=True)
class TimeSource:
    """Time as the sandbox knows it, injected, so that tests run in virtual time."""

    clock: Callable[[], float]  # Seconds, never going back.
    wall: Callable[[], float]  # Seconds since 1970.
    sleep: Callable[[float], Awaitable[None]]


# Takes the honest answer and the fault's number, such as its seconds; returns what is sent instead.
Behaviour = Callable[[Response, float, TimeSource], ASGIApp]
# Takes the honest body of a callback and the fault's number; returns what is sent instead, each after so many seconds.
CallbackBehaviour = Callable[[bytes, float], list[tuple[float, bytes]]]


# --- Other answers.


def rate_limited(headers: Mapping[str, str] | None = None) -> Response:
    """Return the documented 429; the page names no header that would say how long to wait."""
    return error(429, "Rate limit exceeded, please retry later", headers)


def respond(make: Callable[[], Response]) -> Behaviour:
    """Send a response that has nothing to do with the honest one."""
    return lambda _answer, _number, _time: make()


def page(status: int, title: str, headers: Mapping[str, str] | None = None) -> Behaviour:
    """Send an HTML page."""
    return respond(lambda: _html(status, title, headers))


def page_of_code(_answer: Response, number: float, _time: TimeSource) -> ASGIApp:
    """Send an HTML page with a status code that the fault's number says; if it is a redirect, to a path of ours."""
    code = int(number)
    return _html(code, f"{code}: so says the proxy", {"Location": "/elsewhere"} if 300 <= code < 400 else None)  # noqa: PLR2004


def _html(status: int, title: str, headers: Mapping[str, str] | None) -> Response:
    text = f"<!DOCTYPE html>\n<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n"
    return Response(text, status, headers, "text/html")


def retry_after(refuse: Callable[[Mapping[str, str]], Response]) -> Behaviour:
    """Refuse, with a Retry-After of the fault's seconds."""
    return lambda _answer, seconds, _time: refuse({"Retry-After": str(math.ceil(seconds))})


def retry_after_date(_answer: Response, seconds: float, time: TimeSource) -> ASGIApp:
    """Refuse with 429, and with a Retry-After that is a date."""
    return rate_limited({"Retry-After": formatdate(math.ceil(time.wall() + seconds), usegmt=True)})


def unavailable(headers: Mapping[str, str] | None = None) -> Response:
    """Return a 503, which no page lists."""
    return error(503, "Service temporarily unavailable", headers)


def edited(edit: Callable[[bytes], bytes]) -> Behaviour:
    """Send another body, made of the honest one."""
    return lambda answer, _number, _time: Response(edit(bytes(answer.body)), answer.status_code, media_type=JSON)


def with_fields(**fields: str | None) -> Callable[[bytes], bytes]:
    """Return an edit that sets fields of a JSON object; None: the field is dropped."""

    def edit(body: bytes) -> bytes:
        merged = {**json.loads(body), **fields}
        return json.dumps({name: value for name, value in merged.items() if fields.get(name, "") is not None}).encode()

    return edit


# --- The same answer in another time.


def spread(pieces: int | None) -> Behaviour:
    """Send the answer in so many pieces, or byte by byte, each after its share of the fault's seconds."""

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


def silence(_answer: Response, seconds: float, time: TimeSource) -> ASGIApp:
    """Answer nothing, and close the connection after the fault's seconds."""

    async def app(scope: Scope, receive: Receive, _send: Send) -> None:
        transport = transport_of(scope)
        await time.sleep(seconds)
        transport.close()
        await _goodbye(receive)

    return _until_gone(app)


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


# --- Connections that break.


def transport_of(scope: Scope) -> asyncio.Transport:
    """Return the connection that a request came by; raise RuntimeError if there is none."""
    transport: asyncio.Transport | None = scope.get("state", {}).get(TRANSPORT)
    if transport is None:
        raise RuntimeError("This fault needs a real connection: run the sandbox with serve() or running().")
    return transport


def close(transport: asyncio.Transport) -> None:
    """Close the connection in an orderly way."""
    transport.close()


def reset(transport: asyncio.Transport) -> None:
    """Reset the connection: closing it with a linger time of 0 makes the kernel send RST instead of FIN."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def break_off(end: Callable[[asyncio.Transport], None], *, after: float) -> Behaviour:
    """End the connection after that share of the body; 0: before the answer begins."""

    def behaviour(answer: Response, _number: float, _time: TimeSource) -> ASGIApp:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            transport = transport_of(scope)
            if after:
                await send(_start(answer))
                await send(_part(bytes(answer.body)[: int(len(answer.body) * after)]))
            end(transport)
            await _goodbye(receive)

        return app

    return behaviour


def break_off_after_bytes(end: Callable[[asyncio.Transport], None]) -> Behaviour:
    """End the connection after so many bytes of the whole answer, head included, as the fault's number says."""

    def behaviour(answer: Response, number: float, _time: TimeSource) -> ASGIApp:
        async def app(scope: Scope, receive: Receive, _send: Send) -> None:
            transport = transport_of(scope)
            transport.write(whole(answer)[: int(number)])
            end(transport)
            await _goodbye(receive)

        return app

    return behaviour


def whole(answer: Response) -> bytes:
    """Return a response as the bytes that go over the wire."""
    lines = [f"HTTP/1.1 {answer.status_code} {HTTPStatus(answer.status_code).phrase}".encode()]
    lines += [name + b": " + value for name, value in answer.raw_headers]
    return b"\r\n".join([*lines, b"", bytes(answer.body)])


# --- Callbacks.


def repeated(body: bytes, _number: float) -> list[tuple[float, bytes]]:
    """Send a callback twice."""
    return [(0.0, body), (0.0, body)]


def never(_body: bytes, _number: float) -> list[tuple[float, bytes]]:
    """Send no callback."""
    return []


def late(body: bytes, seconds: float) -> list[tuple[float, bytes]]:
    """Send a callback later, so that one that came after it in `sync` mode overtakes it."""
    return [(seconds, body)]


def edited_callback(edit: Callable[[bytes], bytes]) -> CallbackBehaviour:
    """Send another body, made of the honest one."""
    return lambda body, _number: [(0.0, edit(body))]

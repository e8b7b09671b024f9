"""The table of faults: what a server does wrong, byte for byte, and what the client makes of it.

A fault stands for questions and for downloads alike: its script answers each request with `good(request)`, spoilt. The
tests run a part of the table, `make faults` runs all of it, with every client and every call.
"""

import base64
import gzip
import html
import json
import socket
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import quote

from attrs import evolve, frozen
from fakes import completed, processing
from servers import (
    Action,
    Connection,
    Request,
    Script,
    Step,
    bomb,
    chunks,
    endless,
    head,
    read,
    reset,
    response,
    stall,
    trickle,
)

from longcat import (
    APIConnectionError,
    APIResponseValidationError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    DownloadError,
    GenerationCancelled,
    GenerationFailed,
    Image,
    InsufficientBalanceError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    Status,
    WaitTimeout,
)

ID: Final = "cat-1"
KEY: Final = 'Qx7/e+Kp9&mZ"2<Tw4>vB%8=hJ6~sD1u'
"""A key that each way to write it down, such as JSON's, writes differently."""
TYPE: Final = "Content-Type: application/json"


# --- What the client makes of a fault. ---


@frozen
class Reaction:
    """What the calls return or raise.

    Attributes:
        status: the class of what `status` returns or raises.
        wait: the class of what `wait` returns or raises, and of each result of `wait_all`.
        download: the class of what `download` returns or raises.
    """

    status: type
    wait: type
    download: type = DownloadError

    @property
    def last_errors(self) -> set[type]:
        """The classes that the `last_error` of a WaitTimeout may have: a question may still be under way in the end."""
        return {self.status, APITimeoutError} if issubclass(self.status, Exception) else {type(None), APITimeoutError}


UNANSWERED: Final = Reaction(APIConnectionError, WaitTimeout)
"""No answer came, which may pass."""
SILENT: Final = Reaction(APITimeoutError, WaitTimeout)
"""No answer comes, and only the deadline ends the call."""
ANSWERED: Final = Reaction(Status, Image, Path)
"""The answer is good."""
NO_PICTURE: Final = Reaction(Status, Image)
"""The answer is good, the picture is not."""
PENDING: Final = Reaction(Status, WaitTimeout, Path)
"""The answer is good, and does not end the wait."""
FAILED: Final = Reaction(Status, GenerationFailed, Path)
CANCELLED: Final = Reaction(Status, GenerationCancelled, Path)
BROKEN: Final = Reaction(APIResponseValidationError, APIResponseValidationError, Path)
"""The answer is JSON, and breaks the contract."""
NO_JSON: Final = Reaction(APIResponseValidationError, WaitTimeout, Path)
"""The answer is no JSON, so it is not the gateway's, which may pass."""


def refused(error: type[APIStatusError]) -> Reaction:
    """Return the reaction to a status code that asking again does not change."""
    return Reaction(error, error)


def put_off(error: type[APIStatusError]) -> Reaction:
    """Return the reaction to a status code that may change."""
    return Reaction(error, WaitTimeout)


@frozen
class Fault:
    """What a server does on every connection, and what the client makes of it.

    Attributes:
        script: see `servers`.
        reaction: what the calls return or raise.
        certificate: the name of the one by which the server speaks TLS, see `certificates`. None: it speaks no TLS.
        url: where the client is sent in place of the server. `{port}` is the server's port. None: to the server.
        accepts: whether the server takes connections. False: their queue is full.
    """

    script: Script
    reaction: Reaction
    certificate: str | None = None
    url: str | None = None
    accepts: bool = True


# --- What a server may do. ---


def good(request: Request) -> bytes:
    """Return the body of the right answer: a picture, or that the request is done."""
    return PICTURE if request.method == "GET" else done(json.loads(request.body)["request_id"])


def done(request_id: str, /, **fields: object) -> bytes:
    """Return the body of a completed answer."""
    url = "http://storage.invalid/cat.png"
    return json.dumps(completed(request_id=request_id, result_url=url) | fields).encode()


def png(size: int) -> bytes:
    """Return what has the form of a PNG, of some `size` bytes that don't get smaller when they are packed."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    noise = bytes(number * number * 167 >> 8 & 255 for number in range(size))
    header = struct.pack(">IIBBBBB", 8, 4, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", noise) + chunk(b"IEND", b"")


PICTURE: Final = png(3000)
Make: TypeAlias = Callable[[bytes], bytes]


def spoilt(make: Make) -> Action:
    """Read a request, and send what the function makes of the body of the right answer."""
    return lambda connection: connection.send(make(good(connection.read())))


def to_question(make: Callable[[str, str], bytes], *, keep_picture: bool = True) -> Action:
    """Read a request, and send what the function makes of the request id and the key, in place of the right answer.

    A request for a picture gets it if `keep_picture`, else the same as a question.
    """

    def step(connection: Connection) -> None:
        request = connection.read()
        if request.method == "GET" and keep_picture:
            connection.send(response(PICTURE))
        else:
            request_id = json.loads(request.body)["request_id"] if request.body else ID
            key = next(iter(request.values("ocp-apim-subscription-key")), "")
            connection.send(make(request_id, key))

    return step


def to_picture(make: Make) -> Action:
    """Read a request, and send what the function makes of the picture. A question gets the right answer."""

    def step(connection: Connection) -> None:
        request = connection.read()
        body = good(request)
        connection.send(make(body) if request.method == "GET" else response(body, TYPE))

    return step


def body_of(make: Callable[[str], bytes | str | object]) -> Script:
    """Return the script that answers questions with 200 and what the function makes of the request id."""

    def answer(request_id: str, _: str) -> bytes:
        body = make(request_id)
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return response(raw, TYPE)

    return [to_question(answer)]


def framed(*lines: str, status: str = "200 OK", make: Make = lambda body: body) -> Script:
    """Return the script that answers with these header lines and the right body, or what is made of it; then closes."""
    return [spoilt(lambda body: head(*lines, status=status) + make(body))]


def chunked(make: Make) -> Script:
    """Return the script that answers with a body in chunks, or what the function makes of it."""
    return framed("Transfer-Encoding: chunked", make=make)


def coded(coding: str, make: Make) -> Script:
    """Return the script that answers with a content coding, and with what the function makes of the right body."""
    return [spoilt(lambda body: response(make(body), TYPE, f"Content-Encoding: {coding}"))]


def coded_only(coding: str, body: bytes) -> Script:
    """Return the script that answers with a content coding and always the same body."""
    return [read, response(body, TYPE, f"Content-Encoding: {coding}")]


def always(status: str, *lines: str, body: bytes = b"") -> Script:
    """Return the script that answers everything with this status."""
    return [read, response(body, *lines, status=status)]


def half_close(connection: Connection) -> None:
    """Send no more, and go on reading."""
    connection.socket.shutdown(socket.SHUT_WR)


def deaf(connection: Connection) -> None:
    """Read no more, and keep the connection."""
    connection.socket.shutdown(socket.SHUT_RD)
    time.sleep(0.2)


def peek_then(end: Step) -> list[Step]:
    """Wait until a request begins to come, and end the connection without reading it."""

    def step(connection: Connection) -> None:
        connection.socket.recv(1, socket.MSG_PEEK)

    return [step, end]


def cut(share: float) -> Make:
    """Return what sends the whole head, and a share of the body."""
    return lambda body: head(TYPE, f"Content-Length: {len(body)}") + body[: int(share * len(body))]


def cut_chunks(body: bytes) -> bytes:
    """Send the body in chunks, and no last one."""
    return head(TYPE, "Transfer-Encoding: chunked") + chunks(body[:9], body[9:], last=False)


def in_a_chunk(body: bytes) -> bytes:
    """Announce a chunk, and send a part of it."""
    return head(TYPE, "Transfer-Encoding: chunked") + b"%x\r\n" % len(body) + body[:9]


def raw_deflate(body: bytes) -> bytes:
    """Return the body in the form of RFC 1951, which many servers call `deflate`."""
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


def two_members(body: bytes) -> bytes:
    """Return the body as a gzip file of two members."""
    half = len(body) // 2
    return gzip.compress(body[:half]) + gzip.compress(body[half:])


def slowly(connection: Connection) -> None:
    """Send the right answer in small pieces, with short pauses."""
    body = good(connection.read())
    data = response(body, TYPE)
    size = len(data) // 10 + 1
    for start in range(0, len(data), size):
        connection.send(data[start : start + size])
        connection.rest(0.002)


# --- The phases of an answer, and what may happen after each. ---

HEAD_START: Final = b"HTTP/1.1 200 OK\r\nContent-Ty"
PHASES: Final[dict[str, tuple[Step, ...]]] = {
    "at once": (),
    "after the question": (read,),
    "in the status line": (read, b"HTTP/1.1 20"),
    "in the head": (read, HEAD_START),
    "after the head": (spoilt(cut(0)),),
    "in the body": (spoilt(cut(0.5)),),
    "before the last byte": (spoilt(cut(0.999)),),
    "in a chunk": (spoilt(in_a_chunk),),
    "before the last chunk": (spoilt(cut_chunks),),
}


def at_each_phase(what: str, *steps: Step, reaction: Reaction) -> dict[str, Fault]:
    """Return the fault at each phase of an answer."""
    return {f"{what} {phase}": Fault([*before, *steps], reaction) for phase, before in PHASES.items()}


CONNECTIONS: Final[dict[str, Fault]] = {
    "refused": Fault([], UNANSWERED, url="http://127.0.0.1:1"),
    "unresolvable": Fault([], UNANSWERED, url="http://longcat.invalid"),
    "backlog full": Fault([], SILENT, accepts=False),
    **at_each_phase("reset", reset, reaction=UNANSWERED),
    **at_each_phase("closed", reaction=UNANSWERED),
    **at_each_phase("half closed", half_close, stall, reaction=UNANSWERED),
    **at_each_phase("silent", stall, reaction=SILENT),
    "reset while the question comes": Fault(peek_then(reset), UNANSWERED),
    "closed while the question comes": Fault(peek_then(deaf), UNANSWERED),
}
SLOW: Final[dict[str, Fault]] = {
    "a trickling status line": Fault([read, trickle(b"HTTP/1.1 200 ", b"O")], SILENT),
    "a trickling head": Fault([read, trickle(HEAD_START, b"x")], SILENT),
    "a trickling body": Fault([read, head("Content-Length: 10000"), trickle(b"\x89PNG", b" ")], SILENT),
    "trickling chunks": Fault([read, head("Transfer-Encoding: chunked"), trickle(b"", b"1\r\n \r\n")], SILENT),
    "a trickling chunk size": Fault([read, head("Transfer-Encoding: chunked"), trickle(b"", b"0")], SILENT),
    "a trickling trailer": Fault(
        [spoilt(lambda body: head("Transfer-Encoding: chunked") + chunks(body)[:-2]), trickle(b"X: ", b"x")], SILENT
    ),
    "endless informational answers": Fault([read, trickle(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.002)], SILENT),
    "endless early hints": Fault([read, trickle(b"", b"HTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\n", 0.002)], SILENT),
    "an answer in small pieces": Fault([slowly], ANSWERED),
}
TLS_HELLO: Final = b"\x16\x03\x03\x40\x00\x02"
DISTRUSTED: Final = Reaction(APIConnectionError, APIConnectionError)
"""There is an answer that lasts: the other side can't show who it is."""
TLS: Final[dict[str, Fault]] = {
    **{
        f"a certificate that is {name}": Fault(framed(TYPE), DISTRUSTED, certificate=name)
        for name in ("expired", "not valid yet", "for another name", "untrusted", "self-signed")
    },
    "a good certificate": Fault(framed(TYPE, make=lambda body: body), ANSWERED, certificate="good"),
    "TLS, then silence": Fault([read, stall], SILENT, certificate="good"),
    "TLS, then a reset": Fault([read, reset], UNANSWERED, certificate="good"),
    "TLS, then closed": Fault([read], UNANSWERED, certificate="good"),
    "TLS, cut in the body": Fault([spoilt(cut(0.5))], UNANSWERED, certificate="good"),
    "no TLS but HTTP": Fault([b"HTTP/1.1 400 Bad Request\r\n\r\n", stall], UNANSWERED, url="https://127.0.0.1:{port}"),
    "no TLS but silence": Fault([stall], SILENT, url="https://127.0.0.1:{port}"),
    "no TLS but a reset": Fault(peek_then(reset), UNANSWERED, url="https://127.0.0.1:{port}"),
    "no TLS but closed": Fault([], UNANSWERED, url="https://127.0.0.1:{port}"),
    "no TLS but zeros": Fault([bytes(1000), stall], UNANSWERED, url="https://127.0.0.1:{port}"),
    "a TLS alert": Fault([b"\x15\x03\x03\x00\x02\x02\x28", stall], UNANSWERED, url="https://127.0.0.1:{port}"),
    "half a TLS hello": Fault([TLS_HELLO, stall], SILENT, url="https://127.0.0.1:{port}"),
    "a trickling TLS hello": Fault([trickle(TLS_HELLO, b"\0")], SILENT, url="https://127.0.0.1:{port}"),
    "TLS where HTTP was asked": Fault([], UNANSWERED, certificate="good", url="http://127.0.0.1:{port}"),
}
GARBAGE: Final[dict[str, Fault]] = {
    "all bytes": Fault([read, bytes(range(256)) + b"\r\n\r\n"], UNANSWERED),
    "zeros": Fault([read, bytes(1000)], UNANSWERED),
    "a megabyte without a line break": Fault([read, b"x" * 1_000_000], UNANSWERED),
    "a mail server": Fault([b"220 mail.example ESMTP\r\n", read], UNANSWERED),
    "a secure shell": Fault([b"SSH-2.0-OpenSSH_9.9\r\n", read], UNANSWERED),
    "HTTP/2 frames": Fault([read, b"\0\0\x06\4\0\0\0\0\0\0\x03\0\0\0\x64\0\0\x04\x08\0\0\0\0\0\0\xff\0\1"], UNANSWERED),
    "HTTP/0.9": Fault([spoilt(lambda body: body)], UNANSWERED),
    "an answer before the question": Fault(
        [response(b"{}", TYPE, status="503 Busy"), read], put_off(InternalServerError)
    ),
    "an early answer": Fault(
        [*peek_then(response(b"{}", TYPE, status="503 Busy")), stall], put_off(InternalServerError)
    ),
    "two answers at once": Fault([spoilt(lambda body: response(body, TYPE) + response(b"{}", TYPE))], ANSWERED),
    "more bytes than announced": Fault([spoilt(lambda body: response(body, TYPE, keep=True) + b"more")], ANSWERED),
}


# --- In HTTP. ---


def starting(line: bytes, reaction: Reaction = UNANSWERED) -> Fault:
    """Return the fault of a status line, before the right answer."""
    rest = b"\r\nConnection: close\r\nContent-Length: "
    return Fault([spoilt(lambda body: line + rest + b"%d\r\n\r\n" % len(body) + body)], reaction)


STATUS_LINES: Final[dict[str, Fault]] = {
    "words in a wrong order": starting(b"HTTP/1.1 OK 200"),
    "no status code": starting(b"HTTP/1.1"),
    "a status code of four digits": starting(b"HTTP/1.1 2000 OK"),
    "a status code of two digits": starting(b"HTTP/1.1 20 OK"),
    "a negative status code": starting(b"HTTP/1.1 -20 OK"),
    "a status code that is no number": starting(b"HTTP/1.1 2x0 OK"),
    "the status code 000": starting(b"HTTP/1.1 000 OK"),
    "the status code 999": starting(b"HTTP/1.1 999 No", refused(APIStatusError)),
    "no reason phrase": starting(b"HTTP/1.1 200", ANSWERED),
    "an empty reason phrase": starting(b"HTTP/1.1 200 ", ANSWERED),
    "a reason phrase that is no ASCII": starting("HTTP/1.1 200 Très bien".encode(), ANSWERED),
    "a null byte in the reason phrase": starting(b"HTTP/1.1 200 O\0K"),
    "HTTP/2.0 in words": starting(b"HTTP/2.0 200 OK", ANSWERED),
    "HTTP/1.0": starting(b"HTTP/1.0 200 OK", ANSWERED),
    "HTTP/9.9": starting(b"HTTP/9.9 200 OK", ANSWERED),
    "http in lower case": starting(b"http/1.1 200 OK"),
    "another protocol": starting(b"ICY 200 OK"),
    "an endless status line": Fault([read, b"HTTP/1.1 200 ", endless(b"OK " * 10_000)], UNANSWERED),
}


def with_header(*lines: str, reaction: Reaction = UNANSWERED) -> Fault:
    """Return the fault of header lines in a right answer."""
    return Fault([spoilt(lambda body: response(body, TYPE, *lines))], reaction)


HEADERS: Final[dict[str, Fault]] = {
    "a header without a name": with_header(": x"),
    "a header without a colon": with_header("x"),
    "a space before the colon": with_header("X : x"),
    "a null byte in a header": with_header("X: \0"),
    "a null byte in a header's name": with_header("X\0: x"),
    "a space before the first header": Fault(
        [spoilt(lambda body: b"HTTP/1.1 200 OK\r\n X: x\r\n\r\n" + body)], UNANSWERED
    ),
    "a folded header": with_header("X: x\r\n  more", reaction=ANSWERED),
    "a header that is no ASCII": with_header("X: \u00e9", reaction=ANSWERED),
    "a header of 60 KB": with_header("X: " + 60_000 * "x", reaction=ANSWERED),
    "a header of 1 MB": with_header("X: " + 1_000_000 * "x"),
    "an endless head": Fault([read, b"HTTP/1.1 200 OK\r\n", endless(b"X-Cat: cat\r\n" * 1000)], UNANSWERED),
    "a thousand headers": with_header(*(f"X-{number}: x" for number in range(1000)), reaction=ANSWERED),
    "line feeds alone": Fault(
        [spoilt(lambda body: b"HTTP/1.1 200 OK\nConnection: close\nContent-Length: %d\n\n" % len(body) + body)],
        ANSWERED,
    ),
    "a Content-Type of 60 KB": with_header("Content-Type: " + 10_000 * "a; b=c", reaction=ANSWERED),
    "a Date that is none": with_header("Date: yesterday", reaction=ANSWERED),
    "twenty new cookies": with_header(
        *(f"Set-Cookie: c{number}={number}; Path=/" for number in range(20)), reaction=ANSWERED
    ),
    "a cookie of 60 KB": with_header("Set-Cookie: c=" + 60_000 * "x", reaction=ANSWERED),
    "a cookie that is none": with_header("Set-Cookie: ;;=\x01;;", reaction=ANSWERED),
}
FRAMING: Final[dict[str, Fault]] = {
    "two lengths": Fault(framed("Content-Length: 5", "Content-Length: 6"), UNANSWERED),
    "a negative length": Fault(framed("Content-Length: -5"), UNANSWERED),
    "a length that is no number": Fault(framed("Content-Length: five"), UNANSWERED),
    "a length in hexadecimal": Fault(framed("Content-Length: 0x10"), UNANSWERED),
    "a length of thirty digits": Fault(framed(f"Content-Length: {10**29}"), UNANSWERED),
    "a length that is too short": Fault(
        [spoilt(lambda body: head("Content-Length: 5") + body)], evolve(NO_JSON, download=DownloadError)
    ),
    "a length that is too long": Fault(
        [spoilt(lambda body: head(f"Content-Length: {len(body) + 1}") + body)], UNANSWERED
    ),
    "a length of nothing": Fault(framed("Content-Length: 0"), evolve(NO_JSON, download=DownloadError)),
    "a length and chunks": Fault(framed("Content-Length: 5", "Transfer-Encoding: chunked", make=chunks), NO_PICTURE),
    "chunks": Fault(chunked(chunks), ANSWERED),
    "chunks that are none": Fault(framed("Transfer-Encoding: chunked"), UNANSWERED),
    "chunks in another case": Fault(framed("Transfer-Encoding: Chunked", make=chunks), ANSWERED),
    "a chunk size that is no number": Fault(chunked(lambda body: b"zz\r\n" + body), UNANSWERED),
    "a negative chunk size": Fault(chunked(lambda body: b"-5\r\n" + body), UNANSWERED),
    "a chunk size of thirty digits": Fault(chunked(lambda body: b"f" * 30 + b"\r\n" + body), UNANSWERED),
    "a chunk that is longer than it says": Fault(chunked(lambda body: b"1\r\n" + body + b"\r\n0\r\n\r\n"), UNANSWERED),
    "a chunk extension of 1 MB": Fault(chunked(lambda body: b"1;" + b"x" * 1_000_000 + b"\r\n" + body), UNANSWERED),
    "a trailer": Fault(chunked(lambda body: chunks(body)[:-2] + b"X: x\r\n\r\n"), ANSWERED),
    "another transfer coding": Fault(framed("Transfer-Encoding: gzip", make=gzip.compress), UNANSWERED),
    "two transfer codings": Fault(framed("Transfer-Encoding: gzip, chunked", make=chunks), UNANSWERED),
    "no length": Fault(framed(TYPE), ANSWERED),
    "an endless body": Fault(
        [read, head(TYPE), endless(b" " * 65_536)], Reaction(APIResponseValidationError, WaitTimeout)
    ),
}


def code(status: str, reaction: Reaction, *lines: str, body: bytes = b'{"error": "no"}') -> Fault:
    """Return the fault of a status code with a JSON body."""
    return Fault(always(status, TYPE, *lines, body=body), reaction)


PAGE: Final = b"<!doctype html><html><head><title>Sorry</title></head><body>Sorry.</body></html>"
BUSY: Final = put_off(InternalServerError)
LIMITED: Final = put_off(RateLimitError)
CODES: Final[dict[str, Fault]] = {
    "101": code("101 Switching Protocols", UNANSWERED, "Upgrade: h2c"),
    "100, then the answer": Fault(
        [read, b"HTTP/1.1 100 Continue\r\n\r\n", response(b"{}", TYPE, status="503 No")], BUSY
    ),
    "204": Fault([read, head(status="204 No Content")], Reaction(APIResponseValidationError, WaitTimeout)),
    "206": Fault(
        [spoilt(lambda body: response(body, TYPE, f"Content-Range: bytes 0-9/{len(body)}", status="206 Partial"))],
        Reaction(Status, Image),
    ),
    "304": Fault([read, head(status="304 Not Modified")], refused(APIStatusError)),
    "400": code("400 No", refused(BadRequestError)),
    "401": code("401 No", refused(AuthenticationError)),
    "402": code("402 No", refused(InsufficientBalanceError)),
    "403": code("403 No", refused(PermissionDeniedError)),
    "403 and a page": code("403 No", put_off(PermissionDeniedError), body=PAGE),
    "404": code("404 No", refused(NotFoundError)),
    "405": code("405 No", refused(APIStatusError)),
    "408": code("408 No", put_off(APIStatusError)),
    "410": code("410 No", refused(APIStatusError)),
    "418": code("418 No", refused(APIStatusError)),
    "425": code("425 No", put_off(APIStatusError)),
    "429": code("429 No", LIMITED),
    "451": code("451 No", refused(APIStatusError)),
    "500": code("500 No", BUSY),
    "502 and a page": code("502 No", BUSY, body=PAGE),
    "503": code("503 No", BUSY),
    "522 and a page": code("522 No", BUSY, body=PAGE),
    "599": code("599 No", BUSY),
    "600": code("600 No", refused(APIStatusError)),
    "an error of 5 MB": code("401 No", refused(AuthenticationError), body=b" " * 5_000_000),
}
PAUSES: Final[dict[str, Fault]] = {
    f"429 with Retry-After: {words}": code("429 No", LIMITED, f"Retry-After: {value}")
    for words, value in {
        "0": "0",
        "a day": "86400",
        "400 digits": "9" * 400,
        "5,000 digits": "9" * 5000,
        "a negative number": "-1",
        "a fraction": "0.01",
        "NaN": "NaN",
        "infinity": "inf",
        "an exponent": "1e300",
        "a date in the past": "Wed, 21 Oct 2015 07:28:00 GMT",
        "a date far ahead": "Fri, 31 Dec 9999 23:59:59 GMT",
        "no date": "Fri, 99 Dec 2026 23:59:59 GMT",
        "nothing": "",
        "words": "soon",
        "60 KB": "1, " * 20_000,
        "digits of another script": "\u0661\u0662",
    }.items()
}
PAUSES["503 with Retry-After: a day"] = code("503 No", BUSY, "Retry-After: 86400")


def moved(status: str, *lines: str) -> Fault:
    """Return the fault of a redirect."""
    return Fault(always(status, *lines), refused(APIStatusError))


REDIRECTS: Final[dict[str, Fault]] = {
    f"{status[:3]}": moved(status, "Location: http://127.0.0.1:1/cat.png")
    for status in ("300 Choices", "301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent")
} | {
    f"a redirect to {words}": moved("302 Found", f"Location: {target}")
    for words, target in {
        "itself": "/cat.png",
        "a file": "file:///etc/passwd",
        "a script": "javascript:alert(1)",
        "mail": "mailto:cat@example.com",
        "half an address": "http://[::1",
        "a wrong port": "http://a:port/",
        "punycode that is none": "http://xn--/",
        "a soft hyphen": "http://a\u00ad.invalid/",
        "an empty name": "http://a..invalid/",
        "nothing": "",
        "60 KB": "/" + "x" * 60_000,
        "a password": "http://user:password@127.0.0.1:1/",
    }.items()
}
REDIRECTS["a redirect to nowhere at all"] = moved("302 Found")

BOMB: Final[bytes] = bomb(200_000_000)
NESTED_BOMB: Final[bytes] = gzip.compress(bomb(100_000_000))
TOO_LONG: Final = Reaction(APIResponseValidationError, APIResponseValidationError)
"""The answer begins as JSON, and is longer than one that can be read."""
CODINGS: Final[dict[str, Fault]] = {
    "gzip": Fault(coded("gzip", gzip.compress), ANSWERED),
    "zlib deflate": Fault(coded("deflate", zlib.compress), ANSWERED),
    "identity": Fault(coded("identity", lambda body: body), ANSWERED),
    "gzip that is none": Fault(coded("gzip", lambda body: body), UNANSWERED),
    "gzip that is empty": Fault(coded_only("gzip", b""), evolve(NO_JSON, download=DownloadError)),
    "gzip that is cut": Fault(coded("gzip", lambda body: gzip.compress(body)[:-1]), UNANSWERED),
    "gzip with a wrong checksum": Fault(coded("gzip", lambda body: gzip.compress(body)[:-8] + bytes(8)), UNANSWERED),
    "gzip and more": Fault(coded("gzip", lambda body: gzip.compress(body) + b"more"), UNANSWERED),
    "gzip of two members": Fault(coded("gzip", two_members), ANSWERED),
    "gzip of two members, cut": Fault(coded("gzip", lambda body: two_members(body)[:-1]), UNANSWERED),
    "gzip in capitals": Fault(coded("GZIP", gzip.compress), ANSWERED),
    "x-gzip": Fault(coded("X-Gzip", gzip.compress), ANSWERED),
    "gzip and identity": Fault(coded("gzip, identity", gzip.compress), ANSWERED),
    "gzip twice": Fault(coded("gzip, gzip", lambda body: gzip.compress(gzip.compress(body))), ANSWERED),
    "raw deflate": Fault(coded("deflate", raw_deflate), ANSWERED),
    "an unknown coding": Fault(coded("zebra", lambda body: body), evolve(BROKEN, download=DownloadError)),
    "deflate that is none": Fault(coded("deflate", lambda body: body), UNANSWERED),
    "a gzip bomb": Fault(coded_only("gzip", BOMB), TOO_LONG),
    "a gzip bomb in gzip": Fault(coded_only("gzip, gzip", NESTED_BOMB), TOO_LONG),
    "many empty members": Fault(
        coded_only("gzip", gzip.compress(b"") * 10_000), evolve(NO_JSON, download=DownloadError)
    ),
}


# --- In JSON. ---


def wrong(make: Callable[[str], object], reaction: Reaction = BROKEN) -> Fault:
    """Return the fault of an answer with this body: bytes as they are, all else as JSON."""
    return Fault(body_of(make), reaction)


def constant(value: object, reaction: Reaction = BROKEN) -> Fault:
    """Return the fault of an answer that is always the same."""
    return wrong(lambda _: value, reaction)


def fields(reaction: Reaction = BROKEN, **more: object) -> Fault:
    """Return the fault of a completed answer in which some fields are others."""
    return wrong(lambda request_id: done(request_id, **more), reaction)


SHAPES: Final[dict[str, Fault]] = {
    "null": constant(None),
    "true": constant(value=True),
    "a number": constant(1),
    "a text": constant("completed"),
    "an array": constant([]),
    "an array of answers": wrong(lambda request_id: [completed(request_id=request_id)]),
    "no fields": constant({}),
    "an error with 200": constant({"error": "no", "message": "sorry"}),
    "nothing": constant(b"", NO_JSON),
    "white space": constant(b" \r\n\t", NO_JSON),
    "a page": constant(PAGE, NO_JSON),
    "half an answer": wrong(lambda request_id: done(request_id)[:-9], NO_JSON),
    "an answer and more": wrong(lambda request_id: done(request_id) + b"{}", NO_JSON),
    "wrong quotation marks": wrong(lambda request_id: done(request_id).replace(b'"', b"'"), NO_JSON),
    "bytes that are no text": constant(b'{"status": "\xff\xfe"}', NO_JSON),
    "a byte order mark": wrong(lambda request_id: b"\xef\xbb\xbf" + done(request_id), ANSWERED),
    "UTF-16": wrong(lambda request_id: done(request_id).decode().encode("utf-16"), ANSWERED),
    "100,000 brackets": constant(b"[" * 100_000),
    "100,000 objects": constant(b'{"a":' * 100_000),
    "2 MB": constant(b'{"a": "' + b"x" * 2_000_000 + b'"}'),
    "a number of 5,000 digits": fields(progress=1, duration_seconds=10**4000),
    "names twice": wrong(lambda request_id: b'{"status": "failed", ' + done(request_id)[1:], ANSWERED),
    "another id": wrong(lambda _: done("dog-1")),
    "no id": wrong(
        lambda request_id: {
            name: value for name, value in completed(request_id=request_id).items() if name != "request_id"
        }
    ),
    "an id that is a number": fields(request_id=1),
    "an id that is null": fields(request_id=None),
    "an id of 100 KB": fields(request_id="x" * 100_000),
    "a status that is a number": fields(status=1),
    "a status that is null": fields(status=None),
    "a status that is an object": fields(status={"a": 1}),
    "an unknown word": fields(PENDING, status="dreaming"),
    "a word with escape sequences": fields(PENDING, status="\x1b[31mred\x07"),
    "a word of 100 KB": fields(PENDING, status="x" * 100_000),
    "a lone surrogate": fields(PENDING, status="\ud800"),
    "under way": wrong(lambda request_id: processing(0.5, request_id=request_id), PENDING),
    "progress above 1": fields(progress=2),
    "progress below 0": fields(progress=-1),
    "progress that is a text": fields(progress="all"),
    "progress that is NaN": fields(progress=float("nan")),
    "progress that is infinite": fields(progress=float("inf")),
    "progress that is null": fields(progress=None),
    "no URL": wrong(lambda request_id: {"status": "completed", "progress": 1.0, "request_id": request_id}),
    "a URL that is null": fields(result_url=None),
    "a URL that is a number": fields(result_url=1),
    "a URL that is empty": fields(result_url=""),
    "a URL that is a list": fields(result_url=["http://storage.invalid/cat.png"]),
    "a URL with a line break": fields(result_url="http://storage.invalid/cat.png\r\nX: x"),
    "a URL that is relative": fields(result_url="/cat.png"),
    "a date that is none": fields(created_at="yesterday"),
    "a date that is a number": fields(created_at=1),
    "a duration below 0": fields(duration_seconds=-1),
    "a duration that is too long": fields(duration_seconds=1e300),
    "success that is false": fields(success=False),
    "a failure": wrong(
        lambda request_id: {"status": "failed", "request_id": request_id, "progress": 0.5, "error": "no"}, FAILED
    ),
    "a cancellation": wrong(
        lambda request_id: {"status": "cancelled", "request_id": request_id, "progress": 0.5}, CANCELLED
    ),
    "a failure of 100 KB": wrong(
        lambda request_id: {"status": "failed", "request_id": request_id, "progress": 0.5, "error": "no " * 30_000},
        FAILED,
    ),
}


# --- The key comes back. ---


def echo(make: Callable[[str, str], bytes], reaction: Reaction) -> Fault:
    """Return the fault of an answer that is made of the request id and the key."""
    return Fault([to_question(make)], evolve(reaction, download=Path))


def in_error(write: Callable[[str], bytes]) -> Fault:
    """Return the fault of a refusal that quotes the key as the function writes it."""
    return echo(
        lambda _, key: response(b'{"error": "wrong: ' + write(key) + b'"}', TYPE, status="401 No"),
        refused(AuthenticationError),
    )


def base64_after(shift: int) -> Callable[[str], bytes]:
    """Return what writes the key in base64 after so many bytes, on which its characters there depend."""
    return lambda key: base64.b64encode(bytes(shift) + key.encode())


def u_escaped(key: str) -> str:
    """Return the key with each character as four hexadecimal digits in JSON."""
    return "".join(f"\\u{ord(one):04x}" for one in key)


ECHOES: Final[dict[str, Fault]] = {
    "the key in JSON": in_error(lambda key: json.dumps(key)[1:-1].encode()),
    "the key in JSON, each character escaped": in_error(lambda key: u_escaped(key).encode()),
    "the key in JSON, some characters escaped": in_error(
        lambda key: "".join(
            u_escaped(one) if place % 2 else json.dumps(one)[1:-1] for place, one in enumerate(key)
        ).encode()
    ),
    **{f"the key in base64 after {shift} bytes": in_error(base64_after(shift)) for shift in range(3)},
    "the key in base64 for URLs": in_error(lambda key: base64.urlsafe_b64encode(key.encode())),
    "the key in percents": in_error(lambda key: quote(key, safe="").encode()),
    "the key in small percents": in_error(lambda key: "".join(f"%{ord(one):02x}" for one in key).encode()),
    "the key in HTML": in_error(lambda key: json.dumps(html.escape(key))[1:-1].encode()),
    "the key after a long text": in_error(lambda key: b"x" * 170 + json.dumps(key)[1:-1].encode()),
    "the key twice": in_error(lambda key: json.dumps(key + key)[1:-1].encode()),
    "the key in a title": echo(
        lambda _, key: response(f"<html><title>{html.escape(key)}</title></html>".encode(), status="502 No"), BUSY
    ),
    "the key in a title, by numbers": echo(
        lambda _, key: response(
            f"<html><title>{''.join(f'&#{ord(one)};' for one in key)}</title></html>".encode(), status="502 No"
        ),
        BUSY,
    ),
    "the key at the end of a long title": echo(
        lambda _, key: response(f"<html><title>{'x' * 60}{key}</title></html>".encode(), status="502 No"), BUSY
    ),
    "the key in a redirect": echo(
        lambda _, key: response(
            b"", f"Location: https://a.invalid/{'x' * 40}?k={quote(key, safe='')}", status="302 No"
        ),
        refused(APIStatusError),
    ),
    "the key in a reason phrase": echo(
        lambda _, key: response(b"{}", TYPE, status=f"401 {key}"), refused(AuthenticationError)
    ),
    "the key in an address": echo(
        lambda request_id, key: response(
            done(request_id, result_url=f"https://a.invalid/cat.png?k={quote(key, safe='')}"), TYPE
        ),
        BROKEN,
    ),
    "the key in a field that nobody knows": echo(
        lambda request_id, key: response(done(request_id, more={"key": key}), TYPE), ANSWERED
    ),
    "the key in JSON with escaped slashes": in_error(lambda key: json.dumps(key)[1:-1].replace("/", "\\/").encode()),
    "the key as the word": echo(lambda request_id, key: response(done(request_id, status=key), TYPE), PENDING),
    "the key as a failure": echo(
        lambda request_id, key: response(
            json.dumps({"status": "failed", "request_id": request_id, "progress": 0.5, "error": key}).encode(), TYPE
        ),
        FAILED,
    ),
    "the key as the id": echo(lambda _, key: response(done(key), TYPE), BROKEN),
    "the key as progress": echo(lambda request_id, key: response(done(request_id, progress=key), TYPE), BROKEN),
    "the key in a page": echo(
        lambda _, key: response(f"<html><title>{key}</title></html>".encode(), status="502 No"),
        put_off(InternalServerError),
    ),
    "the key alone": echo(lambda _, key: response(key.encode(), TYPE), NO_JSON),
}


# --- Pictures. ---


def picture(make: Make, reaction: Reaction = NO_PICTURE) -> Fault:
    """Return the fault of a picture."""
    return Fault([to_picture(make)], reaction)


PICTURES: Final[dict[str, Fault]] = {
    "an empty picture": picture(lambda _: response(b"")),
    "a page for a picture": picture(lambda _: response(PAGE, "Content-Type: image/png")),
    "JSON for a picture": picture(lambda _: response(b'{"error": "gone"}', TYPE)),
    "SVG for a picture": picture(lambda _: response(b'<svg xmlns="http://www.w3.org/2000/svg"></svg>')),
    "a program for a picture": picture(lambda _: response(b"\x7fELF" + bytes(100))),
    "a picture after a line break": picture(lambda body: response(b"\n" + body)),
    "half a signature": picture(lambda body: response(body[:7])),
    "a picture that is announced too large": picture(lambda body: head("Content-Length: 200000000") + body),
    "a picture without an end": Fault(
        [to_picture(lambda body: head() + body[:-12]), endless(bytes(65_536))], NO_PICTURE
    ),
    "a gzip bomb for a picture": picture(lambda _: response(BOMB, "Content-Encoding: gzip")),
    "a picture without a length, cut": picture(lambda body: head() + body[:-20]),
    "a picture by HTTP/1.0, cut": picture(lambda body: b"HTTP/1.0 200 OK\r\n\r\n" + body[: len(body) // 2]),
    "a part of a picture": picture(
        lambda body: response(body[:-12], f"Content-Range: bytes 0-{len(body) - 13}/{len(body)}")
    ),
    "a picture of another type": picture(lambda body: response(body, "Content-Type: text/html"), ANSWERED),
}

FAULTS: Final[dict[str, Fault]] = {
    **CONNECTIONS, **SLOW, **TLS, **GARBAGE, **STATUS_LINES, **HEADERS, **FRAMING, **CODES, **PAUSES, **REDIRECTS,
    **CODINGS, **{f"JSON: {name}": fault for name, fault in SHAPES.items()}, **ECHOES, **PICTURES,
}  # fmt: skip
"""Every fault, by its name."""

"""Whatever answers, byte for byte, the probe goes on and its report comes."""

import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import date
from itertools import islice
from pathlib import Path

import pytest

from longcat.contract import load_spec
from longcat.contract.model import Inconclusive
from longcat.contract.probe.probe import Pacing, probe
from longcat.contract.reports.baseline import Baseline
from longcat.contract.reports.verdict import JudgedExchange, Tally
from longcat.contract.run import events

SPEC = load_spec(Path(__file__).parents[3] / "openapi.yaml")
JSON = b"Content-Type: application/json"
ERROR = b'{"error": "No."}'
LONG = 20_000


def answer(status: bytes, *headers: bytes, body: bytes = ERROR, version: bytes = b"HTTP/1.1") -> bytes:
    """Return an answer with a length; of JSON if no header says otherwise."""
    lines = [version + b" " + status, *headers, b"Content-Length: %d" % len(body)]
    lines += [] if any(one.lower().startswith(b"content-type") for one in headers) else [JSON]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def leads_to(location: bytes) -> bytes:
    """Return a redirect."""
    return answer(b"302 Found", b"Location: " + location, body=b"")


def packed(times: int) -> bytes:
    """Return a body of ten million bytes, compressed so many times."""
    body = b"0" * 10_000_000
    for _ in range(times):
        body = gzip.compress(body)
    return body


REDIRECTS = {
    "an address of mail": b"mailto:x",
    "a name that is none": b"http://xn--/",
    "a soft hyphen": b"http://a\xc2\xadb/",
    "no address": b"",
    "a port that is none": b"http://a:99999999/",
    "half a bracket": b"http://[::1/",
    "a control character": b"/a\x01b",
    "bytes that are no text": b"/\xff\xfe",
    "a long address": b"http://h/" + b"a" * LONG,
    "many addresses": b"://" * LONG,
    "full-width characters": "http://ｅxample。com/".encode(),  # noqa: RUF001 - it is about such.
    "a user": b"http://user:password@h/?key=1",
}
REFUSALS = {
    "429 for 400 digits": answer(b"429 Wait", b"Retry-After: " + b"9" * 400),
    "429 for no number": answer(b"429 Wait", b"Retry-After: nan"),
    "503 for ever": answer(b"503 Wait", b"Retry-After: inf"),
    "429 until the end of time": answer(b"429 Wait", b"Retry-After: Fri, 31 Dec 9999 23:59:59 GMT"),
    "a header with a null byte": b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 2\r\n\r\n{}",
    "a header without a colon": b"HTTP/1.1 200 OK\r\nfoo\r\nContent-Length: 2\r\n\r\n{}",
    "a header that is too long": answer(b"200 OK", b"X: " + b"a" * 200_000),
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}",
    "a length of 5,000 digits": b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n{}",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "the status 99": b"HTTP/1.1 99 X\r\n\r\n",
    "the status 000": b"HTTP/1.1 000 X\r\n\r\n",
    "a word as status": b"HTTP/1.1 OK 200\r\n\r\n",
    "HTTP/0.9": b"Hello",
    "HTTP/2 unasked": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "nothing": b"",
    "101 and no more": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "no gzip": answer(b"200 OK", b"Content-Encoding: gzip", body=b"nope"),
    "a list of 1,000 codings": answer(b"200 OK", b"Content-Encoding: " + b"gzip, " * 1000, body=packed(1)),
    "an unknown coding": answer(b"200 OK", b"Content-Encoding: zap\xff", body=b"x"),
    "JSON of 300 levels": answer(b"200 OK", body=b"[" * 300 + b"]" * 300),
    "JSON of 100,000 levels": answer(b"200 OK", body=b"[" * 100_000 + b"]" * 100_000),
    "a refusal of 300 levels": answer(b"401 No", body=b"[" * 300 + b"]" * 300),
    "a 103 and no more": b"HTTP/1.1 103 Early Hints\r\n\r\n",
}
JUDGED = {
    "1,000 headers": answer(b"200 OK", *(b"X-%d: y" % n for n in range(1000))),
    "bytes in a header": answer(b"200 OK", b"X: \xff\xfe\x80"),
    "control characters in a header": answer(b"200 OK", b"X: \x1b[31mred\x07"),
    "a media type of addresses": answer(b"200 OK", b"Content-Type: " + b"://" * LONG),
    "a charset without end": answer(b"200 OK", JSON + b"; charset=" + b"a" * LONG),
    "no such charset": answer(b"200 OK", b"Content-Type: text/html; charset=nonsense", body=b"<html>\xff"),
    "a charset that is none for text": answer(b"200 OK", JSON + b"; charset=idna"),
    "a link of spaces": answer(b"200 OK", b"Link: ;rel=" + b" " * LONG),
    "cookies that are none": answer(b"200 OK", *[b"Set-Cookie: a=b; Domain=.; Expires=Fri, 99 Foo"] * 50),
    "the status 999": answer(b"999 X"),
    "no reason": answer(b"200"),
    "an empty reason": answer(b"200 "),
    "a reason of control characters": answer(b"200 \x1b[31m\xff"),
    "five times 100": b"HTTP/1.1 100 Continue\r\n\r\n" * 5 + answer(b"200 OK"),
    "1,000 times 103": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 1000 + answer(b"200 OK"),
    "204 with a body": answer(b"204 Nothing"),
    "407": answer(b"407 Proxy", b"Proxy-Authenticate: Basic"),
    "401 with a challenge that is none": answer(b"401 No", b"WWW-Authenticate: Digest x=\xff"),
    "a body that was cut": b"HTTP/1.1 200 OK\r\n" + JSON + b'\r\nContent-Length: 500\r\n\r\n{"a":',
    "a chunk that is none": b"HTTP/1.1 200 OK\r\n" + JSON + b"\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "gzip three times": answer(b"200 OK", b"Content-Encoding: gzip, gzip, gzip", body=packed(3)),
    "a number of 6,000 digits": answer(b"200 OK", body=b"9" * 6000),
    "a number that is infinite": answer(b"200 OK", body=b'{"progress": 1e999}'),
    "half of a character": answer(b"200 OK", body=b'{"\\ud800": "\\udfff"}'),
    "a page without end": answer(b"200 OK", b"Content-Type: text/html", body=b"<html>" + b"<title" * LONG),
    "more after the end": answer(b"200 OK") + b"garbage" * 100,
    "a future version": answer(b"200 OK", version=b"HTTP/1.9"),
}


@pytest.fixture(scope="module")
def serve() -> Iterator[Callable[[bytes], str]]:
    """Lend a function that has a server answer each request with these bytes, and returns its URL."""
    said = [b""]

    def talk(connection: socket.socket) -> None:
        with connection:
            connection.settimeout(60)
            request = connection.recv(65536)
            if b"ontent-" in request and request.endswith(b"\r\n\r\n"):
                connection.recv(65536)
            connection.sendall(said[0])
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass

    def run() -> None:
        while True:
            try:
                connection, _ = server.accept()
                talk(connection)
            except OSError:
                if server.fileno() < 0:
                    return

    def lend(data: bytes) -> str:
        said[0] = data
        return f"http://127.0.0.1:{server.getsockname()[1]}"

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield lend
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


def first(url: str) -> JudgedExchange | Inconclusive:
    """Return what comes of the first request."""
    outcomes = probe(SPEC, url, "k" * 32, ["abc"], operations=["get_request_result"], pacing=Pacing(patience=0))
    (event,) = events(islice(outcomes, 1), Baseline(date(2026, 1, 1)), Tally())
    outcomes.close()  # type: ignore[attr-defined]
    return event


@pytest.mark.parametrize("location", REDIRECTS.values(), ids=REDIRECTS)
def test_a_redirect_is_judged_wherever_it_leads(serve: Callable[[bytes], str], location: bytes) -> None:
    """It is not followed, so that nothing needs to be read out of it."""
    event = first(serve(leads_to(location)))
    assert isinstance(event, JudgedExchange)
    assert [one.finding.code for one in event.findings] == ["redirected"]
    assert len(event.findings[0].finding.seen) < 300


@pytest.mark.parametrize("data", REFUSALS.values(), ids=REFUSALS)
def test_what_is_no_answer_is_told(serve: Callable[[bytes], str], data: bytes) -> None:
    """It is inconclusive, and says why in one line."""
    event = first(serve(data))
    (reason,) = [event] if isinstance(event, Inconclusive) else event.gaps
    assert reason.unclear
    assert len(reason.why) < 400
    assert reason.why.isprintable()


@pytest.mark.parametrize("data", JUDGED.values(), ids=JUDGED)
def test_an_odd_answer_is_judged(serve: Callable[[bytes], str], data: bytes) -> None:
    """What is odd about it is no reason to give up."""
    event = first(serve(data))
    assert isinstance(event, JudgedExchange)
    assert all(len(one.finding.seen) < 1000 for one in event.findings)

"""The sandbox on real sockets and as a real process: faults, pictures, the ready line, and how it stops."""

import contextlib
import email.utils
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from servers import LIMIT, SOON

from longcat.sandbox import EXAMPLE_ID, EXAMPLE_KEY, FAULTS, Fault, Settings, announce, running, serve, server
from longcat.sandbox.faults import FaultTarget
from longcat.sandbox.picture import draw

ROOT = Path(__file__).resolve().parents[2]
PATH = "/longcat-image-request-result"
HEADERS = {"Ocp-Apim-Subscription-Key": EXAMPLE_KEY, "Content-Type": "application/json"}


class Caller:
    """Someone who calls a sandbox."""

    def __init__(self, url: str, http: httpx.Client) -> None:
        self.url = url
        self.http = http
        self.address = ("127.0.0.1", int(url.rpartition(":")[2]))

    def ask(self, request_id: str = EXAMPLE_ID) -> httpx.Response:
        """Make the documented call."""
        return self.http.post(self.url + PATH, json={"request_id": request_id}, headers=HEADERS)

    def add(self, **fields: Any) -> str:
        """Add a request by the control call; return its id."""
        response = self.http.post(self.url + "/sandbox/requests", json=fields)
        assert response.status_code == 201
        request_id: str = response.json()["request_id"]
        return request_id

    def await_question(self, number: int, request_id: str = EXAMPLE_ID) -> None:
        """Return when the request has been asked about that many times."""
        deadline = time.monotonic() + LIMIT
        asked = -1
        while asked != number:
            assert time.monotonic() < deadline
            listed = self.http.get(self.url + "/sandbox/requests").json()
            asked = next(request["asked"] for request in listed if request["request_id"] == request_id)

    def connect(self, request_id: str = EXAMPLE_ID, *, cut: int | None = None) -> socket.socket:
        """Make the documented call by hand, of the body only so many bytes; return the connection."""
        body = json.dumps({"request_id": request_id})
        head = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n{head}\r\n"
        connection = socket.create_connection(self.address, timeout=LIMIT)
        connection.sendall((head + body[:cut]).encode())
        return connection


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    """Return a client for all tests: making one is slow."""
    with httpx.Client(timeout=LIMIT) as client:
        yield client


@pytest.fixture(scope="module")
def caller(http: httpx.Client) -> Iterator[Caller]:
    """Return a caller of a sandbox whose requests are done at once."""
    with running(Settings(duration=0)) as url:
        yield Caller(url, http)


# --- The faults, one by one.


class Seen:
    """What a caller gets: of the answer, or for a fault of the picture, of the picture."""

    def __init__(self, caller: Caller, name: str) -> None:
        seconds = "" if FAULTS[name].number is None else ":0.4"
        request_id = caller.add(fault=f"{name}:1{seconds}")
        of_picture = Fault(name).target is FaultTarget.PICTURE
        self.honest = draw(request_id) if of_picture else b'"status": "completed"'
        target = (
            caller.ask(request_id).json()["result_url"]
            if (Fault(name).target is FaultTarget.PICTURE)
            else caller.url + PATH
        )
        self.chunks: list[bytes] = []
        self.problem: Exception | None = None
        self.status, self.headers = 0, httpx.Headers()
        began = time.monotonic()
        try:
            self._read(caller.http, target, request_id)
        except httpx.HTTPError as problem:
            self.problem = problem
        self.elapsed = time.monotonic() - began
        again = caller.http.get(target) if of_picture else caller.ask(request_id)
        assert (again.status_code, self.honest in again.content) == (200, True), "A spent fault leaves no trace."

    def _read(self, http: httpx.Client, target: str, request_id: str) -> None:
        method = "POST" if target.endswith(PATH) else "GET"
        body = {"request_id": request_id} if method == "POST" else None
        with http.stream(method, target, json=body, headers=HEADERS) as response:
            self.status, self.headers = response.status_code, response.headers
            for chunk in response.iter_raw():
                self.chunks.append(chunk)

    @property
    def body(self) -> bytes:
        """All bytes of the body that arrived."""
        return b"".join(self.chunks)

    @property
    def length(self) -> int:
        """What the Content-Length promised."""
        return int(self.headers["content-length"])

    def whole(self) -> bool:
        """Whether the honest answer arrived, with nothing missing."""
        return (self.problem, self.status, len(self.body)) == (None, 200, self.length) and self.honest in self.body

    def error(self, status: int, message: str) -> bool:
        """Whether a documented error arrived."""
        return (self.status, json.loads(self.body)) == (status, {"error": message})

    def page(self, status: int) -> bool:
        """Whether an HTML page arrived."""
        return (
            self.status == status
            and self.headers["content-type"].startswith("text/html")
            and self.body.startswith(b"<!DOCTYPE html>")
        )

    def limited(self) -> bool:
        """Whether a 429 arrived."""
        return self.error(429, "Rate limit exceeded, please retry later")

    def cut(self, problem: type[Exception]) -> bool:
        """Whether the body ended early."""
        return (self.status, type(self.problem)) == (200, problem) and 0 < len(self.body) < self.length

    def json(self) -> Any:
        """Return the JSON of the body, None when it is none."""
        with contextlib.suppress(ValueError):
            return json.loads(self.body)


def _is_soon(date: str) -> bool:
    return -LIMIT < email.utils.parsedate_to_datetime(date).timestamp() - time.time() < 3


# Every fault, and the sight of it.
SIGHTS: dict[str, Callable[[Seen], bool]] = {
    "slow": lambda seen: seen.whole() and seen.elapsed >= 0.4,
    "drip": lambda seen: seen.whole() and seen.elapsed >= 0.4 and len(seen.chunks) > 2,
    "rate-limit": lambda seen: seen.limited() and seen.headers["retry-after"] == "1",
    "rate-limit-date": lambda seen: seen.limited() and _is_soon(seen.headers["retry-after"]),
    "rate-limit-bare": lambda seen: seen.limited() and "retry-after" not in seen.headers,
    "forbidden": lambda seen: seen.error(403, "Access denied for this operation"),
    "not-found": lambda seen: seen.error(404, "Not found"),
    "server-error": lambda seen: seen.error(500, "An unexpected error occurred, please try again later"),
    "cdn-522": lambda seen: seen.page(522),
    "challenge": lambda seen: seen.page(403) and b"Just a moment..." in seen.body,
    "html": lambda seen: seen.page(200),
    "empty-body": lambda seen: (seen.status, seen.body) == (200, b""),
    "cut-json": lambda seen: seen.problem is None and seen.body.startswith(b'{"status"') and seen.json() is None,
    "malformed-json": lambda seen: seen.problem is None and seen.body.endswith(b"}") and seen.json() is None,
    "unknown-status": lambda seen: seen.status == 200 and seen.json()["status"] == "paused",
    "hang-up": lambda seen: (seen.status, type(seen.problem)) == (0, httpx.RemoteProtocolError),
    "cut-body": lambda seen: seen.cut(httpx.RemoteProtocolError),
    "reset": lambda seen: isinstance(seen.problem, httpx.ReadError),
    "picture-html": lambda seen: seen.page(200),
    "picture-404": lambda seen: seen.page(404),
    "picture-cut": lambda seen: seen.cut(httpx.RemoteProtocolError) and seen.honest.startswith(seen.body),
    "picture-slow": lambda seen: seen.whole() and seen.elapsed >= 0.4 and len(seen.chunks) > 2,
}


@pytest.mark.parametrize("name", [n for n in FAULTS if Fault(n).target in {FaultTarget.STATUS, FaultTarget.PICTURE}])
def test_fault(caller: Caller, name: str) -> None:
    """Every fault of answers and pictures does what its sentence says, once, on a real connection."""
    assert name in SIGHTS, f"Show in SIGHTS what the fault {name} looks like: {FAULTS[name].sentence}"
    seen = Seen(caller, name)
    assert SIGHTS[name](seen), (seen.status, seen.headers, seen.body[:200], seen.problem, seen.elapsed)


def test_reset_is_a_reset(caller: Caller) -> None:
    """The fault `reset` ends the connection by RST, not by an orderly end of stream."""
    with caller.connect(caller.add(fault="reset")) as connection, pytest.raises(ConnectionResetError):
        b"".join(iter(lambda: connection.recv(4096), b""))


# --- The documentation's own callers.


def test_page_python_sample(caller: Caller) -> None:
    """The page's Python sample runs unchanged but for the host, and its result URL shows a picture."""
    data = {"request_id": "XXXXXXXXXXXXX"}
    headers = {"Ocp-Apim-Subscription-Key": "your-subscription-key-here", "Content-Type": "application/json"}
    response = httpx.post(f"{caller.url}/longcat-image-request-result", json=data, headers=headers, timeout=LIMIT)
    result_url = response.json()["result_url"]
    assert result_url == f"{caller.url}/results/XXXXXXXXXXXXX.png"
    picture = caller.http.get(result_url)
    assert (picture.headers["content-type"], picture.content) == ("image/png", draw("XXXXXXXXXXXXX"))


@pytest.mark.skipif(shutil.which("curl") is None, reason="There is no curl here.")
def test_page_curl_sample(caller: Caller) -> None:
    """The page's curl sample runs unchanged but for the host."""
    command = ["curl", "--silent", "-X", "POST", f"{caller.url}/longcat-image-request-result"]
    command += ["-H", "Ocp-Apim-Subscription-Key: your-subscription-key-here", "-H", "Content-Type: application/json"]
    command += ["-d", '{ "request_id": "XXXXXXXXXXXXX" }']
    done = subprocess.run(command, capture_output=True, timeout=LIMIT, check=True)  # noqa: S603
    assert json.loads(done.stdout)["status"] == "completed"


def test_connection_is_kept(caller: Caller) -> None:
    """One connection serves many questions, errors and refused bodies in between included."""
    ports = set()
    for content in (b'{"request_id": "XXXXXXXXXXXXX"}', b"nonsense", b" " * 70_000, b'{"request_id": "?"}'):
        response = caller.http.post(caller.url + PATH, content=content, headers=HEADERS)
        ports.add(response.extensions["network_stream"].get_extra_info("client_addr"))
        assert response.headers["content-type"] == "application/json"
    assert len(ports) == 1


def test_caller_gone(caller: Caller, capfd: pytest.CaptureFixture[str]) -> None:
    """A caller who breaks off, within the body or within a slow answer, does no harm and makes no noise."""
    request_id = caller.add(fault="slow:1:600")
    with caller.connect(cut=5), caller.connect(request_id):
        caller.await_question(1, request_id)
    assert caller.ask(request_id).status_code == 200
    assert capfd.readouterr() == ("", "")


HALF = (
    f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nOcp-Apim-Subscription-Key: {EXAMPLE_KEY}\r\n"
    "Content-Type: application/json\r\nContent-Length: 9\r\n\r\nhalf"
).encode()


@pytest.mark.parametrize("part", [b"", b"POST / HT", HALF])
def test_half_a_request(caller: Caller, monkeypatch: pytest.MonkeyPatch, part: bytes) -> None:
    """A connection on which a request does not come to its end is closed, also when it has served one before."""
    monkeypatch.setattr(server, "REQUEST_TIMEOUT", 0.05)
    with socket.create_connection(caller.address, LIMIT) as connection, suppress(ConnectionResetError):
        if part:
            connection.sendall(b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 404")
        connection.sendall(part)
        assert connection.recv(4096) == b""


# --- A process of its own.


SERVE = "import sys; from longcat.sandbox import *; serve(Settings(faults=tuple(map(Fault.parse, sys.argv[1:]))){})"


@contextlib.contextmanager
def process(http: httpx.Client, *faults: str, options: str = "") -> Iterator[tuple[subprocess.Popen[str], Caller]]:
    """Start the sandbox as a process; yield it with its caller, and leave nothing behind."""
    command = [sys.executable, "-c", SERVE.format(options), *faults]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    pipe = subprocess.PIPE
    with subprocess.Popen(  # noqa: S603
        command, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True
    ) as child:
        try:
            assert child.stdout is not None
            line = child.stdout.readline()
            assert line.startswith("longcat sandbox: http://127.0.0.1:"), child.communicate()
            yield child, Caller(line.removeprefix("longcat sandbox: ").rstrip("\n"), http)
        finally:
            child.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_stops_at_once(http: httpx.Client, number: signal.Signals) -> None:
    """One line when ready; on SIGINT or SIGTERM an end at once, whatever is in flight, with 0 and no noise."""
    with process(http, "slow:1:600", "drip:all:600") as (child, caller), contextlib.ExitStack() as connections:
        for asked in (1, 2):
            connections.enter_context(caller.connect())
            caller.await_question(asked)
        began = time.monotonic()
        child.send_signal(number)
        output, errors = child.communicate(timeout=LIMIT)
        assert time.monotonic() - began < SOON
    assert (child.returncode, output, errors) == (0, "", "")


def test_request_log(http: httpx.Client) -> None:
    """On demand each request is a line on stderr; stdout keeps its one line."""
    with process(http, options=", log_requests=True") as (child, caller):
        assert caller.ask().json()["status"] == "processing"
        child.send_signal(signal.SIGTERM)
        output, errors = child.communicate(timeout=LIMIT)
    assert output == ""
    assert errors.count("\n") == 1
    assert f'"POST {PATH} HTTP/1.1" 200' in errors


def test_port_in_use() -> None:
    """A port that is in use is an OSError that names it; nothing is printed."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"in use.*{port}"):
            serve(port=port)


@pytest.mark.parametrize(("host", "warns"), [("0.0.0.0", True), ("127.0.0.1", False)])  # noqa: S104
def test_reached_from_elsewhere(capsys: pytest.CaptureFixture[str], host: str, *, warns: bool) -> None:
    """Who serves beyond this machine is told so, on stderr."""
    serve(host=host, ready=lambda _: os.kill(os.getpid(), signal.SIGTERM))
    said = capsys.readouterr()
    assert (said.out, f"It listens on {host}, so it can be reached from other machines" in said.err) == ("", warns)


def test_port_out_of_range() -> None:
    """A port that cannot be is a ValueError."""
    with pytest.raises(ValueError, match="A port is between 0 and 65535, not 65536"):
        serve(port=65_536)


def test_ready_line(capsys: pytest.CaptureFixture[str]) -> None:
    """The ready line is the word, a colon and the URL."""
    announce("http://127.0.0.1:43121")
    assert capsys.readouterr().out == "longcat sandbox: http://127.0.0.1:43121\n"


@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("PIL", "pillow"),
        ("jsonschema_rs", "jsonschema-rs"),
        ("starlette", "starlette"),
        ("uvicorn", "uvicorn"),
    ],
)
def test_missing_extra(module: str, package: str) -> None:
    """Without the extra's packages the import names the missing one and the command that installs it."""
    code = f"import sys; sys.modules[{module!r}] = None\nimport longcat.sandbox"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT, check=False)  # noqa: S603
    message = f"ImportError: The sandbox needs the package {package}, which is not installed. "
    assert done.stderr.splitlines()[-1] == message + "Run: pip install 'longcat-image[sandbox]'"

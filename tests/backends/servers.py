"""Servers on real loopback sockets that say, byte for byte, what a script tells them; and three ways to talk to them.

A script is what a server does with one connection: bytes are sent, functions are called with the connection. The first
connection gets the first script, the second the second, and so on; the last script serves all further ones.
"""

import gc
import os
import select
import socket
import ssl
import struct
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

import anyio
import pytest
from anyio.lowlevel import checkpoint
from attrs import define, field, frozen
from fakes import KEY, Driver

from longcat import AsyncLongCat, LongCat
from longcat.sending.http.libraries import DEFAULT
from longcat.testing import VirtualClock
from longcat.waiting.schedule.plan import Polling
from longcat.waiting.schedule.polling import FixedPolling

LOOPBACK: Final = "127.0.0.1"
LIMIT: Final = 60.0
"""Seconds after which a test gives up that waits for what must come, so that it fails and does not hang."""
SOON: Final = 20.0
"""Seconds within which what ends at once has ended on the busiest machine: what it must not wait for takes LIMIT."""


# --- What a server does. ---


class HangupError(Exception):
    """The connection is over."""


@frozen
class Request:
    """One HTTP request, as it arrived.

    Attributes:
        headers: in their order, the names in lower case.
        text: the whole of it, to search for what must not be there.
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    text: str = field(repr=False)

    def values(self, name: str) -> list[str]:
        """Return the values of every header with this name."""
        return [value for header, value in self.headers if header == name]


@define(eq=False)
class Connection:
    """One connection to a server.

    Attributes:
        sent: how many bytes went out.
        received: what came in and was not read yet.
    """

    socket: socket.socket
    requests: list[Request]
    sent: int = 0
    received: bytes = b""

    def send(self, data: bytes) -> None:
        """Send all of the data."""
        rest = memoryview(data)
        while rest:
            count = self.socket.send(rest[:65536])
            self.sent += count
            rest = rest[count:]

    def receive(self) -> None:
        """Wait for more bytes from the other side."""
        data = self.socket.recv(65536)
        if not data:
            raise HangupError
        self.received += data

    def read(self) -> Request:
        """Read, record and return one request."""
        while b"\r\n\r\n" not in self.received:
            self.receive()
        head, _, self.received = self.received.partition(b"\r\n\r\n")
        text = head.decode("latin-1")
        first, *lines = text.split("\r\n")
        pairs = [line.partition(":") for line in lines]
        headers = tuple((name.lower(), value.strip()) for name, _, value in pairs)
        length = int(dict(headers).get("content-length", 0))
        while len(self.received) < length:
            self.receive()
        body, self.received = self.received[:length], self.received[length:]
        method, target, _ = first.split(" ")
        request = Request(method, target, headers, body, f"{text}\r\n\r\n{body.decode('latin-1')}")
        self.requests.append(request)
        return request

    def rest(self, seconds: float) -> None:
        """Do nothing for so long, unless the other side hangs up."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if select.select([self.socket], [], [], left)[0]:
                self.receive()


Action: TypeAlias = Callable[[Connection], None]
Step: TypeAlias = bytes | Action
Script: TypeAlias = Sequence[Step]


def read(connection: Connection) -> None:
    """Read and record one request."""
    connection.read()


def stall(connection: Connection) -> None:
    """Say nothing more until the other side hangs up."""
    connection.rest(LIMIT)


def reset(connection: Connection) -> None:
    """Cut the connection off, with what is on its way."""
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.socket.close()
    raise HangupError


def pause(seconds: float) -> Action:
    """Say nothing for so long."""
    return lambda connection: connection.rest(seconds)


def trickle(first: bytes, ever_after: bytes, every: float = 0.05) -> Action:
    """Send byte after byte, with pauses of `every` seconds, and begin anew with `ever_after` until nobody listens."""

    def step(connection: Connection) -> None:
        until = time.monotonic() + LIMIT
        data = first
        while time.monotonic() < until:
            for byte in data:
                connection.send(bytes([byte]))
                connection.rest(every)
            data = ever_after

    return step


def endless(data: bytes) -> Action:
    """Send the data again and again, as fast as it is taken, until nobody listens; but no more than 200 MB."""

    def step(connection: Connection) -> None:
        while connection.sent < 200_000_000:
            connection.send(data)

    return step


def call(function: Callable[[], object]) -> Action:
    """Call a function at this point of the script."""

    def step(_: Connection) -> None:
        function()

    return step


def answer(function: Callable[[Request], bytes]) -> Action:
    """Read a request, and send what the function makes of it."""

    def step(connection: Connection) -> None:
        connection.send(function(connection.read()))

    return step


def head(*lines: str, status: str = "200 OK", keep: bool = False) -> bytes:
    """Return the head of a response, with these header lines. The connection is closed after it, unless it is kept."""
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, *([] if keep else ["Connection: close"]), "", ""]).encode()


def response(body: bytes, *lines: str, status: str = "200 OK", keep: bool = False) -> bytes:
    """Return a whole response."""
    return head(*lines, f"Content-Length: {len(body)}", status=status, keep=keep) + body


def chunks(*parts: bytes, last: bool = True) -> bytes:
    """Return a body in the chunked coding."""
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + (b"0\r\n\r\n" if last else b"")


def bomb(size: int) -> bytes:
    """Return a small gzip file that unpacks to some `size` bytes."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    # What is packed up to a full flush may be repeated. Without the checksum the file does not end; who would find out?
    start, million = packer.compress(b"{") + packer.flush(zlib.Z_FULL_FLUSH), bytes(1_000_000)
    repeated = packer.compress(million) + packer.flush(zlib.Z_FULL_FLUSH)
    return start + repeated * (size // len(million))


class Server:
    """A server on a loopback port of its own. A context manager; it leaves no thread and no socket.

    Attributes:
        url: its scheme, host and port.
        requests: what was read, in the order of arrival.
        connections: all there were, in the order of arrival.
    """

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None) -> None:
        self.scripts = list(scripts)
        self._tls = tls
        self._listener = socket.create_server((LOOPBACK, 0))
        self._acceptor = threading.Thread(target=self._accept, name="acceptor")
        self._handlers: list[threading.Thread] = []
        self._closing = False
        self.url = f"http{'s' if tls else ''}://{LOOPBACK}:{self._listener.getsockname()[1]}"
        self.requests: list[Request] = []
        self.connections: list[Connection] = []

    def __enter__(self) -> Self:
        self._acceptor.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing = True
        with suppress(OSError):
            socket.create_connection(self._listener.getsockname()).close()  # Wakes the acceptor.
        self._acceptor.join()
        self._listener.close()
        for connection in self.connections:
            with suppress(OSError):
                connection.socket.shutdown(socket.SHUT_RDWR)
        for handler in self._handlers:
            handler.join()

    def deserted(self) -> bool:
        """Return whether every client has hung up, or does so soon."""
        until = time.monotonic() + SOON
        for handler in self._handlers:
            handler.join(max(0.0, until - time.monotonic()))
        return not any(handler.is_alive() for handler in self._handlers)

    def _accept(self) -> None:
        while True:
            accepted, _ = self._listener.accept()
            if self._closing:
                accepted.close()
                return
            accepted.settimeout(LIMIT)
            connection = Connection(accepted, self.requests)
            self.connections.append(connection)
            script = self.scripts[min(len(self.connections), len(self.scripts)) - 1]
            handler = threading.Thread(target=self._handle, args=(connection, script), name="handler")
            handler.start()
            self._handlers.append(handler)  # Only now may it be joined.

    def _handle(self, connection: Connection, script: Script) -> None:
        with suppress(HangupError, OSError):
            if self._tls is not None:
                connection.socket = self._tls.wrap_socket(connection.socket, server_side=True)
            for step in script:
                if isinstance(step, bytes):
                    connection.send(step)
                else:
                    step(connection)
        connection.socket.close()


@contextmanager
def refusing() -> Iterator[str]:
    """Yield the URL of a port that refuses connections."""
    with socket.socket() as bound:  # But not listening.
        bound.bind((LOOPBACK, 0))
        yield f"http://{LOOPBACK}:{bound.getsockname()[1]}"


@contextmanager
def crowded() -> Iterator[str]:
    """Yield the URL of a port whose queue is full, so that a connection is neither made nor refused."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((LOOPBACK, 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"http://{LOOPBACK}:{listener.getsockname()[1]}"


def untrusted() -> ssl.SSLContext:
    """Return what a server needs to speak TLS with a certificate for the loopback address that nobody trusts."""
    from trustme import CA  # noqa: PLC0415 - few tests need it, and it is slow to import.

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CA().issue_cert(LOOPBACK).configure_cert(context)
    return context


# --- Three ways to talk to it. ---


QUICKLY: Final = FixedPolling(0.05)
SHARED: Final[dict[str, Any]] = {"verify": ssl.create_default_context(), "timeout": None}
"""What the client's own HTTP client is like; but the certificates, which take some time, are read once for all."""
Ask: TypeAlias = Callable[[Any], Any]
"""A call of a client's method, such as `lambda cat: cat.status("cat-1")`."""


def http_client(driver: Driver, http: dict[str, Any] | None = None) -> Any:
    """Return the context of an HTTP client to use, made with these arguments.

    Without any, it is that of None: our client makes its own. It makes none of the other library: there, it is that of
    a plain HTTP client.
    """
    if http is None and driver.http_library == DEFAULT:
        return nullcontext()
    return (driver.http.Client if driver.name == "sync" else driver.http.AsyncClient)(**(http or {}))


def drive(  # noqa: PLR0913 - most are keywords that hardly any test needs.
    driver: Driver,
    base_url: str | None,
    *asks: Ask,
    http: dict[str, Any] | None = SHARED,
    clock: VirtualClock | None = None,
    polling: Polling = QUICKLY,
    after: Callable[[], object] = lambda: None,
    journal: Path | str | None = None,
    key: str = KEY,
    **options: Any,
) -> Any:
    """Make a client, let it do what is asked, close it, and return the last result; that of `watch` is a list.

    Args:
        driver: the way to use the client.
        base_url: the gateway's. None: those of the contract.
        asks: what to do, in this order.
        http: see `http_client`.
        clock: the clock to use. None: this machine's.
        polling: when to ask again.
        after: is called before the client is closed, even when it raised.
        journal: the journal to use. None: there is none.
        key: the client's.
        options: more arguments of the client.
    """
    options |= {"polling": polling, "clock": clock, "journal": journal}

    def blocking() -> Any:
        result: Any = None
        with ExitStack() as stack:
            given = stack.enter_context(http_client(driver, http))
            cat = stack.enter_context(LongCat(key, base_url, http_client=given, **options))
            stack.callback(after)
            for ask in asks:
                result = ask(cat)
                result = list(result) if isinstance(result, Iterator) else result
        return result

    async def waiting() -> Any:
        result: Any = None
        tasks = len(anyio.get_running_tasks())

        async def check() -> None:
            for _ in range(5):  # The event loop may have a generator to clean up.
                await checkpoint()
            assert len(anyio.get_running_tasks()) == tasks

        async with AsyncExitStack() as stack:
            given = await stack.enter_async_context(http_client(driver, http))
            cat = AsyncLongCat(key, base_url, http_client=given, **options)
            await stack.enter_async_context(cat)
            stack.callback(after)
            stack.push_async_callback(check)
            for ask in asks:
                result = ask(cat)
                result = [item async for item in result] if hasattr(result, "__aiter__") else await result
        return result

    return blocking() if driver.name == "sync" else anyio.run(waiting, backend=driver.name)


each_backend: Final = pytest.mark.parametrize("backend", ["asyncio", "trio"])


# --- Around each test. ---


def eventually(condition: Callable[[], object], seconds: float = LIMIT) -> bool:
    """Return whether the condition comes true in time."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.005)
    return True


def own_threads() -> set[threading.Thread]:
    """Return the threads that run, but for those that trio keeps."""
    # Trio keeps idle worker threads for some seconds, for whoever needs one next.
    return {thread for thread in threading.enumerate() if not thread.name.startswith("Trio")}


def open_files() -> list[str]:
    """Return the descriptors that are open, each by its number."""
    return os.listdir("/dev/fd")  # noqa: PTH208 - one of them is the folder itself, which is then no more.


@contextmanager
def tidy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take the environment's proxies away, and fail when a thread, a file or a socket from within is left."""
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.lower(), raising=False)
    threads, files = own_threads(), open_files()
    yield
    try:
        assert eventually(lambda: own_threads() <= threads, SOON), f"left: {own_threads() - threads}"
        assert eventually(lambda: len(open_files()) <= len(files), SOON), (
            f"left: {len(open_files()) - len(files)} files or sockets"
        )
    except AssertionError:
        gc.collect()  # Python's own complaints belong to this test too, and not to the next.
        raise


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file in a folder, by its name."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@contextmanager
def peak(limit: int) -> Iterator[None]:
    """Fail when more memory than so many bytes is in use at once within."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()

"""The sandbox on a socket: it says when it is ready, and stops at once."""

import asyncio
import contextlib
import ipaddress
import signal
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

import anyio
import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from longcat.sandbox.app import create_app
from longcat.sandbox.behaviours import TRANSPORT
from longcat.sandbox.state import Settings

_LOG_REQUESTS: Final[dict[str, Any]] = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"stderr": {"class": "logging.StreamHandler"}},
    "loggers": {"uvicorn.access": {"handlers": ["stderr"], "level": "INFO", "propagate": False}},
}


def announce(url: str) -> None:
    """Print the one line that says the sandbox is ready, and where."""
    sys.stdout.write(f"longcat sandbox: {url}\n")
    sys.stdout.flush()


def serve(
    settings: Settings | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    ready: Callable[[str], object] = announce,
    log_requests: bool = False,
) -> None:
    """Serve until SIGINT (Ctrl-C) or SIGTERM, then return normally; port 0 takes a free one.

    `ready` is called with the URL once connections are accepted. `log_requests` writes a line for each to stderr.
    Raises OSError when the address cannot be had, for example because the port is in use.
    """
    listener = _listen(host, port)
    with contextlib.closing(listener):
        address = listener.getsockname()[0]
        is_local = ipaddress.ip_address(address).is_loopback
        if not is_local:
            sys.stderr.write(
                f"longcat sandbox: It listens on {address}, so it can be reached from other machines: whoever knows the"
                " key can order there, and anyone can read the orders.\n"
            )
        app = create_app(settings, local=is_local)
        _Server(_config(app, log_requests=log_requests), lambda: ready(_url(listener))).run([listener])


@contextlib.contextmanager
def running(
    settings: Settings | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
) -> Iterator[str]:
    """Serve from a thread while the block lasts, for tests; yields the URL.

    Args:
        settings: None: those of `Settings()`.
        clock: the sandbox's, in seconds that never go back.
        wall: the sandbox's, in seconds since 1970.
        sleep: how the sandbox lets seconds pass.
    """
    with contextlib.closing(_listen("127.0.0.1", 0)) as listener:
        started = threading.Event()
        app = create_app(settings, clock=clock, wall=wall, sleep=sleep, local=True)
        server = _Server(_config(app, log_requests=False), started.set)
        thread = threading.Thread(target=server.run, args=([listener],), name="longcat sandbox")
        thread.start()
        try:
            if not started.wait(10):
                raise RuntimeError("The sandbox did not start within 10 s.")
            yield _url(listener)
        finally:
            server.should_exit = True
            thread.join()


REQUEST_TIMEOUT: Final = 30.0
"""Seconds in which a request must have come, from its first byte to its last. Uvicorn would wait for ever."""


class _Protocol(H11Protocol):
    """h11, which plain uvicorn brings. It tells the app its transport, for the faults that break connections.

    It gives up on a request of which only a part comes.
    """

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        # asyncio does this only for sockets that name their protocol. Without it each answer on a kept connection takes
        # 40 ms: the kernel holds the body back until the headers are acknowledged.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        super().connection_made(transport)
        self.app_state = {**self.app_state, TRANSPORT: transport}
        self._late = self.loop.call_later(REQUEST_TIMEOUT, transport.abort)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state not in {h11.IDLE, h11.SEND_BODY}:  # The request is here.
            self._stop_timer()
        elif self._late is None:
            self._late = self.loop.call_later(REQUEST_TIMEOUT, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def _stop_timer(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


class _Server(uvicorn.Server):
    """A uvicorn server that says when it listens, and neither waits for answers in flight nor dies of the signal."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], object]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)  # The protocols hear of it, and slow answers end because nobody is there.
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn raises the signal again after its shutdown, which would end in a traceback or in exit code -15.
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        previous = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


def _config(app: ASGIApp, *, log_requests: bool) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_Protocol,
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=_LOG_REQUESTS if log_requests else None,
        access_log=log_requests,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=75,  # Seconds; longer than callers pause between two calls.
        timeout_graceful_shutdown=1,
    )


def _listen(host: str, port: int) -> socket.socket:
    if port not in range(65_536):
        raise ValueError(f"A port is between 0 and 65535, not {port}.")
    return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=2048)


def _url(listener: socket.socket) -> str:
    """Return where to reach it: what is bound to every address is reached by the loopback one."""
    host, port = listener.getsockname()[:2]
    if ipaddress.ip_address(host).is_unspecified:
        host = "::1" if ":" in host else "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

"""Callbacks: when they are sent, and how. They go to loopback addresses only, whatever an order says."""

import asyncio
import contextlib
import ipaddress
import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

import anyio

from longcat.sandbox.behaviours import TimeSource
from longcat.sandbox.faults import FaultTarget
from longcat.sandbox.queue.received_orders import invalid
from longcat.sandbox.state import EmulatedRequest

MODES: Final = ("terminal", "sync")
# The page says that the receiver must answer "within seconds", that callbacks may be repeated, and that a receiver that
# keeps failing may be dropped. It gives no figures.
SECONDS_TO_ANSWER: Final = 5.0
PAUSES: Final = (1.0, 2.0)  # Seconds before a callback that failed is sent again, so often.
MAX_LINE: Final = 1024  # Bytes: what answers more without a line end is no HTTP server.
MAX_DELAY: Final = 15.0  # The page: the most seconds between two questions to the supplier in the mode `sync`.


@dataclass(frozen=True)
class Webhook:
    """The callbacks that an order wants, and where."""

    url: str
    mode: str


def read_webhook(headers: Mapping[str, str]) -> Webhook | None:
    """Return the webhook of an order; None if it has none. Raises OrderRefusedError for what is no URL, or no mode."""
    mode = headers.get("X-Webhook-Mode", "terminal")
    if mode not in MODES:
        raise invalid(f"The header X-Webhook-Mode must be one of: {', '.join(MODES)}.")
    url = headers.get("X-Webhook-URL")
    if url is None:
        return None
    # The page wants https. A URL of another kind is let pass, so that receivers in tests need no certificate.
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+", url):
        raise invalid("The header X-Webhook-URL must be a URL.")
    return Webhook(url, mode)


def moments(duration: float, mode: str) -> Iterator[float]:
    """Yield when callbacks are sent, in seconds after the order; the last one when the request is over.

    In the mode `sync` there is one for each question to the supplier. The pauses between those grow, which is inferred:
    1, 2, 4, 8 seconds, and then 15.
    """
    if mode == "sync":
        pauses = (min(2.0**n, MAX_DELAY) for n in itertools.count())
        yield from itertools.takewhile(lambda moment: moment < duration, itertools.accumulate(pauses))
    yield duration


class WebhookSender:
    """Sends callbacks in the background, those of each request in a task of its own."""

    def __init__(self, time: TimeSource) -> None:
        self._time = time
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, webhook: Webhook, emulated: EmulatedRequest, body: Callable[[], bytes]) -> None:
        """Send the callbacks of a request that has just begun; `body` returns the honest body of one, as of now.

        Raises RuntimeError on an event loop that is not asyncio's.
        """
        if (target := _target(webhook.url)) is None:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise RuntimeError("Webhooks need asyncio: run the sandbox with serve() or running().") from None
        task = loop.create_task(self._send_all(target, webhook.mode, emulated, body))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send_all(
        self, target: SplitResult, mode: str, emulated: EmulatedRequest, body: Callable[[], bytes]
    ) -> None:
        begun = emulated.started or 0.0
        async with anyio.create_task_group() as group:
            for moment in moments(emulated.duration, mode):
                while (left := begun + moment - self._time.clock()) > 0:
                    await self._time.sleep(left)
                fault = emulated.next_fault(FaultTarget.WEBHOOK)
                honest = body()
                for delay, content in fault.callbacks(honest) if fault else [(0.0, honest)]:
                    group.start_soon(self._send, target, delay, content)

    async def _send(self, target: SplitResult, delay: float, content: bytes) -> None:
        """Send one callback after so many seconds, and again if the receiver does not take it."""
        for pause in (delay, *PAUSES):
            if pause:
                await self._time.sleep(pause)
            with contextlib.suppress(OSError, anyio.EndOfStream, anyio.BrokenResourceError, TimeoutError):
                with anyio.fail_after(SECONDS_TO_ANSWER):
                    if await _post(target, content):
                        return


def _target(url: str) -> SplitResult | None:
    """Return the parts of a URL that a callback can be sent to; None for every other text."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
        is_ours = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return None
    return parts if is_ours and parts.scheme in {"http", "https"} else None


async def _post(target: SplitResult, content: bytes) -> bool:
    """Post a callback; return whether the receiver answers 2xx."""
    is_tls = target.scheme == "https"
    port = target.port or (443 if is_tls else 80)
    path = (target.path or "/") + (f"?{target.query}" if target.query else "")
    head = f"POST {path} HTTP/1.1\r\nHost: {target.netloc.rpartition('@')[2]}\r\nContent-Type: application/json\r\n"
    head += f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    host = target.hostname or ""
    async with await (
        anyio.connect_tcp(host, port, tls=True) if is_tls else anyio.connect_tcp(host, port)
    ) as connection:
        await connection.send(head.encode("latin-1", "replace") + content)
        status_line = b""
        while b"\r\n" not in status_line and len(status_line) < MAX_LINE:
            status_line += await connection.receive()
        return status_line.startswith((b"HTTP/1.1 2", b"HTTP/1.0 2"))

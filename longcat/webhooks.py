"""Callbacks of the gateway: what one says, and an ASGI application that takes them.

Nothing in a callback proves where it comes from. So nobody is believed: a callback wakes the wait for its request, and
the wait asks the gateway.
"""

import json
import logging
import secrets
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from http import HTTPStatus
from typing import Any, Final, TypeAlias

import anyio
from attrs import define

from longcat.errors import APIResponseValidationError, ConfigurationError
from longcat.gateway.messages import MAX_ANSWER
from longcat.gateway.queue import read_callback
from longcat.models import Status
from longcat.processes import ForkSafeLock
from longcat.settings import MAX_REQUEST_ID
from longcat.text import missing_package, shorten, show, system_reason

__all__ = ["Receiver", "parse", "serving"]

logger: Final = logging.getLogger("longcat")

MAX_BODY: Final = 64 * 1024  # Bytes of a callback that are read. The documented ones have some 400.
BODY_TIMEOUT: Final = 5.0  # Seconds in which the body must have come.
MAX_READING: Final = 100  # How many bodies are read at a time.
MAX_WAKES: Final = 1000  # How many waits are woken within a second.
MAX_CONNECTIONS: Final = 500  # How many callers are served at a time.
MAX_HEARD: Final = 1000  # How many requests are remembered that nobody waits for, or not yet.
HEARD_FOR: Final = 600.0  # Seconds for which they are remembered.

ASGIScope: TypeAlias = Mapping[str, Any]
ASGIReceive: TypeAlias = Callable[[], Awaitable[Mapping[str, Any]]]
ASGISend: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]


def parse(body: bytes | str) -> Status:
    """Return the status in the body of a callback. It proves nothing: anyone may have sent it.

    Raises:
        APIResponseValidationError: it does not have the form of an answer about a request, or has more than 1 MiB.
        ConfigurationError: it is neither bytes nor text.
    """
    if not isinstance(body, bytes | bytearray | memoryview | str):
        raise ConfigurationError(
            f"The body of a callback is bytes or text, not {type(body).__name__}. Pass it as it is."
        )
    start = body[: MAX_ANSWER + 1]
    data = start.encode(errors="surrogatepass") if isinstance(start, str) else bytes(start)
    return read_callback(data[:MAX_ANSWER], whole=len(data) <= MAX_ANSWER)


@define(eq=False)
class Subscription:
    """One wait that is to be woken.

    Attributes:
        callback: wakes it.
        word: the status word of the last callback. None: there was none.
    """

    callback: Callable[[], object]
    word: str | None = None


class Receiver:
    """An ASGI 3 application that takes callbacks, and wakes the waits for their requests.

    Pass it as `wake` to the methods that wait, and serve it under the address that orders have as `webhook_url`: with
    `serving`, with any ASGI server, or mounted in an application. It may be served in another thread than the waits
    run in. A callback that comes before its wait is remembered for a while. Repeats, disorder, and callbacks about
    requests that nobody waits for do no harm.

    It answers a POST with 200 as soon as it is read; others with 404, 405, 408, 413, 400 or 503.

    Args:
        secret: what the last part of the path must be, so that strangers don't find the address easily. It proves
            nothing. None: any path will do.

    Raises:
        ConfigurationError: the secret can't be a part of a path.
    """

    def __init__(self, secret: str | None = None, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        if secret is not None and (not secret or "/" in secret or not secret.isascii() or not secret.isprintable()):
            raise ConfigurationError("The secret of a receiver is the last part of a path. Pass one without a slash.")
        self._secret = secret
        self._monotonic = monotonic
        self._lock = ForkSafeLock()
        self._subscriptions: dict[str, list[Subscription]] = {}
        self._heard: OrderedDict[str, float] = OrderedDict()
        """When there was news of requests that nobody waits for, the oldest first."""
        self._reading = 0
        self._saw_stranger = False
        self._second = 0.0  # When the second began in which so many waits were woken.
        self._wakes = 0

    def subscribe(self, request_id: str, callback: Callable[[], object]) -> Callable[[], None]:
        """Call a function at each news of a request, as `longcat.waiting.wake.Wake` says. Any thread may do so."""
        subscription = Subscription(callback)
        with self._lock:
            self._subscriptions.setdefault(request_id, []).append(subscription)
            heard = self._heard.pop(request_id, None)
        if heard is not None and self._monotonic() - heard < HEARD_FOR:
            callback()

        def unsubscribe() -> None:
            with self._lock:
                subscriptions = self._subscriptions.get(request_id, [])
                if subscription in subscriptions:
                    subscriptions.remove(subscription)
                if not subscriptions:
                    self._subscriptions.pop(request_id, None)

        return unsubscribe

    def hear(self, body: bytes | str) -> bool:
        """Take in the body of a callback, and wake the waits for its request. For servers that don't speak ASGI.

        Returns whether it names a request, known or not. Any thread may call it.
        """
        if len(body) > MAX_BODY:
            return False
        try:
            status = parse(body)
            request_id, word = status.request_id, None if status.state.is_final else status.raw_state
        except APIResponseValidationError as error:
            # The gateway may send what no page says. As it will be asked anyway, the id is enough.
            if (found := _request_id(body)) is None:
                logger.debug("a callback was not understood: %s", error)
                return False
            request_id, word = found, None
        logger.debug("there was a callback about request %s", shorten(request_id))
        for callback in self._woken(request_id, word):
            callback()
        return True

    def _woken(self, request_id: str, word: str | None) -> list[Callable[[], object]]:
        """Return what wakes the waits for a request. The word says that it is not done yet. None: it may be."""
        now = self._monotonic()
        with self._lock:
            subscriptions = self._subscriptions.get(request_id)
            if subscriptions is None:
                self._heard[request_id] = now
                self._heard.move_to_end(request_id)
                if len(self._heard) > MAX_HEARD:
                    self._heard.popitem(last=False)
                return []
            told = [one for one in subscriptions if word is None or word != one.word]
            if now - self._second >= 1.0:
                self._second, self._wakes = now, 0
            if self._wakes + len(told) > MAX_WAKES:
                return []  # The waits ask on by themselves.
            self._wakes += len(told)
            for one in told:
                one.word = word
            return [one.callback for one in told]

    async def __call__(self, scope: ASGIScope, receive: ASGIReceive, send: ASGISend) -> None:
        """Serve one connection, as ASGI 3 says."""
        match scope["type"]:
            case "http":
                status = await self._answer(scope, receive)
                if status is not None:
                    await _respond(scope, send, status)
            case "lifespan":
                await _live(receive, send)
            case "websocket":
                await send({"type": "websocket.close"})
            case kind:
                raise ValueError(f"A receiver of callbacks can't serve {kind}. Route HTTP to it.")

    def _refusal(self, scope: ASGIScope) -> HTTPStatus | None:
        """Return the status code for a call whose body need not be read. None: it must be."""
        last = scope["path"].rstrip("/").rpartition("/")[2].encode(errors="replace")
        if self._secret is not None and not secrets.compare_digest(last, self._secret.encode()):
            self._log_stranger(scope["path"])
            return HTTPStatus.NOT_FOUND
        if scope["method"] != "POST":
            return HTTPStatus.METHOD_NOT_ALLOWED
        return HTTPStatus.SERVICE_UNAVAILABLE if self._reading >= MAX_READING else None

    def _log_stranger(self, path: str) -> None:
        """Log the first call that comes to another path: a proxy may not pass the path on."""
        if not self._saw_stranger:
            self._saw_stranger = True
            logger.warning("A callback came to %s, which does not end with the receiver's secret.", shorten(path))

    async def _answer(self, scope: ASGIScope, receive: ASGIReceive) -> HTTPStatus | None:
        """Return the status code for a call. None: the caller has hung up."""
        if (refusal := self._refusal(scope)) is not None:
            return refusal
        self._reading += 1
        try:
            with anyio.fail_after(BODY_TIMEOUT):
                body = await _body(receive)
        except TimeoutError:
            return HTTPStatus.REQUEST_TIMEOUT
        except _TooLongError:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        finally:
            self._reading -= 1
        if body is None:
            return None
        return HTTPStatus.OK if self.hear(body) else HTTPStatus.BAD_REQUEST


class _TooLongError(Exception):
    """A body is longer than `MAX_BODY`."""


async def _body(receive: ASGIReceive) -> bytes | None:
    """Return the body of a call. None: the caller has hung up. Raises `_TooLongError` at the first byte too many."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            raise _TooLongError
        if not message.get("more_body", False):
            return bytes(body)


async def _respond(scope: ASGIScope, send: ASGISend, status: HTTPStatus) -> None:
    headers = [(b"content-length", b"0")]
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers.append((b"allow", b"POST"))
    if status is not HTTPStatus.OK and scope.get("http_version", "").startswith("1"):
        headers.append((b"connection", b"close"))  # The rest of the body need not be read.
    await send({"type": "http.response.start", "status": status.value, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _live(receive: ASGIReceive, send: ASGISend) -> None:
    """Say that we are ready as soon as the server is, and leave when it does."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def _request_id(body: bytes | str) -> str | None:
    """Return the request that a body names, whatever else is in it. None: it names none."""
    try:
        decoded = json.loads(body)
    except (ValueError, RecursionError):
        return None
    request_id = decoded.get("request_id") if isinstance(decoded, dict) else None
    return request_id if isinstance(request_id, str) and 0 < len(request_id) <= MAX_REQUEST_ID else None


@contextmanager
def serving(receiver: Receiver, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serve a receiver from a thread while the block lasts, and yield its URL. Needs the extra `webhooks`.

    It speaks plain HTTP. The gateway wants https, so something in front must: a reverse proxy, or a tunnel.

    Args:
        receiver: what takes the callbacks.
        host: the address to listen on.
        port: the port to listen on; 0 takes a free one.

    Raises:
        ConfigurationError: the address can't be had, or uvicorn is not installed.
    """
    try:
        import uvicorn  # noqa: PLC0415 - it needs the extra.
    except ModuleNotFoundError as missing:
        message = missing_package("Serving a receiver", missing.name or "uvicorn", "webhooks")
        raise ConfigurationError(message) from missing
    with closing(_listen(host, port)) as listener:
        config = uvicorn.Config(
            receiver,
            http="h11",
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            log_level=logging.CRITICAL,  # It would log what strangers send.
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), name="longcat webhooks", daemon=True)
        thread.start()
        try:
            address, bound, *_ = listener.getsockname()
            yield f"http://[{address}]:{bound}" if ":" in address else f"http://{address}:{bound}"
        finally:
            server.should_exit = True
            thread.join()


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket to which callers can connect from now on. Raises ConfigurationError."""
    reason = "a port is between 0 and 65535"
    if port in range(65_536):
        try:
            return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        except (OSError, UnicodeError) as error:
            reason = system_reason(error)
    message = f"No callbacks can be taken at {show(host)}, port {port}: {reason}. Choose another host or port."
    raise ConfigurationError(message)

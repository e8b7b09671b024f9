"""What may stand between a client and PostgreSQL: a proxy that cuts or goes silent, and a pooler of transactions."""

import queue
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, Literal, Self

from attrs import define

LOOPBACK: Final = "127.0.0.1"
ENCRYPTION: Final = {80877103, 80877104}
"""What a client asks for first: TLS or GSSAPI. It is told no, with one letter."""
CANCEL: Final = 80877102
"""What a client sends, instead of a beginning, that wants another connection's statement to be cancelled."""
QUESTION: Final = b"QS"
"""The kinds of messages after which a client waits for `ReadyForQuery`: Query, and the Sync that ends a pipeline."""
TERMINATE: Final = b"X"
READY: Final = b"Z"
IDLE: Final = b"Z\0\0\0\x05I"
"""That the server is ready, and no transaction is open."""


class HangupError(Exception):
    """A peer has hung up."""


def receive(peer: socket.socket, size: int) -> bytes:
    """Return so many bytes. Raises HangupError."""
    whole = bytearray()
    while len(whole) < size:
        with suppress(OSError):
            if part := peer.recv(size - len(whole)):
                whole += part
                continue
        raise HangupError
    return bytes(whole)


def receive_message(peer: socket.socket) -> bytes:
    """Return the next message: its kind, its length, what it says. Raises HangupError."""
    head = receive(peer, 5)
    return head + receive(peer, int.from_bytes(head[1:], "big") - 4)


def receive_startup(client: socket.socket) -> bytes:
    """Return the first message of a client, which has no kind, once it knows that there is no encryption."""
    while True:
        size = receive(client, 4)
        message = size + receive(client, int.from_bytes(size, "big") - 4)
        if int.from_bytes(message[4:8], "big") not in ENCRYPTION:
            return message
        send(client, b"N")


def send(peer: socket.socket, message: bytes) -> None:
    """Send a message. Raises HangupError."""
    try:
        peer.sendall(message)
    except OSError:
        raise HangupError from None


def hang_up(peer: socket.socket, *, reset: bool = False) -> None:
    """End a connection, also for a thread that waits for it. With a `reset`, the peer gets an error."""
    with suppress(OSError):
        if reset:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            peer.shutdown(socket.SHUT_RDWR)
    with suppress(OSError):
        peer.shutdown(socket.SHUT_RDWR)
    peer.close()


class Listener:
    """A server on a loopback port that calls a function, in a thread, for every connection. Used in a `with`.

    Attributes:
        port: where it listens.
    """

    def __init__(self) -> None:
        self._socket = socket.create_server((LOOPBACK, 0))
        self.port: int = self._socket.getsockname()[1]
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._run(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        hang_up(self._socket)
        self.hang_up_all()
        while self._threads:
            self._threads.pop().join()

    def hang_up_all(self) -> None:
        """End all connections."""
        raise NotImplementedError

    def serve(self, client: socket.socket) -> None:
        """Talk with a client until it ends."""
        raise NotImplementedError

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._run(self.serve, client)

    def _run(self, function: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()


@define(eq=False)
class Pair:
    """A client's connection, and the one that was made to the server for it."""

    client: socket.socket
    server: socket.socket
    loses_replies: bool = False  # Until it is cut, which comes with the next `ReadyForQuery`.

    def hang_up(self, *, reset: bool = False) -> None:
        hang_up(self.client, reset=reset)
        hang_up(self.server)


class Proxy(Listener):
    """A proxy to a server on a port of the loopback interface, which forwards every message, or does not.

    Args:
        port: that of the server.
        rewrite: returns what a client is sent instead of a message of the server.

    Attributes:
        questions: how many questions of clients were forwarded, on all connections: what they await an answer to.
        connections: how many there were.
        is_refusing: whether new connections are closed at once.
    """

    def __init__(self, port: int, *, rewrite: Callable[[bytes], bytes] = bytes) -> None:
        super().__init__()
        self._rewrite = rewrite
        self._server = (LOOPBACK, port)
        self._pairs: set[Pair] = set()
        self._guard = threading.Lock()
        self._cut_at: int | None = None
        self._when: Literal["before", "after"] = "before"
        self._flows = threading.Event()
        self._flows.set()
        self._is_over = False
        self.questions = 0
        self.connections = 0
        self.is_refusing = False

    def cut(self, number: int, when: Literal["before", "after"]) -> None:
        """Cut the connection with the `number`-th question from now: before the server gets it, or after it obeyed.

        Only that connection is cut, once. 1 is the next question.
        """
        with self._guard:
            self._cut_at, self._when = self.questions + number, when

    @property
    def has_cut(self) -> bool:
        """Whether the last cut that was asked for has come."""
        return self._cut_at is None

    def go_silent(self) -> None:
        """Forward nothing any more, in neither direction, and close nothing, as when a cable is pulled."""
        self._flows.clear()

    def resume(self) -> None:
        """Forward what has come meanwhile, and all that comes."""
        self._flows.set()

    def hang_up_all(self) -> None:
        """End all connections, on both sides."""
        with self._guard:
            pairs = set(self._pairs)
        for pair in pairs:
            pair.hang_up(reset=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.is_refusing = True
        self._flows.set()
        super().__exit__(kind, error, trace)

    def serve(self, client: socket.socket) -> None:
        """Forward what a client says, and, in another thread, what the server says."""
        if self.is_refusing:
            return client.close()
        self.connections += 1
        try:
            pair = Pair(client, socket.create_connection(self._server))
        except OSError:  # The server is down.
            return client.close()
        with self._guard:
            self._pairs.add(pair)
        pair.server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._run(self._forward_replies, pair)
        with suppress(HangupError):
            send(pair.server, receive_startup(client))
            while True:
                message = receive_message(client)
                self._flows.wait()
                if message[0] in QUESTION and not self._let_pass(pair):
                    break
                send(pair.server, message)
        pair.hang_up()
        with self._guard:
            self._pairs.discard(pair)
        return None

    def _let_pass(self, pair: Pair) -> bool:
        """Count a question, and return whether it is forwarded."""
        with self._guard:
            if self.questions + 1 == self._cut_at:
                self._cut_at = None
                if self._when == "before":
                    return False
                pair.loses_replies = True
            self.questions += 1
        return True

    def _forward_replies(self, pair: Pair) -> None:
        with suppress(HangupError):
            while True:
                message = receive_message(pair.server)
                self._flows.wait()
                if not pair.loses_replies:
                    send(pair.client, self._rewrite(message))
                elif message[:1] == READY:
                    break
        pair.hang_up()


@define(eq=False)
class Backend:
    """A pooler's own connection to the server.

    Attributes:
        greeting: what the server said first, up to the first `ReadyForQuery`, without the key.
        key: the `BackendKeyData`.
    """

    server: socket.socket
    greeting: bytes = b""
    key: bytes = b""

    @classmethod
    def connect(cls, path: str, startup: bytes) -> Self:
        """Connect by a Unix socket that asks for no password, and begin as a client did."""
        backend = cls(socket.socket(socket.AF_UNIX))
        backend.server.connect(path)
        send(backend.server, startup)
        while (message := receive_message(backend.server))[:1] != READY:
            if message[:1] == b"K":
                backend.key = message
            else:
                backend.greeting += message
        return backend


class Pooler(Listener):
    """A pooler of transactions, as PgBouncer is in that mode: every transaction gets whichever connection is free.

    All of its clients begin as the first one does. It knows no COPY.

    Args:
        path: the Unix socket of the server.
        size: how many connections it has to the server.
        forwards_key: whether a client is told the key of a connection of the server; else one of the pooler's own.
    """

    def __init__(self, path: str, *, size: int = 2, forwards_key: bool = False) -> None:
        super().__init__()
        self._path = path
        self._size = size
        self._forwards_key = forwards_key
        self._clients: set[socket.socket] = set()
        self._backends: list[Backend] = []
        self._free: queue.SimpleQueue[Backend] = queue.SimpleQueue()
        self._number = 0
        self._guard = threading.Lock()

    def hang_up_all(self) -> None:
        """End all connections."""
        for peer in (*self._clients, *(backend.server for backend in self._backends)):
            hang_up(peer)

    def serve(self, client: socket.socket) -> None:
        """Greet a client, and give each of its transactions a connection."""
        self._clients.add(client)
        with suppress(HangupError):
            startup = receive_startup(client)
            if int.from_bytes(startup[4:8], "big") != CANCEL:
                backend, number = self._greet(startup)
                key = backend.key if self._forwards_key else b"K" + struct.pack("!iii", 12, number, 4711)
                send(client, backend.greeting + key + IDLE)
                while True:
                    self._serve_transaction(client)
        client.close()

    def _greet(self, startup: bytes) -> tuple[Backend, int]:
        """Return a connection whose greeting a new client gets, and the client's number. The first makes them all."""
        with self._guard:
            if not self._backends:
                self._backends += [Backend.connect(self._path, startup) for _ in range(self._size)]
                for backend in self._backends:
                    self._free.put(backend)
            self._number += 1
            return self._backends[self._number % self._size], self._number

    def _serve_transaction(self, client: socket.socket) -> None:
        """Forward one transaction, from the first message to the `ReadyForQuery` that says that none is open."""
        message = receive_message(client)
        if message[:1] == TERMINATE:
            raise HangupError
        backend = self._free.get()
        try:
            send(backend.server, message)
            while message[0] not in QUESTION or not self._forward_reply(backend, client):
                message = receive_message(client)
                send(backend.server, message)
        finally:
            self._free.put(backend)
        send(client, IDLE)  # Now, as who hears of it may ask again, and then gets the connection whose turn it is.

    @staticmethod
    def _forward_reply(backend: Backend, client: socket.socket) -> bool:
        """Forward the answer to a question, but for `IDLE`, and return whether that is how it ended."""
        while (message := receive_message(backend.server)) != IDLE:
            send(client, message)
            if message[:1] == READY:
                return False
        return True

"""Every exception of every library below, raised at every seam between us and them, in every call of the clients."""

import inspect
import json
import socket
import sqlite3
import sys
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

import anyio
import httpcore
import httpx
import pytest
from attrs import define, frozen
from fakes import KEY, PICTURE, Blocking, Cat, Driver, completed, finish
from servers import http_client

from longcat import AsyncLongCat, FixedPolling, Image, LongCat, LongCatError
from longcat.saving.partial_file import PartialFile
from longcat.sending.http.asyncio_transport import AsyncioTransport
from longcat.sending.http.libraries import DEFAULT
from longcat.testing import VirtualClock
from longcat.testing.picture import draw

URL: Final = "https://127.0.0.1"
SHORT: Final = 0.3
"""Seconds, of a clock on which nothing takes time but sleeping, that a call may take."""
LIBRARIES: Final = (
    *("anyio", "asyncio", "attr", "concurrent.futures", "h11", "h2", "hpack", "idna", "json"),
    *("httpcore", "httpcore2", "httpx", "httpx2"),
    *("queue", "selectors", "socket", "sqlite3", "ssl", "trio", "zlib"),
)


FOR_POOLS: Final = "ConnectionNotAvailable"
"""With this exception a connection tells its pool to try another one, which it does for ever if all raise it."""


def every_class() -> list[type[Exception]]:
    """Return all classes of exceptions of the libraries below that a program can raise, and those of Python itself."""
    modules = [
        module
        for name, module in list(sys.modules.items())
        if any(name == library or name.startswith(f"{library}.") for library in LIBRARIES)
        and not name.startswith("trio._core._tests")
    ]
    found = {
        value
        for module in [*modules, sys.modules["builtins"]]
        for value in list(vars(module).values())
        if inspect.isclass(value) and issubclass(value, Exception) and value.__name__ != FOR_POOLS
    }
    ours = (Warning, MemoryError, LongCatError, StopIteration, StopAsyncIteration)
    return sorted(
        (cls for cls in found if not issubclass(cls, ours)), key=lambda cls: (cls.__module__, cls.__qualname__)
    )


def instance(cls: type[Exception]) -> Exception:
    """Return an exception of a class, in whichever way one can be made."""
    request = httpx.Request("GET", URL)
    for arguments, keywords in (
        (("boom",), {}),
        ((), {}),
        (("boom",), {"request": request, "response": httpx.Response(500, request=request)}),
        (("boom", [ValueError()]), {}),
        ((b"boom", 1), {}),
        (("utf-8", b"boom", 0, 1, "boom"), {}),
        (("utf-8", "boom", 0, 1, "boom"), {}),
        (("boom", "boom", 0), {}),
    ):
        with suppress(TypeError, AttributeError, ValueError):
            return cls(*arguments, **keywords)
    return cls.__new__(cls)


# --- The seams. ---


@define
class Seam:
    """Where an exception is raised, and which.

    Attributes:
        place: the place. The others work.
        error: the exception. None: everything works.
    """

    place: str = ""
    error: Exception | None = None

    def reach(self, place: str) -> None:
        """Raise the exception if this is the place."""
        if self.error is not None and self.place == place:
            raise self.error


@define(eq=False)
class Stream(httpcore.NetworkStream):
    """A connection without a network, to a server that takes every order and has finished every request."""

    seam: Seam
    received: bytes = b""
    answer: bytes = b""
    reads: int = 0

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - as httpcore calls it.
        """Return the head of the answer, and then the body."""
        self.seam.reach("read the head" if self.reads % 2 == 0 else "read the body")
        self.reads += 1
        head, separator, body = self.answer.partition(b"\r\n\r\n")
        self.answer = body if separator else b""
        return head + separator or body

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - as above.
        """Take in a request."""
        self.seam.reach("send")
        self.received += buffer
        head, separator, body = self.received.partition(b"\r\n\r\n")
        if separator and (body or b"content-length: " not in head.lower()):
            self.answer, self.received = answer_to(head, body), b""

    def close(self) -> None:
        """Close it."""
        self.seam.reach("close")

    def start_tls(self, *_: Any, **__: Any) -> httpcore.NetworkStream:
        """Begin to encrypt."""
        self.seam.reach("TLS")
        return self

    def get_extra_info(self, info: str) -> Any:
        """Return what is known of the connection."""
        return {"server_addr": ("127.0.0.1", 443), "is_readable": False}.get(info)


@define(eq=False)
class AsyncStream(httpcore.AsyncNetworkStream):
    """The same for asyncio and trio."""

    stream: Stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read."""
        return self.stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write."""
        self.stream.write(buffer, timeout)

    async def aclose(self) -> None:
        """Close."""
        self.stream.close()

    async def start_tls(self, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        """Begin to encrypt."""
        self.stream.start_tls()
        return self

    def get_extra_info(self, info: str) -> Any:
        """Return what is known of the connection."""
        return self.stream.get_extra_info(info)


class Backend(httpcore.NetworkBackend):
    """Makes such connections."""

    def __init__(self, seam: Seam) -> None:
        self.seam = seam

    def connect_tcp(self, *_: Any, **__: Any) -> Any:
        """Connect."""
        self.seam.reach("connect")
        return Stream(self.seam)


class AsyncBackend(httpcore.AsyncNetworkBackend):
    """The same for asyncio and trio."""

    def __init__(self, seam: Seam) -> None:
        self.seam = seam

    async def connect_tcp(self, *_: Any, **__: Any) -> Any:
        """Connect."""
        self.seam.reach("connect")
        return AsyncStream(Stream(self.seam))


PNG: Final = draw("r")
TAKEN: Final = json.dumps({"images": [{"url": "https://storage.test/one.png"}]}).encode()


def answer_to(head: bytes, body: bytes) -> bytes:
    """Return the answer to a request."""
    target = head.split(b" ")[1]
    if target.endswith(b".png"):
        content = PNG
    elif b"request_id" in body:
        content = json.dumps(completed(request_id=json.loads(body)["request_id"])).encode()
    else:
        content = TAKEN
    return b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(content), content)


# --- The calls. ---


async def all_of(items: AsyncIterable[Any]) -> list[Any]:
    """Return everything that is yielded."""
    return [item async for item in items]


Call: TypeAlias = Callable[[Cat, str, Path], Awaitable[Any]]
"""Takes the client, a name for requests or orders that no other call has, and a folder."""
CALLS: Final[dict[str, Call]] = {
    "status": lambda cat, name, _: cat.status(name),
    "wait": lambda cat, name, _: cat.wait(name, SHORT),
    "watch": lambda cat, name, _: all_of(cat.watch(name, SHORT)),
    "as_completed": lambda cat, name, _: all_of(cat.as_completed([name, f"{name}-2"], SHORT)),
    "wait_all": lambda cat, name, _: cat.wait_all([name, f"{name}-2"], SHORT),
    "submit": lambda cat, name, _: cat.submit("a cat", id=name, timeout=SHORT),
    "generate": lambda cat, name, _: cat.generate("a cat", id=name, timeout=SHORT),
    "generate_all": lambda cat, name, _: all_of(cat.generate_all([{"prompt": "a cat", "id": name}], SHORT)),
    "download": lambda cat, name, folder: cat.download(
        Image(name, PICTURE, (PICTURE,)), folder / "cat.png", overwrite=True, timeout=SHORT
    ),
}
IN_HTTP: Final = ("resolve", "connect", "TLS", "send", "read the head", "read the body", "close")
IN_FILES: Final = ("make the file", "write the file", "sync the file", "name the file")
IN_JOURNAL: Final = ("journal",)
PLACES: Final = (*IN_HTTP, *IN_FILES, *IN_JOURNAL)


@frozen
class Case:
    """One exception that is raised at one place while one call is made."""

    place: str
    call: str
    kind: type[Exception]


def every_case() -> list[Case]:
    """Return every class at every place in every call that comes there."""
    return [
        Case(place, call, kind)
        for kind in every_class()
        for place in PLACES
        for call in (["download"] if place in {"resolve", *IN_FILES} else CALLS)
    ]


def some_cases(driver: Driver) -> list[Case]:
    """Return every class once, and every place in every call once; other pairs for each driver."""
    cases, turn = every_case(), ("sync", "asyncio", "trio").index(driver.name)
    by_kind: dict[type[Exception], list[Case]] = {}
    by_place: dict[tuple[str, str], list[Case]] = {}
    for case in cases:
        by_kind.setdefault(case.kind, []).append(case)
        by_place.setdefault((case.place, case.call), []).append(case)
    # The blocking client gets every class, each of the others every second one: the translation is the same for all.
    kinds = list(by_kind.values()) if not turn else list(by_kind.values())[turn - 1 :: 2]
    groups = [*kinds, *by_place.values()]
    return [group[(7 * number + 29 * turn) % len(group)] for number, group in enumerate(groups)]


@contextmanager
def seams(seam: Seam) -> Iterator[None]:
    """Put the seams of names, files and journals in place."""

    def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        seam.reach("resolve")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("1.1.1.1", 443))]

    class File:
        def __init__(self, file: Any) -> None:
            self._file = file

        def __getattr__(self, name: str) -> Any:
            return getattr(self._file, name)

        def write(self, data: bytes) -> Any:
            seam.reach("write the file")
            return self._file.write(data)

    def made(self: PartialFile, *args: Any, **kwargs: Any) -> None:
        seam.reach("make the file")
        make(self, *args, **kwargs)
        self.file = File(self.file)  # type: ignore[assignment]

    def synced(self: PartialFile) -> None:
        seam.reach("sync the file")
        sync(self)

    def renamed(self: PartialFile, *args: Any, **kwargs: Any) -> None:
        seam.reach("name the file")
        rename(self, *args, **kwargs)

    class Database(sqlite3.Connection):
        def execute(self, *args: Any) -> Any:
            seam.reach("journal")
            return super().execute(*args)

    make, sync, rename = PartialFile.__init__, PartialFile.sync, PartialFile.rename
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "longcat.saving.journal.sqlite.owners.sqlite3.connect", partial(sqlite3.connect, factory=Database)
        )
        patch.setattr("longcat.sending.addresses.socket.getaddrinfo", getaddrinfo)
        patch.setattr(PartialFile, "__init__", made)
        patch.setattr(PartialFile, "sync", synced)
        patch.setattr(PartialFile, "rename", renamed)
        yield


async def leaked(cat: Cat, seam: Seam, cases: Iterable[Case], folder: Path) -> list[tuple[Case, Exception]]:
    """Return which exceptions came out of which calls."""
    found = []
    for number, case in enumerate(cases):
        seam.place, seam.error = case.place, instance(case.kind)
        try:
            result = await CALLS[case.call](cat, f"r{number}", folder)
        except LongCatError:
            continue
        except Exception as error:  # noqa: BLE001 - it is what we look for.
            found.append((case, error))
        else:
            results = result if isinstance(result, list) else [result]
            found += [
                (case, one) for one in results if isinstance(one, Exception) and not isinstance(one, LongCatError)
            ]
    seam.error = None
    assert (await cat.wait("the last", 30)).url == PICTURE
    return found


def run(driver: Driver, cases: Sequence[Case], folder: Path) -> list[tuple[Case, Exception]]:
    """Make the calls of some cases, with one client without a journal and one with a journal; return what leaked."""
    if driver.http_library != DEFAULT:  # Other exceptions may be those of a hook of the caller's HTTP client.
        kinds = [kind for kind in every_class() if kind.__module__.startswith(LIBRARIES)]
        cases = [case for case in cases if case.kind in kinds]
    of_journal = [case for case in cases if case.place in IN_JOURNAL]
    others = [case for case in cases if case.place not in IN_JOURNAL]
    return [*_run(driver, others, folder), *_run(driver, of_journal, folder, journal=folder / "journal")]


def _run(driver: Driver, cases: Sequence[Case], folder: Path, **options: Any) -> list[tuple[Case, Exception]]:
    seam = Seam()
    options |= {"clock": VirtualClock(), "polling": FixedPolling(0.1)}

    def put_in_place(cat: Any, given: Any, backend: Any) -> None:
        if given is not None:
            given._transport._pool._network_backend = backend
            return
        http = cat._sender.http
        make = http._make

        def make_with_backend(scheme: str, proxy: str | None) -> Any:
            transport = make(scheme, proxy)
            if isinstance(transport, AsyncioTransport):
                transport._network = backend
            else:
                transport._pool._network_backend = backend
            return transport

        http._make = make_with_backend

    async def main() -> list[tuple[Case, Exception]]:
        async with http_client(driver) as given, AsyncLongCat(KEY, URL, http_client=given, **options) as cat:
            put_in_place(cat, given, AsyncBackend(seam))
            return await leaked(cat, seam, cases, folder)

    with seams(seam):
        if driver.name != "sync":
            return anyio.run(main, backend=driver.name)
        with http_client(driver) as given, LongCat(KEY, URL, http_client=given, **options) as cat:
            put_in_place(cat, given, Backend(seam))
            return finish(leaked(cast("Cat", Blocking(cat)), seam, cases, folder))

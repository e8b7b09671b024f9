"""No exception of a library below ever comes out of a call: each class of each is raised at each seam, and looked for."""

import inspect
import json
import socket
import sys
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

import anyio
import httpcore
import httpx
import pytest
import trio
from attrs import define
from fakes import KEY, PICTURE, Blocking, Cat, Driver, completed, finish

from longcat import AsyncLongCat, LongCat, LongCatError
from longcat.saving.files import PartialFile
from longcat.sending import pools
from longcat.testing import VirtualClock
from longcat.testing.picture import draw

URL: Final = "https://127.0.0.1"
LIBRARIES: Final = (
    *("anyio", "asyncio", "attr", "concurrent.futures", "h11", "h2", "hpack", "httpcore", "httpx", "idna", "json"),
    *("queue", "selectors", "socket", "sqlite3", "ssl", "trio", "zlib"),
)


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
        if inspect.isclass(value) and issubclass(value, Exception)
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
            return cls(*arguments, **keywords)  # type: ignore[arg-type]
    return cls.__new__(cls)


# --- The seams. ---


@define
class Seam:
    """Where an exception is raised, and which.

    Attributes:
        name: the place. The others work.
        error: the exception. None: everything works.
    """

    name: str = ""
    error: Exception | None = None

    def reach(self, name: str) -> None:
        """Raise the exception if this is the place."""
        if self.error is not None and self.name == name:
            raise self.error


@define(eq=False)
class Stream(httpcore.NetworkStream, httpcore.AsyncNetworkStream):
    """A connection without a network, to a server that takes every order and has finished every request."""

    seam: Seam
    received: bytes = b""
    answer: bytes = b""
    reads: int = 0

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # type: ignore[override]
        """Return the head of the answer, and then the body."""
        self.seam.reach("read the head" if self.reads % 2 == 0 else "read the body")
        self.reads += 1
        head, separator, body = self.answer.partition(b"\r\n\r\n")
        self.answer = body if separator else b""
        return head + separator or body

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # type: ignore[override]
        """Take in a request."""
        self.seam.reach("send")
        self.received += buffer
        head, separator, body = self.received.partition(b"\r\n\r\n")
        if separator and (body or b"content-length: " not in head.lower()):
            self.answer, self.received = answer_to(head, body), b""

    def close(self) -> None:
        """Close it."""
        self.seam.reach("close")

    def start_tls(self, *_: Any, **__: Any) -> Any:
        """Begin to encrypt."""
        self.seam.reach("TLS")
        return self

    def get_extra_info(self, info: str) -> Any:
        """Return what is known of the connection."""
        return {"server_addr": ("127.0.0.1", 443), "is_readable": False}.get(info)


class AsyncStream(Stream):
    """The same for asyncio and trio."""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # type: ignore[override]
        """Read."""
        return Stream.read(self, max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # type: ignore[override]
        """Write."""
        Stream.write(self, buffer, timeout)

    async def aclose(self) -> None:
        """Close."""
        Stream.close(self)

    async def start_tls(self, *_: Any, **__: Any) -> Any:
        """Begin to encrypt."""
        return Stream.start_tls(self)


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
        return AsyncStream(self.seam)


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


Call: TypeAlias = Callable[[Cat, Path], Awaitable[Any]]
CALLS: Final[dict[str, Call]] = {
    "status": lambda cat, _: cat.status("r"),
    "wait": lambda cat, _: cat.wait("r", 0.3),
    "watch": lambda cat, _: all_of(cat.watch("r", 0.3)),
    "as_completed": lambda cat, _: all_of(cat.as_completed(["r", "s"], 0.3)),
    "wait_all": lambda cat, _: cat.wait_all(["r", "s"], 0.3),
    "submit": lambda cat, _: cat.submit("a cat", timeout=0.3),
    "generate": lambda cat, _: cat.generate("a cat", timeout=0.3),
    "generate_all": lambda cat, _: all_of(cat.generate_all(["a cat"], 0.3)),
    "download": lambda cat, folder: cat.download(PICTURE, folder / "cat.png", overwrite=True, timeout=0.3),
}
IN_HTTP: Final = ("connect", "TLS", "send", "read the head", "read the body", "close", "resolve")
IN_FILES: Final = ("make the file", "write the file", "sync the file", "name the file")


@contextmanager
def seams(seam: Seam, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put the seams of names and files in place."""

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

    make, sync, rename = PartialFile.__init__, PartialFile.sync, PartialFile.rename
    with monkeypatch.context() as patch:
        patch.setattr("longcat.sending.addresses.socket.getaddrinfo", getaddrinfo)
        patch.setattr(PartialFile, "__init__", made)
        patch.setattr(PartialFile, "sync", synced)
        patch.setattr(PartialFile, "rename", renamed)
        yield


async def leaked(cat: Cat, seam: Seam, cases: Iterable[tuple[str, str, type[Exception]]], folder: Path) -> list[Any]:
    """Return which exceptions came out of which calls."""
    found = []
    for name, call, cls in cases:
        seam.name, seam.error = name, instance(cls)
        try:
            result = await CALLS[call](cat, folder)
        except LongCatError:
            continue
        except Exception as error:  # noqa: BLE001 - it is what we look for.
            found.append((name, call, cls, error))
        else:
            bad = [one for one in (result if isinstance(result, list) else [result]) if isinstance(one, Exception)]
            found += [(name, call, cls, one) for one in bad if not isinstance(one, LongCatError)]
    seam.error = None
    assert await cat.status("r")
    return found


def run(driver: Driver, cases: Iterable[tuple[str, str, type[Exception]]], folder: Path, **options: Any) -> list[Any]:
    """Make the calls with one client, and return what leaked."""
    seam = Seam()

    def prepare(cat: Any, backend: Any) -> None:
        for pool in pools.pools(cat._sender.http):
            pool._network_backend = backend

    if driver.name == "sync":
        with LongCat(KEY, URL, clock=VirtualClock(), **options) as cat:
            prepare(cat, Backend(seam))
            with seams(seam, MP):
                return finish(leaked(cast("Cat", Blocking(cat)), seam, cases, folder))

    async def main() -> list[Any]:
        async with AsyncLongCat(KEY, URL, clock=VirtualClock(), **options) as cat:
            prepare(cat, AsyncBackend(seam))
            with seams(seam, MP):
                return await leaked(cat, seam, cases, folder)

    return anyio.run(main, backend=driver.name)

if __name__ == "__main__":
    import time, collections, tempfile
    MP = pytest.MonkeyPatch()
    classes = every_class()
    print(len(classes), "classes")
    for d in sys.argv[1:] or ("sync", "asyncio", "trio"):
        t = time.process_time()
        folder = Path(tempfile.mkdtemp())
        cases = [(seam, call, cls) for cls in classes for seam in IN_HTTP for call in CALLS] + [(seam, "download", cls) for cls in classes for seam in IN_FILES]
        found = run(Driver(d), cases, folder)
        print(d, len(cases), "cases", len(found), "leaks", time.process_time() - t)
        print(collections.Counter((name, call) for name, call, *_ in found))
        for x in found[:5]: print(x)

"""That either HTTP library sends the calls, and what of it is used for many of them."""

import asyncio
import json
import subprocess
import sys
from functools import wraps
from types import ModuleType
from typing import Any, Final

import httpx
import httpx2
import pytest
from fakes import KEY, completed

from longcat import AsyncLongCat, LongCat, NotFoundError
from longcat.sandbox import EXAMPLE_KEY, running
from longcat.sending.answer_reader import read_headers
from longcat.sending.http import transports
from longcat.sending.http.transports import SyncTransports
from longcat.sending.proxies import Proxies

URL: Final = "https://gateway.test"
PROGRAM: Final = """
import sys, httpx2
from longcat import AsyncLongCat, LongCat, NotFoundError
answer = {"request_id": "r", "status": "processing", "progress": 0.4, "created_at": "2026-11-26T10:00:00Z"}
transport = httpx2.MockTransport(lambda request: httpx2.Response(200, json=answer))
with httpx2.Client(transport=transport) as http:
    print(LongCat("the-key-of-the-tests", "https://gateway.test", http_client=http).status("r").state.value)
print(sorted({"httpx", "httpcore"} & set(sys.modules)))
"""


def test_a_program_with_a_client_of_httpx2_never_imports_httpx() -> None:
    """Nor what is below it: a program may do without it."""
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)  # noqa: S603
    assert (ran.stdout, ran.stderr) == ("processing\n[]\n", "")


@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
def test_what_is_changed_on_the_callers_client_counts_for_the_next_call(library: Any) -> None:
    """Its headers, parameters and hooks are read for every call, although most of a request is prepared once."""
    requests, hooked = [], []

    def answer(request: Any) -> Any:
        requests.append(request)
        return library.Response(200, json=completed(request_id="r"), headers={"Set-Cookie": "a=b"})

    with library.Client(transport=library.MockTransport(answer)) as http:
        cat = LongCat(KEY, URL, http_client=http)
        cat.status("r")
        http.headers["X-Mine"] = "1"
        http.params = {"zone": "a"}
        http.cookies.set("mine", "1")
        http.event_hooks = {"request": [lambda request: hooked.append(request.content)]}
        cat.status("r")
    assert [request.headers.get("X-Mine") for request in requests] == [None, "1"]
    assert [request.url.query for request in requests] == [b"", b"zone=a"]
    assert [request.headers.get("Cookie") for request in requests] == [None, None]
    assert hooked == [requests[1].content]
    assert requests[0].headers["User-Agent"].endswith(f"{library.__name__}/{library.__version__}")


class Transport(httpx.BaseTransport):
    """A transport that can only be closed."""

    is_closed = False

    def close(self) -> None:
        """Take note of it."""
        self.is_closed = True


def test_a_transport_is_used_again_for_its_origin_until_it_was_idle_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that was used last is used first, so that those which are not needed come to their end."""
    now = 0.0
    monkeypatch.setattr(transports, "monotonic", lambda: now)
    stack = SyncTransports(Proxies(), lambda *_: Transport())
    here, there = httpx.URL("http://here.test"), httpx.URL("http://here.test:81")
    first, second = (stack.take(here, cross_origin=False) for _ in range(2))
    stack.give_back(first, here)
    stack.give_back(second, here)
    assert stack.take(there, cross_origin=True) not in {first, second}
    assert stack.take(here, cross_origin=False) is second
    now = 5.1
    stack.give_back(second, here)
    assert (first.is_closed, second.is_closed) == (True, False)  # type: ignore[attr-defined]
    stack.close()
    assert second.is_closed  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "raw",
    [
        [(b"A", b"1"), (b"b", b"2"), (b"a", b"3")],
        [(b"A", "é".encode())],
        [(b"A", b"\xe9"), (b"B\xe9", b"1")],
        [],
    ],
)
@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
def test_headers_are_read_as_the_http_libraries_read_them(library: Any, raw: list[tuple[bytes, bytes]]) -> None:
    """Those that come twice are one, and what is neither ASCII nor UTF-8 is Latin-1."""
    headers = library.Headers(raw)
    assert read_headers(headers.raw) == {name.lower(): value for name, value in headers.items()}


def replaced(seen: list[str], method: Any) -> Any:
    """Return what a tool puts in place of a method, wrapped as well-kept tools do it, or not."""

    async def stand_in(self: Any, request: Any) -> Any:
        seen.append(str(request.url))
        return await method(self, request)

    return stand_in


@pytest.mark.parametrize("wrap", [lambda method, _: method, lambda method, usual: wraps(usual)(method)])
def test_a_tool_that_replaces_the_librarys_method_sees_the_calls(monkeypatch: pytest.MonkeyPatch, wrap: Any) -> None:
    """Vcrpy, pytest-httpx and tracing replace the method by which transports send; on asyncio, ours ask it then."""
    seen: list[str] = []
    usual = httpx.AsyncHTTPTransport.handle_async_request

    async def ask(cat: AsyncLongCat) -> None:
        with pytest.raises(NotFoundError):
            await cat.status("nobody-ordered-it")

    async def main() -> None:
        async with AsyncLongCat(EXAMPLE_KEY, url) as cat:
            await ask(cat)
            assert seen == []
            stand_in = wrap(replaced(seen, usual), usual)
            monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", stand_in)
            await ask(cat)
            assert seen == [f"{url}/longcat-image-request-result"]
            monkeypatch.undo()
            await ask(cat)
        assert len(seen) == 1

    with running() as url:
        asyncio.run(main())


@pytest.mark.parametrize("half", [None, ModuleType("httpx2")], ids=["forbidden", "half imported"])
def test_a_library_that_is_not_there_yet_is_not_asked(monkeypatch: pytest.MonkeyPatch, half: ModuleType | None) -> None:
    """It may be forbidden to import it, and another thread may be about to."""
    monkeypatch.setitem(sys.modules, "httpx2", half)
    with LongCat(KEY), httpx.Client() as http, LongCat(KEY, http_client=http):
        pass


@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
def test_a_client_of_a_class_of_the_callers_own_is_used_as_it_is(library: Any) -> None:
    """It may have slots, and take note of its subclasses, of which we make none."""
    answer, seen = json.dumps(completed()).encode(), []

    class Client(library.Client):  # type: ignore[misc]
        __slots__ = ("tag",)

        def __init_subclass__(cls, *, known: bool) -> None:
            raise AssertionError(known)

        def send(self, request: Any, **options: Any) -> Any:
            seen.append((type(self), self.tag))
            return super().send(request, **options)

    http = Client(transport=library.MockTransport(lambda _: library.Response(200, content=answer)))
    http.tag = "mine"
    with http, LongCat(KEY, URL, http_client=http) as cat:
        cat.status("r")
    assert seen == [(Client, "mine")]

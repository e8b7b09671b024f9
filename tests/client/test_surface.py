"""The public surface: its names, its signatures, its types, and how a client begins and ends."""

import inspect
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Generator, Iterable, Iterator
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import Any, ForwardRef, Literal, Protocol, Unpack

import anyio
import fakes
import httpx
import longcat_api
import pytest
import typed_api
from fakes import IMAGE, KEY, URL, Script, completed, processing, says
from type_checker import complaints

import longcat
from longcat import (
    APIConnectionError,
    APIResponseValidationError,
    AsyncLongCat,
    BadRequestError,
    Clock,
    ConfigurationError,
    DownloadError,
    GenerationFailed,
    LongCat,
    State,
    Status,
    WaitTimeout,
)
from longcat.client.options import BatchOptions
from longcat.clock import SystemClock
from longcat.gateway.order_fields import Orderable, OrderFields
from longcat.saving.stores.store import PictureStore
from longcat.testing import FakeGateway, VirtualClock
from longcat.waiting.wake import Wake

ROOT = Path(__file__).parents[2]

# --- Names. ---

# The names that people and checks outside of the code rely on.
FIXED = {
    "APIConnectionError",
    "APIResponseValidationError",
    "APIStatusError",
    "APITimeoutError",
    "AsyncLongCat",
    "AuthenticationError",
    "BadRequestError",
    "ConfigurationError",
    "DownloadError",
    "FixedPolling",
    "GenerationCancelled",
    "GenerationFailed",
    "Image",
    "InsufficientBalanceError",
    "InternalServerError",
    "JournalError",
    "LongCat",
    "LongCatError",
    "NotFoundError",
    "PermissionDeniedError",
    "RateLimitError",
    "State",
    "Status",
    "WaitTimeout",
}


def test_every_name_in_all_is_there_once() -> None:
    """`__all__` is sorted, has no name twice, and promises nothing that is missing."""
    assert longcat.__all__ == sorted(set(longcat.__all__))
    assert [name for name in longcat.__all__ if not hasattr(longcat, name)] == []


def test_every_public_name_is_in_all() -> None:
    """What can be imported from the package, but for its modules, is in `__all__`."""
    public = {name for name, value in vars(longcat).items() if not name.startswith("_") and not inspect.ismodule(value)}
    assert public | {"__version__"} == set(longcat.__all__)


def test_the_fixed_names_are_exported() -> None:
    """Names that others rely on do not go away."""
    assert set(longcat.__all__) >= FIXED


@pytest.mark.parametrize("package", [longcat, longcat_api])
def test_both_packages_are_typed(package: Any) -> None:
    """A type checker may use the types of both packages that the wheel carries."""
    assert (files(package) / "py.typed").is_file()


def test_every_public_name_has_documentation() -> None:
    """`help()` says something about each class, and about each method that a caller calls."""
    objects = [getattr(longcat, name) for name in longcat.__all__ if name != "__version__"]
    methods = [method for cls in (LongCat, AsyncLongCat) for name, method in members(cls).items() if name != "__init__"]
    assert [one.__qualname__ for one in [*objects, *methods] if not one.__doc__] == []


# --- Signatures. ---


def expected(  # noqa: C901, PLR0913, PLR0917 - it is a list.
    http_client: Any, ids: Any, orders: Any, statuses: Any, outcomes: Any, output: Any
) -> type[Any]:
    """Return a class with the fixed signatures. The arguments are the types in which the two clients differ."""

    class Expected(Protocol):
        def __init__(  # noqa: PLR0913 - that is the signature.
            self,
            api_key: str | None = None,
            base_url: str | None = None,
            *,
            polling: longcat.Polling | None = None,
            http_client: http_client | None = None,
            clock: Clock | None = None,
            max_rate: float | None = None,
            max_in_flight: int = 20,
            journal: str | PathLike[str] | None = None,
            allow_private: bool = False,
        ) -> None: ...

        def close(self) -> None: ...

        def submit(
            self, prompt: str, *, timeout: float | None = 300.0, **fields: Unpack[OrderFields]
        ) -> longcat.Order: ...

        def generate(
            self,
            prompt: str,
            *,
            timeout: float | None = 300.0,
            unknown: Literal["wait", "raise"] = "wait",
            on_change: Callable[[Status], object] | None = None,
            wake: Wake | None = None,
            **fields: Unpack[OrderFields],
        ) -> longcat.Image: ...

        def generate_all(
            self,
            orders: orders,
            timeout: float | None = 300.0,
            *,
            resubmit_unknown: bool = False,
            on_order: Callable[[longcat.OrderRequest, longcat.Order], object] | None = None,
            **options: Unpack[BatchOptions],
        ) -> outcomes: ...

        def status(
            self, request_id: str | longcat.Order, *, gateway: Literal["queue", "result"] | None = None
        ) -> Status: ...

        def wait(
            self,
            request_id: str | longcat.Order,
            timeout: float | None = 300.0,
            *,
            unknown: Literal["wait", "raise"] = "wait",
            gateway: Literal["queue", "result"] | None = None,
            wake: Wake | None = None,
        ) -> longcat.Image: ...

        def watch(
            self,
            request_id: str | longcat.Order,
            timeout: float | None = 300.0,
            *,
            unknown: Literal["wait", "raise"] = "wait",
            gateway: Literal["queue", "result"] | None = None,
            wake: Wake | None = None,
        ) -> statuses: ...

        def as_completed(
            self,
            request_ids: ids,
            timeout: float | None = 300.0,
            *,
            gateway: Literal["queue", "result"] | None = None,
            **options: Unpack[BatchOptions],
        ) -> outcomes: ...

        def wait_all(
            self,
            request_ids: ids,
            timeout: float | None = 300.0,
            *,
            gateway: Literal["queue", "result"] | None = None,
            **options: Unpack[BatchOptions],
        ) -> list[longcat.Image | longcat.LongCatError]: ...

        def download(
            self,
            image: longcat.Image | str,
            path: str | PathLike[str],
            *,
            overwrite: bool = False,
            max_bytes: int = 100 * 1024 * 1024,
            timeout: float | None = 300.0,
        ) -> Path: ...

        def download_all(  # noqa: PLR0913 - likewise.
            self,
            image: longcat.Image | str,
            path: str | PathLike[str],
            *,
            name: str | None = None,
            overwrite: bool = False,
            max_bytes: int = 100 * 1024 * 1024,
            timeout: float | None = 300.0,
        ) -> list[Path]: ...

        def save(  # noqa: PLR0913 - likewise.
            self,
            image: longcat.Image | str,
            output: output,
            *,
            name: str | None = None,
            overwrite: bool = False,
            max_bytes: int = 100 * 1024 * 1024,
            timeout: float | None = 300.0,
        ) -> list[str]: ...

    return Expected


SIGNATURES = [
    (
        LongCat,
        expected(
            ForwardRef("httpx.Client | httpx2.Client"),
            Iterable[str | longcat.Order],
            Iterable[Orderable],
            Iterator[Status],
            Generator[longcat.Outcome],
            "str | PathLike[str] | PictureStore",
        ),
    ),
    (
        AsyncLongCat,
        expected(
            ForwardRef("httpx.AsyncClient | httpx2.AsyncClient"),
            Iterable[str | longcat.Order] | AsyncIterable[str | longcat.Order],
            Iterable[Orderable] | AsyncIterable[Orderable],
            AsyncGenerator[Status],
            longcat.Outcomes,
            str | PathLike[str] | PictureStore,
        ),
    ),
]


def members(cls: type[Any]) -> dict[str, Any]:
    """Return what a caller may call on a client, by its name."""
    public = inspect.getmembers(cls, inspect.isfunction)
    return {name: method for name, method in public if not name.startswith("_") or name == "__init__"}


@pytest.mark.parametrize(("client", "surface"), SIGNATURES)
def test_the_signatures_are_the_fixed_ones(client: type[Any], surface: type[Any]) -> None:
    """Each call has exactly these arguments, defaults and types."""
    seen = {name: inspect.signature(members(client)[name]) for name in members(surface)}
    (http_class,) = client.__orig_bases__[0].__args__
    arguments = seen["__init__"].parameters.copy()  # It stands once, for both, with a type variable.
    http_client = arguments["http_client"]
    arguments["http_client"] = http_client.replace(annotation=http_client.annotation[http_class])
    seen["__init__"] = seen["__init__"].replace(parameters=[*arguments.values()])
    assert seen == {name: inspect.signature(method) for name, method in members(surface).items()}


def test_both_clients_have_the_same_methods() -> None:
    """What one client can do, the other can."""
    assert members(LongCat).keys() == members(AsyncLongCat).keys()


@pytest.mark.parametrize("name", members(LongCat))
def test_both_clients_take_the_same_arguments(name: str) -> None:
    """The same call with the other client differs by `await` alone."""
    blocking, waiting = (inspect.signature(members(cls)[name]).parameters for cls in (LongCat, AsyncLongCat))
    assert [(one.name, one.kind, one.default) for one in blocking.values()] == [
        (one.name, one.kind, one.default) for one in waiting.values()
    ]


# --- Types. ---


def test_a_type_checker_sees_the_types_that_are_promised() -> None:
    """Mypy agrees with all of `typed_api.py`, where some lines are wrong on purpose and marked as such."""
    assert complaints(["tests/client/typed_api.py"]) == ""


def answers() -> Iterator[fakes.Reply]:
    """Yield what the code in `typed_api.py` needs to run to its end."""
    yield says(processing())
    for _ in range(5):
        yield says(completed())


def test_the_code_that_is_type_checked_runs() -> None:
    """What `typed_api.py` calls is there at run time as well."""
    script = Script(*answers())
    with httpx.Client(transport=script) as http:
        typed_api.use(typed_api.make(http, script.clock))
    assert len(script.requests) == 6


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_asynchronous_code_that_is_type_checked_runs(backend: str) -> None:
    """What `typed_api.py` awaits is there at run time as well."""
    script = Script(*answers())

    async def main() -> None:
        async with httpx.AsyncClient(transport=script) as http:
            await typed_api.use_async(typed_api.make_async(http, script.clock))

    anyio.run(main, backend=backend)
    assert len(script.requests) == 6


def test_the_orders_that_are_type_checked_can_be_sent() -> None:
    """What `typed_api.py` orders is what a gateway takes."""
    gateway = FakeGateway()
    typed_api.order(gateway.client())
    assert [order.code for order in gateway.orders] == [202] * 4
    anyio.run(typed_api.order_async, gateway.async_client())
    assert [order.code for order in gateway.orders] == [202] * 7


def test_the_typed_use_of_the_fake_gateway_runs() -> None:
    """What `typed_api.py` scripts can be scripted."""
    typed_api.pretend()


def test_the_attributes_that_are_type_checked_are_there() -> None:
    """What `typed_api.py` reads of the exceptions can be read."""
    typed_api.inspect_errors(
        [
            BadRequestError(400, "no"),
            APIResponseValidationError((), b"", "r"),
            GenerationFailed(Status("r", State.FAILED, "failed")),
            WaitTimeout("r", 1.0),
            ConfigurationError("no"),
        ]
    )


# --- Beginning and end. ---


def test_a_context_manager_closes_its_client() -> None:
    """After the block, the connections are closed and the client can't be used."""
    with LongCat(KEY, URL) as cat:
        assert not cat._sender.http.is_closed
    assert cat._sender.http.is_closed
    with pytest.raises(ConfigurationError, match=r"^This client is closed\. .*\.$"):
        cat.status("r")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_asynchronous_context_manager_closes_its_client(backend: str) -> None:
    """After the block, the connections are closed and the client can't be used."""

    async def main() -> None:
        async with AsyncLongCat(KEY, URL) as cat:
            assert not cat._sender.http.is_closed
        assert cat._sender.http.is_closed
        with pytest.raises(ConfigurationError, match=r"^This client is closed\. .*\.$"):
            await cat.status("r")

    anyio.run(main, backend=backend)


def test_a_closed_client_refuses_every_call(tmp_path: Path) -> None:
    """No method of a closed client waits, asks or writes; closing it again is no error."""
    cat = LongCat(KEY, URL)
    cat.close()
    cat.close()
    calls: list[Callable[[], object]] = [
        lambda: cat.status("r"),
        lambda: cat.wait("r"),
        lambda: next(cat.watch("r")),
        lambda: cat.download(IMAGE, tmp_path),
    ]
    for call in calls:
        with pytest.raises(ConfigurationError, match=r"^This client is closed\."):
            call()
    assert list(tmp_path.iterdir()) == []


def test_an_error_within_the_block_is_not_hidden() -> None:
    """Leaving the block by an error closes the client, and the error goes on."""
    with pytest.raises(KeyError), LongCat(KEY, URL) as cat:
        raise KeyError
    assert cat._sender.http.is_closed


def test_a_callers_http_client_stays_open() -> None:
    """An HTTP client that the caller brings is the caller's to close, and works on."""
    script = Script(says(completed()), says(completed()))
    with httpx.Client(transport=script) as http:
        with LongCat(KEY, URL, http_client=http) as cat:
            cat.status("r")
        cat.close()
        assert not http.is_closed
        LongCat(KEY, URL, http_client=http).status("r")
    assert len(script.requests) == 2


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_callers_asynchronous_http_client_stays_open(backend: str) -> None:
    """An HTTP client that the caller brings is the caller's to close, and works on."""
    script = Script(says(completed()), says(completed()))

    async def main() -> None:
        async with httpx.AsyncClient(transport=script) as http:
            async with AsyncLongCat(KEY, URL, http_client=http) as cat:
                await cat.status("r")
            await cat.close()
            assert not http.is_closed
            await AsyncLongCat(KEY, URL, http_client=http).status("r")

    anyio.run(main, backend=backend)
    assert len(script.requests) == 2


def answered(_: httpx.Request) -> httpx.Response:
    """Give an answer that has been read already, as transports for tests do."""
    return httpx.Response(200, json=completed())


def test_a_transport_for_tests_can_answer() -> None:
    """A caller's own tests may use `httpx.MockTransport` and its like, whose answers do not come in pieces."""
    with httpx.Client(transport=httpx.MockTransport(answered)) as http:
        assert LongCat(KEY, URL, http_client=http).status("r").image == IMAGE


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_asynchronous_transport_for_tests_can_answer(backend: str) -> None:
    """A caller's own tests may use `httpx.MockTransport` and its like, whose answers do not come in pieces."""

    async def main() -> Status:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answered)) as http:
            return await AsyncLongCat(KEY, URL, http_client=http).status("r")

    assert anyio.run(main, backend=backend).image == IMAGE


def test_a_callers_http_client_that_is_closed_is_told() -> None:
    """A client whose HTTP client was closed by its owner says so."""
    http = httpx.Client(transport=Script())
    cat = LongCat(KEY, URL, http_client=http)
    http.close()
    with pytest.raises(ConfigurationError, match=r"^This client is closed\."):
        cat.status("r")


@pytest.mark.parametrize("wrong", ["AsyncClient", "Script", "str"])
def test_an_http_client_of_the_wrong_kind_is_refused(wrong: str) -> None:
    """An HTTP client for asynchronous code, or none at all, is refused with the name of the right one."""
    http: Any = {"AsyncClient": httpx.AsyncClient(), "Script": Script(), "str": "http"}[wrong]
    with pytest.raises(ConfigurationError) as caught:
        LongCat(KEY, URL, http_client=http)
    assert str(caught.value) == (
        f"LongCat needs an httpx.Client or httpx2.Client as http_client, not {wrong}."
        " Pass one, or use the other client."
    )


@pytest.mark.parametrize("wrong", ["Client", "Script", "str"])
def test_an_asynchronous_http_client_of_the_wrong_kind_is_refused(wrong: str) -> None:
    """An HTTP client for blocking code, or none at all, is refused with the name of the right one."""
    http: Any = {"Client": httpx.Client(), "Script": Script(), "str": "http"}[wrong]
    with pytest.raises(ConfigurationError) as caught:
        AsyncLongCat(KEY, URL, http_client=http)
    assert str(caught.value) == (
        f"AsyncLongCat needs an httpx.AsyncClient or httpx2.AsyncClient as http_client, not {wrong}."
        " Pass one, or use the other client."
    )


def test_an_http_client_that_can_not_be_made_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy in the environment that is none is a `ConfigurationError`, not an error of the library below."""
    monkeypatch.setenv("HTTPS_PROXY", "nonsense://proxy.test")
    with pytest.raises(ConfigurationError, match=r"^The HTTP client can't be set up: .* Check the environment's prox"):
        LongCat(KEY, URL)


def test_certificates_are_read_when_https_is_spoken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Those that can't be read are told when a client of a gateway over HTTPS is made, or asks elsewhere over HTTPS."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    message = r"^The HTTP client can't be set up: .* Check the environment's proxies and certificates\.$"
    with pytest.raises(ConfigurationError, match=message):
        LongCat(KEY, "https://gateway.test")
    with LongCat(KEY, "http://127.0.0.1:1") as cat, pytest.raises(ConfigurationError, match=message):
        cat.download("https://192.0.2.1/cat.png", tmp_path / "cat.png")


def test_one_client_asks_for_many_requests() -> None:
    """A client may be used again and again."""
    with FakeGateway().request("0").request("1").request("2").client() as cat:
        assert [cat.wait(str(number)).request_id for number in range(3)] == ["0", "1", "2"]


# --- Clocks. ---


def test_the_machines_clock_is_a_clock() -> None:
    """The default clock tells the time, and sleeps for as long as it is told."""
    clock: Clock = SystemClock()
    began, moment = clock.monotonic(), clock.time()
    clock.sleep(0.001)
    anyio.run(clock.asleep, 0.001)
    assert clock.monotonic() - began >= 0.002
    assert clock.time() > moment


def test_a_test_may_bring_its_own_clock() -> None:
    """A clock of the caller's own is enough to wait without waiting."""
    clock: Clock = VirtualClock()
    clock.sleep(1000.0)
    assert clock.monotonic() == 1000.0


def test_a_download_of_something_else_is_refused(tmp_path: Path) -> None:
    """Only an image or a URL can be downloaded."""
    wrong: Any = 42
    with LongCat(KEY, URL) as cat, pytest.raises(ConfigurationError, match=r"^Pass an Image or a URL .*, not int\.$"):
        cat.download(wrong, tmp_path)


def test_unrelated_errors_are_not_ours() -> None:
    """Network errors, downloads and configuration are told apart by their classes alone."""
    kinds = [APIConnectionError, ConfigurationError, DownloadError, GenerationFailed, WaitTimeout]
    assert [(one, other) for one in kinds for other in kinds if one is not other and issubclass(one, other)] == []

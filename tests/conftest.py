"""What every test may use, and what none may be disturbed by."""

import asyncio
import functools
import gc
import os
import ssl
import sys
import time
from collections import Counter
from collections.abc import Coroutine, Generator, Iterable, Iterator
from importlib import import_module
from multiprocessing.forkserver import ensure_running
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from _pytest.runner import runtestprotocol  # As the plugins use it that run tests in their own way.
from batches import call, gateway_with  # noqa: F401 - fixtures.
from fakes import drivers_for
from hypothesis import HealthCheck, settings
from journals import KINDS, Place
from libraries import EVERY_PAIR, WAYS
from object_storage import ObjectStorage
from postgres import PostgresServer, Schema

from longcat.testing import VirtualClock

# The same examples every time, as many as a quick run allows, however slow the machine is, and no file left behind.
settings.register_profile(
    "longcat",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("longcat")

TESTS = Path(__file__).parent

LONGEST = ("conformance", "killed", "wheel", "workflows")
"""Words in the names of the files with the longest tests, or with a fixture that no two processes should set up."""

SERVERS = {"object_storage", "postgres_server"}
"""The fixtures that start a server once in a process. What is made for both kinds of journals asks for it later on."""

DRIVERS = {"driver": WAYS, "sync_driver": ("sync",), "event_loop_driver": ("asyncio", "trio")}
"""The parameters of tests that are drivers, and the ways in which these run a scenario."""

SHOWN = 0.005
"""Seconds from which on `--durations` shows what a test took before and after its call."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Let a test that asks for a driver run in every way that it names, with the HTTP libraries whose turn it is."""
    tables = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    given = {names if isinstance(names, str) else names[0] for names in tables}
    for name in {*DRIVERS} & {*metafunc.fixturenames} - given:
        metafunc.parametrize(name, drivers_for(metafunc.definition.name, DRIVERS[name]), ids=str)


def pytest_configure(config: pytest.Config) -> None:
    """Let each of xdist's workers begin to read the tests at another place: what one has compiled, all others find."""
    worker: dict[str, Any] | None = getattr(config, "workerinput", None)
    if worker is not None and config.args_source is pytest.Config.ArgsSource.TESTPATHS:
        files = [str(path) for path in sorted(TESTS.glob("**/test_*.py"))]
        begin = len(files) * int(worker["workerid"].removeprefix("gw")) // worker["workercount"]
        config.args = files[begin:] + files[:begin]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Spare Python the search for garbage among the thousands of tests, which stay until the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@pytest.hookimpl(tryfirst=True)  # Before `-k` takes out rows.
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the longest tests: none is left to one process in the end, and those of one file stay together.

    Next come those with a database or an object storage, so that most processes of the tests need not start one. All
    else goes by name, as each process has read the files in an order of its own. A test that is named runs in full.
    """
    if not any("::" in name for name in config.args):
        items[:] = in_turn(items)
    items.sort(
        key=lambda item: (not any(word in item.path.stem for word in LONGEST), not needs_server(item), item.path)
    )


def in_turn(items: Iterable[pytest.Item]) -> Iterator[pytest.Item]:
    """Yield the tests that are to run. The rows of a table that is marked `in_turn` have one driver each, in turn."""
    rows = Counter[tuple[object, object]]()
    for item in items:
        if EVERY_PAIR or not isinstance(item, pytest.Function) or item.get_closest_marker("in_turn") is None:
            yield item
            continue
        (name,) = {*DRIVERS} & {*item.callspec.params}
        driver, drivers = item.callspec.params[name], drivers_for(item.function.__name__, DRIVERS[name])
        if driver == drivers[rows[item.function, driver] % len(drivers)]:
            yield item
        rows[item.function, driver] += 1


def needs_server(item: pytest.Item) -> bool:
    """Whether a test uses a server that is started once in a process."""
    parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    names = item.fixturenames if isinstance(item, pytest.Function) else []
    return not SERVERS.isdisjoint(names) or any(value == "postgres" for value in parameters.values())


def pytest_collection_finish() -> None:
    """Start the process that others are forked from, before a test changes the environment that it would keep."""
    if "processes" in sys.modules:
        ensure_running()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Let xdist's workers tell of a test no more than is shown: most of what they send says that a setup passed."""
    if not hasattr(item.config, "workerinput"):
        return None
    for report in runtestprotocol(item, log=False, nextitem=nextitem):
        if report.when == "call" or not report.passed or report.duration > SHOWN:
            item.ihook.pytest_runtest_logreport(report=report)
    return True


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return two workers more than there are processors: often, one or two wait for a socket or a process."""
    processors = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return processors + 2


@pytest.fixture(scope="session", autouse=True)
def _certificates_are_read_once() -> Generator[None, None, None]:
    """Let every HTTP client use what the first one read: 20 ms each are most of what hundreds of tests take."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", functools.cache(ssl.create_default_context))
        yield


@pytest.fixture(scope="session", autouse=True)
def _servers_stop_at_once() -> Generator[None, None, None]:
    """Let the servers of this process look every 10 ms whether they are to stop: uvicorn would take 200 ms for each."""

    def sleep(seconds: float) -> Coroutine[None, None, None]:
        return asyncio.sleep(min(seconds, 0.01))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("uvicorn.server.asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": sleep}))
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_settings_of_the_developer() -> Generator[None, None, None]:
    """Keep a key, a base URL or a database that is set on this machine out of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("PIXAZO_API_KEY", "LONGCAT_BASE_URL", *(name for name in os.environ if name.startswith("PG"))):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session")
def object_storage() -> Generator[ObjectStorage, None, None]:
    """Return a real server of the S3 protocol. What Amazon's services are is read once, which takes a while."""
    with ObjectStorage() as storage, pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "botocore.session.create_loader", functools.cache(import_module("botocore.loaders").create_loader)
        )
        yield storage


@pytest.fixture
def bucket(object_storage: ObjectStorage, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return a new bucket, which this process knows how to reach."""
    for name, value in object_storage.environment.items():
        monkeypatch.setenv(name, value)
    return object_storage.make()


@pytest.fixture(scope="session")
def postgres_server() -> Generator[PostgresServer, None, None]:
    """Return a real PostgreSQL, one for all tests of this process."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def schema(postgres_server: PostgresServer) -> Generator[Schema, None, None]:
    """Return a schema in a real PostgreSQL that nobody else has meanwhile, without rows, for what keeps its tables."""
    with postgres_server.empty_schema() as schema:
        yield schema


@pytest.fixture
def bare_schema(postgres_server: PostgresServer) -> Schema:
    """Return a new schema, without tables, in a real PostgreSQL."""
    return postgres_server.schema()


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Place, None, None]:
    """Return where a journal may be made, of either kind."""
    if request.param == "sqlite":
        yield tmp_path / "a.journal"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    with server.empty_schema() as schema:
        yield schema.url


@pytest.fixture
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make pauses after faults as long as they may become: 0.5, 1, 2, 4, 8 and then 10 seconds."""
    # The client takes no source of randomness as an argument, only the policy does.
    monkeypatch.setattr("random.random", lambda: 1.0)


@pytest.fixture
def virtual_time(monkeypatch: pytest.MonkeyPatch) -> VirtualClock:
    """Let the time of the commands in this process pass only while they sleep, so that no work comes too late."""
    clock = VirtualClock(start=time.time())
    monkeypatch.setattr("longcat.client.base.SystemClock", lambda: clock)
    return clock

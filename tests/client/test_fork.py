"""A client, and a journal, in a process that was forked: each begins anew there, and takes nothing from the parent."""

import gc
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import aclosing
from multiprocessing import Pipe
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.to_thread
import pytest
from fakes import KEY, ORDERED, Driver, completed, processing
from journals import Place
from processes import forked
from servers import QUICKLY, SHARED, Connection, Server, each_backend, http_client, response, stall, tidy

from longcat import AsyncLongCat, Image, LongCat
from longcat.models import State, Status
from longcat.processes import ForkSafeLock
from longcat.saving.download import DownloadClaim
from longcat.saving.journal.journal import Journal
from longcat.saving.partial_file import PartialFile

pytestmark = pytest.mark.skipif("sys.platform == 'win32'", reason="there is no fork")

GATEWAY: Final = "https://gateway.test"
OPEN: Final = Status(ORDERED, State.QUEUED, "IN_QUEUE")
ELSEWHERE: Final = "ConfigurationError: This began in another process, and goes on there alone."


@pytest.fixture(autouse=True)
def surroundings(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No proxy stands between, and no thread, file or socket is left, but those of the database's server."""
    if "place" in request.fixturenames:
        request.getfixturevalue("place")
    with tidy(monkeypatch):
        yield


def serve(connection: Connection) -> None:
    """Answer every question of a connection: what is asked about is done, but for `watched` at first."""
    while True:
        request_id = json.loads(connection.read().body)["request_id"]
        under_way = request_id == "watched" and len(connection.requests) == 1
        body = (processing if under_way else completed)(request_id=request_id)
        connection.send(response(json.dumps(body).encode(), "Content-Type: application/json", keep=True))


def opened(folder: Path) -> Journal:
    """Open the journal of a test."""
    return Journal(folder / "journal", time=lambda: 0.0)


# --- The client. ---


@pytest.mark.parametrize("own", [True, False], ids=["our HTTP client", "the caller's"])
def test_a_client_that_was_used_works_on_in_both_processes(sync_driver: Driver, own: bool) -> None:
    """Each asks over connections of its own, also while the other one does, and a child of the child as well."""
    with (
        Server([serve]) as server,
        http_client(sync_driver, None if own else SHARED) as http,
        LongCat(KEY, server.url, http_client=http) as cat,
    ):

        def child() -> list[str]:
            images = [cat.wait("child", 30), forked(lambda: cat.wait("grandchild", 30)), cat.wait("child-2", 30)]
            return [image.request_id for image in images]

        assert cat.wait("parent", 30).request_id == "parent"
        assert forked(child, lambda: cat.wait("parent", 30)) == ["child", "grandchild", "child-2"]
        assert cat.wait("parent", 30).request_id == "parent"
    assert len(server.connections) == 3


LEFT: Final = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""For tests that leave an event loop without closing the client, of whose connections Python then complains."""


@LEFT
@each_backend
def test_an_asynchronous_client_that_was_used_works_on_in_both_processes(backend: str) -> None:
    """The same with event loops, one after the other."""
    with Server([serve]) as server:
        cat = AsyncLongCat(KEY, server.url)

        async def ask() -> str:
            return (await cat.wait("r", 30)).request_id

        async def ask_and_close() -> str:
            async with cat:
                return (await cat.wait("r", 30)).request_id

        assert anyio.run(ask, backend=backend) == "r"
        assert forked(lambda: anyio.run(ask, backend=backend)) == "r"
        assert anyio.run(ask_and_close, backend=backend) == "r"
    gc.collect()  # The connections of the first loop.


def test_a_child_gets_the_place_of_a_question_that_is_under_way_in_the_parent() -> None:
    """The parent's thread is not there in the child, and gives no place back."""
    under_way = threading.Event()
    with Server([lambda _: under_way.set(), stall], [serve]) as server:
        cat = LongCat(KEY, server.url, max_in_flight=1)
        thread = threading.Thread(target=lambda: cat.wait_all(["slow"], 60))
        thread.start()
        under_way.wait()
        assert forked(lambda: cat.wait("quick", 30).request_id) == "quick"
        cat.close()
        thread.join()


def test_a_lock_that_another_thread_holds_is_free_in_the_child() -> None:
    """Otherwise the child would wait for a thread that it does not have."""
    lock, held, done = ForkSafeLock(), threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()

    def child() -> str:
        with lock:
            return "free"

    assert forked(child) == "free"
    done.set()
    thread.join()


def wait_all(cat: LongCat) -> Iterator[Any]:
    """Begin a batch."""
    return cat.as_completed(["a", "b", "watched"])


def watch(cat: LongCat) -> Iterator[Any]:
    """Begin to watch."""
    return cat.watch("watched")


@pytest.mark.parametrize("begin", [wait_all, watch])
def test_what_is_forked_midway_says_so_in_the_child_and_goes_on_in_the_parent(
    begin: Callable[[LongCat], Iterator[Any]], tmp_path: Path
) -> None:
    """The child asks nothing of what the parent asks, and takes nothing from it, whatever becomes of its copy."""
    with Server([serve]) as server, LongCat(KEY, server.url, polling=QUICKLY, journal=tmp_path / "j") as cat:
        going = begin(cat)
        first = next(going)
        assert str(forked(lambda: next(going))).startswith(ELSEWHERE)
        assert forked(going.close) is None  # type: ignore[attr-defined]
        assert [first, *going]


@each_backend
def test_an_asynchronous_batch_stays_in_its_event_loop(backend: str) -> None:
    """In another one, or in a fork, it raises an error that says so."""

    async def main(url: str) -> None:
        async with AsyncLongCat(KEY, url) as cat, aclosing(cat.as_completed(["a", "b"])) as batch:

            async def go_on() -> Any:
                return await anext(batch)

            def elsewhere() -> str:
                return _raised(lambda: anyio.run(go_on, backend=backend))

            assert (await go_on()).image
            for there in (elsewhere, lambda: forked(elsewhere)):
                raised = await anyio.to_thread.run_sync(there)
                assert raised.startswith("ConfigurationError: This began in another")
            assert (await go_on()).image

    with Server([serve]) as server:
        anyio.run(main, server.url, backend=backend)


def _raised(function: Callable[[], object]) -> str:
    try:
        return f"{function()!r}"
    except Exception as error:  # noqa: BLE001 - it is compared.
        return f"{type(error).__name__}: {error}"


# --- The journal. ---


def test_a_forked_journal_is_another_owner(place: Place) -> None:
    """What the parent has claimed is not the child's, and still the parent's when the child has closed its journal."""
    with Journal(place, time=lambda: 0.0) as journal:
        assert journal.requests(GATEWAY).claim("ours")

        def child() -> list[bool]:
            with journal:
                return [journal.requests(GATEWAY).claim("ours"), journal.requests(GATEWAY).claim("theirs")]

        assert forked(child) == [False, True]
        with Journal(place, time=lambda: 0.0) as another:
            assert [another.requests(GATEWAY).claim(name) for name in ("ours", "theirs")] == [False, True]


def test_a_parent_that_closes_its_journal_leaves_the_childs_alone(place: Place) -> None:
    """The last connection takes SQLite's log away, and that is the child's. What the child notes later is not lost."""
    journal = Journal(place, time=lambda: 0.0)
    journal.open(60.0)
    ours, theirs = Pipe()

    def child() -> bool:
        journal.requests(GATEWAY).claim(ORDERED)
        theirs.send("connected")
        theirs.recv()
        journal.requests(GATEWAY).note(OPEN)
        journal.flush()
        return not isinstance(place, Path) or place.with_name("a.journal-wal").exists()

    def close() -> None:
        assert ours.recv() == "connected"
        journal.close()
        ours.send("closed")

    assert forked(child, close) is True
    with Journal(place, time=lambda: 0.0) as again:
        assert again.requests(GATEWAY).last(ORDERED) == OPEN


def test_processes_that_share_a_journal_by_fork_ask_each_request_once(place: Place) -> None:
    """As programs that open the file do: one of them asks, and the other takes the answer over."""
    ids = [f"cat-{number}" for number in range(20)]
    with Server([serve]) as server, LongCat(KEY, server.url, journal=place) as cat:
        cat.wait("before", 30)
        images: list[Any] = []

        def child() -> int:
            return sum(isinstance(image, Image) for image in cat.wait_all(ids, 30))

        assert forked(child, lambda: images.extend(cat.wait_all(ids, 30))) == len(ids)
        assert [image.request_id for image in images] == ids
    asked = [json.loads(request.body)["request_id"] for request in server.requests]
    assert sorted(asked) == sorted(["before", *ids])


# --- Files. ---


def test_a_file_that_is_being_written_stays_the_parents(tmp_path: Path) -> None:
    """The child neither writes into it nor removes it, even if it ends as programs do."""
    part = PartialFile(tmp_path)
    part.file.write(b"cat")  # It is in the buffer of both.

    def child() -> None:
        part.file.flush()
        part.discard()

    assert forked(child) is None
    part.sync()
    part.rename(tmp_path / "cat", overwrite=False)
    part.discard()
    assert (tmp_path / "cat").read_bytes() == b"cat"


def test_a_download_that_is_under_way_in_the_parent_holds_up_no_other_in_the_child(tmp_path: Path) -> None:
    """The child's claim is a new one: the parent's thread is not there to give its own back."""
    with opened(tmp_path) as journal:
        claim = DownloadClaim(journal.requests(GATEWAY), "ours")
        claim.acquire()
        assert claim.held

        def child() -> list[str]:
            again, other = (DownloadClaim(journal.requests(GATEWAY), name) for name in ("ours", "theirs"))
            again.acquire()  # The parent is alive.
            other.acquire()
            return [claim.request_id for claim in (again, other) if claim.held]

        assert forked(child) == ["theirs"]
        claim.release()

"""A journal that another program has locked, that is damaged, or that is taken away: nobody stands still for it."""

import math
import os
import random
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Self

import pytest
from fakes import Cat, Driver

from longcat import (
    ConfigurationError,
    Image,
    JournalError,
    LongCatError,
    OrderRequest,
    State,
    Status,
    SubmitUnknown,
    WaitTimeout,
)
from longcat.saving.journal.journal import Journal
from longcat.saving.journal.sqlite import database
from longcat.saving.journal.sqlite.database import SqliteDatabase
from longcat.testing import FakeGateway, VirtualClock
from longcat.waiting.commands import RunInThread, Sleep
from longcat.waiting.order_store import OrderState
from longcat.waiting.store_calls import call_store

GATEWAY: Final = "https://gateway.example"
UNLOCKED_AT: Final = 12.0
"""Seconds after which the other program is done with the journal."""
ORDERS: Final = 12


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody wait for a lock in real time."""
    monkeypatch.setattr(database, "LOCK_PATIENCE", 0.001)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a journal that is not there yet."""
    return tmp_path / "cats.db"


class Locked:
    """A journal that another program has locked, from the beginning or later, until a moment on a clock."""

    def __init__(self, path: Path, until: float) -> None:
        Journal(path, time=time.time).close()
        self.clock = VirtualClock(on_sleep=self.look)
        self._until = until
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._db.close()

    def lock(self, *_: object) -> None:
        """Lock it."""
        while not self._db.in_transaction:
            with suppress(sqlite3.OperationalError):  # We are writing.
                self._db.execute("BEGIN EXCLUSIVE")

    def look(self) -> None:
        """Unlock it when it is time."""
        if self.clock.now >= self._until and self._db.in_transaction:
            self._db.execute("ROLLBACK")


@pytest.mark.parametrize("begins", ["before the client", "in the midst"])
def test_a_lock_is_waited_for(driver: Driver, path: Path, begins: str) -> None:
    """However long another program has the journal, within its time every wait ends well, and is noted."""
    ids = ["a", "b", "c"]
    with Locked(path, UNLOCKED_AT) as locked:
        gateway = FakeGateway(locked.clock)
        for one in ids:
            gateway.request(one, 5)
        if begins == "before the client":
            locked.lock()

        async def scenario(cat: Cat) -> list[Any]:
            return await cat.wait_all(
                ids, 60.0, on_change=locked.lock if begins == "in the midst" and locked.clock.now < 1 else None
            )

        results = driver.run(scenario, gateway, journal=path)
        assert [type(one) for one in results] == [Image] * 3
        assert locked.clock.now >= UNLOCKED_AT
    with Journal(path, time=time.time) as journal:
        table = journal.requests("https://gateway.test")
        assert [last.state for one in ids if (last := table.last(one))] == [State.COMPLETED] * 3


def test_a_lock_that_lasts_ends_at_the_deadline(driver: Driver, path: Path) -> None:
    """When the time is up, the error says which program has the journal, nothing was sent, and it is not damaged."""
    with Locked(path, 1e9) as locked:
        locked.lock()
        gateway = FakeGateway(locked.clock).request("a", 0)

        async def scenario(cat: Cat) -> list[LongCatError]:
            errors = []
            for call in (lambda: cat.wait("a", 5.0), lambda: cat.submit("a cat", timeout=5.0)):
                began = locked.clock.now
                with pytest.raises(LongCatError) as caught:
                    await call()
                assert 5.0 <= locked.clock.now - began < 5.1
                errors.append(caught.value)
            return errors

        waited, ordered = driver.run(scenario, gateway, journal=path)
        assert (gateway.questions, gateway.orders) == ([], [])
    assert isinstance(waited, WaitTimeout)
    assert isinstance(waited.last_error, JournalError)
    assert isinstance(ordered, JournalError)
    assert (waited.last_error.locked, ordered.locked, ordered.transient) == (True, True, True)
    assert "is locked. End the program that keeps it locked" in str(ordered)
    assert f"process {os.getpid()}" in str(ordered)


def test_a_locked_store_is_called_again_less_and_less_often() -> None:
    """Between two calls passes a tenth of the time waited so far: half a second at least, and five at most."""

    def locked() -> None:
        raise JournalError("locked", locked=True)

    flow = call_store(locked, lambda: math.inf)
    pauses = []
    for _ in range(60):
        command = next(flow)
        assert isinstance(command, RunInThread)
        with pytest.raises(JournalError) as caught:
            command.function()
        pause = flow.throw(caught.value)
        assert isinstance(pause, Sleep)
        pauses.append(pause.seconds)
    assert pauses[:11] == [0.5] * 11
    assert pauses[11:13] == pytest.approx([0.55, 0.605])
    assert pauses[-1] == 5.0


def test_an_order_that_was_taken_is_noted_when_the_lock_is_gone(driver: Driver, path: Path) -> None:
    """Locked just then, the journal learns the request when it can; the error has it, and nothing is sent again."""
    with Locked(path, 30.0) as locked:
        gateway = FakeGateway(locked.clock)
        answer = gateway._order

        def lock_then_answer(*arguments: Any) -> Any:
            locked.lock()
            return answer(*arguments)

        gateway._order = lock_then_answer  # type: ignore[assignment, method-assign]

        async def scenario(cat: Cat) -> str | None:
            with pytest.raises(SubmitUnknown) as caught:
                await cat.submit("a cat", id="x", timeout=5.0)
            locked.clock.now = 30.0
            locked.look()
            return caught.value.request_id

        async def again(cat: Cat) -> str | None:
            return (await cat.submit("a cat", id="x", timeout=60.0)).request_id

        found = [driver.run(one, gateway, journal=path) for one in (scenario, again)]
    assert found == [gateway.orders[0].request_id] * 2
    assert len(gateway.orders) == 1


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_no_journal_work_is_done_in_the_event_loop(
    backend: str, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once it is open, everything about the journal happens in other threads: waits, orders, pictures and the end."""
    gateway = FakeGateway().request("a", 5).request("b", 5, fails="no").request("slow", 1000)
    threads: list[int] = []

    def watch(name: str) -> None:
        real = getattr(SqliteDatabase, name)

        def watched(self: SqliteDatabase) -> Any:
            threads.append(threading.get_ident())
            return real(self)

        monkeypatch.setattr(SqliteDatabase, name, watched)

    watch("using")
    watch("close")

    async def scenario(cat: Cat) -> None:
        threads.clear()
        await cat.wait_all(["a", "b", "slow"], 60.0)
        await cat.generate("a cat", id="x", timeout=60.0)
        image = await cat.wait("a")
        await cat.download(image, tmp_path)
        await cat.download(image, tmp_path)

    Driver(backend).run(scenario, gateway, journal=path)
    assert len(threads) > 15
    assert threading.get_ident() not in threads


# --- Damage. ---


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the bytes of a journal with orders, of which every third is in doubt, and their requests."""
    path = tmp_path_factory.mktemp("sound") / "cats.db"
    with Journal(path, time=time.time) as journal:
        orders, requests = journal.orders(GATEWAY), journal.requests(GATEWAY)
        for number in range(ORDERS):
            orders.begin(f"cat-{number}", OrderRequest(f"cat {number}", id=f"cat-{number}"), Decimal("0.01"))
            if number % 3:
                orders.taken(f"cat-{number}", f"r{number}")
            url = f"https://storage.example/{number}.png"
            requests.note(Status(f"r{number}", State.COMPLETED, "COMPLETED", 1.0, Image(f"r{number}", url, (url,))))
            requests.record(f"r{number}", 1, str(path), "0" * 64, 5)
    return path.read_bytes()


def damages(sound: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield copies of a journal, each with another fault."""
    chance = random.Random(7)  # noqa: S311 - the same every time.
    pages = len(sound) // 4096
    for page in range(pages):
        for length in (1, 64, 4096):
            copy, start = bytearray(sound), page * 4096 + chance.randrange(4096 - length + 1)
            copy[start : start + length] = chance.randbytes(length)
            yield f"{length} random bytes at {start}", bytes(copy)
        copy = bytearray(sound)
        copy[page * 4096 : (page + 1) * 4096] = bytes(4096)
        yield f"page {page} is empty", bytes(copy)
        yield f"cut at {page * 4096 + 100}", sound[: page * 4096 + 100]
        if page:
            yield f"cut at {page * 4096}", sound[: page * 4096]
        for _ in range(2):
            copy, place = bytearray(sound), page * 4096 + chance.randrange(4096)
            copy[place] ^= 1 << chance.randrange(8)
            yield f"another bit at {place}", bytes(copy)
    yield "no database", b"my diary " * 1000


def uses(journal: Journal) -> Iterator[Callable[[], object]]:
    """Yield everything that is done with a journal."""
    orders, requests = journal.orders(GATEWAY), journal.requests(GATEWAY)
    for number in (0, 1, ORDERS // 2, ORDERS - 1):
        key, request_id = f"cat-{number}", f"r{number}"
        yield lambda key=key: orders.known(key)  # type: ignore[misc]
        yield lambda key=key, number=number: orders.begin(  # type: ignore[misc]
            key, OrderRequest(f"cat {number}", id=key), Decimal("0.01")
        )
        yield lambda key=key: orders.unknown(key, "no answer")  # type: ignore[misc]
        yield lambda request_id=request_id: requests.claim(request_id)  # type: ignore[misc]
        yield lambda request_id=request_id: requests.last(request_id)  # type: ignore[misc]
        yield lambda request_id=request_id: requests.file(request_id, 1)  # type: ignore[misc]
        yield lambda request_id=request_id: requests.reopen(request_id, 1)  # type: ignore[misc]
        yield lambda request_id=request_id: requests.release(request_id)  # type: ignore[misc]
    yield orders.in_doubt
    yield orders.spent


def test_damage_is_one_kind_of_error_and_orders_nothing_again(path: Path, sound: bytes) -> None:
    """Whatever became of the file, a use works or says what can be saved; no order that was sent is sent again."""
    errors: list[tuple[str, ConfigurationError]] = []
    refused = 0
    for damage, content in damages(sound):
        path.write_bytes(content)
        try:
            journal = Journal(path, time=time.time)
        except JournalError as error:
            errors.append((damage, error))
            refused += 1
            continue
        with journal:
            for use in uses(journal):
                try:
                    result = use()
                except ConfigurationError as error:
                    errors.append((damage, error))
                    continue
                assert getattr(result, "state", None) is not OrderState.INTENDED, damage
        for other in path.parent.iterdir():
            other.unlink()
    assert refused > 20
    words = "sqlite3 FILE .recover|no journal|of version|names another order|not under way|altered and can't be read"
    assert [(damage, str(error)) for damage, error in errors if not re.search(words, str(error))] == []


ALTERED: Final = {
    "text that is no UTF-8": "raw_state = CAST(x'ff' AS TEXT)",
    "bytes for a text": "raw_state = x'ff'",
    "no word": "raw_state = NULL",
    "a word for a number": "progress = 'half'",
    "a number that is none": "progress = 9e999",
    "a number for a reason": "error = CAST(5 AS BLOB)",
    "JSON that is none": "image = '['",
    "deep JSON": "image = replace(printf('%.100000c', '['), '.', '[')",
    "no image": "image = NULL",
    "another kind of JSON": "image = '5'",
    "a field too few": "image = '{}'",
    "a field too many": """image = json_set(image, '$.mood', 'good')""",
    "addresses that are none": """image = json_set(image, '$.urls', json('[1]'))""",
    "one address": """image = json_set(image, '$.urls', 'https://a.example')""",
    "no address": """image = json_set(image, '$.url', null)""",
    "a moment that is none": """image = json_set(image, '$.created_at', 'soon')""",
    "a long time": """image = json_set(image, '$.duration_us', 1e300)""",
    "a huge number": """image = json_set(image, '$.duration_us', json(printf('1%.5000c', '0')))""",
}


@pytest.mark.parametrize("change", ALTERED.values(), ids=ALTERED)
def test_an_altered_row_costs_its_own_request(path: Path, change: str) -> None:
    """What this program can't have written is an error about that row, and the next row is read as ever."""
    url = "https://storage.example/a.png"
    good = Status("b", State.COMPLETED, "COMPLETED", 1.0, Image("b", url, (url,)))
    with Journal(path, time=time.time) as journal, closing(sqlite3.connect(path, isolation_level=None)) as other:
        requests = journal.requests(GATEWAY)
        requests.note(Status("a", State.COMPLETED, "COMPLETED", 1.0, Image("a", url, (url,))))
        requests.note(good)
        other.execute(f"UPDATE request SET {change} WHERE request_id = 'a'")  # noqa: S608 - one of the above.
        with pytest.raises(JournalError, match=r"'a' in .* was altered and can't be read. Delete it"):
            requests.last("a")
        assert requests.last("b") == good


ALTERED_ORDERS: Final = {
    "deep JSON": "content = printf('%.100000c', '[')",
    "another kind of JSON": "content = '[]'",
    "no prompt": "content = '{\"prompt\": null}'",
    "options that are none": """content = '{"prompt": "a", "options": 5}'""",
    "an unknown field": """content = '{"prompt": "a", "mood": 5}'""",
    "text that is no UTF-8": "content = CAST(x'ff' AS TEXT)",
    "a word for money": "cost = 'much'",
    "a part of a unit": "in_doubt = 0.5",
    "bytes for a request": "request_id = x'00'",
    "a book for a request": "request_id = printf('%.10000000c', 'r')",
}


@pytest.mark.parametrize("change", ALTERED_ORDERS.values(), ids=ALTERED_ORDERS)
def test_an_altered_order_is_never_sent_again(path: Path, change: str) -> None:
    """It is an error about that order, however often it is begun, and the next order is read as ever."""
    one, two = OrderRequest("a cat", id="one"), OrderRequest("a dog", id="two")
    with Journal(path, time=time.time) as journal, closing(sqlite3.connect(path, isolation_level=None)) as other:
        orders = journal.orders(GATEWAY)
        for order in (one, two):
            orders.begin(str(order.id), order, Decimal("0.01"))
            orders.taken(str(order.id), "r")
        other.execute(f"UPDATE orders SET {change} WHERE key = 'one'")  # noqa: S608 - one of the above.
        for again in (False, True):
            with pytest.raises(JournalError, match=r"'one' in .* was altered and can't be read. Restore it"):
                orders.begin("one", one, Decimal("0.01"), resubmit_unknown=again)
        assert orders.begin("two", two, Decimal("0.01")).state is OrderState.TAKEN


SCHEMAS: Final = {
    "a table too few": "DROP TABLE picture",
    "a column too few": "ALTER TABLE request DROP COLUMN progress",
    "another table": "ALTER TABLE orders RENAME TO orders_1",
    "another program's table": "UPDATE sqlite_master SET sql = 'CREATE TABLE orders (a)' WHERE name = 'orders'",
}


@pytest.mark.parametrize("change", SCHEMAS.values(), ids=SCHEMAS)
def test_other_tables_are_refused_before_anything_is_sent(path: Path, change: str) -> None:
    """A file that says that it is a journal, but has not its tables, is refused at once."""
    Journal(path, time=time.time).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA writable_schema = ON")
        other.execute(change)
    with pytest.raises(JournalError, match=r"sqlite3 FILE .recover"):
        Journal(path, time=time.time)


def test_a_row_of_a_stranger_is_nobodys(path: Path) -> None:
    """Names of owners that can't be any are cleared away, and touch no file; an order of theirs is in doubt."""
    with Journal(path, time=time.time) as journal:
        journal.orders(GATEWAY).begin("one", OrderRequest("a cat"), Decimal(0))
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("PRAGMA ignore_check_constraints = ON")
            other.execute("UPDATE orders SET owner = '../../x'")
        with Journal(path, time=time.time) as another:
            known = another.orders(GATEWAY).known("one")
    assert known is not None
    assert known.state is OrderState.UNKNOWN


def test_an_order_in_no_state_is_in_doubt(path: Path) -> None:
    """A row that breaks a rule of the table is taken for the worst, and costs nothing but itself."""
    with Journal(path, time=time.time) as journal:
        journal.orders(GATEWAY).begin("one", OrderRequest("a cat"), Decimal(0))
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("PRAGMA ignore_check_constraints = ON")
            other.execute("UPDATE orders SET state = 'x'")
    with Journal(path, time=time.time) as journal:
        assert [one.state for one in journal.orders(GATEWAY).in_doubt()] == [OrderState.UNKNOWN]


def test_a_trigger_that_swallows_an_order_is_noticed(path: Path) -> None:
    """An order that the journal did not take is not sent."""
    with Journal(path, time=time.time) as journal, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("CREATE TRIGGER t BEFORE INSERT ON orders BEGIN SELECT RAISE(IGNORE); END")
        with pytest.raises(JournalError, match=r"took no order. Another program altered it"):
            journal.orders(GATEWAY).begin("one", OrderRequest("a cat"), Decimal(0))


@pytest.mark.parametrize("what", ["deleted", "replaced", "moved", "emptied", "its log deleted"])
def test_a_journal_that_is_taken_away_notes_nothing_more(path: Path, what: str) -> None:
    """Deleted, replaced, moved or emptied while it is open, it takes no order: the next program would not know it."""
    with Journal(path, time=time.time) as journal:
        match what:
            case "deleted":
                path.unlink()
            case "its log deleted":
                path.with_name(f"{path.name}-wal").unlink()
            case "moved":
                path.rename(path.with_name("old.db"))
            case "emptied":
                path.write_bytes(b"")
            case _:
                path.rename(path.with_name("old.db"))
                Journal(path, time=time.time).close()
        with pytest.raises(JournalError, match=r"deleted or replaced while it was in use|sqlite3 FILE .recover"):
            journal.orders(GATEWAY).begin("one", OrderRequest("a cat"), Decimal(0))


@pytest.mark.parametrize("kind", ["a pipe", "a device", "a link to a device", "an emptied file with a log"])
def test_what_can_be_no_journal_is_refused_at_once(path: Path, kind: str) -> None:
    """Nobody waits for a pipe, a device is left alone, and an emptied journal is not taken for a new one."""
    place = path
    match kind:
        case "a pipe":
            os.mkfifo(path)
        case "a device":
            place = Path("/dev/null")
        case "a link to a device":
            path.symlink_to("/dev/full")
        case _:
            path.touch()
            path.with_name(f"{path.name}-wal").write_bytes(b"the log")
    with pytest.raises(JournalError, match=r"no regular file|was emptied, but not its log"):
        Journal(place, time=time.time)

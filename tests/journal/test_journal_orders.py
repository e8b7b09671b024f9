"""What a journal remembers of orders, so that none is paid twice: with real files, threads and killed processes."""

import errno
import json
import os
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from decimal import Decimal
from functools import partial
from itertools import count
from pathlib import Path
from textwrap import dedent
from types import MappingProxyType
from typing import Any, Final

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from journals import KINDS, Place, new_place, rows, until_gone
from processes import Process, run_code
from servers import LIMIT

from longcat import ConfigurationError, JournalError, OrderRequest, State, Status
from longcat.saving.journal.journal import Journal
from longcat.saving.journal.order_table import FIND_OPEN_ORDERS, FIND_ORDER, SPENT, OrderTable, read_order, write_order
from longcat.saving.journal.sqlite import database
from longcat.waiting.order_store import OrderRecord, OrderState

GATEWAY: Final = "https://gateway.example"
ORDER: Final = OrderRequest(
    "a cat", {"image_size": "square_1_1", "num_images": 2}, "my cat", "https://a.example", "sync"
)
PRICE: Final = Decimal("0.13")
KEY: Final = "my cat"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a journal may be made."""
    return tmp_path / "a.journal"


@contextmanager
def opened(place: Place, gateway: str = GATEWAY) -> Iterator[OrderTable]:
    """Yield the orders of a gateway in a journal."""
    with Journal(place, time=time.time) as journal:
        yield journal.orders(gateway)


def process(place: Place, code: str, **names: Any) -> Process:
    """Return a process that runs code which knows `journal`, `order`, `price` and these names."""
    journal = partial(Journal, place, time=time.time)
    return Process(run_code, dedent(code), {"journal": journal, "order": ORDER, "price": PRICE, **names})


def begin(orders: OrderTable, **more: Any) -> OrderState:
    """Begin the order, and return how it stands."""
    return orders.begin(KEY, ORDER, PRICE, **more).state


@pytest.mark.parametrize("field", ["prompt", "options", "id", "webhook_url", "webhook_mode"])
def test_an_order_that_was_altered_is_none(field: str) -> None:
    """Each of its fields has a kind, and a row of a journal in which one has another was written by somebody else."""
    content = json.loads(write_order(ORDER))
    assert read_order(json.dumps(content)) == ORDER
    with pytest.raises((TypeError, ValueError)):
        read_order(json.dumps(content | {field: 1}))


# --- How an order stands. ---

Step = Callable[[OrderTable], object]
FIRST: Final[Step] = begin
AGAIN: Final[Step] = partial(begin, resubmit_unknown=True)


def taken(orders: OrderTable) -> None:
    """Note that the gateway took it."""
    orders.taken(KEY, "a-request")


def withdraw(orders: OrderTable) -> None:
    """Note that the gateway did not take it."""
    orders.withdraw(KEY)


def unknown(orders: OrderTable) -> None:
    """Note that nobody knows."""
    orders.unknown(KEY, "the line was cut")


LIVES: Final[dict[str, tuple[list[Step], OrderState | None, str]]] = {
    "new": ([], None, "0"),
    "begun": ([FIRST], OrderState.BUSY, "0.13"),
    "taken": ([FIRST, taken], OrderState.TAKEN, "0.13"),
    "taken, begun": ([FIRST, taken, FIRST, AGAIN], OrderState.TAKEN, "0.13"),
    "withdrawn": ([FIRST, withdraw], None, "0"),
    "withdrawn, begun": ([FIRST, withdraw, FIRST], OrderState.BUSY, "0.13"),
    "withdrawn, taken": ([FIRST, withdraw, FIRST, taken], OrderState.TAKEN, "0.13"),
    "unknown": ([FIRST, unknown], OrderState.UNKNOWN, "0.13"),
    "unknown, begun": ([FIRST, unknown, FIRST], OrderState.UNKNOWN, "0.13"),
    "unknown, found to be taken": ([FIRST, unknown, taken], OrderState.TAKEN, "0.13"),
    "unknown, found not to be taken": ([FIRST, unknown, withdraw], None, "0"),
    "sent again": ([FIRST, unknown, AGAIN], OrderState.BUSY, "0.26"),
    "sent again, taken": ([FIRST, unknown, AGAIN, taken], OrderState.TAKEN, "0.26"),
    "sent again, unknown": ([FIRST, unknown, AGAIN, unknown], OrderState.UNKNOWN, "0.26"),
    "sent again, withdrawn": ([FIRST, unknown, AGAIN, withdraw], OrderState.UNKNOWN, "0.13"),
    "sent thrice": ([FIRST, unknown, AGAIN, unknown, AGAIN, taken], OrderState.TAKEN, "0.39"),
    "sent thrice, withdrawn": ([FIRST, unknown, AGAIN, unknown, AGAIN, withdraw], OrderState.UNKNOWN, "0.26"),
    "sent again, withdrawn, sent again": ([FIRST, unknown, AGAIN, withdraw, AGAIN], OrderState.BUSY, "0.26"),
}


@pytest.mark.parametrize(("steps", "state", "spent"), list(LIVES.values()), ids=list(LIVES))
def test_how_an_order_stands_after_what_happened(
    place: Place, steps: list[Step], state: OrderState | None, spent: str
) -> None:
    """Whatever may have been paid is counted and not sent again by itself, and what was refused is new again."""
    with opened(place) as orders, opened(place) as other:
        for step in steps:
            step(orders)
        for table in (orders, other):
            known = table.known(KEY)
            assert (known.state if known is not None else None, table.spent()) == (state, Decimal(spent))
            if known is not None:
                assert (known.key, known.order, known.request_id is not None) == (
                    *(KEY, ORDER),
                    known.state is OrderState.TAKEN,
                )
        expected = state or OrderState.INTENDED
        assert begin(other) is expected
    with opened(place) as orders:
        left = {OrderState.INTENDED: OrderState.UNKNOWN, OrderState.BUSY: OrderState.UNKNOWN}
        assert begin(orders) is left.get(expected, expected)


@pytest.mark.parametrize("price", ["0", "0.13"])
def test_an_order_that_costs_nothing_is_not_sent_again_either(place: Place, price: str) -> None:
    """Whether an order is in doubt does not depend on its price."""
    with opened(place) as orders:
        for again in (False, True):
            record = orders.begin(KEY, ORDER, Decimal(price), resubmit_unknown=again)
            assert record.state is OrderState.INTENDED
            (withdraw if again else unknown)(orders)
        assert begin(orders) is OrderState.UNKNOWN


def test_why_an_order_is_in_doubt_is_kept(place: Place) -> None:
    """The reason is told while the order is in doubt, also after a second sending that was refused."""
    with opened(place) as orders:
        for steps, message in (
            ([FIRST, unknown], "the line was cut"),
            ([AGAIN], None),
            ([withdraw], "the line was cut"),
        ):
            for step in steps:
                step(orders)
            known = orders.known(KEY)
            assert known is not None
            assert known.message == message


def test_an_order_that_a_program_left_is_in_doubt_without_a_reason(place: Place) -> None:
    """A journal that is closed while an order is under way leaves it in doubt."""
    with opened(place) as orders:
        begin(orders)
    with opened(place) as orders:
        assert orders.known(KEY) == OrderRecord(KEY, ORDER, OrderState.UNKNOWN, PRICE)
        assert orders.in_doubt() == [orders.known(KEY)]


@pytest.mark.parametrize("state", ["begun", "taken", "unknown"])
@pytest.mark.parametrize(
    "other",
    [evolve(ORDER, prompt="a dog"), evolve(ORDER, options={"image_size": "square_1_1"})],
    ids=["prompt", "option"],
)
def test_a_key_names_one_order(place: Place, state: str, other: OrderRequest) -> None:
    """The key of an order that may have been paid can't be used for other fields; where callbacks go is no field."""
    with opened(place) as orders:
        for step in LIVES[state][0]:
            step(orders)
        with pytest.raises(ConfigurationError, match=r"names another order .* Give this order another id"):
            orders.begin(KEY, other, PRICE, resubmit_unknown=True)
        moved = evolve(ORDER, webhook_url="https://b.example", id="another name")
        assert orders.begin(KEY, moved, PRICE).state is LIVES[state][1]
        assert orders.spent() == PRICE


def test_an_order_that_was_refused_may_be_corrected(place: Place) -> None:
    """After a refusal, the same key may name an order with other fields."""
    with opened(place) as orders:
        FIRST(orders)
        withdraw(orders)
        assert orders.begin(KEY, evolve(ORDER, prompt="a dog"), PRICE).state is OrderState.INTENDED


def test_what_is_not_under_way_can_not_end(place: Place) -> None:
    """An order that is not in the journal, or was taken, is not withdrawn or put in doubt without a word."""
    with opened(place) as orders:
        for end in (taken, withdraw, unknown):
            with pytest.raises(ConfigurationError, match=r"'my cat' is not under way"):
                end(orders)
        FIRST(orders)
        taken(orders)
        for end in (withdraw, unknown):
            with pytest.raises(ConfigurationError, match=r"'my cat' is not under way"):
                end(orders)
        assert begin(orders) is OrderState.TAKEN


@contextmanager
def interrupted(orders: OrderTable, *, commits: bool) -> Iterator[None]:
    """Let Ctrl-C strike within the next transaction: right before it is committed, or right after."""
    kind, strikes = type(orders._database), iter([True])
    durable = kind.durable

    @contextmanager
    def durable_once(self: Any) -> Iterator[Any]:
        is_struck = next(strikes, False)
        with durable(self) as db:
            yield db
            if is_struck and not commits:
                raise KeyboardInterrupt
        if is_struck:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "durable", durable_once)
        with pytest.raises(KeyboardInterrupt):
            yield


@pytest.mark.parametrize("commits", [False, True])
def test_ctrl_c_while_an_order_begins_leaves_it_new(place: Place, *, commits: bool) -> None:
    """It is not being sent from then on: this program may begin it at once, and others as soon as it is withdrawn."""
    with Journal(place, time=time.time) as journal, opened(place) as other:
        orders = journal.orders(GATEWAY)
        for again in (FIRST, AGAIN):
            with interrupted(orders, commits=commits):
                again(orders)
            assert again(orders) is OrderState.INTENDED
            journal.flush()
            assert begin(other) is OrderState.BUSY
            unknown(orders)
        for step, state in ((AGAIN, OrderState.UNKNOWN), (withdraw, OrderState.UNKNOWN), (taken, OrderState.TAKEN)):
            with interrupted(orders, commits=commits):
                step(orders)
            journal.flush()
            if step is not AGAIN:
                step(orders)
            assert begin(other) is state
        with interrupted(orders, commits=commits):
            orders.begin("new", ORDER, PRICE)
        journal.flush()
        assert other.begin("new", ORDER, PRICE).state is OrderState.INTENDED


def test_what_came_of_an_order_that_another_has_sent_again_is_told(place: Place) -> None:
    """The error names the request, which was paid as well; also if the answer to an earlier note of it was lost."""
    with opened(place) as orders, opened(place) as other:
        for is_unsure in (False, True):
            key = f"{is_unsure}"
            orders.begin(key, ORDER, PRICE)
            orders.unknown(key, "the line was cut")
            other.begin(key, ORDER, PRICE, resubmit_unknown=True)
            if is_unsure:
                with interrupted(orders, commits=False):
                    orders.taken(key, "ours")
            with pytest.raises(JournalError, match=r"Request ours came of it and is not noted: wait for it by this id"):
                orders.taken(key, "ours")
            other.taken(key, "theirs")
            with pytest.raises(JournalError, match="Request ours"):
                orders.taken(key, "ours")
            other.taken(key, "theirs")
            assert other.spent() == 2 * PRICE * (1 + is_unsure)


TEXTS = st.text(st.characters(), max_size=9)
"""Half of a surrogate pair, which JSON can write and UTF-8 can't, is among these characters."""
ORDERS = st.builds(
    OrderRequest,
    TEXTS,
    st.dictionaries(TEXTS, TEXTS | st.integers() | st.floats(allow_nan=False) | st.booleans(), max_size=3),
    *[st.none() | TEXTS] * 3,
)
PRICES = st.decimals(0, 4_000_000_000, places=9)


@pytest.fixture(scope="module", params=KINDS)
def two(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[OrderTable, OrderTable]]:
    """Return two journal objects in one place."""
    place = new_place(request, tmp_path_factory.mktemp("two"))
    with opened(place) as one, opened(place) as other:
        yield one, other


NUMBERS: Final = count()


@settings(max_examples=50, deadline=None)
@given(texts=st.tuples(TEXTS, TEXTS, TEXTS), order=ORDERS, price=PRICES)
def test_an_order_comes_back_as_it_was_begun(
    two: tuple[OrderTable, OrderTable], texts: tuple[str, str, str], order: OrderRequest, price: Decimal
) -> None:
    """What one journal object notes, another reads: every text, every field, and every price to the last digit."""
    one, other = two
    key, message, request_id = texts
    key = f"{next(NUMBERS)} {key}"
    assert one.begin(key, order, price) == OrderRecord(key, order, OrderState.INTENDED, price)
    one.unknown(key, message)
    assert other.known(key) == OrderRecord(key, order, OrderState.UNKNOWN, price, None, message)
    other.taken(key, request_id)
    assert one.known(key) == OrderRecord(key, order, OrderState.TAKEN, price, request_id)
    assert one.begin(key, order, price).state is OrderState.TAKEN


def test_options_may_be_any_mapping(place: Place) -> None:
    """The fields of an order need not stand in a dict."""
    with opened(place) as orders:
        orders.begin(KEY, evolve(ORDER, options=MappingProxyType({"num_images": 2})), PRICE)
        known = orders.known(KEY)
    assert known is not None
    assert known.order == evolve(ORDER, options={"num_images": 2})


# --- Money. ---


def test_money_is_added_exactly(path: Path) -> None:
    """A thousand thirds of a cent, cut at nine places, are that, and no rounding error more."""
    price = Decimal("0.003333333")
    with opened(path) as orders, orders._database.using() as db:
        FIRST(orders)
        db.execute("BEGIN")
        for number in range(1000):
            sql = (
                "INSERT INTO orders SELECT gateway, ?, NULL, 'unknown', NULL, ?, NULL, NULL, noted, content FROM orders"
            )
            db.execute(f"{sql} WHERE key = ?", [str(number), 3_333_333, KEY])
        db.execute("COMMIT")
        assert orders.spent() == 1000 * price + PRICE
        assert str(orders.known("7").cost) == "0.003333333"  # type: ignore[union-attr]


@pytest.mark.parametrize("price", ["-0.13", "0.0000000001", "NaN", "Infinity", "1e12"])
def test_a_price_that_can_not_be_kept_is_refused(place: Place, price: str) -> None:
    """Nothing is begun at a price that is none, or that would have to be rounded."""
    with opened(place) as orders:
        with pytest.raises(ConfigurationError, match=r"is no price. Pass a number with nine decimal places at most"):
            orders.begin(KEY, ORDER, Decimal(price))
        assert orders.known(KEY) is None


@pytest.mark.parametrize("query", [FIND_ORDER, FIND_OPEN_ORDERS, SPENT], ids=["known", "in doubt", "spent"])
def test_a_question_reads_no_rows_that_it_need_not(path: Path, query: str) -> None:
    """Every query finds its rows by an index, and the sum of the costs reads no prompts."""
    with opened(path) as orders, orders._database.using() as db:
        values = [GATEWAY, KEY][: query.count("?")]
        plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {query}", values)]
    assert [step for step in plan if not step.startswith("SEARCH")] == []
    assert query != SPENT or "COVERING INDEX" in plan[0]


@pytest.mark.parametrize(
    ("word", "spent"), [("ERROR", "0"), ("error", "0"), ("FAILED", "0.13"), ("COMPLETED", "0.13"), ("QUEUED", "0.13")]
)
def test_what_ended_in_an_error_is_not_charged(place: Place, word: str, spent: str) -> None:
    """Only the word ERROR, in any case, takes the cost of an order off again, but not what was in doubt before."""
    with Journal(place, time=time.time) as journal:
        orders = journal.orders(GATEWAY)
        orders.begin("another", ORDER, PRICE)
        for step in (FIRST, unknown, AGAIN, taken):
            step(orders)
        for gateway in ("https://other.example", GATEWAY):
            assert orders.spent() == 3 * PRICE
            journal.requests(gateway).note(Status("a-request", State.of(word), word))
        assert orders.spent() == 2 * PRICE + Decimal(spent)


def test_gateways_share_a_file_and_no_orders(place: Place) -> None:
    """The same key at two gateways is two orders, with two accounts."""
    with opened(place) as one, opened(place, "https://other.example") as other:
        assert begin(one) is OrderState.INTENDED
        assert (other.known(KEY), other.in_doubt(), other.spent()) == (None, [], Decimal(0))
        assert begin(other) is OrderState.INTENDED


def test_orders_in_doubt_are_listed(place: Place) -> None:
    """All that nobody knows about are there, the oldest first, and nothing else is."""
    moments = count()
    with Journal(place, time=lambda: float(next(moments))) as journal:
        left = journal.orders(GATEWAY)
        for key in ("c", "b"):
            left.begin(key, ORDER, PRICE)
    with Journal(place, time=lambda: float(next(moments))) as journal:
        orders = journal.orders(GATEWAY)
        for key in ("a", "taken", "under way"):
            orders.begin(key, ORDER, PRICE)
        orders.unknown("a", "the line was cut")
        orders.taken("taken", "a-request")
        assert [record.key for record in orders.in_doubt()] == ["c", "b", "a"]


def test_an_order_that_was_altered_is_refused(place: Place) -> None:
    """What this program can't have written is not taken for an order, and nobody is told to delete it."""
    changes = [
        "content = '5'",
        "content = '{'",
        """content = '{"prompt": "a", "x": 1}'""",
    ]
    if isinstance(place, Path):  # PostgreSQL takes no text, and no number, that is none.
        changes += ["message = CAST(x'ff' AS TEXT)", "cost = 'much'"]
    for change in changes:
        with opened(place) as orders:
            AGAIN(orders)
            unknown(orders)
            rows(place, f"UPDATE orders SET {change}")  # noqa: S608 - one of the above.
            for use in (partial(orders.known, KEY), partial(FIRST, orders), orders.in_doubt):
                with pytest.raises(ConfigurationError, match=r"was altered and can't be read. Restore it"):
                    use()
            rows(place, "DELETE FROM orders")


# --- Several at once. ---


def test_who_closes_lets_orders_under_way_be_noted_first(place: Place) -> None:
    """While an order is being sent, `settle` waits; and it ends as soon as it is noted what came of it."""
    with Journal(place, time=time.time) as journal, ThreadPoolExecutor(1) as pool:
        orders = journal.orders(GATEWAY)
        assert begin(orders) is OrderState.INTENDED
        settled = pool.submit(journal.settle)
        with pytest.raises(TimeoutError):
            settled.result(0.05)
        taken(orders)
        settled.result(LIMIT)
        assert not orders.is_sending


def test_threads_of_one_program_send_an_order_once(place: Place) -> None:
    """Of eight threads that begin the same orders with one journal object, one gets each, and the others wait."""
    with opened(place) as orders, ThreadPoolExecutor(8) as pool:
        keys = [str(number) for number in range(8)] * 8
        states = Counter(pool.map(lambda key: (key, orders.begin(key, ORDER, PRICE).state), keys))
    expected = {(key, OrderState.INTENDED): 1 for key in keys} | {(key, OrderState.BUSY): 7 for key in keys}
    assert states == expected


@pytest.mark.parametrize("again", [False, True])
def test_processes_send_an_order_once(place: Place, *, again: bool) -> None:
    """Of four processes that begin the same orders at once, new ones or those in doubt, one gets each."""
    keys = [str(number) for number in range(25)]
    if again:
        with opened(place) as orders:
            for key in keys:
                orders.begin(key, order=ORDER, cost=PRICE)
    code = """
        orders = journal().orders("https://gateway.example")
        say("ready")
        hear()
        said = [orders.begin(key, order, price, resubmit_unknown=True).state.name for key in keys]
        say(*said)
        hear()
    """
    children = [process(place, code, keys=keys) for _ in range(4)]
    try:
        assert [child.line() for child in children] == ["ready"] * 4
        for child in children:
            child.send("go")
        states = [child.line().split() for child in children]
    finally:
        for child in children:
            child.__exit__(None, None, None)
    until_gone(place)
    assert [Counter(column) for column in zip(*states, strict=True)] == [{"INTENDED": 1, "BUSY": 3}] * 25
    with opened(place) as orders:
        assert (len(orders.in_doubt()), orders.spent()) == (25, 25 * PRICE * (2 if again else 1))


def test_an_order_is_in_doubt_as_soon_as_its_sender_is_killed(place: Place) -> None:
    """Another program is told to wait while the sender lives, and then that nobody knows; it is sent when asked for."""
    code = "o = journal().orders('https://gateway.example'); say(o.begin('my cat', order, price).state.name); hear()"
    with opened(place) as orders, process(place, code) as child:
        assert child.line() == "INTENDED"
        assert [begin(orders), begin(orders, resubmit_unknown=True)] == [OrderState.BUSY] * 2
        assert orders.in_doubt() == []
        child.kill()
        until_gone(place)
        assert orders.in_doubt() == [orders.known(KEY)]
        assert [begin(orders), begin(orders, resubmit_unknown=True), begin(orders)] == [
            *(OrderState.UNKNOWN, OrderState.INTENDED, OrderState.BUSY)
        ]
        assert orders.spent() == 2 * PRICE


# --- After a kill, and after a loss of power. ---


def test_a_kill_between_two_statements_loses_no_order(path: Path) -> None:
    """Killed before any statement, what was said to be begun or taken is known, and the journal is sound."""
    code = """
        import os, signal
        def kill_in_time(statement):
            seen.append(statement)
            if len(seen) == moment:
                os.kill(os.getpid(), signal.SIGKILL)
        seen, one = [], journal()
        with one._database.using() as db:
            db.set_trace_callback(kill_in_time)
        orders = one.orders("https://gateway.example")
        orders.begin("lost", order, price)
        say("lost")
        orders.begin("my cat", order, price)
        say("begun")
        orders.taken("my cat", "a-request")
        say("taken")
        orders.begin("none", order, price)
        orders.withdraw("none")
        say("withdrawn")
        one.close()
        say("closed")
    """
    for moment in range(1, 100):
        file = path.with_name(f"{moment}.journal")
        with process(file, code, moment=moment) as child:
            said = child.rest()
        with opened(file) as orders:
            known = {key: orders.known(key) for key in ("lost", "my cat", "none")}
            states = {key: record and record.state for key, record in known.items()}
            assert all(states[key] in allowed for key, allowed in after(said).items()), (moment, said, states)
            assert orders.spent() == PRICE * sum(state is not None for state in states.values())
            with orders._database.using() as db:
                assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert list(path.parent.glob(f"{file.name}*")) == [file]
        if "closed" in said:
            break
    assert 15 < moment < 99


def after(said: list[str]) -> dict[str, set[OrderState | None]]:
    """Return how each order may stand when a process was killed after it had said so much."""
    unknown, none = OrderState.UNKNOWN, None
    return {
        "lost": {unknown} if "lost" in said else {unknown, none},
        "my cat": (
            {OrderState.TAKEN}
            if "taken" in said
            else {unknown, OrderState.TAKEN}
            if "begun" in said
            else {unknown, none}
            if "lost" in said
            else {none}
        ),
        "none": {none} if "withdrawn" in said else {unknown, none} if "taken" in said else {none},
    }


def test_a_loss_of_power_in_the_midst_of_a_write_leaves_what_was_before_or_after_it(tmp_path: Path) -> None:
    """Wherever the log ends, the orders are as they were after one of the steps, one after the other."""
    path = tmp_path / "a.journal"
    seen: list[tuple[OrderState | None, OrderState | None]] = []
    with opened(path) as orders:
        for step in (FIRST, taken):
            step(orders)
        orders.begin("next", ORDER, PRICE)
        log = path.with_name("a.journal-wal").read_bytes()
        for end in sorted({0, *(at for frame in range(32, len(log) + 1, 24 + 4096) for at in (frame, frame + 2000))}):
            copy = tmp_path / "copy.journal"
            shutil.copy(path, copy)
            copy.with_name("copy.journal-wal").write_bytes(log[:end])
            with opened(copy) as left:
                records = [left.known(KEY), left.known("next")]
            first, second = (record.state if record is not None else None for record in records)
            seen.append((first, second))
    order: list[tuple[OrderState | None, OrderState | None]] = [
        *((None, None), (OrderState.UNKNOWN, None), (OrderState.TAKEN, None), (OrderState.TAKEN, OrderState.UNKNOWN))
    ]
    assert sorted(seen, key=order.index) == seen
    assert set(seen) == {*order}


def test_what_is_said_of_an_order_is_on_the_disk_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what was synced alone, every order stands as was said; an answer is not waited for, and may be lost."""
    path, copy = tmp_path / "a.journal", tmp_path / "copy.journal"
    path.with_name("a.journal-wal").touch()
    on_disk: list[bytes] = []
    sync = os.fsync

    def fsync(file: int) -> None:
        sync(file)
        on_disk.append(path.with_name("a.journal-wal").read_bytes())

    monkeypatch.setattr(os, "fsync", fsync)
    with Journal(path, time=time.time) as journal:
        orders, requests = journal.orders(GATEWAY), journal.requests(GATEWAY)
        for number, step in enumerate((FIRST, unknown, AGAIN, withdraw, AGAIN, taken), 1):
            requests.note(Status(f"request {number}", State.QUEUED, "QUEUED"))
            assert len(on_disk) == number  # The first is that of the folder, when the journal was opened.
            step(orders)
            stands = orders.known(KEY)
            assert stands is not None
            shutil.copy(path, copy)
            copy.with_name("copy.journal-wal").write_bytes(on_disk[-1])
            monkeypatch.setattr(os, "fsync", sync)
            with Journal(copy, time=time.time) as left:
                left_over = OrderState.UNKNOWN if stands.state is OrderState.BUSY else stands.state
                assert left.orders(GATEWAY).known(KEY) == evolve(stands, state=left_over)
                assert left.orders(GATEWAY).spent() == orders.spent()
            monkeypatch.setattr(os, "fsync", fsync)


def test_nobody_waits_for_the_disk_of_another(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the disk is slow to take an order, other programs, and other threads of this one, write on."""
    written: list[bool] = []

    def fsync(_: int) -> None:
        with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
        with ThreadPoolExecutor(1) as pool:
            written.append(pool.submit(orders.known, KEY).result(60) is not None)

    with opened(path) as orders:
        monkeypatch.setattr(os, "fsync", fsync)
        FIRST(orders)
        taken(orders)
    assert written == [True, True]


def test_a_disk_that_fails_is_an_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An order that could not be brought to the disk is not sent, and is in doubt until somebody says otherwise."""

    def fsync(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with opened(path) as orders:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fsync)
            with pytest.raises(ConfigurationError, match=r"can't be used: .*Input/output error"):
                begin(orders)
        assert begin(orders) is OrderState.BUSY
    with opened(path) as orders:
        assert begin(orders) is OrderState.UNKNOWN


def test_a_journal_without_a_log_waits_for_the_disk_as_well(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the file system allows no write-ahead log, SQLite itself waits with every change."""
    monkeypatch.setattr(database, "has_log", lambda _: True)
    with opened(path) as orders, orders._database.using() as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL.
        FIRST(orders)
        taken(orders)
        assert begin(orders) is OrderState.TAKEN


def test_what_can_not_be_written_is_not_begun(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the file is full, or locked, the order is not sent; once there is room it goes on."""
    monkeypatch.setattr(database, "LOCK_PATIENCE", 0.05)
    large = evolve(ORDER, prompt="word " * 10_000)
    with opened(path) as orders, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(ConfigurationError, match="is locked"):
            begin(orders)
        other.execute("ROLLBACK")
        with orders._database.using() as db:
            (pages,) = db.execute("PRAGMA page_count").fetchone()
            db.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(ConfigurationError, match=r"is full. Free some space"):
            orders.begin("large", large, PRICE)
        with orders._database.using() as db:
            db.execute("PRAGMA max_page_count = 1000")
        assert (orders.known(KEY), orders.known("large")) == (None, None)
        assert orders.begin("large", large, PRICE).state is OrderState.INTENDED


def test_a_closed_journal_begins_nothing(place: Place) -> None:
    """Every use after the end is refused."""
    with opened(place) as orders:
        pass
    for use in (FIRST, taken, withdraw, unknown, OrderTable.spent, OrderTable.in_doubt):
        with pytest.raises(ConfigurationError, match=r"closed. Make a new one"):
            use(orders)


def test_an_order_may_have_a_long_key(place: Place) -> None:
    """However long it is, and whatever it is made of, it names one order, and others that begin alike are others."""
    seed = "".join(f"{number * 7919 % 9973:x}" for number in range(2000))  # Nothing that could be made shorter.
    keys = [f"{start}{end}" for start in (seed, "\u2603" * 3000, "\U0001f408" * 1000, "\ud800" * 2000) for end in "ab"]
    keys += [f"{seed}a\n#2", f"{seed}a\n#3"]
    with opened(place) as orders:
        for key in keys:
            order = evolve(ORDER, id=key.partition("\n")[0])
            assert orders.begin(key, order, PRICE).state is OrderState.INTENDED
            orders.taken(key, f"request of {keys.index(key)}")
    with opened(place) as orders:
        for key in keys:
            known = orders.known(key)
            assert known is not None
            assert known.request_id == f"request of {keys.index(key)}"
        assert orders.spent() == len(keys) * PRICE

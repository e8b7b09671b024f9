"""`longcat batch` on many machines: a real PostgreSQL has the lines, and each worker takes its share of them."""

import json
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any, Final

import anyio
import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from batches import manifest, write
from postgres import PostgresServer, Schema
from postgres_proxy import Proxy
from pyarrow import parquet
from rich.console import Console
from servers import LIMIT, eventually
from shell import KEY, Gateway, Ran

from longcat.cli.displays.all_workers import AllWorkersDisplay
from longcat.cli.displays.all_workers_progress import PlainAllWorkers
from longcat.cli.displays.live_all_workers import LiveAllWorkers
from longcat.cli.orders import claimed_lines, many_machines
from longcat.cli.orders.batch_report import check_cost
from longcat.cli.orders.order_line import OrderLine
from longcat.cli.run import run as main
from longcat.errors import ConfigurationError, JournalError
from longcat.models import OrderRequest
from longcat.sandbox import RequestOutcome
from longcat.saving.journal.journal import Journal
from longcat.saving.journal.postgres.batches.line_table import LineOutcome, LineTable
from longcat.saving.journal.postgres.batches.records import BatchRecord
from longcat.saving.journal.postgres.batches.workers import WorkerRecord
from longcat.waiting.order_store import OrderState

SOON: Final = 0.05
GATEWAY: Final = "https://gateway.test"

ALTERED_ROWS: Final = {
    "longcat_line SET content = '{'": r"A line of batch 1 .* was altered and can't be read\. Restore it",
    "longcat_line SET content = '[]'": "A line of batch 1 .* was altered",
    "longcat_line SET key = 'dog'": "A line of batch 1 .* was altered",  # It was ordered as the cat.
    "longcat_line SET owner = 'no token'": "2 lines are open, and none of them can be claimed: another program",
    "longcat_line SET batch = -5": "2 lines are open, and none of them can be claimed",
    "longcat_batch SET spent = 9223372036854775807": r"bigint out of range\. Another program altered",
    "longcat_worker SET began = 'infinity'": "a row can't be read. Another program altered it",
    "longcat_orders SET request_id = repeat('r', 10000000)": "order 'cat-1' in .* was altered",
}
"""Changes, and what is said of them."""

Gateways = Callable[..., Gateway]
Call = Callable[..., Ran]


@pytest.fixture
def batch(call: Call, schema: Schema, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Return what runs the batch of the file `orders` with a journal on PostgreSQL."""
    monkeypatch.setattr(claimed_lines, "LOOK_EVERY", SOON)
    monkeypatch.setattr(claimed_lines, "REPORT_EVERY", SOON)
    monkeypatch.setattr(claimed_lines, "RETRY_PAUSE", SOON)

    def run(gateway: Gateway, *arguments: str, file: str = "orders") -> Ran:
        return call(gateway, "batch", file, "-o", "out", "--journal", schema.url, *arguments)

    return run


@pytest.fixture
def worker(schema: Schema) -> Any:
    """Return what opens the journal as another worker, whose connection ends with the test."""
    journals: list[Journal] = []

    def open_journal() -> Journal:
        journals.append(Journal(schema.url, time=time.time))
        journals[-1].open(LIMIT)
        return journals[-1]

    yield open_journal
    for one in journals:
        one.close()


def numbered(count: int) -> list[dict[str, Any]]:
    """Return so many orders."""
    return [{"prompt": f"cat {number}", "id": f"cat-{number}"} for number in range(count)]


def states() -> list[str]:
    """Return the states of the manifest's lines."""
    return [line["state"] for line in manifest()]


def test_a_line_that_holds_a_workers_key_is_not_ordered_by_it(
    gateway_with: Gateways, batch: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker with another key may have registered such a line. It fails alone, and the others are ordered."""
    gateway = gateway_with()
    write("a cat", f"two cats, {KEY}", "a dog")
    monkeypatch.setattr(many_machines, "api_key_if_any", lambda: "")
    ran = batch(gateway)
    assert (ran.code, gateway.posts, states()) == (1, 2, ["done", "failed", "done"]), ran.err
    assert "The order holds the key" in ran.err


def test_a_batch_goes_on_and_orders_nothing_twice(gateway_with: Gateways, batch: Call) -> None:
    """Each line is one order; the same command, and the file with more lines, order nothing that was ordered."""
    gateway = gateway_with()
    lines: list[dict[str, Any]] = [{"prompt": "a", "id": "cat"}] * 2 + [{"prompt": "b", "num_images": 2}]
    write(*lines)
    first = batch(gateway)
    before = gateway.posts, gateway.asked, manifest()
    assert (first.code, before[0], states()) == (0, 3, ["done"] * 3), first.err
    assert [line["cost"] for line in before[2]] == [0.13, 0.13, 0.26]
    assert sorted(before[2][2]) == sorted(["id", "prompt", "request_id", "state", "files", "cost", "error"])
    files = [name for line in before[2] for name in line["files"]]
    assert {path.name for path in Path("out").glob("*.png")} == set(files)
    assert (len(set(files)), files[0], sorted(first.out.split())) == (
        4,
        "cat.png",
        sorted(f"out/{one}" for one in files),
    )
    assert "3 of 3 done; 0.52 USD at most; saved in out, listed in out/manifest.jsonl." in first.err
    second = batch(gateway)
    assert (second.code, second.out, gateway.posts, gateway.asked, manifest()) == (0, "", *before)
    write(*lines, {"prompt": "c"})
    third = batch(gateway, "--json")
    assert (third.code, gateway.posts, states()) == (0, 4, ["done"] * 4)
    assert sorted(json.dumps(one) for one in third.objects) == sorted(json.dumps(one) for one in manifest())


def test_a_table_is_a_batch(gateway_with: Gateways, batch: Call) -> None:
    """A file in Parquet is taken for the orders in its rows."""
    gateway = gateway_with()
    parquet.write_table(pa.table({"prompt": ["a", "b"], "id": ["x", None]}), "table")
    ran = batch(gateway, file="table")
    assert (ran.code, gateway.posts, [line["id"] for line in manifest()]) == (0, 2, ["x", None]), ran.err


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["a", "", '{"prompt": "a"}'], "Line 3 of orders: It is a JSON object among prompts."),
        (['{"prompt": "a"}', '{"promt": "a"}', "b"], "Line 3 can't be used either."),
        (['{"prompt": "a", "id": "x"}', '{"prompt": "b", "id": "x"}'], "Line 2 of orders: Line 1 has the same id"),
        (["", " "], "There is no order in orders."),
    ],
)
def test_a_bad_line_is_named_before_anything_is_registered(
    gateway_with: Gateways, batch: Call, worker: Callable[[], Journal], lines: list[str], says: str
) -> None:
    """A line that can't be ordered is named with its number; nothing is sent, made or registered."""
    write(*lines)
    gateway = gateway_with()
    ran = batch(gateway)
    assert (ran.code, ran.out, says in ran.err, Path("out").exists()) == (2, "", True, False), ran.err
    assert (gateway.posts, worker().lines(gateway.url).claim(1, 9)) == (0, [])


@pytest.mark.parametrize("is_remote", [False, True])
def test_which_orders_are_the_same(call: Call, schema: Schema, *, is_remote: bool) -> None:
    """Orders of one id are compared by value on both kinds of journals: in a file, and with what was ordered before."""
    gateway, place, price = Gateway(GATEWAY), schema.url if is_remote else "a.journal", Decimal("0.13")
    cat = {"prompt": "a\0\u00e9", "id": "cat"}
    write(cat | {"guidance_scale": 1, "num_images": 1}, cat | {"num_images": 1.0, "guidance_scale": 1.0})
    same = call(gateway, "batch", "orders", "-o", "out", "--journal", place, "--dry-run")
    assert same.code == 0, same.err
    with Journal(place, time=time.time) as journal:
        table = journal.orders(gateway.url)
        table.begin("cat", OrderRequest("b", {"image_size": "square_1_1", "num_images": 1.0}, "cat"), price)
        table.begin("dog", OrderRequest("b", {"image_size": "square_1_1", "num_images": 1.0}, "dog"), price)
    dog = {"prompt": "b", "id": "dog", "num_images": 1, "image_size": "square_1_1"}
    write(dog)
    same = call(gateway, "batch", "orders", "-o", "out", "--journal", place, "--dry-run")
    assert (same.code, "0 of 1 order would be sent" in same.out) == (0, True), same.err
    for other in (dog | {"num_images": 2}, dog | {"prompt": "a"}, cat | {"image_size": "square_1_1"}):
        write(dog | {"id": "new"}, other)
        ran = call(gateway, "batch", "orders", "-o", "out", "--journal", place)
        assert (ran.code, f"'{other['id']}' names another order in the journal" in ran.err) == (2, True), ran.err


def test_rows_that_were_altered_are_told_shortly_and_order_nothing(
    gateway_with: Gateways, batch: Call, postgres_server: PostgresServer, schema: Schema
) -> None:
    """Whatever stands in the rows of a batch, a worker ends, says so in some lines, and sends no order again."""
    gateway = gateway_with()
    write(*numbered(2))
    assert batch(gateway).code == 0
    tables = [f"longcat_{name}" for name in ("line", "batch", "worker", "orders")]
    execute = postgres_server.execute
    execute(f"SET search_path = {schema.name}")
    for table in tables:
        execute(f"CREATE TEMPORARY TABLE sound_{table} AS TABLE {table}")
    for change, says in ALTERED_ROWS.items():
        for table in tables:
            execute(f"DELETE FROM {table}; INSERT INTO {table} OVERRIDING SYSTEM VALUE TABLE sound_{table}")  # noqa: S608
        execute("UPDATE longcat_line SET state = 'open', was_left = TRUE")
        execute("UPDATE longcat_worker SET done = 0")
        execute(f"UPDATE {change}")
        ran = batch(gateway)
        assert (ran.code in {2, 3}, re.search(says, ran.err) is not None) == (True, True), (change, ran.err)
        assert (len(ran.err) < 3000, gateway.posts) == (True, 2), change
    execute("DISCARD TEMPORARY")
    execute("RESET search_path")


def test_no_worker_waits_for_lines_that_nobody_can_claim(
    gateway_with: Gateways, batch: Call, postgres_server: PostgresServer, schema: Schema, worker: Callable[[], Journal]
) -> None:
    """Beside another one that is alive and has no lines either, a worker ends; not while the other one has a line."""
    gateway = gateway_with()
    write(*numbered(2))
    assert batch(gateway).code == 0
    postgres_server.execute(f"UPDATE {schema.name}.longcat_line SET state = 'open', owner = 'no token'")  # noqa: S608
    postgres_server.execute(f"UPDATE {schema.name}.longcat_worker SET done = 0")  # noqa: S608
    other = worker().lines(gateway.url)
    assert other.claim(1, 2) == []
    ran = batch(gateway)
    assert (ran.code, "2 lines are open, and none of them can be claimed" in ran.err) == (3, True), ran.err
    assert other.is_stuck(1)
    postgres_server.execute(f"UPDATE {schema.name}.longcat_line SET owner = NULL WHERE number = 1")  # noqa: S608
    assert not other.is_stuck(1)
    assert [line.number for line in other.claim(1, 2)] == [1]
    assert not other.is_stuck(1)


def test_a_dry_run_makes_nothing(
    gateway_with: Gateways, batch: Call, postgres_server: PostgresServer, schema: Schema
) -> None:
    """`--dry-run` writes nothing into the database, be there a journal or none; all of its checks are made."""
    gateway, bare = gateway_with(), postgres_server.schema()
    write("a", "b", "a")
    with Journal(schema.url, time=time.time) as journal:
        journal.open(LIMIT)
    for place in (bare.url, schema.url):
        ran = batch(gateway, "--dry-run", "--json", "--journal", place)
        assert (ran.code, ran.objects[0]["orders"], ran.objects[0]["cost"]) == (0, 3, 0.39), ran.err
    write({"prompt": "a", "id": "x"}, {"prompt": "b", "id": "x"})
    ran = batch(gateway, "--dry-run", "--journal", bare.url)
    assert (ran.code, "Line 1 has the same id" in ran.err) == (2, True)
    relations = "SELECT count(*) FROM pg_class WHERE relnamespace = %s::regnamespace"
    assert postgres_server.execute(relations, bare.name) == [(0,)]
    assert postgres_server.execute(f"SELECT count(*) FROM {schema.name}.longcat_batch") == [(0,)]  # noqa: S608


def test_a_dry_run_and_the_cap(gateway_with: Gateways, batch: Call) -> None:
    """`--dry-run` tells what would be sent, and `--max-cost` bounds what the journal's orders cost with these."""
    gateway = gateway_with()
    write("a", "b")
    ran = batch(gateway, "--dry-run", "--json", "--max-cost", "0.26")
    plan = {"lines": 2, "orders": 2, "pictures": 2, "cost": 0.26, "known": 0, "in_doubt": 0}
    plan |= {"resubmitted": 0, "spent": 0.0}
    assert (ran.code, ran.objects, gateway.posts, Path("out").exists()) == (0, [plan], 0, False)
    ran = batch(gateway, "--max-cost", "0.25")
    assert (ran.code, gateway.posts, "0.26 USD, more than --max-cost 0.25" in ran.err) == (2, 0, True)
    assert batch(gateway, "--max-cost", "0.26").code == 0
    write("a", "b", "c")
    ran = batch(gateway, "--dry-run")
    assert "1 of 3 orders would be sent, for 1 picture at 0.13 USD: 0.13 USD at most. 2 are known" in ran.out
    assert batch(gateway, "--max-cost", "0.38").code == 2
    assert (batch(gateway, "--max-cost", "0.39").code, gateway.posts) == (0, 3)


def test_orders_in_doubt(gateway_with: Gateways, batch: Call) -> None:
    """An order without a readable answer is in doubt: exit code 3, and it is sent again only when that is asked for."""
    gateway = gateway_with("order-server-error-taken:1")
    write("a", "b")
    codes = [batch(gateway).code for _ in range(2)]
    assert (codes, gateway.posts, sorted(states())) == ([3, 3], 2, ["done", "unknown"])
    ran = batch(gateway, "--resubmit-unknown")
    assert (ran.code, gateway.posts, states()) == (0, 3, ["done", "done"])
    assert sorted(line["cost"] for line in manifest()) == [0.13, 0.26], ran.err


@pytest.mark.parametrize(
    ("settings", "code", "state", "cost"),
    [
        ({"outcome": RequestOutcome.FAILED}, 1, "failed", 0.13),
        ({"outcome": RequestOutcome.ERROR}, 1, "failed", 0.0),
        ({"disabled": True}, 1, "failed", 0.0),
        ({"balance": Decimal(0)}, 2, "open", 0.0),
        ({"api_key": "another"}, 2, "open", 0.0),
    ],
)
def test_how_an_order_ends(  # noqa: PLR0913, PLR0917 - a table.
    gateway_with: Gateways, batch: Call, settings: dict[str, Any], code: int, state: str, cost: float
) -> None:
    """A failure is told with its request; what is wrong with the account leaves orders open; ERROR costs nothing."""
    write("a cat")
    ran = batch(gateway_with(**settings))
    (line,) = manifest()
    assert (ran.code, line["state"], line["cost"], line["files"]) == (code, state, cost, []), ran.err
    assert "longcat: order 'a cat'" in ran.err


def test_a_file_in_the_way(gateway_with: Gateways, batch: Call) -> None:
    """A line whose picture would replace a file that the journal does not know is not ordered; the others are."""
    gateway = gateway_with()
    Path("out").mkdir()
    Path("out/cat-1.png").write_text("old")
    write(*numbered(3))
    ran = batch(gateway)
    assert (ran.code, gateway.posts, states()) == (1, 2, ["done", "failed", "done"])
    assert ("cat-1.png is there already." in ran.err, Path("out/cat-1.png").read_text()) == (True, "old")


def claimed_by_another(gateway: Gateway, batch: Call, other: LineTable) -> list[int]:
    """Register three lines, and have another worker claim the first two of them. Return their numbers."""
    write(*numbered(3))
    assert batch(gateway, "--batch-timeout", "0").code == 3
    return [line.number for line in other.claim(1, 2)]


def test_the_lines_of_a_worker_that_is_gone_are_taken_over(
    gateway_with: Gateways, batch: Call, worker: Callable[[], Journal]
) -> None:
    """Lines that a worker had claimed are free as soon as it is gone, and the batch ends with all of them."""
    gateway, other = gateway_with(), worker()
    assert claimed_by_another(gateway, batch, other.lines(gateway.url)) == [1, 2]
    other.close()
    ran = batch(gateway)
    assert (ran.code, gateway.posts, states()) == (0, 3, ["done"] * 3), ran.err


def test_what_was_in_doubt_is_sent_once_more_whoever_claims_it(worker: Callable[[], Journal]) -> None:
    """To send again what is in doubt holds for what is so now, once: who dies sending it leaves it in doubt again."""
    order, price = OrderRequest("a cat", {}, "x"), Decimal("0.13")
    said = []

    def begin() -> tuple[Journal, LineTable]:
        """Claim the line, and note that its order is about to be sent, if it is."""
        journal = worker()
        lines = journal.lines("https://gateway.example")
        lines.register("0" * 64, lambda: [(1, order)], source="orders")
        (line,) = lines.claim(1, 9)
        stands = journal.orders("https://gateway.example").begin(line.key, order, price).state
        said.append((stands, line.cost_before))
        return journal, lines

    begin()[0].close()
    journal, lines = begin()
    lines.end(1, [LineOutcome(1, "unknown", price)])
    journal.close()
    lines = worker().lines("https://gateway.example")
    lines.register("0" * 64, list, source="orders", resubmit_unknown=True)
    assert (lines.progress(1).open, lines.progress(1).spent) == (1, price)
    begin()[0].close()
    begin()
    assert said == [
        (OrderState.INTENDED, Decimal(0)),
        (OrderState.UNKNOWN, Decimal(0)),
        (OrderState.INTENDED, price),
        (OrderState.UNKNOWN, price),
    ]


def test_a_worker_waits_for_the_lines_of_others(
    gateway_with: Gateways, batch: Call, worker: Callable[[], Journal]
) -> None:
    """A worker with nothing left to claim stays while others work, and takes up what they give back."""
    gateway = gateway_with()
    other = worker().lines(gateway.url)
    first, _ = claimed_by_another(gateway, batch, other)
    looks: set[datetime] = set()

    def has_looked_a_few_times() -> bool:
        looks.update(one.seen for one in other.progress(1).workers if one.token != other._owner)
        return len(looks) > 3

    def leave() -> None:
        assert eventually(lambda: other.progress(1).done == 1, LIMIT)
        assert eventually(has_looked_a_few_times)
        other.end(1, [LineOutcome(first, "failed", Decimal(0), error="refused")])
        other.leave(1)

    thread = Thread(target=leave)
    thread.start()
    ran = batch(gateway)
    thread.join()
    assert (ran.code, gateway.posts, states()) == (1, 2, ["failed", "done", "done"]), ran.err


def test_the_last_worker_writes_the_manifest(
    gateway_with: Gateways, batch: Call, worker: Callable[[], Journal]
) -> None:
    """While another worker is at the batch, it is left to that one to write the manifest."""
    gateway, other = gateway_with(), worker()
    claimed_by_another(gateway, batch, other.lines(gateway.url))
    Path("out/manifest.jsonl").unlink()
    ran = batch(gateway, "--batch-timeout", "1")
    assert (ran.code, "Other workers go on." in ran.err, Path("out/manifest.jsonl").exists()) == (3, True, False)


def test_a_database_that_is_lost_for_a_while(
    gateway_with: Gateways, batch: Call, postgres_server: PostgresServer
) -> None:
    """When the database is restarted in the midst, this is said once, and every line is ordered once all the same."""
    gateway = gateway_with(duration=0.5)
    write(*numbered(60))

    def restart() -> None:
        assert eventually(lambda: gateway.posts > 5, LIMIT)
        postgres_server.restart()

    thread = Thread(target=restart)
    thread.start()
    ran = batch(gateway)
    thread.join()
    assert (ran.code, gateway.posts, states()) == (0, 60, ["done"] * 60), ran.err
    assert ran.err.count("waits until its journal can be used again") <= 1, ran.err
    assert len({*Path("out").glob("*.png")}) == 60


def test_lots_grow_and_shrink() -> None:
    """A lot lasts some seconds, and near the end each worker claims no more than half of its fair share."""
    one = claimed_lines.ClaimedLines(None, 1, PlainAllWorkers(), print, print)  # type: ignore[arg-type]
    assert one._lot_size() == claimed_lines.FIRST_LOT
    for seconds, size in [(0.1, 80), (2.0, 80), (9.0, 40), (0.9, 80)]:
        one._adapt_lot(seconds)
        assert one._lot_size() == size
    one.progress = progress(done=900, workers=2)
    assert one._lot_size() == 25
    one.progress = progress(done=999, workers=2)
    assert one._lot_size() == claimed_lines.MIN_LOT


def progress(workers: int = 1, **counts: int) -> BatchRecord:
    """Return how far workers are with a thousand lines."""
    began = datetime(2026, 1, 1, tzinfo=UTC)
    alive = [
        WorkerRecord(f"{number:016x}", "host", number, 1, began, began, True, 1234, 2, 1, Decimal("1.3"))
        for number in range(workers)
    ]
    known: dict[str, Any] = {"lines": 1000, "done": 0, "failed": 0, "unknown": 0, "spent": Decimal("12.5")}
    return BatchRecord(1, GATEWAY, began, **known | counts, workers=alive)


def test_what_is_shown_of_the_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """Counts, money, the rate of late, the time that is left and the workers are shown, plainly or on a terminal."""
    clock = [0.0]
    plain, live = PlainAllWorkers(lambda: clock[0]), LiveAllWorkers(lambda: clock[0])
    assert str(plain) == "joining the batch"
    for clock[0], done in [(0.0, 100), (10.0, 600)]:
        for display in (plain, live):
            display.show(progress(done=done, failed=2, unknown=1, workers=10))
    plain.close()
    text = "600 of 1,000 done, 2 failed, 1 in doubt, 12.5 USD, 50 a second, about 8 s left, 10 workers"
    assert capsys.readouterr().err == f"longcat: {text}.\n"
    console = Console(width=100)
    with console.capture() as capture:
        console.print(live.render())
    drawn = " ".join(capture.get().split())
    assert (text in drawn, "and 2 more workers" in drawn) == (True, True)
    assert drawn.count("1,234 done, 2 failed, 1 in doubt, 1.3 USD") == 8


def orders(count: int) -> Callable[[], Iterator[tuple[int, OrderRequest]]]:
    """Return what yields so many orders, each with its line."""
    return lambda: ((number, OrderRequest(f"cat {number}", {}, id=f"cat-{number}")) for number in range(1, count + 1))


@pytest.mark.parametrize("question", [*range(1, 9)])
def test_a_claim_whose_answer_is_lost_leaves_no_line_behind(schema: Schema, question: int) -> None:
    """Lines that a worker does not know it has are free again with its next claim, whichever answer was lost."""
    with (
        Proxy(schema.server.port) as proxy,
        Journal(schema.through(proxy.port), time=time.time) as journal,
    ):
        journal.open(LIMIT)
        lines = journal.lines("https://gateway.test")
        number = lines.register("digest", orders(5), source="orders")
        proxy.cut(question, "after")
        claimed: list[int] = []
        while len(claimed) < 5:
            with suppress(JournalError):
                found = [line.number for line in lines.claim(number, 2)]
                assert found
                claimed += found
        assert sorted(claimed) == [1, 2, 3, 4, 5]


def test_what_is_done_is_kept_though_another_worker_had_taken_it_over(worker: Callable[[], Journal]) -> None:
    """A line that is done is over, whoever has it, and also if that one is gone; one that failed is the other's."""
    tables = [worker().lines("https://gateway.test") for _ in range(2)]
    number, _ = (table.register("digest", orders(2), source="orders") for table in tables)
    assert [line.number for line in tables[1].claim(number, 2)] == [1, 2]
    cost = Decimal("0.13")
    tables[0].end(number, [LineOutcome(1, "done", cost, "r", ["cat-1.png"]), LineOutcome(2, "failed", cost)])
    found = tables[0].progress(number)
    assert (found.done, found.failed, found.open, found.spent) == (1, 0, 1, cost)


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("unknown", "done", (1, 0, 0, "0.26")),
        ("unknown", "failed", (0, 1, 0, "0.26")),
        ("unknown", "open", (0, 0, 1, "0.13")),
        ("unknown", "unknown", (0, 0, 1, "0.13")),
        ("done", "unknown", (1, 0, 0, "0.13")),
        ("done", "failed", (1, 0, 0, "0.13")),
        ("failed", "unknown", (0, 1, 0, "0.13")),
        ("failed", "done", (0, 1, 0, "0.13")),
    ],
)
def test_what_was_found_in_doubt_is_not_when_its_sender_says_what_came_of_it(
    worker: Callable[[], Journal], first: str, last: str, expected: tuple[int, int, int, str]
) -> None:
    """A line in doubt ends when its first worker, who was cut off, has ended it; the counts and the money follow."""
    tables = [worker().lines("https://gateway.test") for _ in range(2)]
    number, _ = (table.register("digest", orders(1), source="orders") for table in tables)
    for table, state, cost in zip(tables, (first, last), ("0.13", "0.26"), strict=True):
        table.end(number, [LineOutcome(1, state, Decimal(cost), f"of {state}", ["a.png"], state)])
    found = tables[0].progress(number)
    assert (found.done, found.failed, found.unknown, str(found.spent)) == expected
    (line,) = map(json.loads, tables[0].export(number))
    assert line["state"] == line["error"] == (last if last in {"done", "failed"} and first == "unknown" else first)


def test_a_line_stays_in_doubt_while_its_order_is(worker: Callable[[], Journal]) -> None:
    """A worker that was refused says nothing about an order that another one has sent since, without an answer."""
    one, other = worker(), worker()
    tables = [journal.lines("https://gateway.test") for journal in (one, other)]
    number, _ = (table.register("digest", orders(1), source="orders") for table in tables)
    (line,) = tables[1].claim(number, 1)
    sent = other.orders("https://gateway.test")
    assert sent.begin(line.key, line.order, Decimal("0.13")).state is OrderState.INTENDED
    sent.unknown(line.key, "no answer came")
    tables[1].end(number, [LineOutcome(1, "unknown", Decimal("0.13"))])
    for outcome, state in (("before", "unknown"), ("after", "failed")):
        if outcome == "after":
            sent.withdraw(line.key)
        tables[0].end(number, [LineOutcome(1, "failed", Decimal(0), error="refused")])
        assert [json.loads(found)["state"] for found in tables[0].export(number)] == [state]


@pytest.mark.parametrize("read", [0, 1])
def test_an_export_that_is_broken_off_leaves_the_journal_to_others(worker: Callable[[], Journal], read: int) -> None:
    """As by Ctrl-C, or a disk that is full: nothing waits for rows that nobody reads."""
    table = worker().lines("https://gateway.test")
    number = table.register("digest", orders(3), source="orders")
    lines = table.export(number)
    for _ in range(read):
        next(lines)
    lines.close()  # type: ignore[attr-defined]
    assert table.progress(number).open == 3


def test_a_doubt_that_comes_at_the_same_time_is_counted_once(
    worker: Callable[[], Journal], postgres_server: PostgresServer
) -> None:
    """Of two workers that end a line at once, the one who knows what came of it corrects what the other has counted."""
    one, other = worker(), worker()
    tables = [journal.lines("https://gateway.test") for journal in (one, other)]
    number, _ = (table.register("digest", orders(1), source="orders") for table in tables)
    cost = Decimal("0.13")
    with other._database.durable() as db:
        db.execute("UPDATE longcat_line SET state = 'unknown', cost = 130000000")
        db.execute("UPDATE longcat_worker SET unknown = 1, spent = 130000000 WHERE token = ?", [other._database.token])
        thread = Thread(target=lambda: tables[0].end(number, [LineOutcome(1, "done", cost, "r", ["a.png"])]))
        thread.start()
        assert eventually(lambda: postgres_server.execute("SELECT 1 FROM pg_locks WHERE NOT granted"), LIMIT)
    thread.join()
    found = tables[0].progress(number)
    assert (found.done, found.unknown, found.open, found.spent) == (1, 0, 0, cost)


def test_a_line_that_comes_back_is_not_begun_twice(worker: Callable[[], Journal]) -> None:
    """A worker whose line was taken over by one that is gone goes on with it, and ends it once."""
    table = worker().lines("https://gateway.test")
    number = table.register("digest", orders(1), source="orders")
    ended: list[OrderLine] = []
    taken = claimed_lines.ClaimedLines(table, number, AllWorkersDisplay(), lambda _: None, ended.append)

    async def main() -> None:
        lines = taken.lines()
        line = await anext(lines)
        table.leave(number)  # The line is free, as if another worker had had it.
        with pytest.raises(StopAsyncIteration):
            await anext(lines)
        taken.end(line)

    anyio.run(main)
    taken.report()
    assert [line.key for line in ended] == ["cat-1"]


# --- One cap for all. ---


def join(journal: Journal, name: str, count: int, max_cost: str | None = None, **options: Any) -> tuple[LineTable, int]:
    """Register so many lines, or take part in them, as `longcat batch` does with this --max-cost."""
    table, most = journal.lines(GATEWAY), Decimal(max_cost) if max_cost is not None else None
    named = [(number, OrderRequest("a cat", {}, id=f"{name}-{number}")) for number in range(1, count + 1)]
    check = partial(check_cost, max_cost=most)
    return table, table.register(name, lambda: named, source="orders", check=check, max_cost=most, **options)


def test_nothing_is_opened_beyond_the_cap_of_a_worker(
    schema: Schema, worker: Callable[[], Journal], capsys: pytest.CaptureFixture[str]
) -> None:
    """While a worker with --max-cost is at work, nobody opens lines, or registers any, that would cost more with it."""
    price, capped, other = Decimal("0.13"), worker(), worker()
    table, batch = join(capped, "a", 2, "0.38")
    store = capped.orders(GATEWAY)
    for line in table.claim(batch, 2):
        store.begin(line.key, line.order, price)
    store.taken("a-1", "request-1")
    store.unknown("a-2", "no answer")
    table.end(batch, [LineOutcome(1, "failed", price, "request-1"), LineOutcome(2, "unknown", price)])
    says = "0.13 USD, after 0.26 USD that the journal knows of: 0.39 USD, more than --max-cost 0.38. A worker that is"
    again = (["--retry", "failed"], ["--resubmit-unknown"])
    for arguments in again:
        assert main(["journal", schema.url, *arguments]) == 2
        assert says in capsys.readouterr().err
    joins: list[tuple[str, int, dict[str, Any]]]
    joins = [("a", 2, {"resubmit_unknown": True}), ("b", 1, {}), ("b", 1, {"max_cost": "0.5"})]
    for name, count, options in joins:
        with pytest.raises(ConfigurationError, match=re.escape(says)):
            join(other, name, count, **options)
    assert (table.progress(batch).failed, table.progress(batch).unknown) == (1, 1)
    assert [order.is_marked for order in map(store.known, ("a-1", "a-2")) if order] == [False, False]
    table.leave(batch)
    assert [main(["journal", schema.url, *arguments]) for arguments in again] == [0, 0]
    table, batch = join(other, "a", 2, "0.52")
    assert (len(table.claim(batch, 9)), table.progress(batch).spent) == (2, 2 * price)


def test_lines_that_cost_as_much_as_a_worker_allows_are_opened(schema: Schema, worker: Callable[[], Journal]) -> None:
    """With what was ordered before, they may come to the cap itself."""
    price, capped = Decimal("0.13"), worker()
    table, batch = join(capped, "a", 1, "0.26")
    (line,) = table.claim(batch, 1)
    capped.orders(GATEWAY).begin(line.key, line.order, price)
    capped.orders(GATEWAY).taken("a-1", "request-1")
    table.end(batch, [LineOutcome(1, "failed", price, "request-1")])
    assert main(["journal", schema.url, "--retry", "failed"]) == 0
    assert (table.progress(batch).open, table.progress(batch).failed) == (1, 0)


def test_workers_that_come_at_once_stay_within_the_lowest_cap(worker: Callable[[], Journal]) -> None:
    """Of several that come at once with different caps, those that get in order no more than each of them allows."""
    caps = ("0.13", None, "0.26", "0.39")
    journals = [worker() for _ in caps]
    with ThreadPoolExecutor(len(caps)) as pool:
        joined = [pool.submit(join, one, f"{number}", 1, caps[number]) for number, one in enumerate(journals)]
    errors = [one.exception() for one in joined]
    allowed = [cap for cap, error in zip(caps, errors, strict=True) if error is None]
    assert 0 < Decimal("0.13") * len(allowed) <= min((Decimal(cap) for cap in allowed if cap), default=Decimal(9))
    assert {"more than --max-cost" in str(error) for error in errors if error is not None} <= {True}

"""`longcat journal` as its users meet it: what it tells of files and databases, what it writes, and what it opens."""

import json
import re
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from batches import manifest, write
from journals import Place, rows
from postgres import USER, PostgresServer, Schema
from pyarrow import parquet  # type: ignore[import-untyped]
from servers import LIMIT
from shell import Gateway, Ran

from longcat.cli.run import run as main
from longcat.gateway.order_fields import usable_order
from longcat.models import Image, OrderRequest, State, Status
from longcat.sandbox import RequestOutcome
from longcat.saving.journal.journal import Journal
from longcat.saving.journal.postgres import database
from longcat.saving.journal.postgres.batches.line_table import LineOutcome
from longcat.waiting.order_store import OrderState

Gateways = Callable[..., Gateway]
Call = Callable[..., Ran]
GATEWAY = "https://gateway.example"
PRICE = Decimal("0.13")


@pytest.fixture
def ask(place: Place, capsys: pytest.CaptureFixture[str]) -> Call:
    """Return what runs `longcat journal` in this process; the first argument is the place."""

    def run(*arguments: str, where: Place = place) -> Ran:
        try:
            code = int(main(["journal", str(where), *arguments]))
        except SystemExit as end:
            code = int(end.code or 0)
        return Ran(code, *capsys.readouterr(), 0.0)

    return run


@pytest.fixture
def batch(call: Call, place: Place) -> Call:
    """Return what runs the batch of the file `orders` with a journal at that place."""

    def run(gateway: Gateway, *arguments: str) -> Ran:
        return call(gateway, "batch", "orders", "-o", "out", "--journal", str(place), *arguments)

    return run


def opened(place: Place) -> Journal:
    """Return a journal that is open."""
    journal = Journal(place, time=time.time)
    journal.open(LIMIT)
    return journal


def told(ran: Ran, *names: str) -> tuple[Any, ...]:
    """Return these fields of the one object that was printed."""
    (found,) = ran.objects
    return tuple(found[name] for name in names)


STATES = ("done", "failed", "unknown", "open")


def test_what_a_batch_left_is_told_and_exported(gateway_with: Gateways, batch: Call, ask: Call) -> None:
    """The journal tells the states, the pictures and the money; the export has the lines of the manifest."""
    write({"prompt": "a", "id": "cat"}, {"prompt": "b", "num_images": 2}, {"prompt": "ц"})
    gateway = gateway_with()
    assert batch(gateway).code == 0
    ran = ask("--json")
    assert (ran.code, told(ran, *STATES)) == (0, (3, 0, 0, 0)), ran.err
    assert told(ran, "pictures", "spent", "in_doubt", "spent_in_doubt") == (4, 0.52, 0, 0.0)
    assert ": 3 orders: 3 done, 0 failed, 0 in doubt, 0 open\n" in ask().out
    assert ask("--export", "here.jsonl").out == "here.jsonl\n"
    lines = [json.loads(line) for line in Path("here.jsonl").read_text("utf-8").splitlines()]
    assert sorted(map(json.dumps, lines)) == sorted(map(json.dumps, manifest()))
    assert ask("--export", "-").objects == lines
    assert ask("--export", "here.parquet", "--json").objects == [{"exported": 3, "path": "here.parquet"}]
    assert parquet.read_table("here.parquet").to_pylist() == lines


def test_what_failed_is_ordered_anew_by_the_next_run(gateway_with: Gateways, batch: Call, ask: Call) -> None:
    """`--retry failed` says what that may cost, and the next run orders it; what failed before stays paid."""
    write("a", "b")
    gateway = gateway_with(outcome=RequestOutcome.FAILED)
    assert batch(gateway).code == 1
    assert told(ask("--json"), *STATES, "spent") == (0, 2, 0, 0, 0.26)
    ran = ask("--retry", "failed")
    assert (ran.code, ran.out) == (0, "2 orders that have failed are to be sent again\n")
    assert "2 orders have failed. To order them anew may cost 0.26 USD more" in ran.err
    assert told(ask("--json"), "failed", "opened_again", "spent") == (0, 2, 0.26)
    assert ask("--retry", "failed", "--json").objects == [{"retried": 0, "cost": 0.0}]
    assert (batch(gateway).code, gateway.posts) == (1, 4)
    assert told(ask("--json"), *STATES, "opened_again", "spent") == (0, 2, 0, 0, 2, 0.52)
    assert len(ask("--export", "-").objects) == 2


def test_a_line_that_was_refused_is_ordered_anew(
    gateway_with: Gateways, call: Call, schema: Schema, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line that many machines share and the gateway refused stays failed until it is opened again."""
    write("a")
    refusing = gateway_with("order-status:1:400")
    arguments = ("batch", "orders", "-o", "out", "--journal", schema.url)
    assert (call(refusing, *arguments).code, call(refusing, *arguments).code, refusing.posts) == (1, 1, 1)
    assert main(["journal", schema.url, "--retry", "failed", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"retried": 1, "cost": 0.13}
    assert (call(refusing, *arguments).code, refusing.posts) == (0, 2)


def test_what_failed_is_taken_up_by_a_worker_that_is_at_it(schema: Schema, ask: Call) -> None:
    """`--retry failed` gives a line back to whoever works on its batch, and leaves alone what is under way."""
    with opened(schema.url) as journal:
        table = journal.lines(GATEWAY)
        batch = table.register("d" * 64, lambda: [(n, OrderRequest(f"cat {n}", {})) for n in (1, 2, 3)], source="lines")
        assert len(table.claim(batch, 2)) == 2
        table.end(batch, [LineOutcome(1, "failed", PRICE, "cat-1", error="it broke")])
        assert ask("--retry", "failed", "--json", where=schema.url).objects == [{"retried": 1, "cost": 0.13}]
        assert ask("--retry", "failed", "--json", where=schema.url).objects == [{"retried": 0, "cost": 0.0}]
        assert [line.number for line in table.claim(batch, 9)] == [1, 3]
        progress = table.progress(batch)
        assert (progress.failed, progress.open, progress.spent) == (0, 3, PRICE)
        table.end(batch, [LineOutcome(n, "done", PRICE, f"cat-{n}") for n in (1, 2, 3)])
        progress = table.progress(batch)
        assert (progress.done, progress.open, progress.spent) == (3, 0, 4 * PRICE)


@pytest.mark.usefixtures("virtual_time")
def test_what_the_gateway_has_forgotten_is_ordered_anew(
    gateway_with: Gateways, batch: Call, ask: Call, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An order under way is counted; a request that the gateway knows no more has failed, and both orders are paid."""
    monkeypatch.setattr("longcat.waiting.wait.VISIBLE_AFTER", 0.0)
    write({"prompt": "a", "id": "cat"})
    first = gateway_with(duration=LIMIT)
    ran = batch(first, "--timeout", "10")
    assert (ran.code, "0 of 1 done, 1 open; 0.13 USD at most" in ran.err) == (3, True), ran.err
    forgetful = gateway_with()
    with opened(place) as journal:  # The journal knows it as an order of the other gateway, which has forgotten it.
        for table in ("orders", "request", "batch")[: 3 if "://" in str(place) else 2]:
            with journal._database.using() as db:
                name = table if table != "batch" else "longcat_batch"
                db.execute(f"UPDATE {name} SET gateway = ?", [forgetful.url])  # noqa: S608
    ran = batch(forgetful)
    assert (ran.code, [line["state"] for line in manifest()], forgetful.posts) == (1, ["failed"], 0), ran.err
    assert "0 of 1 done, 1 failed; 0.13 USD at most" in ran.err
    assert told(ask("--json"), *STATES, "spent") == (0, 1, 0, 0, 0.13)
    for count in (1, 0):
        assert ask("--retry", "failed", "--json").objects == [{"retried": count, "cost": 0.13 * count}]
    ran = batch(forgetful)
    assert (ran.code, [line["state"] for line in manifest()], forgetful.posts) == (0, ["done"], 1), ran.err
    assert told(ask("--json"), *STATES, "opened_again", "spent") == (1, 0, 0, 0, 1, 0.26)


def test_what_a_batch_has_spent_is_what_its_orders_cost(schema: Schema, ask: Call) -> None:
    """A line that failed and is opened again is counted as often as it was paid for, whether or not it is done."""
    with opened(schema.url) as journal:
        table, orders, requests = journal.lines(GATEWAY), journal.orders(GATEWAY), journal.requests(GATEWAY)
        batch = table.register("d" * 64, lambda: [(n, OrderRequest("a", {}, f"cat-{n}")) for n in (1, 2)], source="x")
        for line in table.claim(batch, 2):
            orders.begin(line.key, line.order, PRICE)
            orders.taken(line.key, f"request-{line.number}")
        assert table.progress(batch).spent == 2 * PRICE
        table.end(batch, [LineOutcome(n, "failed", PRICE, f"request-{n}") for n in (1, 2)])
        requests.claim("request-2")  # It was done after all.
        image = Image("request-2", "https://x.example/2.png", ("https://x.example/2.png",))
        requests.note(Status("request-2", State.COMPLETED, "COMPLETED", image=image))
        assert ask("--retry", "failed", "--json", where=schema.url).objects == [{"retried": 2, "cost": 0.26}]
        assert [orders.known(f"cat-{n}") is None for n in (1, 2)] == [True, False]
        assert (table.progress(batch).spent, table.progress(batch).open) == (2 * PRICE, 2)
        table.leave(batch)
        assert table.progress(batch).spent == 2 * PRICE
        for line in table.claim(batch, 2):
            orders.begin(line.key, line.order, PRICE)
        orders.taken("cat-1", "request-3")
        assert table.progress(batch).spent == 3 * PRICE
        table.end(batch, [LineOutcome(n, "done", PRICE, f"request-{2 * n}") for n in (1, 2)])
        assert table.progress(batch).spent == orders.spent() == 3 * PRICE


def test_what_is_in_doubt_is_sent_again_after_a_look(gateway_with: Gateways, batch: Call, ask: Call) -> None:
    """Orders in doubt are shown; `--resubmit-unknown` says what it may cost, and the next run sends them."""
    write("a", "b")
    gateway = gateway_with("order-hang-up-taken:2")
    assert batch(gateway).code == 3
    posts = gateway.posts
    shown = ask()
    assert (shown.code, shown.out.count("in doubt since "), "'a', 0.13 USD: " in shown.out) == (0, 2, True), shown.out
    assert told(ask("--json"), *STATES, "spent", "spent_in_doubt") == (0, 0, 2, 0, 0.26, 0.26)
    assert (batch(gateway).code, gateway.posts) == (3, posts)
    ran = ask("--resubmit-unknown", "--json")
    assert (ran.code, ran.objects) == (0, [{"resubmitted": 2, "cost": 0.26}])
    assert "2 orders are in doubt: they may have been taken, and paid for. To send them again may cost 0.26" in ran.err
    assert told(ask("--json"), *STATES, "in_doubt", "spent") == (0, 0, 0, 2, 0, 0.26)
    assert "2 of 2 orders would be sent" in batch(gateway, "--dry-run").out
    assert (batch(gateway).code, gateway.posts) == (0, posts + 2)
    assert told(ask("--json"), *STATES, "spent") == (2, 0, 0, 0, 0.52)


def test_a_message_about_one_failed_order_is_in_the_singular(gateway_with: Gateways, batch: Call, ask: Call) -> None:
    """`--retry failed` speaks of one order as of one."""
    write("a")
    assert batch(gateway_with(outcome=RequestOutcome.FAILED)).code == 1
    ran = ask("--retry", "failed")
    assert (ran.code, ran.out) == (0, "1 order that has failed is to be sent again\n")
    assert "1 order has failed. To order it anew may cost 0.13 USD more" in ran.err


def test_a_message_about_one_order_in_doubt_is_in_the_singular(gateway_with: Gateways, batch: Call, ask: Call) -> None:
    """`--resubmit-unknown` speaks of one order as of one."""
    write("a")
    assert batch(gateway_with("order-hang-up-taken:1")).code == 3
    ran = ask("--resubmit-unknown")
    assert (ran.code, ran.out) == (0, "1 order in doubt is to be sent again\n")
    assert "1 order is in doubt: it may have been taken, and paid for. To send it again may cost 0.13 USD" in ran.err


def test_what_a_living_program_sends_is_left_alone(place: Place, ask: Call) -> None:
    """An order that a program is sending is neither in doubt nor sent again; one whose program is gone is."""
    order = OrderRequest("a", {})
    journal = opened(place)
    assert journal.orders(GATEWAY).begin("a", order, PRICE).state is OrderState.INTENDED
    assert told(ask("--json"), *STATES, "sending", "in_doubt") == (0, 0, 0, 1, 1, 0)
    assert [one["alive"] for one in told(ask("--json"), "workers")[0]] == [True]
    assert ask("--resubmit-unknown", "--json").objects == [{"resubmitted": 0, "cost": 0.0}]
    journal.close()
    assert told(ask("--json"), *STATES, "sending", "in_doubt", "workers") == (0, 0, 1, 0, 0, 1, [])
    assert "the program that sent it ended before the answer came" in ask().out
    assert ask("--resubmit-unknown", "--json").objects == [{"resubmitted": 1, "cost": 0.13}]
    with opened(place) as again:
        assert again.orders(GATEWAY).in_doubt() == []
        assert again.orders(GATEWAY).begin("a", order, PRICE).state is OrderState.INTENDED
        again.orders(GATEWAY).unknown("a", "no answer")
        assert [one.message for one in again.orders(GATEWAY).in_doubt()] == ["no answer"]
        assert again.orders(GATEWAY).spent() == 2 * PRICE


def test_what_may_be_under_way_is_not_sent_again_yet(
    schema: Schema, call: Call, gateway_with: Gateways, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a sender that was cut off may get its answer, its order is left alone; commands say when to look again."""
    write({"prompt": "a", "id": "a"}, {"prompt": "b", "id": "b"})
    gateway = gateway_with()
    batch = "batch", "orders", "-o", "out", "--journal", schema.url
    resubmit = partial(call, gateway, "journal", schema.url, "--resubmit-unknown", "--json")
    assert call(gateway, *batch, "--batch-timeout", "0").code == 3
    monkeypatch.setattr(database, "SIGN_INTERVAL", 1000.0)  # It does not come back.
    with opened(schema.url) as sender:
        sender.orders(gateway.url).begin("a", usable_order({"prompt": "a", "id": "a"}), PRICE)
        rows(schema.url, "UPDATE longcat_owner SET seen = seen - interval '60 s'")
        schema.server.execute("SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE usename = %s", USER)
        rows(schema.url, "UPDATE longcat_line SET state = 'unknown' WHERE key = 'a'")  # As a worker has found it.
        rows(schema.url, "UPDATE longcat_batch SET unknown = 1")
        ran = resubmit()
        assert (ran.code, ran.objects) == (3, [{"resubmitted": 0, "cost": 0.0}])
        assert "0 orders in doubt are to be sent again\n" in call(gateway, *resubmit.args[1:-1]).out
        assert told(call(gateway, "journal", schema.url, "--json"), *STATES) == (0, 0, 1, 1)
        (left,) = re.findall(r"1 order may still be under way: .* look again in ([0-9]+) seconds\.", ran.err)
        assert 0 < int(left) <= 30
        ran = call(gateway, *batch, "--resubmit-unknown", "--dry-run", "--json")
        assert (ran.objects[0]["in_doubt"], "1 order may still be under way" in ran.err) == (0, True), ran.err
        rows(schema.url, "UPDATE longcat_owner SET seen = seen - interval '31 s'")
        ran = resubmit()
        assert (ran.code, ran.objects, "under way" in ran.err) == (0, [{"resubmitted": 1, "cost": 0.13}], False)
        assert told(call(gateway, "journal", schema.url, "--json"), *STATES) == (0, 0, 0, 2)
        ran = call(gateway, *batch)
        assert (ran.code, gateway.posts) == (0, 2), ran.err


def test_a_sender_that_comes_back_is_heard(place: Place, ask: Call) -> None:
    """What was marked to be sent again is not, when its sender learns that the gateway took it."""
    with opened(place) as journal:
        orders = journal.orders(GATEWAY)
        orders.begin("a", OrderRequest("a", {}), PRICE)
        orders.unknown("a", "no answer")
        assert ask("--resubmit-unknown", "--json").objects == [{"resubmitted": 1, "cost": 0.13}]
        orders.taken("a", "queue-1")
        assert orders.begin("a", OrderRequest("a", {}), PRICE).request_id == "queue-1"
    assert told(ask("--json"), *STATES, "in_doubt") == (0, 0, 0, 1, 0)


def test_requests_that_were_ordered_elsewhere_are_told(place: Place, ask: Call) -> None:
    """A request without an order stands in the export, without a prompt."""
    with opened(place) as journal:
        journal.requests(GATEWAY).claim("cat-1")
    assert told(ask("--json"), *STATES) == (0, 0, 0, 1)
    line: dict[str, Any] = {
        "id": None,
        "prompt": None,
        "request_id": "cat-1",
        "state": "open",
        "files": [],
        "cost": 0.0,
        "error": None,
    }
    assert ask("--export", "-").objects == [line]


def test_the_pictures_of_a_request_are_exported_in_their_order(place: Place, ask: Call) -> None:
    """A request may have one, several, or only later ones, as long as the first could not be saved."""
    numbers = {"one": [1], "three": [2, 1, 3], "later": [3, 2], "none": []}
    with opened(place) as journal:
        requests = journal.requests(GATEWAY)
        for request_id, saved in numbers.items():
            requests.claim(request_id)
            for number in saved:
                requests.record(request_id, number, f"/cats/{request_id}-{number}.png", "0" * 64, 1)
    files = {line["request_id"]: line["files"] for line in ask("--export", "-").objects}
    assert files == {name: [f"{name}-{number}.png" for number in sorted(saved)] for name, saved in numbers.items()}


def test_every_text_is_exported(place: Place, ask: Call, tmp_path: Path) -> None:
    """Quotes, line breaks, halves of surrogate pairs, NUL, and keys that look like others come out as they are."""
    texts = ['"', "\\", "\n", "\0", "\ud800", "ц", "\u2028", "\x10", "\U0001f431"]
    with opened(place) as journal:
        for number, text in enumerate(texts):
            for key, name in ((f"{text}{number}", text), (f"sha256:{number}", None)):
                journal.orders(GATEWAY).begin(key, OrderRequest(text, {}, name), PRICE)
    path = tmp_path / "a.jsonl"
    assert ask("--export", str(path)).code == 0
    lines = [json.loads(line) for line in path.read_bytes().decode("utf-8", "surrogatepass").split("\n")[:-1]]
    assert sorted(line["prompt"] for line in lines) == sorted(texts * 2)
    assert [line["id"] for line in lines if line["id"] != line["prompt"]] == [None] * len(texts)
    assert ask("--export", str(tmp_path / "a.parquet")).code == 0
    assert parquet.read_table(tmp_path / "a.parquet").num_rows == len(lines)


def test_an_export_is_whole_or_not_there(place: Place, ask: Call, tmp_path: Path) -> None:
    """A place that can't be written to is named, and nothing is left behind; no journal is replaced by its export."""
    opened(place).close()
    with opened(tmp_path / "a.db"):
        before = (tmp_path / "a.db").read_bytes()
    (tmp_path / "a.jsonl").hardlink_to(tmp_path / "a.db")
    targets = tmp_path / "none" / "a.jsonl", tmp_path, tmp_path / "none" / "a.parquet", "s3://a/b.jsonl"
    for target in (*targets, tmp_path / "a.db", tmp_path / "a.jsonl"):
        ran = ask("--export", str(target))
        assert (ran.code, ran.out, "Pass another --export." in ran.err) == (2, "", True), ran.err
    assert ask("--export", "").code == 2
    assert (tmp_path / "a.db").read_bytes() == before
    assert not list(tmp_path.glob("*.part"))


def test_an_export_of_an_unknown_ending_is_refused_before_anything_is_done(
    place: Place, ask: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file gets the format that its ending says, in any case; where none is known, the known ones are named."""
    monkeypatch.chdir(tmp_path)
    with opened(place) as journal:
        journal.requests(GATEWAY).note(Status("cat-1", State.PROCESSING, "processing"))
    for target in ("x.csv", "x.json", "x.db", "x.jsonl.gz"):
        ran = ask("--export", target, "--retry", "failed")
        assert (ran.code, ran.out) == (2, "")
        assert "an export is written as .jsonl, .ndjson or .parquet. Pass another --export." in ran.err
        assert not Path(target).exists()
    for target in ("x.JSONL", "x.ndjson", "x", ".jsonl", "x.PARQUET", ".parquet"):
        assert ask("--export", target).code == 0
        assert Path(target).read_bytes().startswith(b"PAR1" if "parquet" in target.lower() else b"{")


def test_a_file_that_is_no_journal_is_named_and_left_alone(ask: Call, tmp_path: Path) -> None:
    """Without a journal, there is nothing to tell: none is made, and the error says what to do."""
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("a cat" * 99)
    with closing(sqlite3.connect(tmp_path / "other")) as db:
        db.execute("CREATE TABLE cats (name)")
    with opened(tmp_path / "newer"), closing(sqlite3.connect(tmp_path / "newer")) as db:
        db.execute("PRAGMA user_version = 99")
    before = sorted(tmp_path.iterdir())
    for name, says in {
        "none": "can't be read: No such file or directory",
        "empty": "is an empty file, no journal",
        "text": "file is not a database",
        "other": "is another program's database, no journal",
        "newer": "is of version 99, and this program knows version",
        "http://cats": "A journal can't be in http://",
    }.items():
        ran = ask("--json", where=name if "://" in name else str(tmp_path / name))
        assert (ran.code, ran.out, says in ran.err) == (2, "", True), ran.err
    assert [path for path in sorted(tmp_path.iterdir()) if "-" not in path.name] == before
    assert ask("--retry", "all", where=tmp_path / "none").code == 2


def test_a_database_without_a_journal_is_named_and_left_alone(
    ask: Call, postgres_server: PostgresServer, bare_schema: Schema
) -> None:
    """No tables are made to be looked into; a wrong password is never shown, nor is the right one."""
    ran = ask(where=bare_schema.url)
    assert (ran.code, ran.out, "There is no journal in " in ran.err) == (2, "", True), ran.err
    assert postgres_server.execute("SELECT count(*) FROM pg_tables WHERE schemaname = %s", bare_schema.name) == [(0,)]
    for url in (
        postgres_server.tcp_url(password="hush-hush"),
        postgres_server.tcp_url(database="nowhere"),
        postgres_server.tcp_url(port=1),
    ):
        ran = ask(where=url)
        assert (ran.code in {2, 3}, ran.out) == (True, "")
        assert "hush" not in ran.err
        assert postgres_server.password not in ran.err
    opened(bare_schema.tcp_url).close()
    for option in ((), ("--json",)):
        assert postgres_server.password not in ask(*option, where=bare_schema.tcp_url).out


def test_batches_and_workers_are_told(gateway_with: Gateways, call: Call, schema: Schema, ask: Call) -> None:
    """Of a database, the batches are told with their lines, and the workers with their last signs of life."""
    write("a", "b")
    gateway = gateway_with()
    assert call(gateway, "batch", "orders", "-o", "out", "--journal", schema.url).code == 0
    batches, workers = told(ask("--json", where=schema.url), "batches", "workers")
    (found,) = batches
    assert {name: found[name] for name in ("gateway", "lines", *STATES, "spent")} == {
        "gateway": gateway.url,
        "lines": 2,
        "done": 2,
        "failed": 0,
        "unknown": 0,
        "open": 0,
        "spent": 0.26,
    }
    (worker,) = workers
    assert (worker["alive"], worker["done"], worker["began"] <= worker["seen"]) == (False, 2, True)
    with opened(schema.url) as journal:
        table = journal.lines(gateway.url)
        batch = table.register("d" * 64, lambda: [(1, OrderRequest("c", {}))], source="lines")
        assert len(table.claim(batch, 9)) == 1
        ran = ask(where=schema.url)
        assert [line for line in ran.out.splitlines() if "last seen" in line] == [
            line for line in ran.out.splitlines() if line.startswith("worker ") and ": at work, last seen " in line
        ]
        assert "\n1 program at work, 1 worker gone\n" in ran.out
        assert re.match(rf"PostgreSQL at \S+, database postgres, schema {schema.name}, user {USER}: 3 orders:", ran.out)
        assert told(ask("--json", where=schema.url), *STATES) == (2, 0, 0, 1)


def test_an_order_of_two_batches_counts_once(schema: Schema, ask: Call) -> None:
    """The same order in two batches is one order and one payment, which failed once; each batch tells its own lines."""
    cat, dog = OrderRequest("cat", {}, "cat"), OrderRequest("dog", {}, "dog")
    with opened(schema.url) as journal:
        table, orders = journal.lines(GATEWAY), journal.orders(GATEWAY)
        first = table.register("1" * 64, lambda: [(1, cat), (2, dog)], source="lines")
        for line in table.claim(first, 9):
            orders.begin(line.key, line.order, PRICE)
            orders.taken(line.key, f"{line.key}-1")
        failed = LineOutcome(2, "failed", PRICE, "dog-1", error="it broke")
        table.end(first, [LineOutcome(1, "done", PRICE, "cat-1", ["a.png"]), failed])
    with opened(schema.url) as journal:
        table = journal.lines(GATEWAY)
        second = table.register("2" * 64, lambda: [(1, cat), (2, dog), (3, OrderRequest("a", {}))], source="lines")
        table.claim(second, 9)
        table.end(second, [failed])
    found = ask("--json", where=schema.url)
    assert told(found, *STATES, "spent") == (1, 1, 0, 1, 0.26)
    batches = told(found, "batches")[0]
    assert [tuple(one[name] for name in ("lines", *STATES)) for one in batches] == [(2, 1, 1, 0, 0), (3, 0, 1, 0, 2)]
    assert ": 3 orders: 1 done, 1 failed, 0 in doubt, 1 open\n" in ask(where=schema.url).out
    assert ask("--retry", "failed", "--json", where=schema.url).objects == [{"retried": 1, "cost": 0.13}]
    assert told(ask("--json", where=schema.url), *STATES, "spent") == (1, 0, 0, 2, 0.26)

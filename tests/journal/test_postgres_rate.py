"""The budget in a real PostgreSQL: what clients share there, and what they do when it can't be reached."""

import json
import math
import os
import re
import threading
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, suppress
from typing import Any, Final

import psycopg
import pytest
from fakes import KEY, completed, processing
from postgres import Schema
from processes import Process, forked
from servers import LIMIT, Connection, Server, response

from longcat import FixedPolling, LongCat
from longcat.clock import monotonic
from longcat.errors import JournalError
from longcat.models import Pause
from longcat.saving.journal.journal import Journal
from longcat.saving.journal.postgres.experience import EXPERIENCE_TABLE
from longcat.saving.journal.postgres.rate_limiter import RATE_TABLE, BudgetExchanger, ClockOffset, hash_of_key
from longcat.saving.journal.postgres.values import from_json
from longcat.waiting.rates.shared_budget import SharedBudget
from longcat.waiting.schedule.adaptive import AdaptivePolling
from longcat.waiting.schedule.knowledge import Knowledge

JSON: Final = "Content-Type: application/json"
NewClient = Callable[..., BudgetExchanger]


@pytest.fixture
def schema(bare_schema: Schema) -> Schema:
    """Return a schema of the test's own: with two tables of a journal, it is of no use to other tests."""
    return bare_schema


@pytest.fixture
def new_client(schema: Schema) -> Generator[NewClient, None, None]:
    """Return what makes clients that share a budget, each with a connection of its own."""
    made: list[BudgetExchanger] = []
    with psycopg.connect(schema.url, autocommit=True) as db:
        db.execute(RATE_TABLE)
        db.execute(EXPERIENCE_TABLE)

    def connect() -> "psycopg.Connection[Any]":
        return psycopg.connect(schema.url, autocommit=True)

    def new(max_rate: float = math.inf, knowledge: dict[str, Knowledge] | None = None) -> BudgetExchanger:
        made.append(
            BudgetExchanger(
                connect,
                "localhost",
                "http://gateway",
                lambda: hash_of_key("key", "salt"),
                max_rate=max_rate,
                knowledge=knowledge or {},
            )
        )
        return made[-1]

    yield new
    for one in made:
        one.close()


def take(client: BudgetExchanger, count: int, seconds: float = LIMIT) -> list[float]:
    """Return the moments at which so many slots of a client came."""
    moments = []
    for _ in range(count):
        for pause in client.limiter.pauses(monotonic, seconds):
            threading.Event().wait(pause)
        moments.append(monotonic())
    return moments


def test_clients_take_turns_at_one_rate(new_client: NewClient) -> None:
    """The slots of two clients that ask at once lie a rate's time apart, whichever client has them."""
    clients, moments = (new_client(100.0), new_client(100.0)), list[float]()
    threads = [threading.Thread(target=lambda one=one: moments.extend(take(one, 20))) for one in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    moments.sort()
    assert len(moments) == 40
    # A slot may be used up to 0.1 s after it has come.
    assert moments[-1] - moments[0] >= 39 / 100.0 - 0.11


def test_a_pause_that_one_client_is_told_of_holds_for_all(new_client: NewClient) -> None:
    """A client that comes later asks when the pause is over, and knows why."""
    told, other = new_client(), new_client()
    take(told, 1)
    now = monotonic()
    told.limiter.on_rate_limited(now, now, Pause(0.5, 0.0, 0.5))
    while not told.limiter.quiet_until:
        threading.Event().wait(0.001)
    assert take(other, 1)[0] >= now + 0.5 - 0.05
    assert other.limiter.pause == Pause(0.5, 0.0, 0.5)


def test_nothing_is_asked_while_the_database_is_away(new_client: NewClient, caplog: pytest.LogCaptureFixture) -> None:
    """A wait whose turn can't be found out waits until its time is up, and the log says why."""
    client = new_client()

    def refuse() -> Any:
        raise psycopg.OperationalError("password=secret")

    client._connect = refuse
    pauses: list[float] = []
    while not caplog.text:  # In a moment, the thread has found out that there is no way.
        pauses.clear()
        now = monotonic()
        for pause in client.limiter.pauses(monotonic, 0.3):
            threading.Event().wait(pause)
            pauses.append(pause)
        assert monotonic() - now >= 0.29
        assert len(pauses) < 50
    assert "nothing is asked until it can. The connection to the journal in localhost was lost" in caplog.text
    assert "make sure that the server runs" in caplog.text
    assert not {"secret", "OperationalError", "psycopg"} & {*re.findall(r"\w+", caplog.text)}


def test_a_database_that_is_away_is_asked_again_less_and_less_often(
    new_client: NewClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pauses double from a tenth of a second to two seconds, and begin anew after an exchange."""
    client, pauses = new_client(), list[float]()

    def wait(pause: float) -> bool:
        pauses.append(pause)
        return len(pauses) < 10

    def exchange() -> None:
        if len(pauses) != 8:
            raise OSError("no route to host")

    monkeypatch.setattr(client, "_wait", wait)
    monkeypatch.setattr(client, "_exchange", exchange)
    client._run()
    assert pauses == pytest.approx([0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 0.0, 0.1])


LASTING: Final = {
    "a right is missing": ("REVOKE ALL ON {}.longcat_rate FROM longcat", "Grant the user the rights"),
    "a table is missing": ("DROP TABLE {}.longcat_rate", "Another program altered it"),
    "a column is missing": ("ALTER TABLE {}.longcat_rate DROP COLUMN state", "Another program altered it"),
}


@pytest.mark.parametrize(("change", "says"), LASTING.values(), ids=LASTING)
def test_an_error_that_will_not_pass_ends_the_waits(
    new_client: NewClient, schema: Schema, change: str, says: str
) -> None:
    """Each wait ends at once, with the next step, and waits go on when the next one has been done."""
    mended = {"REVOKE": "GRANT ALL ON longcat_rate TO longcat"}.get(change.partition(" ")[0])
    client = new_client()
    with psycopg.connect(schema.url, autocommit=True) as db:
        schema.server.execute(change.format(schema.name))
        for _ in range(2):
            with pytest.raises(JournalError, match=says) as caught:
                take(client, 1, 3600.0)
            assert not caught.value.transient
        db.execute(mended or "DROP TABLE IF EXISTS longcat_rate")
        db.execute(RATE_TABLE)
        while True:  # The last error is told until an exchange has been made.
            with suppress(JournalError):
                assert len(take(client, 1)) == 1
                break


def test_who_may_only_read_orders_nothing_and_learns_why_at_once(schema: Schema) -> None:
    """An order alone raises the error; of several, each ends with it."""
    server = schema.server
    reading = server.url(user="may_only_read", options=schema.options)
    with Journal(schema.url, time=time.time) as journal:
        journal.open(LIMIT)
    server.execute(
        "DROP ROLE IF EXISTS may_only_read; CREATE ROLE may_only_read LOGIN;"
        f"GRANT USAGE ON SCHEMA {schema.name} TO may_only_read;"
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema.name} TO may_only_read"
    )
    try:
        with LongCat(KEY, base_url="http://127.0.0.1:9", journal=reading) as cat:
            with pytest.raises(JournalError, match="Grant the user the rights"):
                cat.generate("a cat", timeout=3600)
            outcomes = [*cat.generate_all(["a cat", "a dog"], timeout=3600)]
        assert [type(one.error) for one in outcomes] == [JournalError] * 2
    finally:
        server.execute("DROP OWNED BY may_only_read; DROP ROLE may_only_read")


@pytest.mark.parametrize(
    "state", ["[20.0,0.0,null,1e300]", "[0.0]", "[20.0,1e300]", "[20.0,0.0,null,0.0,0,[1e300]]", "{"]
)
def test_a_row_that_cannot_be_right_is_learnt_anew(
    new_client: NewClient, schema: Schema, caplog: pytest.LogCaptureFixture, state: str
) -> None:
    """Whatever somebody else wrote into the row holds nobody up, and the log says once what was done."""
    with psycopg.connect(schema.url, autocommit=True) as db:
        row = "http://gateway", hash_of_key("key", "salt"), state
        db.execute("INSERT INTO longcat_rate VALUES (%s, %s, %s)", row)
    assert len(take(new_client(20.0), 2)) == 2
    assert [record.message for record in caplog.records] == [
        "What the journal knew of the gateway's rate can't be read. It is learnt anew."
    ]


def test_an_error_that_nobody_expects_is_told_and_does_not_last(
    new_client: NewClient, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that has the exchanges goes on after it, without a traceback."""
    exchange, errors = SharedBudget.exchange, [KeyError("odd"), ZeroDivisionError(), ZeroDivisionError()]

    def fail(*args: Any, **options: Any) -> list[float]:
        if errors:
            raise errors.pop()
        return exchange(*args, **options)

    monkeypatch.setattr(SharedBudget, "exchange", fail)
    moments = take(new_client(20.0), 2)
    assert (len(moments), "nothing is asked until it can" in caplog.text, "Traceback" in caplog.text) == (
        2,
        True,
        False,
    )


def test_a_client_that_ends_bounds_nobody(new_client: NewClient) -> None:
    """Beside one that asks once in 500 s, another goes on as soon as that is closed."""
    slow, quick = new_client(0.002), new_client(20.0)
    take(slow, 1)
    threading.Timer(0.2, slow.close).start()
    began = monotonic()
    take(quick, 3)
    assert monotonic() - began < LIMIT


def test_what_was_learnt_about_durations_is_there_for_the_next_client(new_client: NewClient) -> None:
    """A client leaves what it knows when it ends, and one that begins has it with its first slot."""
    policy, new = AdaptivePolling(), AdaptivePolling()
    first = new_client(knowledge={"queue": policy.knowledge})
    take(first, 1)
    plan = policy.plan()
    plan.next(10.0, None)
    plan.finished(11.0)
    first.close()
    take(new_client(knowledge={"queue": new.knowledge}), 1)
    assert new.knowledge.finished == 1
    assert new.knowledge.log_typical == pytest.approx(policy.knowledge.log_typical)


def test_the_most_exact_comparison_of_two_clocks_is_kept() -> None:
    """One that took long says little, unless the clock was set anew."""
    offset = ClockOffset()
    found = []
    for told, sent, received in ((105.0, 4.9, 5.1), (106.4, 5.5, 6.5), (107.004, 6.999, 7.001), (300.0, 7.9, 8.1)):
        offset.learn(told, sent, received)
        found.append(round(offset.seconds, 3))
    assert found == [100.0, 100.0, 100.004, 292.0]


@pytest.mark.skipif("sys.platform == 'win32'", reason="there is no fork")
def test_a_forked_process_is_a_client_of_its_own(new_client: NewClient, schema: Schema) -> None:
    """Parent and child share the rate as two clients do, each over a connection of its own."""
    client, ours = new_client(20.0), list[float]()
    take(client, 1)
    theirs = forked(lambda: take(client, 5), lambda: ours.extend(take(client, 5)))
    moments = sorted([*ours, *theirs])
    assert moments[-1] - moments[0] >= 9 / 20.0 - 0.11
    with psycopg.connect(schema.url) as db:
        [(state,)] = db.execute("SELECT state FROM longcat_rate").fetchall()
    assert len(from_json(SharedBudget, state).members) == 2


def ask_until_done(parent: Any, url: str, journal: str) -> None:
    """Be one of several programs: ask about three requests, and say that it is done."""
    with LongCat(KEY, base_url=url, journal=journal, max_rate=40.0, polling=FixedPolling(0.05)) as cat:
        cat.wait_all([f"{os.getpid()}-{number}" for number in range(3)], 60)
    parent.send("done")


def programs_of(questions: list[tuple[float, str]]) -> set[str]:
    """Return the programs that questions came from."""
    return {name.partition("-")[0] for _, name in questions}


def test_a_retry_after_quiets_all_programs(schema: Schema) -> None:
    """Three programs ask one gateway with one key. Once all have begun, it refuses everyone, and all are quiet."""
    asked, refused, guard = list[tuple[float, str]](), list[tuple[float, str]](), threading.Lock()

    def serve(connection: Connection) -> None:
        while True:
            request_id = json.loads(connection.read().body)["request_id"]
            with guard:
                asked.append((monotonic(), request_id))
                is_done = len(programs_of(refused)) == 3 and monotonic() > refused[0][0] + 1.0
                refuses = len(programs_of(asked)) == 3 and not is_done
                if refuses:
                    refused.append((monotonic(), request_id))
            if refuses:
                connection.send(response(b"{}", JSON, "Retry-After: 1", status="429 Too Many Requests", keep=True))
            else:
                body = (completed if is_done else processing)(request_id=request_id)
                connection.send(response(json.dumps(body).encode(), JSON, keep=True))

    with Server(*[[serve]] * 20) as gateway, ExitStack() as stack:
        programs = [stack.enter_context(Process(ask_until_done, gateway.url, schema.url)) for _ in range(3)]
        assert [program.receive() for program in programs] == ["done"] * 3
    # However late an answer is read, the pause that it asks for begins no sooner than the gateway sent it.
    too_soon = [name for moment, name in asked for end, other in refused if name == other and end < moment < end + 0.95]
    assert too_soon == []

"""The session of a journal on PostgreSQL: who made the tables, whose a request is, and what a wait does about it."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from threading import Barrier, Event
from typing import Any

import psycopg
import pytest
from fakes import KEY, URL, Cat, Driver
from journals import gone_long_ago, rows, until_gone, until_it_passes
from postgres import LIMIT, USER, PostgresServer, Schema
from processes import Process, run_code
from psycopg.conninfo import conninfo_to_dict
from servers import Server, eventually, read

from longcat import ConfigurationError, Image, JournalError, State, Status
from longcat.gateway.order_fields import usable_order
from longcat.saving.journal.journal import Journal, without_password
from longcat.saving.journal.postgres import connection, database, owners
from longcat.saving.journal.postgres.refusals import refusal_of
from longcat.testing import FakeGateway
from longcat.waiting.order_store import OrderState

ID = "r"
DONE = Status(ID, State.COMPLETED, "COMPLETED", 1.0, Image(ID, "https://a.test/b.png", ("https://a.test/b.png",)))


def journal(url: str) -> Journal:
    """Return a journal that reads this machine's clock."""
    return Journal(url, time=time.time)


def end_all_sessions(server: PostgresServer) -> None:
    """End the sessions of all journals, and wait until they are over."""
    server.execute("SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE usename = %s", USER)


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no thread give signs of life, which would find out first that a session is over."""
    monkeypatch.setattr(database, "SIGN_INTERVAL", 1000.0)


def test_many_programs_that_come_at_once_make_the_tables_once(bare_schema: Schema) -> None:
    """All of them can use the journal, and of their claims on one request, one holds."""
    barrier = Barrier(4)
    with ExitStack() as stack, ThreadPoolExecutor(4) as threads:
        journals = [stack.enter_context(journal(bare_schema.url)) for _ in range(4)]

        def claim(one: Journal) -> bool:
            barrier.wait()
            one.open(60.0)
            return one.requests(URL).claim(ID)

        assert sorted(threads.map(claim, journals)) == [False, False, False, True]


def test_tables_are_not_migrated_while_a_program_uses_them(
    bare_schema: Schema, postgres_server: PostgresServer
) -> None:
    """A newer program finds the lock held that it needs, and gets it when the older one has ended."""
    key = f"hashtextextended('longcat {bare_schema.name}', 0)"
    migrate = f"SELECT pg_try_advisory_xact_lock({key})"
    with journal(bare_schema.url) as one:
        one.open(60.0)
        assert postgres_server.execute(migrate) == [(False,)]
    assert postgres_server.execute(f"SELECT pg_advisory_lock({key})") == [("",)]
    assert postgres_server.execute(f"SELECT pg_advisory_unlock({key})") == [(True,)]


@pytest.mark.usefixtures("quiet")
def test_a_session_that_the_server_ended_is_noticed_without_asking(
    schema: Schema, postgres_server: PostgresServer
) -> None:
    """From then on no request is ours for certain, until it is confirmed; one that another has taken is not."""
    with journal(schema.url) as one, journal(schema.url) as other:
        requests = one.requests(URL)
        assert requests.claim("kept")
        assert requests.claim("taken")
        assert requests.is_ours("kept")
        end_all_sessions(postgres_server)
        assert not requests.is_ours("kept")
        assert other.requests(URL).claim("taken")  # It connects only now.
        with pytest.raises(JournalError) as caught:
            requests.confirm("kept")
        assert caught.value.locked
        assert requests.confirm("kept")
        assert requests.is_ours("kept")
        assert not requests.confirm("taken")
        assert not requests.is_ours("taken")
        requests.release("kept")
        assert other.requests(URL).claim("kept")


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("is_taken", [False, True])
def test_a_wait_asks_about_no_request_that_another_program_has_taken_over(
    driver: Driver, schema: Schema, postgres_server: PostgresServer, *, is_taken: bool
) -> None:
    """After its session was lost, it returns what the other one finds out; else it goes on where it was."""
    gateway = FakeGateway().request(ID, 100.0)

    async def scenario(cat: Cat) -> list[State]:
        seen = []
        async for status in cat.watch(ID):
            seen.append(status.state)
            if len(seen) == 1:
                with journal(schema.url) as other:
                    assert eventually(lambda: other.requests(URL).last(ID) is not None)
                end_all_sessions(postgres_server)
                gateway.questions.clear()
                if is_taken:
                    with journal(schema.url) as other:
                        assert other.requests(URL).claim(ID)
                        other.requests(URL).note(DONE)
        return seen

    seen = driver.run(scenario, gateway, journal=schema.url)
    assert seen[-1] is State.COMPLETED
    assert (len(gateway.questions) == 0) is is_taken


PRICE = Decimal("0.13")
ORDER = usable_order({"prompt": "a cat", "id": "my cat"})
STOPPED = """
import os, signal
from longcat import LongCat
from longcat.saving.journal.order_table import OrderTable

def check(self, key, check=OrderTable.check):
    calls.append(key)
    if len(calls) == 1:
        with self._database.using() as db:
            db.execute("SET idle_session_timeout = '100ms'")
    if len(calls) == 2:  # It has connected, and the first byte comes next.
        os.kill(os.getpid(), signal.SIGSTOP)
    check(self, key)

calls = []
OrderTable.check = check
with LongCat(KEY, url, journal=journal) as cat:
    say(cat.submit("a cat", id="my cat").request_id)
"""


def test_a_program_that_stood_still_sends_no_order_that_another_may_have_sent(schema: Schema) -> None:
    """Stopped right before the first byte for longer than its session lives, it asks the journal once more."""
    with Server([read]) as server, journal(schema.url) as other:
        orders = other.orders(server.url)
        with Process(run_code, STOPPED, {"url": server.url, "journal": schema.url, "KEY": KEY}) as stopped:
            assert eventually(lambda: bool(server.connections))
            until_gone(schema.url)
            assert orders.begin("my cat", ORDER, PRICE, resubmit_unknown=True).state is OrderState.INTENDED
            orders.taken("my cat", "theirs")
            os.kill(stopped.pid, signal.SIGCONT)
            assert stopped.finish() == ["theirs"]
        assert orders.spent() == 2 * PRICE
    assert server.requests == []


@pytest.mark.usefixtures("quiet")
def test_an_order_is_not_sent_when_the_last_sign_of_life_is_too_old(
    schema: Schema, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing has come from the server, which may be cut off: the order is begun anew first."""
    clock = database.CLOCK
    with journal(schema.url) as one:
        orders = one.orders(URL)
        for age, is_sent in ((owners.CERTAIN_FOR - 5.0, True), (owners.CERTAIN_FOR + 1.0, False)):
            assert orders.begin(f"{age}", ORDER, Decimal(1)).state is OrderState.INTENDED
            with monkeypatch.context() as patch:
                patch.setattr(database, "CLOCK", lambda age=age: clock() + age)
                if is_sent:
                    orders.check(f"{age}")
                    continue
                with pytest.raises(JournalError, match="was not sent"):
                    orders.check(f"{age}")
            assert orders.begin(f"{age}", ORDER, Decimal(1)).state is OrderState.BUSY  # Who sends it withdraws it.
            orders.withdraw(f"{age}")
            assert orders.begin(f"{age}", ORDER, Decimal(1)).state is OrderState.INTENDED
            orders.check(f"{age}")


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    ("gone", "stands", "stands_again"),
    [
        ("just now", OrderState.BUSY, OrderState.BUSY),
        ("some seconds ago", OrderState.UNKNOWN, OrderState.BUSY),
        ("long ago", OrderState.UNKNOWN, OrderState.INTENDED),
    ],
)
def test_what_a_program_was_sending_that_may_come_back_is_its_own(  # noqa: PLR0913, PLR0917 - a table.
    schema: Schema,
    postgres_server: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
    gone: str,
    stands: OrderState,
    stands_again: OrderState,
) -> None:
    """It is in doubt some seconds after the last sign of life, and may be sent again once none can be under way."""
    with journal(schema.url) as one, journal(schema.url) as other:
        orders, there = one.orders(URL), other.orders(URL)
        orders.begin("a", ORDER, Decimal(1))
        end_all_sessions(postgres_server)
        other.open(LIMIT)
        if gone != "just now":
            monkeypatch.setattr(database, "RECONNECTING_FOR", 0.0)
        if gone == "long ago":
            gone_long_ago(schema.url)
        known = there.known("a")
        assert known is not None
        assert (known.state, there.begin("a", ORDER, Decimal(1)).state) == (stands, stands)
        assert len(there.in_doubt()) == (1 if stands is OrderState.UNKNOWN else 0)
        assert there.begin("a", ORDER, Decimal(1), resubmit_unknown=True).state is stands_again
        if stands_again is OrderState.BUSY:
            until_it_passes(lambda: orders.taken("a", "ours"))
            assert there.begin("a", ORDER, Decimal(1), resubmit_unknown=True).request_id == "ours"
            assert there.spent() == 1


def test_who_closes_a_journal_is_gone_for_certain(schema: Schema) -> None:
    """What it left under way is in doubt at once, and may be sent again."""
    with journal(schema.url) as one:
        one.orders(URL).begin("a", ORDER, Decimal(1))
    with journal(schema.url) as other:
        assert other.orders(URL).begin("a", ORDER, Decimal(1)).state is OrderState.UNKNOWN
        again = other.orders(URL).begin("a", ORDER, Decimal(1), resubmit_unknown=True)
        assert again.state is OrderState.INTENDED


@pytest.mark.parametrize(
    "place",
    [
        " postgresql://me:secret@db/cats",
        "postgresql:/me:secret@db/cats",
        "Postgres:me:secret@db/cats",
        "postgresql//me:secret@db/cats",
        "postgresql+psycopg:/me:secret@db/cats",
        "//me:secret@db/cats",
        "me:secret@db/cats",
        "jdbc:postgresql://db/cats?user=me&password=secret",
        "\nmysql://me:secret@db/cats",
        "host=db password=secret dbname=cats",
        "password = 'secret' host=db",
        Path("postgresql://me:secret@db/cats"),
    ],
)
def test_what_is_nearly_an_address_is_no_file(
    place: str | Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake in it neither makes a file whose name has the password, nor tells it."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="Write it as a text like postgresql://") as caught:
        Journal(place, time=time.time)
    assert "secret" not in str(caught.value)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("place", "shown"),
    [
        ("cats.db", "cats.db"),
        ("postgresql://", "postgresql://"),
        ("postgresql://me:secret@db:5433/cats", "postgresql://me@db:5433/cats"),
        ("postgres://me:sec%40ret@[::1]/cats?sslmode=require", "postgres://me@[::1]/cats?sslmode=require"),
        ("postgresql://me@/cats?password=secret&host=/run/pg", "postgresql://me@/cats?host=/run/pg"),
        ("postgresql://db/cats?pass%77ord=secret&sslpassword=secret", "postgresql://db/cats"),
    ],
)
def test_a_place_is_shown_without_its_passwords(place: str, shown: str) -> None:
    """What is left names the same journal, for whom the environment tells the password."""
    assert without_password(place) == shown


def test_a_session_gives_signs_of_life_by_itself(schema: Schema, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server hears from a program that does something else."""
    given = Event()
    monkeypatch.setattr(database, "SIGN_INTERVAL", 0.0)
    monkeypatch.setattr(database.PostgresDatabase, "give_sign_of_life", lambda _: given.set())
    with journal(schema.url) as one:
        one.requests(URL).last(ID)
        assert given.wait(LIMIT)


def test_an_owner_is_forgotten_a_day_after_its_last_sign_of_life(schema: Schema) -> None:
    """The next program that connects forgets it, and is an owner itself from then on."""
    with journal(schema.url) as one:
        one.requests(URL).last(ID)
    rows(
        schema.url,
        "INSERT INTO longcat_owner (token, seen) VALUES ('a', clock_timestamp() - interval '25 hours'),"
        " ('b', clock_timestamp() - interval '23 hours')",
    )
    with journal(schema.url) as one:
        one.requests(URL).last(ID)
        tokens = {row["token"] for row in rows(schema.url, "SELECT token FROM longcat_owner")}
    assert ("a" in tokens, "b" in tokens, len(tokens)) == (False, True, 2)


@pytest.mark.parametrize(
    ("url", "environment", "timeout", "session"),
    [
        ("postgresql://db.test/cats", {}, "10", None),
        ("postgresql://db.test/cats?connect_timeout=3", {}, "3", None),
        ("postgresql://db.test/cats", {"PGCONNECT_TIMEOUT": "4"}, None, None),
        ("postgresql://one.test,two.test/cats", {}, "10", "read-write"),
        ("postgresql://one.test,two.test/cats?target_session_attrs=primary", {}, "10", "primary"),
        ("postgresql://one.test,two.test/cats", {"PGTARGETSESSIONATTRS": "primary"}, "10", None),
    ],
)
def test_what_the_user_says_goes_before_what_is_usual(
    url: str, environment: dict[str, str], timeout: str | None, session: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection is tried for ten seconds, and of several servers the one that can be written to is looked for."""
    told: list[dict[str, Any]] = []

    def refused(conninfo: str, **_: Any) -> None:
        told.append(conninfo_to_dict(conninfo))
        raise psycopg.OperationalError("connection failed: no route to host")

    for name in ("PGCONNECT_TIMEOUT", "PGTARGETSESSIONATTRS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(connection.BoundedConnection, "connect", refused)
    with pytest.raises(JournalError):
        connection.connect(connection.JournalUrl.of(url), was_connected=False)
    assert [(one.get("connect_timeout"), one.get("target_session_attrs")) for one in told] == [(timeout, session)]


@pytest.mark.parametrize(
    ("said", "passes", "passes_soon"),
    [
        ('password authentication failed for user "longcat"', False, False),
        ('database "jobs" does not exist', False, False),
        ("server closed the connection unexpectedly", True, True),
        ("sorry, too many clients already", True, True),
        ("the database system is starting up", True, True),
        ('could not translate host name "db.example" to address: Name or service not known', True, False),
        ("server does not support SSL, but SSL was required", False, False),
        ("something else", False, False),
    ],
)
def test_a_refusal_says_whether_it_may_pass(said: str, passes: bool, passes_soon: bool) -> None:
    """A wrong password does not pass by itself; a server that is missing may come back, one that starts does soon."""
    refusal = refusal_of(said)
    assert (refusal.passes, refusal.passes_soon) == (passes, passes_soon)

"""The session of a journal on PostgreSQL: who made the tables, whose a request is, and what a wait does about it."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Barrier

import pytest
from fakes import URL, Cat, Driver
from postgres import USER, PostgresServer, Schema

from longcat import Image, JournalError, State, Status
from longcat.saving.journal.journal import Journal, without_password
from longcat.saving.journal.postgres import database
from longcat.testing import FakeGateway

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
    monkeypatch.setattr(database, "INTERVAL", 1000.0)


def test_many_programs_that_come_at_once_make_the_tables_once(schema: Schema) -> None:
    """All of them can use the journal, and of their claims on one request, one holds."""
    barrier = Barrier(4)
    with ExitStack() as stack, ThreadPoolExecutor(4) as threads:
        journals = [stack.enter_context(journal(schema.url)) for _ in range(4)]

        def claim(one: Journal) -> bool:
            barrier.wait()
            one.open(60.0)
            return one.requests(URL).claim(ID)

        assert sorted(threads.map(claim, journals)) == [False, False, False, True]


def test_tables_are_not_migrated_while_a_program_uses_them(schema: Schema, postgres_server: PostgresServer) -> None:
    """A newer program finds the lock held that it needs, and gets it when the older one has ended."""
    key = f"hashtextextended('longcat {schema.name}', 0)"
    migrate = f"SELECT pg_try_advisory_xact_lock({key})"
    with journal(schema.url) as one:
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

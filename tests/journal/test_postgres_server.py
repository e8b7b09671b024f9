"""The PostgreSQL that the tests have of their own: it starts anywhere, holds what was committed, and always ends."""

from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import psycopg
import pytest
from postgres import LIMIT, PostgresServer, Schema
from postgres_proxy import Pooler, Proxy


def test_what_was_committed_survives_a_crash_and_what_was_not_durable_does_not(
    postgres_server: PostgresServer, bare_schema: Schema
) -> None:
    """The server that stops at once keeps every transaction that was to be durable, and loses the others' last."""
    with psycopg.connect(bare_schema.tcp_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE word (word text)")
        connection.execute("INSERT INTO word VALUES ('durable')")
        connection.execute("SET synchronous_commit = off")
        connection.execute("INSERT INTO word VALUES ('lazy')")
        postgres_server.restart()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    with psycopg.connect(bare_schema.url) as connection:
        assert connection.execute("SELECT word FROM word").fetchall() == [("durable",)]


def numbers(connection: psycopg.Connection[tuple[int]]) -> list[int]:
    """Return the numbers in the table `number`."""
    return [number for (number,) in connection.execute("SELECT number FROM number ORDER BY number")]


@pytest.mark.parametrize(("when", "left"), [("before", [1]), ("after", [1, 2])])
def test_the_proxy_cuts_a_connection_before_or_after_the_server_obeyed(
    postgres_server: PostgresServer, bare_schema: Schema, when: Literal["before", "after"], left: list[int]
) -> None:
    """The statement whose connection is cut has either not reached the server, or it was done and nobody knows."""
    with psycopg.connect(bare_schema.url, autocommit=True) as direct, Proxy(postgres_server.port) as proxy:
        direct.execute("CREATE TABLE number (number int)")
        url = bare_schema.through(proxy.port)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("INSERT INTO number VALUES (1)")
            proxy.cut(1, when)
            with pytest.raises(psycopg.OperationalError):
                connection.execute("INSERT INTO number VALUES (2)")
        assert proxy.has_cut
        assert numbers(direct) == left
        with psycopg.connect(url, autocommit=True) as connection:
            assert numbers(connection) == left


def test_the_proxy_can_go_silent(postgres_server: PostgresServer, bare_schema: Schema) -> None:
    """While the proxy is silent, nothing arrives and nothing is closed; what came meanwhile arrives when it resumes."""
    with (
        Proxy(postgres_server.port) as proxy,
        psycopg.connect(bare_schema.through(proxy.port), autocommit=True) as connection,
        ThreadPoolExecutor(1) as threads,
    ):
        proxy.go_silent()
        answer = threads.submit(lambda: connection.execute("SELECT 7").fetchone())
        with pytest.raises(TimeoutError):
            answer.result(0.05)
        proxy.resume()
        assert answer.result(LIMIT) == (7,)
        proxy.is_refusing = True
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(bare_schema.through(proxy.port))


@pytest.mark.parametrize("forwards_key", [False, True])
def test_the_pooler_gives_every_transaction_a_connection(
    postgres_server: PostgresServer, bare_schema: Schema, *, forwards_key: bool
) -> None:
    """A client of the pooler has the same backend within a transaction, and another one in the next."""
    with (
        Pooler(postgres_server.socket, forwards_key=forwards_key) as pooler,
        psycopg.connect(bare_schema.through(pooler.port), autocommit=True, prepare_threshold=None) as connection,
    ):
        with connection.transaction():
            first, second = (connection.execute("SELECT pg_backend_pid()").fetchone() for _ in range(2))
        pids = {connection.execute("SELECT pg_backend_pid()").fetchone() for _ in range(4)}
        assert first == second
        assert len(pids) == 2
        assert ((connection.info.backend_pid,) in pids) == forwards_key

"""The PostgreSQL that the tests have of their own: it starts anywhere, holds what was committed, and always ends."""

import psycopg
import pytest
from postgres import PostgresServer, Schema


def test_what_was_committed_survives_a_crash_and_what_was_not_durable_does_not(
    postgres_server: PostgresServer, schema: Schema
) -> None:
    """The server that stops at once keeps every transaction that was to be durable, and loses the others' last."""
    with psycopg.connect(schema.tcp_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE word (word text)")
        connection.execute("INSERT INTO word VALUES ('durable')")
        connection.execute("SET synchronous_commit = off")
        connection.execute("INSERT INTO word VALUES ('lazy')")
        postgres_server.restart()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    with psycopg.connect(schema.url) as connection:
        assert connection.execute("SELECT word FROM word").fetchall() == [("durable",)]

"""Where the journals of tests are: in a file or in PostgreSQL, for tests that hold for both kinds."""

import re
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final, LiteralString, TypeAlias

import psycopg
import pytest
from postgres import LIMIT, PostgresServer
from psycopg.rows import dict_row

from longcat import JournalError

Place: TypeAlias = Path | str
"""What a client is given as its journal: a path, or the URL of a database."""

KINDS: Final = ("sqlite", "postgres")
"""The kinds of journals."""
TABLE: Final = re.compile(r"\b(FROM|INTO|UPDATE) (?=request|picture|orders)")


def new_place(request: pytest.FixtureRequest, folder: Path) -> Place:
    """Return a place for a journal of the kind that is the fixture's parameter: a new one, with nothing in it."""
    if request.param == "sqlite":
        return folder / "a.journal"
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.schema().url


def until_gone(place: Place) -> None:
    """Wait until the database knows that nobody alive has a request or an order, and let that be so for long.

    A file knows it at once.
    """
    end = time.monotonic() + LIMIT
    for table in ("request", "orders") if isinstance(place, str) else ():
        sql = f"SELECT 1 FROM {table} WHERE owner IN (TABLE longcat_living) AND state IS DISTINCT FROM 'taken'"  # noqa: S608
        while rows(place, sql) and time.monotonic() < end:
            time.sleep(0.002)
    gone_long_ago(place)


def until_it_passes(use: Callable[[], Any]) -> Any:
    """Return what a use of a journal returns as soon as the trouble is over that was said to pass."""
    end = time.monotonic() + LIMIT
    while True:
        try:
            return use()
        except JournalError as error:
            if not error.locked or time.monotonic() > end:
                raise
        time.sleep(0.001)


def gone_long_ago(place: Place) -> None:
    """Let who is gone be so for long: nothing that they were sending can be under way any more."""
    if isinstance(place, str):
        rows(place, "DELETE FROM longcat_owner WHERE token NOT IN (TABLE longcat_living)")


def rows(place: Place, sql: str = "SELECT * FROM request", *values: object) -> list[dict[str, Any]]:
    """Return what another program sees in a journal, or does to it. `?` stands for a value."""
    if isinstance(place, Path):
        with closing(sqlite3.connect(place, isolation_level=None)) as db:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute(sql, values)]
    statement: LiteralString = TABLE.sub(r"\1 longcat_", sql).replace("?", "%s")
    with psycopg.connect(place, autocommit=True, row_factory=dict_row) as connection:
        cursor = connection.execute(statement, values or None)
        return cursor.fetchall() if cursor.description else []

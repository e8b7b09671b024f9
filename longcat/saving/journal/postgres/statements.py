"""The statements of the tables in the dialect of PostgreSQL, and texts that it can't hold."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from longcat.waiting.order_store import AGAIN

if TYPE_CHECKING:
    from longcat.saving.journal.postgres.connection import BoundedConnection

TABLE: Final = re.compile(r"\b(FROM|INTO|UPDATE|JOIN) (request|picture|orders)\b")
ESCAPE: Final = "\x10"
UNSTORABLE: Final = re.compile(f"[\0{ESCAPE}\ud800-\udfff]")
"""NUL, halves of surrogate pairs, and what begins an escape."""
ESCAPED: Final = re.compile(f"{ESCAPE}([0-9a-f]{{4}})")

LONGEST_KEY: Final = 1500
"""Bytes. A row of an index, in which the gateway's URL stands as well, has 2,700 at most."""
MAX_KEY_BYTES: Final = 400
"""How many bytes of a longer key are kept."""


@cache
def translate(sql: str) -> str:
    """Return a statement for PostgreSQL: our names of tables, and the driver's placeholders."""
    return TABLE.sub(r"\1 longcat_\2 AS \2", sql).replace("%", "%%").replace("?", "%s")


def to_stored(value: Any) -> Any:
    """Return a value as PostgreSQL can hold it: `from_stored` undoes the escapes of what it can't hold."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "surrogatepass")
    if isinstance(value, str):
        return UNSTORABLE.sub(lambda found: f"{ESCAPE}{ord(found[0]):04x}", value)
    return [to_stored(one) for one in value] if isinstance(value, list) else value


def to_key(key: str) -> str:
    """Return the key of an order as an index can hold it: of a long one, the beginning and the SHA-256 of all.

    What numbers a repeated order stays as it is.
    """
    name, again, number = key.partition(AGAIN)
    stored = name.encode("utf-8", "surrogatepass")
    if len(stored) <= LONGEST_KEY:
        return key
    return f"{stored[:MAX_KEY_BYTES].decode('utf-8', 'ignore')}...sha256:{sha256(stored).hexdigest()}{again}{number}"


def from_stored(value: Any) -> Any:
    """Return a value as it was before `to_stored`."""
    if isinstance(value, str):
        return ESCAPED.sub(lambda found: chr(int(found[1], 16)), value) if ESCAPE in value else value
    return [from_stored(one) for one in value] if isinstance(value, list) else value


@frozen
class PostgresRows:
    """The result of a statement: `Rows`."""

    cursor: Any

    @property
    def rowcount(self) -> int:
        """The number of rows that it changed."""
        return int(self.cursor.rowcount)

    def fetchone(self) -> Any:
        """Return the next row. None: there is none."""
        row = self.cursor.fetchone()
        return row and tuple(map(from_stored, row))

    def fetchall(self) -> list[Any]:
        """Return the rows that are left."""
        return list(self)

    def __iter__(self) -> Iterator[Any]:
        """Yield the rows."""
        for row in self.cursor:  # There may be millions.
            yield tuple(
                [
                    from_stored(one) if isinstance(one, list) or (isinstance(one, str) and ESCAPE in one) else one
                    for one in row
                ]
            )


@frozen
class CopiedRows:
    """Takes the rows of a COPY."""

    copy: Any

    def write_row(self, row: Sequence[Any]) -> None:
        """Write one row."""
        self.copy.write_row([to_stored(value) for value in row])


@frozen
class PostgresStatements:
    """Executes statements on a connection: `Statements`."""

    connection: "BoundedConnection"

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> PostgresRows:
        """Execute a statement. A `?` stands for a value."""
        stored = [to_stored(value) for value in values]
        return PostgresRows(self.connection.execute(translate(sql), stored))

    def executemany(self, sql: str, rows: Sequence[Sequence[Any]], /) -> None:
        """Execute a statement with each of these rows of values, in one transaction: a round trip for many of them."""
        with self.connection.cursor() as cursor:
            cursor.executemany(translate(sql), [[to_stored(value) for value in row] for row in rows])

    @contextmanager
    def copy(self, sql: str) -> Iterator[CopiedRows]:
        """Yield what takes rows, for a COPY FROM STDIN."""
        with self.connection.cursor() as cursor, cursor.copy(sql) as copy:
            yield CopiedRows(copy)

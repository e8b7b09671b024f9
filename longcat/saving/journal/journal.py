"""Keeps what was ordered, asked, answered and saved in a database that outlives the process: SQLite or PostgreSQL.

Several processes may share it; see `sqlite.owners` and `postgres.database` beside this module for who works on what.
Every change is a transaction, and survives the end of the process. A power cut may lose the last seconds of what was
asked and saved, but nothing about orders, and leaves a journal that can be read. The key is never in it. A file should
be on a local disk: SQLite's write-ahead log needs memory that the processes share.
"""

import re
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from os import PathLike, fsdecode
from time import sleep
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, TypeVar
from urllib.parse import unquote

from longcat.clock import monotonic
from longcat.errors import ConfigurationError, JournalError
from longcat.saving.journal.background import WRITE_PAUSE
from longcat.saving.journal.contents import JournalContents
from longcat.saving.journal.database import GRACE_FOR_WRITES, Database, IfMissing
from longcat.saving.journal.order_table import OrderTable
from longcat.saving.journal.request_table import RequestTable
from longcat.saving.journal.sqlite.database import SqliteDatabase, check_there
from longcat.text import missing_package, shorten
from longcat.waiting.rates.rate_limit import RateLimiter
from longcat.waiting.schedule.knowledge import Knowledge

if TYPE_CHECKING:
    from longcat.saving.journal.postgres.batches.line_table import LineTable

T = TypeVar("T")

SCHEME: Final = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
NEARLY: Final = re.compile(
    r"\s*(jdbc\s*:|postgres(ql)?(\+\w+)?\s*(:|//))"
    r"|\s+[a-z][a-z0-9+.-]+://"
    r"|[a-z0-9+.:-]*/{0,3}[^/@\s]*:[^/@]+@"
    r"|(.*\s)?(host|hostaddr|dbname|service|password)\s*=",
    re.IGNORECASE | re.DOTALL,
)
"""Matches an address of a database that would be taken for a file, with the password in its name."""
SOON: Final = 0.01
"""Seconds between two looks whether orders are still being sent."""
POSTGRES: Final = frozenset({"postgresql", "postgres"})


def open_database(place: str | PathLike[str], time: Callable[[], float], *, if_missing: IfMissing = "make") -> Database:
    """Return the database of a journal: that of a file, or PostgreSQL where the place is its URL."""
    found = SCHEME.match(place) if isinstance(place, str) else None
    if found is None:
        if NEARLY.match(fsdecode(place)):
            raise ConfigurationError(
                "The place of the journal looks like the address of a database, and is none. Write it as a text like"
                " postgresql://USER@HOST:PORT/DATABASE; or begin the path of a file with ./ or /."
            )
        if if_missing != "make":
            check_there(place)
        return SqliteDatabase(place, time)
    scheme = found[1].lower()
    if scheme not in POSTGRES:
        raise ConfigurationError(
            f"A journal can't be in {shorten(scheme)}://... Pass the path of a file, or postgresql://USER@HOST/DATABASE."
        )
    if find_spec("psycopg") is None:
        raise ConfigurationError(missing_package("A journal on PostgreSQL", "psycopg", "postgres"))
    try:
        from longcat.saving.journal.postgres.database import PostgresDatabase  # noqa: PLC0415 - few use it.
    except ImportError as error:  # psycopg alone, without libpq.
        raise ConfigurationError(missing_package("A journal on PostgreSQL", "psycopg_binary", "postgres")) from error

    return PostgresDatabase(str(place), time, if_missing=if_missing)


class Journal:
    """A journal. One may serve several gateways, each named by its base URL. A context manager; or call `close`.

    Threads and tasks may share it, and so may a forked process, which has a share of its own. On POSIX, a process that
    opens and closes its own owner's file, to copy it perhaps, thereby drops the lock on it.

    Args:
        path: the file, or the URL of a database, `postgresql://...`. It is made when there is none, and never
            replaced; one of an older version is brought to the present one, unless a program that uses that version
            is running.
        time: returns the seconds since the epoch.
        if_missing: what to do when there is none. A file can't be pretended.

    Raises JournalError when the file is no journal, or one of a newer version, or damaged, or can't be made or written.
    One that another program has locked is opened when it is first used.
    """

    def __init__(self, path: str | PathLike[str], *, time: Callable[[], float], if_missing: IfMissing = "make") -> None:
        self._database = open_database(path, time, if_missing=if_missing)
        self._requests: dict[tuple[str, str], RequestTable] = {}
        self._orders: dict[tuple[str, str], OrderTable] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def name(self) -> str:
        """Its name in messages: its file, or what tells its database from others, without a password."""
        return self._database.name

    def open(self, seconds: float) -> None:
        """Open it, and wait so many seconds while it is locked or can't be reached for now. Raises JournalError."""
        wait_while_locked(self._database.open, seconds)

    def flush(self) -> None:
        """Wait until what was to be written later is written, for a second at most."""
        self._database.writer.flush(GRACE_FOR_WRITES)

    def settle(self) -> None:
        """Wait until it is noted what came of the orders that are being sent, for a second at most."""
        end = monotonic() + GRACE_FOR_WRITES
        owner = self._database.token
        ours = [table for (token, _), table in self._orders.items() if token == owner]
        while any(table.is_sending for table in ours) and monotonic() < end:
            sleep(SOON)

    def close(self) -> None:
        """Give all rows back and close it. A second call does nothing."""
        self._database.close()

    def requests(self, gateway: str) -> RequestTable:
        """Return the requests of a gateway."""
        # One for each gateway, as it counts the claims, and in each process.
        owner = self._database.token
        return self._requests.setdefault((owner, gateway), RequestTable(self._database, gateway, owner))

    def orders(self, gateway: str) -> OrderTable:
        """Return the orders of a gateway."""
        # One for each gateway, likewise, as it knows which are being sent.
        owner = self._database.token
        return self._orders.setdefault((owner, gateway), OrderTable(self._database, gateway, owner))

    def lines(self, gateway: str) -> "LineTable":
        """Return the lines of the batches of a gateway. Raises ConfigurationError: only PostgreSQL keeps them."""
        from longcat.saving.journal.postgres.batches.line_table import LineTable  # noqa: PLC0415 - few have such a journal.

        if not self._database.is_remote:
            raise ConfigurationError(f"The journal {self._database.name} is a file. Name one on PostgreSQL.")
        return LineTable(self._database, gateway, self._database.token)

    def contents(self) -> JournalContents:
        """Return all that stands in the journal, of all gateways."""
        if not self._database.is_remote:
            return JournalContents(self._database)
        from longcat.saving.journal.postgres.batches.batch_table import BatchTable  # noqa: PLC0415 - likewise.

        return JournalContents(self._database, BatchTable(self._database))

    def rate_limiter(self, gateway: str, key: str, max_rate: float, knowledge: Mapping[str, Knowledge]) -> RateLimiter:
        """Return when a client may ask. A database that many machines use keeps one budget for all of its clients.

        Args:
            gateway: the gateway's base URL.
            key: the key that pays. The journal keeps no more than a hash of it.
            max_rate: the client's bound, in questions per second. It may be infinite.
            knowledge: what the client's waits have learnt about durations, by the names of their policies. It is shared
                as well.
        """
        return self._database.rate_limiter(gateway, key, max_rate, knowledge)


def wait_while_locked(function: Callable[[], T], seconds: float) -> T:
    """Call a function, again for so many seconds while a journal is locked or lost, and return its result.

    Raises JournalError when it is for longer, or when waiting does not help.
    """
    end = monotonic() + seconds
    while True:
        try:
            return function()
        except JournalError as error:
            if not error.locked or monotonic() >= end:
                raise
        sleep(WRITE_PAUSE)


def without_password(place: str) -> str:
    """Return a journal's place as others may see it: a file as it is, the URL of a database without its passwords."""
    if SCHEME.match(place) is None:
        return place
    address, mark, query = re.sub("^([^:]+://[^:@/?]*):[^@]*@", r"\1@", place).partition("?")
    parts = [part for part in query.split("&") if "password" not in unquote(part.partition("=")[0]).lower()]
    return f"{address}{mark if parts != [''] and parts else ''}{'&'.join(parts)}"

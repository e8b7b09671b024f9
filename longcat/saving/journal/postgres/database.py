"""A journal on PostgreSQL. All threads share one session, which owns rows, and which reconnects when it was lost."""

import math
import select
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from functools import partial
from typing import Any, Final
from weakref import ref

import psycopg

from longcat.clock import monotonic
from longcat.errors import JournalError
from longcat.saving.journal.database import GRACE_FOR_WRITES, Database, IfMissing, Statements
from longcat.saving.journal.postgres import schema
from longcat.saving.journal.postgres.connection import (
    ALTERED_IT,
    BoundedConnection,
    JournalUrl,
    abandon,
    check_backend,
    connect,
    explained,
    lost_error,
    pooler_error,
)
from longcat.saving.journal.postgres.owners import (
    CERTAIN_FOR,
    END_FORMER,
    FORGET_OLD_OWNERS,
    FORGET_OWNER,
    GIVE_SIGN_OF_LIFE,
    IS_ALIVE,
    IS_RECONNECTING,
    MAY_HAVE_ORDERS_UNDER_WAY,
    RECONNECTING_FOR,
    SIGN_INTERVAL,
    TAKE_LOCK,
)
from longcat.saving.journal.postgres.rate_limiter import BudgetExchanger, hash_of_key
from longcat.saving.journal.postgres.statements import PostgresRows, PostgresStatements, to_key, to_stored, translate
from longcat.waiting.rates.rate_limit import RateLimiter
from longcat.waiting.schedule.knowledge import Knowledge

CHUNKS: Final = 17_00_00
"""The first version of libpq that hands several rows over at a time."""
FETCHED: Final = 1000 if psycopg.pq.version() >= CHUNKS else 1
"""How many rows of a cursor libpq hands over at a time."""
CURSOR_SETTINGS: Final = "SET LOCAL tcp_user_timeout = 0; SET LOCAL work_mem = '64MB'"
"""Prepares a transaction for a cursor, which reads whole tables, and whose reader may pause."""
RETRY_AFTER: Final = 0.5
"""Seconds until a session that was lost tries again to reconnect."""
CLOCK: Final[Callable[[], float]] = (
    partial(time.clock_gettime, time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else monotonic
)
"""Returns seconds that pass while the machine is suspended as well, where the system can tell."""
BACKEND_PID: Final = "SELECT pg_backend_pid()"
BEGIN_DURABLE: Final = "BEGIN; SET LOCAL synchronous_commit = on"
DISOWN: Final = "UPDATE longcat_request SET owner = NULL WHERE owner = %s"


class PostgresDatabase(Database):
    """A journal on PostgreSQL, and an owner of rows in it.

    The owner is alive as long as its session holds the advisory lock of its token. The server ends a session that gives
    no sign of life for 30 seconds.

    While the connection is lost, every method raises JournalError that says `locked`: at once in all threads but the
    one that tries to reconnect. Once reconnected, the token owns the rows that no other owner has taken meanwhile.

    Args:
        url: the URL of the database.
        time: returns the seconds since the epoch.
        if_missing: what to do when there are no tables.

    Raises ConfigurationError when the URL can't be read. The first use connects to the server.
    """

    restore = ALTERED_IT
    is_remote = True
    patience = 5.0  # A statement may get no answer for 30 seconds, until the connection counts as lost.

    def __init__(self, url: str, time: Callable[[], float], *, if_missing: IfMissing = "make") -> None:
        self._if_missing = if_missing
        self._address = JournalUrl.of(url)
        self._exchangers: list[BudgetExchanger] = []
        self._was_reached = False  # Whether the server has ever answered. If so, it exists, and will be back.
        self._connection: BoundedConnection | None = None
        self._is_idle = True  # Whether no thread used the connection when the process was forked.
        super().__init__(self._address.name, time)
        self.watch_forks()

    def _become_owner(self) -> None:
        super()._become_owner()
        self._session = 0
        self._signed_in = 0  # The session in which this program has certainly told others that it lives.
        self._seen = -math.inf  # When the last statement was sent that was answered.
        self._salt: str | None = None  # None: this process was not connected yet.
        self._closing = threading.Event()

    def close(self) -> None:
        """Give all rows back and close the connections. A second call does nothing."""
        self.writer.close(GRACE_FOR_WRITES)
        for exchanger in self._exchangers:
            exchanger.close()
        is_free = self._guard.acquire(
            timeout=GRACE_FOR_WRITES
        )  # If not, a thread waits for the server, and disconnects at last.
        self.is_open = False
        self._closing.set()
        if is_free:
            if self._connection is not None:
                with suppress(psycopg.Error):  # The token loses its lock, and so its rows, in any case.
                    self._connection.execute(DISOWN, [self.token])
                    self._connection.execute(FORGET_OWNER, [self.token])
            self._disconnect()
            self._guard.release()

    @contextmanager
    def using(self) -> Iterator[PostgresStatements]:
        """Lend the connection to one thread at a time. Every statement is a transaction, unless one is open.

        Changes survive the end of the process at once, and a crash of the server after some seconds.
        """
        with self._turn():
            self.check_open()
            connection, sent = self._connected(), CLOCK()
            try:
                with explained(self.name, connection):
                    yield PostgresStatements(connection)
                self._seen = sent
            finally:
                if connection.closed or connection.broken or not self.is_open:
                    self._disconnect()

    @contextmanager
    def _in_transaction(self, begin: str) -> Iterator[PostgresStatements]:
        with self.using() as db:
            connection = db.connection
            try:
                connection.execute(begin)
                yield db
                connection.execute("COMMIT")
            except BaseException:
                with suppress(psycopg.Error):
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def durable(self) -> Iterator[PostgresStatements]:
        """Lend the connection for one transaction, which survives a crash of the server when the block has ended.

        When the block raises, it has changed nothing. When the connection is lost, nobody knows whether it has.
        """
        with self._in_transaction(BEGIN_DURABLE) as db:
            yield db

    @contextmanager
    def transaction(self) -> Iterator[PostgresStatements]:
        """Lend the connection for one transaction, which survives a crash of the server after some seconds."""
        with self._in_transaction("BEGIN") as db:
            yield db

    @contextmanager
    def cursor(self, sql: str, values: Sequence[Any]) -> Iterator[PostgresRows]:
        """Lend the rows of a query, read as they are needed. Meanwhile, no other thread can use the journal."""
        with self.transaction() as db, db.connection.cursor() as cursor:
            db.connection.execute(CURSOR_SETTINGS)
            rows: Any = cursor.stream(translate(sql), [to_stored(value) for value in values], size=FETCHED)
            with closing(rows):  # The stream holds the lock of the connection until it is closed.
                yield PostgresRows(rows)

    @property
    def session(self) -> int:
        """The number of sessions that this owner has had."""
        return self._session

    def is_certain(self) -> bool:
        """Whether the server can't have ended our session: it has answered lately, and has sent nothing unasked."""
        connection = self._connection
        if connection is None or connection.closed or CLOCK() - self._seen > CERTAIN_FOR:
            return False
        is_free = self._guard.acquire(blocking=False)
        try:
            # A server that ends a session sends a message, and closes the connection. Either is noticed here; while
            # another thread awaits an answer on the connection, only that it was closed.
            return not (is_readable if is_free else has_ended)(connection.fileno())
        except (OSError, ValueError, psycopg.Error):
            return False
        finally:
            if is_free:
                self._guard.release()

    def is_alive(self, owner: str) -> bool:
        """Whether an owner still works on its rows. The answer may be out of date at once: owners can be killed."""
        return owner == self.token or self._is_true(IS_ALIVE, owner)

    def is_alive_or_reconnecting(self, owner: str) -> bool:
        """Whether an owner is alive, or was so within the last `RECONNECTING_FOR` seconds."""
        return self.is_alive(owner) or self._is_true(IS_RECONNECTING, owner, RECONNECTING_FOR)

    def may_have_orders_under_way(self, owner: str) -> bool:
        """Whether an owner is alive, or was so within the last `LONGEST_UNDER_WAY` seconds."""
        return owner == self.token or self._is_true(MAY_HAVE_ORDERS_UNDER_WAY, owner)

    def _is_true(self, sql: str, *values: object) -> bool:
        with self.using() as db:
            return bool((db.connection.execute(sql, values).fetchone() or [False])[0])

    def remove_owner(self, db: Statements, owner: str) -> None:
        """Give back the requests of an owner that is gone. Its orders keep its name: it may come back."""
        db.execute(DISOWN.replace("%s", "?"), [owner])

    def stored_key(self, key: str) -> str:
        """Return how the key of an order is stored: one that is too long for an index, with a hash for most of it."""
        return to_key(key)

    def check_orders(self) -> None:
        """Raise JournalError unless the journal can be used, and others can see that this program lives.

        The server takes care that every order can be found. Only the first call in each session looks.
        """
        with self.using() as db:
            if self._signed_in != self._session:
                db.connection.execute(GIVE_SIGN_OF_LIFE, [self.token])
                self._signed_in = self._session

    def rate_limiter(self, gateway: str, key: str, max_rate: float, knowledge: Mapping[str, Knowledge]) -> RateLimiter:
        """Return when a client may ask, as `Journal.rate_limiter` says: all clients of the journal share one budget."""

        def key_hash() -> str:
            with self.using():
                return hash_of_key(key, self._salt or "")

        exchanger = BudgetExchanger(self._connect, self.name, gateway, key_hash, max_rate=max_rate, knowledge=knowledge)
        self._exchangers.append(exchanger)
        return exchanger.limiter

    def before_fork(self) -> None:
        """Wait until no thread is within the driver, for a moment at most: one may wait for the server."""
        self._is_idle = self._guard.acquire(timeout=GRACE_FOR_WRITES)

    def after_fork_in_parent(self) -> None:
        """Go on."""
        if self._is_idle:
            self._guard.release()

    def after_fork_in_child(self) -> None:
        """Become another owner, and let go of the parent's connection without a word to the server."""
        connection, self._connection = self._connection, None
        self._become_owner()
        if connection is not None:
            abandon(connection, is_idle=self._is_idle)
            self._abandoned = connection  # Python must not warn of it when it is not closed.

    def _connected(self) -> BoundedConnection:
        """Return the connection. If there is none, connect, and become the owner of the token, perhaps once more."""
        if self._connection is None:
            was_connected, sent = self._salt is not None, CLOCK()
            connection = self._connect()
            try:
                with explained(self.name, connection):
                    if not was_connected:
                        self._check_pooler(connection)
                    salt = schema.prepare(connection, self.name, if_missing=self._if_missing)
                    for sql, values in ((GIVE_SIGN_OF_LIFE, [self.token]), (FORGET_OLD_OWNERS, [])):
                        with suppress(psycopg.errors.InsufficientPrivilege):  # A role that only reads sends no orders.
                            connection.execute(sql, values)
                    token = int(self.token, 16)
                    connection.execute(END_FORMER, [token >> 32, token & 0xFFFFFFFF])
                    connection.execute(TAKE_LOCK, [token - (1 << 64) if token >> 63 else token])
                    self._check_same(connection)
            except BaseException:
                connection.close()
                raise
            self._connection, self._salt, self._seen = connection, salt, sent
            self._session += 1
            if not was_connected:
                self._give_signs_of_life()
        return self._connection

    def _check_pooler(self, connection: BoundedConnection) -> None:
        """Raise JournalError when one process of the server serves two sessions at once."""
        with self._connect() as another:
            if another.server_pid == connection.server_pid:
                raise pooler_error(self.name)
        for _ in range(2):  # Some poolers let two processes take turns.
            self._check_same(connection)

    def _check_same(self, connection: BoundedConnection) -> None:
        (pid,) = connection.execute(BACKEND_PID).fetchone() or (0,)
        check_backend(connection, pid, self.name)

    def _connect(self) -> BoundedConnection:
        try:
            connection = connect(self._address, was_connected=self._was_reached)
        except JournalError as error:
            self._was_reached = self._was_reached or error.locked
            raise
        self._was_reached = True
        return connection

    def _give_signs_of_life(self) -> None:
        threading.Thread(
            target=_give_signs_of_life, args=(ref(self), self._closing), name="longcat-alive", daemon=True
        ).start()

    def give_sign_of_life(self) -> None:
        """Make the server see that this session is alive. Reconnect if it was lost."""
        with self.using() as db:
            try:
                (pid,) = db.connection.execute(GIVE_SIGN_OF_LIFE, [self.token]).fetchone() or (0,)
                check_backend(db.connection, pid, self.name)
            except psycopg.errors.InsufficientPrivilege:
                self._check_same(db.connection)

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _locked_error(self) -> JournalError:
        return lost_error(self.name)


def is_readable(descriptor: int) -> bool:
    """Whether there is something to read from a socket."""
    if not hasattr(select, "poll"):  # Windows has no `poll`. Elsewhere, `select` accepts no numbers above 1023.
        return bool(select.select([descriptor], [], [], 0)[0])
    return _polled(descriptor, select.POLLIN)


def has_ended(descriptor: int) -> bool:
    """Whether the other side has closed a socket, as far as the system tells: Linux does."""
    return hasattr(select, "poll") and _polled(descriptor, getattr(select, "POLLRDHUP", 0))


def _polled(descriptor: int, events: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, events)
    return bool(poll.poll(0))


def _give_signs_of_life(database: "ref[PostgresDatabase]", closing: threading.Event) -> None:
    """Give a sign of life every few seconds, until the database is closed, or gone."""
    pause = SIGN_INTERVAL
    while not closing.wait(pause):
        found = database()
        if found is None:
            return
        pause = RETRY_AFTER
        with suppress(Exception):  # The next one to use the journal gets the error.
            found.give_sign_of_life()
            pause = SIGN_INTERVAL
        del found

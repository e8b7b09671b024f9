"""The database of a journal: what every kind of it offers to the tables, and what all kinds have in common."""

import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from threading import RLock
from typing import Any, ClassVar, Final, Literal, Protocol, TypeAlias

from longcat.errors import ConfigurationError, JournalError
from longcat.processes import ForkAware
from longcat.saving.journal.background import BackgroundWriter
from longcat.settings import MAX_REQUEST_ID
from longcat.waiting.rates.rate_limit import RateLimiter
from longcat.waiting.schedule.knowledge import Knowledge

GRACE_FOR_WRITES: Final = 1.0
"""Seconds that writes get which nobody waits for, when the journal is closed or a batch is left."""
IfMissing: TypeAlias = Literal["make", "refuse", "pretend"]
"""What to do where there is no journal: make one, raise JournalError, or have one that ends with the session."""
ALTERED: Final = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError, MemoryError)
"""The errors that reading a value raises that this package can't have written."""


class Rows(Protocol):
    """The result of a statement."""

    @property
    def rowcount(self) -> int:
        """The number of rows that it changed."""

    def fetchone(self) -> Any:
        """Return the next row. None: there is none."""

    def fetchall(self) -> list[Any]:
        """Return the rows that are left."""

    def __iter__(self) -> Iterator[Any]:
        """Yield the rows."""


class Statements(Protocol):
    """Executes statements, each of them in a transaction of its own unless one is open."""

    def execute(self, sql: str, values: Sequence[Any] = ..., /) -> Rows:
        """Execute a statement. A `?` stands for a value; `CAST(? AS TEXT)` for a text that went through `as_bytes`."""

    def executemany(self, sql: str, rows: Sequence[Sequence[Any]], /) -> object:
        """Execute a statement with each of these rows of values."""


class Database(ForkAware, ABC):
    """An open journal, and an owner of rows in it.

    A forked process is another owner, with a connection of its own from the first use on. The rows of the parent's
    owner stay the parent's. Every method but `close` may raise JournalError, and may block.

    Attributes:
        name: what messages call the journal. It holds no password.
        token: names this owner in the rows that it has, 16 digits in hex. In a forked process it is another one.
        is_open: whether `close` was not called yet.
        writer: does the writes that nobody waits for.
        restore: what to do about a journal that another program has altered.
        is_remote: whether a connection may be lost, so that nobody knows whether a change was made.
        patience: seconds for which a thread waits for another one. Negative: without end.
    """

    restore: ClassVar[str]
    is_remote: ClassVar[bool] = False
    patience: ClassVar[float] = -1.0

    def __init__(self, name: str, time: Callable[[], float]) -> None:
        self.name = name
        self.is_open = True
        self._time = time
        self._become_owner()

    def _become_owner(self) -> None:
        """Become an owner that has no rows yet."""
        self.token = secrets.token_hex(8)
        self.writer = BackgroundWriter()
        self._guard = RLock()
        self._is_locked = False  # Whether the database could not be used when it was last tried, but will be.

    def open(self) -> None:
        """Open the journal, unless it is open."""
        with self.using():
            pass

    @abstractmethod
    def close(self) -> None:
        """Give all rows back and close the journal. A second call does nothing."""

    @abstractmethod
    def using(self) -> AbstractContextManager[Statements]:
        """Lend the connection to one thread at a time. Every statement is a transaction.

        Changes survive the end of the process at once, and a loss of power after some seconds.
        """

    @abstractmethod
    def durable(self) -> AbstractContextManager[Statements]:
        """Lend the connection, for changes that survive a loss of power when the block has ended."""

    @contextmanager
    def cursor(self, sql: str, values: Sequence[Any]) -> Iterator[Rows]:
        """Lend the rows of a query, which are read as they are needed. No other thread can use the journal."""
        with self.using() as db:
            yield db.execute(sql, values)

    @property
    def session(self) -> int:
        """The number of sessions of this owner so far. It grows when a connection was lost, and rows with it."""
        return 0

    def is_certain(self) -> bool:
        """Whether this owner is alive for all others, as far as can be told without asking. It does not block."""
        return True

    @abstractmethod
    def is_alive(self, owner: str) -> bool:
        """Whether an owner still works on its rows. The answer may be out of date at once: owners can be killed."""

    def is_alive_or_reconnecting(self, owner: str) -> bool:
        """Whether an owner is alive, or may only have lost its connection: what it was sending is not in doubt yet.

        Where every program sees which ones live, as with a file, none reconnects.
        """
        return self.is_alive(owner)

    def may_have_orders_under_way(self, owner: str) -> bool:
        """Whether what an owner was sending may still reach the gateway, so that nobody sends it again yet.

        Where every program sees which ones live, that is so as long as it lives.
        """
        return self.is_alive(owner)

    @abstractmethod
    def remove_owner(self, db: Statements, owner: str) -> None:
        """Clear away what an owner that is gone has left behind. A second call does nothing."""

    @abstractmethod
    def check_orders(self) -> None:
        """Raise JournalError unless every order can be found. Only the first call looks."""

    @abstractmethod
    def _locked_error(self) -> JournalError:
        """Return the error that says why the database can't be used at the moment."""

    def stored_key(self, key: str) -> str:
        """Return how the key of an order is stored. A key that is stored so already is returned as it is."""
        return key

    @contextmanager
    def trusting(self, what: str, next_step: str) -> Iterator[None]:
        """Raise JournalError for a row that this package can't have written."""
        try:
            yield
        except (JournalError, *ALTERED) as error:
            cause = error.__cause__ if isinstance(error, JournalError) else error
            if not isinstance(cause, ALTERED):
                raise
            raise JournalError(f"{what} in {self.name} was altered and can't be read. {next_step}") from error

    def now(self) -> str:
        """Return the moment, in ISO 8601."""
        return datetime.fromtimestamp(self._time(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def rate_limiter(
        self,
        gateway: str,  # noqa: ARG002 - a database that many machines use needs all of it.
        key: str,  # noqa: ARG002
        max_rate: float,
        knowledge: Mapping[str, Knowledge],  # noqa: ARG002
    ) -> RateLimiter:
        """Return when a client may ask, as `Journal.rate_limiter` says: here, as if nobody else asked."""
        return RateLimiter(max_rate)

    def check_owner(self, token: str) -> None:
        """Raise ConfigurationError unless this is the process in which the owner with this token works."""
        if token != self.token:
            raise ConfigurationError(
                f"What began before this process was forked goes on in the parent, with its rows in {self.name}."
                " Begin anew in this process."
            )

    def later(self, owner: str, write: Callable[[], object]) -> None:
        """Have something written by a thread, which tries again while the database is locked.

        In a process that was forked meanwhile, nothing is: the owner with this token is the parent's.
        """
        if owner == self.token:
            self.writer.add(write)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait until no other thread uses the connection.

        While the database can't be used, one thread at a time waits for that, and all others learn it at once.
        """
        was_locked = self._is_locked
        if not (self._guard.acquire(timeout=self.patience) if not was_locked else self._guard.acquire(blocking=False)):
            raise self._locked_error()
        try:
            if self._is_locked and not was_locked:
                raise self._locked_error()
            yield
            self._is_locked = False
        except JournalError as error:
            self._is_locked = error.locked
            raise
        finally:
            self._guard.release()

    def check_open(self) -> None:
        """Raise ConfigurationError when the journal was closed."""
        if not self.is_open:
            raise ConfigurationError("This journal is closed. Make a new one, and close it after the last call.")


def as_bytes(text: str | None) -> bytes | None:
    """Return a text for `CAST(? AS TEXT)`. Drivers refuse half of a surrogate pair, which JSON and paths may have."""
    return None if text is None else text.encode("utf-8", "surrogatepass")


def request_or_none(value: Any) -> str | None:
    """Return a value that is the id of a request or None. Raises TypeError or ValueError: a row was altered."""
    request_id = text_or_none(value)
    if request_id is not None and len(request_id) > MAX_REQUEST_ID:
        raise ValueError("no request has so long an id")
    return request_id


def text_or_none(value: Any) -> str | None:
    """Return a value that is a text or None. Raises TypeError for any other one: a row was altered."""
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} instead of a text")
    return value

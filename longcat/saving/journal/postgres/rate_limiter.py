"""The exchanges of a client with the budget that it shares, which is a row of a journal on PostgreSQL.

An exchange is one transaction: it locks the row, takes in what the client has to say, and gives it slots. A thread
makes them, on a connection of its own, so that waiting for the row holds nothing else up. The moments in the row are
those of the server's clock. The row need not survive a crash of the server, so that nobody waits for its disk.
"""

import hashlib
import hmac
import logging
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final, TypeVar

from attrs import define

from longcat.clock import monotonic
from longcat.errors import JournalError
from longcat.processes import ForkAware
from longcat.saving.journal.postgres.experience import ExperienceRow
from longcat.saving.journal.postgres.values import as_json, from_json
from longcat.waiting.rates.shared_budget import SharedBudget
from longcat.waiting.rates.shared_rate import HEARTBEAT, SharedRateLimiter
from longcat.waiting.schedule.knowledge import Knowledge

if TYPE_CHECKING:
    from psycopg import Connection

logger: Final = logging.getLogger("longcat")
T = TypeVar("T")

RATE_TABLE: Final = """
CREATE TABLE IF NOT EXISTS longcat_rate (
    gateway TEXT NOT NULL,
    key_hash TEXT NOT NULL,
    state TEXT NOT NULL,
    PRIMARY KEY (gateway, key_hash)
) WITH (fillfactor = 20)
"""
"""The pages have room, so that a row can change many times in a second without a change of the index."""
SETTINGS: Final = (
    "SET synchronous_commit = off",
    # Seconds for which the others are held up by one that is stopped, or cut off, while it has the row.
    "SET idle_in_transaction_session_timeout = '1s'",
)
NOW: Final = "SELECT extract(epoch FROM clock_timestamp())::float8"
MAKE_ROW: Final = "INSERT INTO longcat_rate VALUES (%s, %s, '') ON CONFLICT DO NOTHING"
LOCK_ROW: Final = "SELECT state FROM longcat_rate WHERE gateway = %s AND key_hash = %s FOR UPDATE"
KEEP_ROW: Final = "UPDATE longcat_rate SET state = %s WHERE gateway = %s AND key_hash = %s"
SERVER_START: Final = "SELECT extract(epoch FROM pg_postmaster_start_time())::float8"

FIRST_RETRY: Final = 0.1  # Seconds until an exchange that failed is tried again. They double with each failure.
LAST_RETRY: Final = 2.0  # Seconds up to which they double.
DRIFT: Final = 1e-3  # How many seconds two clocks may drift apart in a second, at most.
SET_BACK: Final = 1.0  # Seconds. If the server's clock was set back by more, the budget begins anew.
MERGED_EVERY: Final = 10.0  # Seconds until the clients tell each other what they have learnt about durations.
CLOSING: Final = 1.0  # Seconds that the thread gets to end.


@define
class ClockOffset:
    """The seconds by which the server's clock is ahead of the client's.

    Attributes:
        seconds: the best estimate.
        error: by how many seconds it may be wrong.
        moment: when it was found out, on the client's clock.
    """

    seconds: float = 0.0
    error: float = math.inf
    moment: float = 0.0

    def learn(self, told: float, sent: float, received: float) -> None:
        """Take in what the server's clock said between two moments of the client's, if that is more exact."""
        seconds, error = told - (sent + received) / 2, (received - sent) / 2
        known = self.error + DRIFT * (received - self.moment)
        if error <= known or abs(seconds - self.seconds) > error + known:
            self.seconds, self.error, self.moment = seconds, error, received


def hash_of_key(key: str, salt: str) -> str:
    """Return what names a key in a journal. Without the journal's salt it tells nothing."""
    return hmac.new(salt.encode(), key.encode(), hashlib.sha256).hexdigest()


class BudgetExchanger(ForkAware):
    """Makes the exchanges of one client, from its first slot on until it is closed.

    As long as the database can't be reached, nothing is asked: waits stay as they are until their deadlines. An error
    that won't pass, such as a missing right, ends them.

    Args:
        connect: makes a connection in autocommit mode. It raises JournalError.
        name: what messages call the database.
        gateway: names the gateway in the journal.
        key_hash: returns what names the key, as `hash_of_key` does. It may block, and raise JournalError.
        max_rate: the client's own bound, in questions per second.
        knowledge: what the client's waits have learnt about durations, by the names of their policies. It is shared.

    Attributes:
        limiter: what the waits of the client ask for slots.
    """

    def __init__(  # noqa: PLR0913 - the last are of the client, the others of its journal.
        self,
        connect: "Callable[[], Connection[Any]]",
        name: str,
        gateway: str,
        key_hash: Callable[[], str],
        *,
        max_rate: float,
        knowledge: Mapping[str, Knowledge],
    ) -> None:
        self.limiter = SharedRateLimiter(max_rate, on_demand=self._on_demand)
        self._connect, self._name = connect, name
        self._gateway, self._key_hash = gateway, key_hash
        self._experience = [ExperienceRow(gateway, policy, one) for policy, one in knowledge.items()]
        self._begin()
        self.watch_forks()

    def _begin(self) -> None:
        self._member = token_hex(8)
        self._offset = ClockOffset()
        self._merged = -math.inf  # When the experience was merged.
        self._db: Connection[Any] | None = None  # None: not connected.
        self._may_be_forgotten = False  # Whether slots that were given may not stand in the row any more.
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None  # None: nothing was asked yet.
        self._is_closed = False

    def after_fork_in_child(self) -> None:
        """Be a client of its own. The connection is the parent's, and must neither be used nor closed."""
        inherited = self._db
        self._begin()
        if inherited is not None:
            from longcat.saving.journal.postgres.connection import abandon  # noqa: PLC0415 - it imports psycopg.

            abandon(inherited)
        self.limiter.reset()

    def close(self) -> None:
        """End the thread and the connection. A second call does nothing."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(CLOSING)

    def _on_demand(self) -> None:
        with self._changed:
            if self._thread is None and not self._is_closed:
                self._thread = threading.Thread(target=self._run, name="longcat-rate", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def _run(self) -> None:
        failures = 0
        while self._wait(min(FIRST_RETRY * 2.0 ** (failures - 1), LAST_RETRY) if failures else 0.0):
            try:
                self._merge(MERGED_EVERY)
                self._exchange()
            except Exception as error:  # noqa: BLE001 - without this thread, everyone would wait for ever.
                failures += 1
                self.limiter.note_exchange_seconds(LAST_RETRY)  # So that waits look less often whether they may ask.
                self._tell(error, is_first=failures == 1)
                self._disconnect()
            else:
                failures = 0
        if self._db is not None:
            with suppress(Exception):
                self._merge(0.0)
                self.limiter.reset()
                self._change(lambda budget, now: budget.leave(now, self._member))
        self._disconnect()

    def _wait(self, pause: float) -> bool:
        """Wait until an exchange is due, and so many seconds at least. False: no more is made."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed, pause)
            while not self._is_closed:
                now = monotonic()
                left = self.limiter.next_exchange(now) - now
                if left <= 0.0:
                    return True
                self._changed.wait(min(left, HEARTBEAT))
            return False

    def _tell(self, error: Exception, *, is_first: bool) -> None:
        """End the waits with an error that won't pass. Log, the first time, why nothing is asked until another has."""
        from psycopg import Error  # noqa: PLC0415 - few journals are in PostgreSQL.

        from longcat.saving.journal.postgres.connection import explained, lost_error  # noqa: PLC0415 - it imports that.

        is_lost = isinstance(error, Error | OSError) and not getattr(error, "sqlstate", None)
        try:
            with explained(self._name, self._db):
                raise lost_error(self._name) if is_lost else error
        except JournalError as ours:
            if isinstance(error, Error | JournalError) and not ours.locked:  # Any other one is a mistake in longcat.
                self.limiter.end_waits(ours)
            elif is_first:
                logger.warning(
                    "The journal can't say who may ask next, so that nothing is asked until it can. %s", ours
                )

    def _disconnect(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            self._may_be_forgotten = True
            with suppress(Exception):
                db.close()

    def _connected(self) -> "Connection[Any]":
        if self._db is None:
            self._row = self._gateway, self._key_hash()
            self._db = db = self._connect()
            for setting in SETTINGS:
                db.execute(setting)
            db.execute(MAKE_ROW, self._row)
            sent = monotonic()
            self._offset.learn(_number(db, NOW), sent, monotonic())
            self._started = _number(db, SERVER_START)
        return self._db

    def _merge(self, interval: float) -> None:
        """Share what was learnt about durations, unless that was done so many seconds ago or less."""
        if monotonic() - self._merged > interval:
            db = self._connected()
            self._merged = monotonic()  # Also if it fails: nobody waits for this.
            for row in self._experience:
                row.merge(db)

    def _exchange(self) -> None:
        """Have one exchange. Raises what the connection raises; then nothing has changed, or nobody knows."""
        self._connected()
        limiter, began = self.limiter, monotonic()
        given = limiter.begin_exchange(began, self._offset.seconds)

        def exchange(budget: SharedBudget, now: float) -> list[float]:
            renewed = self._may_be_forgotten or self._started > budget.moment
            return budget.exchange(now, self._member, limiter.max_rate, given, renewed=renewed)

        try:
            budget, slots = self._change(exchange)
        except BaseException:
            limiter.fail_exchange(given)
            raise
        self._may_be_forgotten = False
        ended = monotonic()
        limiter.note_exchange_seconds(ended - began)
        limiter.end_exchange(given, budget, slots, ended)

    def _change(self, change: Callable[[SharedBudget, float], T]) -> tuple[SharedBudget, T]:
        """Change the budget in the row at a moment of the server's clock. Return it, and what the change returned."""
        db = self._connected()
        (text, now) = _results(db, f"BEGIN; {LOCK_ROW}; {NOW}", self._row)  # Now, the row is ours.
        try:
            budget = _budget_of(text, now)
            result = change(budget, now)
        except (ValueError, ArithmeticError):  # Someone else has written it, or a figure of it is impossible.
            logger.warning("What the journal knew of the gateway's rate can't be read. It is learnt anew.")
            budget = SharedBudget()
            result = change(budget, now)
        sent = monotonic()
        (told,) = _results(db, f"{KEEP_ROW}; COMMIT; {NOW}", (as_json(budget), *self._row))
        self._offset.learn(told, sent, monotonic())
        return budget, result


def _number(db: "Connection[Any]", sql: Any) -> float:
    row = db.execute(sql).fetchone()
    return float(row[0]) if row is not None else 0.0


def _results(db: "Connection[Any]", sql: Any, values: Sequence[Any]) -> list[Any]:
    """Execute several statements at once, and return the first value of each that is a query. None: it has no row."""
    from psycopg import ClientCursor  # noqa: PLC0415 - as above.

    with ClientCursor(db) as cursor:
        cursor.execute(sql, values)
        results = []
        while True:
            if cursor.description is not None:
                row = cursor.fetchone()
                results.append(row[0] if row is not None else None)
            if not cursor.nextset():
                return results


def _budget_of(text: str | None, now: float) -> SharedBudget:
    """Return the budget in a row, or a new one if it is empty. Raises ValueError if what it says can't be right."""
    budget = from_json(SharedBudget, text) if text else SharedBudget()
    if not budget.is_possible:
        raise ValueError("no SharedBudget: its figures are impossible")
    return budget if budget.moment <= now + SET_BACK else SharedBudget()

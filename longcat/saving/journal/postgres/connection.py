"""Connections to PostgreSQL: what a URL says, the settings of our sessions, and errors that say what to do."""

import os
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final
from urllib.parse import unquote

import psycopg
from attrs import field, frozen
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from longcat.clock import monotonic
from longcat.errors import ConfigurationError, JournalError, LongCatError
from longcat.saving.journal.database import ALTERED
from longcat.saving.journal.postgres.owners import LIFETIME
from longcat.saving.journal.postgres.refusals import UNKNOWN, reason_of, refusal_of
from longcat.text import sentence, shorten

OLDEST_SERVER: Final = 14
LIMITS_TRANSACTIONS: Final = 17
"""The first version with a `transaction_timeout`."""
LONGEST_SILENCE: Final = 120.0
"""Seconds that a statement may take without a byte from the server. The longest, about a million lines, take 10."""
TCP: Final = {
    "keepalives": "1",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "4",
    "tcp_user_timeout": f"{LIFETIME * 1000}",
}
SETTINGS: Final = {
    "timezone": "UTC",
    "standard_conforming_strings": "on",
    "datestyle": "ISO",
    "intervalstyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "array_nulls": "on",
    "default_transaction_isolation": "read committed",
    "synchronous_commit": "off",  # Transactions that must be durable turn it on.
    "statement_timeout": "0",
    "lock_timeout": "10s",
    "idle_session_timeout": f"{LIFETIME}s",
    "idle_in_transaction_session_timeout": f"{LIFETIME}s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "4",
    "tcp_user_timeout": f"{LIFETIME}s",
}
"""What our sessions set for themselves, whatever the server, the database or the role has."""
MAKE_SETTINGS: Final = "; ".join(f"SET {name} = '{value}'" for name, value in SETTINGS.items())
DESCRIBE_SESSION: Final = """
SELECT pg_backend_pid(), current_setting('server_encoding'), current_schema(),
    current_setting('transaction_read_only')"""

ALTERED_IT: Final = "Another program altered it. Restore it from a backup, as orders in it may have been paid."
SESSION_IS_OVER: Final = frozenset({"57P01", "57P02", "57P03", "57P05", "25P03", "25P04"})
"""Codes of errors that say that the session is over, or can't begin yet. All codes that begin with 08 say so too."""
TRANSIENT_CODES: Final = frozenset({"40001", "40P01", "53300", "55P03", "57014"})
"""Codes of errors that pass: others are in the way, or somebody has cancelled the statement."""
NEXT_STEPS: Final = (
    ("25006", "Give the address of the primary server, or a role whose transactions may write."),
    ("42501", "Grant the user the rights to use the schema, and to create, read and write its tables."),
    ("3F000", "Make the schema first, or name another one in `search_path`."),
    (
        "54",
        "An id, or the URL of the gateway, has more than some 1,000 bytes. Use a shorter one, or a journal in a file.",
    ),
    ("53100", "Free some space on the server's disk and run again; what was noted so far is kept."),
    ("22", ALTERED_IT),
    ("23", ALTERED_IT),
    ("42", ALTERED_IT),
    ("53", "Give the server more memory, or look into its log for what it lacks; what was noted so far is kept."),
    ("58", "Look into the server's log; the machine that it runs on fails. What was noted so far is kept."),
    ("XX", "Look into the server's log; restore the database from a backup if it is damaged."),
)
"""What to do about an error, by what its code begins with."""

USUAL: Final = {
    "host": r"(/.*|@.*|[\w.,:-]*)",
    "hostaddr": r"[\w.,:%-]*",
    "port": r"[0-9,]*",
    "dbname": r"[^@/]*",
    "user": r"[^:/]*",
}
"""How the parts of a URL look. A part that looks different may belong to a password that was not escaped."""
SHOWN_NAMES: Final = {"dbname": "database"}
"""What parts of a URL are called for people, if not by their names."""
WRONG: Final = re.compile(r'query parameter: "([a-z_]+)"')
"""Matches what libpq says of a parameter that it does not know, or that has no value."""
SEARCH_PATH: Final = re.compile(r"search_path\s*=\s*([\w$,]+)")


@frozen
class JournalUrl:
    """The place of a journal, as a URL says it.

    Attributes:
        parameters: what psycopg connects with, the password among them.
    """

    parameters: dict[str, Any] = field(repr=False)

    @classmethod
    def of(cls, url: str) -> "JournalUrl":
        """Read a URL. Raises ConfigurationError, which names the wrong part and says nothing of the password."""
        parameters, reason = None, ""
        try:
            parameters = conninfo_to_dict(url)
        except psycopg.Error as error:
            found = WRONG.search(str(error))
            query = unquote(url.partition("?")[2]).lower()
            if found and "@" not in query and "password" not in query:  # Else it may be a part of the password.
                reason = f": its parameter {found[1]} has no value, or there is none of that name"
        else:
            wrong = [
                name for name, pattern in USUAL.items() if not re.fullmatch(pattern, str(parameters.get(name, "")))
            ]
            reason = f": its {SHOWN_NAMES.get(wrong[0], wrong[0])} can't be right" if wrong else ""
        if parameters is None or reason:
            raise ConfigurationError(
                f"The URL of the journal can't be read{reason}. Write postgresql://USER@HOST:PORT/DATABASE, with %"
                " escapes for what is special in a URL."
            )
        return cls(dict(parameters))

    @property
    def name(self) -> str:
        """Its name in messages: host, port, database, schema and user."""
        values = {key: shorten(str(value)) for key, value in self.parameters.items()}
        host = values.get("host") or values.get("hostaddr")
        where = f" at {host}" + (f":{values['port']}" if "port" in values else "") if host else ""
        database = f", database {values['dbname']}" if values.get("dbname") else ""
        path = SEARCH_PATH.search(str(self.parameters.get("options", "")))
        schema = f", schema {path[1]}" if path else ""
        user = f", user {values['user']}" if values.get("user") else ""
        service = f", service {values['service']}" if values.get("service") else ""
        return f"PostgreSQL{where}{database}{schema}{user}{service}"


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that is given up when nothing comes for `LONGEST_SILENCE`, as when a proxy swallows every byte.

    Attributes:
        server_pid: the process of the server that answered its first question. What the server, or a pooler, tells
            when it is connected may be another number.
    """

    server_pid: int = 0

    def wait(self, gen: Generator[Any, Any, Any], *more: Any, **options: Any) -> Any:
        """Wait for the answer to a statement. Raises OperationalError when nothing comes."""
        return super().wait(self._bounded(gen), *more, **options)

    def _bounded(self, steps: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        end = monotonic() + LONGEST_SILENCE
        try:
            wanted = next(steps)
            while True:
                ready = yield wanted
                now = monotonic()
                if ready:
                    end = now + LONGEST_SILENCE
                elif now >= end:
                    self.pgconn.finish()
                    raise psycopg.OperationalError("the server is silent")
                wanted = steps.send(ready)
        except StopIteration as stop:
            return stop.value


def _defaults(address: JournalUrl) -> dict[str, str]:
    """Return what libpq is told unless the URL, or the environment, says otherwise."""
    defaults = {"fallback_application_name": "longcat"}
    if "PGCONNECT_TIMEOUT" not in os.environ:
        defaults["connect_timeout"] = "10"
    if "," in address.parameters.get("host", "") and "PGTARGETSESSIONATTRS" not in os.environ:
        defaults["target_session_attrs"] = "read-write"  # Chooses the primary server among its standbys.
    return defaults


def connect(address: JournalUrl, *, was_connected: bool) -> BoundedConnection:
    """Connect, in autocommit mode, and make sure that the session is ours alone and can hold a journal.

    Args:
        address: where.
        was_connected: whether it has worked before. Then whatever is in the way now is said to pass.

    Raises JournalError.
    """
    parameters = {**_defaults(address), **address.parameters, **TCP, "client_encoding": "UTF8"}
    said, connection = "", None
    try:
        connection = BoundedConnection.connect(make_conninfo(**parameters), autocommit=True)
    except psycopg.Error as error:
        said = reason_of(error)
    if connection is None:
        refusal = refusal_of(said)
        raise JournalError(
            f"The journal in {address.name} can't be reached: {sentence(said)} {refusal.next_step}",
            locked=was_connected or refusal.passes_soon,
            passing=refusal.passes,
        )
    try:
        with explained(address.name):
            _check(connection, address.name)
    except BaseException:
        connection.close()
        raise
    return connection


def abandon(connection: "psycopg.Connection[Any]", *, is_idle: bool = True) -> None:
    """Let go of a connection of the process that this one was forked from, without a word to the server.

    Args:
        connection: the parent's.
        is_idle: whether none of the parent's threads used it while it forked. Else it can't even be closed.
    """
    if not connection.closed:
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, connection.fileno(), inheritable=False)
        os.close(nothing)
        if is_idle:
            with suppress(psycopg.Error):
                connection.close()


def _check(connection: BoundedConnection, name: str) -> None:
    """Make the settings of a session. Raises JournalError when it can't be used for a journal."""
    version = connection.info.server_version // 10000
    if version < OLDEST_SERVER:
        raise JournalError(f"{name} is of version {version}. A journal needs version {OLDEST_SERVER} or later.")
    connection.execute(MAKE_SETTINGS)
    if version >= LIMITS_TRANSACTIONS:
        connection.execute("SET transaction_timeout = 0")
    ((pid, encoding, schema, read_only),) = connection.execute(DESCRIBE_SESSION).fetchall()
    connection.server_pid = pid
    if encoding != "UTF8":
        raise JournalError(
            f"{name} is in the encoding {encoding}. Make a database with the encoding UTF8, and use that."
        )
    if schema is None:
        raise JournalError(
            f"{name} has no schema of the search path that the user may use. Make one, or grant the user its use; or"
            " name another one in `search_path`."
        )
    if read_only == "on":
        raise JournalError(
            f"The journal in {name} can't be used: it is read-only. Give the address of the primary server, or a role"
            " whose transactions may write."
        )


def check_backend(connection: BoundedConnection, pid: int, name: str) -> None:
    """Raise JournalError when a session is served by another process of the server than the one that it began with."""
    if pid != connection.server_pid:
        raise pooler_error(name)


def pooler_error(name: str) -> JournalError:
    """Return the error that refuses a pooler of transactions."""
    return JournalError(
        f"Between this program and {name} stands a pooler that shares connections, such as PgBouncer in transaction"
        " mode. Give the address of the server itself, or of a pooler in session mode."
    )


@contextmanager
def explained(name: str, connection: "psycopg.Connection[Any] | None" = None) -> Iterator[None]:
    """Raise JournalError, with the next step, for errors of PostgreSQL. One that says `locked` passes."""
    try:
        yield
    except psycopg.Error as error:
        code = error.sqlstate or ""
        said = " ".join((error.diag.message_primary or str(error) or type(error).__name__).split())
        if (
            code.startswith("08")
            or code in SESSION_IS_OVER
            or (connection is not None and (connection.closed or connection.broken))
        ):
            raise lost_error(name) from error
        if isinstance(error, psycopg.errors.InvalidSqlStatementName):
            raise pooler_error(name) from error
        if isinstance(error, psycopg.DataError) and not code:  # Python can't hold a value, such as an infinite moment.
            raise _damaged(name) from error
        is_passing = code in TRANSIENT_CODES or (not code and isinstance(error, psycopg.OperationalError))
        steps = (step for start, step in NEXT_STEPS if code.startswith(start))
        next_step = "Run again." if is_passing else next(steps, UNKNOWN.next_step)
        raise JournalError(
            f"The journal in {name} can't be used: {sentence(said)} {next_step}", locked=is_passing
        ) from error
    except ALTERED as error:
        raise _damaged(name) from error
    except Exception as error:
        if isinstance(error, LongCatError):
            raise
        raise JournalError(
            f"The journal in {name} can't be used: {type(error).__name__}. {UNKNOWN.next_step}"
        ) from error


def _damaged(name: str) -> JournalError:
    return JournalError(f"The journal in {name} is damaged: a row can't be read. {ALTERED_IT}")


def lost_error(name: str) -> JournalError:
    """Return the error that says that a connection was lost, and will come back."""
    return JournalError(
        f"The connection to the journal in {name} was lost. It is tried again; make sure that the server runs and can"
        " be reached.",
        locked=True,
    )

"""Why a server refused a connection, by the code of its error: its words may be in any language.

libpq tells the code only if it was asked to before, which the driver does not do. So a connection that was refused is
tried once more with libpq itself. Where that can't be reached, the words must do, in English.
"""

import ctypes
import re
import sys
from contextlib import suppress
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector
from typing import Final

import psycopg
from psycopg.pq import PGconn, PollingStatus

from longcat.clock import monotonic

LONGEST: Final = 10.0
"""Seconds for which the second try may last."""
CODE_ONLY: Final = 3
"""libpq's PQERRORS_SQLSTATE: a message is the severity and the code."""
CODE: Final = re.compile(r":\s+([0-9A-Z]{5})$", re.MULTILINE)
PASSWORD: Final = "A password may stand in PGPASSWORD, a service file or ~/.pgpass."  # noqa: S105
CHECK_PLACE: Final = (
    f"Make sure that the server runs and can be reached, and that user, password and database are the right ones."
    f" {PASSWORD}"
)
NEXT_STEPS: Final = {
    "28": f"Give the right user and password, or have the server let this user in from here. {PASSWORD}",
    "3D": "Make the database first, or name another one.",
    "42501": "Grant the user the right to connect to the database.",
    "53300": "Run again later; or let the server, or this user, have more connections.",
    "57P": "Run again when the server has started.",
}
"""What to do about a refusal, by what its code begins with."""
PASSING_REFUSALS: Final = ("53300", "57P", "08")
"""With what the codes of refusals begin that pass."""
WORDS: Final = {
    "53300": "too many connections|too many clients|remaining connection slots",
    "57P03": "is starting up|shutting down",
    "08006": "closed the connection unexpectedly|reset by peer",  # A server that is just ending.
}
"""What is said in English when libpq tells no code."""


def code_of_refusal(conninfo: str, said: str) -> str:
    """Return the code of the error with which a server refuses a connection; empty if it tells none.

    Args:
        conninfo: where, as libpq reads it.
        said: what was said when it was tried before.
    """
    with suppress(psycopg.Error, OSError, AttributeError):
        if code := _code_of_second_try(conninfo):
            return code
    return next((code for code, words in WORDS.items() if re.search(words, said)), "")


def next_step_after(code: str) -> str:
    """Return what to do about a refusal with this code; empty: about a server that can't be reached."""
    return next((step for start, step in NEXT_STEPS.items() if code.startswith(start)), CHECK_PLACE)


def _code_of_second_try(conninfo: str) -> str:
    """Try to connect, and return the code of the error; empty if there is none.

    Raises psycopg.Error when libpq gives up at once, and OSError or AttributeError where it can't be reached.
    """
    connection = PGconn.connect_start(conninfo.encode())
    libpq = ctypes.CDLL(sys.modules[type(connection).__module__].__file__)  # It is linked to that module.
    address: int = getattr(connection, "pgconn_ptr")  # noqa: B009 - pure Python's has none.
    libpq.PQsetErrorVerbosity(ctypes.c_void_p(address), CODE_ONLY)
    end, status = monotonic() + LONGEST, int(PollingStatus.WRITING)
    while status in {PollingStatus.READING, PollingStatus.WRITING} and (left := end - monotonic()) > 0.0:
        with DefaultSelector() as selector:
            selector.register(connection.socket, EVENT_READ if status is PollingStatus.READING else EVENT_WRITE)
            selector.select(left)
        status = connection.connect_poll()
    codes = CODE.findall(connection.get_error_message())
    connection.finish()
    return codes[-1] if codes else ""

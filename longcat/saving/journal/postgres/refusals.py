"""Explains why there is no connection to a server, and what to do about it, by the words of libpq and of the server.

libpq tells no code of an error here, unlike everywhere else. A server that speaks another language than English says
itself what is wrong; the next step then names everything that may be in the way.
"""

import re
from typing import Final

from attrs import frozen

PASSWORD: Final = "A password may stand in PGPASSWORD, a service file or ~/.pgpass."  # noqa: S105

LIBPQ_QUESTION: Final = re.compile(r"\n\tIs the server running .*\?")
"""The question that libpq appends. The next step answers it."""


@frozen
class Refusal:
    """One reason why there is no connection.

    Attributes:
        words: what is said in English, as a regular expression.
        next_step: what to do about it.
        passes: whether it may be over when the command is run again, unchanged.
        passes_soon: whether it may be over within seconds, so that it is waited for.
    """

    words: str
    next_step: str
    passes: bool = False
    passes_soon: bool = False


UNKNOWN: Final = Refusal(
    "",
    "Make sure that the server runs and can be reached, and that user, password and database are the right ones."
    f" {PASSWORD}",
)
REFUSALS: Final = (
    Refusal(
        "authentication failed|no password supplied|no pg_hba.conf entry|role .* (does not exist|is not permitted)",
        f"Give the right user and password, or have the server let this user in from here. {PASSWORD}",
    ),
    Refusal("database .* does not exist", "Make the database first, or name another one."),
    Refusal("permission denied for database", "Grant the user the right to connect to the database."),
    Refusal(
        "invalid .* (value|number)|bad value for|definition of service|service file",
        "Mend that in the URL, in the service file, or in the variable of the environment that says so.",
    ),
    Refusal(
        "closed the connection unexpectedly|reset by peer|EOF detected|[Bb]roken pipe",  # It is just ending.
        "Make sure that the server runs and can be reached, then run again.",
        passes=True,
        passes_soon=True,
    ),
    Refusal(
        "too many connections|too many clients|remaining connection slots",
        "Run again later; or let the server, or this user, have more connections.",
        passes=True,
        passes_soon=True,
    ),
    Refusal(
        "is starting up|shutting down|recovery mode",
        "Run again when the server has started.",
        passes=True,
        passes_soon=True,
    ),
    Refusal(
        "refused|resolve host|translate host name|timeout expired|timed out|unreachable|No route|Host is down"
        "|on socket .* failed: No such file",
        "Make sure that the host and the port are the right ones, and that the server runs and can be reached, then"
        " run again.",
        passes=True,
    ),
    Refusal(
        "SSL|certificate",
        "Look at what the server offers, and at sslmode and sslrootcert in the URL or the environment.",
    ),
)


def reason_of(error: Exception) -> str:
    """Return why there is no connection, as libpq and the server say it, in one line: of each host that was tried."""
    *_, attempts = str(error).rpartition("All failures were:")
    reasons = []
    for attempt in re.split(r"\n- ", attempts):
        text = LIBPQ_QUESTION.sub(
            "", attempt.partition("connection failed: ")[2] or attempt.removeprefix("connection is bad: ")
        )
        reasons.append(" ".join(text.split()).rstrip("."))
    return "; ".join(dict.fromkeys(filter(None, reasons)))


def refusal_of(said: str) -> Refusal:
    """Return which reason this is, by what was said when it was tried to connect."""
    return next((one for one in REFUSALS if re.search(one.words, said)), UNKNOWN)

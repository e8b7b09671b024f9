"""Why a server refused a connection, and what to do about it, by its words.

libpq tells no code of an error here, unlike everywhere else. A server that speaks another language than English says
itself what is wrong; what to do about it is then everything that may be in the way.
"""

import re
from typing import Final

from attrs import frozen

PASSWORD: Final = "A password may stand in PGPASSWORD, a service file or ~/.pgpass."  # noqa: S105


@frozen
class Refusal:
    """One kind of refusal.

    Attributes:
        words: what the server says in English, as a regular expression.
        next_step: what to do about it.
        passes: whether it may be over when one tries again.
    """

    words: str
    next_step: str
    passes: bool = False


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
        "too many connections|too many clients|remaining connection slots",
        "Run again later; or let the server, or this user, have more connections.",
        passes=True,
    ),
    Refusal("is starting up|shutting down|recovery mode", "Run again when the server has started.", passes=True),
    Refusal("closed the connection unexpectedly|reset by peer", UNKNOWN.next_step, passes=True),  # It is just ending.
)


def refusal_of(said: str) -> Refusal:
    """Return which kind of refusal this is, by what was said when it was tried to connect."""
    return next((one for one in REFUSALS if re.search(one.words, said)), UNKNOWN)

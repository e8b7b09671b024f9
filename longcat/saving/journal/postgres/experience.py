"""Keeps what the schedules of all clients have learnt about a gateway: a row on PostgreSQL for each policy."""

import logging
from typing import TYPE_CHECKING, Any, Final

from longcat.saving.journal.postgres.values import as_json, from_json
from longcat.waiting.schedule.knowledge import Knowledge
from longcat.waiting.schedule.shared_knowledge import KnowledgeRecord, KnowledgeSharer

if TYPE_CHECKING:
    from psycopg import Connection

logger: Final = logging.getLogger("longcat")

EXPERIENCE_TABLE: Final = """
CREATE TABLE IF NOT EXISTS longcat_experience (
    gateway TEXT NOT NULL,
    policy TEXT NOT NULL,
    state TEXT NOT NULL,
    PRIMARY KEY (gateway, policy)
)
"""
MAKE_ROW: Final = "INSERT INTO longcat_experience VALUES (%s, %s, '') ON CONFLICT DO NOTHING"
LOCK_ROW: Final = "SELECT state FROM longcat_experience WHERE gateway = %s AND policy = %s FOR UPDATE"
KEEP_ROW: Final = "UPDATE longcat_experience SET state = %s WHERE gateway = %s AND policy = %s"
READ_ROW: Final = "SELECT state FROM longcat_experience WHERE gateway = %s AND policy = %s"


class ExperienceRow:
    """The row of one policy, and what a client knows of it.

    Args:
        gateway: names the gateway in the journal.
        policy: names the policy.
        knowledge: what the client's waits have learnt by it.
    """

    def __init__(self, gateway: str, policy: str, knowledge: Knowledge) -> None:
        self._row = gateway, policy
        self._sharer = KnowledgeSharer(knowledge)

    def merge(self, db: "Connection[Any]") -> None:
        """Tell what was learnt here, and learn what is known. Raises what the connection raises."""
        if not self._sharer.has_news:
            row = db.execute(READ_ROW, self._row).fetchone()
            if row is not None:
                self._merged(row[0])
            return
        db.execute(MAKE_ROW, self._row)
        with db.transaction():
            row = db.execute(LOCK_ROW, self._row).fetchone()
            db.execute(KEEP_ROW, (self._merged(row[0] if row is not None else ""), *self._row))

    def _merged(self, text: str) -> str:
        try:
            return as_json(self._sharer.merge(from_json(KnowledgeRecord, text) if text else KnowledgeRecord()))
        except (ValueError, TypeError, LookupError, ArithmeticError):
            logger.warning("What the journal knew of how long requests take can't be read. It is learnt anew.")
            return as_json(self._sharer.merge(KnowledgeRecord()))

"""All batches in a journal on PostgreSQL, of all gateways: counted, told line by line, and opened again."""

import json
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, Final

from attrs import frozen

from longcat.saving.journal.contents import id_and_prompt
from longcat.saving.journal.database import Database, Statements
from longcat.saving.journal.money import UNITS, to_dollars
from longcat.saving.journal.postgres import workers
from longcat.saving.journal.postgres.lines import LOCK
from longcat.saving.journal.postgres.workers import WorkerRecord

RECORDS: Final = """
SELECT batch, gateway, registered, lines, coalesce(sum(worker.done), 0)::BIGINT,
    (batch.failed + coalesce(sum(worker.failed), 0))::BIGINT,
    (batch.unknown + coalesce(sum(worker.unknown), 0))::BIGINT, (batch.spent + coalesce(sum(worker.spent), 0))::BIGINT
FROM longcat_batch AS batch LEFT JOIN longcat_worker AS worker USING (batch) GROUP BY batch ORDER BY batch"""
EXPORT: Final = """
SELECT line.key, line.content, coalesce(line.request_id, orders.request_id), line.state, files,
    CASE WHEN line.request_id IS NULL THEN coalesce(orders.cost + coalesce(orders.in_doubt, 0), line.cost)
        ELSE line.cost END, error
FROM longcat_line AS line JOIN longcat_batch USING (batch)
LEFT JOIN orders ON line.state = 'open' AND orders.gateway = longcat_batch.gateway AND orders.key = line.key
ORDER BY line.batch, number"""
OF_BATCH: Final = "FROM longcat_line JOIN longcat_batch USING (batch)"
COUNT_FAILED: Final = "SELECT count(*), coalesce(sum(price), 0)::BIGINT FROM longcat_line WHERE state = 'failed'"
# What a line in doubt may have cost is counted again when it is over; what a failed one has cost is not.
REOPEN: Final = """
WITH found AS (
    SELECT batch, count(*) AS lines, sum({units}) AS units FROM longcat_line WHERE state = '{state}' GROUP BY batch
), opened AS (
    UPDATE longcat_line SET state = 'open', owner = NULL, request_id = NULL, files = NULL, cost = 0, error = NULL
    WHERE state = '{state}'
)
UPDATE longcat_batch AS batch SET {state} = batch.{state} - found.lines, spent = spent - found.units
FROM found WHERE batch.batch = found.batch"""
REOPEN_FAILED: Final = REOPEN.format(state="failed", units="0")
REOPEN_UNKNOWN: Final = REOPEN.format(state="unknown", units="cost")


@frozen
class BatchRecord:
    """One batch, and how its lines stand.

    Attributes:
        batch: its number.
        gateway: the gateway's base URL.
        registered: when it was registered, by the server's clock.
        lines: how many lines it has.
        done: how many of them are done; `failed` and `unknown` likewise.
        spent: what the lines that are over cost at most, in US dollars.
    """

    batch: int
    gateway: str
    registered: datetime
    lines: int
    done: int
    failed: int
    unknown: int
    spent: Decimal

    @property
    def open(self) -> int:
        """How many lines are not over yet."""
        return self.lines - self.done - self.failed - self.unknown


@frozen(eq=False)
class BatchTable:
    """All batches of a journal. Every method may block, and raises JournalError.

    Attributes:
        lines_of_orders: for a statement about orders, what tells whether an order is that of a line, and the join that
            it needs.
        without_line: the condition that an order is that of no line.
    """

    _database: Database
    lines_of_orders: ClassVar = (
        "line.key IS NOT NULL",
        f"""LEFT JOIN (SELECT DISTINCT gateway, key {OF_BATCH}) AS line
        ON line.gateway = orders.gateway AND line.key = orders.key""",
    )
    without_line: ClassVar = f"""AND NOT EXISTS (
        SELECT 1 {OF_BATCH} WHERE longcat_batch.gateway = orders.gateway AND longcat_line.key = orders.key)"""

    def records(self, db: Statements) -> list[BatchRecord]:
        """Return all batches, the first that was registered first."""
        return [BatchRecord(*(*row[:-1], to_dollars(row[-1]))) for row in db.execute(RECORDS).fetchall()]

    def workers(self, db: Statements) -> list[WorkerRecord]:
        """Return who works, or worked, on a batch, the earliest first."""
        return workers.records(db)

    def export(self) -> Iterator[dict[str, Any]]:
        """Yield the lines of all batches, as `JournalContents.export` does."""
        with self._database.cursor(EXPORT, []) as rows:
            for key, content, request_id, state, files, units, error in rows:
                yield {
                    **id_and_prompt(key, content),
                    "request_id": request_id,
                    "state": state,
                    "files": json.loads(files) if files else [],
                    "cost": units / UNITS,
                    "error": error,
                }

    def count_failed(self, db: Statements) -> Any:
        """Return how many lines have failed, and what they cost at most, as it is stored."""
        return db.execute(COUNT_FAILED).fetchone()

    def reopen_failed(self, db: Statements) -> None:
        """Open the lines that have failed, so that a worker claims them."""
        db.execute(LOCK)  # Who does it at the same time would count them as well.
        db.execute(REOPEN_FAILED)

    def reopen_unknown(self, db: Statements) -> None:
        """Open the lines that are in doubt, so that a worker claims them."""
        db.execute(LOCK)
        db.execute(REOPEN_UNKNOWN)

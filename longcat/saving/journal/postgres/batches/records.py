"""The progress of batches: their lines, counted as they end, and opened again."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from attrs import frozen

from longcat.saving.journal.money import to_dollars
from longcat.saving.journal.postgres.batches.workers import WorkerRecord
from longcat.saving.journal.states import COST, JOIN_REQUEST

# What lines cost that are over was counted when they ended. That of open ones is what their orders cost so far.
COUNTS: Final = f"""
coalesce(sum(worker.done), 0)::BIGINT AS done, (batch.failed + coalesce(sum(worker.failed), 0))::BIGINT AS failed,
(batch.unknown + coalesce(sum(worker.unknown), 0))::BIGINT AS unknown,
(batch.spent + coalesce(sum(worker.spent), 0) + (
    SELECT coalesce(sum({COST}), 0) FROM longcat_line AS line
    JOIN orders ON orders.gateway = batch.gateway AND orders.key = line.key {JOIN_REQUEST}
    WHERE line.batch = batch.batch AND line.state = 'open' AND (line.owner IS NOT NULL OR line.was_left)
))::BIGINT AS spent"""  # noqa: S608 - a text of ours.
"""How many lines of a batch are done, failed and in doubt, and what all of them cost so far, of its grouped workers."""
BATCH_RECORDS: Final = f"""
SELECT batch, gateway, registered, lines, {COUNTS}
FROM longcat_batch AS batch LEFT JOIN longcat_worker AS worker USING (batch)
WHERE ? IN (batch, 0) GROUP BY batch ORDER BY batch"""  # noqa: S608 - a text of ours.
# Lines are open, by the counts, and none is free, nor with a worker that will end it or is gone.
IS_STUCK: Final = f"""
SELECT lines > done + failed + unknown
    AND NOT EXISTS (SELECT FROM longcat_line WHERE batch = ? AND state = 'open' AND owner IS NULL)
    AND NOT EXISTS (
        SELECT FROM longcat_line AS line JOIN longcat_worker AS worker ON token = owner
        WHERE line.batch = ? AND state = 'open' AND worker.batch = line.batch AND NOT has_left
    )
FROM ({BATCH_RECORDS}) AS batch"""  # noqa: S608 - a text of ours.
# Of the batch with this number, or of all batches if it is 0. What an order has cost is counted with its line. Where
# the order got another key, it has no line any more, and its cost stays in the sum of the batch.
REOPEN_LINES: Final = """
WITH found AS (
    SELECT line.batch, number, line.cost, {is_counted} AS is_counted
    FROM longcat_line AS line JOIN longcat_batch USING (batch)
    LEFT JOIN orders ON orders.gateway = longcat_batch.gateway AND orders.key = line.key
    WHERE ? IN (line.batch, 0) AND line.state = '{state}' AND {may_open}
), opened AS (
    UPDATE longcat_line AS line SET
        state = 'open', owner = NULL, was_left = TRUE, request_id = NULL, files = NULL, cost = 0, error = NULL
    FROM found WHERE line.batch = found.batch AND line.number = found.number
)
UPDATE longcat_batch AS batch SET {state} = {state} - counted.lines, spent = spent - counted.units
FROM (
    SELECT batch, count(*) AS lines, coalesce(sum(cost) FILTER (WHERE is_counted), 0) AS units FROM found GROUP BY batch
) AS counted
WHERE batch.batch = counted.batch"""
REOPEN_FAILED: Final = REOPEN_LINES.format(
    state="failed", is_counted="orders.request_id = line.request_id", may_open="TRUE"
)
REOPEN_UNKNOWN: Final = REOPEN_LINES.format(
    state="unknown",
    is_counted="TRUE",
    # A line whose order may be under way stays in doubt, as its order is not marked.
    may_open="NOT coalesce(orders.state = 'intended' AND orders.owner IN (TABLE longcat_sending), FALSE)",
)


@frozen
class BatchRecord:
    """One batch, and how far all its workers together are.

    Attributes:
        batch: its number.
        gateway: the gateway's base URL.
        registered: when it was registered, by the server's clock.
        lines: how many lines it has.
        done: how many of them are done; `failed` and `unknown` likewise.
        spent: what all orders of the lines cost so far, at most, in US dollars.
        workers: those who are alive, the earliest first. Only `LineTable.progress` tells them.
    """

    batch: int
    gateway: str
    registered: datetime
    lines: int
    done: int
    failed: int
    unknown: int
    spent: Decimal
    workers: Sequence[WorkerRecord] = ()

    @property
    def open(self) -> int:
        """The number of lines that are not over yet."""
        return self.lines - self.done - self.failed - self.unknown


def read_batches(db: Any, batch: int = 0) -> list[BatchRecord]:
    """Return a batch, or all of them, the first that was registered first. 0: all."""
    return [BatchRecord(*(*row[:-1], to_dollars(row[-1]))) for row in db.execute(BATCH_RECORDS, [batch])]


def is_stuck(db: Any, batch: int) -> bool:
    """Whether lines of a batch are open that nobody has and nobody can claim."""
    return bool(db.execute(IS_STUCK, [batch] * 3).fetchone()[0])

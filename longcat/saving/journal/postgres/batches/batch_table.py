"""All batches in a journal on PostgreSQL, of all gateways: counted, told line by line, and opened again."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Final

from attrs import frozen

from longcat.saving.journal.database import Database, Statements, as_bytes
from longcat.saving.journal.postgres.batches import records, workers
from longcat.saving.journal.postgres.batches.line_table import export_lines
from longcat.saving.journal.postgres.batches.records import REOPEN_FAILED, REOPEN_UNKNOWN, BatchRecord
from longcat.saving.journal.postgres.batches.registration import LOCK_BATCHES
from longcat.saving.journal.postgres.batches.workers import WorkerRecord
from longcat.saving.journal.postgres.owners import orders_under_way
from longcat.saving.journal.states import (
    COST,
    FAILED_MARK,
    JOIN_REQUEST,
    ORDER_STATE,
    REQUEST_STATE,
    STATES,
    WITHOUT_ORDER,
    ExportRow,
    OrdersUnderWay,
)

WITHOUT_LINE: Final = """
AND NOT EXISTS (
    SELECT FROM longcat_line JOIN longcat_batch USING (batch)
    WHERE longcat_batch.gateway = orders.gateway AND longcat_line.key = orders.key
)"""
# OFFSET has the lines compared first, as mostly no order is left.
ORDERS_WITHOUT_LINE: Final = f"""(
    SELECT gateway, key, owner, state, request_id, cost, in_doubt, message FROM orders WHERE TRUE {WITHOUT_LINE}
    OFFSET 0
) AS orders"""  # noqa: S608 - a text of ours.
# A line that several batches have is one order, which stands as the line that got furthest does.
COUNT_LINES: Final = f"""
SELECT state, count(*) FROM (
    SELECT (ARRAY{[*STATES]})[min(array_position(ARRAY{[*STATES]}, line.state))] AS state
    FROM longcat_line AS line JOIN longcat_batch USING (batch) GROUP BY gateway, key
) AS counted GROUP BY state"""  # noqa: S608 - likewise.
# Nearly all requests have one picture. To gather those of the few others alone takes a third of the time.
JOIN_PICTURES: Final = """
LEFT JOIN (
    SELECT gateway, request_id, array_remove(one.path || more.paths, NULL) AS path
    FROM (SELECT gateway, request_id, path FROM picture WHERE number = 1) AS one FULL JOIN (
        SELECT gateway, request_id, array_agg(path ORDER BY number) AS paths
        FROM picture WHERE number <> 1 GROUP BY gateway, request_id
    ) AS more USING (gateway, request_id)
) AS picture ON picture.gateway = request.gateway AND picture.request_id = request.request_id"""
OTHER_ORDERS: Final = f"""
SELECT orders.content, orders.request_id, coalesce({ORDER_STATE}, {REQUEST_STATE}), {COST},
    coalesce(request.error, orders.message), picture.path
FROM orders {JOIN_REQUEST} {JOIN_PICTURES}
WHERE orders.key NOT LIKE ? {WITHOUT_LINE}"""  # noqa: S608 - a text of ours.
OTHER_REQUESTS: Final = f"""
SELECT NULL, request.request_id, {REQUEST_STATE}, 0, request.error, picture.path
FROM request {JOIN_PICTURES} {WITHOUT_ORDER}"""  # noqa: S608 - a text of ours.
COUNT_FAILED: Final = """
SELECT count(*), coalesce(sum(price), 0)::BIGINT FROM (
    SELECT max(price) AS price FROM longcat_line AS line JOIN longcat_batch USING (batch)
    WHERE state = 'failed' GROUP BY gateway, key
) AS counted"""
# The database may not know yet how many lines have failed. To look up 100,000 orders one by one takes 15 seconds.
READ_WHOLE_TABLES: Final = "SET LOCAL enable_nestloop = off"
# The orders of failed lines get other keys, so that the lines are ordered anew. An order whose request was completed
# after all keeps its key, so that it is not paid for twice. So does one with the key of a line, but of another request.
RENAME_FAILED: Final = """
UPDATE orders SET key = key || CAST(? AS TEXT) || request_id
WHERE state = 'taken' AND (gateway, key, request_id) IN (
    SELECT longcat_batch.gateway, line.key, line.request_id FROM longcat_line AS line JOIN longcat_batch USING (batch)
    WHERE line.state = 'failed' AND line.request_id IS NOT NULL
) AND NOT EXISTS (
    SELECT FROM request
    WHERE request.gateway = orders.gateway AND request.request_id = orders.request_id AND outcome = 'completed'
)"""


@frozen(eq=False)
class BatchTable:
    """All batches of a journal. Every method may block, and raises JournalError.

    Attributes:
        without_line: for a statement about orders, the condition that an order is that of no line.
        orders_without_line: what stands for the table of orders in a statement about those.
    """

    _database: Database
    without_line: ClassVar = WITHOUT_LINE
    orders_without_line: ClassVar = ORDERS_WITHOUT_LINE

    def records(self, db: Statements) -> list[BatchRecord]:
        """Return all batches, the first that was registered first."""
        return records.read_batches(db)

    def workers(self, db: Statements) -> list[WorkerRecord]:
        """Return who works, or worked, on a batch, the earliest first."""
        return workers.read_workers(db)

    def export(self) -> Iterator[str]:
        """Yield the lines of all batches, as `JournalContents.export` does."""
        with self._database.using() as db:
            batches = self.records(db)
        for batch in batches:
            yield from export_lines(self._database, batch.batch)

    def orders(self) -> Iterator[ExportRow]:
        """Yield the orders that are no lines."""
        with self._database.cursor(OTHER_ORDERS, [f"%{FAILED_MARK}%"]) as rows:
            yield from rows

    def requests(self) -> Iterator[ExportRow]:
        """Yield the requests that were ordered elsewhere."""
        with self._database.cursor(OTHER_REQUESTS, []) as rows:
            yield from rows

    def under_way(self, db: Statements) -> OrdersUnderWay:
        """Return which orders may be under way, though nobody who is alive sends them."""
        return orders_under_way(db)

    def count_lines(self, db: Statements, batches: Sequence[BatchRecord]) -> Counter[str]:
        """Count the orders of the lines of these batches, which are all, by how they stand. Each counts once."""
        if len(batches) == 1:  # Its lines are different orders, and were counted as they ended.
            return Counter({state: getattr(batches[0], state) for state in STATES})
        return Counter(dict(db.execute(COUNT_LINES).fetchall()))

    def count_failed(self, db: Statements) -> Any:
        """Return how many orders of lines have failed, and what they cost at most, as it is stored."""
        return db.execute(COUNT_FAILED).fetchone()

    @contextmanager
    def within_caps(self, db: Statements) -> Iterator[None]:
        """Raise ConfigurationError when lines are opened in the block that could cost more than a worker allows.

        Nobody else registers a batch, or opens lines, before the transaction ends.
        """
        db.execute(LOCK_BATCHES)
        with workers.within_caps(db):
            yield

    def reopen_failed(self, db: Statements) -> None:
        """Open the lines that have failed, so that a worker claims them. Their orders get other keys."""
        db.execute(READ_WHOLE_TABLES)
        db.execute(RENAME_FAILED, [as_bytes(FAILED_MARK)])
        db.execute(REOPEN_FAILED, [0])

    def reopen_unknown(self, db: Statements) -> None:
        """Open the lines that are in doubt, so that a worker claims them."""
        db.execute(READ_WHOLE_TABLES)
        db.execute(REOPEN_UNKNOWN, [0])

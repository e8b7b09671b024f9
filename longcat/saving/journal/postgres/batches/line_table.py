"""The lines of the batches that many machines work on together: registered once, claimed in lots, ended in groups.

A worker that has claimed a line may work on it, but the table of orders alone decides whether its order may be sent.
The line stays with the worker until it ends the line, leaves, or is gone. Then another worker claims the line, and the
table of orders tells it what was ordered already.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

from attrs import evolve, field, frozen

from longcat.errors import JournalError
from longcat.models import OrderRequest
from longcat.saving.journal.batch_plan import BatchPlan
from longcat.saving.journal.database import Database
from longcat.saving.journal.manifest import manifest_line, stored_files
from longcat.saving.journal.money import to_dollars, to_units
from longcat.saving.journal.order_table import RESTORE, read_order
from longcat.saving.journal.postgres.batches import records, workers
from longcat.saving.journal.postgres.batches.records import BatchRecord
from longcat.saving.journal.postgres.batches.registration import Registration
from longcat.saving.journal.states import IS_MARKED
from longcat.waiting.order_store import AGAIN, order_name

CLAIM_LINES: Final = f"""
WITH free AS (
    SELECT batch, number FROM longcat_line WHERE batch = ? AND state = 'open' AND {{whose}}
    ORDER BY number LIMIT ? FOR UPDATE SKIP LOCKED
)
UPDATE longcat_line AS line SET owner = ?, was_left = FALSE FROM free
WHERE line.batch = free.batch AND line.number = free.number
RETURNING line.number, key, content, coalesce((
    SELECT coalesce(orders.in_doubt, 0)
        + CASE WHEN {IS_MARKED} THEN orders.cost ELSE 0 END
    FROM longcat_orders AS orders WHERE orders.gateway = ? AND orders.key = line.key
), 0)"""  # noqa: S608 - a text of ours.
CLAIM_FREE: Final = CLAIM_LINES.format(whose="owner IS NULL AND number > ?")
CLAIM_LEFT: Final = CLAIM_LINES.format(whose="owner = ANY(?)")
# A line that is left open stays with its worker. A line that another worker has taken over is ended by that one, with
# two exceptions. If it is done, its order was taken, whoever sent it, and nothing is left to do. If the other worker
# has found its order in doubt, as the sender was cut off, what the sender says counts; but not while the order is still
# in doubt, as the other worker may have sent it, too. The rows are locked first, so that their former states are known.
END_LINES: Final = """
WITH ended AS MATERIALIZED (
    SELECT * FROM unnest(?::INTEGER[], ?::TEXT[], ?::TEXT[], ?::TEXT[], ?::BIGINT[], ?::TEXT[])
        AS ended (number, state, request_id, files, cost, error)
), former AS MATERIALIZED (
    SELECT number, state, owner, cost FROM longcat_line
    WHERE batch = ? AND number IN (SELECT number FROM ended) ORDER BY number FOR UPDATE
)
UPDATE longcat_line AS line
SET state = ended.state, owner = CASE WHEN ended.state = 'open' THEN ? END,
    request_id = ended.request_id, files = ended.files, cost = ended.cost, error = ended.error
FROM ended JOIN former USING (number)
WHERE line.batch = ? AND line.number = ended.number AND (
    former.state = 'open' AND (former.owner IS NULL OR former.owner = ? OR ended.state = 'done')
    OR former.state = 'unknown' AND ended.state IN ('done', 'failed') AND NOT EXISTS (
        SELECT FROM longcat_orders AS orders WHERE gateway = ? AND orders.key = line.key AND orders.state <> 'taken'
    )
)
RETURNING line.state, line.cost, former.state, former.cost"""
GIVE_BACK_REST: Final = """
UPDATE longcat_line SET owner = NULL, was_left = TRUE
WHERE batch = ? AND owner = ? AND state = 'open' AND number <> ALL (?::INTEGER[])"""
GIVE_BACK: Final = "UPDATE longcat_line SET owner = NULL, was_left = TRUE WHERE owner = ?"
LOCK_BATCH: Final = "SELECT FROM longcat_batch WHERE batch = ? FOR UPDATE"
UNCOUNT_DOUBT: Final = "UPDATE longcat_batch SET unknown = unknown - ?, spent = spent - ? WHERE batch = ?"
# Mostly few lines are open. OFFSET keeps the others from being joined, and sorted anew, with all that they hold.
EXPORT: Final = """
SELECT line.content, coalesce(line.request_id, orders.request_id), line.state, files,
    CASE WHEN line.request_id IS NULL THEN coalesce(orders.cost + coalesce(orders.in_doubt, 0), line.cost)
        ELSE line.cost END, error
FROM longcat_line AS line JOIN longcat_batch USING (batch)
LEFT JOIN LATERAL (
    SELECT * FROM orders
    WHERE line.state = 'open' AND orders.gateway = longcat_batch.gateway AND orders.key = line.key OFFSET 0
) AS orders ON TRUE
WHERE batch = ? ORDER BY number"""


@frozen
class ClaimedLine:
    """A line that is ours to work on.

    Attributes:
        number: which line of the file it is; with the batch, it names the line.
        key: names the order in the journal.
        order: what is ordered.
        cost_before: what the order may have cost already, in US dollars, when it was sent before and is in doubt.
    """

    number: int
    key: str
    order: OrderRequest
    cost_before: Decimal = Decimal(0)


@frozen
class LineOutcome:
    """The result of a line that was claimed.

    Attributes:
        number: which line it is.
        state: `done`, `failed` or `unknown`; or `open`, when nothing more will come of it in this run: it stays this
            worker's, so that it is not claimed at once again, until the worker leaves.
        cost: what it costs at most, in US dollars.
        request_id: the request that came of it. None: none is known.
        files: what its pictures are called, as in the manifest.
        error: what went wrong. None: nothing did.
    """

    number: int
    state: str
    cost: Decimal
    request_id: str | None = None
    files: Sequence[str] = ()
    error: str | None = None


@frozen(eq=False)
class LineTable:
    """The batches of one gateway in a journal on PostgreSQL: `Journal.lines(gateway)`.

    Threads may share it. Every method may block, and raises JournalError; one that says `locked` when the connection
    was lost, or another program holds the rows. Call it again then: nothing is done twice, and nothing left behind.
    """

    _database: Any
    _gateway: str
    _owner: str
    _position: dict[int, int] = field(factory=dict, init=False, repr=False)
    """For each batch, up to which number this worker has looked for free lines."""
    _claimed: dict[int, set[int]] = field(factory=lambda: defaultdict(set), init=False, repr=False)
    """For each batch, which lines this worker was told that it has claimed, and has not ended."""
    _unsure: set[int] = field(factory=set, init=False, repr=False)
    """The batches whose last claim may have been made, though its answer was lost."""

    def register(  # noqa: PLR0913 - all but two are keywords.
        self,
        digest: str,
        orders: Callable[[], Iterable[tuple[int, OrderRequest]]],
        *,
        source: str,
        row: str = "line",
        check: Callable[[BatchPlan], object] = lambda _: None,
        max_cost: Decimal | None = None,
        resubmit_unknown: bool = False,
        dry_run: bool = False,
    ) -> int:
        """Register a batch unless it is, take part in it, and return its number, by which the other methods know it.

        All of it is one transaction: when something raises, nothing is registered. Of several workers that come at
        once, one registers, and the others wait for it. A million lines take some 30 seconds, and no memory.

        Args:
            digest: names the batch: the SHA-256, in hex, of all that makes two runs the same batch.
            orders: called once, and only if the batch is new: yields the checked orders, each with the number of its
                line in the file, in rising order. It may raise.
            source: what the file is called in errors.
            row: what one of its rows is called there.
            check: called once with what would be sent. It may raise, for example when that would cost too much.
            max_cost: what all orders to the gateway may cost, in US dollars, as long as this worker is at work: nobody
                may open lines that could cost more. None: anything.
            resubmit_unknown: whether lines in doubt are opened again, and their orders are sent once more, by whichever
                worker claims them. Lines that come to be in doubt later are not sent again.
            dry_run: whether to change nothing in the end. The number that is returned then means nothing.

        Raises:
            ConfigurationError: one id stands for two different orders, in the file or in the journal; or there is no
                order.
        """
        with self._database.durable() as db:
            registration, is_new = Registration.begin(self._database, db, self._gateway, digest)
            if is_new:
                registration.fill(orders(), source, row)
            check(registration.plan(self._owner, resubmit_unknown=resubmit_unknown))
            if dry_run:
                registration.undo()
                return registration.batch
            if resubmit_unknown:
                registration.resubmit_unknown()
            workers.give_sign(db, self._owner, registration.batch)
            workers.set_cap(db, self._owner, max_cost)
            return registration.batch

    def claim(self, batch: int, count: int) -> list[ClaimedLine]:
        """Claim so many open lines at most, those of workers that are gone first, and return them in their order.

        An empty list says that there is nothing to claim now: what is open is with others, or was tried by this worker
        already. It may change when a worker leaves or is gone; `progress` tells.
        """
        try:
            with self._database.durable() as db:
                rows = self._claim(db, batch, count)
        except JournalError:
            self._unsure.add(batch)
            raise
        self._unsure.discard(batch)
        self._claimed[batch].update(number for number, *_ in rows)
        with self._database.trusting(f"A line of batch {batch}", RESTORE):
            return [self._read_line(*row) for row in sorted(rows)]

    def end(self, batch: int, outcomes: Sequence[LineOutcome]) -> None:
        """Keep what came of lines, in one transaction. Lines that another worker has taken over are left alone.

        A line that is done is so, whoever has it. One that another worker has found in doubt is not any more, when it
        is done or has failed and its order is in no doubt; the counts of the batch follow, those of that worker stay.
        """
        # Durable, as a claim is. If a crash of the server opened a line again, nobody would take it: its owner, who is
        # alive, believes that it is over.
        columns = zip(*map(_as_row, outcomes), strict=True) if outcomes else [[]] * 6
        with self._database.durable() as db:
            values = [*map(list, columns), batch, self._owner, batch, self._owner, self._gateway]
            ended = db.execute(END_LINES, values).fetchall()
            workers.add_counts(db, self._owner, [(state, units) for state, units, *_ in ended if state != "open"])
            doubted = [units for *_, former, units in ended if former == "unknown"]
            if doubted:
                db.execute(UNCOUNT_DOUBT, [len(doubted), sum(doubted), batch])
        self._claimed[batch].difference_update(one.number for one in outcomes if one.state != "open")

    def leave(self, batch: int) -> bool:
        """Give back what is not over, and return whether this worker is the last one: nobody else is at the batch.

        Of several workers that leave at once, one at least is told that it is the last.
        """
        with self._database.transaction() as db:
            db.execute(LOCK_BATCH, [batch])  # One leaves after the other, so that the last one knows that it is.
            db.execute(GIVE_BACK, [self._owner])
            workers.note_left(db, self._owner)
            return not any(worker.is_alive for worker in workers.read_workers(db, batch))

    def progress(self, batch: int) -> BatchRecord:
        """Return how far all workers together are. It costs some milliseconds, however many lines there are."""
        with self._database.transaction() as db:
            workers.add_counts(db, self._owner, [])
            (record,) = records.read_batches(db, batch)
            return evolve(record, workers=[one for one in workers.read_workers(db, batch) if one.is_alive])

    def is_stuck(self, batch: int) -> bool:
        """Whether lines are open that nobody has and nobody can claim, as another program altered the journal."""
        with self._database.using() as db:
            return records.is_stuck(db, batch)

    def export(self, batch: int) -> Iterator[str]:
        """Yield what is known of each line, in the order of the file, as JSON with the fields of `OrderLine.as_object`.

        It reads from a cursor of the server's, within a transaction, so memory stays flat. No other thread can use the
        journal meanwhile.
        """
        return export_lines(self._database, batch)

    def _claim(self, db: Any, batch: int, count: int) -> list[Any]:
        """Claim lines. If the answer to the last claim was lost, its lines are given back first."""
        workers.give_sign(db, self._owner, batch)
        if batch in self._unsure:
            db.execute(GIVE_BACK_REST, [batch, self._owner, [*self._claimed[batch]]])
        rows, whose = [], [self._owner, self._gateway]
        if gone := workers.find_gone(db, self._owner, batch):
            rows += db.execute(CLAIM_LEFT, [batch, gone, count, *whose]).fetchall()
            if not rows:
                workers.forget_gone(db, gone)
        while len(rows) < count:
            after = self._position.get(batch, 0)
            free = db.execute(CLAIM_FREE, [batch, after, count - len(rows), *whose]).fetchall()
            self._position[batch] = max((number for number, *_ in free), default=0)
            rows += free
            if not after:  # It has looked at all of them.
                break
        return rows

    def _read_line(self, number: int, key: str, content: str, units: int) -> ClaimedLine:
        """Return a line that was claimed. Raises ValueError or the like when it was altered."""
        order = read_order(content)
        name = self._database.stored_key(order_name(order))
        if key != name and not key.startswith(f"{name}{AGAIN}"):
            raise ValueError("no order has this key")
        return ClaimedLine(number, key, order, to_dollars(units))


def _as_row(outcome: LineOutcome) -> tuple[int, str, str | None, str | None, int, str | None]:
    files = json.dumps([*outcome.files]) if outcome.files else None
    return outcome.number, outcome.state, outcome.request_id, files, to_units(outcome.cost), outcome.error


def export_lines(database: Database, batch: int) -> Iterator[str]:
    """Yield what is known of each line of a batch, as `LineTable.export` does."""
    with database.cursor(EXPORT, [batch]) as rows:
        for content, request_id, state, files, units, error in rows:
            yield manifest_line(content, request_id, state, stored_files(files), units, error)

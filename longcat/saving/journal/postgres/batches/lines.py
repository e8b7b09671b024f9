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

from attrs import field, frozen

from longcat.errors import ConfigurationError, JournalError
from longcat.gateway.orders import cost
from longcat.models import OrderRequest
from longcat.saving.journal.database import Database
from longcat.saving.journal.manifest import manifest_line, stored_files
from longcat.saving.journal.money import to_dollars, to_units
from longcat.saving.journal.orders import MARK, RESTORE, SPENT, read_order, write_order
from longcat.saving.journal.plan import BatchPlan
from longcat.saving.journal.postgres.batches import workers
from longcat.saving.journal.postgres.batches.workers import WorkerRecord
from longcat.saving.journal.postgres.owners import orders_under_way
from longcat.saving.journal.states import COST, REQUEST
from longcat.waiting.store import AGAIN, another_order, order_name

# One batch is registered at a time, so that no two together cost more than each may.
LOCK_BATCHES: Final = "LOCK TABLE longcat_batch IN SHARE ROW EXCLUSIVE MODE"
KNOWN_BATCH: Final = "SELECT batch FROM longcat_batch WHERE gateway = ? AND digest = ?"
REGISTER: Final = "INSERT INTO longcat_batch (gateway, digest) VALUES (?, ?) RETURNING batch"
COPY: Final = "COPY longcat_line (batch, number, key, pictures, price, content) FROM STDIN"
COUNTED: Final = "UPDATE longcat_batch SET lines = ? WHERE batch = ?"
REPEATED: Final = """
WITH repeated AS MATERIALIZED (SELECT key FROM longcat_line WHERE batch = ? GROUP BY key HAVING count(*) > 1)"""
# Parts of an order as `write_order` writes it. No quote in a prompt is bare, and options are numbers and known words.
PROMPT: Final = """split_part({}, '", "options": ', 1)"""
OPTIONS: Final = """split_part(split_part({}, '", "options": ', 2), ', "id": ', 1)::jsonb"""


def _differ(one: str, other: str) -> str:
    """Return the condition that two orders have different fields, by value: 1 is 1.0, as for `OrderRequest.body`.

    Prompts are compared as they are written, in ASCII: jsonb can't hold all of their characters.
    """
    parts = (f"{part.format(one)} <> {part.format(other)}" for part in (PROMPT, OPTIONS))
    return f"CASE WHEN {one} = {other} THEN FALSE ELSE {' OR '.join(parts)} END"


CONFLICT: Final = f"""{REPEATED}
SELECT number, first FROM (
    SELECT number, content, first_value(number) OVER same AS first, first_value(content) OVER same AS first_content
    FROM longcat_line JOIN repeated USING (key) WHERE batch = ?
    WINDOW same AS (PARTITION BY key ORDER BY number)
) AS compared
WHERE {_differ("content", "first_content")} ORDER BY number LIMIT 1"""  # noqa: S608 - a text of ours.
NUMBER_REPEATED: Final = f"""{REPEATED}
UPDATE longcat_line AS line SET key = line.key || ? || place
FROM (
    SELECT number, row_number() OVER (PARTITION BY key ORDER BY number) AS place
    FROM longcat_line JOIN repeated USING (key) WHERE batch = ?
) AS placed
WHERE line.batch = ? AND line.number = placed.number AND place > 1"""  # noqa: S608 - likewise.
# Which of the lines are ordered already, and the first one of which something else was.
FIND_ORDERED: Final = f"""
WITH ordered AS (
    UPDATE longcat_line AS line SET was_left = TRUE
    FROM orders WHERE line.batch = ? AND orders.gateway = ? AND orders.key = line.key
    RETURNING number, line.key, {_differ("line.content", "orders.content")} AS differs
)
SELECT key FROM ordered WHERE differs ORDER BY number LIMIT 1"""  # noqa: S608 - a text of ours.
ANALYZE: Final = "ANALYZE longcat_line"
SURVEY: Final = """
SELECT count(*), count(*) FILTER (WHERE is_new), coalesce(sum(pictures) FILTER (WHERE is_new), 0)::BIGINT,
    coalesce(sum(price) FILTER (WHERE is_new), 0)::BIGINT, count(*) FILTER (WHERE in_doubt)
FROM (
    SELECT pictures, price, doubt.in_doubt,
        doubt.in_doubt AND ? OR line.state = 'open' AND (orders.key IS NULL OR is_marked) AS is_new
    FROM longcat_line AS line
    LEFT JOIN longcat_orders AS orders ON orders.gateway = ? AND orders.key = line.key
    CROSS JOIN LATERAL (
        SELECT coalesce(orders.state = 'unknown' AND starts_with(orders.message, ?), FALSE) AS is_marked
    ) AS mark
    CROSS JOIN LATERAL (
        SELECT NOT is_marked AND coalesce(
            orders.state = 'unknown' OR orders.state = 'intended' AND orders.owner NOT IN (TABLE longcat_sending), FALSE
        ) AS in_doubt
    ) AS doubt
    WHERE batch = ?
) AS line"""
# All at one moment: what is ordered meanwhile counts once.
PLAN: Final = f"""
SELECT * FROM ({SURVEY}) AS survey, ({SPENT}) AS spent,
    ({workers.TO_ORDER.format(but="?", gateway="?")}) AS elsewhere, ({workers.LOWEST_CAP}) AS cap"""  # noqa: S608 - texts of ours.

CLAIM: Final = """
WITH free AS (
    SELECT batch, number FROM longcat_line WHERE batch = ? AND state = 'open' AND {whose}
    ORDER BY number LIMIT ? FOR UPDATE SKIP LOCKED
)
UPDATE longcat_line AS line SET owner = ?, was_left = FALSE FROM free
WHERE line.batch = free.batch AND line.number = free.number
RETURNING line.number, key, content, coalesce((
    SELECT coalesce(orders.in_doubt, 0)
        + CASE WHEN orders.state = 'unknown' AND starts_with(orders.message, ?) THEN orders.cost ELSE 0 END
    FROM longcat_orders AS orders WHERE orders.gateway = ? AND orders.key = line.key
), 0)"""
CLAIM_FREE: Final = CLAIM.format(whose="owner IS NULL AND number > ?")
CLAIM_LEFT: Final = CLAIM.format(whose="owner = ANY(?)")
# A line that is left open stays with its worker. One that another worker has taken over is that one's to end, unless it
# is done: then its order was taken, whoever sent it, and nothing is left to do. If the other one has found its order in
# doubt, because its sender was cut off, what the sender says counts, unless the order is in doubt still: the other one
# may have sent it as well. The rows are locked first, so that what they were is known.
END: Final = """
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
ALONE: Final = "SELECT FROM longcat_batch WHERE batch = ? FOR UPDATE"
# What lines cost that are over was counted when they ended. That of open ones is what their orders cost so far.
COUNTS: Final = f"""
coalesce(sum(worker.done), 0)::BIGINT AS done, (batch.failed + coalesce(sum(worker.failed), 0))::BIGINT AS failed,
(batch.unknown + coalesce(sum(worker.unknown), 0))::BIGINT AS unknown,
(batch.spent + coalesce(sum(worker.spent), 0) + (
    SELECT coalesce(sum({COST}), 0) FROM longcat_line AS line
    JOIN orders ON orders.gateway = batch.gateway AND orders.key = line.key {REQUEST}
    WHERE line.batch = batch.batch AND line.state = 'open' AND (line.owner IS NOT NULL OR line.was_left)
))::BIGINT AS spent"""  # noqa: S608 - a text of ours.
"""How many lines of a batch are done, failed and in doubt, and what all of them cost so far, of its grouped workers."""
PROGRESS: Final = f"""
SELECT lines, {COUNTS}
FROM longcat_batch AS batch LEFT JOIN longcat_worker AS worker USING (batch) WHERE batch = ? GROUP BY batch"""  # noqa: S608
# Lines are open, by the counts, and none is free, nor with a worker that will end it or is gone.
IS_STUCK: Final = f"""
SELECT lines > done + failed + unknown
    AND NOT EXISTS (SELECT FROM longcat_line WHERE batch = ? AND state = 'open' AND owner IS NULL)
    AND NOT EXISTS (
        SELECT FROM longcat_line AS line JOIN longcat_worker AS worker ON token = owner
        WHERE line.batch = ? AND state = 'open' AND worker.batch = line.batch AND NOT has_left
    )
FROM ({PROGRESS}) AS batch"""  # noqa: S608 - a text of ours.
# Who sends it uses the mark up, so that it is sent once, whichever worker does. What a living one sends is left alone.
RESUBMIT: Final = """
UPDATE longcat_orders AS orders SET
    message = CAST(? AS TEXT) || CASE orders.state WHEN 'unknown' THEN coalesce(message, '') ELSE '' END,
    state = 'unknown', owner = NULL, noted = ?
FROM longcat_line AS line
WHERE line.batch = ? AND orders.gateway = ? AND orders.key = line.key AND (
    orders.state = 'unknown' AND NOT starts_with(coalesce(message, ''), ?)
    OR orders.state = 'intended' AND orders.owner NOT IN (TABLE longcat_sending)
)"""
NO_DOUBT: Final = "UPDATE longcat_batch SET unknown = unknown - ?, spent = spent - ? WHERE batch = ?"
# Of the batch with this number, or of all: 0. What the order of a line has cost is counted with the line as long as it
# is that of the line; where the order got another key, its cost stays in the sum of the batch.
REOPEN: Final = """
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
REOPEN_FAILED: Final = REOPEN.format(state="failed", is_counted="orders.request_id = line.request_id", may_open="TRUE")
REOPEN_UNKNOWN: Final = REOPEN.format(
    state="unknown",
    is_counted="TRUE",
    # A line whose order may be under way stays in doubt, as its order is not marked.
    may_open="NOT coalesce(orders.state = 'intended' AND orders.owner IN (TABLE longcat_sending), FALSE)",
)
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
    """What came of a line that was claimed.

    Attributes:
        number: which line it is.
        state: `done`, `failed` or `unknown`; or `open`, when nothing more will come of it in this run: it stays this
            worker's, so that it is not claimed at once again, until the worker leaves.
        request_id: the request that came of it. None: none is known.
        files: what its pictures are called, as in the manifest.
        cost: what it costs at most, in US dollars.
        error: what went wrong. None: nothing did.
    """

    number: int
    state: str
    request_id: str | None = None
    files: Sequence[str] = ()
    cost: Decimal = Decimal(0)
    error: str | None = None


@frozen
class BatchProgress:
    """How far all workers together are with a batch.

    Attributes:
        lines: how many there are.
        done: how many of them are done; `failed` and `unknown` likewise.
        spent: what all orders of the lines cost so far, at most, in US dollars.
        workers: those who are alive, this one among them, the longest at it first.
    """

    lines: int
    done: int
    failed: int
    unknown: int
    spent: Decimal
    workers: Sequence[WorkerRecord] = ()

    @property
    def open(self) -> int:
        """How many lines are not over yet."""
        return self.lines - self.done - self.failed - self.unknown


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
                worker claims them. What comes to be in doubt later is not sent again.
            dry_run: whether to change nothing in the end. The number that is returned then means nothing.

        Raises:
            ConfigurationError: one id stands for two different orders, in the file or in the journal; or there is no
                order.
        """
        with self._database.durable() as db:
            db.execute(LOCK_BATCHES)
            db.execute("SAVEPOINT registering")
            known = db.execute(KNOWN_BATCH, [self._gateway, digest]).fetchone()
            (batch,) = known or db.execute(REGISTER, [self._gateway, digest]).fetchone()
            if known is None:
                self._fill(db, batch, orders(), source, row)
            check(self._plan(db, batch, resubmit_unknown=resubmit_unknown))
            if dry_run:
                db.execute("ROLLBACK TO SAVEPOINT registering")
                return int(batch)
            if resubmit_unknown:
                db.execute(RESUBMIT, [MARK, self._database.now(), batch, self._gateway, MARK])
                db.execute(REOPEN_UNKNOWN, [batch])
            workers.sign(db, self._owner, batch)
            workers.cap(db, self._owner, max_cost)
            return int(batch)

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
        """Keep what came of lines, in one transaction. What another worker has taken over meanwhile is left alone.

        A line that is done is so, whoever has it. One that another worker has found in doubt is not any more, when it
        is done or has failed and its order is in no doubt; the counts of the batch follow, those of that worker stay.
        """
        # Durable, as a claim is. If a crash of the server opened a line again, nobody would take it: its owner, who is
        # alive, believes that it is over.
        columns = zip(*map(_as_row, outcomes), strict=True) if outcomes else [[]] * 6
        with self._database.durable() as db:
            values = [*map(list, columns), batch, self._owner, batch, self._owner, self._gateway]
            ended = db.execute(END, values).fetchall()
            workers.count(db, self._owner, [(state, units) for state, units, *_ in ended if state != "open"])
            doubted = [units for *_, former, units in ended if former == "unknown"]
            if doubted:
                db.execute(NO_DOUBT, [len(doubted), sum(doubted), batch])
        self._claimed[batch].difference_update(one.number for one in outcomes if one.state != "open")

    def leave(self, batch: int) -> bool:
        """Give back what is not over, and return whether this worker is the last one: nobody else is at the batch.

        Of several workers that leave at once, one at least is told that it is the last.
        """
        with self._database.transaction() as db:
            db.execute(ALONE, [batch])  # One leaves after the other, so that the last one knows that it is.
            db.execute(GIVE_BACK, [self._owner])
            workers.leave(db, self._owner)
            return not any(worker.is_alive for worker in workers.records(db, batch))

    def progress(self, batch: int) -> BatchProgress:
        """Return how far all workers together are. It costs some milliseconds, however many lines there are."""
        with self._database.transaction() as db:
            workers.count(db, self._owner, [])
            lines, done, failed, unknown, spent = db.execute(PROGRESS, [batch]).fetchone()
            alive = [worker for worker in workers.records(db, batch) if worker.is_alive]
        return BatchProgress(lines, done, failed, unknown, to_dollars(spent), alive)

    def is_stuck(self, batch: int) -> bool:
        """Whether lines are open that nobody has and nobody can claim, as another program altered the journal."""
        with self._database.using() as db:
            (is_stuck,) = db.execute(IS_STUCK, [batch] * 3).fetchone()
            return bool(is_stuck)

    def export(self, batch: int) -> Iterator[str]:
        """Yield what is known of each line, in the order of the file, as JSON with the fields of `OrderLine.as_object`.

        It reads from a cursor of the server's, within a transaction, so memory stays flat. No other thread can use the
        journal meanwhile.
        """
        return export_lines(self._database, batch)

    def _claim(self, db: Any, batch: int, count: int) -> list[Any]:
        """Claim lines. If the answer to the last claim was lost, its lines are given back first."""
        workers.sign(db, self._owner, batch)
        if batch in self._unsure:
            db.execute(GIVE_BACK_REST, [batch, self._owner, [*self._claimed[batch]]])
        rows, whose = [], [self._owner, MARK, self._gateway]
        if gone := workers.gone(db, self._owner, batch):
            rows += db.execute(CLAIM_LEFT, [batch, gone, count, *whose]).fetchall()
            if not rows:
                workers.forget(db, gone)
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

    def _fill(self, db: Any, batch: int, orders: Iterable[tuple[int, OrderRequest]], source: str, row: str) -> None:
        """Write the lines of a batch, and name their orders."""
        count = 0
        prices: dict[int, int] = {}
        with db.copy(COPY) as copy:
            for number, order in orders:
                pictures = order.pictures
                price = prices.get(pictures) or prices.setdefault(pictures, to_units(cost(order)))
                copy.write_row(
                    (batch, number, self._database.stored_key(order_name(order)), pictures, price, write_order(order))
                )
                count += 1
        if not count:
            raise ConfigurationError(f"There is no order in {source}. Write one {row} for each.")
        if found := db.execute(CONFLICT, [batch, batch]).fetchone():
            number, first = found
            name = row.capitalize()
            raise ConfigurationError(
                f"{name} {number} of {source}: {name} {first} has the same id, and orders something else. Change one of"
                " them."
            )
        db.execute(NUMBER_REPEATED, [batch, AGAIN, batch, batch])
        db.execute(COUNTED, [count, batch])
        db.execute(ANALYZE)  # What follows is planned for what is there now.
        if found := db.execute(FIND_ORDERED, [batch, self._gateway]).fetchone():
            raise another_order(*found)

    def _plan(self, db: Any, batch: int, *, resubmit_unknown: bool) -> BatchPlan:
        """Return what would be sent."""
        survey = [resubmit_unknown, self._gateway, MARK, batch]
        elsewhere = [batch, self._gateway, self._gateway]
        with self._database.trusting("The row of an order", RESTORE):
            values = [*survey, self._gateway, *elsewhere, self._gateway, self._owner]
            lines, new, pictures, price, in_doubt, spent, to_order, cap = db.execute(PLAN, values).fetchone()
            return BatchPlan(
                lines=lines,
                new=new,
                pictures=pictures,
                cost=to_dollars(price),
                in_doubt=in_doubt,
                spent=to_dollars(spent),
                elsewhere=to_dollars(to_order),
                cap=to_dollars(cap) if cap is not None else None,
                under_way=orders_under_way(db, self._gateway),
            )


def _as_row(outcome: LineOutcome) -> tuple[int, str, str | None, str | None, int, str | None]:
    files = json.dumps([*outcome.files]) if outcome.files else None
    return outcome.number, outcome.state, outcome.request_id, files, to_units(outcome.cost), outcome.error


def export_lines(database: Database, batch: int) -> Iterator[str]:
    """Yield what is known of each line of a batch, as `LineTable.export` does."""
    with database.cursor(EXPORT, [batch]) as rows:
        for content, request_id, state, files, units, error in rows:
            yield manifest_line(content, request_id, state, stored_files(files), units, error)

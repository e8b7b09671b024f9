"""Registers a batch: writes and compares its lines, and finds out what they would cost."""

from collections.abc import Iterable
from typing import Any, Final

from attrs import frozen

from longcat.errors import ConfigurationError
from longcat.gateway.order_fields import cost
from longcat.models import OrderRequest
from longcat.saving.journal.batch_plan import BatchPlan
from longcat.saving.journal.database import Database
from longcat.saving.journal.money import to_dollars, to_units
from longcat.saving.journal.order_table import RESTORE, SPENT, write_order
from longcat.saving.journal.postgres.batches import workers
from longcat.saving.journal.postgres.batches.records import REOPEN_UNKNOWN
from longcat.saving.journal.postgres.owners import orders_under_way
from longcat.saving.journal.states import IN_DOUBT, IS_MARKED, SET_MARK
from longcat.waiting.order_store import AGAIN, another_order, order_name

# One batch is registered at a time, so that no two together cost more than each may.
LOCK_BATCHES: Final = "LOCK TABLE longcat_batch IN SHARE ROW EXCLUSIVE MODE"
FIND_BATCH: Final = "SELECT batch FROM longcat_batch WHERE gateway = ? AND digest = ?"
ADD_BATCH: Final = "INSERT INTO longcat_batch (gateway, digest) VALUES (?, ?) RETURNING batch"
COPY_LINES: Final = "COPY longcat_line (batch, number, key, pictures, price, content) FROM STDIN"
SET_LINE_COUNT: Final = "UPDATE longcat_batch SET lines = ? WHERE batch = ?"
REPEATED: Final = """
WITH repeated AS MATERIALIZED (SELECT key FROM longcat_line WHERE batch = ? GROUP BY key HAVING count(*) > 1)"""
# Parts of an order as `write_order` writes it. No quote in a prompt is bare, and options are numbers and known words.
PROMPT: Final = """split_part({}, '", "options": ', 1)"""
ORDER_OPTIONS: Final = """split_part(split_part({}, '", "options": ', 2), ', "id": ', 1)::jsonb"""


def _differ(one: str, other: str) -> str:
    """Return the condition that two orders have different fields, by value: 1 is 1.0, as for `OrderRequest.body`.

    Prompts are compared as they are written, in ASCII: jsonb can't hold all of their characters.
    """
    parts = (f"{part.format(one)} <> {part.format(other)}" for part in (PROMPT, ORDER_OPTIONS))
    return f"CASE WHEN {one} = {other} THEN FALSE ELSE {' OR '.join(parts)} END"


FIND_CONFLICT: Final = f"""{REPEATED}
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
# Marks the lines that are ordered already, and finds the first one whose order has other contents.
FIND_ORDERED: Final = f"""
WITH ordered AS (
    UPDATE longcat_line AS line SET was_left = TRUE
    FROM orders WHERE line.batch = ? AND orders.gateway = ? AND orders.key = line.key
    RETURNING number, line.key, {_differ("line.content", "orders.content")} AS differs
)
SELECT key FROM ordered WHERE differs ORDER BY number LIMIT 1"""  # noqa: S608 - a text of ours.
ANALYZE: Final = "ANALYZE longcat_line"
IN_DOUBT_HERE: Final = IN_DOUBT.format(senders="TABLE longcat_sending")
SURVEY: Final = f"""
SELECT count(*), count(*) FILTER (WHERE is_new), coalesce(sum(pictures) FILTER (WHERE is_new), 0)::BIGINT,
    coalesce(sum(price) FILTER (WHERE is_new), 0)::BIGINT, count(*) FILTER (WHERE is_in_doubt)
FROM (
    SELECT pictures, price, is_in_doubt,
        is_in_doubt AND ? OR line.state = 'open' AND (orders.key IS NULL OR {IS_MARKED}) AS is_new
    FROM longcat_line AS line
    LEFT JOIN longcat_orders AS orders ON orders.gateway = ? AND orders.key = line.key
    CROSS JOIN LATERAL (SELECT coalesce({IN_DOUBT_HERE}, FALSE) AS is_in_doubt) AS doubt
    WHERE batch = ?
) AS line"""  # noqa: S608 - a text of ours.
# All at one moment: what is ordered meanwhile counts once.
PLAN: Final = f"""
SELECT * FROM ({SURVEY}) AS survey, ({SPENT}) AS spent,
    ({workers.TO_ORDER.format(but="?", gateway="?")}) AS elsewhere, ({workers.LOWEST_CAP}) AS cap"""  # noqa: S608 - texts of ours.
# The worker that sends an order removes its mark, so that only one sends it. Orders of living senders are left alone.
RESUBMIT_BATCH: Final = f"""
UPDATE longcat_orders AS orders SET {SET_MARK}
FROM longcat_line AS line
WHERE line.batch = ? AND orders.gateway = ? AND orders.key = line.key AND {IN_DOUBT_HERE}"""  # noqa: S608 - likewise.


@frozen
class Registration:
    """A batch, within the transaction in which a worker registers it or takes part in it.

    Attributes:
        database: the journal.
        db: the transaction.
        gateway: the gateway's base URL.
        batch: the number of the batch.
    """

    database: Database
    db: Any
    gateway: str
    batch: int

    @classmethod
    def begin(cls, database: Database, db: Any, gateway: str, digest: str) -> tuple["Registration", bool]:
        """Begin to register the batch with this digest, and return whether it is new.

        Nobody else registers a batch before the transaction ends.
        """
        db.execute(LOCK_BATCHES)
        db.execute("SAVEPOINT registering")
        known = db.execute(FIND_BATCH, [gateway, digest]).fetchone()
        (batch,) = known or db.execute(ADD_BATCH, [gateway, digest]).fetchone()
        return cls(database, db, gateway, batch), known is None

    def undo(self) -> None:
        """Undo all that was changed."""
        self.db.execute("ROLLBACK TO SAVEPOINT registering")

    def fill(self, orders: Iterable[tuple[int, OrderRequest]], source: str, row: str) -> None:
        """Write the lines, and name their orders. Raises ConfigurationError, as `LineTable.register` does.

        Args:
            orders: each with the number of its line in the file.
            source: what the file is called in errors.
            row: what one of its rows is called there.
        """
        count = 0
        prices: dict[int, int] = {}
        with self.db.copy(COPY_LINES) as copy:
            for number, order in orders:
                pictures = order.pictures
                price = prices.get(pictures) or prices.setdefault(pictures, to_units(cost(order)))
                key = self.database.stored_key(order_name(order))
                copy.write_row((self.batch, number, key, pictures, price, write_order(order)))
                count += 1
        if not count:
            raise ConfigurationError(f"There is no order in {source}. Write one {row} for each.")
        if found := self.db.execute(FIND_CONFLICT, [self.batch, self.batch]).fetchone():
            number, first = found
            name = row.capitalize()
            raise ConfigurationError(
                f"{name} {number} of {source}: {name} {first} has the same id, and orders something else. Change one of"
                " them."
            )
        self.db.execute(NUMBER_REPEATED, [self.batch, AGAIN, self.batch, self.batch])
        self.db.execute(SET_LINE_COUNT, [count, self.batch])
        self.db.execute(ANALYZE)  # So that PostgreSQL plans the next statements for the new lines.
        if found := self.db.execute(FIND_ORDERED, [self.batch, self.gateway]).fetchone():
            raise another_order(*found)

    def plan(self, owner: str, *, resubmit_unknown: bool) -> BatchPlan:
        """Return what would be sent. Raises JournalError when the row of an order was altered.

        Args:
            owner: the token of the worker that asks.
            resubmit_unknown: whether the orders in doubt are to be sent again.
        """
        survey = [resubmit_unknown, self.gateway, self.batch]
        elsewhere = [self.batch, self.gateway, self.gateway]
        with self.database.trusting("The row of an order", RESTORE):
            values = [*survey, self.gateway, *elsewhere, self.gateway, owner]
            lines, new, pictures, price, in_doubt, spent, to_order, cap = self.db.execute(PLAN, values).fetchone()
            return BatchPlan(
                lines=lines,
                new=new,
                pictures=pictures,
                cost=to_dollars(price),
                in_doubt=in_doubt,
                spent=to_dollars(spent),
                elsewhere=to_dollars(to_order),
                cap=to_dollars(cap) if cap is not None else None,
                under_way=orders_under_way(self.db, self.gateway),
            )

    def resubmit_unknown(self) -> None:
        """Open the lines that are in doubt, and mark their orders to be sent again."""
        self.db.execute(RESUBMIT_BATCH, [self.database.now(), self.batch, self.gateway])
        self.db.execute(REOPEN_UNKNOWN, [self.batch])

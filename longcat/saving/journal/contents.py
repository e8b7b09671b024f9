"""The contents of a journal, of all gateways: counted by state, told one by one, and opened to be ordered again."""

import json
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from decimal import Decimal
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, field, frozen

from longcat.saving.journal.database import Database, Statements, as_bytes, text_or_none
from longcat.saving.journal.manifest import files_of, manifest_line
from longcat.saving.journal.money import to_dollars
from longcat.saving.journal.order_table import MARK, RESTORE
from longcat.saving.journal.states import (
    COST,
    FAILED_MARK,
    IN_DOUBT,
    JOIN_REQUEST,
    ORDER_STATE,
    REQUEST_FAILED,
    REQUEST_STATE,
    SET_MARK,
    STATES,
    WITHOUT_ORDER,
    ExportRow,
    OrdersUnderWay,
)

if TYPE_CHECKING:
    from longcat.saving.journal.postgres.batches.batch_table import BatchTable
    from longcat.saving.journal.postgres.batches.records import BatchRecord
    from longcat.saving.journal.postgres.batches.workers import WorkerRecord

MAX_LISTED_DOUBTS: Final = 10
"""How many orders in doubt are told one by one."""

COUNT_BY_STATE: Final = f"""
{", ".join(f"count(*) FILTER (WHERE NOT was_opened AND stands = '{state}')" for state in STATES)},
count(*) FILTER (WHERE was_opened), CAST(coalesce(sum(units), 0) AS BIGINT)"""
"""How many orders there are in each of `STATES`, how many were opened again, and what all of them cost. As nothing is
grouped, nothing is sorted."""
# Of those that were taken, an index of SQLite has all that this reads, in the order of the requests. To look up a
# million rows in no order takes a hundred times as long where they are not in memory.
COUNT_TAKEN: Final = f"""
SELECT {COUNT_BY_STATE} FROM (
    SELECT {REQUEST_STATE} AS stands, orders.key LIKE ? AS was_opened, {COST} AS units
    FROM {{orders}} {JOIN_REQUEST}
    LEFT JOIN picture
        ON picture.gateway = orders.gateway AND picture.request_id = orders.request_id AND picture.number = 1
    WHERE orders.request_id IS NOT NULL
) AS taken"""  # noqa: S608 - a text of ours.
COUNT_OTHERS: Final = f"""
SELECT {ORDER_STATE} AS stands, orders.key LIKE ? AS was_opened, count(*),
    CAST(sum(coalesce(orders.in_doubt, 0) + orders.cost) AS BIGINT)
FROM {{orders}} WHERE orders.state <> 'taken' GROUP BY stands, was_opened"""  # noqa: S608 - a text of ours.
COUNT_REQUESTS: Final = f"""
SELECT {COUNT_BY_STATE} FROM (
    SELECT {REQUEST_STATE} AS stands, FALSE AS was_opened, 0 AS units
    FROM request
    LEFT JOIN picture ON picture.gateway = request.gateway AND picture.request_id = request.request_id
        AND picture.number = 1
    {WITHOUT_ORDER}
) AS elsewhere"""  # noqa: S608 - a text of ours.
GATEWAYS: Final = """
WITH RECURSIVE found (gateway) AS (
    SELECT min(gateway) FROM orders
    UNION ALL
    SELECT (SELECT min(gateway) FROM orders WHERE gateway > found.gateway) FROM found WHERE gateway IS NOT NULL
)
SELECT gateway FROM found WHERE gateway IS NOT NULL"""
# In two queries, and by that index, likewise: what is sorted is short, and every table is read from end to end.
ORDER_CONTENTS: Final = f"""
SELECT content, {ORDER_STATE}, message FROM orders WHERE gateway = ? AND key NOT LIKE ? ORDER BY key"""  # noqa: S608 - a text of ours.
TAKEN_ORDERS: Final = f"""
SELECT orders.key, orders.request_id, {REQUEST_STATE}, {COST}, request.error, picture.path
FROM orders INDEXED BY order_cost {JOIN_REQUEST}
LEFT JOIN picture ON picture.gateway = orders.gateway AND picture.request_id = orders.request_id
WHERE orders.gateway = ? AND orders.key NOT LIKE ? ORDER BY orders.key, picture.number"""  # noqa: S608 - a text of ours.
REQUESTS: Final = f"""
SELECT request.gateway || ' ' || request.request_id, request.request_id, {REQUEST_STATE}, 0, request.error, picture.path
FROM request
LEFT JOIN picture ON picture.gateway = request.gateway AND picture.request_id = request.request_id
{WITHOUT_ORDER} ORDER BY request.gateway, request.request_id, picture.number"""  # noqa: S608 - a text of ours.
COUNT_PICTURES: Final = "SELECT count(*), CAST(coalesce(sum(size), 0) AS BIGINT) FROM picture"
OWNERS: Final = (
    "SELECT owner FROM orders WHERE owner IS NOT NULL",
    "SELECT owner FROM request WHERE owner IS NOT NULL",
)
FIRST_IN_DOUBT: Final = f"""
SELECT content, noted, CASE state WHEN 'unknown' THEN message END, cost + coalesce(in_doubt, 0)
FROM orders WHERE {IN_DOUBT} ORDER BY noted, key LIMIT {MAX_LISTED_DOUBTS}"""  # noqa: S608 - a text of ours.
# To send an order again costs what it cost the last time. An order that was withdrawn then has the cost 0, and costs
# what it cost before.
COST_IN_DOUBT: Final = f"""
SELECT count(*), CAST(coalesce(sum(CASE cost WHEN 0 THEN coalesce(in_doubt, 0) ELSE cost END), 0) AS BIGINT)
FROM orders WHERE {IN_DOUBT}"""  # noqa: S608 - likewise.
RESUBMIT: Final = f"""
UPDATE orders SET {SET_MARK}
WHERE {IN_DOUBT}"""  # noqa: S608 - likewise.
HAS_FAILED: Final = f"""
state = 'taken' AND key NOT LIKE ?
AND (gateway, request_id) IN (SELECT gateway, request_id FROM request WHERE {REQUEST_FAILED})"""  # noqa: S608 - likewise.
FAILED_COST: Final = f"""
SELECT count(*), CAST(coalesce(sum(cost), 0) AS BIGINT)
FROM orders WHERE {HAS_FAILED} {{lines}}"""  # noqa: S608 - likewise.
RETRY: Final = f"UPDATE orders SET key = key || CAST(? AS TEXT) || request_id WHERE {HAS_FAILED} {{lines}}"  # noqa: S608


@frozen
class OrderInDoubt:
    """An order of which nobody knows whether the gateway took it.

    Attributes:
        name: its id, or else its prompt.
        noted: when that was noted, or when it was begun, in ISO 8601.
        reason: why nobody knows. None: the program that sent it ended before the answer came.
        cost: what it may have cost, in US dollars.
    """

    name: str
    noted: str
    reason: str | None
    cost: Decimal


@frozen
class JournalSummary:
    """The contents of a journal.

    Attributes:
        states: how many things there are in each of `STATES`: lines of batches; orders that are no lines; and requests
            that were ordered elsewhere.
        sending: how many orders are being sent just now.
        opened: how many orders failed, and were opened to be ordered anew. They count by what they cost alone.
        pictures: how many pictures were saved.
        size: how many bytes these have.
        spent: what all orders cost at most, in US dollars.
        in_doubt: how many orders are in doubt. They may be lines whose worker was just killed, which are open.
        spent_in_doubt: what those may have cost, in US dollars.
        first_in_doubt: the first of those, the oldest first.
        batches: the batches of many machines.
        workers: the programs that work, or worked, on those.
        others: the tokens of other programs that have a part of the journal now.
    """

    states: Counter[str]
    sending: int
    opened: int
    pictures: int
    size: int
    spent: Decimal
    in_doubt: int
    spent_in_doubt: Decimal
    first_in_doubt: Sequence[OrderInDoubt]
    batches: "Sequence[BatchRecord]" = ()
    workers: "Sequence[WorkerRecord]" = ()
    others: Sequence[str] = ()


@frozen
class OrdersToResend:
    """The orders that the next run may send again, which were in doubt or failed.

    Attributes:
        count: how many orders.
        cost: what they may cost more, in US dollars.
        under_way: which orders may still be under way, so that they are not among these.
    """

    count: int
    cost: Decimal
    under_way: OrdersUnderWay = field(factory=OrdersUnderWay)


@frozen(eq=False)
class JournalContents:
    """All that stands in a journal: `Journal.contents()`. Every method raises JournalError.

    Attributes:
        batches: the batches of many machines. None: a file has none.
    """

    _database: Database
    _batches: "BatchTable | None" = None

    def summary(self) -> JournalSummary:
        """Count everything. A million orders take some seconds."""
        with self._database.trusting("A row", RESTORE), self._database.using() as db:
            living = self._living(db)
            batches = self._batches.records(db) if self._batches is not None else []
            workers = self._batches.workers(db) if self._batches is not None else []
            orders, spent = self._count("orders", living)
            ((*requests, _, _),) = self._rows(COUNT_REQUESTS)
            states = Counter(dict(zip(STATES, requests, strict=True)))
            if self._batches is not None and batches:
                states += self._count(self._batches.orders_without_line, living)[0]
                states += self._batches.count_lines(db, batches)
            else:
                states += orders
            ((pictures, size),) = self._rows(COUNT_PICTURES)
            rows = db.execute(*_with_senders(FIRST_IN_DOUBT, living)).fetchall()
            first_in_doubt = [_read_order_in_doubt(row) for row in rows]
            owners = {owner for sql in OWNERS for (owner,) in db.execute(sql).fetchall()}
        others = owners - {worker.token for worker in workers} - {self._database.token}
        return JournalSummary(
            states=Counter({state: states[state] for state in STATES}),
            sending=orders["sending"],
            opened=orders["opened"],
            pictures=pictures,
            size=size,
            spent=to_dollars(spent["all"]),
            in_doubt=orders["unknown"],
            spent_in_doubt=to_dollars(spent["unknown"]),
            first_in_doubt=first_in_doubt,
            batches=batches,
            workers=workers,
            others=sorted(filter(self._database.is_alive, others)),
        )

    def export(self) -> Iterator[str]:
        """Yield everything, one by one, as lines of JSON with the fields of `OrderLine.as_object`.

        The lines of batches come first, as in their files, then orders that are no lines, and at last requests that
        were ordered elsewhere. Memory stays flat. No other thread can use the journal meanwhile.
        """
        with self._database.trusting("A row", RESTORE):
            if self._batches is not None:
                yield from self._batches.export()
                kinds = self._batches.orders(), self._batches.requests()
            else:
                kinds = _orders(self._database), _requests(self._database)
            with self._database.using() as db:
                living = self._living(db)
            for content, request_id, stands, units, error, paths in chain(*kinds):
                yield manifest_line(
                    content,
                    request_id,
                    stands if stands in STATES else _state(stands, living),
                    files_of(paths or ()),
                    units,
                    error.removeprefix(MARK) if error else None,
                )

    def in_doubt(self) -> OrdersToResend:
        """Return how many orders are in doubt, and what it may cost to send them again."""
        with self._database.using() as db:
            return self._count_in_doubt(db, self._sending(db))

    def resubmit_unknown(self) -> OrdersToResend:
        """Have the next run send the orders that are in doubt again, though they may have been taken.

        What they may have cost before stays counted. An order that a living program sends is not in doubt. One whose
        sender may live, or has just ended, is left alone: `OrdersToResend.under_way`. Raises ConfigurationError when
        sending them again could cost more than a worker at work allows.
        """
        with self._database.durable() as db, self._within_caps(db):
            sending = self._sending(db)
            found = self._count_in_doubt(db, sending)
            sql, values = _with_senders(RESUBMIT, sending)
            db.execute(sql, [self._database.now(), *values])
            if self._batches is not None:
                self._batches.reopen_unknown(db)
        return found

    def failed(self) -> OrdersToResend:
        """Return how many lines and orders have failed, and what it may cost to order them anew."""
        with self._database.using() as db:
            return self._failed(db)

    def retry_failed(self) -> OrdersToResend:
        """Have the next run order anew what has failed.

        The order that failed stays, under another key, so that what it cost stays counted. Raises ConfigurationError as
        `resubmit_unknown` does.
        """
        with self._database.durable() as db, self._within_caps(db):
            found = self._failed(db)
            db.execute(RETRY.format(lines=self._without_line), [as_bytes(FAILED_MARK), _like(FAILED_MARK)])
            if self._batches is not None:
                self._batches.reopen_failed(db)
        return found

    def _within_caps(self, db: Statements) -> AbstractContextManager[None]:
        """Raise ConfigurationError when lines are opened in the block that could cost more than a worker allows."""
        return self._batches.within_caps(db) if self._batches is not None else nullcontext()

    @property
    def _without_line(self) -> str:
        """For a statement about orders: the condition that an order is that of no line."""
        return self._batches.without_line if self._batches is not None else ""

    def _failed(self, db: Statements) -> OrdersToResend:
        found = _read_cost(db.execute(FAILED_COST.format(lines=self._without_line), [_like(FAILED_MARK)]).fetchone())
        if self._batches is None:
            return found
        lines = _read_cost(self._batches.count_failed(db))
        return OrdersToResend(found.count + lines.count, found.cost + lines.cost)

    def _count(self, orders: str, living: Container[str]) -> tuple[Counter[str], Counter[str]]:
        """Count orders by how they stand, and those `sending` and `opened` besides; and what they cost, as `all`.

        Args:
            orders: the table, or a part of it.
            living: the tokens of those who are sending orders, and are alive.
        """
        ((*taken, opened, units),) = self._rows(COUNT_TAKEN.format(orders=orders), [_like(FAILED_MARK)])
        counts = Counter({**dict(zip(STATES, taken, strict=True)), "opened": opened})
        spent = Counter(all=units)
        for stands, was_opened, count, units in self._rows(COUNT_OTHERS.format(orders=orders), [_like(FAILED_MARK)]):
            state = _state(stands, living)
            counts["opened" if was_opened else state] += count
            counts["sending"] += count if stands in living else 0
            spent["all"] += units
            spent[state] += units
        return counts, spent

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._database.cursor(sql, values) as rows:
            return [*rows]

    def _count_in_doubt(self, db: Statements, sending: Sequence[str]) -> OrdersToResend:
        """Return how many orders are in doubt, given who may be sending some."""
        found = _read_cost(db.execute(*_with_senders(COST_IN_DOUBT, sending)).fetchone())
        return found if self._batches is None else evolve(found, under_way=self._batches.under_way(db))

    def _living(self, db: Statements) -> list[str]:
        """Return the tokens of those who are sending orders, and are alive, or may come back within seconds."""
        return [*filter(self._database.is_alive_or_reconnecting, self._senders(db))]

    def _sending(self, db: Statements) -> list[str]:
        """Return the tokens of those whose orders may be under way."""
        return [*filter(self._database.may_have_orders_under_way, self._senders(db))]

    @staticmethod
    def _senders(db: Statements) -> set[str]:
        return {owner for (owner,) in db.execute(OWNERS[0]).fetchall()}


def _with_senders(sql: str, senders: Sequence[str]) -> tuple[str, list[Any]]:
    """Return a statement about the orders in doubt, and its values. The orders of these senders are not in doubt."""
    return sql.format(senders=", ".join("?" * len(senders)) or "''"), list(senders)


def _orders(database: Database) -> Iterator[ExportRow]:
    """Yield the orders in a file."""
    with database.using() as db:
        gateways = [gateway for (gateway,) in db.execute(GATEWAYS).fetchall()]
    for gateway in gateways:
        values = [gateway, _like(FAILED_MARK)]
        with database.cursor(ORDER_CONTENTS, values) as contents, database.cursor(TAKEN_ORDERS, values) as rows:
            for (content, stands, message), (row, paths) in zip(contents, _grouped(rows), strict=True):
                _, request_id, state, units, error, _ = row
                yield content, request_id, stands or state, units, error or message, paths


def _requests(database: Database) -> Iterator[ExportRow]:
    """Yield the requests in a file that were ordered elsewhere."""
    with database.cursor(REQUESTS, []) as rows:
        for (_, request_id, state, units, error, _), paths in _grouped(rows):
            yield None, request_id, state, units, error, paths


def _grouped(rows: Iterable[Any]) -> Iterator[tuple[Any, list[str | None]]]:
    """Yield the first row of each order or request, and the paths of all its pictures, in which its rows differ."""
    first: Any = None
    paths: list[str | None] = []
    for row in rows:
        if first is not None and row[0] == first[0]:
            paths.append(row[-1])
            continue
        if first is not None:
            yield first, paths
        first, paths = row, [row[-1]]
    if first is not None:
        yield first, paths


def _like(text: str) -> str:
    return f"%{text}%"


def _state(stands: str, living: Container[str]) -> str:
    """Return the word for how an order stands. A token is that of its sender."""
    if stands in STATES:
        return stands
    return "open" if stands in living else "unknown"


def _read_cost(row: Any) -> OrdersToResend:
    count, units = row
    return OrdersToResend(count, to_dollars(units))


def _read_order_in_doubt(row: Any) -> OrderInDoubt:
    content, noted, reason, units = row
    order = json.loads(content)
    return OrderInDoubt(order["id"] or order["prompt"], noted, text_or_none(reason), to_dollars(units))

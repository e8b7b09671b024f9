"""Which orders of one gateway were sent, what came of them, and what they cost: so that none is paid twice."""

import json
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from typing import Any, Final

from attrs import frozen

from longcat.errors import JournalError
from longcat.models import OrderRequest, Status
from longcat.saving.journal.money import to_dollars, to_units
from longcat.saving.journal.requests import RequestTable
from longcat.saving.journal.sqlite.database import ALTERED_IT, Database, as_bytes, text_or_none
from longcat.text import shorten
from longcat.waiting.submit import OrderRecord, OrderState

RESTORE: Final = "Restore it: the order may have been paid."
"""What to do about an order whose row was altered."""

BEGIN: Final = """
INSERT INTO orders (gateway, key, owner, state, cost, noted, content)
VALUES (?, CAST(? AS TEXT), ?, 'intended', ?, ?, ?)
ON CONFLICT DO UPDATE SET
    owner = excluded.owner, state = excluded.state, noted = excluded.noted, content = excluded.content,
    in_doubt = coalesce(in_doubt, 0) + cost, cost = excluded.cost"""
TAKEN: Final = """
UPDATE orders SET state = 'taken', owner = NULL, noted = ?, request_id = CAST(? AS TEXT)
WHERE gateway = ? AND key = CAST(? AS TEXT)"""
UNKNOWN: Final = """
UPDATE orders SET state = 'unknown', owner = NULL, noted = ?, message = CAST(? AS TEXT)
WHERE gateway = ? AND key = CAST(? AS TEXT) AND state <> 'taken'"""
WITHDRAW: Final = """
DELETE FROM orders WHERE gateway = ? AND key = CAST(? AS TEXT) AND state <> 'taken' AND in_doubt IS NULL"""
# The order may have been taken when it was sent before.
WITHDRAW_AGAIN: Final = """
UPDATE orders SET state = 'unknown', owner = NULL, noted = ?, cost = in_doubt, in_doubt = NULL
WHERE gateway = ? AND key = CAST(? AS TEXT) AND state <> 'taken'"""
KNOWN: Final = """
SELECT key, owner, state, request_id, cost, in_doubt, message, content FROM orders
WHERE gateway = ? AND key = CAST(? AS TEXT)"""
OPEN: Final = """
SELECT key, owner, state, request_id, cost, in_doubt, message, content FROM orders
WHERE gateway = ? AND state <> 'taken' ORDER BY noted, key"""
SPENT: Final = """
SELECT coalesce(sum(coalesce(in_doubt, 0) + iif(upper(raw_state) = 'ERROR', 0, cost)), 0)
FROM orders LEFT JOIN request USING (gateway, request_id) WHERE gateway = ?"""


@frozen(eq=False)
class OrderTable:
    """The orders of one gateway in a journal: an `OrderStore`.

    Programs, threads and tasks may share it. An order that its owner began, and neither ended nor can end because the
    owner is gone, is in doubt. Every method raises JournalError when the file can't be read or written.
    """

    _database: Database
    _gateway: str
    _owner: str

    def begin(self, key: str, order: OrderRequest, cost: Decimal, *, resubmit_unknown: bool = False) -> OrderRecord:
        """Note that an order is about to be sent, unless it was before, and return how it stands.

        Of several that begin an order at once, one gets `INTENDED`, and the others `BUSY`. An order that is sent again
        although it may have been taken is counted once more.

        Raises ConfigurationError when the key stands for another order, or when the cost can't be stored exactly.
        """
        units = to_units(cost)
        self._database.check_owner(self._owner)
        self._database.check_orders()
        with self._database.durable() as db:
            before = self.known(key)
            if before is not None:
                before.check(order)
                if before.state is not OrderState.UNKNOWN or not resubmit_unknown:
                    return before
            content = write_order(order)
            values = [self._gateway, as_bytes(key), self._owner, units, self._database.now(), content]
            if db.execute(BEGIN, values).rowcount != 1:
                raise JournalError(f"The journal {self._database.path} took no order. {ALTERED_IT}")
        return OrderRecord(key, order, OrderState.INTENDED, cost)

    def taken(self, key: str, request_id: str, answer: Status | None = None) -> None:
        """Note which request came of an order, and the answer if it was final."""
        if answer is not None:
            # First: it may be the only place where the pictures are named, and what follows makes both durable.
            RequestTable(self._database, self._gateway, self._owner).note(answer)
        self._change(key, (TAKEN, [self._database.now(), as_bytes(request_id)]))

    def withdraw(self, key: str) -> None:
        """Note that the gateway certainly did not take the order this time.

        The order is new again; one that may have been taken before is in doubt again.
        """
        self._change(key, (WITHDRAW, []), (WITHDRAW_AGAIN, [self._database.now()]))

    def unknown(self, key: str, message: str) -> None:
        """Note that nobody knows whether the gateway took the order, and why."""
        self._change(key, (UNKNOWN, [self._database.now(), as_bytes(message)]))

    def later(self, write: Callable[[], object]) -> None:
        """Have something written by a thread, as `Database.later` does."""
        self._database.later(self._owner, write)

    def known(self, key: str) -> OrderRecord | None:
        """Return how an order stands. None: it is new, or was withdrawn."""
        records = self._records(f"The row of order {shorten(key)!r}", KNOWN, [self._gateway, as_bytes(key)])
        return records[0] if records else None

    def in_doubt(self) -> list[OrderRecord]:
        """Return all orders of which nobody knows whether the gateway took them, the oldest first."""
        records = self._records("The row of an order", OPEN, [self._gateway])
        return [record for record in records if record.state is OrderState.UNKNOWN]

    def spent(self) -> Decimal:
        """Return what all orders cost together, in US dollars: those that were taken, and those that may have been.

        Requests whose last answer has the word `ERROR` are not charged.
        """
        with self._database.trusting("The row of an order", RESTORE), self._database.using() as db:
            (units,) = db.execute(SPENT, [self._gateway]).fetchone()
            return to_dollars(units)

    def _change(self, key: str, *statements: tuple[str, list[Any]]) -> None:
        """Execute the first of these statements that fits the row, durably. Their last values name the row."""
        self._database.check_owner(self._owner)
        with self._database.durable() as db:
            for sql, values in statements:
                if db.execute(sql, [*values, self._gateway, as_bytes(key)]).rowcount:
                    return
        raise JournalError(
            f"The order {shorten(key)!r} is not under way in {self._database.path}. Look whether the journal was"
            " replaced or altered; the order may have been paid."
        )

    def _records(self, what: str, sql: str, values: list[Any]) -> list[OrderRecord]:
        """Return what a query for whole rows yields. Raises ConfigurationError about `what` when a row was altered."""
        with self._database.trusting(what, RESTORE), self._database.using() as db:
            is_alive = cache(self._database.is_alive)
            return [_read_record(row, is_alive) for row in db.execute(sql, values)]


def _read_record(row: Any, is_alive: Callable[[str], bool]) -> OrderRecord:
    key, owner, state, request_id, cost, in_doubt, message, content = row
    stands = OrderState.UNKNOWN
    if state == "taken":
        stands = OrderState.TAKEN
    elif state == "intended" and owner is not None and is_alive(owner):
        stands = OrderState.BUSY
    reason = text_or_none(message) if state == "unknown" else None
    order, before = read_order(content), to_dollars(in_doubt or 0)
    return OrderRecord(key, order, stands, to_dollars(cost), text_or_none(request_id), reason, before)


def read_order(content: str) -> OrderRequest:
    """Return an order as it was before `write_order`. Raises ValueError, TypeError or the like when it was altered."""
    order = OrderRequest(**json.loads(content))
    if text_or_none(order.prompt) is None or dict(order.options) != order.options:
        raise TypeError("an order is a prompt and options")
    for text in (order.id, order.webhook_url, order.webhook_mode):
        text_or_none(text)
    return order


def write_order(order: OrderRequest) -> str:
    """Return an order as it is stored: as JSON, in ASCII."""
    return json.dumps(
        {
            "prompt": order.prompt,
            "options": dict(order.options),
            "id": order.id,
            "webhook_url": order.webhook_url,
            "webhook_mode": order.webhook_mode,
        }
    )

"""The orders of one gateway that were sent, what came of them, and what they cost: so that none is paid twice."""

import json
from collections.abc import Callable
from decimal import Decimal
from functools import cache, partial
from typing import Any, Final

from attrs import evolve, field, frozen

from longcat.errors import JournalError
from longcat.models import OrderRequest, Status
from longcat.saving.journal.database import Database, Statements, as_bytes, request_or_none, text_or_none
from longcat.saving.journal.money import to_dollars, to_units
from longcat.saving.journal.request_table import RequestTable
from longcat.text import shorten
from longcat.waiting.order_store import OrderRecord, OrderState

RESTORE: Final = "Restore it: the order may have been paid."
"""What to do about an order whose row was altered."""
MARK: Final = "to be sent again: "
"""With what the message of an order in doubt begins when somebody has decided that it is sent again."""
MAX_BEGINNINGS: Final = 5
"""How often an order is begun at most while other programs begin it and withdraw it."""

BEGIN: Final = """
INSERT INTO orders (gateway, key, owner, state, cost, noted, content)
VALUES (?, CAST(? AS TEXT), ?, 'intended', ?, ?, ?) ON CONFLICT DO NOTHING"""
# Only what is still in doubt, and has the owner that was found to be gone, if it had any.
BEGIN_AGAIN: Final = """
UPDATE orders SET
    owner = ?, state = 'intended', in_doubt = coalesce(in_doubt, 0) + cost, cost = ?, noted = ?, content = ?
WHERE gateway = ? AND key = CAST(? AS TEXT) AND state <> 'taken' AND (owner IS NULL OR owner = ?)"""
FREE_OR_OURS: Final = "(owner IS NULL OR owner = ?)"
# An owner that came back may find that another program has sent its order again. That one's row is left alone.
NOTE_TAKEN: Final = """
UPDATE orders SET state = 'taken', owner = NULL, noted = ?, request_id = CAST(? AS TEXT)
WHERE (owner IS NULL OR owner = ?) AND (state <> 'taken' OR request_id = CAST(? AS TEXT))
AND gateway = ? AND key = CAST(? AS TEXT)"""
NOTE_UNKNOWN: Final = """
UPDATE orders SET state = 'unknown', owner = NULL, noted = ?, message = CAST(? AS TEXT)
WHERE (owner IS NULL OR owner = ?) AND state <> 'taken' AND gateway = ? AND key = CAST(? AS TEXT)"""
WITHDRAW: Final = """
DELETE FROM orders WHERE (owner IS NULL OR owner = ?) AND state <> 'taken' AND in_doubt IS NULL
AND gateway = ? AND key = CAST(? AS TEXT)"""
# The order may have been taken when it was sent before, more than once perhaps. So it stays marked as sent again: an
# earlier sender, who comes back and withdraws it as well, must not delete it.
WITHDRAW_AGAIN: Final = """
UPDATE orders SET state = 'unknown', owner = NULL, noted = ?, cost = 0
WHERE (owner IS NULL OR owner = ?) AND state <> 'taken' AND gateway = ? AND key = CAST(? AS TEXT)"""
FIND_ORDER: Final = """
SELECT key, owner, state, request_id, cost, in_doubt, message, content FROM orders
WHERE gateway = ? AND key = CAST(? AS TEXT)"""
FIND_OPEN_ORDERS: Final = """
SELECT key, owner, state, request_id, cost, in_doubt, message, content FROM orders
WHERE gateway = ? AND state <> 'taken' ORDER BY noted, key"""
SPENT: Final = """
SELECT CAST(
    coalesce(sum(coalesce(in_doubt, 0) + CASE WHEN request.request_id IS NULL THEN cost ELSE 0 END), 0) AS BIGINT
)
FROM orders LEFT JOIN request ON request.gateway = orders.gateway AND request.request_id = orders.request_id
    AND upper(raw_state) = 'ERROR'
WHERE orders.gateway = ?"""


@frozen(eq=False)
class OrderTable:
    """The orders of one gateway in a journal: an `OrderStore`.

    Programs, threads and tasks may share it. An order that its owner began, and neither ended nor can end because the
    owner is gone, is in doubt. While the owner may come back, the order is `BUSY`; and while it may be under way, it is
    not begun again. Every method raises JournalError when the journal can't be read or written.
    """

    _database: Database
    _gateway: str
    _owner: str
    # The keys of those that were given out to be sent, each with the session of the owner in which it was.
    _sending: dict[str, int] = field(factory=dict, init=False)
    _unsure: set[str] = field(factory=set, init=False)  # The keys of those whose last change may not have been made.

    def begin(self, key: str, order: OrderRequest, cost: Decimal, *, resubmit_unknown: bool = False) -> OrderRecord:
        """Note that an order is about to be sent, unless it was before, and return how it stands.

        Of several that begin an order at once, one gets `INTENDED`, and the others `BUSY`. An order that is sent again
        although it may have been taken is counted once more.

        Raises ConfigurationError when the key stands for another order, or when the cost can't be stored exactly.
        """
        values = [self._owner, to_units(cost), self._database.now(), write_order(order)]
        self._database.check_owner(self._owner)
        self._database.check_orders()
        record = None
        try:
            with self._database.durable() as db:
                record = self._begin(db, key, order, values, resubmit_unknown=resubmit_unknown)
                if record.state is OrderState.INTENDED:
                    self._sending[key] = self._database.session  # Before another thread may look.
            if record.state is OrderState.INTENDED:
                self._unsure.discard(key)
        except BaseException as error:
            is_begun = record is not None and record.state is OrderState.INTENDED
            if is_begun and (not isinstance(error, JournalError) or error.locked):
                self._sending.pop(key, None)  # It is not sent now.
            if self._may_have_changed(error):
                if key not in self._unsure:
                    self.later(partial(self._undo, key))
                self._unsure.add(key)
            raise
        else:
            return record

    def _begin(
        self, db: Statements, key: str, order: OrderRequest, values: list[Any], *, resubmit_unknown: bool
    ) -> OrderRecord:
        """Note that an order is about to be sent, with these values, unless it was before. Return how it stands."""
        place = self._place(key)
        intended = OrderRecord(key, order, OrderState.INTENDED, to_dollars(values[1]))
        if key in self._sending:
            # Also without a row: who is sending it may have withdrawn it without hearing so, and will do it again.
            found = self._find(key)
            if found is not None:
                found[0].check(order)
            return found[0] if found and found[0].request_id else evolve(intended, state=OrderState.BUSY)
        for _ in range(MAX_BEGINNINGS):  # Another program may withdraw it, or begin it, between two statements.
            if db.execute(BEGIN, [*place, *values]).rowcount == 1:
                return intended
            found = self._find(key)
            if found is None:
                continue
            record, owner = found
            record.check(order)
            if owner == self._owner and record.state is OrderState.BUSY:
                return intended  # We began it before, and the answer to that was lost.
            if record.state is not OrderState.UNKNOWN or not (resubmit_unknown or record.is_marked):
                return record
            if owner is not None and self._database.may_have_orders_under_way(owner):
                return evolve(record, state=OrderState.BUSY)
            if db.execute(BEGIN_AGAIN, [*values, *place, owner]).rowcount == 1:
                return intended
        raise JournalError(f"The journal {self._database.name} took no order. {self._database.restore}")

    @property
    def is_sending(self) -> bool:
        """Whether an order was given out to be sent, and it is not noted yet what came of it."""
        return bool(self._sending)

    def check(self, key: str) -> None:
        """Raise JournalError unless an order that was begun is still ours to send, for certain. It does not block.

        Of an owner whose session was lost, or gave no sign of life for long, others take the order for one in doubt,
        and may send it. When this raises, nobody sends the order until it is withdrawn and begun anew.
        """
        if not (self._database.is_certain() and self._sending.get(key) == self._database.session):
            raise JournalError(
                f"The order {shorten(key)!r} was not sent: this program was stopped, or cut off from the journal"
                f" {self._database.name}, for so long that another one may have sent it. It is begun anew.",
                locked=True,
            )

    def taken(self, key: str, request_id: str, answer: Status | None = None) -> None:
        """Note which request came of an order, and the answer if it was final."""
        if answer is not None:
            # First: it may be the only place where the pictures are named, and what follows makes both durable.
            RequestTable(self._database, self._gateway, self._owner).note(answer)
        name = as_bytes(request_id)
        if not self._change(key, (NOTE_TAKEN, [self._database.now(), name, self._owner, name])):
            what_came = f" Request {shorten(request_id)} came of it and is not noted: wait for it by this id to get its"
            raise self._not_under_way(key, f"{what_came} picture.")

    def withdraw(self, key: str) -> None:
        """Note that the gateway certainly did not take the order this time.

        The order is new again; one that may have been taken before is in doubt again.
        """
        # If the answer to an earlier try was lost, an order that has no owner was withdrawn by that.
        was_unsure = key in self._unsure
        whose = (FREE_OR_OURS, "owner = ?") if was_unsure else ("", "")
        withdraw, again = (sql.replace(*whose) for sql in (WITHDRAW, WITHDRAW_AGAIN))
        is_done = self._change(key, (withdraw, [self._owner]), (again, [self._database.now(), self._owner]))
        if not is_done and not was_unsure:  # Else it was done before, and the answer to that was lost.
            raise self._not_under_way(key)

    def unknown(self, key: str, message: str) -> None:
        """Note that nobody knows whether the gateway took the order, and why."""
        was_unsure = key in self._unsure
        is_done = self._change(key, (NOTE_UNKNOWN, [self._database.now(), as_bytes(message), self._owner]))
        # It may have been done before the answer was lost, and another program may have sent the order again since.
        if not is_done and not (was_unsure and self._find(key) is not None):
            raise self._not_under_way(key)

    def later(self, write: Callable[[], object]) -> None:
        """Have something written by a thread, as `Database.later` does."""
        self._database.later(self._owner, write)

    def known(self, key: str) -> OrderRecord | None:
        """Return how an order stands. None: it is new, or was withdrawn."""
        found = self._find(key)
        return found[0] if found else None

    def in_doubt(self) -> list[OrderRecord]:
        """Return all orders of which nobody knows whether the gateway took them, the oldest first.

        Those that are marked to be sent again are none of them any more.
        """
        records = self._records("The row of an order", FIND_OPEN_ORDERS, [self._gateway])
        return [one for one, _ in records if one.state is OrderState.UNKNOWN and not one.is_marked]

    def spent(self) -> Decimal:
        """Return what all orders cost together, in US dollars: those that were taken, and those that may have been.

        Requests whose last answer has the word `ERROR` are not charged.
        """
        with self._database.trusting("The row of an order", RESTORE), self._database.using() as db:
            (units,) = db.execute(SPENT, [self._gateway]).fetchone()
            return to_dollars(units)

    def _change(self, key: str, *statements: tuple[str, list[Any]]) -> bool:
        """Execute the first of these statements that fits the row, durably. Their last values name the row.

        Returns whether any did. Then, or if none did, the order is not being sent any more.
        """
        self._database.check_owner(self._owner)
        place = self._place(key)
        try:
            with self._database.durable() as db:
                is_done = any(db.execute(sql, [*values, *place]).rowcount for sql, values in statements)
        except BaseException as error:
            if self._may_have_changed(error):
                self._unsure.add(key)
            raise
        self._unsure.discard(key)
        self._sending.pop(key, None)
        return is_done

    def _may_have_changed(self, error: BaseException) -> bool:
        """Whether a change may have been made though this was raised: by Ctrl-C, or as the connection was lost."""
        is_lost = isinstance(error, JournalError) and error.locked and self._database.is_remote
        return is_lost or not isinstance(error, Exception)

    def _not_under_way(self, key: str, what_came: str = "") -> JournalError:
        return JournalError(
            f"The order {shorten(key)!r} is not under way in {self._database.name}: another program has sent it again,"
            f" or the journal was replaced or altered.{what_came} Look into the account; the order may have been paid."
        )

    def _undo(self, key: str) -> None:
        """Withdraw an order that was begun, if nobody sends it."""
        with self._database.using():
            if key in self._unsure and key not in self._sending:
                self.withdraw(key)

    def _find(self, key: str) -> tuple[OrderRecord, str | None] | None:
        """Return how an order stands, and who has its row. None: it is new, or was withdrawn."""
        what = f"The row of order {shorten(key)!r}"
        records = self._records(what, FIND_ORDER, self._place(key))
        return records[0] if records else None

    def _place(self, key: str) -> list[Any]:
        """Return what names an order's row."""
        return [self._gateway, as_bytes(self._database.stored_key(key))]

    def _records(self, what: str, sql: str, values: list[Any]) -> list[tuple[OrderRecord, str | None]]:
        """Return what a query for whole rows yields, each with its owner.

        Raises JournalError about `what` when a row was altered.
        """
        with self._database.trusting(what, RESTORE), self._database.using() as db:
            is_alive_or_reconnecting = cache(self._database.is_alive_or_reconnecting)
            return [(_read_record(row, is_alive_or_reconnecting), row[1]) for row in db.execute(sql, values)]


def _read_record(row: Any, is_alive_or_reconnecting: Callable[[str], bool]) -> OrderRecord:
    key, owner, state, request_id, cost, in_doubt, message, content = row
    stands = OrderState.UNKNOWN
    if state == "taken":
        stands = OrderState.TAKEN
    elif state == "intended" and owner is not None and is_alive_or_reconnecting(owner):
        stands = OrderState.BUSY
    reason = text_or_none(message) if state == "unknown" else None
    is_marked = reason is not None and reason.startswith(MARK)
    if is_marked:
        reason = (reason or "").removeprefix(MARK) or None
    order, last, before = read_order(content), to_dollars(cost), to_dollars(in_doubt or 0)
    if state == "unknown" and not last:  # It was withdrawn, and what is in doubt is what was sent before.
        last, before = before, last
    return OrderRecord(key, order, stands, last, request_or_none(request_id), reason, before, is_marked)


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

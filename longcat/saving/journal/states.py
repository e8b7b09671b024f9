"""The states of orders and requests, in the words of the manifest and of SQL, for all who count them or tell them."""

from collections.abc import Sequence
from typing import Final, TypeAlias

from attrs import frozen

from longcat.saving.journal.order_table import MARK
from longcat.text import counted

STATES: Final = ("done", "failed", "unknown", "open")
"""How orders and lines stand, in the words of the manifest. `unknown` is in doubt, `open` is to be taken up again."""
FAILED_MARK: Final = "\nfailed "
"""An order that failed and was opened again has this in its key, followed by its request. No other key has it."""

ExportRow: TypeAlias = tuple[str | None, str | None, str, int, str | None, Sequence[str | None] | None]
"""Of an order, or of a request that was ordered elsewhere: its content, its request, how it stands, what it cost, what
went wrong, and the paths of its pictures."""

# The gateway said that it failed; or it refused to tell of the request when it was last asked, perhaps as it knew no
# request with that id.
REQUEST_FAILED: Final = """
(request.outcome IN ('failed', 'cancelled') OR request.state IS NULL AND request.error IS NOT NULL)"""
REQUEST_STATE: Final = f"""
CASE
    WHEN request.outcome = 'completed' AND picture.path IS NOT NULL THEN 'done'
    WHEN {REQUEST_FAILED} THEN 'failed'
    ELSE 'open'
END"""
IS_MARKED: Final = f"""
(orders.state = 'unknown' AND substr(coalesce(orders.message, ''), 1, {len(MARK)}) = '{MARK}')"""
"""Whether somebody has decided that an order is sent again, although it may have been taken."""
# The first condition lets the database use an index.
IN_DOUBT: Final = f"""
(orders.state <> 'taken' AND NOT {IS_MARKED}
    AND (orders.state = 'unknown' OR orders.owner IS NULL OR orders.owner NOT IN ({{senders}})))"""
"""Whether an order is in doubt: nobody knows whether it was taken, and its sender, who would note that, is none of the
`senders`, which are the tokens of those who may be sending orders, or a query for them."""
SET_MARK: Final = f"""
message = '{MARK}' || CASE orders.state WHEN 'unknown' THEN coalesce(message, '') ELSE '' END,
state = 'unknown', owner = NULL, noted = ?"""
"""What marks an order in doubt: `IS_MARKED`."""
# Of an order that is being sent, this is the token of its sender: how it stands depends on whether that one is alive.
ORDER_STATE: Final = f"""
CASE
    WHEN orders.state = 'unknown' AND NOT {IS_MARKED} THEN 'unknown'
    WHEN orders.state = 'intended' THEN coalesce(orders.owner, 'unknown')
    WHEN orders.state = 'unknown' THEN 'open'
END"""
COST: Final = """
coalesce(orders.in_doubt, 0) + CASE upper(request.raw_state) WHEN 'ERROR' THEN 0 ELSE orders.cost END"""
JOIN_REQUEST: Final = """
LEFT JOIN request ON request.gateway = orders.gateway AND request.request_id = orders.request_id"""
WITHOUT_ORDER: Final = """
WHERE NOT EXISTS (
    SELECT 1 FROM orders WHERE orders.gateway = request.gateway AND orders.request_id = request.request_id
)"""


@frozen
class OrdersUnderWay:
    """Orders that nobody who is alive sends, but that may still be under way. They are not to be sent again yet.

    Attributes:
        count: how many there are.
        seconds: how long that may last.
    """

    count: int = 0
    seconds: int = 0

    def __str__(self) -> str:
        return (
            f"{counted(self.count, 'order')} may still be under way: a program that was sending has just ended, or was"
            f" cut off from the database. Nothing is sent again yet; look again in {self.seconds} seconds."
        )

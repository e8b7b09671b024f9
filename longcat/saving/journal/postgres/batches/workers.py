"""The workers of the batches: who they are, when they gave their last sign of life, and what they have done.

A worker is alive while its session holds the lock of its token, and has not left. Moments are those of the server.
"""

import os
import socket
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from attrs import frozen

from longcat.errors import ConfigurationError
from longcat.saving.journal.money import to_bound, to_dollars
from longcat.saving.journal.order_table import SPENT
from longcat.saving.journal.states import IS_MARKED

WORKER_TABLE: Final = """\
CREATE TABLE longcat_worker ( -- One row per program that has worked on a batch.
    token       TEXT PRIMARY KEY,  -- Names it as the owner of rows.
    batch       INTEGER NOT NULL,  -- What it works on.
    host        TEXT NOT NULL,     -- Its machine.
    pid         INTEGER NOT NULL,  -- Its process there.
    began       TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    seen        TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(), -- Its last sign of life.
    has_left    BOOLEAN NOT NULL DEFAULT FALSE, -- Whether it has given its lines back, or they were all taken over.
    done        INTEGER NOT NULL DEFAULT 0, -- How many lines it has ended as done, and so on.
    failed      INTEGER NOT NULL DEFAULT 0,
    unknown     INTEGER NOT NULL DEFAULT 0,
    spent       BIGINT NOT NULL DEFAULT 0,  -- What those cost at most, in 1e-9 US dollars.
    max_cost    BIGINT                      -- What all orders may cost together, likewise. NULL: there is no bound.
)"""

GIVE_SIGN: Final = """
INSERT INTO longcat_worker (token, batch, host, pid) VALUES (?, ?, ?, ?)
ON CONFLICT (token) DO UPDATE SET batch = excluded.batch, seen = clock_timestamp(), has_left = FALSE"""
SET_CAP: Final = "UPDATE longcat_worker SET max_cost = ? WHERE token = ?"
LOWEST_CAP: Final = """
SELECT min(max_cost) FROM longcat_worker JOIN longcat_batch USING (batch)
WHERE gateway = ? AND token <> ? AND NOT has_left AND token IN (TABLE longcat_living)"""
"""The lowest cap of those at work on batches of a gateway, but for one of them."""
TO_ORDER: Final = f"""
SELECT coalesce(sum(price), 0)::BIGINT FROM longcat_line AS line
WHERE state = 'open' AND batch <> {{but}} AND batch IN (
    SELECT batch FROM longcat_batch JOIN longcat_worker USING (batch)
    WHERE gateway = {{gateway}} AND NOT has_left AND token IN (TABLE longcat_living)
) AND NOT EXISTS (
    SELECT FROM longcat_orders AS orders
    WHERE orders.gateway = {{gateway}} AND orders.key = line.key
        AND NOT {IS_MARKED}
)"""  # noqa: S608 - texts of ours.
"""Returns what the workers at all batches of a gateway but one may still spend, at most."""
CAPS_AND_COSTS: Final = f"""
SELECT gateway, cap, ({TO_ORDER.format(but="0", gateway="capped.gateway")}),
    ({SPENT.replace("?", "capped.gateway")})
FROM (
    SELECT gateway, min(max_cost) AS cap FROM longcat_worker JOIN longcat_batch USING (batch)
    WHERE max_cost IS NOT NULL AND NOT has_left AND token IN (TABLE longcat_living) GROUP BY gateway
) AS capped"""  # noqa: S608 - likewise.
ADD_COUNTS: Final = """
UPDATE longcat_worker
SET seen = clock_timestamp(), done = done + ?, failed = failed + ?, unknown = unknown + ?, spent = spent + ?
WHERE token = ?"""
NOTE_LEFT: Final = "UPDATE longcat_worker SET seen = clock_timestamp(), has_left = TRUE WHERE token = ?"
FIND_GONE: Final = """
SELECT token FROM longcat_worker
WHERE batch = ? AND NOT has_left AND token <> ? AND token NOT IN (TABLE longcat_living)"""
# A worker that still has lines is not forgotten: the one that takes them over may be gone before it commits.
FORGET_GONE: Final = """
UPDATE longcat_worker SET has_left = TRUE
WHERE token = ANY(?) AND NOT EXISTS (SELECT FROM longcat_line WHERE owner = token)"""
WORKER_RECORDS: Final = """
SELECT token, host, pid, batch, began, seen, NOT has_left AND token IN (TABLE longcat_living),
    done, failed, unknown, spent
FROM longcat_worker WHERE ? IN (batch, 0) ORDER BY began, token"""


@frozen
class WorkerRecord:
    """One program that works, or worked, on a batch.

    Attributes:
        token: names it, as the owner of rows.
        host: the name of its machine.
        pid: its process there.
        batch: the number of its batch.
        began: when it came, by the server's clock, as the next one.
        seen: its last sign of life.
        is_alive: whether it is there now. False: it is gone, or has left.
        done: how many lines it has done; `failed` and `unknown` likewise.
        spent: what these cost at most, in US dollars.
    """

    token: str
    host: str
    pid: int
    batch: int
    began: datetime
    seen: datetime
    is_alive: bool
    done: int
    failed: int
    unknown: int
    spent: Decimal


def give_sign(db: Any, token: str, batch: int) -> None:
    """Give a sign of life of this program, which works on a batch from now on, if it did not before."""
    db.execute(GIVE_SIGN, [token, batch, socket.gethostname(), os.getpid()])


def set_cap(db: Any, token: str, max_cost: Decimal | None) -> None:
    """Keep what all orders to the gateway may cost as long as this worker is at work. None: anything."""
    db.execute(SET_CAP, [to_bound(max_cost), token])


@contextmanager
def within_caps(db: Any) -> Iterator[None]:
    """Raise ConfigurationError when lines are opened in the block that could cost more than a worker at work allows."""
    before = {gateway: to_order for gateway, _, to_order, _ in db.execute(CAPS_AND_COSTS)}
    yield
    for gateway, most, to_order, spent in db.execute(CAPS_AND_COSTS):
        if to_order > before.get(gateway, 0) and to_order + spent > most:
            raise ConfigurationError(
                f"With these, orders to {gateway} could cost {to_dollars(to_order)} USD, after {to_dollars(spent)} USD"
                f" that the journal knows of: {to_dollars(to_order + spent)} USD, more than --max-cost"
                f" {to_dollars(most)}. A worker that is at it has that cap: wait for its end, or start it with a higher"
                " one; nothing was changed."
            )


def find_gone(db: Any, token: str, batch: int) -> list[str]:
    """Return who worked on a batch, is gone without having left, and may still have lines."""
    return [found for (found,) in db.execute(FIND_GONE, [batch, token])]


def read_workers(db: Any, batch: int | None = None) -> list[WorkerRecord]:
    """Return the workers of a batch, or of all, those that are gone among them, the earliest first."""
    return [WorkerRecord(*(*row[:-1], to_dollars(row[-1]))) for row in db.execute(WORKER_RECORDS, [batch or 0])]


def forget_gone(db: Any, tokens: Sequence[str]) -> None:
    """Take those who are gone for ones that have left, if no line is theirs any more."""
    db.execute(FORGET_GONE, [list(tokens)])


def add_counts(db: Any, token: str, ended: Sequence[tuple[str, int]]) -> None:
    """Count the lines that a worker has ended, each with its state and its cost as it is stored. A sign of life."""
    states = Counter(state for state, _ in ended)
    spent = sum(units for _, units in ended)
    db.execute(ADD_COUNTS, [states["done"], states["failed"], states["unknown"], spent, token])


def note_left(db: Any, token: str) -> None:
    """Take note that a worker has left, and given back what was its."""
    db.execute(NOTE_LEFT, [token])

"""The workers of the batches: who they are, when they gave their last sign of life, and what they have done.

A worker is alive while its session holds the lock of its token, and has not left. Moments are those of the server.
"""

import os
import socket
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from attrs import frozen

from longcat.saving.journal.money import to_dollars

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
    spent       BIGINT NOT NULL DEFAULT 0   -- What those cost at most, in 1e-9 US dollars.
)"""

SEEN: Final = """
INSERT INTO longcat_worker (token, batch, host, pid) VALUES (?, ?, ?, ?)
ON CONFLICT (token) DO UPDATE SET batch = excluded.batch, seen = clock_timestamp(), has_left = FALSE"""
COUNT: Final = """
UPDATE longcat_worker
SET seen = clock_timestamp(), done = done + ?, failed = failed + ?, unknown = unknown + ?, spent = spent + ?
WHERE token = ?"""
LEFT: Final = "UPDATE longcat_worker SET seen = clock_timestamp(), has_left = TRUE WHERE token = ?"
GONE: Final = """
SELECT token FROM longcat_worker
WHERE batch = ? AND NOT has_left AND token <> ? AND token NOT IN (TABLE longcat_living)"""
# Who still has lines is not forgotten: the one who takes them over may not have committed yet, and be gone, too.
FORGET: Final = """
UPDATE longcat_worker SET has_left = TRUE
WHERE token = ANY(?) AND NOT EXISTS (SELECT FROM longcat_line WHERE owner = token)"""
RECORDS: Final = """
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


def sign(db: Any, token: str, batch: int) -> None:
    """Give a sign of life of this program, which works on a batch from now on, if it did not before."""
    db.execute(SEEN, [token, batch, socket.gethostname(), os.getpid()])


def gone(db: Any, token: str, batch: int) -> list[str]:
    """Return who worked on a batch, is gone without having left, and may still have lines."""
    return [found for (found,) in db.execute(GONE, [batch, token])]


def records(db: Any, batch: int | None = None) -> list[WorkerRecord]:
    """Return the workers of a batch, or of all, those that are gone among them, the earliest first."""
    return [WorkerRecord(*(*row[:-1], to_dollars(row[-1]))) for row in db.execute(RECORDS, [batch or 0])]


def forget(db: Any, tokens: Sequence[str]) -> None:
    """Take those who are gone for ones that have left, if no line is theirs any more."""
    db.execute(FORGET, [list(tokens)])


def count(db: Any, token: str, ended: Sequence[tuple[str, int]]) -> None:
    """Count the lines that a worker has ended, each with its state and its cost as it is stored. A sign of life."""
    states = Counter(state for state, _ in ended)
    spent = sum(units for _, units in ended)
    db.execute(COUNT, [states["done"], states["failed"], states["unknown"], spent, token])


def leave(db: Any, token: str) -> None:
    """Take note that a worker has left, and given back what was its."""
    db.execute(LEFT, [token])

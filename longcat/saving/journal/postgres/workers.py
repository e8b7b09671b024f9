"""The workers of the batches: who they are, when they gave their last sign of life, and what they have done."""

from datetime import datetime
from decimal import Decimal

from attrs import frozen


@frozen
class WorkerRecord:
    """One program that works, or worked, on a batch.

    Attributes:
        token: names it, as the owner of rows.
        host: the name of its machine.
        pid: its process there.
        batch: the number of its batch. None: it uses the journal without one.
        began: when it came, by the server's clock, as the next one.
        seen: its last sign of life.
        is_alive: whether it is there now. False: it is gone, or has left.
        done: how many lines it has done; `failed` and `unknown` likewise.
        spent: what these cost at most, in US dollars.
    """

    token: str
    host: str
    pid: int
    batch: int | None
    began: datetime
    seen: datetime
    is_alive: bool
    done: int
    failed: int
    unknown: int
    spent: Decimal

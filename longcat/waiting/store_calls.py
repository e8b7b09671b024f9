"""A flow calls an order store or a request store, and again while another program has it locked. No I/O."""

from collections.abc import Callable
from typing import TypeVar

from longcat.clock import RESOLUTION
from longcat.errors import JournalError
from longcat.waiting.backoff import recheck_interval
from longcat.waiting.commands import Flow, Sleep, run_in_thread

T = TypeVar("T")


def call_store(function: Callable[[], T], left: Callable[[], float]) -> Flow[T]:
    """Have a function of a store called where it may block, and return its result or raise its error.

    While another program has the store locked, it is called again, until `left` says that no second is left. So it must
    change nothing when it raises, or the same when it is called again.
    """
    waited = 0.0
    while True:
        try:
            return (yield from run_in_thread(function))
        except JournalError as error:
            seconds = left()
            if not error.locked or seconds <= RESOLUTION:
                raise
        pause = min(recheck_interval(waited), seconds)
        waited += pause
        yield Sleep(pause)

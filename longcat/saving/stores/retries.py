"""Tries again what a store did not do, for as long as that may help. It blocks."""

from collections.abc import Callable
from time import sleep
from typing import TypeVar

from longcat.clock import monotonic
from longcat.saving.stores.store_errors import StoreError
from longcat.waiting.backoff import backoff

T = TypeVar("T")


def retry(step: Callable[[], T], seconds: float, on_first_fault: Callable[[StoreError], object] | None = None) -> T:
    """Call a function, again for so many seconds after transient faults of a store, and return its result.

    Args:
        step: what to call. It raises StoreError for a fault of a store.
        seconds: the time in which it is called again. 0: it is called once.
        on_first_fault: called with the first fault after which it is called again. None: nothing is.

    Raises:
        StoreError: the fault is not transient, or was still there when the time was up.
    """
    end = monotonic() + seconds
    attempt = 0
    while True:
        attempt += 1
        try:
            return step()
        except StoreError as error:
            pause = backoff(attempt)
            if not error.transient or monotonic() + pause > end:
                raise
            if attempt == 1 and on_first_fault is not None:
                on_first_fault(error)
        sleep(pause)

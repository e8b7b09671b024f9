"""Writes to a journal that nobody waits for: by a thread, in their order, and again while the journal is locked."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from longcat.errors import JournalError

logger: Final = logging.getLogger("longcat")

WRITE_PAUSE: Final = 0.1
"""Seconds until a write is tried again that found the journal locked."""


class BackgroundWriter:
    """Does writes, one after the other, in a thread that ends when there is none left."""

    def __init__(self) -> None:
        self._writes: deque[Callable[[], object]] = deque()
        self._changed = threading.Condition()
        self._is_running = False
        self._is_closed = False
        self._last_error = ""
        """What went wrong with the last write. Empty: nothing did."""

    def add(self, write: Callable[[], object]) -> None:
        """Have a write done soon. It may raise JournalError, which is logged: of several that are alike, the first."""
        with self._changed:
            self._writes.append(write)
            if not self._is_running:
                self._is_running = True
                threading.Thread(target=self._run, name="longcat-journal", daemon=True).start()

    def flush(self, seconds: float) -> None:
        """Wait until all writes are done, for so many seconds at most."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_running, seconds)

    def close(self, seconds: float) -> None:
        """Wait as `flush` does, and give up what is not done by then."""
        self.flush(seconds)
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _run(self) -> None:
        while (write := self._next()) is not None:
            try:
                write()
                self._last_error = ""
            except JournalError as error:
                if not error.locked:
                    if str(error) != self._last_error:  # It would be the same for each write from now on.
                        logger.warning("%s", error)
                    self._last_error = str(error)
                    continue
                with self._changed:
                    self._writes.appendleft(write)
                    self._changed.wait_for(lambda: self._is_closed, WRITE_PAUSE)
            except Exception:
                logger.exception("a note for the journal was lost")

    def _next(self) -> Callable[[], object] | None:
        """Return the next write. None: there is none, and the thread is to end."""
        with self._changed:
            if self._writes and not self._is_closed:
                return self._writes.popleft()
            self._is_running = False
            self._changed.notify_all()
            return None

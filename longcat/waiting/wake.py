"""Ends a sleep early upon news of a request, which may come from another thread. No I/O."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from longcat.processes import ForkSafeLock


class Wake(Protocol):
    """Hears of requests while they are waited for: `longcat.webhooks.Receiver` is one."""

    def subscribe(self, request_id: str, callback: Callable[[], object]) -> Callable[[], None]:
        """Call a function whenever there is news of a request, and return what ends that.

        It is called in any thread, must not block, and is called at once if there was news shortly before.
        """


class WakeEvent:
    """Is set by news, from any thread, and tells the one who sleeps."""

    def __init__(self) -> None:
        self._lock = ForkSafeLock()
        self._is_set = False
        self._listener: Callable[[], object] | None = None

    @property
    def is_set(self) -> bool:
        """Whether it was set, and not cleared since."""
        return self._is_set

    def set(self) -> None:
        """Set it, and call the listener unless it was set already."""
        with self._lock:
            listener = None if self._is_set else self._listener
            self._is_set = True
        if listener is not None:
            listener()

    def clear(self) -> None:
        """Let it be set anew."""
        self._is_set = False

    def listen(self, listener: Callable[[], object] | None) -> None:
        """Have a function called when it is set, in the thread that sets it; at once if it is set now. None: no more.

        There is one listener at a time. It may be called once more just after it was replaced.
        """
        with self._lock:
            self._listener = listener
            is_set = self._is_set
        if is_set and listener is not None:
            listener()

    @contextmanager
    def listening(self, listener: Callable[[], object]) -> Iterator[None]:
        """Let a function listen while the block lasts."""
        self.listen(listener)
        try:
            yield
        finally:
            self.listen(None)

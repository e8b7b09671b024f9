"""The request store keeps what outlives a wait: the claim and the last answer of its request. No I/O."""

import logging
from collections.abc import Callable
from typing import Final, Protocol

from attrs import define, field

from longcat.errors import JournalError
from longcat.models import Status
from longcat.text import shorten
from longcat.waiting.commands import Flow, run_in_thread
from longcat.waiting.store_calls import call_store

logger: Final = logging.getLogger("longcat")


class RequestStore(Protocol):
    """Keeps what outlives a wait, and may be shared by programs: `longcat.saving.journal.request_table.RequestTable`.

    Every method but `later` and `is_ours` may block, and raises JournalError.
    """

    def claim(self, request_id: str) -> bool:
        """Claim a request, and return whether it is ours. False: another program waits for it."""

    def is_ours(self, request_id: str) -> bool:
        """Whether a request that we have claimed is ours still, for certain. False: `confirm` finds out."""

    def confirm(self, request_id: str) -> bool:
        """Find out whether a request that we have claimed is ours still. False: it is not claimed any more."""

    def release(self, request_id: str) -> None:
        """Leave a request to others."""

    def last(self, request_id: str) -> Status | None:
        """Return the last answer, whichever program got it. None: there was no answer."""

    def note(self, status: Status) -> None:
        """Keep an answer."""

    def note_refusal(self, request_id: str, reason: str) -> None:
        """Keep that the gateway refused to tell of a request, so that it counts as failed. It may be asked again."""

    def later(self, write: Callable[[], object]) -> None:
        """Have something written by a thread, which tries again while another program has the store locked."""


@define
class StoredRequest:
    """A request in a store, as one wait uses it.

    Attributes:
        left: returns how many seconds are left until the deadline; negative after it.
        is_claimed: whether other programs leave the request to us.
    """

    store: RequestStore
    request_id: str
    left: Callable[[], float]
    is_claimed: bool = False
    _is_closed: bool = field(default=False, init=False)

    @property
    def is_ours(self) -> bool:
        """Whether other programs leave the request to us, for certain. False: `find` finds out."""
        return self.is_claimed and self.store.is_ours(self.request_id)

    def find(self) -> Flow[Status | None]:
        """Claim the request if it is free, and return the last answer that is known. A final one needs no claim.

        Raises JournalError; one that says `locked` when the time is up.
        """
        return (yield from call_store(self._find, self.left))

    def note(self, status: Status) -> Flow[None]:
        """Keep an answer; with a final one, leave the request to others. Raises JournalError, as `find` does.

        A final answer that can't be kept in time is kept later.
        """
        keep = self._keep_final if status.state.is_final else self.store.note
        try:
            yield from call_store(lambda: keep(status), self.left)
        except JournalError as error:
            if not (error.locked and status.state.is_final):
                raise
            logger.warning("request %s is done, but not yet noted: %s", shorten(self.request_id), error)
            self.store.later(lambda: keep(status))

    def leave(self, refusal: str | None = None) -> Flow[None]:
        """Leave the request to others, after an error that matters more than whether that works.

        Args:
            refusal: why the gateway will not tell of the request. None: that is not what happened.
        """
        if self.is_claimed:
            try:
                yield from run_in_thread(lambda: self._leave(refusal))
            except JournalError:
                if refusal is not None:
                    self.store.later(lambda: self.store.note_refusal(self.request_id, refusal))
                self.close()

    def close(self) -> None:
        """Leave the request to others as soon as that is possible. It may be called again.

        A claim that a thread is making just now is given back as soon as it is made.
        """
        self._is_closed = True
        if self.is_claimed:
            self.store.later(self._release)

    def _find(self) -> Status | None:
        last = self.store.last(self.request_id)
        if self.is_claimed and not _is_final(last) and not self.store.is_ours(self.request_id):
            self.is_claimed = self.store.confirm(self.request_id)
        if not self.is_claimed and not _is_final(last):
            self.is_claimed = self.store.claim(self.request_id)
            if self._is_closed:  # By another thread, which may have seen no claim yet.
                self.close()
                return last
            last = self.store.last(self.request_id)  # It may have come just before.
        if _is_final(last):
            self._release()
        return last

    def _leave(self, refusal: str | None) -> None:
        if refusal is not None:
            self.store.note_refusal(self.request_id, refusal)
        self._release()

    def _keep_final(self, status: Status) -> None:
        self.store.note(status)
        self._release()

    def _release(self) -> None:
        if self.is_claimed:
            self.store.release(self.request_id)
            self.is_claimed = False


def _is_final(status: Status | None) -> bool:
    return status is not None and status.state.is_final

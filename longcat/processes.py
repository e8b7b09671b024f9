"""Tells objects of a fork: those with something that a forked process must not share."""

import os
import threading
from typing import Final
from weakref import ref


class ForkAware:
    """Something that is told when its process is forked. Subclasses override what they need.

    What they do must be short and without network: it is also done for a program that is started by fork and exec.
    """

    __slots__ = ("__weakref__",)

    def watch_forks(self) -> None:
        """Be told of every fork from now on, as long as this object lives."""
        key = id(self)
        ALL[key] = ref(self, lambda _: ALL.pop(key, None))

    def before_fork(self) -> None:
        """Prepare for a fork, in the thread that forks. Other threads go on running."""

    def after_fork_in_parent(self) -> None:
        """Undo what `before_fork` did, in the same thread."""

    def after_fork_in_child(self) -> None:
        """Begin anew. No other thread runs in the new process yet, and none of the parent's ever will."""


ALL: Final[dict[int, ref[ForkAware]]] = {}
FORKING: Final = threading.local()  # Its `told` has those whose `before_fork` was called in this thread.


class ForkSafeLock(ForkAware):
    """A lock for threads that is free in a forked process, even if a thread of the parent held it at that moment."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.watch_forks()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *error: object) -> None:
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Be free."""
        self._lock = threading.Lock()


def _all() -> list[ForkAware]:
    return [one for found in list(ALL.values()) if (one := found()) is not None]


def _before() -> None:
    FORKING.told = _all()
    for one in FORKING.told:
        one.before_fork()


def _after_in_parent() -> None:
    for one in FORKING.__dict__.pop("told", []):
        one.after_fork_in_parent()


def _after_in_child() -> None:
    FORKING.__dict__.pop("told", None)
    for one in _all():
        one.after_fork_in_child()


if hasattr(os, "register_at_fork"):  # Windows has no fork.
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)

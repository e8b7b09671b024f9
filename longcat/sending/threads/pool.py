"""Performs a batch with threads, for `LongCat`."""

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, nullcontext
from functools import partial
from queue import Empty, SimpleQueue
from typing import Final, Self, TypeAlias, TypeVar, assert_never

from longcat.clock import Clock, monotonic
from longcat.errors import ConfigurationError, LongCatError
from longcat.gateway.messages import Answer
from longcat.sending.loop_guard import LoopGuard
from longcat.sending.threads.driver import Stopped, sleep
from longcat.waiting.batch import Batch, Finished, Idle, Job, Perform, TakeItem
from longcat.waiting.commands import Command
from longcat.waiting.outcome import Outcome
from longcat.waiting.wake import WakeEvent

T = TypeVar("T")

ORDER_GRACE: Final = 10.0
"""Seconds that orders under way get to be answered when a batch is left early. Else they are in doubt, and may be paid
for nothing."""

GRACE_FOR_THREADS: Final = 1.0
"""Seconds that all threads get to end. One that is making a connection can't be stopped, and ends when that does."""

PerformCommand: TypeAlias = Callable[[Command, Stopped], Answer | None]


class ThreadPool:
    """Performs commands in threads, which are started as they are needed.

    A context manager. When it is left, commands that are being performed are given up.

    Args:
        perform: performs a command and returns its result, or gives up soon after the function that it is given says
            so.
    """

    def __init__(self, perform: PerformCommand) -> None:
        self._perform = perform
        self._stopping = threading.Event()
        self._todo: SimpleQueue[Perform | None] = SimpleQueue()
        self._results: SimpleQueue[tuple[Job, Answer | BaseException | None] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stopping.set()
        for _ in self._threads:
            self._todo.put(None)
        end = monotonic() + GRACE_FOR_THREADS
        for thread in self._threads:
            thread.join(max(end - monotonic(), 0.0))

    def perform(self, step: Perform, in_flight: int) -> None:
        """Have a command performed, so that so many are being performed at once.

        Raises ConfigurationError when the system lets us have no thread at all.
        """
        self._todo.put(step)
        if in_flight > len(self._threads):
            thread = threading.Thread(target=self._work, name="longcat", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:
                if not self._threads:
                    raise ConfigurationError(f"No thread can be started: {error}. Raise the system's limit.") from error
            else:
                self._threads.append(thread)

    def result(self, seconds: float, wake: WakeEvent | None = None) -> tuple[Job, Answer | LongCatError | None] | None:
        """Return a job and the result of its command, waiting for so many seconds, or until it is woken.

        None: there is no result yet. Raises what `perform` raised, except a LongCatError.
        """
        with nullcontext() if wake is None else wake.listening(lambda: self._results.put(None)):
            try:
                performed = self._results.get(timeout=min(seconds, threading.TIMEOUT_MAX))
            except Empty:
                return None
        if performed is None:
            return None
        job, result = performed
        if isinstance(result, BaseException) and not isinstance(result, LongCatError):
            raise result
        return job, result

    def _work(self) -> None:
        while (step := self._todo.get()) is not None and not self._stopping.is_set():
            try:
                self._results.put((step.job, self._perform(step.command, self._stopping.is_set)))
            except BaseException as error:  # noqa: BLE001 - it is raised where the result is awaited.
                self._results.put((step.job, error))


def outcomes(
    batch: Batch[T], items: Iterator[T], clock: Clock, perform: PerformCommand, settle: Callable[[], None] | None = None
) -> Generator[Outcome]:
    """Yield the outcome of every item of a batch, as they come. At the end, `settle` is called, which may block.

    Calls are sent while the caller waits for the next outcome. Those in flight go on in between.

    Raises ConfigurationError in a process that was forked midway.
    """
    guard = LoopGuard()
    with ExitStack() as at_end:
        at_end.callback(settle or batch.close)
        at_end.enter_context(closing(batch))
        threads = at_end.enter_context(ThreadPool(perform))
        at_end.push(partial(_on_leaving, batch, threads, guard))
        while True:
            guard.check()
            while batch.in_flight and (result := threads.result(0)) is not None:
                batch.receive(*result)
            step = batch.next()
            match step:
                case Perform():
                    threads.perform(step, batch.in_flight)
                case TakeItem():
                    feed(batch, items)
                case Idle() | Finished() if batch.outcomes:
                    yield batch.pop_outcome()
                case Idle(seconds, wake) if batch.in_flight:
                    if (result := threads.result(seconds, wake)) is not None:
                        batch.receive(*result)
                case Idle(seconds, wake):
                    sleep(clock, seconds, wake)
                case Finished():
                    return
                case _:
                    assert_never(step)


def _on_leaving(
    batch: Batch[T], threads: ThreadPool, guard: LoopGuard, kind: type[BaseException] | None, *_: object
) -> None:
    """Let the orders that are under way be answered when a batch is left early, unless the whole program is to end."""
    if kind is None or not issubclass(kind, Exception | GeneratorExit) or not guard.is_same_process:
        return
    batch.stop()
    end = monotonic() + ORDER_GRACE
    while (left := end - monotonic()) > 0:
        match batch.next():
            case Perform() as step:
                threads.perform(step, batch.in_flight)
            case Idle(seconds):
                if (result := threads.result(min(seconds, left))) is not None:
                    batch.receive(*result)
            case TakeItem() | Finished():
                return


def feed(batch: Batch[T], items: Iterator[T]) -> None:
    """Give a batch the next item, or tell it that there is none."""
    for item in items:
        batch.feed(item)
        return
    batch.end_items()

"""Threads that send the calls of a batch, for LongCat."""

import math
import threading
import time
from collections.abc import (
    Callable,
    Generator,
    Iterator,
)
from contextlib import closing
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Final, Self, TypeAlias

from longcat.clock import Clock
from longcat.errors import LongCatError
from longcat.gateway.messages import (
    Answer,
    Call,
)
from longcat.waiting.batch import Batch, Job
from longcat.waiting.wait import Outcome

GRACE: Final = 1.0
"""Seconds that all threads get to end. One that is making a connection can't be stopped, and ends when that does."""


PATIENCE: Final = 100
"""How many ids are taken at a stretch that need no question, as they were there before, or the journal knows them."""


SKIP_PAUSE: Final = 0.01
"""Seconds to rest then: they may go on like this for ever."""


Stopped: TypeAlias = Callable[[], bool]


class ThreadPool:
    """Sends calls from threads, which are started as they are needed.

    A context manager. When it is left, calls under way are given up.

    Args:
        perform: sends a call and returns the answer, or gives up soon after the function that it is given says so.
    """

    def __init__(self, perform: Callable[[Call, Stopped], Answer]) -> None:
        self._perform = perform
        self._stopping = threading.Event()
        self._todo: SimpleQueue[Job | None] = SimpleQueue()
        self._answers: SimpleQueue[tuple[Job, Answer | BaseException]] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        for _ in self._threads:
            self._todo.put(None)
        end = time.monotonic() + GRACE
        for thread in self._threads:
            thread.join(max(end - time.monotonic(), 0.0))

    def send(self, job: Job, in_flight: int) -> None:
        """Have a call sent, so that so many are under way."""
        self._todo.put(job)
        if in_flight > len(self._threads):
            thread = threading.Thread(target=self._work, name="longcat", daemon=True)
            thread.start()
            self._threads.append(thread)

    def answer(self, seconds: float) -> tuple[Job, Answer | LongCatError] | None:
        """Return what came of a call, waiting for it for so long. None: nothing yet."""
        try:
            job, answer = self._answers.get(timeout=min(seconds, threading.TIMEOUT_MAX))
        except Empty:
            return None
        if isinstance(answer, Answer | LongCatError):
            return job, answer
        raise answer

    def _work(self) -> None:
        while (job := self._todo.get()) is not None and not self._stopping.is_set():
            try:
                self._answers.put((job, self._perform(job.call, self._stopping.is_set)))
            except BaseException as error:  # noqa: BLE001 - it is raised where the answer is awaited.
                self._answers.put((job, error))


def outcomes(
    batch: Batch,
    request_ids: Iterator[str],
    clock: Clock,
    perform: Callable[[Call, Stopped], Answer],
) -> Generator[Outcome]:
    """Yield the outcome of every request of a batch, as they come.

    Questions are sent while the caller waits for the next outcome. Those under way go on in between.
    """
    with closing(batch), ThreadPool(perform) as threads:
        while True:
            while batch.in_flight and (answer := threads.answer(0)) is not None:
                batch.receive(*answer)
            feed(batch, request_ids)
            while (job := batch.send()) is not None:
                threads.send(job, batch.in_flight)
                feed(batch, request_ids)
            if batch.outcomes:
                yield batch.outcomes.popleft()
            elif batch.done:
                return
            else:
                seconds = min(batch.pause(), SKIP_PAUSE if batch.wants_more else math.inf)
                if not batch.in_flight:
                    clock.sleep(seconds)
                elif (answer := threads.answer(seconds)) is not None:
                    batch.receive(*answer)


def feed(batch: Batch, request_ids: Iterator[str]) -> None:
    """Give a batch what it wants, unless the ids are dull."""
    for _ in range(PATIENCE):
        if not batch.wants_more:
            return
        for request_id in request_ids:
            batch.feed(request_id)
            break
        else:
            batch.fed = True

"""Who performs the calls of a batch, several at a time: threads for `LongCat`, tasks for `AsyncLongCat`."""

import asyncio
import sys
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
)
from contextlib import aclosing, closing, contextmanager, suppress
from contextvars import copy_context
from typing import Any

import anyio
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from longcat.clock import Clock
from longcat.errors import LongCatError
from longcat.gateway.messages import (
    Answer,
    Call,
)
from longcat.sending.threads import PATIENCE, SKIP_PAUSE
from longcat.waiting.batch import Batch, Job
from longcat.waiting.wait import Outcome


class Outcomes(AsyncIterator[Outcome]):
    """The outcomes of a batch, as they come.

    Questions are asked by a task of its own, from the first `anext` to the last one, or to `aclose`, or until nobody
    holds this object any more. An asynchronous generator could not do it: no task group may be open while it yields.
    """

    def __init__(
        self,
        batch: Batch,
        request_ids: AsyncGenerator[str],
        clock: Clock,
        perform: Callable[[Call], Awaitable[Answer]],
    ) -> None:
        self._pool = _TaskPool(batch, request_ids, clock, perform)

    async def __anext__(self) -> Outcome:
        return await self._pool.next()

    async def aclose(self) -> None:
        """Stop asking, and return when everything has stopped. Twice is as good as once."""
        await self._pool.stop()

    def remaining(self) -> float | None:
        """Return in how many seconds all that is open will be done, as likely as not. None: nobody knows.

        The estimate is that of the schedule, so it is there with `AdaptivePolling` only.
        """
        return self._pool.remaining()

    def __del__(self) -> None:
        self._pool.cancel()


class _TaskPool:
    """The tasks behind `Outcomes`. They don't hold it, so that it can be dropped while they run."""

    def __init__(
        self,
        batch: Batch,
        request_ids: AsyncGenerator[str],
        clock: Clock,
        perform: Callable[[Call], Awaitable[Answer]],
    ) -> None:
        self._batch = batch
        self._request_ids = request_ids
        self._clock = clock
        self._perform = perform
        self._scope: anyio.CancelScope | None = None
        self._failure: BaseException | None = None
        self._notified = False
        self._task: object = None  # An event loop holds its tasks weakly.

    async def next(self) -> Outcome:
        if self._scope is None:
            self._scope = anyio.CancelScope()
            self._wanted, self._came, self._ended = anyio.Event(), anyio.Event(), anyio.Event()
            self._sleeping = anyio.CancelScope()
            self._task = spawn(self._work)
        while not self._batch.outcomes:
            if self._failure is not None:
                failure, self._failure = self._failure, None
                raise failure from failure.__cause__
            if self._ended.is_set():
                raise StopAsyncIteration
            if self._came.is_set():
                self._came = anyio.Event()
            await self._came.wait()
        self._notify()  # There is room for one more.
        return self._batch.outcomes.popleft()

    async def stop(self) -> None:
        if self._scope is None:
            self._scope, self._ended = anyio.CancelScope(), anyio.Event()
            self._ended.set()
        self._scope.cancel()
        with anyio.CancelScope(shield=True):
            await self._ended.wait()
        self._batch.outcomes.clear()

    def remaining(self) -> float | None:
        return self._batch.remaining()

    def cancel(self) -> None:
        if self._scope is not None and not self._ended.is_set():
            with suppress(RuntimeError):  # The event loop is over, and all its tasks with it.
                self._scope.cancel()

    async def _work(self) -> None:
        """Do all that the batch wants, until it is done or the scope is cancelled."""
        try:
            with self._scope or anyio.CancelScope(), closing(self._batch):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._feed)
                    await self._ask(tasks)
                    tasks.cancel_scope.cancel()
        except anyio.get_cancelled_exc_class():
            self._failure = RuntimeError("The task that asks was cancelled from outside. Start the batch again.")
            raise
        except BaseException as error:  # noqa: BLE001 - it is raised where the outcome is awaited.
            self._fail(error)
        finally:
            self._ended.set()
            self._came.set()

    def _fail(self, error: BaseException) -> None:
        """Keep the first mistake for who awaits the outcome, and stop."""
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if isinstance(error, StopIteration | StopAsyncIteration):  # Raised there, it would end a loop in silence.
            wrapped = RuntimeError(f"{type(error).__name__} was raised in a batch")
            wrapped.__cause__ = error
            error = wrapped
        if self._failure is None:
            self._failure = error
        if self._scope is not None:
            self._scope.cancel()

    @contextmanager
    def _catching(self) -> Iterator[None]:
        """Keep what the caller's own code raises, whatever it is: some of it a task would take for its own end."""
        try:
            yield
        except BaseException as error:  # noqa: BLE001 - as above.
            self._fail(error)

    async def _ask(self, tasks: TaskGroup) -> None:
        while True:
            self._notified = False
            with self._catching():
                while (job := self._batch.send()) is not None:
                    tasks.start_soon(self._carry, job)
            if self._batch.outcomes:
                self._came.set()
            if self._batch.done:
                return
            if self._batch.wants_more:
                self._wanted.set()
            if not self._notified:
                await self._sleep(self._batch.pause())

    async def _sleep(self, seconds: float) -> None:
        """Let time pass, until there are news at most. On a test's clock, none passes while a call is under way."""
        with anyio.CancelScope() as self._sleeping:
            await (anyio.sleep if self._batch.in_flight else self._clock.asleep)(seconds)

    def _notify(self) -> None:
        """Have the batch looked at again, as there are news."""
        self._notified = True
        self._sleeping.cancel()

    async def _carry(self, job: Job) -> None:
        try:
            answer: Answer | LongCatError = await self._perform(job.call)
        except LongCatError as error:
            answer = error
        with self._catching():
            self._batch.receive(job, answer)
        self._notify()

    async def _feed(self) -> None:
        dull = 0
        await self._until_wanted()
        async with aclosing(self._request_ids) as request_ids:
            async for request_id in request_ids:
                with self._catching():
                    self._batch.feed(request_id)
                self._notify()
                dull = dull + 1 if self._batch.wants_more else 0
                await (self._clock.asleep(SKIP_PAUSE) if dull % PATIENCE == PATIENCE - 1 else checkpoint())
                await self._until_wanted()
        self._batch.fed = True
        self._notify()

    async def _until_wanted(self) -> None:
        """Return when the batch wants a request."""
        while not self._batch.wants_more:
            self._wanted = anyio.Event()
            await self._wanted.wait()


async def each(request_ids: Iterable[str] | AsyncIterable[str]) -> AsyncGenerator[str]:
    """Yield from an iterable of either kind."""
    if isinstance(request_ids, AsyncGenerator):
        async with aclosing(request_ids):
            async for request_id in request_ids:
                yield request_id
    elif isinstance(request_ids, AsyncIterable):
        async for request_id in request_ids:
            yield request_id
    else:
        for request_id in request_ids:
            yield request_id


def spawn(work: Callable[[], Coroutine[Any, Any, None]]) -> object:
    """Start a task that belongs to the event loop, and return it. Who starts it sees to its end."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_task():
        return trio.lowlevel.spawn_system_task(work, name="longcat", context=copy_context())
    return asyncio.get_running_loop().create_task(work(), name="longcat")

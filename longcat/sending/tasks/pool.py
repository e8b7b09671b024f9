"""Performs a batch with tasks, on asyncio and trio, for `AsyncLongCat`."""

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable
from contextlib import aclosing, closing, nullcontext, suppress
from functools import partial
from math import inf
from typing import TypeAlias, TypeVar, assert_never

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup
from attrs import frozen

from longcat.clock import Clock, SystemClock, asleep, hold
from longcat.errors import LongCatError
from longcat.gateway.messages import Answer
from longcat.sending.loop_guard import LoopGuard, current_loop
from longcat.sending.tasks.driver import AwaitCommand, from_any_thread, spawn, woken_by
from longcat.waiting.batch import Batch, Finished, Idle, Perform, TakeItem
from longcat.waiting.outcome import Outcome
from longcat.waiting.wake import WakeEvent

T = TypeVar("T")
Settle: TypeAlias = Callable[[], None] | None
"""Blocks, when a batch has ended, until what it had to write is written. None: there is nothing to write."""


class Outcomes(AsyncIterator[Outcome]):
    """The outcomes of a batch, as they come.

    Tasks of their own ask the questions. They start with the first `anext`, and stop after the last one, at `aclose`,
    or when this object is garbage-collected. It is not an asynchronous generator, because no task group may be open
    while one yields.
    """

    def __init__(
        self, batch: Batch[T], items: AsyncGenerator[T], clock: Clock, perform: AwaitCommand, settle: Settle
    ) -> None:
        self._pool: _TaskPool | None = None
        self._closed = False
        self._batch = batch
        self._start = partial(_TaskPool, batch, items, clock, perform, settle)

    async def __anext__(self) -> Outcome:
        if self._closed:
            raise StopAsyncIteration
        if self._pool is None:
            self._pool = self._start()
        self._pool.guard.check()
        return await self._pool.next()

    async def aclose(self) -> None:
        """Stop asking, and return when everything has stopped. It may be called again.

        Raises ConfigurationError in another event loop or process than the first `anext`.
        """
        self._closed = True
        if self._pool is not None:
            self._pool.guard.check()
            await self._pool.stop()

    def stop_ordering(self) -> None:
        """Order and ask nothing more, but let the orders that are under way be answered, so that none is in doubt.

        What is open then has no outcome. The outcomes end soon: an order is answered within a minute.
        """
        if self._pool is None:
            self._closed = True
        else:
            self._pool.stop_ordering()

    def remaining(self) -> float | None:
        """Return in how many seconds all requests will be done, as likely as not. None: that can't be told yet.

        It can once each has got past 20 % by the progress that it reports; for those that have not, once five requests
        of this client have finished. With another policy than `AdaptivePolling` it never can.
        """
        return self._batch.remaining()

    def __del__(self) -> None:
        if self._pool is not None:
            self._pool.cancel()


@frozen
class _Timer:
    """Ends the sleep of the task that rests, which is disturbed only if it would wake up too late.

    Attributes:
        until: when it wakes up, in seconds on the batch's clock.
        in_real_time: whether it sleeps by a clock that goes, and not by one that a test moves.
        wake: wakes it when it is set. None: nothing does.
    """

    until: float
    in_real_time: bool
    wake: WakeEvent | None


class _TaskPool:
    """The tasks behind `Outcomes`. They don't hold it, so that it can be dropped while they run.

    A few tasks perform commands, each one after the other, for as long as there are any. One takes items, and one
    sleeps while the batch rests. Whichever has something to report does the steps of the batch that follow from that,
    in `_advance`, where all code of the caller runs that the batch calls.
    """

    def __init__(
        self, batch: Batch[T], items: AsyncGenerator[T], clock: Clock, perform: AwaitCommand, settle: Settle
    ) -> None:
        self._settle = settle
        self._batch = batch
        self._items = items
        self._clock = clock
        self._perform = perform
        self._reports: deque[Callable[[], None]] = deque()
        self._todo: deque[Perform] = deque()
        self._performing = 0  # How many tasks perform commands.
        self._resting = anyio.CancelScope()
        self._timer = _Timer(-inf, in_real_time=True, wake=None)
        self._items_wanted = anyio.Semaphore(0)
        self._progress = anyio.Event()  # Set and replaced whenever an outcome may have come.
        self._failure: BaseException | None = None
        self._is_over = False  # Whether the batch has no more steps.
        self._ended = False
        self._scope = anyio.CancelScope()
        self.guard = LoopGuard(current_loop()[0])
        self._cancel = from_any_thread(self._scope.cancel)
        self._task = spawn(self._run)  # An event loop holds its tasks weakly.

    async def next(self) -> Outcome:
        """Return the next outcome. Raises what ended the batch early, once, then StopAsyncIteration."""
        while not self._batch.outcomes:
            if self._failure is not None:
                failure, self._failure = self._failure, None
                raise failure from failure.__cause__
            if self._ended:
                raise StopAsyncIteration
            await self._progress.wait()
        outcome = self._batch.pop_outcome()
        if self._batch.wants_item:  # There is room for one more.
            self._resting.cancel()
        return outcome

    def stop_ordering(self) -> None:
        """Let the batch stop."""
        self._reports.append(self._batch.stop)
        self._resting.cancel()

    async def stop(self) -> None:
        """Cancel all tasks, and return when they have ended."""
        self._scope.cancel()
        with anyio.CancelScope(shield=True):
            while not self._ended:
                await self._progress.wait()
        self._batch.outcomes.clear()

    def cancel(self) -> None:
        """Cancel all tasks, whether their event loop still runs or not."""
        if not self._ended and self.guard.is_same_process:
            with suppress(RuntimeError):  # The event loop is over, and all its tasks with it.
                self._cancel()

    async def _run(self) -> None:
        try:
            with self._scope, closing(self._batch):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._take_items, tasks)
                    while (idle := self._advance(tasks)) is not None:
                        await self._sleep(idle)
                    tasks.cancel_scope.cancel()
        except anyio.get_cancelled_exc_class():
            self._failure = RuntimeError("The task that asks was cancelled from outside. Start the batch again.")
            raise
        except BaseException as error:  # noqa: BLE001 - it is raised where the outcome is awaited.
            self._fail(error)
        finally:
            if self._settle is not None:
                with anyio.CancelScope(shield=True), hold(self._clock):
                    await anyio.to_thread.run_sync(self._settle)
            self._ended = True
            self._notify()

    def _advance(self, tasks: TaskGroup) -> Idle | None:
        """Let the batch take in all reports, and do its steps until it is idle. None: it has no more steps.

        It has none either once code of the caller has raised an error. That may be any: some a task group would take
        for the end of the task.
        """
        try:
            while not self._is_over:
                while self._reports:
                    self._reports.popleft()()
                match self._batch.next():
                    case Perform() as step:
                        self._todo.append(step)
                        if self._performing < self._batch.in_flight:
                            self._performing += 1
                            tasks.start_soon(self._perform_commands, tasks)
                    case TakeItem():
                        self._items_wanted.release()
                    case Idle() as idle:
                        if self._batch.outcomes:
                            self._notify()
                        return idle
                    case Finished():
                        self._is_over = True
                    case step:
                        assert_never(step)
        except BaseException as error:  # noqa: BLE001 - as above.
            self._is_over = True
            self._fail(error)
        return None

    def _fail(self, error: BaseException) -> None:
        """Keep the first error, and raise it where the caller awaits the next outcome."""
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if isinstance(error, StopIteration | StopAsyncIteration):  # Raised there, it would end a loop in silence.
            wrapped = RuntimeError(f"{type(error).__name__} was raised in a batch")
            wrapped.__cause__ = error
            error = wrapped
        if self._failure is None:
            self._failure = error

    async def _sleep(self, idle: Idle) -> None:
        """Sleep for the idle time, or until woken. While a command is performed, a test's clock stands still."""
        self._timer = self._timer_of(idle)
        with anyio.CancelScope() as self._resting, woken_by(idle.wake, self._resting):
            await (asleep if self._timer.in_real_time else self._clock.asleep)(idle.seconds)

    def _timer_of(self, idle: Idle) -> _Timer:
        in_real_time = self._batch.in_flight > 0 or isinstance(self._clock, SystemClock)
        return _Timer(self._batch.monotonic() + idle.seconds, in_real_time, idle.wake)

    def _report(self, tasks: TaskGroup, report: Callable[[], None]) -> None:
        """Have a report taken in, and wake the task that sleeps if it would sleep too long."""
        self._reports.append(report)
        idle, now = self._advance(tasks), self._timer
        if idle is not None and now.in_real_time:
            then = self._timer_of(idle)
            if then.in_real_time and then.until >= now.until and then.wake is now.wake:
                return  # It looks again too early, which costs less than to be woken for each report.
        self._resting.cancel()

    def _notify(self) -> None:
        """Wake every task that waits for an outcome, so that it looks again."""
        self._progress.set()
        self._progress = anyio.Event()

    async def _perform_commands(self, tasks: TaskGroup) -> None:
        """Perform commands for as long as there are any."""
        while self._todo:
            step = self._todo.popleft()
            try:
                result: Answer | LongCatError | None = await self._perform(step.command)
            except LongCatError as error:
                result = error
            self._report(tasks, partial(self._batch.receive, step.job, result))
        self._performing -= 1

    async def _take_items(self, tasks: TaskGroup) -> None:
        """Take an item whenever the batch wants one."""
        async with aclosing(self._items) as items:
            await self._items_wanted.acquire()
            async for item in items:
                self._report(tasks, partial(self._batch.feed, item))
                await self._items_wanted.acquire()
        self._report(tasks, self._batch.end_items)


async def each(items: Iterable[T] | AsyncIterable[T], on_item: Callable[[T], object] = id) -> AsyncGenerator[T]:
    """Yield from an iterable of either kind, after calling `on_item` with each item."""
    async with aclosing(items) if isinstance(items, AsyncGenerator) else nullcontext():
        if isinstance(items, AsyncIterable):
            async for item in items:
                on_item(item)
                yield item
        else:
            for item in items:
                on_item(item)
                yield item

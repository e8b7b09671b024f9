"""Performs the commands of a flow in the task that calls, on asyncio and trio, for `AsyncLongCat`."""

import asyncio
import sys
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from contextvars import copy_context
from typing import Any, TypeAlias, TypeVar

import anyio

from longcat.clock import Clock
from longcat.gateway.messages import Answer
from longcat.models import Status
from longcat.sending.loop_guard import LoopGuard, current_loop, in_trio
from longcat.waiting.commands import Command, Flow
from longcat.waiting.wait import Wait
from longcat.waiting.wake import WakeEvent

T = TypeVar("T")
AwaitCommand: TypeAlias = Callable[[Command], Awaitable[Answer | None]]


async def drive(flow: Flow[T], perform: AwaitCommand) -> T:
    """Obey a flow until it ends, and return its result.

    Raises ConfigurationError in a process that was forked midway, by a function of the caller's that the flow calls.
    """
    guard = LoopGuard()
    try:
        command = next(flow)
        while True:
            try:
                guard.check()
                answer = await perform(command)
            except BaseException as error:  # noqa: BLE001 - the flow decides what becomes of it.
                command = flow.throw(error)
            else:
                command = flow.send(answer)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


async def changes(wait: Wait, perform: AwaitCommand) -> AsyncGenerator[Status]:
    """Yield every change of a request, until it is done. Raises ConfigurationError in a process forked midway."""
    guard = LoopGuard()
    with closing(wait):
        while not wait.done:
            guard.check()
            yield await drive(wait.change(), perform)


async def sleep(clock: Clock, seconds: float, wake: WakeEvent | None = None) -> None:
    """Sleep for so many seconds, or until woken."""
    if wake is None:
        await clock.asleep(seconds)
        return
    with anyio.CancelScope() as scope, woken_by(wake, scope):
        await clock.asleep(seconds)


def woken_by(wake: WakeEvent | None, scope: anyio.CancelScope) -> AbstractContextManager[None]:
    """Return the context in which an event, when any thread sets it, cancels a scope of this event loop."""
    return nullcontext() if wake is None else wake.listening(from_any_thread(scope.cancel))


def from_any_thread(function: Callable[[], object]) -> Callable[[], None]:
    """Return what has a function called in this event loop soon, whichever thread calls it, unless the loop is over."""
    here = threading.get_ident()
    _, call_soon = current_loop()

    def call() -> None:
        if threading.get_ident() == here:
            function()
        else:
            with suppress(RuntimeError):  # The event loop is over.
                call_soon(function)

    return call


def spawn(work: Callable[[], Coroutine[Any, Any, None]]) -> object:
    """Start a task that belongs to the event loop, and return it. The caller sees to its end."""
    if in_trio():
        return sys.modules["trio"].lowlevel.spawn_system_task(work, name="longcat", context=copy_context())
    return asyncio.get_running_loop().create_task(work(), name="longcat")

"""Lets Ctrl-C, SIGTERM and SIGHUP end a command, whatever it is doing: with one line on stderr and exit code 130.

SIGHUP comes when the terminal is closed; with `nohup`, it does not end a command.

It imports next to nothing, as it must be there before everything else is.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # As in `typing`, the import of which takes longer than this module.
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import FrameType
    from typing import NoReturn, TypeVar

    T = TypeVar("T")

EXIT_CODE = 130
"""What shells give a command that SIGINT ended."""
LINE = "longcat: Stopped. Requests go on at the service; wait for them again.\n"
SHOW_CURSOR = "\x1b[?25h"
LIVE_LINES = "longcat.cli.displays.live"
"""The module that hides the cursor. It is imported only where it does so."""


def exit_on_interrupt() -> None:
    """Let a signal end the process on the spot, for where there is nothing to tidy up."""
    _handle(lambda *_: exit_now())


def raise_on_interrupt() -> None:
    """Let a signal raise KeyboardInterrupt, so that files and connections are tidied up."""
    _handle(_raise)


def run_async(function: Callable[..., Awaitable[T]], *arguments: object) -> T:
    """Run an async function, and return what it returns. A signal cancels it; KeyboardInterrupt is raised at its end.

    Each further signal cancels it anew, as what tidies up may wait, too. None raises where the program happens to be,
    as a second Ctrl-C does with asyncio: at the entry or the exit of a task group, that would break the group.
    """
    import asyncio  # noqa: PLC0415 - see above.
    import signal  # noqa: PLC0415

    import anyio  # noqa: PLC0415

    async def cancellable() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        ours = [number for number in signal.valid_signals() if signal.getsignal(number) is _raise]
        for number in ours:
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(task.cancel))  # type: ignore[union-attr]
        try:
            return await function(*arguments)
        finally:
            for number in ours:
                signal.signal(number, _raise)

    try:
        return anyio.run(cancellable)
    except asyncio.CancelledError as cancelled:
        raise KeyboardInterrupt from cancelled


def _raise(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def exit_now() -> NoReturn:
    """Print the line and end the process, without the interpreter's own end, which one more signal could spoil."""
    try:
        os.write(2, ((SHOW_CURSOR if LIVE_LINES in sys.modules else "") + LINE).encode())
    finally:
        os._exit(EXIT_CODE)


def _handle(handler: Callable[[int, FrameType | None], object]) -> None:
    import signal  # noqa: PLC0415 - see above.

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP.
        if number == signal.SIGTERM or (number is not None and signal.getsignal(number) is not signal.SIG_IGN):
            signal.signal(number, handler)  # A shell has SIGINT ignored for commands in the background.

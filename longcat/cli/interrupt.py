"""How Ctrl-C, SIGTERM and SIGHUP end a command: with one line on stderr and exit code 130, whatever it is doing.

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
    from typing import NoReturn

EXIT_CODE = 130
"""What shells give a command that SIGINT ended."""
LINE = "longcat: Stopped. Requests go on at the service; wait for them again.\n"
SHOW_CURSOR = "\x1b[?25h"
LIVE_LINES = "longcat.cli.displays.live"
"""The module that hides the cursor. It is imported only where it does so."""


def exit_on_interrupt() -> None:
    """Let a signal end the process on the spot, for where there is nothing to tidy up."""
    _handle(lambda *_: exit_now(), lambda *_: exit_now())


def raise_on_interrupt() -> None:
    """Let a signal raise KeyboardInterrupt, so that files and connections are tidied up; asyncio cancels its task."""
    import signal  # noqa: PLC0415 - see above.

    _handle(signal.default_int_handler, _terminate)


def run_async(function: Callable[..., Awaitable[None]], *arguments: object) -> None:
    """Run an async function to its end. The signals that end a command cancel it, and raise KeyboardInterrupt then.

    asyncio sees to that with its own handler of SIGINT, which it does not set where a shell has SIGINT ignored.
    """
    import asyncio  # noqa: PLC0415 - see above.
    import signal  # noqa: PLC0415

    import anyio  # noqa: PLC0415

    async def cancellable() -> None:
        loop, cancel = asyncio.get_running_loop(), asyncio.current_task().cancel  # type: ignore[union-attr]
        ours = [number for number in signal.valid_signals() if signal.getsignal(number) is _terminate]
        for number in ours:
            loop.add_signal_handler(number, cancel)
        try:
            await function(*arguments)
        finally:
            for number in ours:
                loop.remove_signal_handler(number)
                signal.signal(number, _terminate)

    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN or sys.platform == "win32":
        return anyio.run(function, *arguments)
    try:
        anyio.run(cancellable)
    except asyncio.CancelledError as cancelled:
        raise KeyboardInterrupt from cancelled


def _terminate(number: int, frame: FrameType | None) -> None:
    import signal  # noqa: PLC0415 - see above.

    interrupt = signal.getsignal(signal.SIGINT)  # Perhaps it is asyncio's by then.
    (interrupt if callable(interrupt) else signal.default_int_handler)(number, frame)


def exit_now() -> NoReturn:
    """Print the line and end the process, without the interpreter's own end, which one more signal could spoil."""
    try:
        os.write(2, ((SHOW_CURSOR if LIVE_LINES in sys.modules else "") + LINE).encode())
    finally:
        os._exit(EXIT_CODE)


def _handle(
    interrupt: Callable[[int, FrameType | None], object], terminate: Callable[[int, FrameType | None], object]
) -> None:
    import signal  # noqa: PLC0415 - see above.

    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # As a shell has it for commands in the background.
        signal.signal(signal.SIGINT, interrupt)
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, terminate)
    signal.signal(signal.SIGTERM, terminate)

"""How Ctrl-C, SIGTERM and SIGHUP end a command: with one line on stderr and exit code 130, whatever it is doing.

SIGHUP comes when the terminal is closed; with `nohup`, it does not end a command.

It imports next to nothing, as it must be there before everything else is.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # As in `typing`, the import of which takes longer than this module.
if TYPE_CHECKING:
    from collections.abc import Callable
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

    def terminate(number: int, frame: FrameType | None) -> None:
        interrupt = signal.getsignal(signal.SIGINT)  # Perhaps it is asyncio's by then.
        (interrupt if callable(interrupt) else signal.default_int_handler)(number, frame)

    _handle(signal.default_int_handler, terminate)


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

"""What is said of an error, and the exit code that it gives."""

import sys
import traceback
from collections.abc import Collection
from enum import IntEnum
from typing import Final

from longcat import errors
from longcat.cli.interrupt import EXIT_CODE


class Exit(IntEnum):
    """The exit codes. They are fixed: scripts rely on them."""

    DONE = 0
    NO = 1
    """The answer is no: a generation failed."""
    MISUSED = 2
    """Something must be changed before it can work: an argument, the key, the account."""
    UNCLEAR = 3
    """It could not be told: the network, a time-out, an answer that nobody understands."""
    INTERRUPTED = EXIT_CODE
    """Ctrl-C; what shells give a command that SIGINT ended."""


# The first line that fits decides; no line means UNCLEAR.
CODES: Final = (
    (errors.GenerationFailed, Exit.NO),
    (errors.WaitTimeout, Exit.UNCLEAR),  # Before OSError: it is a TimeoutError, and that is one.
    (errors.ConfigurationError, Exit.MISUSED),
    (errors.BadRequestError, Exit.MISUSED),
    (errors.AuthenticationError, Exit.MISUSED),
    (errors.InsufficientBalanceError, Exit.MISUSED),
    (errors.PermissionDeniedError, Exit.MISUSED),
    (errors.NotFoundError, Exit.MISUSED),
    (OSError, Exit.MISUSED),  # A file that can't be written, a port in use. Network errors arrive as our own.
)


def exit_code(error: BaseException) -> Exit:
    """Return the exit code for an error."""
    if isinstance(error, errors.LongCatError) and error.transient:
        return Exit.UNCLEAR
    if isinstance(error, errors.DownloadError) and error.__cause__ is not None:
        error = error.__cause__  # Our disk, or their network.
    return next((code for kind, code in CODES if isinstance(error, kind)), Exit.UNCLEAR)


def overall(codes: Collection[Exit]) -> Exit:
    """Return the code of a command that did several things: what must be mended comes first, then a plain no."""
    return next((code for code in (Exit.MISUSED, Exit.NO, Exit.UNCLEAR) if code in codes), Exit.DONE)


def report(error: BaseException, *, debug: bool) -> Exit:
    """Say on stderr what went wrong, as one paragraph, and return the exit code."""
    if debug:
        traceback.print_exception(error)
    while isinstance(error, BaseExceptionGroup):  # From a task. Every other one was cancelled by the first.
        error = error.exceptions[0]
    advice = ""
    if isinstance(error, OSError) and not isinstance(error, errors.LongCatError):
        advice = ". Make room, or choose another place, then try again."
    elif not isinstance(error, errors.LongCatError):
        advice = " This is a mistake in longcat: please report it, with what --debug prints."
    print(f"longcat: {str(error) or type(error).__name__}{advice}", file=sys.stderr)
    return exit_code(error)

"""The results of a command on stdout, its errors on stderr, and its exit code."""

import json
import logging
import sys
import traceback
from collections.abc import Collection
from typing import IO, Any, Final, Self

from longcat.cli.exit_codes import Exit
from longcat.cli.streams import quiet_pipe
from longcat.errors import (
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    DownloadError,
    GenerationFailed,
    InsufficientBalanceError,
    LongCatError,
    NotFoundError,
    PermissionDeniedError,
    WaitTimeout,
)
from longcat.text import printable
from longcat.text.known_keys import KNOWN_KEYS

# The first entry that fits decides. Without one it is UNCLEAR.
EXIT_CODES: Final = (
    (GenerationFailed, Exit.NO),
    (WaitTimeout, Exit.UNCLEAR),  # Before OSError: it is a TimeoutError, and that is one.
    ((ConfigurationError, BadRequestError, AuthenticationError, InsufficientBalanceError), Exit.MISUSED),
    ((PermissionDeniedError, NotFoundError), Exit.MISUSED),
    (OSError, Exit.MISUSED),  # A file that can't be written, a port in use. Network errors arrive as our own.
)

MAX_HELD_BYTES: Final = 1024 * 1024
"""Bytes of results that are held in memory, rather than in a temporary file, until they are printed."""


def exit_code(error: BaseException) -> Exit:
    """Return the exit code for an error."""
    if getattr(error, "transient", False):  # All errors of ours have that, those of stores among them.
        return Exit.UNCLEAR
    if isinstance(error, DownloadError) and error.__cause__ is not None:
        error = error.__cause__  # Our disk, or their network.
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), Exit.UNCLEAR)


def overall(codes: Collection[Exit]) -> Exit:
    """Return the code of a command that did several things: of those codes, the one that matters most."""
    return next((code for code in (Exit.MISUSED, Exit.NO, Exit.UNCLEAR) if code in codes), Exit.DONE)


def report(error: BaseException, *, debug: bool, about: str = "") -> Exit:
    """Print to stderr what went wrong, as one paragraph, and return the exit code.

    Args:
        error: what was raised.
        debug: whether to print the traceback, too.
        about: what it is about. Empty: the error says so.
    """
    if debug:
        print_error("".join(traceback.format_exception(error)).rstrip())
    while isinstance(error, BaseExceptionGroup):  # From a task. Every other one was cancelled by the first.
        error = error.exceptions[0]
    if isinstance(error, LongCatError) or hasattr(error, "next_step"):
        advice = ""  # It says itself what to do.
    elif isinstance(error, OSError):
        advice = ". Make room, or choose another place, then try again."
    else:
        advice = " This is a mistake in longcat: please report it, with what --debug prints."
    prefix = f"{about}: " if about else ""
    print_error(f"longcat: {prefix}{str(error) or type(error).__name__}{advice}")
    return exit_code(error)


def print_error(line: str) -> None:
    """Print a line, or several, to stderr, without the key and without anything that a terminal would obey."""
    print(printable(KNOWN_KEYS.hide(line), "\n\t"), file=sys.stderr, flush=True)


def log_to_stderr(*, debug: bool) -> None:
    """Print what is logged to stderr; with `debug`, everything but what would show headers."""
    logging.basicConfig(format="longcat: %(message)s", handlers=[_StderrHandler()])
    # INFO tells of faults that are waited out, and of the HTTP library's calls. Its DEBUG would show headers.
    logging.getLogger("longcat").setLevel(logging.DEBUG if debug else logging.INFO)
    for library in ("httpx", "httpx2"):
        logging.getLogger(library).setLevel(logging.INFO if debug else logging.WARNING)


class _StderrHandler(logging.Handler):
    """Prints to what is stderr at that moment, so that a live display can put the line above itself."""

    def emit(self, record: logging.LogRecord) -> None:
        print_error(self.format(record))


class Printer:
    """Prints results to stdout: at once, or `later`, at the end of the block, when no live line can be torn apart."""

    def __init__(self, *, later: bool = False) -> None:
        self._held: IO[str] | None = None
        if later:
            from tempfile import SpooledTemporaryFile  # noqa: PLC0415 - it is slow to import.

            self._held = SpooledTemporaryFile(MAX_HELD_BYTES, "w+", -1, "utf-8", "\n", errors="surrogatepass")  # noqa: SIM115

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._held is not None:
            with self._held as held:
                held.seek(0)
                for text in held:
                    _write(text.removesuffix("\n"))

    def print(self, result: str | dict[str, Any]) -> None:
        """Print a line, or an object as one line of JSON."""
        text = result if isinstance(result, str) else json.dumps(result)
        if self._held is not None:
            self._held.write(f"{text}\n")
        else:
            _write(text)


def printer_beside_display() -> Printer:
    """Return what prints results while a display draws live lines: later, where both go to a terminal."""
    return Printer(later=sys.stdout.isatty() and sys.stderr.isatty())


def _write(text: str) -> None:
    # A terminal with another encoding must not lose the result, or the command, to one character.
    encoding = sys.stdout.encoding or "utf-8"
    with quiet_pipe():
        print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)

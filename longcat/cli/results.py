"""What a command gives back: results on stdout, errors on stderr, and the exit code."""

import json
import os
import sys
import traceback
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum
from pathlib import Path
from typing import Any, Final, Self, TextIO

from longcat.cli.interrupt import EXIT_CODE
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


class Exit(IntEnum):
    """The exit codes. They are fixed: scripts rely on them."""

    DONE = 0
    NO = 1
    """The answer is no: a generation failed."""
    MISUSED = 2
    """Something must be changed before it can work: an argument, the key, the account."""
    UNCLEAR = 3
    """Nobody can say: the network failed, the time was up, or the answer makes no sense."""
    INTERRUPTED = EXIT_CODE
    """Ctrl-C; what shells give a command that SIGINT ended."""


# The first entry that fits decides. Without one it is UNCLEAR.
CODES: Final = (
    (GenerationFailed, Exit.NO),
    (WaitTimeout, Exit.UNCLEAR),  # Before OSError: it is a TimeoutError, and that is one.
    ((ConfigurationError, BadRequestError, AuthenticationError, InsufficientBalanceError), Exit.MISUSED),
    ((PermissionDeniedError, NotFoundError), Exit.MISUSED),
    (OSError, Exit.MISUSED),  # A file that can't be written, a port in use. Network errors arrive as our own.
)


def exit_code(error: BaseException) -> Exit:
    """Return the exit code for an error."""
    if isinstance(error, LongCatError) and error.transient:
        return Exit.UNCLEAR
    if isinstance(error, DownloadError) and error.__cause__ is not None:
        error = error.__cause__  # Our disk, or their network.
    return next((code for kind, code in CODES if isinstance(error, kind)), Exit.UNCLEAR)


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
    advice = ""
    if isinstance(error, OSError) and not isinstance(error, LongCatError):
        advice = ". Make room, or choose another place, then try again."
    elif not isinstance(error, LongCatError):
        advice = " This is a mistake in longcat: please report it, with what --debug prints."
    prefix = f"{about}: " if about else ""
    print_error(f"longcat: {prefix}{str(error) or type(error).__name__}{advice}")
    return exit_code(error)


def print_error(line: str) -> None:
    """Print a line, or several, to stderr, without the key and without anything that a terminal would obey."""
    print(printable(KNOWN_KEYS.hide(line), "\n\t"), file=sys.stderr, flush=True)


class LenientStream:
    """A text stream that falls silent once it can't be written to: a full disk, a reader that is gone, no terminal.

    As stderr, it lets a command go on and end with its true exit code, whoever writes to it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._silent = False

    def write(self, text: str) -> int:
        """Write a text, or nothing. Returns how many characters it has."""
        self._try(self._stream.write, text)
        return len(text)

    def flush(self) -> None:
        """Flush what was written, as far as that is possible."""
        self._try(self._stream.flush)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _try(self, function: Callable[..., object], *arguments: str) -> None:
        if self._silent:
            return
        try:
            function(*arguments)
        except (OSError, ValueError):  # ValueError: it is closed.
            self._silent = True
            with suppress(OSError, ValueError):  # Python flushes what is still in its buffer when it ends.
                _discard(self._stream)


@contextmanager
def lenient_stderr() -> Iterator[None]:
    """Make stderr a `LenientStream` within the block."""
    before, sys.stderr = sys.stderr, LenientStream(sys.stderr)
    try:
        yield
    finally:
        sys.stderr = before


def _discard(stream: TextIO) -> None:
    """Let the file of a stream lead nowhere from now on."""
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


class Printer:
    """Prints results to stdout: at once, or `later`, at the end of the block, when no live line can be torn apart."""

    def __init__(self, *, later: bool = False) -> None:
        self._later = later
        self._held: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for text in self._held:
            _write(text)

    def print(self, result: str | dict[str, Any]) -> None:
        """Print a line, or an object as one line of JSON."""
        text = result if isinstance(result, str) else json.dumps(result)
        if self._later:
            self._held.append(text)
        else:
            _write(text)


def _write(text: str) -> None:
    # A terminal with another encoding must not lose the result, or the command, to one character.
    encoding = sys.stdout.encoding or "utf-8"
    with quiet_pipe():
        print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)


@contextmanager
def quiet_pipe() -> Iterator[None]:
    """Print within the block; once the reader of stdout is gone, print into nothing, without an error.

    Raises ConfigurationError, once, when stdout can't be written to for another reason, such as a full disk.
    """
    try:
        yield
    except OSError as error:
        _discard(sys.stdout)
        if not isinstance(error, BrokenPipeError):
            message = f"The results can't be written: {error.strerror}. Make room, or send stdout elsewhere."
            raise ConfigurationError(message) from error

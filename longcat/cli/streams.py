"""stdout and stderr, which may be full, closed or without a reader. It imports little, as every command begins here."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress

TYPE_CHECKING = False  # As in `typing`, the import of which takes longer than this module.
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, TextIO


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
def usable_streams() -> Iterator[None]:
    """Let stderr be a `LenientStream` within the block, and open what the shell closed, as `>&-` does, to nowhere."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - it is never closed.
    before, sys.stderr = sys.stderr, LenientStream(sys.stderr)
    try:
        yield
    finally:
        sys.stderr = before


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
            from longcat.errors import ConfigurationError  # noqa: PLC0415 - it is slow to import.

            message = f"The results can't be written: {error.strerror}. Make room, or send stdout elsewhere."
            raise ConfigurationError(message) from error


def _discard(stream: TextIO) -> None:
    """Let the file of a stream lead nowhere from now on."""
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - `pathlib` is slow to import.
        os.dup2(nowhere.fileno(), stream.fileno())

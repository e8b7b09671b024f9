"""What is printed to stdout: a line for people, or a JSON object for programs."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from longcat.errors import ConfigurationError, LongCatError
from longcat.models import Status
from longcat.waiting.wait import FAILURES


class Printer:
    """Prints results to stdout: at once, or `later`, when the block is over and no live line can be torn apart."""

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
    """Print within the block, and be silent for good once whoever reads stdout has seen enough.

    Raises ConfigurationError, once, when stdout can't be written to for another reason, such as a full disk.
    """
    try:
        yield
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            message = f"The results can't be written: {error.strerror}. Make room, or send stdout elsewhere."
            raise ConfigurationError(message) from error


def as_object(
    request_id: str, status: Status | None, path: Path | None = None, error: LongCatError | None = None
) -> dict[str, Any]:
    """Return what is known of a request as a JSON object. Every field is always there; null stands for unknown."""
    image = status.image if status else None
    if error is None and status is not None and status.state in FAILURES:
        error = FAILURES[status.state](status)
    return {
        "request_id": request_id,
        "state": status.state.value if status else None,
        "raw_state": status.raw_state if status else None,
        "progress": status.progress if status else None,
        "url": image.url if image else None,
        "created_at": image.created_at.isoformat() if image and image.created_at else None,
        "duration_seconds": image.duration.total_seconds() if image and image.duration is not None else None,
        "model_version": image.model_version if image else None,
        "path": str(path) if path else None,
        "error": {"type": type(error).__name__, "message": str(error)} if error else None,
    }

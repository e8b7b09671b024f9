"""The request ids of a command: its arguments, then the lines of a file or of stdin. Blank lines are skipped."""

import os
import sys
from codecs import getincrementaldecoder
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import anyio

from longcat.errors import ConfigurationError
from longcat.text import BYTE_ORDER_MARKS, abbreviate, decode_text, encoding_of, sentence, system_reason

STDIN: Final = "-"
READ_SIZE: Final = 64 * 1024
LONGEST_LINE: Final = 64 * 1024
MAX_FILE_BYTES: Final = 256 * 1024 * 1024
"""Bytes of a file of ids. There are files without an end, such as devices."""


def known_ids(arguments: list[str], source: str | None) -> list[str]:
    """Return every id once, those of the file `source` included. Raises ConfigurationError when there is none."""
    request_ids = [*arguments]
    if source is not None:
        try:
            with Path(source).open("rb") as file:
                content = file.read(MAX_FILE_BYTES + 1)
        except (OSError, ValueError) as error:
            reason = sentence(system_reason(error))
            raise ConfigurationError(f"{abbreviate(source)} can't be read: {reason} Pass another file.") from error
        if len(content) > MAX_FILE_BYTES:
            raise ConfigurationError(
                f"{abbreviate(source)} has more than {MAX_FILE_BYTES} bytes. Pass its ids through a pipe."
            )
        with _utf_8(abbreviate(source)):
            request_ids.extend(_lines(decode_text(content, "strict")))
    if not request_ids:
        raise ConfigurationError(f"There is no request id in {abbreviate(source)}. Write one a line.")
    return [*dict.fromkeys(request_ids)]


async def piped_ids(arguments: list[str]) -> AsyncGenerator[str]:
    """Yield the arguments, then each line of stdin as soon as it is there, without keeping other tasks waiting."""
    for request_id in arguments:
        yield request_id
    stdin = getattr(sys.stdin, "fileno", lambda: None)()
    if stdin is None:
        raise ConfigurationError("There is no stdin to take request ids from; it is closed. Name a file instead.")
    start, more = b"", True
    while more and any(mark.startswith(start) for mark, _ in BYTE_ORDER_MARKS):
        more = bool(chunk := await _read(stdin))
        start += chunk
    decoder = getincrementaldecoder(encoding_of(start))("strict")
    with _utf_8("stdin"):
        text = decoder.decode(start, final=not more)
    while more:
        *lines, text = text.split("\n")
        if len(text) > LONGEST_LINE:
            raise ConfigurationError(
                f"A line of stdin has more than {LONGEST_LINE} characters. Write one request id a line."
            )
        for request_id in _lines("\n".join(lines)):
            yield request_id
        more = bool(chunk := await _read(stdin))
        with _utf_8("stdin"):
            text += decoder.decode(chunk, final=not more)
    for request_id in _lines(text):
        yield request_id


async def _read(stdin: int) -> bytes:
    with suppress(OSError, NotImplementedError):  # It is a regular file, which is always ready.
        await anyio.wait_readable(stdin)
    return os.read(stdin, READ_SIZE)


@contextmanager
def _utf_8(name: str) -> Iterator[None]:
    """Decode within the block what comes from a place of this name. Raises ConfigurationError when it is no text."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{name} is not UTF-8. Save it as UTF-8, with one request id a line.") from error


def _lines(text: str) -> Iterator[str]:
    return filter(None, (line.strip("\ufeff \t\r\v\f") for line in text.splitlines()))

"""The FILE of a batch: lines of text, JSON lines or a table in Parquet. It is read row by row, however long it is."""

import json
import os
import re
import sys
from codecs import BOM_UTF8
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from hashlib import sha256
from io import BufferedIOBase, TextIOWrapper
from pathlib import Path
from stat import S_ISREG
from tempfile import TemporaryFile
from typing import IO, Any, Final, TypeAlias

from attrs import frozen

from longcat.errors import ConfigurationError
from longcat.text import abbreviate, encoding_of, sentence, show, system_reason

STDIN: Final = "-"
LONGEST_LINE: Final = 16 * 1024 * 1024
"""Bytes of a line, or of the texts in a row. Of files without an end, such as devices, some have no line end either."""
COPY_SIZE: Final = 1024 * 1024
"""Bytes that are copied or hashed at a time."""
PARQUET: Final = b"PAR1"
"""With these bytes a Parquet file begins."""
SUFFIX: Final = ".parquet"
FOREIGN: Final = frozenset({".csv", ".json", ".jsonl", ".ndjson", ".tsv", ".yaml", ".yml"})
"""Endings of files whose lines are no prompts, though they would be paid for as such."""
CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""What no prompt on a line of its own holds, but a file does that is no text, or whose lines end otherwise."""

Row: TypeAlias = tuple[int, "dict[str, Any] | ConfigurationError"]
"""The number of a row, from 1, and the fields of the order in it; or why it has none."""


@frozen
class OrderFile:
    """A file of orders that is open.

    Attributes:
        name: what it is called in messages.
        file: its bytes. They can be read again.
        is_parquet: whether it is a table in Parquet. False: it has lines.
        ending: that of the file, such as `.jsonl`, in lower case. Empty: it has none.
    """

    name: str
    file: IO[bytes]
    is_parquet: bool
    ending: str = ""

    @property
    def row(self) -> str:
        """The word for one of its rows."""
        return "row" if self.is_parquet else "line"

    def digest(self) -> str:
        """Return the SHA-256 of its bytes, in hex. Raises ConfigurationError when they can't be read."""
        with _readable(self.name):
            self.file.seek(0)
            digest = sha256()
            while block := self.file.read(COPY_SIZE):
                digest.update(block)
            return digest.hexdigest()

    def rows(self) -> Iterator[Row]:
        """Yield its rows, except blank lines. Raises ConfigurationError when they can't be read."""
        with _readable(self.name):
            self.file.seek(0)
            if self.is_parquet:
                from longcat.cli.orders.files.parquet import parquet_rows  # noqa: PLC0415 - it needs the extra, and is slow.

                for number, fields in parquet_rows(self.file, self.name):
                    texts = fields.values() if isinstance(fields, dict) else ()
                    self._check_length(number, sum(len(text.encode()) for text in texts if isinstance(text, str)))
                    yield number, fields
            else:
                yield from self._text_rows()

    def _text_rows(self) -> Iterator[Row]:
        """Yield the lines that are not blank. The first of them tells whether all are JSON objects or prompts."""
        is_json: bool | None = None
        for number, line in enumerate(_lines(self.file), 1):
            self._check_length(number, len(line))
            if stripped := line.strip():
                if is_json is None:
                    is_json = stripped.startswith(b"{")
                    if not is_json and self.ending in FOREIGN:
                        raise ConfigurationError(
                            f"{self.name} ends in {self.ending}, and has no JSON object a line. Write the orders as"
                            " JSON lines or Parquet; or give the file another name, if each of its lines is a prompt."
                        )
                yield number, _fields(stripped, is_json=is_json)

    def _check_length(self, number: int, length: int) -> None:
        """Raise ConfigurationError for a row that is too long."""
        if length >= LONGEST_LINE:
            name = f"{self.row.capitalize()} {number} of {self.name}"
            raise ConfigurationError(f"{name} has more than {LONGEST_LINE} bytes. Write shorter ones.")


@contextmanager
def open_orders(source: str, most: int) -> Iterator[OrderFile]:
    """Lend a file of orders. What can be read only once, such as a pipe, is copied into a temporary file first.

    Args:
        source: the file; `-` is stdin.
        most: how many bytes it may have.

    Raises ConfigurationError when it can't be read, or has more.
    """
    if source == STDIN and sys.stdin is None:
        raise ConfigurationError("There is no stdin to take orders from; it is closed. Name a file instead.")
    name = "stdin" if source == STDIN else abbreviate(source)
    with ExitStack() as stack:
        with _readable(name):
            file = sys.stdin.buffer if source == STDIN else stack.enter_context(Path(source).open("rb"))
            size = _size(file)
            if size is None:
                copy = stack.enter_context(TemporaryFile())
                size = _copy(file, copy, most)
                file = copy
            file.seek(0)
            is_parquet = file.read(len(PARQUET)) == PARQUET
        if size > most:
            raise ConfigurationError(f"{name} has more than {most} bytes. Make several files of it.")
        if not is_parquet and source.lower().endswith(SUFFIX):
            raise ConfigurationError(
                f"{name} is no table in Parquet. Write it anew; or give it another name, if it has lines."
            )
        yield OrderFile(name, file, is_parquet=is_parquet, ending=Path(source).suffix.lower())


@contextmanager
def _readable(name: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        reason = sentence(system_reason(error))
        raise ConfigurationError(f"{name} can't be read: {reason} Pass another file.") from error


def _size(file: IO[bytes] | BufferedIOBase) -> int | None:
    """Return how many bytes a file has. None: it is no regular file, so that it can be read only once."""
    try:
        status = os.fstat(file.fileno())
    except OSError:
        return None
    return status.st_size if S_ISREG(status.st_mode) else None


def _copy(file: IO[bytes] | BufferedIOBase, copy: IO[bytes], most: int) -> int:
    """Copy a file as far as one byte more than it may have, and return how many bytes were copied."""
    size = 0
    while block := file.read(min(COPY_SIZE, most + 1 - size)):
        size += copy.write(block)
    return size


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines in UTF-8, or what is none. Only a line feed ends one: JSON may hold all others."""
    start = file.read(4)
    encoding = encoding_of(start)
    file.seek(len(BOM_UTF8) if start.startswith(BOM_UTF8) else 0)
    if encoding == "utf-8-sig":
        yield from iter(partial(file.readline, LONGEST_LINE), b"")
        return
    text = TextIOWrapper(file, encoding, newline="\n")
    try:
        for line in iter(partial(text.readline, LONGEST_LINE), ""):
            yield line.encode()
    finally:
        text.detach()


def _fields(line: bytes, *, is_json: bool) -> dict[str, Any] | ConfigurationError:
    """Return the fields of the order that a line holds, or why it holds none."""
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return ConfigurationError("It is not UTF-8. Save the file as UTF-8; nothing was sent.")
    if not is_json and not text.startswith("{"):  # Most prompts.
        return _prompt(text)
    fields = _json_object(text)
    if is_json:
        if isinstance(fields, str):
            reason = f": {fields}" if text.startswith("{") else ", unlike those before it"
            return ConfigurationError(f"It is no JSON object{reason}. Write all lines alike; nothing was sent.")
        return fields
    if not isinstance(fields, str):
        return ConfigurationError("It is a JSON object among prompts. Write all lines alike; nothing was sent.")
    return _prompt(text)


def _prompt(text: str) -> dict[str, Any] | ConfigurationError:
    """Return the fields of an order of which a line is the prompt, or why it is none."""
    if found := CONTROL.search(text):
        return ConfigurationError(
            f"It holds the control character {show(found[0])}, so it is no prompt of a text file with line feeds. Save"
            " the file as such, or write the orders as JSON lines; nothing was sent."
        )
    return {"prompt": text}


def _json_object(text: str) -> dict[str, Any] | str:
    """Return the JSON object that a text is, or why it is none."""
    try:
        value = json.loads(text, object_pairs_hook=_unique)
    except RecursionError:
        return "it is nested too deeply"
    except (json.JSONDecodeError, RepeatedFieldError) as error:
        return str(error)
    except ValueError:  # Of Python, which reads integers of some thousand digits at most.
        return "a number in it has too many digits"
    return value if isinstance(value, dict) else "it is another value"


class RepeatedFieldError(ValueError):
    """A JSON object has two fields of one name."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise RepeatedFieldError("a field stands there twice")
    return fields

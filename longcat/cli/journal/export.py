"""Writing what stands in a journal: as JSON lines, or as a Parquet table, whole or not at all."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from json.encoder import encode_basestring as quoted
from pathlib import Path
from typing import IO, Any, Final

from longcat.cli.streams import quiet_pipe
from longcat.errors import ConfigurationError
from longcat.saving.files import output_file
from longcat.text import shorten

STDOUT: Final = "-"
PARQUET: Final = ".parquet"
SQLITE: Final = b"SQLite format 3\0"
"""With these bytes a database begins."""
BATCH: Final = 10_000
"""How many lines are written at a time."""


def export(lines: Iterable[dict[str, Any]], target: str) -> int:
    """Write lines of a manifest, and return how many there were.

    Args:
        lines: one after the other, so that memory stays flat.
        target: a file, as Parquet if its name ends so, or else as JSON lines; `-` is stdout, as JSON lines.

    Raises ConfigurationError when it can't be written; then there is no file, or the one that was there before.
    """
    if target == STDOUT:
        return _write_stdout(lines)
    if "://" in target:
        raise ConfigurationError(f"{shorten(target)} is no file of this machine. Pass another --export.")
    write = _writer(target)
    path = Path(target)
    try:
        if path.is_file() and _is_database(path):
            raise ConfigurationError(f"{shorten(target)} is a database, perhaps a journal. Pass another --export.")
        with output_file(path) as file:
            return write(lines, file)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(f"{shorten(target)} can't be written: {reason}. Pass another --export.") from error


def _is_database(path: Path) -> bool:
    """Whether a file is one of SQLite's. As a journal, it may be the only place that knows what was paid."""
    with path.open("rb") as file:
        return file.read(len(SQLITE)) == SQLITE


def _writer(target: str) -> Callable[[Iterable[dict[str, Any]], IO[bytes]], int]:
    """Return what writes a file of this name. Raises ConfigurationError when that needs an extra."""
    if not target.endswith(PARQUET):
        return write_jsonl
    from longcat.cli.journal.parquet import write_parquet  # noqa: PLC0415 - it is of an extra, and slow to import.

    return write_parquet


def write_jsonl(lines: Iterable[Mapping[str, Any]], file: IO[bytes]) -> int:
    """Write a JSON object a line, and return how many there were."""
    count = 0
    for texts in _batches(lines):
        file.write("".join(texts).encode(errors="surrogatepass"))
        count += len(texts)
    return count


def _write_stdout(lines: Iterable[dict[str, Any]]) -> int:
    # A terminal with another encoding must not lose a line to one character.
    encoding = sys.stdout.encoding or "utf-8"
    count = 0
    with quiet_pipe():
        for texts in _batches(lines):
            sys.stdout.write("".join(texts).encode(encoding, "backslashreplace").decode(encoding))
            count += len(texts)
        sys.stdout.flush()
    return count


def _batches(lines: Iterable[Mapping[str, Any]]) -> Iterator[list[str]]:
    rest = iter(lines)
    while texts := list(map(json_line, islice(rest, BATCH))):
        yield texts


def json_line(line: Mapping[str, Any]) -> str:
    """Return a line of a manifest as `json.dumps` would, in a third of the time, as there may be millions."""
    name, prompt, request_id, error = [
        "null" if text is None else quoted(text)
        for text in (line["id"], line["prompt"], line["request_id"], line["error"])
    ]
    files = ", ".join(map(quoted, line["files"]))
    return (
        f'{{"id": {name}, "prompt": {prompt}, "request_id": {request_id}, "state": "{line["state"]}",'
        f' "files": [{files}], "cost": {line["cost"]!r}, "error": {error}}}\n'
    )

"""Writing what stands in a journal: as JSON lines, or as a Parquet table, whole or not at all."""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Final

from longcat.cli.streams import quiet_pipe
from longcat.errors import ConfigurationError
from longcat.saving.files import advice_on_writing, output_file
from longcat.saving.journal.manifest import write_lots
from longcat.text import abbreviate, sentence, shorten, system_reason

STDOUT: Final = "-"
PARQUET: Final = ".parquet"
ENDINGS: Final = (".jsonl", ".ndjson", PARQUET)
"""Those of the files that can be written. A file without an ending gets JSON lines."""
SQLITE: Final = b"SQLite format 3\0"
"""With these bytes a database begins."""


def check_target(target: str) -> None:
    """Raise ConfigurationError when the name of a target tells that nothing can be exported to it."""
    if "://" in target:
        raise ConfigurationError(f"{abbreviate(target)} is no file of this machine. Pass another --export.")
    ending = _ending(target)
    if ending and ending not in ENDINGS:
        raise ConfigurationError(
            f"{abbreviate(target)} ends in {shorten(ending)}, and an export is written as {', '.join(ENDINGS[:-1])} or"
            f" {ENDINGS[-1]}. Pass another --export."
        )


def export(lines: Iterable[str], target: str) -> int:
    """Write lines of a manifest, and return how many there were.

    Args:
        lines: JSON, one after the other, so that memory stays flat.
        target: a file that `check_target` lets pass, as Parquet if its name ends so, or else as JSON lines; `-` is
            stdout, as JSON lines.

    Raises ConfigurationError when it can't be written; then there is no file, or the one that was there before.
    """
    if target == STDOUT:
        return _write_stdout(lines)
    write = _writer(target)
    path = Path(target)
    try:
        if path.is_file() and _is_database(path):
            raise ConfigurationError(f"{abbreviate(target)} is a database, perhaps a journal. Pass another --export.")
        with output_file(path) as file:
            return write(lines, file)
    except (OSError, ValueError) as error:
        reason = sentence(system_reason(error))
        advice = advice_on_writing(error, "Pass another --export.")
        raise ConfigurationError(f"{abbreviate(target)} can't be written: {reason} {advice}") from error


def _is_database(path: Path) -> bool:
    """Whether a file is one of SQLite's. As a journal, it may be the only place that knows what was paid."""
    with path.open("rb") as file:
        return file.read(len(SQLITE)) == SQLITE


def _ending(target: str) -> str:
    """Return what a name ends in, in lower case. All of `.parquet` is an ending, which Python takes for a stem."""
    name = target.lower()
    return next((one for one in ENDINGS if name.endswith(one)), Path(name).suffix)


def _writer(target: str) -> Callable[[Iterable[str], IO[bytes]], int]:
    """Return what writes a file of this name. Raises ConfigurationError when that needs an extra."""
    if _ending(target) != PARQUET:
        return write_jsonl
    from longcat.cli.journal.parquet import write_parquet  # noqa: PLC0415 - it is of an extra, and slow to import.

    return write_parquet


def write_jsonl(lines: Iterable[str], file: IO[bytes]) -> int:
    """Write lines of JSON, and return how many there were."""
    return write_lots(lines, lambda lot: file.write(lot.encode(errors="surrogatepass")))


def _write_stdout(lines: Iterable[str]) -> int:
    # A terminal with another encoding must not lose a line to one character.
    encoding = sys.stdout.encoding or "utf-8"
    count = 0
    with quiet_pipe():
        count = write_lots(
            lines, lambda lot: sys.stdout.write(lot.encode(encoding, "backslashreplace").decode(encoding))
        )
        sys.stdout.flush()
    return count

"""The lines of a manifest as a table in Parquet. Needs the extra `parquet`."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any, Final

from longcat.errors import ConfigurationError
from longcat.saving.journal.manifest import in_lots
from longcat.text import missing_package

try:
    import pyarrow as pa  # type: ignore[import-untyped]
    from pyarrow.json import ParseOptions, ReadOptions, read_json  # type: ignore[import-untyped]
    from pyarrow.parquet import ParquetWriter  # type: ignore[import-untyped]
except ModuleNotFoundError as missing:
    raise ConfigurationError(missing_package("A Parquet file", missing.name or "pyarrow", "parquet")) from missing

SCHEMA: Final = pa.schema(
    {
        **dict.fromkeys(("id", "prompt", "request_id", "state"), pa.string()),
        "files": pa.list_(pa.string()),
        "cost": pa.float64(),
        "error": pa.string(),
    }
)
PARSING: Final = ParseOptions(explicit_schema=SCHEMA, unexpected_field_behavior="error")


def write_parquet(lines: Iterable[str], file: IO[bytes]) -> int:
    """Write a row for each line of JSON, and return how many there were.

    Halves of surrogate pairs become question marks, as Parquet has none.
    """
    count = 0
    # The library lets go of the interpreter while it works: the next lines are made meanwhile.
    with ParquetWriter(file, SCHEMA) as writer, ThreadPoolExecutor(1) as thread:
        written = thread.submit(lambda: None)
        for some in in_lots(lines):
            text = "".join(some).encode(errors="replace")
            count += len(some)
            written.result()
            written = thread.submit(_write, writer, text)
        written.result()
    return count


def _write(writer: Any, text: bytes) -> None:
    whole = ReadOptions(block_size=len(text))  # No line is cut in two.
    writer.write_table(read_json(pa.BufferReader(text), whole, PARSING))

"""The lines of a manifest as a table in Parquet. Needs the extra `parquet`."""

from collections.abc import Iterable
from functools import partial
from typing import IO, Any, Final

from longcat.errors import ConfigurationError
from longcat.saving.journal.manifest import write_lots
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
    with ParquetWriter(file, SCHEMA) as writer:
        return write_lots(lines, partial(_write, writer))


def _write(writer: Any, lot: str) -> None:
    text = lot.encode(errors="replace")
    whole = ReadOptions(block_size=len(text))  # No line is cut in two.
    writer.write_table(read_json(pa.BufferReader(text), whole, PARSING))

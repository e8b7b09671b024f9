"""The lines of a manifest as a table in Parquet. Needs the extra `parquet`."""

from collections.abc import Iterable
from itertools import islice
from typing import IO, Any, Final

from longcat.errors import ConfigurationError
from longcat.text import missing_package

try:
    import pyarrow as pa  # type: ignore[import-untyped]
    from pyarrow.parquet import ParquetWriter  # type: ignore[import-untyped]
except ModuleNotFoundError as missing:
    raise ConfigurationError(missing_package("A Parquet file", missing.name or "pyarrow", "parquet")) from missing

ROWS: Final = 20_000
"""How many rows are written at a time."""
SCHEMA: Final = pa.schema(
    {
        **dict.fromkeys(("id", "prompt", "request_id", "state"), pa.string()),
        "files": pa.list_(pa.string()),
        "cost": pa.float64(),
        "error": pa.string(),
    }
)


def write_parquet(lines: Iterable[dict[str, Any]], file: IO[bytes]) -> int:
    """Write a row for each line, and return how many there were. Halves of surrogate pairs become question marks."""
    count, rest = 0, iter(lines)
    with ParquetWriter(file, SCHEMA) as writer:
        while some := list(islice(rest, ROWS)):
            try:
                table = pa.Table.from_pylist(some, SCHEMA)
            except UnicodeError:
                table = pa.Table.from_pylist([{name: _storable(line[name]) for name in line} for line in some], SCHEMA)
            writer.write_table(table)
            count += len(some)
    return count


def _storable(value: Any) -> Any:
    if isinstance(value, list):
        return [_storable(one) for one in value]
    return value.encode(errors="replace").decode() if isinstance(value, str) else value

"""The rows of a table in Parquet: each is an order, and its columns are the fields. Needs the extra `parquet`."""

import re
from collections.abc import Iterator
from itertools import count
from typing import IO, Any, Final

from longcat.errors import ConfigurationError
from longcat.gateway.contract import contract
from longcat.text import missing_package, sentence

try:
    from pyarrow import ArrowException  # type: ignore[import-untyped]
    from pyarrow.parquet import ParquetFile  # type: ignore[import-untyped]
except ModuleNotFoundError as missing:
    raise ConfigurationError(missing_package("A Parquet file", missing.name or "pyarrow", "parquet")) from missing

ROWS: Final = 1024
"""How many rows are read at a time."""
BUFFER: Final = 256 * 1024
"""Bytes of each column that are read at a time. Without it, those of a whole row group would be."""
INDEX: Final = re.compile(r"__index_level_\d+__")
"""What pandas calls the columns of its index, which it writes, too."""


def parquet_rows(file: IO[bytes], name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number of each row, from 1, and its fields. A null is a field that is not given.

    Raises ConfigurationError when the file can't be read; `name` is what it is called there.
    """
    properties = contract("submit_request").body["properties"]
    integers = {field for field, schema in properties.items() if schema["type"] == "integer"}
    numbers = count(1)
    try:
        table = ParquetFile(file, pre_buffer=False, buffer_size=BUFFER)
        columns = [column for column in table.schema_arrow.names if not INDEX.fullmatch(column)]
        for batch in table.iter_batches(ROWS, columns=columns):
            for row in batch.to_pylist():
                for field in integers & row.keys():
                    row[field] = _whole(row[field])
                yield next(numbers), row
    except ArrowException as error:
        raise ConfigurationError(f"{name} can't be read as Parquet: {sentence(str(error))} Write it anew.") from error


def _whole(value: Any) -> Any:
    """Return a whole number as one: pandas makes floats of a column of them in which some are missing."""
    return int(value) if isinstance(value, float) and value.is_integer() else value

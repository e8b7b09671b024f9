"""The rows of a table in Parquet: each is an order, and its columns are the fields. Needs the extra `parquet`."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import count
from typing import IO, Any, Final

from longcat.errors import ConfigurationError
from longcat.gateway.contract import SUBMIT, contract
from longcat.text import missing_package, sentence, shorten, show

try:
    from pyarrow import ArrowException  # type: ignore[import-untyped]
    from pyarrow.parquet import ParquetFile  # type: ignore[import-untyped]
except ModuleNotFoundError as missing:
    raise ConfigurationError(missing_package("A Parquet file", missing.name or "pyarrow", "parquet")) from missing

ROWS_AT_A_TIME: Final = 1024
"""How many rows are read at a time."""
MEMORY: Final = 64 * 1024 * 1024
"""Bytes of the rows that are read at a time, unless one row alone has more."""
BUFFER: Final = 256 * 1024
"""Bytes of each column that are read at a time. Without it, those of a whole row group would be."""
INDEX: Final = re.compile(r"__index_level_\d+__")
"""What pandas calls the columns of its index, which it writes, too."""
UNREADABLE: Final = (ArrowException, ValueError, ArithmeticError, LookupError)
"""What is raised for a value that Python can't hold, of an unknown time zone, or in no UTF-8."""


def parquet_rows(file: IO[bytes], name: str) -> Iterator[tuple[int, dict[str, Any] | ConfigurationError]]:
    """Yield the number of each row, from 1, and its fields, or why they can't be read. A null is a field not given.

    Raises ConfigurationError when the file can't be read; `name` is what it is called there.
    """
    properties = contract(SUBMIT).body["properties"]
    integers = {field for field, schema in properties.items() if schema["type"] == "integer"}
    numbers = count(1)
    try:
        table = ParquetFile(file, pre_buffer=False, buffer_size=BUFFER)
        columns = [column for column in table.schema_arrow.names if not INDEX.fullmatch(column)]
        for column, times in Counter(columns).items():
            if times > 1:
                raise ConfigurationError(f"{name} has {times} columns that are called {show(column)}. Keep one.")
        for batch in table.iter_batches(_rows_at_a_time(table), columns=columns):
            for row in _rows(batch):
                if isinstance(row, dict):
                    row.update({field: _whole(row[field]) for field in integers & row.keys()})
                yield next(numbers), row
    except ArrowException as error:
        raise ConfigurationError(f"{name} can't be read as Parquet: {sentence(str(error))} Write it anew.") from error


def _rows_at_a_time(table: Any) -> int:
    """Return how many rows to read at a time, so that they fit into memory."""
    groups = [table.metadata.row_group(number) for number in range(table.num_row_groups)]
    row = max((group.total_byte_size // max(group.num_rows, 1) for group in groups), default=0)
    return max(1, min(ROWS_AT_A_TIME, MEMORY // max(row, 1)))


def _rows(batch: Any) -> Iterable[dict[str, Any] | ConfigurationError]:
    """Return the rows of a batch. Only if a value can't be read, they are read one by one, which takes long."""
    try:
        rows: list[dict[str, Any]] = batch.to_pylist()
    except UNREADABLE:
        return (_row(batch, number) for number in range(batch.num_rows))
    return rows


def _row(batch: Any, number: int) -> dict[str, Any] | ConfigurationError:
    """Return the fields of one row of a batch, or why a value can't be read, such as a moment after the year 9999."""
    fields = {}
    for column, values in zip(batch.schema.names, batch.columns, strict=True):
        try:
            fields[column] = values[number].as_py()
        except UNREADABLE:
            return ConfigurationError(
                f"Its value in the column {show(column)}, which has the type {shorten(values.type)}, can't be read."
                " Write it as a text or a number, or leave the column out; nothing was sent."
            )
    return fields


def _whole(value: Any) -> Any:
    """Return a whole number as one: pandas makes floats of a column of them in which some are missing."""
    return int(value) if isinstance(value, float) and value.is_integer() else value

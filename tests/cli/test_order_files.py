"""The files of orders: lines, JSON lines and Parquet, from disk or a pipe, read row by row."""

import io
import json
import os
import sys
import threading
from collections.abc import Callable
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from pyarrow import parquet

from longcat.cli.orders.files import lines, source
from longcat.cli.orders.files.lines import checked_orders, read_lines
from longcat.cli.orders.files.source import STDIN, open_orders
from longcat.errors import ConfigurationError
from longcat.models import OrderRequest

MOST: Final = 1000_000
COLUMNS: Final = {
    "prompt": ["a cat", "two cats"],
    "id": ["one", None],
    "num_images": [None, 2.0],  # As pandas writes whole numbers of which some are missing.
    "guidance_scale": [4.0, None],
    "__index_level_0__": [7, 8],
}
ORDERS: Final = [
    OrderRequest("a cat", {"image_size": "landscape_4_3", "guidance_scale": 4.0}, "one"),
    OrderRequest("two cats", {"image_size": "landscape_4_3", "num_images": 2}),
]
NO_UTF_8: Final = pa.StringArray.from_buffers(2, pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0"), pa.py_buffer(b"a\xff"))
"""Two texts, the second of which is none."""


def json_lines(**columns: list[Any]) -> bytes:
    """Return rows as JSON lines."""
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def table(**columns: list[Any]) -> bytes:
    """Return rows as a Parquet file with a row group for each."""
    file = io.BytesIO()
    parquet.write_table(pa.table(columns), file, row_group_size=1)
    return file.getvalue()


def twice(**columns: list[Any]) -> bytes:
    """Return rows as a Parquet file that has every column twice."""
    file = io.BytesIO()
    parquet.write_table(pa.Table.from_arrays([*map(pa.array, columns.values())] * 2, [*columns] * 2), file)
    return file.getvalue()


def read(file: str, most: int = MOST) -> list[tuple[int, OrderRequest]]:
    """Return the orders of a file with the numbers of their rows."""
    with open_orders(file, most) as orders:
        return [*checked_orders(orders, {}, plain_http=False)]


def from_file(content: bytes, _: pytest.MonkeyPatch) -> str:
    """Return the name of a file with some content."""
    Path("orders").write_bytes(content)
    return "orders"


def from_pipe(content: bytes, _: pytest.MonkeyPatch) -> str:
    """Return the name of a pipe that some content comes through."""
    os.mkfifo("pipe")
    threading.Thread(target=Path("pipe").write_bytes, args=[content]).start()
    return "pipe"


def from_stdin(content: bytes, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of stdin, which has some content."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    return STDIN


@pytest.mark.parametrize("place", [from_file, from_pipe, from_stdin])
@pytest.mark.parametrize("write", [json_lines, table])
def test_a_row_is_an_order(
    place: Callable[[bytes, pytest.MonkeyPatch], str],
    write: Callable[..., bytes],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Columns of Parquet are the fields of JSON lines, nulls are not given; a file, a pipe and stdin are read alike."""
    monkeypatch.chdir(tmp_path)
    columns = COLUMNS if write is table else {name: COLUMNS[name] for name in COLUMNS if not name.startswith("_")}
    content = write(**columns)
    with open_orders(place(content, monkeypatch), MOST) as file:
        assert [*checked_orders(file, {}, plain_http=False)] == [*enumerate(ORDERS, 1)]
        digest = file.digest()
        assert [order for _, order in checked_orders(file, {}, plain_http=False)] == ORDERS
    assert digest == sha256(content).hexdigest()


def test_a_parquet_file_is_a_batch_without_postgresql(tmp_path: Path) -> None:
    """A table gives the same lines as the same rows in JSON, so that the same orders have the same keys."""
    columns: dict[str, list[Any]] = {"prompt": ["a cat", "two cats"], "num_images": [None, 2]}
    (tmp_path / "a").write_bytes(table(**columns))
    (tmp_path / "b").write_bytes(json_lines(**columns))
    a, b = (read_lines(str(tmp_path / name), {"webhook_url": "https://a.test"}, plain_http=False) for name in "ab")
    assert [(line.order, line.key, line.name) for line in a] == [(line.order, line.key, line.name) for line in b]


def test_a_closed_stdin_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shell may have closed it; the error says so, and what to do."""
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(ConfigurationError, match="There is no stdin to take orders from"):
        read_lines("-", {}, plain_http=False)


@pytest.mark.parametrize("ending", [".csv", ".TSV", ".json", ".jsonl", ".ndjson", ".yaml", ".yml"])
def test_a_table_or_a_document_is_not_ordered_line_by_line(ending: str, tmp_path: Path) -> None:
    """The name tells that its lines are no prompts, each of which would be paid for; JSON lines may have any name."""
    path = tmp_path / f"orders{ending}"
    path.write_bytes(b'\n[\n  {"prompt": "a cat"},\n]\n')
    with pytest.raises(ConfigurationError, match=rf"ends in {ending.lower()}, and has no JSON object a line\. Write"):
        read_lines(str(path), {}, plain_http=False)
    path.write_bytes(b'\n{"prompt": "a cat"}\n')
    assert [line.order.prompt for line in read_lines(str(path), {}, plain_http=False)] == ["a cat"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (table(prompt=["a", "", None]), "Row 2 of orders: The prompt is empty.*Row 3 can't be used either"),
        (table(prompt=["a"], seed=[1]), "Row 1 of orders: An order has no field"),
        (table(prompt=["a"], id=[1]), "Row 1 of orders: The id of an order is a printable text, not 1"),
        (table(prompt=["a"], id=[b"\xff"]), "Row 1 of orders: The id of an order is a printable text"),
        (table(prompt=["a"], num_images=[1.5]), "Row 1 of orders: The order can't be sent: /num_images"),
        (table(prompt=["a"], x=pa.array([2**60], pa.timestamp("us"))), 'Row 1 of orders: .*"x".* timestamp.us.'),
        (table(prompt=["a", "b"], x=pa.array([None, 2**62], pa.duration("s"))), 'Row 2 of orders: .*"x".* duration.s.'),
        (table(prompt=["a"], x=pa.array([0], pa.timestamp("s", "No/Where"))), 'Row 1 of orders: .*"x".*tz=No/Where'),
        (table(prompt=NO_UTF_8), 'Row 2 of orders: .*"prompt".* string, can\'t be read'),
        (twice(prompt=["a"]), 'orders has 2 columns that are called "prompt". Keep one.$'),
        (table(prompt=["a", "b" * 300]), r"Row 2 of orders has more than 200 bytes\. Write shorter ones\.$"),
        (table(prompt=[]), r"There is no order in orders\. Write one row for each\.$"),
        (b"\n", r"There is no order in orders\. Write one line for each\.$"),
        (b'{"prompt": "a"', "Line 1 of orders: It is no JSON object: Expecting"),
        (b'{"prompt": "a"}\nb', "Line 2 of orders: It is no JSON object, unlike those before it"),
        (b"a\x00c\x00", r'Line 1 of orders: It holds the control character "\\u0000", so it is no prompt'),
        (b"a\tcat\r\nb\rc\r", r'Line 2 of orders: It holds the control character "\\r"'),
        (b"a\n{\x1b", r'Line 2 of orders: It holds the control character "\\u001b"'),
        (table(prompt=["a"])[:-1], r"orders can't be read as Parquet: [^\n]*[^.]\. Write it anew\.$"),
        (b"PAR1", "orders can't be read as Parquet"),
        (b"PAR1 is a prompt", "orders can't be read as Parquet"),
        (b"a" * 300, "Line 1 of orders has more than 200 bytes"),
        (b"a\n" + b"b" * 300 + b"\n", "Line 2 of orders has more than 200 bytes"),
        (b"\xff\n" * 5000, r"Line 1 of orders: It is not UTF-8.*The lines 2, 3, .*, 11, \.\.\. can't be used either"),
        (b"a" * 199 + b"\n" + b"b\n" * MOST, f"orders has more than {MOST} bytes"),
    ],
)
@pytest.mark.parametrize("place", [from_file, from_stdin])
def test_a_file_that_can_not_be_used(
    content: bytes,
    says: str,
    place: Callable[[bytes, pytest.MonkeyPatch], str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """What is wrong with a file is said with the numbers of its rows; no order follows a row that can't be used."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(source, "LONGEST_LINE", 200)
    name = place(content, monkeypatch)
    with pytest.raises(ConfigurationError, match=says.replace("orders", "stdin" if name == STDIN else name)):
        read(name)


@pytest.mark.parametrize(
    ("value", "says"),
    [(b"[" * 100_000, "it is nested too deeply"), (b"9" * 10_000, "a number in it has too many digits")],
)
def test_what_python_does_not_read_is_said_in_plain_words(value: bytes, says: str, tmp_path: Path) -> None:
    """What JSON allows, and Python does not, is not told in Python's words, which advise to change Python."""
    (tmp_path / "orders").write_bytes(b'{"prompt": ' + value + b"}")
    with pytest.raises(ConfigurationError, match=rf"It is no JSON object: {says}\. Write all lines alike"):
        read(str(tmp_path / "orders"))


def test_a_long_file_is_not_read_in_silence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """People are told now and then how far it is read."""
    monkeypatch.setattr(lines, "PLAIN_EVERY", 0.0)
    monkeypatch.setattr(lines, "MANY_ORDERS", 2500)
    (tmp_path / "orders").write_text("a cat\n" * 2500)
    read_lines(str(tmp_path / "orders"), {}, plain_http=False)
    *progress, end = capsys.readouterr().err.splitlines()
    assert progress == ["longcat: 1,000 lines are read.", "longcat: 2,000 lines are read."]
    assert end == "longcat: All 2,500 orders are read. They get their names, and the journal is asked."


def test_lines_are_not_taken_for_a_table(tmp_path: Path) -> None:
    """A file that is called a table, and is none, is refused: its text would be ordered. A table may have any name."""
    for name in ("orders.parquet", "orders.PARQUET", ".parquet"):
        (tmp_path / name).write_bytes(b"a cat\n")
        with pytest.raises(ConfigurationError, match="is no table in Parquet"):
            read(str(tmp_path / name))
    (tmp_path / "orders.txt").write_bytes(table(prompt=["a"]))
    assert [order.prompt for _, order in read(str(tmp_path / "orders.txt"))] == ["a"]


def test_no_order_follows_a_row_that_can_not_be_used(tmp_path: Path) -> None:
    """Orders are yielded as they are read, up to the first row that can't be used; then the error comes."""
    (tmp_path / "orders").write_text("a\n\nb\n{}\nc\n")
    with open_orders(str(tmp_path / "orders"), MOST) as file:
        orders = checked_orders(file, {}, plain_http=False)
        assert [number for number, _ in islice(orders, 2)] == [1, 3]
        with pytest.raises(ConfigurationError, match="Line 4"):
            next(orders)


def test_a_parquet_file_without_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the package is missing, the error says how to install it."""
    (tmp_path / "orders").write_bytes(table(prompt=["a"]))
    monkeypatch.delitem(sys.modules, "longcat.cli.orders.files.parquet", raising=False)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'longcat-image\[parquet\]'"):
        read(str(tmp_path / "orders"))

"""The orders of a file: its lines read and checked, and each given a key and a name before anything is sent."""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from longcat.cli.orders.line import OrderLine
from longcat.errors import ConfigurationError
from longcat.gateway.orders import usable_order
from longcat.models import OrderRequest
from longcat.saving.names import folded, safe_name
from longcat.text import decode_text, encoding_of, shorten
from longcat.waiting.submit import OrderKeys

STDIN: Final = "-"
MOST: Final = 1024 * 1024 * 1024
"""Bytes of orders. There are files without an end, such as devices."""
MOST_NAMED: Final = 10
"""How many of the lines that can't be used are named."""


def read_lines(source: str, defaults: Mapping[str, Any], *, plain_http: bool) -> list[OrderLine]:
    """Return the orders of a file, one for each line that is not blank.

    The first line tells whether all are JSON objects or prompts.

    Args:
        source: the file; `-` is stdin.
        defaults: fields of an order that has none of its own.
        plain_http: as for `usable_order`.

    Raises:
        ConfigurationError: the file can't be read, has no order, or a line can't be used; its number is named.
    """
    where = "stdin" if source == STDIN else shorten(source)
    orders: list[OrderRequest] = []
    wrong: dict[int, str] = {}
    ids: dict[str | None, tuple[int, OrderRequest]] = {}
    is_json: bool | None = None
    for number, line in _numbered(_read(source, where)):
        is_json = line.startswith(b"{") if is_json is None else is_json
        try:
            order = usable_order({**defaults, **_fields(line, is_json=is_json)}, plain_http=plain_http)
            _check_id(order, *ids.setdefault(order.id, (number, order)))
            orders.append(order)
        except ConfigurationError as error:
            wrong[number] = str(error)
    if wrong:
        (number, message), *others = wrong.items()
        more = ", ".join(str(other) for other, _ in others[:MOST_NAMED]) + (", ..." if len(others) > MOST_NAMED else "")
        raise ConfigurationError(
            f"Line {number} of {where}: {message}" + (f" The lines {more} can't be used either." if others else "")
        )
    if not orders:
        raise ConfigurationError(f"There is no order in {where}. Write a prompt a line.")
    keys = list(map(OrderKeys().next, orders))
    return list(map(OrderLine, orders, keys, _names(orders, keys)))


def _check_id(order: OrderRequest, number: int, first: OrderRequest) -> None:
    """Raise ConfigurationError when an order has the id of another one, which is in the line of this number."""
    if order.id is not None and order.body != first.body:
        raise ConfigurationError(f"Line {number} has the same id, and orders something else. Change one of them.")


def _read(source: str, where: str) -> bytes:
    if not source:
        raise ConfigurationError("The FILE is empty; a shell variable may be unset. Name a file, or - for stdin.")
    try:
        with nullcontext(sys.stdin.buffer) if source == STDIN else Path(source).open("rb") as file:
            content = file.read(MOST + 1)
        if len(content) > MOST:
            raise ConfigurationError(f"{where} has more than {MOST} bytes. Make several files of it.")
        # What is no UTF-8 is told of line by line.
        return content if encoding_of(content) == "utf-8-sig" else decode_text(content).encode()
    except (OSError, ValueError, AttributeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(f"{where} can't be read: {reason}. Pass another file.") from error


def _numbered(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not blank, with their numbers. Only a line feed ends one: JSON may hold all others."""
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if stripped := line.strip():
            yield number, stripped


def _fields(line: bytes, *, is_json: bool) -> dict[str, Any]:
    """Return the fields of the order that a line holds. Raises ConfigurationError when it holds none."""
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise ConfigurationError("It is not UTF-8. Save the file as UTF-8; nothing was sent.") from None
    fields = _json_object(text)
    if is_json:
        if isinstance(fields, str):
            raise ConfigurationError(f"It is no JSON object, unlike the first line: {fields}. Nothing was sent.")
        return fields
    if not isinstance(fields, str):
        raise ConfigurationError("It is a JSON object among prompts. Write all lines alike; nothing was sent.")
    return {"prompt": text}


def _json_object(text: str) -> dict[str, Any] | str:
    """Return the JSON object that a text is, or why it is none."""
    try:
        value = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        return str(error)
    return value if isinstance(value, dict) else "it is another value"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a field stands there twice")
    return fields


def _names(orders: Sequence[OrderRequest], keys: Sequence[str]) -> list[str | None]:
    """Return what the pictures of each order are called: as its id, if it has one. None: as the request.

    No two pictures get one name, as `cat-1` and the first of two of `cat` would, on any disk. Where ids would lead to
    that, a hash is added to each of them, so that a name depends on its id alone, and not on which line comes first.
    """
    taken: Counter[str] = Counter()
    wanted = dict(zip(keys, orders, strict=True))
    for key, order in wanted.items():
        if order.id == key:
            taken.update(_file_names(key, order.pictures))
    names: list[str | None] = []
    for order, key in zip(orders, keys, strict=True):
        name = order.id
        if name is not None and (name != key or any(taken[one] > 1 for one in _file_names(name, order.pictures))):
            name = f"{name}-{sha256(key.encode(errors='surrogatepass')).hexdigest()[:8]}"
        names.append(name)
    return names


def _file_names(name: str, count: int) -> set[str]:
    """Return what the pictures of an order may be called, as disks see it that fold the most letters together."""
    stem = folded(safe_name(name))
    return {stem, *(f"{stem}-{number}" for number in range(1, count + 1) if count > 1)}

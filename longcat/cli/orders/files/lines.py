"""The orders of a file: its rows read and checked, and each given a key and a name before anything is sent."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

from attrs import define, field

from longcat.cli.displays.progress import PLAIN_EVERY
from longcat.cli.orders.files.source import OrderFile, Row, open_orders
from longcat.cli.orders.order_line import OrderLine
from longcat.cli.results import print_error
from longcat.errors import ConfigurationError
from longcat.gateway.order_fields import usable_order
from longcat.models import OrderRequest
from longcat.saving.file_names import MAX_NUMBERED, folded, safe_name
from longcat.waiting.order_store import OrderKeys

MAX_HELD_FILE_BYTES: Final = 1024 * 1024 * 1024
"""Bytes of a file the orders of which are all held in memory."""
ROWS_PER_LOOK: Final = 1000
"""After so many rows the clock is looked at."""
MANY_ORDERS: Final = 100_000
"""What follows the reading of so many orders takes some seconds, of which people are told."""
MAX_NAMED_ROWS: Final = 10
"""How many of the rows that can't be used are named beside the first."""


@define
class WrongRows:
    """The rows of a file that can't be used, and why: all that are named, as people mend a file in one go.

    Attributes:
        file: the file.
    """

    file: OrderFile
    _messages: dict[int, str] = field(factory=dict, init=False)

    def add(self, number: int, message: str) -> None:
        """Take in why a row can't be used."""
        self._messages[number] = message

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def are_enough(self) -> bool:
        """Whether no further one would be named."""
        return len(self) > MAX_NAMED_ROWS + 1

    def check(self) -> None:
        """Raise ConfigurationError if there are any."""
        if not self._messages:
            return
        (number, message), *others = self._messages.items()
        row = self.file.row
        more = ", ".join(str(other) for other, _ in others[:MAX_NAMED_ROWS]) + (", ..." if self.are_enough else "")
        rows = f"The {row}s {more}" if len(others) > 1 else f"{row.capitalize()} {more}"
        raise ConfigurationError(
            f"{row.capitalize()} {number} of {self.file.name}: {message}"
            + (f" {rows} can't be used either." if others else "")
        )


def numbered_orders(
    file: OrderFile, defaults: Mapping[str, Any], wrong: WrongRows, *, plain_http: bool, api_key: str = ""
) -> Iterator[tuple[int, OrderRequest]]:
    """Yield the orders of a file as they are read, each with the number of its row. No row stays in memory.

    Args:
        file: where they are.
        defaults: fields of an order that has none of its own.
        wrong: takes in the rows that can't be used; the caller looks at them.
        plain_http: as for `usable_order`.
        api_key: likewise.

    Raises ConfigurationError when the file can't be read.
    """
    for number, fields in _telling(file):
        try:
            if isinstance(fields, ConfigurationError):
                raise fields
            order = usable_order({**defaults, **fields}, plain_http=plain_http, api_key=api_key)
        except ConfigurationError as error:
            wrong.add(number, str(error))
            if wrong.are_enough:
                return
        else:
            yield number, order


def _telling(file: OrderFile) -> Iterator[Row]:
    """Yield the rows of a file, and tell people now and then how many there were."""
    next_print = time.monotonic() + PLAIN_EVERY
    for count, row in enumerate(file.rows(), 1):
        yield row
        if count % ROWS_PER_LOOK == 0 and time.monotonic() >= next_print:
            next_print = time.monotonic() + PLAIN_EVERY
            print_error(f"longcat: {count:,} {file.row}s are read.")


def checked_orders(
    file: OrderFile, defaults: Mapping[str, Any], *, plain_http: bool, api_key: str = ""
) -> Iterator[tuple[int, OrderRequest]]:
    """Yield the orders as `numbered_orders` does, none once a row can't be used.

    Raises ConfigurationError in the end when a row can't be used, and names it, or when there is no order. Whether an
    id stands for two orders is not looked at.
    """
    wrong = WrongRows(file)
    is_empty = True
    for number, order in numbered_orders(file, defaults, wrong, plain_http=plain_http, api_key=api_key):
        if not wrong:
            yield number, order
        is_empty = False
    wrong.check()
    if is_empty:
        raise no_order(file)


def no_order(file: OrderFile) -> ConfigurationError:
    """Return the error that says that a file has no order."""
    return ConfigurationError(f"There is no order in {file.name}. Write one {file.row} for each.")


def read_lines(source: str, defaults: Mapping[str, Any], *, plain_http: bool, api_key: str = "") -> list[OrderLine]:
    """Return the orders of a file, one for each row that is not blank.

    Args:
        source: the file; `-` is stdin.
        defaults: fields of an order that has none of its own.
        plain_http: as for `usable_order`.
        api_key: likewise.

    Raises:
        ConfigurationError: the file can't be read, has no order, or a row can't be used; its number is named.
    """
    orders: list[OrderRequest] = []
    ids: dict[str, tuple[int, OrderRequest]] = {}
    with open_orders(source, MAX_HELD_FILE_BYTES) as file:
        wrong = WrongRows(file)
        for number, order in numbered_orders(file, defaults, wrong, plain_http=plain_http, api_key=api_key):
            orders.append(order)
            first, other = ids.setdefault(order.id, (number, order)) if order.id is not None else (number, order)
            if order.body != other.body:
                wrong.add(number, same_id(file, first))
        wrong.check()
        if not orders:
            raise no_order(file)
    if len(orders) >= MANY_ORDERS:
        print_error(f"longcat: All {len(orders):,} orders are read. They get their names, and the journal is asked.")
    keys = list(map(OrderKeys().next, orders))
    return list(map(OrderLine, orders, keys, _names(orders, keys)))


def same_id(file: OrderFile, number: int) -> str:
    """Return why a row can't be used that has the id of another order, which is in the row of this number."""
    return f"{file.row.capitalize()} {number} has the same id, and orders something else. Change one of them."


def name_of(order: OrderRequest, key: str) -> str | None:
    """Return what the pictures of an order are called, whatever other orders there are. None: as the request.

    It is the id, with a hash where `cat-1` could also be the first picture of two of another order.
    """
    if order.id is None or (order.id == key and order.pictures == 1):
        return order.id
    return _with_hash(order.id, key)


def _with_hash(name: str, key: str) -> str:
    return f"{name}-{sha256(key.encode(errors='surrogatepass')).hexdigest()[:8]}"


def _names(orders: Sequence[OrderRequest], keys: Sequence[str]) -> list[str | None]:
    """Return what the pictures of each order are called: as its id, if it has one. None: as the request.

    No two pictures get one name, as `cat-1` and the first of two of `cat` would, on any disk. Where ids would lead to
    that, a hash is added to each of them, so that a name depends on its id alone, and not on which line comes first.
    """
    taken: Counter[str] = Counter()
    wanted = dict(zip(keys, orders, strict=True))
    for key, order in wanted.items():
        if order.id == key and order.pictures <= MAX_NUMBERED:
            taken.update(_file_names(key, order.pictures))
    names: list[str | None] = []
    for order, key in zip(orders, keys, strict=True):
        name = order.id
        if name is not None and (
            name != key
            or order.pictures > MAX_NUMBERED
            or any(taken[one] > 1 for one in _file_names(name, order.pictures))
        ):
            name = _with_hash(name, key)
        names.append(name)
    return names


def _file_names(name: str, count: int) -> set[str]:
    """Return what the pictures of an order may be called, as disks see it that fold the most letters together."""
    stem = folded(safe_name(name))
    return {stem, *(f"{stem}-{number}" for number in range(1, count + 1) if count > 1)}

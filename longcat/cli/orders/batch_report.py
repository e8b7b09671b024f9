"""What a batch tells people and programs: its plan, each of its lines, its manifest, and how it all went."""

from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from attrs import frozen

from longcat.cli.journal.export import write_jsonl
from longcat.cli.orders.line import LineState, OrderLine
from longcat.cli.results import Printer, print_error, report
from longcat.errors import ConfigurationError, SubmitUnknown
from longcat.gateway.orders import cost
from longcat.models import OrderRequest
from longcat.saving.stores.store import PictureStore

MANIFEST: Final = "manifest.jsonl"


@frozen
class BatchPlan:
    """What would be sent, and what it may cost. Money is in US dollars.

    Attributes:
        lines: how many orders there are.
        new: how many of them are to be sent.
        pictures: how many pictures these ask for.
        cost: what these cost at most.
        in_doubt: how many may have been taken, and nobody knows.
        is_resubmitting: whether those in doubt are to be sent again.
        spent: what all orders of the journal cost so far, at most.
        elsewhere: what other batches may order, at which workers are with the same journal.
    """

    lines: int
    new: int
    pictures: int
    cost: Decimal
    in_doubt: int
    is_resubmitting: bool
    spent: Decimal
    elsewhere: Decimal = Decimal(0)

    @property
    def known(self) -> int:
        """How many need not be sent."""
        return self.lines - self.new

    def check(self, max_cost: Decimal | None) -> None:
        """Raise ConfigurationError when it could cost too much. None: there is no bound."""
        total = self.spent + self.elsewhere + self.cost
        if max_cost is None or not self.new or total <= max_cost:
            return
        elsewhere = f" and {self.elsewhere} USD that other batches may order" if self.elsewhere else ""
        raise ConfigurationError(
            f"{self.new} orders could cost {self.cost} USD, after {self.spent} USD that the journal knows of"
            f"{elsewhere}: {total} USD, more than --max-cost {max_cost}. Raise it, or take lines out; nothing was sent."
        )

    def print(self, *, as_json: bool) -> None:
        """Print it to stdout."""
        Printer().print(self._as_object() if as_json else str(self))

    def __str__(self) -> str:
        price = cost(OrderRequest("", {}))
        return (
            f"{self.new} of {self.lines} orders would be sent, for {self.pictures} pictures at {price} USD:"
            f" {self.cost} USD at most. {self.known} are known already. {self.in_doubt} are in doubt, and may have been"
            f" paid for: they would {'' if self.is_resubmitting else 'not '}be sent again. All orders of the journal"
            f" cost {self.spent} USD so far."
        )

    def _as_object(self) -> dict[str, int | float]:
        return {
            "lines": self.lines,
            "orders": self.new,
            "pictures": self.pictures,
            "cost": float(self.cost),
            "known": self.known,
            "in_doubt": self.in_doubt,
            "resubmitted": self.in_doubt if self.is_resubmitting else 0,
            "spent": float(self.spent),
        }


def print_line(line: OrderLine, store: PictureStore, printer: Printer, *, as_json: bool, debug: bool) -> None:
    """Print what came of a line: its error to stderr, its pictures or all of it to stdout."""
    if line.error is not None:
        about = "" if isinstance(line.error, SubmitUnknown) else str(line)  # That one names the order itself.
        report(line.error, debug=debug, about=about)
    if as_json:
        printer.print(line.as_object())
    else:
        for name in line.files:
            printer.print(store.place(name))


def write_manifest(lines: Iterable[Mapping[str, Any]], store: PictureStore) -> None:
    """Write a line for each order, all of them or none."""
    with store.writing(MANIFEST, "application/jsonl") as file:
        write_jsonl(lines, file)


def sum_up(count: Counter[LineState], spent: Decimal, place: str) -> None:
    """Say how it all went, for people.

    Args:
        count: how many lines there are in each state.
        spent: what all of them cost at most, in US dollars.
        place: where the pictures and the manifest are.
    """
    words = [f"{count[LineState.DONE]} of {count.total()} done"]
    words += [f"{count[LineState.FAILED]} failed"] if count[LineState.FAILED] else []
    words += [f"{count[LineState.UNKNOWN]} in doubt"] if count[LineState.UNKNOWN] else []
    words += [f"{count[LineState.OPEN]} open"] if count[LineState.OPEN] else []
    print_error(f"longcat: {', '.join(words)}; {spent} USD at most; {place}.")
    if count[LineState.UNKNOWN]:
        print_error(
            "longcat: Orders in doubt may have been taken, and paid for. Look into the account; with"
            " --resubmit-unknown, they are sent again."
        )
    if count[LineState.OPEN]:
        print_error("longcat: Run the same command again: it goes on, and orders nothing twice.")

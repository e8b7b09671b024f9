"""The reports of a batch to people and programs: its plan, each of its lines, its manifest, and how it all went."""

import sys
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from longcat.cli.exit_codes import Exit
from longcat.cli.journal.export import write_jsonl
from longcat.cli.orders.order_line import LineState, OrderLine
from longcat.cli.results import Printer, print_error, report
from longcat.errors import ConfigurationError, JournalError, LongCatError, SubmitUnknown
from longcat.gateway.order_fields import cost
from longcat.models import OrderRequest
from longcat.saving.journal.batch_plan import BatchPlan
from longcat.saving.stores.store import PictureStore
from longcat.text import counted
from longcat.waiting.outcome import ACCOUNT

MANIFEST: Final = "manifest.jsonl"
LAST_SECONDS: Final = 10.0
"""Seconds to write the manifest into a store over a network, when the command is being stopped."""


def check_cost(plan: BatchPlan, max_cost: Decimal | None) -> None:
    """Raise ConfigurationError when a batch could cost more than is allowed, here or to a worker that is at it.

    Args:
        plan: what would be sent.
        max_cost: how much all orders of the journal may cost, in US dollars. None: there is no bound here.
    """
    if not plan.new:
        return
    advice = "Raise it, or take lines out"
    if plan.cap is not None and (max_cost is None or plan.cap < max_cost):
        max_cost, advice = (
            plan.cap,
            "A worker that is at it has that cap: wait for its end, or start it with a higher one",
        )
    if max_cost is None or plan.total <= max_cost:
        return
    elsewhere = f" and {plan.elsewhere} USD that other batches may order" if plan.elsewhere else ""
    raise ConfigurationError(
        f"{counted(plan.new, 'order')} could cost {plan.cost} USD, after {plan.spent} USD that the journal knows"
        f" of{elsewhere}: {plan.total} USD, more than --max-cost {max_cost}. {advice}; nothing was sent."
    )


def print_plan(plan: BatchPlan, *, is_resubmitting: bool, as_json: bool) -> None:
    """Print to stdout what would be sent. `is_resubmitting` says whether orders in doubt are to be sent again."""
    if as_json:
        Printer().print(
            {
                "lines": plan.lines,
                "orders": plan.new,
                "pictures": plan.pictures,
                "cost": float(plan.cost),
                "known": plan.known,
                "in_doubt": plan.in_doubt,
                "resubmitted": plan.in_doubt if is_resubmitting else 0,
                "spent": float(plan.spent),
            }
        )
        return
    price = cost(OrderRequest("", {}))
    Printer().print(
        f"{plan.new} of {counted(plan.lines, 'order')} would be sent, for {counted(plan.pictures, 'picture')} at"
        f" {price} USD: {plan.cost} USD at most. {plan.known} are known already. {plan.in_doubt} are in doubt, and may"
        f" have been paid for: they would {'' if is_resubmitting else 'not '}be sent again. All orders of the journal"
        f" cost {plan.spent} USD so far."
    )


def print_line(  # noqa: PLR0913 - most are keywords, and the same for all lines of a run.
    line: OrderLine, store: PictureStore, printer: Printer, *, as_json: bool, debug: bool, told: set[str]
) -> None:
    """Print what came of a line: its error to stderr, its pictures or all of it to stdout.

    What is wrong with the journal, the key or the account concerns all lines, so it is printed once, of the first
    line. `told` has what was printed of that.
    """
    is_told = str(line.error) in told
    if isinstance(line.error, (JournalError, *ACCOUNT)):
        told.add(str(line.error))
    if line.error is not None and not is_told:
        # An order in doubt is named by its error, and the journal is no matter of one order.
        about = "" if isinstance(line.error, SubmitUnknown | JournalError) else str(line)
        report(line.error, debug=debug, about=about)
    if as_json:
        printer.print(line.as_object())
    else:
        for name in line.files:
            printer.print(store.place(name))


def write_manifest(lines: Iterable[str], store: PictureStore, *, debug: bool) -> Exit:
    """Write a line of JSON for each order, all of them or none. Print what goes wrong, and return its exit code."""
    is_stopped = sys.exc_info()[0] is not None  # By Ctrl-C perhaps: then nobody wants to wait for a minute.
    try:
        with store.writing(MANIFEST, "application/jsonl", timeout=LAST_SECONDS if is_stopped else None) as file:
            write_jsonl(lines, file)
    except (OSError, ValueError, LongCatError) as error:
        return report(error, debug=debug, about=f"no {MANIFEST} was written")
    return Exit.DONE


def sum_up(count: Counter[LineState], spent: Decimal, store: PictureStore, *, is_listed: bool) -> None:
    """Say how it all went, for people.

    Args:
        count: how many lines there are in each state.
        spent: what all of them cost at most, in US dollars.
        store: where the pictures are.
        is_listed: whether the manifest is there, too.
    """
    place = f"saved in {store}" + (f", listed in {store.place(MANIFEST)}" if is_listed else "")
    words = [f"{count[LineState.DONE]} of {count.total()} done"]
    words += [f"{count[LineState.FAILED]} failed"] if count[LineState.FAILED] else []
    words += [f"{count[LineState.UNKNOWN]} in doubt"] if count[LineState.UNKNOWN] else []
    words += [f"{count[LineState.OPEN]} open"] if count[LineState.OPEN] else []
    print_error(f"longcat: {', '.join(words)}; {spent.normalize():f} USD at most; {place}.")
    if count[LineState.UNKNOWN]:
        print_error(
            "longcat: Orders in doubt may have been taken, and paid for. Look into the account; with"
            " --resubmit-unknown, they are sent again."
        )
    if count[LineState.OPEN]:
        print_error("longcat: Run the same command again: it goes on, and orders nothing twice.")

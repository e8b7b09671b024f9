"""`longcat batch`: order, wait and save for each line of a file, and go on where an earlier run was."""

import argparse
import json
import math
import sys
import time
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

import anyio

from longcat.cli.displays.progress import display
from longcat.cli.exit_codes import Exit
from longcat.cli.orders.ledger import Survey, recall, survey
from longcat.cli.orders.line import LineState, OrderLine
from longcat.cli.orders.lines import read_lines
from longcat.cli.orders.ordering import Ordering, OrderingSettings
from longcat.cli.orders.webhooks import receiving
from longcat.cli.output import usable_output
from longcat.cli.results import Printer, overall, print_error, report
from longcat.errors import ConfigurationError, JournalError, SubmitUnknown
from longcat.gateway.contract import contract
from longcat.gateway.orders import cost
from longcat.models import OrderRequest
from longcat.saving.files import whole_file
from longcat.saving.journal.journal import Journal
from longcat.settings import find_api_key, find_base_url, usable_rate, usable_timeout
from longcat.waiting.wake import Wake

JOURNAL: Final = ".longcat-journal.db"
"""What the journal is called in the folder of the pictures. Hidden, as nobody should move it."""
MANIFEST: Final = "manifest.jsonl"
LAST_PATIENCE: Final = 5.0
"""Seconds to wait at the end for another program that has the journal locked."""


def run(arguments: argparse.Namespace) -> Exit:
    """Order what the file says and the journal does not know, and wait for all of it."""
    usable_timeout(arguments.timeout)
    usable_timeout(arguments.batch_timeout)
    usable_rate(arguments.max_rate)
    for name in ("output", "journal"):
        if getattr(arguments, name) == "":
            raise ConfigurationError(f"The --{name} is empty; a shell variable may be unset. Name a place.")
    base_url = find_base_url(arguments.base_url, contract("submit_request").server)
    webhook = {"webhook_url": arguments.webhook_url, "webhook_mode": arguments.webhook_mode}
    lines = read_lines(arguments.file, webhook, plain_http=base_url.startswith("http://"))
    folder = Path(arguments.output)
    journal = Path(arguments.journal) if arguments.journal is not None else folder / JOURNAL
    patience = min(arguments.timeout, math.inf if arguments.batch_timeout is None else arguments.batch_timeout)
    known = survey(lines, journal, base_url, folder, resubmit_unknown=arguments.resubmit_unknown, patience=patience)
    if arguments.dry_run:
        Printer().print(_plan_object(lines, known) if arguments.json else _plan(lines, known))
    _check_cost(known, arguments.max_cost)
    if arguments.dry_run:
        return Exit.DONE
    find_api_key(None)  # Its error comes before anything is made.
    usable_output(arguments.output, [], folder=True, force=True)
    settings = OrderingSettings(
        output=folder,
        base_url=arguments.base_url,
        journal=journal,
        timeout=arguments.timeout,
        batch_timeout=arguments.batch_timeout,
        max_rate=arguments.max_rate,
        resubmit_unknown=arguments.resubmit_unknown,
        allow_private=arguments.allow_private,
    )
    with receiving(arguments) as wake:
        try:
            _order(lines, settings, wake, arguments)
        finally:  # Ctrl-C, too.
            try:
                with Journal(journal, time=time.time) as opened:
                    opened.open(LAST_PATIENCE)
                    recall([line for line in lines if not line.is_over], opened, base_url, folder)
            except JournalError as error:  # The manifest says what this run knows.
                report(error, debug=arguments.debug)
            _write_manifest(lines, folder)
            _sum_up(lines, folder)
    return overall([line.code for line in lines])


def _order(
    lines: Sequence[OrderLine], settings: OrderingSettings, wake: Wake | None, arguments: argparse.Namespace
) -> None:
    """Order, wait and save, and print what came of each line."""
    names = {line.key: line.order.id or line.order.prompt for line in lines}
    with (
        Printer(later=sys.stdout.isatty() and sys.stderr.isatty()) as printer,
        display(names, at_first="ordering") as shown,
    ):

        def tell(line: OrderLine) -> None:
            if line.error is not None:
                about = "" if isinstance(line.error, SubmitUnknown) else str(line)  # That one names the order itself.
                report(line.error, debug=arguments.debug, about=about)
            if arguments.json:
                printer.print(line.as_object())
            else:
                for file in line.files:
                    printer.print(str(file))

        anyio.run(Ordering(lines, settings, shown, tell, wake).run)


def _check_cost(known: Survey, max_cost: Decimal | None) -> None:
    total = known.spent + known.cost
    if max_cost is not None and known.new and total > max_cost:
        raise ConfigurationError(
            f"{len(known.new)} orders could cost {known.cost} USD, after {known.spent} USD that the journal knows of:"
            f" {total} USD, more than --max-cost {max_cost}. Raise it, or take lines out; nothing was sent."
        )


def _plan(lines: Sequence[OrderLine], known: Survey) -> str:
    """Return what would be sent, for people."""
    price = cost(OrderRequest("", {}))
    return (
        f"{len(known.new)} of {len(lines)} orders would be sent, for {known.pictures} pictures at {price} USD:"
        f" {known.cost} USD at most. {known.known} are known already. {known.in_doubt} are in doubt, and may have been"
        f" paid for: they would {'' if known.resubmitted else 'not '}be sent again. All orders of the journal cost"
        f" {known.spent} USD so far."
    )


def _plan_object(lines: Sequence[OrderLine], known: Survey) -> dict[str, int | float]:
    return {
        "lines": len(lines),
        "orders": len(known.new),
        "pictures": known.pictures,
        "cost": float(known.cost),
        "known": known.known,
        "in_doubt": known.in_doubt,
        "resubmitted": known.in_doubt if known.resubmitted else 0,
        "spent": float(known.spent),
    }


def _write_manifest(lines: Sequence[OrderLine], folder: Path) -> None:
    """Write a line for each order, all of them or none."""
    with whole_file(folder / MANIFEST) as file:
        for line in lines:
            file.write(json.dumps(line.as_object(), ensure_ascii=False).encode(errors="surrogatepass") + b"\n")


def _sum_up(lines: Sequence[OrderLine], folder: Path) -> None:
    """Say how it all went, for people."""
    count = Counter(line.state for line in lines)
    words = [f"{count[LineState.DONE]} of {len(lines)} done"]
    words += [f"{count[LineState.FAILED]} failed"] if count[LineState.FAILED] else []
    words += [f"{count[LineState.UNKNOWN]} in doubt"] if count[LineState.UNKNOWN] else []
    words += [f"{count[LineState.OPEN]} open"] if count[LineState.OPEN] else []
    spent = sum((line.cost for line in lines), Decimal(0))
    print_error(f"longcat: {', '.join(words)}; {spent} USD at most; saved in {folder}, listed in {folder / MANIFEST}.")
    if count[LineState.UNKNOWN]:
        print_error(
            "longcat: Orders in doubt may have been taken, and paid for. Look into the account; with"
            " --resubmit-unknown, they are sent again."
        )
    if count[LineState.OPEN]:
        print_error("longcat: Run the same command again: it goes on, and orders nothing twice.")

"""`longcat journal`: tell what stands in a journal, write it down, and let the next run take things up again."""

import argparse
import time
from typing import Final

from longcat.cli.exit_codes import Exit
from longcat.cli.journal.export import STDOUT, check_target, export
from longcat.cli.journal.report import as_lines, as_object
from longcat.cli.results import Printer, print_error
from longcat.saving.journal.contents import JournalContents, OrdersToResend
from longcat.saving.journal.journal import Journal, without_password
from longcat.text import counted

OPEN_PATIENCE: Final = 10.0
"""Seconds to wait for another program that has the journal locked, or for the database."""


def run(arguments: argparse.Namespace) -> Exit:
    """Do what was asked for; if nothing was, tell what stands in the journal."""
    if arguments.export is not None:
        check_target(arguments.export)
    printer = Printer()
    with Journal(arguments.journal, time=time.time, if_missing="refuse") as journal:
        journal.open(OPEN_PATIENCE)
        contents = journal.contents()
        if arguments.retry is not None:
            _retry(contents, printer, as_json=arguments.json)
        code = _resubmit(contents, printer, as_json=arguments.json) if arguments.resubmit_unknown else Exit.DONE
        if arguments.export is not None:
            _export(contents, arguments.export, printer, as_json=arguments.json)
        if arguments.retry is not None or arguments.resubmit_unknown or arguments.export is not None:
            return code
        summary = contents.summary()
    if arguments.json:
        printer.print(as_object(without_password(arguments.journal), summary))
    else:
        for line in as_lines(journal.name, summary):
            printer.print(line)
    return Exit.DONE


def _export(contents: JournalContents, target: str, printer: Printer, *, as_json: bool) -> None:
    count = export(contents.export(), target)
    if as_json and target != STDOUT:
        printer.print({"exported": count, "path": target})
    elif target != STDOUT:
        printer.print(target)


def _retry(contents: JournalContents, printer: Printer, *, as_json: bool) -> None:
    """Print what it may cost to order anew what has failed, and open it."""
    found = contents.failed()
    if found.count:
        have, them = ("has", "it") if found.count == 1 else ("have", "them")
        print_error(
            f"longcat: {counted(found.count, 'order')} {have} failed. To order {them} anew may cost {found.cost} USD"
            " more; the next run does so, or one that is at it now."
        )
    retried = contents.retry_failed()
    which = "that has failed" if retried.count == 1 else "that have failed"
    _tell("retried", which, retried, printer, as_json=as_json)


def _resubmit(contents: JournalContents, printer: Printer, *, as_json: bool) -> Exit:
    """Print what it may cost to send again what is in doubt, and mark it. `UNCLEAR`: orders may still be under way."""
    found = contents.in_doubt()
    if found.count:
        are, they, them = ("is", "it", "it") if found.count == 1 else ("are", "they", "them")
        print_error(
            f"longcat: {counted(found.count, 'order')} {are} in doubt: {they} may have been taken, and paid for. To"
            f" send {them} again may cost {found.cost} USD more; the next run does so, or one that is at it now. What a"
            " program is sending is not in doubt, and is left alone."
        )
    marked = contents.resubmit_unknown()
    _tell("resubmitted", "in doubt", marked, printer, as_json=as_json)
    if not marked.under_way.count:
        return Exit.DONE
    print_error(f"longcat: {marked.under_way}")
    return Exit.UNCLEAR


def _tell(name: str, which: str, found: OrdersToResend, printer: Printer, *, as_json: bool) -> None:
    if as_json:
        printer.print({name: found.count, "cost": float(found.cost)})
    elif found.count or found.under_way.count:
        are = "is" if found.count == 1 else "are"
        printer.print(f"{counted(found.count, 'order')} {which} {are} to be sent again")
    else:
        printer.print(f"no orders {which}")

"""The arguments of `longcat journal`."""

from __future__ import annotations

TYPE_CHECKING = False  # As in `typing`, the import of which takes longer than this module.
if TYPE_CHECKING:
    import argparse

    from longcat.cli.exit_codes import Exit


def add_journal_arguments(command: argparse.ArgumentParser) -> None:
    """Add the arguments of `longcat journal`."""
    command.add_argument(
        "journal", metavar="JOURNAL", help="the file, or postgresql://... where many machines share it"
    )
    command.add_argument("--json", action="store_true", help="print one JSON object a line")
    command.add_argument(
        "--export", metavar="FILE", help="write a line for each order: FILE.jsonl, FILE.parquet, or - for stdout"
    )
    command.add_argument(
        "--retry", choices=["failed"], help="let the next run order anew what has failed; each may cost its price again"
    )
    command.add_argument(
        "--resubmit-unknown",
        action="store_true",
        help="let the next run send orders in doubt again, though they may have been taken: this may mean to pay twice",
    )
    command.set_defaults(run=_journal)


def _journal(arguments: argparse.Namespace) -> Exit:
    from longcat.cli.journal import journal  # noqa: PLC0415 - it is slow to import.

    return journal.run(arguments)

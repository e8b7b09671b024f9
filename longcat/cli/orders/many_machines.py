"""A batch on many machines: its journal is on PostgreSQL, and each worker takes lines until all are over."""

import argparse
import json
import logging
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from hashlib import sha256
from math import inf
from typing import Final, TypeAlias

import anyio
from attrs import define, evolve

from longcat.cli.displays.all_workers_progress import all_workers_display
from longcat.cli.exit_codes import Exit
from longcat.cli.interrupt import run_async
from longcat.cli.orders.batch_report import check_cost, print_line, print_plan, sum_up, write_manifest
from longcat.cli.orders.batch_run import BatchRun, BatchRunSettings
from longcat.cli.orders.claimed_lines import ClaimedLines
from longcat.cli.orders.files.lines import checked_orders
from longcat.cli.orders.files.source import OrderFile, open_orders
from longcat.cli.orders.journal_lookup import look_up
from longcat.cli.orders.order_line import LineState, OrderLine
from longcat.cli.orders.webhooks import callback_fields, receiving
from longcat.cli.output import batch_store, patience_of, prepare
from longcat.cli.results import overall, print_error, printer_beside_display, report
from longcat.errors import JournalError
from longcat.models import OrderRequest
from longcat.saving.journal.batch_plan import BatchPlan
from longcat.saving.journal.database import IfMissing
from longcat.saving.journal.journal import Journal, wait_while_locked
from longcat.saving.journal.postgres.batches.line_table import LineTable
from longcat.saving.stores.store import PictureStore
from longcat.settings import api_key_if_any, find_api_key
from longcat.waiting.wake import Wake

Numbered: TypeAlias = tuple[int, OrderRequest]

MAX_SHARED_FILE_BYTES: Final = 64 * 1024 * 1024 * 1024
"""Bytes of a file of orders. What is no regular file might have no end."""
OPEN_PATIENCE: Final = 10.0
"""Seconds to wait for the database at the start."""
END_PATIENCE: Final = 30.0
"""Seconds to wait at the end for a database that was lost."""
SLOW_MANIFEST: Final = 100_000
"""The manifest of so many lines takes some seconds, of which people are told."""


def run(arguments: argparse.Namespace, base_url: str) -> Exit:
    """Register the lines unless another worker did, take part in the batch, and return what came of all of it."""
    if not arguments.dry_run:
        find_api_key(None)  # Its error comes before anything is made.
    if not arguments.debug:  # A line on stderr for each of a million orders would be too much.
        logging.getLogger("longcat").setLevel(logging.WARNING)
    if_missing: IfMissing = "pretend" if arguments.dry_run else "make"
    with Journal(arguments.journal, time=time.time, if_missing=if_missing) as journal:
        journal.open(OPEN_PATIENCE)
        table = journal.lines(base_url)
        store = batch_store(arguments)
        batch = _register(table, arguments, base_url)
        if arguments.dry_run:
            return Exit.DONE
        find = partial(look_up, orders=journal.orders(base_url), store=store)
        work = _Work(table, batch, store, find, arguments)
        try:
            prepare(store, patience_of(arguments))
            with receiving(arguments) as wake:
                # What was in doubt is marked. What another worker leaves in doubt meanwhile is not sent again.
                settings = evolve(BatchRunSettings.of(arguments, store, journal), resubmit_unknown=False)
                code = work.run(settings, wake)
        except BaseException:
            with suppress(JournalError):  # Its lines are free once it is gone.
                work.leave()
            raise
        return overall([code, *work.leave()])


def _register(table: LineTable, arguments: argparse.Namespace, base_url: str) -> int:
    """Register the batch, or find it, and check what it may cost. Raises ConfigurationError."""
    callbacks, plain_http, api_key = callback_fields(arguments), base_url.startswith("http://"), api_key_if_any()

    def check(plan: BatchPlan) -> None:
        if arguments.dry_run:
            print_plan(plan, is_resubmitting=arguments.resubmit_unknown, as_json=arguments.json)
        if arguments.resubmit_unknown and plan.under_way.count:
            print_error(f"longcat: {plan.under_way}")
        check_cost(plan, arguments.max_cost)

    with open_orders(arguments.file, MAX_SHARED_FILE_BYTES) as file:
        register = partial(
            table.register,
            _digest(file, arguments),
            lambda: checked_orders(file, callbacks, plain_http=plain_http, api_key=api_key),
            source=file.name,
            row=file.row,
            check=check,
            max_cost=arguments.max_cost,
            resubmit_unknown=arguments.resubmit_unknown,
            dry_run=arguments.dry_run,
        )
        try:
            return register()
        except JournalError as error:
            if not error.locked:
                raise
        print_error("longcat: The journal is busy: another worker may be registering its lines. It is waited for.")
        return wait_while_locked(register, inf)


def _digest(file: OrderFile, arguments: argparse.Namespace) -> str:
    """Return what names the batch: the same file, to the same place, with the same callbacks."""
    output = [arguments.output.rstrip("/"), arguments.layout, arguments.format]
    what = [file.digest(), output, callback_fields(arguments)]
    return sha256(json.dumps(what, sort_keys=True).encode(errors="surrogatepass")).hexdigest()


@define
class _Work:
    """The work of this worker on a batch, and its end."""

    table: LineTable
    batch: int
    store: PictureStore
    look_up: Callable[[OrderLine], object]
    arguments: argparse.Namespace

    def run(self, settings: BatchRunSettings, wake: Wake | None) -> Exit:
        """Order, wait and save until all lines are over, and return what the lines ask for that were left open."""
        with printer_beside_display() as printer, all_workers_display() as shown:
            as_json, debug = self.arguments.json, self.arguments.debug
            print_it = partial(print_line, store=self.store, printer=printer, as_json=as_json, debug=debug, told=set())
            claimed = ClaimedLines(self.table, self.batch, shown, self.look_up, print_it)
            batch_run = BatchRun(claimed.lines(), settings, shown, claimed.end, wake)
            claimed.on_idle = batch_run.settle
            try:
                run_async(_run_both, batch_run, claimed)
            finally:  # Ctrl-C, too.
                try:
                    wait_while_locked(claimed.report, END_PATIENCE)
                    shown.show(self.table.progress(self.batch))
                except JournalError as error:  # Its lines are taken up again, and nothing is ordered twice.
                    report(error, debug=self.arguments.debug)
        return overall(claimed.codes)

    def leave(self) -> list[Exit]:
        """Give back what is not over, say how all went, and return the exit codes that this asks for.

        The last worker writes the manifest. Raises JournalError when the database can't be reached.
        """
        is_last = wait_while_locked(partial(self.table.leave, self.batch), END_PATIENCE)
        progress = wait_while_locked(partial(self.table.progress, self.batch), END_PATIENCE)
        codes = [Exit.NO] if progress.failed else []
        if is_last:
            if progress.lines >= SLOW_MANIFEST:
                print_error(f"longcat: Writing the manifest of {progress.lines:,} lines.")
            codes.append(write_manifest(self.table.export(self.batch), self.store, debug=self.arguments.debug))
        states = {
            LineState.DONE: progress.done,
            LineState.FAILED: progress.failed,
            LineState.UNKNOWN: progress.unknown,
            LineState.OPEN: progress.open,
        }
        sum_up(Counter(states), progress.spent, self.store, is_listed=Exit.DONE in codes)
        if not is_last:
            print_error("longcat: Other workers go on. The last one writes the manifest.")
        return [*codes, Exit.UNCLEAR] if progress.unknown or progress.open else codes


async def _run_both(batch_run: BatchRun, claimed: ClaimedLines) -> None:
    """Order what is claimed, while the journal is told what came of it."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(claimed.keep_reporting)
        await batch_run.run()
        tasks.cancel_scope.cancel()

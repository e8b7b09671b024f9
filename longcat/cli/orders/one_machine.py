"""A batch on one machine: its journal is a file, and all of its lines are held in memory."""

import argparse
import json
import time
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Final

from longcat.cli.displays.progress import display
from longcat.cli.exit_codes import Exit
from longcat.cli.interrupt import run_async
from longcat.cli.orders.batch_report import check_cost, print_line, print_plan, sum_up, write_manifest
from longcat.cli.orders.batch_run import BatchRun, BatchRunSettings
from longcat.cli.orders.files.lines import read_lines
from longcat.cli.orders.journal_lookup import recall, survey
from longcat.cli.orders.order_line import OrderLine
from longcat.cli.orders.webhooks import callback_fields, receiving
from longcat.cli.output import batch_store, patience_of, prepare, wait_for_store
from longcat.cli.results import overall, printer_beside_display, report
from longcat.errors import ConfigurationError, JournalError
from longcat.saving.journal.journal import Journal
from longcat.saving.stores.folder import FolderStore
from longcat.saving.stores.shards import ShardStore
from longcat.saving.stores.store import PictureStore
from longcat.settings import api_key_if_any, find_api_key
from longcat.waiting.wake import Wake

JOURNAL: Final = ".longcat-journal.db"
"""What the journal is called in the folder of the pictures. Hidden, as nobody should move it."""
END_PATIENCE: Final = 5.0
"""Seconds to wait at the end for another program that has the journal locked."""


def run(arguments: argparse.Namespace, base_url: str) -> Exit:
    """Order what the file says and the journal does not know, and wait for all of it."""
    plain_http, callbacks = base_url.startswith("http://"), callback_fields(arguments)
    lines = read_lines(arguments.file, callbacks, plain_http=plain_http, api_key=api_key_if_any())
    store = batch_store(arguments)
    journal = Path(arguments.journal) if arguments.journal is not None else _journal_in(store)
    patience, resubmit = patience_of(arguments), arguments.resubmit_unknown
    look = partial(survey, lines, journal, base_url, store, resubmit_unknown=resubmit, patience=patience)
    known = wait_for_store(look, patience)
    if arguments.dry_run:
        print_plan(known, is_resubmitting=resubmit, as_json=arguments.json)
    check_cost(known, arguments.max_cost)
    if arguments.dry_run:
        return Exit.DONE
    find_api_key(None)  # Its error comes before anything is made.
    prepare(store, patience)
    with receiving(arguments) as wake:
        try:
            _order(lines, store, BatchRunSettings.of(arguments, store, journal), wake, arguments)
        finally:  # Ctrl-C, too.
            try:
                with Journal(journal, time=time.time) as opened:
                    opened.open(END_PATIENCE)
                    recall([line for line in lines if not line.is_over], opened, base_url, store)
            except (JournalError, OSError) as error:  # The manifest says what this run knows.
                report(error, debug=arguments.debug)
            objects = (json.dumps(line.as_object(), ensure_ascii=False) + "\n" for line in lines)
            written = write_manifest(objects, store, debug=arguments.debug)
            spent = sum((line.cost for line in lines), Decimal(0))
            sum_up(Counter(line.state for line in lines), spent, store, is_listed=written is Exit.DONE)
    return overall([written, *(line.code for line in lines)])


def _journal_in(store: PictureStore) -> Path:
    """Return the journal in the folder of the pictures. Raises ConfigurationError when they go elsewhere."""
    place = store.writer.store if isinstance(store, ShardStore) else store
    if isinstance(place, FolderStore):
        return place.path / JOURNAL
    raise ConfigurationError(
        f"No journal can lie at {store}. Name one with --journal: a file of this machine, or postgresql://..."
    )


def _order(
    lines: Sequence[OrderLine],
    store: PictureStore,
    settings: BatchRunSettings,
    wake: Wake | None,
    arguments: argparse.Namespace,
) -> None:
    """Order, wait and save, and print what came of each line."""
    names = {line.key: line.order.id or line.order.prompt for line in lines}
    with (
        printer_beside_display() as printer,
        display(names, at_first="ordering") as shown,
    ):
        as_json, debug = arguments.json, arguments.debug
        tell = partial(print_line, store=store, printer=printer, as_json=as_json, debug=debug, told=set())
        run_async(BatchRun(lines, settings, shown, tell, wake).run)

"""Looks up what a journal knows of the orders of a command: before the first is sent, and after the last."""

import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from longcat.cli.orders.order_line import LineState, OrderLine
from longcat.cli.output import check_free
from longcat.errors import ConfigurationError, JournalError
from longcat.gateway.order_fields import cost
from longcat.models import State
from longcat.saving.journal.batch_plan import BatchPlan
from longcat.saving.journal.journal import Journal
from longcat.saving.journal.order_table import OrderTable
from longcat.saving.journal.request_table import RequestTable
from longcat.saving.stores.folder import FolderStore
from longcat.saving.stores.store import PictureStore
from longcat.waiting.order_store import OrderState
from longcat.waiting.outcome import GENERATION_ERRORS


def survey(  # noqa: PLR0913 - the last two are keywords.
    lines: Sequence[OrderLine],
    path: Path,
    base_url: str,
    store: PictureStore,
    *,
    resubmit_unknown: bool,
    patience: float,
) -> BatchPlan:
    """Read what the journal knows into the lines, and return how they stand. A journal that is not there is not made.

    Another program that has it locked is waited for, for so many seconds of patience.

    Raises JournalError when it can't be read, and ConfigurationError when a line orders something else than the journal
    says, or would replace a file.
    """
    if not path.exists():
        _check_files(lines, store)
        return _plan(lines, lines, 0, Decimal(0))
    with Journal(path, time=time.time) as journal:
        journal.open(patience)
        recall(lines, journal, base_url, store)
        spent = journal.orders(base_url).spent()
    in_doubt = [line for line in lines if line.state is LineState.UNKNOWN]
    _check_files([line for line in lines if not line.is_known], store)
    new = [line for line in lines if not line.is_known or (resubmit_unknown and line.state is LineState.UNKNOWN)]
    for line in in_doubt if resubmit_unknown else ():
        line.send_again()
    return _plan(lines, new, len(in_doubt), spent)


def _plan(lines: Sequence[OrderLine], new: Sequence[OrderLine], in_doubt: int, spent: Decimal) -> BatchPlan:
    return BatchPlan(
        lines=len(lines),
        new=len(new),
        pictures=sum(line.order.pictures for line in new),
        cost=sum((cost(line.order) for line in new), Decimal(0)),
        in_doubt=in_doubt,
        spent=spent,
    )


def recall(lines: Sequence[OrderLine], journal: Journal, base_url: str, store: PictureStore) -> None:
    """Write what the journal knows into the lines. A line whose row can't be read counts as known: it is not sent."""
    orders, requests = journal.orders(base_url), journal.requests(base_url)
    for line in lines:
        try:
            record = orders.known(line.key)
        except JournalError as error:
            if error.locked:
                raise
            line.is_known = True
            line.fail(error)
            continue
        if record is None:
            continue
        record.check(line.order)
        if record.is_marked:  # It is to be sent again, as if it were new.
            line.cost_before = record.cost_before + record.cost
            continue
        line.is_known, line.cost_before = True, record.cost_before
        if record.request_id is not None:
            line.request_id = record.request_id
            _recall_request(line, requests, store)
        elif record.state is OrderState.UNKNOWN:
            line.fail(record.doubt())


def _recall_request(line: OrderLine, requests: RequestTable, store: PictureStore) -> None:
    try:
        status = requests.last(line.request_id or "")
    except JournalError as error:
        line.fail(error)
        return
    line.last_status = status
    if status is None:
        return
    if status.state in GENERATION_ERRORS:
        line.fail(GENERATION_ERRORS[status.state](status))
    elif status.state is State.COMPLETED and status.image is not None:
        files = [requests.file(status.request_id, number) for number in range(1, len(status.image.urls) + 1)]
        names = [store.recall(file) for file in files if file is not None]
        inside = [name for name in names if name is not None]
        if len(inside) == len(files):
            line.files, line.state = inside, LineState.DONE


def look_up(line: OrderLine, orders: OrderTable, store: PictureStore) -> None:
    """Let a line fail that is about to be ordered if a file is in the way of its pictures, or its order was altered.

    Raises JournalError when the journal can't be read for now. Files are looked for in a folder of this machine alone:
    elsewhere it would take long.
    """
    is_local = isinstance(store, FolderStore) and line.name is not None
    if not is_local or not store.existing(line.name or "", line.order.pictures):
        return
    try:
        if orders.known(line.key) is None:
            _check_files([line], store)
    except ConfigurationError as error:
        if isinstance(error, JournalError) and error.locked:
            raise
        line.fail(error)


def _check_files(lines: Sequence[OrderLine], store: PictureStore) -> None:
    """Raise ConfigurationError when a picture would replace a file."""
    for line in lines:
        if line.name is None:
            continue
        check_free(
            store,
            line.name,
            line.order.pictures,
            "This journal does not know it: move it away, or pass another --output; nothing was sent.",
        )

"""The contents of a journal, told in lines for people, and as a JSON object."""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from longcat.saving.journal.contents import JournalSummary
from longcat.saving.journal.states import STATES
from longcat.text import counted, shorten
from longcat.text.known_keys import KNOWN_KEYS

if TYPE_CHECKING:
    from longcat.saving.journal.postgres.batches.records import BatchRecord
    from longcat.saving.journal.postgres.batches.workers import WorkerRecord

WORKER_FIELDS: Final = ("token", "alive", "host", "pid", "batch", "began", "seen", *STATES[:3], "spent")
SHOWN_STATES: Final = {"unknown": "in doubt"}
"""What states are called for people, if not by the words of the manifest."""


def as_lines(name: str, summary: JournalSummary) -> Iterator[str]:
    """Yield what stands in a journal of this name, for people. Of the workers, those that are gone are only counted."""
    states = ", ".join(f"{summary.states[state]:,} {SHOWN_STATES.get(state, state)}" for state in STATES)
    yield f"{shorten(KNOWN_KEYS.hide(name), 200)}: {counted(summary.states.total(), 'order')}: {states}"
    if summary.sending:
        yield f"{counted(summary.sending, 'order')} being sent just now"
    if summary.opened:
        yield f"{counted(summary.opened, 'order')} that failed before, opened to be ordered anew"
    yield f"{counted(summary.pictures, 'picture')} saved, {counted(summary.size, 'byte')}"
    doubt = f", of which {summary.spent_in_doubt} USD are for {counted(summary.in_doubt, 'order')} in doubt"
    yield f"{summary.spent} USD at most were spent{doubt if summary.in_doubt else ''}"
    yield from map(_batch, summary.batches)
    alive = [worker for worker in summary.workers if worker.is_alive]
    gone = len(summary.workers) - len(alive)
    at_work = f"{counted(len(alive) + len(summary.others), 'program')} at work"
    yield at_work + (f", {counted(gone, 'worker')} gone" if gone else "")
    yield from map(_worker, alive)
    for order in summary.first_in_doubt:
        name = shorten(KNOWN_KEYS.hide(order.name), 60)
        reason = order.reason or "the program that sent it ended before the answer came"
        reason = shorten(KNOWN_KEYS.hide(reason), 200)
        yield f"in doubt since {shorten(order.noted)}: {name!r}, {order.cost} USD: {reason}"
    if summary.in_doubt > len(summary.first_in_doubt):
        yield f"... and {summary.in_doubt - len(summary.first_in_doubt):,} more in doubt"
    if summary.in_doubt:
        yield "Look into the account for those in doubt; with --resubmit-unknown, the next run sends them again."


def as_object(place: str, summary: JournalSummary) -> dict[str, Any]:
    """Return what stands in a journal at this place as a JSON object. Every field is there; null means unknown."""
    return {
        "journal": KNOWN_KEYS.hide(place),
        **{state: summary.states[state] for state in STATES},
        "sending": summary.sending,
        "opened_again": summary.opened,
        "pictures": summary.pictures,
        "bytes": summary.size,
        "spent": float(summary.spent),
        "in_doubt": summary.in_doubt,
        "spent_in_doubt": float(summary.spent_in_doubt),
        "doubtful": [
            {
                "name": KNOWN_KEYS.hide(order.name),
                "noted": order.noted,
                "reason": order.reason,
                "cost": float(order.cost),
            }
            for order in summary.first_in_doubt
        ],
        "batches": [
            {
                "batch": batch.batch,
                "gateway": batch.gateway,
                "registered": _moment(batch.registered),
                "lines": batch.lines,
                **{state: getattr(batch, state) for state in STATES},
                "spent": float(batch.spent),
            }
            for batch in summary.batches
        ],
        "workers": [
            *(_worker_object(worker) for worker in summary.workers),
            *(dict.fromkeys(WORKER_FIELDS) | {"token": token, "alive": True} for token in summary.others),
        ],
    }


def _worker_object(worker: "WorkerRecord") -> dict[str, Any]:
    return {
        "token": worker.token,
        "alive": worker.is_alive,
        "host": worker.host,
        "pid": worker.pid,
        "batch": worker.batch,
        "began": _moment(worker.began),
        "seen": _moment(worker.seen),
        "done": worker.done,
        "failed": worker.failed,
        "unknown": worker.unknown,
        "spent": float(worker.spent),
    }


def _batch(batch: "BatchRecord") -> str:
    counts = ", ".join(f"{getattr(batch, state):,} {SHOWN_STATES.get(state, state)}" for state in STATES)
    return (
        f"batch {batch.batch} of {_moment(batch.registered)}, {shorten(batch.gateway)}: {counted(batch.lines, 'line')}:"
        f" {counts}; {batch.spent} USD"
    )


def _worker(worker: "WorkerRecord") -> str:
    name = f"worker {shorten(worker.token)}, process {worker.pid} on {shorten(worker.host)}, batch {worker.batch}"
    return (
        f"{name}: at work, last seen {_moment(worker.seen)}; {worker.done:,} done, {worker.failed:,} failed,"
        f" {worker.unknown:,} in doubt, {worker.spent} USD"
    )


def _moment(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

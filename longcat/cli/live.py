"""The live lines of `longcat wait`: state, bar, percent, elapsed. Needs the extra `cli`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from longcat.models import State, Status
from longcat.text import shorten

COLOURS = {State.COMPLETED: "green", State.FAILED: "red", State.CANCELLED: "red", State.UNKNOWN: "yellow"}


@contextmanager
def live_display(request_ids: Sequence[str]) -> Iterator["LiveDisplay"]:
    """Draw one line for each request for as long as the block lasts; the lines stay when it is over."""
    columns = (
        TextColumn("{task.description}", markup=False),  # An id is no markup, and :cat: in it no picture.
        _StateColumn(),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    # Only stderr is ours: what is printed to stdout must arrive there, even while the lines are drawn.
    with Progress(*columns, console=Console(stderr=True), redirect_stdout=False) as progress:
        yield LiveDisplay(progress, request_ids)


class _StateColumn(ProgressColumn):
    """The service's word for the state, coloured."""

    def render(self, task: Task) -> Text:
        return Text(task.fields["state"], style=task.fields["colour"])


class LiveDisplay:
    """A line for each request. Its bar moves to and fro until a progress is reported."""

    def __init__(self, progress: Progress, request_ids: Sequence[str]) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {
            request_id: progress.add_task(shorten(request_id, 40), total=None, state="asking", colour="cyan")
            for request_id in request_ids
        }

    def update(self, status: Status) -> None:
        """Move the bar, and show the state."""
        self._progress.update(
            self._tasks[status.request_id],
            state=shorten(status.raw_state, 20),
            colour=COLOURS.get(status.state, "cyan"),
            total=None if status.progress is None else 1.0,
            completed=status.progress or 0.0,
        )

    def finish(self, request_id: str) -> None:
        """Stop the line's clock."""
        self._progress.stop_task(self._tasks[request_id])

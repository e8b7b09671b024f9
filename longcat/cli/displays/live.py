"""The live lines of requests that are waited for. Needs the extra `cli`.

Of a few requests, each has a line: state, bar, percent, elapsed. Of many, the last that finished are shown. The last
line counts them all.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from rich.console import Console, Group
from rich.live import Live
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

from longcat.cli.displays.display import Display
from longcat.models import State, Status
from longcat.text import abbreviate, shorten
from longcat.waiting.outcome import Outcome

COLOURS: Final = {State.COMPLETED: "green", State.FAILED: "red", State.CANCELLED: "red", State.UNKNOWN: "yellow"}
RECENT: Final = 5
"""How many of those that finished are shown."""


@contextmanager
def live_display(names: Mapping[str, str], *, few: bool, at_first: str) -> Iterator["LiveDisplay"]:
    """Draw the lines for as long as the block lasts; they stay when it is over."""
    display = LiveDisplay(names, few=few, at_first=at_first)
    # Only stderr is ours: what is printed to stdout must arrive there, even while the lines are drawn.
    console = Console(stderr=True)
    with Live(console=console, get_renderable=display.render, redirect_stdout=False, refresh_per_second=10):
        yield display


class _StateColumn(ProgressColumn):
    """The service's word for the state, coloured."""

    def render(self, task: Task) -> Text:
        return Text(task.fields["state"], style=task.fields["colour"])


class LiveDisplay(Display):
    """A line for each request, if they are few. Its bar moves to and fro until a progress is reported."""

    def __init__(self, names: Mapping[str, str], *, few: bool, at_first: str) -> None:
        super().__init__(names)
        self._recent: deque[Text] = deque(maxlen=RECENT)
        self._lines = Progress(
            TextColumn("{task.description}", markup=False),  # An id is no markup, and :cat: in it no picture.
            _StateColumn(),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
        )
        self._tasks: dict[str, TaskID] = {
            key: self._lines.add_task(abbreviate(name, 40), total=None, state=at_first, colour="cyan")
            for key, name in (names if few else {}).items()
        }
        self._summary = Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        self._all: TaskID | None = None
        if not few or len(names) > 1:
            self._all = self._summary.add_task(str(self), total=len(self.names) or None)

    def render(self) -> Group:
        """Return what to draw."""
        return Group(*self._recent, self._lines, *([self._summary] if self._all is not None else []))

    def ordered(self, key: str, request_id: str) -> None:
        """Let the order's line go on as that of the request."""
        if key in self._tasks:
            self._tasks[request_id] = self._tasks.pop(key)
            self._lines.update(self._tasks[request_id], state="ordered")
        super().ordered(key, request_id)

    def update(self, status: Status) -> None:
        """Move the bar, and show the state."""
        if status.request_id in self._tasks:
            progress = 1.0 if status.state is State.COMPLETED else status.progress
            self._lines.update(
                self._tasks[status.request_id],
                state=shorten(status.raw_state, 20),
                colour=COLOURS.get(status.state, "cyan"),
                total=None if progress is None else 1.0,
                completed=progress or 0.0,
            )
        super().update(status)

    def finish(self, outcome: Outcome, key: str = "", *, is_done: bool) -> None:
        """Stop the line's clock, or add the request to those that finished last."""
        name = self._name(outcome, key)
        state = outcome.status.raw_state if outcome.status is not None else "no answer"
        if name in self._tasks:
            if outcome.status is None:
                self._lines.update(self._tasks[name], state=state, colour="red")
            self._lines.stop_task(self._tasks[name])
        else:
            line = Text(f"{abbreviate(self.names.get(name, name), 40)}  ", no_wrap=True, overflow="ellipsis")
            line.append(shorten(state, 20), style="green" if is_done else "red")
            self._recent.append(line.append(f"  {outcome.elapsed:.1f} s"))
        super().finish(outcome, key, is_done=is_done)

    def draw(self) -> None:
        """Draw the last line."""
        if self._all is not None:
            total = len(self.names) or None
            self._summary.update(self._all, description=str(self), completed=self.over, total=total)

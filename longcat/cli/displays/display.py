"""The base of all displays of waits: they count the requests."""

from collections.abc import Mapping

from longcat.models import Status
from longcat.waiting.outcome import Outcome


class Display:
    """Counts the requests, and shows how they stand: each kind of display draws what it wants to.

    Args:
        names: how each request that is known is called, by its id; one that is yet to be ordered, by its key. Others
            are counted as they come.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = {**names}
        self.done = self.failed = 0
        self.left: float | None = None
        """Seconds until the last request is done, if that can be estimated."""

    def ordered(self, key: str, request_id: str) -> None:
        """Take note of the request that came of an order."""
        self.names[request_id] = self.names.pop(key)

    def update(self, status: Status) -> None:
        """Show a new answer."""
        self.names.setdefault(status.request_id, status.request_id)
        self.draw()

    def finish(self, outcome: Outcome, key: str = "", *, is_done: bool) -> None:
        """Show that nothing more will come about a request, or about an order that none came of.

        Args:
            outcome: what came of it.
            key: that of the order.
            is_done: whether its pictures are there, and saved if they were to be.
        """
        name = self._name(outcome, key)
        self.names.setdefault(name, name)
        self.done += is_done
        self.failed += not is_done
        self.draw()

    def _name(self, outcome: Outcome, key: str) -> str:
        """Return what the request, or the order without one, is known by, and from now on alone."""
        if outcome.request_id and key in self.names:  # It was not noted that the order was taken.
            self.ordered(key, outcome.request_id)
        return outcome.request_id or key

    def estimate(self, seconds: float | None) -> None:
        """Show in how many seconds the last request will be done, if that can be estimated."""
        self.left = seconds
        self.draw()

    def draw(self) -> None:
        """Draw the counts."""

    def close(self) -> None:
        """Draw the counts for the last time."""

    @property
    def over(self) -> int:
        """Of how many requests nothing more will come."""
        return self.done + self.failed

    def __str__(self) -> str:
        parts = [f"{self.done} of {len(self.names)} done"]
        if self.failed:
            parts.append(f"{self.failed} without a picture")
        if self.left is not None and self.over < len(self.names):
            parts.append(f"about {duration(self.left)} left")
        return ", ".join(parts)


def duration(seconds: float) -> str:
    """Return so many seconds as people say it: `40 s`, `12 min`, `2.5 h`."""
    if seconds < 100:  # noqa: PLR2004 - a minute and a half is better told in seconds.
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"  # noqa: PLR2004 - likewise.

"""How many requests there are, and how many are over."""

from collections.abc import Sequence

from longcat.waiting.wait import Outcome


class RequestCounts:
    """How many requests there are, and how many are over.

    Args:
        request_ids: those that are known. Others are counted as they come.
    """

    def __init__(self, request_ids: Sequence[str] = ()) -> None:
        self.seen = set(request_ids)
        self.over = self.failed = 0
        self.left: float | None = None
        """Seconds until the last one is done. None: nobody knows."""

    def finish(self, outcome: Outcome) -> None:
        """Count a request that is over."""
        self.seen.add(outcome.request_id)
        self.over += 1
        self.failed += outcome.error is not None

    def __str__(self) -> str:
        parts = [f"{self.over} of {len(self.seen)} done"]
        if self.failed:
            parts.append(f"{self.failed} without a picture")
        if self.left is not None and self.over < len(self.seen):
            parts.append(f"about {duration(self.left)} left")
        return ", ".join(parts)


def duration(seconds: float) -> str:
    """Return so many seconds as people say it: `40 s`, `12 min`, `2.5 h`."""
    if seconds < 100:  # noqa: PLR2004 - a minute and a half is better told in seconds.
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"  # noqa: PLR2004 - likewise.

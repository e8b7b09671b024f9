"""Merges what the waits of several clients have learnt: each tells what it has learnt, and learns what is known.

What an `Experience` counts adds up. Of everything else, the mean is taken, weighted by how many requests have finished
at either side since the last time. So whoever begins knows what the others know. No I/O, and no clock.
"""

from collections.abc import Sequence
from math import exp
from typing import Final

from attrs import define, field, frozen

from longcat.waiting.schedule.forecast import ProgressShape
from longcat.waiting.schedule.knowledge import Knowledge

DIGITS: Final = 6  # How many decimals are kept of what is counted.


@frozen
class KnowledgeRecord:
    """The knowledge of all clients, as it is kept. See `Knowledge` for what it means.

    Attributes:
        finished: how many requests have finished.
        log_typical: the mean logarithm of the durations, in seconds.
        trust: how far each forecast is trusted.
        deaths: by each experience, as its `evidence` says.
        exposed: likewise.
        shapes: the bins of each `ProgressShape`: the number of the bin, with its count, mean and variance.
    """

    finished: int = 0
    log_typical: float = 0.0
    trust: list[float] = field(factory=list)
    deaths: list[list[float]] = field(factory=list)
    exposed: list[list[float]] = field(factory=list)
    shapes: list[list[list[float]]] = field(factory=list)


@define
class KnowledgeSharer:
    """One client's part in what is shared.

    Attributes:
        knowledge: the client's. What it knows is kept up to date by `merge`.
    """

    knowledge: Knowledge
    _merged: KnowledgeRecord = field(factory=KnowledgeRecord, init=False)  # What it was after the last time,
    _newest: tuple[float, ...] = field(default=(), init=False)  # and how old the newest request was then.

    @property
    def has_news(self) -> bool:
        """Whether the client has learnt from a request since the last time."""
        return self.knowledge.finished > self._merged.finished

    def merge(self, kept: KnowledgeRecord) -> KnowledgeRecord:
        """Let the client know what is kept as well, and return what is to be kept now.

        Raises ValueError when what is kept is of another kind; then nothing has changed.
        """
        with self.knowledge.lock:
            merged = self._sum(kept)
            self._adopt(merged)
            self._merged = merged
            self._newest = tuple(one.newest for one in self.knowledge.experiences)
            return merged

    def _sum(self, kept: KnowledgeRecord) -> KnowledgeRecord:
        knowledge, before = self.knowledge, self._merged
        ours, theirs = knowledge.finished - before.finished, max(kept.finished - before.finished, 0)
        if not kept.finished:  # Nobody has told anything, or it was cleared away: all that is known here counts.
            ours = knowledge.finished
        part = ours / (ours + theirs) if ours + theirs else 0.0
        deaths: list[list[float]] = []
        exposed: list[list[float]] = []
        for i, one in enumerate(knowledge.experiences):
            fade = exp(self._newest[i] - one.newest) if self._newest else 1.0
            counts = one.evidence()
            for now, known, was, sums in zip(
                counts, (kept.deaths, kept.exposed), (before.deaths, before.exposed), (deaths, exposed), strict=True
            ):
                sums.append(_added(now, known[i] if known else [], was[i] if was and kept.finished else [], fade))
        return KnowledgeRecord(
            kept.finished + ours,
            _mean(kept.log_typical, knowledge.log_typical, part),
            [_mean(a, b, part) for a, b in zip(kept.trust or knowledge.trust, knowledge.lasting_trust, strict=True)],
            deaths,
            exposed,
            [_pooled(kept.shapes[i] if kept.shapes else [], shape, part) for i, shape in enumerate(knowledge.shapes)],
        )

    def _adopt(self, merged: KnowledgeRecord) -> None:
        knowledge = self.knowledge
        for experience, deaths, exposed in zip(knowledge.experiences, merged.deaths, merged.exposed, strict=True):
            experience.replace(deaths, exposed)
        for shape, bins in zip(knowledge.shapes, merged.shapes, strict=True):
            shape.replace_bins({int(number): (int(n), mean, variance) for number, n, mean, variance in bins})
        knowledge.adopt(merged.finished, merged.log_typical, merged.trust)


def _mean(kept: float, ours: float, part: float) -> float:
    return (1 - part) * kept + part * ours


def _added(now: Sequence[float], kept: Sequence[float], before: Sequence[float], fade: float) -> list[float]:
    """Return what is kept, and what has been counted here since what was known before. Both have faded since."""
    kept, before = kept or [0.0] * len(now), before or [0.0] * len(now)
    return [round(n + fade * (k - b), DIGITS) for n, k, b in zip(now, kept, before, strict=True)]


def _pooled(kept: Sequence[Sequence[float]], shape: ProgressShape, part: float) -> list[list[float]]:
    """Return the bins of a shape, of both sides as one: the mean, and the variance about it."""
    known = {int(number): (n, mean, variance) for number, n, mean, variance in kept}
    bins = []
    for number, (count, mean, variance) in sorted({**known, **shape.bins()}.items()):
        n, other, spread = known.get(number, (0.0, 0.0, 0.0))
        if number not in shape.bins():
            bins.append([number, n, other, spread])
            continue
        ours, theirs = (part * count, (1 - part) * n) if n else (1.0, 0.0)
        middle = (ours * mean + theirs * other) / (ours + theirs)
        about = (ours * (variance + (mean - middle) ** 2) + theirs * (spread + (other - middle) ** 2)) / (ours + theirs)
        bins.append([number, max(count, n), round(middle, DIGITS), round(about, DIGITS)])
    return bins

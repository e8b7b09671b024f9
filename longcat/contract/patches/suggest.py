"""From findings to a change of the contract's file, so that it agrees with what was seen.

Every change is tried: it is written, and the same exchanges are judged anew. What they show then may call for another
change, until nothing is left that one could mend. Where an answer would be wrong in a way that no contract may allow,
the changes made for it are taken back, and the finding is left with the reason.

A JSON file gets the same changes without the comments, which JSON does not have.
"""

import difflib
from collections.abc import Iterable, Iterator
from typing import Final

from attrs import frozen

from longcat.contract.model import Finding
from longcat.contract.patches.edit import Source
from longcat.contract.patches.trial import Trial, samples_of

__all__ = ["Left", "Suggestion", "suggest"]

NAME: Final = "openapi.yaml"
_TRIED: Final = "What was tried does not make the contract agree. Change it by hand."


@frozen
class Left:
    """A finding that is not patched, and why, as a sentence."""

    finding: Finding
    reason: str

    def __str__(self) -> str:
        place = f" {self.finding.pointer}" if self.finding.pointer else ""
        return f"{self.finding.code}{place}: {self.reason}"


@frozen
class Suggestion:
    """A change of a contract's file.

    Attributes:
        text: the whole of it, changed.
        diff: the change, as a unified diff. Empty: there is none.
        left: the findings that it does not mend. Those that differ in nothing but the exchange are one.
    """

    text: str
    diff: str
    left: tuple[Left, ...]


def suggest(text: str, findings: Iterable[Finding]) -> Suggestion:
    """Return the change of a contract's text that makes it agree with findings. Raises SpecError for no contract.

    A finding with which the text agrees already is not mentioned.
    """
    found = list(findings)
    mark, plain = text[: text.startswith("\ufeff")], text.removeprefix("\ufeff")
    source, blocked, samples = Source.read(plain), dict[str, str](), samples_of(found)
    whole = Trial.of(source, found, found, {})
    while True:
        trial = Trial.of(source, found, samples, blocked)
        trial.run()
        if more := trial.failed():
            blocked |= more
            continue
        whole.source, whole.refused = trial.source, trial.refused
        wrong = whole.wrong()
        known = {id(one.exchange) for one in samples}
        missed = [one for one in samples_of(wrong) if id(one.exchange) not in known and trial.reason(one) is None]
        if not missed:
            break
        samples += missed
    new = mark + trial.source.text
    return Suggestion(new, _diff(text, new), tuple(_left(wrong, trial)))


def _left(wrong: Iterable[Finding], trial: Trial) -> Iterator[Left]:
    """Yield what is still wrong, each once, and why."""
    shown: set[str] = set()
    for one in wrong:
        left = Left(one, trial.reason(one) or _TRIED)
        if (name := f"{one.operation} {left}") not in shown:
            shown.add(name)
            yield left


def _diff(old: str, new: str) -> str:
    before, after = (["".join(pair) for pair in _lines(text)] for text in (old, new))
    lines = difflib.unified_diff(before, after, NAME, NAME)
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _lines(text: str) -> Iterator[tuple[str, str]]:
    parts = text.split("\n")
    yield from ((part, "\n") for part in parts[:-1])
    if parts[-1]:
        yield parts[-1], ""

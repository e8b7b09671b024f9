"""From findings to a change of the contract's file, so that it agrees with what was seen.

Each round judges the same exchanges, groups the findings, asks `changes` which edits mend a group, and makes them where
they belong (see `uses`). A change may bring to light what calls for another one: both are made, or neither is. The
rounds end when nothing is left that could be mended.

A JSON file gets the same changes without the comments, which JSON does not have.
"""

import difflib
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar, cast

from attrs import Factory, define, field, frozen

from longcat.contract.checks.judge import judge
from longcat.contract.model import Exchange, Finding
from longcat.contract.openapi.document import SpecFiles
from longcat.contract.openapi.errors import SpecError
from longcat.contract.openapi.parsing import parse_document
from longcat.contract.patches.changes import edits_for
from longcat.contract.patches.draft import Draft, asked_servers
from longcat.contract.patches.edit import Source, UneditableError, as_yaml
from longcat.contract.patches.group import FindingGroup, RefusedError, groups_of, key_of, samples_of
from longcat.contract.patches.overlay import overlay
from longcat.contract.patches.sources import ContractFiles, EditableContract, OverlaidContract
from longcat.contract.patches.uses import at_place_of_use
from longcat.contract.reports.locations import file_name

__all__ = ["SuggestedOverlay", "Suggestion", "Unpatched", "suggest", "suggest_overlay"]

DEFAULT_NAME: Final = "openapi.yaml"
ROUNDS: Final = 20
"""How often the exchanges are judged anew, at most. A change that calls for many more is none to be made by a tool."""
MAX_TEXT: Final = 2 * 1024**2
"""How many characters a contract's text may have to be changed. Reading and writing so many takes some 20 seconds."""
MAX_WRITTEN: Final = 4 * MAX_TEXT
"""How many characters are written in all to try changes."""
_TOO_MUCH: Final = "There are too many changes for one run. Make those that were found, then ask again."
_IN_VAIN: Final = "What was tried does not make the contract agree. Change it by hand."


@frozen
class Unpatched:
    """A finding that is not patched, and why, as a sentence."""

    finding: Finding
    reason: str

    def __str__(self) -> str:
        pointer = f" {self.finding.pointer}" if self.finding.pointer else ""
        return f"{self.finding.code}{pointer}: {self.reason}"


@frozen
class Suggestion:
    """A change of a contract's files.

    Attributes:
        text: the whole of its own file, changed.
        diff: the change of all its files, as a unified diff; empty if there is none.
        unpatched: the findings that it does not mend. Those that differ in nothing but the exchange are one.
        others: the other files that are changed, each with its whole text.
    """

    text: str
    diff: str
    unpatched: tuple[Unpatched, ...]
    others: Mapping[Path, str] = field(factory=dict)


@frozen
class SuggestedOverlay:
    """A change of a contract as an Overlay.

    Attributes:
        text: the Overlay, as YAML; empty: there is nothing to change.
        unpatched: see `Suggestion`.
    """

    text: str
    unpatched: tuple[Unpatched, ...]


def suggest(
    text: str, findings: Iterable[Finding], servers: Sequence[str] = (), files: SpecFiles | None = None
) -> Suggestion:
    """Return the change of a contract's text that makes it agree with findings. Raises SpecError for no contract.

    A finding with which the text agrees already is not mentioned. Servers that are named stand for the contract's own.
    `files` are those of the contract; without them it can't refer to others, and is called openapi.yaml.
    """
    if len(text) > MAX_TEXT:
        raise SpecError(
            f"The spec to change has more than {MAX_TEXT // 1024**2} million characters, which is more than is changed "
            "by this command. Change it by hand, going by `longcat contract check`, or ask for an --overlay."
        )
    own = Source.read(text, parse_document)
    written, unpatched = _agreed(ContractFiles(own, files), findings, servers)
    new = written.own.content
    others = {written.path_of(name): source.content for name, source in written.others.items()}
    diff = _diff(text, new, file_name(files.path) if files else DEFAULT_NAME)
    diff += "".join(_diff(path.read_bytes().decode(), changed, file_name(path)) for path, changed in others.items())
    return Suggestion(new, diff, unpatched, others)


def suggest_overlay(
    document: dict[str, Any], findings: Iterable[Finding], servers: Sequence[str] = (), files: SpecFiles | None = None
) -> SuggestedOverlay:
    """Return the Overlay that makes a contract agree with findings, as `suggest` does. The contract stays as it is."""
    written, unpatched = _agreed(OverlaidContract(document, files), findings, servers)
    extends = file_name(files.path) if files else DEFAULT_NAME
    return SuggestedOverlay(as_yaml(overlay(document, written.edits, extends)) if written.edits else "", unpatched)


_Editable = TypeVar("_Editable", bound=EditableContract)


def _agreed(
    source: _Editable, findings: Iterable[Finding], servers: Sequence[str]
) -> tuple[_Editable, tuple[Unpatched, ...]]:
    """Return a contract, changed to agree with findings, and the findings with which it still does not agree."""
    found = list(findings)
    exchanges, samples = _exchanges(found), _exchanges(samples_of(found))
    original = Draft.of(source, asked_servers(exchanges, servers))
    task = _Task.of(original, found, exchanges)
    while True:
        draft, reasons = _mended(task, original, samples)
        wrong, sampled = task.wrong(draft, exchanges), {id(one) for one in samples}
        missed = [one for one in wrong if id(one.exchange) not in sampled and key_of(one) not in reasons]
        if not missed:
            written = cast("_Editable", draft.source)  # What is edited stays what it is.
            return written, tuple(_unpatched(wrong, reasons))
        samples += _exchanges(missed)  # Their values go further than those of the samples.


def _mended(task: "_Task", draft: Draft, exchanges: Sequence[Exchange]) -> tuple[Draft, dict[str, str]]:
    """Return the draft with all changes that can be made, and why the others can't, by the keys of their findings."""
    reasons: dict[str, str] = {}

    def wrong(draft: Draft) -> list[Finding]:
        return [one for one in task.wrong(draft, exchanges) if key_of(one) not in reasons]

    def mend(draft: Draft, group: FindingGroup) -> Draft:
        try:
            return _with_consequences(task, draft, group)
        except RefusedError as error:
            reasons.update(dict.fromkeys(map(key_of, group.findings), str(error)))
            return draft

    return _in_rounds(task, draft, wrong, mend)[0], reasons


def _with_consequences(task: "_Task", draft: Draft, group: FindingGroup) -> Draft:
    """Return the draft changed for a group, and for what that brings to light. Raises RefusedError if either fails.

    It is the same draft where another change has moved the rule: the next round finds it at its new place.
    """
    exchanges = _exchanges(group.findings)
    task.spend(draft.source.size)
    before = task.wrong(draft, exchanges)
    if {(_identity(one), one.rule) for one in before}.isdisjoint((_identity(one), one.rule) for one in group.findings):
        return draft
    known = set(map(_identity, before))

    def new(draft: Draft) -> list[Finding]:
        return [one for one in task.wrong(draft, exchanges) if _identity(one) not in known]

    def mend(draft: Draft, follower: FindingGroup) -> Draft:
        task.spend(draft.source.size)
        try:
            return _with_edits(draft, follower)
        except RefusedError as error:
            one = follower.findings[0]
            raise RefusedError(f"With the change, there would be {one.code} {one.pointer}: {error}") from error

    draft, left = _in_rounds(task, _with_edits(draft, group), new, mend)
    if left:
        raise RefusedError(_IN_VAIN)
    return draft


def _in_rounds(
    task: "_Task",
    draft: Draft,
    wrong: Callable[[Draft], list[Finding]],
    mend: Callable[[Draft, FindingGroup], Draft],
) -> tuple[Draft, list[Finding]]:
    """Judge, and mend each group of findings, again and again until nothing changes. Return also what is left wrong."""
    before, left = None, list[Finding]()
    for _ in range(ROUNDS):
        count, left = len(left), wrong(draft)
        if not left or (draft is before and len(left) == count):
            break
        before = draft
        for group in groups_of(left, task.is_consequence):
            draft = mend(draft, group)
    return draft, left


def _with_edits(draft: Draft, group: FindingGroup) -> Draft:
    """Return the draft with the edits for a group. Raises RefusedError."""
    try:
        place, group = at_place_of_use(draft, group)
        edits = edits_for(place, group)
        return place.edited(edits) if edits else draft
    except UneditableError as error:
        raise RefusedError(f"It must be changed by hand: {error}.") from error
    except (LookupError, SpecError) as error:
        raise RefusedError("The contract has no place for it that could be changed.") from error


# --- Findings.

_Identity: TypeAlias = tuple[int, str, str]


@define
class _Task:
    """The findings to mend, and what has to stay as it is.

    Attributes:
        given: the findings that are to be mended.
        accepted: what else is wrong with the same exchanges, and stays.
        left: how many characters may still be written to try changes.
    """

    given: frozenset[_Identity]
    accepted: frozenset[_Identity]
    left: int = Factory(lambda: MAX_WRITTEN)

    @classmethod
    def of(cls, draft: Draft, given: Iterable[Finding], exchanges: Iterable[Exchange]) -> "_Task":
        """Return the task to mend the given findings about exchanges, and no other ones."""
        mended = frozenset(map(_identity, given))
        return cls(mended, frozenset(_identity(one) for each in exchanges for one in judge(draft.spec, each)) - mended)

    def wrong(self, draft: Draft, exchanges: Iterable[Exchange]) -> list[Finding]:
        """Return what is wrong with exchanges by a draft and was not accepted."""
        found = (one for exchange in exchanges for one in judge(draft.spec, exchange))
        return [one for one in found if _identity(one) not in self.accepted]

    def is_consequence(self, finding: Finding) -> bool:
        """Whether a field may be absent or empty because of a change, and no example of the contract shows it yet."""
        return finding.code in {"field-absent", "value-blank"} and _identity(finding) not in self.given

    def spend(self, characters: int) -> None:
        """Count characters that are written. Raises RefusedError when there are not as many left."""
        if characters > self.left:
            raise RefusedError(_TOO_MUCH)
        self.left -= characters


def _identity(finding: Finding) -> _Identity:
    return id(finding.exchange), finding.code, finding.pointer


def _exchanges(findings: Iterable[Finding]) -> list[Exchange]:
    return list({id(one.exchange): one.exchange for one in findings}.values())


def _unpatched(wrong: Iterable[Finding], reasons: Mapping[str, str]) -> Iterator[Unpatched]:
    """Yield what is still wrong, each once, and why."""
    seen: set[str] = set()
    for one in wrong:
        unpatched = Unpatched(one, reasons.get(key_of(one), _IN_VAIN))
        if (name := f"{one.operation} {unpatched}") not in seen:
            seen.add(name)
            yield unpatched


def _diff(old: str, new: str, name: str) -> str:
    # `str.splitlines` would end lines at other characters as well.
    before, after = (io.StringIO(text, newline="\n").readlines() for text in (old, new))
    lines = difflib.unified_diff(before, after, name, name)
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)

"""Known deviations that maintainers accept for a while: a TOML file, each with a reason and an expiry date.

A file has a list named `accept`. Its entries have `code`, `operation` (left out: the exchange fits no operation of the
contract), `pointer`, `reason` and `expires`, the last day on which the deviation is accepted. `Baseline.additions`
writes such entries.
"""

import tomllib
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final, TypeAlias

import tomli_w
from attrs import define, field, frozen

from longcat.contract.model import Finding
from longcat.contract.reports.verdict import Accepted
from longcat.errors import ConfigurationError
from longcat.text import show

EntryKey: TypeAlias = tuple[str, str | None, str]
"""Code, operation and pointer."""
REQUIRED: Final = ("code", "pointer", "reason", "expires")
FIELDS: Final = (*REQUIRED, "operation")


@frozen
class Entry:
    """One accepted deviation. Code, operation and pointer together name it."""

    code: str
    operation: str | None
    pointer: str
    accepted: Accepted

    @property
    def key(self) -> EntryKey:
        """What must be the same in a finding."""
        return self.code, self.operation, self.pointer

    def __str__(self) -> str:
        return " ".join(part for part in (self.code, self.operation, self.pointer) if part)


@define
class Baseline:
    """The accepted deviations, and which of them a run has met.

    Attributes:
        today: entries that expired before it accept nothing.
        others: why everything else is accepted, to be added to the file. None: it is not accepted.
        added: what `others` accepted.
    """

    today: date
    entries: tuple[Entry, ...] = ()
    others: Accepted | None = None
    added: dict[EntryKey, None] = field(factory=dict, init=False)
    _met: set[EntryKey] = field(factory=set, init=False)

    def accepts(self, finding: Finding) -> Accepted | None:
        """Return why a finding is accepted, or None when it is not."""
        key = (finding.code, finding.operation, finding.pointer)
        self._met.add(key)
        valid = (entry for entry in self.entries if entry.key == key and entry.accepted.expires >= self.today)
        accepted = next((entry.accepted for entry in valid), None)
        if accepted is None and self.others is not None:
            self.added[key] = None
        return accepted or self.others

    def additions(self) -> str:
        """Return entries, as TOML, for what `others` accepted. The text is empty when there are none."""
        return "\n".join(_block(key, self.others) for key in self.added if self.others is not None)

    def remarks(self) -> Iterator[str]:
        """Yield, when a run is over, a sentence on each entry that should be looked at."""
        for entry in self.entries:
            if entry.accepted.expires < self.today:
                yield f"The baseline's entry {entry} expired on {entry.accepted.expires}, and accepts nothing."
            elif entry.key not in self._met:
                yield f"The baseline's entry {entry} was not needed: remove it if everything was asked."


def load_baseline(path: Path, today: date, others: Accepted | None = None) -> Baseline:
    """Read a baseline; one that is to be added to may not be there yet.

    Raises ConfigurationError that names the file and the entry when it can't be used.
    """
    if path.suffix in {".yaml", ".yml"}:
        raise ConfigurationError(
            f"The baseline {path} is YAML, which is not read any more. Write each of its entries as [[accept]] in TOML."
        )
    if others is not None and not path.exists():
        return Baseline(today, others=others)
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigurationError(f"The baseline {path} can't be read: {reason}. Mend it, or leave it out.") from error
    entries = document.get("accept", [])
    if not isinstance(entries, list) or document.keys() - {"accept"}:
        raise ConfigurationError(f"The baseline {path} must hold one list, named accept. Mend it.")
    return Baseline(today, tuple(_entry(path, number, one) for number, one in enumerate(entries, 1)), others)


def _block(key: EntryKey, why: Accepted) -> str:
    named = dict(zip(("code", "operation", "pointer"), key, strict=True)) | {"reason": why.reason}
    # TOML has no lone surrogates; JSON may.
    texts = {name: text.encode("utf-8", "replace").decode() for name, text in named.items() if text is not None}
    return f"[[accept]]\n{tomli_w.dumps(texts | {'expires': why.expires})}"


def _entry(path: Path, number: int, raw: Any) -> Entry:
    def refuse(why: str) -> ConfigurationError:
        return ConfigurationError(f"Entry {number} of the baseline {path} can't be used: {why}. Mend it.")

    if not isinstance(raw, dict):
        raise refuse(f"it must have {', '.join(REQUIRED)}")
    unknown = [name for name in raw if name not in FIELDS]
    lacking = [name for name in REQUIRED if name not in raw]
    if unknown or lacking:
        why = f"{show(unknown[0])} is none of {', '.join(FIELDS)}" if unknown else f"it lacks {', '.join(lacking)}"
        raise refuse(why)
    for name, text in raw.items():
        if name != "expires" and (not isinstance(text, str) or not (text.strip() or name == "pointer")):
            raise refuse(f"{name} must be text, not {show(text) if not isinstance(text, date) else text}")
    accepted = Accepted(raw["reason"], _day(raw["expires"], refuse))
    return Entry(raw["code"], raw.get("operation"), raw["pointer"], accepted)


def _day(value: Any, refuse: Callable[[str], ConfigurationError]) -> date:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise refuse(f"expires must be a date such as 2030-01-31, not {show(value)}") from None

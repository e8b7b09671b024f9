"""Known deviations that maintainers accept for a while: a TOML or YAML file, each with a reason and an expiry date.

A file has a list named `accept`. Its entries have `code`, `operation` (left out: the exchange fits no operation of the
contract), `pointer`, `reason` and `expires`, the last day on which the deviation is accepted. `Baseline.additions`
writes such entries.
"""

import tomllib
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final, TypeAlias

from attrs import define, field, frozen
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from longcat.contract.model import Finding
from longcat.contract.reports.verdict import Accepted
from longcat.errors import ConfigurationError
from longcat.text import show

Key: TypeAlias = tuple[str, str | None, str]
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
    def key(self) -> Key:
        """What must be the same in a finding."""
        return self.code, self.operation, self.pointer

    def __str__(self) -> str:
        return " ".join(part for part in (self.code, self.operation, self.pointer) if part)


@define
class Baseline:
    """The accepted deviations, and which of them a run has met.

    Attributes:
        today: entries that expired before it accept nothing.
        others: why everything else is accepted, and added to the file. None: it is not.
        added: what `others` accepted.
    """

    today: date
    entries: tuple[Entry, ...] = ()
    others: Accepted | None = None
    added: dict[Key, None] = field(factory=dict, init=False)
    _met: set[Key] = field(factory=set, init=False)

    def accepts(self, finding: Finding) -> Accepted | None:
        """Return why a finding is accepted. None: it is not."""
        key = (finding.code, finding.operation, finding.pointer)
        self._met.add(key)
        valid = (entry for entry in self.entries if entry.key == key and entry.accepted.expires >= self.today)
        accepted = next((entry.accepted for entry in valid), None)
        if accepted is None and self.others is not None:
            self.added[key] = None
        return accepted or self.others

    def additions(self) -> str:
        """Return entries, as TOML, for what `others` accepted. Empty: there are none."""
        why = self.others
        return "\n".join(_block(key, why) for key in self.added) if why is not None else ""

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
    if others is not None and path.suffix != ".toml":
        raise ConfigurationError(
            f"Only a baseline in TOML can be added to, not {path}. Name a file that ends in .toml."
        )
    if others is not None and not path.exists():
        return Baseline(today, others=others)
    try:
        text = path.read_text("utf-8")
        document = tomllib.loads(text) if path.suffix == ".toml" else _yaml(text)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigurationError(f"The baseline {path} can't be read: {reason}. Mend it, or leave it out.") from error
    entries = document.get("accept", []) if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(entries, list) or document.keys() - {"accept"}:
        raise ConfigurationError(f"The baseline {path} must hold one list, named accept. Mend it.")
    return Baseline(today, tuple(_entry(path, number, one) for number, one in enumerate(entries, 1)), others)


def _block(key: Key, why: Accepted) -> str:
    named = dict(zip(("code", "operation", "pointer"), key, strict=True)) | {"reason": why.reason}
    lines = [f"{name} = {_toml(value)}" for name, value in named.items() if value is not None]
    return "\n".join(["[[accept]]", *lines, f"expires = {why.expires.isoformat()}", ""])


def _toml(text: str) -> str:
    """Return a string as TOML writes it: what is not plain is escaped."""
    text = text.encode("utf-8", "replace").decode()  # TOML has no lone surrogates; JSON may.
    plain = (c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in text)
    return f'"{"".join(plain)}"'


def _yaml(text: str) -> Any:
    try:
        return YAML(typ="safe", pure=True).load(text) or {}
    except YAMLError as error:
        raise ValueError(str(error)) from error


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
    words = {name: raw[name] for name in ("code", "pointer", "reason")}
    words |= {"operation": raw["operation"]} if raw.get("operation") is not None else {}
    for name, word in words.items():
        if not isinstance(word, str) or not (word.strip() or name == "pointer"):
            raise refuse(f"{name} must be text, not {show(word) if not isinstance(word, date) else word}")
    return Entry(
        words["code"], words.get("operation"), words["pointer"], Accepted(words["reason"], _day(raw["expires"], refuse))
    )


def _day(value: Any, refuse: Callable[[str], ConfigurationError]) -> date:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise refuse(f"expires must be a date such as 2030-01-31, not {show(value)}") from None

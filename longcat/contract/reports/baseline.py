"""Known deviations that maintainers accept for a while: a TOML file, each with a reason and an expiry date.

A file has a list named `accept`. Its entries have `code`, `operation` (left out: the exchange fits no operation of the
contract), `pointer`, `reason` and `expires`, the last day on which the deviation is accepted. The pointer is the place
of the finding: it has `*` for indexes of lists and for keys of maps. `Baseline.additions` writes such entries.
"""

import tomllib
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import tomli_w
from attrs import define, field

from longcat.contract.model import Finding
from longcat.contract.reports.findings import Accepted
from longcat.errors import ConfigurationError
from longcat.text import decode_text, show

REQUIRED: Final = ("code", "pointer", "reason", "expires")
FIELDS: Final = (*REQUIRED, "operation")
OF_MANY: Final = frozenset({"status", "header:allow"})
"""The pointers of findings that a place tells apart: by status code, or by the method and path that are new."""


class Deviation(NamedTuple):
    """The difference that an entry accepts, wherever it is seen. No operation: the exchange fits none."""

    code: str
    operation: str | None
    pointer: str

    def __str__(self) -> str:
        return " ".join(filter(None, self))

    def covers(self, finding: Finding) -> bool:
        """Whether it has the place of a finding. An older file may have indexes and keys where the place has `*`."""
        if self.pointer in {finding.place, finding.pointer}:
            return True
        parts, place = self.pointer.split("/"), finding.place.split("/")
        return len(parts) == len(place) and all(two in {"*", one} for one, two in zip(parts, place, strict=True))


@define
class Baseline:
    """The accepted deviations, and which of them a run has met.

    Attributes:
        today: entries that expired before it accept nothing.
        others: why everything else is accepted, to be added to the file. None: it is not accepted.
        added: what `others` accepted.
    """

    today: date
    entries: tuple[tuple[Deviation, Accepted], ...] = ()
    others: Accepted | None = None
    added: dict[Deviation, None] = field(factory=dict, init=False)
    _met: set[Deviation] = field(factory=set, init=False)
    _by_kind: dict[tuple[str, str | None], list[tuple[Deviation, Accepted]]] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        for entry in self.entries:
            self._by_kind.setdefault(entry[0][:2], []).append(entry)

    def accepts(self, finding: Finding) -> Accepted | None:
        """Return why a finding is accepted, or None when it is not."""
        alike = self._by_kind.get((finding.code, finding.operation), ())
        found = [(deviation, accepted) for deviation, accepted in alike if deviation.covers(finding)]
        self._met.update(deviation for deviation, _ in found)
        for _, accepted in found:
            if accepted.expires >= self.today:
                return accepted
        if self.others is not None:
            self.added[Deviation(finding.code, finding.operation, finding.place)] = None
        return self.others

    def additions(self) -> str:
        """Return entries, as TOML, for what `others` accepted. The text is empty when there are none."""
        return "\n".join(_block(one, self.others) for one in self.added if self.others is not None)

    def remarks(self) -> Iterator[str]:
        """Yield, when a run is over, a sentence on each entry that should be looked at."""
        for deviation, accepted in self.entries:
            if accepted.expires < self.today:
                yield f"The baseline's entry {deviation} expired on {accepted.expires}, and accepts nothing."
            elif deviation not in self._met:
                yield f"The baseline's entry {deviation} was not needed: remove it if everything was asked."
            elif deviation.pointer in OF_MANY:
                yield f"The baseline's entry {deviation} accepts all of them: name one, as --update-baseline does."


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
        document = tomllib.loads(decode_text(path.read_bytes()))
    except RecursionError:
        message = f"The baseline {path} can't be read: it is nested too deeply. Mend it, or leave it out."
        raise ConfigurationError(message) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigurationError(f"The baseline {path} can't be read: {reason}. Mend it, or leave it out.") from error
    entries = document.get("accept", [])
    if not isinstance(entries, list) or document.keys() - {"accept"}:
        raise ConfigurationError(f"The baseline {path} must hold one list, named accept. Mend it.")
    return Baseline(today, tuple(_entry(path, number, one) for number, one in enumerate(entries, 1)), others)


def _block(deviation: Deviation, why: Accepted) -> str:
    named = deviation._asdict() | {"reason": why.reason}
    # TOML has no lone surrogates; JSON may.
    texts = {name: text.encode("utf-8", "replace").decode() for name, text in named.items() if text is not None}
    return f"[[accept]]\n{tomli_w.dumps(texts | {'expires': why.expires})}"


def _entry(path: Path, number: int, raw: Any) -> tuple[Deviation, Accepted]:
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
    deviation = Deviation(raw["code"], raw.get("operation"), raw["pointer"])
    return deviation, Accepted(raw["reason"], _day(raw["expires"], refuse))


def _day(value: Any, refuse: Callable[[str], ConfigurationError]) -> date:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise refuse(f"expires must be a date such as 2030-01-31, not {show(value)}") from None

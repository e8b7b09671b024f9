"""Looks up what people name on the command line. A name that is not there is a mistake with a readable message."""

import difflib
from collections.abc import Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")


def find(kind: str, table: Mapping[str, T], name: str) -> T:
    """Return the drift or the variant of this name. Raises ValueError where there is none."""
    try:
        return table[name]
    except KeyError:
        hint = similar(name, table)
        raise ValueError(
            f"There is no {kind} {name[:40]!r}. {hint}`longcat sandbox --{kind} list` shows them."
        ) from None


def similar(name: str, names: Iterable[str]) -> str:
    """Return the question whether a similar name was meant, with a space after it. Empty: no name is similar."""
    near = difflib.get_close_matches(name, names, n=1)
    return f"Did you mean {near[0]}? " if near else ""

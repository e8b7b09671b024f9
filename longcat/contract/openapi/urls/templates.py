"""Texts with `{parameters}`, as the URLs of servers and the keys of `paths` are."""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final, TypeVar
from urllib.parse import SplitResult, urlsplit

T = TypeVar("T")
MAX_KEPT_URLS: Final = 256
"""Of how many URLs it is kept what they mean. Several checks ask for each, and most exchanges go to a few."""
MAX_KEPT_URL: Final = 1000
"""How many characters a URL may have that is kept."""
PARAMETER: Final = re.compile(r"\{([^{}]*)\}")
"""A parameter in a path, or a variable in a server's URL."""


def texts_of(template: str) -> tuple[str, ...]:
    """Return the texts around the parameters of a template: a single one where it has none."""
    return tuple(PARAMETER.split(template)[::2])


def values_between(texts: Sequence[str], whole: str) -> tuple[str, ...] | None:
    """Return the values that stand between some texts in a whole one. None is empty, and the first are the longest.

    None: the texts do not stand there. Each is looked for once; a regular expression would try all combinations.
    """
    first, *others, last = texts
    if not whole.startswith(first) or not whole.endswith(last):
        return None
    values, end = [], len(whole) - len(last)
    for text in reversed(others):
        at = whole.rfind(text, len(first), max(end - 1, 0))
        if at < 0:
            return None
        values.append(whole[at + len(text) : end])
        end = at
    values.append(whole[len(first) : end])
    return tuple(reversed(values)) if all(values) else None


def split_url(url: str) -> SplitResult:
    """Return the parts of a URL. They are empty if it is none."""
    try:
        return urlsplit(url)
    except ValueError:  # A host in broken brackets.
        return urlsplit("")


def kept_by_url(find: Callable[[str], T]) -> Callable[[str], T]:
    """Return a function that returns the same for a URL, and keeps what it returned for the last ones."""
    kept = lru_cache(MAX_KEPT_URLS)(find)
    return lambda url: kept(url) if len(url) <= MAX_KEPT_URL else find(url)

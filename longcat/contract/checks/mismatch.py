"""A difference between an exchange and the contract, before it is a finding, and the words for it."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import wraps
from typing import Any, Final, ParamSpec, TypeAlias, TypeVar
from urllib.parse import unquote

from attrs import evolve, field, frozen

from longcat.contract.model import Occurrence, Severity
from longcat.contract.openapi.errors import UnjudgeableError
from longcat.contract.openapi.schema.keywords import ASSERTIONS
from longcat.gateway.schema import expectation
from longcat.text import describe, shorten, show, without_queries
from longcat.text.pointer import join

P = ParamSpec("P")
T = TypeVar("T")
Path: TypeAlias = tuple[str | int, ...]
"""Where in a value: names and indexes. A name that is data, rather than that of a field, is a `MapKey`."""

MAX_OCCURRENCES: Final = 3
"""How many are kept of those that are the same difference in one body."""
MAX_SHOWN_PATH: Final = 200
"""Characters of a URL's path that are shown."""

PRESENT: Final = "present"
"""What is expected of a value if its schemas say nothing about it."""

_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}")
_TOKEN: Final = re.compile(r"[0-9A-Za-z]+")
_ID: Final = re.compile(
    r"[0-9]+|(?=.*[0-9])[0-9A-Fa-f]{7,}|[0-9A-Fa-f]{16,}|[A-Za-z]{24,}|(?=(?:.*[0-9]){2})(?=.*[A-Za-z])[0-9A-Za-z]{8,}"
)
"""A number, hexadecimal digits, letters among which there are several digits, or more letters than a word has."""


class MapKey(str):
    """The key of a map: a name that no contract could list, as its `additionalProperties` or a pattern allows it."""

    __slots__ = ()


@frozen
class Mismatch:
    """One difference. `rule`, `expected`, `seen` and `evidence` are as in a finding.

    Attributes:
        path: where in the body.
        location: where else: `status`, `header:NAME`, or a part of the request, in which the path then is.
        place: where it is, whatever the data, as a finding says it.
        times: how often it was found in one body.
        others: the second and the third of these.
        severity: how bad it is. None: as bad as its kind is.
    """

    code: str
    path: Path
    rule: str
    expected: str
    seen: str
    evidence: Any = field(default=None, repr=False)
    location: str = ""
    place: str = field()
    times: int = 1
    others: tuple[Occurrence, ...] = ()
    severity: Severity | None = None

    @place.default
    def _without_data(self) -> str:
        return self.location + join("*" if isinstance(part, int | MapKey) else part for part in self.path)

    @property
    def pointer(self) -> str:
        """Its place, as a finding says it."""
        return self.location + join(self.path)

    def below(self, index: int) -> "Mismatch":
        """Return the same difference of an item that stands at an index in a row."""
        others = tuple(evolve(one, pointer=join((index,)) + one.pointer) for one in self.others)
        return evolve(self, path=(index, *self.path), place=f"/*{self.place}", others=others)

    def located(self, location: str) -> "Mismatch":
        """Return the same difference of a value that is a part of the request."""
        others = tuple(evolve(one, pointer=location + one.pointer) for one in self.others)
        return evolve(self, location=location, place=location + self.place, others=others)


@frozen
class Gap:
    """A part of an exchange that was not judged. `why` and `unclear` are as in `Inconclusive`."""

    why: str
    unclear: bool = True


CheckResult: TypeAlias = Mismatch | Gap
"""What a check yields: differences, and what it could not look at."""


def with_gaps(check: Callable[P, Iterable[T]]) -> Callable[P, Iterator[T | Gap]]:
    """Have a check yield a gap in place of all that follows an UnjudgeableError. Other checks are not affected."""

    @wraps(check)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> Iterator[T | Gap]:
        try:
            yield from check(*args, **kwargs)
        except UnjudgeableError as error:
            yield Gap(str(error), error.unclear)
        except RecursionError:
            yield Gap("it can't be judged: it and its schemas are nested too deeply")

    return guarded


def distinct(mismatches: Iterable[Mismatch]) -> list[Mismatch]:
    """Return the first mismatch of each rule and place: the same in every item of a list is one difference."""
    every = list(mismatches)
    if not every:
        return every
    found: dict[tuple[str, str, str], Mismatch] = {}
    times: Counter[tuple[str, str, str]] = Counter()
    others: defaultdict[tuple[str, str, str], list[Occurrence]] = defaultdict(list)
    for one in every:
        kind = (one.code, one.rule, one.place)
        times[kind] += one.times
        if found.setdefault(kind, one) is not one and times[kind] <= MAX_OCCURRENCES:
            others[kind].append(Occurrence(one.pointer, one.seen))
    return [
        evolve(one, times=times[kind], others=tuple(others[kind])) if times[kind] > 1 else one
        for kind, one in found.items()
    ]


def describe_assertions(schemas: Iterable[Any]) -> str:
    """Return what schemas ask of a value itself, in words."""
    phrases = dict.fromkeys(
        expectation(keyword, schema[keyword])
        for schema in schemas
        if isinstance(schema, Mapping)
        for keyword in ASSERTIONS
        if keyword in schema
    )
    return ", ".join(phrases) or PRESENT


def show_value(value: Any) -> str:
    """Return a value for people: cut short, and an address without its query, which may hold a signature."""
    return show(value, without_queries)


def show_body(body: bytes) -> str:
    """Return what a body that is not JSON looks like, in a few words."""
    return describe(body, without_queries)


def show_path(path: str) -> str:
    """Return the path of a URL for people, with `*` for ids, so that it is the same for all of a kind.

    An id is a number, a UUID, hexadecimal digits or an address of e-mail, also behind a word, as in `user_42`. A secret
    looks like one, and is taken out before the path is cut short.
    """
    return shorten("/".join(map(_without_id, path.split("/"))), MAX_SHOWN_PATH)


def _without_id(segment: str) -> str:
    text = unquote(segment)
    if "@" in text:
        return "*"
    general = _TOKEN.sub(lambda found: "*" if _ID.fullmatch(found[0]) else found[0], _UUID.sub("*", text))
    return re.sub(r"\*(?:[-_.:~]\*)+", "*", general) if general != text else segment

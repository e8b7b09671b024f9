"""The documented paths, by their segments: which of them a URL means, and the values of their parameters.

A literal segment comes before one with parameters (OpenAPI, "Path Templating"), the first segment first. A key of
`paths` may have a query, which no version of OpenAPI allows and vendors write: its pairs must then be in the URL. A
fragment never travels, so that it only tells keys apart. A slash at the end says nothing, unless both paths exist.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias
from urllib.parse import parse_qsl, quote, unquote

from attrs import Factory, define, frozen

from longcat.contract.openapi.urls.servers import segments_of
from longcat.contract.openapi.urls.templates import PARAMETER, texts_of, values_between
from longcat.text import words_of

MAX_SEARCHED_PATH: Final = 8192
"""How long a path may be, in characters, in which values with slashes are looked for."""
_SPANNING_ENDS: Final = ("*", "+", ":path", ":.*", ":.+")
_SPANNING_WORDS: Final = frozenset(
    {"basehead", "branch", "dir", "directory", "file", "filename", "filepath", "folder", "key", "path", "prefix"}
    | {"proxy", "ref", "rest", "slug", "splat", "tag", "uri", "url", "wildcard"}
)
"""The words in the name of a parameter whose values may well hold slashes."""

Pairs: TypeAlias = Sequence[tuple[str, str]]
"""The names and values of a query."""


class PathKey(NamedTuple):
    """A key of `paths`, taken apart.

    Attributes:
        segments: of its path.
        query: the pairs of its query.
        names: of all parameters in it, without what frameworks add to them (`{path+}`, `{id:int}`).
    """

    segments: list[str]
    query: tuple[tuple[str, str], ...]
    names: tuple[str, ...]

    @classmethod
    def of(cls, key: str) -> "PathKey":
        """Return a key, taken apart."""
        masked = PARAMETER.sub(lambda found: "{" + "_" * len(found[1]) + "}", key)  # `{id?}` is no query.
        end = min(masked.find("#") % (len(key) + 1), len(key))
        path, _, query = masked[:end].partition("?")
        pairs = parse_qsl(key[len(path) + 1 : end], keep_blank_values=True) if query else []
        return cls(
            segments_of(key[: len(path)]), tuple(pairs), tuple(plain_name(one) for one in PARAMETER.findall(key[:end]))
        )


def plain_name(name: str) -> str:
    """Return the name of a parameter without what a framework adds to it: `path+`, `id:int`."""
    return name.partition(":")[0].rstrip("*+?")


class PathMatch(NamedTuple):
    """A documented path that a URL fits.

    Attributes:
        number: of the path.
        values: of its parameters, as they are encoded in the URL.
        spans: whether one of these holds slashes, which OpenAPI does not allow.
    """

    number: int
    values: Mapping[str, str]
    spans: bool = False


@frozen
class _Ending:
    """A path that ends somewhere."""

    number: int
    key: PathKey

    def match(self, query: Pairs, values: Sequence[str], *, spans: bool = False) -> PathMatch | None:
        """Return what fits it. None: its own query is not that of the URL."""
        found = list(values)
        for name, text in self.key.query:
            texts = texts_of(text)
            given = [between for other, value in query if other == name and (between := _between(texts, value))]
            if not given:
                return None
            found += given[0] if len(texts) > 1 else ()
        return PathMatch(self.number, dict(zip(self.key.names, found, strict=True)), spans)


def _between(texts: Sequence[str], value: str) -> tuple[str, ...] | None:
    """Return the values between some texts in a value of a query. None: other texts stand there.

    A text without parameters has one empty value, so that what is returned is true.
    """
    if len(texts) == 1:
        return ("",) if texts[0] == value else None
    found = values_between(texts, value)
    return found and tuple(map(_encoded, found))


@define
class _Branch:
    """The paths that begin with the same segments.

    Attributes:
        literal: those that go on with a segment as it stands.
        templated: those that go on with one that has parameters: the text around these, and the paths.
        spanning: those of the templated whose values may hold slashes.
        endings: those that end here: first those with the longest query.
    """

    literal: dict[str, "_Branch"] = Factory(dict)
    templated: dict[tuple[str, ...], "_Branch"] = Factory(dict)
    spanning: set[tuple[str, ...]] = Factory(set)
    endings: list[_Ending] = Factory(list)

    def step(self, segment: str) -> "tuple[str, _Branch] | None":
        """Return how paths go on with a segment: it, with `*` for the values of parameters, and these paths."""
        if (literal := self.literal.get(unquote(segment))) is not None:
            return segment, literal
        fitting = (one for one in self.most_literal_first() if _values_in_segment(one[0], segment) is not None)
        return next((("*".join(texts), inner) for texts, inner in fitting), None)

    def most_literal_first(self) -> Iterable[tuple[tuple[str, ...], "_Branch"]]:
        """Return the templated ones: first those with the most text around their parameters."""
        if len(self.templated) == 1:
            return self.templated.items()
        return sorted(self.templated.items(), key=lambda one: -sum(map(len, one[0])))

    def end(self, query: Pairs, values: Sequence[str], *, spans: bool = False) -> Iterator[PathMatch]:
        """Yield the paths that end here and have the query of a URL."""
        for ending in self.endings:
            if (found := ending.match(query, values, spans=spans)) is not None:
                yield found


@define
class PathIndex:
    """Paths by their segments, so that those which fit are found without a look at all the others."""

    _root: _Branch = Factory(_Branch)
    _levels: int = 0
    _has_slash_at_end: bool = False

    def add(self, path: str, number: int) -> None:
        """Add a key of `paths`."""
        key, branch = PathKey.of(path), self._root
        self._levels = max(self._levels, len(key.segments))
        self._has_slash_at_end |= key.segments[-1:] == [""]
        for segment in key.segments:
            texts = texts_of(segment)
            if len(texts) == 1:
                branch = branch.literal.setdefault(unquote(segment), _Branch())
            else:
                if any(map(_may_span, PARAMETER.findall(segment))):
                    branch.spanning.add(texts)
                branch = branch.templated.setdefault(texts, _Branch())
        branch.endings.append(_Ending(number, key))
        branch.endings.sort(key=lambda one: -len(one.key.query))

    def find(self, segments: Sequence[str], query: Pairs) -> Iterator[PathMatch]:
        """Yield the paths that fit, the one that is meant first; then those that differ by a slash at the end."""
        tried = [segments]
        if segments and not segments[-1]:
            tried.append(segments[:-1])
        elif self._has_slash_at_end:
            tried.append([*segments, ""])
        for one in tried:
            if len(one) <= self._levels:
                yield from _Search(one, query).plain(self._root)

    def general(self, segments: Sequence[str]) -> list[str]:
        """Return the segments of a path that is not there, with `*` for what begins as the parameters of others do."""
        branch, found = self._root, list[str]()
        for segment in segments:
            step = branch.step(segment)
            if step is None:
                break
            general, branch = step
            found.append(general)
        return [*found, *segments[len(found) :]]

    def find_spanning(self, segments: Sequence[str], query: Pairs) -> Iterator[PathMatch]:
        """Yield the paths that fit if the values of some of their parameters hold slashes."""
        if sum(map(len, segments)) <= MAX_SEARCHED_PATH:
            yield from _Search(segments, query).spanning(self._root)


@frozen
class _Search:
    """A search for what a URL's path and query fit.

    Attributes:
        seen: the branches that a search for values with slashes has been at, each with a number of segments.
    """

    segments: Sequence[str]
    query: Pairs
    seen: set[tuple[int, int]] = Factory(set)

    def plain(self, branch: _Branch, at: int = 0, values: tuple[str, ...] = ()) -> Iterator[PathMatch]:
        """Yield the paths from a branch on that fit, from one of the segments on."""
        while at < len(self.segments) and not branch.templated:  # There is one way to go on at most.
            literal = branch.literal.get(_decoded(self.segments[at]))
            if literal is None:
                return
            branch, at = literal, at + 1
        if at == len(self.segments):
            yield from branch.end(self.query, values)
            return
        if (literal := branch.literal.get(_decoded(self.segments[at]))) is not None:
            yield from self.plain(literal, at + 1, values)
        for texts, inner in branch.most_literal_first():
            found = _values_in_segment(texts, self.segments[at])
            if found is not None:
                yield from self.plain(inner, at + 1, (*values, *found))

    def spanning(self, branch: _Branch, at: int = 0, values: tuple[str, ...] = ()) -> Iterator[PathMatch]:
        """Yield the paths from a branch on that fit if values may hold slashes."""
        if (id(branch), at) in self.seen:
            return
        self.seen.add((id(branch), at))
        if at == len(self.segments):
            yield from branch.end(self.query, values, spans=True)
            return
        if (literal := branch.literal.get(_decoded(self.segments[at]))) is not None:
            yield from self.spanning(literal, at + 1, values)
        for texts, inner in branch.most_literal_first():
            for end in range(at + 1, len(self.segments) + 1) if texts in branch.spanning else (at + 1,):
                found = _values_in_segment(texts, "/".join(self.segments[at:end]))
                if found is not None:
                    yield from self.spanning(inner, end, (*values, *found))


def _may_span(name: str) -> bool:
    """Whether the values of a parameter of this name may well hold slashes."""
    return name.endswith(_SPANNING_ENDS) or not _SPANNING_WORDS.isdisjoint(words_of(name))


def _values_in_segment(texts: tuple[str, ...], segment: str) -> tuple[str, ...] | None:
    """Return the values in a segment, as they are encoded. None: it is another one.

    The text around them may be encoded, too: `5%3Acancel` is a `{id}:cancel`.
    """
    if len(texts) == 2 and not texts[0] and not texts[1]:  # noqa: PLR2004 - one parameter, and nothing around it.
        return (segment,) if segment else None
    found = values_between(texts, segment)
    if found is None and "%" in segment:
        decoded = values_between(tuple(map(unquote, texts)), unquote(segment))
        found = decoded and tuple(map(_encoded, decoded))
    return found


def _decoded(segment: str) -> str:
    return unquote(segment) if "%" in segment else segment


def _encoded(value: str) -> str:
    """Return a value as it is in a URL, with half of a character replaced."""
    return quote(value, safe="", errors="replace")

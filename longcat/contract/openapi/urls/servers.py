"""The servers of a contract: what their URLs and variables allow, and below which of them a URL is.

A scheme says nothing about an API, so that it is not compared. Nor are the letters' case in a host, and a port that a
host has anyway.
"""

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import chain, islice, product
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import unquote

from longcat.contract.openapi.errors import SpecError
from longcat.contract.openapi.place import Place
from longcat.contract.openapi.urls.templates import PARAMETER, kept_by_url, split_url, texts_of, values_between

T = TypeVar("T")
MAX_BASES: Final = 100
"""How many combinations of its variables a server may have. Variables beyond that may have any value."""
MAX_CACHED_HOSTS: Final = 256
"""Of how many hosts it is kept which servers are there. Traffic may name any number of them."""
_ANY: Final = "{}"
"""What stands in a base for a variable that may have any value."""
_DEFAULT_PORTS: Final = (":443", ":80")


class Base(NamedTuple):
    """The servers of an operation: what its URLs begin with.

    Attributes:
        host: in lower case, with its port if that is none of the default ones. `{}` in it stands for any text. Empty:
            it may be any host, as that of a relative URL.
        path: without a slash at the end. `{}` in it stands for any text without a slash.
    """

    host: str
    path: str


ANYWHERE: Final = Base("", "")
"""Where an operation is whose contract names no server."""


def read_servers(place: Place) -> tuple[str, ...]:
    """Return the base URLs of the servers that a document, a path or an operation names for itself.

    They have no slash at the end, and each variable is at its default. A server that can't be read is left out:
    nothing can be known to be below it.
    """
    return tuple(_each(place, server_url))


def read_bases(place: Place) -> frozenset[Base]:
    """Return all that the servers of a document, a path or an operation allow. Empty: it names none for itself."""
    return frozenset(base for bases in _each(place, lambda server: [*_bases_of(server)]) for base in bases)


def _each(place: Place, read: Callable[[Place], T]) -> Iterator[T]:
    """Yield what a function returns for the servers of a document, a path or an operation that can be read."""
    with suppress(SpecError):
        for server in place.items("servers"):
            with suppress(SpecError):
                yield read(server)


def base_of(url: str) -> Base:
    """Return the base that a server's URL is; `{}` in it stands for any text."""
    _, is_absolute, rest = ("", True, url[2:]) if url.startswith("//") else url.partition("://")
    if not is_absolute:
        return Base("", _without_slash(posixpath.normpath(f"/{url.lstrip('/')}")))
    host, slash, path = rest.partition("/")
    return Base(host_of(host), _without_slash(slash + path))


def host_of(netloc: str) -> str:
    """Return a host as bases have it. Empty: any."""
    host = netloc.rpartition("@")[2].lower()
    for port in _DEFAULT_PORTS:
        host = host.removesuffix(port)
    host = host.removesuffix(".")
    return host if any(char not in ":." for text in texts_of(host) for char in text) else ""


def _without_slash(path: str) -> str:
    return path.partition("?")[0].partition("#")[0].rstrip("/")


def _bases_of(server: Place) -> Iterator[Base]:
    """Yield what a server and its variables allow."""
    url, variables = server.text("url"), server.fields("variables")
    names = list(dict.fromkeys(PARAMETER.findall(url)))
    count, choices = 1, list[list[str]]()
    for name in names:
        values = _values_of(variables[name].object if name in variables else {})
        values = values if count * len(values) <= MAX_BASES else [_ANY]
        count *= len(values)
        choices.append(values)
    for choice in islice(product(*choices), MAX_BASES):
        by_name = dict(zip(names, choice, strict=True))
        yield base_of(PARAMETER.sub(lambda found: by_name[found[1]], url))  # noqa: B023 - it is called at once.


def _values_of(variable: Mapping[str, Any]) -> list[str]:
    """Return the values that a server's variable may have."""
    default, listed = variable.get("default"), variable.get("enum")
    values = [] if default is None else [str(default)]
    if isinstance(listed, list) and listed:
        values += map(str, listed)
    elif default is None or "/" not in values[0]:  # What holds slashes is a path or an address, as a whole.
        values.append(_ANY)
    return list(dict.fromkeys(values))


def server_url(server: Place) -> str:
    """Return a server's URL without a slash at the end, each of its variables at its default."""
    variables = server.fields("variables")

    def default(name: re.Match[str]) -> str:
        variable = variables.get(name[1])
        return str(variable.object.get("default", name[0])) if variable else name[0]

    return PARAMETER.sub(default, server.text("url")).rstrip("/")


class BaseIndex:
    """Bases by their hosts, so that those which a URL is below are found without a look at all the others.

    Attributes:
        above: returns the bases that a URL is below, with the segments that it has below them: the longest first. Of a
            host that no base has, those which allow any host. What was asked for last is kept.
    """

    def __init__(self, bases: Iterable[Base]) -> None:
        self._of_host: dict[str, list[Base]] = {}
        self._of_hosts: dict[tuple[str, ...], list[Base]] = {}
        for base in sorted(set(bases), key=lambda one: (-one.path.count("/"), _ANY in one.path, one)):
            texts = texts_of(base.host)
            if len(texts) == 1:
                self._of_host.setdefault(base.host, []).append(base)
            else:
                self._of_hosts.setdefault(texts, []).append(base)
        self._all = _longest_first(chain(*self._of_host.values(), *self._of_hosts.values()))
        self._at: Callable[[str], list[Base]] = lru_cache(MAX_CACHED_HOSTS)(self._find)
        self.above: Callable[[str], tuple[tuple[Base, list[str]], ...]] = kept_by_url(self._above)

    @property
    def names_hosts(self) -> bool:
        """Whether every base has a host, so that a URL with another one is none of the contract."""
        return bool(self._all) and "" not in self._of_host

    def knows(self, url: str) -> bool:
        """Whether a base has the host of a URL."""
        return bool(self._named(host_of(split_url(url).netloc)))

    def _named(self, host: str) -> list[Base]:
        """Return the bases with a host."""
        named = list(self._of_host.get(host, ())) if host else []
        for texts, bases in self._of_hosts.items():
            if values_between(texts, host) is not None:
                named += bases
        return named

    def _above(self, url: str) -> tuple[tuple[Base, list[str]], ...]:
        parts = split_url(url)
        return tuple(_below(self._at(parts.netloc), segments_of(parts.path)))

    def _find(self, netloc: str) -> list[Base]:
        """Return the bases that are at a host, or at any."""
        return _longest_first(self._named(host_of(netloc)) + self._of_host.get("", []))

    def anywhere(self, url: str) -> Iterator[tuple[Base, list[str]]]:
        """Yield what `above` returns, but whichever host the URL names: a gateway may answer elsewhere."""
        yield from _below(self._all, segments_of(split_url(url).path))


def segments_of(path: str) -> list[str]:
    """Return the parts of a path between its slashes, as they are encoded."""
    return path.removeprefix("/").split("/") if path else []


def _longest_first(bases: Iterable[Base]) -> list[Base]:
    return sorted(bases, key=lambda one: -one.path.count("/"))


def _below(bases: Sequence[Base], segments: list[str]) -> Iterator[tuple[Base, list[str]]]:
    for base in bases:
        own = _own_segments(base.path)
        if not own or (len(own) <= len(segments) and all(map(_is_alike, own, segments))):
            yield base, segments[len(own) :]


@lru_cache(maxsize=1024)  # Contracts have a few, and each exchange is held against them.
def _own_segments(path: str) -> tuple[tuple[str, ...], ...]:
    """Return the segments of a base's path, each as the texts around its variables."""
    return tuple(texts_of(one) for one in segments_of(path))


def _is_alike(own: tuple[str, ...], segment: str) -> bool:
    """Whether a segment is that of a base."""
    if len(own) == 1:
        return own[0] == segment or unquote(own[0]) == unquote(segment)
    return values_between(own, segment) is not None

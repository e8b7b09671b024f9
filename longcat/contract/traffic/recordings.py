"""Recorded traffic, read from VCR cassettes and HAR files one exchange at a time."""

import os
from collections.abc import Collection, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeAlias, get_args

from attrs import frozen

from longcat.contract.model import Exchange, Inconclusive, Origin
from longcat.contract.traffic import har, vcr
from longcat.contract.traffic.decoding import BrokenFileError, UnreadableError
from longcat.contract.traffic.exchanges import moment
from longcat.contract.traffic.json_stream import JSONStream

if TYPE_CHECKING:  # It is slow to import, and HAR files do without it.
    from longcat.contract.traffic.yaml_stream import YAMLStream

PROVENANCE: Final = "about"
"""The field of a cassette that says where it comes from. vcrpy passes over it.

Its own field for such things, `metadata`, is one that pytest-recording 0.14 can't load. Fields may get sorted; this
name comes before `interactions` even then, so the origin is known before the first exchange.
"""
HAR_ENTRIES: Final = "log.entries"
LISTS: Final = frozenset({"", "interactions", "http_interactions", HAR_ENTRIES})
"""The lists that hold exchanges. The name of one that is the whole document is empty."""
Stream: TypeAlias = "JSONStream | YAMLStream"
SUFFIXES: Final = frozenset({".yaml", ".yml", ".json", ".har"})
"""The files of a folder that are read."""


@frozen
class Provenance:
    """Where a cassette comes from.

    Attributes:
        origin: what kind of evidence it is.
        recorded: when, with a time zone.
        command: what wrote it.
        spec: the digest of the contract at that time.
    """

    origin: Origin
    recorded: datetime
    command: str
    spec: str


@frozen
class _About:
    """What a file says of all that is in it."""

    origin: Origin = "unknown"
    recorded: datetime | None = None

    @classmethod
    def of(cls, facts: Any) -> "_About":
        """Return what a provenance says, as far as it can be read."""
        fields = facts if isinstance(facts, dict) else {}
        origin = next((known for known in get_args(Origin) if known == fields.get("origin")), cls().origin)
        return cls(origin, moment(fields.get("recorded")))


def read(path: Path, key_headers: Collection[str]) -> Iterator[Exchange | Inconclusive]:
    """Yield the exchanges in a file, or in every file of a folder, in order.

    VCR cassettes, as YAML and as JSON, and HAR files are known by what is in them. Only one exchange is held in memory.
    What can't be read is yielded as Inconclusive; nothing is raised.

    Args:
        path: a file or a folder.
        key_headers: the request headers that hold a key. Its value is taken out of everything that is yielded.
    """
    try:
        if path.is_dir():
            yield from _read_folder(path, key_headers)
        elif path.exists() and not path.is_file():
            yield Inconclusive(str(path), "is neither a file nor a folder")
        else:
            with path.open("rb") as file:
                yield from _read_file(file, path, key_headers)
    except (OSError, ValueError) as error:
        yield Inconclusive(str(path), f"can't be opened: {getattr(error, 'strerror', None) or error}")


def provenance(path: Path) -> Provenance | Inconclusive:
    """Return where a cassette comes from, or why that is not known."""
    try:
        with path.open("rb") as file:
            data = next((value for name, value in _parts(_stream(file, path)) if name == PROVENANCE), None)
    except (OSError, UnreadableError) as error:
        return Inconclusive(str(path), getattr(error, "strerror", None) or str(error))
    fields = data if isinstance(data, dict) else {}
    missing = [name for name in ("origin", "recorded", "command", "spec") if not isinstance(fields.get(name), str)]
    if missing:
        return Inconclusive(str(path), f"does not say where it comes from: {', '.join(missing)} is missing")
    try:
        recorded = datetime.fromisoformat(fields["recorded"])
    except ValueError:
        return Inconclusive(str(path), "does not say when it was recorded, but something else")
    return Provenance(_About.of(fields).origin, recorded, fields["command"], fields["spec"])


def _read_folder(folder: Path, key_headers: Collection[str]) -> Iterator[Exchange | Inconclusive]:
    unreadable: list[OSError] = []
    for where, folders, names in os.walk(folder, onerror=unreadable.append):
        folders.sort()
        for name in sorted(names):
            if Path(name).suffix.lower() in SUFFIXES:
                yield from read(Path(where, name), key_headers)
    yield from (Inconclusive(str(error.filename), f"can't be opened: {error.strerror}") for error in unreadable)


def _read_file(file: BinaryIO, path: Path, key_headers: Collection[str]) -> Iterator[Exchange | Inconclusive]:
    count, name, file_name = 0, None, str(path)
    about = _About()
    try:
        for name, value in _parts(_stream(file, path)):
            if name == PROVENANCE:
                about = _About.of(value)
                continue
            for item in value:
                count += 1
                yield _exchange(name, item, f"{file_name}#{count}", about, key_headers)
    except BrokenFileError as error:
        yield Inconclusive(f"{path}#{count + 1}", str(error))
        return
    if name is None:
        yield Inconclusive(
            str(path), "holds no recorded traffic: neither a cassette's interactions nor a HAR file's log"
        )


def _stream(file: BinaryIO, path: Path) -> Stream:
    """Return the file as a stream of values. Raises BrokenFileError when it is empty."""
    start = file.read(4096)
    file.seek(0)
    if not start.strip():
        raise BrokenFileError("is empty")
    suffix = path.suffix.lower()
    looks_like_json = start.decode("utf-8-sig", "replace").lstrip()[:1] in {"{", "["}
    is_json = suffix in {".json", ".har"} or (looks_like_json and suffix not in {".yaml", ".yml"})
    if is_json:
        return JSONStream(file)
    from longcat.contract.traffic.yaml_stream import YAMLStream  # noqa: PLC0415 - see above.

    return YAMLStream(file)


def _parts(stream: Stream) -> Iterator[tuple[str, Any]]:
    """Yield the parts of a file that count, by their names: the provenance, and lists as iterators of their items.

    What the consumer leaves of a list is passed over. A value that can't be read is the UnreadableError that says why.
    """
    for _ in stream.documents():
        first = stream.peek()
        if first == "[":
            yield from _list(stream, "")
        elif first == "{":
            yield from _fields(stream, "")
        else:
            stream.skip()


def _fields(stream: Stream, prefix: str) -> Iterator[tuple[str, Any]]:
    for field in stream.fields():
        name = f"{prefix}{field}"
        first = stream.peek()
        if name == "log" and first == "{":
            yield from _fields(stream, "log.")
        elif name in LISTS and first == "[":
            yield from _list(stream, name)
        elif name in LISTS:
            yield name, iter([stream.value()])
        elif name == PROVENANCE:
            yield name, stream.value()
        else:
            stream.skip()


def _list(stream: Stream, name: str) -> Iterator[tuple[str, Any]]:
    items = (stream.value() for _ in stream.items())
    yield name, items
    for _ in items:
        pass


def _exchange(
    name: str, item: Any, source: str, about: _About, key_headers: Collection[str]
) -> Exchange | Inconclusive:
    try:
        if isinstance(item, UnreadableError):
            raise item
        if name == HAR_ENTRIES:
            return har.exchange_of(item, source=source, key_headers=key_headers)
        return vcr.exchange_of(
            item, source=source, origin=about.origin, recorded=about.recorded, key_headers=key_headers
        )
    except UnreadableError as error:
        return Inconclusive(source, str(error))

"""Recorded traffic, read from cassettes, HAR files and lines of JSON, one exchange at a time."""

import json
import os
from collections.abc import Collection, Iterator
from datetime import datetime
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeAlias, get_args

from attrs import frozen

from longcat.contract.model import Exchange, Inconclusive, Origin
from longcat.contract.traffic import flat, har, vcr
from longcat.contract.traffic.decoding import BrokenFileError, NoExchangeError, UnreadableError
from longcat.contract.traffic.exchanges import moment
from longcat.contract.traffic.json_stream import JSONStream, read_lines

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
YAML: Final = frozenset({".yaml", ".yml"})
LINES: Final = frozenset({".ndjson", ".jsonl", ".jsonlines"})
"""The files that have an exchange on each line, whatever they begin with."""
RECORDING_SUFFIXES: Final = frozenset({".yaml", ".yml", ".json", ".har", *LINES})
"""The files of a folder that are read."""
SNIFFED_BYTES: Final = 64 * 1024
"""How much of a file is looked at to tell what it is, in bytes."""


@frozen
class Provenance:
    """The origin of a cassette.

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
    """The statements of a file about all that is in it."""

    origin: Origin = "unknown"
    recorded: datetime | None = None

    @classmethod
    def of(cls, facts: Any) -> "_About":
        """Return what a provenance says, as far as it can be read."""
        fields = facts if isinstance(facts, dict) else {}
        origin = next((known for known in get_args(Origin) if known == fields.get("origin")), cls().origin)
        return cls(origin, moment(fields.get("recorded")))


def read(path: Path, key_names: Collection[str], *, is_named: bool = True) -> Iterator[Exchange | Inconclusive]:
    """Yield the exchanges in a file, or in every file of a folder, in order.

    Cassettes, as YAML and as JSON, HAR files, and files with an exchange on each line are known by what is in them.
    Only one exchange is held in memory. What can't be read is yielded as Inconclusive; nothing is raised. A file of a
    folder that holds no recorded traffic is left out, unless there is something wrong with it.

    Args:
        path: a file or a folder.
        key_names: the request headers that hold a key. Its value is taken out of everything that is yielded.
        is_named: whether somebody named this very path.
    """
    try:
        if path.is_dir():
            yield from _read_folder(path, key_names)
        elif path.exists() and not path.is_file():
            yield Inconclusive(str(path), "is neither a file nor a folder")
        else:
            with path.open("rb") as file:
                yield from _read_file(file, path, key_names, is_named=is_named)
    except (OSError, ValueError) as error:
        yield Inconclusive(str(path), f"can't be opened: {getattr(error, 'strerror', None) or error}")


def provenance(path: Path) -> Provenance | Inconclusive:
    """Return where a cassette comes from, or why that is not known."""
    try:
        with path.open("rb") as file:
            data = next((value for name, value in _parts(file, path) if name == PROVENANCE), None)
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


def _read_folder(folder: Path, key_names: Collection[str]) -> Iterator[Exchange | Inconclusive]:
    unreadable: list[OSError] = []
    for where, folders, names in os.walk(folder, onerror=unreadable.append):
        folders.sort()
        for name in sorted(names):
            if Path(name).suffix.lower() in RECORDING_SUFFIXES:
                yield from read(Path(where, name), key_names, is_named=False)
    yield from (Inconclusive(str(error.filename), f"can't be opened: {error.strerror}") for error in unreadable)


def _read_file(
    file: BinaryIO, path: Path, key_names: Collection[str], *, is_named: bool
) -> Iterator[Exchange | Inconclusive]:
    count, has_traffic, file_name = 0, False, str(path)
    about = _About()
    try:
        for name, value in _parts(file, path):
            if name == PROVENANCE:
                about = _About.of(value)
                continue
            items = iter(value)
            if not name:  # A list of anything, or lines of it: the first one tells.
                first = [*islice(items, 1)]
                if not all(map(_may_be_exchange, first)):
                    continue
                items = chain(first, items)
            has_traffic = True
            for item in items:
                count += 1
                yield _exchange(name, item, f"{file_name}#{count}", about, key_names)
    except BrokenFileError as error:
        yield Inconclusive(f"{path}#{count + 1}", str(error))
        return
    if not has_traffic:
        why = "holds no recorded traffic: neither a cassette's interactions nor a HAR file's log"
        yield Inconclusive(str(path), why, unclear=is_named)


def _may_be_exchange(item: Any) -> bool:
    return isinstance(item, UnreadableError) or vcr.is_interaction(item) or flat.is_flat(item)


def _parts(file: BinaryIO, path: Path) -> Iterator[tuple[str, Any]]:
    """Yield the parts of a file that count, by their names: the provenance, and lists as iterators of their items.

    What the consumer leaves of a list is passed over. A value that can't be read is the UnreadableError that says why.
    Raises BrokenFileError when the file is empty, or the rest of it can't be read.
    """
    head, suffix = file.read(SNIFFED_BYTES), path.suffix.lower()
    file.seek(0)
    if not head.strip():
        raise BrokenFileError("is empty")
    if suffix in LINES or (suffix not in YAML and _has_exchange_on_line(head)):
        yield "", read_lines(file)
        return
    looks_like_json = head.decode("utf-8-sig", "replace").lstrip()[:1] in {"{", "["}
    is_json = suffix in {".json", ".har"} or (looks_like_json and suffix not in YAML)
    stream = JSONStream(file) if is_json else _yaml_stream(file)
    for _ in stream.documents():
        first = stream.peek()
        if first == "[":
            yield from _list(stream, "")
        elif first == "{":
            yield from _fields(stream, "")
        else:
            stream.skip()


def _has_exchange_on_line(head: bytes) -> bool:
    """Whether the first line of a file is an exchange."""
    line = head.lstrip().partition(b"\n")[0]
    if not line.startswith(b"{"):
        return False
    try:
        return _may_be_exchange(json.loads(line))
    except (ValueError, RecursionError):
        return False


def _yaml_stream(file: BinaryIO) -> "YAMLStream":
    from longcat.contract.traffic.yaml_stream import YAMLStream  # noqa: PLC0415 - see above.

    return YAMLStream(file)


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


def _exchange(name: str, item: Any, source: str, about: _About, key_names: Collection[str]) -> Exchange | Inconclusive:
    try:
        if isinstance(item, UnreadableError):
            raise item
        if name == HAR_ENTRIES or har.is_entry(item):
            return har.exchange_of(item, source=source, key_names=key_names)
        reader = vcr.exchange_of
        if flat.is_flat(item):
            reader, about = flat.exchange_of, _About.of(item)
        return reader(item, source=source, origin=about.origin, recorded=about.recorded, key_names=key_names)
    except NoExchangeError as error:
        return Inconclusive(source, str(error), unclear=False)
    except UnreadableError as error:
        return Inconclusive(source, str(error), url=error.url)

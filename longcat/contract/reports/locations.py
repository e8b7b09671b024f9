"""Finds the file and the line at which a place of the contract stands."""

import json
import os
import re
from bisect import bisect_left
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeAlias

from attrs import Factory, define, field, frozen

from longcat.contract.reports.context import ReportContext
from longcat.text import decode_text
from longcat.text.pointer import split

_LineFinder: TypeAlias = Callable[[str], int]
"""Returns the line of a JSON pointer."""
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_read_name: Final[Callable[[str, int, bool], tuple[str, int]]] = json.decoder.scanstring  # type: ignore[attr-defined]
_DECODER: Final = json.JSONDecoder(strict=False, object_pairs_hook=lambda _: None)


@frozen
class Location:
    """A line of a file. `name` is relative to the root of the repository, where the file is in one."""

    name: str
    line: int


@define
class Locations:
    """Finds places of the contract. A file is read when it is first asked for.

    Attributes:
        root: what names are relative to. None: the file of the contract is called as the run calls it.
    """

    context: ReportContext
    root: Path | None = None
    _finders: dict[Path, _LineFinder] = field(factory=dict, init=False)

    def of(self, pointer: str) -> Location:
        """Return where a pointer into the contract leads: to the nearest parent where there is no such place."""
        source, inner = self.context.spec.source_of(pointer)
        own = self.context.spec_file
        path = own if source is None or source.resolve() == own.resolve() else source
        if path not in self._finders:
            self._finders[path] = line_finder(path)
        return Location(self._name(path), self._finders[path](inner))

    def of_operation(self, name: str) -> Location:
        """Return where an operation is described; the start of the contract where it has none of this name."""
        found = (one.pointer for one in self.context.spec.operations if one.operation_id == name)
        return self.of(next(found, ""))

    def _name(self, path: Path) -> str:
        context = self.context
        if self.root is not None and path.resolve().is_relative_to(self.root.resolve()):
            return path.resolve().relative_to(self.root.resolve()).as_posix()
        if path == context.spec_file:
            return context.spec_name
        # Beside the contract's own file.
        relative = os.path.relpath(path.resolve(), context.spec_file.resolve().parent)
        return (Path(context.spec_name).parent / relative).as_posix()


def file_name(path: Path) -> str:
    """Return what people call a file: its path from the current folder where it is below that, else its name."""
    try:
        return path.resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return path.name


def line_finder(path: Path) -> _LineFinder:
    """Return a function from a JSON pointer to its line, counted from 1: the nearest parent's where it has none.

    A file that can't be read has one line.
    """
    try:
        text = decode_text(path.read_bytes())
    except (OSError, ValueError):
        return lambda _: 1
    if text.lstrip()[:1] in {"{", "["}:
        try:
            return _JsonLines(text).of
        except ValueError:
            pass  # It may be YAML.
    return _yaml_lines(text)


@define
class _JsonLines:
    """The lines of a JSON text. It is never held as a whole as values: what is not asked for is skipped.

    Raises ValueError for a text that is no JSON.

    Attributes:
        ends: where each line ends.
        children: for each object and list that was looked into, by where it begins, its names or indexes: where the
            entry and its value begin.
    """

    text: str
    start: int = field(init=False)
    ends: list[int] = field(init=False)
    children: dict[int, dict[str, tuple[int, int]]] = Factory(dict)

    def __attrs_post_init__(self) -> None:
        self.start = self._skip(0)
        self.ends = [found.start() for found in re.finditer("\n", self.text)]
        self._inside(self.start)

    def of(self, pointer: str) -> int:
        """Return the line of a pointer, or of its nearest parent."""
        entry = value = self.start
        for name in split(pointer):
            found = self._inside(value).get(name)
            if found is None:
                break
            entry, value = found
        return bisect_left(self.ends, entry) + 1

    def _inside(self, start: int) -> dict[str, tuple[int, int]]:
        if start not in self.children:
            self.children[start] = self._scan(start)
        return self.children[start]

    def _scan(self, start: int) -> dict[str, tuple[int, int]]:
        found: dict[str, tuple[int, int]] = {}
        kind = self.text[start : start + 1]
        if kind not in {"{", "["}:
            return found
        at = self._skip(start + 1)
        while self.text[at : at + 1] not in {"}", "]"}:
            entry, name = at, str(len(found))
            if kind == "{":
                name, at = self._name(at)
            found[name] = (entry, at)
            _, end = _DECODER.raw_decode(self.text, at)
            at = self._skip(end)
            if self.text[at : at + 1] == ",":
                at = self._skip(at + 1)
        return found

    def _name(self, at: int) -> tuple[str, int]:
        """Return the name of an entry, and where its value begins."""
        if self.text[at : at + 1] == '"':
            name, end = _read_name(self.text, at + 1, False)
            colon = self._skip(end)
            if self.text[colon : colon + 1] == ":":
                return name, self._skip(colon + 1)
        raise ValueError("no JSON")

    def _skip(self, at: int) -> int:
        """Return where the next thing begins that is no space."""
        space = _SPACE.match(self.text, at)
        return space.end() if space else at


def _yaml_lines(text: str) -> _LineFinder:
    import yaml  # type: ignore[import-untyped]  # noqa: PLC0415 - only some reports need it, and it is slow to import.

    try:
        document = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (ValueError, yaml.YAMLError):
        document = None

    def children_of(node: Any) -> dict[str, tuple[Any, Any]]:
        if isinstance(node, yaml.MappingNode):
            return {key.value: (key, value) for key, value in node.value if isinstance(key.value, str)}
        items = node.value if isinstance(node, yaml.SequenceNode) else ()
        return {str(index): (item, item) for index, item in enumerate(items)}

    known: dict[int, dict[str, tuple[Any, Any]]] = {}

    def line_of(pointer: str) -> int:
        node, line = document, 1
        for name in split(pointer):
            if id(node) not in known:
                known[id(node)] = children_of(node)
            found = known[id(node)].get(name)
            if found is None:
                break
            node, line = found[1], found[0].start_mark.line + 1
        return line

    return line_of

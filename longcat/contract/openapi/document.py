"""An OpenAPI document, with the other files that its references lead to.

Another file is mounted in the document when a reference first leads there, so that a JSON pointer into the one document
says where anything stands. Nothing is ever fetched over a network.
"""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from attrs import define, field

from longcat.contract.openapi.errors import SpecError, invalid
from longcat.contract.openapi.limits import MAX_FILES, MAX_SPEC_BYTES, MAX_SPEC_VALUES
from longcat.contract.openapi.nodes import Node, nodes
from longcat.contract.openapi.schema.keywords import ALLOWS_EVERYTHING, SchemaDefect, read_schema
from longcat.contract.openapi.schema.patterns import Patterns
from longcat.text import show
from longcat.text.pointer import at, escape, last_name

MAX_REFERENCES: Final = 100
"""How many references may lead from one to the next."""
_REFERENCE: Final = re.compile(rb"""\$ref["']?\s*:\s*["']?([^"'\s#,}]+)""")
"""A reference to another file, in the text of one."""
OTHER_FILES: Final = "x-other-files"
"""The field of a document that other files are mounted in, by their paths from the folder of the spec."""


@define
class SpecFiles:
    """The files of a spec.

    Attributes:
        path: of the spec itself.
        read: returns the value in a file, its keywords made new. Raises SpecError.
        allowed: the folders that other files may be in, with symbolic links followed.
        others: those that were read, by their names in the document.
    """

    path: Path
    read: Callable[[Path], Any]
    allowed: Sequence[Path]
    others: dict[str, Path] = field(factory=dict, init=False)
    _bytes: int = field(default=0, init=False)
    _values: int = field(default=0, init=False)
    _found: dict[tuple[str, Path], Path] = field(factory=dict, init=False, repr=False)

    def find(self, reference: str, base: Path) -> Path:
        """Return the file that a reference names in another one. Raises SpecError when it may not be read."""
        key = (reference, base.parent)
        if key not in self._found:
            self._found[key] = self._find(reference, base)
        return self._found[key]

    def _find(self, reference: str, base: Path) -> Path:
        words = f"the reference {show(reference)}"
        try:
            path = (base.parent / unquote(reference)).resolve()
        except (OSError, RuntimeError, ValueError):
            raise SpecError(f"{words} is no path of a file") from None
        if path == self.path.resolve():
            return self.path
        if not any(path.is_relative_to(folder) for folder in self.allowed):
            raise SpecError(f"{words} leads out of the folder of the spec")
        if not os.path.isfile(path):  # noqa: PTH113 - it raises nothing for what may not be looked at.
            raise SpecError(f"{words} leads to a file that is not there")
        return path

    def add(self, path: Path) -> tuple[str, Any]:
        """Return the name of another file, and the value in it. Raises SpecError beyond the limits."""
        self._bytes += path.stat().st_size
        if len(self.others) >= MAX_FILES or self._bytes > MAX_SPEC_BYTES or self._values > MAX_SPEC_VALUES:
            most = f"{MAX_FILES:,} files, {MAX_SPEC_BYTES // 1024**2} MiB or {MAX_SPEC_VALUES:,} values"
            raise SpecError(f"the spec has more than {most} in all")
        try:
            value = self.read(path)
        except SpecError:
            raise SpecError(f"the file {self.name_of(path)} is neither JSON nor YAML, or too large") from None
        self._values += _count(value)
        return self.name_of(path), value

    def referred_to(self, content: bytes) -> Iterator[tuple[str, bytes]]:
        """Yield all other files that a spec may refer to, each with its bytes. None of them is parsed yet."""
        pending, seen, size = [(self.path, content)], {self.path}, 0
        while pending:
            base, content = pending.pop()
            for found in dict.fromkeys(_REFERENCE.findall(content)):
                try:
                    path = self.find(found.decode("utf-8", "replace"), base)
                except SpecError:
                    continue
                if path in seen or len(seen) > MAX_FILES or size > MAX_SPEC_BYTES:
                    continue
                seen.add(path)
                with suppress(OSError), path.open("rb") as file:
                    content = file.read(MAX_SPEC_BYTES)
                    size += len(content)
                    pending.append((path, content))
                    yield self.name_of(path), content

    def name_of(self, path: Path) -> str:
        """Return what a file is called in the document: its path from the folder of the spec."""
        return Path(os.path.relpath(path, self.path.parent)).as_posix()


def _count(value: Any) -> int:
    """Return how many values there are in a value."""
    count, pending = 0, [value]
    while pending:
        one = pending.pop()
        count += 1
        pending += one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
    return count


class Document(dict[str, Any]):
    """A document as OpenAPI 3.1 has it, with the other files that its references led to so far.

    Attributes:
        files: of the spec. None: it came from no file, so that it can't refer to others.
        defects: what can't be used of schemas that were reached, in words, by the schemas' pointers.
    """

    def __init__(self, values: Mapping[str, Any], files: SpecFiles | None = None) -> None:
        super().__init__(values)
        self.files = files
        self.defects: dict[str, str] = {}
        self._schemas: dict[str, Any] = {}
        self._patterns = Patterns()
        self._followed: set[str] = set()
        self._anchors: dict[str, dict[str, str]] = {}

    def schema(self, pointer: str) -> Any:
        """Return the schema at a pointer, without what can't be used of it.

        For one that can't be used at all, one that allows everything is returned. `defects` gets what is wrong.
        """
        if pointer not in self._schemas:
            schema, defect = read_schema(at(self, pointer), self._patterns)
            if isinstance(schema, Mapping) and "$ref" in schema:
                try:
                    follow(self, schema, pointer)
                except SpecError as error:
                    schema, defect = ALLOWS_EVERYTHING, SchemaDefect("", str(error))
            if defect:
                self.defects[pointer] = str(invalid(self.describe(pointer) + defect.pointer, defect.why))
            self._schemas[pointer] = schema
        return self._schemas[pointer]

    def target(self, reference: str, base: str) -> str:
        """Return the pointer that a reference means which stands at another. Raises SpecError."""
        name, _, fragment = reference.partition("#")
        root = self._mount(name, base) if name else self.root_of(base)
        if fragment and not fragment.startswith("/"):
            found = self._anchors_in(root).get(unquote(fragment))
        else:
            found = self._through_references(root + unquote(fragment))
        if found is None:
            raise SpecError(f"the reference {show(reference)} leads nowhere")
        return found

    def _anchors_in(self, root: str) -> dict[str, str]:
        """Return where the anchors of a file stand, the first of each name. `root` is where the file is mounted."""
        if root not in self._anchors:
            found: dict[str, str] = {}
            for node, pointer in nodes(at(self, root), root):
                for keyword in ("$anchor", "$dynamicAnchor"):
                    if isinstance(node.get(keyword), str):
                        found.setdefault(node[keyword], pointer)
            self._anchors[root] = found
        return self._anchors[root]

    def _through_references(self, pointer: str) -> str | None:
        """Return where a pointer leads, through references on its way. None: nowhere."""
        try:
            at(self, pointer)
        except LookupError:
            way = self._first_reference(pointer)
            if way is None or way in self._followed:
                return None
            self._followed.add(way)  # Its own reference may lead back here.
            try:
                where = follow(self, at(self, way), way)[1]
                return self._through_references(where + pointer.removeprefix(way))
            finally:
                self._followed.discard(way)
        return pointer

    def _first_reference(self, pointer: str) -> str | None:
        """Return where on the way of a pointer the first reference stands. None: there is none."""
        node: Any = self
        way = ""
        for part in pointer.split("/")[1:]:
            if isinstance(node, Mapping) and isinstance(node.get("$ref"), str):
                return way
            way = f"{way}/{part}"
            try:
                node = at(self, way)
            except LookupError:
                return None
        return None

    def source_of(self, pointer: str) -> tuple[Path | None, str]:
        """Return the file in which a pointer stands, and the pointer in that file. None: the document has no file."""
        root = self.root_of(pointer)
        if self.files is None or not root:
            return self.files.path if self.files else None, pointer
        return self.files.others[last_name(root)], pointer.removeprefix(root)

    def describe(self, pointer: str) -> str:
        """Return a pointer for people: one into another file with that file's name before it."""
        root = self.root_of(pointer)
        return f"{last_name(root)}#{pointer.removeprefix(root)}" if root else pointer

    def root_of(self, pointer: str) -> str:
        """Return where the file is mounted that a pointer leads into; empty: it is the spec's own."""
        return "/".join(pointer.split("/", 3)[:3]) if pointer.startswith(f"/{OTHER_FILES}/") else ""

    def _mount(self, reference: str, base: str) -> str:
        """Return where a file is mounted, or mount it. Raises SpecError."""
        if ":" in reference.partition("/")[0] or reference.startswith("//"):
            raise SpecError(f"the reference {show(reference)} is a URL, and nothing is fetched")
        if self.files is None:
            raise SpecError(f"the reference {show(reference)} leads to another file, and the document came from none")
        own, _ = self.source_of(base)
        path = self.files.find(reference, own or self.files.path)
        if path == self.files.path:
            return ""
        name = self.files.name_of(path)
        if name not in self.files.others:
            name, value = self.files.add(path)
            self.setdefault(OTHER_FILES, {})[name] = value
            self.files.others[name] = path
        return f"/{OTHER_FILES}/{escape(name)}"


def follow(document: Node, node: Any, pointer: str) -> tuple[Any, str]:
    """Return what a node refers to in the end, and where that stands; the node itself when it is no reference.

    Raises SpecError for a reference that leads nowhere, in a circle, or to where nothing may be read.
    """
    seen = {pointer}
    while isinstance(node, dict) and isinstance(reference := node.get("$ref"), str):
        pointer = target(document, reference, pointer)
        if pointer in seen:
            raise SpecError(f"the reference {show(reference)} leads back to itself")
        if len(seen) > MAX_REFERENCES:
            raise SpecError(f"the reference {show(reference)} is one of more than {MAX_REFERENCES} in a row")
        seen.add(pointer)
        node = at(document, pointer)
    return node, pointer


def target(document: Node, reference: str, base: str) -> str:
    """Return the pointer that a reference means which stands at another. Raises SpecError."""
    return (document if isinstance(document, Document) else Document(document)).target(reference, base)


def references_in(document: Document) -> Counter[str]:
    """Return how many references there are to each place of a document, from all of its files but from within it."""
    found: Counter[str] = Counter()
    pending, seen = [""], {""}
    while pending:
        file = pending.pop()
        for node, pointer in list(nodes(at(document, file), file)):  # To follow one may mount a file.
            with suppress(SpecError):
                if isinstance(node.get("$ref"), str):
                    component = document.target(node["$ref"], pointer)
                    found[component] += not pointer.startswith(f"{component}/")
                    root = document.root_of(component)
                    pending += {root} - seen
                    seen.add(root)
    return found

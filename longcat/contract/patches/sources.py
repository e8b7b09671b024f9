"""Contracts that can be changed: as the texts of their files, or with an Overlay beside them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

from attrs import evolve, field, frozen

from longcat.contract.openapi.document import OTHER_FILES, SpecFiles
from longcat.contract.openapi.parsing import read_value
from longcat.contract.openapi.spec import Spec, make_spec
from longcat.contract.openapi.upgrade import modern
from longcat.contract.patches.edit import Edit, Source, UneditableError, with_edit
from longcat.text.pointer import at, unescape


class EditableContract(Protocol):
    """A contract that can be changed."""

    @property
    def document(self) -> dict[str, Any]:
        """The document in the contract's own file, as the file has it."""

    @property
    def size(self) -> int:
        """The cost of a change, in characters that are written anew."""

    def spec(self) -> Spec:
        """Return the contract, ready to judge by. Raises SpecError."""

    def raw(self, pointer: str) -> Any:
        """Return what stands at a pointer, as its file has it. Raises LookupError."""

    def edited(self, edits: Sequence[Edit]) -> Self:
        """Return the contract with some changes. Raises UneditableError."""


def _place(pointer: str) -> tuple[str, str]:
    """Return the name of the file that a pointer leads into, empty for the contract's own, and the pointer there."""
    if not pointer.startswith(f"/{OTHER_FILES}/"):
        return "", pointer
    name, slash, inner = pointer.removeprefix(f"/{OTHER_FILES}/").partition("/")
    return unescape(name), slash + inner


@frozen
class ContractFiles:
    """A contract as the texts of its files.

    Attributes:
        own: the file of the contract itself.
        files: where it and those that it refers to are. None: it came from no file.
        others: those that it refers to, as far as they were changed, by their names.
    """

    own: Source
    files: SpecFiles | None = None
    others: Mapping[str, Source] = field(factory=dict)

    @property
    def document(self) -> dict[str, Any]:
        """See `EditableContract`."""
        found: dict[str, Any] = self.own.document
        return found

    @property
    def size(self) -> int:
        """See `EditableContract`."""
        return len(self.own.text)

    def spec(self) -> Spec:
        """See `EditableContract`."""
        files = self.files and SpecFiles(self.files.path, self._read, self.files.allowed)
        return make_spec(self.document, "as it is now", files=files)

    def _read(self, path: Path) -> Any:
        name = self.files.name_of(path) if self.files else ""
        return modern(self.others[name].document if name in self.others else read_value(path))

    def path_of(self, name: str) -> Path:
        """Return the path of another file."""
        return (self.files.path if self.files else Path()).parent / name

    def raw(self, pointer: str) -> Any:
        """See `EditableContract`."""
        name, inner = _place(pointer)
        return at(self._source(name).document, inner)

    def _source(self, name: str) -> Source:
        if not name:
            return self.own
        return self.others.get(name) or Source.read(self.path_of(name).read_bytes().decode())

    def edited(self, edits: Sequence[Edit]) -> "ContractFiles":
        """See `EditableContract`."""
        by_file: dict[str, list[Edit]] = {}
        for edit in edits:
            name, inner = _place(edit.pointer)
            by_file.setdefault(name, []).append(evolve(edit, pointer=inner))
        new = {name: self._source(name).edited(*several) for name, several in by_file.items()}
        own = new.pop("", self.own)
        return evolve(self, own=own, others={**self.others, **new})


@frozen
class OverlaidContract:
    """A contract that is not ours to change, and the changes that an Overlay makes to it.

    Attributes:
        document: with the changes.
        files: see `ContractFiles`.
        edits: the changes, in their order.
    """

    document: dict[str, Any] = field(repr=False)
    files: SpecFiles | None = None
    edits: tuple[Edit, ...] = ()

    @property
    def size(self) -> int:
        """See `EditableContract`."""
        return 1

    def spec(self) -> Spec:
        """See `EditableContract`."""
        files = self.files and SpecFiles(self.files.path, self.files.read, self.files.allowed)
        return make_spec(self.document, "as it is now", files=files)

    def raw(self, pointer: str) -> Any:
        """See `EditableContract`."""
        name, inner = _place(pointer)
        if name:
            raise UneditableError(f"it stands in {name}, another file, which an Overlay of this one does not reach")
        return at(self.document, inner)

    def edited(self, edits: Sequence[Edit]) -> "OverlaidContract":
        """See `EditableContract`."""
        document = self.document
        for edit in edits:
            self.raw(edit.pointer)
            document = with_edit(document, edit)
        return evolve(self, document=document, edits=(*self.edits, *edits))

"""Changes of a YAML or JSON text at places given as JSON pointers. Every line that a change does not concern stays.

ruamel.yaml (or json) reads the text and writes it again, before and after a change. The lines in which the two differ
are carried over into the text, which keeps its own comments, blank lines and layout everywhere else. So it does not
matter whether the library would lay out the rest of the file as its author did. A change to a list or object that is
spread over several lines in braces writes it on one line.

Every change is proven: the new text is parsed, and must be exactly the document that was meant.
"""

import copy
import io
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from functools import partial
from itertools import chain
from types import NoneType
from typing import Any, Final, TypeAlias

from attrs import evolve, field, frozen
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.emitter import Emitter
from ruamel.yaml.representer import RoundTripRepresenter
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from longcat.contract.openapi.errors import SpecError
from longcat.contract.openapi.parsing import parse_value
from longcat.contract.openapi.yaml_loader import key_name
from longcat.text.pointer import split


class UneditableError(ValueError):
    """A change that can't be made in the text as it stands. The message says why."""


@frozen
class Put:
    """Give the object at a pointer an entry: in the place of the entry `instead_of`, or at its end.

    `comment` becomes a line above the entry, where the text can have one; so it does for the other changes.
    """

    pointer: str
    name: str
    value: Any
    comment: str = ""
    instead_of: str | None = None


@frozen
class Append:
    """Give the list at a pointer one more item."""

    pointer: str
    value: Any
    comment: str = ""


@frozen
class Drop:
    """Take out the entry or item at a pointer."""

    pointer: str
    comment: str = ""


Edit: TypeAlias = Put | Append | Drop


@frozen
class Source:
    """The text of one of a contract's files, and the value in it.

    Attributes:
        text: without a byte order mark.
        document: in plain JSON values: a whole document, or the part of it that this file holds.
        mark: the byte order mark with which the file begins, or nothing.
    """

    text: str
    document: Any = field(repr=False)
    mark: str = ""

    @classmethod
    def read(cls, content: str, parse: Callable[..., Any] = parse_value) -> "Source":
        """Return the content of a file, read. Raises SpecError for one that can't be."""
        text = content.removeprefix("\ufeff")
        return cls(text, parse(text, "to change", strict=True), content[: len(content) - len(text)])

    @property
    def content(self) -> str:
        """The whole of the file."""
        return self.mark + self.text

    def edited(self, *edits: Edit) -> "Source":
        """Return the text with some changes, made one after the other. Raises UneditableError."""
        is_json = _is_json(self.text)
        tree, write = _read_json(self.text) if is_json else _read_yaml(self.text)
        wanted = copy.deepcopy(self.document)
        end = "\r" if "\r\n" in self.text else ""
        chunks = list(_aligned(self.text, write(tree)))
        for edit in edits:
            try:
                _apply(edit, tree, copy.deepcopy if is_json else _styled)
                _apply(edit, wanted, copy.deepcopy)
            except (LookupError, TypeError, AttributeError):
                raise UneditableError(f"the file has no {edit.pointer} of its own") from None
            comment = "" if is_json else edit.comment
            chunks = list(_carried_over(chunks, write(tree).split("\n"), comment, end))
        text = "\n".join(line for chunk in chunks for line in chunk.kept)
        try:
            document = parse_value(text, "as changed", strict=True)
        except SpecError as error:
            raise UneditableError("the file is written in a way that does not allow it") from error
        if _canonical(document) != _canonical(wanted):
            raise UneditableError("the file is written in a way that does not allow it, perhaps with an alias")
        return evolve(self, text=text, document=document)


def _is_json(text: str) -> bool:
    return text.lstrip().startswith("{")


def _canonical(document: Any) -> str:
    return json.dumps(document, sort_keys=True)


# --- A change of the document.


def with_edit(document: Any, edit: Edit) -> Any:
    """Return a document with a change. The old one stays as it is. Raises UneditableError."""
    new = holder = copy.copy(document)
    try:
        for part in split(edit.pointer)[: -1 if isinstance(edit, Drop) else None]:
            key = _key(holder, part)
            inner = copy.copy(holder[key])
            holder[key], holder = inner, inner
        _apply(edit, new, copy.deepcopy)
    except (LookupError, TypeError, AttributeError):
        raise UneditableError(f"the contract has no {edit.pointer} of its own") from None
    return new


def _apply(edit: Edit, document: Any, style: Callable[[Any], Any]) -> None:
    """Change a document in place, its new parts in some style. Raises LookupError, TypeError or AttributeError."""
    *path, last = split(edit.pointer) if isinstance(edit, Drop) else [*split(edit.pointer), ""]
    owner = document
    for part in path:
        owner = owner[_key(owner, part)]
    if isinstance(edit, Drop):
        del owner[_key(owner, last)]
    elif isinstance(edit, Append):
        owner.append(style(edit.value))
    elif edit.instead_of == edit.name:
        owner[_key(owner, edit.name)] = style(edit.value)
    else:
        behind = {}
        if edit.instead_of is not None:
            old = _key(owner, edit.instead_of)
            names = list(owner)
            behind = {name: owner.pop(name) for name in names[names.index(old) + 1 :]}
            del owner[old]
        owner[style(edit.name)] = style(edit.value)
        owner.update(behind)


def _key(owner: Any, part: str) -> Any:
    """Return the key or index that a part of a pointer means. YAML reads the key `200` as a number."""
    if isinstance(owner, list):
        return int(part)
    for key in owner:
        if part == key_name(key):
            return key
    raise LookupError(part)


# --- The lines of a text, and those that the library writes for it.


_Lines: TypeAlias = tuple[str, ...]


@frozen
class _Chunk:
    """Lines of a text, and those that the library writes in their place.

    As a rule that is one line of each. There are more where the library would lay out a part of the text differently.

    Attributes:
        kept: of the text, with the comments and blank lines above. A line may end in a carriage return.
        written: by the library.
    """

    kept: _Lines
    written: _Lines


def _aligned(text: str, written: str) -> Iterator[_Chunk]:
    """Yield the lines of a text with those that the library writes for the same document."""
    ours, theirs = list(_paragraphs(text)), list(_paragraphs(written))
    matcher = SequenceMatcher(None, [_content(one) for one in ours], [_content(one) for one in theirs])
    for tag, start, end, other_start, other_end in matcher.get_opcodes():
        if tag == "equal":
            yield from map(_Chunk, ours[start:end], theirs[other_start:other_end])
        else:
            yield from _rewrapped(ours[start:end], theirs[other_start:other_end])


def _rewrapped(ours: Sequence[_Lines], theirs: Sequence[_Lines]) -> Iterator[_Chunk]:
    """Yield chunks of lines that say the same, but are wrapped at other places; at last one of all other lines."""
    start = end = other_start = other_end = 0
    while end < len(ours) or other_end < len(theirs):
        kept, written = (len(_words(one)) for one in (ours[start:end], theirs[other_start:other_end]))
        if other_end == len(theirs) or (end < len(ours) and kept <= written):
            end += 1
        else:
            other_end += 1
        if _words(ours[start:end]) == _words(theirs[other_start:other_end]):
            yield _Chunk(tuple(chain(*ours[start:end])), tuple(chain(*theirs[other_start:other_end])))
            start, other_start = end, other_end
    yield _Chunk(tuple(chain(*ours[start:])), tuple(chain(*theirs[other_start:])))


def _words(paragraphs: Iterable[_Lines]) -> str:
    """Return what some lines say, without white space."""
    return "".join(_content(one).replace(" ", "") for one in paragraphs)


def _paragraphs(text: str) -> Iterator[_Lines]:
    """Yield each line with the comments and blank lines above it; at last those at the end of the text."""
    lines: list[str] = []
    for line in text.split("\n"):
        lines.append(line)
        if not _is_comment(line):
            yield tuple(lines)
            lines = []
    if lines:
        yield tuple(lines)


def _is_comment(line: str) -> bool:
    """Whether a line is a comment, or blank. In a text of several lines it may look like one."""
    return not line.strip() or line.lstrip().startswith("#")


def _content(lines: _Lines) -> str:
    """Return what the last of some lines says, without what may be laid out in another way."""
    return "" if _is_comment(lines[-1]) else " ".join(re.split(r"\s#", lines[-1])[0].split())


def _carried_over(chunks: Sequence[_Chunk], written: Sequence[str], comment: str, end: str) -> Iterator[_Chunk]:
    """Yield chunks for what the library writes now: the lines that it wrote before stay as the text has them.

    `comment` stands above the first line that differs; `end` is what a new line has before its line feed.
    """
    head, start = 0, 0
    while head < len(chunks) and _is_written_at(chunks[head], written, start):
        start += len(chunks[head].written)
        head += 1
    tail, stop = len(chunks), len(written)
    while tail > head and (before := stop - len(chunks[tail - 1].written)) >= start:
        if not _is_written_at(chunks[tail - 1], written, before):
            break
        tail, stop = tail - 1, before
    old, new = chunks[head:tail], written[start:stop]
    shift = _shift(chunks[:head], new[0]) if new else 0
    lines = [" " * (_indent(line) + shift) + line.lstrip() if shift and line else line for line in new]
    above = [line for one in old for line in one.kept if _is_comment(line) and line.rstrip("\r") not in one.written]
    if comment:
        first = lines[0] if lines else _first(line for one in old for line in one.kept)
        comment = f"{' ' * _indent(first)}# {comment}{end}"
        if comment not in above[-1:]:
            above.append(comment)
    if len(old) == len(lines) == 1:
        lines = [lines[0] + _end_of_line_comment(old[0])]
    yield from chunks[:head]
    yield _Chunk(tuple(above), ())
    yield from (_Chunk((kept + end,), (line,)) for kept, line in zip(lines, new, strict=True))
    yield from chunks[tail:]


def _is_written_at(chunk: _Chunk, written: Sequence[str], start: int) -> bool:
    """Whether the library writes the lines of a chunk from `start` on."""
    return tuple(written[start : start + len(chunk.written)]) == chunk.written


def _shift(before: Sequence[_Chunk], line: str) -> int:
    """Return how much further to the right a text has the lines around a new one than the library would."""
    for chunk in reversed(before):
        kept, written = _first(chunk.kept), _first(chunk.written)
        if kept and written and _indent(written) <= _indent(line):
            return _indent(kept) - _indent(written)
    return 0


def _first(lines: Iterable[str]) -> str:
    """Return the first line that is neither a comment nor blank; empty if there is none."""
    return next((line for line in lines if not _is_comment(line)), "")


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _end_of_line_comment(chunk: _Chunk) -> str:
    """Return the comment behind a line, with the spaces before it."""
    rest = chunk.kept[-1].strip().removeprefix(chunk.written[-1].strip())
    return rest if rest.lstrip().startswith("#") and rest != chunk.kept[-1].strip() else ""


# --- Reading and writing.


def _read_json(text: str) -> tuple[Any, Callable[[Any], str]]:
    """Return the document in a text, and how to write it in the same layout."""
    indent = re.match(r"\s*\{\r?\n([ \t]*)", text)
    return json.loads(text), partial(
        json.dumps,
        indent=indent[1] if indent else None,
        separators=None if '": ' in text else (",", ":"),
        ensure_ascii=text.isascii(),
    )


class _Emitter(Emitter):
    """Writes no comments and blank lines: these are in the text."""

    def write_comment(self, comment: Any, pre: bool = False) -> None:
        pass


class _Representer(RoundTripRepresenter):
    """Writes null as such. The library would leave the value out."""


_Representer.add_representer(NoneType, lambda self, _: self.represent_scalar("tag:yaml.org,2002:null", "null"))


def _read_yaml(text: str) -> tuple[Any, Callable[[Any], str]]:
    """Return the document in a text, and how to write it in the same layout."""
    yaml = YAML()
    yaml.Emitter, yaml.Representer = _Emitter, _Representer
    yaml.preserve_quotes, yaml.width = True, sys.maxsize
    yaml.brace_single_entry_mapping_in_flow_sequence = True
    tree = yaml.load(text)
    mapping, offset = _indents(tree)
    yaml.indent(mapping=mapping, sequence=offset + 2, offset=offset)

    def write(tree: Any) -> str:
        written = io.StringIO()
        yaml.dump(tree, written)
        return written.getvalue()

    return tree, write


def as_yaml(value: Any) -> str:
    """Return a value as a document of YAML that all readers understand alike."""
    yaml = YAML()
    yaml.Representer, yaml.width = _Representer, sys.maxsize
    yaml.brace_single_entry_mapping_in_flow_sequence = True
    yaml.indent(mapping=2, sequence=4, offset=2)
    written = io.StringIO()
    yaml.dump(_styled(value), written)
    return written.getvalue()


def _indents(tree: Any) -> tuple[int, int]:
    """Return how far the entries of objects are indented most often, and the dashes of lists."""
    objects, lists = Counter({2: 0}), Counter({2: 0})
    pending = [tree]
    while pending:
        owner = pending.pop()
        for value in owner.values() if isinstance(owner, CommentedMap) else owner:
            if isinstance(value, CommentedMap | CommentedSeq) and not value.fa.flow_style():
                pending.append(value)
                if isinstance(owner, CommentedMap):
                    counted = lists if isinstance(value, CommentedSeq) else objects
                    counted[value.lc.col - owner.lc.col] += 1
    return objects.most_common(1)[0][0], lists.most_common(1)[0][0]


# Texts that YAML reads as such without quotes, in every place.
_PLAIN: Final = re.compile(r"\$?[A-Za-z_][A-Za-z0-9_./+-]*(?: [A-Za-z0-9_./+-]+)*\.?")
_OTHER: Final = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})


def _styled(value: Any) -> Any:
    """Return a value for YAML: lists of words in brackets, and quotes around texts that need them somewhere."""
    if isinstance(value, dict):
        return CommentedMap({_styled(name): _styled(inner) for name, inner in value.items()})
    if isinstance(value, list):
        items = CommentedSeq(map(_styled, value))
        if not any(isinstance(item, dict | list) for item in value):
            items.fa.set_flow_style()
        return items
    if isinstance(value, str) and not (_PLAIN.fullmatch(value) and value.lower() not in _OTHER):
        return DoubleQuotedScalarString(value)
    return value

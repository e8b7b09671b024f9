"""Changes of a YAML or JSON text at places given as JSON pointers: everything else stays, byte for byte.

A text is never written anew. The parser tells where each node begins and ends, and a change touches nothing but its own
lines. Each one is proven: the new text is parsed, and must differ from the old one in what was asked for, and in
nothing else. So an alias, a merge key or an odd layout can spoil a change, but never the document.
"""

import copy
import json
import re
from typing import Any, Final, TypeAlias

from attrs import evolve, field, frozen
from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from longcat.contract.openapi.document import parse_document, plain
from longcat.pointer import at


class UneditableError(ValueError):
    """A change that can't be made in the text as it stands. The message says why."""


@frozen
class Put:
    """Give the object at a pointer an entry: in the place of the entry `instead_of`, or at its end.

    `comment` is a line above it, where the text can have one; so it is for the other changes.
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
Collection: TypeAlias = MappingNode | SequenceNode


@frozen
class Source:
    """A text, what it says, and where.

    Attributes:
        text: without a byte order mark.
        document: in plain JSON values.
    """

    text: str
    document: dict[str, Any] = field(repr=False)
    _root: Node = field(repr=False, alias="root")
    _is_json: bool = field(repr=False, alias="is_json")

    @classmethod
    def read(cls, text: str) -> "Source":
        """Return a text, read. Raises SpecError for one that holds no OpenAPI document."""
        document = parse_document(text, "to change")
        return cls(text, document, _compose(text), text.lstrip().startswith("{"))

    def edited(self, edit: Edit) -> "Source":
        """Return the text with one change. Raises UneditableError."""
        try:
            wanted = _applied(self.document, edit)
            text = self._with(edit)
        except (LookupError, TypeError, AttributeError):
            raise UneditableError(f"the file has no {edit.pointer} of its own") from None
        try:
            new = evolve(self, text=text, document=_values(text, is_json=self._is_json), root=_compose(text))
        except ValueError:
            new = self
        except Exception as error:  # The parser has many ways to fail.
            raise UneditableError("the file is written in a way that does not allow it") from error
        if _canonical(new.document) != _canonical(wanted):
            raise UneditableError("the file is written in a way that does not allow it, perhaps with an alias")
        return new

    # --- What is done to the text.

    def _with(self, edit: Edit) -> str:
        if isinstance(edit, Put):
            node = self._node(edit.pointer)
            if edit.instead_of is not None:
                return self._replaced(node, edit, edit.instead_of)
            return self._added(node, {edit.name: edit.value}, edit.comment)
        if isinstance(edit, Append):
            return self._added(self._node(edit.pointer), [edit.value], edit.comment)
        owner, _, part = edit.pointer.rpartition("/")
        node = self._node(owner)
        return self._dropped(node, _index(node, part), edit.comment)

    def _replaced(self, node: Collection, edit: Put, old: str) -> str:
        key, value = node.value[_index(node, old)]
        start, end = key.start_mark.index, self._end(value)
        if node.flow_style:
            new = self._flow_entry(edit.name, edit.value)
        else:
            new = self._newline(" " * key.start_mark.column).join(_entry(edit.name, edit.value))
        return self._commented(start, edit.comment, self.text[:start] + new + self.text[end:])

    def _added(self, node: Collection, content: dict[str, Any] | list[Any], comment: str) -> str:
        """Return the text with one more entry or item at the end of a node."""
        if node.flow_style:
            return self._added_to_flow(node, content, comment)
        if not node.value or isinstance(node, MappingNode) is not isinstance(content, dict):
            raise LookupError
        first = node.value[0]
        column = (first[0] if isinstance(first, tuple) else node).start_mark.column
        place = self._line_end(self._end(node))
        lines = [*([f"# {comment}"] if comment else []), *_block(content)]
        new = "".join(f"{' ' * column}{line}{self._newline()}" for line in lines)
        head = self.text[:place]
        return f"{head}{'' if head.endswith(chr(10)) else self._newline()}{new}{self.text[place:]}"

    def _added_to_flow(self, node: Collection, content: dict[str, Any] | list[Any], comment: str) -> str:
        children = [one[-1] if isinstance(one, tuple) else one for one in node.value]
        if isinstance(node, MappingNode) is not isinstance(content, dict):
            raise LookupError
        start = self.text.index("{" if isinstance(content, dict) else "[", node.start_mark.index) + 1
        if not children:
            return self._commented(start, comment, self.text[:start] + self._flow_item(content) + self.text[start:])
        end = self._end(children[-1])
        last = node.value[-1][0] if isinstance(node, MappingNode) else node.value[-1]
        indent = self.text[self._line_start(last.start_mark.index) : last.start_mark.index]
        if "\n" not in self.text[node.start_mark.index : last.start_mark.index] or indent.strip():
            new = f", {self._flow_item(content)}"
            return self._commented(end, comment, self.text[:end] + new + self.text[end:])
        closing = self.text[self._line_start(node.end_mark.index) : node.end_mark.index]
        unit = indent[len(closing) - len(closing.lstrip()) :] or "  "
        lines = [] if self._is_json or not comment else [f"# {comment}"]
        lines += self._flow_item(content, unit).split("\n")
        new = f",{self._newline(indent)}" + self._newline(indent).join(lines)
        return self.text[:end] + new + self.text[end:]

    def _dropped(self, node: Collection, index: int, comment: str) -> str:
        pairs = [one if isinstance(one, tuple) else (one, one) for one in node.value]
        spans = [(first.start_mark.index, self._end(last)) for first, last in pairs]
        start, end = spans[index]
        if node.flow_style:
            if index + 1 < len(spans):
                end = spans[index + 1][0]
            elif index:
                start = spans[index - 1][1]
            return self._commented(spans[0][0], comment, self.text[:start] + self.text[end:])
        if len(spans) == 1:
            raise UneditableError("nothing would be left beside it")
        if isinstance(node, SequenceNode):
            start = self.text.rindex("-", 0, start)
        line = self._line_start(start)
        if not self.text[line:start].strip():
            return self._commented(line, comment, self.text[:line] + self.text[self._line_end(end) :])
        if index + 1 == len(spans):
            raise UneditableError("its line holds something else")
        return self._commented(start, comment, self.text[:start] + self.text[spans[index + 1][0] :])

    def _commented(self, place: int, comment: str, text: str) -> str:
        """Return a text that is new from `place` on, with a comment above that place's line."""
        if self._is_json or not comment:
            return text
        line = self._line_start(place)
        indent = re.match(r" *", self.text[line:])
        new = f"{indent[0] if indent else ''}# {comment}{self._newline()}"
        return text if text[:line].endswith(new) else text[:line] + new + text[line:]

    # --- Places.

    def _node(self, pointer: str) -> Collection:
        node = self._root
        for part in pointer.split("/")[1:]:
            inner = node.value[_index(node, part)]
            node = inner[1] if isinstance(inner, tuple) else inner
        if isinstance(node, MappingNode | SequenceNode):
            return node
        raise LookupError(pointer)

    def _end(self, node: Node) -> int:
        """Return where the text of a node ends: before line ends, and comments after it."""
        while isinstance(node, MappingNode | SequenceNode) and not node.flow_style and node.value:
            last = node.value[-1]
            node = last[1] if isinstance(last, tuple) else last
        end: int = node.end_mark.index
        while end > node.start_mark.index and self.text[end - 1].isspace():
            end -= 1
        return end

    def _line_start(self, place: int) -> int:
        return self.text.rfind("\n", 0, place) + 1

    def _line_end(self, place: int) -> int:
        end = self.text.find("\n", place)
        return len(self.text) if end < 0 else end + 1

    def _newline(self, indent: str = "") -> str:
        return ("\r\n" if "\r\n" in self.text else "\n") + indent

    # --- What is written.

    def _flow_item(self, content: dict[str, Any] | list[Any], unit: str = "") -> str:
        """Return the one entry or item of some content."""
        if isinstance(content, list):
            return self._flow(content[0], unit)
        ((name, value),) = content.items()
        return self._flow_entry(name, value, unit)

    def _flow_entry(self, name: str, value: Any, unit: str = "") -> str:
        return f"{_json(name) if self._is_json else _scalar(name)}: {self._flow(value, unit)}"

    def _flow(self, value: Any, unit: str = "") -> str:
        return _json(value, unit) if self._is_json else _flow(value)


def _compose(text: str) -> Node:
    # JSON may be indented with tabs, which YAML forbids. As one character each, they change no place.
    root: Node = YAML(typ="safe", pure=True).compose(text.replace("\t", " ") if text.lstrip().startswith("{") else text)
    return root


def _values(text: str, *, is_json: bool) -> dict[str, Any]:
    value = json.loads(text) if is_json else YAML(typ="safe", pure=True).load(text)
    found: dict[str, Any] = plain(value)
    return found


def _index(node: Node, part: str) -> int:
    name = part.replace("~1", "/").replace("~0", "~")
    if isinstance(node, MappingNode):
        for index, (key, _) in enumerate(node.value):
            if key.value == name:
                return index
    elif isinstance(node, SequenceNode) and name.isdigit() and int(name) < len(node.value):
        return int(name)
    raise LookupError(part)


def _applied(document: dict[str, Any], edit: Edit) -> dict[str, Any]:
    """Return a copy of a document with a change."""
    new = copy.deepcopy(document)
    if isinstance(edit, Put):
        owner = at(new, edit.pointer)
        if edit.instead_of is not None:
            del owner[edit.instead_of]
        owner[edit.name] = edit.value
    elif isinstance(edit, Append):
        at(new, edit.pointer).append(edit.value)
    else:
        place, _, part = edit.pointer.rpartition("/")
        owner = at(new, place)
        del owner[int(part) if isinstance(owner, list) else part.replace("~1", "/").replace("~0", "~")]
    return new


def _canonical(document: Any) -> str:
    return json.dumps(document, sort_keys=True)


# --- Values as text.

# Texts that YAML reads as such without quotes, in every place.
_PLAIN: Final = re.compile(r"\$?[A-Za-z_][A-Za-z0-9_./+-]*(?: [A-Za-z0-9_./+-]+)*\.?")
_OTHER: Final = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


def _json(value: Any, unit: str = "") -> str:
    return json.dumps(value, indent=unit or None, ensure_ascii=not str(value).isprintable())


def _scalar(value: Any) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    if _PLAIN.fullmatch(value) and value.lower() not in _OTHER:
        return value
    text = json.dumps(value, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_scalar(name)}: {_flow(inner)}' for name, inner in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_flow, value))}]"
    return _scalar(value)


def _block(content: dict[str, Any] | list[Any]) -> list[str]:
    """Return the lines of an object or list in block style."""
    if isinstance(content, dict):
        return [line for name, value in content.items() for line in _entry(name, value)]
    lines = []
    for item in content:
        inner = _block(item) if isinstance(item, dict | list) and item else [_flow(item)]
        lines += [f"- {inner[0]}", *(f"  {line}" for line in inner[1:])]
    return lines


def _entry(name: str, value: Any) -> list[str]:
    is_deep = isinstance(value, list) and any(isinstance(item, dict | list) for item in value)
    if value and (isinstance(value, dict) or is_deep):
        return [f"{_scalar(name)}:", *(f"  {line}" for line in _block(value))]
    return [f"{_scalar(name)}: {_flow(value)}"]

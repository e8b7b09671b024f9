"""Changes as an OpenAPI Overlay 1.0 document: for a contract that somebody else maintains."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from longcat.contract.patches.edit import Append, Edit, Put, with_edit
from longcat.text.pointer import at, escape, last_name, parent, split

VERSION: Final = "1.0.0"


def overlay(document: Any, edits: Iterable[Edit], extends: str) -> dict[str, Any]:
    """Return the Overlay whose actions make some changes, one after the other.

    Args:
        document: the contract, before the changes.
        edits: at least one. Raises UneditableError for one that does not fit the document.
        extends: the file or the URL of the contract.
    """
    info = document.get("info")
    title = info.get("title") if isinstance(info, dict) else None
    actions: list[dict[str, Any]] = []
    for edit in edits:
        actions += _actions(document, edit)
        document = with_edit(document, edit)
    return {
        "overlay": VERSION,
        "info": {"title": f"{title or 'The API'}, as it was seen", "version": VERSION},
        "extends": extends,
        "actions": actions,
    }


def _actions(document: Any, edit: Edit) -> Iterator[dict[str, Any]]:
    about = {"description": edit.comment} if edit.comment else {}
    old, new = edit.pointer, None
    if isinstance(edit, Append):
        # Readers differ in what an update of a list means, so the list is written anew.
        new = parent(edit.pointer), {last_name(edit.pointer): [*at(document, edit.pointer), edit.value]}
    elif isinstance(edit, Put):
        old = "" if edit.instead_of is None else f"{edit.pointer}/{escape(edit.instead_of)}"
        new = edit.pointer, {edit.name: edit.value}
    # An update is merged into what is there, and how depends on what that is. So the old value goes first.
    if old:
        yield {"target": _json_path(document, old), **about, "remove": True}
    if new is not None:
        yield {"target": _json_path(document, new[0]), **about, "update": new[1]}


def _json_path(document: Any, pointer: str) -> str:
    """Return the normalized JSONPath (RFC 9535, section 2.7) of what a JSON pointer leads to."""
    path, node = "$", document
    for name in split(pointer):
        is_list = isinstance(node, list)
        path += f"[{name}]" if is_list else f"['{_escaped(name)}']"
        node = node[int(name)] if is_list else node[name]
    return path


_ESCAPES: Final = {"\\": r"\\", "'": r"\'", "\b": r"\b", "\t": r"\t", "\n": r"\n", "\f": r"\f", "\r": r"\r"}


def _escaped(name: str) -> str:
    return "".join(_ESCAPES.get(one) or (one if one >= " " else f"\\u{ord(one):04x}") for one in name)

"""JSON pointers (RFC 6901): where something stands in a JSON document, as in `/paths/~1cats/get`."""

from collections.abc import Iterable
from typing import Any


def escape(name: str) -> str:
    """Return a name as it stands between the slashes of a pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def unescape(part: str) -> str:
    """Return the name that a part of a pointer stands for."""
    return part.replace("~1", "/").replace("~0", "~")


def join(path: Iterable[str | int]) -> str:
    """Return the pointer for a path of names and indexes. It is empty for the document itself."""
    return "".join(f"/{escape(str(part))}" for part in path)


def split(pointer: str) -> list[str]:
    """Return the names and indexes in a pointer; an index is a text of digits."""
    return [unescape(part) for part in pointer.split("/")[1:]]


def parent(pointer: str) -> str:
    """Return the pointer of the object or list that holds what stands at a pointer."""
    return pointer.rpartition("/")[0]


def last_name(pointer: str) -> str:
    """Return the name, or the index as a text, under which the parent holds what stands at a pointer."""
    return unescape(pointer.rpartition("/")[2])


def at(document: Any, pointer: str) -> Any:
    """Return what stands at a pointer. Raises LookupError, with the pointer, when nothing does."""
    node = document
    for name in split(pointer):
        try:
            node = node[int(name)] if isinstance(node, list) else node[name]
        except (LookupError, TypeError, ValueError):
            raise LookupError(pointer) from None
    return node

"""Where in a file a JSON pointer stands."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError


def line_finder(path: Path) -> Callable[[str], int]:
    """Return a function from a JSON pointer to its line, counted from 1: the nearest parent's where it has none.

    JSON is YAML, so one reader will do for both. A file that can't be read has one line.
    """
    try:
        document = YAML(typ="rt", pure=True).load(path.read_text("utf-8"))
    except (OSError, ValueError, YAMLError):
        document = None

    def line_of(pointer: str) -> int:
        node, line = document, 1
        for part in pointer.split("/")[1:]:
            found = _step(node, part.replace("~1", "/").replace("~0", "~"))
            if found is None:
                break
            node, line = found
        return line

    return line_of


def _step(node: Any, name: str) -> tuple[Any, int] | None:
    """Return what a node has by this name, and the line on which it begins. None: nothing."""
    try:
        if isinstance(node, CommentedMap):
            key: Any = name if name in node else int(name)  # A status code without quotes is a number to YAML.
            return node[key], node.lc.key(key)[0] + 1
        if isinstance(node, CommentedSeq):
            return node[int(name)], node.lc.item(int(name))[0] + 1
    except (KeyError, IndexError, ValueError, TypeError):
        return None
    return None

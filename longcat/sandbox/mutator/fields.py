"""The fields of a JSON value: where they are, how they are changed, and what else they might be called."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias

FieldPath: TypeAlias = tuple[str | None, ...]
"""Names of fields, from the outermost; None stands for every item of a list."""
OwnerChange: TypeAlias = Callable[[dict[str, Any], str], dict[str, Any]]
"""Takes an object and the name of one of its fields, and returns the object with that field changed."""

SYNONYMS: Final = {"status": "state", "progress": "percent", "error": "message", "output": "result", "message": "text"}
TELLING_ENDS: Final = frozenset({"id", "url", "uri", "urls", "name", "token"})
"""Words at the end of a name that say what the field is: `result_url` may become `url`."""


def fields_in(value: Any, path: FieldPath = ()) -> Iterator[tuple[FieldPath, Any]]:
    """Yield every field of a value, outermost first. A list has those of its first item."""
    if isinstance(value, dict):
        yield from (((*path, name), inner) for name, inner in value.items())
        for name, inner in value.items():
            yield from fields_in(inner, (*path, name))
    elif isinstance(value, list) and value:
        yield from fields_in(value[0], (*path, None))


def in_owner(path: FieldPath, change: OwnerChange) -> Callable[[Any], Any]:
    """Return a function that changes a field of a body. A body without the field stays as it is."""

    def edited(value: Any, rest: FieldPath) -> Any:
        if rest[0] is None:
            return [edited(item, rest[1:]) for item in value] if isinstance(value, list) else value
        if not isinstance(value, dict) or rest[0] not in value:
            return value
        if len(rest) == 1:
            return change(value, rest[0])
        return {**value, rest[0]: edited(value[rest[0]], rest[1:])}

    return lambda body: edited(body, path)


def drop(owner: dict[str, Any], name: str) -> dict[str, Any]:
    """Leave a field out."""
    return {one: value for one, value in owner.items() if one != name}


def rename(new: str) -> OwnerChange:
    """Return a change that gives a field another name, in its place."""
    return lambda owner, name: {new if one == name else one: value for one, value in owner.items()}


def put(make: Callable[[Any], Any], like: Any = None) -> OwnerChange:
    """Return a change that puts `make(value)` in the place of a value of the type of `like`. None: any type."""
    wanted = object if like is None else (int, float) if type(like) in {int, float} else type(like)
    return lambda owner, name: {
        one: make(value) if one == name and isinstance(value, wanted) else value for one, value in owner.items()
    }


def move_into(outer: str) -> OwnerChange:
    """Return a change that moves a field into a new object."""
    return lambda owner, name: drop(owner, name) | {outer: {name: owner[name]}}


# --- Names.


def words_in(name: str) -> list[str]:
    """Return the words that a name is made of, in lower case."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)]


def recased(name: str) -> str:
    """Return a name in another style: camelCase for snake_case and kebab-case, else snake_case, else a capital."""
    words = words_in(name)
    if len(words) < 2:  # noqa: PLR2004 - one word has no style but its case.
        return name.capitalize() if name != name.capitalize() else name.lower()
    camel = words[0] + "".join(map(str.capitalize, words[1:]))
    return "_".join(words) if name == camel else camel


def renamed(name: str, others: Mapping[str, Any], *, alike: bool) -> str:
    """Return another name that no other field has. `alike`: both must share a word, as nothing else links them."""
    words = words_in(name)
    if len(words) > 1:
        new = words[-1] if words[-1] in TELLING_ENDS else words[0]
    else:
        new = f"{name}_value" if alike else SYNONYMS.get(name, f"{name}_value")
    return new if new not in others else f"new_{name}"


def dashed(name: str) -> str:
    """Return a name as a part of the name of a drift."""
    return "-".join(words_in(name)) or "field"

"""The items that there are to see in a value: the fields, words and members of unions of its schemas, as a tree.

A place in a value is an item, not a schema: where two fields have the same schema, each has items of its own. A schema
that leads back to itself is entered once: what is deeper counts for the place where it stands first.
"""

import json
from collections import Counter, deque
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from typing import Any, Final

from attrs import Factory, define, field, frozen

from longcat.contract.openapi.errors import UnjudgeableError
from longcat.contract.openapi.schema.fields import Direction
from longcat.contract.openapi.schema.schemas import Schemas
from longcat.contract.openapi.schema.variants import Variants
from longcat.text import shorten, show
from longcat.text.pointer import escape, last_name, parent

MAX_BODY_ITEMS: Final = 2000
"""How many items of one body count: those nearest to its top. Schemas that refer to each other may list millions."""
MAX_ITEM_DEPTH: Final = 50
"""How deep in a body an item may be that counts."""
_ANNOTATIONS: Final = frozenset({"$ref", "$comment", "title", "summary", "description", "example", "examples"})
_ALTERNATIVES: Final = ("then", "else")


class ItemKind(StrEnum):
    """The kinds of items. The order is that of the reports."""

    OPERATION = "operation"
    STATUS = "status"
    PARAMETER = "parameter"
    HEADER = "header"
    FIELD = "field"
    VALUE = "value"
    MEMBER = "member"


@define(eq=False)
class Content:
    """The items in a value.

    Attributes:
        fields: by their names.
        inner: by where their schemas stand: items of lists, values of maps, and members of unions.
        values: those that an `enum` or `const` lists, by what `key_of_value` makes of them.
        unions: where each `oneOf` and `anyOf` stands.
        subtypes: what tells those schemas apart that extend one of this value's.
    """

    fields: "dict[str, Item]" = Factory(dict)
    inner: "dict[str, Item]" = Factory(dict)
    values: "dict[Hashable, Item]" = Factory(dict)
    unions: dict[str, None] = Factory(dict)
    subtypes: list[Variants] = Factory(list)

    def items(self) -> "Iterator[Item]":
        """Yield all of them."""
        yield from self.values.values()
        yield from self.fields.values()
        yield from self.inner.values()


EMPTY: Final = Content()
"""The content of all items that hold nothing. Nothing is ever added to it."""


@define(eq=False)
class Item:
    """A place in a value.

    Attributes:
        kind: FIELD, VALUE or MEMBER. None: it only leads to others, as the items of a list do, and does not count.
        name: of the field or member, `*` for the items of a list and the values of a map, or the value as JSON.
        pointers: where its schemas stand in the spec.
        schemas: where all those stand that say what is in it, those included that apply to some values only.
        content: what is in it. An item that leads back to one above shares the content of that one.
        above: the item that this one is in. None: it is the top.
        value: of a VALUE.
        level: how many items it is in.
        is_subtype: whether it is a schema that extends the one above, so that it lists only what that one does not.
    """

    kind: ItemKind | None
    name: str
    pointers: tuple[str, ...]
    schemas: tuple[str, ...] = field(default=(), repr=False)
    content: Content = field(default=EMPTY, repr=False)
    above: "Item | None" = field(default=None, repr=False)
    value: Any = None
    level: int = 0
    is_subtype: bool = False

    @property
    def is_folded(self) -> bool:
        """Whether its content is that of an item above."""
        return any(self.content is one.content for one in self.ancestors())

    def ancestors(self) -> "Iterator[Item]":
        """Yield the items above, the nearest first."""
        one = self.above
        while one is not None:
            yield one
            one = one.above

    def children(self) -> "Iterator[Item]":
        """Yield the items that are directly in this one."""
        if not self.is_folded:
            yield from self.content.items()

    @property
    def place(self) -> str:
        """Its place in the value, such as `/files/*/lang`. A member of a union is in brackets: `/pet(Cat)/name`."""
        names = [one.step for one in self.ancestors()]
        return "".join([*reversed(names), self.step])

    @property
    def step(self) -> str:
        """The last part of the place."""
        if self.above is None or self.kind is ItemKind.VALUE:
            return ""
        return f"({shorten(self.name)})" if self.kind is ItemKind.MEMBER else f"/{shorten(escape(self.name), 200)}"


@frozen
class Tree:
    """The items of a value.

    Attributes:
        top: the value itself.
        counts: how many there are, by kind.
        is_cut: whether there are more than count.
    """

    top: Item
    counts: Counter[ItemKind]
    is_cut: bool = False


@frozen
class _Listing:
    """The items that a schema lists: see `Item`."""

    kind: ItemKind | None
    name: str
    pointers: tuple[str, ...]
    schemas: tuple[str, ...] = ()
    value: Any = None
    is_subtype: bool = False


class Trees:
    """Makes the trees of the schemas of one document.

    Attributes:
        defects: where the spec can't be read, as far as trees were made. What is there does not count.
    """

    def __init__(self, schemas: Schemas) -> None:
        self.defects: dict[str, None] = {}
        self._schemas = schemas
        self._listings: dict[tuple[tuple[str, ...], Direction, bool], tuple[_Listing, ...]] = {}
        self._kept: dict[tuple[tuple[str, ...], Direction], Tree] = {}
        self._counted: dict[tuple[tuple[str, ...], Direction], Tree] = {}

    @contextmanager
    def reading(self, pointer: str) -> Iterator[None]:
        """Read something of the spec, and remember its place if that is not possible. The block ends there."""
        try:
            yield
        except (UnjudgeableError, LookupError):
            self.defects[pointer] = None

    def tree(self, pointer: str, direction: Direction) -> Tree:
        """Return the tree of the schema at a pointer; the same one each time, and for each reference to a schema."""
        key = self.applied(pointer), direction
        if key not in self._kept:
            self._kept[key] = self._grow(Item(None, "", (pointer,), key[0]), direction)
        return self._kept[key]

    def outline(self, pointer: str, direction: Direction) -> Tree:
        """Return a tree with the same counts and without items, which would take memory."""
        key = self.applied(pointer), direction
        if key in self._kept:
            return self._kept[key]
        if key not in self._counted:
            found = self._grow(Item(None, "", (pointer,), key[0]), direction)
            self._counted[key] = Tree(Item(None, "", (pointer,)), found.counts, found.is_cut)
        return self._counted[key]

    def _grow(self, top: Item, direction: Direction) -> Tree:
        """Enter what there is, level by level, until there is too much."""
        counts: Counter[ItemKind] = Counter()
        pending, left, is_cut = deque([top]), MAX_BODY_ITEMS, False
        while pending and left:
            item = pending.popleft()
            known = next((one for one in item.ancestors() if one.schemas == item.schemas), None)
            if known is not None:
                item.content = known.content
                continue
            listings = self._of(item, direction)
            allowed = left if item.level < MAX_ITEM_DEPTH else 0
            is_cut |= len(listings) > allowed
            item.content = Content() if listings and allowed else EMPTY
            if any(one.is_subtype for one in listings[:allowed]):
                item.content.subtypes = self.variants(item.schemas)
            for one in listings[:allowed]:
                left -= 1
                child = _enter(one, item)
                if one.kind is not None:
                    counts[one.kind] += 1
                if one.schemas:
                    pending.append(child)
        return Tree(top, counts, is_cut=is_cut or bool(pending))

    def _of(self, item: Item, direction: Direction) -> tuple[_Listing, ...]:
        key = item.schemas, direction, item.is_subtype
        if key not in self._listings:
            self._listings[key] = ()
            with self.reading(item.pointers[0]):
                subtypes = () if item.is_subtype else self._subtypes(item.schemas)
                self._listings[key] = (*self._read(item.schemas, direction), *subtypes)
        return self._listings[key]

    def _read(self, schemas: tuple[str, ...], direction: Direction) -> Iterator[_Listing]:
        """Yield what some schemas list together."""
        values: dict[Hashable, tuple[str, Any]] = {}
        for pointer in schemas:
            for where, value in _values(self._schemas.at(pointer), pointer):
                values.setdefault(key_of_value(value), (where, value))
        for where, value in values.values():
            yield _Listing(ItemKind.VALUE, show(value), (where,), value=value)
        fields = self._schemas.fields(schemas, direction)
        for name, pointers in fields.named.items():
            if name not in fields.left_out and not any(self._schemas.at(one) is False for one in pointers):
                yield _Listing(ItemKind.FIELD, name, pointers, self.applied(*pointers))
        for pointer in (*fields.patterns.values(), *fields.others):
            yield _Listing(None, "*", (pointer,), self.applied(pointer))
        for pointer in schemas:
            yield from self._read_inner(self._schemas.at(pointer), pointer)

    def variants(self, schemas: tuple[str, ...]) -> list[Variants]:
        """Return what tells apart those schemas that extend one of these, where none of these is such a one."""
        found = [variants for one in schemas if (variants := self._schemas.subtypes.of(one)) is not None]
        return [one for one in found if len({*one.branches.values()}.intersection(schemas)) <= 1]

    def _subtypes(self, schemas: tuple[str, ...]) -> Iterator[_Listing]:
        """Yield the schemas that extend one of these, each with what it adds."""
        branches = [where for variants in self.variants(schemas) for where in variants.branches.values()]
        for where in dict.fromkeys(branches):
            if where not in schemas:
                added = tuple(one for one in self.applied(where) if one not in schemas)
                yield _Listing(ItemKind.MEMBER, last_name(where), (where,), added, is_subtype=True)

    def _read_inner(self, schema: Any, pointer: str) -> Iterator[_Listing]:
        for index, _ in enumerate(_list(schema, "prefixItems")):
            where = f"{pointer}/prefixItems/{index}"
            yield _Listing(None, str(index), (where,), self.applied(where))
        if isinstance(schema, Mapping) and isinstance(schema.get("items"), Mapping):
            yield _Listing(None, "*", (f"{pointer}/items",), self.applied(f"{pointer}/items"))
        for keyword in ("oneOf", "anyOf"):
            names: Counter[str] = Counter()
            for index, branch in enumerate(_list(schema, keyword)):
                name = _name_of(branch, index)
                names[name] += 1
                unique = name if names[name] == 1 else f"{name} {names[name]}"
                where = f"{pointer}/{keyword}/{index}"
                yield _Listing(ItemKind.MEMBER, unique, (where,), self.applied(where))

    def applied(self, *pointers: str) -> tuple[str, ...]:
        """Return where all schemas stand that say something of a value: those that are mere references are left out.

        What applies to some values only, by `if` or `dependentSchemas`, is among them.
        """
        found: dict[str, None] = {}
        pending = [*pointers]
        while pending:
            pointer = pending.pop(0)
            applied: tuple[str, ...] = ()
            with self.reading(pointer):
                applied = self._schemas.applied((pointer,))
            for one in applied:
                schema = self._schemas.at(one)
                if one not in found and isinstance(schema, Mapping):
                    found[one] = None
                    pending += (f"{one}/{name}" for name in _ALTERNATIVES if isinstance(schema.get(name), Mapping))
                    dependent = schema.get("dependentSchemas")
                    names = dependent if isinstance(dependent, Mapping) else ()
                    pending += (f"{one}/dependentSchemas/{escape(name)}" for name in names)
        return tuple(pointer for pointer in found if not self._is_reference(pointer))

    def _is_reference(self, pointer: str) -> bool:
        schema = self._schemas.at(pointer)
        return "$ref" in schema and schema.keys() <= _ANNOTATIONS


def _enter(listing: _Listing, item: Item) -> Item:
    """Enter what a schema lists into the content of an item."""
    child = Item(listing.kind, listing.name, listing.pointers, listing.schemas, above=item, level=item.level + 1)
    content, where = item.content, listing.pointers[0]
    if listing.kind is ItemKind.VALUE:
        child.value = listing.value
        content.values[key_of_value(listing.value)] = child
    elif listing.kind is ItemKind.FIELD:
        content.fields[listing.name] = child
    else:
        content.inner[where] = child
    child.is_subtype = listing.is_subtype
    if listing.kind is ItemKind.MEMBER and not listing.is_subtype:
        content.unions[parent(where)] = None
    return child


def key_of_value(value: Any) -> Hashable:
    """Return a key that is the same for values which are the same in JSON, where 1 is not true and is 1.0."""
    if isinstance(value, dict | list):
        return "json", json.dumps(value, sort_keys=True)
    return "boolean" if isinstance(value, bool) else "scalar", value


def _values(schema: Any, pointer: str) -> Iterator[tuple[str, Any]]:
    for value in _list(schema, "enum")[:MAX_BODY_ITEMS]:
        yield f"{pointer}/enum", value
    if isinstance(schema, Mapping) and "const" in schema:
        yield f"{pointer}/const", schema["const"]


def _list(schema: Any, keyword: str) -> list[Any]:
    found = schema.get(keyword) if isinstance(schema, Mapping) else None
    return found if isinstance(found, list) else []


def _name_of(branch: Any, index: int) -> str:
    """Return what a member of a union is called: by its component, its title or its type, else by its number."""
    if isinstance(branch, Mapping):
        for name in (last_name(str(branch.get("$ref", ""))), branch.get("title"), branch.get("type")):
            if isinstance(name, str) and name:
                return name
    return str(index + 1)

"""What in a value differs from its schema, read closed: each difference by its kind, place and rule.

The validator of `schemas` decides whether a value is right. What it says of one that is wrong is too much and too
little: a renamed field is one field missing and another one not allowed, an unknown status word fails every variant.
So this module walks value and schema side by side, chooses the variant that was meant, lets the validator judge each
value by itself, and sees with `fields` what belongs together. What it has no name for is still found, as
`constraint-broken`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from attrs import Factory, define, frozen

from longcat.contract.checks.fields import Fields, Lost, explain, unwrapped
from longcat.contract.checks.mismatch import Mismatch, Path, seen, tidy, words
from longcat.contract.openapi.schemas import Breach, Schemas
from longcat.contract.openapi.variants import Variants, normal, variants_of
from longcat.pointer import escape
from longcat.text import shorten

CODE_OF: Final[Mapping[str, str]] = {
    "type": "type-changed",
    "const": "value-undocumented",
    "enum": "value-undocumented",
    "minimum": "value-out-of-range",
    "exclusiveMinimum": "value-out-of-range",
    "maximum": "value-out-of-range",
    "exclusiveMaximum": "value-out-of-range",
    "multipleOf": "value-out-of-range",
    "minLength": "value-out-of-range",
    "maxLength": "value-out-of-range",
    "pattern": "format-changed",
    "format": "format-changed",
}
"""The kind of a difference, by the keyword that is broken; of any other keyword, `constraint-broken`."""
MOST_ITEMS: Final = 100
"""How many items of a list are read one by one."""
GONE: Final = frozenset({"field-missing", "field-moved", "field-renamed"})


@define
class _Parts:
    """The schemas that a value must fit all at once, and what was seen on the way to them.

    Attributes:
        pointers: where they stand, in the order in which they were met.
        flaws: of the choice between variants.
        is_guess: whether the value's variant is unknown, so that its fields can't be judged.
    """

    pointers: list[str] = Factory(list)
    mismatches: list[Mismatch] = Factory(list)
    is_guess: bool = False


@frozen
class Reader:
    """Reads values by the schemas of a document.

    Attributes:
        scheme: by which the gateway was asked. An address in its answer may have it, too, as the sandbox's have.
    """

    schemas: Schemas
    scheme: str = ""

    def read(self, pointer: str, value: Any, examples: Sequence[Any] = ()) -> list[Mismatch]:
        """Return how a value differs from the schema at a pointer. `examples` are values that the contract shows."""
        try:
            return self._read(pointer, value, examples)
        except RecursionError:
            return [Mismatch("constraint-broken", (), pointer, "a value that can be read", "one nested too deeply")]

    def _read(self, pointer: str, value: Any, examples: Sequence[Any]) -> list[Mismatch]:
        mismatches = list(self._mismatches([pointer], value, (), examples))
        if any(mismatch.code in GONE or _is_another_type(mismatch, ()) for mismatch in mismatches):
            for path, inner in unwrapped(value):
                nested = list(self._mismatches([pointer], inner, path, examples))
                if self._is_whole(pointer, inner, path, nested):
                    return [Mismatch("enveloped", path, pointer, "the fields at the top", seen(value), value), *nested]
        if not mismatches and not self.schemas.is_valid(pointer, value, closed=True):
            for one in self.schemas.breaches(pointer, value, closed=True):
                return [
                    Mismatch("constraint-broken", one.path, one.pointer, tidy(shorten(one.message, 200)), seen(value))
                ]
        return mismatches

    def _is_whole(self, pointer: str, inner: Any, path: Path, mismatches: Sequence[Mismatch]) -> bool:
        """Whether a value from inside of another is the one that should have been in its place."""
        if any(
            _is_another_type(mismatch, path) or (mismatch.code in GONE and mismatch.path[:-1] == path)
            for mismatch in mismatches
        ):
            return False
        # An object that need not have any field fits many a schema by chance.
        return isinstance(inner, list) or bool(self.fields(pointer, inner).required.keys() & inner.keys())

    def fields(self, pointer: str, value: Any) -> Fields:
        """Return what the schema at a pointer says about the fields of a value."""
        return self.fields_of([pointer], value)

    def _mismatches(
        self, pointers: Sequence[str], value: Any, path: Path, examples: Sequence[Any]
    ) -> Iterator[Mismatch]:
        parts = self._gather(pointers, value, path)
        wrong = next(self._broken(parts.pointers, value, path), None)
        if wrong is not None:
            yield wrong
            return  # What else is wrong with this value follows from it, or will be seen once it is mended.
        yield from parts.mismatches
        if isinstance(value, dict) and not parts.is_guess:
            alike = [one for one in examples if self._is_alike(pointers, one, parts)]
            yield from self._object(parts.pointers, value, path, alike)
        elif isinstance(value, list):
            yield from self._list(parts.pointers, value, path, examples)
        elif isinstance(value, str):
            yield from self._text(parts.pointers, value, path, examples)

    # --- Which schemas apply.

    def _gather(self, pointers: Sequence[str], value: Any, path: Path) -> _Parts:
        parts = _Parts()
        for pointer in pointers:
            self._add(pointer, value, path, parts)
        return parts

    def _add(self, pointer: str, value: Any, path: Path, parts: _Parts) -> None:
        """Add the schema at a pointer, and all that it applies to the same value."""
        if pointer in parts.pointers:
            return
        schema = self.schemas.at(pointer)
        parts.pointers.append(pointer)
        for place in self._applied(schema, pointer, value) if isinstance(schema, Mapping) else ():
            self._add(place, value, path, parts)
        for keyword in ("oneOf", "anyOf"):
            if isinstance(schema, Mapping) and keyword in schema:
                for place in self._choose(f"{pointer}/{keyword}", value, path, parts):
                    self._add(place, value, path, parts)

    def _applied(self, schema: Mapping[str, Any], pointer: str, value: Any) -> Iterator[str]:
        """Yield where the schemas stand that a schema applies to the same value, without a choice to make."""
        if isinstance(schema.get("$ref"), str):
            yield self.schemas.target(schema["$ref"])
        yield from (f"{pointer}/allOf/{index}" for index, _ in enumerate(schema.get("allOf", ())))
        if "if" in schema:
            names = ("if", "then") if self.schemas.is_valid(f"{pointer}/if", value) else ("else",)
            yield from (f"{pointer}/{name}" for name in names if name in schema)
        for name in schema.get("dependentSchemas", ()):
            if isinstance(value, dict) and name in value:
                yield f"{pointer}/dependentSchemas/{escape(name)}"

    def _choose(self, pointer: str, value: Any, path: Path, parts: _Parts) -> list[str]:
        """Return which of the schemas of a `oneOf` or `anyOf` the value is meant to fit."""
        branches = [f"{pointer}/{index}" for index, _ in enumerate(self.schemas.at(pointer))]
        variants = variants_of(self.schemas, pointer)
        if variants is not None and isinstance(value, dict) and isinstance(value.get(variants.name), str):
            return self._by_word(variants, value, path, parts)
        fitting = [branch for branch in branches if self.schemas.is_valid(branch, value)]
        if fitting:
            # Several of an `anyOf` may fit, and each explains some of the fields.
            return fitting if pointer.endswith("/anyOf") else fitting[:1]
        return [min(branches, key=lambda branch: self._distance(branch, value))]

    def _by_word(self, variants: Variants, value: Mapping[str, Any], path: Path, parts: _Parts) -> list[str]:
        word = value[variants.name]
        if word in variants.branches:
            return [variants.branches[word]]
        known = variants.recased(word)
        if known is not None:
            return [variants.branches[known]]  # There, the word itself is found to be another one.
        code = "value-undocumented" if word.strip() else "value-empty"
        expected = " or ".join(variants.branches)
        parts.mismatches.append(Mismatch(code, (*path, variants.name), variants.rule, expected, seen(word), word))
        parts.is_guess = True
        return []

    def _distance(self, branch: str, value: Any) -> int:
        """Return how far a value is from a schema: how many differences there are, and more if all of it differs."""
        return sum(1 if mismatch.path else 1000 for mismatch in self._mismatches([branch], value, (), ()))

    def _is_alike(self, pointers: Sequence[str], example: Any, parts: _Parts) -> bool:
        return isinstance(example, dict) and self._gather(pointers, example, ()).pointers == parts.pointers

    # --- What a value itself must be.

    def _broken(self, pointers: Sequence[str], value: Any, path: Path) -> Iterator[Mismatch]:
        """Yield what the value itself breaks, whatever is in it; another type first."""
        breaches: list[Breach] = []
        for pointer in pointers:
            schema = self.schemas.at(pointer)
            if schema is False:
                yield Mismatch("field-new", path, pointer, "no such field", seen(value), value)
            elif isinstance(schema, Mapping):
                breaches += self.schemas.assertions(pointer, value)
        for one in sorted(breaches, key=lambda breach: breach.keyword != "type"):
            yield Mismatch(_code(one, value), path, one.pointer, words([{one.keyword: one.limit}]), seen(value), value)

    def _text(self, pointers: Sequence[str], value: str, path: Path, examples: Sequence[Any]) -> Iterator[Mismatch]:
        """Yield what is wrong with a text that no keyword forbids, going by what the contract shows in its place."""
        shown = [one for one in examples if isinstance(one, str)]
        if not shown or not all(one.strip() for one in shown):
            return
        if not value.strip():
            yield Mismatch("value-blank", path, pointers[0], f"text, such as {shown[0]}", seen(value), value)
        rule = next((one for one in pointers if self.schemas.at(one).get("format") in {"uri", "url"}), None)
        schemes = sorted({_scheme(one) for one in shown})
        if rule is not None and _scheme(value) not in {*schemes, self.scheme}:
            expected = f"an address that begins with {' or '.join(schemes)}:"
            yield Mismatch("format-changed", path, f"{rule}/format", expected, seen(value), value)

    # --- What is in it.

    def _object(
        self, pointers: Sequence[str], value: dict[str, Any], path: Path, examples: Sequence[Any]
    ) -> Iterator[Mismatch]:
        fields = Fields.of(self.schemas, pointers)
        unknown = {}
        for name, inner in value.items():
            places = fields.places(name)
            shown = [one[name] for one in examples if name in one]
            if places:
                yield from self._mismatches(places, inner, (*path, name), shown)
            elif fields.is_closed:
                unknown[name] = inner
        yield from explain(self, fields, list(_lost(fields, value, examples)), unknown, path)

    def _list(
        self, pointers: Sequence[str], value: list[Any], path: Path, examples: Sequence[Any]
    ) -> Iterator[Mismatch]:
        shown = [item for one in examples if isinstance(one, list) for item in one]
        known: set[tuple[str, str, Path]] = set()
        for index, item in enumerate(value[:MOST_ITEMS]):
            for mismatch in self._mismatches(list(self._items(pointers, index)), item, (*path, index), shown):
                kind = (mismatch.code, mismatch.rule, mismatch.path[len(path) + 1 :])
                if kind not in known:  # The same in every item is one difference.
                    known.add(kind)
                    yield mismatch

    def _items(self, pointers: Sequence[str], index: int) -> Iterator[str]:
        """Yield where the schemas of a list's item stand."""
        for pointer in pointers:
            schema = self.schemas.at(pointer)
            if isinstance(schema, Mapping) and index < len(schema.get("prefixItems", ())):
                yield f"{pointer}/prefixItems/{index}"
            elif isinstance(schema, Mapping) and "items" in schema:
                yield f"{pointer}/items"

    # --- What `fields` asks.

    def fits(self, places: Sequence[str], value: Any) -> bool:
        """Whether a value fits all schemas at these pointers; where there are none, nothing does."""
        return bool(places) and all(self.schemas.is_valid(place, value) for place in places)

    def inside(self, places: Sequence[str], value: Any, path: Path) -> Iterator[Mismatch]:
        """Yield how a value differs from the schemas at these pointers."""
        return self._mismatches(places, value, path, ())

    def fields_of(self, places: Sequence[str], value: Any) -> Fields:
        """Return what the schemas at these pointers say about the fields of a value."""
        return Fields.of(self.schemas, self._gather(places, value, ()).pointers)

    def words_for(self, places: Sequence[str]) -> str:
        """Return what the schemas at these pointers want."""
        return words(self.schemas.at(part) for part in self._gather(places, None, ()).pointers)


def _lost(fields: Fields, value: Mapping[str, Any], examples: Sequence[Mapping[str, Any]]) -> Iterator[Lost]:
    """Yield the fields that should be there and are not.

    One that may be absent, and never is where the contract shows such an answer, is missed as well.
    """
    for name, rule in fields.required.items():
        if name not in value:
            yield Lost(name, tuple(fields.named.get(name, ())), rule, is_required=True)
    for name, places in fields.named.items():
        if name not in value and name not in fields.required and examples and all(name in one for one in examples):
            yield Lost(name, tuple(places), places[0], is_required=False)


def _is_another_type(mismatch: Mismatch, path: Path) -> bool:
    return mismatch.path == path and mismatch.code == "type-changed"


def _code(breach: Breach, value: Any) -> str:
    code = CODE_OF.get(breach.keyword, "constraint-broken")
    if value is None:
        return "field-null"
    if isinstance(value, str) and code != "type-changed" and not value.strip():
        return "value-empty"
    if code == "value-undocumented" and isinstance(value, str):
        words_allowed = breach.limit if isinstance(breach.limit, list) else [breach.limit]
        if normal(value) in {normal(one) for one in words_allowed if isinstance(one, str)}:
            return "value-recased"
    return code


def _scheme(address: str) -> str:
    return address.partition(":")[0].lower()

"""Compares a value with its schema, which is read closed: each difference has a kind, a place and a rule.

The validator of `schemas` decides whether a value is right. What it says of one that is wrong is too much and too
little: a renamed field is one field missing and another one not allowed, an unknown status word fails every variant.
So this module walks value and schema side by side, chooses the variant that was meant, lets the validator judge each
value by itself, and sees with `renames` what belongs together. What it has no name for is still found, as
`constraint-broken`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from attrs import Factory, define, frozen

from longcat.contract.checks.mismatch import PRESENT, MapKey, Mismatch, Path, describe_assertions, distinct, show_value
from longcat.contract.checks.renames import MissingField, match_fields, unwrapped
from longcat.contract.model import Severity
from longcat.contract.openapi.examples import NO_EXAMPLES, Examples, scheme_of
from longcat.contract.openapi.limits import StepBudget, check_depth
from longcat.contract.openapi.schema.failure import SchemaFailure
from longcat.contract.openapi.schema.fields import Direction, Fields
from longcat.contract.openapi.schema.keywords import listed, types_of
from longcat.contract.openapi.schema.schemas import CONSTRAINTS, Breach, Schemas
from longcat.contract.openapi.schema.validator import ValidationMode
from longcat.contract.openapi.schema.variants import Variants, is_null, normal
from longcat.contract.placeholders import is_placeholder
from longcat.gateway.schema import MISSING
from longcat.text import shorten, without_queries
from longcat.text.pointer import at, escape, join

_RANGES: Final = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength")
CODE_OF: Final[Mapping[str, str]] = {
    "type": "type-changed",
    **dict.fromkeys(("const", "enum"), "value-undocumented"),
    **dict.fromkeys(_RANGES, "value-out-of-range"),
    **dict.fromkeys(("pattern", "format"), "format-changed"),
}
"""The kind of a difference, by the keyword that is broken; of any other keyword, `constraint-broken`."""
_ADDRESSES: Final = frozenset({"uri", "uri-reference", "url", "iri", "iri-reference", "email", "idn-email", "hostname"})
"""The formats whose values callers keep as texts: many services send an empty one where there is none."""
CONTAINERS: Final = (dict, list)
MAX_COMPARED_ITEMS: Final = 100
"""How many items of a list are compared one by one, and how many more of those that the validator refuses."""
MAX_SAMPLE: Final = 5
"""How many items of a list show which of several schemas was meant."""
COMPARISON_STEPS: Final = 1000
"""What it costs to compare one value with its schemas here, in steps of the validator."""
GONE: Final = frozenset({"field-missing", "field-moved", "field-renamed"})


@define
class _Selection:
    """The schemas that a value must fit all at once, and what was seen on the way to them.

    Attributes:
        pointers: where they stand: first those that apply to any value, then those that were chosen for this one.
        mismatches: of the choice between variants. Where there is one, the value's fields can't be judged.
    """

    pointers: tuple[str, ...] = ()
    mismatches: list[Mismatch] = Factory(list)


@frozen
class Comparison:
    """Compares values with the schemas of a document.

    Attributes:
        scheme: by which the gateway was asked. An address in its answer may have it, too, as the sandbox's have.
        examples_are_complete: whether what the examples of the contract show counts as what it says. Otherwise, a field
            that all of them have may be absent, and nothing else follows from them.
        is_filtered: whether a recorder may have put placeholders in the place of texts: nothing is known of these.
        direction: which way the values go.
        budget: what the exchange may cost. Where it is spent, UnjudgeableError is raised.
    """

    schemas: Schemas
    scheme: str = ""
    examples_are_complete: bool = False
    is_filtered: bool = False
    direction: Direction = Direction.RESPONSE
    budget: StepBudget = Factory(StepBudget)

    def allows(self, pointer: str, value: Any, *, closed: bool = False) -> bool:
        """Whether the schema at a pointer allows a value."""
        return self.failure(pointer, value, closed=closed) is None

    def failure(self, pointer: str, value: Any, *, closed: bool = False) -> SchemaFailure | None:
        """Return where a value first breaks the schema at a pointer. None: nowhere."""
        mode = ValidationMode(closed, self.direction, self.is_filtered)
        return self.schemas.failure(pointer, value, mode, self.budget)

    def compare(self, pointer: str, value: Any, examples: Examples = NO_EXAMPLES) -> list[Mismatch]:
        """Return how a value differs from the schema at a pointer. The examples are what the contract shows."""
        check_depth(value)
        mismatches = distinct(self._mismatches((pointer,), value, (), examples))
        if any((one.code in GONE and len(one.path) == 1) or _is_another_type(one, ()) for one in mismatches):
            documented = self.fields(pointer, value).named
            for path, inner in unwrapped(value):
                if path[0] in documented:
                    continue  # It has its own place in the answer, whatever it looks like.
                nested = distinct(self._mismatches((pointer,), inner, path, examples))
                if self._is_whole(pointer, value, inner, path, nested):
                    envelope = Mismatch("enveloped", path, pointer, "the fields at the top", show_value(value), value)
                    return [envelope, *nested]
        if not mismatches:
            failure = self.failure(pointer, value, closed=True)
            if failure is not None:
                path = self._marked(pointer, value, reversed(failure.path))
                expected = shorten(without_queries(failure.expected), 200)
                return [
                    Mismatch("constraint-broken", path, failure.pointer, expected, show_value(at(value, join(path))))
                ]
        return mismatches

    def _is_whole(self, pointer: str, outer: Any, inner: Any, path: Path, mismatches: Sequence[Mismatch]) -> bool:
        """Whether a value from inside of another, the outer one, is the one that should have been in its place."""
        for mismatch in mismatches:
            is_field = mismatch.path[:-1] == path
            if _is_another_type(mismatch, path) or (mismatch.code in GONE and is_field):
                return False
            if mismatch.code == "field-absent" and is_field and isinstance(outer, dict) and mismatch.path[-1] in outer:
                return False  # It has stayed outside: the others have moved.
        # An object that need not have any field fits many a schema by chance.
        if not isinstance(inner, list):
            return bool(self.fields(pointer, inner).required.keys() & inner.keys())
        return not inner or self._is_like(self.inner((pointer,), inner)(0), inner[0])

    def _is_like(self, pointers: tuple[str, ...], value: Any) -> bool:
        """Whether a value is of the type that the schemas at some pointers want, and has one of their fields."""
        if not isinstance(value, dict):
            return not self.is_of_another_type(pointers, value)
        fields = self.schemas.fields(self._select(pointers, value).pointers, self.direction)
        return not (names := fields.required or fields.named) or not names.keys().isdisjoint(value)

    def _marked(self, pointer: str, value: Any, path: Iterable[str | int]) -> Path:
        """Return a path into a value in which the keys of maps are each a `MapKey`."""
        marked: list[str | int] = []
        pointers: tuple[str, ...] = (pointer,)
        for part in path:
            applied = self._select(pointers, value).pointers
            if isinstance(part, int):
                marked.append(part)
                pointers = self._of_item(applied, part)
            else:
                fields = self.schemas.fields(applied, self.direction)
                marked.append(_named(part, fields))
                pointers = fields.pointers(part)
            value = value[part]
        return tuple(marked)

    # --- What the schemas at some pointers say.

    def fields(self, pointer: str, value: Any) -> Fields:
        """Return what the schema at a pointer says about the fields of a value."""
        return self.schemas.fields(self._select((pointer,), value).pointers, self.direction)

    def types(self, pointer: str, value: Any) -> set[str]:
        """Return the types that the schema at a pointer names where a value like this one stands. Empty: any."""
        schemas = map(self.schemas.at, self._select((pointer,), value).pointers)
        return {word for one in schemas for word in types_of(one)}

    def describe(self, pointers: tuple[str, ...]) -> str:
        """Return what the schemas at these pointers want, in words."""
        applied = self.schemas.applied(pointers)
        words = describe_assertions(map(self.schemas.at, applied))
        if words != PRESENT:
            return words
        branches = [
            branch
            for one in self.schemas.choosing(applied)
            for keyword in ("oneOf", "anyOf")
            for branch in listed(self.schemas.at(one), one, keyword)
        ]
        described = [describe_assertions(map(self.schemas.at, self.schemas.applied((one,)))) for one in branches]
        return shorten(" or ".join(dict.fromkeys(described)) or PRESENT, 200)

    def inner(self, pointers: tuple[str, ...], value: Any) -> Callable[[Any], tuple[str, ...]]:
        """Return what tells by its name or index where the schemas of something in a value stand."""
        applied = self._select(pointers, value).pointers
        return partial(self._of_item, applied) if isinstance(value, list) else self.schemas.fields(applied).pointers

    def fits(self, pointers: tuple[str, ...], value: Any) -> bool:
        """Whether a value fits all schemas at some pointers; where there are none, nothing does."""
        if self.schemas.is_right_scalar(pointers, value):
            return True
        mode = ValidationMode(direction=self.direction)
        return bool(pointers) and all(self.schemas.failure(one, value, mode, self.budget) is None for one in pointers)

    def is_of_another_type(self, pointers: tuple[str, ...], value: Any) -> bool:
        """Whether a value is of another type than the schemas at some pointers want."""
        return any(_is_another_type(mismatch, ()) for mismatch in self._mismatches(pointers, value, ()))

    # --- Which schemas apply to a value.

    def chosen(self, pointer: str, value: Any) -> list[str]:
        """Return where those schemas of a `oneOf` or `anyOf` stand that a value is meant to fit, if it fits any."""
        return self._choose(pointer, value, (), _Selection())

    def _select(self, pointers: tuple[str, ...], value: Any, path: Path = ()) -> _Selection:
        """Return all schemas that those at some pointers apply to a value."""
        selection = _Selection()
        self._add(pointers, value, path, selection)
        return selection

    def _add(self, pointers: tuple[str, ...], value: Any, path: Path, selection: _Selection) -> None:
        new, known = self.schemas.applied(pointers), selection.pointers
        if known:
            new = tuple(pointer for pointer in new if pointer not in known)
        selection.pointers += new
        self.schemas.note_defects(new, self.budget)
        for pointer in self.schemas.choosing(new):
            for chosen in list(self._chosen(pointer, value, path, selection)):
                self._add((chosen,), value, path, selection)

    def _chosen(self, pointer: str, value: Any, path: Path, selection: _Selection) -> Iterator[str]:
        """Yield where the schemas stand that the one at a pointer applies to this value."""
        schema = self.schemas.at(pointer)
        if "if" in schema:
            before = self.budget.notes
            names: tuple[str, ...] = ("if", "then") if self.allows(f"{pointer}/if", value) else ("else",)
            names = names if self.budget.notes == before else ()  # A defect in the condition leaves it open.
            yield from (f"{pointer}/{name}" for name in names if name in schema)
        for name in schema.get("dependentSchemas", ()):
            if isinstance(value, dict) and name in value:
                yield f"{pointer}/dependentSchemas/{escape(name)}"
        for keyword in ("oneOf", "anyOf"):
            if keyword in schema:
                yield from self._choose(f"{pointer}/{keyword}", value, path, selection)
        subtypes = self.schemas.subtypes.of(pointer)
        if subtypes is not None and isinstance(value, dict):
            yield from self._choose_by_word(subtypes, value, path, selection) or ()

    def _choose(self, pointer: str, value: Any, path: Path, selection: _Selection) -> list[str]:
        """Return which of the schemas of a `oneOf` or `anyOf` the value is meant to fit."""
        variants, branches = self.schemas.variants(pointer), self.schemas.branches(pointer)
        if variants is not None and isinstance(value, dict):
            chosen = self._choose_by_word(variants, value, path, selection)
            if chosen is not None:
                return chosen
            word = value.get(variants.name)
            same = variants.sharing(word) if isinstance(word, str) else ()
            branches = [*(same or variants.others)] or branches
        elif value is not None and len(branches) > 1:
            branches = [branch for branch in branches if not is_null(self.schemas.at(branch))]
        fitting = [branch for branch in branches if self.allows(branch, value)]
        # Where unions overlap further down, a value fits none openly, and those that list its fields if read closed.
        fitting = fitting or [branch for branch in branches if self.allows(branch, value, closed=True)]
        if len(fitting) > 1 and variants is not None and pointer.endswith("/oneOf") and isinstance(value, dict):
            named = {name for branch in fitting for name in self.fields(branch, value).named}
            selection.mismatches += _missing_word(variants, named - value.keys(), path)
        if fitting:
            # Several of an `anyOf` may fit, and each explains some of the fields.
            return fitting if pointer.endswith("/anyOf") else [self._fullest(fitting, value)]
        return [min(branches, key=lambda branch: self._distance(branch, value))]

    def _fullest(self, fitting: Sequence[str], value: Any) -> str:
        """Return which of the schemas that a value fits lists the most of its fields; the first of those."""
        if len(fitting) == 1 or not isinstance(value, CONTAINERS):
            return fitting[0]
        whole = next((one for one in fitting if self.allows(one, value, closed=True)), None)
        if whole is not None or isinstance(value, list):
            return whole or fitting[0]
        return min(fitting, key=lambda one: len(value.keys() - self.fields(one, value).named.keys()))

    def _choose_by_word(
        self, variants: Variants, value: dict[str, Any], path: Path, selection: _Selection
    ) -> list[str] | None:
        """Return the one schema that a value means by its word. Empty: the word is not known. None: it has no word."""
        found, where = variants.find(value), (*path, variants.name)
        if found is not None:
            return [found]  # There, a word in another case is found to be another one.
        word = value.get(variants.name)
        if self._is_unseen(word):
            return None
        if (
            not isinstance(word, str)
            or variants.sharing(word)
            or any(self.allows(branch, value) for branch in variants.others)
        ):
            return None
        if all(mismatch.path != where for mismatch in selection.mismatches):
            code, expected = "value-undocumented" if word.strip() else "value-empty", " or ".join(variants.words)
            selection.mismatches.append(Mismatch(code, where, variants.rule, expected, show_value(word), word))
        return []

    def _distance(self, branch: str, value: Any) -> int:
        """Return how far a value is from a schema: how many differences there are, and more if all of it differs."""
        sample = value[:MAX_SAMPLE] if isinstance(value, list) else value
        return sum(_weight(one) for one in distinct(self._mismatches((branch,), sample, ())))

    # --- What a value itself must be.

    def _mismatches(
        self, pointers: tuple[str, ...], value: Any, path: Path, examples: Examples = NO_EXAMPLES
    ) -> Iterator[Mismatch]:
        self.budget.spend(COMPARISON_STEPS)
        selection = self._select(pointers, value, path)
        applied = selection.pointers
        wrong = self._broken(applied, value, path)
        if wrong is not None:
            yield wrong
            return  # What else is wrong with this value follows from it, or will be seen once it is mended.
        yield from selection.mismatches
        yield from self._constraints(applied, value, path)
        if isinstance(value, dict) and not selection.mismatches:
            alike = examples.select((pointers, applied), lambda one: self._is_alike(pointers, one, applied))
            yield from self._object(applied, value, path, alike)
        elif isinstance(value, list):
            yield from self._list(applied, value, path, examples)
        elif isinstance(value, str):
            yield from self._text(applied, value, path, examples)

    def _is_alike(self, pointers: tuple[str, ...], example: Any, applied: tuple[str, ...]) -> bool:
        """Whether the same schemas apply to an example."""
        return isinstance(example, dict) and self._select(pointers, example).pointers == applied

    def _broken(self, pointers: tuple[str, ...], value: Any, path: Path) -> Mismatch | None:
        """Return what the value itself breaks, whatever is in it; another type first."""
        if self.schemas.meets_assertions(pointers, value) or self._is_unseen(value):
            return None
        breaches: list[Breach] = []
        for pointer in pointers:
            if self.schemas.at(pointer) is False:
                return Mismatch("field-new", path, pointer, "no such field", show_value(value), value)
            breaches += self.schemas.assertions(pointer, value)
        one = min(breaches, key=lambda breach: breach.keyword != "type")
        code, expected = _code(one, value), describe_assertions([{one.keyword: one.limit}])
        is_address = one.keyword == "format" and one.limit in _ADDRESSES
        is_mild = is_address and code == "value-empty" and not self.examples_are_complete
        severity = Severity.NOTICE if is_mild else None
        return Mismatch(code, path, one.pointer, expected, show_value(value), value, severity=severity)

    def _constraints(self, pointers: tuple[str, ...], value: Any, path: Path) -> Iterator[Mismatch]:
        """Yield the keywords that a value breaks as a whole, and that the validator has to find out about."""
        for pointer in self.schemas.choosing(pointers):
            has_any = not CONSTRAINTS.isdisjoint(self.schemas.at(pointer))
            failure = self.failure(pointer, value) if has_any else None
            if failure is None or failure.path:  # What is inside of the value is looked at by itself.
                continue
            if failure.pointer in {f"{pointer}/{keyword}" for keyword in CONSTRAINTS}:
                expected = shorten(without_queries(failure.expected), 200)
                yield Mismatch("constraint-broken", path, failure.pointer, expected, show_value(value))

    def _is_unseen(self, value: Any) -> bool:
        """Whether a recorder has put a placeholder in the place of a value."""
        return self.is_filtered and isinstance(value, str) and is_placeholder(value)

    def _text(self, pointers: tuple[str, ...], value: str, path: Path, examples: Examples) -> Iterable[Mismatch]:
        """Return what is wrong with a text that no keyword forbids, going by what the contract shows in its place."""
        if not self._is_shown(examples):
            return ()
        found, rule = [], self.schemas.of_address(pointers)
        if not value.strip():
            expected = f"text, such as {examples.texts[0]}"
            found.append(Mismatch("value-blank", path, pointers[0], expected, show_value(value), value))
        if rule is not None and scheme_of(value) not in {*examples.schemes, self.scheme}:
            expected = f"an address that begins with {' or '.join(examples.schemes)}:"
            found.append(Mismatch("format-changed", path, f"{rule}/format", expected, show_value(value), value))
        return found

    def _is_shown(self, examples: Examples) -> bool:
        """Whether something follows for a text from what the contract shows in its place."""
        return self.examples_are_complete and bool(examples.texts)

    # --- What is in it.

    def _object(
        self, pointers: tuple[str, ...], value: dict[str, Any], path: Path, examples: Examples
    ) -> Iterator[Mismatch]:
        fields, unknown = self.schemas.fields(pointers, self.direction), {}
        for name, inner in value.items():
            of_field = fields.pointers(name)
            if name in fields.left_out and self.direction is Direction.RESPONSE:
                expected = "no such field in an answer, as it is writeOnly"
                # It may be a password.
                yield Mismatch("field-new", (*path, name), fields.left_out[name], expected, "a value that is not shown")
            elif of_field:
                yield from self._field(of_field, inner, (*path, _named(name, fields)), examples.field(name))
            elif fields.is_closed:
                self.budget.spend(COMPARISON_STEPS)
                unknown[name] = inner
        yield from _forbidden(fields, value, path)
        if unknown or not fields.required.keys() <= value.keys() or not examples.always <= value.keys():
            missing = list(self._missing(fields, value, examples))
            sure = [one for one in missing if one.is_required or self.examples_are_complete]
            yield from match_fields(sure, unknown, fields.owner, path, self._mismatches)
            yield from (one.mismatch(path) for one in missing if one not in sure)

    def _missing(self, fields: Fields, value: Mapping[str, Any], examples: Examples) -> Iterator[MissingField]:
        """Yield the fields that should be there and are not.

        One that may be absent, and never is where the contract shows such an answer, is missed as well.
        """
        for name in {**fields.required, **fields.named}:
            if name in value or name in fields.left_out:
                continue
            if name in fields.required or name in examples.always:
                pointers = fields.named.get(name, ())
                rule = fields.required.get(name) or pointers[0]
                is_required = name in fields.required
                inner = self.schemas.fields(self._select(pointers, {}).pointers, self.direction)
                expected = self.describe(pointers)
                self.budget.spend(COMPARISON_STEPS)
                yield MissingField(name, pointers, rule, is_required, expected, inner, self.schemas, self.budget)

    def _field(self, pointers: tuple[str, ...], value: Any, path: Path, examples: Examples) -> Iterable[Mismatch]:
        """Return the mismatches of a field. Most are plain and as they should be, which is seen at once."""
        if self.schemas.is_right_scalar(pointers, value):
            is_more = isinstance(value, str) and self._is_shown(examples)
            return self._text(self.schemas.applied(pointers), value, path, examples) if is_more else ()
        applied = self.schemas.applied(pointers)
        self.schemas.note_defects(applied, self.budget)
        if (
            self.schemas.choosing(applied)
            or isinstance(value, CONTAINERS)
            or not self.schemas.meets_assertions(applied, value)
        ):
            return self._mismatches(pointers, value, path, examples)
        return self._text(applied, value, path, examples) if isinstance(value, str) else ()

    def _list(self, pointers: Sequence[str], value: list[Any], path: Path, examples: Examples) -> Iterator[Mismatch]:
        compared = 0
        for index, item in enumerate(value):
            of_item = self._of_item(pointers, index)
            if not of_item or (
                index >= MAX_COMPARED_ITEMS and all(self.allows(one, item, closed=True) for one in of_item)
            ):
                continue
            compared += 1
            yield from self._mismatches(of_item, item, (*path, index), examples.items)
            if compared == 2 * MAX_COMPARED_ITEMS:
                return

    def _of_item(self, pointers: Sequence[str], index: int) -> tuple[str, ...]:
        """Return where the schemas of a list's item stand."""
        found: list[str] = []
        for pointer in pointers:
            schema = self.schemas.at(pointer)
            if isinstance(schema, Mapping) and index < len(schema.get("prefixItems", ())):
                found.append(f"{pointer}/prefixItems/{index}")
            elif isinstance(schema, Mapping) and "items" in schema:
                found.append(f"{pointer}/items")
        return tuple(found)


def _named(name: str, fields: Fields) -> str:
    """Return the name of a field, or the key of a map where the contract does not list it."""
    return name if name in fields.named or not fields.pointers(name) else MapKey(name)


def _forbidden(fields: Fields, value: Mapping[str, Any], path: Path) -> Iterator[Mismatch]:
    """Yield each schema that forbids fields which another one lists: the contract contradicts itself there."""
    for pointer in dict.fromkeys(fields.forbidden.values()):
        names = [name for name in value if fields.forbidden.get(name) == pointer]
        if names:
            rule, seen = f"{pointer}/additionalProperties", shorten(f"also {', '.join(names)}", 200)
            expected = "no fields but those of this part of the schema, though other parts list more"
            yield Mismatch("constraint-broken", path, rule, expected, seen, severity=Severity.ADDITIVE)


def _missing_word(variants: Variants, absent: set[str], path: Path) -> Iterator[Mismatch]:
    """Yield that a value lacks the word of a discriminator, which alone could tell apart the schemas that it fits."""
    if variants.name in absent and "/discriminator" in variants.rule:
        expected = shorten(" or ".join(variants.words), 200)
        yield Mismatch("field-missing", (*path, variants.name), variants.rule, expected, MISSING)


def _weight(mismatch: Mismatch) -> int:
    """Return how much a difference says against a schema: most, if all of the value or its word is another."""
    if not mismatch.path:
        return 1000
    return 100 if "/discriminator" in mismatch.rule else 1


def _is_another_type(mismatch: Mismatch, path: Path) -> bool:
    return mismatch.path == path and mismatch.code == "type-changed"


def _code(breach: Breach, value: Any) -> str:
    code = CODE_OF.get(breach.keyword, "constraint-broken")
    if value is None:
        return "field-null"
    if isinstance(value, str) and code != "type-changed" and not value.strip():
        return "value-empty"
    if code == "value-undocumented" and isinstance(value, str):
        documented = breach.limit if isinstance(breach.limit, list) else [breach.limit]
        if normal(value) in {normal(one) for one in documented if isinstance(one, str)}:
            return "value-recased"
    return code

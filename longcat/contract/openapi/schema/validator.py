"""Holds values against the schemas of a document: JSON Schema 2020-12, as far as OpenAPI uses it.

Each schema is compiled once, when a value first reaches it, so that the cost follows what was seen and not the size of
the document. What a schema says of a value itself is left to the validator in Rust; which schemas apply to which parts
of a value is decided here, where each step is counted and an interrupt gets through at once.

A schema that can't be used allows anything. That it was reached is noted, and no choice between schemas depends on it.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from attrs import Factory, define, field, frozen

from longcat.contract.openapi.document import Document
from longcat.contract.openapi.errors import UnjudgeableError
from longcat.contract.openapi.limits import StepBudget
from longcat.contract.openapi.schema.compiled import STEP, CompiledSchema
from longcat.contract.openapi.schema.failure import SchemaFailure, describe_keyword
from longcat.contract.openapi.schema.fields import Direction
from longcat.contract.openapi.schema.keywords import listed
from longcat.contract.openapi.schema.patterns import matches
from longcat.contract.openapi.schema.variants import Subtypes, Variants, describing, unconditional
from longcat.contract.placeholders import is_placeholder
from longcat.text.pointer import escape


@define
class _DescribedFields:
    """The fields and items of a value that some schema describes. `every_field`: any field is."""

    names: set[str] = Factory(set)
    items: set[int] = Factory(set)
    every_field: bool = False

    def add(self, other: "_DescribedFields") -> None:
        """Add what another part of the schema describes."""
        self.names |= other.names
        self.items |= other.items
        self.every_field |= other.every_field


@frozen
class ValidationMode:
    """The ways to read a schema that a value is held against.

    Attributes:
        closed: whether fields are forbidden that no schema describes, and those that do not go this way.
        direction: which way the value goes. None: that is not looked at.
        is_filtered: whether a recorder may have put placeholders in the place of texts. These break nothing.
    """

    closed: bool = False
    direction: Direction | None = None
    is_filtered: bool = False


class Validator:
    """Holds values against the schemas of one document."""

    def __init__(self, document: Document, variants: Callable[[str], Variants | None], subtypes: Subtypes) -> None:
        self.variants, self.subtypes = variants, subtypes
        self._document = document
        self._compiled: dict[str, CompiledSchema] = {}
        self._checks: dict[str, _Checks] = {}
        self._of_scalars: dict[str, CompiledSchema | None] = {}
        self._inside: dict[tuple[str, str], list[CompiledSchema]] = {}
        self._shared: dict[tuple[str, tuple[str, ...]], bool] = {}
        self._marks: dict[tuple[str, str, str], frozenset[Direction]] = {}

    def checks(self, compiled: CompiledSchema) -> "_Checks":
        """Return what is to be checked beyond a schema's own assertions, by the type of a value."""
        found = self._checks.get(compiled.pointer)
        if found is None:
            found = self._checks[compiled.pointer] = _checks_of(compiled.schema)
        return found

    def marks(self, pointer: str, whole: str, name: str) -> frozenset[Direction]:
        """Return the directions in which a field does not go, by a schema or by the whole one that it is a part of."""
        key = pointer, whole, name
        if key not in self._marks:
            schemas = map(self.compiled, unconditional(self._document, pointer, whole))
            places = [one.properties[name] for one in schemas if name in one.properties]
            self._marks[key] = frozenset().union(*(self.compiled(place).marks for place in places))
        return self._marks[key]

    def compiled(self, pointer: str) -> CompiledSchema:
        """Return the schema at a pointer, ready to use."""
        found = self._compiled.get(pointer)
        if found is None:
            found = self._compiled[pointer] = CompiledSchema(self._document, pointer)
        return found

    def of_scalars(self, pointer: str) -> CompiledSchema | None:
        """Return the one schema whose assertions are all that is said at a pointer of a text, a number and their like.

        None: there is more to look at, such as a defect, or a direction in which the value does not go.
        """
        try:
            return self._of_scalars[pointer]
        except KeyError:
            compiled = self.compiled(pointer)
            is_costly = compiled.tracks_fields or compiled.assertions.backtracks
            is_plain = not (compiled.defect or compiled.is_false or compiled.marks or is_costly)
            keywords = [name for name, _ in self.checks(compiled)[object]] if is_plain else None
            found = compiled if keywords == [] else None
            if keywords == ["$ref"] and not compiled.assertions.limits and compiled.target != pointer:
                self._of_scalars[pointer] = None  # A reference that leads back to itself.
                found = self.of_scalars(compiled.target)
            self._of_scalars[pointer] = found
            return found

    def inside(self, compiled: CompiledSchema, keyword: str) -> list[CompiledSchema]:
        """Return the schemas in the list of a keyword."""
        key = compiled.pointer, keyword
        if key not in self._inside:
            self._inside[key] = [*map(self.compiled, listed(compiled.schema, compiled.pointer, keyword))]
        return self._inside[key]

    def is_shared(self, pointer: str, *keys: str) -> bool:
        """Whether several schemas may describe one part of a value at once (see `describing`)."""
        key = pointer, keys
        if key not in self._shared:
            self._shared[key] = len(describing(self._document, pointer, *keys)) > 1
        return self._shared[key]

    def failure(self, pointer: str, value: Any, mode: ValidationMode, budget: StepBudget) -> SchemaFailure | None:
        """Return where a value first breaks the schema at a pointer. None: nowhere.

        Raises UnjudgeableError when the budget does not allow to find out.
        """
        run = _Run(self, budget, mode, mode.closed)
        try:
            return None if run.value(pointer, value) else run.failure or SchemaFailure(pointer, "")
        except RecursionError:
            raise UnjudgeableError("it can't be judged: it and its schemas are nested too deeply") from None


_Application: TypeAlias = tuple[str, int, bool]
"""Where a schema stands, which value it is held against, and whether it is read closed."""


@define
class _Run:
    """One value that is held against one schema.

    Attributes:
        closed: as in the mode, but for conditions, which are read openly.
        failure: where the value first breaks the schema, as far as is known yet.
        uncertain: how often a schema was reached that can't be used, or that leads back to itself.
    """

    _validator: Validator
    _budget: StepBudget
    _mode: ValidationMode
    closed: bool
    failure: SchemaFailure | None = None
    uncertain: int = 0
    _known: dict[_Application, bool] = field(init=False, factory=dict)
    _referred: dict[_Application, tuple[bool, _DescribedFields]] = field(init=False, factory=dict)
    _active: set[_Application] = field(init=False, factory=set)
    _whole: str = field(init=False, default="")

    def value(self, pointer: str, value: Any) -> bool:
        """Whether a schema allows a value that stands by itself: a body, a field, an item."""
        compiled, kind = self._validator.compiled(pointer), type(value)
        if kind is not dict and kind is not list:
            return self._apply(compiled, value, None)
        key = (pointer, id(value), self.closed)
        known = self._known.get(key)
        if known is not None:
            return known
        before, meant = self.uncertain, self._meant(compiled, value)
        described = _DescribedFields() if self.closed and kind is dict and compiled.names_fields else None
        outer, self._whole = self._whole, meant.pointer if meant else pointer
        is_valid = meant is not None and self._apply(meant, value, described)
        self._whole = outer
        if is_valid and described is not None and not described.every_field and value.keys() - described.names:
            is_valid = self._fail(compiled, "unevaluatedProperties")
        if before == self.uncertain:
            self._known[key] = is_valid
        return is_valid

    def _apply(self, compiled: CompiledSchema, value: Any, described: _DescribedFields | None) -> bool:
        """Whether a schema allows a value. Enter which of its fields are described, if that is asked for."""
        self._budget.spend(compiled.cost)
        if compiled.defect:
            self.uncertain += 1
            self._budget.note(compiled.defect)
        if compiled.is_false:
            return self._fail(compiled, "")
        if not compiled.assertions.allow(value):
            if self._mode.is_filtered and type(value) is str and is_placeholder(value):
                self.uncertain += 1
                return True
            broken = compiled.assertions.broken(value)
            return self._fail(compiled, next((one for one in compiled.assertions.limits if one in broken), ""))
        if not compiled.tracks_fields:
            return self._check(compiled, value, described)
        own = _DescribedFields()
        is_valid = self._check(compiled, value, own)
        if described is not None:
            described.add(own)
        return is_valid

    def _check(self, compiled: CompiledSchema, value: Any, described: _DescribedFields | None) -> bool:
        checks = self._validator.checks(compiled)
        for keyword, check in checks.get(type(value), checks[object]):
            if not check(self, compiled, value, described):
                return self._fail(compiled, keyword)
        return True

    def _fail(self, compiled: CompiledSchema, keyword: str) -> bool:
        if self.failure is None:
            pointer = f"{compiled.pointer}/{keyword}" if keyword else compiled.pointer
            self.failure = SchemaFailure(pointer, describe_keyword(compiled.schema, keyword))
        return False

    def _inner(self, pointer: str, value: Any, key: str | int, *, is_shared: bool = False) -> bool:
        """Whether a schema allows a field or an item, read openly where it shares it with others."""
        closed, self.closed = self.closed, self.closed and not is_shared
        is_valid = self.value(pointer, value)
        self.closed = closed
        if is_valid:
            return True
        if self.failure is not None:
            self.failure.path.append(key)
        return False

    # --- Schemas for the same value.

    def reference(self, compiled: CompiledSchema, value: Any, described: _DescribedFields | None) -> bool:
        """Obey `$ref`. A schema that leads back to itself for the same value says no more than it did."""
        meant = self._meant(self._validator.compiled(compiled.target), value)
        if meant is None:
            return False
        key = (meant.pointer, id(value), self.closed)
        if key in self._active:
            self.uncertain += 1
            return True
        if key not in self._referred:
            before, own = self.uncertain, _DescribedFields()
            self._active.add(key)
            found = self._apply(meant, value, own), own
            self._active.discard(key)
            if self.uncertain == before:
                self._referred[key] = found
        else:
            found = self._referred[key]
        if described is not None:
            described.add(found[1])
        return found[0]

    def _meant(self, compiled: CompiledSchema, value: Any) -> CompiledSchema | None:
        """Return the schema that a value means by its word: this one, or one that extends it. None: neither."""
        variants = self._validator.subtypes.of(compiled.pointer) if type(value) is dict else None
        if variants is None:
            return compiled
        word = value.get(variants.name)
        if isinstance(word, str) and word in variants.foreign:
            self._fail(compiled, "discriminator")
            return None
        target = variants.find(value)
        # In the extending schema, the one that it extends is meant as it stands.
        return (
            compiled
            if target is None or (target, id(value), self.closed) in self._active
            else self._validator.compiled(target)
        )

    def all_of(self, compiled: CompiledSchema, value: Any, described: _DescribedFields | None) -> bool:
        """Obey `allOf`."""
        parts = self._validator.inside(compiled, "allOf")
        return all(self._apply(part, value, described) for part in parts)

    def any_of(self, compiled: CompiledSchema, value: Any, described: _DescribedFields | None) -> bool:
        """Obey `anyOf`. Where it matters which fields are described, all parts are asked."""
        chosen = self._chosen(compiled, "anyOf", value)
        if chosen is not None:
            return self._apply(chosen, value, described)
        found = False
        for part in self._validator.inside(compiled, "anyOf"):
            found |= self._try(part, value, described, is_union=True)
            if found and described is None:
                return True
        return found

    def one_of(self, compiled: CompiledSchema, value: Any, described: _DescribedFields | None) -> bool:
        """Obey `oneOf`. That several fit is right where it can't be known of some of them.

        Of what was sent, it is right as well: of schemas that overlap, both sides take the first, so that it is no
        drift. So it is where a schema is read closed.
        """
        chosen = self._chosen(compiled, "oneOf", value)
        if chosen is not None:
            return self._apply(chosen, value, described)
        before, parts = self.uncertain, self._validator.inside(compiled, "oneOf")
        fitting = sum([self._try(part, value, described, is_union=True) for part in parts])
        is_sent = self.closed or self._mode.direction is Direction.REQUEST
        return fitting == 1 or (fitting > 1 and (is_sent or self.uncertain > before))

    def _chosen(self, compiled: CompiledSchema, keyword: str, value: Any) -> CompiledSchema | None:
        """Return the part that a value means by its word, or the only one that its word fits. None: all are tried."""
        variants = self._validator.variants(f"{compiled.pointer}/{keyword}") if type(value) is dict else None
        if variants is None:
            return None
        word = value.get(variants.name)
        only = variants.branches.get(word) if type(word) is str else None
        target = variants.find(value) if "discriminator" in compiled.schema else only
        return None if target is None else self._validator.compiled(target)

    def negation(self, compiled: CompiledSchema, value: Any, _: _DescribedFields | None) -> bool:
        """Obey `not`."""
        return not self._condition(f"{compiled.pointer}/not", value, None)

    def condition(self, compiled: CompiledSchema, value: Any, described: _DescribedFields | None) -> bool:
        """Obey `if`, `then` and `else`."""
        holds = self._condition(f"{compiled.pointer}/if", value, described)
        branch = "then" if holds else "else"
        if branch not in compiled.schema or holds is None:
            return True
        return self._apply(self._validator.compiled(f"{compiled.pointer}/{branch}"), value, described)

    def dependent_schemas(self, compiled: CompiledSchema, value: Any, described: _DescribedFields | None) -> bool:
        """Obey `dependentSchemas`."""
        return all(
            self._apply(
                self._validator.compiled(f"{compiled.pointer}/dependentSchemas/{escape(name)}"), value, described
            )
            for name in compiled.schema["dependentSchemas"]
            if isinstance(value, dict) and name in value
        )

    def _try(
        self, part: CompiledSchema, value: Any, described: _DescribedFields | None, *, is_union: bool = False
    ) -> bool:
        """Whether a schema allows a value, where it need not. What it describes counts only if it does.

        A part of a union that says nothing about fields allows any, because its author knew no better.
        """
        failure, own = self.failure, None if described is None else _DescribedFields()
        fits = self._apply(part, value, own)
        self.failure = failure
        if fits and described is not None and own is not None:
            own.every_field |= is_union and self.closed and part.is_free
            described.add(own)
        return fits

    def _condition(self, pointer: str, value: Any, described: _DescribedFields | None) -> bool | None:
        """Whether a schema allows a value, read openly. None: that can't be known."""
        before, closed, self.closed = self.uncertain, self.closed, False
        fits = self._try(self._validator.compiled(pointer), value, described)
        self.closed = closed
        return fits if self.uncertain == before else None

    # --- Schemas for what is in an object.

    def fields(self, compiled: CompiledSchema, value: Any, described: _DescribedFields | None) -> bool:
        """Obey `properties`, `patternProperties` and `additionalProperties`."""
        named, patterns, others = compiled.properties, compiled.patterns, compiled.others
        for name, inner in value.items():
            if patterns or name not in named or not self._is_right_scalar(named[name], inner):
                pointers: tuple[str, ...] = (named[name],) if name in named else ()
                if patterns:
                    self._budget.spend(STEP * len(patterns))
                    pointers += tuple(pointer for pattern, pointer in patterns.items() if matches(pattern, name))
                if not pointers and others is None:
                    continue
                pointers = pointers or ((others,) if others else ())
                keys = ("properties", name) if name in named else ("additionalProperties",)
                is_shared = len(pointers) > 1 or self._is_shared(inner, *keys)
                if not all(self._field(one, inner, name, is_shared=is_shared) for one in pointers):
                    return False
            if described is not None:
                described.names.add(name)
        return True

    def _field(self, pointer: str, value: Any, name: str, *, is_shared: bool) -> bool:
        """Whether a schema allows a field. Read closed, an answer has none that goes the other way."""
        if self.closed and self._mode.direction is Direction.RESPONSE:
            part = self._validator.compiled(pointer)
            if self._mode.direction in part.marks:
                return self._fail(part, self._mode.direction)
        return self._inner(pointer, value, name, is_shared=is_shared)

    def _is_shared(self, inner: Any, *keys: str) -> bool:
        """Whether several schemas describe what is in a value. One alone knows only a part of its fields."""
        is_container = type(inner) is dict or type(inner) is list
        return self.closed and is_container and self._validator.is_shared(self._whole, *keys)

    def _is_right_scalar(self, pointer: str, value: Any) -> bool:
        """Whether a value is seen at once to be right, as most are: it holds no others, and one schema says it all."""
        if type(value) is dict or type(value) is list:
            return False
        schema = self._validator.of_scalars(pointer)
        if schema is None or not schema.assertions.allow(value):
            return False
        self._budget.spend(schema.cost)
        return True

    def property_names(self, compiled: CompiledSchema, value: Any, _: _DescribedFields | None) -> bool:
        """Obey `propertyNames`."""
        part = self._validator.compiled(f"{compiled.pointer}/propertyNames")
        return all(self._try(part, name, None) for name in value)

    def required(self, compiled: CompiledSchema, value: Any, _: _DescribedFields | None) -> bool:
        """Obey `required`, but for fields that do not go this way."""
        return all(name in value or self._is_left_out(compiled, name) for name in compiled.schema["required"])

    def _is_left_out(self, compiled: CompiledSchema, name: str) -> bool:
        """Whether a field does not go this way, as a schema says or the whole one that it is a part of."""
        if self._mode.direction is None:
            return False
        return self._mode.direction in self._validator.marks(compiled.pointer, self._whole, name)

    def dependent_required(self, compiled: CompiledSchema, value: Any, _: _DescribedFields | None) -> bool:
        """Obey `dependentRequired`."""
        needs = compiled.schema["dependentRequired"]
        return all(needed in value for name, others in needs.items() if name in value for needed in others)

    def unevaluated_fields(self, compiled: CompiledSchema, value: Any, described: _DescribedFields | None) -> bool:
        """Obey `unevaluatedProperties`."""
        if described is None or described.every_field:
            return True
        left, described.every_field = value.keys() - described.names, True
        return all(self._inner(f"{compiled.pointer}/unevaluatedProperties", value[name], name) for name in left)

    # --- Schemas for what is in a list.

    def items(self, compiled: CompiledSchema, value: Any, described: _DescribedFields | None) -> bool:
        """Obey `prefixItems` and `items`."""
        first = len(compiled.schema.get("prefixItems", ()))
        rest = f"{compiled.pointer}/items" if "items" in compiled.schema else None
        for index, item in enumerate(value):
            pointer = f"{compiled.pointer}/prefixItems/{index}" if index < first else rest
            if pointer is None:
                return True
            if not self._inner(pointer, item, index, is_shared=self._is_shared(item, "items")):
                return False
            if described is not None:
                described.items.add(index)
        return True

    def contains(self, compiled: CompiledSchema, value: Any, described: _DescribedFields | None) -> bool:
        """Obey `contains`, `minContains` and `maxContains`."""
        before, part = self.uncertain, self._validator.compiled(f"{compiled.pointer}/contains")
        found = {index for index, item in enumerate(value) if self._try(part, item, None)}
        if described is not None:
            described.items |= found
        least, most = compiled.schema.get("minContains", 1), compiled.schema.get("maxContains", len(value))
        return self.uncertain > before or least <= len(found) <= most

    def unevaluated_items(self, compiled: CompiledSchema, value: Any, described: _DescribedFields | None) -> bool:
        """Obey `unevaluatedItems`."""
        left = [index for index in range(len(value)) if described is None or index not in described.items]
        if described is not None:
            described.items |= {*left}
        return all(self._inner(f"{compiled.pointer}/unevaluatedItems", value[index], index) for index in left)


_Check: TypeAlias = Callable[[_Run, CompiledSchema, Any, _DescribedFields | None], bool]
_Checks: TypeAlias = Mapping[type, tuple[tuple[str, _Check], ...]]
_ANY: Final[Mapping[str, _Check]] = {
    "$ref": _Run.reference,
    "allOf": _Run.all_of,
    "anyOf": _Run.any_of,
    "oneOf": _Run.one_of,
    "not": _Run.negation,
    "if": _Run.condition,
    "dependentSchemas": _Run.dependent_schemas,
}
"""The keywords that apply other schemas to the same value."""
_FIELDS: Final[Mapping[str, _Check]] = {
    "required": _Run.required,
    "dependentRequired": _Run.dependent_required,
    "propertyNames": _Run.property_names,
    "unevaluatedProperties": _Run.unevaluated_fields,
}
_ITEMS: Final[Mapping[str, _Check]] = {"contains": _Run.contains, "unevaluatedItems": _Run.unevaluated_items}


def _checks_of(schema: Mapping[str, Any]) -> _Checks:
    anything = [(name, check) for name, check in _ANY.items() if name in schema]
    fields = [(name, check) for name, check in _FIELDS.items() if name in schema]
    items = [(name, check) for name, check in _ITEMS.items() if name in schema]
    if any(name in schema for name in ("properties", "patternProperties", "additionalProperties")):
        fields.insert(0, ("properties", _Run.fields))
    if "items" in schema or "prefixItems" in schema:
        items.insert(0, ("items", _Run.items))
    late = [one for one in fields + items if one[0].startswith("unevaluated")]
    fields, items = ([one for one in part if one not in late] for part in (fields, items))
    return {
        dict: (*anything, *fields, *(one for one in late if one[0] == "unevaluatedProperties")),
        list: (*anything, *items, *(one for one in late if one[0] == "unevaluatedItems")),
        object: tuple(anything),
    }

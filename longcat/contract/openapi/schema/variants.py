"""Finds which of several schemas a value was meant to fit, by the word that tells them apart."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import Any, Final

from attrs import field, frozen

from longcat.contract.lazy import cached_property
from longcat.contract.openapi.document import Document, follow
from longcat.contract.openapi.errors import SpecError, UnjudgeableError
from longcat.contract.openapi.limits import MAX_APPLIED
from longcat.contract.openapi.schema.keywords import listed
from longcat.text.pointer import escape, last_name, parent

_COMPONENTS: Final = "/components/schemas/"


@frozen
class Variants:
    """Schemas that are told apart by a field.

    Attributes:
        name: of the field.
        branches: where the schema for each of its words stands.
        rule: where a new word would be entered.
        others: where those stand that no word leads to.
        default: where the schema stands for any other word, and for none (OpenAPI 3.2). None: there is no such.
        foreign: the words that lead to schemas which can't stand here, as they do not extend the one that does.
        shared: the words that lead to several schemas, with where these stand: their shape tells which is meant.
    """

    name: str
    branches: Mapping[str, str]
    rule: str
    others: tuple[str, ...] = ()
    default: str | None = None
    foreign: frozenset[str] = frozenset()
    shared: Mapping[str, tuple[str, ...]] = field(factory=dict)

    @property
    def words(self) -> list[str]:
        """All words that lead to a schema."""
        return [*self.branches, *self.shared]

    def find(self, value: Any) -> str | None:
        """Return where the schema stands that a value means. None: it has no word, or one that does not tell."""
        word = value.get(self.name) if isinstance(value, Mapping) else None
        if not isinstance(word, str) or not word:
            return self.default if isinstance(value, Mapping) and self.name not in value else None
        known = self._known(word)
        return self.default if known is None else self.branches.get(known)

    def sharing(self, word: str) -> tuple[str, ...]:
        """Return where the schemas stand that a word leads to, if these are several."""
        return self.shared.get(self._known(word) or "", ())

    def _known(self, word: str) -> str | None:
        return word if word in self.branches or word in self.shared else self.recased(word)

    def recased(self, word: str) -> str | None:
        """Return the documented word that differs from this one in nothing but case and separators."""
        return next((one for one in self.words if normal(one) == normal(word)), None)


def normal(text: str) -> str:
    """Return a name or word without what a change of style changes: case, separators."""
    return "".join(filter(str.isalnum, text)).casefold()


def variants_of(document: Document, pointer: str) -> Variants | None:
    """Return how the schemas of a `oneOf` or `anyOf` are told apart: by a discriminator, or by fixed words of a field.

    None: by nothing but their shape.
    """
    owner, keyword = parent(pointer), last_name(pointer)
    schema = document.schema(owner)
    branches = [branch for branch in listed(schema, owner, keyword) if not is_null(document.schema(branch))]
    discriminator = _Discriminator.of(document, owner)
    if discriminator is not None:
        name, mapped = discriminator.name, discriminator.mapped(branches)
        unmapped = _besides(mapped.values(), branches)
        words = [*fixed_words(document, name, unmapped)]
        words += _inner_words(document, name, _besides((one for _, one in words), unmapped))
        words += _component_names(document, _besides((one for _, one in words), unmapped))
        known, shared = _by_word(words)
        known, shared = {**known, **mapped}, {word: places for word, places in shared.items() if word not in mapped}
        others = _besides([*known.values(), *chain(*shared.values())], branches)
        is_told = known or shared
        return (
            Variants(name, known, discriminator.rule, others, discriminator.default, shared=shared) if is_told else None
        )
    found = map(partial(_told_apart_by, document, branches), properties_of(document, branches[0]) if branches else ())
    told = [one for one in found if one is not None]
    chosen = min(told, key=lambda one: bool(one[2]), default=None)  # The first that tells apart all of them.
    return chosen and Variants(chosen[0], chosen[1], pointer, shared=chosen[2])


def _told_apart_by(
    document: Document, branches: Sequence[str], name: str
) -> tuple[str, dict[str, str], dict[str, tuple[str, ...]]] | None:
    """Return a field, if each branch has fixed words for it, with these. None: it does not tell the branches apart.

    Several branches may have the same words, but no two may have some of their words in common.
    """
    words = list(fixed_words(document, name, branches))
    known, shared = _by_word(words)
    if len({branch for _, branch in words}) != len(branches) or not branches[1:] or not known:
        return None
    of_branch = {one: {word for word, branch in words if branch == one} for one in branches}
    is_clear = all(of_branch[one] == of_branch[places[0]] for places in shared.values() for one in places)
    return (name, known, shared) if is_clear else None


def _by_word(words: Iterable[tuple[str, str]]) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """Return the words that lead to one schema, each with where it stands, and those that lead to several."""
    found: dict[str, dict[str, None]] = {}
    for word, branch in words:
        found.setdefault(word, {})[branch] = None
    known = {word: next(iter(places)) for word, places in found.items() if len(places) == 1}
    return known, {word: tuple(places) for word, places in found.items() if len(places) > 1}


def is_null(schema: Any) -> bool:
    """Whether a schema allows nothing but null."""
    return isinstance(schema, Mapping) and schema.get("type") in ("null", ["null"])


@frozen
class _Discriminator:
    """The `discriminator` of the schema at a pointer: the field, and its `mapping`."""

    document: Document
    pointer: str
    name: str
    mapping: Mapping[str, Any]

    @classmethod
    def of(cls, document: Document, pointer: str) -> "_Discriminator | None":
        """Return that of a schema. None: it has none."""
        found = document.schema(pointer).get("discriminator")
        if not isinstance(found, Mapping) or not isinstance(name := found.get("propertyName"), str):
            return None
        mapping = found.get("mapping")
        return cls(document, pointer, name, mapping if isinstance(mapping, Mapping) else {})

    @property
    def rule(self) -> str:
        """The pointer at which a new word would be entered."""
        return f"{self.pointer}/discriminator" + ("/mapping" if self.mapping else "")

    @property
    def default(self) -> str | None:
        """The pointer of the schema for any other word, and for no word. None: there is no such schema."""
        return self._target(self.document.schema(self.pointer)["discriminator"].get("defaultMapping"))

    def mapped(self, branches: Sequence[str] = ()) -> dict[str, str]:
        """Return the words of the mapping, each with where its schema stands: that of a branch, if it is one."""
        targets = {_target(self.document, branch): branch for branch in branches}
        found = {word: self._target(reference) for word, reference in self.mapping.items()}
        return {word: targets.get(target, target) for word, target in found.items() if target is not None}

    def _target(self, reference: Any) -> str | None:
        """Return where a reference leads, which may be the bare name of a component. None: nowhere."""
        if not isinstance(reference, str):
            return None
        is_path = "#" in reference or "/" in reference or reference.endswith((".json", ".yaml", ".yml"))
        where = reference if is_path else f"#{_COMPONENTS}{escape(reference)}"
        try:
            return follow(self.document, {"$ref": where}, self.pointer)[1]
        except SpecError:
            return None


class Subtypes:
    """The components that extend others by `allOf`, told apart by the discriminator of the one that all extend."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._found: dict[str, Variants | None] = {}

    def of(self, pointer: str) -> Variants | None:
        """Return the component at a pointer and those that extend it, with their words. None: it has no words."""
        if pointer not in self._found:
            self._found[pointer] = self._find(pointer) if pointer.startswith(_COMPONENTS) else None
        return self._found[pointer]

    def _find(self, pointer: str) -> Variants | None:
        found = map(self._discriminator, unconditional(self._document, pointer))
        discriminator = next((one for one in found if one is not None), None)
        if discriminator is None:
            return None
        base, mapped = discriminator.pointer, discriminator.mapped()
        names = {last_name(one): one for one in self._extending(base)}
        known = {**({} if mapped and pointer != base else names), **mapped}
        if pointer != base:
            known = {word: one for word, one in known.items() if pointer in unconditional(self._document, one)}
        else:  # A word that it lists itself, and that no other component has, is its own.
            known = {**dict(fixed_words(self._document, discriminator.name, [base])), **known}
        if not set(known.values()) - {base}:
            return None  # Nothing extends it, or it is only made of one that others extend.
        default = discriminator.default if pointer == base else None
        foreign = frozenset({*names, *mapped} - known.keys())
        return Variants(discriminator.name, known, discriminator.rule, (), default, foreign)

    def _discriminator(self, pointer: str) -> _Discriminator | None:
        """Return the discriminator of a schema that tells apart those which extend it, and not those in a `oneOf`."""
        schema = self._document.schema(pointer)
        if not isinstance(schema, Mapping) or not {"oneOf", "anyOf"}.isdisjoint(schema):
            return None
        return _Discriminator.of(self._document, pointer)

    def _extending(self, base: str) -> list[str]:
        """Return where the components stand that extend one, directly or not, and itself."""
        found = [base]
        for one in found:
            found += [child for child in self._children.get(one, ()) if child not in found]
        return found

    @cached_property
    def _children(self) -> dict[str, list[str]]:
        """The pointers of the components that extend each component."""
        found: dict[str, list[str]] = {}
        components = self._document.get("components")
        schemas = components.get("schemas") if isinstance(components, Mapping) else None
        for name, schema in schemas.items() if isinstance(schemas, Mapping) else ():
            pointer = f"{_COMPONENTS}{escape(name)}"
            parts = schema.get("allOf") if isinstance(schema, Mapping) else None
            for part in parts if isinstance(parts, list) else ():
                if isinstance(part, Mapping) and isinstance(part.get("$ref"), str):
                    with suppress(SpecError):
                        found.setdefault(follow(self._document, part, pointer)[1], []).append(pointer)
        return found


def properties_of(document: Document, pointer: str) -> dict[str, str]:
    """Return where the properties of a schema stand, those of its references and of the parts of `allOf` included."""
    found: dict[str, str] = {}
    for one in unconditional(document, pointer):
        schema = document.schema(one)
        for name in schema.get("properties", ()) if isinstance(schema, Mapping) else ():
            found.setdefault(name, f"{one}/properties/{escape(name)}")
    return found


def unconditional(document: Document, *pointers: str) -> tuple[str, ...]:
    """Return where all schemas stand that apply whenever those at the pointers do: by `$ref` and by `allOf`.

    Raises UnjudgeableError for too many.
    """
    found: dict[str, None] = {}
    pending = [*reversed(pointers)]
    while pending:
        pointer = pending.pop()
        if pointer not in found:
            found[pointer] = None
            if len(found) > MAX_APPLIED:
                raise UnjudgeableError(f"by $ref and allOf, more than {MAX_APPLIED} schemas apply to one value")
            schema = document.schema(pointer)
            parts = []
            if isinstance(schema, Mapping):
                if "$ref" in schema:
                    parts.append(document.target(schema["$ref"], pointer))
                parts += listed(schema, pointer, "allOf")
            pending += reversed(parts)
    return tuple(found)


def describing(document: Document, pointer: str, *keys: str) -> set[str]:
    """Return where the schemas stand that describe one part of a value at once, by a reference, `allOf` or a choice.

    Of a choice that only one schema of can apply, the one counts that adds the most.

    Args:
        document: what all schemas are in.
        pointer: of the schema for the whole value.
        keys: `properties` and a name, `additionalProperties`, or `items`.
    """
    return _describing(document, pointer, keys, set())


def _describing(document: Document, pointer: str, keys: Sequence[str], seen: set[str]) -> set[str]:
    """Return what `describing` does, but for the schemas that were seen already."""
    parts = [one for one in unconditional(document, pointer) if one not in seen]
    seen.update(parts)
    schemas = [(one, schema) for one in parts if isinstance(schema := document.schema(one), Mapping)]
    found = {"/".join((one, *map(escape, keys))) for one, schema in schemas if _holds(schema, keys)}
    for one, schema in schemas:
        for branches, is_one in _choices(schema, one):
            added = [_describing(document, branch, keys, seen) for branch in branches]
            found |= max(added, key=len, default=set()) if is_one else set().union(*added)
    return found


def _holds(schema: Any, keys: Sequence[str]) -> bool:
    """Whether something stands in a schema that says more than yes or no."""
    for key in keys:
        schema = schema.get(key) if isinstance(schema, Mapping) else None
    return bool(schema) and schema is not True


def _choices(schema: Mapping[str, Any], pointer: str) -> Iterator[tuple[list[str], bool]]:
    """Yield where the schemas of each choice stand, and whether only one of them can apply."""
    yield listed(schema, pointer, "oneOf"), True
    yield listed(schema, pointer, "anyOf"), False
    yield [f"{pointer}/{keyword}" for keyword in ("then", "else") if keyword in schema], True
    yield [f"{pointer}/dependentSchemas/{escape(name)}" for name in schema.get("dependentSchemas", ())], False


def _besides(known: Iterable[str], branches: Sequence[str]) -> tuple[str, ...]:
    """Return the branches that no word leads to yet."""
    known = frozenset(known)
    return tuple(branch for branch in branches if branch not in known)


def _component_names(document: Document, branches: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the names of the components that branches refer to: without a mapping, these are the words."""
    for branch in branches:
        target = _target(document, branch)
        if target.startswith(_COMPONENTS):
            yield last_name(target), branch


def _inner_words(document: Document, name: str, branches: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the words of branches that are unions themselves, whose schemas the same field tells apart."""
    for branch in branches:
        target = _target(document, branch)
        schema = document.schema(target)
        for keyword in ("oneOf", "anyOf"):
            inner = _Discriminator.of(document, target) if isinstance(schema, Mapping) and keyword in schema else None
            variants = variants_of(document, f"{target}/{keyword}") if inner and inner.name == name else None
            yield from ((word, branch) for word in (variants.words if variants else ()))


def fixed_words(document: Document, name: str, branches: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each word that a field can only have in one of the branches."""
    for branch in branches:
        property_pointer = properties_of(document, branch).get(name)
        for one in unconditional(document, property_pointer) if property_pointer else ():
            schema = document.schema(one)
            if isinstance(schema, Mapping) and ("const" in schema or "enum" in schema):
                words = [schema["const"]] if "const" in schema else schema["enum"]
                yield from ((word, branch) for word in words if isinstance(word, str))
                break


def _target(document: Document, branch: str) -> str:
    return follow(document, document.schema(branch), branch)[1]

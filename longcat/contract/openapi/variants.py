"""Which of several schemas a value was meant to fit, going by the word that tells them apart."""

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen

from longcat.contract.openapi.document import SpecError, follow
from longcat.contract.openapi.schemas import Schemas
from longcat.pointer import escape


@frozen
class Variants:
    """The schemas below a `oneOf` or `anyOf` that are told apart by a field.

    Attributes:
        name: of the field.
        branches: where the schema for each of its words stands.
        rule: where a new word would be entered.
    """

    name: str
    branches: Mapping[str, str]
    rule: str

    def recased(self, word: str) -> str | None:
        """Return the documented word that differs from this one in nothing but case and separators."""
        return next((one for one in self.branches if normal(one) == normal(word)), None)


def normal(text: str) -> str:
    """Return a name or word without what a change of style changes: case, separators."""
    return "".join(filter(str.isalnum, text)).casefold()


def variants_of(schemas: Schemas, pointer: str) -> Variants | None:
    """Return how the schemas of a `oneOf` or `anyOf` are told apart: by a discriminator, or by fixed words of a field.

    None: by nothing but their shape.
    """
    owner, _, _ = pointer.rpartition("/")
    discriminator = schemas.at(owner).get("discriminator")
    branches = [f"{pointer}/{index}" for index, _ in enumerate(schemas.at(pointer))]
    if isinstance(discriminator, Mapping) and isinstance(name := discriminator.get("propertyName"), str):
        place = f"{owner}/discriminator"
        mapping = discriminator.get("mapping")
        if isinstance(mapping, Mapping):
            return Variants(name, dict(_mapped(schemas, mapping, branches)), f"{place}/mapping")
        found = dict(_fixed(schemas, name, branches)) or dict(_components(schemas, branches))
        return Variants(name, found, place) if found else None
    for name in properties_of(schemas, branches[0]) if branches else ():
        words = list(_fixed(schemas, name, branches))
        if len({branch for _, branch in words}) == len(branches) > 1 and len(dict(words)) == len(words):
            return Variants(name, dict(words), pointer)
    return None


def properties_of(schemas: Schemas, pointer: str) -> dict[str, str]:
    """Return where the properties of a schema stand, those of its references and of the parts of `allOf` included."""
    found: dict[str, str] = {}
    for place in _always(schemas, pointer, set()):
        schema = schemas.at(place)
        for name in schema.get("properties", ()):
            found.setdefault(name, f"{place}/properties/{escape(name)}")
    return found


def _always(schemas: Schemas, pointer: str, met: set[str]) -> Iterator[str]:
    """Yield where all schemas stand that apply whenever the one at a pointer does."""
    schema = schemas.at(pointer)
    if pointer in met or not isinstance(schema, Mapping):
        return
    met.add(pointer)
    yield pointer
    if isinstance(schema.get("$ref"), str):
        yield from _always(schemas, schemas.target(schema["$ref"]), met)
    for index, _ in enumerate(schema.get("allOf", ())):
        yield from _always(schemas, f"{pointer}/allOf/{index}", met)


def _mapped(schemas: Schemas, mapping: Mapping[str, Any], branches: list[str]) -> Iterator[tuple[str, str]]:
    targets = {_target(schemas, branch): branch for branch in branches}
    for word, reference in mapping.items():
        # A mapping may give the bare name of a component (OpenAPI, "Discriminator Object").
        where = reference if "#" in reference else f"#/components/schemas/{escape(reference)}"
        try:
            target = schemas.target(where)
        except SpecError:
            continue
        yield word, targets.get(target, target)


def _components(schemas: Schemas, branches: list[str]) -> Iterator[tuple[str, str]]:
    for branch in branches:
        target = _target(schemas, branch)
        if target.startswith("/components/schemas/"):
            yield target.rpartition("/")[2], branch


def _fixed(schemas: Schemas, name: str, branches: list[str]) -> Iterator[tuple[str, str]]:
    """Yield each word that a field can only have in one of the branches."""
    for branch in branches:
        place = properties_of(schemas, branch).get(name)
        schema = schemas.at(place) if place else None
        if isinstance(schema, Mapping):
            words = [schema["const"]] if "const" in schema else schema.get("enum", ())
            yield from ((word, branch) for word in words if isinstance(word, str))


def _target(schemas: Schemas, branch: str) -> str:
    return follow(schemas.document, schemas.at(branch), branch)[1]

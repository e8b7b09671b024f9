"""Which of several schemas a value was meant to fit, going by the word that tells them apart."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attrs import frozen

from longcat.contract.openapi.document import SpecError
from longcat.contract.openapi.references import Document, follow
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


def variants_of(document: Document, pointer: str) -> Variants | None:
    """Return how the schemas of a `oneOf` or `anyOf` are told apart: by a discriminator, or by fixed words of a field.

    None: by nothing but their shape.
    """
    owner, _, keyword = pointer.rpartition("/")
    schema = document.schema(owner)
    discriminator = schema.get("discriminator")
    branches = [f"{pointer}/{index}" for index, _ in enumerate(schema[keyword])]
    if isinstance(discriminator, Mapping) and isinstance(name := discriminator.get("propertyName"), str):
        rule = f"{owner}/discriminator"
        mapping = discriminator.get("mapping")
        if isinstance(mapping, Mapping):
            return Variants(name, dict(_mapped(document, mapping, branches)), f"{rule}/mapping")
        found = dict(fixed_words(document, name, branches)) or dict(_component_names(document, branches))
        return Variants(name, found, rule) if found else None
    for name in properties_of(document, branches[0]) if branches else ():
        words = list(fixed_words(document, name, branches))
        if len({branch for _, branch in words}) == len(branches) > 1 and len(dict(words)) == len(words):
            return Variants(name, dict(words), pointer)
    return None


def properties_of(document: Document, pointer: str) -> dict[str, str]:
    """Return where the properties of a schema stand, those of its references and of the parts of `allOf` included."""
    found: dict[str, str] = {}
    for one in unconditional(document, pointer):
        schema = document.schema(one)
        for name in schema.get("properties", ()) if isinstance(schema, Mapping) else ():
            found.setdefault(name, f"{one}/properties/{escape(name)}")
    return found


def unconditional(document: Document, *pointers: str) -> tuple[str, ...]:
    """Return where all schemas stand that apply whenever those at the pointers do: by `$ref` and by `allOf`."""
    found: dict[str, None] = {}
    pending = [*reversed(pointers)]
    while pending:
        pointer = pending.pop()
        if pointer not in found:
            found[pointer] = None
            schema = document.schema(pointer)
            parts = []
            if isinstance(schema, Mapping):
                if "$ref" in schema:
                    parts.append(document.target(schema["$ref"], pointer))
                parts += [f"{pointer}/allOf/{index}" for index, _ in enumerate(schema.get("allOf", ()))]
            pending += reversed(parts)
    return tuple(found)


def _mapped(document: Document, mapping: Mapping[str, Any], branches: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the words of a discriminator's mapping, each with its branch."""
    targets = {_target(document, branch): branch for branch in branches}
    base = branches[0] if branches else ""
    for word, reference in mapping.items():
        if not isinstance(reference, str):
            continue
        # A mapping may give the bare name of a component (OpenAPI, "Discriminator Object").
        is_path = "#" in reference or "/" in reference or reference.endswith((".json", ".yaml", ".yml"))
        where = reference if is_path else f"#/components/schemas/{escape(reference)}"
        try:
            target = follow(document, {"$ref": where}, base)[1]
        except SpecError:
            continue
        yield word, targets.get(target, target)


def _component_names(document: Document, branches: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the names of the components that branches refer to: without a mapping, these are the words."""
    for branch in branches:
        target = _target(document, branch)
        if target.startswith("/components/schemas/"):
            yield target.rpartition("/")[2], branch


def fixed_words(document: Document, name: str, branches: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each word that a field can only have in one of the branches."""
    for branch in branches:
        property_pointer = properties_of(document, branch).get(name)
        schema = document.schema(property_pointer) if property_pointer else None
        if isinstance(schema, Mapping):
            words = [schema["const"]] if "const" in schema else schema.get("enum", ())
            yield from ((word, branch) for word in words if isinstance(word, str))


def _target(document: Document, branch: str) -> str:
    return follow(document, document.schema(branch), branch)[1]

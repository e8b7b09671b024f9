"""How a contract must change for a new word: one that chooses between variants, or one of a list."""

import copy
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from longcat.contract.openapi.document import follow, schemas
from longcat.contract.openapi.spec import Spec
from longcat.contract.openapi.variants import Variants, normal, properties_of
from longcat.contract.patches.edit import Append, Edit, Put, Source
from longcat.contract.patches.group import FindingGroup, RefusedError, body_of
from longcat.contract.patches.infer import infer
from longcat.pointer import at, escape

TELLS: Final = "It tells one kind of answer from another. Without it no answer can be read; decide by hand."
_WORD: Final = re.compile(r"(?=.*[A-Za-z])[\w .:+-]{1,40}", re.ASCII)


def is_word(text: str) -> bool:
    """Whether a text may be a word for a state, rather than something that was written for one person."""
    return _WORD.fullmatch(text) is not None


@frozen
class Words:
    """Says how the lists of words in a document must change.

    Attributes:
        source: the document as it stands now.
        spec: the same, as it is judged by.
    """

    source: Source
    spec: Spec

    @property
    def is_old(self) -> bool:
        """Whether the document is of OpenAPI 3.0."""
        return str(self.source.document["openapi"]).startswith("3.0")

    def raw(self, pointer: str) -> Any:
        """Return what the file has at a pointer. Raises LookupError."""
        return at(self.source.document, pointer)

    def listed(self, owner: str, new: Sequence[Any], said: str) -> Iterator[Edit]:
        """Yield the changes that add values to those that a schema lists."""
        schema = self.raw(owner)
        known = schema["enum"] if "enum" in schema else [schema["const"]]
        if "enum" in schema:
            for number, value in enumerate(new):
                yield Append(f"{owner}/enum", value, "" if number else said)
        else:
            yield Put(owner, "enum", [*known, *new], said, instead_of="const")
        # The generator makes a name of every word, and stumbles over two that differ in case only.
        words = [value for value in [*known, *new] if isinstance(value, str)]
        if len({normal(word) for word in words}) < len(words):
            names = _names(words)
            old = "x-enum-varnames" if "x-enum-varnames" in schema else None
            yield Put(owner, "x-enum-varnames", names, "", old)

    # --- Words that tell variants apart.

    def telling(self) -> dict[str, list[tuple[Variants, str]]]:
        """Return the schemas of the fields that tell variants apart, with the variants and the branch of each."""
        found: dict[str, list[tuple[Variants, str]]] = {}
        for variants in self.all_variants():
            for branch in dict.fromkeys(variants.branches.values()):
                place = properties_of(self.spec.schemas.document, branch).get(variants.name)
                if place is not None:
                    found.setdefault(place, []).append((variants, branch))
        return found

    def all_variants(self) -> Iterator[Variants]:
        """Yield all variants of the document."""
        for root, pointer in schemas(self.spec.schemas.document):
            for where in _choices(root, pointer):
                variants = self.spec.schemas.variants(where)
                if variants is not None:
                    yield variants

    def mapped(self, variants: Variants, branch: str, words: Sequence[str], group: FindingGroup) -> Iterator[Edit]:
        """Yield the changes that enter words of a branch into the mapping, if there is one."""
        if variants.rule.endswith("/mapping"):
            mapping = self.raw(variants.rule)
            known = next(word for word, place in variants.branches.items() if place == branch)
            for word in words:
                if word not in mapping:
                    yield Put(variants.rule, word, mapping[known], group.says(f"in answers like {known}"))

    def word(self, group: FindingGroup) -> Iterator[Edit]:
        """Yield the changes for a new word: of a variant that the answer is like, else of a variant of its own."""
        variants = next((one for one in self.all_variants() if one.rule == group.rule), None)
        word = group.values[0]
        if variants is None or not isinstance(word, str) or not is_word(word):
            raise RefusedError(TELLS)
        if word in variants.branches:
            return
        bodies = [at(body_of(one.exchange), one.pointer.rpartition("/")[0]) for one in group.findings]
        owner = group.rule.removesuffix("/mapping").rpartition("/")[0]
        for known, branch in variants.branches.items():
            place = properties_of(self.spec.schemas.document, branch).get(variants.name)
            alike = [{**body, variants.name: known} for body in bodies]
            if place and all(self.spec.schemas.is_valid(owner, one, closed=True) for one in alike):
                schema = self.raw(place)
                if "const" not in schema and "enum" not in schema:
                    raise RefusedError(TELLS)
                yield from self.listed(place, [word], group.says("another word"))
                yield from self.mapped(variants, branch, [word], group)
                return
        yield from self._variant(group, variants, owner, bodies, word)

    def _variant(
        self, group: FindingGroup, variants: Variants, owner: str, bodies: Sequence[Any], word: str
    ) -> Iterator[Edit]:
        """Yield the changes that add a variant for a new word."""
        if group.rule.endswith("/discriminator") and not variants.branches.keys() <= self._fixed(variants):
            raise RefusedError("The names of the schemas are the words here. Add a mapping by hand first.")
        choice = next(name for name in ("oneOf", "anyOf") if name in self.raw(owner))
        named = [properties_of(self.spec.schemas.document, branch) for branch in variants.branches.values()]
        names = dict.fromkeys(name for body in bodies for name in body)
        properties = {
            name: self.like([one[name] for one in named if name in one], [b[name] for b in bodies if name in b])
            for name in names
        }
        properties[variants.name] = {"type": "string"} | ({"enum": [word]} if self.is_old else {"const": word})
        required = [name for name in self._needed(variants) if all(name in body for body in bodies)]
        schema = {"type": "object", "required": required, "properties": properties}
        if not required:
            del schema["required"]
        said = group.says(f"answers with the {variants.name} {word}")
        known = [one["$ref"] for one in self.raw(f"{owner}/{choice}") if "$ref" in one]
        if not group.rule.endswith("/mapping") and not known:
            yield Append(f"{owner}/{choice}", schema, said)
            return
        component = self._component(word, known)
        reference = {"$ref": f"#/components/schemas/{component}"}
        yield Append(f"{owner}/{choice}", reference, said)
        if group.rule.endswith("/mapping"):
            yield Put(group.rule, word, reference["$ref"], group.says("another word"))
        described = {"description": "An answer as it was seen.", **schema}
        yield Put("/components/schemas", component, described, said)

    def _fixed(self, variants: Variants) -> set[str]:
        """Return the words that the schemas of the variants fix themselves."""
        places = [
            properties_of(self.spec.schemas.document, one).get(variants.name) for one in variants.branches.values()
        ]
        schemas = [self.raw(place) for place in places if place]
        return {word for one in schemas for word in [one.get("const"), *one.get("enum", ())] if word is not None}

    def _needed(self, variants: Variants) -> list[str]:
        """Return the fields that most of the variants require; the one that tells them apart first."""
        branches = dict.fromkeys(variants.branches.values())
        required: Counter[str] = Counter()
        for branch in branches:
            required.update({name for part in self.parts(branch) for name in self.raw(part).get("required", ())})
        most = [name for name, times in sorted(required.items()) if 2 * times > len(branches) and name != variants.name]
        return [variants.name, *most]

    def parts(self, pointer: str) -> list[str]:
        """Return where all the schemas stand that always apply with the one at a pointer."""
        found: list[str] = []
        pending = [pointer]
        while pending:
            one = pending.pop(0)
            node, where = follow(self.spec.schemas.document, self.spec.schemas.at(one), one)
            if isinstance(node, Mapping) and where not in found:
                found.append(where)
                pending += [f"{where}/allOf/{index}" for index, _ in enumerate(node.get("allOf", ()))]
        return found

    def like(self, places: Sequence[str], values: Sequence[Any]) -> Any:
        """Return a schema for a field: one that another variant has for it if it fits, else one made for the values."""
        for place in places:
            if all(self.spec.schemas.is_valid(place, value, closed=True) for value in values):
                return copy.deepcopy(self.raw(place))
        return infer(values)

    def _component(self, word: str, known: Sequence[str]) -> str:
        """Return a name for a new variant, in the style of its siblings: with the ending that they share."""
        names = [reference.rpartition("/")[2] for reference in known]
        endings = re.findall(r"(?=([A-Z][A-Za-z0-9]*$))", names[0]) if len(names) > 1 else []
        ending = next((one for one in endings if all(name.endswith(one) for name in names)), "")
        base = "".join(part[:1].upper() + part[1:] for part in re.findall(r"[A-Za-z0-9]+", word)) or "Other"
        base += ending
        taken = {normal(name) for name in self.source.document.get("components", {}).get("schemas", {})}
        number = 2
        name = base
        while normal(name) in taken:
            name, number = f"{base}{number}", number + 1
        return name


def _choices(node: Any, pointer: str) -> Iterator[str]:
    """Yield where in a schema there is a choice between others."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name in {"oneOf", "anyOf"} and isinstance(value, list):
                yield f"{pointer}/{name}"
            yield from _choices(value, f"{pointer}/{escape(name)}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _choices(value, f"{pointer}/{index}")


def _names(words: Sequence[str]) -> list[str]:
    """Return names for words, each another one."""
    names: list[str] = []
    for word in words:
        base = "_".join(re.findall(r"[A-Za-z0-9]+", word)).upper()
        base = base if base[:1].isalpha() else f"VALUE_{base}"
        taken = sum(normal(name) == normal(base) for name in map(str, names))
        names.append(base if not taken else f"{base}_{len(names) + 1}")
    return names

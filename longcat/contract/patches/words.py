"""Changes the contract for a new word: of a list of words, or one that chooses between variants."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any, Final

from longcat.contract.openapi.schema.variants import Variants, fixed_words, normal, properties_of, unconditional
from longcat.contract.patches.draft import Draft
from longcat.contract.patches.edit import Append, Edit, Put
from longcat.contract.patches.group import FindingGroup, RefusedError, json_body
from longcat.text.pointer import at, last_name, parent

TELLS_VARIANTS_APART: Final = (
    "It tells one kind of answer from another. Without it no answer can be read; decide by hand."
)
_WORD: Final = re.compile(r"(?=.*[A-Za-z])[\w .:+-]{1,40}", re.ASCII)


def is_word(text: str) -> bool:
    """Whether a text may be a word for a state, rather than something that was written for one person."""
    return _WORD.fullmatch(text) is not None


def add_words(draft: Draft, owner: str, new: Sequence[Any], comment: str) -> Iterator[Edit]:
    """Yield the edits that add values to those that a schema lists."""
    schema = draft.raw(owner)
    known = schema["enum"] if "enum" in schema else [schema["const"]]
    if "enum" in schema:
        yield from (Append(f"{owner}/enum", value, "" if number else comment) for number, value in enumerate(new))
    else:
        yield Put(owner, "enum", [*known, *new], comment, instead_of="const")
    # The generator makes a name of every word, and stumbles over two that differ in case only.
    words = [value for value in [*known, *new] if isinstance(value, str)]
    if len({normal(word) for word in words}) < len(words):
        old = "x-enum-varnames" if "x-enum-varnames" in schema else None
        yield Put(owner, "x-enum-varnames", _names(words), instead_of=old)


def _names(words: Sequence[str]) -> list[str]:
    """Return names for words, no two of them alike."""
    names: list[str] = []
    for word in words:
        base = "_".join(re.findall(r"[A-Za-z0-9]+", word)).upper()
        base = base if base[:1].isalpha() else f"VALUE_{base}"
        names.append(f"{base}_{len(names) + 1}" if normal(base) in map(normal, names) else base)
    return names


# --- Words that choose between variants.


def map_words(
    draft: Draft, variants: Variants, branch: str, words: Sequence[str], group: FindingGroup
) -> Iterator[Edit]:
    """Yield the edits that enter words of a branch into the discriminator's mapping, if there is one."""
    if variants.rule.endswith("/mapping"):
        mapping = draft.raw(variants.rule)
        known = next(word for word, place in variants.branches.items() if place == branch)
        for word in words:
            if word not in mapping:
                yield Put(variants.rule, word, mapping[known], group.comment(f"in answers like {known}"))


def new_word(draft: Draft, group: FindingGroup) -> Iterator[Edit]:
    """Yield the edits for a new word: of the variant that the answer is like, else of a new variant."""
    variants = next((one for one in draft.variants() if one.rule == group.rule), None)
    word = group.values[0]
    if variants is None or not isinstance(word, str) or not is_word(word):
        raise RefusedError(TELLS_VARIANTS_APART)
    if word in variants.branches:
        return
    bodies = [at(json_body(one.exchange), parent(one.pointer)) for one in group.findings]
    owner = parent(group.rule.removesuffix("/mapping"))
    for known, branch in variants.branches.items():
        pointer = properties_of(draft.document, branch).get(variants.name)
        alike = [{**body, variants.name: known} for body in bodies]
        if pointer and draft.allows(owner, alike, closed=True):
            if draft.raw(pointer).keys().isdisjoint({"const", "enum"}):
                raise RefusedError(TELLS_VARIANTS_APART)
            yield from add_words(draft, pointer, [word], group.comment("another word"))
            yield from map_words(draft, variants, branch, [word], group)
            return
    yield from _new_variant(draft, group, variants, owner, bodies)


def _new_variant(
    draft: Draft, group: FindingGroup, variants: Variants, owner: str, bodies: Sequence[Any]
) -> Iterator[Edit]:
    """Yield the edits that add a variant for a new word."""
    fixed = dict(fixed_words(draft.document, variants.name, variants.branches.values()))
    if group.rule.endswith("/discriminator") and not variants.branches.keys() <= fixed.keys():
        raise RefusedError("The names of the schemas are the words here. Add a mapping by hand first.")
    word, choice = group.values[0], next(name for name in ("oneOf", "anyOf") if name in draft.raw(owner))
    schema = _variant_schema(draft, variants, word, bodies)
    comment = group.comment(f"answers with the {variants.name} {word}")
    references = [one["$ref"] for one in draft.raw(f"{owner}/{choice}") if "$ref" in one]
    has_mapping = group.rule.endswith("/mapping")
    if not has_mapping and not references:
        yield Append(f"{owner}/{choice}", schema, comment)
        return
    component = _component_name(draft, word, references)
    reference = f"#/components/schemas/{component}"
    yield Append(f"{owner}/{choice}", {"$ref": reference}, comment)
    if has_mapping:
        yield Put(group.rule, word, reference, group.comment("another word"))
    yield Put("/components/schemas", component, {"description": "An answer as it was seen.", **schema}, comment)


def _variant_schema(draft: Draft, variants: Variants, word: str, bodies: Sequence[Any]) -> dict[str, Any]:
    """Return a schema for answers with a new word. Known fields are as in the other variants, new ones as seen."""
    known = [properties_of(draft.document, branch) for branch in variants.branches.values()]
    properties = {
        name: draft.schema_like(
            [places[name] for places in known if name in places], [body[name] for body in bodies if name in body]
        )
        for name in dict.fromkeys(name for body in bodies for name in body)
    }
    properties[variants.name] = {"type": "string"} | ({"enum": [word]} if draft.is_openapi_3_0 else {"const": word})
    required = [name for name in _usually_required(draft, variants) if all(name in body for body in bodies)]
    return {"type": "object", **({"required": required} if required else {}), "properties": properties}


def _usually_required(draft: Draft, variants: Variants) -> list[str]:
    """Return the fields that most of the variants require, first the one that tells the variants apart."""
    branches = dict.fromkeys(variants.branches.values())
    required: Counter[str] = Counter()
    for branch in branches:
        parts = map(draft.raw, unconditional(draft.document, branch))
        required.update({name for part in parts if isinstance(part, dict) for name in part.get("required", ())})
    most = [name for name, times in sorted(required.items()) if 2 * times > len(branches) and name != variants.name]
    return [variants.name, *most]


def _component_name(draft: Draft, word: str, references: Sequence[str]) -> str:
    """Return a name for a new variant, in the style of its siblings: with the ending that they share."""
    names = [last_name(reference) for reference in references]
    endings = re.findall(r"(?=([A-Z][A-Za-z0-9]*$))", names[0]) if len(names) > 1 else []
    ending = next((one for one in endings if all(name.endswith(one) for name in names)), "")
    base = "".join(part[:1].upper() + part[1:] for part in re.findall(r"[A-Za-z0-9]+", word)) or "Other"
    base += ending
    taken = {normal(name) for name in draft.source.document.get("components", {}).get("schemas", {})}
    candidates = (base if number == 1 else f"{base}{number}" for number in count(1))
    return next(name for name in candidates if normal(name) not in taken)

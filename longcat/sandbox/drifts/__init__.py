"""Ways in which a vendor might change the gateway without notice, and ways that harm nobody, by name.

A drift changes what is answered, or what is accepted, for as long as the sandbox runs; a fault, for comparison, strikes
a few times and passes. Each drift says how bad it is for callers. That was decided from who is hurt, and is the
specification that `longcat contract` is measured with, by `tools/gauntlet.py`:

- breaking: typed callers fail, or are misled.
- additive: something is new, and callers go on.
- notice: a deprecation, or a hint.
- None: harmless. The documentation allows it, or it is nobody's business.

`patchable` says whether the contract could be changed to describe it. It could not where a promise is lost that no
contract should give up (a check, an answer about the request that was named), or where the answer does not show what
has changed (a new requirement, another way to send the key).
"""

import difflib
from collections.abc import Iterable, Mapping
from typing import Final

from longcat.sandbox.drifts import fields, gateway
from longcat.sandbox.drifts.harmless import harmless
from longcat.sandbox.drifts.kinds import Drift

FAMILIES: Final = (
    fields.removed,
    fields.absent,
    fields.renamed,
    fields.nullable,
    fields.retyped,
    fields.nested,
    fields.valued,
    gateway.new,
    fields.words,
    gateway.misleading,
    gateway.enveloped,
    gateway.statuses,
    gateway.types,
    gateway.unreadable,
    gateway.authentication,
    gateway.validation,
    gateway.endpoint,
    gateway.announced,
    harmless,
)
DRIFTS: Final[Mapping[str, Drift]] = {drift.name: drift for family in FAMILIES for drift in family()}


def find_drifts(names: Iterable[str]) -> tuple[Drift, ...]:
    """Return the drifts of these names; an unknown one is a ValueError with a readable message."""
    return tuple(map(_find, names))


def _find(name: str) -> Drift:
    try:
        return DRIFTS[name]
    except KeyError:
        near = difflib.get_close_matches(name, DRIFTS, n=1)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise ValueError(f"There is no drift {name[:40]!r}. {hint}`longcat sandbox --drift list` shows them.") from None


__all__ = ["DRIFTS", "Drift", "find_drifts"]

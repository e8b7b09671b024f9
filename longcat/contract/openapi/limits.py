"""The limits of what a spec, or a value that is held against it, may ask of this machine. Both may come from strangers.

What goes beyond a limit is refused, and the message says the limit: a spec by SpecError, an exchange by
`UnjudgeableError`, which costs that part of it only.
"""

from typing import Any, Final

from attrs import Factory, define

from longcat.contract.openapi.errors import UnjudgeableError

MAX_SPEC_BYTES: Final = 32 * 1024**2
"""How many bytes the file of a spec may have."""
MAX_SPEC_VALUES: Final = 1_000_000
"""How many values a spec may hold, with the aliases of YAML written out."""
MAX_PATHS: Final = 20_000
"""How many paths a spec may have."""
MAX_FILES: Final = 10_000
"""How many other files a spec may refer to. Together they may have `MAX_SPEC_BYTES`."""
MAX_SPEC_DEPTH: Final = 200
"""How deeply the values of a spec may be nested. The libraries below refuse 255 levels, or overflow their stacks."""
MAX_PATTERNS: Final = 200_000
"""How large the patterns of a spec may be together, in characters, with what they repeat written out."""
MAX_DIGITS: Final = 4300
"""How many digits a whole number may have. Python itself writes no more (`sys.int_info.default_max_str_digits`)."""
MAX_VALUE_DEPTH: Final = 100
"""How deeply a value may be nested that is held against a spec. An answer of an API has some ten levels at most."""
MAX_APPLIED: Final = 500
"""How many schemas may apply to one value by `$ref` and `allOf`. In what people write, some twenty do at most."""
TOO_DEEP: Final = f"it can't be judged: its JSON has more than {MAX_VALUE_DEPTH} levels"
MAX_STEPS: Final = 100_000_000
"""How many steps an exchange may take. One takes some 20 ns."""
STEPS_PER_BYTE: Final = 200
"""How many further steps it may take for each byte of its body."""
MAX_BACKTRACKS: Final = 100_000
"""How often a pattern with `(?=...)` or its like may try again. All others take a time that grows with the text."""

_CONTAINERS: Final = (dict, list)  # A tuple is looked up much faster than `dict | list`.


@define
class StepBudget:
    """The steps that are left for one exchange.

    Attributes:
        reasons: why parts of it could not be judged, in the order in which they were found.
        notes: how often such a part was found.
    """

    left: int = Factory(lambda: MAX_STEPS)
    reasons: dict[str, None] = Factory(dict)
    notes: int = 0

    @classmethod
    def of_body(cls, body: bytes | None) -> "StepBudget":
        """Return the steps for an exchange with this body."""
        return cls(MAX_STEPS + STEPS_PER_BYTE * len(body or b""))

    def note(self, reason: str) -> None:
        """Note why a part of the exchange could not be judged. The rest of it is."""
        self.reasons[reason] = None
        self.notes += 1

    def spend(self, steps: int) -> None:
        """Take so many steps. Raises UnjudgeableError when there are not as many left."""
        self.left -= steps
        if self.left < 0:
            raise UnjudgeableError(
                f"it can't be judged: to hold it against its schemas takes more than {MAX_STEPS:,} steps, "
                f"and {STEPS_PER_BYTE} for each of its bytes"
            )


def check_depth(value: Any) -> None:
    """Raise UnjudgeableError for a value that is nested too deeply."""
    levels, level = 0, [value] if isinstance(value, _CONTAINERS) else []
    while level:
        levels += 1
        if levels > MAX_VALUE_DEPTH:
            raise UnjudgeableError(TOO_DEEP)
        inner = [one.values() if type(one) is dict else one for one in level]
        level = [one for values in inner for one in values if isinstance(one, _CONTAINERS)]

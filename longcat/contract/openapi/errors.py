"""The errors that say what can't be read of a contract, or judged of an exchange."""


class UnjudgeableError(ValueError):
    """A part of an exchange, such as its body, can't be judged. It costs that part: the rest of it is judged.

    The message says why, as a sentence without a full stop: the same one for all of a kind, so that reports can put
    them together.

    Attributes:
        unclear: whether it should have been judged, as with a defect of the contract. False: it is left out, as with a
            media type that is not judged.
    """

    def __init__(self, why: str, *, unclear: bool = True) -> None:
        super().__init__(why)
        self.unclear = unclear


class SpecError(UnjudgeableError):
    """A spec, or a part of it, that can't be used.

    Of a whole spec, the message says what is wrong, where, and what to do next. Of a part, it is a sentence without a
    full stop, and costs what reaches that part: the spec is read as far as it is asked for.
    """


def invalid(pointer: str, why: str) -> SpecError:
    """Return the error that says what is wrong at a place of a spec."""
    return SpecError(f"the contract is not valid at {pointer or 'its top level'}: {why}")

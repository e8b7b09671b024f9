"""The kinds of findings: how bad each is, what it means, who is hurt, and what to do.

The severity follows from the direction of the change. What is lost or changed breaks somebody who relied on it; what is
new breaks nobody; what is announced breaks nobody yet.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

from attrs import frozen

from longcat.contract.model import Severity


@frozen
class Code:
    """A kind of finding.

    Attributes:
        code: its name.
        severity: whom it hurts.
        meaning: what was seen.
        hurts: who is hurt, and how.
        do: what a maintainer does now.
    """

    code: str
    severity: Severity
    meaning: str
    hurts: str
    do: str


_CHANGE_SPEC: Final = (
    "If it is meant, change openapi.yaml (`longcat contract suggest` shows how) and run `make generate`."
)

_Texts: TypeAlias = Mapping[str, tuple[str, str, str]]
_BREAKING: Final[_Texts] = {
    "field-missing": (
        "A field that the contract requires is not there.",
        "Typed callers fail to read the answer.",
        f"{_CHANGE_SPEC} The field is optional then, and callers must do without it.",
    ),
    "field-renamed": (
        "A field is gone, and a new one is there with a similar name, or with a value that fits the old one.",
        "Typed callers fail to find the field, or go on without it.",
        _CHANGE_SPEC,
    ),
    "field-moved": (
        "Fields are gone from their place and stand elsewhere in the answer.",
        "Typed callers fail to find the fields, or go on without them.",
        _CHANGE_SPEC,
    ),
    "field-null": (
        "A field is null, and the contract does not allow that.",
        "Typed callers fail to read the answer, or stumble over the null later.",
        f"{_CHANGE_SPEC} The field is nullable then.",
    ),
    "type-changed": (
        "A value has another type, such as text for a number.",
        "Typed callers fail to read the answer, or calculate with the wrong thing.",
        _CHANGE_SPEC,
    ),
    "format-changed": (
        "A text has another form, such as another way to write a date, or an address that is no longer whole.",
        "Callers fail to parse the value, or to follow the address.",
        _CHANGE_SPEC,
    ),
    "value-out-of-range": (
        "A value is outside of its bounds: perhaps its unit is another one, or it contradicts another field.",
        "Callers are misled: a progress of 45 is no share of the whole, and 0.6 is not completed.",
        f"See whether the unit changed. {_CHANGE_SPEC}",
    ),
    "value-undocumented": (
        "A field has a value that the contract does not list, such as a new status word.",
        "Typed callers fail to read the answer. The facade warns and waits on, in vain if the word means the end.",
        f"Find out what the value means. {_CHANGE_SPEC}",
    ),
    "value-recased": (
        "A word is written in another case or with other separators than in the contract.",
        "Callers who compare words exactly no longer know it.",
        _CHANGE_SPEC,
    ),
    "value-empty": (
        "A text is empty where a value is needed.",
        "Callers get a field that says nothing, and fail where they use it.",
        "Tell the vendor. An empty value is rarely meant.",
    ),
    "constraint-broken": (
        "A value breaks a rule of its schema that has no kind of its own here.",
        "Typed callers may fail to read the answer.",
        _CHANGE_SPEC,
    ),
    "enveloped": (
        "The answer is wrapped: in another object, or in a list.",
        "Typed callers find none of the fields.",
        _CHANGE_SPEC,
    ),
    "error-in-success": (
        "An error came with a status code that means success.",
        "Callers take the error for an answer, and fail later, or wait for what will never come.",
        "Tell the vendor. If it is meant, callers must look into every answer; openapi.yaml can say so, by hand.",
    ),
    "answer-mismatched": (
        "The answer is about something else than was asked.",
        "Callers are misled: they may take another's picture for theirs.",
        "Tell the vendor at once. No change of the contract makes this right.",
    ),
    "status-undocumented": (
        "The answer has a status code that the contract does not have for it.",
        "Callers who go by the code fail, or treat the answer as a fault.",
        _CHANGE_SPEC,
    ),
    "status-changed": (
        "The answer has a status code that the contract has for another case.",
        "Callers who go by the code are misled: they mend the wrong thing, or give up too early.",
        (
            "Ask the vendor which is meant. A 404 without a key says that the endpoint is gone, or that the key is no"
            " longer asked for first. The contract stays as it is until that is known."
        ),
    ),
    "request-refused": (
        "A request that keeps the contract was refused as a bad one. Perhaps a header or a field is needed now.",
        "Every caller is refused.",
        "Read the message of the answer. Add to openapi.yaml what is needed now, and run `make generate`.",
    ),
    "redirected": (
        "The endpoint redirects to another address.",
        "Callers who follow no redirects fail, as most do for a POST. The others may send the key elsewhere.",
        "Check that the new address is the vendor's. If it is, change servers and paths in openapi.yaml.",
    ),
    "endpoint-gone": (
        "A documented path or method, or a request that should exist, was answered as if it did not.",
        "Every caller fails.",
        "Check that the request still exists. If so, look for a new address in the vendor's documentation.",
    ),
    "auth-lost": (
        "A request without a key, or with a wrong one, was answered.",
        "Everybody's pictures can be seen by anybody.",
        "Tell the vendor at once. The contract stays as it is: a lost check is never patched away.",
    ),
    "auth-changed": (
        "A request with the right key was refused as if it had none. Perhaps the key travels elsewhere now.",
        "Every caller is refused.",
        "Check the key first. If it is good, change the security scheme in openapi.yaml.",
    ),
    "validation-lost": (
        "A request that breaks the contract was answered as if it were good.",
        "Callers no longer hear of their mistakes, and take for an answer what is none.",
        "Tell the vendor. The contract stays as it is: a lost check is never patched away.",
    ),
    "unknown-answered": (
        "A request for something that does not exist was answered as if it did.",
        "Callers with a wrong id are never told, and wait until their time-out.",
        "Tell the vendor. The contract stays as it is: a lost check is never patched away.",
    ),
    "content-type-changed": (
        "The answer has another content type than the contract says.",
        "Callers who go by the content type do not read the answer.",
        _CHANGE_SPEC,
    ),
    "body-empty": (
        "The answer has no body where the contract has one.",
        "Callers fail to read the answer.",
        "Tell the vendor.",
    ),
    "body-not-json": (
        "The body is not JSON by the letter of RFC 8259, though it should be.",
        "Callers fail to read the answer, or only some of them do.",
        "Tell the vendor.",
    ),
    "body-cut": (
        "The body ends too early.",
        "Callers fail to read the answer.",
        "Ask again. If it stays so, tell the vendor.",
    ),
    "name-repeated": (
        "An object has the same name twice.",
        "Some callers read the first value, some the last, and some fail.",
        "Tell the vendor.",
    ),
    "header-missing": (
        "A header that the contract requires is not there.",
        "Callers who go by the header fail.",
        _CHANGE_SPEC,
    ),
    "header-changed": (
        "A documented header has a value that the contract does not allow.",
        "Callers who go by the header fail, or are misled.",
        _CHANGE_SPEC,
    ),
}
_ADDITIVE: Final[_Texts] = {
    "field-new": (
        "There is a field that the contract does not have.",
        "Nobody: callers go on. The typed client keeps the field among its additional ones.",
        _CHANGE_SPEC,
    ),
    "body-new": (
        "There is a body where the contract has none.",
        "Nobody: callers go on.",
        "If it is useful, describe it in openapi.yaml.",
    ),
    "method-new": (
        "A documented path answers to a method that the contract does not have.",
        "Nobody: callers go on.",
        "If it is useful, describe it in openapi.yaml, by hand.",
    ),
    "path-new": (
        "A path that the contract does not have was answered.",
        "Hardly anybody. But whoever mistypes the path is no longer told so.",
        "Look at the answer. A page for everything that does not exist often comes with a move of the service.",
    ),
}
_NOTICE: Final[_Texts] = {
    "field-absent": (
        "A field that may be absent, but is in every such answer that the contract shows, is not there.",
        "Nobody who goes by the contract, which does not promise the field. Whoever relied on the examples misses it.",
        "See whether it stays away. If it does, take it out of openapi.yaml and its examples, and tell callers.",
    ),
    "value-blank": (
        "A text is empty. The contract does not forbid that, but never shows it.",
        "Nobody who goes by the contract, which allows it. Whoever shows the text to people shows nothing.",
        "See whether it stays so. If a value is needed, add `minLength: 1` to openapi.yaml and tell the vendor.",
    ),
    "deprecated": (
        "A header announces that the endpoint, or a version of it, will go, or names its successor.",
        "Nobody yet.",
        "Read what the header points to, and plan the change before the date.",
    ),
    "warning": (
        "A header warns callers, in words for people.",
        "Nobody yet.",
        "Read the warning.",
    ),
}


_TEXTS: Final = {Severity.BREAKING: _BREAKING, Severity.ADDITIVE: _ADDITIVE, Severity.NOTICE: _NOTICE}
CODES: Final[Mapping[str, Code]] = MappingProxyType(
    {name: Code(name, severity, *words) for severity, texts in _TEXTS.items() for name, words in texts.items()}
)
"""Every kind of finding, by its name; the worst first."""

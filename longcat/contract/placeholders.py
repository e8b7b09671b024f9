"""The placeholders that recorders put in the place of a secret: `<LOGIN>`, `[REDACTED]`, `{{TOKEN}}`, rows of X."""

import re
from typing import Any, Final

MAX_PLACEHOLDER: Final = 200
"""How many characters a placeholder may have, or a value that holds one. What is longer is a text."""
MAX_ADDRESS: Final = 2000
"""How many characters an address of the web may have that holds one."""

_WORDS: Final = r"(?:api|access|auth|client|secret|private)?[-_ ]?(?:id|key|token|secret|password|credentials?|value)"
_WHOLE: Final = re.compile(
    r"<+[^<>]+>+|\((?:redacted|filtered|removed|hidden)\)"  # In brackets.
    r"|\[[a-z][\w .-]*\]|\{\{.*\}\}|\$?\{[\w. -]+\}|%+\w+%+|__\w+__|@@\w+@@|(?-i:\$[A-Z][A-Z0-9_]+)"
    r"|\*{2,}|[x#.-]{3,}|[\u2022\u2026\u2588]+"  # Rows.
    r"|(?:redacted|filtered|sanitized|sanitised|scrubbed|censored|masked|obfuscated|anonymized|anonymised|dummy|placeholder"
    rf"|fake)(?:[-_ ]{_WORDS})?(?:[-_ ]?[0-9]+)?"
    rf"|(?:test|mock|example|sample|my|your)[-_ ]{_WORDS}"
    r"|placeholder(?:[-_]\w+)+"
    rf"|{_WORDS}[-_ ](?:redacted|filtered|removed|hidden)",
    re.IGNORECASE,
)
_PART: Final = re.compile(
    r"x{4,}|X{4,}|\*{3,}|<[A-Z][A-Z0-9_ -]*>|\{\{[^{}]*\}\}|\[[A-Z][A-Z0-9_-]*\]"
    r"|(?<![a-zA-Z])(?:REDACTED|REMOVED|HIDDEN|SCRUBBED|FILTERED)(?![a-z])|%3C[A-Z_]+%3E"
)
"""What stands for a part of a value, such as of an address. `removed` alone is a word that APIs have."""
_ELEMENT_OR_LIST: Final = re.compile(
    r"<!.*|<(?!redacted|removed|filtered|hidden|scrubbed)[a-z][^A-Z]*>|\[(?:true|false|null)\]"
)
_BETWEEN: Final = re.compile(r"[/?&=:@,;\s.\"']+")
_IN_JSON: Final = re.compile(
    rb'"(?:<+[\w .:-]+>+|\[[A-Z][A-Z0-9_ -]*\]|\{\{[^{}"]*\}\}|\*{2,}|[xX]{3,}|(?i:redacted|filtered|sanitized|scrubbed'
    rb"|censored)(?:[-_](?i:id|key|token|secret|value))?|REMOVED|HIDDEN)\"|<[A-Z][A-Z0-9_]*>|\{\{[A-Z_]+\}\}"
    rb"|\[(?:REDACTED|FILTERED|REMOVED)\]"
)
_BARE: Final = re.compile(
    rb"(?<=[:,\[])\s*([\w.-]*(?:<[A-Z][A-Z0-9_]*>[\w.-]*)+|\[(?:REDACTED|FILTERED|REMOVED)\]|\{\{[\w .-]+\}\}|\*{3,}"
    rb"|X{3,}|REDACTED|FILTERED)(?=\s*[,}\]])"
)


def is_placeholder(text: str) -> bool:
    """Whether a text stands for another one that a recorder took out, as a whole or in a part of it."""
    text = text.strip()
    if text.startswith(("https://", "http://")) and len(text) <= MAX_ADDRESS and _PART.search(text):
        return True
    if not 0 < len(text) <= MAX_PLACEHOLDER:
        return False
    return bool(_WHOLE.fullmatch(text) or _PART.search(text) or any(map(_WHOLE.fullmatch, _BETWEEN.split(text))))


def is_placeholder_alone(text: str) -> bool:
    """Whether a text is nothing but a placeholder, in quotes or without. An element or a list in it is none."""
    text = text.strip().strip("\"'")
    if not 0 < len(text) <= MAX_PLACEHOLDER or _ELEMENT_OR_LIST.fullmatch(text):
        return False
    return bool(_WHOLE.fullmatch(text) or text in {"REMOVED", "HIDDEN"})


def holds_placeholder(body: bytes) -> bool:
    """Whether a text of the JSON in a body is a placeholder, or has one in it, so that nobody can take it for another.

    This is for telling people. To ask it of each text after reading it would take ten times as long.
    """
    return _IN_JSON.search(body) is not None


def has_placeholder(value: Any) -> bool:
    """Whether a placeholder stands somewhere in a decoded value, or in a name of it."""
    pending = [value]
    while pending:
        one = pending.pop()
        if isinstance(one, str) and is_placeholder(one):
            return True
        if isinstance(one, dict):
            pending += [*one, *one.values()]
        elif isinstance(one, list):
            pending += one
    return False


def with_quotes(body: bytes) -> bytes:
    """Return a body of JSON in which the placeholders that stand for numbers, or for parts of them, are texts."""
    return _BARE.sub(rb'"\1"', body)

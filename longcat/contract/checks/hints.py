"""What a gateway announces in its headers: that something will go, or that something is odd."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

_RELATIONS: Final = re.compile(r';\s*rel\s*=\s*"?[^";]*\b(deprecation|sunset|successor-version)\b', re.IGNORECASE)
_WARNING: Final = re.compile(r"(^|,)\s*299\b")
_SAYS_NO: Final = frozenset({"false", "0", "no", "none", ""})


def hints(headers: Mapping[str, str], documented: Mapping[str, object]) -> Iterator[tuple[str, str, str]]:
    """Yield the code, the header and its value, of each header that announces something and is not documented.

    `Deprecation` is RFC 9745, `Sunset` and its link relation RFC 8594, `successor-version` RFC 5829. `Warning` was
    retired by RFC 9111; APIs still use its code 299 to tell of what will go. Many have names of their own.
    """
    for name, value in headers.items():
        code = _code(name, value)
        if code is not None and name not in documented:
            yield code, name, value


def _code(name: str, value: str) -> str | None:
    if name == "link":
        return "deprecated" if _RELATIONS.search(value) else None
    if name == "warning":
        return "warning" if _WARNING.search(value) else None
    if "deprecat" in name or "sunset" in name:
        return None if value.strip().lower() in _SAYS_NO else "deprecated"
    return None

"""Words for people: values cut short, so that a message stays one readable paragraph."""

import html
import json
import re
from typing import Any

_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)


def shorten(value: Any, limit: int = 80) -> str:
    """Return the value as one line of at most `limit` characters, its end cut off when it is longer."""
    text = " ".join(str(value)[: 10 * limit].split())
    return text if len(text) <= limit else text[: limit - 3] + "..."


def show(value: Any, limit: int = 80) -> str:
    """Return a decoded JSON value as JSON, cut short. What a terminal might not print comes out escaped."""
    if isinstance(value, str) and len(value) > limit:
        value = value[:limit] + "..."
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (RecursionError, ValueError):  # Nested too deeply, or an integer with too many digits to write.
        return f"a {type(value).__name__} too large to show"
    text = text if text.isprintable() else json.dumps(value)
    return text if isinstance(value, str) else shorten(text, limit)


def describe(body: bytes) -> str:
    """Return what a body that is not JSON looks like, in a few words."""
    if not body.strip():
        return "an empty body"
    text = body[:4096].decode("utf-8", "replace")
    if "<html" in text.lower() or text.lstrip().lower().startswith("<!doctype"):
        title = _TITLE.search(text)
        return f"an HTML page titled {show(html.unescape(title[1]).strip())}" if title else "an HTML page"
    return f"a body that begins {show(text)}"

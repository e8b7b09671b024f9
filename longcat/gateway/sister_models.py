"""What other models of the same queue answer, brought into the form that is documented for LongCat.

The service may well answer so for LongCat, too, one day: a picture that was paid for should not be lost to it. The
drift check knows nothing of this module, and reports every such answer.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from longcat.gateway.reading import error_words

SUPPLIER_WORDS: Final[Mapping[str, str]] = {"in_queue": "QUEUED", "in_progress": "PROCESSING"}
DATES: Final = ("created_at", "updated_at", "completed_at")
_DATE: Final = re.compile(r"(\d{4}-\d\d-\d\d)[ Tt](\d\d:\d\d:\d\d(?:\.\d+)?)(?: ?([Zz]|[+-]\d\d:\d\d))?", re.ASCII)
OPEN: Final = frozenset({"queued", "processing"})
FAILED: Final = frozenset({"failed", "error", "cancelled", "canceled"})


def as_documented(body: Any) -> Any:
    """Return a decoded answer in the documented form. What is in it already, and what is no object, stays as it is."""
    if not isinstance(body, dict):
        return body
    body = {**body}
    word = body.get("status")
    if isinstance(word, str):
        body["status"] = SUPPLIER_WORDS.get(word.casefold(), word)
    for name in DATES:
        if body.get(name) is None:
            body.pop(name, None)
        elif isinstance(body[name], str) and (match := _DATE.fullmatch(body[name])):
            zone = match[3] or "Z"  # Pairs of dates with and without a zone show that it is UTC.
            body[name] = f"{match[1]}T{match[2]}{zone}"
    state = body["status"].casefold() if isinstance(word, str) else ""
    if state in FAILED:
        reason = error_words({"error": body.get("error_message"), **_given(body)})
        body["error"] = reason
        body.pop("message", None)
    elif not body.get("error"):
        body.pop("error", None)
    output = body["output"] if isinstance(body.get("output"), dict) else {}
    urls = output.get("media_url")
    if state == "completed" and not (isinstance(urls, list) and urls) and (found := picture_urls(body)):
        body["output"] = {**output, "media_url": list(found)}
    elif state in OPEN | FAILED and not body.get("output"):
        body.pop("output", None)
    return body


def picture_urls(body: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the addresses of the pictures in a decoded answer, wherever one of the models has them."""
    for holder in (body.get("output"), body.get("result"), body):
        for name in ("media_url", "images"):
            if isinstance(holder, dict) and (urls := tuple(_urls(holder.get(name)))):
                return urls
    return ()


def _urls(value: Any) -> Iterator[str]:
    for one in value if isinstance(value, list) else [value]:
        url = one.get("url") if isinstance(one, dict) else one
        if isinstance(url, str) and url:
            yield url


def _given(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if value is not None}

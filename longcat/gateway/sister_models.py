"""Brings the answers of other models of the same queue into the form that is documented for LongCat.

The service may well answer so for LongCat, too, one day: a picture that was paid for should not be lost to it. The
drift check knows nothing of this module, and reports every such answer.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from longcat.gateway.reading import error_words

SUPPLIER_WORDS: Final[Mapping[str, str]] = {"in_queue": "QUEUED", "in_progress": "PROCESSING"}
DATES: Final = ("created_at", "updated_at", "completed_at")
_DATE: Final = re.compile(r"(\d{4}-\d\d-\d\d)[ Tt](\d\d:\d\d:\d\d(?:\.\d+)?)(?: ?([Zz]|[+-]\d\d:\d\d))?", re.ASCII)
OPEN: Final = frozenset({"queued", "processing"})
FAILURE_WORDS: Final = frozenset({"failed", "error", "cancelled", "canceled"})


def as_documented(body: Any) -> Any:
    """Return a decoded answer in the documented form. What is in it already, and what is no object, stays as it is."""
    if not isinstance(body, dict):
        return body
    body = {**body}
    state = ""
    if isinstance(word := body.get("status"), str):
        body["status"] = word = SUPPLIER_WORDS.get(word.casefold(), word)
        state = word.casefold()
    _mend_dates(body)
    if state in FAILURE_WORDS:
        _mend_reason(body)
    elif not body.get("error"):
        body.pop("error", None)
    output = body.get("output")
    if state == "completed":
        fields = output if isinstance(output, dict) else {}
        urls = fields.get("media_url")
        if not (isinstance(urls, list) and urls) and (found := picture_urls(body)):
            body["output"] = {**fields, "media_url": list(found)}
    elif not output and (state in OPEN or state in FAILURE_WORDS):
        body.pop("output", None)
    return body


def _mend_dates(body: dict[str, Any]) -> None:
    for name in DATES:
        date = body.get(name)
        if date is None:
            body.pop(name, None)
        elif isinstance(date, str) and (" " in date or date[-1:] != "Z") and (match := _DATE.fullmatch(date)):
            zone = match[3] or "Z"  # Pairs of dates with and without a zone show that it is UTC.
            body[name] = f"{match[1]}T{match[2]}{zone}"


def _mend_reason(body: dict[str, Any]) -> None:
    error = body.get("error")
    reason = {"error": body.get("error_message") if error is None else error, "message": body.pop("message", None)}
    body["error"] = error_words(reason)


def picture_urls(body: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the addresses of the pictures in a decoded answer, wherever one of the models has them."""
    for holder in (body.get("output"), body.get("result"), body):
        if isinstance(holder, dict):
            for name in ("media_url", "images"):
                if (value := holder.get(name)) and (urls := _urls(value)):
                    return urls
    return ()


def _urls(value: Any) -> tuple[str, ...]:
    urls = []
    for one in value if isinstance(value, list) else [value]:
        url = one.get("url") if isinstance(one, dict) else one
        if isinstance(url, str) and url:
            urls.append(url)
    return tuple(urls)

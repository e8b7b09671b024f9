"""A secret, taken out of a text in whichever way it is written there, before anything of the text is cut short."""

import base64
import json
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final

from longcat.text.escapes import located_readings, readings, without_cut_escape

Hide = Callable[[str], str]
"""Returns a text without the secret in it."""

MIN_SECRET_LENGTH: Final = 8
"""Characters. A shorter secret could be any word, so only what is shown is kept free of it."""
KEY_PLACEHOLDER: Final = "[key]"
"""Stands where the key stood. No address may hold it, so one that held the key is refused like any other text."""


@lru_cache(maxsize=64)  # A client hides the same key in every answer.
def hiding(secret: str, placeholder: str = KEY_PLACEHOLDER) -> Hide:
    """Return a function that replaces the secret in a text, however it is written there.

    It is found in any case, as JSON, HTML or a URL escapes it, in any mixture and several times over, broken by the end
    of a line, and in base64, also in the midst of other text that was encoded with it. An empty secret is in no text.
    """
    if not secret:
        return str
    plain, encoded = _plain_forms(secret), _base64_forms(secret)
    pattern = re.compile("|".join([*map(_in_any_case, plain), *map(_in_base64, encoded)]))
    may_hold, shortest = _search(plain, encoded), min(map(len, [*plain, *encoded]))

    def hide(text: str) -> str:
        if len(text) < shortest or not any(map(may_hold, readings(text))):
            return text
        spans = [
            (one.starts[found.start()], one.ends[found.end() - 1])
            for one in located_readings(text)
            for found in pattern.finditer(one.text)
        ]
        return _replaced(text, spans, placeholder)

    return hide


def hiding_cut(secret: str) -> Hide:
    """Return what hides the secret in a text that was cut at its end, perhaps in the midst of the secret."""
    if not secret:
        return str
    hide, forms = hiding(secret), [form.lower() for form in (*_plain_forms(secret), *_base64_forms(secret))]
    longest = 16 * len(secret)  # JSON takes six characters for each, and an escape may have been escaped.

    def hide_cut(text: str) -> str:
        text = hide(text)
        end = text[-longest:]
        kept = tail = without_cut_escape(end)
        for one in located_readings(tail):
            lower = without_cut_escape(one.text).lower()
            for form in forms:
                size = next((size for size in range(len(form) - 1, 0, -1) if lower.endswith(form[:size])), 0)
                kept = min(kept, tail[: one.starts[len(lower) - size]] if size else tail, key=len)
        return text.removesuffix(end) + kept

    return hide_cut


def _plain_forms(secret: str) -> list[str]:
    """Return the secret, and what is left of it when the escapes in it are undone like those around it."""
    *_, bare = readings(secret)
    return sorted({secret, bare} if len(bare) >= MIN_SECRET_LENGTH else {secret}, key=len, reverse=True)


def _base64_forms(secret: str) -> list[str]:
    """Return the characters that base64 makes of the secret alone, after 0, 1 and 2 bytes of something else."""
    if len(secret) < MIN_SECRET_LENGTH:
        return []
    encoded = [
        base64.b64encode(b"\0" * before + secret.encode("utf-8", "surrogatepass")).decode() for before in range(3)
    ]
    bits = 8 * len(secret.encode("utf-8", "surrogatepass"))
    return [text[(8 * before + 5) // 6 : (8 * before + bits) // 6] for before, text in enumerate(encoded)]


def _search(plain: Iterable[str], encoded: Iterable[str]) -> Callable[[str], bool]:
    """Return a quick test: whether one of the forms may be in a text, in any case and in either alphabet of base64."""
    words = [form.lower() for form in plain]
    parts = {part for form in encoded for part in (form, form.replace("+", "-").replace("/", "_"))}

    def may_hold(text: str) -> bool:
        lower = text.lower()
        for word in words:
            if word in lower:
                return True
        for part in parts:  # noqa: SIM110 - a generator would take as long again, and every answer is searched.
            if part in text:
                return True
        return False

    return may_hold


def _in_any_case(form: str) -> str:
    """Return a pattern for a form of the secret. A short one is another word in another case."""
    if len(form) < MIN_SECRET_LENGTH:
        return re.escape(form)
    return "".join(
        f"[{one.lower()}{one.upper()}]" if one.isascii() and one.isalpha() else re.escape(one) for one in form
    )


def _in_base64(form: str) -> str:
    return form.replace("+", "[+-]").replace("/", "[/_]")


def _replaced(text: str, spans: Iterable[tuple[int, int]], placeholder: str) -> str:
    """Return a text with parts of it replaced; those that overlap are one."""
    pieces, done = [], 0
    for start, end in sorted(spans):
        if start >= done:
            pieces += [text[done:start], placeholder]
        done = max(done, end)
    return "".join([*pieces, text[done:]])


def hide_body(body: bytes, hide: Hide) -> bytes:
    """Return a body without the secret in its text, in whichever encoding that is; the rest stays as it is."""
    encodings: list[str] = [json.detect_encoding(body), "utf-8"]
    for encoding in encodings[encodings[0].startswith("utf-8") :]:
        errors = "surrogateescape" if encoding == "utf-8" else "strict"
        try:
            text = body.decode(encoding, errors)
        except UnicodeDecodeError:
            continue
        hidden = hide(text)
        body = hidden.encode(encoding, errors) if hidden != text else body
    return body

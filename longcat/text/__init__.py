"""Words for people: one line, cut short, with nothing in it that a terminal would obey and no secret.

What is cut short must have been hidden before: of a secret that is cut, nobody finds the first half.
"""

import base64
import codecs
import html
import json
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Final

from longcat.text.escapes import located_readings, readings, without_cut_escape

Hide = Callable[[str], str]
"""Returns a text without the secret in it."""

BYTE_ORDER_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # Before the mark of UTF-16, with which it begins.
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""The marks with which a text may begin, and the encodings that skip them."""
SHORTEST: Final = 8
"""Characters. A shorter secret could be any word, so only what is shown is kept free of it."""
KEY_PLACEHOLDER: Final = "[key]"
"""Stands where the key stood. No address may hold it, so one that held the key is refused like any other text."""
HEAD: Final = 4096
"""Characters of a page or a text that are looked at to describe it."""

_DISTRIBUTIONS: Final = {"PIL": "pillow", "ruamel": "ruamel.yaml", "yaml": "pyyaml"}
"""What a package is called where it is installed from, if that is not its name in Python with hyphens."""
_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
# It matches every address, also one that has nothing to take out, so that no text takes long.
_ADDRESS: Final = re.compile(r"""(:\\{0,4}/\\{0,4}/)(?:[^\s"/?#@]*@)*([^\s"?#]*)([?#][^\s"]*)?""")
_TITLE: Final = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)


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
    words = [word.lower() for word in plain]
    parts = [part for form in encoded for part in (form, form.replace("+", "-").replace("/", "_"))]

    def may_hold(text: str) -> bool:
        lower = text.lower()
        return any(word in lower for word in words) or any(part in text for part in parts)

    def hide(text: str) -> str:
        if not any(map(may_hold, readings(text))):
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
    return sorted({secret, bare} if len(bare) >= SHORTEST else {secret}, key=len, reverse=True)


def _base64_forms(secret: str) -> list[str]:
    """Return the characters that base64 makes of the secret alone, after 0, 1 and 2 bytes of something else."""
    if len(secret) < SHORTEST:
        return []
    encoded = [
        base64.b64encode(b"\0" * before + secret.encode("utf-8", "surrogatepass")).decode() for before in range(3)
    ]
    bits = 8 * len(secret.encode("utf-8", "surrogatepass"))
    return [text[(8 * before + 5) // 6 : (8 * before + bits) // 6] for before, text in enumerate(encoded)]


def _in_any_case(form: str) -> str:
    """Return a pattern for a form of the secret. A short one is another word in another case."""
    if len(form) < SHORTEST:
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


def printable(text: str) -> str:
    """Return lines of text with nothing in them that a terminal would obey: it is written as an escape."""
    return "".join(one if one.isprintable() or one in "\n\t" else ascii(one)[1:-1] for one in text)


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


def without_queries(text: str) -> str:
    """Return a text with every address in it without the user before its host, and without its query and fragment.

    Each may hold a password or a signature, and whoever knows that has what is behind the address.
    """
    return _ADDRESS.sub(lambda found: found[1] + found[2] + ("?..." if found[3] else ""), text)


def without_query(address: str) -> str:
    """Return an address without user, query and fragment. It may be relative, or have spaces in it."""
    path = re.split("[?#]", address, maxsplit=1)[0]
    return without_queries(path) + ("?..." if path != address else "")


def shorten(value: object, limit: int = 80) -> str:
    """Return the value as one printable line of at most `limit` characters, its end cut off when it is longer."""
    text = " ".join(str(value)[: 10 * limit].split())
    text = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def abbreviate(text: str, limit: int) -> str:
    """Return a name as one printable line of at most `limit` characters, without its middle when it is longer."""
    text = shorten(text, 1100)  # Longer than any request id.
    tail = (limit - 3) // 2
    return text if len(text) <= limit else f"{text[: limit - 3 - tail]}...{text[-tail:]}"


def show(value: Any, hide: Hide = str, limit: int = 80) -> str:
    """Return a decoded JSON value as JSON, in one printable line, cut short."""
    if isinstance(value, str):
        value = hide(value)
        value = value[:limit] + "..." if len(value) > limit else value
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (RecursionError, TypeError, ValueError):  # Nested too deeply, no JSON, or an integer with too many digits.
        return f"a {type(value).__name__} that can't be shown"
    text = text if text.isprintable() else json.dumps(value)
    return text if isinstance(value, str) else shorten(hide(text), limit)


def encoding_of(start: bytes) -> str:
    """Return the encoding that the byte order mark at the start of a text tells: UTF-8 where there is none.

    Windows PowerShell writes UTF-16 with a mark by default.
    """
    return next((encoding for mark, encoding in BYTE_ORDER_MARKS if start.startswith(mark)), "utf-8-sig")


def decode_text(content: bytes, errors: str = "strict") -> str:
    """Return the text that a file holds. Raises UnicodeDecodeError, unless `errors` says what is done instead."""
    return content.decode(encoding_of(content), errors)


def words_of(name: str) -> list[str]:
    """Return the words of a name, in lower case: `X-Api-Key` and `xApiKey` both have `x`, `api` and `key`."""
    return [word.casefold() for word in _WORDS.findall(name)]


def missing_package(what: str, module: str, extra: str) -> str:
    """Return that something needs a package of an extra, and how to install it. `module` is what was not found."""
    package = module.partition(".")[0]
    package = _DISTRIBUTIONS.get(package, package.replace("_", "-"))
    return f"{what} needs the package {package}, which is not installed. Run: pip install 'longcat-image[{extra}]'"


def sentence(text: str, limit: int = 300) -> str:
    """Return the text as one that can stand before another sentence: cut short, and ended once."""
    text = shorten(text, limit)
    return text if text.endswith((".", "!", "?")) else f"{text}."


def describe(body: bytes, hide: Hide = str) -> str:
    """Return what the first characters of a body that is not JSON look like, in a few words."""
    if not body.strip():
        return "an empty body"
    text = hide(body[: 16 * HEAD].decode("utf-8", "replace"))[:HEAD]  # Whatever is hidden is shorter than the rest.
    if _is_page(text):
        title = _TITLE.search(text)
        return f"an HTML page titled {show(html.unescape(title[1]).strip(), hide)}" if title else "an HTML page"
    return f"a body that begins {show(text)}"


def describe_kind(body: bytes) -> str:
    """Return what a body that is no image is instead, without a word of it."""
    if not body.strip():
        return "an empty body"
    return "an HTML page" if _is_page(body[:HEAD].decode("utf-8", "replace")) else "something else"


def _is_page(text: str) -> bool:
    return "<html" in text.lower() or text.lstrip().lower().startswith("<!doctype")

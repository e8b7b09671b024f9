"""Words for people: one line, cut short, with nothing in it that a terminal would obey and no secret.

What is cut short must have been hidden before: of a secret that is cut, nobody finds the first half.
"""

import codecs
import json
import re
from typing import Any, Final

from longcat.text.hiding import Hide

BYTE_ORDER_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # Before the mark of UTF-16, with which it begins.
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""The marks with which a text may begin, and the encodings that skip them."""
MAX_DESCRIBED: Final = 4096
"""Characters of a page or a text that are looked at to describe it."""

_DISTRIBUTIONS: Final = {"PIL": "pillow", "ruamel": "ruamel.yaml", "yaml": "pyyaml"}
"""What a package is called where it is installed from, if that is not its name in Python with hyphens."""
_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
# It matches every address, also one that has nothing to take out, so that no text takes long.
_ADDRESS: Final = re.compile(r"""(:\\{0,4}/\\{0,4}/)(?:[^\s"/?#@]*@)*([^\s"?#]*)([?#][^\s"]*)?""")
_TITLE: Final = r"(?is)<title[^>]*>(.*?)</title>"


def printable(text: str, keep: str = "") -> str:
    """Return text without characters that a terminal, or XML, might act upon; they are written as escapes."""
    if text.isprintable():  # Most are.
        return text
    return "".join(one if one.isprintable() or one in keep else ascii(one)[1:-1] for one in text)


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
    text = printable(text)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def abbreviate(name: object, limit: int = 80) -> str:
    """Return a name as one printable line of at most `limit` characters, without its middle when it is longer.

    So a path ends in the name of its file.
    """
    text = shorten(name, 5000)  # Longer than any request id, and than any path.
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


def counted(number: int, noun: str) -> str:
    """Return a number of things, in words."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"


def system_reason(error: Exception) -> str:
    """Return why something failed, as the system says it, without the number and the path that Python adds."""
    return getattr(error, "strerror", None) or str(error)


def sentence(text: str, limit: int = 300) -> str:
    """Return the text as one that can stand before another sentence: cut short, and ended once."""
    text = shorten(text, limit)
    return text if text.endswith((".", "!", "?")) else f"{text}."


def describe(body: bytes, hide: Hide = str) -> str:
    """Return what the first characters of a body that is not JSON look like, in a few words."""
    if not body.strip():
        return "an empty body"
    text = hide(body[: 16 * MAX_DESCRIBED].decode("utf-8", "replace"))[
        :MAX_DESCRIBED
    ]  # Whatever is hidden is shorter than the rest.
    if _is_page(text):
        import html  # noqa: PLC0415 - it is slow to import, and few gateways answer with a page.

        title = re.search(_TITLE, text)
        return f"an HTML page titled {show(html.unescape(title[1]).strip(), hide)}" if title else "an HTML page"
    return f"a body that begins {show(text)}"


def describe_kind(body: bytes) -> str:
    """Return what a body that is no image is instead, without a word of it."""
    if not body.strip():
        return "an empty body"
    return "an HTML page" if _is_page(body[:MAX_DESCRIBED].decode("utf-8", "replace")) else "something else"


def _is_page(text: str) -> bool:
    return "<html" in text.lower() or text.lstrip().lower().startswith("<!doctype")

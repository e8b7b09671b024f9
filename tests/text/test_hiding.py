"""That the key is found in a text in every form, and hidden before anything is cut."""

import json
import math
from itertools import pairwise

import pytest
from secret_forms import ENCODED, ESCAPED, FORMS, HEX_KEY, ODD_KEY

from longcat.text import describe, printable, show, without_queries
from longcat.text.escapes import located_readings, readings
from longcat.text.hiding import KEY_PLACEHOLDER, hide_body, hiding, hiding_cut

KEYS = [HEX_KEY, ODD_KEY, "test-key", r"\u0041\\b%2541&amp;c-d-e-f"]
AROUND = [
    ("", ""),
    ('{"a": "', '"}'),
    ("<p>", "</p>"),
    ("https://a/?k=", "&b=1"),
    ("before ", " after"),
    ("\\n", "\\n"),
]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("form", ESCAPED)
def test_an_escaped_key_is_hidden_whole(key: str, form: str) -> None:
    """Whatever stands around a key, it is replaced from its first character to its last, and nothing else is."""
    written = ESCAPED[form](key)
    expected = [f"{before}{KEY_PLACEHOLDER}{after}" for before, after in AROUND]
    assert [hiding(key)(f"{before}{written}{after}") for before, after in AROUND] == expected


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("form", ENCODED)
def test_an_encoded_key_is_hidden(key: str, form: str) -> None:
    """Of a key in base64 at most the first and the last character are left, which it shares with what is beside it."""
    written = ENCODED[form](key)
    hidden = hiding(key)(f"a {written} b")
    before, after = hidden.removeprefix("a ").removesuffix(" b").split(KEY_PLACEHOLDER)
    assert (written.startswith(before), written.endswith(after)) == (True, True)
    least = math.floor(len(key) * 8 / 6) - 2
    assert len(written) - len(before) - len(after) >= least


def test_upper_and_lower_case_are_one() -> None:
    """A key in a host name or a header's name is found, though both are written in lower case."""
    assert hiding(ODD_KEY)(f"{ODD_KEY.lower()} {ODD_KEY.upper()}") == f"{KEY_PLACEHOLDER} {KEY_PLACEHOLDER}"


@pytest.mark.parametrize(
    "text", ["", "nothing", HEX_KEY[:-1], HEX_KEY[1:], '{"a": "\\u00fc\\/"}', "&lt;b&gt; 100% \\", "a\nb", "dGVzdA=="]
)
def test_what_is_no_key_stays(text: str) -> None:
    """A text without the key is returned itself, with its escapes."""
    assert hiding(HEX_KEY)(text) is text


def test_several_keys_in_a_text() -> None:
    """Each is replaced, in whatever form, and what stands between them stays."""
    text = " | ".join(write(HEX_KEY) for write in ESCAPED.values())
    assert hiding(HEX_KEY)(text) == " | ".join([KEY_PLACEHOLDER] * len(ESCAPED))


def test_an_empty_key_is_nowhere() -> None:
    """Without a key there is nothing to hide."""
    assert (hiding("")("text"), hiding_cut("")("text")) == ("text", "text")


@pytest.mark.parametrize("key", [HEX_KEY, ODD_KEY])
@pytest.mark.parametrize("form", ESCAPED)
def test_no_beginning_of_a_key_is_left_in_a_text_that_was_cut(key: str, form: str) -> None:
    """Wherever in the key a text was cut, none of it stays, in whatever form."""
    written, hide = ESCAPED[form](key), hiding_cut(key)
    results = {hide("x " + written[:size]) for size in range(1, len(written))}
    assert {"x"} <= {result.rstrip() for result in results} <= {"x", f"x {KEY_PLACEHOLDER}"}
    assert hide(f"x {written}") == f"x {KEY_PLACEHOLDER}"


@pytest.mark.parametrize("form", FORMS)
def test_no_beginning_of_a_key_is_left_where_a_value_is_shown(form: str) -> None:
    """A value, a page and a text that are cut short anywhere in the key don't show its first half."""
    hide, written = hiding(HEX_KEY), FORMS[form](HEX_KEY)
    start = len(hide(written).partition(KEY_PLACEHOLDER)[0])
    shown = []
    for size in range(1, 90, 3):
        text = "~ " * (size // 2) + "~" * (size % 2) + written
        shown += [show(text, hide), show([text], hide), show({text: 1}, hide)]
        shown += [describe(text.encode(), hide), describe(f"<html><title>{text}</title>".encode(), hide)]
    starts = {written[start : start + 6], HEX_KEY[:6]}
    assert [one for one in shown for start in starts if start in one] == []


def test_a_body_is_hidden_in_its_own_encoding() -> None:
    """JSON may be UTF-16 or UTF-32; what is no text stays as it is, byte for byte."""
    for encoding in ("utf-8", "utf-16", "utf-16-le", "utf-32", "utf-32-be"):
        body = json.dumps({"ü": HEX_KEY}, ensure_ascii=False).encode(encoding)
        assert json.loads(hide_body(body, hiding(HEX_KEY))) == {"ü": KEY_PLACEHOLDER}
    body = b"\x89PNG\xff\xfe\0" + HEX_KEY.encode() + b"\xc3"
    assert hide_body(body, hiding(HEX_KEY)) == b"\x89PNG\xff\xfe\0[key]\xc3"
    assert hide_body(b"\xff\0\x80", hiding(HEX_KEY)) == b"\xff\0\x80"


@pytest.mark.parametrize(
    "text", ["%" + "25" * 50, "&" + "amp;" * 50, "\\" * 64 + "u0041", "\n \n" * 9, "&#" + "0" * 40]
)
def test_readings_come_to_an_end(text: str) -> None:
    """A text that is escaped again and again is read so many times; each reading is shorter, and knows its places."""
    found = list(readings(text))
    assert [one.text for one in located_readings(text)] == found
    assert len(found) <= 21
    assert all(len(after) <= len(before) for before, after in pairwise(found))
    for one in located_readings(text):
        assert list(one.starts) == sorted(one.starts)
        assert all(start < end <= len(text) for start, end in zip(one.starts, one.ends, strict=True))


@pytest.mark.parametrize(
    ("escape", "character"),
    [
        *((rf"\{one}", one) for one in "\"'\\/"),
        (r"\t", "\t"),
        (r"\x41", "A"),
        (r"\u0041", "A"),
        (r"\u{41}", "A"),
        (r"\U0010ffff", "\U0010ffff"),
        (r"\U00110000", "\ufffd"),
        ("%41", "A"),
        ("%u0041", "A"),
        ("&#65;", "A"),
        ("&#65", "A"),
        ("&#x41;", "A"),
        ("&#X41", "A"),
        ("&#1114111;", "\U0010ffff"),
        ("&#1114112;", "\ufffd"),
        ("&lt;", "<"),
        ("&lt", "<"),
        ("\r\n  ", ""),
    ],
)
def test_an_escape_is_read_as_what_it_stands_for(escape: str, character: str) -> None:
    """JSON, Python, HTML, URLs and folded headers have their own; one for no character is read as a replacement."""
    assert [*readings(f"a{escape}b")] == [f"a{escape}b", f"a{character}b"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see https://me:pw@host/a?sig=x#y now", "see https://host/a?... now"),
        (r'"https:\/\/me:p@w@host\/a?sig=x"', r'"https:\/\/host\/a?..."'),
        ("https://host/a and https://me@b", "https://host/a and https://b"),
        ("no address: a?b=c", "no address: a?b=c"),
    ],
)
def test_addresses_without_what_lets_anybody_in(text: str, shown: str) -> None:
    """Users, passwords, queries and fragments are left out of every address in a text."""
    assert without_queries(text) == shown


def test_nothing_is_printed_that_a_terminal_would_obey() -> None:
    """Escape sequences, other control characters and those that turn the direction of writing are escaped."""
    assert printable("a\x1b[2J\x9b\r\u202e\u2066\u200b\ud800\n\tb", "\n\t") == (
        "a\\x1b[2J\\x9b\\r\\u202e\\u2066\\u200b\\ud800\n\tb"
    )

"""What is taken out of exchanges, so that no key is ever shown or stored."""

import base64
import json
import re
from pathlib import Path
from typing import Any, Final

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import ANSWER, EXCHANGE, KEY, KEY_HEADER, PLAIN, URL, binary, found, only, read_text, saved, with_answer
from secret_forms import FORMS, ODD_KEY
from vcr.serializers import yamlserializer  # type: ignore[import-untyped]

from longcat.contract.model import Exchange
from longcat.contract.traffic.recordings import Provenance, provenance
from longcat.contract.traffic.redact import PLACEHOLDER, is_sensitive, redact

# Put together here, so that no file of this project holds what looks like a key.
JWT = ".".join(base64.b64encode(part).decode().strip("=") for part in (b'{"alg": "none"}', b'{"sub": "1"}', b"sesame"))
SESAME = "opensesame" * 2
LEAKS: dict[str, dict[str, Any]] = {
    "in the key's header": {"request_headers": {KEY_HEADER.lower(): KEY}},
    "in another header": {
        "request_headers": {"x-api-key": KEY, "authorization": f"Bearer {KEY}", "cookie": f"a={KEY}"}
    },
    "in the answer's headers": {"response_headers": {"set-cookie": f"session={KEY}; Secure", "x-auth-token": KEY}},
    "in the URL": {"url": f"{URL}?subscription-key={KEY}&x=1"},
    "before the host": {"url": f"https://me:{KEY}@gateway.test/result"},
    "in a redirect": {"response_headers": {"location": f"https://a/b?access_token={KEY}"}},
}
LOOKALIKES: dict[str, tuple[str, bytes, bytes]] = {
    "a hexadecimal number": ("response_body", f'{{"trace": "{KEY}"}}'.encode(), b'{"trace": "REMOVED"}'),
    "a field": (
        "response_body",
        b'{"accessToken" : "a \\" b", "x": "y"}',
        b'{"accessToken" : "REMOVED", "x": "y"}',
    ),
    "a form": ("request_body", b"a=b&api_key=opensesame", b"a=b&api_key=REMOVED"),
    "a bearer": ("response_body", f"You sent bearer {SESAME}".encode(), b"You sent bearer REMOVED"),
    "a JWT": ("response_body", f'"{JWT}"'.encode(), b'"REMOVED"'),
    "a signed URL": (
        "response_body",
        b'{"url": "https://a/b.png?X-Amz-Signature=opensesame\\u0026sig=opensesame"}',
        b'{"url": "https://a/b.png?X-Amz-Signature=REMOVED&sig=REMOVED"}',
    ),
    "another vendor's key": ("response_body", f"sk-{SESAME}".encode(), b"REMOVED"),
}
"""By what it looks like: which body it is in, that body, and the same body as it is kept."""
SECRET_TEXTS: Final = f"{KEY}|opensesame|{JWT}|a .. b"


@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS)
def test_keys_are_removed_on_reading(tmp_path: Path, leak: dict[str, Any]) -> None:
    """A key is in nothing that is read, whatever held it; that there was one is."""
    exchange = evolve(EXCHANGE, **leak)
    headers = {"request": exchange.request_headers, "response": exchange.response_headers}
    data = yamlserializer.deserialize(PLAIN)
    (interaction,) = data["interactions"]
    interaction["request"]["uri"] = exchange.url
    for side, values in headers.items():
        interaction[side]["headers"] = dict(values)
    read_back = only(read_text(tmp_path, yamlserializer.serialize(data)))
    text = repr(read_back)
    assert (KEY in text, PLACEHOLDER in text) == (False, True)
    assert read_back.request_headers.keys() == exchange.request_headers.keys()


def test_an_echoed_key_is_removed(tmp_path: Path) -> None:
    """An answer that quotes the key it was asked with is read without it, and stays what it was otherwise."""
    body = f'{{"error": "no such key: {KEY}"}}'
    exchange = only(read_text(tmp_path, with_answer(f"'{body}'", "content-length: ['60']")))
    assert exchange.response_body == b'{"error": "no such key: REMOVED"}'
    assert exchange.response_headers["content-length"] == str(len(exchange.response_body))


def test_an_empty_key_stays_empty(tmp_path: Path) -> None:
    """A key header that was sent empty is told from one with a key."""
    exchange = only(read_text(tmp_path, PLAIN.replace(KEY, '""')))
    assert exchange.request_headers["ocp-apim-subscription-key"] == ""


@pytest.mark.parametrize("body", [b"theme=processing", "\u00fc".encode(), b"\xff\0", b"", b'{"next": "page"}'])
def test_other_bodies_are_not_touched(tmp_path: Path, body: bytes) -> None:
    """A body without the key is read as it was, byte for byte."""
    assert only(read_text(tmp_path, with_answer(binary(body)))).response_body == body


@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS)
def test_no_key_is_written(tmp_path: Path, leak: dict[str, Any]) -> None:
    """A cassette holds no key, whatever held it; the answer beside it stays what it was."""
    text = saved(tmp_path / "a.yaml", evolve(EXCHANGE, **leak))
    assert not re.search(SECRET_TEXTS, text)
    assert only(found(tmp_path / "a.yaml")).response_body == ANSWER


@pytest.mark.parametrize(("side", "body", "kept"), LOOKALIKES.values(), ids=LOOKALIKES)
def test_nothing_like_a_key_is_written(tmp_path: Path, side: str, body: bytes, kept: bytes) -> None:
    """A cassette holds nothing that looks like a key; the rest of the body stays what it was."""
    bodies: dict[str, Any] = {side: body}
    text = saved(tmp_path / "a.yaml", evolve(EXCHANGE, **bodies))
    assert not re.search(SECRET_TEXTS, text)
    assert getattr(only(found(tmp_path / "a.yaml")), side) == kept


@pytest.mark.parametrize(
    ("command", "kept"),
    [
        (
            f"longcat contract record --api-key {KEY} --request-id X",
            "longcat contract record --api-key REMOVED --request-id X",
        ),
        ("longcat contract record --api-key='open sesame'", "longcat contract record --api-key=REMOVED"),
        ("record --base-url https://me:sesame@a", "record --base-url https://REMOVED@a"),
        ("make record", "make record"),
    ],
)
def test_command(tmp_path: Path, command: str, kept: str) -> None:
    """The command is kept without the key that was given to it."""
    saved(tmp_path / "a.yaml", command=command)
    facts = provenance(tmp_path / "a.yaml")
    assert isinstance(facts, Provenance)
    assert facts.command == kept


SECRET = "opensesame"
BODIES: dict[str, tuple[str, str]] = {
    "a list": ('{"secrets": ["S", 5, ""], "x": ["keep"]}', '{"secrets": ["R", 0, ""], "x": ["keep"]}'),
    "objects within": (
        '{"credentials": {"a": ["S", {"b": "S", "c": true}], "n": null}, "x": 1}',
        '{"credentials": {"a": ["R", {"b": "R", "c": false}], "n": null}, "x": 1}',
    ),
    "numbers and booleans": (
        '{"token": 123456, "pin_password": -1.5e3, "auth": true, "session": null}',
        '{"token": 0, "pin_password": 0, "auth": false, "session": null}',
    ),
    "an escaped name": (r'{"\u0074oken": "S", "api\u005fkey":"S"}', r'{"\u0074oken": "R", "api\u005fkey":"R"}'),
    "a name twice": ('{"token": "S", "token": "S"}', '{"token": "R", "token": "R"}'),
    "one that was cut": ('{"a": {"token": "openses', '{"a": {"token": "R'),
    "JSON in a text": (r'{"a": "{\"token\": \"S\", \"n\": 1}"}', r'{"a": "{\"token\": \"R\", \"n\": 1}"}'),
    "several values": ('{"token": "S"}\n{"token": 7}\n', '{"token": "R"}\n{"token": 0}\n'),
    "an escaped address": (
        r'{"u": "https:\/\/me:S@h\/p?sig=S\u0026x=1#access_token=S"}',
        '{"u": "https://R@h/p?sig=R&x=1#access_token=R"}',
    ),
    "other letters": ('{"a": "ü", "b": "ü?sig=S"}', '{"a": "ü", "b": "ü?sig=R"}'),
    "signed addresses": (
        '"?code=S&Policy=S&Key-Pair-Id=S&Signature=S&X-Amz-Credential=S&X-Amz-Date=1&se=2&sig=S&status=1"',
        '"?code=R&Policy=R&Key-Pair-Id=R&Signature=R&X-Amz-Credential=R&X-Amz-Date=1&se=2&sig=R&status=1"',
    ),
    "an address in an address": (
        "/?to=https%3A%2F%2Fa%3Fsig%3DS%26b%3D1&c=2",
        "/?to=https%3A%2F%2Fa%3Fsig%3DR%26b%3D1&c=2",
    ),
    "an address in a page": ('<a href="/?a=1&amp;sig=S&#38;code=S">', '<a href="/?a=1&amp;sig=R&#38;code=R">'),
    "a form": ("code=S&grant_type=code&client_secret=S", "code=R&grant_type=code&client_secret=R"),
    "a form in parts": (
        '--b\r\nContent-Disposition: form-data; name="api_key"\r\n\r\nS\r\n--b\r\nX: 1; name="f"\r\n\r\nkeep\r\n--b--',
        '--b\r\nContent-Disposition: form-data; name="api_key"\r\n\r\nR\r\n--b\r\nX: 1; name="f"\r\n\r\nkeep\r\n--b--',
    ),
    "XML": ("<E><Code>No</Code><SecretKey>S</SecretKey></E>", "<E><Code>No</Code><SecretKey>R</SecretKey></E>"),
    "events": ('data: {"token": "S", "id": 4}\n\n', 'data: {"token": "R", "id": 4}\n\n'),
}
"""Bodies with secrets in them, and what is stored of them; S is a secret, and R stands for it."""
KEPT = (
    '{"code": 404, "error": {"code": "E1"}, "status_code": 200, "country_code": "DE", "policy": "strict"}',
    '{"usage": {"total_tokens": 12, "max_tokens": 512, "tokens": 3}, "keys": ["a", "b"], "cookies": 2}',
    '{"key": "uploads/2026/cat.png", "author": "me", "monkey": 1, "keyboard": "qwerty", "design": "x", "keyword": "y"}',
    '{"a" :\t[1,2.50,1e3, -0],"b":"\\u00fc\\/ü",\n"c":{}, "c":[]}',
    "code=404 not found, error&more at https://host/page?status=1",
    '{"cut": [1, "abc',
    '{]}"',
    "[info] all is well",
    '"\\',
    "",
)
"""Bodies of which everything is stored."""


def stored(body: bytes, *secrets: str) -> bytes:
    """Return what is stored of a body."""
    exchange = redact(evolve(EXCHANGE, response_body=body), thorough=True, secrets=secrets)
    assert exchange.response_body is not None
    return exchange.response_body


@pytest.mark.parametrize(("body", "kept"), BODIES.values(), ids=BODIES)
def test_secrets_are_replaced_in_their_places(body: str, kept: str) -> None:
    """A body without its secrets is what it was otherwise: every value keeps its type, and JSON stays JSON."""
    body = re.sub(r"(?:\b|(?<=%3D))S\b", SECRET, body)
    kept = re.sub(r"(?:\b|(?<=%3D))R\b", PLACEHOLDER, kept)
    assert stored(body.encode()).decode() == kept


@pytest.mark.parametrize("body", KEPT)
def test_what_is_no_secret_is_stored(body: str) -> None:
    """Codes, counts, names of files and words that only look like it stay, byte for byte, as they were written."""
    assert stored(body.encode(), KEY).decode() == body


NAMES = st.text(max_size=5) | st.sampled_from(["token", "secrets", "a"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)


def types(value: Any) -> Any:
    """Return a value with the types of what is in it."""
    if isinstance(value, dict | list):
        return [types(one) for one in (value.values() if isinstance(value, dict) else value)]
    return type(value)


@settings(max_examples=40)
@given(VALUES, st.booleans())
def test_json_stays_json(value: Any, ascii_only: bool) -> None:
    """Any JSON is stored as JSON, with values of the same types in the same places."""
    text = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    assert types(json.loads(stored(text, KEY), parse_int=float)) == types(json.loads(text, parse_int=float))


@pytest.mark.parametrize("key", [KEY, ODD_KEY])
@pytest.mark.parametrize("thorough", [False, True])
def test_a_key_that_is_known_is_removed_in_every_form(key: str, thorough: bool) -> None:
    """From an exchange that was not sent with the key, it is removed everywhere, names included, in every form."""
    for form, write in FORMS.items():
        text = write(key)
        exchange = redact(
            evolve(
                EXCHANGE,
                url=f"{URL}/{text}?a={text}",
                request_body=json.dumps({text: [text]}).encode(),
                response_headers={"x-echo": text, key.lower(): "1"},
                response_body=f"<p>{text}</p>".encode(),
            ),
            thorough=thorough,
            secrets=[key],
        )
        shown = repr(exchange)
        left = [half for half in (key[:6], key[-6:], base64.b64encode(key.encode()).decode()[2:10]) if half in shown]
        assert (left, PLACEHOLDER in shown) == ([], True), form


def test_a_number_that_is_the_key() -> None:
    """A key of digits may come back as a number; the body stays JSON."""
    assert json.loads(stored(b'{"a": 12345678901, "b": "12345678901"}', "12345678901")) == {"a": 0, "b": PLACEHOLDER}


def test_a_key_of_one_exchange_is_removed_from_all(tmp_path: Path) -> None:
    """What one request was sent with is in no other exchange of the recording, before it or after it."""
    echo = evolve(EXCHANGE, response_body=json.dumps({"seen": [ODD_KEY, SECRET, "pa55word"]}).encode())
    sent = evolve(
        EXCHANGE,
        url=f"{URL}?subscription-key={SECRET}",
        request_headers={
            "x-api-key": ODD_KEY,
            "authorization": f"Basic {base64.b64encode(b'me:pa55word').decode()}",
        },
    )
    text = saved(tmp_path / "a.yaml", echo, sent, echo)
    assert [word for word in (ODD_KEY[:6], SECRET, "pa55word") if word in text] == []
    assert [json.loads(one.response_body or b"") for one in read_back(tmp_path / "a.yaml")[::2]] == [
        {"seen": [PLACEHOLDER] * 3}
    ] * 2


def read_back(path: Path) -> list[Exchange]:
    """Return the exchanges of a cassette."""
    return [one for one in found(path) if isinstance(one, Exchange)]


@pytest.mark.parametrize("body", [b"[" * 9000, b"[]" * 9000, b'{"a":' * 9000, b'"' * 9000, b"%3F" * 9000, b"\\" * 9000])
def test_strange_bodies_are_stored_as_they_are(body: bytes) -> None:
    """A body that is nested without end, or is nothing but signs, is gone through once."""
    assert stored(body, KEY) == body


def test_sensitive_names() -> None:
    """A name is sensitive by one of its words, however they are joined."""
    names = ("X-Api-Key", "accessToken", "X-Amz-Signature", "Key-Pair-Id", "client_secret", "code", "status", "monkey")
    assert [name for name in names if is_sensitive(name)] == [*names[:5]]


def test_a_key_that_breaks_the_json_around_it_hides_nothing() -> None:
    """A quote in a key that is echoed ends its string early; the key and the secrets after it go all the same."""
    body = f'{{"error": "no {ODD_KEY}", "secrets": ["opensesame"], "token": "opensesame", "n": 1, "cut": "{ODD_KEY}'
    assert stored(body.encode(), ODD_KEY) == (
        b'{"error": "no REMOVED", "secrets": ["REMOVED"], "token": "REMOVED", "n": 1, "cut": "REMOVED'
    )


@pytest.mark.parametrize(
    ("names", "sent"),
    [
        ({"appid"}, {"url": f"{URL}?appid={SESAME}&x=1"}),
        ({"appid"}, {"url": f"{URL}?x=1&appid={SESAME}#end"}),
        ({"x-client"}, {"request_headers": {"x-client": SESAME}}),
        ({"authorization"}, {"request_headers": {"authorization": f"Bearer {SESAME}"}}),
        (set(), {"request_headers": {"authorization": f"Bearer {SESAME}"}}),
    ],
)
def test_what_the_contract_calls_a_key_is_removed(names: set[str], sent: dict[str, Any]) -> None:
    """Its name need not tell. What was sent is nowhere in the answer either, with or without the word before it."""
    answer = json.dumps({"you_sent": SESAME}).encode()
    seen = redact(evolve(EXCHANGE, **sent, response_body=answer), names, thorough=False)
    assert SESAME not in repr([seen.url, seen.request_headers, seen.response_body])
    assert json.loads(seen.response_body or b"") == {"you_sent": PLACEHOLDER}

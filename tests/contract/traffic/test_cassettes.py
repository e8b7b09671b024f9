"""What is read from VCR cassettes, whoever wrote them."""

import base64
import gzip
import os
import re
import sys
import tracemalloc
import zlib
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from attrs import evolve
from recordings import (
    ANSWER,
    EXCHANGE,
    KEY,
    KEY_HEADER,
    PLAIN,
    QUESTION,
    URL,
    WHEN,
    as_json,
    binary,
    found,
    only,
    problems,
    read_text,
    sources,
    with_answer,
)

from longcat.contract.model import Exchange, Inconclusive
from longcat.contract.traffic import decoding
from longcat.contract.traffic.recordings import read

# --- The formats. ---

MORE = PLAIN.partition("\n")[2]
"""One more exchange of a cassette."""


OLD_HTTPX = f"""\
interactions:
- request:
    body: '{QUESTION.decode()}'
    headers: {{content-type: [application/json], ocp-apim-subscription-key: [{KEY}]}}
    method: POST
    uri: {URL}
  response:
    content: '{ANSWER.decode()}'
    headers: {{content-type: [application/json]}}
    http_version: HTTP/1.1
    status_code: 200
version: 1
"""
SCHEMATHESIS = f"""\
command: 'schemathesis run'
recorded_with: 'Schemathesis'
seed: 1
http_interactions:
- id: 'x'
  status: 'SUCCESS'
  checks: []
  request:
    uri: '{URL}'
    method: 'POST'
    headers:
      "Content-Type": ["application/json"]
      "{KEY_HEADER}": ["[Filtered]"]
    body:
      encoding: 'utf-8'
      base64_string: '{base64.b64encode(QUESTION).decode()}'
  response:
    status:
      code: '200'
      message: "OK"
    headers:
      "content-type": ["application/json"]
    body:
      encoding: 'utf-8'
      string: "{ANSWER.decode().replace('"', chr(92) + '"')}"
    http_version: '1.1'
"""
PIECES = PLAIN.replace(
    f"'{QUESTION.decode()}'",
    "!!python/object/apply:builtins.iter\n      args:\n      - - !!binary |\n          "
    f"{base64.b64encode(QUESTION[:5]).decode()}\n        - '{QUESTION[5:].decode()}'",
    1,
)
OPEN_FILE = PLAIN.replace(
    f"'{QUESTION.decode()}'",
    "!!python/object/new:_io.BytesIO\n      state: !!python/tuple\n      - !!binary |\n        "
    f"{base64.b64encode(QUESTION).decode()}\n      - 0\n      - null",
    1,
)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("a.yaml", PLAIN, id="vcrpy, YAML"),
        pytest.param("a.json", as_json(PLAIN), id="vcrpy, JSON"),
        pytest.param("a.yaml", as_json(PLAIN), id="JSON under a YAML name"),
        pytest.param("a", as_json(PLAIN), id="JSON without a suffix"),
        pytest.param("a.txt", PLAIN, id="YAML with any suffix"),
        pytest.param("a.yml", "\ufeff" + PLAIN, id="YAML with a BOM"),
        pytest.param("a.json", "\ufeff" + as_json(PLAIN), id="JSON with a BOM"),
        pytest.param("a.json", as_json(PLAIN).encode("utf-16"), id="JSON in UTF-16"),
        pytest.param("a.yaml", OLD_HTTPX, id="vcrpy 4, httpx"),
        pytest.param("a.yaml", SCHEMATHESIS, id="schemathesis"),
        pytest.param("a.yaml", PIECES, id="a body in pieces"),
        pytest.param("a.yaml", OPEN_FILE, id="a body that was a file"),
        pytest.param("a.yaml", PLAIN.replace("[application/json]", "application/json"), id="headers as text"),
        pytest.param("a.yaml", PLAIN.replace("\n", "\r\n"), id="line ends of Windows"),
        pytest.param("a.yaml", f"--- # A comment.\n{PLAIN}...\n", id="comments and a document's marks"),
    ],
)
def test_format(tmp_path: Path, name: str, text: str | bytes) -> None:
    """Every known way to write an exchange gives the same exchange, without its key."""
    expected = evolve(EXCHANGE, source=f"{tmp_path / name}#1")
    assert only(read_text(tmp_path, text, name)) == expected


def test_several_headers_of_one_name(tmp_path: Path) -> None:
    """Values of one header are joined, and names compared without their case."""
    text = PLAIN.replace("Content-Type: [application/json]\n    status", "a: [b, c]\n      A: [d]\n    status")
    assert only(read_text(tmp_path, text)).response_headers == {"a": "b, c, d"}


def test_shared_parts(tmp_path: Path) -> None:
    """What a later exchange shares with an earlier one, through an alias, is found."""
    first = PLAIN.replace("headers:\n      Content-Type", "headers: &same\n      Content-Type", 1)
    second = MORE.replace("version: 1\n", "")
    second = re.sub(r"headers:\n(      .*\n){2}", "headers: *same\n", second, count=1)
    items = read_text(tmp_path, first.replace("version: 1\n", "") + second)
    assert items == [evolve(EXCHANGE, source=f"{tmp_path / 'cassette.yaml'}#{number}") for number in (1, 2)]


def test_no_exchange_is_no_problem(tmp_path: Path) -> None:
    """A cassette may be empty."""
    assert read_text(tmp_path, "interactions: []\nversion: 1\n") == []
    assert read_text(tmp_path, '{"version": 1, "interactions": []}', "a.json") == []


@pytest.mark.parametrize(
    ("changes", "recorded"),
    [
        ({}, None),
        ({"version: 1": "recorded_with: VCR 6.0"}, None),
        ({"- request:": "- recorded_at: Fri, 02 Jan 2026 03:04:05 GMT\n  request:"}, WHEN),
        ({"- request:": "- recorded_at: '2026-01-02T03:04:05'\n  request:"}, WHEN),
        ({"- request:": "- recorded_at: 2026-01-02 04:04:05.123456789 +01:00\n  request:"}, WHEN),
        ({"- request:": "- recorded_at: 2026-01-02 03:04:05 UTC\n  request:"}, WHEN),
        ({"- request:": "- recorded_at: 1767323045000\n  request:"}, WHEN),
        ({"- request:": "- recorded_at: '1767323045000000000'\n  request:"}, WHEN),
        ({"- request:": "- recorded_at: yesterday\n  request:"}, None),
        ({"- request:": "- recorded: 2026-01-02T03:04:05.000Z\n  request:"}, WHEN),
        ({"interactions:": "about: {recorded: 2026-01-02T03:04:05Z}\ninteractions:"}, WHEN),
        ({"    status:": "      Date: ['Fri, 02 Jan 2026 03:04:05 GMT']\n    status:"}, WHEN),
    ],
)
def test_when_it_was_recorded(tmp_path: Path, changes: dict[str, str], recorded: datetime | None) -> None:
    """The time is the interaction's, else its file's, else that of the answer's `Date`; without a zone, it is UTC."""
    text = PLAIN
    for old, new in changes.items():
        text = text.replace(old, new)
    found = only(read_text(tmp_path, text)).recorded
    assert (found and found.replace(microsecond=0)) == recorded


@pytest.mark.parametrize(
    ("url", "read_as"),
    [
        ("<<HOST>>v1/a?b=c", "https://host.invalid/v1/a?b=c"),
        ("'{{api.host}}/v1/a'", "https://api-host.invalid/v1/a"),
        ("http://[REDACTED]/v1/a", "http://redacted.invalid/v1/a"),
        ("https://<SUBDOMAIN>.example.com/a", "https://<SUBDOMAIN>.example.com/a"),
        ("http://a.test:80/b", "http://a.test/b"),
        ("https://a.test:443", "https://a.test"),
        ("https://a.test:4430/b", "https://a.test:4430/b"),
        ("http://[::80]/b", "http://[::80]/b"),
        ("http://a.test/?b=http://c:80/", "http://a.test/?b=http://c:80/"),
    ],
)
def test_url(tmp_path: Path, url: str, read_as: str) -> None:
    """A host that a recorder took out becomes one that there can't be, and the port that goes without saying goes."""
    assert only(read_text(tmp_path, PLAIN.replace(URL, url))).url == read_as


@pytest.mark.parametrize("text", ["[]", '[{"a": 1}, 2]', '"a"', "5", '{"a": 1}', '{"openapi": "3.1.0"}\n'])
def test_what_holds_no_traffic_is_left_out_of_a_folder(tmp_path: Path, text: str) -> None:
    """A folder may hold other files; one that is named should hold something."""
    (tmp_path / "a.json").write_text(text)
    for path, unclear in ((tmp_path, False), (tmp_path / "a.json", True)):
        why = "holds no recorded traffic: neither a cassette's interactions nor a HAR file's log"
        assert found(path) == ([Inconclusive(str(tmp_path / "a.json"), why, unclear)] if text != "[]" else [])


def test_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that is too long, cut or no exchange costs itself, and lines may be empty or have a separator."""
    monkeypatch.setattr("longcat.contract.traffic.json_stream.MAX_ITEM", 5000)
    monkeypatch.setattr("longcat.contract.traffic.json_stream.READ_SIZE", 1000)
    good = as_json(PLAIN).partition("[")[2].rpartition("]")[0].replace("\n", "")
    lines = ["\ufeff" + good, f'"{"x" * 20_000}"', "", "\x1e" + good, "5", good[:50], "[" * 4000, good]
    items = read_text(tmp_path, "\r\n".join(lines), "a.ndjson")
    assert [source.rpartition("#")[2] for source, _ in problems(items)] == ["2", "4", "5", "6"]
    assert [item.response_body for item in items if isinstance(item, Exchange)] == [ANSWER] * 3


# --- Bodies. ---


RAW_DEFLATE = zlib.compressobj(wbits=-15)
RECODED = ("gzip", "br", "deflate", "identity")
DEFLATED = RAW_DEFLATE.compress(ANSWER) + RAW_DEFLATE.flush()


@pytest.mark.parametrize(
    ("answer", "header", "body"),
    [
        ("''", "", b""),
        ("null", "", None),
        ("42", "", b"42"),
        (binary(b"\x89PNG\0\xff"), "", b"\x89PNG\0\xff"),
        ('"\\0\\x85\\u2028\\U0001F408"', "", "\0\x85\u2028\U0001f408".encode()),
        (binary(gzip.compress(ANSWER, mtime=0)), "content-encoding: [gzip]", ANSWER),
        (binary(gzip.compress(ANSWER, mtime=0)), "Content-Encoding: x-gzip", ANSWER),
        (binary(zlib.compress(ANSWER)), "content-encoding: [deflate]", ANSWER),
        (binary(DEFLATED), "content-encoding: [deflate]", ANSWER),
        (binary(gzip.compress(zlib.compress(ANSWER), mtime=0)), "content-encoding: ['deflate, gzip']", ANSWER),
        (
            binary(gzip.compress(ANSWER[:9], mtime=0) + gzip.compress(ANSWER[9:], mtime=0)),
            "content-encoding: [',GZIP, identity']",
            ANSWER,
        ),
        # The recorder has undone the encoding, and kept the header.
        *((f"'{ANSWER.decode()}'", f"content-encoding: [{name}]", ANSWER) for name in RECODED),
    ],
)
def test_body(tmp_path: Path, answer: str, header: str, body: bytes | None) -> None:
    """A body comes out as the bytes that the server meant, its compression undone."""
    exchange = only(read_text(tmp_path, with_answer(answer, header)))
    assert exchange.response_body == body
    assert "content-encoding" not in exchange.response_headers


@pytest.mark.parametrize(
    ("encoding", "text", "body"), [("latin-1", "Stra\xdfe", b"Stra\xdfe"), ("ASCII-8BIT", "a", b"a")]
)
def test_encoding_of_a_text(tmp_path: Path, encoding: str, text: str, body: bytes) -> None:
    """A text whose encoding is named comes out as the bytes that it was; Ruby's name for none is known."""
    cassette = with_answer(f"'{text}'").replace("string:", f"encoding: {encoding}, string:")
    assert only(read_text(tmp_path, cassette)).response_body == body


def test_the_length_follows_the_body(tmp_path: Path) -> None:
    """Where compression is undone, the length that the headers give is mended."""
    text = with_answer(binary(gzip.compress(ANSWER, mtime=0)), "content-encoding: [gzip]\n      content-length: ['44']")
    assert only(read_text(tmp_path, text)).response_headers["content-length"] == str(len(ANSWER))


def test_compressed_request(tmp_path: Path) -> None:
    """A compressed request is read like a compressed answer."""
    text = PLAIN.replace(f"'{QUESTION.decode()}'", binary(gzip.compress(QUESTION, mtime=0)))
    text = text.replace("Content-Type: [", "Content-Encoding: [gzip]\n      Content-Type: [", 1)
    assert only(read_text(tmp_path, text)).request_body == QUESTION


class _Zstd:
    """A stand-in for zstandard: what is `compressed` by it ends with a full stop."""

    ZstdError = KeyError

    class ZstdDecompressor:
        eof = False

        def decompressobj(self) -> "_Zstd.ZstdDecompressor":
            return self

        def decompress(self, piece: bytes) -> bytes:
            self.eof = piece.endswith(b".")
            return piece.strip(decoding.ZSTD + b".")


@pytest.mark.parametrize(
    ("body", "outcome"), [(b"hello.", b"hello"), (b"hello", "has a compressed body that is cut off"), (None, ANSWER)]
)
def test_zstd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: bytes | None, outcome: bytes | str) -> None:
    """Where a package for zstd is installed, it is used; a plain body needs none."""
    monkeypatch.setitem(sys.modules, "zstandard", SimpleNamespace(**vars(_Zstd)))
    answer = f"'{ANSWER.decode()}'" if body is None else binary(decoding.ZSTD + body)
    (item,) = read_text(tmp_path, with_answer(answer, "content-encoding: [zstd]"))
    assert outcome == (item.response_body if isinstance(item, Exchange) else item.why)


class _Brotli:
    """A stand-in for brotli: what is `compressed` by it begins with a byte that is no text."""

    error = KeyError

    class Decompressor:
        def __init__(self) -> None:
            self.ended = False

        def process(self, piece: bytes) -> bytes:
            if piece.startswith(b"\xff?"):
                raise KeyError
            self.ended = self.ended or piece.endswith(b".")
            return piece.strip(b"\xff.") if not piece.startswith(b"\xff*") else b"*" * 999

        def is_finished(self) -> bool:
            return self.ended


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (b"\xffhello.", b"hello"),
        (b"\xffhello", "has a compressed body that is cut off"),
        (b"\xff?", "has a compressed body that is damaged"),
        (b"\xff*", "has a body of more than 0 MiB"),
    ],
)
def test_brotli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: bytes, outcome: bytes | str) -> None:
    """Where brotli is installed, it is used."""
    monkeypatch.setitem(sys.modules, "brotli", SimpleNamespace(**vars(_Brotli)))
    monkeypatch.setattr(decoding, "MAX_BODY", 100)
    (item,) = read_text(tmp_path, with_answer(binary(body), "content-encoding: [br]"))
    assert outcome == (item.response_body if isinstance(item, Exchange) else item.why)


# --- What can't be read. ---


def spoilt_by(header: str, body: str) -> tuple[tuple[str, str], ...]:
    """Return the changes that give the answer a header and a body."""
    return (("    status:", f"      {header}\n    status:"), (f"'{ANSWER.decode()}'", body))


BOMB = "".join(f"    x{n}: &x{n} [{', '.join([f'*x{n - 1}' if n else 'lol'] * 20)}]\n" for n in range(9))
BODY = f"'{QUESTION.decode()}'"
NAMELESS = "has a header that is not a name with a value"
TAG = "has the tag 'tag:yaml.org,2002:python/{}', which is not followed"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([(f"uri: {URL}", "uri: /result")], "has no absolute HTTP URL, but '/result'"),
        ([(f"uri: {URL}", "uri: ftp://a/b")], "has no absolute HTTP URL, but 'ftp:...'"),
        ([(f"uri: {URL}", "uri: 'http://[a'")], "has no absolute HTTP URL, but 'http:...'"),
        ([(f"    uri: {URL}\n", "")], "has no URL"),
        ([("method: POST", "method: [POST]")], "has no usable method, but \"['POST']\""),
        ([("code: 200", "code: many")], "has no usable status code, but 'many'"),
        ([("code: 200", "code: 2000")], "has no usable status code, but '2000'"),
        ([("code: 200", "code: 0")], "has no answer: the request was aborted or blocked"),
        ([("- request:", "- question:")], "is no interaction: the request is missing"),
        (
            [("headers:\n      Content-Type: [application/json]\n", "headers: 5\n      #")],
            "has headers that are not a mapping",
        ),
        ([("[application/json]", "[{a: b}]")], NAMELESS),
        ([(BODY, "{encoding: utf-8}")], "has a body that is an object without a string"),
        ([(BODY, "{a: !!binary aaaa}")], "has a body with bytes in it, which JSON can't write"),
        ([(BODY, "{base64_string: '%%%'}")], "has a value that should be base64 and is not"),
        ([(BODY, "!!binary '%'")], "has a value that should be base64 and is not"),
        (
            spoilt_by("content-encoding: gzip", binary(gzip.compress(ANSWER, mtime=0)[:-9])),
            "has a compressed body that is cut off",
        ),
        (
            spoilt_by("content-encoding: gzip", binary(gzip.compress(ANSWER, mtime=0) + b"and more")),
            "has a compressed body that is damaged",
        ),
        (
            spoilt_by("content-encoding: 'gzip, gzip, gzip, gzip, gzip'", binary(gzip.compress(ANSWER, mtime=0))),
            "has a body in more than 4 content encodings",
        ),
        (
            spoilt_by("content-encoding: br", binary(b"x" + bytes(30))),
            "has a body compressed with br, for which the package brotli is not installed",
        ),
        (
            [("    status:", "      content-encoding: zip\n    status:")],
            "has a body with the unknown content encoding 'zip'",
        ),
        ([(BODY, "!!python/object/apply:os.system ['touch executed']")], TAG.format("object/apply:os.system")),
        ([(BODY, "!!python/name:os.system ''")], TAG.format("name:os.system")),
        ([(BODY, "*nothing")], "has an alias for nothing, 'nothing'"),
        ([("  response:", "  loop: &loop [*loop]\n  response:")], "has an alias for nothing, 'loop'"),
        ([("- request:\n", f"- request:\n{BOMB}")], "holds too much, perhaps through aliases that refer to aliases"),
        ([(BODY, "[" * 90 + "]" * 90)], "is nested too deeply"),
        ([("- request:", "- [a]: b\n  request:")], "has a name that is not text"),
    ],
)
def test_one_exchange_is_unreadable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: list[tuple[str, str]], message: str
) -> None:
    """What is wrong with one exchange is named, nothing in it is executed, and the next one is read."""
    monkeypatch.chdir(tmp_path)
    text = PLAIN.replace("version: 1\n", "")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    items = read_text(tmp_path, text + MORE)
    assert problems(items) == [("cassette.yaml#1", message)]
    assert items[1:] == [evolve(EXCHANGE, source=f"{tmp_path / 'cassette.yaml'}#2")]
    assert not Path("executed").exists()


@pytest.mark.parametrize(
    ("name", "text", "where", "message"),
    [
        ("a.yaml", b"", "a.yaml#1", "is empty"),
        ("a.json", b" \n", "a.json#1", "is empty"),
        ("a.yaml", b"hello", "a.yaml", "holds no recorded traffic"),
        ("a.yaml", b"openapi: 3.1.0", "a.yaml", "holds no recorded traffic"),
        ("a.json", b'{"openapi": "3.1.0"}', "a.json", "holds no recorded traffic"),
        ("a.json", b"hello", "a.json#1", "is not JSON"),
        ("a.json", b'{"interactions": 5}', "a.json#1", "is no interaction: the interaction is a single value"),
        ("a.yaml", b"interactions: 5", "a.yaml#1", "is no interaction: the interaction is a single value"),
        ("a.yaml", b"interactions: [", "a.yaml#1", "is not YAML: "),
        ("a.yaml", b"\x89PNG\r\n\x1a\n\0\0", "a.yaml#1", "is not YAML"),
        ("a.yaml", bytes(range(256)), "a.yaml#1", "is not YAML"),
        ("a.json", bytes(range(256)), "a.json#1", "is not JSON"),
        ("a.yaml", b"interactions:\n- request: \xff\xfe", "a.yaml#1", "is not YAML: "),
        ("a.yaml", b"interactions:\n- x: " + b"[" * 99_999, "a.yaml#1", "is nested too deeply; the rest can't be read"),
        ("a.yaml", b"x: " + b"{a: " * 9999, "a.yaml#1", "is nested too deeply; the rest can't be read"),
        ("a.json", b'{"interactions": [' + b"[" * 99_999, "a.json#1", "ends before its JSON does"),
        ("a.json", b'{"interactions": [', "a.json#1", "ends before its JSON does"),
        ("a.json", b'{"interactions": ["a', "a.json#1", "ends before its JSON does"),
        ("a.json", b'{"interactions": [], "x": [{"a": "b', "a.json#1", "ends before its JSON does"),
        ("a.json", b'{"interactions" []}', "a.json#1", "is not JSON: ':' is missing before '['"),
        ("a.json", b'{"interactions": []} {}', "a.json#1", "goes on after the end of its JSON"),
    ],
)
def test_file_is_unreadable(tmp_path: Path, name: str, text: bytes, where: str, message: str) -> None:
    """What is wrong with a whole file is named."""
    ((source, reason), *others) = problems(read_text(tmp_path, text, name))
    assert (source, reason[: len(message)]) == (where, message)
    assert len(others) <= 1


def test_cut_file(tmp_path: Path) -> None:
    """Wherever a file is cut off, what comes before is read, and nothing is raised."""
    whole = PLAIN.replace("version: 1\n", "") + MORE
    for text, name in ((whole, "a.yaml"), (as_json(whole), "a.json")):
        for length in range(0, len(text), 23):
            items = read_text(tmp_path, text[:length], name)
            good = [item for item in items if isinstance(item, Exchange)]
            assert [item.source for item in good] == [f"{tmp_path / name}#{n + 1}" for n in range(len(good))]
            assert len(good) >= (length > len(text) * 0.6)
            assert name == "a.yaml" or problems(items)


def test_malformed_json_within_good_json(tmp_path: Path) -> None:
    """An exchange that is not JSON costs itself alone, however its strings and brackets look."""
    good = as_json(PLAIN).partition("[")[2].rpartition("]")[0]
    bad = ["{'a': 1}", '{"a": }', '{"]": "}\\"["x}', "[" * 3000 + "]" * 3000, '{"a": ' + "1" * 5000 + "}"]
    text = '{"interactions": [' + ",".join(f"{one}, {good}" for one in bad) + "]}"
    items = read_text(tmp_path, text, "a.json")
    assert [source for source, _ in problems(items)] == [f"a.json#{n}" for n in (1, 3, 5, 7, 9)]
    assert sum(isinstance(item, Exchange) for item in items) == len(bad)


def test_huge_bodies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that is too large, packed or not, is named, and the next exchange is read."""
    monkeypatch.setattr(decoding, "MAX_BODY", 1000)
    for body, header in (
        ("a" * 1001, ""),
        (binary(bytes(1001)), ""),
        (binary(gzip.compress(bytes(1001), mtime=0)), "content-encoding: gzip"),
        (binary(zlib.compress(bytes(1001))), "content-encoding: deflate"),
        (binary(gzip.compress(gzip.compress(bytes(100_000_000), 1))), "content-encoding: 'gzip, gzip'"),
    ):
        items = read_text(tmp_path, with_answer(body, header).replace("version: 1\n", "") + MORE)
        assert problems(items) == [("cassette.yaml#1", "has a body of more than 0 MiB")]
        assert items[1:] == [evolve(EXCHANGE, source=f"{tmp_path / 'cassette.yaml'}#2")]


def test_huge_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value too large to hold is not held: in JSON it is skipped, in YAML the file is left."""
    monkeypatch.setattr("longcat.contract.traffic.json_stream.MAX_ITEM", 300_000)
    monkeypatch.setattr("longcat.contract.traffic.json_stream.READ_SIZE", 1000)
    monkeypatch.setattr("longcat.contract.traffic.yaml_stream.MAX_SCALAR", 100_000)
    good = as_json(PLAIN).partition("[")[2].rpartition("]")[0]
    text = f'{{"interactions": [{{"a": "{"x" * 2_000_000}"}}, {good}]}}'
    items = read_text(tmp_path, text, "a.json")
    assert problems(items) == [("a.json#1", "has more than 0 MiB of text")]
    assert only(items[1:]).response_body == ANSWER
    items = read_text(tmp_path, PLAIN.replace("version: 1\n", "") + f"- request: {'x' * 400_000}\n")
    assert problems(items) == [("cassette.yaml#2", "has a value of more than 0 MiB; the rest can't be read")]


def test_what_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that can't be read is named."""
    os.mkfifo(tmp_path / "pipe")
    assert problems(found(tmp_path / "nothing.yaml")) == [
        ("nothing.yaml", "can't be opened: No such file or directory")
    ]
    assert problems(found(tmp_path / "pipe")) == [("pipe", "is neither a file nor a folder")]
    assert problems(found(tmp_path / ("x" * 999)))[0][1] == "can't be opened: File name too long"
    assert "null byte" in problems(found(tmp_path / "a\0b"))[0][1]

    def forbidden(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "secret.yaml").write_text(PLAIN)
    monkeypatch.setattr(Path, "open", forbidden)  # Root may read everything.
    assert problems(found(tmp_path / "secret.yaml")) == [("secret.yaml", "can't be opened: Permission denied")]


def test_folder(tmp_path: Path) -> None:
    """A folder is read with all that is below it, in order; what is no recording by its name is passed over."""
    for name in ("b.yaml", "a/z.json", "a/b.yml", "c.har", "README.md", ".c.yaml.7.part"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(as_json(PLAIN) if name != "c.har" else "")
    names = [source.removeprefix(f"{tmp_path}/") for source in sources(found(tmp_path))]
    assert names == ["b.yaml#1", "c.har#1", "a/b.yml#1", "a/z.json#1"]


@pytest.mark.parametrize("name", ["a.yaml", "a.json"])
def test_memory_is_flat(tmp_path: Path, name: str) -> None:
    """A thousand exchanges take the memory of a few."""
    interaction = MORE.replace("version: 1\n", "")
    text = "interactions:\n" + interaction * 1000
    if name == "a.json":
        one = as_json(PLAIN).partition("[")[2].rpartition("]")[0]
        text = '{"interactions": [' + ",".join([one] * 1000) + "]}"
    path = tmp_path / name
    path.write_text(text)
    tracemalloc.start()
    try:
        count = sum(isinstance(item, Exchange) for item in read(path, [KEY_HEADER]))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (count, peak < 2_000_000) == (1000, True), peak

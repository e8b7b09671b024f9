"""What is read from HAR files, as browsers, proxies and API tools write them."""

import base64
import json
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recordings import ANSWER, EXCHANGE, KEY, KEY_HEADER, QUESTION, URL, WHEN, found, only, problems, read_text, sources
from vcr.serializers import yamlserializer  # type: ignore[import-untyped]

from longcat.contract.model import Exchange
from longcat.contract.traffic.recordings import read
from longcat.contract.traffic.redact import PLACEHOLDER

JSON_TYPE = {"name": "Content-Type", "value": "application/json"}


def entry(
    request: dict[str, Any] | None = None, response: dict[str, Any] | None = None, **more: object
) -> dict[str, Any]:
    """Return the least that an entry has, with some fields of its parts changed."""
    return {
        "startedDateTime": "2026-01-02T03:04:05.000Z",
        "time": 12.5,
        "request": {
            "method": "POST",
            "url": URL,
            "httpVersion": "HTTP/1.1",
            "headers": [JSON_TYPE, {"name": KEY_HEADER, "value": KEY}],
            "queryString": [],
            "cookies": [],
            "headersSize": -1,
            "bodySize": len(QUESTION),
            "postData": {"mimeType": "application/json", "text": QUESTION.decode()},
            **(request or {}),
        },
        "response": {
            "status": 200,
            "statusText": "OK",
            "headers": [JSON_TYPE],
            "cookies": [],
            "content": {"size": len(ANSWER), "mimeType": "application/json", "text": ANSWER.decode()},
            "redirectURL": "",
            "headersSize": -1,
            "bodySize": len(ANSWER),
            **(response or {}),
        },
        "cache": {},
        "timings": {"send": 0, "wait": 12, "receive": 0.5},
        **more,
    }


def archive(*entries: object, **more: object) -> str:
    """Return a file with these entries."""
    log = {"version": "1.2", "creator": {"name": "somebody", "version": "1"}, **more, "entries": list(entries)}
    return json.dumps({"log": log})


def content(text: str | None, **more: object) -> dict[str, Any]:
    """Return a response with this content."""
    return {
        "content": {"size": 1, "mimeType": "application/json", **({"text": text} if text is not None else {}), **more}
    }


PACKED = base64.b64encode(ANSWER).decode()
GZIP = zlib.compressobj(wbits=31)
GZIPPED = base64.b64encode(GZIP.compress(ANSWER) + GZIP.flush()).decode()
ENCODED = {"name": "content-encoding", "value": "gzip"}
TOOLS = {
    "Chrome": entry(
        {
            "httpVersion": "http/2.0",
            "headers": [
                {"name": ":authority", "value": "gateway.test"},
                {"name": ":method", "value": "POST"},
                {"name": ":path", "value": "/result"},
                {"name": ":scheme", "value": "https"},
                {"name": "content-type", "value": "application/json"},
                {"name": KEY_HEADER.lower(), "value": KEY},
            ],
        },
        {"headers": [{"name": ":status", "value": "200"}, {"name": "content-type", "value": "application/json"}]}
        | {"_transferSize": 123, "_error": None},
        _initiator={"type": "script"},
        _priority="High",
        _resourceType="fetch",
        pageref="page_1",
    ),
    "Chrome, text in base64": entry(None, content(PACKED, encoding="base64")),
    "Firefox": entry(
        {"postData": {"mimeType": "application/json", "params": [], "text": QUESTION.decode()}},
        {"headers": [JSON_TYPE, {"name": "content-encoding", "value": "br"}]},
        _securityState="secure",
        serverIPAddress="127.0.0.1",
    ),
    "Safari": entry(None, {**content(ANSWER.decode(), compression=0), "_transferSize": 1}, _fetchType="Network Load"),
    "mitmproxy": entry({"postData": {"mimeType": "application/json", "text": QUESTION.decode(), "params": []}})
    | {"response": {**entry()["response"], "headers": [JSON_TYPE, ENCODED]}},
    "Charles, compressed": entry(
        None, {"headers": [JSON_TYPE, ENCODED], **content(GZIPPED, encoding="base64")}, _charlesStatus="COMPLETE"
    ),
    "Insomnia": entry({"bodySize": -1, "comment": ""}, {"bodySize": -1, "comment": ""}, comment="A question"),
    "request in base64": entry({"postData": {"text": base64.b64encode(QUESTION).decode(), "encoding": "base64"}}),
}


@pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)
def test_tool(tmp_path: Path, tool: dict[str, Any]) -> None:
    """Every tool's way to write an exchange gives the same exchange, without its key."""
    path = tmp_path / "a.har"
    assert only(read_text(tmp_path, archive(tool), path.name)) == evolve(EXCHANGE, source=f"{path}#1", recorded=WHEN)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("a.har", b"\xef\xbb\xbf" + archive(entry()).encode(), id="BOM"),
        pytest.param("a.har", archive(entry()).encode("utf-16"), id="UTF-16"),
        pytest.param("a.json", archive(entry()).encode(), id="another name"),
        pytest.param(
            "a", b"\n " + archive(entry(), pages=[{"x": "]}"}], comment='\\"{').encode(), id="before the entries"
        ),
        pytest.param("a.har", b'{"x": [1, 2e9, {}, "\\"]"], ' + archive(entry()).encode()[1:], id="before the log"),
        pytest.param("a.har", json.dumps(json.loads(archive(entry())), indent=4).encode(), id="indented"),
    ],
)
def test_file(tmp_path: Path, name: str, text: bytes) -> None:
    """A file is read whatever its encoding, its layout and what else it holds."""
    assert only(read_text(tmp_path, text, name)) == evolve(EXCHANGE, source=f"{tmp_path / name}#1", recorded=WHEN)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 50, 1000])
def test_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """It makes no difference in what pieces a file is read."""
    monkeypatch.setattr("longcat.contract.traffic.json_stream.READ_SIZE", size)
    text = archive(
        entry(), "\u00e9\U0001f408", 12345, {"a": tuple("}]")}, entry(), browser={"name": '\u00e9\\"', "v": 1.5}
    )
    items = read_text(tmp_path, text, "a.har")
    assert [isinstance(item, Exchange) for item in items] == [True, False, False, False, True]
    malformed = archive(entry(), "HERE", entry()).replace('"HERE"', '{\'a\': "}", 1: ["\\"]"]}')
    items = read_text(tmp_path, malformed, "a.har")
    assert [isinstance(item, Exchange) for item in items] == [True, False, True]


@pytest.mark.parametrize(
    ("changes", "body"),
    [
        pytest.param(content(None, size=0) | {"bodySize": 0}, b"", id="empty"),
        pytest.param(content(None, size=0) | {"bodySize": -1}, b"", id="empty, of unknown size"),
        pytest.param(content(None, size=300), None, id="not kept"),
        pytest.param(content(None, size=0) | {"bodySize": 300}, None, id="dropped by the browser"),
        pytest.param({"content": None}, None, id="no content"),
        pytest.param(content(""), b"", id="an empty text"),
        pytest.param(content("\u00e9"), "\u00e9".encode(), id="text"),
        pytest.param(content("iVBORw0KGgo\r\n", encoding="base64"), b"\x89PNG\r\n\x1a\n", id="binary"),
        pytest.param(content("", encoding="base64"), b"", id="nothing in base64"),
    ],
)
def test_answer(tmp_path: Path, changes: dict[str, Any], body: bytes | None) -> None:
    """A body that was not kept is told from one that was empty."""
    assert only(read_text(tmp_path, archive(entry(None, changes)), "a.har")).response_body == body


def test_bytes_that_are_not_utf_8(tmp_path: Path) -> None:
    """A text that a tool wrote in another encoding comes out as the bytes that it was."""
    text = archive(entry(None, content("caf?"))).encode().replace(b"caf?", b"caf\xe9")
    assert only(read_text(tmp_path, text, "a.har")).response_body == b"caf\xe9"


FORM = "application/x-www-form-urlencoded; charset=UTF-8"


@pytest.mark.parametrize(
    ("changes", "body"),
    [
        pytest.param({"postData": None}, None, id="none"),
        pytest.param({"postData": {"mimeType": "", "text": ""}}, b"", id="empty"),
        pytest.param(
            {"postData": {"mimeType": FORM, "params": [{"name": "a b", "value": "&"}, {"name": "c"}]}},
            b"a+b=%26&c=",
            id="form",
        ),
        pytest.param(
            {"postData": {"mimeType": FORM, "text": "a=1", "params": [{"name": "b"}]}}, b"a=1", id="text first"
        ),
        pytest.param(
            {"postData": {"mimeType": "multipart/form-data", "params": [{"name": "a", "fileName": "b"}]}},
            None,
            id="parts",
        ),
    ],
)
def test_question(tmp_path: Path, changes: dict[str, Any], body: bytes | None) -> None:
    """A request's body is its text, else its fields where those say what the text was."""
    assert only(read_text(tmp_path, archive(entry(changes)), "a.har")).request_body == body


def test_no_key_is_left(tmp_path: Path) -> None:
    """The key is taken out wherever a browser notes it, and cookies with it."""
    question = {
        "url": f"{URL}?token={KEY}",
        "queryString": [{"name": "token", "value": KEY}],
        "headers": [{"name": "Cookie", "value": f"a={KEY}\nb=c"}, {"name": "Authorization", "value": f"Bearer {KEY}"}],
        "cookies": [{"name": "a", "value": KEY}],
    }
    exchange = only(read_text(tmp_path, archive(entry(question, content(f'"{KEY}"'))), "a.har"))
    assert KEY not in repr(exchange) + repr(exchange.response_body)
    assert exchange.request_headers == {"cookie": PLACEHOLDER, "authorization": PLACEHOLDER}


@pytest.mark.parametrize(
    ("spoilt", "message"),
    [
        (entry(None, {"status": 0, "headers": []}), "has no answer: the request was aborted or blocked"),
        (entry(None, {"status": 0, "_error": "net::ERR_ABORTED"}), "has no answer: net::ERR_ABORTED"),
        (entry({"url": "wss://a/b"}, {"status": 101}), "is a WebSocket, not one question with one answer"),
        (entry(_webSocketMessages=[]), "is a WebSocket, not one question with one answer"),
        (entry({"url": "data:image/png;base64,aaaa"}), "has no absolute HTTP URL, but 'data:...'"),
        (entry({"url": "about:blank"}), "has no absolute HTTP URL, but 'about:...'"),
        (entry() | {"response": None}, "is no entry of a HAR file: the response is not an object"),
        (entry() | {"request": []}, "is no entry of a HAR file: the request is not an object"),
        (5, "is no entry of a HAR file: the entry is not an object"),
        (entry({"headers": [{"value": "a"}]}), "has a header that is not a name with a value"),
        (entry(None, content("%", encoding="base64")), "has a value that should be base64 and is not"),
        (entry(None, content("\ud83d")), "has a body that is neither text nor marked as binary"),
        (
            entry(None, {"headers": [ENCODED], **content(GZIPPED[:24], encoding="base64")}),
            "has a compressed body that is cut off",
        ),
    ],
)
def test_one_entry_is_unreadable(tmp_path: Path, spoilt: object, message: str) -> None:
    """What is wrong with one entry is named, and the next one is read."""
    items = read_text(tmp_path, archive(spoilt, entry()), "a.har")
    assert problems(items) == [("a.har#1", message)]
    assert items[1:] == [evolve(EXCHANGE, source=f"{tmp_path / 'a.har'}#2", recorded=WHEN)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '{"log": {"version": "1.2"}}',
            "holds no recorded traffic: neither a cassette's interactions nor a HAR file's log",
        ),
        ('{"log": []}', "holds no recorded traffic: neither a cassette's interactions nor a HAR file's log"),
        ('{"log": {"entries": {}}}', "is no entry of a HAR file: the request is not an object"),
        ('{"log": {"entries": [', "ends before its JSON does: it is cut off, or a bracket is missing"),
    ],
)
def test_file_is_unreadable(tmp_path: Path, text: str, message: str) -> None:
    """What is wrong with a whole file is named."""
    ((_, reason),) = problems(read_text(tmp_path, text, "a.har"))
    assert reason == message


def test_no_entries(tmp_path: Path) -> None:
    """A file may be empty."""
    assert read_text(tmp_path, archive(), "a.har") == []


ODD: st.SearchStrategy[Any] = st.sampled_from([None, True, -1, 0, 1.5, "", "x", "\ud83d", [], [None], {}, {"a": None}])


def places(node: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the paths to all values within one."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(inner for key, child in children for inner in places(child, (*path, key)))]


def spoil(node: Any, path: tuple[str | int, ...], value: object) -> Any:
    """Return a copy in which the value at a path is another."""
    if not path:
        return value
    copy = json.loads(json.dumps(node))
    copy[path[0]] = spoil(copy[path[0]], path[1:], value)
    return copy


@given(path=st.sampled_from(places(entry())), value=ODD)
@settings(
    derandomize=True, database=None, deadline=None, max_examples=200,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
def test_any_value_may_be_wrong(tmp_path: Path, path: tuple[str | int, ...], value: object) -> None:
    """Whatever stands where, as an entry or as an interaction, it gives an exchange or a problem, and no error."""
    items = read_text(tmp_path, archive(spoil(entry(), path, value), entry()), "a.har")
    assert (len(items), isinstance(items[1], Exchange)) == (2, True)


INTERACTION: dict[str, Any] = {
    "intent": "wrong-key",
    "question": "a",
    "request": {"method": "POST", "uri": URL, "headers": {"a": ["b"]}, "body": {"encoding": "utf-8", "string": "a"}},
    "response": {"status": {"code": 200, "message": "OK"}, "headers": {"a": ["b"]}, "body": {"string": "b"}},
}


@given(path=st.sampled_from(places(INTERACTION)), value=ODD)
@settings(
    derandomize=True, database=None, deadline=None, max_examples=200,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
def test_any_value_may_be_wrong_in_a_cassette(tmp_path: Path, path: tuple[str | int, ...], value: object) -> None:
    """The same holds for interactions, as JSON and as YAML."""
    data = {"interactions": [spoil(INTERACTION, path, value), INTERACTION]}
    texts = {"a.json": json.dumps(data)}
    if value != "\ud83d":  # YAML has no way to write half a character.
        texts["a.yaml"] = yamlserializer.serialize(data)
    for name, text in texts.items():
        items = read_text(tmp_path, text, name)
        assert (len(items), isinstance(items[1], Exchange)) == (2, True)


def test_memory_is_flat(tmp_path: Path) -> None:
    """Three thousand entries take the memory of a few."""
    path = tmp_path / "a.har"
    path.write_text(archive(*[entry()] * 3000))
    tracemalloc.start()
    try:
        count = sum(isinstance(item, Exchange) for item in read(path, [KEY_HEADER]))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (count, peak < 2_000_000) == (3000, True), peak


def test_folder_of_all_kinds(tmp_path: Path) -> None:
    """HAR files and cassettes may lie in one folder."""
    (tmp_path / "a.har").write_text(archive(entry(), 1))
    (tmp_path / "b.json").write_text(json.dumps({"interactions": [INTERACTION]}))
    assert [Path(source).name for source in sources(found(tmp_path))] == ["a.har#1", "a.har#2", "b.json#1 a"]

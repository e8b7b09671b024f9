"""Which change of the contract's file each kind of finding gets, which get none, and that nothing else is touched."""

import importlib
import json
import pickle
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from exchanges import (
    ASKED,
    BAD_BODY,
    COMPLETED,
    ERROR,
    FILTERED,
    GET,
    GOOD,
    JSON,
    MADE_UP,
    NO_KEY,
    NOWHERE,
    OURS,
    PROCESSING,
    UNKNOWN,
    WRONG_KEY,
    answered,
)
from library import LIBRARY

from longcat.contract import CODES, Exchange, Finding, SpecError, judge
from longcat.contract.openapi.parsing import parse_document
from longcat.contract.openapi.spec import Spec, make_spec
from longcat.contract.patches import edit as edit_module
from longcat.contract.patches import suggest as suggest_module
from longcat.contract.patches.changes import CHANGE_OF_CODE
from longcat.contract.patches.edit import Append, Drop, Put, Source, UneditableError
from longcat.contract.patches.suggest import Suggestion, suggest


def about_one_operation(text: str, path: str) -> str:
    """Return a contract's text without other paths, webhooks, four errors like the others, and what only these need."""

    def without(text: str, indent: str, name: str) -> str:
        begin = re.escape(f"{indent}{name}:")
        return re.sub(rf"^{begin}.*\n(?:{indent} .*\n|\n)*", "", text, count=1, flags=re.MULTILINE)

    text = without(text, "", "webhooks")
    for name in re.findall(r"^  (/.+):$", text, re.MULTILINE):
        text = text if name == path else without(text, "  ", name)
    for code in ("402", "403", "429", "500"):
        text = without(text, "        ", f'"{code}"')
    unused = [""]
    while unused:
        named = re.findall(r"^    (\w+):$", text.partition("\ncomponents:")[2], re.MULTILINE)
        unused = [name for name in named if not re.search(rf"/{name}\"|  - {name}:", text)]
        for name in unused:
            text = without(text, "    ", name)
    return text.replace("  responses:\n  schemas:", "  schemas:")


WHOLE = (Path(__file__).parents[3] / "openapi.yaml").read_text("utf-8")
TEXT = about_one_operation(WHOLE, "/longcat-image-request-result")
"""What our contract says of the result gateway, as it says it: the whole takes thrice as long to read."""
IN_JSON = (Path(__file__).parents[3] / "generated" / "longcat_api" / "openapi.json").read_text("utf-8")
"""The same, which is read twenty times faster."""


@lru_cache(maxsize=8)
def document_in(text: str) -> dict[str, Any]:
    """Return the document in a text, which is read once for all that need it."""
    return parse_document(text, "to change", strict=True)


@lru_cache(maxsize=8)
def spec_in(text: str) -> Spec:
    """Return the contract in a text."""
    return make_spec(document_in(text))


_read_yaml = edit_module._read_yaml


@lru_cache(maxsize=8)
def tree_in(text: str) -> tuple[bytes, str, Callable[[Any], str]]:
    """Return the tree of a text, pickled, which is read twenty times faster, as it is written, and how to write it."""
    tree, write = _read_yaml(text)
    return pickle.dumps(tree), write(tree), write


def copied(text: str) -> tuple[Any, Callable[[Any], str]]:
    """Return a tree of its own for who changes it, and how to write it: it is written once before any change."""
    pickled, unchanged, write = tree_in(text)
    tree, before = pickle.loads(pickled), iter([unchanged])  # noqa: S301 - our own.
    return tree, lambda changed: next(before, "") or write(changed)


@pytest.fixture(autouse=True)
def _texts_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what suggests changes take a text that was read before as it was read: reading is most of the work."""
    monkeypatch.setattr(suggest_module, "parse_document", lambda text, *_, **__: document_in(text))
    monkeypatch.setattr(edit_module, "_read_yaml", copied)


def found(spec: Spec, exchanges: Iterable[Exchange]) -> list[Finding]:
    """Return what is wrong with exchanges."""
    return [finding for exchange in exchanges for finding in judge(spec, exchange)]


def suggested(*exchanges: Exchange, text: str = TEXT) -> Suggestion:
    """Return the change for exchanges, having seen that it heals, or is refused, and that the next one is empty."""
    findings = found(spec_in(text), exchanges)
    assert findings
    suggestion = suggest(text, findings)
    again = found(spec_in(suggestion.text), exchanges)
    assert bool(again) is bool(suggestion.unpatched)
    second = suggest(suggestion.text, again)
    assert (second.text, second.diff) == (suggestion.text, "")
    assert suggest(suggestion.text, findings).diff == ""
    assert unchanged(suggestion) >= comments(text)
    return suggestion


def changed(suggestion: Suggestion) -> list[str]:
    """Return the lines that came and went, as the difference has them, without their indentation."""
    lines = suggestion.diff.splitlines()[2:]
    return [f"{line[0]} {line[1:].strip()}" for line in lines if line[0] in "+-"]


def comments(text: str) -> set[str]:
    """Return the lines that are comments."""
    return {line for line in text.splitlines() if line.lstrip().startswith("#")}


def unchanged(suggestion: Suggestion) -> set[str]:
    """Return the comments that are there afterwards."""
    return comments(suggestion.text)


def without(body: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return a body without some fields."""
    return {name: value for name, value in body.items() if name not in names}


# --- One hunk for each kind.


@pytest.mark.parametrize(
    ("exchange", "lines"),
    [
        pytest.param(
            answered(PROCESSING | {"progress": None}),
            ["- type: number", "+ # Seen: null.", '+ type: [number, "null"]'],
            id="null",
        ),
        pytest.param(
            answered(COMPLETED | {"model_version": 12}),
            ["- type: string", "+ # Seen: a value of type integer.", "+ type: [string, integer]"],
            id="another type",
        ),
        pytest.param(
            answered(COMPLETED | {"result_url": ["https://pictures.test/a.png"]}),
            [
                "- type: string",
                "+ # Seen: a value of type array.",
                "+ type: [string, array]",
                "+ items:",
                "+ type: string",
            ],
            id="a list",
        ),
        pytest.param(
            answered(PROCESSING | {"progress": {"done": 1, "of": 2.5}}),
            [
                "- type: number",
                "+ # Seen: a value of type object.",
                "+ type: [number, object]",
                "+ properties:",
                "+ done:",
                "+ type: integer",
                "+ of:",
                "+ type: number",
            ],
            id="an object",
        ),
        pytest.param(
            answered(PROCESSING | {"progress": 45.0}),
            ["- maximum: 1", "+ # Seen: 45.", "+ maximum: 45"],
            id="another unit",
        ),
        pytest.param(
            answered(COMPLETED | {"progress": 0.6}),
            ["- minimum: 1", "+ # Seen: 0.6.", "+ minimum: 0.6"],
            id="unfinished",
        ),
        pytest.param(
            answered(COMPLETED | {"created_at": "2026-01-31 10:30"}),
            ["- format: date-time", "+ # Seen: text that is no date-time."],
            id="another format",
        ),
        pytest.param(
            answered(PROCESSING | {"success": False}),
            ["- const: true", "+ # Seen: false, so that no value is fixed any more."],
            id="the other truth",
        ),
        pytest.param(
            answered(PROCESSING | {"success": "true"}),
            [
                "- type: boolean",
                "- const: true",
                "+ # Seen: a value of type string.",
                "+ type: [boolean, string]",
                "+ # Seen: a text, so that no value is fixed any more.",
            ],
            id="a type, and the value that was fixed",
        ),
        pytest.param(
            answered(COMPLETED | {"seeds": [{"n": 1}, {"n": None, "of": 0.5}], "none": [], "on": True}),
            [
                "+ # Seen: a new field.",
                "+ seeds:",
                "+ type: array",
                "+ items:",
                "+ type: object",
                "+ properties:",
                '+ "n":',
                '+ type: [integer, "null"]',
                "+ of:",
                "+ type: number",
                "+ # Seen: a new field.",
                "+ none:",
                "+ type: array",
                "+ items: {}",
                "+ # Seen: a new field.",
                '+ "on":',
                "+ type: boolean",
            ],
            id="new fields",
        ),
        pytest.param(
            answered(PROCESSING, 202),
            [
                "+ # Seen: this code, where HTTP 200 was expected.",
                '+ "202":',
                "+ description: Seen in the place of 200.",
                "+ content:",
                "+ application/json:",
                "+ schema:",
                '+ $ref: "#/components/schemas/ProcessingStatus"',
            ],
            id="another code",
        ),
        pytest.param(
            answered(b"", 204, headers={}),
            ["+ # Seen: this code, where HTTP 200 was expected.", '+ "204":', "+ description: Seen without a body."],
            id="no content",
        ),
        pytest.param(
            answered(ERROR, 422, to=BAD_BODY),
            [
                "+ # Seen: this code, where HTTP 400 was expected.",
                '+ "422":',
                "+ description: Seen in the place of 400.",
                "+ content:",
                "+ application/json:",
                "+ schema:",
                '+ $ref: "#/components/schemas/Error"',
            ],
            id="another code of refusal",
        ),
        pytest.param(
            answered({"title": "No."}, 400, to=BAD_BODY, headers={"content-type": "application/problem+json"}),
            [
                "+ # Seen: this content type.",
                "+ application/problem+json:",
                "+ schema:",
                "+ type: object",
                "+ properties:",
                "+ title:",
                "+ type: string",
            ],
            id="another content type and form",
        ),
        pytest.param(
            answered(ERROR, 400, to=BAD_BODY, headers={"content-type": "text/plain"}),
            [
                "+ # Seen: this content type.",
                "+ text/plain:",
                "+ schema:",
                "+ type: string",
                "+ contentMediaType: application/json",
                "+ contentSchema:",
                '+ $ref: "#/components/schemas/Error"',
            ],
            id="JSON that calls itself text",
        ),
        pytest.param(
            answered({"data": ERROR}, 401, to=FILTERED),
            [
                '- $ref: "#/components/schemas/Error"',
                "+ # Seen: an answer of this shape.",
                "+ oneOf:",
                '+ - $ref: "#/components/schemas/Error"',
                "+ - type: object",
                "+ required: [data]",
                "+ properties:",
                "+ data:",
                '+ $ref: "#/components/schemas/Error"',
            ],
            id="an envelope",
        ),
        pytest.param(
            answered("No.", 401, to=FILTERED),
            [
                '- $ref: "#/components/schemas/Error"',
                "+ # Seen: an answer of this shape.",
                "+ oneOf:",
                '+ - $ref: "#/components/schemas/Error"',
                "+ - type: string",
            ],
            id="another type as a whole",
        ),
        pytest.param(
            answered(PROCESSING, headers=JSON | {"sunset": "Sat, 01 Jan 2028 00:00:00 GMT"}),
            [
                "+ # Seen: this header.",
                "+ headers:",
                "+ Sunset:",
                "+ description: An announcement.",
                "+ schema:",
                "+ type: string",
            ],
            id="an announcement",
        ),
    ],
)
def test_hunk(exchange: Exchange, lines: list[str]) -> None:
    """A finding changes what it is about, as far as was seen, with a comment that says so; nothing is left."""
    suggestion = suggested(exchange)
    assert changed(suggestion) == lines
    assert suggestion.unpatched == ()


EXAMPLE = ["+ # Seen: an answer like this.", "+ seen_1:"]


@pytest.mark.parametrize(
    ("body", "example", "schema"),
    [
        pytest.param(
            without(PROCESSING, "progress"),
            ["+ summary: As seen without progress", "+ value:", "+ status: processing", "+ request_id: XXXXXXXXXXXXX"],
            [
                "- required: [status, progress, request_id]",
                "+ # Seen: an answer without progress.",
                "+ required: [status, request_id]",
            ],
            id="missing",
        ),
        pytest.param(
            without(PROCESSING, "progress") | {"share": 0.45},
            ["+ summary: As seen without progress", "+ value:", "+ status: processing", "+ request_id: XXXXXXXXXXXXX"],
            [
                "- required: [status, progress, request_id]",
                "+ # Seen: an answer without progress.",
                "+ required: [status, request_id]",
                "+ # Seen: progress under this name.",
                "+ share:",
                "+ type: number",
                "+ minimum: 0",
                "+ maximum: 1",
                '+ description: "The part of the work that is done, from 0 to 1."',
            ],
            id="renamed",
        ),
        pytest.param(
            without(PROCESSING, "progress") | {"job": {"progress": 0.45}},
            ["+ summary: As seen without progress", "+ value:", "+ status: processing", "+ request_id: XXXXXXXXXXXXX"],
            [
                "- required: [status, progress, request_id]",
                "+ # Seen: an answer without progress.",
                "+ required: [status, request_id]",
                "+ # Seen: a new field.",
                "+ job:",
                "+ type: object",
                "+ properties:",
                "+ progress:",
                "+ type: number",
            ],
            id="moved",
        ),
        pytest.param(
            COMPLETED | {"result_url": ""},
            [
                "+ summary: As seen with an empty result_url",
                "+ value:",
                "+ status: completed",
                "+ progress: 1.0",
                "+ request_id: XXXXXXXXXXXXX",
                '+ result_url: ""',
                '+ created_at: "2024-06-15T10:30:00Z"',
                "+ duration_seconds: 42",
                "+ model_version: longcat-v1.2",
            ],
            ["- format: uri", "+ # Seen: text that is no uri."],
            id="empty",
        ),
    ],
)
def test_hunk_with_an_example(body: dict[str, Any], example: list[str], schema: list[str]) -> None:
    """What may be absent or empty from now on is shown so: by an example of the contract's own, never by an answer."""
    suggestion = suggested(answered(body))
    assert changed(suggestion) == [*EXAMPLE, *example, *schema]
    assert suggestion.unpatched == ()


# --- Words that tell answers apart.


def test_word_of_a_known_variant() -> None:
    """A new word for an answer that is like a documented one is a new value there."""
    assert changed(suggested(answered(PROCESSING | {"status": "queued"}))) == [
        "+ # Seen: in answers like processing.",
        '+ queued: "#/components/schemas/ProcessingStatus"',
        "- const: processing",
        "+ # Seen: another word.",
        "+ enum: [processing, queued]",
    ]


def test_word_of_a_new_variant() -> None:
    """A new word for an answer like no other is a new variant: known fields as they are known, others as seen."""
    failed = {"status": "failed", "request_id": "abc", "reason": {"code": 7}}
    assert changed(suggested(answered(failed))) == [
        "+ # Seen: answers with the status failed.",
        '+ - $ref: "#/components/schemas/FailedStatus"',
        "+ # Seen: another word.",
        '+ failed: "#/components/schemas/FailedStatus"',
        "+ # Seen: answers with the status failed.",
        "+ FailedStatus:",
        "+ description: An answer as it was seen.",
        "+ type: object",
        "+ required: [status, request_id]",
        "+ properties:",
        "+ status:",
        "+ type: string",
        "+ const: failed",
        "+ request_id:",
        "+ type: string",
        "+ minLength: 1",
        "+ description: The id that was asked for.",
        "+ reason:",
        "+ type: object",
        "+ properties:",
        "+ code:",
        "+ type: integer",
    ]


def test_word_in_another_case() -> None:
    """Two words that differ in case only get names that the generator can tell apart."""
    assert changed(suggested(answered(PROCESSING | {"status": "Processing"})))[-4:] == [
        "- const: processing",
        "+ # Seen: another value.",
        "+ enum: [processing, Processing]",
        "+ x-enum-varnames: [PROCESSING, PROCESSING_2]",
    ]


def test_a_third_word() -> None:
    """Where there is a list of words, a new one is added to it."""
    first = suggest(TEXT, found(OURS, [answered(PROCESSING | {"status": "queued"})])).text
    second = suggested(answered(PROCESSING | {"status": "waiting"}), text=first)
    assert "- enum: [processing, queued]" in changed(second)
    assert "+ enum: [processing, queued, waiting]" in changed(second)


# --- What is left.


@pytest.mark.parametrize(
    ("exchange", "code"),
    [
        (answered(PROCESSING, to=NO_KEY), "auth-lost"),
        (answered(PROCESSING, to=WRONG_KEY), "auth-lost"),
        (answered(PROCESSING, to=BAD_BODY), "validation-lost"),
        (answered(PROCESSING, to=UNKNOWN), "unknown-answered"),
        (answered(PROCESSING | {"request_id": "other"}), "answer-mismatched"),
        (answered(ERROR), "error-in-success"),
        (answered(ERROR, to=UNKNOWN), "error-in-success"),
        (answered(ERROR, 401, to=evolve(BAD_BODY, origin="live")), "auth-changed"),
        (answered(ERROR, 422, to=ASKED), "request-refused"),
        (answered(ERROR, 404, to=NO_KEY), "status-changed"),
        (answered(ERROR, 500, to=evolve(BAD_BODY, origin="live")), "status-changed"),
        (answered(ERROR, 405, to=ASKED), "endpoint-gone"),
        (answered(b"", 308, headers={"location": "https://gateway.test/"}), "redirected"),
        (answered(b"<!DOCTYPE html>", headers={"content-type": "text/html"}), "content-type-changed"),
        (answered(PROCESSING, headers={"server": "nginx"}), "content-type-changed"),
        (answered(b"{'status'}"), "body-not-json"),
        (answered(b'{"status": '), "body-cut"),
        (answered(b""), "body-empty"),
        (answered(b'{"status": "processing", "progress": 0, "progress": 1, "request_id": "abc"}'), "name-repeated"),
        (answered(PROCESSING, to=GET), "method-new"),
        (answered({"ok": True}, to=NOWHERE), "path-new"),
        (answered({"data": PROCESSING}), "enveloped"),
        (answered(None), "field-null"),
        (answered(json.dumps(PROCESSING)), "type-changed"),
        (answered(without(PROCESSING, "status")), "field-missing"),
        (answered(without(PROCESSING, "status") | {"state": "processing"}), "field-renamed"),
        (answered(PROCESSING | {"status": None}), "field-null"),
        (answered(PROCESSING | {"status": ""}), "value-empty"),
        (
            answered(PROCESSING | {"status": "Your picture will be done on Monday, or on Tuesday."}),
            "value-undocumented",
        ),
        (answered(PROCESSING | {"request_id": 7}), "type-changed"),
        (answered(without(COMPLETED, "model_version")), "field-absent"),
        (answered(COMPLETED | {"model_version": ""}), "value-blank"),
    ],
)
def test_left(exchange: Exchange, code: str) -> None:
    """What no contract should allow, or what an answer can't tell, is left with a reason; nothing is changed."""
    suggestion = suggested(exchange, text=IN_JSON)
    assert (suggestion.text, suggestion.diff) == (IN_JSON, "")
    assert code in {left.finding.code for left in suggestion.unpatched}
    for left in suggestion.unpatched:
        assert str(left).startswith(left.finding.code)
        assert left.reason.endswith(".")


def test_a_change_that_would_not_help_is_taken_back() -> None:
    """Were the id allowed to be a number, the answer would be about another request: so the type stays."""
    (left,) = suggested(answered(PROCESSING | {"request_id": 7})).unpatched
    assert "there would be answer-mismatched /request_id" in left.reason


def test_the_rest_is_changed_all_the_same() -> None:
    """What is left of an exchange does not keep the rest of it from being mended."""
    suggestion = suggested(answered(PROCESSING | {"request_id": "other", "progress": 45}))
    assert changed(suggestion) == ["- maximum: 1", "+ # Seen: 45.", "+ maximum: 45"]
    assert [left.finding.code for left in suggestion.unpatched] == ["answer-mismatched"]


def test_each_is_left_once() -> None:
    """The same finding of many exchanges is one."""
    assert len(suggested(*[answered(PROCESSING, to=NO_KEY) for _ in range(3)]).unpatched) == 1


def test_without_a_place() -> None:
    """A finding for which the contract has no place is left."""
    there = answered(ERROR, 405, to=GET)
    (finding,) = found(OURS, [evolve(there, response_headers=JSON | {"sunset": "soon"})])
    suggestion = suggest(TEXT, [finding])
    (sentence,) = map(str, suggestion.unpatched)
    assert sentence == "deprecated header:sunset: The contract has no place for it."


def test_every_kind_is_decided() -> None:
    """A kind of finding is patched or refused, and never both."""
    assert CHANGE_OF_CODE.keys() == {name for name, code in CODES.items() if code.unpatched is None}


# --- Several at once.


def test_several() -> None:
    """Several findings get a hunk each; of several values, the furthest counts; of several types, each is named."""
    suggestion = suggested(
        answered(PROCESSING | {"progress": 45, "success": None}),
        answered(PROCESSING | {"progress": 97.5}),
        answered(PROCESSING | {"progress": "done"}),
        answered(COMPLETED | {"seed": 1}),
        answered(COMPLETED | {"seed": "one"}),
    )
    assert suggestion.unpatched == ()
    assert changed(suggestion) == [
        "- type: number",
        "+ # Seen: a value of type string.",
        "+ type: [number, string]",
        "- maximum: 1",
        "+ # Seen: 97.5.",
        "+ maximum: 97.5",
        "- type: boolean",
        "- const: true",
        "+ # Seen: null.",
        '+ type: [boolean, "null"]',
        "+ # Seen: null, so that no value is fixed any more.",
        "+ # Seen: a new field.",
        "+ seed:",
        "+ type: [integer, string]",
    ]


def test_shared_schema() -> None:
    """What is wrong with three answers of one schema is one change."""
    errors = [
        answered(ERROR | {"code": 1}, code, to=to) for code, to in ((400, BAD_BODY), (401, FILTERED), (404, UNKNOWN))
    ]
    assert changed(suggested(*errors)) == ["+ # Seen: a new field.", "+ code:", "+ type: integer"]


def test_evidence() -> None:
    """The comment says what kind of evidence it is, where that is known."""
    exchanges = [evolve(answered(PROCESSING | {"progress": 45}), origin=origin) for origin in ("live", "sandbox")]
    assert "+ # Seen (live, sandbox): 45." in changed(suggested(*exchanges))


def test_what_was_seen_stays_out() -> None:
    """No value of an answer gets into the contract: neither into schemas, nor comments, nor examples."""
    body = without(COMPLETED, "created_at") | {"created": "pancake", "result_url": "pancake", "token": "pancake"}
    assert "pancake" not in suggested(answered(body), answered("pancake", 401, to=NO_KEY)).text


def test_what_is_accepted_is_none_of_our_business() -> None:
    """A finding that is not given is not patched, though the exchange shows it."""
    findings = found(OURS, [answered(PROCESSING | {"progress": 45, "new": 1})])
    assert changed(suggest(TEXT, [one for one in findings if one.code == "field-new"])) == [
        "+ # Seen: a new field.",
        "+ new:",
        "+ type: integer",
    ]


def test_much() -> None:
    """Two hundred exchanges are few changes."""
    exchanges = [answered(PROCESSING | {"progress": 2 + number, "new": number}) for number in range(200)]
    assert "+ maximum: 201" in changed(suggested(*exchanges))


# --- The file.


def test_nothing_to_do() -> None:
    """Without findings, or with such as the file agrees with already, it stays."""
    assert suggest(TEXT, []) == Suggestion(TEXT, "", ())


def test_difference() -> None:
    """It is a unified difference that names openapi.yaml."""
    diff = suggested(answered(PROCESSING | {"progress": 45})).diff
    assert diff.startswith("--- openapi.yaml\n+++ openapi.yaml\n@@ ")
    assert diff.count("\n@@ ") == 1


NEW_THINGS = (answered(PROCESSING | {"progress": 45, "new": {"a": [1]}, "none": None}), answered(PROCESSING, 202))


@pytest.fixture(scope="module")
def changed_text() -> str:
    """Return our contract, changed for these."""
    return suggest(TEXT, found(spec_in(TEXT), NEW_THINGS)).text


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends(changed_text: str, end: str, mark: str) -> None:
    """A file keeps its line ends, and its byte order mark."""
    text = mark + TEXT.replace("\n", end)
    assert changed_text != TEXT
    assert suggest(text, found(spec_in(TEXT), NEW_THINGS)).text == mark + changed_text.replace("\n", end)


@pytest.mark.parametrize("indent", [None, 2, 4, "\t"])
def test_json(changed_text: str, indent: int | str | None) -> None:
    """A spec as JSON gets the same changes in its own layout, without the comments, which JSON does not have."""
    spec = spec_in(TEXT)
    text = json.dumps(spec.document, indent=indent, ensure_ascii=False)
    suggestion = suggest(text, found(spec, NEW_THINGS))
    new = json.loads(suggestion.text)
    assert suggestion.text == json.dumps(new, indent=indent, ensure_ascii=False)
    assert new == parse_document(changed_text, "yaml")
    assert suggestion.unpatched == ()


def test_no_contract() -> None:
    """A text that is no contract is refused with words."""
    with pytest.raises(SpecError, match="is not an OpenAPI document"):
        suggest("a: 1", [])


# --- Other contracts.


BOOK = {
    "book_id": 7,
    "title": "Mira",
    "pages": 12,
    "size": {"height": 20, "width": 12},
    "tags": ["old"],
    "subject": None,
}


def book(body: Any = BOOK, **headers: str) -> Exchange:
    """Return an exchange about a book of the made-up library."""
    url = f"{MADE_UP.server}/shelves/a/books/7?edition=1"
    key, etag = {"authorization": "[key]"}, {"etag": "abc"}
    return answered(body, to=Exchange("GET", url, key, None, 200, {}, b"", "a test"), headers=JSON | etag | headers)


@pytest.mark.parametrize(
    ("exchange", "lines"),
    [
        (book(BOOK | {"isbn": "1"}), ["+ # Seen: a new field.", "+ isbn:", "+ type: string"]),
        (book(BOOK | {"pages": 0}), ["+ # Seen: 0.", "+ minimum: 0"]),
        (book(BOOK | {"pages": None}), ["+ # Seen: null.", '+ type: [integer, "null"]']),
        (book(BOOK | {"subject": 1}), ["+ # Seen: a value of type integer.", '+ type: [string, "null", integer]']),
        (book(BOOK | {"tags": ["a", "a"]}), ["+ # Seen: a value without this uniqueItems."]),
        (book(BOOK | {"size": {"height": 1, "width": 2, "depth": 3}}), ["+ # Seen: a new field."]),
        (book(BOOK | {"tags": [1]}), ["+ # Seen: a value of type integer."]),
        (book({"data": BOOK}), ["+ # Seen: an answer of this shape."]),
        (book(None), ["+ # Seen: an answer of this shape."]),
        (book(etag="a"), ["+ # Seen: 1.", "+ ETag: {required: true, schema: {type: string, minLength: 1}}"]),
        (book(BOOK, sunset="soon"), ["+ # Seen: this header.", "+ Sunset:"]),
    ],
)
def test_another_contract(exchange: Exchange, lines: list[str]) -> None:
    """Other operations, in another layout, are patched as well."""
    suggestion = suggested(exchange, text=LIBRARY)
    assert suggestion.unpatched == ()
    assert [line for line in changed(suggestion) if line in lines] == lines


def test_single_example() -> None:
    """A contract with one nameless example gets a second one, beside the first."""
    lines = changed(suggested(book(without(BOOK, "pages")), text=LIBRARY))
    assert "+ required: [book_id, size]" in lines
    assert {"+ examples:", "+ documented:", "+ seen_1:"} <= {*lines}


def test_header_that_is_gone() -> None:
    """A header that is required and does not come is not required any more."""
    exchange = book()
    lines = changed(suggested(evolve(exchange, response_headers=JSON), text=LIBRARY))
    assert lines[-2:] == ["+ # Seen: an answer without it.", "+ ETag: {schema: {type: string, minLength: 2}}"]


def chapters(*items: Any) -> Exchange:
    """Return an exchange about the chapters of a book of the made-up library."""
    question = Exchange(
        "GET", f"{MADE_UP.server}/books/7/chapters", {"authorization": "[key]"}, None, 200, {}, b"", "a test"
    )
    return answered([*items], to=question, headers={"content-type": "application/vnd.books+json"})


def test_word_without_a_discriminator() -> None:
    """Where schemas fix the words themselves, a new one is entered there, or with a schema of its own beside them."""
    known = suggested(chapters({"kind": "sound", "url": "https://pictures.test/a.mp3"}), text=LIBRARY)
    assert "{kind: {enum: [image, film, sound]}, url: " in changed(known)[-1]
    new = changed(suggested(chapters({"kind": "blank", "pages": 2}), text=LIBRARY))
    assert new[:3] == ["+ # Seen: answers with the kind blank.", "+ - type: object", "+ required: [kind]"]
    assert new[3:] == ["+ properties:", "+ kind:", "+ type: string", "+ const: blank", "+ pages:", "+ type: integer"]


def test_words_that_are_names_of_schemas() -> None:
    """Where the names of the schemas are the words, a mapping is needed first, which is for people to write."""
    text = TEXT.partition("                  # Page: a request can surely fail")
    rest = text[2].partition("              examples:")
    bare = f"{text[0]}{rest[1]}{rest[2]}".replace("const: processing", "minLength: 1").replace(
        "const: completed", "minLength: 1"
    )
    bare = bare.replace("status: processing", "status: ProcessingStatus").replace(
        "status: completed", "status: CompletedStatus"
    )
    suggestion = suggested(answered(PROCESSING | {"status": "FailedStatus"}), text=bare)
    assert suggestion.diff == ""
    assert len(suggestion.unpatched) == 1


INLINE = TEXT.replace(
    '$ref: "#/components/schemas/Error"', "{type: object, required: [error], properties: {error: {type: string}}}"
).replace("schema:\n                {type", "schema: {type")


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ({"data": ERROR}, "+ schema: {type: object, properties: {error: {type: string}, data: {type: object"),
        ("No.", "+ schema: {type: [object, string], required: [error]"),
        (["No."], "+ schema: {type: [object, array], required: [error]"),
    ],
)
def test_another_shape_of_a_schema_in_place(body: Any, line: str) -> None:
    """Where the schema of an answer is no reference, it is widened in its place."""
    suggestion = suggested(answered(body, 401, to=NO_KEY), text=INLINE)
    assert suggestion.unpatched == ()
    assert any(one.startswith(line) for one in changed(suggestion))


def test_a_second_shape() -> None:
    """A third shape is added to the two that there are."""
    first = suggested(answered("No.", 401, to=NO_KEY)).text
    assert changed(suggested(answered(7, 401, to=NO_KEY), text=first))[-1] == "+ - type: integer"


def test_another_code_and_more() -> None:
    """What else is wrong with an answer that has another code is mended there."""
    body = without(PROCESSING, "progress") | {"new": 1}
    assert suggested(answered(body, 202)).unpatched == ()


@pytest.mark.parametrize(
    ("exchange", "reason"),
    [
        (answered({"picture": "done"}, 202), "Its shape is another one as well."),
        (answered(b"<p>", 202, headers={"content-type": "text/html"}), "The body is not JSON."),
        (answered({"why": "no"}, 505, to=BAD_BODY), "The service broke down over the question."),
        (answered(PROCESSING | {"": 1}), "Its name is no name that a contract could have."),
        (answered(PROCESSING | {"long" * 50: 1}), "Its name is no name that a contract could have."),
    ],
)
def test_reason(exchange: Exchange, reason: str) -> None:
    """A finding of a kind that is patched as a rule may be left as well."""
    (left,) = suggested(exchange).unpatched
    assert left.reason.startswith(reason)


def test_a_new_body() -> None:
    """A body where the contract has none is described as seen."""
    url = f"{MADE_UP.server}/shelves/a/books/7?book_id=7"
    gone = Exchange("DELETE", url, {"authorization": "[key]"}, None, 204, {}, b"", "a test")
    content = "{application/json: {schema: {type: object, properties: {ok: {type: boolean}}}}}"
    assert changed(suggested(answered({"ok": True}, 204, to=gone), text=LIBRARY)) == [
        '- "204": {description: Gone.}',
        "+ # Seen: a body.",
        f'+ "204": {{description: Gone., content: {content}}}',
    ]


def test_a_text_is_no_word() -> None:
    """What is too long for a word is not listed: it was written for one person."""
    text = LIBRARY.replace("message: {type: string}", "message: {enum: [no, never]}")
    question = evolve(book(), request_headers={})
    suggestion = suggested(answered({"code": 1, "message": "No, Mira Muster!"}, 401, to=question), text=text)
    assert suggestion.diff == ""
    assert "rather a text than a word" in str(suggestion.unpatched[0])


def test_the_generator_takes_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The client can be generated from a patched contract, without a warning."""
    monkeypatch.syspath_prepend(Path(__file__).parents[3] / "tools")
    generate = importlib.import_module("generate")
    suggestion = suggested(
        answered(PROCESSING | {"progress": {"done": 1}, "status": "Processing", "success": None}),
        answered(
            COMPLETED | {"created_at": 5, "result_url": ["a"], "none": None, "empty": [], "deep": [{"a": {"b": 1}}]}
        ),
        answered({"status": "failed", "request_id": "abc", "error": "no"}),
        answered(PROCESSING, 202, headers={"content-type": "text/plain"}),
        answered({"data": ERROR}, 401, to=FILTERED),
        answered({"title": "No."}, 400, to=BAD_BODY, headers={"content-type": "application/problem+json"}),
        answered(ERROR | {"error": [1, "a", None]}, 404, to=UNKNOWN, headers=JSON | {"sunset": "soon"}),
        text=json.dumps(document_in(TEXT)),
    )
    assert suggestion.unpatched == ()
    (tmp_path / "openapi.yaml").write_text(suggestion.text, "utf-8")
    monkeypatch.setattr(generate, "CONTRACT", tmp_path / "openapi.yaml")
    assert (generate.generate(tmp_path) / "longcat_api" / "models" / "failed_status.py").exists()


def test_what_is_asked_of_callers_stays() -> None:
    """A schema that requests share with answers is not changed: that would loosen what callers are held to."""
    text = TEXT.replace('$ref: "#/components/schemas/StatusRequest"', '$ref: "#/components/schemas/ProcessingStatus"')
    spec = make_spec(parse_document(text, "shared"))
    asked = evolve(GOOD, request_body=json.dumps(PROCESSING).encode())
    suggestion = suggest(text, found(spec, [answered(PROCESSING | {"progress": 45}, to=asked)]))
    assert suggestion.diff == ""
    assert "would loosen that as well" in str(suggestion.unpatched[0])


def test_openapi_3_0() -> None:
    """OpenAPI 3.0 has a word of its own for null, and none for several types."""
    text = TEXT.replace("openapi: 3.1.0", "openapi: 3.0.3")
    assert "+ nullable: true" in changed(suggested(answered(PROCESSING | {"progress": None}), text=text))
    assert "has no lists of types" in str(suggested(answered(PROCESSING | {"progress": "a"}), text=text).unpatched[0])


def test_null_in_a_new_field_of_openapi_3_0() -> None:
    """A new field that may be null, or was never anything else, is described in the way of OpenAPI 3.0."""
    text = TEXT.replace("openapi: 3.1.0", "openapi: 3.0.3")
    new = {"color": None, "followers": {"href": None, "total": 5}, "tags": ["a", None]}
    suggestion = suggested(answered(PROCESSING | new), text=text)
    assert suggestion.unpatched == ()
    properties = parse_document(suggestion.text, "changed")["components"]["schemas"]["ProcessingStatus"]["properties"]
    assert {name: properties[name] for name in new} == {
        "color": {"nullable": True},
        "followers": {"type": "object", "properties": {"href": {"nullable": True}, "total": {"type": "integer"}}},
        "tags": {"type": "array", "items": {"type": "string", "nullable": True}},
    }


# --- Changes of a text.


@pytest.mark.parametrize(
    ("old", "edit", "new"),
    [
        ("a: 1  # one\nb: 2\n", Put("", "a", 3, instead_of="a"), "a: 3  # one\nb: 2\n"),
        (
            "a:\n  b: 1\n\n  # end\nc: 2\n",
            Put("/a", "d", "x", "Why."),
            "a:\n  b: 1\n  # Why.\n  d: x\n\n  # end\nc: 2\n",
        ),
        ("a: {}\n", Put("/a", "b", [1, "x y", "yes"]), 'a:\n  b: [1, x y, "yes"]\n'),
        ("a: {c: 1}\n", Put("/a", "b", [1, "x y", "yes"]), 'a: {c: 1, b: [1, x y, "yes"]}\n'),
        ("a: {b: 1, c: 2}\n", Drop("/a/b"), "a: {c: 2}\n"),
        ("a: {b: 1, c: 2}\n", Drop("/a/c"), "a: {b: 1}\n"),
        ("a: {b: 1}\n", Drop("/a/b"), "a: {}\n"),
        ("a: |\n  x\n  y\n\nb: 1\n", Put("", "c", None), "a: |\n  x\n  y\n\nb: 1\nc: null\n"),
        ("a:\n- 1\n- 2\n", Append("/a", {"b": {"c": 1}}), "a:\n- 1\n- 2\n- b:\n    c: 1\n"),
        ("a:\n- 1\n- 2\n", Drop("/a/0"), "a:\n- 2\n"),
        ("a: 1\r\nb: 2\nc: 3\r\n", Put("", "b", 4, instead_of="b"), "a: 1\r\nb: 4\r\nc: 3\r\n"),
        ("- b: 1\n  c: 2\n", Drop("/0/b"), "- c: 2\n"),
        ("a: [\n  1,\n  2\n]\nb: [\n  1 ]\n", Append("/a", 3), "a: [1, 2, 3]\nb: [\n  1 ]\n"),
        ("a:\n  b: 1", Put("/a", "c", "é\u2028"), 'a:\n  b: 1\n  c: "é\\L"'),
        (
            "a:\n    b:\n        c: 1\n",
            Put("/a/b", "d", {"e": 1}),
            "a:\n    b:\n        c: 1\n        d:\n            e: 1\n",
        ),
        ("a:\n-   b: 1\n    c: 2\n", Put("/a/0", "d", 3), "a:\n-   b: 1\n    c: 2\n    d: 3\n"),
        (
            "a:\n- 1\nb:\n  - 1\nc:\n  - 1\n",
            Append("/a", {"x": 1}, "Why."),
            "a:\n- 1\n# Why.\n- x: 1\nb:\n  - 1\nc:\n  - 1\n",
        ),
        (
            "a: >-\n  x\n  y\nb: x\n  y\nc:   1 #  one\n",
            Put("", "d", 1),
            "a: >-\n  x\n  y\nb: x\n  y\nc:   1 #  one\nd: 1\n",
        ),
        ("200: ~\nyes: 'no'\n# end\n", Put("", "404", None, instead_of="200"), "\"404\": null\nyes: 'no'\n# end\n"),
        ("a: |\n  # x\n\n  y\n# z\n\nb: 1\n", Drop("/a", "Why."), "# Why.\n# z\n\nb: 1\n"),
        ("a:\n  b: 1\n  # c\nc: 2\n", Drop("/a/b"), "a: {}\n  # c\nc: 2\n"),
        ("a: &a {b: 1}\nc: {<<: *a}\n", Put("/c", "b", 2, instead_of="b"), "a: &a {b: 1}\nc: {<<: *a, b: 2}\n"),
    ],
)
def test_edit(old: str, edit: Put | Append | Drop, new: str) -> None:
    """A change touches its own place, whatever the layout."""
    head = "openapi: 3.1.0\npaths: {/: {}}\nx:\n"
    inside = "".join(f"  {line}" if line.strip() else line for line in old.splitlines(keepends=True))
    wanted = "".join(f"  {line}" if line.strip() else line for line in new.splitlines(keepends=True))
    made = evolve(edit, pointer=f"/x{edit.pointer}")
    assert Source.read(head + inside).edited(made).text == head + wanted


@pytest.mark.parametrize(
    "edit",
    [
        Put("/x/copy", "type", "number", instead_of="type"),  # An alias: the change would be made elsewhere as well.
        Put("/x/nowhere", "type", "number"),
        Append("/x/one", 1),
        Drop("/x/merged/type"),  # It is not there, but comes from `one`.
    ],
)
def test_what_can_not_be_edited(edit: Put | Append | Drop) -> None:
    """A change that the text does not allow is refused, rather than made somehow."""
    text = """openapi: 3.1.0
paths: {/: {}}
x:
  one: &one
    type: string
  copy: *one
  merged:
    <<: *one
"""
    with pytest.raises(UneditableError):
        Source.read(text).edited(edit)

"""Findings that settle: one for each rule and place, whatever the data, with a name and a baseline that hold."""

import html
import json
import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from longcat.cli.run import run as main
from longcat.contract import Exchange, Severity, Spec, load_spec
from longcat.contract.checks.judge import Judgement
from longcat.contract.model import Inconclusive
from longcat.contract.reports import FORMATS, ReportContext
from longcat.contract.reports.baseline import Baseline, Deviation
from longcat.contract.reports.findings import Accepted, ReportedFinding, fingerprint
from longcat.contract.reports.verdict import Tally, verdict
from longcat.contract.run import events

SERVER = "https://api.example.com/v1"
FILE = {"type": "object", "properties": {"lang": {"type": "string"}, "size": {"maximum": 9}}, "required": ["lang"]}
SCHEMA = {
    "type": "object",
    "properties": {
        "files": {"type": "object", "additionalProperties": FILE},
        "list": {"type": "array", "items": FILE},
        "tags": {"type": "object", "patternProperties": {"^x-": {"type": "string"}}},
        "set": {"type": "object", "additionalProperties": {"type": "array", "uniqueItems": True}},
    },
}
BODIES = {
    "junit": 'name="bodies of get_thing" value="1 of 2 read, 1 compared"',
    "sarif": r'"get_thing": {\s*"due": 2,\s*"read": 1,\s*"compared": 1',
    "markdown": r"\| <code>get_thing</code> \| 2 \| 1 \| 1 \|",
    "html": "<code>get_thing</code></td><td>2</td><td>1</td><td>1</td>",
}
"""How each format says how many bodies were read."""
TODAY = date(2030, 1, 15)


def document(schema: Any = SCHEMA, example: Any = None, **info: Any) -> dict[str, Any]:
    """Return a contract with one operation, GET /things/{id}."""
    media = {"schema": schema} | ({"example": example} if example is not None else {})
    operation = {
        "operationId": "get_thing",
        "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
        "responses": {"200": {"description": "A thing.", "content": {"application/json": media}}},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Things", "version": "1", **info},
        "servers": [{"url": SERVER}],
        "paths": {"/things/{id}": {"get": operation}},
    }


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Spec:
    """Return the contract."""
    path = tmp_path_factory.mktemp("spec") / "openapi.json"
    path.write_text(json.dumps(document()))
    return load_spec(path)


def exchange(body: Any = None, path: str = "/things/7", status: int = 200, **more: Any) -> Exchange:
    """Return an exchange with the server."""
    url, text = more.pop("server", SERVER) + path, json.dumps(body).encode()
    headers = {"content-type": "application/json"} | more.pop("headers", {})
    return Exchange(more.pop("method", "GET"), url, {}, None, status, headers, text, more.pop("source", "a.har#1"))


def found(spec: Spec, *exchanges: Exchange, baseline: Baseline | None = None) -> list[ReportedFinding]:
    """Return the findings of these exchanges."""
    tally = Tally()
    observed = (Judgement(spec, one) for one in exchanges)
    list(events(observed, baseline or Baseline(TODAY), tally))
    return [*tally.findings.values()]


@pytest.mark.parametrize(
    ("bodies", "place", "count", "pointers"),
    [
        ([{"files": {"a": {}, "b": {}}}], "/files/*/lang", 2, ["/files/a/lang", "/files/b/lang"]),
        ([{"list": [{}] * 5}], "/list/*/lang", 5, ["/list/0/lang", "/list/1/lang", "/list/2/lang"]),
        ([{"list": [{}]}, {"list": [{"lang": ""}, {}]}], "/list/*/lang", 2, ["/list/0/lang", "/list/1/lang"]),
        ([{"tags": {"x-a": 1}}, {"tags": {"x-b": 1}}], "/tags/*", 2, ["/tags/x-a", "/tags/x-b"]),
        ([{"set": {"a": [1, 1], "b": []}}, {"set": {"c": [2, 2]}}], "/set/*", 2, ["/set/a", "/set/c"]),
        ([{"files": {"a": {"lang": "x", "size": 10}}}], "/files/*/size", 1, ["/files/a/size"]),
        ([{"list": [*[{"lang": "x"}] * 300, {}, {}]}], "/list/*/lang", 2, ["/list/300/lang", "/list/301/lang"]),
    ],
)
def test_indexes_and_keys_of_maps(spec: Spec, bodies: list[Any], place: str, count: int, pointers: list[str]) -> None:
    """The same in every item of a list and under every key of a map is one finding, in one exchange or several."""
    (one,) = found(spec, *(exchange(body) for body in bodies))
    assert (one.finding.place, one.count) == (place, count)
    assert [example.pointer for example in one.examples] == pointers
    assert one.request == "GET /things/{id}"


def test_examples_are_of_several_exchanges(spec: Spec) -> None:
    """Where there are several, a second place in the first of them gives way."""
    exchanges = [exchange({"list": [{}] * 3}, source=source) for source in ("a#1", "a#2", "a#3", "a#4")]
    for count, sources in enumerate(
        (["a#1"] * 3, ["a#1", "a#1", "a#2"], ["a#1", "a#2", "a#3"], ["a#1", "a#2", "a#3"]), 1
    ):
        (one,) = found(spec, *exchanges[:count])
        assert [example.source for example in one.examples] == sources


def test_a_fingerprint_holds(spec: Spec) -> None:
    """It is the same for other indexes, keys, values, ids, hosts and sources."""
    names = {
        fingerprint(one.finding)
        for one in (
            *found(spec, exchange({"files": {"a": {"lang": 1}}})),
            *found(spec, exchange({"files": {"b": {"lang": "x"}, "c": {"lang": [2]}}}, "/things/8", source="b.har#9")),
            *found(spec, exchange({"files": {"z": {"lang": True}}}, server="http://127.0.0.1:8000")),
        )
    }
    assert len(names) == 1


def test_a_fingerprint_holds_when_the_contract_is_put_in_order(spec: Spec) -> None:
    """The order of parameters, and of the members of a union, means nothing."""
    [one] = found(spec, exchange({"files": {"a": {"lang": 1}}}))
    rules = [f"/paths/~1a/get/{at}/schema/allOf/{at[-1]}/type" for at in ("parameters/0", "parameters/1")]
    assert len({fingerprint(evolve(one.finding, rule=rule)) for rule in rules}) == 1


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        (exchange(path="/users/42"), exchange(path="/users/43"), True),
        (exchange(path="/users/42?a=b"), exchange(path="/users/43?c=d"), True),
        (
            exchange(path="/users/6ba7b810-9dad-11d1-80b4-00c04fd430c8/x"),
            exchange(path="/users/00000000-0000-0000-0000-000000000000/x"),
            True,
        ),
        (exchange(path="/blobs/6dcb09b5b57875f334f61aebed695e2e"), exchange(path="/blobs/deadbeef01"), True),
        (exchange(path="/users/cus_9s6XKzkNRiz8i3"), exchange(path="/users/cus_4QFJOjw2pOmAGJ"), True),
        (exchange(path="/things/a/parts"), exchange(path="/things/b/parts"), True),
        (exchange(path="/things/a/parts"), exchange(path="/things/a/owners"), False),
        (exchange(path="/users/42"), exchange(path="/teams/42"), False),
        (exchange(path="/users/42"), exchange(path="/users/42/pets"), False),
        (exchange(path="/users"), exchange(path="/users", method="POST"), False),
        (exchange(method="PUT"), exchange(method="PUT", path="/things/8"), True),
        (exchange(method="PUT"), exchange(method="PATCH"), False),
        (
            exchange(method="PUT", status=405, headers={"allow": "GET, PATCH"}),
            exchange(method="PUT", status=405, headers={"allow": "GET, DELETE"}),
            False,
        ),
        (exchange(status=409), exchange(status=418), False),
        (exchange(status=409), exchange(status=409, path="/things/8"), True),
    ],
)
def test_what_is_new_is_told_apart(spec: Spec, one: Exchange, other: Exchange, is_same: bool) -> None:
    """By method and path, whatever the ids in it, and by status code: who accepts one accepts no other."""
    findings = found(spec, one, other)
    assert len(findings) == (1 if is_same else 2)
    baseline = Baseline(TODAY, others=Accepted("new", TODAY))
    found(spec, one, baseline=baseline)
    assert [one.accepted is not None for one in found(spec, other, baseline=_reread(baseline))] == [is_same]


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_shows_where_and_how_often(spec: Spec, tmp_path: Path, kind: str) -> None:
    """The place, the path of the URL, how often it was seen, three examples, and which operation was not judged."""
    tally = Tally()
    body: Any = {"files": {"a": {}, "b": {}, "c": {}, "d": {}}}
    gap = Inconclusive("a.har#9", "it is CSV", operation="of_csv")
    unread = evolve(exchange(), response_body=None)
    run = events([Judgement(spec, exchange(body)), Judgement(spec, unread), gap], Baseline(TODAY), tally)
    file = tmp_path / "openapi.json"
    context = ReportContext(spec, file, "openapi.json", "x", Severity.NOTICE, tally, datetime.now(UTC))
    text = html.unescape("".join(FORMATS[kind](run, context))).replace("\\", "").replace("%3A", ":")
    for words in ("get_thing", "/files/*/lang", "/things/{id}", "/files/a/lang", "/files/b/lang", "/files/c/lang"):
        assert words in text, words
    assert "/files/d/lang" not in text
    assert re.search(r'4 times|"count": 4|\| 4 \|', text)
    assert kind == "json" or ("t is CSV" in text and "of_csv" in text)
    assert kind == "json" or re.search(BODIES.get(kind, "get_thing 1 of 2"), text)


@pytest.mark.parametrize(
    ("kind", "place"), [("github", "file=api/things/a.yaml,line=6,"), ("sarif", "api/things/a.yaml")]
)
def test_a_finding_stands_in_the_file_of_its_rule(tmp_path: Path, kind: str, place: str) -> None:
    """A spec may have several: the name is that from the root of the repository, and the line is that of the file."""
    own, other = tmp_path / "api" / "openapi.json", tmp_path / "api" / "things" / "a.yaml"
    other.parent.mkdir(parents=True)
    other.write_text("# A thing.\nThing:\n  type: object\n  properties:\n    n:\n      type: integer\n")
    own.write_text(json.dumps(document({"$ref": "things/a.yaml#/Thing"})))
    spec, tally = load_spec(own), Tally()
    run = events([Judgement(spec, exchange({"n": "1"}))], Baseline(TODAY), tally)
    now = datetime.now(UTC)
    context = ReportContext(spec, own, "api/openapi.json", "x", Severity.NOTICE, tally, now, root=tmp_path)
    text = "".join(FORMATS[kind](run, context))
    assert place in text
    assert kind == "github" or json.loads(text)["runs"][0]["results"][0]["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "api/things/a.yaml", "index": 1},
        "region": {"startLine": 6},
    }


def _reread(baseline: Baseline, **changed: str) -> Baseline:
    entries = tuple((entry._replace(**changed), Accepted("new", TODAY)) for entry in baseline.added)
    return Baseline(TODAY, entries)


def test_a_secret_in_a_path(spec: Spec) -> None:
    """It is in no report, whole or cut short, as what looks like an id is left out."""
    token = "8675309:" + "AAF9b7c2d1e0" * 30
    (one,) = found(spec, exchange(path=f"/bot{token}/send"))
    assert (one.finding.path, one.finding.place) == ("/*/send", "GET /*/send")


class TestBaseline:
    def test_holds(self, spec: Spec) -> None:
        """What was accepted of one answer is accepted of another one, with other indexes, keys and values."""
        baseline = Baseline(TODAY, others=Accepted("known", TODAY))
        found(spec, exchange({"files": {"a": {"lang": 1}}, "list": [{}]}), baseline=baseline)
        assert [one.pointer for one in baseline.added] == ["/files/*/lang", "/list/*/lang"]
        later = exchange({"files": {"x": {"lang": "x"}, "y": {"lang": 2}}, "list": [{"lang": "x"}, {}]}, "/things/9")
        assert all(one.accepted for one in found(spec, later, baseline=_reread(baseline)))
        other = exchange({"files": {"a": {"lang": "x", "size": 10}}})
        assert not any(one.accepted for one in found(spec, other, baseline=_reread(baseline)))

    @pytest.mark.parametrize(
        ("entry", "body", "is_accepted"),
        [
            ("field-missing /list/0/lang", {"list": [{"lang": ""}, {}]}, True),
            ("field-missing /files/a/lang", {"files": {"b": {}}}, True),
            ("field-missing /files/*/lang", {"files": {"b": {}}}, True),
            ("type-changed /files/*/lang", {"files": {"b": {}}}, False),
            ("field-missing /list/*/lang", {"files": {"b": {}}}, False),
            ("field-missing /*/*/lang", {"files": {"b": {}}}, False),
            ("field-missing /files/*", {"files": {"b": {}}}, False),
        ],
    )
    def test_of_an_older_file(self, spec: Spec, entry: str, body: Any, is_accepted: bool) -> None:
        """Where it has an index or a key, it accepts them all; a star in it is an index or a key, and no field."""
        code, pointer = entry.split()
        baseline = Baseline(TODAY, ((Deviation(code, "get_thing", pointer), Accepted("known", TODAY)),))
        (one,) = found(spec, exchange(body), baseline=baseline)
        assert (one.accepted is not None) is is_accepted

    def test_of_an_older_file_with_a_new_path(self, spec: Spec) -> None:
        """It accepts every new path, as it did, and the run says what to do."""
        new = Baseline(TODAY, others=Accepted("new", TODAY))
        found(spec, exchange(path="/users"), baseline=new)
        baseline = _reread(new, pointer="status")
        assert all(one.accepted for one in found(spec, exchange(path="/teams"), baseline=baseline))
        (remark,) = baseline.remarks()
        assert remark == (
            "The baseline's entry path-new status accepts all of them: name one, as --update-baseline does."
        )


@pytest.fixture
def _without_a_field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a recorded answer without a field that may be absent, and that the example of the contract has."""
    monkeypatch.chdir(tmp_path)
    content = {"text": '{"a": 1}', "mimeType": "application/json"}
    headers = [{"name": "Content-Type", "value": "application/json"}]
    request = {"method": "GET", "url": f"{SERVER}/things/7", "headers": []}
    entry = {"request": request, "response": {"status": 200, "headers": headers, "content": content}}
    Path("a.har").write_text(json.dumps({"log": {"entries": [entry]}}))


@pytest.mark.usefixtures("_without_a_field")
@pytest.mark.parametrize(
    ("info", "arguments", "code"),
    [
        ({}, [], 0),
        ({}, ["--fail-on", "notice"], 1),
        ({"x-longcat-examples-complete": True}, [], 1),
        ({"x-longcat-examples-complete": True}, ["--fail-on", "additive"], 0),
        ({"x-longcat-examples-complete": "no"}, [], 0),
    ],
)
def test_a_field_that_only_examples_have(
    capsys: pytest.CaptureFixture[str], info: dict[str, Any], arguments: list[str], code: int
) -> None:
    """It is shown, and fails only if the spec says that its examples show every field, or if that is asked for."""
    schema = {"type": "object", "properties": {"a": {}, "b": {}}}
    Path("spec.json").write_text(json.dumps(document(schema, {"a": 1, "b": 2}, **info)))
    assert main(["contract", "check", "--spec", "spec.json", *arguments, "a.har"]) == code
    out = capsys.readouterr().out
    assert "field-absent  get_thing /b" in out
    is_hint = not arguments and code == 0
    assert ("1 finding of field-absent fails nothing" in out) is is_hint
    if not arguments:
        assert main(["contract", "suggest", "--spec", "spec.json", "a.har"]) == code


def test_a_hint_is_no_drift(spec: Spec) -> None:
    """It is counted apart, and the strictest threshold does not count it."""
    tally = Tally(hints=frozenset({"field-missing"}))
    list(events([Judgement(spec, exchange({"list": [{}]}))], Baseline(TODAY), tally))
    assert (verdict(tally, Severity.NOTICE), tally.hinted, tally.times) == (0, 1, 0)


@pytest.mark.usefixtures("_without_a_field")
def test_annotations_beside_a_report(capsys: pytest.CaptureFixture[str]) -> None:
    """For GitHub, the annotations go to stdout, where the runner reads them, and Markdown into the file."""
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    Path("spec.json").write_text(json.dumps(document(schema)))
    arguments = ["--spec", "spec.json", "--format", "github", "--output", "report.md", "a.har"]
    assert main(["contract", "check", *arguments]) == 1
    out, err = capsys.readouterr()
    assert (out.partition(",")[0], err) == ("::error file=spec.json", "")
    assert "\nlongcat: Drift: 1 finding (1 breaking).\n" in out
    assert "| <code>type-changed</code> |" in Path("report.md").read_text("utf-8")


@pytest.mark.parametrize("command", ["check", "coverage"])
def test_a_line_on_stderr_stays_one(tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    """No name of a file begins a line of stderr, which GitHub's runner obeys as it does stdout."""
    recording = tmp_path / "a\n::error::b.json"
    recording.write_text("{}")

    main(["contract", command, str(recording), "--format", "json"])

    lines = capsys.readouterr().err.splitlines()
    assert lines
    assert [line for line in lines if not line.startswith("longcat: ")] == []

"""What a stranger's spec and traffic may cost: each limit is told, and costs that spec or that exchange."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from exchanges import JSON, OURS, answered, kinds

from longcat.contract.checks.body import media_type_of
from longcat.contract.checks.judge import Judgement, judge
from longcat.contract.model import Exchange, Inconclusive
from longcat.contract.openapi.errors import SpecError
from longcat.contract.openapi.limits import MAX_PATHS, MAX_SPEC_BYTES, MAX_SPEC_VALUES
from longcat.contract.openapi.parsing import parse_document, read_document
from longcat.contract.openapi.spec import Spec, make_spec
from longcat.contract.patches.suggest import MAX_TEXT, suggest
from longcat.contract.run import recorded
from longcat.contract.traffic import decoding
from longcat.contract.traffic.decoding import UnreadableError, from_base64, from_hex

CAT = {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}
HEAD = "openapi: 3.1.0\ninfo: {title: t, version: '1'}\npaths: {/a: {get: {responses: {'200': {description: x}}}}}\n"


def document(schema: Any, schemas: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a contract of one operation that answers with this schema."""
    answer = {"description": "A cat.", "content": {"application/json": {"schema": schema}}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Cats", "version": "1"},
        "servers": [{"url": "https://cats.test"}],
        "paths": {"/cat": {"get": {"operationId": "cat", "responses": {"200": answer}}}},
        "components": {"schemas": schemas or {}},
    }


def read(text: str) -> Spec:
    """Return the contract in a text."""
    return make_spec(parse_document(text, "hostile"), "hostile", strict=True)


def ref(name: str) -> dict[str, Any]:
    """Return a reference to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


def fan(keyword: str, lines: int = 30) -> dict[str, Any]:
    """Return schemas each of which applies the next one twice."""
    return {f"a{n}": {keyword: [ref(f"a{n + 1}")] * 2} for n in range(lines)} | {f"a{lines}": CAT}


def chain(of: Any, links: int = 3000) -> dict[str, Any]:
    """Return schemas each of which applies the next one."""
    return document(ref("a0"), {f"a{n}": of(ref(f"a{n + 1}")) for n in range(links)} | {f"a{links}": CAT})


def nested(levels: int) -> str:
    """Return JSON of so many levels."""
    return "[" * levels + "]" * levels


CONTRACT = json.dumps(document(CAT))
SPECS: dict[str, tuple[str | dict[str, Any], str]] = {
    "references in a row": (chain(lambda one: one), "more than 100 in a row"),
    "a reference to itself": (document(ref("A"), {"A": ref("B"), "B": ref("A")}), "leads back to itself"),
    "deep JSON": (CONTRACT[:-1] + f', "x": {nested(300)}}}', "more than 200 levels"),
    "very deep JSON": (CONTRACT[:-1] + f', "x": {nested(100_000)}}}', "more than 200 levels"),
    "deep YAML": (f"{HEAD}x: {nested(100_000)}", "more than 200 levels"),
    "an alias to itself": (f"{HEAD}x: &x [*x]", "an alias holds itself"),
    "an alias as its own name": (f"{HEAD}x: &x {{? *x : 1}}", "unhashable"),
    "aliases of aliases": (
        HEAD + "x0: &x0 [1, 1]\n" + "".join(f"x{n}: &x{n} [*x{n - 1}, *x{n - 1}]\n" for n in range(1, 30)),
        "its aliases stand for too much",
    ),
    "merges of merges": (
        f"{HEAD}a: &a {{{', '.join(f'k{n}: 1' for n in range(2000))}}}\nb: {{<<: [{', '.join(['*a'] * 2000)}]}}",
        "its aliases stand for too much",
    ),
    "a number of many digits": (CONTRACT[:-1] + f', "x": {"9" * 5000}}}', "more than 4,300 digits"),
    "a number of many digits in YAML": (f"{HEAD}x: 0x{'f' * 5000}", "more than 4,300 digits"),
    "no number": (HEAD.replace("description: x", "description: x, content: {text/plain: {schema: {maximum: .inf}}}"),
                  "not valid in a schema"),
    "half of a character": (json.dumps(document({"const": "\ud800"})), "half of a character"),
    "many paths": (
        CONTRACT.replace('"/cat"', ", ".join(f'"/{n}": 1' for n in range(MAX_PATHS)) + ', "/cat"'),
        "more than 20,000 paths",
    ),
    "many values": (CONTRACT[:-1] + f', "x": [{"1," * MAX_SPEC_VALUES}1]}}', "more than 1,000,000 values"),
    "a pattern that is too large": (document({"pattern": "((a{1000}){1000}){1000}"}), "or too large a one"),
    "many large patterns": (
        document({"properties": {f"p{n}": {"pattern": f"(a{{200}}b){{100}}{n}"} for n in range(20)}}),
        "all patterns are larger than 200,000 characters",
    ),
    "a dynamic reference": (document({"$dynamicRef": "#x"}), "is not followed"),
    "a list of schemas": ({**document(CAT), "components": {"schemas": [1]}}, "is not an object"),
    "no schema": (document(-1), "is no schema"),
}  # fmt: skip


@pytest.mark.parametrize(("spec", "reason"), SPECS.values(), ids=SPECS)
def test_a_spec_that_asks_too_much(spec: str | dict[str, Any], reason: str) -> None:
    """It is refused before anything is done with it, when it is read strictly, and the message says by which limit."""
    with pytest.raises(SpecError, match=reason):
        read(spec if isinstance(spec, str) else json.dumps(spec))


def test_a_spec_that_is_too_long(tmp_path: Path) -> None:
    """No more of the file is read than may be."""
    path = tmp_path / "long.yaml"
    with path.open("wb") as file:
        file.truncate(MAX_SPEC_BYTES + 1)
    with pytest.raises(SpecError, match="more than 32 MiB"):
        read_document(path)


BOTH = {"N": {"anyOf": [{"properties": {"c": ref("N")}}, {"properties": {"c": ref("N"), "d": {}}}]}}
FAN = {f"a{n}": {"if": ref(f"a{n + 1}"), "then": ref(f"a{n + 1}")} for n in range(30)} | {"a30": CAT}
UNUSUAL: dict[str, tuple[Any, dict[str, Any], Any]] = {
    "a fan of allOf": (ref("a0"), fan("allOf"), {"id": "x"}),
    "a fan of anyOf": (ref("a0"), fan("anyOf"), {"id": "x"}),
    "a fan of if": (ref("a0"), FAN, {"id": "x"}),
    "a part of itself": (ref("A"), {"A": {"allOf": [ref("A"), CAT]}}, {"id": "x"}),
    "a parent and its child": (
        ref("Pet"),
        {
            "Pet": {"oneOf": [ref("Cat")], "discriminator": {"propertyName": "id", "mapping": {"x": "Cat", "y": 5}}},
            "Cat": {"allOf": [ref("Pet"), CAT]},
        },
        {"id": "x"},
    ),
    "its own negation": (ref("A"), {"A": {"not": ref("A")}}, {"id": "x"}),
    "a fan of fields": (
        ref("a0"),
        {f"a{n}": {"properties": {"x": ref(f"a{n + 1}"), "y": ref(f"a{n + 1}")}} for n in range(30)} | {"a30": CAT},
        {"x": {"y": {}}},
    ),
    "a long chain of fields": (
        ref("a0"), {f"a{n}": {"properties": {"x": ref(f"a{n + 1}")}} for n in range(300)} | {"a300": CAT},
        {"x": {"x": {}}},
    ),
    "a length that no text has": ({"properties": {"id": {"maxLength": 10**30}}}, {}, {"id": "x"}),
    "a tiny multiple": ({"properties": {"id": {"multipleOf": 1e-300}}}, {}, {"id": 5.5}),
    "a number of 4,000 digits": ({"properties": {"id": {"maximum": 10**4000}}}, {}, {"id": 10**3999}),
    "a pattern of Python's nightmares": ({"patternProperties": {"^(a+)+$": {"const": 1}}}, {}, {"a" * 50 + "b": 2}),
    "variants that multiply": (ref("N"), BOTH, json.loads('{"c":' * 60 + "{}" + "}" * 60)),
    "many variants": (
        {"oneOf": [{"required": [f"w{n}"], "properties": {f"w{n}": {"const": n}}} for n in range(500)]}, {}, {"w7": 7},
    ),
    "another base": ({"$id": "http://127.0.0.1:9/", "$schema": "http://127.0.0.1:9/", **CAT}, {}, {"id": "x"}),
    "two anchors of one name": ({"properties": {"id": {"$anchor": "x"}, "b": {"$anchor": "x"}}}, {}, {"id": "x"}),
}  # fmt: skip


@pytest.mark.parametrize(("schema", "schemas", "value"), UNUSUAL.values(), ids=UNUSUAL)
def test_an_unusual_spec_is_used(schema: Any, schemas: dict[str, Any], value: Any) -> None:
    """What only looks dangerous is judged: real specs have all of it."""
    spec = make_spec(document(schema, schemas))
    asked = answered(value, to=Exchange("GET", "https://cats.test/cat", {}, None, 200, JSON, b"", "a test"))
    assert kinds(asked, spec) == []


def test_of_very_many_values_the_first_are_named() -> None:
    """A finding is as short as people read, however much a contract lists."""
    words = [f"word{n}" for n in range(100_000)] + ["x" * 1000]
    asked = answered({"id": "cat"}, to=Exchange("GET", "https://cats.test/cat", {}, None, 200, JSON, b"", "a test"))
    for schema in ({"enum": words}, {"enum": words[:49:-1]}, {"const": words[-1]}):
        (finding,) = judge(make_spec(document({"properties": {"id": schema}})), asked)
        assert len(finding.expected) < 1000
        named = schema.get("enum", [])[:50]
        assert all(word[:190] in finding.expected for word in named)
        assert finding.expected.endswith(f"or {len(schema['enum']) - 50:,} other values" if named else "xxx...")


NEITHER = {"N": {"oneOf": [{"required": [name], "properties": {"c": ref("N")}} for name in ("a", "b")]}}
STEPS = "more than 5,000,000 steps"
VALUES: dict[str, tuple[dict[str, Any], str, str]] = {
    "JSON of 101 levels": (document({}), nested(101), "more than 100 levels"),
    "JSON of 300 levels": (document(CAT), f'{{"id": {nested(300)}}}', "more than 100 levels"),
    "JSON of 100,000 levels": (document(CAT), nested(100_000), "more than 100 levels"),
    "objects of 100,000 levels": (document(CAT), '{"a":' * 100_000 + "1" + "}" * 100_000, "more than 100 levels"),
    "allOf in a row": (
        document({"properties": {"deep": ref("a0")}}, chain(lambda one: {"allOf": [one]})["components"]["schemas"]),
        '{"deep": {"id": "x"}}', "more than 500 schemas",
    ),
    "variants none of which fits": (document(ref("N"), NEITHER), '{"c":' * 40 + "{}" + "}" * 40, STEPS),
    "a pattern that tries anew": (
        document({"properties": {"id": {"pattern": r"^(a*)*\1$"}}}), json.dumps({"id": "a" * 50 + "b"}),
        "to try a pattern of the contract takes too many steps",
    ),
    "such a pattern of names": (
        document({"patternProperties": {r"^(a*)*\1$": {"const": 1}}}), json.dumps({"a" * 50 + "b": 1}),
        "to try a pattern of the contract takes too many steps",
    ),
    "very many fields": (
        document(CAT | {"additionalProperties": False}), json.dumps({f"k{n}": n for n in range(100_001)}), STEPS,
    ),
    "many fields for many others": (
        document({"required": [f"old{n}" for n in range(200)], "properties": {f"old{n}": {} for n in range(200)}}),
        json.dumps({f"k{n}": n for n in range(200)}), STEPS,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("contract", "body", "reason"), VALUES.values(), ids=VALUES)
def test_an_exchange_that_cannot_be_judged_costs_itself_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, contract: dict[str, Any], body: str, reason: str
) -> None:
    """It is said of it which limit it passes, and the rest of the recording is judged."""
    monkeypatch.setattr("longcat.contract.openapi.limits.MAX_STEPS", 5_000_000)
    monkeypatch.setattr("longcat.contract.openapi.limits.STEPS_PER_BYTE", 0)
    recording = tmp_path / "traffic.har"
    bodies = ['{"id": "x"}', body, '{"id": "y"}']
    entries = [
        {
            "request": {"method": "GET", "url": "https://cats.test/cat", "headers": []},
            "response": {
                "status": 200,
                "headers": [{"name": "content-type", "value": "application/json"}],
                "content": {"text": text},
            },
        }
        for text in bodies
    ]
    recording.write_text(json.dumps({"log": {"entries": entries}}))
    first, hostile, last = recorded(make_spec(contract), [recording])
    assert isinstance(first, Judgement)
    assert isinstance(last, Judgement)
    assert isinstance(hostile, Judgement)
    assert [one.unclear for one in hostile.gaps] == [True]
    assert reason in hostile.gaps[0].why
    assert [*hostile.findings()] == []
    assert (first.gaps, last.gaps) == ((), ())


@pytest.mark.parametrize("code", [404, 429, 500])
def test_a_deep_body_of_a_refusal_cannot_be_judged_either(code: int) -> None:
    """Whether it is of the documented form can't be known."""
    judgement = Judgement(OURS, answered(nested(300).encode(), code))
    assert "more than 100 levels" in " ".join(one.why for one in judgement.gaps)


def test_a_recording_nested_too_deeply_costs_that_entry(tmp_path: Path) -> None:
    """The entries around it are read."""
    recording = tmp_path / "traffic.json"
    good = json.dumps({"request": {"method": "GET", "uri": "https://cats.test/cat"}, "response": {"status": 200}})
    recording.write_text(f'{{"interactions": [{good}, {nested(100_000)}, {good}]}}')
    outcomes = [*recorded(make_spec(document(CAT)), [recording])]
    assert [isinstance(one, Inconclusive) for one in outcomes] == [False, True, False]


# --- Times that grow with the square of what a stranger sends.

LONG = 60_000
HEADERS: dict[str, dict[str, str]] = {
    "a media type of addresses": {"content-type": "://" * LONG},
    "a media type without end": {"content-type": "a" * LONG},
    "parameters of a media type": {"content-type": "application/json" + '; a="b' * LONG},
    "spaces in a link": {"link": ";rel=" + " " * LONG},
    "quotes in a link": {"link": ';rel=" ' * LONG},
    "links in a link": {"link": "<a>; rel=next, " * LONG},
    "spaces in a warning": {"warning": "," + " " * LONG},
    "addresses in a deprecation": {"deprecation": "://" * LONG},
    "a length of many digits": {"content-length": "9" * LONG},
    "addresses where it leads": {"location": "://" * LONG},
}


@pytest.mark.parametrize("headers", HEADERS.values(), ids=HEADERS)
@pytest.mark.parametrize("code", [200, 302])
def test_a_long_header_is_read_in_one_go(headers: dict[str, str], code: int) -> None:
    """What is shown of it is short. Were an expression to try all combinations, this would take minutes."""
    for finding in Judgement(OURS, answered({}, code, headers=JSON | headers)).findings():
        assert len(finding.seen) < 1000


def test_a_relation_of_a_link_is_found() -> None:
    """Quoted or not, first or not, in any case."""
    for link in ("<a>;rel=deprecation", '<a>; x=1; REL = "next Sunset"', '<a>; rel="next", <b>; rel=successor-version'):
        assert ("deprecated", "header:link") in kinds(answered({}, headers=JSON | {"link": link}))
    assert ("deprecated", "header:link") not in kinds(answered({}, headers=JSON | {"link": '<deprecation>; rel="x"'}))


def test_a_media_type_is_cut_before_it_is_looked_at() -> None:
    """RFC 6838 allows no longer ones."""
    assert media_type_of({"content-type": "Text/Plain; charset=x"}) == "text/plain"
    assert len(media_type_of({"content-type": "a" * LONG})) < 300


def test_base64_with_much_padding() -> None:
    """It is read, or refused, in one go."""
    assert from_base64("YQ" + "=" * LONG) == b"a"
    with pytest.raises(UnreadableError):
        from_base64("=" * LONG + "YQ")


@pytest.mark.parametrize("text", ["\ufeffYQ==", "YQé=", "Y\udcffQ=", "YQ\0=", "٤Q=="])
def test_base64_with_other_letters_is_refused(text: str) -> None:
    """A byte order mark, a letter outside ASCII and half of a surrogate pair are no base64, whoever says so below."""
    with pytest.raises(UnreadableError, match="should be base64"):
        from_base64(text)


@pytest.mark.parametrize(("read", "text"), [(from_base64, "YWE="), (from_hex, "6161")])
def test_a_body_that_is_too_large_is_called_that(
    read: Callable[[str], bytes], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However it is packed."""
    monkeypatch.setattr(decoding, "MAX_BODY", 1)
    with pytest.raises(UnreadableError, match="more than"):
        read(text)


@pytest.mark.parametrize(
    ("template", "path", "values"),
    [
        ("/{a}", "/x", ["x"]),
        ("/{a}-{b}", "/x-y-z", ["x-y", "z"]),
        ("/{a}{b}", "/xyz", ["xy", "z"]),
        ("/v{a}.{b}.png", "/v1.2.png", ["1", "2"]),
        ("/{a}.png", "/.png", []),
        ("/x{a}x", "/x", []),
        ("/" + "".join(f"{{p{n}}}x" for n in range(40)), "/" + "x" * 70, []),
        ("/" + "".join(f"{{p{n}}}" for n in range(12)) + "b", "/" + "x" * LONG, []),
        ("/{a}", "/x" * LONG, []),
    ],
)
def test_parameters_in_a_part_of_a_path(template: str, path: str, values: list[str]) -> None:
    """Each takes as much as it can, the first one first, and a long path is no trap for however many."""
    contract = document(CAT)
    contract["paths"] = {template: contract["paths"]["/cat"]}
    found = make_spec(contract).locate(f"https://cats.test{path}").values
    assert [*found.values()] == values


# --- Changes of a contract.


def test_a_contract_that_is_too_long_is_not_changed() -> None:
    """To read and write it so that its lines stay takes long."""
    with pytest.raises(SpecError, match="more than 2 million characters"):
        suggest(HEAD + "#" * MAX_TEXT, [])


def test_changes_end_when_very_much_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was changed so far stays, and of the rest it is said that there is too much of it."""
    body = json.dumps({"id": "x", "name": "y", "other": 1}).encode()
    asked = Exchange("GET", "https://cats.test/cat", {}, None, 200, JSON, body, "a test")
    text = json.dumps(document(CAT), indent=2)
    findings = [*Judgement(read(text), asked).findings()]
    assert suggest(text, findings).unpatched == ()
    monkeypatch.setattr("longcat.contract.patches.suggest.MAX_WRITTEN", len(text))
    part = suggest(text, findings)
    assert '"name"' in part.text
    assert [one.reason[:27] for one in part.unpatched] == ["There are too many changes "]

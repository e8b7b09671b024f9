"""What reading a spec costs, where its other files may be, and that values are held against it as the standard says."""

import json
import random
from functools import partial
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from longcat.cli import main
from longcat.contract import Exchange, SpecError, judge, load_spec
from longcat.contract.openapi import document
from longcat.contract.openapi.parsing import parse_document
from longcat.contract.openapi.schema import assertions
from longcat.contract.openapi.schema.keywords import read_schema
from longcat.contract.openapi.spec import make_spec

URL = "https://api.example.com/v1"
TEXT = {"type": "string"}


def contract(schema: Any, **parts: Any) -> dict[str, Any]:
    """Return a contract of one operation that answers with this schema."""
    answer = {"description": "A", "content": {"application/json": {"schema": schema}}}
    paths = {"/a": {"get": {"responses": {"200": answer}}}}
    return {"openapi": "3.1.0", "servers": [{"url": URL}], "paths": paths, **parts}


def answered(value: Any) -> Exchange:
    """Return an exchange that was answered with this value."""
    headers, body = {"content-type": "application/json"}, json.dumps(value).encode()
    return Exchange("GET", f"{URL}/a", {}, None, 200, headers, body, "a test")


# --- What it costs.


def test_only_schemas_that_a_value_reaches_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """However large a contract is, and whatever an answer could have had, the cost follows what was seen."""
    schemas = {f"S{n}": {"properties": {"inner": {"$ref": f"#/components/schemas/S{n + 1}"}}} for n in range(2000)}
    read: list[Any] = []

    def counted(written: Any, patterns: Any) -> Any:
        read.append(written)
        return read_schema(written, patterns)

    monkeypatch.setattr(document, "read_schema", counted)
    spec = make_spec(contract({"$ref": "#/components/schemas/S0"}, components={"schemas": schemas}))
    assert read == []
    assert [one.pointer for one in judge(spec, answered({"inner": {"inner": {"new": 1}}}))] == ["/inner/inner/new"]
    assert len(read) < 20


def test_an_interrupt_gets_through_a_format(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C within the check of a date ends the run at once, and is no difference."""

    def interrupted(_: str) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(assertions, "FORMATS", {"date-time": interrupted})
    spec = make_spec(contract({"properties": {"at": {"type": "string", "format": "date-time"}}}))
    with pytest.raises(KeyboardInterrupt):
        [*judge(spec, answered({"at": "2026-01-31T10:30:00Z"}))]


# --- Where its files may be.


def test_a_link_does_not_lead_out_of_the_folder_of_a_spec(tmp_path: Path) -> None:
    """What a symbolic link means counts, and another folder has to be allowed by name."""
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "text.json").write_text(json.dumps(TEXT))
    (inside / "link.json").symlink_to(outside / "text.json")
    (inside / "openapi.json").write_text(json.dumps(contract({"$ref": "link.json"})))
    seen = answered(5)
    assert [*judge(load_spec(inside / "openapi.json"), seen)] == []
    found = [*judge(load_spec(inside / "openapi.json", folders=[outside]), seen)]
    assert [one.code for one in found] == ["type-changed"]


def test_where_a_pointer_stands(tmp_path: Path) -> None:
    """A rule in another file is told as one of that file, and the digest is of all files."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "a.json").write_text(json.dumps({"A": {"properties": {"n": TEXT}}}))
    (tmp_path / "openapi.json").write_text(json.dumps(contract({"$ref": "models/a.json#/A"})))
    spec = load_spec(tmp_path / "openapi.json")
    (finding,) = judge(spec, answered({"n": 5}))
    assert spec.source_of(finding.rule) == (tmp_path / "models" / "a.json", "/A/properties/n/type")
    assert spec.source_of("/paths/~1a") == (tmp_path / "openapi.json", "/paths/~1a")
    (tmp_path / "models" / "a.json").write_text(json.dumps({"A": {}}))
    assert load_spec(tmp_path / "openapi.json").digest != spec.digest


# --- Strictly.


def test_a_spec_can_be_read_strictly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Then a defect that nothing reaches refuses it, and otherwise it costs nothing."""
    spec, traffic = tmp_path / "openapi.json", tmp_path / "traffic.ndjson"
    spec.write_text(json.dumps(contract({}, components={"schemas": {"A": {"required": ["a", "a"]}}})))
    request = {"method": "GET", "uri": f"{URL}/a"}
    response = {"status": 200, "headers": {"content-type": ["application/json"]}, "body": {"string": "{}"}}
    traffic.write_text(json.dumps({"request": request, "response": response}) + "\n")
    assert main(["contract", "check", "--spec", str(spec), str(traffic)]) == 0
    assert main(["contract", "check", "--strict-spec", "--spec", str(spec), str(traffic)]) == 2
    assert "/components/schemas/A/required: it is not valid in a schema" in capsys.readouterr().err


def test_a_name_that_stands_twice_is_refused_when_a_spec_is_read_strictly() -> None:
    """In JSON and in YAML."""
    for text in ('{"openapi": "3.1.0", "openapi": "3.1.0"}', "openapi: 3.1.0\nopenapi: 3.1.0\n"):
        assert parse_document(text, "twice") == {"openapi": "3.1.0"}
        with pytest.raises(SpecError, match=r"twice|duplicate"):
            parse_document(text, "twice", strict=True)


# --- As the standard says.

NAMES = ("a", "b", "c", "x-d")
ANY_TYPE: tuple[Any, ...] = ("string", "object", "array", "integer", "number", "null", ["object", "array"])
SCALARS: tuple[Any, ...] = (None, True, False, 0, 1, 2, 1.0, 2.5, -1, "", "a", "ab", "abc", 10**20)


class Maker:
    """Makes schemas and values without end, the same ones each time."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - it is no secret.

    def value(self, depth: int = 3) -> Any:
        """Return some value."""
        kind = self.random.random()
        if depth == 0 or kind < 0.35:
            return self.random.choice(SCALARS)
        if kind < 0.7:
            return {name: self.value(depth - 1) for name in self.some(NAMES, 4)}
        return [self.value(depth - 1) for _ in range(self.random.randint(0, 3))]

    def some(self, values: Any, most: int = 2) -> list[Any]:
        """Return some of several values, none of them twice."""
        return self.random.sample(values, self.random.randint(0, most))

    def schemas(self, depth: int) -> list[Any]:
        """Return a few schemas."""
        return [self.schema(depth) for _ in range(self.random.randint(1, 3))]

    def schema(self, depth: int = 3) -> Any:
        """Return some schema."""
        if self.random.random() < 0.06:
            return self.random.choice([True, False])
        number, pick = self.random.randint, self.random.choice
        makers: dict[str, tuple[float, Any]] = {
            "type": (0.4, lambda: pick(ANY_TYPE)),
            "enum": (0.1, lambda: [self.value(1) for _ in range(3)]),
            "const": (0.05, lambda: self.value(1)),
            "minimum": (0.1, lambda: 1),
            "multipleOf": (0.05, lambda: 2),
            "minLength": (0.1, lambda: number(0, 2)),
            "pattern": (0.05, lambda: pick(["^a", "b$", "[ab]"])),
            "minItems": (0.1, lambda: number(0, 2)),
            "uniqueItems": (0.05, lambda: True),
            "maxProperties": (0.05, lambda: 2),
            "required": (0.2, lambda: self.some(NAMES)),
            "dependentRequired": (0.05, lambda: {"a": ["b"]}),
        }
        if depth:
            inner, several = partial(self.schema, depth - 1), partial(self.schemas, depth - 1)
            makers |= {
                "properties": (0.4, lambda: {name: inner() for name in self.some(NAMES, 3)}),
                "patternProperties": (0.15, lambda: {pick(["^x-", "a|b"]): inner()}),
                **dict.fromkeys(("additionalProperties", "items"), (0.2, inner)),
                **dict.fromkeys(("prefixItems", "allOf", "anyOf", "oneOf"), (0.15, several)),
                **dict.fromkeys(("contains", "not", "if", "then", "else", "unevaluatedProperties"), (0.1, inner)),
                "unevaluatedItems": (0.1, inner),
                "propertyNames": (0.1, lambda: self.schema(0)),
                "dependentSchemas": (0.08, lambda: {"a": inner()}),
                "$ref": (0.15, lambda: pick(["#/$defs/A", "#/$defs/B"])),
            }
        return {name: make() for name, (chance, make) in makers.items() if self.random.random() < chance}


@pytest.mark.parametrize("seed", range(4))
def test_values_are_held_against_schemas_as_another_validator_does(seed: int) -> None:
    """Of random schemas and values, the one in Rust says the same as ours."""
    maker, compared = Maker(seed), 0
    while compared < 400:
        names = {
            "A": maker.schema(0),
            "B": {"properties": {"b": {"$ref": "#/$defs/B"}}, "items": {"$ref": "#/$defs/A"}},
        }
        schema = {"allOf": [maker.schema()], "$defs": names}
        theirs = jsonschema_rs.Draft202012Validator(schema)
        ours = make_spec(json.loads(json.dumps(contract({}) | schema))).schemas
        for value in (maker.value() for _ in range(6)):
            assert ours.is_valid("/allOf/0", value) == theirs.is_valid(value), (schema, value)
            compared += 1

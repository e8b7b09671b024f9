"""Where a suggested change is made: in the right file, at the place of use, in an Overlay; and what is never made."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import pytest
import yaml  # type: ignore[import-untyped]

from longcat.contract import Exchange, judge, load_spec
from longcat.contract.openapi.document import SpecFiles
from longcat.contract.openapi.spec import Spec
from longcat.contract.patches.edit import Put, Source
from longcat.contract.patches.suggest import suggest, suggest_overlay
from longcat.text.pointer import at

SERVER: Final = "https://api.example.com/v1"
USER: Final[dict[str, Any]] = {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}
REFERENCE: Final = {"$ref": "#/components/schemas/User"}


def answer(schema: Any, media_type: str = "application/json") -> dict[str, Any]:
    """Return an operation that answers with a schema."""
    return {"responses": {"200": {"description": "An answer.", "content": {media_type: {"schema": schema}}}}}


def contract(paths: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """Return a contract in which each path has one GET."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "An API", "version": "1"},
        "servers": [{"url": SERVER}],
        "paths": {path: {"get": operation} for path, operation in paths.items()},
        "components": {"schemas": schemas},
    }


def seen(path: str, body: Any, media_type: str = "application/json") -> Exchange:
    """Return an exchange in which a path was answered with a body."""
    return Exchange(
        method="GET",
        url=SERVER + path,
        request_headers={},
        request_body=None,
        status_code=200,
        response_headers={"content-type": media_type},
        response_body=body.encode() if isinstance(body, str) else json.dumps(body).encode(),
        source="a test",
    )


@pytest.fixture
def spec_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where a contract can be written, in the folder that we are in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "api.json"


def files_of(spec: Spec) -> SpecFiles:
    """Return the files of a contract that came from one."""
    found = spec.schemas.document.files
    assert found is not None
    return found


def mended(path: Path, exchanges: Iterable[Exchange]) -> dict[str, Any]:
    """Return the contract in a file as it is suggested. What was seen fits it then."""
    spec, exchanges = load_spec(path), [*exchanges]
    findings = [finding for one in exchanges for finding in judge(spec, one)]
    assert findings
    suggestion = suggest(path.read_text("utf-8"), findings, files=files_of(spec))
    assert suggestion.unpatched == ()
    path.write_text(suggestion.text, "utf-8")
    for other, text in suggestion.others.items():
        other.write_text(text, "utf-8")
    new = load_spec(path)
    assert [finding for one in exchanges for finding in judge(new, one)] == []
    return new.document


TWO: Final = contract({"/a": answer(REFERENCE), "/b": answer(REFERENCE)}, {"User": USER})


def write(path: Path, document: Any) -> None:
    """Write a contract as JSON that people can read."""
    path.write_text(json.dumps(document, indent=2), "utf-8")


@pytest.mark.parametrize(
    ("bodies", "schema_at_a", "shared"),
    [
        pytest.param(
            {"/a": {"id": None}}, {**USER, "properties": {"id": {"type": ["integer", "null"]}}}, USER, id="a copy"
        ),
        pytest.param(
            {"/a": {"id": 1, "new": 2}},
            {"allOf": [REFERENCE, {"type": "object", "properties": {"new": {"type": "integer"}}}]},
            USER,
            id="a part of its own",
        ),
        pytest.param(
            {"/a": {"id": None}, "/b": {"id": None}},
            REFERENCE,
            {**USER, "properties": {"id": {"type": ["integer", "null"]}}},
            id="in several places",
        ),
    ],
)
def test_a_shared_component_changes_only_if_several_places_were_seen(
    spec_path: Path, bodies: dict[str, Any], schema_at_a: Any, shared: Any
) -> None:
    """Of an operation that nobody has seen, nothing is loosened."""
    write(spec_path, TWO)
    new = mended(spec_path, [seen(path, body) for path, body in bodies.items()])
    assert at(new, "/paths/~1a/get/responses/200/content/application~1json/schema") == schema_at_a
    assert new["components"]["schemas"]["User"] == shared


def test_all_that_was_seen_at_one_place_goes_into_its_copy(spec_path: Path) -> None:
    """What else is wrong with a place that got a copy changes the copy, and the component stays."""
    user = {**USER, "required": ["id"], "properties": {"id": {"type": "integer"}, "s": {"enum": ["a", "b"]}}}
    write(spec_path, contract({"/a": answer(REFERENCE), "/b": answer(REFERENCE)}, {"User": user}))
    new = mended(spec_path, [seen("/a", {"id": 1, "s": "c"}), seen("/a", {"id": 1, "s": None}), seen("/a", {"s": "a"})])
    assert new["components"]["schemas"]["User"] == user


def test_lists_of_objects_in_brackets_stay_as_they_are_written() -> None:
    """An object with one entry keeps its braces, and a line beside the one that changes stays."""
    lines = [f"  {path}: {{x: [{{a: 1}}, {{b: 2}}]}}\n" for path in ("a", "b")]
    changed = Source.read("".join(["top:\n", *lines])).edited(Put("/top/b", "z", 3))
    assert changed.text == "".join(["top:\n", lines[0], lines[1].replace("]}", "], z: 3}")])


def test_a_component_with_one_use_changes_itself(spec_path: Path) -> None:
    """A copy would be in nobody's interest; a reference from within does not count as another use."""
    user = {**USER, "properties": {**USER["properties"], "friend": REFERENCE}}
    write(spec_path, contract({"/a": answer(REFERENCE)}, {"User": user}))
    new = mended(spec_path, [seen("/a", {"id": 1, "friend": {"id": None}})])
    assert new["components"]["schemas"]["User"]["properties"]["id"]["type"] == ["integer", "null"]


def test_a_copy_goes_as_far_as_the_use_that_was_seen(spec_path: Path) -> None:
    """Of two fields that refer to one component, the one that was seen is changed, below a shared object as well."""
    pair = {"type": "object", "properties": {"old": REFERENCE, "new": REFERENCE}}
    wrapped = {"$ref": "#/components/schemas/Pair"}
    write(spec_path, contract({"/a": answer(wrapped), "/b": answer(wrapped)}, {"User": USER, "Pair": pair}))
    new = mended(spec_path, [seen("/b", {"new": {"id": None}})])
    here = at(new, "/paths/~1b/get/responses/200/content/application~1json/schema/properties")
    assert here["old"] == REFERENCE
    assert here["new"]["properties"]["id"]["type"] == ["integer", "null"]
    assert (new["components"]["schemas"]["User"], new["components"]["schemas"]["Pair"]) == (USER, pair)


def test_another_file_is_changed_where_the_rule_stands_there(spec_path: Path) -> None:
    """The difference names that file, and the contract's own stays as it is."""
    (spec_path.parent / "schemas").mkdir()
    other = spec_path.parent / "schemas" / "user.yaml"
    other.write_text("# A user.\ntype: object\nproperties:\n  id: {type: integer}\n", "utf-8")
    write(spec_path, contract({"/a": answer({"$ref": "schemas/user.yaml"})}, {}))
    before, spec = spec_path.read_text("utf-8"), load_spec(spec_path)
    findings = [*judge(spec, seen("/a", {"id": None}))]
    suggestion = suggest(before, findings, files=files_of(spec))
    assert suggestion.diff.splitlines()[:2] == ["--- schemas/user.yaml", "+++ schemas/user.yaml"]
    assert '+  id: {type: [integer, "null"]}' in suggestion.diff.splitlines()
    mended(spec_path, [seen("/a", {"id": None})])
    assert spec_path.read_text("utf-8") == before
    assert other.read_text("utf-8").startswith("# A user.\n")


def test_a_file_that_places_share_stays(spec_path: Path) -> None:
    """A field that was seen in one place is added there, beside the reference to the file."""
    other, reference = spec_path.parent / "user.json", {"$ref": "user.json"}
    write(other, USER)
    write(spec_path, contract({"/a": answer(reference), "/b": answer(reference)}, {}))
    new = mended(spec_path, [seen("/a", {"id": 1, "new": 2})])
    added = {"type": "object", "properties": {"new": {"type": "integer"}}}
    assert at(new, "/paths/~1a/get/responses/200/content/application~1json/schema") == {"allOf": [reference, added]}
    assert json.loads(other.read_text("utf-8")) == USER


def test_another_file_keeps_its_mark(spec_path: Path) -> None:
    """A file in JSON stays JSON with the byte order mark that it begins with."""
    other = spec_path.parent / "user.json"
    other.write_text('\ufeff{"type": "object", "properties": {"id": {"type": "integer"}}}', "utf-8")
    write(spec_path, contract({"/a": answer({"$ref": "user.json"})}, {}))
    mended(spec_path, [seen("/a", {"id": None})])
    assert other.read_text("utf-8") == ('\ufeff{"type": "object", "properties": {"id": {"type": ["integer", "null"]}}}')


def test_the_difference_names_the_file(spec_path: Path) -> None:
    """It is called what it is called, by its path from here."""
    write(spec_path, TWO)
    spec = load_spec(spec_path)
    diff = suggest(spec_path.read_text("utf-8"), judge(spec, seen("/a", {"id": None})), files=files_of(spec)).diff
    assert diff.splitlines()[:2] == ["--- api.json", "+++ api.json"]


# --- What must not be made of what was seen.


@pytest.mark.parametrize("body", ["Hello.", "<p>Hello.</p>"])
def test_a_text_that_is_no_json_adds_no_null(spec_path: Path, body: str) -> None:
    """It is no value of the contract's schema at all."""
    write(spec_path, contract({"/a": answer({"type": "integer"}, "text/plain"), "/b": answer(USER)}, {}))
    spec = load_spec(spec_path)
    exchanges = [seen("/a", body, "text/plain"), seen("/b", body), seen("/b", body, "text/plain")]
    for one in exchanges:
        suggestion = suggest(spec_path.read_text("utf-8"), judge(spec, one), files=files_of(spec))
        assert "null" not in suggestion.diff


MAP: Final = {"type": "object", "patternProperties": {"^[a-z]{2}$": {"type": "integer"}}, "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        pytest.param(MAP, {"en": 1, "xyz": 2}, id="a key that a pattern forbids"),
        pytest.param({"type": "object", "propertyNames": {"maxLength": 2}}, {"en": 1, "xyz": 2}, id="a long key"),
    ],
)
def test_a_key_of_a_map_is_no_property(spec_path: Path, schema: Any, value: Any) -> None:
    """That the keys are data is what the contract says; how it should say it is for people to decide."""
    write(spec_path, contract({"/a": answer({"type": "object", "properties": {"names": schema}})}, {}))
    spec = load_spec(spec_path)
    findings = [*judge(spec, seen("/a", {"names": value}))]
    suggestion = suggest(spec_path.read_text("utf-8"), findings, files=files_of(spec))
    assert findings
    assert (len(suggestion.unpatched), suggestion.diff) == (1, "")


@pytest.mark.parametrize(
    "value", [{"1234": 1.5, "77": 2}, {"2026-01-31": 1}, {"a/b.txt": "x"}, {"6f9619ff-8b86-d011-b42d-00cf4fc964ff": 1}]
)
def test_a_new_map_is_described_as_one(spec_path: Path, value: Any) -> None:
    """Keys that no program would have for names are not entered one by one."""
    write(spec_path, contract({"/a": answer(USER)}, {}))
    new = mended(spec_path, [seen("/a", {"id": 1, "sizes": value})])
    schema = at(new, "/paths/~1a/get/responses/200/content/application~1json/schema/properties/sizes")
    assert (schema.keys(), "properties" in schema) == ({"type", "additionalProperties"}, False)


# --- Overlays.


def applied(document: Any, overlay: Any) -> Any:
    """Return a document with an Overlay applied to it, as its specification has it."""
    document = json.loads(json.dumps(document))
    for action in overlay["actions"]:
        path = _keys(action["target"])
        *above, last = path or [""]
        if action.get("remove"):
            holder = document
            for key in above:
                holder = holder[key]
            del holder[last]
            continue
        target = document
        for key in path:
            target = target[key]
        assert target.keys().isdisjoint(action["update"])  # So it does not matter how values are merged.
        target.update(action["update"])
    return document


def _keys(json_path: str) -> list[Any]:
    """Return the keys in a normalized JSONPath: YAML reads each bracket as a list of one text or number."""
    assert json_path.startswith("$")
    rest, keys = json_path[1:], []
    while rest:
        item, bracket, rest = rest.partition("']") if rest.startswith("['") else rest.partition("]")
        assert bracket
        keys.append(item.removeprefix("['") if item.startswith("['") else int(item.removeprefix("[")))
    return keys


def test_an_overlay_makes_the_same_change(spec_path: Path) -> None:
    """Applied to the contract, which stays as it is, what was seen is no drift any more."""
    document = contract(
        {
            "/a": answer({"type": "object", "properties": {"n": {"type": "integer", "maximum": 3}}}),
            "/b": answer({"type": "object", "required": ["w", "x"], "properties": {"w": {"enum": ["a"]}}}),
        },
        {},
    )
    write(spec_path, document)
    spec, exchanges = load_spec(spec_path), [seen("/a", {"n": 7, "z": None}), seen("/b", {"w": "b"})]
    findings = [finding for one in exchanges for finding in judge(spec, one)]
    suggested = suggest_overlay(spec.document, findings, files=files_of(spec))
    overlay = yaml.safe_load(suggested.text)
    assert suggested.unpatched == ()
    assert (overlay["overlay"], overlay["extends"], set(overlay["info"])) == ("1.0.0", "api.json", {"title", "version"})
    assert spec.document == document
    write(spec_path, applied(document, overlay))
    new = load_spec(spec_path)
    assert [finding for one in exchanges for finding in judge(new, one)] == []
    assert overlay["actions"][0]["target"].startswith("$['paths']['/a']['get']['responses']['200']['content']")
    assert {one.get("description", "")[:5] for one in overlay["actions"]} == {"Seen:"}


def test_an_overlay_of_nothing_is_none(spec_path: Path) -> None:
    """Without drift there is no document: an Overlay must have an action."""
    write(spec_path, TWO)
    assert suggest_overlay(load_spec(spec_path).document, []).text == ""


def test_an_overlay_does_not_reach_another_file(spec_path: Path) -> None:
    """It says so, and names the file."""
    (spec_path.parent / "user.json").write_text(json.dumps(USER), "utf-8")
    write(spec_path, contract({"/a": answer({"$ref": "user.json"})}, {}))
    spec = load_spec(spec_path)
    suggested = suggest_overlay(spec.document, judge(spec, seen("/a", {"id": None})), files=files_of(spec))
    assert suggested.text == ""
    assert "user.json" in suggested.unpatched[0].reason

"""A spec is read whole, or refused with words that say what is wrong, where, and what to do."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from exchanges import MADE_UP, OURS, RESULT

from longcat.contract import Exchange, SpecError, judge, load_spec
from longcat.contract.openapi.parsing import parse_document, read_document
from longcat.contract.openapi.spec import Spec, make_spec
from longcat.contract.openapi.upgrade import modern
from longcat.text.pointer import join

PATH = Path(__file__).parents[3] / "openapi.yaml"
CIRCLE = "#/paths/~1a/get/responses/200/content/application~1json/schema"
RESPONSES = {"200": {"description": "Good."}}


def spec(*, strict: bool = False, **changes: Any) -> Spec:
    """Return a small contract with these parts."""
    base = {"openapi": "3.1.0", "info": {}, "paths": {"/a": {"get": {"responses": RESPONSES}}}}
    return make_spec(parse_document(json.dumps({**base, **changes}), "small"), "small", strict=strict)


def operation(**parts: Any) -> dict[str, Any]:
    """Return the paths of a contract with one operation of these parts."""
    return {"paths": {"/a": {"get": {"responses": RESPONSES, **parts}}}}


def answers(schema: Any) -> dict[str, Any]:
    """Return the paths of a contract with one operation that answers by this schema."""
    return operation(responses={"200": {"description": "", "content": {"application/json": {"schema": schema}}}})


# --- What is understood.


def test_the_packaged_contract_is_the_file() -> None:
    """Without a path, the contract is the one that the generated client was made from."""
    assert load_spec().digest == OURS.digest
    assert load_spec() == OURS


def test_our_operation() -> None:
    """What the rest of the suite needs to know of the operation of the result gateway."""
    ours = RESULT
    assert (ours.operation_id, ours.method, ours.path) == (
        "get_request_result",
        "POST",
        "/longcat-image-request-result",
    )
    assert ours.pointer == "/paths/~1longcat-image-request-result/post"
    assert ours.key_header == "Ocp-Apim-Subscription-Key"
    assert [(name, media.schema) for name, media in ours.request.items()] == [
        ("application/json", f"{ours.pointer}/requestBody/content/application~1json/schema")
    ]
    assert list(ours.responses) == ["200", "400", "401", "403", "404", "429", "500"]
    assert len(ours.responses["200"].content["application/json"].examples.values) == 3
    assert ours.servers == ("https://gateway-falai-automate.appypie.workers.dev",)


def test_order_and_comments_do_not_change_the_digest() -> None:
    """The digest is of what the contract says, not of how it is written."""
    text = json.dumps(dict(reversed(OURS.document.items())), indent=4)
    assert make_spec(parse_document(text, "reversed")).digest == OURS.digest
    assert spec().digest != OURS.digest


def test_yaml_values_become_json_values() -> None:
    """A status code may be written as a number, and a date without quotes."""
    text = PATH.read_text("utf-8").replace('"200":', "200:").replace('"2024-06-15T10:30:00Z"', "2024-06-15T10:30:00Z")
    ours = make_spec(parse_document(text, "changed")).match("POST", RESULT.path)
    assert ours is not None
    assert "200" in ours.responses
    shown = ours.responses["200"].content["application/json"].examples.values
    assert json.loads(json.dumps(shown[-1]))["created_at"].startswith("2024-06-15T10:30:00")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_tells_the_encoding(tmp_path: Path, encoding: str) -> None:
    """A spec is read in the encoding that its mark tells."""
    (tmp_path / "spec.yaml").write_text("openapi: 3.1.0\npaths: {}\ninfo: {title: Kätzchen}\n", encoding)
    assert read_document(tmp_path / "spec.yaml")["info"] == {"title": "Kätzchen"}


def test_yaml_is_read_by_its_core_schema() -> None:
    """YAML 1.2 has fewer booleans than 1.1, no dates, and no numbers of the base 60; people still use merge keys."""
    values = "{on: yes, t: True, base: 010, eight: 0o17, sixty: 1:30, day: 2024-01-01, big: 1e3, nothing: ~, empty: }"
    text = f"openapi: 3.1.0\npaths: &a {values}\nother: &b {{<<: *a, t: no}}\nlast: {{<<: *b}}\n"
    document = parse_document(text, "core")
    expected = {"on": "yes", "t": True, "base": 10, "eight": 15, "sixty": "1:30", "day": "2024-01-01", "big": 1000.0}
    expected |= {"nothing": None, "empty": None}
    assert document["paths"] == expected
    assert document["other"] == document["last"] == expected | {"t": "no"}


@pytest.mark.parametrize("mapping", ["[{}]", "{{<<: [{}]}}"])
def test_aliases_cannot_stand_for_gigabytes(mapping: str) -> None:
    """Twelve lines can stand for 10 to the 12th values: that is refused, or never written out."""
    aliases = (mapping.format(", ".join([f"*a{level}"] * 10)) for level in range(12))
    lines = (f"a{level}: &a{level} {value}" for level, value in enumerate(aliases, 1))
    try:
        document = parse_document("\n".join(["openapi: 3.1.0", "a0: &a0 {k: 1}", *lines]), "bomb")
        assert document["a12"] == {"k": 1}
    except SpecError as error:
        assert "its aliases stand for too much" in str(error)  # noqa: PT017 - one of the two keeps one value only.


def test_yaml_that_is_nested_too_deeply() -> None:
    """It is refused before libyaml's binding overflows the stack."""
    with pytest.raises(SpecError, match="nested too deeply"):
        parse_document("- " * 300_000, "deep")


def test_the_made_up_operations() -> None:
    """Names, keys and needs of operations that ours does not have."""
    found = {one.operation_id: one for one in MADE_UP.operations}
    assert list(found) == ["POST /books", "get_cover", "list_chapters", "get_book", "delete_book"]
    assert {name for name, one in found.items() if one.needs_key} == set(found) - {"POST /books"}
    assert found["get_book"].key_header == "Authorization"
    assert found["POST /books"].key_header is None
    assert found["list_chapters"].deprecated
    assert [one.name for one in found["get_book"].parameters] == ["shelf", "book_id", "language", "edition"]
    assert MADE_UP.servers == ("https://eu.books.test/v1", "https://mirror.books.test")


@pytest.mark.parametrize(
    ("method", "url", "expected"),
    [
        ("GET", "https://eu.books.test/v1/shelves/a/books/7", "get_book"),
        ("get", "https://mirror.books.test/shelves/a/books/7", "get_book"),
        ("DELETE", "http://127.0.0.1:8000/shelves/a/books/7?x=1#y", "delete_book"),
        ("GET", "https://eu.books.test/v1/covers/a%20b.png", "get_cover"),
        ("GET", "https://eu.books.test/v1/covers/.png", None),
        ("GET", "https://eu.books.test/v1/shelves/a/books/7/", "get_book"),
        ("GET", "https://eu.books.test/v1/shelves//books/7", None),
        ("GET", "https://eu.books.test/v2/shelves/a/books/7", None),
        ("PUT", "https://eu.books.test/v1/shelves/a/books/7", None),
        ("GET", "https://eu.books.test", None),
        ("GET", "http://[broken", None),
    ],
)
def test_matching(method: str, url: str, expected: str | None) -> None:
    """A method and a path mean an operation, on whichever host, below any of the servers."""
    found = MADE_UP.match(method, url)
    assert (found.operation_id if found else None) == expected


def test_a_literal_path_comes_before_one_with_parameters() -> None:
    """Of two paths that both match, the more literal one is meant (OpenAPI, "Path Templating")."""
    paths = {"/{any}": {"get": {"operationId": "any", "responses": RESPONSES}}}
    paths["/mine"] = {"get": {"operationId": "mine", "responses": RESPONSES}}
    found = spec(paths=paths).match("GET", "https://a.test/mine")
    assert found is not None
    assert found.operation_id == "mine"


def test_another_base_url() -> None:
    """A gateway that answers elsewhere, below a path even, keeps the same contract."""
    local = OURS.served_at("http://127.0.0.1:8000/proxy/")
    assert local.match("POST", "http://127.0.0.1:8000/proxy/longcat-image-request-result") is not None
    assert local.serves("http://127.0.0.1:8000/proxy/nothing")
    assert not OURS.serves("http://127.0.0.1:8000/proxy/nothing")
    assert local.digest == OURS.digest


@pytest.mark.parametrize(
    ("security", "schemes", "key_header", "needs_key"),
    [
        ([], {}, None, False),
        ([{}], {}, None, False),
        ([{"k": []}, {}], {"k": {"type": "apiKey", "in": "header", "name": "X-Key"}}, None, False),
        ([{"k": []}], {"k": {"type": "apiKey", "in": "header", "name": "X-Key"}}, "X-Key", True),
        ([{"k": []}], {"k": {"type": "apiKey", "in": "cookie", "name": "session"}}, None, True),
        ([{"k": []}], {"k": {"type": "http", "scheme": "bearer"}}, "Authorization", True),
        ([{"k": ["read"]}], {"k": {"type": "oauth2", "flows": {}}}, "Authorization", True),
        ([{"k": []}], {"k": {"type": "openIdConnect", "openIdConnectUrl": "https://a.test"}}, "Authorization", True),
    ],
)
def test_security(security: Any, schemes: Any, key_header: str | None, needs_key: bool) -> None:
    """Where the key travels, and whether one is needed at all."""
    (found,) = spec(security=security, components={"securitySchemes": schemes}).operations
    assert (found.key_header, found.needs_key) == (key_header, needs_key)


@pytest.mark.parametrize(("cookie", "expected"), [("a=b; session=[key]", []), ("a=b", ["auth-lost"])])
def test_a_key_in_a_cookie(cookie: str, expected: list[str]) -> None:
    """A request has its key where the contract says. Where no code is documented for a refusal, any will do."""
    schemes = {"k": {"type": "apiKey", "in": "cookie", "name": "session"}}
    found = spec(security=[{"k": []}], components={"securitySchemes": schemes})
    seen = Exchange("GET", "https://a.test/a", {"cookie": cookie}, None, 200, {}, b"", "a test", "live")
    assert [finding.code for finding in judge(found, seen)] == expected
    refused = [finding.code for finding in judge(found, evolve(seen, status_code=418))]
    assert refused == ([] if expected else ["status-undocumented"])


def test_openapi_3_0_is_read_as_3_1() -> None:
    """`nullable` and exclusive bounds that are flags become what JSON Schema 2020-12 has for them."""
    old = {"type": "number", "nullable": True, "minimum": 0, "exclusiveMinimum": True, "maximum": 1}
    assert modern(old) == {"type": ["number", "null"], "nullable": True, "exclusiveMinimum": 0, "maximum": 1}
    assert modern({"type": "string", "nullable": True, "enum": ["a"]})["enum"] == ["a", None]
    found = spec(openapi="3.0.3", **answers(old))
    schema = found.operations[0].responses["200"].content["application/json"].schema
    assert schema is not None
    assert [found.schemas.is_valid(schema, value) for value in (None, 0.5, 0, 1, 2)] == [True, True, False, True, False]


def test_parts_without_content_are_fine() -> None:
    """No servers, no operationId, no content, no components, extensions: nothing of that is needed."""
    paths = {"x-note": 1, "/a": {"get": {"responses": RESPONSES, "x-y": 1}}}
    (found,) = spec(paths=paths).operations
    assert (found.operation_id, found.responses["200"].content, spec().server) == ("GET /a", {}, "")


# --- The closed reading.


CLOSED: list[tuple[Any, Any, bool]] = [
    ({"properties": {"a": {}}}, {"a": 1}, True),
    ({"properties": {"a": {}}}, {"b": 1}, False),
    ({"properties": {"a": {}}, "additionalProperties": True}, {"b": 1}, True),
    ({"properties": {"a": {}}, "additionalProperties": {"type": "string"}}, {"b": "x"}, True),
    ({"properties": {"a": {}}, "patternProperties": {"^x-": {}}}, {"x-b": 1}, True),
    ({"type": "object"}, {"b": 1}, True),
    ({}, {"b": 1}, True),
    ({"allOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]}, {"a": 1, "b": 1}, True),
    ({"allOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]}, {"a": 1, "c": 1}, False),
    ({"properties": {"a": {}}, "allOf": [{"properties": {"b": {}}}]}, {"a": 1, "b": 1}, True),
    ({"anyOf": [{"properties": {"a": {}}}, {"required": ["b"], "properties": {"b": {}}}]}, {"b": 1}, True),
    ({"oneOf": [{"required": ["a"], "properties": {"a": {}}}, {"type": "null"}]}, {"a": 1, "b": 1}, False),
    ({"properties": {"a": {"properties": {"b": {}}}}}, {"a": {"c": 1}}, False),
    ({"items": {"properties": {"a": {}}}}, [{"a": 1}, {"b": 1}], False),
    ({"if": {"required": ["a"]}, "then": {"properties": {"a": {}}}}, {"a": 1}, True),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "value", "expected"), CLOSED)
def test_closed_reading(schema: Any, value: Any, expected: bool) -> None:
    """A field that no schema names is forbidden, through every composition, unless a schema says that it may come."""
    found = spec(**answers(schema))
    pointer = found.operations[0].responses["200"].content["application/json"].schema
    assert pointer is not None
    assert found.schemas.is_valid(pointer, value)
    assert found.schemas.is_valid(pointer, value, closed=True) is expected


def test_examples_are_valid_when_read_closed() -> None:
    """Every example of a contract is valid when it is read closed."""
    for one in (OURS, MADE_UP):
        for operation_ in one.operations:
            for response in operation_.responses.values():
                for media in response.content.values():
                    for example in media.examples.values:
                        assert media.schema is not None
                        assert one.schemas.is_valid(media.schema, example, closed=True)


def test_formats_are_asserted_as_the_typed_client_reads_them() -> None:
    """JSON Schema leaves formats alone unless told; and what the client can't read is no date."""
    found = spec(**answers({"type": "string", "format": "date-time"}))
    pointer = found.operations[0].responses["200"].content["application/json"].schema
    assert pointer is not None
    values = ("2026-01-31T10:30:00Z", "2026-01-31t10:30:00z", "2026-01-31", "")
    assert [found.schemas.is_valid(pointer, value) for value in values] == [True, True, False, False]


# --- What is refused.


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["is empty"]),
        ("# nothing\n", ["is empty"]),
        ("{", ["is not JSON", "line 1, column 2"]),
        ('{"openapi": "3.1.0",,}', ["is not JSON", "line 1"]),
        ("a: [1", ["is not YAML", "line 1"]),
        ("a: b: c", ["is not YAML", "line 1, column 5"]),
        ("a: 1\na: 2\n", ["is not YAML", "duplicate key", "line 2"]),
        ("a: &a [*a]", ["nested too deeply"]),
        ("- 1", ["not an OpenAPI document", "openapi: 3.1.0"]),
        ("just text", ["not an OpenAPI document"]),
        ("openapi: true", ["not an OpenAPI document"]),
        ("swagger: '2.0'", ["Swagger 2", "swagger2openapi"]),
        ("openapi: 4.0.0", ['"4.0.0"', "Convert"]),
        ("openapi: 3.1.0", ["paths"]),
        ("openapi: 3.1.0\npaths: {}", ["at /paths"]),
        ("\x00", ["is not YAML"]),
    ],
)
def test_no_openapi(text: str, words: list[str]) -> None:
    """What is no OpenAPI document is refused, with the place where it stops to be one."""
    with pytest.raises(SpecError) as caught:
        make_spec(parse_document(text, "broken.yaml", strict=True), "broken.yaml", strict=True)
    assert all(word in str(caught.value) for word in ["broken.yaml", *words])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"paths": {"a": {}}}, ["/paths"]),
        ({"paths": {"/a": []}}, ["/paths/~1a"]),
        ({"paths": {"/a": {"get": {}}}}, ["/paths/~1a/get", "responses"]),
        (operation(responses={"ok": {}}), ["/paths/~1a/get/responses"]),
        (operation(responses={"200": []}), ["/paths/~1a/get/responses/200"]),
        (operation(parameters=[{"in": "query"}]), ["/paths/~1a/get/parameters/0", "name"]),
        (operation(parameters=[{"name": "a", "in": "body"}]), ["/paths/~1a/get/parameters/0/in"]),
        (operation(parameters=[{"$ref": "#/components/parameters/a"}]), ["parameters/0", "leads nowhere"]),
        (operation(responses={"200": {"$ref": "#/nowhere"}}), ["/responses/200", "#/nowhere", "leads nowhere"]),
        (operation(security=[{"nobody": []}]), ["/paths/~1a/get/security", "nobody"]),
        (answers({"$ref": "#/components/schemas/A"}), ["/schema", "leads nowhere"]),
        (answers({"$ref": "other.yaml#/A"}), ["other.yaml", "another file"]),
        (answers({"$ref": "https://a.test/b"}), ["https://a.test/b", "nothing is fetched"]),
        (answers({"type": "strnig"}), ["/schema/type", "strnig"]),
        (answers({"properties": {"a": {"minimum": "0"}}}), ["/schema/properties/a/minimum"]),
        (answers({"pattern": "("}), ["/schema/pattern"]),
        (answers({"required": "a"}), ["/schema/required"]),
        (answers({"required": ["a", "a"]}), ["/schema/required", "non-unique"]),
        ({"paths": {"/a": None}}, ["/paths/~1a", "null"]),
        (operation(responses={"200": None}), ["/paths/~1a/get/responses/200", "null"]),
        (operation(responses={"200": {"content": {"application/json": None}}}), ["/application~1json", "null"]),
        ({"components": {"schemas": {"A": {"type": 5}}}}, ["/components/schemas/A/type"]),
        (answers({"$ref": CIRCLE}), ["/schema", "leads back to itself"]),
        ({"components": {"securitySchemes": {"k": {"type": "apiKey"}}}}, ["/components/securitySchemes/k"]),
    ],
)  # fmt: skip
def test_broken_openapi(changes: dict[str, Any], words: list[str]) -> None:
    """What is wrong in a document is named with its place, when it is read strictly."""
    with pytest.raises(SpecError) as caught:
        spec(strict=True, **changes)
    assert all(word in str(caught.value) for word in ["small", *words]), str(caught.value)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", None])
def test_a_file_that_cannot_be_read(tmp_path: Path, content: bytes | None) -> None:
    """A file that is not there, or is no text, is named."""
    path = tmp_path / "spec.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SpecError, match=r"spec\.yaml can't be read: .+\. Name a file"):
        load_spec(path)
    with pytest.raises(SpecError, match="can't be read"):
        load_spec(tmp_path)


def test_names_that_look_like_keywords_are_names() -> None:
    """A property may be called `$ref`, `default` or `examples`; data may look like a reference."""
    schema = {
        "properties": {name: {"type": "string"} for name in ("$ref", "default", "examples", "properties", "content")},
        "default": {"$ref": "#/nowhere"},
        "examples": [{"$ref": "#/nowhere"}],
    }
    found = spec(**answers(schema))
    pointer = found.operations[0].responses["200"].content["application/json"].schema
    assert pointer is not None
    assert found.schemas.is_valid(pointer, {"$ref": "x", "default": "y"}, closed=True)


def test_pointers() -> None:
    """Names are escaped as RFC 6901 says."""
    assert join(["a/b", "c~d", 0]) == "/a~1b/c~0d/0"


def test_a_missing_extra_is_named() -> None:
    """Without the extra, importing says which package is missing and how to get it; the core needs none of it."""
    code = (
        "import sys; sys.modules['jsonschema_rs'] = None\n"
        "import longcat\n"
        "try: import longcat.contract\n"
        "except ImportError as error: print(error)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    expected = "needs the package jsonschema-rs, which is not installed. Run: pip install 'longcat-image[contract]'"
    assert expected in run.stdout

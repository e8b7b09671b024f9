"""The commands of `longcat contract` that need no network make no connection, whatever a spec names."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from longcat.cli import main

ENTRY = {
    "request": {"method": "GET", "url": "https://cats.test/cat", "headers": []},
    "response": {
        "status": 200,
        "headers": [{"name": "content-type", "value": "application/json"}],
        "content": {"text": '{"id": 7, "name": "Mira"}'},
    },
}


@pytest.fixture
def canary(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield the URL of a server that nobody may connect to: neither Python, nor a library below it."""

    def refuse(*arguments: Any, **named: Any) -> Any:
        raise AssertionError(f"a connection was made: {arguments} {named}")

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        for name in ("connect", "connect_ex", "sendto"):
            monkeypatch.setattr(socket.socket, name, refuse)
        monkeypatch.setattr(socket, "getaddrinfo", refuse)
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(BlockingIOError):
            server.accept()


def contract(url: str, place: str) -> dict[str, Any]:
    """Return a contract that names a URL in some place."""
    schema: dict[str, Any] = {"type": "object", "properties": {"id": {"type": "integer"}}}
    media: dict[str, Any] = {"schema": schema}
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "Cats", "version": "1"},
        "servers": [{"url": "https://cats.test"}],
        "paths": {
            "/cat": {"get": {"responses": {"200": {"description": "A", "content": {"application/json": media}}}}}
        },
    }
    owner, _, keyword = place.rpartition("/")
    if owner == "example":
        media["examples"] = {"one": {keyword: url}}
    elif owner == "data":
        schema["default"] = schema["properties"]["id"]["example"] = {keyword: url}
    else:
        at = {"": document, "schema": schema, "field": schema["properties"]["id"], "path": document["paths"]["/cat"]}
        at[owner][keyword] = {url: True} if keyword == "$vocabulary" else url
    return document


IGNORED = ("schema/$schema", "field/$schema", "schema/$id", "field/$id", "schema/$vocabulary", "example/externalValue",
           "$schema", "$id", "$self", "jsonSchemaDialect", "data/$ref", "data/$schema", "data/$id", "example/$ref",
           "field/$ref", "field/$recursiveRef")  # fmt: skip
REFUSED = {
    "schema/$ref": "nothing is fetched",
    "path/$ref": "nothing is fetched",
    "schema/$dynamicRef": "is not followed",
}


@pytest.mark.parametrize("place", [*IGNORED, *REFUSED])
@pytest.mark.parametrize("url", ["{canary}/x", "file://{file}", "//localhost/cats.json"])
def test_nothing_that_a_spec_names_is_fetched(
    tmp_path: Path, canary: str, url: str, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a URL leads to is not known, and that is told; all else is ignored, and so is a field that did not come."""
    (tmp_path / "cats.json").write_text('{"type": "string"}')
    (tmp_path / "spec.json").write_text(
        json.dumps(contract(url.format(canary=canary, file=tmp_path / "cats.json"), place))
    )
    (tmp_path / "traffic.har").write_text(json.dumps({"log": {"entries": [ENTRY]}}))
    code = main(["contract", "check", "--spec", str(tmp_path / "spec.json"), str(tmp_path / "traffic.har")])
    out = capsys.readouterr().out
    if place in REFUSED:
        assert code == 3
        assert REFUSED[place] in out
    else:
        assert code == 1
        assert "field-new" in out
        assert "1 finding" in out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["check", "--format", "sarif", "{traffic}"], 1),
        (["check", "--format", "junit", "{traffic}"], 1),
        (["suggest", "{traffic}"], 0),
        (["record", "--origin", "sandbox", "--base-url", "http://127.0.0.1:9", "--output", "x", "--dry-run"], 0),
        (["explain", "field-new"], 0),
    ],
)
def test_no_command_that_needs_none_makes_a_connection(
    tmp_path: Path, canary: str, arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whichever the report, also for a suggestion, and for what is only said to be sent."""
    traffic, spec = tmp_path / "traffic.har", tmp_path / "spec.json"
    spec.write_text(json.dumps(contract(f"{canary}/x", "schema/$schema")))
    traffic.write_text(json.dumps({"log": {"entries": [ENTRY]}}))
    named = [] if arguments[0] == "explain" else ["--spec", str(spec)]
    assert main(["contract", *(one.format(traffic=traffic) for one in arguments), *named]) == code
    assert "mistake" not in capsys.readouterr().err


def test_judging_recordings_loads_no_http_client(tmp_path: Path) -> None:
    """It would take as long to load as thousands of exchanges take to judge, and so would what draws on a terminal."""
    (tmp_path / "spec.json").write_text(json.dumps(contract("", "schema/title")))
    (tmp_path / "traffic.har").write_text(json.dumps({"log": {"entries": [ENTRY]}}))
    code = "import sys\nfrom longcat.cli import main\nmain()\nprint(*{'httpx', 'rich', 'yaml'} & sys.modules.keys())"
    command = [sys.executable, "-c", code, "contract", "check", "--spec", "spec.json", "traffic.har"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.splitlines()[-1] == "", done.stdout


@pytest.mark.parametrize(
    "tag", ["!include", "!!python/object/apply:os.system", "!<tag:yaml.org,2002:python/name:os.system>"]
)
def test_no_tag_of_yaml_does_anything(
    tmp_path: Path, canary: str, tag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A tag that is not of YAML's own schema is an error."""
    spec = tmp_path / "spec.yaml"
    spec.write_text(f"openapi: 3.1.0\ninfo: {tag} ['{canary}']\npaths: {{}}\n")
    assert main(["contract", "check", "--spec", str(spec), str(tmp_path)]) == 2
    assert "is not YAML" in capsys.readouterr().err

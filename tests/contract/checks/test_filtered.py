"""Recordings out of which somebody, or the browser, took the key: that is no sign that the gateway asks for none."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from longcat.contract.checks.judge import Judgement
from longcat.contract.openapi.spec import Spec, make_spec
from longcat.contract.placeholders import is_placeholder
from longcat.contract.run import recorded

URL = "https://cats.test/cat"
SCHEMES: dict[str, dict[str, Any]] = {
    "header": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
    "query": {"type": "apiKey", "in": "query", "name": "api_key"},
    "cookie": {"type": "apiKey", "in": "cookie", "name": "session"},
    "bearer": {"type": "http", "scheme": "bearer"},
    "basic": {"type": "http", "scheme": "basic"},
}


def contract(scheme: dict[str, Any] | None, parameters: list[dict[str, Any]] | None = None) -> Spec:
    """Return a contract of one operation that needs a key, or has a parameter that is one, and documents a 401."""
    content = {"application/json": {"schema": {"type": "object", "properties": {"id": {"type": "integer"}}}}}
    headers = {"Set-Cookie": {"required": True, "schema": {"type": "string"}}}
    answers = {"200": {"description": "A cat.", "headers": headers, "content": content}, "401": {"description": "No."}}
    return make_spec(
        {
            "openapi": "3.1.0",
            "info": {"title": "Cats", "version": "1"},
            "servers": [{"url": "https://cats.test"}],
            "paths": {"/cat": {"get": {"operationId": "cat", "parameters": parameters or [], "responses": answers}}},
            "components": {"securitySchemes": {"key": scheme} if scheme else {}},
            "security": [{"key": []}] if scheme else [],
        }
    )


def interaction(url: str, headers: dict[str, Any]) -> dict[str, Any]:
    """Return an interaction as vcrpy writes it."""
    return {
        "request": {"method": "GET", "uri": url, "headers": headers, "body": None},
        "response": {
            "status": {"code": 200, "message": "OK"},
            "headers": {"Content-Type": ["application/json"]},
            "body": {"string": '{"id": 7}'},
        },
    }


def vcrpy(url: str, headers: dict[str, Any]) -> tuple[str, str]:
    """Return a cassette of vcrpy."""
    return "cassette.yaml", yaml.safe_dump({"version": 1, "interactions": [interaction(url, headers)]})


def betamax(url: str, headers: dict[str, Any]) -> tuple[str, str]:
    """Return a cassette of betamax."""
    one = interaction(url, headers)
    one["response"] |= {"url": url, "body": {"string": '{"id": 7}', "encoding": "utf-8"}}
    one["request"]["body"] = {"string": "", "encoding": "utf-8"}
    return "cassette.json", json.dumps({"http_interactions": [one], "recorded_with": "betamax/0.9.0"})


def ruby(url: str, headers: dict[str, Any]) -> tuple[str, str]:
    """Return a cassette of Ruby's VCR."""
    one = interaction(url, headers)
    one["request"]["method"] = "get"
    one["request"]["body"] = {"encoding": "US-ASCII", "string": ""}
    return "cassette.yml", yaml.safe_dump({"http_interactions": [one], "recorded_with": "VCR 6.2.0"})


def har(url: str, headers: dict[str, Any]) -> tuple[str, str]:
    """Return what a browser saves."""
    sent = [{"name": name, "value": value[0] if isinstance(value, list) else value} for name, value in headers.items()]
    answer = {"status": 200, "headers": [{"name": "content-type", "value": "application/json"}], "cookies": []}
    answer["content"] = {"text": '{"id": 7}', "mimeType": "application/json", "size": 9}
    entry = {"request": {"method": "GET", "url": url, "headers": sent, "cookies": []}, "response": answer}
    return "traffic.har", json.dumps({"log": {"version": "1.2", "entries": [entry]}})


PLACEHOLDERS = (
    "",
    "REDACTED",
    "<API_KEY>",
    "**********",
    "[FILTERED]",
    "dummy",
    "DUMMY_TOKEN",
    "%%key%%",
    "x",
    "{{key}}",
)
FORMS = (vcrpy, betamax, ruby, har)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("form", FORMS)
def test_a_key_that_was_filtered_is_not_lost(tmp_path: Path, scheme: str, form: Any) -> None:
    """It may be gone, or there may be anything in its place, wherever the contract has it."""
    spec = contract(SCHEMES[scheme])
    for text in (None, *PLACEHOLDERS):
        url, headers = URL, {}
        if text is not None and scheme == "query":
            url = f"{URL}?api_key={text}"
        elif text is not None:
            name = {"header": "X-Api-Key", "cookie": "Cookie"}.get(scheme, "Authorization")
            headers = {name: [f"session={text}" if scheme == "cookie" else text]}
        name, content = form(url, headers)
        (tmp_path / name).write_text(content)
        (one,) = recorded(spec, [tmp_path / name])
        assert isinstance(one, Judgement)
        assert [finding.code for finding in one.findings()] == []


def test_a_key_among_the_parameters_may_be_filtered_as_well(tmp_path: Path) -> None:
    """Also where it has a form of its own, which a placeholder has not. Other parameters are judged as ever."""
    schema = {"type": "string", "pattern": "^[0-9]{8}$"}
    (tmp_path / "cassette.yaml").write_text(vcrpy(URL, {})[1])
    for name, query, expected in (
        ("access_token", "", []),
        ("access_token", "?access_token=FILTERED", []),
        ("page", "?page=<PAGE>", []),
        ("page", "?page=cat", ["validation-lost"]),
        ("page", "", ["validation-lost"]),
    ):
        spec = contract(None, [{"name": name, "in": "query", "required": True, "schema": schema}])
        file, content = vcrpy(URL + query, {})
        (tmp_path / file).write_text(content)
        (one,) = recorded(spec, [tmp_path / file])
        assert isinstance(one, Judgement)
        assert [finding.code for finding in one.findings()] == expected


def test_where_the_origin_is_known_a_missing_key_was_not_sent(tmp_path: Path) -> None:
    """Our own cassettes keep the place of a key, so that an answer without one is what it seems."""
    about = {"origin": "live", "recorded": "2026-01-02T03:04:05Z", "command": "x", "spec": "x"}
    path = tmp_path / "cassette.yaml"
    path.write_text(yaml.safe_dump({"version": 1, "about": about, "interactions": [interaction(URL, {})]}))
    (one,) = recorded(contract(SCHEMES["header"]), [path])
    assert isinstance(one, Judgement)
    assert [finding.code for finding in one.findings()] == ["auth-lost"]


@pytest.mark.parametrize(
    "text",
    [
        *(
            "REDACTED",
            "redacted",
            "Filtered",
            "censored",
            "dummy",
            "fake-key",
            "fake_token_1",
            "test-token",
            "your-api-key",
        ),
        *("<ID>", "<login>", "<<ACCESS_TOKEN>>", "[REMOVED]", "[filtered]", "(redacted)", "{{ token }}", "${TOKEN}"),
        *("%key%", "%%key%%", "__TOKEN__", "{token}", "**", "*****", "XXXX-1234", "xxxxxxxx", "sk-xxxxxxxx", "###"),
        *("***REDACTED***", "api_key_REDACTED", "Bearer [REDACTED]", "https://api.test/users/<LOGIN>?a=1"),
        *(
            "https://x.test/{{TENANT}}/y",
            "redacted@example.com",
            "XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX",
            "\u2022\u2022",
        ),
    ],
)
def test_placeholders(text: str) -> None:
    """What recorders are told to write is known by its form, or by its word."""
    assert is_placeholder(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "abc", "7", "2026-01-02", "{", "a-b", "true", "<a", "x=1", "longcat", "x", "*", "removed", "hidden"),
        *("redacted_thinking", "content_filter", "content_filtered", "secret", "example.com", "https://api.test/a?b=c"),
        *(
            "my-repository",
            "a.b.c",
            "--",
            "null",
            "[]",
            "6f1c-4abc",
            "token",
            "The file was removed.",
            "a" * 300 + "<ID>",
        ),
    ],
)
def test_what_is_no_placeholder(text: str) -> None:
    """Values that APIs have are none."""
    assert not is_placeholder(text)

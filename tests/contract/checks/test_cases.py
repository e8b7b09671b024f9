"""The table of cases: what the drift check makes of a spec and of what was seen, one sentence each.

Each file of `cases` has one topic and is a list of cases. A case says no more than it needs; all the rest is the frame:
one GET `/a` at https://api.example.com/v1, answered with 200 and JSON.

* `it`: the sentence.
* The spec: `schema` (of the answer), `operation` (in place of the GET), `paths` (in place of all), `components`,
  `openapi` (the version), `spec` (whatever else stands at its top), or `document` (the whole of it, as it is).
* `files`: other files beside the spec, each with its text or its value.
* What was seen: `seen`, or a list in `all_seen`: `method`, `url` or `path` (below the server), `request_headers`,
  `request` (JSON) or `request_text`, `status`, `headers`, `json` or `text` (with its `encoding`), `origin`, `intent`.
  Without `json` and `text` the body was not recorded. The same names at the top of a case stand for one exchange.
  Or `recording`: the `name` of a file with recorded traffic, and its `text`, as a text or as the value of its JSON, or
  a value for each of its `lines`.
* `server`: a list of URLs, as with `--server`.
* What comes of it: `finds`, a list of `code pointer`, or `finds_some` of them, and their `severities` and `places`;
  `untold` and `left_out`, each a list of what the reasons say; `refused`, what the error says that refuses the spec;
  `compared`, how many exchanges say anything about the contract; `verdict`, the exit code.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from attrs import frozen
from contract_file import read_yaml

from longcat.contract import Exchange, Severity, SpecError, load_spec
from longcat.contract.model import Inconclusive
from longcat.contract.reports.baseline import Baseline
from longcat.contract.reports.verdict import Tally, verdict
from longcat.contract.run import events, judged, recorded

CASES: Final = Path(__file__).parent / "cases"
SERVER: Final = "https://api.example.com/v1"
JSON: Final = {"content-type": "application/json"}


@frozen
class Case:
    """One line of the table."""

    topic: str
    facts: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The sentence."""
        return str(self.facts["it"])


def _cases() -> Iterator[Case]:
    for path in sorted(CASES.glob("*.yaml")):
        for facts in read_yaml(path):
            yield Case(path.stem, facts)


TABLE: Final = [*_cases()]


def _document(facts: Mapping[str, Any]) -> Any:
    if "document" in facts:
        return facts["document"]
    content = {"application/json": {"schema": facts["schema"]} if "schema" in facts else {}}
    operation = {"responses": {"200": {"description": "An answer.", "content": content}}}
    return {
        "openapi": facts.get("openapi", "3.1.0"),
        "info": {"title": "An API", "version": "1"},
        "servers": [{"url": SERVER}],
        "paths": facts.get("paths", {"/a": {"get": facts.get("operation", operation)}}),
        "components": facts.get("components", {}),
        **facts.get("spec", {}),
    }


def _body(facts: Mapping[str, Any], value: str, text: str) -> bytes | None:
    if value in facts:
        return json.dumps(facts[value]).encode()
    return str(facts[text]).encode(facts.get("encoding", "utf-8")) if text in facts else None


def _exchange(facts: Mapping[str, Any], number: int) -> Exchange:
    request = _body(facts, "request", "request_text")
    asked = JSON if request is not None and "request" in facts else {}
    return Exchange(
        method=facts.get("method", "GET"),
        url=facts.get("url", SERVER + facts.get("path", "/a")),
        request_headers={**asked, **facts.get("request_headers", {})},
        request_body=request,
        status_code=facts.get("status", 200),
        response_headers=facts.get("headers", JSON),
        response_body=_body(facts, "json", "text"),
        source=f"a case#{number}",
        origin=facts.get("origin", "unknown"),
        intent=facts.get("intent"),
    )


def _write(folder: Path, name: str, content: Any) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


def _recording(folder: Path, name: str, text: Any = None, lines: Iterable[Any] = ()) -> Path:
    return _write(folder, name, "\n".join(map(json.dumps, lines)) if text is None else text)


@pytest.mark.parametrize("case", [pytest.param(one, id=f"{one.topic}: {one.name}") for one in TABLE])
def test_case(case: Case, tmp_path: Path) -> None:
    """What the sentence says is so."""
    facts = case.facts
    for name, content in facts.get("files", {}).items():
        _write(tmp_path, name, content)
    path = _write(tmp_path, "openapi.json", _document(facts))
    if "refused" in facts:
        with pytest.raises(SpecError, match=facts["refused"]):
            load_spec(path)
        return
    spec, tally = load_spec(path).served_only_at(facts.get("server", ())), Tally()
    seen = facts.get("all_seen") or [facts.get("seen", facts)]
    observed = judged(spec, (_exchange(one, number) for number, one in enumerate(seen, 1)))
    if "recording" in facts:
        observed = recorded(spec, [_recording(tmp_path, **facts["recording"])])
    findings, severities, places, reasons = [], [], [], []
    for event in events(observed, Baseline(datetime.now(UTC).date()), tally):
        if isinstance(event, Inconclusive):
            reasons.append(event)
        else:
            findings += [f"{one.finding.code} {one.finding.pointer}".strip() for one in event.findings]
            severities += [one.finding.severity.value for one in event.findings]
            places += [one.finding.place for one in event.findings]
            reasons += event.gaps
    if "finds_some" in facts:
        assert set(facts["finds_some"]) <= set(findings)
    else:
        assert findings == facts.get("finds", []), reasons
    assert severities == facts.get("severities", severities)
    assert places == facts.get("places", places)
    for name, is_unclear in (("untold", True), ("left_out", False)):
        whys = [one.why for one in reasons if one.unclear is is_unclear]
        assert len(whys) == len(facts.get(name, ())), whys
        for words, why in zip(facts.get(name, ()), whys, strict=True):
            assert words in why
    assert tally.compared == facts.get("compared", tally.compared)
    if "verdict" in facts:
        assert verdict(tally, Severity.NOTICE) == facts["verdict"]


def test_every_sentence_stands_once() -> None:
    """No two cases have the same sentence."""
    sentences = [one.name for one in TABLE]
    assert len(set(sentences)) == len(sentences)

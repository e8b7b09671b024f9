"""What each report says of a run, that its format is what others read, and that nothing seen can break out of it."""

import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from attrs import evolve

from longcat.contract import CODES, Exchange, Finding, Origin, Severity, load_spec
from longcat.contract.model import Inconclusive
from longcat.contract.reports import FORMATS, SAYS_ALL, ReportContext
from longcat.contract.reports.findings import Accepted, JudgedFinding, fingerprint
from longcat.contract.reports.locations import line_finder
from longcat.contract.reports.verdict import Event, JudgedExchange, Tally, Verdict, summary, verdict
from longcat.text import printable

OPENAPI = Path(__file__).parents[3] / "openapi.yaml"
SPEC = load_spec(OPENAPI)
RULE = "/components/schemas/ProcessingStatus/properties/progress"
HOSTILE = "<script>alert(1)</script>|`x`|\x1b[31m\x00]]>&\"'\u202e\n# no heading ${{ secrets }} \ud800"


def exchange(source: str = "probe, no key", origin: Origin = "sandbox") -> Exchange:
    """Return an exchange."""
    return Exchange(
        method="POST",
        url="http://127.0.0.1:8000/longcat-image-request-result",
        request_headers={"content-type": "application/json"},
        request_body=b'{"request_id": "one"}',
        status_code=200,
        response_headers={"content-type": "application/json"},
        response_body=b'{"progress": "half"}',
        source=source,
        origin=origin,
    )


def finding(code: str = "field-type", severity: Severity = Severity.BREAKING, **more: Any) -> Finding:
    """Return a finding."""
    usual = {"operation": "get_request_result", "pointer": "/progress", "expected": "a number", "seen": '"half"'}
    return Finding(code=code, severity=severity, exchange=exchange(), rule=RULE, **(usual | more))


def judged(*findings: Finding, source: str = "probe, no key", origin: Origin = "sandbox") -> JudgedExchange:
    """Return an exchange with these findings."""
    seen = exchange(source, origin)
    return JudgedExchange(seen, tuple(JudgedFinding(evolve(one, exchange=seen)) for one in findings))


ACCEPTED = Accepted("The vendor was asked.", date(2030, 1, 31))
UNCLEAR = Inconclusive("get_request_result: no body", "no answer from http://127.0.0.1:8000: refused")
NOT_ASKED = Inconclusive("get_request_result: the request one", "no key was given", unclear=False)
RUN: tuple[Event, ...] = (
    judged(source="probe, a wrong key"),
    judged(finding("header-sunset", Severity.NOTICE, pointer="header:sunset", seen="soon")),
    judged(finding(), finding("field-unknown", Severity.ADDITIVE, pointer="/eta", expected="no such field")),
    judged(finding(seen='"more"'), source="probe, the request one"),
    JudgedExchange(exchange(), (JudgedFinding(finding("field-missing"), ACCEPTED),)),
    UNCLEAR,
    NOT_ASKED,
)


def report(kind: str, events: Iterable[Event] = RUN, fail_on: Severity = Severity.NOTICE, **more: Any) -> str:
    """Return a report of these events."""
    tally = Tally()

    def counted() -> Iterator[Event]:
        for event in events:
            tally.note(event)
            yield event

    context = ReportContext(
        **{
            "spec": SPEC,
            "spec_file": OPENAPI,
            "spec_name": "openapi.yaml",
            "subject": "http://127.0.0.1:8000",
            "fail_on": fail_on,
            "tally": tally,
            "started": datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC),
            **more,
        }
    )
    return "".join(FORMATS[kind](counted(), context))


def tallied(*events: Event) -> Tally:
    """Return the tally of these events."""
    tally = Tally()
    for event in events:
        tally.note(event)
    return tally


class TestVerdict:
    @pytest.mark.parametrize(
        ("events", "fail_on", "code"),
        [
            ([judged()], "notice", Verdict.KEPT),
            ([judged(finding())], "notice", Verdict.DRIFTED),
            ([judged(finding())], "breaking", Verdict.DRIFTED),
            ([judged(finding(severity=Severity.ADDITIVE))], "breaking", Verdict.KEPT),
            ([judged(finding(severity=Severity.ADDITIVE))], "additive", Verdict.DRIFTED),
            ([judged(finding(severity=Severity.NOTICE))], "additive", Verdict.KEPT),
            ([judged(finding(severity=Severity.NOTICE))], "notice", Verdict.DRIFTED),
            ([JudgedExchange(exchange(), (JudgedFinding(finding(), ACCEPTED),))], "notice", Verdict.KEPT),
            ([judged(), UNCLEAR], "notice", Verdict.UNCLEAR),
            ([judged(finding()), UNCLEAR], "notice", Verdict.DRIFTED),
            ([judged(finding(severity=Severity.NOTICE)), UNCLEAR], "breaking", Verdict.UNCLEAR),
            ([judged(), NOT_ASKED], "notice", Verdict.KEPT),
            ([NOT_ASKED], "notice", Verdict.UNCLEAR),
            ([], "notice", Verdict.UNCLEAR),
        ],
    )
    def test_table(self, events: list[Event], fail_on: str, code: Verdict) -> None:
        """Drift comes first, then what could not be told; what nobody gave the means for does not count."""
        assert code == verdict(tallied(*events), Severity(fail_on))

    def test_a_finding_keeps_its_fingerprint(self) -> None:
        """It is the same wherever and whenever it is seen, and another for another place."""
        assert fingerprint(finding()) == fingerprint(evolve(finding(seen="7"), exchange=exchange("elsewhere", "live")))
        assert fingerprint(finding()) != fingerprint(finding(pointer="/status"))

    def test_a_finding_is_as_bad_as_it_was_at_worst(self) -> None:
        """Where one kind is worse in another exchange, it counts once, as the worse."""
        mild, bad = finding(severity=Severity.ADDITIVE), finding(severity=Severity.BREAKING)
        for seen in ([judged(mild), judged(bad)], [judged(bad), judged(mild)], [judged(mild, bad)]):
            tally = tallied(*seen)
            assert (tally.found.total(), tally.found[Severity.BREAKING]) == (1, 1)
            assert verdict(tally, Severity.BREAKING) is Verdict.DRIFTED
            assert [one.finding.severity for one in tally.findings.values()] == [Severity.BREAKING]

    def test_the_size_of_a_tally_is_bounded(self) -> None:
        """However much could not be told, only the first of it is kept."""
        tally = tallied(*(evolve(UNCLEAR, why=f"{number}") for number in range(500)), *[UNCLEAR] * 500, NOT_ASKED)
        assert (tally.unclear, tally.left_out, len(tally.reasons)) == (1000, 1, 21)
        tally = tallied(*[UNCLEAR] * 1000)
        assert [(one.count, len(one.places)) for one in tally.reasons] == [(1000, 20)]

    @pytest.mark.parametrize(
        ("origin", "words"),
        [
            ("live", "the live service"),
            ("documentation", "the vendor's documentation"),
            ("sandbox", "our parts agree, never that the service does"),
            ("unknown", "a source that is not named"),
        ],
    )
    def test_evidence_is_named(self, origin: Origin, words: str) -> None:
        """Every summary says what it rests on."""
        assert words in " ".join(summary(tallied(judged(origin=origin)), Severity.NOTICE))


class TestEveryFormat:
    @pytest.mark.parametrize("kind", FORMATS)
    def test_names_every_finding(self, kind: str) -> None:
        """Each code is in it, and so is the place."""
        text = report(kind)
        for code in ("field-type", "field-unknown", "header-sunset", "field-missing"):
            assert re.search(code.replace("-", ".{1,6}"), text), code
        assert "/eta" in text.replace("&#47;", "/")

    @pytest.mark.parametrize("kind", FORMATS)
    def test_says_what_it_rests_on(self, kind: str) -> None:
        """No report lets a reader take the sandbox for the service."""
        assert "never that the service does" in report(kind)

    @pytest.mark.parametrize("kind", sorted(SAYS_ALL | {"junit", "sarif"}))
    def test_says_what_is_missing(self, kind: str) -> None:
        """What could not be told and what was not asked are named with their reasons."""
        text = report(kind)
        assert "refused" in text
        assert "key was given" in text

    @pytest.mark.parametrize("kind", FORMATS)
    def test_without_events(self, kind: str) -> None:
        """A run that judged nothing has a report as well."""
        assert "DOCTYPE" in report(kind, []) if kind == "html" else report(kind, []) is not None

    @pytest.mark.parametrize("kind", FORMATS)
    def test_hostile_values(self, kind: str) -> None:
        """What a gateway sends can't run, colour a terminal, end a cell or a comment, or make a file unreadable."""
        hostile = finding(HOSTILE, pointer=HOSTILE, expected=HOSTILE, seen=HOSTILE, operation=HOSTILE)
        text = report(kind, [judged(hostile, source=HOSTILE), Inconclusive(HOSTILE, HOSTILE)], subject=HOSTILE)
        text.encode()
        assert not set("\x1b\x00\u202e") & set(text)
        assert "<script>" not in text or kind in {"table", "json", "sarif", "github"}
        assert "\n# no heading" not in text


class TestTable:
    def test_in_plain_lines(self) -> None:
        """The worst comes first, each with what was expected, seen, and where."""
        assert report("table").startswith(
            "breaking  field-type  get_request_result /progress\n"
            "    expected  a number\n"
            '    seen      "half"\n'
            "    in        probe, no key; probe, the request one\n"
        )

    def test_ends_with_the_summary(self) -> None:
        """Counts, evidence and what to do next."""
        assert report("table").endswith(
            "Drift: 3 findings (1 breaking, 1 additive, 1 notice), seen 4 times.\n"
            "1 thing could not be told.\n"
            "Evidence: 5 exchanges from the sandbox, which proves that our parts agree, never that the service does.\n"
            "The baseline accepts 1 more finding.\n"
            "1 thing was left out.\n"
            "`longcat contract explain field-type` says what the first of them means.\n"
        )

    def test_on_a_terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing is told by colour alone."""
        monkeypatch.setenv("NO_COLOR", "1")
        monkeypatch.setenv("COLUMNS", "200")
        text = re.sub(r"\x1b\[[0-9;]*m", "", report("table", terminal=True))
        assert "│ breaking" in text
        assert "accepted until 2030-01-31" in text


class TestJson:
    def test_is_one_finding_a_line(self) -> None:
        """Accepted ones are among them, and marked."""
        lines = [json.loads(line) for line in report("json").splitlines()]
        assert [(line["code"], line["severity"], line["count"], bool(line["accepted"])) for line in lines] == [
            ("field-type", "breaking", 2, False),
            ("field-unknown", "additive", 1, False),
            ("header-sunset", "notice", 1, False),
            ("field-missing", "breaking", 1, True),
        ]
        assert lines[0]["exchange"]["response_body"] == '{"progress": "half"}'
        assert {tuple(line) for line in lines} == {tuple(lines[0])}


class TestJunit:
    def test_structure(self) -> None:
        """The counts agree with the cases, each of which has one outcome at most, as the common schema wants."""
        root = ET.fromstring(report("junit"))  # noqa: S314 - our own.
        (suite,) = root
        cases = suite.findall("testcase")
        kinds = [[child.tag for child in case] for case in cases]
        assert (root.tag, suite.tag) == ("testsuites", "testsuite")
        assert [child.tag for child in suite] == ["properties", *["testcase"] * 7, "system-out", "system-err"]
        assert kinds == [[], ["failure"], ["failure"], ["failure"], [], ["error"], ["skipped"]]
        assert [suite.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["7", "3", "1", "1"]
        assert all(case.get("name") and case.get("classname") and case.get("time") for case in cases)
        assert {"name", "timestamp", "hostname", "tests", "failures", "errors", "time"} <= set(suite.keys())

    def test_a_case_has_all_findings_of_its_exchange(self) -> None:
        """One failure, with a line for each."""
        failure = ET.fromstring(report("junit")).findall(".//failure")[1]  # noqa: S314
        assert failure.get("type") == "field-type, field-unknown"
        assert len((failure.text or "").splitlines()) == 2


class TestSarif:
    def test_a_finding_stands_where_its_rule_does(self) -> None:
        """In the contract's file, on the line of the rule."""
        results = json.loads(report("sarif"))["runs"][0]["results"]
        place = results[0]["locations"][0]["physicalLocation"]
        line = OPENAPI.read_text("utf-8").splitlines()[place["region"]["startLine"] - 1]
        assert place["artifactLocation"]["uri"] == "openapi.yaml"
        assert line == "        progress:"

    def test_findings_of_a_kind_are_one_result(self) -> None:
        """With a count, a stable name, and the level of its severity."""
        run = json.loads(report("sarif"))["runs"][0]
        results = {result["ruleId"]: result for result in run["results"]}
        assert results["field-type"]["occurrenceCount"] == 2
        assert {name: result["level"] for name, result in results.items()} == {
            "field-type": "error",
            "field-missing": "error",
            "field-unknown": "warning",
            "header-sunset": "note",
        }
        assert results["field-type"]["partialFingerprints"] == {"longcatContract/v2": fingerprint(finding())}
        assert results["field-missing"]["suppressions"][0]["kind"] == "external"
        assert "suppressions" not in results["field-type"]

    def test_rules_are_the_table_of_codes(self) -> None:
        """Each result points to its rule."""
        run = json.loads(report("sarif"))["runs"][0]
        rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
        assert list(CODES) == rules[: len(CODES)]
        assert [rules[result["ruleIndex"]] for result in run["results"]] == [one["ruleId"] for one in run["results"]]

    def test_what_could_not_be_told(self) -> None:
        """The run was not successful, and says why, at the operation that it is about or at the contract's start."""
        gap = Inconclusive("a.har#1", "it is XML", operation="get_request_result")
        (invocation,) = json.loads(report("sarif", [*RUN, gap]))["runs"][0]["invocations"]
        assert (invocation["executionSuccessful"], invocation["exitCode"]) == (False, 1)
        told = invocation["toolExecutionNotifications"]
        assert [one["level"] for one in told] == ["error", "note", "error"]
        places = [place["physicalLocation"] for one in told for place in one["locations"]]
        lines = OPENAPI.read_text("utf-8").splitlines()
        at = [lines[place["region"]["startLine"] - 1].strip() for place in places]
        assert (at[0][:1], at[1][:1], at[2]) == ("#", "#", "post:")

    def test_every_result_has_a_place(self) -> None:
        """Where the contract has no place for a finding, it is the start of the file, whose name is a valid address."""
        nowhere = [judged(evolve(finding(), rule=rule)) for rule in ("", "/no/such/place")]
        (run,) = json.loads(report("sarif", nowhere, spec_name="my specs/ü.yaml"))["runs"]
        assert [one["location"]["uri"] for one in run["artifacts"]] == ["my%20specs/%C3%BC.yaml"]
        places = [one["locations"][0]["physicalLocation"] for one in run["results"]]
        assert [place["region"]["startLine"] for place in places] == [1, 1]
        assert {place["artifactLocation"]["uri"] for place in places} == {"my%20specs/%C3%BC.yaml"}


class TestLines:
    @pytest.mark.parametrize(
        ("pointer", "begins"),
        [
            ("", "#"),
            ("/components/schemas/Error/properties/error", "        error:"),
            ("/components/schemas/Error/no/such/place", "    Error:"),
            ("/paths/~1longcat-image-request-result/post/responses/404", '        "404":'),
            ("/servers/0/url", "  - url:"),
        ],
    )
    def test_of_the_contract(self, pointer: str, begins: str) -> None:
        """A pointer leads to its line, or to that of the nearest parent."""
        line = line_finder(OPENAPI)(pointer)
        assert OPENAPI.read_text("utf-8").splitlines()[line - 1].startswith(begins)

    @pytest.mark.parametrize("text", ["{", "a: [", "", "\x00"])
    def test_of_a_file_that_is_no_document(self, text: str, tmp_path: Path) -> None:
        """It has one line."""
        (tmp_path / "spec.yaml").write_text(text)
        assert line_finder(tmp_path / "spec.yaml")("/a/b") == 1
        assert line_finder(tmp_path / "missing.yaml")("/a/b") == 1


class TestLinesOfJson:
    TEXT = '{"a":\r\n {"b/c": [1,\n{"d": "x\\"}"}], "e": {}\n, "f": [[],\n\n[2]]}}\n'

    @pytest.mark.parametrize(
        ("pointer", "line"),
        [("", 1), ("/a", 1), ("/a/b~1c", 2), ("/a/b~1c/1", 3), ("/a/b~1c/1/d", 3), ("/a/f/1/0", 6), ("/a/f/7/x", 4)],
    )
    def test_of_a_place(self, tmp_path: Path, pointer: str, line: int) -> None:
        """It is found without the rest being read, as in YAML."""
        (tmp_path / "spec.json").write_bytes(self.TEXT.encode())
        assert line_finder(tmp_path / "spec.json")(pointer) == line

    @pytest.mark.parametrize("text", ['{"a": {},\n"a":\n{"b": 1}}', "a: {}\na:\n  b: 1\n"])
    def test_of_a_name_that_stands_twice(self, tmp_path: Path, text: str) -> None:
        """The last one counts, as when it is judged by."""
        (tmp_path / "spec").write_text(text)
        assert [line_finder(tmp_path / "spec")(pointer) for pointer in ("/a", "/a/b")] == [2, 3]

    def test_of_yaml_that_looks_like_json(self, tmp_path: Path) -> None:
        """It is read as YAML."""
        (tmp_path / "spec.yaml").write_text("{a: 1,\n b: {c: 2}}\n")
        assert line_finder(tmp_path / "spec.yaml")("/b/c") == 2


class TestGithub:
    def test_a_finding_is_an_annotation_of_its_line(self) -> None:
        """An error, a warning or a notice, by its severity; what is accepted is in the log alone."""
        lines = report("github").splitlines()
        commands = [line for line in lines if line.startswith("::")]
        assert [line.partition(" ")[0] for line in commands] == ["::error", "::warning", "::notice", "::notice"]
        match = re.fullmatch(
            r"::error file=openapi\.yaml,line=([0-9]+),title=field-type%3A get_request_result /progress::"
            r'Expected: a number%0ASeen: "half"%0A2 times in 2 exchanges of POST.*',
            commands[0],
        )
        assert match is not None
        assert OPENAPI.read_text("utf-8").splitlines()[int(match[1]) - 1] == "        progress:"
        assert any(line.startswith("longcat: accepted until 2030-01-31  field-missing") for line in lines)

    def test_names_are_relative_to_the_repository(self) -> None:
        """Wherever in it the check runs."""
        assert "file=openapi.yaml,line=" in report("github", spec_name="x", root=OPENAPI.parent)
        assert f"file={OPENAPI.parent.name}/openapi.yaml,line=" in report("github", root=OPENAPI.parents[1])
        assert "file=x,line=" in report("github", spec_name="x", root=OPENAPI.parent / "docs")

    def test_their_number_is_bounded(self) -> None:
        """GitHub shows ten of a kind: the tenth says how many more there are, and they are in the log."""
        many = [judged(finding(pointer=f"/{number}")) for number in range(500)]
        lines = report("github", many).splitlines()
        errors = [line for line in lines if line.startswith("::error")]
        assert len(errors) == 10
        assert "title=491 more::491 more like these" in errors[-1]
        assert len(lines) < 250

    @pytest.mark.parametrize(
        "hostile", ["\n::set-env name=A::b", "\r::error::x", "##[error]x", "%0A::error::x", "a,b:c::d"]
    )
    def test_nothing_seen_is_a_command(self, hostile: str) -> None:
        """No line begins with a command that is not ours, no property ends early, and nothing is unescaped into one."""
        evil = finding(pointer=hostile, seen=hostile, expected=hostile, operation=hostile)
        accepted = JudgedFinding(evil, Accepted(hostile, date(2030, 1, 31)))
        run: list[Event] = [judged(evil, source=hostile), JudgedExchange(exchange(hostile), (accepted,))]
        run.append(Inconclusive(hostile, hostile))
        lines = report("github", run, subject=hostile, spec_name=hostile).splitlines()
        ours = re.compile(r"(::(error|notice) file=[^,:]*,line=[0-9]+,title=[^,:]*::|longcat: )")
        assert [line for line in lines if not ours.match(line) or "##[" in line] == []
        commands = [line for line in lines if line.startswith("::")]
        assert len(commands) == 2
        assert not any("%0A::" in line for line in commands)

    def test_a_message_is_bounded(self) -> None:
        """However long what was seen is."""
        long = finding(pointer="/x" * 5000, seen="y" * 5000, expected="z" * 5000)
        assert max(map(len, report("github", [judged(long, source="s" * 5000)]).splitlines())) < 2000


class TestMarkdown:
    def test_a_hostile_value_stays_in_its_cell(self) -> None:
        """Every row has as many cells as the head, whatever was seen."""
        text = report("markdown", [judged(finding(seen=HOSTILE, expected=HOSTILE))])
        rows = [line for line in text.splitlines() if line.startswith("|")]
        assert len(rows) == 3
        assert {8} == {len(re.findall(r"(?<!\\)\|", row)) - 1 + 2 for row in rows}
        assert "`x`" not in rows[2].replace("\\`", "")

    def test_it_fits_the_summary_of_a_job(self) -> None:
        """However many kinds of findings there are."""
        many = [judged(finding(pointer=f"/{number}")) for number in range(5000)]
        text = report("markdown", many)
        assert len(text.encode()) < 1024 * 1024
        assert "4800 more kinds of findings" in text


class Page(HTMLParser):
    """Reads a page, and notes what it would load or run, and which elements stay open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "meta":
            self.open.append(tag)
        if tag in {"script", "link", "img", "iframe", "a"}:
            self.loads.append(tag)
        self.loads += [name for name, _ in attrs if name.startswith("on") or name in {"src", "href"}]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


class TestHtml:
    @pytest.mark.parametrize("seen", ['"half"', HOSTILE])
    def test_loads_and_runs_nothing(self, seen: str) -> None:
        """One page, closed in itself, and what was seen is text."""
        page = Page(report("html", [judged(finding(seen=seen), source=seen), Inconclusive(seen, seen)], subject=seen))
        assert (page.loads, page.open) == ([], [])
        assert printable(seen) in page.words

    def test_says_how_it_ended(self) -> None:
        """In words, not only in a colour."""
        assert "Drift" in Page(report("html")).words
        assert "It agrees" in Page(report("html", [judged()])).words
        assert "Could not tell" in Page(report("html", [UNCLEAR])).words

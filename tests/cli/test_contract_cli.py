"""`longcat contract`: what each command prints, what it leaves behind, and its exit code."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from attrs import field, frozen
from processes import Process, run_code
from secret_forms import FORMS, HEX_KEY, ODD_KEY
from servers import Server, answer, response

from longcat.cli.contract import arguments as contract
from longcat.cli.run import run as main
from longcat.contract import CODES, Code, Finding, Severity, load_spec, reports
from longcat.contract.model import Exchange
from longcat.contract.traffic.recordings import provenance, read
from longcat.sandbox import EXAMPLE_ID, EXAMPLE_KEY, Fault, Settings, running
from longcat.sandbox.state import EXAMPLE_QUEUE_ID

ROOT = Path(__file__).parents[2]
OPENAPI = ROOT / "openapi.yaml"
WITH_KEY = ("--api-key", EXAMPLE_KEY, "--request-id", EXAMPLE_ID, "--request-id", EXAMPLE_QUEUE_ID)
ASKED = 29
"""How many exchanges come of a probe with these."""
DRIFTED = "deprecation"
"""A drift of the sandbox that is a notice."""
NOWHERE = "http://127.0.0.1:1"


@frozen
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def _nobodys_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep this machine's key, base URL and files out of the tests."""
    for name in ("PIXAZO_API_KEY", "LONGCAT_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs a command of `longcat contract`."""

    def run(*arguments: object) -> Outcome:
        try:
            code = main(["contract", *map(str, arguments)])
        except SystemExit as exit_:
            code = int(exit_.code or 0)
        return Outcome(code, *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def sandbox() -> Iterator[str]:
    """Serve an honest sandbox whose request is done."""
    with running(Settings(duration=0)) as url:
        yield url


@pytest.fixture(scope="module")
def drifted() -> Iterator[str]:
    """Serve a sandbox with a drift."""
    with running(Settings(duration=0, drifts=(DRIFTED,))) as url:
        yield url


@pytest.fixture
def recording(run: Run, sandbox: str, tmp_path: Path) -> Path:
    """Return a folder of cassettes of the honest sandbox."""
    folder = tmp_path / "recorded"
    run("record", "--base-url", sandbox, *WITH_KEY, "--output", folder, "--origin", "sandbox", "--yes")
    return folder


class TestProbe:
    def test_of_an_honest_gateway(self, run: Run, sandbox: str) -> None:
        """Nothing is found, and what that rests on is said."""
        done = run("probe", "--base-url", sandbox, *WITH_KEY)
        assert done == Outcome(
            0,
            "Left out:\n"
            "  The contract does not say that asking changes nothing (by a safe method, or by x-safe: true): "
            "submit_request: every question with the key.\n\n"
            "No drift was found.\n"
            f"Evidence: {ASKED} exchanges from the sandbox, which proves that our parts agree, "
            "never that the service does.\n"
            "16 of 16 bodies were read and compared: get_request_result 10 of 10, get_request_status 4 of 4, "
            "submit_request 2 of 2.\n"
            "1 thing was left out.\n",
            "",
        )

    def test_without_a_key(self, run: Run, sandbox: str) -> None:
        """The keyless questions are asked; what could not be asked is named, and is no failure."""
        done = run("probe", "--base-url", sandbox)
        assert done.code == 0
        assert "No key was given: get_request_result: an unknown request; get_request_result: no body;" in done.out
        assert (
            "No request id was given (--request-id): get_request_result: a request that exists; "
            "get_request_status: a request that exists.\n" in done.out
        )
        assert "19 exchanges" in done.out

    def test_about_some_operations(self, run: Run, sandbox: str) -> None:
        """Only those that are named are asked about."""
        chosen = ("--operation", "get_request_result", "--operation", "get_request_status")
        done = run("probe", "--base-url", sandbox, *WITH_KEY, *chosen)
        assert (done.code, "submit_request" in done.out) == (0, False)
        assert f"Evidence: {ASKED - 6} exchanges" in done.out

    @pytest.mark.parametrize("where", ["argument", "environment", "file"])
    def test_where_the_key_comes_from(
        self, run: Run, sandbox: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, where: str
    ) -> None:
        """The argument, the variable, or the file."""
        arguments: tuple[str, ...] = ()
        if where == "argument":
            arguments = ("--api-key", EXAMPLE_KEY)
        elif where == "environment":
            monkeypatch.setenv("PIXAZO_API_KEY", EXAMPLE_KEY)
        else:
            (tmp_path / "home" / ".pixazo").mkdir(parents=True)
            (tmp_path / "home" / ".pixazo" / "api-key").write_text(f"{EXAMPLE_KEY}\n")
        done = run("probe", "--base-url", sandbox, *arguments)
        assert (done.code, "No key was given" in done.out) == (0, False)

    def test_of_a_gateway_that_drifted(self, run: Run, drifted: str) -> None:
        """The finding is told, and the exit code is 1."""
        done = run("probe", "--base-url", drifted, *WITH_KEY)
        assert done.code == 1
        assert done.out.startswith("notice  deprecated  ")
        assert "get_request_result header:deprecation" in done.out
        assert "longcat contract explain deprecated" in done.out

    def test_what_fails_can_be_chosen(self, run: Run, drifted: str) -> None:
        """A finding that is milder than --fail-on is told and does not fail."""
        done = run("probe", "--base-url", drifted, *WITH_KEY, "--fail-on", "additive")
        assert done.code == 0
        assert "none as bad as --fail-on additive" in done.out

    @pytest.mark.parametrize("arguments", [(), WITH_KEY], ids=["keyless", "with a key"])
    def test_of_a_gateway_that_is_gone(self, run: Run, arguments: tuple[str, ...]) -> None:
        """It could not be told; each reason is named once, without a traceback."""
        done = run("probe", "--base-url", NOWHERE, *arguments)
        assert (done.code, done.err) == (3, "")
        assert f"  No answer from {NOWHERE}: [Errno 111] Connection refused: submit_request: no key;" in done.out
        assert done.out.count("No answer from") == 1
        assert "this rests on no evidence" in done.out

    def test_of_an_outage(self, run: Run) -> None:
        """Partly asked is not told, unless drift was found."""
        with running(Settings(faults=(Fault("cdn-522", None),))) as url:
            done = run("probe", "--base-url", url, *WITH_KEY)
        assert done.code == 3
        assert f"HTTP 522: the gateway did not answer: get_request_result: the request {EXAMPLE_ID}" in done.out
        with running(Settings(faults=(Fault("cdn-522", None),), drifts=(DRIFTED,))) as url:
            assert run("probe", "--base-url", url, *WITH_KEY).code == 1

    def test_of_nothing_but_429(self, run: Run) -> None:
        """The patience is bounded."""
        with running(Settings(duration=0, faults=(Fault("rate-limit", None, 60),))) as url:
            done = run("probe", "--base-url", url, *WITH_KEY)
        assert done.code == 3
        assert "wants to be left alone for 60 s: longer than the probe may wait" in done.out

    @pytest.mark.parametrize(
        ("arguments", "complaint"),
        [
            (("--base-url", "ftp://a.test"), "The base URL"),
            (("--api-key", "two words"), "can't be sent"),
            (("--request-id", " "), "request id"),
            (("--timeout", "0"), "--timeout is a number of seconds from 0.001 to 3600, not 0."),
            (("--pause", "nan"), "--pause is a number"),
            (("--patience", "-1"), "--patience is a number"),
            (("--spec", "gone.yaml"), "The spec gone.yaml can't be read"),
            (("--baseline", "gone.toml"), "The baseline gone.toml can't be read"),
            (("--update-baseline", "why"), "--update-baseline needs a reason, and --baseline FILE"),
            (("--output", "no/such/folder/report"), "No such file or directory"),
            (("--format", "yaml"), "invalid choice"),
            (("--fail-on", "never"), "invalid choice"),
            (
                ("--operation", "submit"),
                'There is no operation "submit". The contract has: submit_request, get_request_result,',
            ),
        ],
    )
    def test_used_wrongly(self, run: Run, arguments: tuple[str, ...], complaint: str) -> None:
        """One paragraph, exit code 2, and nothing is sent."""
        done = run("probe", "--base-url", NOWHERE, *arguments)
        assert (done.code, done.out) == (2, "")
        assert complaint in done.err
        assert "Traceback" not in done.err

    @pytest.mark.parametrize("text", ["openapi: [", "hello", "swagger: '2.0'", "", "\x00"])
    def test_a_spec_that_is_not_valid(self, run: Run, tmp_path: Path, text: str) -> None:
        """It is named, and nothing is sent."""
        (tmp_path / "spec.yaml").write_text(text)
        done = run("probe", "--base-url", NOWHERE, "--spec", "spec.yaml")
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith("longcat: The spec spec.yaml")
        assert len(done.err.splitlines()) == 1


class TestFormats:
    def test_json(self, run: Run, drifted: str) -> None:
        """One finding a line on stdout; the summary goes to stderr."""
        done = run("probe", "--base-url", drifted, *WITH_KEY, "--format", "json")
        lines = [json.loads(line) for line in done.out.splitlines()]
        assert {"deprecated"} == {line["code"] for line in lines}
        assert "longcat: Drift:" in done.err
        assert EXAMPLE_KEY not in done.out

    @pytest.mark.parametrize(
        ("kind", "reads"),
        [("junit", ET.fromstring), ("sarif", json.loads), ("markdown", str), ("html", str), ("table", str)],
    )
    def test_into_a_file(self, run: Run, drifted: str, tmp_path: Path, kind: str, reads: Callable[[str], Any]) -> None:
        """The report goes there, what it came to goes to stderr, and stdout stays empty."""
        done = run("probe", "--base-url", drifted, *WITH_KEY, "--format", kind, "--output", "report")
        text = (tmp_path / "report").read_text("utf-8")
        assert (done.code, done.out) == (1, "")
        assert "never that the service does" in done.err
        assert "deprecated" in text
        assert EXAMPLE_KEY not in text
        assert reads(text) is not None

    @pytest.mark.parametrize("where", ["packaged", "named", "here"])
    def test_sarif_points_into_the_contract(
        self, run: Run, drifted: str, monkeypatch: pytest.MonkeyPatch, where: str
    ) -> None:
        """Into the file that was named, or the checkout's own, or the one that came with longcat."""
        arguments = ("--spec", OPENAPI) if where == "named" else ()
        if where == "here":
            monkeypatch.chdir(ROOT)
        done = run("probe", "--base-url", drifted, "--format", "sarif", *arguments)
        (artifact,) = json.loads(done.out)["runs"][0]["artifacts"]
        names = {"packaged": "longcat_api/openapi.json", "named": "openapi.yaml", "here": "openapi.yaml"}
        assert artifact["location"]["uri"] == names[where]


class TestBaseline:
    def test_accepts(self, run: Run, drifted: str, tmp_path: Path) -> None:
        """What is found is accepted from then on, until it expires; the rest is not."""
        probe = ("probe", "--base-url", drifted, *WITH_KEY, "--baseline", "known.toml")
        first = run(*probe, "--update-baseline", "The vendor was asked.")
        assert first.code == 0
        assert "known.toml accepts what was found" in first.err
        second = run(*probe)
        assert second.code == 0
        assert "No drift was found.\n" in second.out
        assert "The baseline accepts" in second.out
        text = (tmp_path / "known.toml").read_text()
        (tmp_path / "known.toml").write_text(text.replace("expires = 2", "expires = 1"))
        expired = run(*probe)
        assert expired.code == 1
        assert "expired on" in expired.out

    def test_is_added_to(self, run: Run, drifted: str, tmp_path: Path) -> None:
        """What stands in the file stays, with its comments."""
        (tmp_path / "known.toml").write_text("# Ours.\n")
        run("probe", "--base-url", drifted, "--baseline", "known.toml", "--update-baseline", "Known.")
        assert (tmp_path / "known.toml").read_text().startswith('# Ours.\n\n[[accept]]\ncode = "deprecated"\n')


class TestCheck:
    def test_of_what_was_recorded(self, run: Run, recording: Path) -> None:
        """A recording is judged like a probe."""
        done = run("check", recording)
        assert done.code == 0
        assert f"{ASKED} exchanges from the sandbox" in done.out

    def test_of_what_is_broken(self, run: Run, recording: Path, tmp_path: Path) -> None:
        """What can't be read is named, does not end the run, and makes the end unclear."""
        (recording / "broken.yaml").write_text("interactions: [")
        (tmp_path / "empty.har").write_text("")
        done = run("check", recording, "empty.har")
        assert done.code == 3
        assert "broken.yaml" in done.out
        assert "empty.har" in done.out
        assert f"{ASKED} exchanges from the sandbox" in done.out

    def test_of_drift(self, run: Run, recording: Path) -> None:
        """Drift counts for more than what can't be read."""
        (recording / "broken.yaml").write_text("interactions: [")
        path = next(recording.glob("get_request_result-the-request*"))
        path.write_text(path.read_text().replace('"result_url"', '"resultUrl"'))
        done = run("check", recording)
        assert done.code == 1
        assert "resultUrl" in done.out

    def test_of_what_is_not_of_this_contract(self, run: Run, tmp_path: Path) -> None:
        """Other hosts' traffic is left out, and said so; with nothing else, nothing could be told."""
        entry = {
            "request": {"method": "GET", "url": "https://fonts.test/a.woff", "headers": []},
            "response": {"status": 200, "headers": [], "content": {"text": "x"}},
        }
        (tmp_path / "a.har").write_text(json.dumps({"log": {"entries": [entry]}}))
        done = run("check", "a.har")
        assert done.code == 3
        assert "Not of this contract" in done.out

    def test_of_an_empty_folder(self, run: Run, tmp_path: Path) -> None:
        """Nothing to judge is not "no drift"."""
        (tmp_path / "cassettes").mkdir()
        assert run("check").code == 3

    def test_of_nothing(self, run: Run) -> None:
        """A path that is not there is a mistake."""
        done = run("check", "gone")
        assert (done.code, done.err) == (2, "longcat: There is no file or folder gone. Name recorded traffic.\n")

    def test_of_a_429_in_its_documented_form(self, run: Run, recording: Path) -> None:
        """To a probe it says nothing; as a recording, it agrees with the contract."""
        path = next(recording.glob("get_request_result-an-unknown-request*"))
        path.write_text(path.read_text().replace("code: 404", "code: 429"))
        assert run("check", path).code == 0

    def test_as_it_goes(self, run: Run, recording: Path, tmp_path: Path) -> None:
        """Two hundred exchanges are told as one finding, with how often it was seen, in JSON as well."""
        path = next(recording.glob("get_request_result-the-request*"))
        head, _, one = path.read_text().partition("interactions:\n")
        (tmp_path / "many.yaml").write_text(f"{head}interactions:\n{one.replace('result_url', 'resultUrl') * 200}")
        assert "; and 197 more\n" in run("check", "many.yaml").out
        (line,) = run("check", "many.yaml", "--format", "json").out.splitlines()
        assert (json.loads(line)["count"], len(json.loads(line)["examples"])) == (200, 3)


class TestRecord:
    def test_says_what_it_will_send(self, run: Run, tmp_path: Path) -> None:
        """A dry run sends nothing and writes nothing."""
        arguments = ("--base-url", NOWHERE, *WITH_KEY, "--output", "kept", "--origin", "sandbox")
        done = run("record", *arguments, "--dry-run")
        assert done.code == 0
        assert f"longcat contract record sends these {ASKED} questions to {NOWHERE}, one at a time:\n" in done.err
        assert "  POST /longcat-image-request-result with the key and no body\n" in done.err
        assert "12 of them carry the key. The answers go to kept, without secrets." in done.err
        assert EXAMPLE_KEY not in done.err
        assert list(tmp_path.iterdir()) == []

    def test_each_operation_at_its_own_server(self, run: Run) -> None:
        """Without a base URL, those of the contract are asked, each about what it answers for."""
        done = run("record", *WITH_KEY, "--output", "kept", "--origin", "live", "--dry-run")
        assert done.code == 0
        announced = [line.split() for line in done.err.splitlines() if line.startswith("longcat contract")]
        assert [(line[5], line[8]) for line in announced] == [
            ("15", "https://gateway.pixazo.ai,"),
            ("15", "https://gateway-falai-automate.appypie.workers.dev,"),
        ]
        assert run("record", *WITH_KEY, "--output", "kept", "--origin", "sandbox", "--dry-run").code == 2

    def test_the_command_is_kept(self, run: Run, sandbox: str, tmp_path: Path) -> None:
        """A cassette says by which command it was recorded, chosen operations included."""
        chosen = ("--operation", "get_request_status", "--output", "kept", "--origin", "sandbox", "--yes")
        assert run("record", "--base-url", sandbox, *chosen).code == 0
        facts = [provenance(path) for path in sorted((tmp_path / "kept").iterdir())]
        words = f"longcat contract record --base-url {sandbox} --origin sandbox --output kept"
        assert {fact.command for fact in facts} == {  # type: ignore[union-attr]
            f"{words} --operation get_request_status"
        }

    def test_asks_first(self, run: Run, tmp_path: Path) -> None:
        """Without a yes nothing is sent."""
        done = run("record", "--base-url", NOWHERE, "--output", "kept", "--origin", "sandbox")
        assert done.code == 2
        assert done.err.endswith("longcat: Nothing was sent. Pass --yes to send it.\n")
        assert not (tmp_path / "kept").exists()

    def test_writes_a_cassette_for_each_answer(self, recording: Path) -> None:
        """Each says where it comes from, and none holds the key."""
        paths = sorted(recording.iterdir())
        assert len(paths) == ASKED
        for path in paths:
            facts = provenance(path)
            assert (facts.origin, facts.spec) == ("sandbox", load_spec().digest)  # type: ignore[union-attr]
            assert EXAMPLE_KEY not in path.read_text()
            (exchange,) = read(path, ["Ocp-Apim-Subscription-Key"])
            assert isinstance(exchange, Exchange)

    @pytest.mark.parametrize("key", [HEX_KEY, ODD_KEY])
    def test_keeps_the_key_in_no_form(self, run: Run, tmp_path: Path, key: str) -> None:
        """A gateway that answers with the key, also where it was not sent, leaves nothing of it in cassettes or output.

        What was recorded is judged like other recordings: each body is the JSON that it was.
        """
        forms = {form: write(key) for form, write in FORMS.items()}
        body = json.dumps({"error": "unauthorized", "echo": [key, forms], key: 1}).encode()
        lines = [f"X-Echo: {text}" for text in forms.values() if "\n" not in text]
        reply = response(body, "Content-Type: application/json", *lines, status="401 No")
        with Server(*[[answer(lambda _: reply)]] * 60) as server:
            arguments = ("--api-key", key, "--request-id", EXAMPLE_ID, "--operation", "get_request_result")
            output = ("--base-url", server.url, "--output", "kept", "--origin", "sandbox", "--yes")
            done = run("record", *arguments, *output)
        paths = [*(tmp_path / "kept").iterdir()]
        shown = done.out + done.err + "".join(path.read_text() for path in paths)
        assert [
            half for half in (key[:6], key[-6:], forms["percent"][:12], forms["base64 after 0"][2:10]) if half in shown
        ] == []
        exchanges = [one for one in read(tmp_path / "kept", ["Ocp-Apim-Subscription-Key"]) if isinstance(one, Exchange)]
        assert {len(json.loads(one.response_body or b"")["echo"][1]) for one in exchanges} == {len(forms)}
        assert (len(exchanges), len(exchanges) > 5) == (len(paths), True)
        assert run("check", "kept").code == 1

    def test_asks_about_no_id_that_holds_the_key(self, run: Run) -> None:
        """An id goes into addresses and names of files."""
        where = ("--base-url", NOWHERE, "--output", "kept", "--origin", "sandbox", "--yes")
        done = run("record", "--api-key", HEX_KEY, "--request-id", f"r-{HEX_KEY}", *where)
        assert (done.code, HEX_KEY in done.err) == (2, False)
        assert "The request id holds the key" in done.err

    def test_replaces_nothing_unasked(self, run: Run, recording: Path, sandbox: str) -> None:
        """Only with --force."""
        again = ("record", "--base-url", sandbox, "--output", recording, "--origin", "sandbox", "--yes")
        assert run(*again).code == 2
        assert run(*again, "--force").code == 0

    @pytest.mark.parametrize(("base_url", "origin"), [(NOWHERE, "live"), (load_spec().server, "sandbox")])
    def test_the_origin_must_be_true(self, run: Run, base_url: str, origin: str) -> None:
        """Evidence is only as good as its label."""
        done = run("record", "--base-url", base_url, "--output", "kept", "--origin", origin, "--yes")
        assert done.code == 2
        assert "Pass --origin" in done.err

    def test_a_gateway_that_is_gone(self, run: Run, tmp_path: Path) -> None:
        """What could not be recorded is named."""
        done = run("record", "--base-url", NOWHERE, "--output", "kept", "--origin", "sandbox", "--yes")
        assert (done.code, list((tmp_path / "kept").iterdir())) == (3, [])
        assert f"no answer from {NOWHERE}" in done.err


@frozen
class Suggestion:
    """What `suggest` comes to: the contract's file as it should be, the difference, and what is not patched."""

    text: str
    diff: str
    unpatched: tuple[str, ...] = ()
    others: Mapping[Path, str] = field(factory=dict)


class TestSuggest:
    """The change itself is tested elsewhere; here, what the command does with one."""

    @pytest.fixture
    def given(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Suggestion], list[str]]:
        """Return a function that lets a suggestion be made, and returns the list of what it is made from."""
        (tmp_path / "openapi.yaml").write_bytes(OPENAPI.read_bytes())

        def given(suggestion: Suggestion) -> list[str]:
            codes: list[str] = []

            def suggest(text: str, findings: Iterable[Finding], servers: Sequence[str], files: object) -> Suggestion:
                assert (servers, bool(files)) == ([], True)
                assert text == OPENAPI.read_text("utf-8")
                codes.extend(finding.code for finding in findings)
                return suggestion

            monkeypatch.setattr("longcat.contract.patches.suggest.suggest", suggest)
            return codes

        return given

    @pytest.mark.parametrize(
        ("left", "unclear", "code"),
        [((), False, 0), (("auth-lost: never",), False, 1), ((), True, 3), (("auth-lost: never",), True, 1)],
    )
    def test_prints_the_difference(  # noqa: PLR0913, PLR0917 - fixtures.
        self,
        run: Run,
        given: Callable[[Suggestion], list[str]],
        drifted: str,
        tmp_path: Path,
        left: tuple[str, ...],
        unclear: bool,
        code: int,
    ) -> None:
        """To stdout, and the rest to stderr. What is left counts for more than what could not be told."""
        codes = given(Suggestion("new", "--- a\n+++ b\n", left))
        source: tuple[object, ...] = ("--base-url", drifted, *WITH_KEY)
        if unclear:
            (tmp_path / "broken.yaml").write_text("interactions: [")
            source = ("broken.yaml",)
        done = run("suggest", *source)
        assert (done.code, done.out) == (code, "--- a\n+++ b\n")
        assert bool(codes) is not unclear
        assert ("longcat: not patched: auth-lost: never\n" in done.err) is bool(left)
        assert (tmp_path / "openapi.yaml").read_bytes() == OPENAPI.read_bytes()

    def test_writes_it(self, run: Run, given: Callable[[Suggestion], list[str]], drifted: str, tmp_path: Path) -> None:
        """Only when it is told to, and says what comes next."""
        given(Suggestion("new: é\r\n", "--- a\n+++ b\n"))
        done = run("suggest", "--base-url", drifted, *WITH_KEY, "--write")
        assert (done.code, done.out) == (0, "")
        assert "make generate" in done.err
        assert (tmp_path / "openapi.yaml").read_bytes() == "new: é\r\n".encode()

    def test_leaves_what_the_baseline_accepts(
        self, run: Run, given: Callable[[Suggestion], list[str]], drifted: str
    ) -> None:
        """An accepted deviation is not written into the contract."""
        codes = given(Suggestion("same", ""))
        probe = ("--base-url", drifted, *WITH_KEY, "--baseline", "known.toml")
        run("probe", *probe, "--update-baseline", "Known.")
        assert run("suggest", *probe).code == 0
        assert codes == []

    @pytest.mark.parametrize(
        ("arguments", "complaint"),
        [
            ((), "Name recorded traffic, or a gateway to ask with --base-url."),
            (("recorded", "--base-url", NOWHERE), "not both"),
            (("--base-url", NOWHERE, "--spec", "gone.yaml"), "There is no gone.yaml to change."),
            (("gone",), "There is no file or folder gone."),
            (("recorded", "--overlay", "--write"), "not allowed with argument"),
        ],
    )
    def test_used_wrongly(
        self, run: Run, given: Callable[[Suggestion], list[str]], arguments: tuple[str, ...], complaint: str
    ) -> None:
        """One paragraph, and nothing is changed."""
        given(Suggestion("", ""))
        done = run("suggest", *arguments)
        assert (done.code, done.out) == (2, "")
        assert complaint in done.err


class TestExplain:
    def test_lists_all(self, run: Run) -> None:
        """Without a code, each is there with its severity."""
        assert [line.split()[0] for line in run("explain").out.splitlines()] == list(CODES)

    @pytest.mark.parametrize("code", CODES)
    def test_one(self, run: Run, code: str) -> None:
        """What it means, who is hurt, what to do."""
        out = run("explain", code).out
        assert out.startswith(f"{code}: {CODES[code].severity.value}\n")
        assert CODES[code].hurts in out
        assert CODES[code].do in out

    @pytest.mark.parametrize("code", CODES.values(), ids=CODES)
    def test_every_text_is_a_sentence(self, code: Code) -> None:
        """Nothing is left to be filled in."""
        texts = [code.meaning, code.hurts, code.do, *filter(None, [code.unpatched])]
        assert all(text[0].isupper() and text.endswith(".") and "{" not in text and "  " not in text for text in texts)

    def test_the_worst_stand_first(self) -> None:
        """They are listed by their severity."""
        severities = [code.severity for code in CODES.values()]
        assert severities == sorted(severities, key=list(Severity).index)

    def test_an_unknown_one(self, run: Run) -> None:
        """The nearest is offered."""
        done = run("explain", "field-mising")
        assert done.code == 2
        assert "Did you mean field-missing?" in done.err


def _python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own code.
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False
    )


def test_the_choices_are_all_there_are() -> None:
    """The command line names them without importing what they stand for."""
    assert tuple(reports.FORMATS) == contract.FORMATS
    assert tuple(Severity) == contract.SEVERITIES


def test_other_commands_do_not_import_it() -> None:
    """The suite is slow to import and needs an extra; `longcat wait` has neither."""
    suite = "name.startswith(('longcat.contract', 'longcat.cli.contract', 'ruamel'))"
    code = f"import sys, longcat.cli.arguments, longcat.cli.wait; print([name for name in sys.modules if {suite}])"
    assert _python(code).stdout == "['longcat.cli.contract', 'longcat.cli.contract.arguments']\n"


# Run in a process that has not imported the suite yet.
WITHOUT = """
import contextlib, io, os, sys
os.chdir(folder)
sys.modules[package] = None
from longcat.cli import main
with contextlib.redirect_stderr(io.StringIO()) as errors:
    code = main(["contract", *command])
say(code)
say(errors.getvalue())
"""


@pytest.mark.parametrize(
    ("package", "distribution", "command"),
    [
        ("jsonschema_rs", "jsonschema-rs", ["explain"]),
        ("ruamel.yaml", "ruamel.yaml", ["suggest", "--spec", "spec.yaml", "a.yaml"]),
        ("yaml", "pyyaml", ["check", "--spec", "spec.yaml"]),
        ("yaml", "pyyaml", ["check", "a.yaml"]),
        ("tomli_w", "tomli-w", ["explain"]),
    ],
)
def test_a_missing_extra(tmp_path: Path, package: str, distribution: str, command: list[str]) -> None:
    """It is named, with what to install."""
    for name in ("spec.yaml", "a.yaml"):
        (tmp_path / name).write_text("interactions: []")
    with Process(run_code, WITHOUT, {"folder": tmp_path, "package": package, "command": command}) as process:
        code, errors = process.finish()
    assert (code, errors.count("\n")) == ("2", 1)
    assert f"needs the package {distribution}, which" in errors
    assert "pip install 'longcat-image[contract]'" in errors

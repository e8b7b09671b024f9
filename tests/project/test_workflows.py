"""The workflows and the action: pinned, with least permissions, and doing what they say."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from attrs import frozen
from click.testing import CliRunner
from ruamel.yaml import YAML

from longcat.sandbox import EXAMPLE_ID, EXAMPLE_KEY, Settings, running

ROOT: Final = Path(__file__).parents[2]
ACTION: Final = ROOT / "action.yml"
CI: Final = ROOT / ".github/workflows/ci.yml"
DRIFT: Final = ROOT / ".github/workflows/drift.yml"
RELEASE: Final = ROOT / ".github/workflows/release.yml"
WORKFLOWS: Final = sorted((ROOT / ".github/workflows").iterdir())
REFUSED: Final = "http://127.0.0.1:1"
"""Nobody listens there."""
TOOLS: Final = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


def load(text: str) -> Any:
    """Read YAML as GitHub does: 1.2, in which `on` is a word."""
    return YAML(typ="safe", pure=True).load(text)


def tool(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run one of the development environment's tools."""
    found = shutil.which(name, path=TOOLS)
    assert found, f"{name} is not installed: run make setup"
    command = [found, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)  # noqa: S603 - ours.


def against_schema(schema: str, *paths: Path) -> tuple[int, str]:
    """Check files against one of check-jsonschema's schemas, in this process; return its exit code and its output."""
    from check_jsonschema import main as check_jsonschema  # type: ignore[import-untyped]  # noqa: PLC0415 - it is slow.

    done = CliRunner().invoke(check_jsonschema, ["--builtin-schema", schema, *map(str, paths)])
    return done.exit_code, done.output


def section() -> str:
    """Return the page for those who watch from their own repository."""
    return (ROOT / "docs" / "action.md").read_text("utf-8")


def workflows_in_page() -> list[str]:
    """Return the workflows that the page gives, with a commit for its placeholder."""
    blocks = re.findall(r"```yaml\n(.*?)```", section(), re.DOTALL)
    return [block.replace("COMMIT", "0" * 40) for block in blocks]


# What they are.


@pytest.mark.parametrize("schema", ["vendor.github-workflows", "custom.github-workflows-require-timeout"])
def test_a_workflow_is_valid(schema: str) -> None:
    """Each workflow keeps GitHub's schema, and each job ends at some time."""
    code, output = against_schema(schema, *WORKFLOWS)
    assert code == 0, output


def test_the_action_is_valid() -> None:
    """The action keeps GitHub's schema."""
    code, output = against_schema("vendor.github-actions", ACTION)
    assert code == 0, output


def test_an_invalid_action_is_found() -> None:
    """A workflow is no action: the checks above can fail."""
    code, output = against_schema("vendor.github-actions", CI)
    assert (code, "Schema validation errors" in output) == (1, True), output


def test_zizmor_finds_nothing() -> None:
    """zizmor, at its pedantic, finds nothing in the workflows and the action."""
    options = ("--offline", "--no-progress", "--no-config", "--pedantic", "--strict-collection")
    result = tool("zizmor", *options, *WORKFLOWS, ACTION)
    assert result.returncode == 0, result.stdout + result.stderr
    assert all(f"completed {path}" in result.stderr for path in (*WORKFLOWS, ACTION))


def test_zizmor_would_find_something(tmp_path: Path) -> None:
    """An input that stands in the script, rather than in a variable, is found: the check above can fail."""
    bad = tmp_path / "action.yml"
    text = ACTION.read_text("utf-8")
    bad.write_text(text.replace('--fail-on="$FAIL_ON"', "--fail-on=${{ inputs.fail-on }}"), "utf-8")
    result = tool("zizmor", "--offline", "--no-progress", "--no-config", bad)
    assert result.returncode != 0
    assert "template-injection" in result.stdout


@pytest.mark.parametrize("path", [*WORKFLOWS, ACTION], ids=lambda path: path.name)
def test_others_actions_are_pinned(path: Path) -> None:
    """Whatever is used from elsewhere is named by a full hash, and a comment says which version that is."""
    used = re.findall(r"^\s*(?:- )?uses: (.+)$", path.read_text("utf-8"), re.MULTILINE)
    pinned = re.compile(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
    assert used
    assert [use for use in used if not use.startswith("./ ") and not pinned.fullmatch(use)] == []


def test_one_action_has_one_version() -> None:
    """An action that is used in several places is the same one everywhere."""
    text = "".join(path.read_text("utf-8") for path in (*WORKFLOWS, ACTION))
    used = set(re.findall(r"uses: ([\w-]+/[\w-]+)@(\S+ # \S+)", text))
    assert len(used) == len(dict(used))


@pytest.mark.parametrize(
    ("path", "permissions"),
    [
        (CI, {name: {"contents": "read"} for name in ("check", "libraries", "audit")}),
        (DRIFT, {"probe": {"contents": "read"}, "tell": {"issues": "write"}}),
        (
            RELEASE,
            {
                "build": {"contents": "read"},
                "attest": {"id-token": "write", "attestations": "write"},
                "publish": {"id-token": "write"},
            },
        ),
    ],
    ids=["ci", "drift", "release"],
)
def test_permissions_are_least(path: Path, permissions: dict[str, dict[str, str]]) -> None:
    """A workflow may do nothing, and a job only what it needs."""
    workflow = load(path.read_text("utf-8"))
    assert workflow["permissions"] == {}
    assert {name: job["permissions"] for name, job in workflow["jobs"].items()} == permissions


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_checkout_leaves_no_token_behind(path: Path) -> None:
    """What runs after a checkout finds no credentials in the repository's configuration."""
    steps = [step for job in load(path.read_text("utf-8"))["jobs"].values() for step in job["steps"]]
    checkouts = [step for step in steps if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert all(step["with"] == {"persist-credentials": False} for step in checkouts)


def test_ci_runs_every_supported_python() -> None:
    """The versions in ci.yml are the ones in pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    versions = [found[1] for text in project["classifiers"] if (found := re.search(r":: (3\.\d+)$", text))]
    job = load(CI.read_text("utf-8"))["jobs"]["check"]
    assert job["strategy"]["matrix"] == {"python": versions}
    assert [step["run"] for step in job["steps"] if "run" in step] == ["make check"]


def test_ci_runs_for_pushes_and_pull_requests() -> None:
    """A pull request is checked without secrets, also one from a fork."""
    assert set(load(CI.read_text("utf-8"))["on"]) == {"push", "pull_request"}
    assert "secrets." not in CI.read_text("utf-8")


def test_ci_audits_what_is_locked() -> None:
    """A job of its own looks the locked packages up, by their hashes, so that a new finding breaks no other job."""
    [*_, step] = load(CI.read_text("utf-8"))["jobs"]["audit"]["steps"]
    assert step["run"] == "make audit"
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert "pip-audit --disable-pip --require-hashes --requirement $(LOCK)" in makefile


def test_a_release_is_built_twice_and_published_without_a_secret() -> None:
    """Only a tag starts it; what publishes checks nothing out, runs nothing of ours and needs somebody's agreement."""
    workflow = load(RELEASE.read_text("utf-8"))
    assert workflow["on"] == {"push": {"tags": ["v*"]}}
    assert "secrets." not in RELEASE.read_text("utf-8")
    jobs = workflow["jobs"]
    runs = [step["run"] for step in jobs["build"]["steps"] if "run" in step]
    assert runs[1:] == ["make build-twice", "make sbom"]
    assert [step for name in ("attest", "publish") for step in jobs[name]["steps"] if "run" in step] == []
    assert (jobs["publish"]["environment"], jobs["publish"]["needs"]) == ("release", ["build", "attest"])


def test_drift_runs_daily_and_by_hand() -> None:
    """Once a day, not on the hour, and never for a pull request: that could be a stranger's."""
    triggers = load(DRIFT.read_text("utf-8"))["on"]
    assert set(triggers) == {"schedule", "workflow_dispatch"}
    [schedule] = triggers["schedule"]
    minute, hour, *rest = schedule["cron"].split()
    assert int(minute) % 2 == 1
    assert hour.isdigit()
    assert rest == ["*", "*", "*"]


def test_only_the_probe_is_given_the_secrets() -> None:
    """The secrets go to one step: not to its job, not to the workflow, not to the job that opens the issue."""
    steps = [step for job in load(DRIFT.read_text("utf-8"))["jobs"].values() for step in job["steps"]]
    [step] = [step for step in steps if "secrets." in str(step)]
    assert step["uses"] == "./"
    assert step["with"] == {
        "api-key": "${{ secrets.PIXAZO_API_KEY }}",
        "request-ids": "${{ secrets.LONGCAT_REQUEST_IDS }}",
    }
    assert DRIFT.read_text("utf-8").count("secrets.") == 2


def test_the_action_installs_an_extra_that_exists() -> None:
    """The extra that the action asks for is one of the project's."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert set(re.findall(r"ACTION_PATH\}\[(\w+)\]", ACTION.read_text("utf-8"))) == {"contract"} <= set(extras)


# What the page promises.


def test_the_page_watches_in_four_lines(tmp_path: Path) -> None:
    """The first workflow has four lines; it and the others are valid and clean."""
    blocks = workflows_in_page()
    assert len(blocks[0].splitlines()) == 4
    folder = tmp_path / ".github/workflows"
    folder.mkdir(parents=True)
    paths = [folder / f"{number}.yml" for number in range(len(blocks))]
    for path, block in zip(paths, blocks, strict=True):
        path.write_text(block, "utf-8")
    code, output = against_schema("vendor.github-workflows", *paths)
    assert code == 0, output
    clean = tool("zizmor", "--offline", "--no-progress", "--no-config", "--strict-collection", *paths)
    assert clean.returncode == 0, clean.stdout


def test_the_page_gives_the_action_what_it_takes() -> None:
    """The page names each input and output of the action, and gives it no other."""
    action = load(ACTION.read_text("utf-8"))
    assert [name for name in (*action["inputs"], *action["outputs"]) if f"`{name}`" not in section()] == []
    jobs = [job for block in workflows_in_page() for job in load(block)["jobs"].values()]
    given = [set(step.get("with", {})) for job in jobs for step in job["steps"] if "/longcat@" in step["uses"]]
    assert len(given) == len(jobs)
    assert set().union(*given) <= set(action["inputs"])


# What they do. GitHub's part is played here: it puts values for expressions into a step's variables, and runs the
# step's script with bash.


@frozen
class Ran:
    """What a step left behind."""

    code: int
    log: str
    summary: str
    outputs: dict[str, str]


def run(step: Mapping[str, Any], values: Mapping[str, str], folder: Path, **more: str) -> Ran:
    """Run a step's script as the runner does. `values` are those of the expressions, `more` is its environment."""
    assert "${{" not in step["run"]
    files = {name: folder / name for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")}
    for path in files.values():
        path.write_text("", "utf-8")
    script = folder / "script.sh"
    script.write_text(step["run"], "utf-8")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GITHUB_ACTION_PATH": str(ROOT),
        "RUNNER_TEMP": str(folder),
        **{name: str(path) for name, path in files.items()},
        **{
            name: re.sub(r"\$\{\{ (.+?) \}\}", lambda found: values[found[1]], text)
            for name, text in step["env"].items()
        },
        **more,
    }
    done = subprocess.run(  # noqa: S603 - our own script.
        [shutil.which("bash") or "bash", "--noprofile", "--norc", "-eo", "pipefail", script],
        env=environment,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    outputs = dict(line.split("=", 1) for line in files["GITHUB_OUTPUT"].read_text("utf-8").splitlines())
    return Ran(done.returncode, done.stdout, files["GITHUB_STEP_SUMMARY"].read_text("utf-8"), outputs)


@frozen
class Runner:
    """A machine on which the action has installed longcat."""

    temp: Path
    folder: Path

    def probe(self, *, python: str = sys.executable, **inputs: str) -> Ran:
        """Run the action's last step with these inputs, and with the defaults of the others."""
        action = load(ACTION.read_text("utf-8"))
        given = {name.replace("_", "-"): value for name, value in inputs.items()}
        assert set(given) <= set(action["inputs"])
        values = {f"inputs.{name}": given.get(name, about["default"]) for name, about in action["inputs"].items()}
        values["steps.python.outputs.python-path"] = python
        return run(action["runs"]["steps"][-1], values, self.folder, RUNNER_TEMP=str(self.temp))


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the action's own installation, which brings longcat and what it needs from the package index."""
    temp = tmp_path_factory.mktemp("runner")
    [step] = [step for step in load(ACTION.read_text("utf-8"))["runs"]["steps"] if step["name"] == "Install longcat"]
    # Each probe compiles what it imports, which is a fraction of all; and what this environment has is no matter. Pip
    # reads these the other way round: zero stands for --no-compile.
    quick = {"PIP_NO_COMPILE": "0", "PIP_NO_WARN_CONFLICTS": "0"}
    ran = run(step, {"steps.python.outputs.python-path": sys.executable}, temp, **quick)
    assert ran.code == 0, ran.log
    assert (temp / "longcat/longcat/contract").is_dir()
    return temp


@pytest.fixture
def runner(installed: Path, tmp_path: Path) -> Runner:
    """Return that machine, in a folder of a caller. A module there that is called like one of ours stays out of it."""
    (tmp_path / "httpx.py").write_text("raise SystemExit(77)\n", "utf-8")
    return Runner(installed, tmp_path)


def test_the_versions_are_those_of_the_lock(installed: Path) -> None:
    """The action binds pip to every version of the lock, and leaves the hashes out."""
    versions = (installed / "longcat-versions.txt").read_text("utf-8").splitlines()
    locked = re.findall(r"^[\w.-]+==\S+", (ROOT / "requirements-dev.lock").read_text("utf-8"), re.MULTILINE)
    assert [line.split(" ")[0] for line in versions] == locked
    assert [line for line in versions if "hash" in line or line.endswith("\\")] == []


def test_a_clean_gateway_passes(runner: Runner) -> None:
    """A gateway that answers the keyless questions well is no failure, and no module in the folder is imported."""
    with running() as url:
        ran = runner.probe(base_url=url)
    assert ran.code == 0, ran.log
    assert ran.outputs["exit-code"] == "0"
    assert "No drift was found" in ran.summary
    assert Path(ran.outputs["report"]).read_text("utf-8") == ran.summary


def test_a_drifted_gateway_fails(runner: Runner) -> None:
    """Drift fails the step; the report is in the summary, and the outputs are there all the same."""
    with running(Settings(drifts=("removed-error",))) as url:
        ran = runner.probe(base_url=url)
    assert (ran.code, ran.outputs["exit-code"]) == (1, "1")
    assert "| Severity | Code |" in ran.summary
    assert ran.log.startswith("::error file=longcat_api/openapi.json,line=")
    assert Path(ran.outputs["report"]).is_file()


def test_a_refused_port_warns(runner: Runner) -> None:
    """It can't be told whether a gateway that refuses has drifted: a warning, and no failure."""
    ran = runner.probe(base_url=REFUSED)
    assert (ran.code, ran.outputs["exit-code"]) == (0, "3")
    assert "\n::warning title=Could not tell::" in ran.log
    assert "Could not be told" in ran.summary


def test_a_refused_port_fails_if_that_is_wished(runner: Runner) -> None:
    """`on-unclear: fail` is for those who would rather look."""
    ran = runner.probe(base_url=REFUSED, on_unclear="fail")
    assert (ran.code, ran.outputs["exit-code"]) == (3, "3")
    assert "::warning" not in ran.log


def test_a_wrong_input_fails(runner: Runner) -> None:
    """A mistake in the workflow is no outage; the summary says what it is."""
    ran = runner.probe(base_url="not a URL")
    assert (ran.code, ran.outputs["exit-code"]) == (2, "2")
    assert "The base URL" in ran.summary


def test_a_check_that_broke_fails(runner: Runner) -> None:
    """Exit code 3 without a report was no outage: longcat itself failed."""
    ran = runner.probe(python=str(recorder(runner.folder, "python", "exit 3")))
    assert (ran.code, ran.outputs["exit-code"]) == (3, "3")
    assert "::warning" not in ran.log


def test_the_key_asks_more_and_is_shown_nowhere(runner: Runner) -> None:
    """With a key and an id the drift of an answer about a request is seen, and neither log nor report holds the key."""
    with running(Settings(duration=0, drifts=("removed-result-url",))) as url:
        keyless = runner.probe(base_url=url)
        ran = runner.probe(base_url=url, api_key=EXAMPLE_KEY, request_ids=EXAMPLE_ID)
    assert (keyless.code, ran.code) == (0, 1)
    assert "field-missing" in ran.summary
    shown = [ran.log, ran.summary, str(ran.outputs), Path(ran.outputs["report"]).read_text("utf-8")]
    assert [text for text in shown if EXAMPLE_KEY in text or EXAMPLE_ID in text] == []


def test_milder_findings_may_pass(runner: Runner) -> None:
    """`fail-on` lets what is milder pass, and still tells it."""
    with running(Settings(drifts=("deprecation",))) as url:
        ran = runner.probe(base_url=url, fail_on="breaking")
    assert ran.code == 0, ran.log
    assert "notice" in ran.summary


def test_another_format_is_a_file_and_a_short_summary(runner: Runner) -> None:
    """SARIF goes into the report; the summary then has the sentences."""
    with running() as url:
        ran = runner.probe(base_url=url, format="sarif")
    assert '"2.1.0"' in Path(ran.outputs["report"]).read_text("utf-8")
    assert ran.summary.startswith("    longcat: No drift was found.")


def recorder(folder: Path, name: str, more: str) -> Path:
    """Write a program that notes its arguments, one a line, and then does more."""
    path = folder / name
    path.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {shlex.quote(str(folder / "arguments"))}\n{more}\n', "utf-8")
    path.chmod(0o755)
    return path


def test_inputs_are_passed_as_they_are(runner: Runner) -> None:
    """Ids are split at spaces and line breaks; nothing in an input is run, expanded, or taken for an option."""
    (runner.folder / "a1").touch()
    python = recorder(runner.folder, "python", "exit 0")
    ids = "a* $(touch${IFS}ran)\n  --write `touch${IFS}ran`\n"
    runner.probe(python=str(python), request_ids=ids, baseline="my $(touch ran) file", fail_on='"; touch ran; "')
    arguments = (runner.folder / "arguments").read_text("utf-8").splitlines()
    assert arguments[:6] == ["-P", "-m", "longcat", "contract", "probe", '--fail-on="; touch ran; "']
    assert arguments[8:] == [
        "--baseline=my $(touch ran) file",
        "--request-id=a*",
        "--request-id=$(touch${IFS}ran)",
        "--request-id=--write",
        "--request-id=`touch${IFS}ran`",
    ]
    assert not (runner.folder / "ran").exists()


EVIL: Final = "x\nexit-code=0\nreport=/etc/passwd\n::set-output name=x::y\n::add-mask::x\n```\n<b>"


@pytest.mark.parametrize("name", ["format", "baseline"])
def test_inputs_write_no_outputs_and_no_commands(runner: Runner, name: str) -> None:
    """Line breaks in an input add no output, no workflow command and no markup to the summary."""
    ran = runner.probe(**{"base_url": REFUSED, name: EVIL})
    assert (set(ran.outputs), ran.outputs["exit-code"]) == ({"exit-code", "report"}, str(ran.code))
    assert "passwd" not in ran.outputs["report"]
    before, _, said = ran.log.partition("::stop-commands::")
    token, _, said = said.partition("\n")
    _, _, after = said.partition(f"\n::{token}::\n")
    assert (len(token), [line for line in (before + after).splitlines() if line.startswith("::")]) == (20, [])
    assert [line for line in ran.summary.splitlines() if line and not line.startswith("    ")] == []


def test_what_longcat_says_is_no_command(runner: Runner) -> None:
    """What comes from the gateway into the log can't speak to the runner."""
    said = "echo '::error::forged' >&2; echo '##[error]forged' >&2; printf '::add-path::x' >&2; exit 2"
    ran = runner.probe(python=str(recorder(runner.folder, "python", said)))
    lines = ran.log.splitlines()
    [stop] = [line.removeprefix("::stop-commands::") for line in lines if line.startswith("::stop-commands::")]
    between = lines[lines.index(f"::stop-commands::{stop}") + 1 : lines.index(f"::{stop}::")]
    assert between == ["::error::forged", "##[error]forged", "::add-path::x"]


@pytest.mark.parametrize(
    ("open_issue", "expected"),
    [("", ["issue", "create", "--title"]), ("7", ["issue", "edit", "7"])],
    ids=["none", "one"],
)
def test_drift_is_told_in_one_issue(tmp_path: Path, open_issue: str, expected: list[str]) -> None:
    """The first drift opens an issue; while it is open, the next one changes it. `gh` is a stand-in here."""
    recorder(tmp_path, "gh", f'[ "$2" != list ] || echo {open_issue}')
    job = load(DRIFT.read_text("utf-8"))["jobs"]["tell"]
    assert job["if"] == "always() && needs.probe.outputs.exit-code == '1'"
    [step] = job["steps"]
    values = {
        "github.token": "",
        "github.repository": "owner/name",
        "github.server_url": "https://host.example",
        "github.run_id": "12",
    }
    ran = run(step, values, tmp_path, PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert ran.code == 0, ran.log
    asked, _, told = (tmp_path / "arguments").read_text("utf-8").partition("--jq\n")
    assert asked.startswith("issue\nlist\n--state\nopen\n--app\ngithub-actions\n")
    assert told.splitlines()[1:4] == expected
    assert "https://host.example/owner/name/actions/runs/12" in told

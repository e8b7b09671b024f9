"""Every example in the documentation: programs run and print what is shown, commands do what is said of them."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from unittest.mock import ANY
from urllib.parse import urlsplit

import httpx
import longcat_api
import pytest
import yaml  # type: ignore[import-untyped]
from journals import rows
from longcat_api.api.requests import get_request_result
from longcat_api.models import Error, StatusRequest
from pages import DOCS, MAKEFILE, PAGES, PROJECT, README, ROOT, Program, blocks, commands, programs, text_of
from postgres import Schema
from shell import PNG, User, environment
from type_checker import complaints

import longcat
from longcat.cli.arguments import parse
from longcat.cli.exit_codes import Exit
from longcat.cli.run import run
from longcat.gateway.contract import contract
from longcat.gateway.queue import QueueGateway
from longcat.models import OrderRequest
from longcat.sandbox import Settings, running
from longcat.saving.journal.journal import Journal
from longcat.waiting.order_store import OrderState

RESULT = contract("get_request_result")

ANY_API: Final = DOCS / "any-api.md"
MAINTAINING: Final = DOCS / "maintaining.md"
PROGRAMS: Final = programs()
COMMANDS: Final = commands()
KEY: Final = "..."
"""The sandbox takes the pages' placeholder for a key, so that their lines run unchanged."""
SHOWN: Final = re.compile(r"^```sh\n(.*?)\n```\n(?:\n```text\n(.*?)^```)?", re.MULTILINE | re.DOTALL)
"""A command, and what it prints, if that is shown."""
REQUESTS: Final = ("REQUEST_ID", "ID", "ID1", "ID2", "ID3", "my-id")
(ORDERS,) = (block for block in blocks(DOCS / "command-line.md", "text") if block.startswith("{"))
"""The file with orders that the page on the command line shows."""
TYPED_CALLER: Final = "def tell("
"""What is in the example that the maintainer's page breaks."""
WEBDATASET: Final = "WebDataset("
"""What is in the example that reads shards, for which there must be some."""
MANY_MACHINES: Final = DOCS / "many-machines.md"
JOURNAL: Final = "postgresql://longcat@db.example/jobs"
"""The journal of the examples, and the bucket."""
BUCKET: Final = "s3://cats/"


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[User]:
    """Return someone who tries what they read: in a folder with a few files, with a key and a sandbox of their own.

    For a program, requests are under way when it first asks; for a command they are done, which spares half a second.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(QueueGateway, "seconds_per_question", 0.05)  # The sandbox is quicker than the service.
    (tmp_path / "ids.txt").write_text("ID1\nID2\n", "utf-8")
    (tmp_path / "prompts.txt").write_text("a lioness\ntwo cats\n", "utf-8")
    (tmp_path / "orders.jsonl").write_text(ORDERS, "utf-8")
    duration = 0.3 if "program" in request.fixturenames else 0.0
    with running(Settings(api_key=KEY, requests=REQUESTS, duration=duration, small_pictures=True)) as url:
        env = environment(tmp_path, PIXAZO_API_KEY=KEY, LONGCAT_BASE_URL=url)
        env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        yield User(tmp_path, env)


# --- Python.


RUNNABLE: Final = [
    pytest.param(program, id=f"{program.page.stem}:{program.example.line}")
    for program in PROGRAMS
    if program.page != MAINTAINING and "def test_" not in program.text and WEBDATASET not in program.text
]


def test_no_block_is_left_out() -> None:
    """Each fenced block has a kind that is run or checked, and each block of Python is among the examples."""
    fence = re.compile(r"^```(\S*) *\S*\n.*?^```$", re.MULTILINE | re.DOTALL)
    kinds = {kind for page in PAGES for kind in fence.findall(text_of(page))}
    checked = {"python", "text", "sh", "bash", "yaml", "toml", "ini", "sql", "diff"}
    assert kinds == {*checked, "{toctree}", "{include}", "{literalinclude}", "{rooms}", "{eval-rst}"}
    assert len(PROGRAMS) == sum(len(blocks(page, "python")) for page in PAGES) > 10


def is_shown(out: str, program: Program) -> bool:
    """Whether the page shows what a program has printed."""
    expected = ".*".join(re.escape(part) for part in program.shown.split("..."))
    return bool(re.fullmatch(expected, out, re.DOTALL))


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("program", RUNNABLE)
def test_program(program: Program, capsys: pytest.CaptureFixture[str]) -> None:
    """A block of Python runs as it stands and prints what the next block shows, where `...` stands for anything."""
    program.example.evaluate()
    out, err = capsys.readouterr()
    assert (is_shown(out, program), err) == (True, ""), out
    assert {path.read_bytes()[:8] for path in Path().glob("*.png")} <= {PNG}
    assert ".download(" not in program.text or list(Path().glob("*.png"))


def test_pytest_block(tmp_path: Path) -> None:
    """The block with tests is a file that pytest runs as it stands, with longcat's plugin."""
    (block,) = [program.text for program in PROGRAMS if "def test_" in program.text]
    (tmp_path / "test_mine.py").write_text(block, "utf-8")
    env = environment(tmp_path, PYTHONPATH=os.pathsep.join(filter(None, sys.path)), PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    ran = User(tmp_path, env).run("-p", "longcat.pytest_plugin", program=[sys.executable, "-m", "pytest"])
    assert (ran.code, f"{block.count('def test_')} passed" in ran.out) == (0, True), ran.out


def asked(status_code: int, **answer: Any) -> Any:
    """Return what the generated client makes of an answer."""
    transport = httpx.MockTransport(lambda _: httpx.Response(status_code, **answer))
    with longcat.api_client("a-key", "https://gateway.test") as client:
        client.set_httpx_client(httpx.Client(base_url="https://gateway.test", transport=transport))
        return get_request_result.sync(client=client, body=StatusRequest("r"))


def test_traps() -> None:
    """The generator's traps are what the page on the typed client, and the architecture, say they are."""
    by_hand = longcat_api.AuthenticatedClient(base_url="https://gateway.test", token="a-key")
    assert by_hand.get_httpx_client().headers["Authorization"] == "Bearer a-key"
    assert set(by_hand.get_httpx_client().timeout.as_dict().values()) == {None}
    assert asked(200, json={"status": "processing", "request_id": "r", "progress": "45"}).progress == "45"
    with pytest.raises(json.JSONDecodeError):
        asked(403, html="<h1>Just a moment...</h1>")
    with longcat.api_client("a-key", "https://gateway.test") as client:
        client.with_headers({"X-More": "1"})
        assert client.get_httpx_client().headers["X-More"] == "1"
    with pytest.raises(ValueError, match="status must match const 'completed', got 'processing'"):
        asked(200, json={"status": "processing", "request_id": "r"})
    with running(Settings()) as url, longcat_api.Client(url) as keyless:
        answer = get_request_result.sync(client=keyless, body=StatusRequest("XXXXXXXXXXXXX"))
    assert answer == Error("Invalid or missing authentication")


# --- The shell.


def lines(pattern: str) -> list[str]:
    """Return the commands that begin so."""
    return [line for line in COMMANDS if re.match(pattern, line)]


CLIENT: Final = (
    r"(PIXAZO_API_KEY=\S+ )?longcat (generate|batch|wait|status) (?!.*(--webhook|db\.example|s3://|webdataset))"
)
STORING: Final = r"longcat (generate|batch|wait) .*(db\.example|s3://|webdataset)"
LOOKING: Final = r"longcat journal "
ASKING: Final = r"longcat contract (probe|explain)"
READING: Final = r"longcat (contract (check|suggest|record|coverage)|.*--webhook)"
SERVING: Final = r"longcat sandbox "
MAKING: Final = r"make [a-z-]+$"
FUZZING: Final = r"schemathesis run "
TOLD: Final = re.compile(r"longcat: (order for .* was taken: request \S+|\d+ of \d+ done[;,]? .*|\d+ of \d+ done\.)$")
"""What commands that order say of orders that are all right."""
EXTRAS: Final = {
    "generate": "cli",
    "batch": "cli",
    "wait": "cli",
    "status": "cli",
    "journal": "cli",
    "sandbox": "sandbox",
    "contract": "contract",
}
"""What each command needs, or is better with."""
SINGLE: Final = (r"pip install '", r"export LONGCAT")
CALLING: Final = r"curl .*http://127\.0\.0\.1:8000/sandbox/"


def test_every_command_is_here() -> None:
    """Each command is of a kind that one of the tests here knows."""
    known = "|".join([CLIENT, STORING, LOOKING, ASKING, READING, SERVING, MAKING, FUZZING, CALLING, *SINGLE])
    assert [line for line in COMMANDS if not re.match(known, line)] == []
    assert [pattern for pattern in SINGLE if len(lines(pattern)) != 1] == []
    assert len(COMMANDS) > 20


def obey(reader: User, line: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Do what a line says, and return exit code and output. It takes a shell where it sets a variable."""
    if line.startswith("longcat "):
        code = run(shlex.split(line)[1:])
        return code, *capsys.readouterr()
    ran = reader.run(line, program=["sh", "-c"])
    return ran.code, ran.out, ran.err


@pytest.mark.parametrize("line", lines(CLIENT))
def test_client_line(reader: User, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A line that orders, waits or asks runs as it stands, and every picture that it names is there."""
    code, out, err = obey(reader, line, capsys)
    complaints = [said for said in err.splitlines() if said.startswith("longcat: ") and not TOLD.match(said)]
    assert (code, bool(out), complaints) == (0, True, [])
    saved = [Path(path).read_bytes() for path in out.split() if " -o " in line and "--dry-run" not in line]
    assert [picture for picture in saved if not picture.startswith((PNG, b"RIFF"))] == []
    assert len(saved) == len([path for path in Path().rglob("*") if path.suffix in {".png", ".webp"}])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # webdataset closes no file.
def test_lines_with_a_database_or_a_bucket(
    reader: User, schema: Schema, bucket: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line that saves pictures elsewhere, or has a journal on PostgreSQL, runs as it stands; so does one that looks.

    The example that reads shards finds those that one of the lines has written.
    """
    for line in [*lines(STORING), *lines(LOOKING)]:
        here = line.replace(JOURNAL, shlex.quote(schema.url)).replace(BUCKET, f"s3://{bucket}/")
        code, out, err = obey(reader, here, capsys)
        complaints = [said for said in err.splitlines() if said.startswith("longcat: ") and not TOLD.match(said)]
        assert (code, bool(out), complaints) == (0, True, []), line
    (program,) = [program for program in PROGRAMS if WEBDATASET in program.text]
    program.example.evaluate()
    out = "".join(sorted(capsys.readouterr().out.splitlines(keepends=True)))  # They came in any order.
    assert is_shown(out, program), out


@pytest.mark.parametrize("line", lines(ASKING))
def test_asking_line(reader: User, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A line that asks or explains runs as it stands, and finds no drift in the sandbox."""
    code, out, err = obey(reader, line, capsys)
    assert (code, bool(out), err) == (0, True, "")


@pytest.mark.parametrize("line", lines(READING))
def test_reading_line(line: str) -> None:
    """A line about files, which a reader has and we have not, is one that the command line takes."""
    assert callable(parse(shlex.split(line)[1:]).run)


@pytest.mark.parametrize("line", lines(SERVING))
def test_serving_line(line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A line with `longcat sandbox` gets as far as serving, or prints a list."""
    served: list[Settings] = []
    monkeypatch.setattr("longcat.sandbox.serve", lambda settings, **_: served.append(settings))
    assert run(shlex.split(line)[1:]) == Exit.DONE
    assert len(served) + bool(capsys.readouterr().out) == 1


# --- Where a batch on many machines is started, and its database.


def _launchers() -> dict[str, list[str]]:
    """Return the command of each example that starts workers."""
    slurm, unit = (blocks(MANY_MACHINES, kind)[0].replace("\\\n", "") for kind in ("bash", "ini"))
    (container,) = yaml.safe_load(blocks(MANY_MACHINES, "yaml")[0])["spec"]["template"]["spec"]["containers"]
    return {
        "slurm": shlex.split(slurm.partition("\nsrun ")[2]),
        "systemd": shlex.split(unit.partition("ExecStart=")[2].partition("\n")[0]),
        "kubernetes": [*container["command"], *container["args"]],
    }


@pytest.mark.parametrize("launcher", _launchers())
def test_launchers(launcher: str) -> None:
    """The command that a scheduler starts is one that the command line takes, with a journal and a bound."""
    program, *words = _launchers()[launcher]
    arguments = parse(words)
    assert Path(program).name == "longcat"
    assert (arguments.journal.endswith("/jobs"), arguments.max_rate, arguments.max_cost) == (True, 20, 500)


def test_scripts_of_launchers(tmp_path: Path) -> None:
    """The shell takes the script for Slurm; systemd takes the unit, if it is here to look."""
    (slurm,), (unit,) = blocks(MANY_MACHINES, "bash"), blocks(MANY_MACHINES, "ini")
    assert subprocess.run(["bash", "-n"], input=slurm, text=True, check=False).returncode == 0  # noqa: S607
    assert unit.count(f"RestartPreventExitStatus={Exit.NO:d} {Exit.MISUSED:d}\n") == 1
    if tool := shutil.which("systemd-analyze"):
        file = tmp_path / "longcat@.service"
        file.write_text(unit.replace("/opt/longcat/bin/longcat", sys.executable), "utf-8")
        looked = subprocess.run([tool, "verify", file], capture_output=True, text=True, check=False)  # noqa: S603
        assert (looked.returncode, looked.stderr) == (0, "")


def test_rights(bare_schema: Schema) -> None:
    """With the rights that the page grants, others may use a journal, or look into it; its questions have answers."""
    grants, questions = blocks(DOCS / "postgresql.md", "sql")
    others = {name: bare_schema.server.url(user=name, options=bare_schema.options) for name in ("worker", "looker")}
    with Journal(bare_schema.url, time=time.time) as journal:
        journal.open(0.0)
    for name in others:
        bare_schema.server.execute(f"CREATE ROLE {name} LOGIN")
    bare_schema.server.execute(grants.replace("jobs", bare_schema.name))
    with Journal(others["worker"], time=time.time) as journal:
        assert journal.orders("g").begin("a", OrderRequest("a cat", {}), Decimal("0.13")).state is OrderState.INTENDED
        with Journal(others["looker"], time=time.time) as look:
            assert look.contents().summary().sending == 1
    assert [rows(bare_schema.url, sql) for sql in questions.split(";") if sql.strip()] == [
        [],
        [],
        [{"usd": Decimal("0.13")}],
        [{"id": None, "noted": ANY, "message": None}],
    ]


def test_baseline(reader: User, capsys: pytest.CaptureFixture[str]) -> None:
    """The baseline that a page shows is one that the drift check takes, and says is not needed yet."""
    (baseline,) = blocks(DOCS / "drift.md", "toml")
    (reader.folder / "known.toml").write_text(baseline, "utf-8")
    assert run(["contract", "check", str(ROOT / "cassettes"), "--baseline", "known.toml"]) == Exit.DONE
    assert "field-new get_request_result /queue_position was not needed" in capsys.readouterr().out


def test_any_api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The contract and the recording of the page on any API give the reports that it shows, and the job passes."""
    monkeypatch.chdir(tmp_path)
    contract_text, recording, job = blocks(ANY_API, "yaml")
    Path("books.yaml").write_text(contract_text, "utf-8")
    Path("recorded.yaml").write_text(recording, "utf-8")
    codes = []
    for line, shown in SHOWN.findall(text_of(ANY_API)):
        codes.append(run(shlex.split(line)[1:]))
        assert capsys.readouterr().out == shown or not shown
    assert codes == [Exit.NO, Exit.DONE, Exit.DONE, Exit.DONE]
    (line,) = re.findall(r"\n +(longcat .*\n.*)", job)
    assert run(shlex.split(line)[1:]) == Exit.DONE
    assert Path("drift.md").read_text("utf-8").startswith("## Contract drift: recorded.yaml\n")


def test_schemathesis_line(reader: User) -> None:
    """The line with schemathesis runs against the sandbox; here with the key of this one, and in a moment."""
    (line,) = lines(FUZZING)
    line = line.replace("http://127.0.0.1:8000", reader.env["LONGCAT_BASE_URL"]).replace(Settings().api_key, KEY)
    shutil.copy(ROOT / "openapi.yaml", reader.folder)
    ran = reader.run(f"{line} --phases examples --no-color", program=["sh", "-c"], PYTHONPATH="")  # It takes trio.
    assert ran.code == 0, ran.out


def test_export_line() -> None:
    """What is set to reach the sandbox is the port of the examples, and the one key that is accepted."""
    (line,) = lines("export ")
    assert line == f"export LONGCAT_BASE_URL=http://127.0.0.1:8000 PIXAZO_API_KEY={Settings().api_key}"
    ports = {port for one in COMMANDS for port in re.findall(r"--port (\d+)", one)}
    assert ports == {"8000"}


@pytest.mark.parametrize("line", lines(CALLING))
def test_sandbox_call(reader: User, line: str) -> None:
    """A line with curl is one of the sandbox's own calls, which does what it says."""
    words = shlex.split(line)
    (url,) = [word for word in words if word.startswith("http")]
    body = words[words.index("-d") + 1] if "-d" in words else None
    method = words[words.index("-X") + 1] if "-X" in words else "GET"
    answer = httpx.request(method, reader.env["LONGCAT_BASE_URL"] + urlsplit(url).path, content=body, timeout=60)
    assert answer.is_success
    assert answer.json()


def test_install_line() -> None:
    """The line with pip installs the wheel that `make build` makes, with extras that there are."""
    (line,) = lines("pip install ")
    wheel = re.match(r"pip install 'dist/(.+\.whl)\[(\w+)\]'", line)
    assert wheel
    assert wheel[1] == f"longcat_image-{longcat.__version__}-py3-none-any.whl"
    assert wheel[2] in PROJECT["optional-dependencies"]


@pytest.mark.parametrize("page", [README, DOCS / "tutorial.md"], ids=lambda page: page.name)
def test_what_is_installed_suffices(page: Path) -> None:
    """A page says how to install before the first command of longcat, and its extras cover all commands that it has."""
    shell = "".join(blocks(page, "sh"))
    (extra,) = re.findall(r"^pip install '.+\[(\w+)\]'", shell, re.MULTILINE)
    (everything,) = PROJECT["optional-dependencies"]["all"]
    brought = set(re.findall(r"\w+", everything.partition("[")[2])) if extra == "all" else {extra}
    used = re.findall(r"^longcat (\w+)", shell, re.MULTILINE)
    assert {EXTRAS[command] for command in used} <= brought
    assert shell.index("pip install ") < shell.index(f"longcat {used[0]}")


# --- The maintainer's page, from the first line to the last.


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a copy of what a change of the contract touches, under git."""
    for name in ("tools", "generated", "cassettes"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "openapi.yaml", tmp_path)
    (tmp_path / "docs" / "_static").mkdir(parents=True)
    for name in ("drift-demonstration.md", "_static/openapi-1.0.0.yaml"):
        shutil.copy(ROOT / "docs" / name, tmp_path / "docs" / name)
    (tmp_path / ".gitignore").write_text("__pycache__/\n", "utf-8")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "--all")
    git(tmp_path, "-c", "user.name=a", "-c", "user.email=a@b.test", "commit", "--quiet", "--message", "Begin")
    return tmp_path


def git(folder: Path, *arguments: str, given: str = "") -> str:
    """Run git in a folder, and return what it prints."""
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=folder, input=given, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    return done.stdout


def checked(folder: Path, *texts: str) -> str:
    """Return what mypy, strictly, says of programs that use the client generated in a folder."""
    files = [f"caller{number or ''}.py" for number in range(len(texts))]
    for file, text in zip(files, texts, strict=True):
        (folder / file).write_text(text, "utf-8")
    said = complaints(files, folder, [folder / "generated", ROOT])
    for file in files:
        (folder / file).unlink()
    return said


def test_a_change_from_the_first_line_to_the_last(project: Path) -> None:
    """The page's diff applies, generates what the page shows, and breaks the typed caller where the page says."""
    page, (change, signature) = MAINTAINING, blocks(MAINTAINING, "diff")
    status, complaint = blocks(page, "text")
    texts = [one.text for one in PROGRAMS if one.page != page and WEBDATASET not in one.text]  # That has no types.
    caller = next(text for text in texts if TYPED_CALLER in text)
    assert checked(project, *texts) == ""  # Every example has right types, to begin with.

    git(project, "apply", "-", given=change)
    recipe = MAKEFILE.partition("\ngenerate:")[2].partition("\n\n")[0]
    for tool in re.findall(r"tools/(\w+\.py)$", recipe, re.MULTILINE):
        subprocess.run([sys.executable, str(project / "tools" / tool)], check=True, capture_output=True)  # noqa: S603
    assert git(project, "status", "--short") == status
    assert set(signature.splitlines()) <= set(git(project, "diff", "generated").splitlines())

    imports, cases = blocks(page, "python")
    mended = re.sub(r"^from longcat_api\.models import .*\n", imports, caller, flags=re.MULTILINE)
    mended = mended.replace("        case rest:", f"{cases}        case rest:")
    assert checked(project, caller, mended) == complaint  # Of the first one only.
    facade = (
        "from longcat import GenerationFailed\n"
        "from longcat.testing import FakeGateway\n"
        "gateway = FakeGateway().request('a', 5, fails='no cats').request('b', 5, ends='failed')\n"
        "for name in ('a', 'b'):\n"
        "    try:\n        gateway.client().wait(name)\n"
        "    except GenerationFailed as error:\n        print(type(error.status.raw).__name__, error.status.error)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(project / "generated")}
    ran = subprocess.run([sys.executable, "-c", facade], env=env, capture_output=True, text=True, check=False)  # noqa: S603
    assert (ran.stdout, ran.stderr) == ("FailedStatus no cats\nFailedStatus None\n", "")

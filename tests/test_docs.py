"""What the documentation says is so: every example runs, prints what is shown, and what is named exists."""

import html
import importlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tokenize
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import draw_rooms
import httpx
import longcat_api
import pytest
from longcat_api.api.requests import get_request_result
from longcat_api.models import Error, StatusRequest
from sybil import Example, Sybil
from sybil.parsers.markdown import PythonCodeBlockParser
from test_cli import PNG, User, environment

import longcat
import longcat.contract
import longcat.sandbox
import longcat.testing
from longcat.cli.arguments import parse
from longcat.cli.outcome import Exit
from longcat.cli.run import run
from longcat.contract.reports.verdict import Verdict
from longcat.gateway.contract import contract
from longcat.gateway.reading import STATUS_ERRORS
from longcat.sandbox import Settings, running

ROOT: Final = Path(__file__).resolve().parent.parent
README: Final = ROOT / "README.md"
ARCHITECTURE: Final = ROOT / "ARCHITECTURE.md"
DOCS: Final = ROOT / "docs"
MEASURED: Final = {DOCS / "polling.md", DOCS / "gauntlet.md"}
"""Pages that a benchmark writes."""
PAGES: Final = [README, *sorted(set(DOCS.rglob("*.md")) - MEASURED)]
PROSE: Final = [*PAGES, ARCHITECTURE]
GLOSSARY: Final = DOCS / "glossary.md"
MAINTAINING: Final = DOCS / "maintaining.md"
PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
MAKEFILE: Final = (ROOT / "Makefile").read_text("utf-8")
PUBLIC: Final[tuple[ModuleType, ...]] = (longcat, longcat.testing, longcat.contract, longcat.sandbox)
KEY: Final = "..."
"""The sandbox takes the pages' placeholder for a key, so that their lines run unchanged."""
REQUESTS: Final = ("REQUEST_ID", "ID", "ID1", "ID2", "ID3", "my-id")
TYPED_CALLER: Final = "def tell("
"""What is in the example that the maintainer's page breaks."""
MADE: Final = {"build/docs/", ".venv/", "dist/", "caller.py"}
"""Files and folders on the pages that a command or a reader makes."""
WORDS: Final = {"Authorization", "Bearer", "FailedStatus"}
"""What looks like a class between backticks and is none, or not yet."""


def text_of(page: Path) -> str:
    """Return a page."""
    return page.read_text("utf-8")


def blocks(page: Path, kind: str) -> list[str]:
    """Return the fenced blocks of one kind in a page."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", text_of(page), re.MULTILINE | re.DOTALL)


def commands() -> dict[str, str]:
    """Return every command in a page's blocks for the shell, without comments, with the page that shows it first."""
    found: dict[str, str] = {}
    for page in PAGES:
        for line in "".join(blocks(page, "sh")).replace("\\\n", " ").splitlines():
            found.setdefault(re.sub(r" +# .*", "", line).strip(), page.name)
    return found


COMMANDS: Final = list(commands())


def table(page: Path, heading: str) -> list[list[str]]:
    """Return the cells of the table whose first column has this heading, without backticks."""
    block = next(block for block in text_of(page).split("\n\n") if block.startswith(f"| {heading} |"))
    return [[cell.strip(" `") for cell in row.split("|")[1:-1]] for row in block.splitlines()[2:]]


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[User]:
    """Return someone who tries what they read: in a folder with a few files, with a key and a sandbox of their own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ids.txt").write_text("ID1\nID2\n", "utf-8")
    with running(Settings(api_key=KEY, requests=REQUESTS, duration=0.3)) as url:
        env = environment(tmp_path, PIXAZO_API_KEY=KEY, LONGCAT_BASE_URL=url)
        env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        yield User(tmp_path, env)


# --- Python.


def examples() -> list[tuple[Path, Example, str]]:
    """Return every block of Python that is a program, with its page and with what it should print."""
    found = []
    for page in PAGES:
        text = text_of(page)
        for example in Sybil(parsers=[PythonCodeBlockParser()]).parse(page).examples():
            shown = re.match(r"(?:```)?\n*```text\n(.*?)^```$", text[example.region.end :], re.DOTALL | re.MULTILINE)
            found.append((page, example, shown[1] if shown else ""))
    return found


PROGRAMS: Final = [
    pytest.param(example, shown, id=f"{page.stem}:{example.line}")
    for page, example, shown in examples()
    if page != MAINTAINING and "def test_" not in example.parsed
]


def test_no_block_is_left_out() -> None:
    """Each fenced block has a kind that is run or checked, and each block of Python is among the examples."""
    fence = re.compile(r"^```(\S*) *\S*\n.*?^```$", re.MULTILINE | re.DOTALL)
    kinds = {kind for page in PAGES for kind in fence.findall(text_of(page))}
    assert kinds == {"python", "text", "sh", "yaml", "toml", "diff", "{toctree}", "{include}", "{rooms}", "{eval-rst}"}
    assert len(examples()) == sum(len(blocks(page, "python")) for page in PAGES) > 10


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize(("example", "shown"), PROGRAMS)
def test_program(example: Example, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A block of Python runs as it stands and prints what the next block shows, where `...` stands for anything."""
    example.evaluate()
    out, err = capsys.readouterr()
    expected = ".*".join(re.escape(part) for part in shown.split("..."))
    assert (bool(re.fullmatch(expected, out, re.DOTALL)), err) == (True, ""), out
    assert {path.read_bytes()[:8] for path in Path().glob("*.png")} <= {PNG}
    assert ".download(" not in example.parsed or list(Path().glob("*.png"))


def test_pytest_block(tmp_path: Path) -> None:
    """The block with tests is a file that pytest runs as it stands, with longcat's plugin."""
    (block,) = [example.parsed for _, example, _ in examples() if "def test_" in example.parsed]
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
    with pytest.raises(ValueError, match="status must match const 'completed', got 'processing'"):
        asked(200, json={"status": "processing", "request_id": "r"})
    with running(Settings()) as url, longcat_api.Client(url) as keyless:
        answer = get_request_result.sync(client=keyless, body=StatusRequest("XXXXXXXXXXXXX"))
    assert answer == Error("Invalid or missing authentication")


# --- The shell.


def lines(pattern: str) -> list[str]:
    """Return the commands that begin so."""
    return [line for line in COMMANDS if re.match(pattern, line)]


CLIENT: Final = r"(PIXAZO_API_KEY=\S+ )?longcat (wait|status) "
ASKING: Final = r"longcat contract (probe|explain)"
READING: Final = r"longcat contract (check|suggest|record)"
SERVING: Final = r"longcat sandbox "
MAKING: Final = r"make [a-z-]+$"
FUZZING: Final = r"schemathesis run "
SINGLE: Final = (
    r"pip install '",
    r"export LONGCAT",
    r"curl -X POST http://127\.0\.0\.1:8000/sandbox/requests$",
    r"curl -X POST https://gateway\.pixazo\.ai",
)


def test_every_command_is_here() -> None:
    """Each command is of a kind that one of the tests here knows."""
    known = "|".join([CLIENT, ASKING, READING, SERVING, MAKING, FUZZING, *SINGLE])
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
    """A line with `longcat wait` or `longcat status` runs as it stands."""
    code, out, err = obey(reader, line, capsys)
    assert (code, bool(out), "longcat:" in err) == (0, True, False)
    saved = [Path(path).read_bytes()[:8] for path in out.split() if " -o " in line]
    assert saved == [PNG] * len(list(Path().rglob("*.png")))


@pytest.mark.parametrize("line", lines(ASKING))
def test_asking_line(reader: User, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A line that asks or explains runs as it stands, and finds no drift in the sandbox."""
    code, out, err = obey(reader, line, capsys)
    assert (code, bool(out), err) == (0, True, "")


@pytest.mark.parametrize("line", lines(READING))
def test_reading_line(line: str) -> None:
    """A line about recordings, which a reader has and we have not, is one that the command line takes."""
    assert callable(parse(shlex.split(line)[1:]).run)


@pytest.mark.parametrize("line", lines(SERVING))
def test_serving_line(line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A line with `longcat sandbox` gets as far as serving, or prints a list."""
    served: list[Settings] = []
    monkeypatch.setattr("longcat.sandbox.serve", lambda settings, **_: served.append(settings))
    assert run(shlex.split(line)[1:]) == Exit.DONE
    assert len(served) + bool(capsys.readouterr().out) == 1


def test_baseline(reader: User, capsys: pytest.CaptureFixture[str]) -> None:
    """The baseline that a page shows is one that the drift check takes, and says is not needed yet."""
    (baseline,) = blocks(DOCS / "drift.md", "toml")
    (reader.folder / "known.toml").write_text(baseline, "utf-8")
    assert run(["contract", "check", str(ROOT / "cassettes"), "--baseline", "known.toml"]) == Exit.DONE
    assert "field-new get_request_result /queue_position was not needed" in capsys.readouterr().out


def test_schemathesis_line(reader: User) -> None:
    """The line with schemathesis runs against the sandbox; here with the key of this one, and in a moment."""
    (line,) = lines(FUZZING)
    line = line.replace("http://127.0.0.1:8000", reader.env["LONGCAT_BASE_URL"]).replace(Settings().api_key, KEY)
    shutil.copy(ROOT / "openapi.yaml", reader.folder)
    ran = reader.run(f"{line} --phases examples --no-color", program=["sh", "-c"])
    assert ran.code == 0, ran.out


def test_export_line() -> None:
    """What is set to reach the sandbox is the port of the examples, and the one key that is accepted."""
    (line,) = lines("export ")
    assert line == f"export LONGCAT_BASE_URL=http://127.0.0.1:8000 PIXAZO_API_KEY={Settings().api_key}"
    ports = {port for one in COMMANDS for port in re.findall(r"--port (\d+)", one)}
    assert ports == {"8000"}


def test_sandbox_order_line(reader: User) -> None:
    """The line with curl makes a new request in a sandbox."""
    (line,) = lines(SINGLE[2])
    answer = httpx.post(reader.env["LONGCAT_BASE_URL"] + urlsplit(line.split()[-1]).path)
    assert (answer.status_code, "request_id" in answer.json()) == (201, True)


def test_order_line() -> None:
    """The order, which costs money and is never sent here, has the documented address, headers and fields."""
    (line,) = lines(SINGLE[3])
    words = shlex.split(line)
    assert words[:4] == ["curl", "-X", "POST", "https://gateway.pixazo.ai/longcat-image-498/v1/longcat-image-request"]
    assert {words[i + 1].partition(":")[0] for i, word in enumerate(words) if word == "-H"} == {
        *(contract().key_header, "Content-Type", "Cache-Control"),
    }
    assert set(json.loads(words[words.index("-d") + 1])) == {"prompt", "image_size"}


def test_install_line() -> None:
    """The line with pip installs the wheel that `make build` makes, with extras that there are."""
    (line,) = lines("pip install ")
    wheel = re.match(r"pip install 'dist/(.+\.whl)\[(\w+)\]'", line)
    assert wheel
    assert wheel[1] == f"longcat_image-{longcat.__version__}-py3-none-any.whl"
    assert wheel[2] in PROJECT["optional-dependencies"]


# --- The maintainer's page, from the first line to the last.


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a copy of what a change of the contract touches, under git."""
    for name in ("tools", "generated", "cassettes"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "openapi.yaml", tmp_path)
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


def checked(folder: Path, *programs: str) -> str:
    """Return what mypy, strictly, says of programs that use the client generated in a folder."""
    files = [f"caller{number or ''}.py" for number in range(len(programs))]
    for file, program in zip(files, programs, strict=True):
        (folder / file).write_text(program, "utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--no-error-summary", *files]
    cache = ["--cache-dir", str(ROOT / ".cache" / "mypy-docs")]
    env = {**os.environ, "MYPYPATH": os.pathsep.join([str(folder / "generated"), str(ROOT)])}
    done = subprocess.run([*command, *cache], cwd=folder, env=env, capture_output=True, text=True, check=False)  # noqa: S603
    for file in files:
        (folder / file).unlink()
    return done.stdout + done.stderr


def test_a_change_from_the_first_line_to_the_last(project: Path) -> None:
    """The page's diff applies, generates what the page shows, and breaks the typed caller where the page says."""
    page, (change, signature) = MAINTAINING, blocks(MAINTAINING, "diff")
    status, complaint = blocks(page, "text")
    programs = [example.parsed for where, example, _ in examples() if where != page]
    caller = next(program for program in programs if TYPED_CALLER in program)
    assert checked(project, *programs) == ""  # Every example has right types, to begin with.

    git(project, "apply", "-", given=change)
    recipe = MAKEFILE.partition("\ngenerate:")[2].partition("\n\n")[0]
    for tool in re.findall(r"tools/(\w+\.py)$", recipe, re.MULTILINE):
        subprocess.run([sys.executable, str(project / "tools" / tool)], check=True, capture_output=True)  # noqa: S603
    assert git(project, "status", "--short") == status
    assert set(signature.splitlines()) <= set(git(project, "diff", "generated").splitlines())

    assert checked(project, caller) == complaint
    (case,) = blocks(page, "python")
    mended = caller.replace("        case rest:", f"{case}        case rest:").replace("Error,", "Error, FailedStatus,")
    assert checked(project, mended) == ""
    facade = (
        "from longcat.testing import FakeGateway\n"
        "try:\n    FakeGateway().request('r', 5, fails='no cats').client().wait('r')\n"
        "except Exception as error:\n    print(type(error).__name__, type(error.status.raw).__name__)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(project / "generated")}
    ran = subprocess.run([sys.executable, "-c", facade], env=env, capture_output=True, text=True, check=False)  # noqa: S603
    assert (ran.stdout, ran.stderr) == ("GenerationFailed FailedStatus\n", "")


# --- Tables and drawings.


def test_the_readme_ends_before_it_tires() -> None:
    """It has 115 lines at most; the rest is a page away."""
    assert len(text_of(README).splitlines()) <= 115


def test_errors() -> None:
    """The table of errors has every exception of the tree, and no other; the status codes in it are right."""
    tree = {name for name in longcat.__all__ if _is_error(getattr(longcat, name))}
    means = {name: meaning for name, meaning, _ in table(DOCS / "errors.md", "error")}
    assert {*means, "LongCatError"} == tree
    assert {name: meaning[:3] for name, meaning in means.items() if re.match(r"\d{3}:", meaning)} == {
        error.__name__: str(code) for code, error in STATUS_ERRORS.items()
    }


def test_error_tree() -> None:
    """The tree on the page is the one in the module, and each class stands below its base."""
    drawing = blocks(DOCS / "errors.md", "text")[0]
    assert drawing in (longcat.errors.__doc__ or "")
    above: dict[int, str] = {}
    for depth, name in ((len(m[1]), m[2]) for m in re.finditer(r"^([ |+-]*)(\w+)", drawing, re.MULTILINE)):
        above[depth] = name
        bases = [one.__name__ for one in getattr(longcat, name).__bases__]
        assert depth == 0 or above[max(d for d in above if d < depth)] in bases


def _is_error(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, longcat.LongCatError)


def test_exit_codes() -> None:
    """The tables of exit codes have every exit code of the command, and no other."""
    assert [int(code) for code, _ in table(DOCS / "command-line.md", "exit code")] == list(Exit)
    codes = [int(code) for code, _ in table(DOCS / "drift.md", "exit code")]
    assert codes == sorted({*map(int, Verdict), Exit.MISUSED})


def test_extras() -> None:
    """The table of extras has every extra, and what it brings."""
    brings = {extra: what for extra, what, _ in table(DOCS / "tutorial.md", "extra")}
    needs = {"none": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}
    assert brings.pop("all") == "all of these"
    (everything,) = needs.pop("all")
    assert {extra: set(what.split(", ")) for extra, what in brings.items()} == {
        extra: {re.split(r"[^\w.-]", package)[0] for package in packages} for extra, packages in needs.items()
    }
    assert everything == f"{PROJECT['name']}[{','.join(extra for extra in needs if extra != 'none')}]"


def test_reference() -> None:
    """The API reference has every public name, and no other."""
    directive = r"^\.\. (?:auto|py:)\w+:: (\w+)(?:\(\))?$"
    written = [name for page in (DOCS / "api").glob("*.md") for name in _names(directive, page)]
    public = [name for module in PUBLIC for name in module.__all__ if not name.startswith("__")]
    assert sorted(written) == sorted(public)


def test_rooms() -> None:
    """The drawing of the rooms in ARCHITECTURE.md has each folder and module at the top of the package."""
    _, drawing, _ = text_of(ARCHITECTURE).split("```")
    drawn = re.findall(r"(?:^longcat/ +|^ {10}|\s{3,})(\w+)/?(?= {2,}\S)", drawing, re.MULTILINE)
    modules = [path.stem for path in (ROOT / "longcat").iterdir() if not path.stem.startswith("_")]
    assert sorted(drawn) == sorted(name for name in modules if name != "py")


@pytest.mark.parametrize(("package", "more"), [("longcat", {"longcat_api"}), ("longcat.contract", set())])
def test_picture(package: str, more: set[str]) -> None:
    """The picture has a box for each room, an arrow for each import that no longer way implies, and is drawn alike."""
    picture = ET.fromstring(draw_rooms.draw(package))  # noqa: S314 - ours.
    spaces = "{http://www.w3.org/2000/svg}"
    folder = ROOT / package.replace(".", "/")
    rooms = {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    boxes = [text.text for text in picture.iter(f"{spaces}text")]
    assert sorted(filter(None, boxes)) == sorted({name for name in rooms if not name.startswith("_")} | more)
    arrows = [path for path in picture.iter(f"{spaces}path") if path.get("class") == "arrow"]
    graph = draw_rooms.imports(package)
    assert 0 < len(arrows) == sum(map(len, draw_rooms.reduced(graph).values())) <= sum(map(len, graph.values()))
    assert draw_rooms.draw(package) == draw_rooms.draw(package)


# --- What they name.


def _names(pattern: str, *pages: Path) -> list[str]:
    return sorted({name for page in pages for name in re.findall(pattern, text_of(page), re.MULTILINE)})


def _code(*pages: Path) -> str:
    """Return what stands between backticks, a piece a line."""
    pieces = [piece for page in pages for piece in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text_of(page))]
    return "\n".join(html.unescape(piece) for piece in pieces)


def test_commands_of_make() -> None:
    """A command that starts with `make` is in the Makefile, and in what `make help` prints."""
    named = _names(r"(?:`|--|^)make ([a-z]+(?:-[a-z]+)*)(?!=)\b", *PROSE, *MEASURED)
    assert [name for name in named if not re.search(rf"^{name}:.* ## \w", MAKEFILE, re.MULTILINE)] == []


def test_files() -> None:
    """A file or folder that is named exists, or is one that a command or a reader makes."""
    named = set(_names(r"`((?:[\w.-]+/)*[\w.-]+(?:/|\.(?:py|md|json|yaml)))`", *PROSE)) - MADE
    folders = [ROOT, DOCS, ROOT / "longcat", ROOT / "generated" / "longcat_api"]
    assert [name for name in sorted(named) if not any((folder / name).exists() for folder in folders)] == []


def test_classes() -> None:
    """A class in backticks is in the package, in the generated client, in httpx, or in Python."""
    named = set(re.findall(r"(?<![\w./'\"-])(?:[a-z]+\.)?(_?[A-Z][a-z]+[A-Z]?\w+)(?![\w:-])", _code(*PROSE)))
    modules = _modules()
    assert [name for name in sorted(named - WORDS) if not any(hasattr(module, name) for module in modules)] == []


def test_glossary() -> None:
    """Each term has a line of its own, and the names between backticks are in the code, each under one term."""
    terms = re.findall(r"^- \*\*(.+?)\*\*: (.+\.)$", text_of(GLOSSARY), re.MULTILINE)
    assert len(terms) == len({term for term, _ in terms}) == text_of(GLOSSARY).count("\n- ")
    names = [name for _, meaning in terms for name in re.findall(r"`([^` ]+)`", meaning)]
    known = _identifiers()
    assert [name for name in names if name not in known and not (ROOT / name).exists()] == []
    assert len(names) == len(set(names))


def _identifiers() -> set[str]:
    """Return every name that the package's code has, its modules' included."""
    found = {"longcat_api"}
    for path in (ROOT / "longcat").rglob("*.py"):
        with path.open("rb") as file:
            found |= {token.string for token in tokenize.tokenize(file.readline) if token.type == tokenize.NAME}
        found.add(path.stem)
    return found


def _modules() -> list[ModuleType]:
    paths = (ROOT / "longcat").rglob("[a-z]*.py")
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths]
    names += ["longcat_api.models", "longcat_api.client", "longcat_api.types", "json", "httpx", "builtins"]
    return [importlib.import_module(name) for name in names]


@pytest.mark.parametrize("page", [*PROSE, *sorted(MEASURED), ROOT / "CHANGELOG.md"], ids=lambda page: page.name)
def test_links(page: Path) -> None:
    """Relative links lead to files that exist, and others are whole addresses; `make docs-links` visits those."""
    links = re.findall(r"\]\(([^)\s]+)\)|^\[\w+\]: (\S+)$", text_of(page), re.MULTILINE)
    for link in (one or other for one, other in links):
        parts = urlsplit(link)
        if parts.scheme:
            assert (parts.scheme, bool(re.fullmatch(r"[\w-]+(\.[\w-]+)+", parts.netloc))) == ("https", True), link
        elif parts.path:
            assert (page.parent / parts.path).exists(), link


def test_every_page_is_in_a_table_of_contents() -> None:
    """Each page is reached from the index, and the README links those at the top."""
    listed = {(page.parent / name).with_suffix(".md") for page in DOCS.rglob("*.md") for name in _listed(page)}
    assert listed | {DOCS / "index.md"} == set(DOCS.rglob("*.md"))
    links = re.findall(r"\b(?:docs/)?([\w-]+)\.md\b", text_of(README))
    top = {name.removesuffix("/index") for name in _listed(DOCS / "index.md")} - {"api"}
    assert {name.lower() for name in links} >= top


def _listed(page: Path) -> list[str]:
    return [line for block in blocks(page, r"\{toctree\}") for line in block.splitlines() if line and line[0] != ":"]


def test_changelog() -> None:
    """The changelog begins with the version that this is."""
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert headings[0] == longcat.__version__

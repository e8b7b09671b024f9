"""What the README and ARCHITECTURE.md say is so: their examples run, and what they name exists."""

import asyncio
import builtins
import importlib
import os
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from sybil import Example, Sybil
from sybil.parsers.markdown import PythonCodeBlockParser
from test_cli import PNG, User, environment

import longcat.testing
from longcat.cli import main
from longcat.cli.arguments import parse
from longcat.cli.outcome import Exit
from longcat.gateway.result import STATUS_ERRORS
from longcat.sandbox import Settings, running

ROOT: Final = Path(__file__).resolve().parent.parent
README: Final = (ROOT / "README.md").read_text("utf-8")
ARCHITECTURE: Final = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
KEY: Final = "..."
"""The sandbox takes the README's placeholder for a key, so that the README's lines run unchanged."""
REQUESTS: Final = ("REQUEST_ID", "ID", "ID1", "ID2", "ID3", "my-id")
UNFENCED: Final = re.sub(r"^```.*?^```$", "", README, flags=re.MULTILINE | re.DOTALL)
SHELL: Final = [line.strip() for line in re.findall(r"^ {4}\S.*", UNFENCED, re.MULTILINE)]
"""What the README tells people to type: its indented lines, but for those within a block of Python."""


def table(text: str, heading: str) -> list[list[str]]:
    """Return the cells of the table whose first column has this heading, without backticks."""
    block = next(block for block in text.split("\n\n") if block.startswith(f"| {heading} |"))
    return [[cell.strip(" `") for cell in row.split("|")[1:-1]] for row in block.splitlines()[2:]]


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[User]:
    """Return someone who tries what they read: in an empty folder, with a key and a sandbox of their own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ids.txt").write_text("ID1\nID2\n", "utf-8")
    with running(Settings(api_key=KEY, requests=REQUESTS, duration=0.3)) as url:
        env = environment(tmp_path, PIXAZO_API_KEY=KEY, LONGCAT_BASE_URL=url)
        env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        yield User(tmp_path, env)


# --- Its examples.


def examples() -> list[Example]:
    """Return the README's blocks of Python, not run yet."""
    return list(Sybil(parsers=[PythonCodeBlockParser()]).parse(ROOT / "README.md").examples())


# What each block prints, and how many pictures it leaves behind.
BLOCKS: Final = (
    ("", 1),
    (r"processing 0\.0\n(processing 0\.\d+\n)+completed 1\.0\n", 1),
    (r"cat\.png\n", 1),
    (r"Image\(request_id='XXXXXXXXXXXXX', .*\)\n", 0),
    ("", 3),
    ("", 0),
)


def test_every_block_is_here() -> None:
    """Each fenced block of the README is Python, and in the table above, or a workflow, which has tests of its own."""
    fences = re.findall(r"^```(\w+)$", README, re.MULTILINE)
    assert [fence for fence in fences if fence != "yaml"] == ["python"] * len(BLOCKS)
    assert len(examples()) == len(BLOCKS)


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_python(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    """A block of Python runs as it stands; a coroutine that it only defines is run for it."""
    example = examples()[number]
    example.evaluate()
    if "quick" in example.namespace:
        asyncio.run(example.namespace["quick"]())
    printed, saved = BLOCKS[number]
    out, err = capsys.readouterr()
    assert (bool(re.fullmatch(printed, out)), err) == (True, ""), out
    assert [path.read_bytes()[:8] for path in Path().glob("*.png")] == [PNG] * saved


def test_pytest_block(tmp_path: Path) -> None:
    """The block with tests is a file that pytest runs as it stands, in a moment, with longcat's plugin."""
    (block,) = [example.parsed for example in examples() if "def test_" in example.parsed]
    (tmp_path / "test_mine.py").write_text(block, "utf-8")
    env = environment(tmp_path, PYTHONPATH=os.pathsep.join(filter(None, sys.path)), PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    ran = User(tmp_path, env).run("-p", "longcat.pytest_plugin", program=[sys.executable, "-m", "pytest"])
    assert (ran.code, f"{block.count('def test_')} passed" in ran.out) == (0, True), ran.out
    assert [seconds for seconds in re.findall(r"passed in ([\d.]+)s", ran.out) if float(seconds) > 10] == []


def test_every_line_is_here() -> None:
    """Each line for the shell is a command that one of the tests here knows."""
    known = re.compile(
        r"(PIXAZO_API_KEY=\S+ )?longcat (wait|status|sandbox|contract) |make [a-z]+|pip install '|curl -X POST |"
        r"export LONGCAT"
    )
    assert len(SHELL) > 10
    assert [line for line in SHELL if not known.match(line)] == []


@pytest.mark.parametrize("line", [line for line in SHELL if re.search(r"longcat (wait|status) ", line)])
def test_client_line(reader: User, line: str) -> None:
    """A line with `longcat wait` or `longcat status` runs in a shell as it stands."""
    ran = reader.run(line, program=["sh", "-c"])
    assert (ran.code, ran.errors) == (0, [])
    assert ran.out
    saved = [Path(path).read_bytes()[:8] for path in ran.out.split() if " -o " in line]
    assert saved == [PNG] * len(list(Path().rglob("*.png")))


@pytest.mark.parametrize("line", [line for line in SHELL if re.match("longcat contract (probe|explain)", line)])
def test_watching_line(reader: User, line: str) -> None:
    """A line that asks or explains runs in a shell as it stands, and finds no drift in the sandbox."""
    ran = reader.run(line, program=["sh", "-c"])
    assert (ran.code, bool(ran.out), ran.errors) == (0, True, [])


@pytest.mark.parametrize("line", [line for line in SHELL if re.match("longcat contract (check|suggest)", line)])
def test_recordings_line(line: str) -> None:
    """A line about recordings, which a reader has and we have not, is one that the command line takes."""
    assert callable(parse(shlex.split(line, comments=True)[1:]).run)


@pytest.mark.parametrize("line", [line for line in SHELL if line.startswith("longcat sandbox ")])
def test_server_line(line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A line with `longcat sandbox` gets as far as serving, or prints a list."""
    served: list[Settings] = []
    monkeypatch.setattr("longcat.sandbox.serve", lambda settings, **_: served.append(settings))
    assert main(shlex.split(line, comments=True)[1:]) == Exit.DONE
    assert len(served) + bool(capsys.readouterr().out) == 1


def test_export_line() -> None:
    """What the README sets to reach the sandbox is the port of its example, and the one key that is accepted."""
    (line,) = [line for line in SHELL if line.startswith("export ")]
    (server,) = [line for line in SHELL if "--request my-id" in line]
    (port,) = re.findall(r"--port (\d+)", server)
    assert line == f"export LONGCAT_BASE_URL=http://127.0.0.1:{port} PIXAZO_API_KEY={Settings().api_key}"


def test_curl_line(reader: User) -> None:
    """The line with curl makes a new request in a sandbox."""
    (path,) = [re.search(r":8000(/\S+)", line) for line in SHELL if line.startswith("curl -X POST ")]
    assert path
    assert httpx.post(reader.env["LONGCAT_BASE_URL"] + path[1]).status_code == 201


def test_install_line() -> None:
    """The line with pip installs the wheel that `make build` makes, with extras that there are."""
    (line,) = [line for line in SHELL if line.startswith("pip install ")]
    wheel = re.fullmatch(r"pip install 'dist/(.+\.whl)\[(\w+)\]'", line)
    assert wheel
    assert wheel[1] == f"longcat_image-{longcat.__version__}-py3-none-any.whl"
    assert wheel[2] in PROJECT["optional-dependencies"]


# --- Its tables.


def test_errors() -> None:
    """The table of errors has every exception of the tree, and no other; the status codes in it are right."""
    tree = {name for name in longcat.__all__ if _is_error(getattr(longcat, name))}
    means = {name: meaning for name, meaning, _ in table(README, "error")}
    assert {*means, "LongCatError"} == tree
    assert {name: meaning[:3] for name, meaning in means.items() if re.match(r"\d{3}:", meaning)} == {
        error.__name__: str(code) for code, error in STATUS_ERRORS.items()
    }


def _is_error(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, longcat.LongCatError)


def test_exit_codes() -> None:
    """The table of exit codes has every exit code of the command line, and no other."""
    assert [int(code) for code, _ in table(README, "exit code")] == list(Exit)


def test_extras() -> None:
    """The table of extras has every extra, and what it brings."""
    brings = {extra: what for extra, what, _ in table(README, "extra")}
    needs = {"none": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}
    assert brings.pop("all") == "all of these"
    (everything,) = needs.pop("all")
    assert {extra: set(what.split(", ")) for extra, what in brings.items()} == {
        extra: {re.split(r"[^\w.-]", package)[0] for package in packages} for extra, packages in needs.items()
    }
    assert everything == f"{PROJECT['name']}[{','.join(extra for extra in needs if extra != 'none')}]"


# --- What they name.


def _names(pattern: str, *texts: str) -> list[str]:
    return sorted({name for text in texts for name in re.findall(pattern, text, re.MULTILINE)})


def _code(*texts: str) -> list[str]:
    """Return what stands between backticks."""
    return [code for text in texts for code in re.findall(r"`([^`\n]+)`", text)]


@pytest.mark.parametrize("target", _names(r"(?:`|--|^ {4})make ([a-z]+(?:-[a-z]+)*)", README, ARCHITECTURE))
def test_make_target(target: str) -> None:
    """A command that starts with `make` is in the Makefile, and in what `make help` prints."""
    assert re.search(rf"^{target}:.* ## \w", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("name", _names(r"`([\w./-]+(?:/|\.(?:py|md|json|yaml)))`", ARCHITECTURE))
def test_file(name: str) -> None:
    """A file or folder that ARCHITECTURE.md names exists."""
    assert [folder for folder in ("", "generated/longcat_api") if (ROOT / folder / name).exists()]


def test_rooms() -> None:
    """The drawing of the rooms in ARCHITECTURE.md has each folder and module at the top of the package."""
    _, drawing, _ = ARCHITECTURE.split("```")
    drawn = re.findall(r"(?:^longcat/ +|^ {10}|\s{3,})(\w+)/?(?= {2,}\S)", drawing, re.MULTILINE)
    modules = [path.stem for path in (ROOT / "longcat").iterdir() if not path.stem.startswith("_")]
    assert sorted(drawn) == sorted(name for name in modules if name != "py")


@pytest.mark.parametrize(
    "name", _names(r"(?<![\w.-])(?:[a-z]+\.)?(_?[A-Z][a-z]\w+)(?![\w-])", *_code(README, ARCHITECTURE))
)
def test_class(name: str) -> None:
    """A class in backticks is in the package, in httpx, or in Python."""
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in (ROOT / "longcat").rglob("[a-z]*.py")]
    modules = [importlib.import_module(name) for name in names]
    assert any(hasattr(module, name) for module in (longcat, longcat.testing, httpx, builtins, *modules))


@pytest.mark.parametrize("name", ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"])
def test_links(name: str) -> None:
    """Relative links lead to files that exist."""
    links = re.findall(r"\]\((?!\w+:|#)([^)#]+)", (ROOT / name).read_text("utf-8"))
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_changelog() -> None:
    """The changelog begins with the version that this is."""
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert headings[0] == longcat.__version__

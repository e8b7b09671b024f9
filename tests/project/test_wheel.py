"""What people install: the wheel, alone in a fresh environment, without extras and without this repository."""

import configparser
import email
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import Any, Final

import pytest
from shell import FIELDS, KEY, PLAIN, PNG, Ran, User, environment

import longcat
from longcat.sandbox import Settings, running

ROOT: Final = Path(__file__).resolve().parents[2]
PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def python(*arguments: str, folder: Path) -> None:
    """Run this environment's Python; its output is shown when it fails."""
    done = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the source archive, and from it the wheel, as `make build` does."""
    folder = tmp_path_factory.mktemp("dist")
    python("-m", "build", "--no-isolation", "--outdir", str(folder), folder=ROOT)
    archive = folder / f"longcat_image-{longcat.__version__}.tar.gz"
    built = folder / f"longcat_image-{longcat.__version__}-py3-none-any.whl"
    assert set(folder.iterdir()) == {archive, built}
    return built


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of programs of a fresh environment, in which the wheel and its requirements are installed."""
    folder = tmp_path_factory.mktemp("bare")
    python("-m", "venv", "--without-pip", str(folder), folder=folder)
    programs = folder / "bin"
    python("-m", "uv", "pip", "install", "--quiet", "--python", str(programs / "python"), str(wheel), folder=folder)
    return programs


@pytest.fixture
def user(tmp_path: Path) -> Iterator[User]:
    """Return someone with a key, a sandbox outside of the environment, and no repository in sight."""
    with running(Settings(api_key=KEY, duration=0)) as url:
        yield User(tmp_path, environment(tmp_path, PIXAZO_API_KEY=KEY, LONGCAT_BASE_URL=url))


# --- What is in it.


def test_contents(wheel: Path) -> None:
    """The wheel has both packages, whole and typed, with the contract, and nothing else but its metadata."""
    names = set(zipfile.ZipFile(wheel).namelist())
    packages = {"longcat": ROOT, "longcat_api": ROOT / "generated"}
    expected = {
        path.relative_to(folder).as_posix()
        for package, folder in packages.items()
        for path in (folder / package).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert {name for name in names if ".dist-info/" not in name} == expected
    assert {"longcat/py.typed", "longcat_api/py.typed", "longcat_api/openapi.json"} <= expected


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    """Return the wheel's metadata."""
    with zipfile.ZipFile(wheel) as archive:
        return email.message_from_bytes(archive.read(f"longcat_image-{longcat.__version__}.dist-info/METADATA"))


def test_metadata(metadata: Message, wheel: Path) -> None:
    """The metadata names the distribution, its version, its Python, and its licence, whose text is there."""
    fields = ("Name", "Version", "Requires-Python", "License-Expression", "License-File", "Description-Content-Type")
    expected = ["longcat-image", longcat.__version__, ">=3.11", "MIT", "LICENSE", "text/markdown"]
    assert [metadata[name] for name in fields] == expected
    with zipfile.ZipFile(wheel) as archive:
        licence = archive.read(f"longcat_image-{longcat.__version__}.dist-info/licenses/LICENSE")
    assert licence == (ROOT / "LICENSE").read_bytes()


def test_requirements(metadata: Message) -> None:
    """Alone it requires httpx and attrs, and all else is an extra."""
    extras: list[str] = metadata.get_all("Provides-Extra", [])
    assert sorted(extras) == sorted(PROJECT["optional-dependencies"])
    needs: list[str] = metadata.get_all("Requires-Dist", [])
    assert sorted(re.split(r"[^\w-]", need)[0] for need in needs if "extra ==" not in need) == ["attrs", "httpx"]


def test_entry_points(wheel: Path) -> None:
    """It brings one program and one plugin for pytest, as the project says."""
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read(f"longcat_image-{longcat.__version__}.dist-info/entry_points.txt").decode()
    found = configparser.ConfigParser()
    found.read_string(text)
    assert {name: dict(found[name]) for name in found.sections()} == {
        "console_scripts": PROJECT["scripts"],
        **PROJECT["entry-points"],
    }


# --- How it does alone.

SURVEY: Final = """
import importlib.metadata, json, warnings
warnings.simplefilter("error")
import longcat
from longcat import *
import longcat.cli, longcat.testing, longcat_api
json.dump({
    "files": [longcat.__file__, longcat_api.__file__],
    "missing": [name for name in longcat.__all__ if name not in globals()],
    "distributions": sorted({one.metadata["Name"].lower() for one in importlib.metadata.distributions()}),
}, __import__("sys").stdout)
"""


def test_import(bare: Path, user: User) -> None:
    """Both packages, and every public name, are imported from the fresh environment, where no extra is installed."""
    ran = user.run("-I", "-c", SURVEY, program=[str(bare / "python")])
    assert (ran.code, ran.err) == (0, "")
    seen: dict[str, Any] = json.loads(ran.out)
    assert [Path(file).is_relative_to(bare.parent) for file in seen["files"]] == [True, True]
    assert seen["missing"] == []
    assert {"longcat-image", "httpx", "attrs"} <= set(seen["distributions"])
    assert {"rich", "starlette", "uvicorn", "pillow", "httpx-aiohttp", "trio"} & set(seen["distributions"]) == set()


@pytest.mark.parametrize("program", [["longcat"], ["python", "-m", "longcat"]], ids=" ".join)
def test_version(bare: Path, user: User, program: list[str]) -> None:
    """`longcat --version` runs, as a program and as a module."""
    ran = user.run("--version", program=[str(bare / program[0]), *program[1:]])
    assert (ran.code, ran.out, ran.err) == (0, f"longcat {longcat.__version__}\n", "")


def test_wait(bare: Path, user: User) -> None:
    """`longcat wait` saves a picture; on stderr there is nothing but progress."""
    ran = user.run("wait", "XXXXXXXXXXXXX", "-o", "cat.png", "--json", program=[str(bare / "longcat")])
    assert (ran.code, [bool(PLAIN.fullmatch(line)) for line in ran.err.splitlines()]) == (0, [True])
    assert [(tuple(one), one["path"]) for one in ran.objects] == [(FIELDS, "cat.png")]
    assert (user.folder / "cat.png").read_bytes().startswith(PNG)


def test_wait_in_a_terminal(bare: Path, user: User) -> None:
    """In a terminal, one line says how to get live progress; what follows is plain."""
    with user.sit_down("wait", "XXXXXXXXXXXXX", program=[str(bare / "longcat")]) as terminal:
        display = terminal.finish()
    hint, progress, url = display.screen
    assert (display.ran.code, hint.count("pip install 'longcat-image[cli]'")) == (0, 1)
    assert PLAIN.fullmatch(progress)
    assert url == f"{user.env['LONGCAT_BASE_URL']}/results/XXXXXXXXXXXXX.png"


@pytest.mark.parametrize("arguments", [(), ("--fault", "list")], ids=["serve", "list"])
def test_sandbox(bare: Path, user: User, arguments: tuple[str, ...]) -> None:
    """`longcat sandbox` needs its extra, and says so with the command that installs it."""
    ran: Ran = user.run("sandbox", *arguments, program=[str(bare / "longcat")])
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (2, "", 1)
    assert ran.err.startswith("longcat: The sandbox needs the package ")
    assert "pip install 'longcat-image[sandbox]'" in ran.err

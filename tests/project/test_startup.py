"""What a start costs: which modules it imports, and that nobody notices otherwise that they come late.

Modules are counted, not seconds: a machine may be busy. A process of its own goes from one start to the next, each of
which needs what those before it need, and tells which modules each has added.
"""

import ast
import json
import pickle
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import pytest
from fakes import KEY
from servers import LIMIT, Server, read, response

import longcat
import longcat.testing

REQUEST_ID: Final = "cat-1"
ANSWER: Final = response(json.dumps({"status": "processing", "request_id": REQUEST_ID, "progress": 0.4}).encode())

PROGRAM: Final = """
import contextlib, io, sys
_, url, key, request_id = sys.argv
sys.modules.update(trio=None, rich=None)  # As in the default install.
known, added = {*sys.modules}, {}

def note(step):
    added[step] = sorted({*sys.modules} - known)
    known.update(sys.modules)

def run(step, *arguments):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        with contextlib.suppress(SystemExit):
            main(arguments)
    note(step)

import longcat
note("longcat")
import longcat.testing
note("longcat.testing")
from longcat.cli import main
run("--version", "--version")
run("--help", "--help")
run("help of a command", "status", "--help")
run("wrong use", "statsu")
import httpx, httpcore
note("httpx")
with longcat.LongCat(key, url) as cat:
    cat.status(request_id)
note("LongCat.status")
run("longcat status", "status", request_id, "--base-url", url)
import json
print(json.dumps(added))
"""


@pytest.fixture(scope="module")
def added() -> Mapping[str, list[str]]:
    """Return the modules that each start has added to those before it."""
    with Server([read, lambda connection: connection.send(ANSWER)], [read, lambda one: one.send(ANSWER)]) as server:
        ran = subprocess.run(  # noqa: S603
            [sys.executable, "-c", PROGRAM, server.url, KEY, REQUEST_ID],
            env={"PIXAZO_API_KEY": KEY},
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=True,
        )
    assert len(server.requests) == 2
    modules: dict[str, list[str]] = json.loads(ran.stdout)
    return modules


# --- What is imported.


def test_importing_longcat_imports_nothing_else(added: Mapping[str, list[str]]) -> None:
    """Neither `import longcat` nor `import longcat.testing` imports a package, not even one of Python's own."""
    assert added["longcat"] == ["longcat", "longcat._lazy", "longcat._version"]
    assert added["longcat.testing"] == ["longcat.testing"]


@pytest.mark.parametrize(
    ("step", "ours"),
    [
        ("--version", {"longcat.cli", "longcat.cli.interrupt", "longcat.cli.run", "longcat.cli.streams"}),
        (
            "--help",
            {
                *("longcat.cli.arguments", "longcat.cli.subcommands", "longcat.cli.contract", "longcat.cli.orders"),
                *("longcat.cli.contract.arguments", "longcat.cli.orders.arguments"),
                *("longcat.cli.journal", "longcat.cli.journal.arguments"),
            },
        ),
        ("help of a command", set()),
        ("wrong use", set()),
    ],
)
def test_help_comes_at_once(added: Mapping[str, list[str]], step: str, ours: set[str]) -> None:
    """The version, the help and a complaint about wrong use import what prints them, and no package beside ours."""
    assert {name for name in added[step] if name not in sys.stdlib_module_names and "." not in name} <= {"longcat"}
    assert {name for name in added[step] if name.startswith("longcat")} == ours
    assert {"typing", "pathlib", "logging", "json"} & {*added[step]} == set()


def test_a_first_answer_needs_little_beside_httpx(added: Mapping[str, list[str]]) -> None:
    """One question imports no event loop, no journal, nothing that waits or downloads, and no generated client."""
    new = {*added["LongCat.status"]}
    packages = {name.partition(".")[0] for name in new} - sys.stdlib_module_names
    assert packages == {"attr", "attrs", "longcat", "longcat_api"}
    assert {"asyncio", "concurrent.futures", "decimal", "html", "multiprocessing", "sqlite3"} & new == set()
    others = (
        *("longcat.client.async_client", "longcat.client.flows", "longcat.saving", "longcat.sending.tasks"),
        *("longcat.sending.threads.pool", "longcat.waiting.wait", "longcat_api.client"),
    )
    assert [name for name in new if name.startswith(others)] == []
    assert len([name for name in new if name.startswith("longcat.")]) <= 60


def test_the_command_that_asks_needs_little_beside_the_client(added: Mapping[str, list[str]]) -> None:
    """`longcat status` imports what it prints with, and not what other commands need."""
    assert {name for name in added["longcat status"] if name.startswith("longcat")} == {
        *("longcat.cli.status", "longcat.cli.results", "longcat.cli.exit_codes"),
    }


# --- The public names.


def test_each_public_name_is_imported_from_where_type_checkers_are_told() -> None:
    """`_names`, which type checkers read, imports each name from the module that `longcat` imports it from."""
    spec = find_spec("longcat._names")
    assert spec is not None
    assert imported_names(spec.origin) == homes(longcat) | {"__version__": "longcat._version"}
    assert imported_names(longcat.testing.__file__) == homes(longcat.testing) | {"lazy_names": "longcat._lazy"}
    assert sorted(homes(longcat.testing)) == sorted(longcat.testing.__all__)


def imported_names(file: str | None) -> dict[str, str | None]:
    """Return the names that a file imports, and from where."""
    tree = ast.parse(Path(file or "").read_text("utf-8"))
    found = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {one.name: node.module for node in found for one in node.names}


def homes(package: Any) -> dict[str, str]:
    """Return from where a package imports each public name when it is asked for."""
    return {name: module for module, names in package._MODULES.items() for name in names}


@pytest.mark.parametrize("package", [longcat, longcat.testing])
def test_names_that_come_late_are_like_others(package: Any) -> None:
    """They are listed, come with a star, and are the same whenever they are asked for."""
    names: dict[str, Any] = {}
    exec(f"from {package.__name__} import *", names)  # noqa: S102
    assert set(package.__all__) <= names.keys()
    assert set(package.__all__) <= set(dir(package))
    assert [name for name in package.__all__ if getattr(package, name) is not names[name]] == []


def test_what_is_not_there_is_told_as_always() -> None:
    """A name that is none is an `AttributeError`, and an `ImportError` where it is imported."""
    with pytest.raises(AttributeError, match=r"^module 'longcat' has no attribute 'LongDog'$"):
        _ = longcat.LongDog  # type: ignore[attr-defined]
    with pytest.raises(ImportError, match="cannot import name 'LongDog' from 'longcat'"):
        exec("from longcat import LongDog", {})  # noqa: S102


def test_a_module_of_public_names_can_be_asked_for() -> None:
    """`longcat.errors` is there after `import longcat`, as it is after the first of its names."""
    assert longcat.errors.LongCatError is longcat.LongCatError


def test_values_can_be_pickled() -> None:
    """A pickle holds the module in which a class is, which is imported when the pickle is read."""
    error = longcat.NotFoundError(404, "no such request", request_id=REQUEST_ID)
    assert pickle.loads(pickle.dumps(longcat.State.FAILED)) is longcat.State.FAILED  # noqa: S301
    assert type(pickle.loads(pickle.dumps(error))) is longcat.NotFoundError  # noqa: S301

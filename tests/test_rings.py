"""That the modules are built in rings, and stay small: the rules of `ARCHITECTURE.md`, read from the imports."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import frozen

ROOT = Path(__file__).parent.parent
PLUGIN = ROOT / "longcat" / "pytest_plugin.py"
TESTING = sorted((ROOT / "longcat" / "testing").glob("*.py"))
CORE = sorted({*(ROOT / "longcat").glob("*.py")} - {PLUGIN})
NAMES = [path.stem for path in CORE]
OUTER = ("longcat.cli", "longcat.sandbox", "longcat.contract", "longcat.testing", "longcat.pytest_plugin")
# The rings of the core, innermost first. A module imports from further in only; within a line, in no circle.
RINGS = [
    ["text", "clock", "forecast", "traffic"],
    ["models", "schema", "schedule"],
    ["errors", "polling"],
    ["wire", "journal"],
    ["conversation", "settings", "transport"],
    ["batch", "download"],
    ["crew", "keeper"],
    ["base"],
    ["client"],
]
# Modules of the standard library that reach out of the process, or wait.
IO = {
    "asyncio", "concurrent", "ftplib", "http.client", "io", "multiprocessing", "os", "pathlib", "select", "selectors",
    "shutil", "signal", "socket", "sqlite3", "ssl", "subprocess", "tempfile", "threading", "time", "urllib.request",
}  # fmt: skip


@frozen
class Import:
    """One import: of which module, in which module, and where."""

    module: str
    place: str


def imports(source: str, place: str = "") -> Iterator[Import]:
    """Yield every import in a source, wherever in it and however written, and of each name that may be a module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, f"{place}:{node.lineno}") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "longcat" if node.level else node.module or ""
            base = f"{base}.{node.module}" if node.level and node.module else base
            yield Import(base, f"{place}:{node.lineno}")
            yield from (Import(f"{base}.{alias.name}", f"{place}:{node.lineno}") for alias in node.names)
        elif isinstance(node, ast.Call) and "import" in ast.unparse(node.func):
            yield from (Import(str(ast.literal_eval(one)), f"{place}:{node.lineno}") for one in node.args[:1])


def within(module: str, package: str) -> bool:
    """Return whether a module is the package or in it."""
    return module == package or module.startswith(f"{package}.")


BY_MODULE = {path.stem: list(imports(path.read_text("utf-8"), path.name)) for path in CORE}


def importers(package: str) -> set[str]:
    """Return the modules of the core that import a package or something in it."""
    return {name for name, found in BY_MODULE.items() if any(within(one.module, package) for one in found)}


def test_every_way_to_import_is_seen() -> None:
    """The reader of imports misses none: an empty result would make the tests below worthless."""
    source = """
import a, b.c as d
from e import f
from . import g
from .h import i
from longcat import j
def late():
    from k.l import m
    importlib.import_module("n.o")
    __import__("p")
if TYPE_CHECKING:
    import q
"""
    assert {one.module for one in imports(source)} == {
        *("a", "b.c", "e", "e.f", "longcat", "longcat.g", "longcat.h", "longcat.h.i", "longcat.j"),
        *("k.l", "k.l.m", "n.o", "p", "q"),
    }


def test_one_module_knows_the_generated_client() -> None:
    """Only `wire` imports the generated package."""
    assert importers("longcat_api") == {"wire"}


def test_few_modules_know_the_http_library() -> None:
    """`wire`, `transport`, `base` and `client` touch httpx, and `settings` to read a URL; `transport` what is below."""
    assert importers("httpx") == {"wire", "transport", "base", "client", "settings"}
    assert importers("httpcore") == {"transport"}
    assert importers("anyio") == {"clock", "transport", "crew", "client"}


def test_the_core_needs_four_packages() -> None:
    """The core imports httpx, attrs and what they bring, and nothing else that must be installed."""
    ours = {"longcat", "longcat_api"}
    foreign = {one.module.partition(".")[0] for found in BY_MODULE.values() for one in found}
    assert foreign - set(sys.stdlib_module_names) - ours == {"anyio", "attrs", "httpcore", "httpx"}


@pytest.mark.parametrize("name", [name for name in NAMES if name != "__main__"])
def test_the_core_knows_nothing_of_what_stands_around_it(name: str) -> None:
    """No module of the core imports the command line, the sandbox, the contract suite or the fakes."""
    assert [one for one in BY_MODULE[name] if any(within(one.module, package) for package in OUTER)] == []


@pytest.mark.parametrize("path", [*TESTING, PLUGIN], ids=lambda path: path.stem)
def test_what_is_for_users_tests_needs_no_extra(path: Path) -> None:
    """The fake gateway knows the core and its packages alone, not the sandbox; the plugin knows pytest besides."""
    found = list(imports(path.read_text("utf-8"), path.name))
    allowed = {"longcat", "anyio", "attrs", "httpx"} if path != PLUGIN else {"longcat", "pytest"}
    assert {one.module.partition(".")[0] for one in found} - set(sys.stdlib_module_names) <= allowed
    strangers = ("longcat.cli", "longcat.sandbox", "longcat.contract")
    assert [one for one in found if any(within(one.module, package) for package in strangers)] == []


def test_running_the_package_is_all_that_main_does() -> None:
    """`python -m longcat` is the command line, and has nothing of its own."""
    assert {one.module for one in BY_MODULE["__main__"]} <= {"sys", "longcat.cli", "longcat.cli.main"}


PURE = [
    *("forecast", "schedule", "polling", "traffic", "conversation", "batch", "schema", "models", "errors", "text"),
]


@pytest.mark.parametrize("name", PURE)
def test_what_is_pure_does_no_io(name: str) -> None:
    """Arithmetic, conversations, values and errors import nothing that reaches out of the process or waits."""
    forbidden = {*IO, "anyio", "httpx", "httpcore", "trio"}
    found = [one for one in BY_MODULE[name] if any(within(one.module, module) for module in forbidden)]
    # What threads share has a lock. It is held for some arithmetic, and for nothing else.
    assert [one for one in found if one.module not in {"threading", "threading.Lock"}] == []


def test_every_module_of_the_core_has_its_ring() -> None:
    """A new module is given its place, in the list above and in `ARCHITECTURE.md`."""
    assert sorted(name for ring in RINGS for name in ring) == [name for name in NAMES if not name.startswith("__")]


@pytest.mark.parametrize("name", [name for ring in RINGS for name in ring])
def test_a_module_imports_from_further_in_only(name: str) -> None:
    """The rings have no way out: what is inside works without what is outside."""
    depth = next(index for index, ring in enumerate(RINGS) if name in ring)
    inner = {f"longcat.{module}" for ring in RINGS[:depth] for module in ring}
    known = {f"longcat.{module}" for module in NAMES}
    used = {module for module in known for one in BY_MODULE[name] if within(one.module, module)}
    assert used - inner == set()


@pytest.mark.parametrize("path", [*CORE, *TESTING], ids=lambda path: path.name)
def test_modules_and_functions_stay_short(path: Path) -> None:
    """A module of the core, or of the fake gateway, has 500 lines at most, a function 60."""
    source = path.read_text("utf-8")
    functions = [
        node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    long = [node.name for node in functions if (node.end_lineno or 0) - node.lineno >= 60]
    assert (len(source.splitlines()) <= 500, long) == (True, [])

"""That the package is built in floors, and its modules stay small: the rules of `ARCHITECTURE.md`."""

import ast
import functools
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
GRAPH = grimp.build_graph(
    "longcat", "longcat_api", include_external_packages=True, exclude_type_checking_imports=True, cache_dir=None
)
OUTER = (
    "longcat.cli",
    "longcat.sandbox",
    "longcat.contract",
    "longcat.testing",
    "longcat.webhooks",
    "longcat.pytest_plugin",
)
CORE = {
    module
    for module in GRAPH.modules
    if module.startswith("longcat.")
    and not module.startswith("longcat.__")
    and not any(module == outer or module.startswith(f"{outer}.") for outer in OUTER)
}
STANDARD = set(sys.stdlib_module_names)
# Modules of the standard library that reach out of the process, or wait.
IO = {
    "asyncio", "concurrent", "ftplib", "http.client", "io", "multiprocessing", "os", "pathlib", "select", "selectors",
    "shutil", "signal", "socket", "sqlite3", "ssl", "subprocess", "tempfile", "time", "urllib.request",
}  # fmt: skip


@functools.cache
def statements(path: Path) -> list[ast.AST]:
    """Return all statements of a module, also those in others."""
    found: list[ast.AST] = [ast.parse(path.read_text("utf-8"))]
    for node in found:  # It grows meanwhile. Expressions, which are most of a tree, hold no statements.
        for part in ("body", "handlers", "orelse", "finalbody", "cases"):
            inner = getattr(node, part, None)
            found += inner if isinstance(inner, list) else []
    return found


def importers(package: str) -> set[str]:
    """Return the modules of the core that import a package or something in it."""
    found = {module for module in GRAPH.modules if module == package or module.startswith(f"{package}.")}
    return {one.removeprefix("longcat.") for name in found for one in GRAPH.find_modules_that_directly_import(name)} & {
        one.removeprefix("longcat.") for one in CORE
    }


def test_a_module_imports_from_its_own_floor_or_further_down() -> None:
    """Import-linter holds the floors of `pyproject.toml` against every import, in the drift check as well."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout


def test_there_are_no_circles() -> None:
    """No module imports itself by way of others, whatever the floors say."""
    imports = {
        module: GRAPH.find_modules_directly_imported_by(module)
        for module in GRAPH.modules
        if module.startswith("longcat")
    }
    TopologicalSorter(imports).prepare()  # Raises CycleError, which names the circle.


def test_no_module_imports_from_the_package_itself() -> None:
    """`from longcat import errors` would load all public names on the way, and so end in a circle."""
    found = [
        path.name
        for path in set((ROOT / "longcat").rglob("*.py")) - {ROOT / "longcat" / "__init__.py"}
        for node in statements(path)
        if isinstance(node, ast.ImportFrom) and node.module == "longcat"
    ]
    assert found == []


def test_one_room_knows_the_generated_client() -> None:
    """Only `gateway` imports the generated package."""
    assert {one.partition(".")[0] for one in importers("longcat_api")} == {"gateway"}


def test_few_modules_know_the_http_library() -> None:
    """One room touches the HTTP libraries when it runs; beside it, only the generated client's friend does."""
    libraries = ("httpx", "httpx2", "httpcore", "httpcore2")
    assert set[str]().union(*(outside("sending.http.", one) for one in libraries)) == {"gateway.api_client"}
    assert outside("sending.", "anyio") == {"client.async_client", "clock"}


def outside(room: str, package: str) -> set[str]:
    """Return the modules outside of a room that import a package, but for the types alone."""
    return {one for one in importers(package) if not one.startswith(room)}


def test_the_core_needs_four_packages() -> None:
    """The core imports httpx, attrs and what they bring, and nothing else but the driver of PostgreSQL, an extra."""
    imported = {one.partition(".")[0] for module in CORE for one in GRAPH.find_modules_directly_imported_by(module)}
    assert imported - STANDARD - {"longcat", "longcat_api", "psycopg"} == {"anyio", "attrs", "httpx", "idna"}


@pytest.mark.parametrize("module", sorted(one for one in GRAPH.modules if one.startswith("longcat.testing")))
def test_what_is_for_users_tests_needs_no_extra(module: str) -> None:
    """The fake gateway knows the core and its packages alone."""
    imported = {one.partition(".")[0] for one in GRAPH.find_modules_directly_imported_by(module)}
    assert imported - STANDARD <= {"longcat", "anyio", "attrs", "httpx"}


PURE = sorted(
    {"longcat.gateway.reading", "longcat.gateway.schema", "longcat.models", "longcat.errors", "longcat.text"}
    | {module for module in CORE if module.startswith("longcat.waiting.")}
)


@pytest.mark.parametrize("module", PURE)
def test_what_is_pure_does_no_io(module: str) -> None:
    """Arithmetic, flows, values and errors import nothing that reaches out of the process or waits."""
    imported = GRAPH.find_modules_directly_imported_by(module)
    assert {one for one in imported if one in IO or one in {"anyio", "httpx", "httpcore", "trio"}} == set()


def test_no_room_is_crowded() -> None:
    """A folder of the package or of the tests holds a dozen modules at most, `__init__` not counted."""
    folders = {path.parent for name in ("longcat", "tests") for path in (ROOT / name).rglob("*.py")}
    crowded = {str(folder): len(list(folder.glob("[a-z]*.py"))) for folder in folders}
    assert {name: count for name, count in crowded.items() if count > 12} == {}


def test_modules_and_functions_stay_short() -> None:
    """A module has 500 lines at most, a function 60."""
    long = []
    for path in (ROOT / "longcat").rglob("*.py"):
        nodes = [node for node in statements(path) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        long += [node.name for node in nodes if (node.end_lineno or 0) - node.lineno >= 60]
        long += [path.name] if len(path.read_text("utf-8").splitlines()) > 500 else []
    assert long == []


def test_a_name_has_one_meaning() -> None:
    """No two classes or type aliases of the package have one name, whether or not it begins with an underscore."""
    homes: dict[str, list[str]] = {}
    for path in (ROOT / "longcat").rglob("*.py"):
        for node in statements(path):
            if isinstance(node, ast.ClassDef):
                name = node.name
            elif isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation) == "TypeAlias":
                name = ast.unparse(node.target)
            else:
                continue
            homes.setdefault(name.lstrip("_"), []).append(path.relative_to(ROOT).as_posix())
    assert {name: places for name, places in homes.items() if len(places) > 1} == {}

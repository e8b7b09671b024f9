"""Change the core in small ways, one at a time, and see whether the tests notice.

A change swaps an operator, changes a number, turns a condition round, or drops a call. Each runs only the tests
that reach its line, fastest first, until one fails; a run that takes far too long has noticed it, too. Changes are
drawn by their hash, so the sample stays the same where the code does. Survivors are judged in `tests/mutants.md`.

Exit code 1: of those that make a difference fewer than 90 % were noticed, or a survivor has no judgement.
"""

import argparse
import ast
import collections
import concurrent.futures
import contextlib
import faulthandler
import hashlib
import importlib.util
import itertools
import json
import math
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import coverage
import pytest
from attrs import frozen

ROOT: Final = Path(__file__).resolve().parent.parent
JUDGED: Final = ROOT / "tests" / "mutants.md"
OUTER: Final = ("cli", "contract", "sandbox", "testing", "webhooks.py", "pytest_plugin.py", "__main__.py")
"""What of the package is not the core."""
# Tests of something else, or that start processes, by their names. No change is made in them.
LEFT_OUT: Final = (
    *("cli", "cli_batch", "cli_generate", "conformance", "demo", "docs", "examples", "fork", "generated", "growth"),
    *("http_library", "interrupt", "killed", "kills", "layers", "mutations", "performance", "protocol", "recorded"),
    *("round_trip", "sandbox*", "security", "spec", "startup", "wheel", "workflows"),
)
SURFACE: Final = "tests/client/test_surface.py"
"""The tests that look at signatures."""
WORKERS: Final = os.cpu_count() or 1
GOAL: Final = 0.9
LARGE: Final = 10
"""Numbers from this one on are doubled: one more or less of them is rarely a difference."""
MAX_TEST_SECONDS: Final = 60.0
"""Seconds of tests that are run for one change, as they took without it."""

HANGS: Final = 30.0
"""Seconds after which a test that has not ended has noticed a change."""

SWAPPED: Final[dict[type[ast.AST], type[ast.AST]]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
}
LEFT_ALONE: Final = {"annotation", "returns", "decorator_list"}
LEFT_KEYWORDS: Final = {"strict", "init"}
Reached: TypeAlias = dict[str, dict[int, set[str]]]
"""The tests that reach each line of each file."""


# --- The changes.


@frozen
class Mutant:
    """One change: the source between two offsets in a file, in bytes, and what takes its place."""

    path: str
    function: str
    line: int
    begin: int
    end: int
    after: str
    lines: str
    """The whole lines, before and after."""

    def __str__(self) -> str:
        return f"`{self.path}` {self.function}: {self.lines}"

    def apply(self, source: bytes) -> bytes:
        """Return the file's source with the change."""
        return source[: self.begin] + self.after.encode() + source[self.end :]


def mutants(path: str, source: bytes) -> Iterator[Mutant]:
    """Yield every change of a module.

    Annotations, decorators and f-strings stay as they are, and so do `strict=` of zip and `init=` of a field: the one
    is for mistakes of ours, and the other makes an argument that nobody gives.
    """
    starts = [0, *itertools.accumulate(map(len, source.splitlines(keepends=True)))]

    def mutant(part: ast.expr | ast.stmt, after: str, function: str) -> Mutant:
        first, last = part.lineno - 1, (part.end_lineno or part.lineno) - 1
        begin, end = starts[first] + part.col_offset, starts[last] + (part.end_col_offset or 0)
        head, tail = source[starts[first] : begin].decode(), source[end : starts[last + 1]].decode().partition("  #")[0]
        lines = [" ".join(f"{head}{text}{tail}".split()) for text in (source[begin:end].decode(), after)]
        return Mutant(path, function, part.lineno, begin, end, after, " → ".join(f"`{line}`" for line in lines))

    def visit(node: ast.AST, function: str) -> Iterator[Mutant]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            function = f"{function}.{node.name}".lstrip(".")
        for part, after in changes(node):
            yield mutant(part, after, function)
        for name, value in ast.iter_fields(node):
            if (
                name not in LEFT_ALONE
                and not isinstance(node, ast.JoinedStr)
                and getattr(node, "arg", "") not in LEFT_KEYWORDS
            ):
                for child in value if isinstance(value, list) else [value]:
                    if isinstance(child, ast.AST):
                        yield from visit(child, function)

    yield from visit(ast.parse(source), "")


def changes(node: ast.AST) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
    """Yield what can be changed about a node itself: the part of it, and the new source."""
    match node:
        case ast.Compare(ops=[operator]):
            yield node, f"({ast.unparse(ast.Compare(node.left, [SWAPPED[type(operator)]()], node.comparators))})"  # type: ignore[list-item]
        case ast.BoolOp():
            yield node, f"({ast.unparse(ast.BoolOp(SWAPPED[type(node.op)](), node.values))})"  # type: ignore[arg-type]
        case ast.BinOp() if type(node.op) in SWAPPED:
            yield node, f"({ast.unparse(ast.BinOp(node.left, SWAPPED[type(node.op)](), node.right))})"  # type: ignore[arg-type]
        case ast.UnaryOp(op=ast.Not()):
            yield node, f"({ast.unparse(node.operand)})"
        case ast.Constant(value=bool()):
            yield node, str(not node.value)
        case ast.Constant(value=int() | float() as number):
            yield node, str(number + 1 if number < LARGE else number * 2)
        case ast.If() | ast.While() | ast.IfExp() if not isinstance(node.test, ast.Compare | ast.UnaryOp):
            yield node.test, f"(not ({ast.unparse(node.test)}))"
        case ast.Expr(value=ast.Call() | ast.Await()):
            yield node, "pass"
        case ast.Call(func=ast.Name(id="min" | "max" as name)):
            yield node.func, {"min": "max", "max": "min"}[name]


def drawn() -> list[Mutant]:
    """Return all changes of the core, in the order in which they are drawn."""
    package = ROOT / "longcat"
    if missing := [name for name in OUTER if not (package / name).exists()]:
        raise SystemExit(f"The package has no {', '.join(missing)}, which OUTER names.")
    paths = [path for path in package.rglob("*.py") if path.relative_to(package).parts[0] not in OUTER]
    every = [one for path in paths for one in mutants(str(path.relative_to(ROOT)), path.read_bytes())]
    return sorted(every, key=lambda one: hashlib.sha256(str(one).encode()).digest())


# --- The tests, in copies of the project.


class Copy:
    """A copy of the project in which one change at a time is made and tested."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ignored = shutil.ignore_patterns(".*", "build", "dist", "__pycache__", "docs")
        shutil.copytree(ROOT, folder, ignore=ignored)

    def pytest(self, *arguments: str, timeout: float | None = None) -> int:
        """Run tests; return pytest's exit code, or -1 when the time is over."""
        path = os.pathsep.join(str(self.folder / name) for name in (".", "generated", "tools"))
        environment = {**os.environ, "PYTHONPATH": path}
        command = [sys.executable, "-m", "pytest", "-q", "-p", "mutants", "-p", "no:cacheprovider", *arguments]
        with (self.folder / "log.txt").open("wb") as log:
            process = subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )
            try:
                return process.wait(timeout)
            except subprocess.TimeoutExpired:
                return -1
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def survives(self, mutant: Mutant, tests: Sequence[str], seconds: float) -> bool:
        """Whether these tests, which take so long without the change, pass with it."""
        path = self.folder / mutant.path
        compiled = Path(importlib.util.cache_from_source(str(path)))
        source = path.read_bytes()
        path.write_bytes(mutant.apply(source))
        compiled.unlink(missing_ok=True)
        timeout = 60 + 3 * seconds
        try:
            code = self._run(tests, timeout)
            if code == pytest.ExitCode.USAGE_ERROR:  # The change is in the name of a row of a table.
                code = self._run(dict.fromkeys(test.partition("[")[0] for test in tests), timeout)
            return code in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}
        finally:
            path.write_bytes(source)
            compiled.unlink(missing_ok=True)

    def _run(self, tests: Iterable[str], timeout: float) -> int:
        (self.folder / "tests.txt").write_text("\n".join(tests), "utf-8")
        return self.pytest("-x", "@tests.txt", timeout=timeout)

    def trace(self) -> tuple[Reached, dict[str, float]]:
        """Run the tests once; return those that reach each line, and the seconds that each takes."""
        left_out = [f"--ignore-glob=*/test_{name}.py" for name in LEFT_OUT]
        self.pytest(f"-n{WORKERS}", "--maxfail=9", "tests", "--ignore=tests/contract", *left_out)
        reached: Reached = collections.defaultdict(lambda: collections.defaultdict(set))
        seconds: dict[str, float] = {}
        for part in self.folder.glob("traced.*.json"):
            lines, durations = json.loads(part.read_text("utf-8"))
            seconds |= durations
            for file, line, tests in lines:
                reached[file][line].update(tests)
        if not seconds:
            raise SystemExit(f"The tests could not be run:\n{(self.folder / 'log.txt').read_text('utf-8')[-3000:]}")
        return reached, seconds


class Tracer:
    """The pytest plugin that notes which lines of the core each test reaches, and how long it takes."""

    def __init__(self) -> None:
        self._coverage = coverage.Coverage(data_file=None, config_file=False, include=[f"{Path.cwd()}/longcat/*"])
        self._seconds: dict[str, float] = collections.defaultdict(float)
        self._coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Count what is run from now on as this test's."""
        self._coverage.switch_context(item.nodeid)
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add up the test's seconds. One that fails even without a change, or is skipped, is never used."""
        self._seconds[report.nodeid] += report.duration if report.passed else math.inf

    def pytest_unconfigure(self) -> None:
        """Write what was noted, for `Copy.trace` to read."""
        self._coverage.stop()
        data = self._coverage.get_data()
        lines = [
            (str(Path(file).relative_to(Path.cwd())), line, tests)
            for file in data.measured_files()
            for line, tests in data.contexts_by_lineno(file).items()
        ]
        Path(f"traced.{os.getpid()}.json").write_text(json.dumps((lines, self._seconds)), "utf-8")


class ChangeRun:
    """The pytest plugin of a run with a change: the tests go in the order given, and none may hang."""

    @pytest.hookimpl(wrapper=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None, object, object]:
        """Leave the fastest tests first, whatever order the project's own tests are put in."""
        given = items.copy()
        try:
            return (yield)
        finally:
            items[:] = given

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self) -> Generator[None, object, object]:
        """Allow each test its time. One that a change has made endless ends the process."""
        faulthandler.dump_traceback_later(HANGS, exit=True, file=2)
        return (yield)


def pytest_configure(config: pytest.Config) -> None:
    """Trace in the workers of pytest-xdist. There are none where a change is tested."""
    if hasattr(config, "workerinput"):
        config.pluginmanager.register(Tracer())
    elif not config.getoption("numprocesses"):
        config.pluginmanager.register(ChangeRun())


def tests_of(mutant: Mutant, reached: Reached, seconds: dict[str, float]) -> list[str]:
    """Return the tests that reach a change, fastest first, up to MAX_TEST_SECONDS.

    What runs at import, such as the default of an argument, is reached by all of its module, and by those of SURFACE.
    """
    lines = reached[mutant.path]
    tests = lines[mutant.line] & seconds.keys()
    if not tests:
        surface = {test for test in seconds if test.startswith(SURFACE)}
        tests = set().union(surface, *lines.values()) & seconds.keys()
    ordered = sorted(tests, key=lambda test: seconds[test])
    until = itertools.accumulate(seconds[test] for test in ordered)
    return [test for test, total in zip(ordered, until, strict=True) if total <= MAX_TEST_SECONDS]


# --- The command.


def main() -> int:
    """Return 0 if enough was noticed, and the rest judged."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--number", type=int, default=200, metavar="N", help="how many changes (default: 200)")
    parser.add_argument("--minutes", type=float, default=14, metavar="M", help="begin no other one after so long")
    parser.add_argument("--only", default="", metavar="TEXT", help="only changes whose file or function has this in it")
    chosen = parser.parse_args()
    end = time.monotonic() + 60 * chosen.minutes
    every = drawn()
    sample = [one for one in every if chosen.only in f"{one.path} {one.function}"][: chosen.number]
    judged = dict(re.findall(r"^- (.*)\n  (\w+)", JUDGED.read_text("utf-8"), re.MULTILINE))
    stale = judged.keys() - set(map(str, every))
    if stale:
        raise SystemExit("Judged changes that can't be made any more:\n" + "\n".join(sorted(stale)))
    copies: queue.SimpleQueue[Copy] = queue.SimpleQueue()

    def survives(mutant: Mutant) -> bool | None:
        tests = tests_of(mutant, reached, seconds)
        copy = copies.get()
        try:
            if time.monotonic() > end:
                return None
            survived = not tests or copy.survives(mutant, tests, sum(seconds[test] for test in tests))
        finally:
            copies.put(copy)
        if survived:
            judgement = judged.get(str(mutant), "NOT JUDGED")
            print(f"survived {len(tests)} tests, {judgement}: line {mutant.line}, {mutant}", flush=True)
        return survived

    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        for number in range(WORKERS):
            copies.put(copy := Copy(Path(folder, str(number))))
        reached, seconds = copy.trace()
        survivors = dict(zip(sample, pool.map(survives, sample), strict=True))
    judgements = [judged.get(str(one)) for one, survived in survivors.items() if survived]
    noticed = sum(survived is False for survived in survivors.values())
    real = noticed + len(judgements) - judgements.count("Equivalent")
    print(f"{noticed} of {real} changes that make a difference were noticed: {noticed / max(real, 1):.1%}.")
    return int(noticed < GOAL * real or None in judgements)


if __name__ == "__main__":
    sys.exit(main())

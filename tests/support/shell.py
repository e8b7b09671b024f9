"""Someone at a shell: what they run, with or without a terminal, and what they see. No output may hold the key."""

import functools
import json
import os
import re
import select
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx
from attrs import field, frozen
from processes import Command
from servers import LIMIT

KEY: Final = "the-key-of-the-tests"
LONGCAT: Final = str(Path(sys.executable).with_name("longcat"))
PNG: Final = b"\x89PNG\r\n\x1a\n"
PLAIN: Final = re.compile(r"(.+)  ([a-z]+)  (\d{1,3}%|-)  \d+\.\d s")
"""A line of progress where there is no terminal: the request, its state, its progress, the seconds gone by."""
FIELDS: Final = (
    "request_id",
    "state",
    "raw_state",
    "progress",
    "url",
    "urls",
    "created_at",
    "duration_seconds",
    "model_version",
    "path",
    "paths",
    "error",
)
"""Of every object that `--json` prints, in their order."""


@frozen
class Ran:
    """What a command did: its exit code, what it printed, and the seconds it took."""

    code: int
    out: str
    err: str
    seconds: float
    debug: bool = False

    def __attrs_post_init__(self) -> None:
        text = self.out + self.err
        assert KEY not in text, "No output holds the key."
        assert self.debug or "Traceback" not in text, "Only --debug shows a traceback."

    @property
    def errors(self) -> list[str]:
        """What it said of errors, a line each."""
        return [line for line in self.err.splitlines() if line.startswith("longcat")]

    @property
    def objects(self) -> list[dict[str, Any]]:
        """The JSON objects that it printed, one a line, and nothing else."""
        return [json.loads(line) for line in self.out.splitlines()]


class Gateway:
    """A sandbox that knows KEY. Its requests are done at once, unless they are added otherwise.

    Args:
        url: where it is.
        http: asks it what it knows. None: nobody asks.
    """

    def __init__(self, url: str, http: httpx.Client | None = None) -> None:
        self.url = url
        self._http = http

    def add(self, **fields: Any) -> str:
        """Add a request, and return its id."""
        assert self._http is not None
        answer = self._http.post(f"{self.url}/sandbox/requests", json=fields)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["request_id"])

    def seen(self, request_id: str) -> dict[str, Any]:
        """Return what the sandbox knows of a request: how often it was `asked` about, and `downloaded`."""
        return next(request for request in self.all() if request["request_id"] == request_id)

    def all(self) -> list[dict[str, Any]]:
        """Return what the sandbox knows of every request."""
        known: list[dict[str, Any]] = self._get("/sandbox/requests")
        return known

    @property
    def posts(self) -> int:
        """How many orders came."""
        return int(self._get("/sandbox/orders/count")["posts"])

    @property
    def asked(self) -> int:
        """How many questions came."""
        return sum(one["asked"] for one in self.all())

    def _get(self, path: str) -> Any:
        assert self._http is not None
        return self._http.get(f"{self.url}{path}").json()


@frozen
class User:
    """Someone at a shell, in a folder, with an environment and an empty home."""

    folder: Path
    env: Mapping[str, str]

    def run(
        self, *arguments: str, program: Sequence[str] = (LONGCAT,), stdout: int = subprocess.PIPE, **env: str
    ) -> Ran:
        """Run a program, longcat's unless another is given, to its end, behind pipes."""
        began = time.monotonic()
        done = subprocess.run(  # noqa: S603
            [*program, *arguments],
            cwd=self.folder,
            env={**self.env, **env},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            timeout=LIMIT,
            check=False,
        )
        seconds = time.monotonic() - began
        return Ran(done.returncode, done.stdout or "", done.stderr, seconds, debug="--debug" in arguments)

    def fork(self, *arguments: str, **env: str) -> Ran:
        """Run longcat as `run` does, but in a fork, where no start of an interpreter matters."""
        began = time.monotonic()
        with self.start(*arguments, piped=False, **env) as process:
            out, err = process.communicate(timeout=LIMIT)
        return Ran(process.returncode, out, err, time.monotonic() - began, debug="--debug" in arguments)

    def start(self, *arguments: str, piped: bool = False, **env: str) -> Command:
        """Start longcat behind pipes, in a fork; with `piped`, its stdin is one too. In a `with`, it is waited for."""
        with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - as a Popen does.
            stdin = None if piped else nothing.fileno()
            return Command(arguments, self.folder, {**self.env, **env}, stdin=stdin)

    def sit_down(
        self, *arguments: str, program: Sequence[str] | None = None, piped: bool = False, **env: str
    ) -> "Terminal":
        """Start longcat, in a fork, or another program in a terminal; with `piped`, only its stderr is there."""
        return Terminal(arguments, self.folder, {**self.env, **env}, program=program, piped=piped)


@functools.cache
def without_trio() -> tempfile.TemporaryDirectory[str]:
    """Return a folder with a trio that can't be imported: httpcore would, which is a tenth of what a process costs."""
    folder = tempfile.TemporaryDirectory()
    Path(folder.name, "trio.py").write_text("raise ImportError('Our users have no trio.')\n", "utf-8")
    return folder


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return an environment without the settings of whoever runs the tests, and without trio."""
    kept = {name: value for name, value in os.environ.items() if name == "PATH" or name.startswith("COVERAGE")}
    ours = {"HOME": str(home), "LANG": "C.UTF-8", "TERM": "xterm-256color", "PYTHONWARNINGS": "error"}
    return {**kept, **ours, "PYTHONPATH": without_trio().name, **more}


@frozen
class Display:
    """What was to be seen in a terminal. What else it printed is in `ran`."""

    ran: Ran
    raw: str = field(repr=False)

    @property
    def screen(self) -> list[str]:
        """The lines that are there in the end. Every character takes one cell; colours are left out."""
        rows, row, column = [""], 0, 0
        for piece in re.findall(r"\x1b\[[0-9;?]*[a-zA-Z]|[\r\n]|[^\x1b\r\n]+|\x1b", self.raw):
            if up := re.fullmatch(r"\x1b\[(\d*)A", piece):
                row = max(row - int(up[1] or 1), 0)  # Above the first line there is none.
            elif piece == "\x1b[2K":
                rows[row] = ""
            elif piece == "\r":
                column = 0
            elif piece == "\n":
                row += 1
                rows += [""] * (row == len(rows))
            elif not piece.startswith("\x1b"):
                rows[row] = rows[row][:column].ljust(column) + piece + rows[row][column + len(piece) :]
                column += len(piece)
            else:
                assert re.fullmatch(r"\x1b\[([0-9;]*m|\?25[lh])", piece), f"{piece!r} is no colour and no cursor"
        return [line.rstrip() for line in rows if line.strip()]

    @property
    def colours(self) -> set[str]:
        """The codes that change the colour."""
        return set(re.findall(r"\x1b\[[0-9;]*m", self.raw))


class Terminal:
    """A process in a terminal of 100 columns. A context manager that leaves nothing behind."""

    def __init__(
        self,
        arguments: Sequence[str],
        folder: Path,
        env: Mapping[str, str],
        *,
        program: Sequence[str] | None = None,
        piped: bool = False,
    ) -> None:
        self._ours, theirs = os.openpty()
        termios.tcsetwinsize(theirs, (40, 100))
        self._debug = "--debug" in arguments
        self._raw = b""
        self._began = time.monotonic()
        self.process: subprocess.Popen[str] | Command
        if program is None:
            with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - as a Popen does.
                stdout = None if piped else theirs
                self.process = Command(
                    tuple(arguments), folder, env, stdin=nothing.fileno(), stdout=stdout, stderr=theirs
                )
        else:
            self.process = subprocess.Popen(  # noqa: S603
                [*program, *arguments],
                cwd=folder,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if piped else theirs,
                stderr=theirs,
                encoding="utf-8",
            )
        os.close(theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.communicate()
        os.close(self._ours)

    def wait_for(self, pattern: str) -> None:
        """Return as soon as words were to be seen, in whatever colours, that a regular expression finds."""
        while not re.search(pattern, re.sub(r"\x1b\[[0-9;]*m", "", self._raw.decode(errors="replace"))):
            assert self._read(), f"never seen: {pattern!r}, but {self._raw[-500:]!r}"

    def finish(self) -> Display:
        """Wait for the end, and return what was to be seen."""
        while self._read():
            pass
        out = self.process.communicate(timeout=LIMIT)[0] or ""
        raw = self._raw.decode()
        return Display(Ran(self.process.returncode, out, raw, time.monotonic() - self._began, self._debug), raw)

    def _read(self) -> bool:
        left = self._began + LIMIT - time.monotonic()
        assert select.select([self._ours], [], [], max(left, 0))[0], f"not over after {LIMIT} s: {self._raw[-500:]!r}"
        try:
            data = os.read(self._ours, 65536)
        except OSError:  # The other end is closed.
            data = b""
        self._raw += data
        return bool(data)

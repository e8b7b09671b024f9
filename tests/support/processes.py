"""Processes that can be started in a moment and killed at any: forks of one that has imported longcat before."""

import io
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout, suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from forks import CONTEXT

from longcat.cli import main as command_line
from longcat.cli.run import run as main


class Lines(io.TextIOBase):
    """A text stream whose whole lines are sent to the parent process, one by one."""

    def __init__(self, parent: Connection) -> None:
        self._parent = parent
        self._rest = ""

    def write(self, text: str) -> int:
        """Send the lines that are whole now."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._parent.send(line)
        return len(text)


class Process:
    """A process that calls a function. Used in a `with`, it is killed in the end.

    The function is called with a connection to this process, and the arguments.
    """

    def __init__(self, function: Callable[..., object], *arguments: Any) -> None:
        self._ours, theirs = CONTEXT.Pipe()
        self._process = CONTEXT.Process(target=function, args=(theirs, *arguments))
        self._process.start()
        theirs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._ours.close()
        self._process.close()

    @property
    def pid(self) -> int:
        """The number of the process."""
        return int(self._process.pid or 0)

    def kill(self) -> None:
        """Kill the process, at once and whatever it does."""
        self._process.kill()
        self._process.join()

    def send(self, line: str) -> None:
        """Let the process receive a line."""
        self._ours.send(line)

    def receive(self) -> Any:
        """Wait for what the process sends next, and return it. Raises EOFError when it has ended."""
        return self._ours.recv()

    def line(self) -> str:
        """Wait for the next line of the process, and return it. Raises EOFError when there is none."""
        return str(self.receive())

    def rest(self) -> list[str]:
        """Return the lines that are left when the process has ended."""
        lines = []
        with suppress(EOFError, ConnectionResetError):
            while True:
                lines.append(self.line())
        return lines

    def code(self) -> int | None:
        """Wait for the end, and return the exit code."""
        self._process.join()
        return self._process.exitcode

    def finish(self) -> list[str]:
        """Wait for the end of a process that is to succeed, and return the rest of its lines."""
        lines = self.rest()
        self._process.join()
        assert self._process.exitcode == 0, lines
        return lines


class Command:
    """The command `longcat` as a fork, with the streams of a process of its own. It is used as a `Popen` is.

    It imports nothing anew and leaves all memory as it is, which is most of what a command takes otherwise.

    Args:
        arguments: those of the command.
        folder: where it runs.
        env: all of its environment.
        stdin: the file that it reads; None: a pipe that is written to here.
        stdout: the file that it writes to; None: a pipe that is read here.
        stderr: as `stdout`.
    """

    def __init__(  # noqa: PLR0913 - as of a Popen.
        self,
        arguments: tuple[str, ...],
        folder: Path,
        env: Mapping[str, str],
        *,
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
    ) -> None:
        self.stdin: IO[str] | None = None
        self.stdout: IO[str] | None = None
        self.stderr: IO[str] | None = None
        theirs = [os.dup(each) if each is not None else -1 for each in (stdin, stdout, stderr)]
        if stdin is None:
            theirs[0], ours = os.pipe()
            self.stdin = open(ours, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - closed by `communicate`.
        if stdout is None:
            ours, theirs[1] = os.pipe()
            self.stdout = open(ours, encoding="utf-8")  # noqa: PTH123, SIM115 - closed by `communicate`.
        if stderr is None:
            ours, theirs[2] = os.pipe()
            self.stderr = open(ours, encoding="utf-8")  # noqa: PTH123, SIM115 - closed by `communicate`.
        streams = [Connection(each) for each in theirs]
        self._process = CONTEXT.Process(target=run_command, args=(streams, folder, dict(env), arguments))
        self._process.start()
        for stream in streams:
            stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind:
            self.kill()
        self.communicate()

    @property
    def returncode(self) -> int:
        """The exit code of a process that has ended."""
        code = self._process.exitcode
        assert code is not None
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Send the process a signal."""
        os.kill(int(self._process.pid or 0), number)

    def kill(self) -> None:
        """Kill the process, if it has not ended."""
        self._process.kill()

    def communicate(self, text: str = "", timeout: float = 60.0) -> tuple[str, str]:
        """Write the last of its input, wait for the end, and return what it printed. It is killed after `timeout` s."""
        watchdog = threading.Timer(timeout, self.kill)
        watchdog.start()
        with suppress(BrokenPipeError):
            if self.stdin and not self.stdin.closed:
                self.stdin.write(text)
                self.stdin.close()
        printed = ["", ""]
        for number, stream in enumerate((self.stdout, self.stderr)):
            if stream and not stream.closed:
                printed[number] = stream.read()
                stream.close()
        self._process.join()
        watchdog.cancel()
        watchdog.join()
        return printed[0], printed[1]


def run_command(streams: list[Connection], folder: Path, env: dict[str, str], arguments: tuple[str, ...]) -> None:
    """Run `longcat` as its process does, with these files as its first three."""
    warnings.simplefilter("error")
    for number, stream in enumerate(streams):
        os.dup2(stream.fileno(), number)
        stream.close()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    encoding = env.get("PYTHONIOENCODING", "utf-8")
    sys.stdin = open(0, encoding=encoding, closefd=False)  # noqa: SIM115 - it lasts as long as the process.
    sys.stdout = open(1, "w", encoding=encoding, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, encoding, "backslashreplace", closefd=False)  # noqa: SIM115
    sys.argv[:] = ["longcat", *arguments]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        sys.exit(command_line())
    finally:
        if "coverage" in sys.modules and (measured := sys.modules["coverage"].Coverage.current()):
            measured.stop()  # A fork does not save at its end what it measured.
            measured.save()


def run_code(parent: Connection, code: str, names: dict[str, Any]) -> None:
    """Run code that knows these names, and `say` and `hear` to talk with the parent."""
    exec(code, {"say": lambda *words: parent.send(" ".join(map(str, words))), "hear": parent.recv, **names})  # noqa: S102


def run_longcat(parent: Connection, folder: Path, environment: dict[str, str], *arguments: str) -> None:
    """Run `longcat` in a folder as its process does; its stdout and stderr are sent to the parent."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    with redirect_stdout(Lines(parent)), redirect_stderr(io.StringIO()) as errors:
        code = main(arguments)
    for line in errors.getvalue().splitlines() if code else []:
        parent.send(line)
    sys.exit(code)


def forked(
    function: Callable[[], Any], meanwhile: Callable[[], object] = lambda: None, *, seconds: float = 60.0
) -> Any:
    """Return what a function returns in a fork of this process; the text of what it raises, or that it took too long.

    The other function is called in this process meanwhile. Nothing of the fork is cleaned up at its end, as with
    `multiprocessing`.
    """
    ours, theirs = Pipe(duplex=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of a fork where there are threads.
        pid = os.fork()
    if not pid:
        warnings.simplefilter("ignore")  # Trio warns of the signal handler that it had in the parent.
        try:
            theirs.send(function())
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is told.
            theirs.send(f"{type(error).__name__}: {error}")
        finally:
            os._exit(0)
    theirs.close()
    try:
        meanwhile()
        return ours.recv() if ours.poll(seconds) else f"nothing came in {seconds:g} s"
    finally:
        ours.close()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

"""Ctrl-C, SIGTERM and SIGHUP end a command at any moment, with exit code 130 and one line. No test sleeps."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import anyio
import pytest
from processes import Process
from servers import LIMIT, eventually
from shell import KEY, environment

from longcat.cli import main
from longcat.cli.interrupt import raise_on_interrupt, run_async

LINE: Final = "longcat: Stopped. Requests go on at the service; wait for them again."
# A signal that strikes while Python reads a module leaves that file to the collector, which warns where it is asked to.
WARNINGS: Final = "error,ignore:unclosed file <_io.BufferedReader:ResourceWarning"
SIGNALS: Final = [signal.SIGINT, signal.SIGTERM]

# Runs a command that sends itself signals the first time that something happens: an import, another event that Python
# audits, or its end.
PROGRAM: Final = """
import atexit, os, sys
moment, number, times = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
def strike(event, args):
    global moment
    if moment in (event, f"{event} {args[0]}" if args else None):
        moment = None
        for _ in range(times):
            os.kill(os.getpid(), number)
sys.addaudithook(strike)
atexit.register(strike, "exit", ())
from longcat.cli import main
from longcat.cli.interrupt import raise_on_interrupt, run_async
sys.exit(main(sys.argv[4:]))
"""


@pytest.fixture(autouse=True)
def _ctrl_c_works() -> None:
    """Let processes be interrupted, even where the tests run in the background of a shell, which ignores SIGINT."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


STRIKES: Final = pytest.mark.parametrize(
    ("number", "times"),
    [(signal.SIGINT, 1), (signal.SIGINT, 3), (signal.SIGTERM, 1)],
    ids=["SIGINT", "3", "SIGTERM"],
)


@STRIKES
@pytest.mark.parametrize(
    ("moment", "command"),
    [
        ("import signal", "--version"),
        ("import longcat.cli.run", "--version"),
        ("import httpx._client", "wait cat-1"),
        ("import longcat.waiting.wait", "wait cat-1"),
        ("socket.connect", "wait cat-1 cat-2"),
        ("exit", "--version"),
        ("exit", "status cat-1"),
    ],
)
def test_interrupt_at_a_moment(tmp_path: Path, moment: str, command: str, number: signal.Signals, times: int) -> None:
    """While it imports, connects or ends, one signal or several end a command with one line and no traceback."""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", PROGRAM, moment, str(int(number)), str(times), *command.split()],
        env=environment(tmp_path, PIXAZO_API_KEY=KEY, LONGCAT_BASE_URL="http://127.0.0.1:1"),
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    lines = done.stderr.splitlines()
    if moment == "import signal" and number == signal.SIGTERM:
        assert done.returncode in {130, -number}  # Nobody can see to a signal before this import.
    else:
        assert (done.returncode, lines[-1], lines.count(LINE)) == (130, LINE, 1)
    assert [line for line in lines if not line.startswith("longcat: ")] == []


def strike_at(  # noqa: PLR0913, PLR0917 - what the test has.
    parent: Connection, folder: Path, moment: str, number: int, times: int, command: str
) -> None:
    """Run a command whose imports are over, and send this process signals the first time that something happens."""
    parent.close()
    os.chdir(folder)
    os.environ.update(environment(folder, PIXAZO_API_KEY=KEY, LONGCAT_BASE_URL="http://127.0.0.1:1"))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    errors = os.open("errors", os.O_WRONLY | os.O_CREAT)
    os.dup2(errors, 2)
    struck = False

    def strike(event: str, _: object) -> None:
        nonlocal struck
        if event == moment and not struck:
            struck = True
            for _again in range(times):
                os.kill(os.getpid(), number)

    sys.addaudithook(strike)
    sys.exit(main(command.split()))


@STRIKES
@pytest.mark.parametrize(
    ("moment", "command"),
    [
        ("sqlite3.connect", "wait cat-1 --journal journal.db"),
        ("socket.connect", "status cat-1"),
    ],
)
def test_interrupt_at_work(tmp_path: Path, moment: str, command: str, number: signal.Signals, times: int) -> None:
    """The same holds while it opens a journal, or asks."""
    with Process(strike_at, tmp_path, moment, int(number), times, command) as process:
        code = process.code()
    lines = (tmp_path / "errors").read_text("utf-8").splitlines()
    assert (code, lines[-1], lines.count(LINE)) == (130, LINE, 1)
    assert [line for line in lines if not line.startswith("longcat: ")] == []


def test_a_closed_terminal_ends_a_command(tmp_path: Path) -> None:
    """SIGHUP is as good as SIGTERM."""
    test_interrupt_at_a_moment(tmp_path, "socket.connect", "wait cat-1 cat-2", signal.SIGHUP, 1)


def test_a_command_that_nohup_started_outlives_its_terminal(tmp_path: Path) -> None:
    """Where SIGHUP is ignored, it goes on being ignored."""
    code = f"import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n{PROGRAM}"
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code, "exit", str(int(signal.SIGHUP)), "1", "--version"],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells which signals a process sees to")
@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("command", ["longcat wait --from -", "longcat sandbox", "python -m longcat contract probe"])
def test_interrupt_at_the_first_moment(tmp_path: Path, command: str, number: signal.Signals) -> None:
    """The command that is installed ends so as soon as it has seen to signals: that is long before the imports end."""
    program, *arguments = command.split()
    process = subprocess.Popen(  # noqa: S603
        [Path(sys.executable).with_name(program), *arguments],
        env=environment(tmp_path, PIXAZO_API_KEY=KEY, LONGCAT_BASE_URL="http://127.0.0.1:1", PYTHONWARNINGS=WARNINGS),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert eventually(lambda: catches(process.pid, signal.SIGTERM), LIMIT)
        process.send_signal(number)
        _, err = process.communicate(timeout=LIMIT)
    assert (process.returncode, err) == (130, f"{LINE}\n")


def catches(process: int, number: signal.Signals) -> bool:
    """Whether a process has a handler for a signal; Python itself has none for SIGTERM."""
    caught = re.search(r"^SigCgt:\s*(\w+)", Path(f"/proc/{process}/status").read_text("utf-8"), re.MULTILINE)
    return bool(caught and int(caught[1], 16) >> (number - 1) & 1)


@pytest.fixture(params=[signal.default_int_handler, signal.SIG_IGN], ids=["foreground", "background"])
def handler(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Have signals raise, as in a command in the foreground, or in the background of a script, which ignores SIGINT."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    signal.signal(signal.SIGINT, request.param)
    raise_on_interrupt()
    yield signal.getsignal(signal.SIGINT)
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_signal_cancels_what_runs_and_not_the_task_that_it_strikes(handler: Any) -> None:
    """All is tidied up then."""
    events = []

    async def struck() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        events.append("struck")

    async def work() -> None:
        task = asyncio.create_task(struck())
        try:
            await asyncio.sleep(LIMIT)
        finally:
            await task
            events.append("tidied up")

    with pytest.raises(KeyboardInterrupt):
        run_async(work)
    assert events == ["struck", "tidied up"]
    assert signal.getsignal(signal.SIGINT) is handler


@pytest.mark.usefixtures("handler")
def test_a_further_signal_cancels_what_tidies_up() -> None:
    """It raises nothing where it strikes: a task group whose entry or exit is broken off would be broken itself."""
    events = []

    async def work() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            await anyio.sleep(LIMIT)
        finally:
            with anyio.CancelScope(shield=True):
                os.kill(os.getpid(), signal.SIGTERM)
                events.append("struck again")
                await anyio.sleep(LIMIT)

    with pytest.raises(KeyboardInterrupt):
        run_async(work)
    assert events == ["struck again"]


def test_what_runs_gives_its_result() -> None:
    """Where no signal came."""
    assert run_async(asyncio.sleep, 0, "done") == "done"

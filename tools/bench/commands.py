"""CPU time of processes: what starting, importing and a first answer cost, and whole commands."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench.calls import KEY, PATH, REQUEST_ID
from bench.experiment import Effort, Series, in_turn

LONGCAT: Final = str(Path(sys.executable).with_name("longcat"))
BARE: Final = [sys.executable, "-c", "pass"]

TIMED: Final = "import time, {before}; began = time.process_time(); {code}; print(time.process_time() - began)"
"""A program that prints the seconds of CPU time of some statements: not of what came
before them."""

PLUGIN: Final = "longcat.pytest_plugin"
IMPORTS: Final = {
    "plain": ("httpx", "longcat", "longcat.testing"),
    "peers": (
        *("httpx", "httpx2", "aiohttp", "pyreqwest.client", "fal_client", "replicate", "runwayml", "openai"),
        *("longcat", PLUGIN),
    ),
}
FIRST_ANSWERS: Final = {
    "httpx": "import httpx; httpx.Client().post('{url}{path}', headers={{'Ocp-Apim-Subscription-Key': '{key}'}}, "
    "json={{'request_id': '{id}'}}).json()",
    "longcat": "from longcat import LongCat; LongCat('{key}', '{url}').status('{id}')",
}
RAW_POST: Final = (
    "import httpx; print(httpx.post('{url}{path}', headers={{'Ocp-Apim-Subscription-Key': '{key}'}}, "
    "json={{'request_id': '{id}'}}).json())"
)


def environment(**extra: str) -> dict[str, str]:
    """Return the environment of a process: this one's, and what is given. Modules are those that are installed."""
    kept = {name: value for name, value in os.environ.items() if name not in {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH"}}
    return {**kept, "PIXAZO_API_KEY": KEY, "NO_COLOR": "1", **extra}


def filled(code: str, url: str) -> str:
    """Return a program with the names in it replaced."""
    return code.format(url=url, path=PATH, key=KEY, id=REQUEST_ID)


def timed(code: str, url: str, before: str = "sys") -> Callable[[], float]:
    """Return what runs some statements in a new interpreter, and returns their milliseconds of CPU time."""
    command = [sys.executable, "-c", TIMED.format(code=code, before=before)]

    def run() -> float:
        ran = subprocess.run(command, env=environment(LONGCAT_BASE_URL=url), stdout=subprocess.PIPE, check=True)
        return 1e3 * float(ran.stdout)

    return run


def whole(command: list[str], url: str) -> Callable[[], float]:
    """Return what runs a command, and returns its milliseconds of CPU time, with the interpreter's start."""

    def run() -> float:
        process = subprocess.Popen(command, env=environment(LONGCAT_BASE_URL=url), stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
        return 1e3 * (usage.ru_utime + usage.ru_stime)

    return run


def measured(runs: dict[str, Callable[[], float]], effort: Effort) -> Series:
    """Return the figures of each, after one run that counts for nothing: modules are compiled in it."""
    in_turn(runs, 1)
    return in_turn(runs, effort.rounds)


def imports(modules: tuple[str, ...], url: str, effort: Effort) -> Series:
    """Return the CPU time that an import takes in a new interpreter, in milliseconds."""
    runs = {name: timed(f"import {name}", url, "pytest" if name == PLUGIN else "sys") for name in modules}
    return measured(runs, effort)


def first_answers(url: str, effort: Effort) -> Series:
    """Return the CPU time of an import, a client and its first answer, in milliseconds."""
    return measured({name: timed(filled(code, url), url) for name, code in FIRST_ANSWERS.items()}, effort)


def starts(url: str, effort: Effort) -> Series:
    """Return the CPU time of commands that need no gateway, and of the interpreter alone, in milliseconds."""
    commands = {"python": BARE, "--version": [LONGCAT, "--version"], "--help": [LONGCAT, "--help"]}
    return measured({name: whole(command, url) for name, command in commands.items()}, effort)


def status_commands(url: str, effort: Effort) -> Series:
    """Return the CPU time of `longcat status`, and of a program that asks the same with httpx, in milliseconds."""
    commands = {
        "httpx": [sys.executable, "-c", filled(RAW_POST, url)],
        "longcat": [LONGCAT, "status", REQUEST_ID],
    }
    return measured({name: whole(command, url) for name, command in commands.items()}, effort)

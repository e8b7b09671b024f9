"""One call of one client against one fault, and everything that must hold of it.

The client has the HTTP client that it makes itself, or one of the other library: `make faults` tries every fault with
every client, HTTP library and call, and `make test` one client and one call with each library.
"""

import base64
import gc
import html
import json
import logging
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle, product
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from attrs import define, field, frozen
from fakes import Driver
from faults import FAULTS, ID, KEY
from libraries import LIBRARIES, WAYS
from servers import LIMIT, SOON, drive, eventually, open_files, own_threads

from longcat import APIConnectionError, APITimeoutError, DownloadError, Image, LongCatError, WaitTimeout
from longcat.waiting import question

CLIENTS: Final = WAYS
CALLS: Final = ("status", "wait", "wait_all", "download")
IDS: Final = (ID, "cat-2", "cat-3")
ENDED_BY_DEADLINE: Final = (APITimeoutError, WaitTimeout, DownloadError)
"""What a call ends with that tries again, or hears nothing, until its time is up."""
LONG: Final = LIMIT
"""Seconds that any other call may take, on however busy a machine."""
MEMORY: Final = 48 * 1024 * 1024
"""How many bytes a call may take more than there were before it."""
STATUS_FILE: Final = Path("/proc/self/status")


@frozen
class Case:
    """One call of one client against one fault, with one of the HTTP libraries; each by its name."""

    fault: str
    client: str
    call: str
    http_library: str = "httpx"

    def __str__(self) -> str:
        return f"{self.fault}: {self.call}, {self.client}, {self.http_library}"


@define
class Observation:
    """What came of a case.

    Attributes:
        wrong: what must not be, in words. Empty: all is well.
        late: how many seconds after its deadline the call ended; before it, a negative number.
        memory: how many bytes more than before it were in use at most. 0: not known.
    """

    wrong: list[str] = field(factory=list)
    late: float = 0.0
    memory: int = 0


def cases(*, some: bool = False) -> list[Case]:
    """Return every case; or some: one of each fault, with clients, calls and libraries in turn."""
    if some:
        turns = cycle(product(CLIENTS, CALLS, LIBRARIES))
        return [Case(fault, *turn) for fault, turn in zip(FAULTS, turns, strict=False)]
    every = product(FAULTS, CLIENTS, CALLS, LIBRARIES)
    return [Case(*one) for one in every]


def observe(case: Case, url: str, *, short: float, late: float) -> Observation:
    """Make the call, and return what came of it.

    Args:
        case: which.
        url: of the server that has the fault.
        short: seconds that the call may take, if it is the deadline that ends it; else it may take `LONG`.
        late: seconds after the deadline in which it must have ended.
    """
    seen = Observation()
    timeout = short if _expected(case) in ENDED_BY_DEADLINE else LONG
    with tempfile.TemporaryDirectory() as name, _logs() as logs, _surroundings(seen), _deadline_of_status(timeout):
        folder = Path(name)
        result = _call(case, url, folder, timeout, seen)
        if seen.late > late:
            seen.wrong.append(f"it ended {seen.late:.2f} s after its deadline")
        seen.wrong += unexpected(case, result, urlsplit(url).netloc, folder)
        seen.wrong += [f"the key is in {place}" for place, text in _texts(result, logs, folder) if has_key(text)]
    return seen


def _call(case: Case, url: str, folder: Path, timeout: float, seen: Observation) -> Any:
    """Return what the call returns or raises, and note how late it was."""
    calls: dict[str, Callable[[Any], Any]] = {
        "status": lambda cat: cat.status(ID),
        "wait": lambda cat: cat.wait(ID, timeout=timeout),
        "wait_all": lambda cat: cat.wait_all(IDS, timeout=timeout),
        "download": lambda cat: cat.download(f"{url}/cat.png", folder / "cat.png", timeout=timeout),
    }
    began = 0.0

    def ask(cat: Any) -> Any:
        nonlocal began
        began = time.monotonic()
        return calls[case.call](cat)

    def ended() -> None:
        seen.late = time.monotonic() - began - timeout

    try:
        return drive(Driver(case.client, case.http_library), url, ask, http=None, after=ended, key=KEY)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what came of it.
        return error


def _expected(case: Case) -> type:
    """Return the class of what the call returns or raises."""
    expected: type = getattr(FAULTS[case.fault].reaction, "wait" if case.call == "wait_all" else case.call)
    return expected


def unexpected(case: Case, result: Any, host: str, folder: Path) -> Iterator[str]:
    """Yield what of the result, and of the files, is not as the table has it."""
    reaction = FAULTS[case.fault].reaction
    results = result if isinstance(result, list) else [result]
    expected = _expected(case)
    for one in results:
        if not isinstance(one, expected) or (isinstance(one, LongCatError) and type(one) is not expected):
            yield f"{type(one).__name__} instead of {expected.__name__}: {one}"
        elif isinstance(one, APIConnectionError) and not (one.host == host and host in str(one)):
            yield f"the host is {one.host}"
        elif isinstance(one, WaitTimeout) and one.asked and type(one.last_error) not in reaction.last_errors:
            yield f"the last error is {one.last_error!r}"
    if case.call == "wait_all" and len(results) != len(IDS):
        yield f"{len(results)} results for {len(IDS)} ids"
    files = [path.name for path in folder.iterdir()]
    wanted = ["cat.png"] if isinstance(result, Path) else []
    if files != wanted:
        yield f"the folder holds {files}"


# --- What is around a call. ---


@contextmanager
def _surroundings(seen: Observation) -> Iterator[None]:
    """Note the memory in use, and whether a thread, a file or a socket is left."""
    threads, files, before = own_threads(), open_files(), _reset_memory()
    yield
    seen.memory = max(0, _memory("VmHWM") - before)
    if seen.memory > MEMORY:
        seen.wrong.append(f"it took {seen.memory / 1e6:.0f} MB")
    if not eventually(lambda: own_threads() <= threads, SOON):
        seen.wrong.append(f"threads are left: {own_threads() - threads}")
    if not eventually(lambda: len(open_files()) <= len(files), SOON):
        seen.wrong.append(f"{len(open_files()) - len(files)} files or sockets are left")
        gc.collect()


def _reset_memory() -> int:
    """Return how many bytes this process has in use, and measure its most from now on. 0: not known here."""
    if not STATUS_FILE.exists():
        return 0
    STATUS_FILE.with_name("clear_refs").write_text("5", "ascii")
    return _memory("VmRSS")


def _memory(name: str) -> int:
    if not STATUS_FILE.exists():
        return 0
    fields = dict(line.split(":", 1) for line in STATUS_FILE.read_text("ascii").splitlines())
    return int(fields[name].split()[0]) * 1024


@contextmanager
def _deadline_of_status(timeout: float) -> Iterator[None]:
    """Let one question take no longer than so many seconds, which `status` has no argument for."""
    before = question.QUESTION_TIMEOUT
    question.QUESTION_TIMEOUT = timeout  # type: ignore[misc]
    try:
        yield
    finally:
        question.QUESTION_TIMEOUT = before  # type: ignore[misc]


class _Lines(logging.Handler):
    """Keeps every record of every logger as text, with all that is in its arguments."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.getMessage()} {record.exc_info and traceback.format_exception(record.exc_info[1])}")


@contextmanager
def _logs() -> Iterator[list[str]]:
    """Yield the lines that are logged at DEBUG meanwhile."""
    root, handler = logging.getLogger(), _Lines()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield handler.lines
    finally:
        root.setLevel(level)
        root.removeHandler(handler)


# --- The key. ---


def forms_of_key() -> set[str]:
    """Return the ways to write the key, one of each kind."""
    in_json = json.dumps(KEY)[1:-1]
    forms = {KEY, in_json, in_json.replace("/", "\\/"), html.escape(KEY), html.escape(KEY, quote=False)}
    forms |= {quote(KEY, safe=""), quote(KEY), quote(KEY, safe="").lower()}
    forms |= {"".join(f"\\u{ord(one):04x}" for one in KEY), "".join(f"&#{ord(one)};" for one in KEY)}
    forms |= {"".join(f"&#x{ord(one):x};" for one in KEY), "".join(f"%{ord(one):02x}" for one in KEY)}
    for shift in range(3):  # The characters in base64 depend on what stands before.
        coded = base64.b64encode(bytes(shift) + KEY.encode())
        forms |= {coded[4:-4].decode(), coded[4:-4].translate(bytes.maketrans(b"+/", b"-_")).decode()}
    return forms


SHARE: Final = 12
"""How many characters of the key in one piece would help a thief."""


def _pieces() -> list[str]:
    """Return pieces of the key in each form, of which there is one in whatever holds that share of it."""
    pieces = []
    for form in forms_of_key():
        size = SHARE * len(form) // len(KEY) // 2
        pieces += [form[start : start + size] for start in range(0, len(form) - size + 1, size)]
    return pieces


PIECES: Final = _pieces()


def has_key(text: str) -> bool:
    """Return whether the text holds the key, or a good piece of it, in any form."""
    return any(piece in text for piece in PIECES)


def _texts(result: Any, logs: list[str], folder: Path) -> Iterator[tuple[str, str]]:
    """Yield everything that people may come to see, and what it is."""
    yield "the logs", "\n".join(logs)
    for one in result if isinstance(result, list) else [result]:
        yield "a repr", repr(one)
        yield from _texts_of(one) if isinstance(one, BaseException) else ()
        if isinstance(one, Image):
            yield "an address", " ".join(one.urls)
    for path in folder.rglob("*"):
        yield "a file", path.read_bytes().decode("latin-1")


def _texts_of(error: BaseException) -> Iterator[tuple[str, str]]:
    yield "a traceback", "".join(traceback.format_exception(error))
    chain: list[BaseException] = [error]
    while chain:
        one = chain.pop()
        fields = {name: value for name, value in vars(one).items() if name != "body"}
        yield "an error", f"{one} {one!r} {fields!r}"
        body = getattr(one, "body", b"")
        yield "a body", body.decode("latin-1") if isinstance(body, bytes) else ""
        chain += [other for other in (one.__cause__, getattr(one, "last_error", None)) if other is not None]

"""The lines of a manifest, as JSON, of what stands in a journal. There may be millions, so each takes a microsecond."""

import json
import re
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from json.encoder import encode_basestring as quoted
from typing import Final

from longcat.saving.journal.money import UNITS

PLAIN_TEXT: Final = r'"[ !#-\[\]-~]*"'
"""A text in JSON that is the same with other characters than ASCII escaped or not: it has none, and no escapes."""
CONTENT: Final = re.compile(rf'\{{"prompt": ({PLAIN_TEXT}), "options": .*, "id": (null|{PLAIN_TEXT}), "webhook_url": ')
"""How `write_order` writes an order whose prompt and id are plain."""
FILES: Final = re.compile(rf"\[{PLAIN_TEXT}(, {PLAIN_TEXT})*\]")
MAX_CACHED_COSTS: Final = 1000
LOT: Final = 10_000
"""How many lines are written at a time."""


class Costs(dict[int, str]):
    """The stored amounts of money as JSON has them, in US dollars. There are few different ones, so they are kept."""

    def __missing__(self, units: int) -> str:
        if len(self) >= MAX_CACHED_COSTS:
            self.clear()
        text = self[units] = repr(units / UNITS)
        return text


COSTS: Final = Costs()


def manifest_line(  # noqa: PLR0913, PLR0917 - these are the fields of a line.
    content: str | None, request_id: str | None, state: str, files: str, units: int, error: str | None
) -> str:
    """Return a line with the fields of `OrderLine.as_object`, as `json.dumps` writes it, but not only in ASCII.

    Args:
        content: the order, as `write_order` writes it. None: it was ordered elsewhere.
        request_id: the request that came of it. None: none is known.
        state: how it stands.
        files: what its pictures are called, as a list in JSON.
        units: what it costs at most, as it is stored.
        error: what went wrong. None: nothing did.

    Raises ValueError, TypeError or the like for values that this package can't have written.
    """
    prompt, name = _prompt_and_id(content)
    return (
        f'{{"id": {name}, "prompt": {prompt}, "request_id": {"null" if request_id is None else quoted(request_id)},'
        f' "state": "{state}", "files": {files}, "cost": {COSTS[units]},'
        f' "error": {"null" if error is None else quoted(error)}}}\n'
    )


def _prompt_and_id(content: str | None) -> tuple[str, str]:
    """Return the prompt and the id of an order, in JSON."""
    if content is None:
        return "null", "null"
    if found := CONTENT.match(content):
        return found[1], found[2]
    order = json.loads(content)
    return quoted(order["prompt"]), "null" if order["id"] is None else quoted(order["id"])


def files_of(paths: Iterable[str | None]) -> str:
    """Return what pictures at these paths, or URLs, are called, as a list in JSON. None stands for no picture."""
    names = [quoted(path.replace("\\", "/").rpartition("/")[2]) for path in paths if path is not None]
    return f"[{', '.join(names)}]"


def stored_files(files: str | None) -> str:
    """Return a list in JSON that may be written in ASCII, or None, likewise."""
    if not files:
        return "[]"
    return files if FILES.fullmatch(files) else files_of(json.loads(files))


def write_lots(lines: Iterable[str], write: Callable[[str], object]) -> int:
    """Have lines written, many at a time, and return how many there were.

    A thread writes while the next lines are made: what writes lets go of the interpreter.
    """
    count, rest = 0, iter(lines)
    with ThreadPoolExecutor(1) as thread:
        written: Future[object] = thread.submit(int)
        while some := list(islice(rest, LOT)):
            lot = "".join(some)
            count += len(some)
            written.result()
            written = thread.submit(write, lot)
        written.result()
    return count

"""Every reader of what comes from elsewhere, as a function of bytes that may raise nothing but what is documented."""

import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Final

from attrs import frozen

from longcat.cli.ids import known_ids
from longcat.cli.orders.files.lines import read_lines
from longcat.contract import SpecError, load_spec
from longcat.contract.reports.baseline import load_baseline
from longcat.contract.traffic import recordings
from longcat.decoding import MAX_STEP, CodingError, ContentDecoder
from longcat.errors import ConfigurationError, DownloadError, JournalError, LongCatError
from longcat.gateway.messages import LONGEST_PAUSE, Answer
from longcat.gateway.queue import QueueGateway
from longcat.gateway.result import ResultGateway
from longcat.models import OrderRequest, State, Status
from longcat.saving.journal.journal import Journal
from longcat.saving.picture_file import PictureFile
from longcat.saving.stores.folder import FolderStore
from longcat.webhooks import parse

CORPUS: Final = Path(__file__).parents[1] / "corpus"
"""Inputs that were found to matter, in a folder for each reader."""
URL: Final = "https://gateway.test"
KEY: Final = "the-key-of-the-parsers"
ID: Final = "cat-1"
QUEUED: Final = "longcat-image-498_019dxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
MOST: Final = 1024 * 1024
"""How many bytes of a decoded body are taken."""


@frozen
class Parser:
    """A reader.

    Attributes:
        read: is called with the input, and with an empty folder.
        errors: what it may raise.
        seeds: inputs besides those of the corpus that others are made of.
    """

    read: Callable[[bytes, Path], object]
    errors: tuple[type[Exception], ...]
    seeds: Callable[[], list[bytes]] = list

    def check(self, data: bytes) -> float:
        """Read the input, and return how many seconds of the processor it took. What must not be is raised."""
        with tempfile.TemporaryDirectory() as folder:
            began = time.process_time()
            with suppress(*self.errors):
                self.read(data, Path(folder))
            return time.process_time() - began


def _file(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def _answer(data: bytes, _: Path) -> None:
    """Read the answer to a question, of either gateway."""
    for code in (200, 404, 503):
        for gateway, request_id in ((ResultGateway(URL, KEY), ID), (QueueGateway(URL, KEY), QUEUED)):
            with suppress(LongCatError):
                gateway.read(request_id, Answer(code, {}, data))


def _retry_after(data: bytes, _folder: Path) -> None:
    """Read a header, and perhaps the server's clock after a line break."""
    value, _, now = data.decode("latin-1").partition("\n")
    headers = {"retry-after": value} | ({"date": now} if now else {})
    pause = Answer(429, headers, b"", received=time.time()).retry_after
    if pause is not None and not 0 <= pause <= LONGEST_PAUSE:
        raise AssertionError(f"a pause of {pause} s")


def _recording(name: str) -> Callable[[bytes, Path], None]:
    """Return what reads a file of recorded traffic, which raises nothing."""

    def read(data: bytes, folder: Path) -> None:
        path = _file(folder, name, data)
        for _ in recordings.read(path, {"ocp-apim-subscription-key"}):
            pass
        recordings.provenance(path)

    return read


def _journal(data: bytes, folder: Path) -> None:
    """Open a journal, and ask it everything."""
    _ask_journal(_file(folder, "journal.db", data))


def _ask_journal(path: Path) -> None:
    with closing(Journal(path, time=time.time)) as journal:
        journal.open(0)
        requests, orders = journal.requests(URL), journal.orders(URL)
        requests.claim(ID)
        requests.last(ID)
        requests.file(ID, 1)
        orders.known(ID)
        orders.in_doubt()
        orders.spent()


def _rows(data: bytes, folder: Path) -> None:
    """Ask a journal in whose rows each field is a line of the input, as text or as a number."""
    path = _file(folder, "journal.db", _new_journal())
    values = [_value(line) for line in data.split(b"\n")]
    with closing(sqlite3.connect(path)) as db:
        for table in ("request", "picture", "orders"):
            names = [row[1] for row in db.execute(f"PRAGMA table_info({table})") if not row[5]]
            for number, name in enumerate(names):
                with suppress(sqlite3.Error, OverflowError):  # The schema may refuse it.
                    db.execute(f"UPDATE {table} SET {name} = ?", [values[number % len(values)]])  # noqa: S608
        db.commit()
    _ask_journal(path)


def _value(line: bytes) -> object:
    with suppress(ValueError):
        return int(line)
    with suppress(ValueError):
        return float(line)
    return line.decode("utf-8", "replace")


@cache
def _new_journal() -> bytes:
    """Return a journal with one row in each table."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "journal.db")
        with closing(Journal(path, time=time.time)) as journal:
            journal.open(1)
            requests = journal.requests(URL)
            requests.claim(ID)
            requests.note(Status(ID, State.PROCESSING, "processing", 0.5))
            requests.record(ID, 1, str(Path(folder, "cat.png")), "0" * 64, 1)
            journal.orders(URL).begin(ID, OrderRequest("a cat"), Decimal(1))
            journal.flush()
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA journal_mode = DELETE")
        return path.read_bytes()


def _spec(data: bytes, folder: Path) -> None:
    load_spec(_file(folder, "spec.yaml", data))


def _ids(data: bytes, folder: Path) -> None:
    known_ids([], str(_file(folder, "ids.txt", data)))


def _orders(data: bytes, folder: Path) -> None:
    read_lines(str(_file(folder, "orders.jsonl", data)), {}, plain_http=False)


def _baseline(data: bytes, folder: Path) -> None:
    load_baseline(_file(folder, "baseline.toml", data), date(2026, 1, 1))


def _coding(data: bytes, _folder: Path) -> None:
    """Decode a body, after a line with the header, in pieces of several sizes."""
    header, _, body = data.partition(b"\n")
    decoder, size = ContentDecoder(header.decode("latin-1")), 0
    coded = bool(header.strip())
    for piece in _pieces(body):
        for plain in decoder.decode(piece):
            if coded and len(plain) > max(MAX_STEP, len(piece)):
                raise AssertionError(f"a step of {len(plain)} bytes")
            size += len(plain)
            if size > MOST:
                return
    decoder.finish()


def _pieces(data: bytes) -> Iterator[bytes]:
    start, size = 0, 1
    while start < len(data):
        yield data[start : start + size]
        start, size = start + size, size * 2


def _picture(data: bytes, folder: Path) -> None:
    """Take a picture whose end only the picture tells."""
    target = FolderStore(folder / "cat.png").target("cat", 1, 1)
    with PictureFile(target, overwrite=False, max_bytes=MOST, url=URL) as file:
        file.begin({}, ends_with_connection=True)
        for piece in _pieces(data):
            file.write(piece)
        file.finish()


PARSERS: Final = {
    "answer": Parser(_answer, ()),
    "callback": Parser(lambda data, _: parse(data), (LongCatError,)),
    "retry-after": Parser(_retry_after, ()),
    "cassette": Parser(_recording("cassette.yaml"), ()),
    "cassette-json": Parser(_recording("cassette.json"), ()),
    "har": Parser(_recording("traffic.har"), ()),
    "journal": Parser(_journal, (JournalError,), lambda: [_new_journal()]),
    "journal-rows": Parser(_rows, (JournalError,)),
    "spec": Parser(_spec, (SpecError,)),
    "ids": Parser(_ids, (ConfigurationError,)),
    "orders": Parser(_orders, (ConfigurationError,)),
    "baseline": Parser(_baseline, (ConfigurationError,)),
    "coding": Parser(_coding, (CodingError,)),
    "picture": Parser(_picture, (DownloadError,)),
}
"""Every reader, by the name of its folder in the corpus."""


def corpus(name: str) -> list[Path]:
    """Return the files of a reader's corpus."""
    return sorted((CORPUS / name).iterdir())

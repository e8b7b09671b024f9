"""What a journal remembers, who may work on what, and what is left after a kill: with real files and processes."""

import hashlib
import os
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from textwrap import dedent
from threading import Barrier, Thread
from uuid import uuid4

import pytest
from attrs import evolve
from attrs.exceptions import FrozenInstanceError
from hypothesis import given, settings
from hypothesis import strategies as st
from journals import KINDS, Place, new_place, rows, until_gone
from processes import Process, run_code
from servers import LIMIT

from longcat import ConfigurationError, Image, JournalError, State, Status
from longcat.saving.journal.journal import Journal
from longcat.saving.journal.request_table import RequestTable, SavedFile
from longcat.saving.journal.sqlite import database
from longcat.saving.stores.folder import FolderStore

GATEWAY = "https://gateway.example"
URL = "https://storage.example/a.png"
ID = "a-request"
IMAGE = Image(ID, URL, (URL,), datetime(2025, 1, 2, tzinfo=UTC), timedelta(seconds=3.25), "longcat-v1.2")
QUEUED = Status(ID, State.QUEUED, "IN_QUEUE")
COMPLETED = Status(ID, State.COMPLETED, "COMPLETED", 1.0, IMAGE)
BYTES = b"the bytes of a picture"
HASH = hashlib.sha256(BYTES).hexdigest()

# Half of a surrogate pair, which JSON can write and UTF-8 can't, is among these characters.
TEXTS = st.text(st.characters(), max_size=9)
ZONES = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
IMAGES = st.builds(
    Image,
    TEXTS,
    TEXTS,
    st.lists(TEXTS, max_size=3).map(tuple),
    st.none() | st.datetimes(timezones=ZONES),
    st.none() | st.timedeltas(),
    st.none() | TEXTS,
)
STATUSES = st.builds(
    Status,
    st.just(ID),
    st.sampled_from(State),
    TEXTS,
    st.none() | st.floats(0.0, 1.0),
    st.none() | IMAGES,
    st.none() | TEXTS,
).filter(lambda status: status.state is not State.COMPLETED or status.image is not None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a journal may be made."""
    return tmp_path / "a.journal"


def journal(place: Place) -> Journal:
    """Return a journal that reads this machine's clock."""
    return Journal(place, time=time.time)


@contextmanager
def opened(place: Place, gateway: str = GATEWAY) -> Iterator[RequestTable]:
    """Yield the requests of a gateway in a journal."""
    with journal(place) as one:
        yield one.requests(gateway)


def owners(path: Path) -> list[Path]:
    """Return the files of the owners of a journal."""
    return sorted(path.parent.glob("*.owner*"))


def process(place: Place, code: str) -> Process:
    """Return a process that runs code which knows what is imported here, and `journal`."""
    names = {"State": State, "Status": Status, "Barrier": Barrier, "Thread": Thread}
    return Process(run_code, dedent(code), {**names, "journal": partial(Journal, place, time=time.time)})


def go(*children: Process) -> None:
    """Let processes go on that wait for a line, as soon as all of them do."""
    assert [child.line() for child in children] == ["ready"] * len(children)
    for child in children:
        child.send("go")


@contextmanager
def killed(place: Place, ids: list[str]) -> Iterator[None]:
    """Leave what a process that claimed some requests leaves behind when it is killed."""
    with process(
        place, f"j = journal().requests({GATEWAY!r}); say([j.claim(one) for one in {ids!r}].count(True)); hear()"
    ) as child:
        assert child.line() == str(len(ids))
        child.kill()
        until_gone(place)
        yield


# --- What is remembered. ---


@pytest.fixture(scope="module", params=KINDS)
def two(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[RequestTable, RequestTable]]:
    """Return two journal objects in one place."""
    place = new_place(request, tmp_path_factory.mktemp("two"))
    with opened(place) as one, opened(place) as other:
        yield one, other


@given(status=STATUSES)
def test_an_answer_comes_back_as_it_was_noted(two: tuple[RequestTable, RequestTable], status: Status) -> None:
    """What one journal object notes, another on the same file reads: every kind of answer, and all of its image."""
    one, other = two
    status = evolve(status, request_id=uuid4().hex)
    one.note(status)
    one._database.writer.flush(LIMIT)
    assert other.last(status.request_id) == status


def test_an_answer_survives_the_journal_that_noted_it(place: Place) -> None:
    """A journal opened again knows what was noted before it was closed."""
    with opened(place) as one:
        one.note(COMPLETED)
    with opened(place) as one:
        assert one.last(ID) == COMPLETED


def test_the_answer_is_remembered_without_what_it_was_read_from(place: Place) -> None:
    """The raw answer is not kept: an answer from the journal has none."""
    with opened(place) as one:
        one.note(Status(ID, State.QUEUED, "IN_QUEUE", raw={"status": "IN_QUEUE"}))
        last = one.last(ID)
    assert last is not None
    assert last.raw is None


def test_a_request_that_nobody_noted_has_no_answer_and_no_file(place: Place) -> None:
    """There is none before the first answer, whether the request has a row or not."""
    with opened(place) as one:
        assert one.claim("taken")
        for request_id in ("taken", "never heard of"):
            assert (one.last(request_id), one.file(request_id, 1)) == (None, None)


def test_the_last_answer_replaces_the_one_before(place: Place) -> None:
    """Nothing of an earlier answer shows through. What is final stays, whatever else an owner still had to note."""
    with opened(place) as one:
        one.note(Status(ID, State.UNKNOWN, "ODD", 0.5, error="no"))
        one.note(QUEUED)
        assert one.last(ID) == QUEUED
        assert rows(place)[0]["outcome"] is None
        one.note(COMPLETED)
        one.note(QUEUED)
        assert one.last(ID) == COMPLETED


def test_people_can_read_the_rows(place: Place, tmp_path: Path) -> None:
    """Moments are ISO 8601 in UTC, the first is kept, and the outcome is a word."""
    moments = iter([0.0, 1735790645.5])
    with Journal(place, time=lambda: next(moments)) as all_gateways:
        one = all_gateways.requests(GATEWAY)
        one.note(QUEUED)
        all_gateways.flush()
        assert [rows(place)[0][name] for name in ("outcome", "state")] == [None, "queued"]
        one.note(COMPLETED)
        one.record(ID, 1, str(tmp_path / "a.png"), HASH, len(BYTES))
    assert rows(place) == [
        {
            "gateway": GATEWAY,
            "request_id": ID,
            "owner": None,
            "first_asked": "1970-01-01T00:00:00.000Z",
            "last_asked": "2025-01-02T04:04:05.500Z",
            "state": "completed",
            "raw_state": "COMPLETED",
            "progress": 1.0,
            "error": None,
            "outcome": "completed",
            "image": f'{{"request_id": "{ID}", "url": "{URL}", "urls": ["{URL}"], "created_at":'
            ' "2025-01-02T00:00:00+00:00", "duration_us": 3250000, "model_version": "longcat-v1.2"}',
        }
    ]
    assert rows(place, "SELECT * FROM picture") == [
        {
            "gateway": GATEWAY,
            "request_id": ID,
            "number": 1,
            "path": str(tmp_path / "a.png"),
            "sha256": HASH,
            "size": len(BYTES),
        }
    ]


def test_a_row_that_was_altered_is_refused(place: Place) -> None:
    """What this program can't have written is not taken for an answer."""
    values = ["state = 'x'", "image = '5'", "image = '{}'", "image = '['"]
    if isinstance(place, Path):  # PostgreSQL takes no text that is none.
        values.append("raw_state = CAST(x'ff' AS TEXT)")
    for value in values:
        with opened(place) as one:
            one.note(COMPLETED)
            rows(place, f"UPDATE request SET {value}")  # noqa: S608 - one of the above.
            with pytest.raises(ConfigurationError, match=r"'a-request' in .* was altered and can't be read. Delete it"):
                one.last(ID)


@pytest.mark.parametrize("value", ["owner = '../x'", "outcome = 'queued'"])
def test_what_would_mislead_can_not_be_written(path: Path, value: str) -> None:
    """No program can give a row an owner that is no token, or an outcome that is none."""
    with opened(path) as one:
        one.note(QUEUED)
        with pytest.raises(sqlite3.IntegrityError, match="CHECK constraint failed"):
            rows(path, f"UPDATE request SET {value}")  # noqa: S608 - one of the above.


def test_gateways_share_a_file_and_nothing_else(place: Place) -> None:
    """The same id at two gateways is two requests."""
    with opened(place) as one, opened(place, "https://other.example") as other:
        one.note(QUEUED)
        assert (one.claim(ID), other.claim(ID), other.last(ID)) == (True, True, None)


def test_reopening_forgets_the_answer_and_the_file(place: Place, tmp_path: Path) -> None:
    """The request is to be asked again, by whom it belongs to, and keeps the moment it was first asked."""
    with opened(place) as one, opened(place) as other:
        assert one.claim(ID)
        one.note(COMPLETED)
        one.record(ID, 1, str(tmp_path / "a.png"), HASH, len(BYTES))
        one.reopen(ID, 1)
        assert (one.last(ID), one.file(ID, 1), other.claim(ID)) == (None, None, False)
        assert rows(place)[0]["first_asked"] is not None


# --- Files. ---


def test_of_two_that_find_no_owner_one_takes_the_request(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who looked before another one took the request, and takes it after that, has not got it."""
    with opened(place) as one, opened(place) as other:
        assert one.claim(ID)
        monkeypatch.setattr(RequestTable, "_row", lambda *_: (None,))  # As it was a moment ago.
        assert not other.claim(ID)


def test_a_saved_file_is_found_until_it_is_missing_or_altered(path: Path) -> None:
    """A file counts as saved while its bytes are those recorded; one byte less, or another one, and it does not."""
    picture = path.with_name("a.png")
    saved = SavedFile(str(picture), HASH, len(BYTES))
    with opened(path) as one:
        one.record(ID, 1, saved.place, saved.sha256, saved.size)
        assert one.file(ID, 1) == saved
    for content, expected in ((BYTES, True), (BYTES[:-1], False), (BYTES.upper(), False), (BYTES, True)):
        picture.write_bytes(content)
        assert (FolderStore(picture).target("", 1, 1).find(saved) == str(picture)) is expected
    picture.unlink()
    assert FolderStore(picture).target("", 1, 1).find(saved) is None
    picture.mkdir()
    assert FolderStore(picture).target("a", 1, 1).find(saved) is None


def test_a_file_name_that_is_no_text_is_kept(place: Place, tmp_path: Path) -> None:
    """A name that the file system gave in bytes comes back as the same bytes."""
    picture = tmp_path / os.fsdecode(b"\xff.png")
    with opened(place) as one:
        one.record(ID, 1, str(picture), HASH, len(BYTES))
        assert one.file(ID, 1) == SavedFile(str(picture), HASH, len(BYTES))


def test_the_last_record_of_a_file_holds(place: Place, tmp_path: Path) -> None:
    """A second download replaces the record of the first, and a record is a value."""
    with opened(place) as one:
        one.record(ID, 1, str(tmp_path / "a.png"), "0" * 64, 1)
        one.record(ID, 1, str(tmp_path / "b.png"), HASH, len(BYTES))
        file = one.file(ID, 1)
    assert file == SavedFile(str(tmp_path / "b.png"), HASH, len(BYTES))
    with pytest.raises(FrozenInstanceError):
        file.size = 1  # type: ignore[misc]


# --- Who works on what. ---


def test_what_one_has_taken_another_can_not(place: Place) -> None:
    """Of two journal objects on one file, the second is turned away, and the first may take again."""
    with opened(place) as one, opened(place) as other:
        assert [one.claim(ID), other.claim(ID), one.claim(ID), other.claim("b"), one.claim("b")] == [
            *(True, False, True, True, False)
        ]


def test_what_is_given_back_can_be_taken(place: Place) -> None:
    """A release frees one's own request, and no other's."""
    with opened(place) as one, opened(place) as other:
        assert one.claim(ID)
        other.release(ID)
        assert not other.claim(ID)
        one.release(ID)
        assert (other.claim(ID), one.claim(ID)) == (True, False)


def test_what_was_taken_several_times_is_given_back_as_often(place: Place) -> None:
    """Several waits of one journal may be for one request: it is free when all have ended."""
    with opened(place) as one, opened(place) as other:
        assert [one.claim(ID) for _ in range(3)] == [True] * 3
        for is_free in (False, False, True):
            one.release(ID)
            assert other.claim(ID) is is_free


def test_closing_gives_everything_back(place: Place) -> None:
    """What a closed journal had is free, its file is gone, and closing again does nothing."""
    with opened(place) as one:
        first = journal(place)
        assert all(first.requests(GATEWAY).claim(request_id) for request_id in "abc")
        first.close()
        first.close()
        assert [row["owner"] for row in rows(place)] == [None] * 3
        assert not isinstance(place, Path) or len(owners(place)) == 1
        assert all(one.claim(request_id) for request_id in "abc")
    assert not isinstance(place, Path) or list(place.parent.iterdir()) == [place]


def test_a_closed_journal_says_so(place: Place) -> None:
    """Every use after the end is refused, but to give back what has been given back."""
    closed = journal(place)
    one = closed.requests(GATEWAY)
    closed.close()
    one.release(ID)
    uses: list[Callable[[], object]] = [
        *(lambda: one.claim(ID), lambda: one.last(ID), lambda: one.note(QUEUED)),
        *(
            lambda: one.reopen(ID, 1),
            lambda: one.file(ID, 1),
            lambda: one.record(ID, 1, str(place), HASH, 1),
        ),
    ]
    for use in uses:
        with pytest.raises(ConfigurationError, match=r"closed. Make a new one"):
            use()


def test_another_name_of_the_file_is_the_same_journal(path: Path) -> None:
    """Through a symbolic link, what is taken stays taken."""
    (path.parent / "folder").mkdir()
    link = path.parent / "folder" / "b.journal"
    link.symlink_to(path)
    with opened(path) as one, opened(link) as other:
        assert (one.claim(ID), other.claim(ID)) == (True, False)


def test_what_a_process_has_taken_is_free_as_soon_as_it_is_killed(place: Place) -> None:
    """Another process is turned away while the first lives, and not a moment longer."""
    with (
        opened(place) as one,
        process(place, f"j = journal().requests({GATEWAY!r}); say(j.claim({ID!r})); hear()") as child,
    ):
        assert child.line() == "True"
        assert not one.claim(ID)
        child.kill()
        until_gone(place)
        assert one.claim(ID)
        assert not isinstance(place, Path) or len(owners(place)) == 1


def test_who_looks_at_a_dead_owner_is_not_taken_for_it(path: Path) -> None:
    """While another looks whether an owner lives, what a dead one had can be taken all the same."""
    with opened(path) as one:
        (mine,) = owners(path)
        with killed(path, [ID]):
            (dead,) = {*owners(path)} - {mine}
            with closing(sqlite3.connect(dead, isolation_level=None)) as looking:
                looking.execute("BEGIN")
                looking.execute("SELECT 1 FROM sqlite_master")
                assert one.claim(ID)
    assert owners(path) == []


def test_an_owner_without_its_file_is_none(place: Place) -> None:
    """In a journal that was copied while it was in use, everything can be taken."""
    with opened(place) as one:
        assert one.last(ID) is None
        rows(place, "INSERT INTO request (gateway, request_id, owner) VALUES (?, ?, ?)", GATEWAY, ID, "f" * 16)
        assert one.claim(ID)


def test_what_killed_processes_left_is_swept(path: Path) -> None:
    """Opening a journal removes the files of dead owners and their names from the rows, and nothing else."""
    others = [path.with_name("a.journal-of-mine.owner"), path.with_name(f"b.journal-{'0' * 16}.owner")]
    for other in others:
        other.touch()
    with killed(path, ["a", "b"]), killed(path, []), opened(path) as living:
        with process(path, "j = journal(); say('there'); hear()") as child:
            assert child.line() == "there"
            assert [row["owner"] for row in rows(path)] == [None, None]
            assert len(set(owners(path)) - {*others}) == 2
        with journal(path):
            assert len(set(owners(path)) - {*others}) == 2
        assert living.claim("a")
    assert owners(path) == others


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="Open files are counted in /proc.")
def test_looking_at_an_owner_keeps_no_file_open(path: Path) -> None:
    """However often a living owner is looked at, in the same process too, no more files are open than after once."""
    with opened(path) as one, opened(path) as other:
        assert one.claim(ID)
        assert not other.claim(ID)
        before = len(list(Path("/proc/self/fd").iterdir()))
        assert not any(other.claim(ID) for _ in range(100))
        assert len(list(Path("/proc/self/fd").iterdir())) <= before


def test_two_processes_share_the_work(place: Place) -> None:
    """Of 200 requests that both want, each is had by one of them."""
    code = """
        j = journal().requests("https://gateway.example")
        say("ready")
        hear()
        say(*(number for number in range(200) if j.claim(str(number))))
        hear()
    """
    with process(place, code) as one, process(place, code) as other:
        go(one, other)
        had = Counter(one.line().split() + other.line().split())
    assert had == Counter(str(number) for number in range(200))


RACE = """
    def claim(j, number):
        while True:
            try:
                return j.claim(str(number))
            except Exception as error:
                if not error.locked:
                    raise
    def run():
        try:
            begun.wait()
            with journal() as one:
                one.open(30)
                j = one.requests("https://gateway.example")
                had.extend(number for number in range(40) if claim(j, number))
                done.wait()
                ended.wait()
        except BaseException:
            done.abort()
            raise
    had, begun, done, ended = [], Barrier(10), Barrier(11), Barrier(11)
    threads = [Thread(target=run) for _ in range(10)]
    say("ready")
    hear()
    for thread in threads:
        thread.start()
    done.wait()
    say(*had)
    hear()
    ended.wait()
    for thread in threads:
        thread.join()
    say("closed")
"""


@pytest.mark.parametrize("dead", [False, True])
def test_twenty_race_for_the_same_requests(place: Place, *, dead: bool) -> None:
    """Twenty journal objects, or ten on PostgreSQL, in two processes open one at once: each request has one owner."""
    if dead:
        with killed(place, [str(number) for number in range(40)]):
            pass
    race = RACE if isinstance(place, Path) else RACE.replace("(10)", "(5)").replace("(11)", "(6)")
    with process(place, race) as one, process(place, race) as other:
        go(one, other)
        had = Counter(one.line().split() + other.line().split())
        assert had == Counter(str(number) for number in range(40))
        for child in (one, other):
            child.send("end")
        assert [one.line(), other.line()] == ["closed", "closed"]
    if isinstance(place, Path):
        assert (rows(place, "PRAGMA journal_mode"), owners(place)) == ([{"journal_mode": "wal"}], [])


def test_the_log_can_be_turned_on_only_while_nobody_writes(path: Path) -> None:
    """SQLite does not wait here, whatever its patience: opening has to try again."""
    with closing(sqlite3.connect(path, isolation_level=None)) as one, closing(sqlite3.connect(path)) as other:
        one.execute("CREATE TABLE a (b)")
        other.execute("BEGIN IMMEDIATE")
        assert not database.has_log(one)
        other.rollback()
        assert database.has_log(one)


def test_threads_share_an_object(place: Place) -> None:
    """What eight threads note through one journal object is all there."""
    ids = [str(number) for number in range(200)]
    with opened(place) as one, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda request_id: one.note(Status(request_id, State.QUEUED, "IN_QUEUE")), ids))
        one._database.writer.flush(LIMIT)
        assert {row["request_id"] for row in rows(place)} == {*ids}
        assert all(pool.map(one.claim, ids))


# --- After a kill. ---


@pytest.mark.parametrize("lines", [1, 7, 300])
def test_what_was_noted_before_a_kill_is_there_after_it(place: Place, lines: int) -> None:
    """A process killed in the midst of noting leaves a sound journal with every note that it had finished."""
    code = """
        j = journal().requests("https://gateway.example")
        for number in range(1_000_000):
            j.claim(str(number))
            j.note(Status(str(number), State.FAILED, "ERROR", 0.5, error="word " * 20))
            say(number)
    """
    with process(place, code) as child:
        said = [child.line() for _ in range(lines)]
        child.kill()
        said += child.rest()
    until_gone(place)
    with opened(place) as one:
        assert all(one.last(request_id) for request_id in said)
        assert len(rows(place)) - len(said) in {0, 1}
        assert one.claim(said[0])
    if isinstance(place, Path):
        assert rows(place, "PRAGMA integrity_check") == [{"integrity_check": "ok"}]


# --- What can't be a journal. ---


@pytest.mark.parametrize("content", [b"id-1\nid-2\n", b"no database, but long enough to be one " * 100])
def test_a_file_that_is_no_database_is_left_alone(path: Path, content: bytes) -> None:
    """A list of ids that was passed as the journal stays what it is."""
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"not a database. Choose another file"):
        journal(path)
    assert (path.read_bytes(), list(path.parent.iterdir())) == (content, [path])


def test_another_programs_database_is_left_alone(path: Path) -> None:
    """A database that is no journal is refused, to the byte as it was."""
    rows(path, "CREATE TABLE request (gateway)")
    content = path.read_bytes()
    with pytest.raises(ConfigurationError, match=r"another program's database, no journal. Choose another file\.$"):
        journal(path)
    assert (path.read_bytes(), list(path.parent.iterdir())) == (content, [path])


def test_a_newer_journal_is_left_alone(path: Path) -> None:
    """A journal whose schema this program does not know is refused with both versions."""
    journal(path).close()
    rows(path, "PRAGMA user_version = 3")
    content = path.read_bytes()
    with pytest.raises(ConfigurationError, match=r"of version 3, and this program knows version 2. Update"):
        journal(path)
    assert path.read_bytes() == content


VERSION_1 = """
CREATE TABLE request ( -- One row per request. Moments are ISO 8601 in UTC.
    gateway     TEXT NOT NULL, -- The gateway's base URL.
    request_id  TEXT NOT NULL,
    owner       TEXT CHECK (owner NOT GLOB '*[^0-9a-f]*'), -- The TOKEN of who works on it. NULL: nobody.
    first_asked TEXT,          -- When its first answer was noted. NULL: it has none.
    last_asked  TEXT,          -- When its last answer was noted.
    state       TEXT,          -- What the last answer means: queued, processing, ..., unknown. NULL: ask again.
    raw_state   TEXT,          -- The gateway's own word for that.
    progress    REAL,          -- From 0 to 1. NULL: the answer did not say.
    error       TEXT,          -- Why it failed, in the gateway's words.
    outcome     TEXT CHECK (outcome IN ('completed', 'failed', 'cancelled')), -- NULL: it is open.
    image       TEXT,          -- What it yielded, as JSON: url, urls, created_at, duration_us, ...
    path        TEXT,          -- The file that the picture was about to be put into.
    sha256      TEXT,          -- The SHA-256 of the picture, in hex. The file is whole if it has this one.
    size        INTEGER,       -- The picture's bytes.
    PRIMARY KEY (gateway, request_id)
) WITHOUT ROWID;
PRAGMA journal_mode = WAL;
PRAGMA user_version = 1;
PRAGMA application_id = 1279484276;
INSERT INTO request VALUES (
    'https://gateway.example', 'a-request', 'ffffffffffffffff', '1970-01-01T00:00:00.000Z', '2025-01-02T04:04:05.500Z',
    'completed', 'COMPLETED', 1.0, NULL, 'completed', '{"request_id": "a-request", "url":
    "https://storage.example/a.png", "urls": ["https://storage.example/a.png"], "created_at":
    "2025-01-02T00:00:00+00:00", "duration_us": 3250000, "model_version": "longcat-v1.2"}', '/somewhere/\udcff.png',
    'cafe', 5
), (
    'https://gateway.example', 'b-request', NULL, NULL, NULL, 'failed', 'ERROR', NULL, 'no', 'failed', NULL, NULL, NULL,
    NULL
), ('https://other.example', 'a-request', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)
"""
"""A journal of version 1, as the releases before made it, and what a program that was killed left in it."""


def version_1(path: Path) -> Path:
    """Make a journal of version 1."""
    with closing(sqlite3.connect(path)) as db:
        first, *statements = VERSION_1.split(";\n")
        for statement in (first, *statements[:-1]):
            db.execute(statement)
        # The driver takes no half of a surrogate pair, which the file has as bytes.
        text, name = statements[-1].split("'/somewhere/\udcff.png'")
        db.execute(f"{text}CAST(? AS TEXT){name}", ["/somewhere/\udcff.png".encode("utf-8", "surrogatepass")])
        db.commit()
    return path


def check_upgraded(path: Path) -> None:
    """Assert that a journal of version 1 knows all that it knew, and is like a new one."""
    with opened(path) as one, opened(path, "https://other.example") as other:
        assert one.last(ID) == COMPLETED
        assert one.last("b-request") == Status("b-request", State.FAILED, "ERROR", error="no")
        assert (other.last(ID), other.file(ID, 1), one.file("b-request", 1)) == (None, None, None)
        assert one.file(ID, 1) == SavedFile("/somewhere/\udcff.png", "cafe", 5)
        assert (one.claim(ID), other.claim(ID)) == (True, True)
        assert rows(path)[0]["first_asked"] == "1970-01-01T00:00:00.000Z"
    new = path.with_name("new.journal")
    journal(new).close()
    schema = "SELECT type, name, sql FROM sqlite_master ORDER BY name"
    assert rows(path, schema) == rows(new, schema)
    for pragma in ("user_version", "application_id", "journal_mode"):
        assert rows(path, f"PRAGMA {pragma}") == rows(new, f"PRAGMA {pragma}")
    new.unlink()
    assert list(path.parent.iterdir()) == [path]


def test_a_journal_of_version_1_is_brought_to_the_present_one(path: Path) -> None:
    """What it knows of requests, pictures and gateways is kept, and who was killed with it owns nothing any more."""
    check_upgraded(version_1(path))


def test_a_kill_in_the_midst_of_an_upgrade_loses_nothing(tmp_path: Path) -> None:
    """Killed before any statement, the journal is as before or as after, and the next program brings it on."""
    code = """
        import os, signal
        from longcat.saving.journal.sqlite import database
        seen, connect = [], database.connect
        def count(statement):
            seen.append(statement)
            if len(seen) == moment:
                os.kill(os.getpid(), signal.SIGKILL)
        def watched(*arguments):
            connection = connect(*arguments)
            connection.set_trace_callback(count)
            return connection
        database.connect = watched
        journal().close()
        say("closed")
    """
    versions = []
    for moment in range(1, 100):
        folder = tmp_path / str(moment)
        folder.mkdir()
        path = version_1(folder / "a.journal")
        with process(path, f"moment = {moment}\n{dedent(code)}") as child:
            said = child.rest()
        versions.append(rows(path, "PRAGMA user_version")[0]["user_version"])
        check_upgraded(path)
        if said:
            break
    assert (versions.count(1) > 15, versions == sorted(versions), versions[-1]) == (True, True, 2)


def test_several_programs_may_open_a_journal_of_version_1_at_once(path: Path) -> None:
    """One of them brings it to the present version, and the others use that."""
    code = f"say('ready'); hear(); j = journal().requests({GATEWAY!r}); say(j.last({ID!r}).state); hear()"
    with process(version_1(path), code) as one, process(path, code) as other:
        go(one, other)
        assert [one.line(), other.line()] == ["completed"] * 2
    check_upgraded(path)


def test_a_journal_of_version_1_that_is_in_use_is_left_alone(path: Path) -> None:
    """While a program that knows only the old tables runs, they stay."""
    owner = version_1(path).with_name(f"{path.name}-{'0' * 16}.owner")
    with closing(sqlite3.connect(owner, isolation_level=None)) as lock:
        lock.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ConfigurationError, match=r"of version 1, and a program .* is running. End that program"):
            opened(path).__enter__()
        assert rows(path, "PRAGMA user_version") == [{"user_version": 1}]
    check_upgraded(path)


def test_an_empty_file_becomes_a_journal(path: Path) -> None:
    """A file that was only just made is as good as none."""
    path.touch()
    with opened(path) as one:
        assert one.claim(ID)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none/a.journal", r"no folder .*none for the journal. Make it first\.$"),
        (".", r"is a folder, and a journal is a file. Name a file in it\.$"),
        ("\0", r"can't be a journal: .* Choose another name\.$"),
        ("n" * 300, r"unable to open database file. Make sure"),
        ("n" * 240, r"unable to open database file. Make sure"),
    ],
)
def test_a_place_where_no_journal_can_be_is_refused(tmp_path: Path, name: str, message: str) -> None:
    """The message names the trouble and what to do, and nothing is left behind."""
    with pytest.raises(ConfigurationError, match=message):
        journal(tmp_path / name)
    assert owners(tmp_path / name) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Permissions are something else on Windows.")
@pytest.mark.parametrize("kind", ["folder", "file"])
def test_what_may_not_be_written_is_refused(kind: str) -> None:
    """A folder or a journal that may only be read is refused, and the message says what to make writable."""
    code = """
        import os
        if os.geteuid() == 0:
            os.seteuid(65534)
        try:
            journal()
        except Exception as error:
            say(type(error).__name__, str(error).replace("\\n", " "))
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.journal")
        if kind == "file":
            journal(path).close()
            path.chmod(0o444)
        Path(folder).chmod(0o555 if kind == "folder" else 0o777)
        with process(path, code) as child:
            said = child.line()
        Path(folder).chmod(0o700)
    assert said.startswith("JournalError")
    assert said.endswith("Make sure that the file and its folder can be read and written.")


def test_a_full_disk_loses_nothing_that_was_noted(path: Path) -> None:
    """Where the file can't grow, the error says so, what was noted stays, and once there is room it goes on."""
    with opened(path) as one:
        one.note(COMPLETED)
        with one._database.using() as db:
            db.execute(f"PRAGMA max_page_count = {rows(path, 'PRAGMA page_count')[0]['page_count']}")
        with pytest.raises(ConfigurationError, match=r"is full. Free some space on the disk and run again"):
            one.note(Status(ID, State.FAILED, "ERROR", error="word " * 10_000))
        assert one.last(ID) == COMPLETED
        with one._database.using() as db:
            db.execute("PRAGMA max_page_count = 1000")
        one.note(evolve(COMPLETED, progress=None))
        assert one.last(ID) == evolve(COMPLETED, progress=None)


def test_a_journal_that_is_kept_locked_is_refused_after_a_while(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who can't get at the file waits, and then says which program has it; so does who has it open already."""
    monkeypatch.setattr(database, "LOCK_PATIENCE", 0.05)
    with opened(path) as one, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(
            JournalError, match=r"is locked. End the program that keeps it locked.*, then run again"
        ) as caught:
            one.note(QUEUED)
        with pytest.raises(JournalError, match=r"is locked. End the program"), journal(path) as late:
            late.open(0.1)
        assert (caught.value.locked, one.last(ID), len(owners(path))) == (True, None, 1)
        if sys.platform == "linux":
            assert f"process {os.getpid()} (" in str(caught.value)


def test_a_damaged_journal_is_refused(path: Path) -> None:
    """Where the disk has lost its rows, the message says that orders may have been paid, and what can be saved."""
    with opened(path) as one:
        one.note(QUEUED)
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xaa" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(JournalError, match=r"malformed.* Keep it, .*`sqlite3 FILE .recover"):
        journal(path)


@settings(max_examples=20)
@given(st.text("abc #?%'\"-[]*ä\udcff", min_size=1, max_size=9))
def test_any_name_will_do(name: str) -> None:
    """Characters that mean something in an address, a pattern or SQL are only letters in a file's name."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        with opened(path) as one, opened(path) as other:
            assert (one.claim(ID), other.claim(ID)) == (True, False)
        assert list(Path(folder).iterdir()) == [path]

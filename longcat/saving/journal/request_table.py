"""The requests of one gateway, the answers about them, and their pictures that were saved."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from attrs import field, frozen

from longcat.errors import JournalError
from longcat.models import Image, State, Status
from longcat.saving.journal.database import Database, Statements, as_bytes, text_or_none
from longcat.text import shorten

MICROSECOND: Final = timedelta(microseconds=1)

CLAIM_REQUEST: Final = """
INSERT INTO request (gateway, request_id, owner) VALUES (?, ?, ?)
ON CONFLICT (gateway, request_id) DO UPDATE SET owner = excluded.owner
WHERE request.owner IS NULL OR request.owner = excluded.owner"""
TAKE_OVER: Final = """
UPDATE request SET owner = ? WHERE gateway = ? AND request_id = ? AND (owner IS NULL OR owner = ?)"""
RELEASE: Final = "UPDATE request SET owner = NULL WHERE gateway = ? AND request_id = ? AND owner = ?"
NOTE_ANSWER: Final = """
INSERT INTO request (gateway, request_id, first_asked, last_asked, state, raw_state, progress, error, outcome, image)
VALUES (?, ?, ?, ?, ?, CAST(? AS TEXT), ?, CAST(? AS TEXT), ?, ?)
ON CONFLICT (gateway, request_id) DO UPDATE SET
    first_asked = coalesce(request.first_asked, excluded.first_asked), last_asked = excluded.last_asked,
    state = excluded.state, raw_state = excluded.raw_state, progress = excluded.progress,
    error = excluded.error, outcome = excluded.outcome, image = excluded.image
WHERE request.outcome IS NULL OR excluded.outcome IS NOT NULL"""
"""Only a final answer replaces a final one, as an owner from which the request was taken may still note others."""
REOPEN_REQUEST: Final = """
UPDATE request SET state = NULL, raw_state = NULL, progress = NULL, error = NULL, outcome = NULL, image = NULL
WHERE gateway = ? AND request_id = ?"""
# Without a state it is asked about again. A final answer, which another program may have got, is worth more.
NOTE_REFUSAL: Final = """
UPDATE request SET state = NULL, raw_state = NULL, progress = NULL, error = CAST(? AS TEXT)
WHERE gateway = ? AND request_id = ? AND outcome IS NULL"""
FORGET_PICTURE: Final = "DELETE FROM picture WHERE gateway = ? AND request_id = ? AND number = ?"
RECORD_PICTURE: Final = """
INSERT INTO picture (gateway, request_id, number, path, sha256, size) VALUES (?, ?, ?, CAST(? AS TEXT), ?, ?)
ON CONFLICT (gateway, request_id, number) DO UPDATE
SET path = excluded.path, sha256 = excluded.sha256, size = excluded.size"""
ONE: Final = "FROM request WHERE gateway = ? AND request_id = ?"
FIND_PICTURE: Final = "SELECT path, sha256, size FROM picture WHERE gateway = ? AND request_id = ? AND number = ?"


@frozen
class SavedFile:
    """The place where a picture was saved, as it was recorded.

    Attributes:
        place: where it is: an absolute path, or a URL.
        sha256: the SHA-256 of its bytes, in hex.
        size: how many bytes it has.
    """

    place: str
    sha256: str
    size: int


@frozen(eq=False)
class RequestTable:
    """The requests of one gateway in a journal.

    Threads may share it: what one of them claims is claimed for all of them. Every method raises JournalError when
    the journal can't be read or written. Request ids must have passed `settings.usable_request_id`. A request's
    pictures are numbered from 1.

    Attributes:
        holders: who has the right to download the pictures of a request, by its id: the journal tells owners apart, but
            not the threads and tasks of one.
    """

    _database: Database
    _gateway: str
    _owner: str
    holders: dict[str, object] = field(factory=dict, init=False, repr=False)
    _claims: Counter[str] = field(factory=Counter, init=False)
    _sessions: dict[str, int] = field(factory=dict, init=False, repr=False)  # In which one each was seen to be ours.
    _unwritten: dict[str, list[Any]] = field(factory=dict, init=False, repr=False)
    """The last answer about each request that is to be written with others."""

    def claim(self, request_id: str) -> bool:
        """Claim a request, and return whether it is ours. False: another owner, who is alive, has it.

        A request that the journal does not know gets a row.
        """
        self._database.check_owner(self._owner)
        with self._database.using() as db:
            # Of several that come here at once, one alone finds no owner.
            if db.execute(
                CLAIM_REQUEST, [self._gateway, request_id, self._owner]
            ).rowcount != 1 and not self._take_over(db, request_id):
                return False
            self._claims[request_id] += 1
            self._sessions[request_id] = self._database.session
            return True

    def is_ours(self, request_id: str) -> bool:
        """Whether a request that was claimed is ours still, for certain. It does not block. False: call `confirm`."""
        return self._database.is_certain() and self._sessions.get(request_id) == self._database.session

    def confirm(self, request_id: str) -> bool:
        """Find out whether a request that was claimed is ours still. False: the claim is undone; claim it anew.

        While the connection to a journal is lost, another owner may take what was ours.
        """
        with self._database.using() as db:
            if db.execute(CLAIM_REQUEST, [self._gateway, request_id, self._owner]).rowcount == 1:
                self._sessions[request_id] = self._database.session
                return True
            self._forget_claim(request_id)
            return False

    def _forget_claim(self, request_id: str) -> bool:
        """Count one claim less, and return whether it was the last one."""
        self._claims[request_id] -= 1
        if self._claims[request_id] > 0:
            return False
        del self._claims[request_id]
        self._sessions.pop(request_id, None)
        return True

    def _take_over(self, db: Statements, request_id: str) -> bool:
        """Claim a request that has an owner, if that one is gone, and return whether it is ours."""
        (owner,) = self._row("owner", request_id) or (None,)
        if owner is not None:
            if self._database.is_alive(owner):
                return False
            self._database.remove_owner(db, owner)
        return db.execute(TAKE_OVER, [self._owner, self._gateway, request_id, owner]).rowcount == 1

    def release(self, request_id: str) -> None:
        """Undo one `claim`. After as many of them as there were, another owner may claim the request."""
        if not self._database.is_open or self._database.token != self._owner:
            return  # Everything was given back; or it is not ours, but that of the process that was forked.
        with self._database.using() as db:
            if self._claims[request_id] <= 1:
                db.execute(RELEASE, [self._gateway, request_id, self._owner])
            self._forget_claim(request_id)

    def later(self, write: Callable[[], object]) -> None:
        """Have something written by a thread, as `Database.later` does."""
        self._database.later(self._owner, write)

    def last(self, request_id: str) -> Status | None:
        """Return the last answer noted, without its `raw`. None: there is none, so ask."""
        with self._database.trusting(f"The row of request {shorten(request_id)!r}", "Delete it."):
            if request_id in self._unwritten:
                self._write_notes()
            row = self._row("state, raw_state, progress, error, image", request_id)
            if row is None or row[0] is None:
                return None
            state, raw_state, progress, error, image = row
            if text_or_none(raw_state) is None or (progress is not None and not 0.0 <= progress <= 1.0):
                raise ValueError("no status has these values")
            status = Status(request_id, State(state), raw_state, progress, _read_image(image), text_or_none(error))
            if status.state is State.COMPLETED and status.image is None:
                raise ValueError("what is completed has an image")
            return status

    def note(self, status: Status) -> None:
        """Write an answer down in place of the one before. In a remote journal, those that are not final follow soon.

        They are written in groups, by the background thread, so that no wait stands still for a round trip.
        """
        moment, state = self._database.now(), status.state.value
        values = [
            *(self._gateway, status.request_id, moment, moment, state),
            *(as_bytes(status.raw_state), status.progress, as_bytes(status.error)),
            *(state if status.state.is_final else None, _write_image(status.image)),
        ]
        if self._database.is_remote and not status.state.is_final:
            self._database.check_open()
            if (earlier := self._unwritten.get(status.request_id)) is not None:
                values[2] = earlier[2]  # The moment of the first answer.
            self._unwritten[status.request_id] = values
            self.later(lambda: self._write_notes() if self._unwritten else None)  # An earlier group may have had it.
            return
        with self._database.using() as db:
            self._unwritten.pop(status.request_id, None)
            db.execute(NOTE_ANSWER, values)

    def _write_notes(self) -> None:
        """Write all answers that are not written yet, at once. Those that the database refuses are dropped."""
        group: dict[str, list[Any]] = {}
        try:
            with self._database.using() as db:
                group = {request_id: self._unwritten.pop(request_id) for request_id in sorted(self._unwritten)}
                db.executemany(NOTE_ANSWER, [*group.values()])
        except JournalError as error:
            if error.locked:
                for request_id, values in group.items():
                    self._unwritten.setdefault(request_id, values)  # There may be a later answer by now.
            raise

    def note_refusal(self, request_id: str, reason: str) -> None:
        """Write down why the gateway refused to tell of a request: it counts as failed until it is asked again."""
        with self._database.using() as db:
            self._unwritten.pop(request_id, None)
            db.execute(NOTE_REFUSAL, [as_bytes(reason), self._gateway, request_id])

    def reopen(self, request_id: str, number: int) -> None:
        """Forget the last answer and the file of one picture, as its URL has expired: the gateway is asked again."""
        with self._database.using() as db:
            self._unwritten.pop(request_id, None)
            db.execute(FORGET_PICTURE, [self._gateway, request_id, number])
            db.execute(REOPEN_REQUEST, [self._gateway, request_id])

    def file(self, request_id: str, number: int) -> SavedFile | None:
        """Return the file that was recorded last for a picture, whether it is still there or not. None: no record."""
        what = f"The row of picture {number} of request {shorten(request_id)!r}"
        with self._database.trusting(what, "Delete it."), self._database.using() as db:
            row = db.execute(FIND_PICTURE, [self._gateway, request_id, number]).fetchone()
            if row is None:
                return None
            place, digest, size = row
            if text_or_none(place) is None or not isinstance(digest, str) or not isinstance(size, int):
                raise TypeError("a file is a place, a hash and a size")
            return SavedFile(place, digest, size)

    def record(self, request_id: str, number: int, place: str, sha256: str, size: int) -> None:
        """Record where a picture is. `SavedFile` says what the values are."""
        database = self._database
        # A server that crashes must not forget a picture that is there: it would be taken for somebody else's.
        with database.durable() if database.is_remote else database.using() as db:
            db.execute(RECORD_PICTURE, [self._gateway, request_id, number, as_bytes(place), sha256, size])

    def _row(self, columns: str, request_id: str) -> Any:
        """Return these columns of a request's row. None: there is no row."""
        with self._database.using() as db:
            return db.execute(f"SELECT {columns} {ONE}", [self._gateway, request_id]).fetchone()


def _write_image(image: Image | None) -> str | None:
    if image is None:
        return None
    return json.dumps(
        {
            "request_id": image.request_id,
            "url": image.url,
            "urls": image.urls,
            "created_at": image.created_at.isoformat() if image.created_at is not None else None,
            "duration_us": image.duration // MICROSECOND if image.duration is not None else None,
            "model_version": image.model_version,
        }
    )


def _read_image(text: str | None) -> Image | None:
    if text is None:
        return None
    fields = json.loads(text)
    urls, moment, duration = fields.pop("urls"), fields.pop("created_at"), fields.pop("duration_us")
    if not isinstance(urls, list) or not all(
        isinstance(one, str) for one in (*urls, fields["request_id"], fields["url"])
    ):
        raise TypeError("addresses are texts")
    text_or_none(fields["model_version"])
    return Image(
        **fields,
        urls=tuple(urls),
        created_at=datetime.fromisoformat(moment) if moment is not None else None,
        duration=duration * MICROSECOND if duration is not None else None,
    )

"""The tables of a journal on PostgreSQL, in the first schema of the search path."""

import secrets
from time import sleep
from typing import TYPE_CHECKING, Any, Final

from longcat.errors import JournalError
from longcat.saving.journal.database import IfMissing
from longcat.saving.journal.postgres.batches.workers import WORKER_TABLE
from longcat.saving.journal.postgres.connection import ALTERED_IT
from longcat.saving.journal.postgres.experience import EXPERIENCE_TABLE
from longcat.saving.journal.postgres.owners import OWNER_SCHEMA
from longcat.saving.journal.postgres.rate_limiter import RATE_TABLE

if TYPE_CHECKING:
    from psycopg import Connection

VERSION: Final = 1
"""What `longcat_journal` says of this schema."""
LOCK_NUMBER: Final = "hashtextextended('longcat ' || current_schema(), 0)"
HOLD_LOCK: Final = f"SELECT pg_try_advisory_lock_shared({LOCK_NUMBER})"
"""A program that uses the tables holds this lock while its session lasts, so that nobody migrates them meanwhile."""
RELEASE_LOCK: Final = f"SELECT pg_advisory_unlock_shared({LOCK_NUMBER})"
LOCK_TO_MIGRATE: Final = f"SELECT pg_try_advisory_xact_lock({LOCK_NUMBER})"
"""One program makes or migrates the tables at a time, while nobody uses them."""
MAX_TRIES: Final = 50
LOCK_PAUSE: Final = 0.1  # Seconds between two of them.
SCHEMA: Final = (
    """\
CREATE TABLE longcat_journal ( -- One row.
    version INTEGER NOT NULL, -- Of this schema.
    salt    TEXT NOT NULL,    -- With it, keys are hashed.
    made    TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
)""",
    """\
CREATE TABLE longcat_request ( -- One row per request. Moments are ISO 8601 in UTC.
    gateway     TEXT COLLATE "C" NOT NULL, -- The gateway's base URL.
    request_id  TEXT COLLATE "C" NOT NULL,
    owner       TEXT CHECK (owner ~ '^[0-9a-f]*$'), -- The TOKEN of who works on it. NULL: nobody.
    first_asked TEXT,             -- When its first answer was noted. NULL: it has none.
    last_asked  TEXT,             -- When its last answer was noted.
    state       TEXT,             -- What the last answer means: queued, processing, ..., unknown. NULL: ask again.
    raw_state   TEXT,             -- The gateway's own word for that.
    progress    DOUBLE PRECISION, -- From 0 to 1. NULL: the answer did not say.
    error       TEXT,             -- Why it failed, in the gateway's words; without a state, why it told nothing.
    outcome     TEXT CHECK (outcome IN ('completed', 'failed', 'cancelled')), -- NULL: it is open.
    image       TEXT,             -- What it yielded, as JSON: url, urls, created_at, duration_us, ...
    PRIMARY KEY (gateway, request_id)
)""",
    """\
CREATE TABLE longcat_picture ( -- One row per picture of a request that was downloaded.
    gateway     TEXT COLLATE "C" NOT NULL,
    request_id  TEXT COLLATE "C" NOT NULL,
    number      INTEGER NOT NULL, -- Which of the request's pictures: 1 is the first.
    path        TEXT NOT NULL,    -- The place that the picture was about to be put into.
    sha256      TEXT NOT NULL,    -- The SHA-256 of the picture, in hex. The file is whole if it has this one.
    size        BIGINT NOT NULL,  -- The picture's bytes.
    PRIMARY KEY (gateway, request_id, number)
)""",
    """\
CREATE TABLE longcat_orders ( -- One row per order that the gateway took, or may have taken. Money is in 1e-9 dollars.
    gateway     TEXT COLLATE "C" NOT NULL,
    key         TEXT COLLATE "C" NOT NULL, -- Names the order.
    owner       TEXT CHECK (owner ~ '^[0-9a-f]*$'), -- The TOKEN of who is sending it. NULL: nobody.
    state       TEXT NOT NULL CHECK (state IN ('intended', 'taken', 'unknown')),
                                  -- An order that is 'intended', and has no owner that is alive, is in doubt, too.
    request_id  TEXT COLLATE "C" CHECK (state <> 'taken' OR request_id IS NOT NULL), -- The request that came of it.
    cost        BIGINT NOT NULL,  -- What it costs at most.
    in_doubt    BIGINT,           -- What it cost before, when it was sent again although it may have been taken.
    message     TEXT,             -- Why nobody knows whether it was taken.
    noted       TEXT COLLATE "C" NOT NULL, -- When its state was noted.
    content     TEXT NOT NULL,    -- The order itself, as JSON: prompt, options, ...
    PRIMARY KEY (gateway, key)
)""",
    "CREATE INDEX longcat_request_owner ON longcat_request (owner) WHERE owner IS NOT NULL",
    "CREATE INDEX longcat_orders_owner ON longcat_orders (owner) WHERE owner IS NOT NULL",
    "CREATE INDEX longcat_orders_open ON longcat_orders (gateway, noted, key) WHERE state <> 'taken'",
    RATE_TABLE,
    EXPERIENCE_TABLE,
    *OWNER_SCHEMA,
    """\
CREATE TABLE longcat_batch ( -- One row per batch.
    batch       INTEGER GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    gateway     TEXT NOT NULL, -- The gateway's base URL.
    digest      TEXT NOT NULL, -- The SHA-256, in hex, of all that makes two runs the same batch.
    registered  TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    lines       INTEGER NOT NULL DEFAULT 0, -- How many lines it has.
    failed      INTEGER NOT NULL DEFAULT 0, -- What to add to the counts of its workers, as lines were opened again.
    unknown     INTEGER NOT NULL DEFAULT 0,
    spent       BIGINT NOT NULL DEFAULT 0, -- Likewise, in 1e-9 US dollars.
    UNIQUE (gateway, digest)
)""",
    """\
CREATE TABLE longcat_line ( -- One row per line of a batch. Money is in 1e-9 US dollars.
    batch       INTEGER NOT NULL,
    number      INTEGER NOT NULL, -- Which line of the file it is.
    owner       TEXT,             -- The TOKEN of who works on it. NULL: nobody.
    was_left    BOOLEAN NOT NULL DEFAULT FALSE, -- Whether nobody works on it, and there may be an order of it.
    state       TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'done', 'failed', 'unknown')),
    key         TEXT COLLATE "C" NOT NULL, -- Names its order.
    pictures    INTEGER NOT NULL, -- How many it asks for.
    price       BIGINT NOT NULL,  -- What these cost at most.
    content     TEXT NOT NULL,    -- The order itself, as JSON: prompt, options, ...
    request_id  TEXT,             -- The request that came of it.
    cost        BIGINT NOT NULL DEFAULT 0, -- What it costs at most, as far as anybody knows.
    files       TEXT,             -- What its pictures are called, as JSON.
    error       TEXT,             -- What went wrong last.
    PRIMARY KEY (batch, number)
)""",
    # Small ones: of the lines that nobody works on, and of those that somebody does.
    "CREATE INDEX longcat_line_free ON longcat_line (batch, number) WHERE state = 'open' AND owner IS NULL",
    "CREATE INDEX longcat_line_owner ON longcat_line (owner) WHERE owner IS NOT NULL",
    # Of the open lines that may have cost something, which are few.
    "CREATE INDEX longcat_line_paid ON longcat_line (batch) WHERE state = 'open' AND (owner IS NOT NULL OR was_left)",
    WORKER_TABLE,
)
TABLES: Final = r"""
SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relname LIKE 'longcat\_%'"""
"""Which of our tables are there. (`to_regclass` may not know yet what was made while this session waited.)"""
USE_TEMPORARY_TABLES: Final = "SET search_path = pg_temp"
"""From then on, all tables are the session's own, and end with it."""
NOTE_VERSION: Final = "INSERT INTO longcat_journal (version, salt) VALUES (%s, %s)"
READ_VERSION: Final = "SELECT version, salt FROM longcat_journal"
READ_COLUMNS: Final = """
SELECT gateway, request_id, owner, first_asked, last_asked, state, raw_state, progress, error, outcome, image
FROM longcat_request LIMIT 0;
SELECT gateway, request_id, number, path, sha256, size FROM longcat_picture LIMIT 0;
SELECT gateway, key, owner, state, request_id, cost, in_doubt, message, noted, content FROM longcat_orders LIMIT 0;
SELECT gateway, key_hash, state FROM longcat_rate LIMIT 0;
SELECT gateway, policy, state FROM longcat_experience LIMIT 0;
SELECT batch, number, owner, state, key, content FROM longcat_line LIMIT 0;
SELECT batch, gateway, digest FROM longcat_batch LIMIT 0;
SELECT token FROM longcat_worker LIMIT 0;
SELECT token, seen FROM longcat_owner LIMIT 0;
SELECT token FROM longcat_sending LIMIT 0"""
"""Reads the columns that must be there."""


def prepare(db: "Connection[Any]", name: str, *, if_missing: IfMissing = "make") -> str:
    """Make the tables unless they are there, and return the journal's salt.

    Raises JournalError when there are none although they must exist, or the journal is of a newer version; and
    psycopg.Error, for example when it was altered.
    """
    for _ in range(MAX_TRIES):
        if _is_true(db, HOLD_LOCK):  # Else another program makes the tables.
            if _is_there(db, name):
                return _check(db, name)
            if if_missing == "refuse":
                raise JournalError(f"There is no journal in {name}. Name the database that a command was given.")
            db.execute(RELEASE_LOCK)
            if if_missing == "pretend":
                db.execute(USE_TEMPORARY_TABLES)
                return _make(db, name)
            with db.transaction():
                # `_is_there` again: another program may have made them meanwhile.
                if _is_true(db, LOCK_TO_MIGRATE) and not _is_there(db, name):
                    db.execute("SET LOCAL synchronous_commit = on")
                    _make(db, name)
                    continue
        sleep(LOCK_PAUSE)
    raise JournalError(f"The journal in {name} is being made or migrated by another program. Run again.", locked=True)


def _make(db: "Connection[Any]", name: str) -> str:
    db.execute("; ".join(SCHEMA))
    db.execute(NOTE_VERSION, [VERSION, secrets.token_hex(16)])
    return _check(db, name)


def _check(db: "Connection[Any]", name: str) -> str:
    """Return the journal's salt. Raises JournalError when it is of another version, and psycopg.Error."""
    found = db.execute(READ_VERSION).fetchall()
    if len(found) != 1:
        raise JournalError(f"The journal in {name} has no version. {ALTERED_IT}")
    ((version, salt),) = found
    if version != VERSION:
        raise JournalError(
            f"The journal in {name} is of version {version}, and this program knows version {VERSION}. "
            "Update this program, or choose another schema."
        )
    db.execute(READ_COLUMNS)
    return str(salt)


def _is_true(db: "Connection[Any]", sql: str) -> bool:
    return db.execute(sql).fetchone() == (True,)


def _is_there(db: "Connection[Any]", name: str) -> bool:
    """Whether the tables are there. Raises JournalError when only some are."""
    tables = {table for (table,) in db.execute(TABLES)}
    if tables and "longcat_journal" not in tables:
        raise JournalError(f"The tables of the journal in {name} are not those of a journal. {ALTERED_IT}")
    return bool(tables)

"""The tables of a journal, and how a file of an older version gets them."""

import sqlite3
from typing import Final

from longcat.errors import JournalError

APPLICATION_ID: Final = 0x4C436174
"""What `PRAGMA application_id` says of a journal: the letters `LCat`."""
VERSION: Final = 2
"""What `PRAGMA user_version` says of this schema."""

# SQLite keeps the comments, and `.schema` shows them.
SCHEMA: Final = (
    """\
CREATE TABLE request ( -- One row per request. Moments are ISO 8601 in UTC.
    gateway     TEXT NOT NULL, -- The gateway's base URL.
    request_id  TEXT NOT NULL,
    owner       TEXT CHECK (owner NOT GLOB '*[^0-9a-f]*'), -- The TOKEN of who works on it. NULL: nobody.
    first_asked TEXT,          -- When its first answer was noted. NULL: it has none.
    last_asked  TEXT,          -- When its last answer was noted.
    state       TEXT,          -- What the last answer means: queued, processing, ..., unknown. NULL: ask again.
    raw_state   TEXT,          -- The gateway's own word for that.
    progress    REAL,          -- From 0 to 1. NULL: the answer did not say.
    error       TEXT,          -- Why it failed, in the gateway's words; without a state, why it told nothing.
    outcome     TEXT CHECK (outcome IN ('completed', 'failed', 'cancelled')), -- NULL: it is open.
    image       TEXT,          -- What it yielded, as JSON: url, urls, created_at, duration_us, ...
    PRIMARY KEY (gateway, request_id)
) WITHOUT ROWID""",
    """\
CREATE TABLE picture ( -- One row per picture of a request that was downloaded.
    gateway     TEXT NOT NULL,
    request_id  TEXT NOT NULL,
    number      INTEGER NOT NULL, -- Which of the request's pictures: 1 is the first.
    path        TEXT NOT NULL,    -- The file that the picture was about to be put into.
    sha256      TEXT NOT NULL,    -- The SHA-256 of the picture, in hex. The file is whole if it has this one.
    size        INTEGER NOT NULL, -- The picture's bytes.
    PRIMARY KEY (gateway, request_id, number)
) WITHOUT ROWID""",
    """\
CREATE TABLE orders ( -- One row per order that the gateway took, or may have taken. Money is in 1e-9 US dollars.
    gateway     TEXT NOT NULL,
    key         TEXT NOT NULL,    -- Names the order.
    owner       TEXT CHECK (owner NOT GLOB '*[^0-9a-f]*'), -- The TOKEN of who is sending it. NULL: nobody.
    state       TEXT NOT NULL CHECK (state IN ('intended', 'taken', 'unknown')),
                                  -- An order that is 'intended', and has no owner that is alive, is in doubt, too.
    request_id  TEXT CHECK (state <> 'taken' OR request_id IS NOT NULL), -- The request that came of it.
    cost        INTEGER NOT NULL, -- What it costs at most.
    in_doubt    INTEGER,          -- What it cost before, when it was sent again although it may have been taken.
    message     TEXT,             -- Why nobody knows whether it was taken.
    noted       TEXT NOT NULL,    -- When its state was noted.
    content     TEXT NOT NULL,    -- The order itself, as JSON: prompt, options, ...
    PRIMARY KEY (gateway, key)
) WITHOUT ROWID""",
    "CREATE INDEX request_owner ON request (owner) WHERE owner IS NOT NULL",
    "CREATE INDEX order_owner ON orders (owner) WHERE owner IS NOT NULL",
    "CREATE INDEX order_open ON orders (gateway, noted, key) WHERE state <> 'taken'",
    # All that a sum needs, so that it reads no prompts.
    "CREATE INDEX order_cost ON orders (gateway, request_id, cost, in_doubt)",
)
COLUMNS: Final = {
    "request": "gateway, request_id, owner, first_asked, last_asked, state, raw_state, progress, error, outcome, image",
    "picture": "gateway, request_id, number, path, sha256, size",
    "orders": "gateway, key, owner, state, request_id, cost, in_doubt, message, noted, content",
}
"""The columns of each table."""
FROM_VERSION_1: Final = (
    "ALTER TABLE request RENAME TO request_1",
    *SCHEMA,
    """\
INSERT INTO request
SELECT gateway, request_id, owner, first_asked, last_asked, state, raw_state, progress, error, outcome, image
FROM request_1""",
    # OR IGNORE: a row that was altered, and lacks one of these, had no file.
    """\
INSERT OR IGNORE INTO picture
SELECT gateway, request_id, 1, path, sha256, size FROM request_1 WHERE path IS NOT NULL""",
    "DROP TABLE request_1",
)
"""In version 1, a request had one picture, which stood in its row, and there were no orders."""


def version_of(db: sqlite3.Connection, name: object) -> int:
    """Return the version of a journal, 0 for an empty file.

    Raises JournalError, which calls the file by this name, when it is another program's, or newer.
    """
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if not (application or version or db.execute("SELECT 1 FROM sqlite_master").fetchone()):
        return 0
    if application != APPLICATION_ID:
        raise JournalError(f"{name} is another program's database, no journal. Choose another file.")
    if not 1 <= version <= VERSION:
        raise JournalError(
            f"The journal {name} is of version {version}, and this program knows version {VERSION}. "
            "Update this program, or choose another file."
        )
    return int(version)


def upgrade(db: sqlite3.Connection, version: int) -> None:
    """Bring a file of this version to the present one, within the transaction that is open. 0 is an empty file."""
    statements = {0: SCHEMA, 1: FROM_VERSION_1, VERSION: ()}[version]
    for statement in statements:
        db.execute(statement)
    if version == 0:
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    # A transaction begins even in a file that may only be read; this write is what fails then.
    db.execute(f"PRAGMA user_version = {VERSION}")


def check(db: sqlite3.Connection) -> None:
    """Make sure that the tables have our columns. Raises sqlite3.Error."""
    for table, columns in COLUMNS.items():
        db.execute(f"SELECT {columns} FROM {table} LIMIT 0")  # noqa: S608 - names of ours.


def check_orders(db: sqlite3.Connection) -> None:
    """Compare the orders with their indexes, which takes some microseconds for each. Raises sqlite3.Error.

    An order whose row can't be found would be sent once more. A row that breaks a rule shows when it is read, and so
    does damage to other tables, which costs a question at most.
    """
    for (found,) in db.execute("PRAGMA integrity_check('orders')"):
        if not str(found).startswith(("ok", "CHECK constraint failed", "NULL value in")):
            error = sqlite3.DatabaseError(f"database disk image is malformed ({found})")
            error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise error

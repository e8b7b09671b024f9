"""The programs that use a journal on PostgreSQL, and what their signs of life say of the rows that they own.

A program is alive while its session holds the advisory lock of its token. One that holds none may live all the same:
its session was lost, as with all others when the server is restarted. It comes back within seconds, and what it was
sending meanwhile may be taken. So each program has a row with the moment of its last sign of life, by the server's
clock, from its first connection until it closes the journal. A program that has no row, and no lock, is certainly gone.
"""

from typing import Any, Final

from longcat.saving.journal.states import OrdersUnderWay
from longcat.waiting.submit import SUBMIT_TIMEOUT

SIGN_INTERVAL: Final = 5.0
"""Seconds between two signs of life of a session, which also finds out whether it is still the same."""
LIFETIME: Final = 30
"""Seconds without a sign of life after which a session is over: for the server, and for us."""
CERTAIN_FOR: Final = LIFETIME - 10.0
"""Seconds since a statement was sent that was answered, in which the server takes the session for alive."""
RECONNECTING_FOR: Final = SIGN_INTERVAL + 2.0
"""Seconds without a sign of life, or since the server was started, in which a program that lives comes back."""
LONGEST_UNDER_WAY: Final = LIFETIME + SUBMIT_TIMEOUT
"""Seconds without a sign of life after which nothing that the program has sent can be under way any more.

The last statement that was answered came `SIGN_INTERVAL` after the last sign of life at the latest. The first byte of
an order left `CERTAIN_FOR` after that at the latest. Both together are less than `LIFETIME`, and no answer is awaited
for longer than `SUBMIT_TIMEOUT`. The moment at which the order was noted says less: the order may have waited for its
slot since then, and the moment is by the client's clock.
"""

OWNER_SCHEMA: Final = (
    """\
CREATE TABLE longcat_owner ( -- One row per program that uses the journal, until it closes it.
    token       TEXT PRIMARY KEY,  -- Names it as the owner of rows.
    seen        TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp() -- Its last sign of life.
)""",
    """\
CREATE VIEW longcat_living AS -- The tokens that are locked, each of which the server tells as two numbers of 32 bits.
SELECT lpad(to_hex(classid::bigint), 8, '0') || lpad(to_hex(objid::bigint), 8, '0') AS token FROM pg_locks
WHERE locktype = 'advisory' AND objsubid = 1 AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())""",
    f"""\
CREATE VIEW longcat_sending AS -- The tokens of those whose orders may be under way: they live, or did just now.
TABLE longcat_living
UNION SELECT token FROM longcat_owner WHERE seen > clock_timestamp() - interval '{LONGEST_UNDER_WAY} s'""",  # noqa: S608 - a number of ours.
)

END_FORMER: Final = """
SELECT pg_terminate_backend(pid) FROM pg_locks
WHERE locktype = 'advisory' AND objsubid = 1 AND granted AND pid <> pg_backend_pid()
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND classid::bigint = %s AND objid::bigint = %s"""
"""Ends the session that we had before, which the server may not know to be lost. Nobody else knows our token."""
TAKE_LOCK: Final = "SELECT pg_advisory_lock(%s)"
FORGET_OLD_OWNERS: Final = """
DELETE FROM longcat_owner WHERE seen < clock_timestamp() - interval '1 day' AND token NOT IN (TABLE longcat_living)"""
GIVE_SIGN_OF_LIFE: Final = """
INSERT INTO longcat_owner (token) VALUES (%s)
ON CONFLICT (token) DO UPDATE SET seen = clock_timestamp() RETURNING pg_backend_pid()"""
FORGET_OWNER: Final = "DELETE FROM longcat_owner WHERE token = %s"
IS_ALIVE: Final = "SELECT EXISTS (SELECT FROM longcat_living WHERE token = %s)"
IS_RECONNECTING: Final = """
SELECT EXISTS (
    SELECT FROM longcat_owner WHERE token = %s
        AND greatest(seen, pg_postmaster_start_time()) > clock_timestamp() - make_interval(secs => %s)
)"""
MAY_HAVE_ORDERS_UNDER_WAY: Final = "SELECT EXISTS (SELECT FROM longcat_sending WHERE token = %s)"
COUNT_UNDER_WAY: Final = f"""
SELECT count(*), coalesce(ceil(extract(epoch FROM max(seen) - clock_timestamp()) + {LONGEST_UNDER_WAY}), 0)::INTEGER
FROM longcat_orders AS orders JOIN longcat_owner ON token = owner
WHERE orders.state = 'intended' AND gateway = coalesce(?, gateway)
    AND token IN (TABLE longcat_sending) AND token NOT IN (TABLE longcat_living)"""  # noqa: S608 - a number of ours.


def orders_under_way(db: Any, gateway: str | None = None) -> OrdersUnderWay:
    """Return which orders of a gateway may be under way, though nobody who is alive sends them. None: of all."""
    return OrdersUnderWay(*db.execute(COUNT_UNDER_WAY, [gateway]).fetchone())

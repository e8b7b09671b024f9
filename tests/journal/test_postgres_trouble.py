"""A journal on PostgreSQL in trouble: no way in, a pooler between, a connection cut at any step, a restart."""

import json
import logging
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from decimal import Decimal
from functools import partial
from threading import Barrier
from typing import Any, Final, Literal

import psycopg
import pytest
from fakes import Cat, Driver
from journals import rows, until_it_passes
from postgres import LIMIT, SUPERUSER, PostgresServer, Schema, free_port
from postgres_proxy import Pooler, Proxy
from secret_forms import FORMS

from longcat import JournalError, LongCatError, OrderRequest, State, Status, SubmitUnknown
from longcat.errors import ConfigurationError
from longcat.saving.journal.journal import Journal
from longcat.saving.journal.order_table import OrderTable
from longcat.saving.journal.postgres import connection
from longcat.saving.journal.postgres.batches.line_table import LineOutcome
from longcat.saving.journal.request_table import SavedFile
from longcat.testing import FakeGateway
from longcat.waiting.order_store import OrderState

GATEWAY: Final = "https://gateway.example"
ID: Final = "a-request"
KEY: Final = "my cat"
ORDER: Final = OrderRequest("a cat", {"image_size": "square_1_1"}, KEY)
PRICE: Final = Decimal("0.13")
SECRET: Final = "0123456789abcdef" * 2


def journal(url: str) -> Journal:
    """Return a journal that reads this machine's clock."""
    return Journal(url, time=time.time)


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, and those that it came from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def test_a_password_that_was_not_escaped_is_not_told() -> None:
    """Whatever the special characters in it make of the rest of the URL, no part of a password is in the message."""
    for password in (
        "pa@sw0rd",
        "pa/sw0rd",
        "pa:sw0rd",
        "pa?sw0rd",
        "pa#sw0rd",
        "1/sw0rd",
        "pa%sw0rd",
        "pa[sw0rd",
        "@",
        "/",
    ):
        with (
            pytest.raises((JournalError, ConfigurationError)) as caught,
            journal(f"postgresql://longcat:{password}@127.0.0.1:1/postgres") as one,
        ):
            one.open(0.0)
        assert "sw0rd" not in "".join(f"{error!r}{error}" for error in chain(caught.value))


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://cat@127.0.0.1:1/db?sslmod=require", "its parameter sslmod has no value, or there is none of"),
        ("postgresql://cat@127.0.0.1:1/db?sslmode", "its parameter sslmode has no value, or there is none of"),
        ("postgresql://cat@127.0.0.1:one/db", "its port can't be right"),
        ("postgresql://cat@127.0.0.1:1/a/db", "its database can't be right"),
        ("postgresql://127.0.0.1:1/db?password=a&sw0rd", "can't be read. Write"),
        ("postgresql://127.0.0.1:1/db?%70assword=a&sw0rd=b", "can't be read. Write"),
        ("postgresql://cat:a/b?sw0rd=c@127.0.0.1:1/db", "can't be read. Write"),
        ("postgresql://cat@127.0.0.1:1/db?sslmode=sometimes", 'invalid sslmode value: "sometimes"'),
        ("postgresql://cat@127.0.0.1:1/db?connect_timeout=soon", "bad value for connect_timeout"),
    ],
)
def test_what_is_wrong_in_a_url_is_named(url: str, says: str) -> None:
    """The error names the parameter, or the part, unless it may belong to a password."""
    with pytest.raises((JournalError, ConfigurationError)) as caught, journal(url) as one:
        one.open(0.0)
    assert says in str(caught.value)
    assert "sw0rd" not in "".join(f"{error!r}{error}" for error in chain(caught.value))


# --- No way in. ---


def prepare(server: PostgresServer, *statements: str) -> None:
    """Run statements as the superuser, once for each server."""
    for statement in statements:
        server.execute(statement)


def no_rights(server: PostgresServer) -> str:
    """Return the URL of a schema that belongs to somebody else."""
    name = server.schema().name
    prepare(server, f"ALTER SCHEMA {name} OWNER TO {SUPERUSER}")
    return server.tcp_url(options=f"-csearch_path={name}")


def no_text(server: PostgresServer) -> str:
    """Return the URL of a database that keeps bytes, of whatever encoding."""
    prepare(server, "CREATE DATABASE bytes TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")
    return server.tcp_url(database="bytes")


def crowded(server: PostgresServer) -> str:
    """Return the URL of a user who may have no connection more."""
    if not server.execute("SELECT 1 FROM pg_roles WHERE rolname = 'crowd'"):
        prepare(server, f"CREATE ROLE crowd LOGIN CONNECTION LIMIT 0 PASSWORD '{server.password}'")
    return server.tcp_url(user="crowd")


NO_WAY_IN: Final[dict[str, tuple[Callable[[PostgresServer], str], str]]] = {
    "no server": (lambda server: server.tcp_url(port=free_port()), "refused"),
    "no such host": (lambda _: f"postgresql://longcat:{SECRET}@nowhere.invalid/postgres", "nowhere.invalid"),
    "wrong password": (lambda server: server.tcp_url(password=SECRET), "password"),
    "no such user": (lambda server: server.tcp_url(user="nobody"), "nobody"),
    "no such database": (lambda server: server.tcp_url(database="none"), '"none" does not exist'),
    "no such schema": (lambda server: server.tcp_url(options="-csearch_path=none"), "schema"),
    "no rights": (no_rights, "schema"),
    "read only": (
        lambda server: server.tcp_url(
            options=f"-csearch_path={server.schema().name} -cdefault_transaction_read_only=on"
        ),
        "read-only",
    ),
    "no text": (no_text, "UTF"),
    "too many connections": (crowded, "too many connections"),
    "no port": (lambda _: f"postgresql://longcat:{SECRET}@127.0.0.1:{SECRET}/postgres", "can't be read"),
    "no address": (lambda _: f"postgresql://longcat:{SECRET}@[::1/postgres", "can't be read"),
    "no such parameter": (
        lambda _: f"postgresql://longcat:{SECRET}@127.0.0.1/postgres?paswort={SECRET}",
        "can't be read",
    ),
    "another scheme": (lambda _: f"mysql://longcat:{SECRET}@127.0.0.1/postgres", "mysql"),
    "no socket": (lambda _: f"postgresql://longcat:{SECRET}@/postgres?host=/nowhere", "No such file"),
    "no such mode": (lambda server: server.tcp_url(sslmode="bogus"), 'invalid sslmode value: "bogus". Mend that'),
    "no such service": (lambda _: "postgresql://?service=none", 'definition of service "none" not found. Mend that'),
    "no TLS": (lambda server: server.tcp_url(sslmode="require"), "SSL was required. Look at what the server offers"),
    "no server of two": (
        lambda _: f"postgresql://longcat:{SECRET}@127.0.0.1:1,127.0.0.1:2/postgres",
        'port 1 failed: Connection refused; connection to server at "127.0.0.1", port 2 failed: Connection refused. M',
    ),
}
PASSES: Final = {"no server", "no such host", "too many connections", "no socket", "no server of two"}


def test_who_can_give_no_sign_of_life_begins_no_order(postgres_server: PostgresServer) -> None:
    """Others would take its orders for those of a program that is gone. It may read the journal all the same."""
    with postgres_server.empty_schema() as schema:
        with Journal(schema.url, time=time.time) as journal:
            journal.open(LIMIT)
        prepare(
            postgres_server,
            "DROP ROLE IF EXISTS half",
            f"CREATE ROLE half LOGIN PASSWORD '{postgres_server.password}'",
            f"GRANT USAGE ON SCHEMA {schema.name} TO half",
            f"GRANT ALL ON ALL TABLES IN SCHEMA {schema.name} TO half",
            f"REVOKE INSERT, UPDATE ON {schema.name}.longcat_owner FROM half",
        )
        try:
            with Journal(
                postgres_server.tcp_url(user="half", options=f"-csearch_path={schema.name}"), time=time.time
            ) as journal:
                orders = journal.orders("https://gateway.test")
                assert orders.known("a cat") is None
                with pytest.raises(JournalError, match="Grant the user the rights"):
                    orders.begin("a cat", OrderRequest("a cat", {}), Decimal("0.13"))
        finally:
            prepare(postgres_server, "DROP OWNED BY half", "DROP ROLE half")


@pytest.mark.parametrize("kind", NO_WAY_IN)
def test_where_there_is_no_way_in_the_message_says_why_and_tells_no_password(
    postgres_server: PostgresServer, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    """The error is ours, in one line with what to do; no error, log or name of the journal has the password.

    It passes where the server can't be reached, or is full, and nothing is wrong with what was given.
    """
    caplog.set_level(logging.DEBUG)
    url, says = NO_WAY_IN[kind]
    place = url(postgres_server)
    with pytest.raises((JournalError, ConfigurationError)) as caught, journal(place) as one:
        one.open(0.0)
    message = str(caught.value)
    assert says in message
    assert "\n" not in message
    assert message.endswith(".")
    assert not re.search(r"(?<!\.)[.?!][.?!]( |$)| Is the server", message)
    assert caught.value.transient == (kind in PASSES)
    told = "\n".join([*(f"{error} {error!r}" for error in chain(caught.value)), caplog.text])
    assert [
        name for name, form in FORMS.items() for key in (SECRET, postgres_server.password) if form(key) in told
    ] == []


def test_a_driver_without_its_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Psycopg alone is not enough: without libpq it can't be imported. The error says how to install both."""
    monkeypatch.setitem(sys.modules, "longcat.saving.journal.postgres.database", None)  # As if importing it failed.
    with pytest.raises(ConfigurationError, match=r"pip install 'longcat-image\[postgres\]'"):
        Journal("postgresql://longcat@127.0.0.1/cats", time=time.time)


def translated(message: bytes) -> bytes:
    """Let a server say what it says about errors in Japanese, as it may be set up to."""
    if message[:1] != b"E":
        return message
    fields = [field for field in message[5:].split(b"\0") if field and field[:1] not in b"SM"]
    body = b"\0".join(["S致命的".encode(), "M接続失敗".encode(), *fields, b"", b""])
    return b"E" + (len(body) + 4).to_bytes(4, "big") + body


def test_a_server_that_speaks_another_language_says_itself_what_is_wrong(postgres_server: PostgresServer) -> None:
    """Then the next step names all that may be in the way."""
    with (
        Proxy(postgres_server.port, rewrite=translated) as proxy,
        pytest.raises(JournalError, match=r"接続失敗.* user, password and database are the right ones"),
        journal(postgres_server.tcp_url(port=proxy.port, password=SECRET)) as one,
    ):
        one.open(0.0)


@pytest.mark.parametrize("forwards_key", [False, True])
def test_a_pooler_of_transactions_is_refused_by_name(
    postgres_server: PostgresServer, schema: Schema, *, forwards_key: bool
) -> None:
    """A journal says what stands between it and the database, whether or not the pooler tells a key of its own."""
    with (
        Pooler(postgres_server.socket, forwards_key=forwards_key) as pooler,
        pytest.raises(JournalError, match=r"PgBouncer in transaction mode"),
        journal(schema.through(pooler.port)) as one,
    ):
        one.open(0.0)


def older(message: bytes) -> bytes:
    """Let a server of version 18 say that it is of version 13."""
    return message.replace(b"server_version\00018.", b"server_version\00013.")


def test_an_older_server_is_refused(postgres_server: PostgresServer, bare_schema: Schema) -> None:
    """The message names the version that the server has, and the one that is needed."""
    with (
        Proxy(postgres_server.port, rewrite=older) as proxy,
        pytest.raises(JournalError, match=r"13.*14"),
        journal(bare_schema.through(proxy.port)) as one,
    ):
        one.open(0.0)


# --- Other tables. ---

TABLES: Final = {
    "newer": ("UPDATE longcat_journal SET version = version + 1", r"of version \d+, and this program knows version"),
    "no version": ("DELETE FROM longcat_journal", "no version"),
    "a table is missing": ("DROP TABLE longcat_request", "longcat_request"),
    "a column is missing": ("ALTER TABLE longcat_orders DROP COLUMN message CASCADE", "message"),
    "a foreign table": ("DROP TABLE longcat_journal; CREATE TABLE longcat_journal (word text)", "version"),
}


@pytest.mark.parametrize(("change", "says"), TABLES.values(), ids=TABLES)
def test_other_tables_are_refused(bare_schema: Schema, change: str, says: str) -> None:
    """A journal of a newer version, or one that somebody altered, is refused in one line and stays as it is."""
    with journal(bare_schema.url) as one:
        assert one.orders(GATEWAY).begin(KEY, ORDER, PRICE).state is OrderState.INTENDED
    rows(bare_schema.url, change)
    tables = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = ? ORDER BY 1, 2"
    before = rows(bare_schema.url, tables, bare_schema.name)
    with pytest.raises(JournalError, match=says) as caught, journal(bare_schema.url) as one:
        one.orders(GATEWAY).begin(KEY, ORDER, PRICE)
    assert "\n" not in str(caught.value)
    assert not caught.value.locked
    assert rows(bare_schema.url, tables, bare_schema.name) == before


def test_a_gateway_that_is_too_long_is_refused(schema: Schema) -> None:
    """One line says so, before anything is sent; whatever is known of other gateways stays."""
    gateway = "".join(f"{number * 7919 % 9973:x}" for number in range(2000))
    with journal(schema.url) as one:
        for use in (
            lambda: one.orders(gateway).begin(KEY, ORDER, PRICE),
            lambda: one.requests(gateway).claim(ID),
        ):
            with pytest.raises(JournalError, match="Use a shorter one") as caught:
                use()
            assert not caught.value.locked
            assert "\n" not in str(caught.value)
        assert one.orders(GATEWAY).begin(KEY, ORDER, PRICE).state is OrderState.INTENDED


LATER: Final[dict[str, tuple[type[psycopg.Error], str, bool]]] = {
    "full disk": (psycopg.errors.DiskFull, "Free some space", False),
    "no memory": (psycopg.errors.OutOfMemory, "more memory", False),
    "a disk that fails": (psycopg.errors.IoError, "server's log", False),
    "a standby": (psycopg.errors.ReadOnlySqlTransaction, "primary server", False),
    "rights taken away": (psycopg.errors.InsufficientPrivilege, "Grant the user", False),
    "damage": (psycopg.errors.IndexCorrupted, "server's log", False),
    "cancelled by hand": (psycopg.errors.QueryCanceled, "Run again", True),
    "a deadlock": (psycopg.errors.DeadlockDetected, "Run again", True),
    "a killed server": (psycopg.errors.CrashShutdown, "It is tried again", True),
}


@pytest.mark.parametrize(("error", "says", "passes"), LATER.values(), ids=LATER)
def test_each_error_of_a_statement_has_its_next_step(error: type[psycopg.Error], says: str, *, passes: bool) -> None:
    """One line says what to do, and whether it passes."""
    with pytest.raises(JournalError, match=says) as caught, connection.explained("PostgreSQL"):
        raise error("what the\nserver says")
    assert caught.value.locked is passes
    assert "\n" not in str(caught.value)


def test_of_many_that_come_first_one_makes_the_tables(bare_schema: Schema) -> None:
    """Threads that open the same new journal at once all find it whole, and each request has one owner."""

    def claim(_: int) -> list[bool]:
        with journal(bare_schema.url) as one:
            claimed = [one.requests(GATEWAY).claim(ID) for _ in range(2)]
            barrier.wait(LIMIT)
            return claimed

    barrier = Barrier(8)
    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(claim, range(8)))
    assert sorted(results) == [[False, False]] * 7 + [[True, True]]


# --- The settings of the role. ---


def check_settings(one: Journal, names: Iterable[str]) -> None:
    """Assert that the session of a journal has its own settings."""
    ours = connection.SETTINGS | {"client_encoding": "UTF8"}
    with one._database.using() as db:
        for name in names:
            (value,) = db.execute("SELECT current_setting(?)", [name]).fetchone()
            assert value.partition(",")[0] == ours[name], name  # The style of dates has their order as well.


def test_the_settings_of_a_role_are_not_ours(postgres_server: PostgresServer, bare_schema: Schema) -> None:
    """What a role, or a database, has for timeouts, transactions and the form of values does not hold for a journal."""
    theirs = {
        "statement_timeout": "20s",  # The statement that makes the settings must be over by then.
        "synchronous_commit": "off",
        "default_transaction_isolation": "serializable",
        "timezone": "Asia/Tokyo",
        "client_encoding": "LATIN1",
        "standard_conforming_strings": "off",
        "lock_timeout": "20s",
        "datestyle": "German",
        "extra_float_digits": "-15",
        "bytea_output": "escape",
        "array_nulls": "off",
    }
    options = " ".join(f"-c{name}={value}" for name, value in theirs.items())
    url = postgres_server.tcp_url(options=f"{bare_schema.options} {options}")
    with journal(url) as one:
        orders = one.orders(GATEWAY)
        order = OrderRequest("eine Katze \\ ☃ \ud800 \0", {}, KEY)
        orders.begin(KEY, order, PRICE)
        check_settings(one, theirs)
        one.requests(GATEWAY).note(status := Status(ID, State.PROCESSING, "PROCESSING", 1 / 3))
        assert one.requests(GATEWAY).last(ID) == status
        lines = one.lines(GATEWAY)
        batch = lines.register("digest", lambda: [(1, order)], source="orders")
        lines.claim(batch, 1)
        lines.end(batch, [LineOutcome(1, "failed", Decimal(0))])
        (exported,) = map(json.loads, lines.export(batch))
        assert (exported["request_id"], exported["error"], lines.progress(batch).workers[0].is_alive) == (
            None,
            None,
            True,
        )
        postgres_server.restart()
        known = until_it_passes(lambda: orders.known(KEY))
        assert (known.order, known.state) == (order, OrderState.BUSY)
        check_settings(one, theirs)


# --- A connection that is lost. ---


def terminate_all(server: PostgresServer) -> None:
    """End every connection of a journal, and wait until the last one is gone."""
    server.execute("SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE usename = 'longcat'")


@pytest.mark.parametrize("how", [PostgresServer.restart, terminate_all])
def test_a_restart_loses_nothing_and_doubles_nothing(
    postgres_server: PostgresServer, schema: Schema, how: Callable[[PostgresServer], None]
) -> None:
    """Once the database is back, a journal has what it had, goes on with it, and sends nothing again."""
    with journal(schema.tcp_url) as one, journal(schema.tcp_url) as other:
        requests, orders = one.requests(GATEWAY), one.orders(GATEWAY)
        assert requests.claim(ID)
        assert orders.begin(KEY, ORDER, PRICE).state is OrderState.INTENDED
        how(postgres_server)
        assert until_it_passes(lambda: orders.known(KEY)).state is OrderState.BUSY
        assert not until_it_passes(lambda: other.requests(GATEWAY).claim(ID))
        assert until_it_passes(lambda: other.orders(GATEWAY).begin(KEY, ORDER, PRICE)).state is OrderState.BUSY
        until_it_passes(lambda: orders.taken(KEY, ID))
        until_it_passes(lambda: requests.note(Status(ID, State.FAILED, "ERROR", error="no")))
        assert other.orders(GATEWAY).begin(KEY, ORDER, PRICE).state is OrderState.TAKEN
        assert (other.orders(GATEWAY).spent(), other.requests(GATEWAY).last(ID)) == (
            *(Decimal(0),),
            Status(ID, State.FAILED, "ERROR", error="no"),
        )


def test_a_restart_forgets_no_picture(postgres_server: PostgresServer, schema: Schema) -> None:
    """A picture that is recorded, and so may be there, is known after a crash of the server that comes at once."""
    with journal(schema.tcp_url) as one:
        requests = one.requests(GATEWAY)
        requests.record(ID, 1, "cat.png", "0" * 64, 1)
        postgres_server.restart()
        assert until_it_passes(lambda: requests.file(ID, 1)) == SavedFile("cat.png", "0" * 64, 1)


def test_who_comes_while_the_server_is_restarted_waits_for_it(postgres_server: PostgresServer, schema: Schema) -> None:
    """A first connection that is closed at once passes, and so does, after it, one that is refused."""
    with Proxy(postgres_server.port) as proxy:
        proxy.is_refusing = True
        with journal(schema.through(proxy.port)) as one:
            with pytest.raises(JournalError) as caught:
                one.open(0.0)
            assert caught.value.locked
            postgres_server.stop()
            proxy.is_refusing = False
            with pytest.raises(JournalError) as caught:
                one.open(0.0)
            assert caught.value.locked
            postgres_server.start()
            one.open(60.0)


def test_what_another_took_meanwhile_is_not_ours_again(postgres_server: PostgresServer, schema: Schema) -> None:
    """Who was away while another took its request over comes back as somebody else's guest."""
    with Proxy(postgres_server.port) as proxy, journal(schema.url) as other:
        with journal(schema.through(proxy.port)) as one:
            assert one.requests(GATEWAY).claim(ID)
            proxy.is_refusing = True
            proxy.hang_up_all()
            assert until_it_passes(lambda: other.requests(GATEWAY).claim(ID) or None) is True
            with pytest.raises(JournalError) as caught:
                one.requests(GATEWAY).claim(ID)
            assert caught.value.locked
            proxy.is_refusing = False
            assert not until_it_passes(lambda: one.requests(GATEWAY).claim(ID))
        assert rows(schema.url, "SELECT owner FROM request") == [{"owner": other._database.token}]


def claim_elsewhere(other: Journal) -> None:
    """Claim the request with another journal, as soon as whoever has it is taken for gone."""
    end = time.monotonic() + LIMIT
    while not other.requests(GATEWAY).claim(ID) and time.monotonic() < end:
        time.sleep(0.01)


def test_who_gives_no_sign_of_life_is_taken_for_gone(postgres_server: PostgresServer, schema: Schema) -> None:
    """A program that is stopped, or whose bytes are swallowed, loses its rows, and learns it when it goes on."""
    with Proxy(postgres_server.port) as proxy, journal(schema.through(proxy.port)) as one:
        assert one.requests(GATEWAY).claim(ID)
        with one._database.using() as db:
            db.execute("SET idle_session_timeout = '100ms'")
        proxy.go_silent()
        with journal(schema.url) as other:
            claim_elsewhere(other)
            proxy.resume()
            assert not until_it_passes(lambda: one.requests(GATEWAY).claim(ID))
            assert rows(schema.url, "SELECT owner FROM request") == [{"owner": other._database.token}]


def test_a_server_that_is_silent_is_given_up(
    postgres_server: PostgresServer, schema: Schema, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits for an answer that does not come is told after a while, by an error that passes."""
    with Proxy(postgres_server.port) as proxy, journal(schema.through(proxy.port)) as one:
        assert one.requests(GATEWAY).claim(ID)
        monkeypatch.setattr(connection, "LONGEST_SILENCE", 0.1)
        proxy.go_silent()
        with pytest.raises(JournalError, match="was lost") as caught:
            one.requests(GATEWAY).last(ID)
        assert caught.value.locked
        monkeypatch.undo()
        proxy.resume()
        assert until_it_passes(lambda: one.requests(GATEWAY).claim(ID))


@contextmanager
def cut_orders(server: PostgresServer, schema: Schema, number: int, when: Literal["before", "after"]) -> Iterator[Any]:
    """Yield the orders of a journal whose connection is cut at a question, and the proxy that cuts it."""
    with Proxy(server.port) as proxy, journal(schema.through(proxy.port)) as one:
        one.open(60.0)
        proxy.cut(number, when)
        yield one.orders(GATEWAY), proxy


def test_nobody_begins_an_order_while_it_is_not_known_to_be_withdrawn(
    postgres_server: PostgresServer, schema: Schema
) -> None:
    """Who lost the answer withdraws again, and removes no order that another thread of the program has begun."""
    for number in range(1, 20):
        with cut_orders(postgres_server, schema, 1000, "after") as (orders, proxy):
            assert orders.begin(KEY, ORDER, PRICE).state is OrderState.INTENDED
            proxy.cut(number, "after")
            with suppress(JournalError):
                orders.withdraw(KEY)
                break  # There are no more questions in it.
            assert until_it_passes(lambda: orders.begin(KEY, ORDER, PRICE)).state is OrderState.BUSY
            until_it_passes(lambda: orders.withdraw(KEY))
            assert orders.begin(KEY, ORDER, PRICE).state is OrderState.INTENDED
            orders.withdraw(KEY)
    assert 1 < number < 19


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("end", ["taken", "withdrawn", "unknown"])
def test_a_cut_at_any_question_neither_loses_nor_doubles_an_order(
    postgres_server: PostgresServer, when: Literal["before", "after"], end: str
) -> None:
    """Wherever the line is cut, the order begins once, ends as it did, and another program sees it so."""
    ends: dict[str, Callable[[OrderTable], object]] = {
        "taken": lambda orders: orders.taken(KEY, ID),
        "withdrawn": lambda orders: orders.withdraw(KEY),
        "unknown": lambda orders: orders.unknown(KEY, "the line was cut"),
    }
    states = {"taken": OrderState.TAKEN, "withdrawn": None, "unknown": OrderState.UNKNOWN}
    schema = postgres_server.schema()
    with journal(schema.url) as other:
        there = other.orders(GATEWAY)
        for number in range(1, 100):
            with cut_orders(postgres_server, schema, number, when) as (orders, proxy):
                begun = until_it_passes(partial(orders.begin, KEY, ORDER, PRICE))
                assert (begun.state, there.begin(KEY, ORDER, PRICE).state) == (OrderState.INTENDED, OrderState.BUSY)
                until_it_passes(partial(ends[end], orders))
                known = there.known(KEY)
                assert (known.state if known else None) is states[end]
                assert there.spent() == (PRICE if known else 0)
                rows(schema.url, "DELETE FROM orders")
                if not proxy.has_cut:
                    break
        assert 2 < number < 99


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_client_whose_journal_is_cut_off_at_any_question_orders_once_at_most(
    postgres_server: PostgresServer, when: Literal["before", "after"]
) -> None:
    """Whether it succeeds or says that it does not know, the gateway has one order at most, and the journal knows."""
    schema = postgres_server.schema()

    async def scenario(cat: Cat) -> object:
        try:
            return (await cat.submit("a cat", id=key, timeout=600.0)).request_id
        except LongCatError as error:
            return error

    for number in (*range(1, 10), *range(10, 100, 3)):
        key = f"cat {number}"
        with Proxy(postgres_server.port) as proxy:
            gateway = FakeGateway()
            proxy.cut(number, when)
            result = Driver("sync").run(scenario, gateway, journal=schema.through(proxy.port))
            with journal(schema.url) as one:
                known = one.orders("https://gateway.test").known(key)
            if isinstance(result, str):
                assert (len(gateway.orders), known and known.request_id) == (1, result)
            else:
                assert isinstance(result, JournalError | SubmitUnknown)
                assert len(gateway.orders) <= 1
                assert not gateway.orders or known is not None
            if not proxy.has_cut:
                break
    assert 5 < number < 99

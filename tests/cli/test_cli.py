"""The command line as its users meet it: what it prints and where, its exit codes, and how it bears being used wrongly.

A process is started where one shows something: a terminal, a pipe, a signal; mostly as a fork, and as the shell would
where its start or its end is what matters. Everything else calls `main`. Whatever is run, its output is searched for
the key and for tracebacks.
"""

import errno
import io
import json
import os
import re
import shlex
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import quote

import httpx
import pytest
from servers import LIMIT, SOON, Request, Server, answer, eventually, read, response
from shell import FIELDS, KEY, LONGCAT, PLAIN, PNG, Display, Gateway, Ran, User, environment

import longcat
from longcat import ConfigurationError
from longcat.cli import ids
from longcat.cli.exit_codes import Exit
from longcat.cli.ids import known_ids, piped_ids
from longcat.cli.run import run as main
from longcat.sandbox import EXAMPLE_ID, EXAMPLE_KEY, FAULTS, Settings, running
from longcat.testing import VirtualClock


@pytest.fixture(scope="module", autouse=True)
def _ctrl_c_works() -> Iterator[None]:
    """Let processes be interrupted, even where the tests run in the background of a shell, which ignores SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class MovableClock:
    """The clock of this machine, which can be put forward.

    Attributes:
        ahead: by how many seconds.
    """

    ahead: float = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return time.monotonic() + self.ahead


@pytest.fixture(scope="module")
def gateway_clock() -> MovableClock:
    """Return the clock of the one sandbox: a test that puts it forward need not guess how long something takes."""
    return MovableClock()


@pytest.fixture(scope="module")
def gateway(gateway_clock: MovableClock) -> Iterator[Gateway]:
    """Return one sandbox for all tests."""
    settings = Settings(api_key=KEY, duration=0)
    with running(settings, clock=gateway_clock) as url, httpx.Client(timeout=LIMIT) as http:
        yield Gateway(url, http)


@pytest.fixture
def virtual_gateway(virtual_time: VirtualClock) -> Iterator[Gateway]:
    """Return a sandbox whose time, as that of the commands, passes only while these sleep."""
    settings = Settings(api_key=KEY, duration=10)
    with running(settings, clock=virtual_time.monotonic) as url, httpx.Client(timeout=LIMIT) as http:
        yield Gateway(url, http)


@pytest.fixture
def user(gateway: Gateway, tmp_path: Path) -> User:
    """Return a user who has the key and knows the gateway."""
    home, folder = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    folder.mkdir()
    return User(folder, environment(home, PIXAZO_API_KEY=KEY, LONGCAT_BASE_URL=gateway.url))


class Call(Protocol):
    """Calls `main` as a process would, and returns what it did."""

    def __call__(self, *arguments: str, **env: str) -> Ran:
        """Run a command; the environment has a few variables more, or other ones."""


@pytest.fixture
def call(user: User, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Return what runs a command in this process."""
    monkeypatch.chdir(user.folder)

    def run(*arguments: str, **env: str) -> Ran:
        began = time.monotonic()
        with monkeypatch.context() as patch:
            for name in os.environ:
                patch.delenv(name)
            for name, value in {**user.env, **env}.items():
                patch.setenv(name, value)
            try:
                code = int(main(arguments))
            except SystemExit as end:
                code = int(end.code or 0)
        return Ran(code, *capsys.readouterr(), time.monotonic() - began)

    return run


def words(command: str, request_id: str) -> list[str]:
    """Return the arguments in a line, with the request's id where it says ID."""
    return [request_id if word == "ID" else word for word in shlex.split(command)]


def is_paragraph(error: str) -> bool:
    """Whether an error reads well: one line of whole sentences in our own words."""
    return (
        error.startswith("longcat: ")
        and error.endswith(".")
        and ".." not in error.replace("...", "")
        and not error.startswith("longcat: [Errno")
    )


# --- Its arguments.


def test_version(call: Call) -> None:
    """`--version` prints the name and the version."""
    ran = call("--version")
    assert (ran.code, ran.out, ran.err) == (0, f"longcat {longcat.__version__}\n", "")


def test_help(call: Call) -> None:
    """`--help` names the commands, every exit code and the environment."""
    ran = call("--help")
    assert (ran.code, ran.err) == (0, "")
    assert re.findall(r"^    (\w+) ", ran.out, re.MULTILINE) == [
        *("generate", "batch", "status", "wait", "journal", "sandbox", "contract")
    ]
    assert {int(code) for code in re.findall(r"^  (\d+) ", ran.out, re.MULTILINE)} == set(Exit)
    assert {"PIXAZO_API_KEY", "LONGCAT_BASE_URL", "NO_COLOR"} <= set(re.findall(r"\w+", ran.out))


@pytest.mark.parametrize("command", ["generate", "batch", "status", "wait", "journal", "sandbox"])
def test_help_of_a_command(call: Call, command: str) -> None:
    """The help of a command explains each of its options."""
    ran = call(command, "--help")
    options = re.findall(r"^  ((?:-\w(?: \w+)?, )?--[a-z-]+.*(?:\n {20,}.*)*)", ran.out, re.MULTILINE)
    assert options
    assert [option for option in options if not re.search(r"\s{2,}\w", option)] == []


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("", "the following arguments are required: COMMAND"),
        ("order", "invalid choice: 'order'"),
        ("wait", "the following arguments are required: ID"),
        ("status", "the following arguments are required: ID"),
        ("status one two", "unrecognized arguments: two"),
        ("wait one --frob", "unrecognized arguments: --frob"),
        ("wait one --time 5", "unrecognized arguments: --time"),
        ("wait one --timeout", "argument --timeout: expected one argument"),
        ("wait one --timeout soon", "argument --timeout: invalid float value: 'soon'"),
        ("sandbox one", "unrecognized arguments: one"),
        ("sandbox --port http", "argument --port: invalid int value: 'http'"),
        ("sandbox --outcome perhaps", "argument --outcome: invalid choice: 'perhaps'"),
        ("wait --from ''", "argument --from: it is empty; a shell variable may be unset"),
        ("wait one --base-url ''", "argument --base-url: it is empty"),
        ("batch ''", "argument FILE: it is empty"),
        ("batch orders -o ''", "argument -o/--output: it is empty"),
        ("journal ''", "argument JOURNAL: it is empty"),
        ("journal orders.db --export ''", "argument --export: it is empty"),
        ("sandbox --host ''", "argument --host: it is empty"),
        ("contract check ''", "argument PATH: it is empty"),
        ("contract check --spec ''", "argument --spec: it is empty"),
    ],
)
def test_wrong_arguments(call: Call, command: str, complaint: str) -> None:
    """Arguments that can't be understood: the usage, one line that says why, and exit code 2."""
    ran = call(*shlex.split(command))
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("usage: longcat")
    assert complaint in ran.errors[-1]


# --- Its exit codes.


def cause(name: str, command: str, code: int, says: str = "", request: Any = None, **env: str) -> Any:
    """Return one line of the table: what was called and how the request ID is, the exit code and the error."""
    return pytest.param(command, code, says, request or {}, env, id=name.replace(" ", "-"))


@pytest.mark.parametrize(
    ("command", "code", "says", "request_", "env"),
    [
        cause("done", "wait ID", 0),
        cause("asked", "status ID", 0, request={"duration": 60}),
        cause("unknown word", "status ID", 0, request={"fault": "unknown-status"}),
        cause("passing fault", "wait ID", 0, request={"fault": "malformed-json:1"}),
        cause("failed", "wait ID", 1, "The service says 'failed'", {"outcome": "failed"}),
        cause("cancelled", "wait ID", 1, "was cancelled: The sandbox was told", {"outcome": "cancelled"}),
        cause("no key", "status ID", 2, "PIXAZO_API_KEY, and there is no ~/.pixazo/api-key.", PIXAZO_API_KEY=""),
        cause("no key to wait", "wait ID", 2, "Set PIXAZO_API_KEY to the subscription key.", PIXAZO_API_KEY=""),
        cause("unusable key", "status ID", 2, "The key from PIXAZO_API_KEY can't be sent", PIXAZO_API_KEY="a\nb"),
        cause("wrong key", "wait ID", 2, "The gateway answered 401", PIXAZO_API_KEY="another"),
        cause("not allowed", "status ID", 2, "The gateway answered 403", {"fault": "forbidden"}),
        cause("unknown id", "wait nobody", 2, "The gateway answered 404 about request 'nobody'"),
        cause("empty id", "wait ''", 2, 'The request id "" can\'t be used'),
        cause("two lines", "wait 'one\ntwo'", 2, 'The request id "one\\ntwo" can\'t be used'),
        cause("huge id", f"status {'x' * 2000}", 2, "has 2000 characters, more than 1024"),
        cause("no scheme", "status ID", 2, 'The base URL "localhost" can\'t be used', LONGCAT_BASE_URL="localhost"),
        cause("path", "status ID --base-url http://127.0.0.1/v1", 2, 'The base URL "http://127.0.0.1/v1" can\'t be'),
        cause("no number", "wait ID --timeout nan", 2, "NaN"),
        cause("negative", "wait ID ID2 --timeout -1", 2, "-1"),
        cause("no folder", "wait ID -o nowhere/cat.png", 2, "There is no folder nowhere"),
        cause("time-out", "wait ID --timeout 0.5", 3, "the last answer was 'processing' at", {"duration": 60}),
        cause("no time", "wait ID --timeout 0", 3, "Request 'sandbox-"),
        cause("refused", "status ID", 3, "No answer from 127.0.0.1:1: ", LONGCAT_BASE_URL="http://127.0.0.1:1"),
        cause("ever refused", "wait ID --timeout 0.1", 3, "No answer from", LONGCAT_BASE_URL="http://127.0.0.1:1"),
        cause("reset", "status ID", 3, "No answer from 127.0.0.1", {"fault": "reset"}),
        cause("rate limit", "status ID", 3, "The gateway answered 429", {"fault": "rate-limit"}),
        cause("ever rate limit", "wait ID --timeout 0.1", 3, "was not done after", {"fault": "rate-limit-bare:all"}),
        cause("broken", "status ID", 3, "The gateway answered 500", {"fault": "server-error"}),
        cause("CDN", "status ID", 3, "answered 522 about request 'sandbox-", {"fault": "cdn-522"}),
        cause("challenge", "status ID", 3, 'an HTML page titled "Just a moment..."', {"fault": "challenge"}),
        cause("no JSON", "status ID", 3, "the body should be JSON, but is", {"fault": "malformed-json"}),
        cause("ever no JSON", "wait ID --timeout 0.1", 3, "was not done after", {"fault": "malformed-json:all"}),
        cause("strict", "wait ID --strict", 3, 'but is "paused"', {"fault": "unknown-status"}),
        cause("no image", "wait ID -o cat.png", 3, "is not an image but an HTML page", {"fault": "picture-html:all"}),
        cause("no picture", "wait ID -o cat.png", 3, "the storage answered 404", {"fault": "picture-404:all"}),
    ],
)
def test_exit_code(  # noqa: PLR0913, PLR0917 - a table.
    gateway: Gateway, call: Call, command: str, code: int, says: str, request_: dict[str, Any], env: dict[str, str]
) -> None:
    """Every cause has its exit code. An error is said once, in one paragraph, and leaves stdout empty."""
    request_id = gateway.add(**request_)
    ran = call(*words(command, request_id), **env)
    assert (ran.code, [says in error for error in ran.errors]) == (code, [True] if says else []), ran
    assert [error for error in ran.errors if not is_paragraph(error)] == []
    assert (ran.out == "") == bool(says)


@pytest.mark.parametrize(
    ("status", "body", "code", "says"),
    [
        ("400 Bad Request", {"error": "Invalid parameters"}, 2, "about request 'cat-1': Invalid parameters."),
        ("402 Payment Required", {"error": "No balance"}, 2, "No balance. Top up the account"),
        ("302 Found", None, 3, "answered 302"),
        ("418 I'm a teapot", None, 3, "answered 418"),
        ("200 OK", None, 3, "the body should be"),
        ("200 OK", {"status": "processing", "progress": 7, "request_id": "cat-1"}, 3, "/progress should be at most 1"),
        ("200 OK", {"status": "processing", "progress": 0.5}, 3, "/request_id"),
    ],
)
def test_exit_code_of_an_answer(call: Call, status: str, body: Any, code: int, says: str) -> None:
    """An answer that the sandbox never gives has its exit code too."""
    with Server([read, response(json.dumps(body).encode(), status=status)]) as server:
        ran = call("status", "cat-1", LONGCAT_BASE_URL=server.url)
    assert (ran.code, ran.out, [says in error for error in ran.errors]) == (code, "", [True]), ran
    assert is_paragraph(ran.errors[0])


@pytest.mark.usefixtures("virtual_time")
@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ("completed late", 3),
        ("late failed", 1),
        ("completed failed", 1),
        ("failed unknown", 2),
        ("unknown late", 2),
        ("completed unknown", 2),
    ],
)
def test_exit_code_of_several(gateway: Gateway, call: Call, outcomes: str, code: int) -> None:
    """Of several IDs, a mistake of ours decides first, then a no, then what could not be told; all are waited for."""
    late, failed = gateway.add(duration=LIMIT), gateway.add(outcome="failed")
    request_ids = {"completed": EXAMPLE_ID, "late": late, "failed": failed, "unknown": "nobody"}
    one, other = outcomes.split()
    ran = call("wait", request_ids[one], request_ids[other], "--timeout", "10")
    urls = [f"{gateway.url}/results/{EXAMPLE_ID}.png"] if one == "completed" else []
    assert (ran.code, ran.out.splitlines(), len(ran.errors)) == (code, urls, 2 - len(urls))


# --- What it prints to stdout.


@pytest.mark.parametrize(
    ("request_", "line"),
    [
        ({"duration": 60}, "ID  processing  0%"),
        ({}, "ID  completed  100%  URL/results/ID.png"),
        ({"outcome": "failed"}, "ID  failed  66%  The sandbox was told that this request ends as failed."),
        ({"fault": "unknown-status"}, "ID  paused  100%"),
    ],
)
def test_status(gateway: Gateway, call: Call, request_: dict[str, Any], line: str) -> None:
    """`status` prints one line: the request, its state, its progress, and the picture's URL or the reason."""
    request_id = gateway.add(**request_)
    ran = call("status", request_id)
    assert (ran.out, ran.err) == (line.replace("ID", request_id).replace("URL", gateway.url) + "\n", "")


def test_wait_prints_the_url(virtual_gateway: Gateway, call: Call) -> None:
    """`wait` prints the picture's URL, and progress only to stderr."""
    request_id = virtual_gateway.add()
    ran = call("wait", request_id, LONGCAT_BASE_URL=virtual_gateway.url)
    assert ran.out == f"{virtual_gateway.url}/results/{request_id}.png\n"
    seen = [PLAIN.fullmatch(line) for line in ran.err.splitlines()]
    first, *_, last = [match and match.groups() for match in seen]
    assert (None in seen, first, last) == (False, (request_id, "processing", "0%"), (request_id, "completed", "100%"))


def test_json_of_a_picture(gateway: Gateway, call: Call) -> None:
    """With `--json`, a result is one object with everything that is known."""
    request_id = gateway.add()
    ran = call("wait", request_id, "-o", "cat.png", "--json")
    created_at = ran.objects[0]["created_at"]
    url = f"{gateway.url}/results/{request_id}.png"
    values = (request_id, "completed", "completed", 1.0, url, [url], created_at, 0.0, "longcat-v1.2")
    assert ran.objects == [dict(zip(FIELDS, (*values, "cat.png", ["cat.png"], None), strict=True))]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", created_at)


@pytest.mark.usefixtures("virtual_time")
def test_json_of_many_ends(gateway: Gateway, call: Call) -> None:
    """With `--json`, every request is one object with the same fields, however it ended; the errors are there too."""
    done, failed, late = gateway.add(), gateway.add(outcome="failed"), gateway.add(duration=LIMIT)
    ran = call("wait", "--json", "--timeout", "10", done, failed, late, "nobody", "")
    assert [tuple(one) for one in ran.objects] == [FIELDS] * 5
    assert {one["request_id"]: one["error"] and one["error"]["type"] for one in ran.objects} == {
        done: None,
        failed: "GenerationFailed",
        late: "WaitTimeout",
        "nobody": "NotFoundError",
        "": "ConfigurationError",
    }
    messages = {f"longcat: {one['error']['message']}" for one in ran.objects if one["error"]}
    assert messages == set(ran.errors)


@pytest.mark.parametrize(
    ("request_id", "error"),
    [("done", None), ("failed", "GenerationFailed"), ("nobody", "NotFoundError"), ("", "ConfigurationError")],
)
def test_json_of_a_status(gateway: Gateway, call: Call, request_id: str, error: str | None) -> None:
    """`status --json` prints one object with the same fields, also for an error."""
    made = {"done": gateway.add, "failed": lambda: gateway.add(outcome="failed")}
    ran = call("status", "--json", made[request_id]() if request_id in made else request_id)
    assert [(tuple(one), one["error"] and one["error"]["type"]) for one in ran.objects] == [(FIELDS, error)]


# --- Several at once.


def test_side_by_side(call: Call) -> None:
    """Several IDs are waited for at the same time."""
    together = threading.Barrier(6, timeout=LIMIT)

    def completed(request: Request) -> bytes:
        together.wait()
        request_id = json.loads(request.body)["request_id"]
        body = {
            "status": "completed",
            "progress": 1.0,
            "request_id": request_id,
            "result_url": f"http://x/{request_id}",
        }
        return response(json.dumps(body).encode(), "Content-Type: application/json")

    with Server([answer(completed)]) as server:
        ran = call("wait", *"abcdef", LONGCAT_BASE_URL=server.url)
    assert (ran.code, sorted(ran.out.splitlines())) == (0, [f"http://x/{one}" for one in "abcdef"])


def test_a_folder_of_pictures(gateway: Gateway, call: Call) -> None:
    """The pictures of several IDs are saved in a folder that is made for them."""
    request_ids = [gateway.add() for _ in range(6)]
    ran = call("wait", *request_ids, "-o", "pictures")
    assert sorted(ran.out.splitlines()) == [f"pictures/{request_id}.png" for request_id in sorted(request_ids)]
    assert {path.name: path.read_bytes()[:8] for path in Path("pictures").iterdir()} == {
        f"{request_id}.png": PNG for request_id in request_ids
    }


def test_named_twice(gateway: Gateway, call: Call) -> None:
    """An ID that is named twice is asked about once."""
    request_id = gateway.add()
    ran = call("wait", request_id, request_id)
    assert (ran.code, len(ran.out.splitlines()), gateway.seen(request_id)["asked"]) == (0, 1, 1)


def test_one_error_is_not_the_end(gateway: Gateway, call: Call) -> None:
    """An error about one ID leaves the others alone: their pictures are saved."""
    request_id = gateway.add(duration=0.1)
    ran = call("wait", "nobody", request_id, "", "-o", "pictures")
    assert (ran.code, ran.out, len(ran.errors)) == (2, f"pictures/{request_id}.png\n", 2)


# --- Where pictures go.


@pytest.mark.parametrize(
    ("output", "path"),
    [
        ("cat.png", "cat.png"),
        ("there/cat.jpg", "there/cat.jpg"),
        ("there", "there/ID.png"),
        ("there/", "there/ID.png"),
        ("new/", "new/ID.png"),
        ("new/and/deep/", "new/and/deep/ID.png"),
    ],
)
def test_output(gateway: Gateway, call: Call, output: str, path: str) -> None:
    """`-o` is a file, or a folder that exists or ends with a slash; the path is printed, and no other file is made."""
    Path("there").mkdir()
    request_id = gateway.add()
    ran = call("wait", request_id, "-o", output)
    expected = path.replace("ID", request_id)
    assert (ran.code, ran.out) == (0, f"{expected}\n")
    assert [str(file) for file in Path().rglob("*") if file.is_file()] == [expected]
    assert Path(expected).read_bytes().startswith(PNG)


@pytest.mark.parametrize("output", ["cat.png", "pictures", "pictures/"])
def test_existing_file(gateway: Gateway, call: Call, output: str) -> None:
    """A file that is there already is noticed before anything is asked, and is replaced only with `--force`."""
    request_id = gateway.add()
    old = Path(output if output == "cat.png" else f"pictures/{request_id}.png")
    old.parent.mkdir(exist_ok=True)
    old.write_text("old")
    ran = call("wait", request_id, "-o", output)
    message = f"longcat: {old} is there already. Pass --force to replace it, or another --output."
    assert (ran.code, ran.out, ran.errors) == (2, "", [message])
    assert (old.read_text(), gateway.seen(request_id)["asked"]) == ("old", 0)
    assert call("wait", request_id, "-o", output, "--force").out == f"{old}\n"
    assert old.read_bytes().startswith(PNG)


@pytest.mark.parametrize("command", ["wait ID -o cat/", "wait ID XXXXXXXXXXXXX -o cat", "wait ID -o cat/cat.png"])
def test_file_where_a_folder_should_be(gateway: Gateway, call: Call, command: str) -> None:
    """A file where a folder is needed is noticed before anything is asked, and the error says what to change."""
    Path("cat").write_text("a file")
    request_id = gateway.add()
    ran = call(*words(command, request_id))
    assert (ran.code, ran.out, gateway.seen(request_id)["asked"]) == (2, "", 0)
    assert [is_paragraph(error) and "cat" in error for error in ran.errors] == [True], ran.errors
    assert "File exists" not in ran.err


def test_name_too_long(call: Call) -> None:
    """A file name that no file system takes is an error like any other."""
    ran = call("wait", EXAMPLE_ID, "-o", "x" * 300)
    assert (ran.code, ran.out, [is_paragraph(error) for error in ran.errors]) == (2, "", [True]), ran.errors


def test_id_like_a_path(gateway: Gateway, call: Call) -> None:
    """An ID that looks like a path does not lead out of the folder."""
    ran = call("wait", gateway.add(request_id="../../etc/cat"), "-o", "pictures/")
    assert ran.code == 0
    assert [path.parent for path in Path().rglob("*.png")] == [Path("pictures")]


def test_ids_with_one_file_name(gateway: Gateway, call: Call) -> None:
    """Two IDs never share a file, not even with `--force`: each path that is printed holds that request's picture."""
    request_ids = [gateway.add(request_id="cat/1"), gateway.add(request_id="cat_1")]
    ran = call("wait", *request_ids, "-o", "pictures", "--force")
    paths = ran.out.splitlines()
    assert len(set(paths)) == len(paths)
    assert (ran.code == 0) == (len(paths) == 2), ran


def test_timeout_bounds_the_download(gateway: Gateway, call: Call) -> None:
    """`--timeout` is how long the command may take: a picture that comes too slowly is given up, and leaves no file."""
    ran = call("wait", gateway.add(fault=f"picture-slow:all:{LIMIT}"), "-o", "cat.png", "--timeout", "0.5")
    assert (ran.code, ran.out, list(Path().iterdir())) == (3, "", [])
    assert ran.seconds < SOON


# --- In a pipe.


def test_pipes(virtual_gateway: Gateway, call: Call) -> None:
    """Without a terminal, stdout holds the result alone, and stderr plain lines, even with FORCE_COLOR."""
    request_id = virtual_gateway.add()
    ran = call("wait", request_id, "-o", "cat.png", FORCE_COLOR="1", LONGCAT_BASE_URL=virtual_gateway.url)
    assert (ran.code, ran.out) == (0, "cat.png\n")
    lines = ran.err.splitlines()
    assert (len(lines) >= 2, [line for line in lines if not PLAIN.fullmatch(line)]) == (True, []), ran.err


def test_warning(gateway: Gateway, user: User) -> None:
    """A status word that nobody documented is warned of once, and waited through."""
    ran = user.fork("wait", gateway.add(fault="unknown-status:2"))
    assert (ran.code, len(ran.errors)) == (0, 1), ran.err
    assert 'has the unknown status "paused"; waiting on.' in ran.errors[0]


def test_ascii(gateway: Gateway, user: User) -> None:
    """Where only ASCII can be printed, everything else comes out escaped, and the picture has its name all the same."""
    request_id = gateway.add(request_id="katze-ü🐱")
    ran = user.fork("wait", request_id, "-o", "ü/", PYTHONIOENCODING="ascii")
    (saved,) = (user.folder / "ü").iterdir()
    assert (ran.code, ran.out) == (0, f"ü/{saved.name}\n".encode("ascii", "backslashreplace").decode())
    assert ran.err.isascii()
    assert saved.name.startswith("katze-ü")


@pytest.mark.parametrize("command", ["status ID", "wait ID nobody --json", "sandbox", "sandbox --drift list", "--help"])
def test_closed_pipe(gateway: Gateway, user: User, command: str) -> None:
    """When nobody reads stdout any more, as after `| true`, the command ends without a word about it."""
    request_id = gateway.add()
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ran = user.run(*words(command, request_id), stdout=writer)
    finally:
        os.close(writer)
    expected = [line for line in ran.err.splitlines() if PLAIN.fullmatch(line) or "404" in line]
    assert ran.err.splitlines() == expected


@pytest.mark.parametrize("command", ["status ID", "wait ID --json", "--help", "--version"])
def test_full_disk(gateway: Gateway, user: User, command: str) -> None:
    """When the results can't be written to where stdout leads, that is an error like any other."""
    shell = ["sh", "-c", 'ulimit -f 0; exec "$0" "$@" > results', LONGCAT]  # As good as a disk without space.
    ran = user.run(*words(command, gateway.add()), program=shell, COVERAGE_PROCESS_CONFIG="")
    assert (ran.code, len(ran.errors)) == (2, 1), ran
    assert is_paragraph(ran.errors[0]), ran.errors


@pytest.mark.parametrize("command", ["wait nobody", "contract check nofile"])
def test_an_error_that_nobody_can_read(user: User, command: str) -> None:
    """When stderr can't be written to, the exit code is the same as when it can."""
    shell = ["sh", "-c", 'ulimit -f 0; exec "$0" "$@" 2> errors', LONGCAT]
    ran = user.run(*command.split(), program=shell, COVERAGE_PROCESS_CONFIG="")
    assert (ran.code, ran.out) == (2, "")


@pytest.mark.parametrize("stream", [">&-", "2>&-", "2>/dev/full"])
def test_closed_stream(gateway: Gateway, user: User, stream: str) -> None:
    """A command without stdout, or without a stderr that takes its lines, does its work all the same."""
    ran = user.run("wait", gateway.add(), "-o", "cat.png", program=["sh", "-c", f'exec "$0" "$@" {stream}', LONGCAT])
    assert (ran.code, ran.out, ran.errors) == (0, "" if stream == ">&-" else "cat.png\n", [])
    assert (user.folder / "cat.png").is_file()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EPIPE, errno.EIO, errno.EFBIG, errno.EAGAIN, None])
@pytest.mark.parametrize("command", ["wait nobody", "wait", "contract check nofile"])
def test_stderr_fails(call: Call, monkeypatch: pytest.MonkeyPatch, number: int | None, command: str) -> None:
    """Whatever is wrong with stderr, the exit code is the true one, and nothing is raised."""

    class Broken(io.StringIO):
        def write(self, _text: str) -> int:
            raise OSError(number, "broken") if number is not None else ValueError("I/O operation on closed file")

    monkeypatch.setattr(sys, "stderr", Broken())
    assert call(*command.split()).code == 2


def test_debug(user: User) -> None:
    """`--debug` shows the calls and the traceback, then the same last line as without."""
    ran = user.fork("status", "nobody", "--debug")
    assert (ran.code, ran.out) == (2, "")
    assert "Traceback (most recent call last):" in ran.err
    assert "POST" in ran.err
    assert ran.err.splitlines()[-1].startswith("longcat: The gateway answered 404 about request 'nobody'")


# --- Ids from elsewhere, and many of them.


def test_ids_from_a_file(gateway: Gateway, user: User, call: Call) -> None:
    """`--from` takes more ids from a file, one a line; blank lines, spaces around them and a repetition do no harm."""
    one, two, three = (gateway.add() for _ in range(3))
    (user.folder / "ids.txt").write_text(f"\n {two}\r\n\n{one}\n{three}", encoding="utf-8")
    ran = call("wait", one, "--from", "ids.txt", "-o", "cats")
    assert (ran.code, sorted(ran.out.split())) == (0, sorted(f"cats/{each}.png" for each in (one, two, three)))


ENCODINGS: Final = ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]
"""Those of which a byte order mark tells."""


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_file_with_a_byte_order_mark(tmp_path: Path, encoding: str) -> None:
    """Ids are read in the encoding that the file's mark tells: PowerShell writes UTF-16."""
    (tmp_path / "ids.txt").write_bytes("\ufeffcat-1\r\nkätzchen\r\n".encode(encoding))
    assert known_ids([], str(tmp_path / "ids.txt")) == ["cat-1", "kätzchen"]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("text", ["\ufeffcat-1\r\nkätzchen\n", "\ufeff", "\ufeffa"])
@pytest.mark.anyio
async def test_a_pipe_with_a_byte_order_mark(monkeypatch: pytest.MonkeyPatch, encoding: str, text: str) -> None:
    """Ids of a pipe are as well, also when its bytes come one by one."""
    stdin, writer = os.pipe()
    os.write(writer, text.encode(encoding))
    os.close(writer)
    monkeypatch.setattr(ids, "READ_SIZE", 1)
    with os.fdopen(stdin) as file:
        monkeypatch.setattr(sys, "stdin", file)
        assert [one async for one in piped_ids([])] == text.removeprefix("\ufeff").split()


@pytest.mark.anyio
async def test_what_is_no_text_has_no_ids(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A picture that is named by mistake is refused: the gateway is not asked about thousands of ids that are none."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cat.png").write_bytes(PNG * 3)
    with pytest.raises(ConfigurationError, match=r"cat\.png is not UTF-8\. Save it as UTF-8, with one"):
        known_ids([], "cat.png")
    with (tmp_path / "cat.png").open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        with pytest.raises(ConfigurationError, match="stdin is not UTF-8"):
            [one async for one in piped_ids([])]


@pytest.mark.parametrize("content", [None, "", " \n\n"])
def test_a_file_without_ids(user: User, call: Call, content: str | None) -> None:
    """A file that is not there, or holds no id, is a mistake in the call."""
    if content is not None:
        (user.folder / "ids.txt").write_text(content, encoding="utf-8")
    ran = call("wait", "--from", "ids.txt")
    assert (ran.code, ran.out, is_paragraph(ran.err.strip()), "ids.txt" in ran.err) == (2, "", True, True)


@pytest.mark.parametrize("command", ["wait --from", "batch -o out", "journal", "journal cats.db --export"])
def test_a_file_is_named_however_long_its_path_is(user: User, call: Call, command: str) -> None:
    """Of a path that is too long for a message, the end is shown, which has the name."""
    ran = call(*shlex.split(command), f"{user.folder}/{'a' * 60}/{'b' * 60}/cats.db")
    assert (ran.code, "/cats.db" in ran.err, len(ran.err) < 400) == (2, True, True), ran.err


def test_ids_from_a_pipe(gateway: Gateway, user: User) -> None:
    """With `--from -`, an id is asked about as soon as its line is there, while others are yet to come."""
    first, last = gateway.add(), gateway.add()
    with user.start("wait", "--from", "-", piped=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{first}\n")
        process.stdin.flush()
        assert process.stdout.readline() == f"{gateway.url}/results/{first}.png\n"
        out, err = process.communicate(last, timeout=LIMIT)
    assert (process.returncode, out) == (0, f"{gateway.url}/results/{last}.png\n"), err
    assert err.splitlines()[-1] == "longcat: 2 of 2 done."


@pytest.mark.parametrize("content", ["x" * 101, "x\n" * 51])
def test_a_file_without_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    """A file of ids that is too long is not read to its end, which it may not have."""
    (tmp_path / "ids.txt").write_text(content, encoding="utf-8")
    monkeypatch.setattr(ids, "MAX_FILE_BYTES", 100)
    with pytest.raises(ConfigurationError, match="more than 100 bytes"):
        known_ids([], str(tmp_path / "ids.txt"))


def test_a_line_without_an_end(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that is longer than any id ends the reading of a pipe."""
    with Path("/dev/zero").open("rb") as file:
        monkeypatch.setattr(sys, "stdin", file)
        ran = call("wait", "--from", "-")
    assert (ran.code, "Write one request id a line" in ran.err) == (2, True)


def test_ids_from_an_empty_pipe(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """No id at all is a mistake in the call."""
    with Path(os.devnull).open(encoding="utf-8") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        ran = call("wait", "--from", "-")
    assert (ran.code, ran.errors) == (2, ["longcat: There was no request id on stdin. Write one a line."])


def test_ids_from_a_regular_file_on_stdin(gateway: Gateway, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """`< ids.txt` is as good as a pipe."""
    request_id = gateway.add()
    Path("ids.txt").write_text(f"{request_id}\n", encoding="utf-8")
    with Path("ids.txt").open(encoding="utf-8") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        ran = call("wait", "--from", "-")
    assert (ran.code, ran.out) == (0, f"{gateway.url}/results/{request_id}.png\n")


def test_interrupt_while_a_pipe_is_silent(gateway: Gateway, user: User) -> None:
    """Ctrl-C ends a command that waits for more ids at once."""
    with user.start("wait", "--from", "-", piped=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{gateway.add()}\n")
        process.stdin.flush()
        assert process.stdout.readline()  # The one id is done.
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=LIMIT)
    assert (process.returncode, err.splitlines()[-1], time.monotonic() - began < SOON) == (130, STOPPED, True)


def test_many_get_a_summary(gateway: Gateway, call: Call) -> None:
    """Of many requests, stderr tells a number now and then, the errors, and how it all ended."""
    ids = [gateway.add() for _ in range(20)]
    ran = call("wait", *ids, "nobody")
    assert (ran.code, len(ran.out.splitlines())) == (2, 20)
    assert ran.errors[-1] == "longcat: 20 of 21 done, 1 without a picture."
    assert len(ran.errors) == 2


def test_many_in_a_terminal(gateway: Gateway, gateway_clock: MovableClock, user: User) -> None:
    """In a terminal, many have one line that counts them and says how long it takes, below the last that finished."""
    ids = [gateway.add(duration=1000 if number == 7 else 0.1) for number in range(15)]
    with user.sit_down("wait", *ids, piped=True) as terminal:
        terminal.wait_for(" left")  # Which is told once a second.
        gateway_clock.ahead += 1000
        display = terminal.finish()
    *recent, summary = display.screen
    assert (display.ran.code, len(recent)) == (0, 5)
    assert [bool(re.fullmatch(r"sandbox-\d+  completed  \d+\.\d s", line)) for line in recent] == [True] * 5
    assert re.fullmatch(r"15 of 15 done ━+ 0:\d\d:\d\d", summary)
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", display.raw)
    assert re.search(r"of 15 done, about \d+ s left", plain)


@pytest.mark.usefixtures("virtual_time")
def test_the_batch_has_its_deadline(gateway: Gateway, call: Call) -> None:
    """`--batch-timeout` ends all that is open, each with an error of its own."""
    ids = [gateway.add(duration=LIMIT) for _ in range(3)]
    ran = call("wait", *ids, gateway.add(), "--batch-timeout", "10", "--json")
    assert (ran.code, ran.seconds < SOON, len(ran.objects)) == (3, True, 4)
    assert [one["error"]["type"] for one in ran.objects if one["error"]] == ["WaitTimeout"] * 3


def test_a_rate_is_kept(gateway: Gateway, call: Call) -> None:
    """`--max-rate` bounds the questions of all requests together."""
    ran = call("wait", *(gateway.add() for _ in range(6)), "--max-rate", "8")
    assert (ran.code, ran.seconds > 0.6) == (0, True)


def test_a_journal_remembers(gateway: Gateway, call: Call) -> None:
    """With `--journal`, the same command does nothing twice, and does not mind the pictures that it saved."""
    request_id = gateway.add()
    runs = [call("wait", request_id, "-o", "cats/", "--journal", "cats.db") for _ in range(2)]
    assert [(ran.code, ran.out) for ran in runs] == [(0, f"cats/{request_id}.png\n")] * 2
    assert (gateway.seen(request_id)["asked"], gateway.seen(request_id)["downloaded"]) == (1, 1)


# --- In a terminal.

ODD: Final = ("[red]cat[/red]", "[/]", "back\\slash\\", ":cat:", "ü🐱", "{cat}", "%s")
"""IDs that are not to be taken for markup, for an emoji or for a format."""


@pytest.fixture(scope="module")
def live(gateway: Gateway, gateway_clock: MovableClock, tmp_path_factory: pytest.TempPathFactory) -> Display:
    """Return what a wait for the odd IDs, and for one that nobody knows, shows in a terminal."""
    folder = tmp_path_factory.mktemp("live")
    for name in ODD:
        gateway.add(request_id=name, duration=1000)
    user = User(folder, environment(folder, PIXAZO_API_KEY=KEY, LONGCAT_BASE_URL=gateway.url))
    with user.sit_down("wait", *ODD, "nobody") as terminal:
        terminal.wait_for(f"{ODD[-1]} +processing")
        gateway_clock.ahead += 1000
        return terminal.finish()


@pytest.mark.parametrize("request_id", ODD)
def test_live_line(live: Display, request_id: str) -> None:
    """Each request has a line with its name as it is, its state, a bar, the percent and the time gone by."""
    line = re.compile(re.escape(request_id) + r" +completed ━+ 100% 0:\d\d:\d\d")
    assert [bool(line.fullmatch(shown)) for shown in live.screen].count(True) == 1, live.screen


def test_live_line_moves(live: Display) -> None:
    """The lines are drawn while the requests are being made, in colours."""
    uncoloured = re.sub(r"\x1b\[[0-9;]*m", "", live.raw)
    assert re.search(r"%s +processing +━* +\d+% 0:\d\d:\d\d", uncoloured)
    assert live.colours


def test_results_under_the_lines(gateway: Gateway, live: Display) -> None:
    """In a terminal, the results stand below the live lines, whole, once everything is over; the error stands above."""
    urls = [f"{gateway.url}/results/{quote(request_id, safe='')}.png" for request_id in ODD]
    assert (live.ran.code, sorted(live.screen[-len(ODD) :])) == (2, sorted(urls))
    assert " ".join(live.screen).count("404 about request 'nobody': Endpoint not found. Check the request id and") == 1


def test_cursor_comes_back(live: Display) -> None:
    """The cursor is hidden while the lines move, and is there again afterwards."""
    assert re.findall(r"\x1b\[\?25[lh]", live.raw) == ["\x1b[?25l", "\x1b[?25h"]


def test_no_color(gateway: Gateway, user: User) -> None:
    """With NO_COLOR the line is live but has no colours; stdout, in a pipe, has the result and nothing else."""
    request_id = gateway.add()
    with user.sit_down("wait", request_id, "--json", piped=True, NO_COLOR="1") as terminal:
        display = terminal.finish()
    assert (display.ran.code, display.colours) == (0, set())
    assert [one["state"] for one in display.ran.objects] == ["completed"]
    assert len(display.screen) == 1
    assert re.fullmatch(rf"{request_id} completed ━+ 100% 0:\d\d:\d\d", display.screen[0])


def test_dumb_terminal(gateway: Gateway, user: User) -> None:
    """A terminal that can't move its cursor gets plain lines."""
    request_id = gateway.add()
    with user.sit_down("wait", request_id, TERM="dumb") as terminal:
        display = terminal.finish()
    assert "\x1b" not in display.raw
    progress, url = display.screen
    assert url == f"{gateway.url}/results/{request_id}.png"
    assert PLAIN.fullmatch(progress)


def test_without_rich(gateway: Gateway, user: User) -> None:
    """Without the extra `cli`, a terminal gets plain lines, and once the command that installs the extra."""
    code = "import sys; sys.modules['rich'] = None\nfrom longcat.cli import main\nsys.exit(main())"
    with user.sit_down("wait", gateway.add(), program=[sys.executable, "-c", code]) as terminal:
        display = terminal.finish()
    hint, progress, _ = display.screen
    assert display.ran.code == 0
    assert "pip install 'longcat-image[cli]'" in hint
    assert PLAIN.fullmatch(progress)


# --- Ctrl-C.

STOPPED: Final = "longcat: Stopped. Requests go on at the service; wait for them again."


def test_interrupt_in_a_terminal(gateway: Gateway, user: User) -> None:
    """Ctrl-C ends a wait at once: the lines stay, one more says so, the cursor is back, the code is 130."""
    request_ids = [gateway.add(duration=LIMIT), gateway.add(duration=LIMIT)]
    with user.sit_down("wait", *request_ids) as terminal:
        terminal.wait_for("processing")
        began = time.monotonic()
        terminal.process.send_signal(signal.SIGINT)
        display = terminal.finish()
    assert time.monotonic() - began < SOON
    assert (display.ran.code, len(display.screen), display.screen[-1]) == (130, 4, STOPPED)
    assert re.findall(r"\x1b\[\?25[lh]", display.raw)[-1] == "\x1b[?25h"


@pytest.mark.parametrize(
    ("command", "fault", "when", "number"),
    [
        ("wait ID", "slow:all:60", "asked", signal.SIGINT),
        ("status ID", "slow:all:60", "asked", signal.SIGINT),
        ("wait ID -o cat.png", "picture-slow:all:60", "downloaded", signal.SIGINT),
        ("wait ID -o cat.png", "picture-slow:all:60", "downloaded", signal.SIGTERM),
    ],
)
def test_interrupt(  # noqa: PLR0913, PLR0917 - two fixtures, and the table's columns.
    gateway: Gateway, user: User, command: str, fault: str, when: str, number: signal.Signals
) -> None:
    """Ctrl-C, or SIGTERM, ends a question or a download in flight at once, with one line and no file left."""
    request_id = gateway.add(fault=fault)
    with user.start(*words(command, request_id)) as process:
        assert eventually(lambda: gateway.seen(request_id)[when] == 1)
        began = time.monotonic()
        process.send_signal(number)
        out, err = process.communicate(timeout=LIMIT)
    ran = Ran(process.returncode, out, err, time.monotonic() - began)
    assert (ran.code, ran.out, ran.errors) == (130, "", [STOPPED]), ran
    assert ran.seconds < SOON
    assert list(user.folder.iterdir()) == []


# --- Against a gateway that means harm.

EVIL: Final = "\x1b[2J\x1b[31mboo\x07\u202e\nfake  completed"


@pytest.mark.usefixtures("virtual_time")
@pytest.mark.parametrize("command", ["status cat-1", "wait cat-1 --timeout 2"])
@pytest.mark.parametrize(
    ("status", "body"),
    [
        ("200 OK", {"status": EVIL}),
        ("200 OK", {"status": "failed", "error": EVIL}),
        ("200 OK", {"status": "completed", "progress": 1, "request_id": "cat-1", "result_url": f"http://cat/{EVIL}"}),
        ("400 Bad Request", {"error": EVIL}),
    ],
    ids=["word", "reason", "URL", "error"],
)
def test_control_characters(call: Call, command: str, status: str, body: dict[str, Any]) -> None:
    """What a gateway says can't move the cursor, change the colour or begin a line of its own."""
    with Server([read, response(json.dumps(body).encode(), status=status)]) as server:
        ran = call(*command.split(), LONGCAT_BASE_URL=server.url)
    lines = [*ran.out.split("\n"), *ran.err.split("\n")]
    assert [line for line in lines if not line.isprintable() or line.startswith("fake")] == []


def test_control_characters_in_a_live_line(user: User) -> None:
    """A live line shows a strange status word without obeying it."""
    with Server([read, response(json.dumps({"status": EVIL}).encode())]) as server:
        arguments = ("wait", "cat-1", "--timeout", "0.2", "--base-url", server.url)
        with user.sit_down(*arguments, NO_COLOR="1") as terminal:
            display = terminal.finish()
    assert {code for code in ("\x1b[2J", "\x1b[31m", "\x07", "\u202e") if code in display.raw} == set()


@pytest.mark.usefixtures("virtual_time")
@pytest.mark.parametrize("command", ["status cat-1", "status cat-1 --json", "wait cat-1 --timeout 2"])
@pytest.mark.parametrize(
    ("status", "body"),
    [
        ("401 Unauthorized", {"error": f"The key {KEY} is wrong"}),
        ("200 OK", {"status": "failed", "error": f"The key {KEY} is wrong"}),
        ("200 OK", {"status": KEY}),
        ("200 OK", {"status": "processing", "progress": KEY, "request_id": "cat-1"}),
    ],
    ids=["error", "reason", "word", "value"],
)
def test_echoed_key(call: Call, command: str, status: str, body: dict[str, Any]) -> None:
    """A gateway that repeats the key does not bring it onto the screen."""
    with Server([read, response(json.dumps(body).encode(), status=status)]) as server:
        ran = call(*command.split(), LONGCAT_BASE_URL=server.url)
    assert ran.out + ran.err


def test_echoed_key_with_debug(user: User) -> None:
    """`--debug` shows no key, even if the gateway repeats it in a header."""
    body = json.dumps({"error": f"The key {KEY} is wrong"}).encode()
    with Server([read, response(body, f"X-Key: {KEY}", status="401 Unauthorized")]) as server:
        ran = user.fork("status", "cat-1", "--debug", LONGCAT_BASE_URL=server.url)
    assert ran.code == 2


# --- The sandbox.


def test_fault_list(call: Call) -> None:
    """`sandbox --fault list` prints every fault with its sentence."""
    ran = call("sandbox", "--fault", "list")
    assert (ran.code, ran.err) == (0, "")
    lines = [line.split(maxsplit=1) for line in ran.out.splitlines()]
    assert lines == [[name, kind.sentence] for name, kind in FAULTS.items()]


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("--fault rate-limits", "Did you mean rate-limit? The faults are: slow, drip,"),
        ("--fault slow:often", "A fault is written NAME[:COUNT[:SECONDS]], such as slow:2:0.5; not 'slow:often'."),
        ("--fault slow:0", "strikes once or more"),
        ("--port 65536", "A port is between 0 and 65535, not 65536."),
        ("--port -1", "A port is between 0 and 65535, not -1."),
        ("--port TAKEN", "--port"),
        ("--host 192.0.2.1", "--host"),
        ("--duration nan", "A duration is between 0 seconds and a year."),
        ("--duration -1", "A duration is between 0 seconds and a year."),
        ("--rate-limit 0", "The rate limit is 1 question a second or more, not 0."),
    ],
)
def test_sandbox_used_wrongly(gateway: Gateway, call: Call, command: str, says: str) -> None:
    """A sandbox that can't be started says why, and what to change, in one paragraph, with exit code 2."""
    ran = call("sandbox", *shlex.split(command.replace("TAKEN", gateway.url.rpartition(":")[2])))
    assert (ran.code, ran.out, len(ran.errors)) == (2, "", 1)
    assert says in ran.errors[0]
    assert is_paragraph(ran.errors[0]), ran.errors[0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_sandbox(user: User, number: signal.Signals) -> None:
    """`sandbox` prints one line with its URL, behaves as it was told, and ends at once, with 0, when it is told to."""
    options = "--request cat-1 --duration 0 --outcome failed --fault forbidden:1 --fault hang-up:1 --log --api-key"
    with user.start("sandbox", *options.split(), KEY) as process:
        assert process.stdout is not None
        ready = re.fullmatch(r"longcat sandbox: (http://127\.0\.0\.1:\d+)\n", process.stdout.readline())
        assert ready, process.communicate()
        question: dict[str, Any] = {"url": f"{ready[1]}/longcat-image-request-result", "json": {"request_id": "cat-1"}}
        headers = {"Ocp-Apim-Subscription-Key": KEY}
        with httpx.Client(timeout=LIMIT) as http:
            assert http.post(**question, headers=headers).status_code == 403
            with pytest.raises(httpx.RemoteProtocolError):
                http.post(**question, headers=headers)
            assert http.post(**question, headers=headers).json()["status"] == "failed"
            began = time.monotonic()
            process.send_signal(number)
            out, err = process.communicate(timeout=LIMIT)
    ran = Ran(process.returncode, out, err, time.monotonic() - began)
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (0, "", 2)
    assert ran.seconds < SOON


# --- The documentation's own code, unchanged but for the host.

PYTHON_SAMPLE: Final = """\
import requests
url = "https://gateway-falai-automate.appypie.workers.dev/longcat-image-request-result"
headers = { "Ocp-Apim-Subscription-Key": "your-subscription-key-here", "Content-Type": "application/json" }
data = { "request_id": "XXXXXXXXXXXXX" }
response = requests.post(url, json=data, headers=headers)
print(response.json())
"""
CURL_SAMPLE: Final = """\
curl -X POST https://gateway-falai-automate.appypie.workers.dev/longcat-image-request-result \\
-H "Ocp-Apim-Subscription-Key: your-subscription-key-here" \\
-H "Content-Type: application/json" \\
-d '{ "request_id": "XXXXXXXXXXXXX" }'
"""
SAMPLES: Final = {"python": ([sys.executable, "-c"], PYTHON_SAMPLE)}
if shutil.which("curl"):
    SAMPLES["curl"] = (["sh", "-c"], CURL_SAMPLE)


@pytest.mark.parametrize("name", SAMPLES)
def test_sample_of_the_page(user: User, name: str) -> None:
    """The code on the documentation's page gets the documented answer, with its own key and its own request."""
    program, sample = SAMPLES[name]
    host = re.compile(r"https://[\w.-]+\.workers\.dev")
    with running(Settings(api_key=EXAMPLE_KEY, duration=0)) as url:
        ran = user.run(host.sub(url, sample), program=program)
    answer: dict[str, Any] = json.loads(ran.out.replace("'", '"'))
    assert (ran.code, answer["status"], answer["request_id"]) == (0, "completed", "XXXXXXXXXXXXX")
    assert answer["result_url"] == f"{url}/results/XXXXXXXXXXXXX.png"

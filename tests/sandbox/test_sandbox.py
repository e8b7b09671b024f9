"""What the sandbox answers: the documentation, line by line, in virtual time and without a socket."""

import ast
import dataclasses
import io
import json
import re
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sandbox_world import JSON, KEY, PATH, World

from longcat import sandbox
from longcat.sandbox import EXAMPLE_ID, EXAMPLE_KEY, FAULTS, Fault, RequestOutcome, Settings
from longcat.sandbox import app as app_module
from longcat.sandbox.picture import draw

UNAUTHORIZED = (401, {"error": "Invalid or missing authentication"})
INVALID = (400, {"error": "Invalid request parameters"})
NOT_FOUND = (404, {"error": "Endpoint not found"})
LIMITED = (429, {"error": "Rate limit exceeded, please retry later"})

# --- The documented call.


def test_processing() -> None:
    """A request that is not done answers the three documented fields."""
    world = World()
    world.ask()
    world.now = 3.0
    assert world.ask() == (200, {"status": "processing", "progress": 0.49, "request_id": EXAMPLE_ID})


def test_completed() -> None:
    """A request that is done answers exactly the documented fields."""
    world = World(duration=42)
    world.ask()
    world.now = 42.0
    assert world.ask() == (
        200,
        {
            "status": "completed",
            "progress": 1.0,
            "request_id": EXAMPLE_ID,
            "result_url": f"http://sandbox/results/{EXAMPLE_ID}.png",
            "created_at": "2024-06-15T10:30:00Z",
            "duration_seconds": 42,
            "model_version": "longcat-v1.2",
        },
    )


@pytest.mark.parametrize("outcome", [RequestOutcome.FAILED, RequestOutcome.CANCELLED])
def test_failure(outcome: RequestOutcome) -> None:
    """A request that was told to fail says so at its end, in words the documentation does not give."""
    world = World(outcome=outcome, duration=1)
    assert world.ask()[1]["status"] == "processing"
    world.now = 1.0
    message = f"The sandbox was told that this request ends as {outcome}."
    assert world.ask() == (
        200,
        {"status": outcome.value, "progress": 0.66, "request_id": EXAMPLE_ID, "error": message},
    )
    assert world.send("GET", f"/results/{EXAMPLE_ID}.png").status_code == 404


@pytest.mark.parametrize("request_id", [EXAMPLE_ID, "a", "longcat-image-498_019d", "猫"])
def test_progress_grows(request_id: str) -> None:
    """Progress never falls, has two decimals, and reaches 1.0 with the end and not before."""
    world = World(requests=(request_id,))
    seen = []
    for tick in range(60):
        world.now = tick / 10
        seen.append(world.ask(request_id)[1]["progress"])
    assert seen == sorted(seen)
    assert seen == [round(p, 2) for p in seen]
    assert seen[0] == 0.0
    assert 0.9 < seen[-1] < 1.0
    assert len(set(seen)) > 50
    world.now = 6.0
    assert world.ask(request_id)[1]["progress"] == 1.0


def test_time_starts_with_the_first_question() -> None:
    """A request starts when it is first asked about, however long it was known before."""
    world = World()
    world.now = 1000.0
    assert world.ask()[1]["progress"] == 0.0
    world.now = 1006.0
    assert world.ask()[1]["created_at"] == "2024-06-15T10:46:40Z"


def test_no_duration() -> None:
    """With a duration of 0 the first answer is the last one."""
    assert World(duration=0).ask()[1]["status"] == "completed"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_backends(backend: str) -> None:
    """The app runs on asyncio and on trio, slow answers and pictures included."""
    world = World(backend=backend, duration=1, faults=(Fault("slow"),))
    assert world.ask()[1]["status"] == "processing"
    assert world.ask()[1]["status"] == "completed"
    assert world.send("GET", f"/results/{EXAMPLE_ID}.png").content == draw(EXAMPLE_ID)


# --- What the caller does wrong.


@pytest.mark.parametrize("key", ["", "wrong", EXAMPLE_KEY.upper(), EXAMPLE_KEY + "x", "\xe9"])
def test_wrong_key(key: str) -> None:
    """A wrong key is 401."""
    headers: Any = [("Ocp-Apim-Subscription-Key", key.encode("latin-1")), *JSON.items()]
    assert World().post(b"{}", headers) == UNAUTHORIZED


def test_no_key() -> None:
    """No key is 401."""
    assert World().post(b"{}", JSON) == UNAUTHORIZED


def test_own_key() -> None:
    """The key can be chosen; the documentation's placeholder is then wrong."""
    world = World(api_key="another")
    assert world.ask() == UNAUTHORIZED
    assert world.post(b'{"request_id": "?"}', {**JSON, "OCP-APIM-SUBSCRIPTION-KEY": "another"}) == NOT_FOUND


BAD_BODIES = {
    "empty": b"",
    "no JSON": b"request_id=1",
    "array": b'["request_id"]',
    "null": b"null",
    "string": b'"request_id"',
    "number": b"1",
    "cut": b'{"request_id": "XXXX',
    "trailing": b'{"request_id": "XXXXXXXXXXXXX"} {}',
    "no request_id": b"{}",
    "another case": b'{"Request_Id": "XXXXXXXXXXXXX"}',
    "null request_id": b'{"request_id": null}',
    "number request_id": b'{"request_id": 5}',
    "bool request_id": b'{"request_id": true}',
    "array request_id": b'{"request_id": ["XXXXXXXXXXXXX"]}',
    "empty request_id": b'{"request_id": ""}',
    "duplicate": b'{"request_id": "a", "request_id": "XXXXXXXXXXXXX"}',
    "NaN": b'{"request_id": "XXXXXXXXXXXXX", "x": NaN}',
    "Infinity": b'{"request_id": "XXXXXXXXXXXXX", "x": -Infinity}',
    "deep array": b"[" * 60_000,
    "deep object": b'{"a":' * 12_000,
    "huge number": b'{"request_id": "XXXXXXXXXXXXX", "x": ' + b"9" * 5000 + b"}",
    "no UTF-8": b'{"request_id": "\xff"}',
    "UTF-16": '{"request_id": "XXXXXXXXXXXXX"}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"request_id": "XXXXXXXXXXXXX"}',
    "too long": b'{"request_id": "XXXXXXXXXXXXX"}' + b" " * 65_536,
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
def test_bad_body(body: bytes) -> None:
    """A body that is not a JSON object with a request id is 400, never 500."""
    assert World().post(body, KEY | JSON) == INVALID


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonp"])
def test_wrong_content_type(content_type: str) -> None:
    """Another content type is 400, and so is none."""
    headers = KEY | ({"Content-Type": content_type} if content_type else {})
    assert World().post(b'{"request_id": "XXXXXXXXXXXXX"}', headers) == INVALID


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8;x=y"]
)
def test_content_type(content_type: str) -> None:
    """The content type may have parameters and capitals."""
    assert World().post(b'{"request_id": "XXXXXXXXXXXXX"}', KEY | {"Content-Type": content_type})[0] == 200


@pytest.mark.parametrize("request_id", ["unknown", "xxxxxxxxxxxxx", " XXXXXXXXXXXXX", "\ud800", "\0", "x" * 60_000])
def test_unknown_request(request_id: str) -> None:
    """An unknown request is 404, in the words for an unknown endpoint: the documentation has no others."""
    assert World().ask(request_id) == NOT_FOUND


@pytest.mark.parametrize("path", ["/", PATH + "/", PATH.upper(), "/v2" + PATH, "/results", "/sandbox", "/docs"])
def test_unknown_path(path: str) -> None:
    """An unknown path is 404, whatever the key; nothing is redirected."""
    response = World().send("POST", path, json={"request_id": EXAMPLE_ID})
    assert (response.status_code, response.json()) == NOT_FOUND


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_wrong_method(method: str) -> None:
    """Another method on the documented path is 405 and names POST, whatever the key."""
    response = World().send(method, PATH)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert response.content == (b"" if method == "HEAD" else b'{"error": "Method not allowed"}')


def test_key_comes_before_body_and_body_before_request() -> None:
    """Of several mistakes the first is told: key, then content type and body, then request."""
    world = World(faults=(Fault("server-error"),))
    assert world.post(b"nonsense", {}) == UNAUTHORIZED
    assert world.post(b'{"request_id": "unknown"}', KEY) == INVALID
    assert world.post(b'{"request_id": "unknown"}', KEY | JSON) == NOT_FOUND


def test_rate_limit() -> None:
    """More good keys than the limit within any one second are 429, without a Retry-After."""
    world = World(rate_limit=2)
    assert world.post(b"", {}) == UNAUTHORIZED
    assert [world.ask()[0] for _ in range(3)] == [200, 200, 429]
    world.now = 0.5
    assert world.ask() == LIMITED
    world.now = 1.0
    assert [world.ask()[0] for _ in range(3)] == [200, 200, 429]
    response = world.send("POST", PATH, json={"request_id": EXAMPLE_ID}, headers=KEY)
    assert "retry-after" not in response.headers


# --- The picture.


@pytest.mark.parametrize("request_id", ["a b", "a/b", "..", "../../etc/passwd", "a?b#c%2F&d=e+f", "猫.png", "é'\"<>"])
def test_picture_of_any_id(request_id: str) -> None:
    """The result URL serves the picture, whichever characters the id has."""
    world = World(requests=(request_id,), duration=0)
    response = world.send("GET", world.ask(request_id)[1]["result_url"])
    assert (response.status_code, response.headers["content-type"]) == (200, "image/png")
    assert response.content == draw(request_id)
    assert response.headers["content-length"] == str(len(response.content))


def test_picture_head() -> None:
    """HEAD answers the headers of GET, and no body."""
    world = World(duration=0)
    url = world.ask()[1]["result_url"]
    head, get = world.send("HEAD", url), world.send("GET", url)
    assert (head.status_code, head.content, dict(head.headers)) == (200, b"", dict(get.headers))


def test_result_url_follows_host() -> None:
    """The result URL has the host by which the caller reached the sandbox."""
    world = World(duration=0)
    headers = KEY | {"Host": "cats.example:8080"}
    response = world.send("POST", PATH, json={"request_id": EXAMPLE_ID}, headers=headers)
    assert response.json()["result_url"] == f"http://cats.example:8080/results/{EXAMPLE_ID}.png"


@pytest.mark.parametrize("name", [f"{EXAMPLE_ID}.png", f"{EXAMPLE_ID}", "unknown.png", ".png", ""])
def test_no_picture(name: str) -> None:
    """There is no picture of an unknown request, nor of one that has not been completed."""
    world = World()
    world.ask()
    world.now = 5.9
    response = world.send("GET", f"/results/{name}")
    assert (response.status_code, response.json()) == NOT_FOUND


def test_picture_leaves_the_loop_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The picture is drawn in a thread of its own."""
    threads = []

    def fake(request_id: str, *_look: object) -> bytes:
        threads.append(threading.get_ident())
        return request_id.encode()

    monkeypatch.setattr(app_module, "draw", fake)
    world = World(duration=0)
    assert world.send("GET", world.ask()[1]["result_url"]).text == EXAMPLE_ID
    assert len(threads) == 1
    assert threads != [threading.get_ident()]


@pytest.mark.parametrize("request_id", [EXAMPLE_ID, "a", "W" * 30, "W" * 1024, "猫" * 500, "\ud800\0\n", ""])
def test_drawing(request_id: str) -> None:
    """Any id fits into the picture; the same id gives the same bytes, another one another picture."""
    png = draw(request_id)
    with Image.open(io.BytesIO(png)) as picture:
        picture.load()
        assert (picture.format, picture.size, picture.mode) == ("PNG", (1024, 768), "RGB")
        for margin in ((0, 640, 40, 690), (984, 640, 1024, 690)):
            assert len(picture.crop(margin).getcolors() or ()) == 1
    draw.cache_clear()
    assert draw(request_id) == png
    assert draw(request_id + "2") != png


# --- The faults. What each does to an answer is shown on a real connection, in test_sandbox_server.py.


def test_fault_strikes_first_answers() -> None:
    """A fault spoils the first 3 good answers about each request; the request runs on meanwhile."""
    world = World(requests=("b",), faults=(Fault("server-error"),))
    body = {"error": "An unexpected error occurred, please try again later"}
    assert [world.ask(name) for name in "bbb"] == [(500, body)] * 3
    world.now = 6.0
    assert world.ask("b")[1]["status"] == "completed"
    assert world.ask() == (500, body)


def test_faults_follow_one_another() -> None:
    """Faults given together strike in their order, those of the request itself first."""
    world = World(faults=(Fault("rate-limit-bare", 2), Fault("server-error", 1)))
    world.add(request_id="b", fault="cdn-522:1,forbidden:1")
    statuses = [world.send("POST", PATH, json={"request_id": "b"}, headers=KEY).status_code for _ in range(6)]
    assert statuses == [522, 403, 429, 429, 500, 200]


def test_fault_for_ever() -> None:
    """With `all` in place of a count a fault strikes every answer."""
    world = World(faults=(Fault.parse("server-error:all"),))
    assert {world.ask()[0] for _ in range(20)} == {500}


def test_fault_spares_mistakes() -> None:
    """What the caller does wrong is told, and uses up no fault."""
    world = World(faults=(Fault("server-error", 1),))
    assert [world.post(b"", {}), world.post(b"", KEY), world.ask("?")] == [UNAUTHORIZED, INVALID, NOT_FOUND]
    assert [world.ask()[0] for _ in range(2)] == [500, 200]


def test_faults_of_pictures_are_apart() -> None:
    """A fault of the picture leaves answers alone, and the other way round; HEAD is never spoilt."""
    world = World(duration=0, faults=(Fault("picture-404", 1), Fault("server-error", 1)))
    assert [world.ask()[0] for _ in range(2)] == [500, 200]
    url = f"/results/{EXAMPLE_ID}.png"
    assert [world.send(method, url).status_code for method in ("HEAD", "GET", "GET")] == [200, 404, 200]


def test_fault_seconds() -> None:
    """Slow faults take the time they are told, and that of the table unless told."""
    world = World(
        duration=0, faults=(Fault("slow", 1), Fault("slow", 1, 30.0), Fault("drip", 1), Fault("picture-slow"))
    )
    assert [world.ask()[1]["status"] for _ in range(2)] == ["completed"] * 2
    assert world.sleeps == [2.0, 30.0]
    world.sleeps.clear()
    answer = world.ask()
    assert len(world.sleeps) == len(json.dumps(answer[1]))
    assert sum(world.sleeps) == pytest.approx(3.0)
    world.sleeps.clear()
    assert world.send("GET", answer[1]["result_url"]).content == draw(EXAMPLE_ID)
    assert len(world.sleeps) in (20, 21)
    assert sum(world.sleeps) == pytest.approx(3.0)


@pytest.mark.parametrize("name", ["hang-up", "cut-body", "reset"])
def test_fault_without_connection(name: str) -> None:
    """A fault that breaks the connection says so when there is none."""
    with pytest.raises(RuntimeError, match=r"needs a real connection: run the sandbox with serve\(\) or running\(\)"):
        World(faults=(Fault(name),)).ask()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("slow", Fault("slow", 3, None)),
        ("slow:5", Fault("slow", 5)),
        ("slow:all", Fault("slow", None)),
        ("slow:2:0.5", Fault("slow", 2, 0.5)),
        ("slow::0.5", Fault("slow", 3, 0.5)),
        ("picture-404:1", Fault("picture-404", 1)),
    ],
)
def test_fault_syntax(text: str, fault: Fault) -> None:
    """A fault is written NAME[:COUNT[:SECONDS]], and writes itself so."""
    assert Fault.parse(text) == fault
    assert Fault.parse(str(fault)) == fault


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("slwo", "There is no fault 'slwo'. Did you mean slow? The faults are: slow, drip, "),
        ("", "There is no fault ''. The faults are: slow, "),
        ("slow:many", "A fault is written NAME[:COUNT[:SECONDS]], such as slow:2:0.5; not 'slow:many'."),
        ("slow:1:2:3", "A fault is written NAME[:COUNT[:SECONDS]]"),
        ("slow:0", "The fault slow strikes once or more, or 'all' answers, not 0 times."),
        ("slow:1:nan", "The seconds of the fault slow are between 0 and a year, not nan."),
        ("slow:1:-1", "The seconds of the fault slow are between 0 and a year, not -1.0."),
        ("html:1:1", "The fault html takes no seconds."),
    ],
)
def test_fault_mistakes(text: str, message: str) -> None:
    """A fault that is written wrongly is a ValueError that says how to write it."""
    with pytest.raises(ValueError, match=re.escape(message)):
        Fault.parse(text)


def test_fault_sentences() -> None:
    """Every fault has a name for the command line and one sentence."""
    for name, kind in FAULTS.items():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
        assert re.fullmatch(r"[^\n]{10,90}\.", kind.sentence)


# --- Settings and control calls.


@pytest.mark.parametrize(
    "settings",
    [
        {"api_key": ""},
        {"duration": -1},
        {"duration": float("nan")},
        {"duration": float("inf")},
        {"outcome": "done"},
        {"requests": ("",)},
        {"requests": ("a\nb",)},
        {"requests": ("x" * 1025,)},
        {"rate_limit": 0},
    ],
)
def test_bad_settings(settings: dict[str, Any]) -> None:
    """Settings that make no sense are a ValueError."""
    with pytest.raises(ValueError, match=r"."):
        Settings(**settings)


def test_settings_are_frozen() -> None:
    """Settings do not change under a running sandbox."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().duration = 1  # type: ignore[misc]


def test_add_request() -> None:
    """A control call adds a request, of which every field may be chosen, without a key."""
    world = World()
    fields = {"request_id": "new", "duration": 2.5, "outcome": "failed", "fault": "slow:1:0.5,reset:all"}
    status, request = world.add(**fields)
    assert (status, request) == (201, {**fields, "asked": 0, "downloaded": 0})
    world.ask("new")
    world.now += 2.5
    listed = world.send("GET", "/sandbox/requests").json()
    assert [(r["request_id"], r["asked"]) for r in listed] == [(EXAMPLE_ID, 0), ("new", 1)]


def test_add_request_with_defaults() -> None:
    """Without a body the id is made up, and the rest comes from the settings."""
    world = World(duration=1, outcome=RequestOutcome.CANCELLED, faults=(Fault("slow"),), requests=("sandbox-0002",))
    response = world.send("POST", "/sandbox/requests")
    rest = {"duration": 1, "outcome": "cancelled", "fault": "slow:3", "asked": 0, "downloaded": 0}
    assert (response.status_code, response.json()) == (201, {"request_id": "sandbox-0001", **rest})
    assert [world.add()[1]["request_id"] for _ in range(2)] == ["sandbox-0003", "sandbox-0004"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"[]", "The body is not a JSON object."),
        (b'{"request_id": "a", "request_id": "b"}', "The body says a name twice."),
        (b'{"duration": NaN}', "NaN is not JSON."),
        (b"[" * 60_000, "The body is nested too deeply."),
        (b" " * 65_537, "The body is longer than 65536 bytes."),
        (b'{"seconds": 1}', "There is no field 'seconds': there are request_id, duration, outcome, fault, gateway."),
        (b'{"duration": true}', "The field duration has the wrong type."),
        (b'{"duration": -1}', "A duration is between 0 seconds and a year."),
        (b'{"duration": 1' + b"0" * 400 + b"}", "A duration is between 0 seconds and a year."),
        (b'{"outcome": "done"}', "'done' is not a valid outcome"),
        (b'{"request_id": ""}', "A request id is 1 to 1024 printable characters, not ''."),
        (b'{"request_id": "\\ud800"}', "A request id is 1 to 1024 printable characters, not '\\ud800'."),
        (b'{"fault": "html:1:1"}', "The fault html takes no seconds."),
        (b'{"fault": null}', "The field fault has the wrong type."),
    ],
)
def test_add_request_wrongly(body: bytes, message: str) -> None:
    """A control call that makes no sense is 400, and says why."""
    world = World()
    response = world.send("POST", "/sandbox/requests", content=body)
    assert (response.status_code, response.json()) == (400, {"error": message})
    assert len(world.send("GET", "/sandbox/requests").json()) == 1


def test_add_known_request() -> None:
    """A request that exists already is 409."""
    assert World().add(request_id=EXAMPLE_ID) == (409, {"error": "A request of this id exists already."})


def test_state_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the sandbox is full it refuses new requests and keeps the old ones."""
    monkeypatch.setattr(app_module, "MAX_REQUESTS", 2)
    world = World()
    assert [world.add()[0] for _ in range(3)] == [201, 503, 503]
    assert world.ask("sandbox-0001")[0] == 200


def test_many_requests() -> None:
    """Ten thousand requests run side by side, each in its own time."""
    world = World(requests=tuple(f"r{n}" for n in range(10_000)))
    assert world.ask("r0")[1]["progress"] == 0.0
    world.now = 3.0
    assert world.ask("r9999")[1]["progress"] == 0.0
    assert world.ask("r0")[1]["progress"] > 0.3
    assert len(world.send("GET", "/sandbox/requests").json()) == 10_001


# --- The house.


def _imports(path: Path) -> Sequence[str]:
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    plain = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    return plain + [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]


def _is_foreign(name: str) -> bool:
    return name.startswith(("longcat", "httpx")) and not name.startswith("longcat.sandbox")


def test_independent_witness() -> None:
    """What the sandbox answers shares no code with the client but for texts: the two can disagree."""
    folder = Path(sandbox.__file__).parent
    shared = {
        path.relative_to(folder).as_posix(): foreign
        for path in folder.rglob("*.py")
        if (foreign := {name for name in _imports(path) if _is_foreign(name)})
    }
    assert shared == {"__init__.py": {"longcat.text"}, "drifts/mutated.py": {"longcat.text.pointer"}}


def test_exports() -> None:
    """What the package exports is there, in order."""
    assert sandbox.__all__ == sorted(sandbox.__all__)
    assert all(map(partial(hasattr, sandbox), sandbox.__all__))

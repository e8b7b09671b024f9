"""`longcat batch` and its sisters with pictures in object storage, in layered folders, and in shards."""

import gc
import json
import os
import signal
import tarfile
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pytest
from object_storage import SECRET, SLOW_DOWN, ObjectStorage
from postgres import Schema
from processes import forked
from servers import LIMIT
from shell import KEY, PNG, Ran, environment

from longcat.cli.orders import arguments
from longcat.cli.run import run as main
from longcat.sandbox import Settings, running
from longcat.saving.stores import remote, retries
from longcat.saving.stores.layout import LAYOUTS
from longcat.saving.stores.shards import MAX_SHARD_PICTURES

CATS: Final = [{"prompt": "a", "id": "cat"}, {"prompt": "b", "num_images": 2, "id": "v1.2"}, {"prompt": "c", "id": "ü"}]


class Shell:
    """Runs commands in this process, in a folder of their own, against a sandbox."""

    def __init__(self, folder: Path, url: str, patch: pytest.MonkeyPatch, read: Callable[[], tuple[str, str]]) -> None:
        self.folder = folder
        self.url = url
        self._patch = patch
        self._read = read

    def environment(self, **more: str) -> dict[str, str]:
        """Return what the commands find the gateway and the storage by."""
        aws = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
        return environment(self.folder, PIXAZO_API_KEY=KEY, LONGCAT_BASE_URL=self.url, **aws, **more)

    def run(self, *arguments: str) -> Ran:
        """Run a command."""
        with self._patch.context() as patch:
            for name, value in self.environment().items():
                patch.setenv(name, value)
            try:
                code = int(main(arguments))
            except SystemExit as end:
                code = int(end.code or 0)
        ran = Ran(code, *self._read(), 0.0)
        assert SECRET not in ran.out + ran.err
        return ran


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    """Return someone at a shell, with a file of orders."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("longcat.gateway.queue.QueueGateway.seconds_per_question", 0.05)  # The sandbox minds none.
    Path("orders").write_text("".join(json.dumps(one) + "\n" for one in CATS), "utf-8")
    with running(Settings(api_key=KEY, duration=0, small_pictures=True)) as url:
        yield Shell(tmp_path, url, monkeypatch, capsys.readouterr)


def lines(text: str) -> list[dict[str, Any]]:
    """Return the objects of JSON lines."""
    return [json.loads(line) for line in text.splitlines()]


def test_the_command_line_knows_the_words_of_the_stores() -> None:
    """They are written down twice, so that the help needs no store."""
    assert (arguments.LAYOUTS, arguments.SHARD_SIZE) == (LAYOUTS, MAX_SHARD_PICTURES)


def test_a_batch_goes_to_object_storage(shell: Shell, object_storage: ObjectStorage, bucket: str) -> None:
    """Pictures and manifest are there, files named within the output; the second run asks for each picture once."""
    command = ["batch", "orders", "-o", f"s3://{bucket}/out/", "--journal", "cats.db", "--layout", "hash"]
    first = shell.run(*command)
    manifest = object_storage.get(f"{bucket}/out/manifest.jsonl")
    names = [name for line in lines(manifest.text) for name in line["files"]]
    digests = {stem: sha256(stem.encode()).hexdigest() for stem in ("cat", "v1.2-1", "v1.2-2")}
    assert (first.code, names[:3]) == (0, [f"{one[:2]}/{one[2:4]}/{stem}.png" for stem, one in digests.items()])
    assert sorted(first.out.split()) == sorted(f"s3://{bucket}/out/{name}" for name in names)
    assert f"saved in s3://{bucket}/out, listed in s3://{bucket}/out/manifest.jsonl" in first.err
    assert sorted(object_storage.keys(bucket)) == sorted(f"out/{one}" for one in [*names, "manifest.jsonl"])
    found = object_storage.get(f"{bucket}/out/{names[0]}")
    assert (found.headers["content-type"], found.content[:8]) == ("image/png", PNG)
    assert manifest.headers["content-type"] == "application/jsonl"
    assert object_storage.asked[:2] == [f"{verb} /{bucket}/out/.longcat-probe" for verb in ("PUT", "DELETE")]
    assert object_storage.counted("PUT") == len(object_storage.asked) - 1 == 6
    second = shell.run(*command[:-1], "flat")  # Whatever the layout was.
    assert (second.code, sorted(second.out.split())) == (0, sorted(first.out.split()))
    assert [one.split()[0] for one in object_storage.asked[7:]] == ["PUT", "DELETE", *["HEAD"] * 4, "PUT"]


def test_a_batch_on_many_machines_goes_to_object_storage(
    shell: Shell, object_storage: ObjectStorage, bucket: str, schema: Schema
) -> None:
    """With a journal on PostgreSQL, too, pictures and manifest are there, and what one worker ended stays ended."""
    command = ["batch", "orders", "-o", f"s3://{bucket}/out", "--journal", schema.url]
    first = shell.run(*command)
    manifest = lines(object_storage.get(f"{bucket}/out/manifest.jsonl").text)
    names = [name for line in manifest for name in line["files"]]
    assert (first.code, len(names), {line["state"] for line in manifest}) == (0, 4, {"done"}), first.err
    assert {*object_storage.keys(bucket)} == {f"out/{name}" for name in [*names, "manifest.jsonl"]}
    assert sorted(first.out.split()) == sorted(f"s3://{bucket}/out/{name}" for name in names)
    object_storage.asked.clear()
    assert shell.run(*command).code == 0
    assert object_storage.asked[2:] == [f"PUT /{bucket}/out/manifest.jsonl"]


def test_one_order_is_remembered_on_postgresql(
    shell: Shell, object_storage: ObjectStorage, bucket: str, schema: Schema
) -> None:
    """`longcat generate` and `longcat wait` with such a journal save a picture once."""
    output = f"s3://{bucket}/cat.png"
    for _ in range(2):
        assert shell.run("generate", "a cat", "-o", output, "--journal", schema.url).out == f"{output}\n"
    asked = [one for one in object_storage.asked if ".longcat-probe" not in one]
    assert [one.split()[0] for one in asked] == ["PUT", "HEAD"]


def test_folders_are_layered(shell: Shell) -> None:
    """With `--layout hash`, files lie in two levels of folders. The next run finds them there, in any layout."""
    command = ["batch", "orders", "-o", "out", "--layout"]
    first = shell.run(*command, "hash")
    names = [name for line in lines(Path("out/manifest.jsonl").read_text("utf-8")) for name in line["files"]]
    assert (first.code, names[0]) == (0, "77/af/cat.png")
    assert sorted(first.out.split()) == sorted(f"out/{name}" for name in names)
    times = [Path("out", name).stat().st_mtime_ns for name in names]
    for layout in ("hash", "flat"):
        assert sorted(shell.run(*command, layout).out.split()) == sorted(first.out.split())
    assert [Path("out", name).stat().st_mtime_ns for name in names] == times
    assert sorted(path.name for path in Path("out").glob("*.*")) == [".longcat-journal.db", "manifest.jsonl"]


def test_nothing_is_paid_for_what_can_not_be_saved(shell: Shell, object_storage: ObjectStorage, bucket: str) -> None:
    """A missing bucket, a missing permission and a missing journal are told of before the first order."""
    one = shell.run("generate", "a cat", "-o", "s3://nowhere/cat.png", "--journal", "cats.db")
    assert (one.code, "There is no bucket" in one.err, Path("cats.db").exists()) == (2, True, False)
    missing = shell.run("batch", "orders", "-o", "s3://nowhere/out", "--journal", "cats.db")
    assert (missing.code, "There is no bucket" in missing.err, Path("cats.db").exists()) == (2, True, False)
    assert missing.err.endswith("another one.\n")
    object_storage.faults.append("AccessDenied")
    refused = shell.run("batch", "orders", "-o", f"s3://{bucket}/out", "--journal", "cats.db")
    assert (refused.code, "may not be used" in refused.err, Path("cats.db").exists()) == (2, True, False)
    unnamed = shell.run("batch", "orders", "-o", f"s3://{bucket}/out")
    assert (unnamed.code, "Name one with --journal" in unnamed.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("-o", "memory://cats"), "What is saved at memory:// is gone when this command ends"),
        (
            ("-o", "out", "--format", "webdataset", "--shard-size", "0"),
            "--shard-size is a whole number from one up, not 0",
        ),
        (("-o", "out", "--shard-size", "-1"), "--shard-size is a whole number from one up, not -1"),
        (("-o", "out", "--max-rate", "nan"), "--max-rate is calls per second, more than zero, not NaN"),
        (("-o", "out", "--max-rate", "1e-320"), "--max-rate is calls per second, 1e-09 or more, not 1e-320"),
        (("-o", "out", "--max-cost", "inf"), "'inf' is no amount of US dollars"),
        (("-o", "out", "--batch-timeout", "-1"), "--batch-timeout is zero or more seconds, not -1.0"),
    ],
)
def test_a_wrong_argument_is_named(shell: Shell, arguments: Sequence[str], says: str) -> None:
    """It is named as it was given, before anything is made."""
    ran = shell.run("batch", "orders", "--dry-run", *arguments)
    assert (ran.code, says in ran.err, Path("out").exists()) == (2, True, False), ran.err


NO_DATABASE: Final = "postgresql://longcat@127.0.0.1:1/cats"
NO_STORE: Final = "sftp://longcat@127.0.0.1:1/out"


@pytest.mark.parametrize(
    "command",
    [
        ("batch", "orders", "-o", "out", "--journal", NO_DATABASE),
        ("generate", "a cat", "-o", "out/", "--journal", NO_DATABASE),
        ("wait", "longcat-image-1", "longcat-image-2", "-o", "out", "--journal", NO_DATABASE),
        ("journal", NO_DATABASE),
        ("batch", "orders", "-o", NO_STORE, "--journal", "cats.db"),
        ("generate", "a cat", "-o", NO_STORE),
        ("wait", "longcat-image-1", "longcat-image-2", "-o", NO_STORE),
    ],
    ids=lambda command: f"{command[0]} {'database' if NO_DATABASE in command else 'store'}",
)
def test_what_is_down_may_be_up_again(shell: Shell, monkeypatch: pytest.MonkeyPatch, command: Sequence[str]) -> None:
    """A database or a store that can't be reached is no mistake of the user's: exit code 3, before anything is paid."""
    monkeypatch.setattr(remote, "QUICK_PATIENCE", 0.0)
    patience = ["--timeout", "0"] if command[0] == "batch" and NO_STORE in command else []
    ran = shell.run(*command, *patience)
    assert (ran.code, "can't be reached" in ran.err, ran.out) == (3, True, ""), ran.err


@pytest.mark.parametrize("is_remote", [False, True])
def test_a_batch_waits_for_its_store(  # noqa: PLR0913 - all but the last are fixtures.
    shell: Shell,
    monkeypatch: pytest.MonkeyPatch,
    object_storage: ObjectStorage,
    bucket: str,
    schema: Schema,
    *,
    is_remote: bool,
) -> None:
    """A worker that starts while the store is overloaded waits as long as --timeout says, and tells that once."""
    monkeypatch.setattr(remote, "QUICK_PATIENCE", 0.0)
    monkeypatch.setattr(retries, "sleep", lambda _: None)
    object_storage.faults.extend([SLOW_DOWN] * 3)
    journal = schema.url if is_remote else "cats.db"
    ran = shell.run("batch", "orders", "-o", f"s3://{bucket}/out", "--journal", journal)
    assert (ran.code, ran.err.count("The batch waits until its store can be used")) == (0, 1), ran.err
    object_storage.faults.extend([SLOW_DOWN] * 3)
    ran = shell.run("batch", "orders", "-o", f"s3://{bucket}/out", "--journal", journal, "--timeout", "0")
    assert (ran.code, "SlowDown" in ran.err, "waits" in ran.err) == (3, True, False), ran.err
    object_storage.faults.clear()


def test_one_picture_goes_to_its_place(
    shell: Shell, object_storage: ObjectStorage, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`longcat generate` puts it, does not pay for one that would replace another, and shows no password."""
    output = f"s3://{bucket}/cats/one.png"
    assert shell.run("generate", "a cat", "-o", output).out == f"{output}\n"
    assert object_storage.get(f"{bucket}/cats/one.png").content.startswith(PNG)
    again = shell.run("generate", "a cat", "-o", output)
    assert (again.code, "is there already. Pass --force" in again.err) == (2, True)
    assert object_storage.asked[-1] == f"HEAD /{bucket}/cats/one.png"
    monkeypatch.setattr(remote, "QUICK_PATIENCE", 0.0)
    url = f"sftp://user:{SECRET}@127.0.0.1:9/x/y.png"
    assert shell.run("generate", "a cat", "-o", url, "--timeout", "2").code == 3


# --- Shards. ---


def samples(*paths: Path) -> list[dict[str, Any]]:
    """Return what the library reads from shards. It closes no file: that is left to Python, here and not later."""
    from webdataset import WebDataset  # type: ignore[import-untyped]  # noqa: PLC0415 - it is slow to import.

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        read = [dict(one) for one in WebDataset([str(path) for path in paths], shardshuffle=False)]
        gc.collect()
    return read


def test_pictures_come_in_shards_that_webdataset_reads(shell: Shell) -> None:
    """Each picture has its prompt beside it, each shard its bound, and the next run fetches nothing anew."""
    command = ["batch", "orders", "-o", "out", "--format", "webdataset", "--shard-size", "3"]
    first = shell.run(*command)
    shards = sorted(Path("out").glob("*.tar"))
    read = [one for shard in shards for one in samples(shard)]
    manifest = lines(Path("out/manifest.jsonl").read_text("utf-8"))
    names = [name for line in manifest for name in line["files"]]
    assert (first.code, len(shards), len(read)) == (0, 2, 4)
    assert [path.name.rpartition("-")[2] for path in shards] == ["000000.tar", "000001.tar"]
    assert {f"{Path(one['__url__']).name}#{one['__key__']}.png" for one in read} == set(names)
    assert all(one["png"].startswith(PNG) and "." not in one["__key__"] for one in read)
    told = {one["__key__"]: json.loads(one["json"]) for one in read}
    assert told["cat"] == {
        "id": "cat",
        "prompt": "a",
        "request_id": manifest[0]["request_id"],
        "options": {"image_size": "landscape_4_3"},
        "cost": 0.13,
    }
    with tarfile.open(shards[0]) as tar:
        assert tar.getnames() == [f"{one['__key__']}.{end}" for one in samples(shards[0]) for end in ("png", "json")]
    before = {path: path.stat().st_mtime_ns for path in shards}
    assert (shell.run(*command).code, {path: path.stat().st_mtime_ns for path in Path("out").glob("*.tar")}) == (
        0,
        before,
    )


def test_shards_go_to_object_storage(shell: Shell, object_storage: ObjectStorage, bucket: str) -> None:
    """A shard is one object. One that the storage can't take at the moment is put again."""
    object_storage.faults.extend(["", "SlowDown"])
    output = f"s3://{bucket}/out"
    ran = shell.run("batch", "orders", "-o", output, "--journal", "cats.db", "--format", "webdataset")
    (shard,) = [key for key in object_storage.keys(bucket) if key.endswith(".tar")]
    assert (ran.code, object_storage.counted(f"PUT /{bucket}/{shard}")) == (0, 2)
    found = object_storage.get(f"{bucket}/{shard}")
    assert found.headers["content-type"] == "application/x-tar"
    Path("shard.tar").write_bytes(found.content)
    assert {one["__key__"] for one in samples(Path("shard.tar"))} >= {"cat", "ü"}
    assert all(place.startswith(f"s3://{bucket}/{shard}#") for place in ran.out.split())


def test_a_shard_that_can_not_be_put_leaves_its_lines_open(
    shell: Shell, object_storage: ObjectStorage, bucket: str
) -> None:
    """They were paid for, and the next run fetches their pictures without another order."""
    object_storage.faults.extend(["", "AccessDenied"])
    command = ["batch", "orders", "-o", f"s3://{bucket}/out", "--journal", "cats.db", "--format", "webdataset"]
    first = shell.run(*command)
    manifest = lines(object_storage.get(f"{bucket}/out/manifest.jsonl").text)
    assert (first.code, {line["state"] for line in manifest}) == (2, {"open"})
    ids = [line["request_id"] for line in manifest]
    assert shell.run(*command).code == 0
    manifest = lines(object_storage.get(f"{bucket}/out/manifest.jsonl").text)
    assert ([line["request_id"] for line in manifest], {line["state"] for line in manifest}) == (ids, {"done"})


# --- Killed, and stopped. ---


class Upload:
    """An upload that is held back, until the test is over."""

    def __init__(self) -> None:
        self.came = threading.Event()
        self.over = threading.Event()

    def hold(self) -> None:
        """Hold it back."""
        self.came.set()
        self.over.wait(LIMIT)


@pytest.fixture
def upload() -> Iterator[Upload]:
    """Return an upload that can be held back."""
    upload = Upload()
    yield upload
    upload.over.set()


def kill(shell: Shell, upload: Upload, *command: str) -> None:
    """Run a command in a fork, and kill it when its upload came."""
    assert forked(lambda: shell.run(*command), lambda: upload.came.wait(LIMIT), seconds=0) == "nothing came in 0 s"


def test_a_program_that_is_killed_while_it_uploads_leaves_nothing(
    shell: Shell, object_storage: ObjectStorage, bucket: str, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No part of a picture is there for one, no upload in parts is left behind, and the next run saves it."""
    size = 6_000_000
    monkeypatch.setattr("longcat.sandbox.app.draw_small", lambda *_: PNG + bytes(size) + b"IEND\xaeB`\x82")
    object_storage.before = upload.hold
    command = ["generate", "a cat", "-o", f"s3://{bucket}/cat.png", "--journal", "cats.db"]
    kill(shell, upload, *command)
    object_storage.before = None
    assert object_storage.get(f"{bucket}/cat.png").status_code == 404
    assert "<Upload>" not in object_storage.get(f"{bucket}?uploads").text
    assert shell.run(*command).code == 0
    assert len(object_storage.get(f"{bucket}/cat.png").content) > size


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_program_that_is_stopped_while_it_puts_a_shard_goes_on(  # noqa: PLR0913, PLR0917 - fixtures.
    request: pytest.FixtureRequest,
    shell: Shell,
    object_storage: ObjectStorage,
    bucket: str,
    upload: Upload,
    schema: Schema,
    number: signal.Signals,
) -> None:
    """The shard that is under way counts, whether it was waited for or not: each picture is in one shard, once."""

    def stop(path: str) -> None:
        if path.endswith(".tar") and not upload.came.is_set():
            upload.came.set()
            os.kill(os.getpid(), number)

    journal = "cats.db" if number == signal.SIGINT else schema.url
    command = ["batch", "orders", "-o", f"s3://{bucket}/out", "--journal", journal, "--format", "webdataset"]
    command += ["--shard-size", "1"]
    if number == signal.SIGINT:
        request.addfinalizer(partial(signal.signal, number, signal.signal(number, signal.default_int_handler)))
        object_storage.after = stop
        with pytest.raises(KeyboardInterrupt):
            shell.run(*command)
    else:
        object_storage.after = lambda path: upload.hold() if path.endswith(".tar") else None
        kill(shell, upload, *command)
    object_storage.after = None
    assert shell.run(*command).code == 0
    shards = [key for key in object_storage.keys(bucket) if key.endswith(".tar")]
    for shard in shards:
        Path(Path(shard).name).write_bytes(object_storage.get(f"{bucket}/{shard}").content)
    read = samples(*(Path(Path(shard).name) for shard in shards))
    object_storage.asked.clear()
    assert shell.run(*command).code == 0
    assert not any("PUT" in one and one.endswith(".tar") for one in object_storage.asked)
    manifest = lines(object_storage.get(f"{bucket}/out/manifest.jsonl").text)
    names = sorted(f"{Path(one['__url__']).name}#{one['__key__']}.png" for one in read)
    assert names == sorted(name for line in manifest for name in line["files"])
    assert len(names) == 4

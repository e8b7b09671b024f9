"""Pictures where everyone can reach them: object storage over real HTTP, and what else fsspec knows."""

import sys
from contextlib import suppress
from hashlib import sha256
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest
from fakes import Cat, Driver
from object_storage import CUT, DENIED, LOST, SECRET, SLOW_DOWN, ObjectStorage

from longcat import ConfigurationError, DownloadError, Image
from longcat.saving.stores.opening import open_store
from longcat.saving.stores.remote import RemoteStore
from longcat.saving.stores.store import PictureStore
from longcat.saving.stores.store_errors import StoreError, fault_of
from longcat.saving.stores.urls import StoreUrl
from longcat.testing import FakeGateway

NUMBERS: Final = count()


def drive(driver: Driver, gateway: FakeGateway, output: str, *ids: str, **options: Any) -> list[str]:
    """Save the pictures of requests as those of one, with a client that is closed afterwards."""

    async def scenario(cat: Cat) -> list[str]:
        urls = [(await cat.wait(one)).url for one in ids]
        return await cat.save(Image(ids[0], urls[0], tuple(urls)), output)

    return driver.run(scenario, gateway, **options)


def save(
    gateway: FakeGateway, output: str | PictureStore, *ids: str, journal: Path | None = None, **more: Any
) -> list[str]:
    """Do the same with the blocking client."""
    with gateway.client(journal=journal) as cat:
        urls = [cat.wait(one).url for one in ids]
        return cat.save(Image(ids[0], urls[0], tuple(urls)), output, **more)


# --- The library. ---


def test_a_picture_is_put_once_with_its_kind_and_its_hash(
    driver: Driver, object_storage: ObjectStorage, bucket: str, tmp_path: Path
) -> None:
    """One request puts it; with a journal, the next client asks about it once, and nothing is ever listed."""
    gateway, journal = FakeGateway().request("r", 0), tmp_path / "cats.db"
    expected = [f"s3://{bucket}/a b/r.png"]
    assert drive(driver, gateway, f"s3://{bucket}/a b", "r", journal=journal) == expected
    assert object_storage.asked == [f"PUT /{bucket}/a b/r.png"]
    assert drive(driver, gateway, f"s3://{bucket}/a b/", "r", journal=journal) == expected
    assert object_storage.asked[1:] == [f"HEAD /{bucket}/a b/r.png"]
    found, content = object_storage.get(f"{bucket}/a b/r.png"), gateway.picture("r")
    assert (found.content, found.headers["content-type"]) == (content, "image/png")
    assert found.headers["x-amz-meta-sha256"] == sha256(content).hexdigest()
    assert gateway.downloads == ["r"]


@pytest.mark.parametrize("change", ["gone", "other"])
def test_what_is_gone_or_another_picture_is_saved_anew(
    object_storage: ObjectStorage, bucket: str, tmp_path: Path, change: str
) -> None:
    """A record counts for as long as the store has an object of that size, and of that hash if it keeps one."""
    gateway, journal = FakeGateway().request("r", 0), tmp_path / "cats.db"
    output = f"s3://{bucket}/r.png"
    save(gateway, output, "r", journal=journal)
    if change == "gone":
        object_storage.delete(f"{bucket}/r.png")
    else:
        save(FakeGateway().request("s", 0), output, "s", overwrite=True)
    assert save(gateway, output, "r", journal=journal, overwrite=True) == [output]
    assert object_storage.get(f"{bucket}/r.png").content == gateway.picture("r")
    assert gateway.downloads == ["r", "r"]


def test_another_picture_that_is_there_is_not_replaced(object_storage: ObjectStorage, bucket: str) -> None:
    """The same bytes are as good as if they had been put; others stay, unless they may be overwritten."""
    gateway, output = FakeGateway().request("r", 0).request("s", 0), f"s3://{bucket}/cat.PNG"
    assert [save(gateway, output, "r") for _ in range(2)] == [[output]] * 2
    with pytest.raises(DownloadError, match=r"cat\.PNG is there already"):
        save(gateway, output, "s")
    assert object_storage.get(f"{bucket}/cat.PNG").content == gateway.picture("r")
    save(gateway, output, "s", overwrite=True)
    assert object_storage.get(f"{bucket}/cat.PNG").content == gateway.picture("s")


def test_a_store_that_knows_no_conditions_is_asked_before(object_storage: ObjectStorage, bucket: str) -> None:
    """Some that are compatible with S3 refuse to be told that nothing may be replaced."""
    gateway = FakeGateway().request("r", 0)
    object_storage.faults.append("NotImplemented")
    save(gateway, f"s3://{bucket}/", "r")
    assert [one.split()[0] for one in object_storage.asked] == ["PUT", "HEAD", "PUT"]


def test_a_store_that_asks_for_patience_gets_it(object_storage: ObjectStorage, bucket: str) -> None:
    """What may pass is tried again with pauses, and the picture is fetched once."""
    gateway = FakeGateway().request("r", 0)
    object_storage.faults.extend([SLOW_DOWN, "InternalError", CUT, "IncompleteBody", "RequestTimeout", "BadDigest"])
    object_storage.faults.extend(["ConditionalRequestConflict", LOST])
    save(gateway, f"s3://{bucket}/", "r")
    assert (object_storage.counted("PUT"), object_storage.counted("HEAD"), gateway.downloads) == (9, 1, ["r"])
    assert object_storage.get(f"{bucket}/r.png").content == gateway.picture("r")


def test_who_may_not_list_can_save(object_storage: ObjectStorage, bucket: str, tmp_path: Path) -> None:
    """S3 refuses to tell them that an object is missing. Nothing that is there is saved again."""
    gateway, journal, output = FakeGateway().request("r", 0), tmp_path / "cats.db", f"s3://{bucket}/cat.png"
    object_storage.is_listed = False
    assert open_store(output).existing("cat") == []
    assert [save(gateway, output, "r", journal=journal) for _ in range(2)] == [[output]] * 2
    assert object_storage.asked == [f"{verb} /{bucket}/cat.png" for verb in ("HEAD", "PUT", "HEAD")]
    store = open_store(f"s3://{bucket}")
    assert [store.holds("cat.png"), store.holds("dog.png")] == [True, False]
    object_storage.is_read = False
    with pytest.raises(StoreError, match="may not be used"):
        store.holds("dog.png")


def test_keys_and_servers_are_found_in_profiles(
    object_storage: ObjectStorage, bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As the tools of Amazon write them, without an option of ours."""
    for name in object_storage.environment:
        monkeypatch.delenv(name)
    config = f"[profile cats]\nregion = eu-west-1\nendpoint_url = {object_storage.url}\naws_access_key_id = AKIA\n"
    (tmp_path / "config").write_text(f"{config}aws_secret_access_key = {SECRET}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "cats")
    assert save(FakeGateway().request("r", 0), f"s3://{bucket}", "r") == [f"s3://{bucket}/r.png"]
    assert object_storage.counted("PUT") == 1


def test_what_a_manifest_is_written_with_is_tried_again(
    object_storage: ObjectStorage, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a picture is, but for a minute at most."""
    pauses: list[float] = []
    monkeypatch.setattr("longcat.saving.stores.retries.sleep", pauses.append)
    object_storage.faults.extend([SLOW_DOWN, "InternalError"])
    with open_store(f"s3://{bucket}").writing("manifest.jsonl", "application/jsonl") as file:
        file.write(b"{}")
    assert object_storage.get(f"{bucket}/manifest.jsonl").content == b"{}"
    assert (object_storage.counted("PUT"), len(pauses)) == (3, 2)


def test_patience_ends_with_the_deadline(object_storage: ObjectStorage, bucket: str) -> None:
    """No pause is begun that would outlast it."""
    gateway = FakeGateway().request("r", 0)
    object_storage.faults.extend([SLOW_DOWN] * 9)
    with pytest.raises(DownloadError, match=r"can't be reached at the moment: .*\. Try again later") as error:
        save(gateway, f"s3://{bucket}/", "r", timeout=20)
    assert error.value.transient
    assert 6 <= object_storage.counted("PUT") <= 8
    object_storage.faults.clear()


def test_several_pictures_are_numbered(object_storage: ObjectStorage, bucket: str) -> None:
    """Below a prefix as in a folder, and at the place of one picture as with a file."""
    gateway = FakeGateway().request("r", 0).request("s", 0)
    for output, stem in ((f"s3://{bucket}/out", "out/r"), (f"s3://{bucket}/cat.png", "cat")):
        names = [f"{stem}-1.png", f"{stem}-2.png"]
        assert save(gateway, output, "r", "s") == [f"s3://{bucket}/{name}" for name in names]
        assert [object_storage.get(f"{bucket}/{name}").content for name in names] == [*map(gateway.picture, "rs")]


def test_a_hostile_name_is_one_key(object_storage: ObjectStorage, bucket: str) -> None:
    """Whatever a picture is called, it lies right below the prefix."""
    gateway, store = FakeGateway().request("r", 0), open_store(f"s3://{bucket}/out")
    names = ["../../etc/passwd", "a/b", "x*?[1]", "Cat", "кошка", "a%2fb", "a#b?c", "\n", ""]
    places = [save(gateway, store, "r", name=name)[0] for name in names]
    keys = object_storage.keys(bucket)
    assert sorted(f"s3://{bucket}/{key}" for key in keys) == sorted(places)
    assert {(key.startswith("out/"), key.count("/")) for key in keys} == {(True, 1)}


def test_anything_that_fsspec_knows_will_do() -> None:
    """A store that can do nothing special has the picture as well, and is looked into before one is replaced."""
    gateway, output = FakeGateway().request("r", 0).request("s", 0), f"memory://cats-{next(NUMBERS)}/out"
    for _ in range(2):
        assert save(gateway, output, "r", name="cat") == [f"{output}/cat.png"]
    with pytest.raises(DownloadError, match="is there already"):
        save(gateway, output, "s", name="cat")


def test_a_client_opens_a_store_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures that it saves at one place, one after the other, need no connections of their own."""
    opened: list[str] = []

    def open_counted(place: str) -> PictureStore:
        opened.append(place)
        return open_store(place)

    monkeypatch.setattr("longcat.client.flows.open_store", open_counted)
    gateway, output = FakeGateway().request("r", 0), f"memory://cats-{next(NUMBERS)}"
    with gateway.client() as cat:
        for name in ("one", "two"):
            assert cat.save(cat.wait("r"), output, name=name) == [f"{output}/{name}.png"]
    assert opened == [output]


def test_a_url_of_a_folder_is_the_folder(tmp_path: Path) -> None:
    """`file://` is this machine, and what is saved there a path."""
    gateway = FakeGateway().request("r", 0)
    assert save(gateway, f"file://{tmp_path}", "r") == [str(tmp_path / "r.png")]
    assert (tmp_path / "r.png").read_bytes() == gateway.picture("r")


def test_what_returns_paths_saves_files_only() -> None:
    """`download` takes no URL of a store, and makes no folder that is called `s3:`."""
    with FakeGateway().request("r", 0).client() as cat, pytest.raises(ConfigurationError, match="call save"):
        cat.download(cat.wait("r"), "s3://bucket/r.png")


# --- What is refused. ---


@pytest.mark.parametrize(
    ("output", "says"),
    [
        ("foo://x/y", "Nothing here knows what foo:// is"),
        ("https://example.com/x", "Nothing can be saved at https"),
        ("s3://", "names no place"),
        ("s3://bucket/x?versionId=1", "a query"),
        ("s3://bucket/x#y", "a query"),
        (f"s3://bucket/x?token={SECRET}", "a query"),
        ("zip://x::s3://bucket/x", "several URLs in one"),
        (f"simplecache::sftp://user:{SECRET}@host/x", "several URLs in one"),
        ("s3:/bucket/x", "Write s3:// instead; in Python as a text"),
        ("s3://bucket/x\n", "names no place"),
        ("s3://bucket/../x", "names no place"),
        (f"s3://AKIA:{SECRET}/more@bucket/x", "Keys are taken from the environment"),
        (f"sftp://user:{SECRET}@host/x?y", "a query"),
        (f"sftp://user:{SECRET}@host/[x]", r"one of the characters \*\[\]"),
        (f"ftp+x://user:{SECRET}@host/", "Nothing here knows"),
        ("file://host/x", "three slashes"),
    ],
)
def test_a_url_that_is_no_store_is_refused(output: str, says: str) -> None:
    """It is said why, and never with the password."""
    with pytest.raises(ConfigurationError, match=says) as error:
        open_store(output)
    assert SECRET not in f"{error.value!r} {error.value}"


def test_every_scheme_of_fsspec_is_a_store_or_refused() -> None:
    """One that only reads, or stands for another place, is none; and nothing else is a folder of that name."""
    stores = set()
    for scheme in import_module("fsspec").available_protocols():
        with suppress(ConfigurationError):
            assert isinstance(open_store(f"{scheme}://host/x"), RemoteStore)
            stores.add(scheme)
    assert {"s3", "gs", "az", "sftp", "ftp", "memory"} <= stores
    assert not stores & {"file", "http", "zip", "simplecache", "reference", "data"}


@pytest.mark.parametrize(("missing", "named"), [("fsspec", "fsspec"), ("s3fs", "s3fs")])
def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, missing: str, named: str) -> None:
    """With the command that installs it."""
    monkeypatch.delitem(import_module("fsspec.registry")._registry, "s3", raising=False)
    monkeypatch.setitem(sys.modules, missing, None)
    says = rf"needs the package {named}, .* pip install 'longcat-image\[cloud\]'"
    with pytest.raises(ConfigurationError, match=says):
        open_store("s3://bucket/x")


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("no bucket", "There is no bucket or folder for s3://nowhere/.* bucket does not exist"),
        (DENIED, "may not be used: AccessDenied it is"),
        ("SignatureDoesNotMatch", "may not be used: SignatureDoesNotMatch it is"),
        ("ExpiredToken", r"may not be used: ExpiredToken it is\. Look at the credentials"),
        ("RequestTimeTooSkewed", r"it is\. Set the clock of this machine"),
        ("an odd name", "There is no bucket or folder for s3://B_odd"),
        ("no network", "can't be reached at the moment: Could not connect"),
        ("no keys", "can't be used: Unable to locate credentials"),
    ],
)
def test_a_store_that_does_not_take_it_says_why(
    object_storage: ObjectStorage,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    says: str,
) -> None:
    """In one sentence, with what to do about it, and without a key."""
    match fault:
        case "no bucket":
            bucket = "nowhere"
        case "an odd name":
            bucket = "B_odd..Name"
        case "no network":
            monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        case "no keys":
            monkeypatch.delenv("AWS_ACCESS_KEY_ID")
            monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        case code:
            object_storage.faults.append(code)
    with pytest.raises(DownloadError, match=says) as error:
        save(FakeGateway().request("r", 0), f"s3://{bucket}/x", "r", timeout=20)
    assert error.value.transient is (fault == "no network")
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    ("carried", "says"),
    [
        ({"status_code": 403}, "may not be used"),
        ({"code": "403"}, "may not be used"),
        ({"status": 404}, "There is no bucket or folder"),
        ({"status_code": 200, "code": 503}, "can't be reached at the moment"),  # The first part of it went well.
        ({"status": 7, "code": 429}, "can't be reached at the moment"),  # A number of another kind.
        ({"code": 600}, "can't be used"),
        ({"code": "NoSuchThing"}, "can't be used"),
        ({"response": {"ResponseMetadata": {"HTTPStatusCode": 409}}}, "can't be reached at the moment"),
        ({"response": {}}, "can't be used"),
    ],
)
def test_the_status_that_an_error_carries_says_what_it_means(carried: dict[str, Any], says: str) -> None:
    """Each library puts it elsewhere, and has numbers in the same places that are none."""
    url = StoreUrl.read("gs://bucket/x")
    assert url is not None
    error = type("LibraryError", (Exception,), carried)("it went wrong")
    assert says in str(fault_of(error, "gs://bucket/x", url))

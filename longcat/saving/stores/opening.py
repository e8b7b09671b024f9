"""Which kind of store a place is."""

import re
from collections.abc import Callable, Mapping
from importlib import import_module
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Final

from longcat.errors import ConfigurationError
from longcat.saving.pictures.kinds import SUFFIXES
from longcat.saving.stores.drivers import AzureDriver, Driver, GoogleDriver, S3Driver
from longcat.saving.stores.folder import FolderStore
from longcat.saving.stores.layout import FormatName, Layout, LayoutName
from longcat.saving.stores.plain_drivers import PlainDriver, SftpDriver
from longcat.saving.stores.remote import RemoteStore
from longcat.saving.stores.shards import MOST_PICTURES, ShardStore, ShardWriter
from longcat.saving.stores.store import PictureStore
from longcat.saving.stores.urls import FILE, StoreUrl
from longcat.settings import usable_count
from longcat.text import missing_package, shorten

WEBDATASET: Final = "webdataset"
EXTRA: Final = "cloud"
DRIVERS: Final[Mapping[str, tuple[Callable[[StoreUrl, Any], Driver], str]]] = {
    **dict.fromkeys(("s3", "s3a"), (S3Driver, "s3fs")),
    **dict.fromkeys(("gs", "gcs"), (GoogleDriver, "gcsfs")),
    **dict.fromkeys(("az", "abfs", "abfss"), (AzureDriver, "adlfs")),
    **dict.fromkeys(("sftp", "ssh"), (SftpDriver, "paramiko")),
}
"""The drivers of schemes, with the packages that they need. Every other one is `PlainDriver`."""
NO_STORES: Final = frozenset({"http", "https", "data", "github", "git", "jupyter", "reference", "generic", "dir"})
"""Schemes that fsspec knows, and that name no place to save something in."""
GLOB: Final = re.compile(r"[*\[\]]")
"""What fsspec takes for a pattern of names. (`?` is in no URL of a store anyway.)"""


def open_store(
    output: str | PathLike[str],
    *,
    layout: LayoutName = "flat",
    format: FormatName = "files",  # noqa: A002 - as people call it.
    shard_size: int = MOST_PICTURES,
    folder: bool = False,
) -> PictureStore:
    """Return the store at a place. Nothing is made or asked there yet.

    Args:
        output: a file or a folder; or a URL, such as `s3://bucket/prefix`, which needs the extra `cloud`. A URL names
            the place of one picture if it ends in the suffix of one (`.png`), else what all their places begin with.
        layout: how pictures lie there: `flat`, beside each other; or `hash`, in two levels of 256 folders each.
        format: `files`; or `webdataset`, tar files with a JSON object beside each picture.
        shard_size: how many pictures make a tar file full, if 256 MiB of them don't.
        folder: whether a URL is never the place of one picture.

    Raises ConfigurationError when the URL names nothing that can be a store here, or a package is missing.
    """
    if layout not in [*Layout]:
        raise ConfigurationError(f"layout is flat or hash, not {shorten(layout)}.")
    if format not in {"files", WEBDATASET}:
        raise ConfigurationError(f"format is files or webdataset, not {shorten(format)}.")
    if format == WEBDATASET:
        if Layout(layout) is not Layout.FLAT:
            raise ConfigurationError("The layout hash is for files: shards are few. Leave it out.")
        store = open_store(output, folder=True)
        return ShardStore(ShardWriter(store, usable_count(shard_size)))
    text = fspath(output)
    url = StoreUrl.read(text) if isinstance(output, str) else None
    if url is None:
        return FolderStore(Path(text), Layout(layout))
    if url.scheme in FILE:
        path = url.text.partition("://")[2]
        if not path.startswith("/"):
            raise ConfigurationError(f"{shorten(url.shown)} names a host. Write three slashes: file:///folder.")
        return FolderStore(Path(path), Layout(layout))
    make, _ = DRIVERS.get(url.scheme, (PlainDriver, ""))
    kind = _file_system_kind(url)
    key = kind._strip_protocol(url.text)  # noqa: SLF001 - fsspec's way for those who write drivers.
    if GLOB.search(key):
        raise ConfigurationError(f"{shorten(url.shown)} has one of the characters *[]. Name another place.")
    suffix = url.shown.rpartition("/")[2].rpartition(".")[2].lower()
    is_picture = suffix in {*SUFFIXES, "jpeg"} and "/" in key.strip("/")
    return RemoteStore(url, folder or text.endswith("/") or not is_picture, Layout(layout), make(url, kind), key)


def _file_system_kind(url: StoreUrl) -> Any:
    """Return fsspec's class for the URL of a store. Raises ConfigurationError when there is none."""
    what = f"To save pictures at {url.scheme}://"
    if url.scheme in NO_STORES:
        raise ConfigurationError(f"Nothing can be saved at {shorten(url.shown)}. Name a folder, or s3://bucket/prefix.")
    try:
        return import_module("fsspec").get_filesystem_class(url.scheme)
    except ImportError as error:
        package = DRIVERS[url.scheme][1] if url.scheme in DRIVERS else None
        if getattr(error, "name", None) == "fsspec":
            package = "fsspec"
        if package is not None:
            raise ConfigurationError(missing_package(what, package, EXTRA)) from error
        raise ConfigurationError(f"{what} needs a package that is not installed: {error}.") from error
    except ValueError as error:
        raise ConfigurationError(
            f"Nothing here knows what {url.scheme}:// is. Name a folder, or a place behind s3://, gs://, az://, sftp://"
            " or another scheme of fsspec."
        ) from error

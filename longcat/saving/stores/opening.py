"""Opens the store at a place, whichever kind it is of."""

import re
from collections.abc import Callable, Mapping
from importlib import import_module
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Final

from longcat.errors import ConfigurationError
from longcat.saving.pictures.kinds import SUFFIXES
from longcat.saving.stores.drivers import AzureDriver, GoogleDriver, S3Driver, StorageDriver
from longcat.saving.stores.folder import FolderStore
from longcat.saving.stores.layout import LAYOUTS, Layout
from longcat.saving.stores.plain_drivers import PlainDriver, SftpDriver
from longcat.saving.stores.remote import RemoteStore
from longcat.saving.stores.store import PictureStore
from longcat.saving.stores.urls import FILE, StoreUrl
from longcat.text import missing_package, shorten

EXTRA: Final = "cloud"
DRIVERS: Final[Mapping[str, tuple[Callable[[StoreUrl, Any], StorageDriver], str]]] = {
    **dict.fromkeys(("s3", "s3a"), (S3Driver, "s3fs")),
    **dict.fromkeys(("gs", "gcs"), (GoogleDriver, "gcsfs")),
    **dict.fromkeys(("az", "abfs", "abfss"), (AzureDriver, "adlfs")),
    **dict.fromkeys(("sftp", "ssh"), (SftpDriver, "paramiko")),
}
"""The drivers of schemes, with the packages that they need. Every other one is `PlainDriver`."""
NO_STORES: Final = frozenset(
    {
        *("http", "https", "data", "git", "github", "gist", "dvc", "jupyter", "jlab", "dask", "pyscript", "adl"),
        *("tar", "zip", "libarchive", "reference", "generic", "dir", "async_wrapper", "asyncwrapper", "asynclocal"),
        *("simplecache", "filecache", "blockcache", "cached"),
    }
)
"""Schemes that fsspec knows, and that are read only, retired, or stand for another place."""
GLOB: Final = re.compile(r"[*\[\]]")
"""What fsspec takes for a pattern of names. (`?` is in no URL of a store anyway.)"""


def open_store(output: str | PathLike[str], *, layout: Layout = "flat", folder: bool = False) -> PictureStore:
    """Return the store at a place. Nothing is made or asked there yet.

    Args:
        output: a file or a folder; or a URL, such as `s3://bucket/prefix`, which needs the extra `cloud`. A URL names
            the place of one picture if it ends in the suffix of one (`.png`), else what all their places begin with.
        layout: how new pictures lie there: `flat`, beside each other; or `hash`, in two levels of 256 folders each.
        folder: whether it is never the place of one picture.

    Raises ConfigurationError when the URL names nothing that can be a store here, or a package is missing.
    """
    if layout not in LAYOUTS:
        raise ConfigurationError(f"layout is flat or hash, not {shorten(layout)}.")
    text = fspath(output)
    url = StoreUrl.read(text)
    if url is None:
        return FolderStore(Path(text), layout, must_be_folder=folder)
    if url.scheme in FILE:
        path = url.text.partition("://")[2]
        if not path.startswith("/"):
            raise ConfigurationError(f"{shorten(url.shown)} names a host. Write three slashes: file:///folder.")
        return FolderStore(Path(path), layout, must_be_folder=folder)
    kind = _file_system_kind(url)
    key = kind._strip_protocol(url.text)  # noqa: SLF001 - fsspec's way for those who write drivers.
    if GLOB.search(key):
        raise ConfigurationError(f"{shorten(url.shown)} has one of the characters *[]. Name another place.")
    suffix = url.shown.rpartition("/")[2].rpartition(".")[2].lower()
    is_picture = suffix in {*SUFFIXES, "jpeg"} and "/" in key.strip("/")
    make, _ = DRIVERS.get(url.scheme, (PlainDriver, ""))
    return RemoteStore(url, folder or text.endswith("/") or not is_picture, layout, make(url, kind), key)


def _file_system_kind(url: StoreUrl) -> Any:
    """Return fsspec's class for the URL of a store. Raises ConfigurationError when there is none."""
    what = f"To save pictures at {url.scheme}://"
    if url.scheme in NO_STORES:
        raise ConfigurationError(f"Nothing can be saved at {url.scheme}://. Name a folder, or s3://bucket/prefix.")
    try:
        return import_module("fsspec").get_filesystem_class(url.scheme)
    except ImportError as error:
        package = "fsspec" if error.name == "fsspec" else DRIVERS.get(url.scheme, (None, None))[1]
        if package is not None:
            raise ConfigurationError(missing_package(what, package, EXTRA)) from error
        raise ConfigurationError(f"{what} needs a package that is not installed: {error}.") from error
    except ValueError as error:
        raise ConfigurationError(
            f"Nothing here knows what {url.scheme}:// is. Name a folder, or a place behind s3://, gs://, az://, sftp://"
            " or another scheme of fsspec."
        ) from error

"""Drivers for stores that know files and folders, such as SFTP, or nothing but what fsspec itself does."""

import hashlib
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from longcat.saving.stores.drivers import CONNECT_TIMEOUT, READ_TIMEOUT, FileSystem, ObjectBody, StoredObject
from longcat.saving.stores.urls import StoreUrl

READ_SIZE: Final = 1024 * 1024
"""Bytes that are read at a time."""


class PlainDriver:
    """Any file system of fsspec: a file gets a temporary name, and its own when it is complete.

    It does one thing at a time, as not every library below may be shared by threads. That library bounds the time, if
    it does.
    """

    def __init__(self, url: StoreUrl, kind: Any, **options: Any) -> None:
        self._file_system = FileSystem(url, kind, **options)
        self._lock = threading.Lock()
        self._folders: set[str] = set()
        """Those that are there."""

    def put(self, body: ObjectBody, key: str, *, overwrite: bool, timeout: float) -> None:  # noqa: ARG002 - see above.
        """Put a file. To look whether there is one and to put it are two steps here."""
        folder = key.rpartition("/")[0]
        part = f"{folder}/.longcat-{secrets.token_hex(8)}.part"
        with self._using() as fs:
            if folder not in self._folders:
                fs.makedirs(folder, exist_ok=True)
                self._folders.add(folder)
            if not overwrite and _size(fs, key) is not None:
                raise FileExistsError(key)
            try:
                fs.put_file(str(body.path), part)
                fs.mv(part, key)
            except BaseException:
                with suppress(Exception):  # The connection may be dead.
                    fs.rm_file(part)
                raise

    def stat(self, key: str, *, read: bool) -> StoredObject | None:
        """Return what the store says about a file. None: there is none."""
        with self._using() as fs:
            size = _size(fs, key)
            if size is None:
                return None
            if not read:
                return StoredObject(size, None)
            with fs.open(key, "rb") as file:
                digest = hashlib.sha256()
                while block := file.read(READ_SIZE):
                    digest.update(block)
            return StoredObject(size, digest.hexdigest())

    def delete(self, key: str) -> None:
        """Delete a file."""
        with self._using() as fs:
            fs.rm_file(key)

    @contextmanager
    def _using(self) -> Iterator[Any]:
        """Lend the file system. Another one is made after an error."""
        with self._lock:
            try:
                yield self._get()
            except FileExistsError:
                raise
            except BaseException:
                self._file_system.drop()
                raise

    def _get(self) -> Any:
        return self._file_system.get()


def _size(fs: Any, key: str) -> int | None:
    """Return how many bytes a file has. None: there is none. fsspec's `exists` would say so after any error."""
    try:
        size: int = fs.info(key)["size"]
    except FileNotFoundError:
        return None
    return size


class SftpDriver(PlainDriver):
    """SFTP: to hosts that the user's `known_hosts` names, as `ssh` would."""

    def __init__(self, url: StoreUrl, kind: Any) -> None:
        bounds = dict.fromkeys(("timeout", "banner_timeout", "auth_timeout"), CONNECT_TIMEOUT)
        super().__init__(url, kind, host_key_policy=_known_hosts_policy(), **bounds)

    def _get(self) -> Any:
        fs = super()._get()
        if not fs.client.get_transport().is_active():
            self._file_system.drop()
            fs = super()._get()
        fs.ftp.get_channel().settimeout(READ_TIMEOUT)
        return fs


def _known_hosts_policy() -> Any:
    """Return what refuses hosts that the user does not know. fsspec alone trusts any, and would send it a password."""
    paramiko = import_module("paramiko")

    class KnownHostsOnly(paramiko.MissingHostKeyPolicy):  # type: ignore[misc, name-defined]
        """Accepts the keys that `known_hosts` has."""

        def missing_host_key(self, client: object, hostname: str, key: Any) -> None:  # noqa: ARG002 - paramiko's.
            """Raise UnknownHostError unless the host has this key."""
            known = paramiko.HostKeys()
            with suppress(OSError):
                known.load(str(Path.home() / ".ssh" / "known_hosts"))
            if not known.check(hostname, key):
                raise UnknownHostError(f"~/.ssh/known_hosts has no {key.get_name()} key of {hostname}, or another one")

    return KnownHostsOnly()


class UnknownHostError(Exception):
    """A host is not known, or not the one that is known."""

"""How whole objects are put into the stores that fsspec knows, and what is asked about them.

An object appears whole or not at all. S3, Google's and Azure's storage take it in one request, or in parts that nobody
sees before the last. Everywhere else it gets a temporary name, and its own when it is complete. Nothing is listed.
Every method blocks, and raises what the library below raises: `faults` tells what it means.
"""

import base64
import errno
import os
import threading
from collections.abc import Callable
from http import HTTPStatus
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Protocol

from attrs import frozen

from longcat.saving.stores.urls import StoreUrl

CONNECT_TIMEOUT: Final = 10.0
"""Seconds in which a connection must come about."""
READ_TIMEOUT: Final = 30.0
"""Seconds after which a server that says nothing is given up."""
BLOCK: Final = 1024 * 1024
"""Bytes that are read at a time."""
HASH: Final = "sha256"
"""The name under which a store keeps the hash of an object beside it."""


@frozen
class StoredObject:
    """What a store says about an object.

    Attributes:
        size: how many bytes it has.
        sha256: the SHA-256 of its bytes, in hex, as it was kept with it. None: it was not.
    """

    size: int
    sha256: str | None


@frozen
class ObjectBody:
    """What is to become an object.

    Attributes:
        path: the file with its bytes.
        media_type: what kind of bytes they are.
        sha256: their SHA-256, in hex.
    """

    path: Path
    media_type: str
    sha256: str


class Driver(Protocol):
    """Puts objects into one store. Threads may share it."""

    def put(self, body: ObjectBody, key: str, *, overwrite: bool, timeout: float) -> None:
        """Put an object, in so many seconds. Raises FileExistsError, or an error with status 412, if there is one."""

    def stat(self, key: str, timeout: float) -> StoredObject | None:
        """Return what the store says about an object. None: there is none."""

    def read_hash(self, key: str, timeout: float) -> str | None:
        """Return the SHA-256 of an object, which is read. None: this is not worth it, as the store keeps hashes."""


class FileSystem:
    """A file system of fsspec, made when it is first needed, and anew in a forked process or after `drop`."""

    def __init__(self, url: StoreUrl, kind: Any, **options: Any) -> None:
        self._make: Callable[[], Any] = lambda: kind(
            **kind._get_kwargs_from_urls(url.text),  # noqa: SLF001 - fsspec's way for those who write drivers.
            **options,
            skip_instance_cache=True,
        )
        self._lock = threading.Lock()
        self._made: tuple[int, Any] | None = None

    def get(self) -> Any:
        """Return the file system."""
        with self._lock:
            if self._made is None or self._made[0] != os.getpid():
                self._made = os.getpid(), self._make()
            return self._made[1]

    def drop(self) -> None:
        """Make another one next time, as the connection of this one may be dead."""
        with self._lock:
            self._made = None


class AsyncDriver:
    """What drivers for file systems of fsspec have in common that have an event loop, in a thread of its own."""

    def __init__(self, url: StoreUrl, kind: Any, **options: Any) -> None:
        self._file_system = FileSystem(url, kind, **options)

    def _run(self, function: Callable[..., Any], *arguments: Any, timeout: float) -> Any:
        fs = self._file_system.get()
        return import_module("fsspec.asyn").sync(fs.loop, function, fs, *arguments, timeout=max(timeout, 0.1))

    def read_hash(self, key: str, timeout: float) -> str | None:  # noqa: ARG002 - see Driver.
        """Return None: the store keeps the hash with each object."""
        return None


class S3Driver(AsyncDriver):
    """S3 and what is compatible with it: one request for each object."""

    def __init__(self, url: StoreUrl, kind: Any) -> None:
        # Who puts objects tries again, until the deadline.
        retries = {"total_max_attempts": 1}
        config = {"retries": retries, "connect_timeout": CONNECT_TIMEOUT, "read_timeout": READ_TIMEOUT}
        super().__init__(url, kind, config_kwargs=config)
        self._knows_conditions = True

    def put(self, body: ObjectBody, key: str, *, overwrite: bool, timeout: float) -> None:
        """Put an object, whose bytes the store checks against their hash.

        Some stores that are compatible otherwise can't be told not to replace one: they are asked before.
        """
        if not overwrite and self._knows_conditions:
            try:
                return self._run(self._put, body, key, {"IfNoneMatch": "*"}, timeout=timeout)  # type: ignore[no-any-return]
            except OSError as error:
                if error.errno != errno.ENOSYS:
                    raise
                self._knows_conditions = False
        if not overwrite and self.stat(key, timeout) is not None:
            raise FileExistsError(key)
        return self._run(self._put, body, key, {}, timeout=timeout)  # type: ignore[no-any-return]

    def stat(self, key: str, timeout: float) -> StoredObject | None:
        """Return what the store says about an object. None: there is none."""
        try:
            found = self._run(self._head, key, timeout=timeout)
        except FileNotFoundError:
            return None
        return StoredObject(found["ContentLength"], found["Metadata"].get(HASH))

    @staticmethod
    async def _put(fs: Any, body: ObjectBody, key: str, condition: dict[str, str]) -> None:
        fs.retries = 1
        bucket, name, _ = fs.split_path(key)
        with body.path.open("rb") as file:
            await fs._call_s3(  # noqa: SLF001 - its public form can't be told when to stop.
                "put_object",
                Bucket=bucket,
                Key=name,
                Body=file,
                ContentType=body.media_type,
                ChecksumSHA256=base64.b64encode(bytes.fromhex(body.sha256)).decode(),
                Metadata={HASH: body.sha256},
                **condition,
            )

    @staticmethod
    async def _head(fs: Any, key: str) -> Any:
        fs.retries = 1
        bucket, name, _ = fs.split_path(key)
        return await fs._call_s3("head_object", Bucket=bucket, Key=name)  # noqa: SLF001 - `info` lists what is not there.


class GoogleDriver(AsyncDriver):
    """Google's storage: one request for each object, or several for a large one, which appears with the last."""

    def put(self, body: ObjectBody, key: str, *, overwrite: bool, timeout: float) -> None:
        """Put an object."""
        self._run(self._put, body, key, "overwrite" if overwrite else "create", timeout=timeout)

    def stat(self, key: str, timeout: float) -> StoredObject | None:
        """Return what the store says about an object. None: there is none."""
        try:
            found = self._run(self._get, key, timeout=timeout)
        except FileNotFoundError:
            return None
        return StoredObject(int(found["size"]), (found.get("metadata") or {}).get(HASH))

    @staticmethod
    async def _put(fs: Any, body: ObjectBody, key: str, mode: str) -> None:
        await fs._put_file(  # noqa: SLF001 - as above.
            str(body.path), key, metadata={HASH: body.sha256}, content_type=body.media_type, mode=mode
        )

    @staticmethod
    async def _get(fs: Any, key: str) -> Any:
        bucket, name, _ = fs.split_path(key)
        return await fs._call("GET", "b/{}/o/{}", bucket, name, json_out=True)  # noqa: SLF001 - as above.


class AzureDriver(AsyncDriver):
    """Azure's storage of blobs: one request for each, or several for a large one, which appears with the last."""

    def put(self, body: ObjectBody, key: str, *, overwrite: bool, timeout: float) -> None:
        """Put a blob."""
        try:
            self._run(self._put, body, key, overwrite, timeout=timeout)
        except import_module("azure.core.exceptions").ResourceExistsError as error:  # As another 409 is not.
            raise FileExistsError(key) from error

    def stat(self, key: str, timeout: float) -> StoredObject | None:
        """Return what the store says about a blob. None: there is none."""
        try:
            found = self._run(self._get, key, timeout=timeout)
        except Exception as error:
            if getattr(error, "status_code", None) == HTTPStatus.NOT_FOUND:
                return None
            raise
        return StoredObject(found.size, (found.metadata or {}).get(HASH))

    @staticmethod
    async def _put(fs: Any, body: ObjectBody, key: str, overwrite: bool) -> None:
        container, name, _ = fs.split_path(key)
        settings = import_module("azure.storage.blob").ContentSettings(content_type=body.media_type)
        async with fs.service_client.get_blob_client(container, name) as client:
            with body.path.open("rb") as file:
                await client.upload_blob(
                    file, overwrite=overwrite, metadata={HASH: body.sha256}, content_settings=settings
                )

    @staticmethod
    async def _get(fs: Any, key: str) -> Any:
        container, name, _ = fs.split_path(key)
        async with fs.service_client.get_blob_client(container, name) as client:
            return await client.get_blob_properties()

"""Puts whole objects into the storages of S3, Google and Azure by fsspec, and asks about them.

The storages take an object in one request, or in parts that nobody sees before the last. Nothing is listed: that takes
long where there are many objects, and not everyone may. Every method blocks, and raises what the library below raises:
`store_errors` tells what it means.
"""

import base64
import errno
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Protocol

from attrs import frozen

from longcat.saving.stores.urls import StoreUrl

CONNECT_TIMEOUT: Final = 10.0
"""Seconds in which a connection must come about."""
READ_TIMEOUT: Final = 30.0
"""Seconds after which a server that says nothing is given up, and in which it tells of an object."""
HASH: Final = "sha256"
"""The name under which a store keeps the hash of an object beside it."""


@frozen
class StoredObject:
    """An object, as its store describes it.

    Attributes:
        size: how many bytes it has.
        sha256: the SHA-256 of its bytes, in hex, as it was kept with it. None: it was not.
    """

    size: int
    sha256: str | None


@frozen
class ObjectBody:
    """The bytes that are to become an object.

    Attributes:
        path: the file with its bytes.
        media_type: what kind of bytes they are.
        sha256: their SHA-256, in hex.
        size: how many there are.
    """

    path: Path
    media_type: str
    sha256: str
    size: int

    def is_in(self, stored: StoredObject | None) -> bool:
        """Whether an object has these bytes, by what its store says."""
        return stored == StoredObject(self.size, self.sha256)


class StorageDriver(Protocol):
    """Puts objects into one store. Threads may share it."""

    def put(self, body: ObjectBody, key: str, *, overwrite: bool, timeout: float) -> None:
        """Put an object, in so many seconds: whole or not at all.

        Raises FileExistsError, or an error with status 412, when there is one that may not be replaced.
        """

    def stat(self, key: str, *, read: bool) -> StoredObject | None:
        """Return what the store says about an object. None: there is none.

        With `read`, a store that keeps no hashes finds the hash out, by reading the object.
        """

    def delete(self, key: str) -> None:
        """Delete an object."""


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


class ObjectDriver:
    """The base of the drivers below. The file systems of fsspec have an event loop, in a thread of its own."""

    def __init__(self, url: StoreUrl, kind: Any, **options: Any) -> None:
        self._file_system = FileSystem(url, kind, **options)

    def put(self, body: ObjectBody, key: str, *, overwrite: bool, timeout: float) -> None:
        """Put an object."""
        self._run(self._put, timeout, key, body, overwrite)

    def stat(self, key: str, *, read: bool) -> StoredObject | None:  # noqa: ARG002 - hashes are kept.
        """Return what the store says about an object. None: there is none."""
        try:
            return self._run(self._stat, READ_TIMEOUT, key)  # type: ignore[no-any-return]
        except FileNotFoundError:
            return None

    def delete(self, key: str) -> None:
        """Delete an object."""
        self._run(self._delete, READ_TIMEOUT, key)

    def _run(self, function: Callable[..., Any], timeout: float, key: str, *arguments: Any) -> Any:
        fs = self._file_system.get()
        bucket, name, _ = fs.split_path(key)
        sync = import_module("fsspec.asyn").sync
        return sync(fs.loop, function, fs, bucket, name, *arguments, timeout=max(timeout, 0.1))

    async def _put(self, fs: Any, bucket: str, name: str, body: ObjectBody, overwrite: bool) -> None:
        raise NotImplementedError

    async def _stat(self, fs: Any, bucket: str, name: str) -> StoredObject:
        raise NotImplementedError

    @staticmethod
    async def _delete(fs: Any, bucket: str, name: str) -> None:
        await fs._rm_file(f"{bucket}/{name}")  # noqa: SLF001 - its public form can't be told when to stop.


class S3Driver(ObjectDriver):
    """S3 and what is compatible with it: one request for each object, whose bytes the storage checks by their hash."""

    def __init__(self, url: StoreUrl, kind: Any) -> None:
        # Who puts objects tries again, until the deadline.
        retries = {"total_max_attempts": 1}
        config = {"retries": retries, "connect_timeout": CONNECT_TIMEOUT, "read_timeout": READ_TIMEOUT}
        super().__init__(url, kind, config_kwargs=config)
        self._knows_conditions = True

    async def _put(self, fs: Any, bucket: str, name: str, body: ObjectBody, overwrite: bool) -> None:
        """Put an object. A compatible storage that can't be told to replace none is asked before."""
        if not overwrite and self._knows_conditions:
            try:
                return await self._put_object(fs, bucket, name, body, IfNoneMatch="*")
            except OSError as error:
                if error.errno != errno.ENOSYS:
                    raise
                self._knows_conditions = False
        if not overwrite:
            with suppress(FileNotFoundError):
                await self._stat(fs, bucket, name)
                raise FileExistsError(name)
        return await self._put_object(fs, bucket, name, body)

    async def _put_object(self, fs: Any, bucket: str, name: str, body: ObjectBody, **condition: str) -> None:
        fs.retries = 1
        checksum = base64.b64encode(bytes.fromhex(body.sha256)).decode()
        with body.path.open("rb") as file:
            await fs._call_s3(  # noqa: SLF001 - as above.
                "put_object",
                Bucket=bucket,
                Key=name,
                Body=file,
                ContentType=body.media_type,
                ChecksumSHA256=checksum,
                Metadata={HASH: body.sha256},
                **condition,
            )

    async def _stat(self, fs: Any, bucket: str, name: str) -> StoredObject:
        fs.retries = 1
        found = await fs._call_s3("head_object", Bucket=bucket, Key=name)  # noqa: SLF001 - `info` lists what is missing.
        return StoredObject(found["ContentLength"], found["Metadata"].get(HASH))


class GoogleDriver(ObjectDriver):
    """Google's storage: one request for each object, or several for a large one, which appears with the last."""

    async def _put(self, fs: Any, bucket: str, name: str, body: ObjectBody, overwrite: bool) -> None:
        await fs._put_file(  # noqa: SLF001 - as above.
            str(body.path),
            f"{bucket}/{name}",
            metadata={HASH: body.sha256},
            content_type=body.media_type,
            mode="overwrite" if overwrite else "create",
        )

    async def _stat(self, fs: Any, bucket: str, name: str) -> StoredObject:
        found = await fs._call("GET", "b/{}/o/{}", bucket, name, json_out=True)  # noqa: SLF001 - as above.
        return StoredObject(int(found["size"]), (found.get("metadata") or {}).get(HASH))


class AzureDriver(ObjectDriver):
    """Azure's storage of blobs: one request for each, or several for a large one, which appears with the last."""

    async def _put(self, fs: Any, bucket: str, name: str, body: ObjectBody, overwrite: bool) -> None:
        settings = import_module("azure.storage.blob").ContentSettings(content_type=body.media_type)
        metadata = {HASH: body.sha256}
        try:
            async with fs.service_client.get_blob_client(bucket, name) as client:
                with body.path.open("rb") as file:
                    await client.upload_blob(file, overwrite=overwrite, metadata=metadata, content_settings=settings)
        except import_module("azure.core.exceptions").ResourceExistsError as error:  # As another 409 is not.
            raise FileExistsError(name) from error

    async def _stat(self, fs: Any, bucket: str, name: str) -> StoredObject:
        try:
            async with fs.service_client.get_blob_client(bucket, name) as client:
                found = await client.get_blob_properties()
        except import_module("azure.core.exceptions").ResourceNotFoundError as error:
            raise FileNotFoundError(name) from error
        return StoredObject(found.size, (found.metadata or {}).get(HASH))

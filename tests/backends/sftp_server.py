"""A real SFTP server on this machine, for one folder, one user and one password."""

# paramiko has no types.
# mypy: disable-error-code="no-any-return,misc"

import os
import socket
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import paramiko  # type: ignore[import-untyped]


class SftpFolder(paramiko.SFTPServerInterface):
    """The files of a folder. What is not needed here is refused, listings among it."""

    def __init__(self, server: "SftpUser", *_: Any) -> None:
        self._root = server.root

    def _path(self, path: str) -> str:
        return str(self._root) + self.canonicalize(path)

    def stat(self, path: str) -> Any:
        """Tell of a file."""
        try:
            return paramiko.SFTPAttributes.from_stat(os.stat(self._path(path)))  # noqa: PTH116 - as paramiko wants it.
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)

    lstat = stat

    def open(self, path: str, flags: int, _attr: object) -> Any:
        """Open a file."""
        try:
            file = os.fdopen(os.open(self._path(path), flags, 0o666), "wb" if flags & os.O_WRONLY else "rb")
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)
        handle = paramiko.SFTPHandle(flags)
        handle.readfile = handle.writefile = file
        handle.stat = lambda: self.stat(path)
        return handle

    def mkdir(self, path: str, _attr: object) -> int:
        """Make a folder."""
        Path(self._path(path)).mkdir()
        return paramiko.SFTP_OK

    def remove(self, path: str) -> int:
        """Remove a file."""
        Path(self._path(path)).unlink()
        return paramiko.SFTP_OK

    def posix_rename(self, old: str, new: str) -> int:
        """Give a file another name, in place of one that has it."""
        Path(self._path(old)).replace(self._path(new))
        return paramiko.SFTP_OK


class SftpUser(paramiko.ServerInterface):
    """Lets one user in."""

    def __init__(self, root: Path, password: str) -> None:
        self.root = root
        self._password = password

    def check_auth_password(self, username: str, password: str) -> int:
        """Whether it is the user."""
        right = (username, password) == ("cat", self._password)
        return paramiko.AUTH_SUCCESSFUL if right else paramiko.AUTH_FAILED

    def get_allowed_auths(self, _username: str) -> str:
        """Return what may be tried."""
        return "password"

    def check_channel_request(self, _kind: str, _number: int) -> int:
        """Allow a channel."""
        return paramiko.OPEN_SUCCEEDED


class SftpServer:
    """Serves a folder, in threads.

    Attributes:
        port: where it listens.
        known_hosts: its line in that file.
        connections: those that were made.
    """

    def __init__(self, root: Path, password: str) -> None:
        self._user = SftpUser(root, password)
        self._key = paramiko.ECDSAKey.generate()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.known_hosts = f"[127.0.0.1]:{self.port} {self._key.get_name()} {self._key.get_base64()}\n"
        self.connections: list[paramiko.Transport] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()
        self.cut()

    def cut(self) -> None:
        """End all connections."""
        for transport in self.connections:
            transport.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                transport = paramiko.Transport(connection)
                transport.add_server_key(self._key)
                transport.set_subsystem_handler("sftp", paramiko.SFTPServer, SftpFolder)
                self.connections.append(transport)
                with suppress(paramiko.SSHException, EOFError):
                    transport.start_server(server=self._user, event=threading.Event())

"""A process that serves the faults of the table, one at a time: client and server don't share an interpreter."""

from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Self

import certificates
from faults import FAULTS, Fault
from processes import Process
from servers import Server, crowded


@contextmanager
def serving(fault: Fault, folder: Path) -> Iterator[str]:
    """Yield the URL of what has the fault. The folder is that of the certificates."""
    if not fault.accepts:
        with crowded() as url:
            yield url
        return
    tls = None if fault.certificate is None else certificates.context(folder, fault.certificate)
    with Server(fault.script, tls=tls) as server:
        port = server.url.rpartition(":")[2]
        yield server.url if fault.url is None else fault.url.format(port=port)


def serve(parent: Connection, folder: Path) -> None:
    """Serve the fault whose name comes, tell its URL, and stop it when anything else comes."""
    while True:
        with serving(FAULTS[parent.recv()], folder) as url:
            parent.send(url)
            parent.recv()


class FaultServer(Process):
    """That process. Used in a `with`, it is killed in the end."""

    def __init__(self, folder: Path) -> None:
        super().__init__(serve, folder)

    def __enter__(self) -> Self:
        return super().__enter__()

    @contextmanager
    def serving(self, name: str) -> Iterator[str]:
        """Yield the URL of what has the fault of this name."""
        self.send(name)
        url = self.receive()
        try:
            yield url
        finally:
            self.send("stop")

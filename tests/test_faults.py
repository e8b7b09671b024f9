"""Faults of servers, each with one client and one call in turn; `make faults` tries every client and every call."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import certificates
import pytest
from fault_cases import Case, cases, observe
from fault_server import FaultServer
from servers import SOON, tidy

TIMEOUT = 0.05
"""Seconds that a call may take: as few as a server in another process needs to answer."""


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    """Run the server, whose certificates are trusted."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        certificates.make(Path(folder))
        patch.setenv("SSL_CERT_FILE", str(certificates.authority(Path(folder))))
        with FaultServer(Path(folder)) as running:
            yield running


@pytest.mark.parametrize("case", cases(some=True), ids=str)
def test_a_fault_is_told_in_time_and_leaves_nothing(
    server: FaultServer, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call ends with what the table says, and leaves no thread, task, socket and file, and the key nowhere."""
    with tidy(monkeypatch), server.serving(case.fault) as url:
        seen = observe(case, url, short=TIMEOUT, late=SOON)
    assert seen.wrong == []

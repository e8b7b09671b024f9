"""Faults of servers, each with one client, call and library in turn; `make faults` tries all."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import certificates
import pytest
from fault_cases import Case, cases, forms_of_key, has_key, observe, unexpected
from fault_server import FaultServer
from faults import KEY
from servers import SOON, tidy

from longcat import APIConnectionError

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


@pytest.mark.parametrize("form", sorted(forms_of_key()))
def test_a_good_piece_of_the_key_is_found(form: str) -> None:
    """What looks for the key finds it in every form, whole and cut."""
    cut = form[: 2 * len(form) // 3]
    assert has_key(f"before {form} after")
    assert has_key(f"before {cut}")


def test_what_is_no_key_is_not_found() -> None:
    """It does not call everything the key."""
    assert not has_key("x" * 1000 + KEY[:4])


def test_a_result_that_the_table_does_not_have_is_told(tmp_path: Path) -> None:
    """A case is wrong when another class, or another host, or a file comes of it."""
    case = Case("refused", "sync", "status")
    (tmp_path / "litter.part").touch()
    assert len([*unexpected(case, ValueError("x"), "host", tmp_path)]) == 2
    assert len([*unexpected(case, APIConnectionError("x", "other"), "host", tmp_path)]) == 2

"""The pytest plugin, which every run of pytest loads where longcat is installed; `longcat.testing` only when needed."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from longcat.testing import FakeGateway


@pytest.fixture
def longcat_gateway() -> "FakeGateway":
    """Return a fresh `longcat.testing.FakeGateway`, with virtual time."""
    from longcat.testing import FakeGateway  # noqa: PLC0415 - see above.

    return FakeGateway()

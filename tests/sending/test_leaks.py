"""No exception of a library below ever comes out of a call; `make faults` raises each at every seam in every call."""

from pathlib import Path

from fakes import Driver
from leak_cases import every_class, run, some_cases


def test_no_exception_from_below_leaks(driver: Driver, tmp_path: Path) -> None:
    """Each class is raised at one place at least, and at each place in each call one; what comes out is our own."""
    assert run(driver, some_cases(driver), tmp_path) == []


def test_the_classes_are_those_of_every_library() -> None:
    """The libraries are searched, not listed."""
    names = {f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in every_class()}
    assert names >= {
        *(
            "anyio.ClosedResourceError",
            "attr.NotAnAttrsClassError",
            "builtins.RecursionError",
            "h11.LocalProtocolError",
        ),
        *("httpcore.ReadTimeout", "httpx.InvalidURL", "idna.IDNAError", "json.JSONDecodeError", "socket.gaierror"),
        *("sqlite3.OperationalError", "ssl.SSLZeroReturnError", "trio.BusyResourceError", "zlib.error"),
    }

"""A local emulator of both gateways: real HTTP, honest answers, faults and drifts by name.

It proves that a client agrees with the documentation as we read it, never that the service does.
"""

from longcat.text import missing_package

try:
    from longcat.sandbox.app import create_app
    from longcat.sandbox.drifts import DRIFTS
    from longcat.sandbox.faults import FAULTS, Fault
    from longcat.sandbox.queue.sister_variants import BODY_VARIANTS
    from longcat.sandbox.server import announce, running, serve
    from longcat.sandbox.state import EXAMPLE_ID, EXAMPLE_KEY, EXAMPLE_QUEUE_ID, RequestOutcome, Settings
except ModuleNotFoundError as missing:
    _package = (missing.name or "").partition(".")[0]
    if _package == "longcat":
        raise
    raise ImportError(missing_package("The sandbox", _package, "sandbox"), name=_package) from missing

__all__ = [
    "BODY_VARIANTS",
    "DRIFTS",
    "EXAMPLE_ID",
    "EXAMPLE_KEY",
    "EXAMPLE_QUEUE_ID",
    "FAULTS",
    "Fault",
    "RequestOutcome",
    "Settings",
    "announce",
    "create_app",
    "running",
    "serve",
]

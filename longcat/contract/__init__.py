"""Whether a gateway still keeps its contract: observe, judge, report.

Everything is derived from the spec. What a finding rests on is only as good as the origin of its exchange.

`longcat.contract.judge` is the function; the module that it stands in is `longcat.contract.checks.judge`.
"""

from longcat.text import missing_package

try:
    from longcat.contract.checks.judge import concerns, judge, outage
    from longcat.contract.codes import CODES, Code
    from longcat.contract.model import Exchange, Finding, Intent, Origin, Severity
    from longcat.contract.openapi.errors import SpecError
    from longcat.contract.openapi.operation import Operation
    from longcat.contract.openapi.spec import Spec, load_spec
except ModuleNotFoundError as missing:
    _package = (missing.name or "").partition(".")[0]
    if _package == "longcat":
        raise
    raise ImportError(missing_package("The drift check", _package, "contract"), name=_package) from missing

__all__ = [
    "CODES",
    "Code",
    "Exchange",
    "Finding",
    "Intent",
    "Operation",
    "Origin",
    "Severity",
    "Spec",
    "SpecError",
    "concerns",
    "judge",
    "load_spec",
    "outage",
]

"""Our contract as its file has it, read once for all tests."""

from pathlib import Path
from typing import Any, Final

import yaml  # type: ignore[import-untyped]


def read_yaml(path: Path) -> Any:
    """Return what a file of YAML holds, by the fast reader where there is one: it needs a twentieth of the time."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(path.read_bytes(), Loader=loader)  # noqa: S506 - it is a safe one.


CONTRACT: Final[dict[str, Any]] = read_yaml(Path(__file__).parents[2] / "openapi.yaml")
"""Not to be changed."""

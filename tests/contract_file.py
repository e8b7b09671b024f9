"""Our contract as its file has it, read once for all tests: that takes half a second."""

from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

CONTRACT: Final[dict[str, Any]] = YAML(typ="safe").load(Path(__file__).parent.parent / "openapi.yaml")
"""Not to be changed."""

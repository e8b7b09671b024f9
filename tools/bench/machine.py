"""What was measured where: the commit, the machine, and the versions of what took part."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from bench.har import REDOCLY, ROOT, has_redocly

PACKAGES: Final = (
    *("httpx", "httpx2", "httpcore", "httpcore2", "httpx-aiohttp", "aiohttp", "pyreqwest", "attrs"),
    *("fal-client", "replicate", "runwayml", "openai", "jsonschema-rs"),
)

VERSIONS: Final = (
    "import json, sys; from importlib.metadata import version; print(json.dumps({p: version(p) for p in sys.argv[1:]}))"
)


def machine() -> dict[str, str]:
    """Return which commit was measured, and what the machine is, in words. Its name is left out."""
    return {
        "longcat's commit": output(["git", "-C", str(ROOT), "describe", "--tags", "--always", "--dirty=, and changes"]),
        "processor": processor(),
        "processors": str(os.cpu_count()),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load before": f"{os.getloadavg()[0]:.1f}",
    }


def output(command: Sequence[str]) -> str:
    """Return what a command prints, or "unknown" if it can't be run: not every copy of the project has git."""
    try:
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def processor() -> str:
    """Return the model of the processor, as Linux calls it; elsewhere its architecture."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8").splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def versions(python: Path) -> Mapping[str, str]:
    """Return the versions of the packages that a Python has, and of Redocly and Node, if they are there."""
    ran = subprocess.run([python, "-c", VERSIONS, *PACKAGES], stdout=subprocess.PIPE, check=True)
    found: dict[str, str] = json.loads(ran.stdout)
    if has_redocly():
        package = REDOCLY.parents[1] / "@redocly/cli/package.json"
        found |= {"Redocly": json.loads(package.read_bytes())["version"], "Node": output(["node", "--version"])}
    return found

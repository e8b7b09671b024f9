"""What was measured where: the machine, and the versions of what took part."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

PACKAGES: Final = (
    *("httpx", "httpx2", "httpcore", "httpcore2", "httpx-aiohttp", "aiohttp", "pyreqwest", "attrs"),
    *("fal-client", "replicate", "runwayml", "openai", "jsonschema-rs"),
)

VERSIONS: Final = (
    "import json, sys; from importlib.metadata import version; print(json.dumps({p: version(p) for p in sys.argv[1:]}))"
)


def machine() -> dict[str, str]:
    """Return what the machine is, in words. Its name is left out."""
    return {
        "processor": processor(),
        "processors": str(os.cpu_count()),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load before": f"{os.getloadavg()[0]:.1f}",
    }


def processor() -> str:
    """Return the model of the processor, as Linux calls it; elsewhere its architecture."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8").splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def versions(python: Path) -> Mapping[str, str]:
    """Return the versions of the packages that a Python has."""
    ran = subprocess.run([python, "-c", VERSIONS, *PACKAGES], stdout=subprocess.PIPE, check=True)
    found: dict[str, str] = json.loads(ran.stdout)
    return found

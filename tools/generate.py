"""Write the typed client, `generated/`, from `openapi.yaml`; or, with `--check`, tell whether it is up to date."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.resources import as_file, files
from pathlib import Path

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parent.parent
CONTRACT = ROOT / "openapi.yaml"
CONFIG = ROOT / "tools" / "openapi-python-client.yaml"
OVERRIDES = ROOT / "tools" / "templates"
GENERATED = ROOT / "generated"
PACKAGE = "longcat_api"
HEADER = "# Generated from openapi.yaml by `make generate`. Never edited by hand.\n"


def prepare_templates(folder: Path) -> None:
    """Fill `folder` with our overrides and, in `upstream/`, with the generator's own templates, which they include.

    Every template of a module begins with HEADER, so the ones that are not overridden are copied as well.
    """
    with as_file(files("openapi_python_client") / "templates") as upstream:
        shutil.copytree(upstream, folder / "upstream")
    shutil.copytree(OVERRIDES, folder, dirs_exist_ok=True)
    for template in (folder / "upstream").glob("*.py.jinja"):
        override = folder / template.name
        text = (override if override.exists() else template).read_text(encoding="utf-8")
        override.write_text(HEADER + text, encoding="utf-8")


def generate(folder: Path) -> Path:
    """Generate everything below the empty `folder` and return the path of what belongs into `generated/`.

    Raises subprocess.CalledProcessError, with the generator's words in `stdout`, if it fails or warns.
    """
    prepare_templates(folder / "templates")
    output = folder / "output"
    # fmt: off
    command = [
        sys.executable, "-m", "openapi_python_client", "generate",
        "--path", str(CONTRACT), "--config", str(CONFIG), "--custom-template-path", str(folder / "templates"),
        "--meta", "uv",  # Any kind but `none` brings py.typed, and the settings of ruff.
        "--output-path", str(output), "--fail-on-warning",
    ]
    # fmt: on
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])  # The generator calls ruff.
    subprocess.run(
        command,
        check=True,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    fresh = folder / "generated"
    shutil.copytree(output / PACKAGE, fresh / PACKAGE)
    contract = YAML(typ="safe").load(CONTRACT)
    text = json.dumps(contract, indent=2, ensure_ascii=False, allow_nan=False)
    (fresh / PACKAGE / "openapi.json").write_text(text + "\n", encoding="utf-8", newline="\n")
    return fresh


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below `folder`, by its path, but for the byte code that importing leaves behind."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def differences(fresh: Path) -> list[str]:
    """Return one line for every file in which `generated/` differs from `fresh`."""
    expected, actual = contents(fresh), contents(GENERATED)
    return [
        f"{'missing' if name not in actual else 'stale' if name not in expected else 'different'}: generated/{name}"
        for name in sorted(expected | actual)
        if expected.get(name) != actual.get(name)
    ]


def main() -> int:
    """Return the exit code: 0 if all is well, 1 if the client is out of date or cannot be generated."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing, list the files that differ")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        try:
            fresh = generate(Path(folder))
        except subprocess.CalledProcessError as error:
            print(error.stdout, "The client could not be generated; generated/ is as it was.", sep="\n")
            return 1
        if arguments.check:
            found = differences(fresh)
            print(*found, "The client is out of date: run `make generate`." if found else "Up to date.", sep="\n")
            return 1 if found else 0
        shutil.rmtree(GENERATED, ignore_errors=True)
        shutil.copytree(fresh, GENERATED)
    return 0


if __name__ == "__main__":
    sys.exit(main())

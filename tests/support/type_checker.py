"""Mypy, with the options and the cache of `make typecheck`, so that each leaves the other less to do."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
CACHE: Final = ROOT / ".mypy_cache"


def complaints(files: Sequence[str], folder: Path = ROOT, packages: Sequence[Path] = ()) -> str:
    """Return what mypy says of files in a folder, which import from there or from these other folders."""
    options = ["--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(CACHE), "--no-error-summary"]
    env = {**os.environ, "MYPYPATH": os.pathsep.join(map(str, packages))}
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # Only one of the processes that run tests may use the cache.
        done = subprocess.run(  # noqa: S603 - our own command.
            [sys.executable, "-m", "mypy", *options, *files],
            cwd=folder,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
    said = done.stdout + done.stderr
    assert bool(done.returncode) == bool(said)
    return said

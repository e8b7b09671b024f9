"""Run the documentation's example with Ray, in its own environment, on the sandbox and a real PostgreSQL."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from kills import KEY, sandbox
from postgres import PostgresServer

ROOT: Final = Path(__file__).resolve().parents[1]
RAY: Final = ROOT / "build" / "ray" / "bin"
EXAMPLE: Final = ROOT / "docs" / "ray_data.py"
ORDERS: Final = 20


def main() -> int:
    """Print what the example printed, and return whether every prompt has its picture, ordered once."""
    with sandbox(()) as running, PostgresServer() as server, tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "PATH": f"{RAY}{os.pathsep}{os.environ['PATH']}",
            "PIXAZO_API_KEY": KEY,
            "LONGCAT_BASE_URL": running.url,
            "NO_PROXY": "*",
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        output = Path(folder) / "out"
        command = [str(RAY / "python"), str(EXAMPLE), str(output), server.schema().tcp_url]
        code = subprocess.run(command, env=environment, check=False).returncode
        if code:
            print(f"WRONG: the example ended with {code}")
            return 1
        manifest = [json.loads(line) for line in (output / "manifest.jsonl").read_text("utf-8").splitlines()]
        done = [line for line in manifest if line["state"] == "done" and (output / line["files"][0]).is_file()]
        taken = running.get("orders/count")["taken"]
    print(f"{len(done)} of {ORDERS} pictures, {taken} orders taken.")
    return (len(done), taken) != (ORDERS, ORDERS)


if __name__ == "__main__":
    sys.exit(main())

"""Show longcat at work: a sandbox in a process of its own, a wait by the longcat command, and the saved picture."""

import os
import subprocess
import sys
from pathlib import Path

REQUEST = "a-long-cat-in-the-sun"
KEY = "demo"
SECONDS = "6"


def main() -> int:
    """Return the exit code of the wait."""
    picture = Path("build", "demo", f"{REQUEST}.png")
    picture.parent.mkdir(parents=True, exist_ok=True)
    sandbox = ["longcat", "sandbox", "--api-key", KEY, "--request", REQUEST, "--duration", SECONDS]
    with subprocess.Popen(sandbox, stdout=subprocess.PIPE, text=True) as server:
        try:
            ready = server.stdout.readline() if server.stdout else ""
            if not ready:
                return 3
            print(ready, end="", flush=True)
            wait = ["longcat", "wait", REQUEST, "--output", str(picture), "--force"]
            print("$", *wait, flush=True)
            environment = {**os.environ, "PIXAZO_API_KEY": KEY, "LONGCAT_BASE_URL": ready.split()[-1], "NO_PROXY": "*"}
            code = subprocess.run(wait, check=False, env=environment, stdout=subprocess.DEVNULL).returncode
        finally:
            server.terminate()
    if code == 0:
        print(
            f"The picture is {picture} ({picture.stat().st_size} bytes). It was drawn by the sandbox, not by LongCat."
        )
    return code


if __name__ == "__main__":
    sys.exit(main())

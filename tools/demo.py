"""Show longcat at work, from a prompt to a picture: a sandbox in a process of its own, and one longcat command."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

PROMPT = "a long cat in the sun"
KEY = "demo"
SECONDS = "4"
"""How long the picture takes, unless the first argument says otherwise."""


def main() -> int:
    """Return the exit code of the order."""
    picture = Path("build", "demo", "cat.png")
    picture.parent.mkdir(parents=True, exist_ok=True)
    sandbox = ["longcat", "sandbox", "--api-key", KEY, "--duration", *(sys.argv[1:] or [SECONDS])]
    print("The sandbox stands in for the service: no order reaches LongCat, and nothing is paid.")
    print("$", shlex.join(sandbox), flush=True)
    with subprocess.Popen(sandbox, stdout=subprocess.PIPE, text=True) as server:
        try:
            ready = server.stdout.readline() if server.stdout else ""
            if not ready:
                return 3
            print(ready, end="", flush=True)
            generate = ["longcat", "generate", PROMPT, "--output", str(picture), "--force"]
            print("$", shlex.join(generate), flush=True)
            environment = {**os.environ, "PIXAZO_API_KEY": KEY, "LONGCAT_BASE_URL": ready.split()[-1], "NO_PROXY": "*"}
            code = subprocess.run(generate, check=False, env=environment, stdout=subprocess.DEVNULL).returncode
        finally:
            server.terminate()
    if code == 0:
        print(
            f"The picture is {picture} ({picture.stat().st_size} bytes). It was drawn by the sandbox, not by LongCat."
        )
    return code


if __name__ == "__main__":
    sys.exit(main())

"""`make demo`: from nothing to a saved picture."""

import re
import socket
import sys
from pathlib import Path
from typing import Final

from shell import PNG, Terminal, environment

ROOT: Final = Path(__file__).resolve().parents[2]


def test_demo(tmp_path: Path) -> None:
    """The demo shows a live bar, saves a picture and names it in its last line; its sandbox is gone."""
    env = environment(tmp_path)
    env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
    demo = [sys.executable, str(ROOT / "tools" / "demo.py"), "1"]
    with Terminal([], tmp_path, env, program=demo, piped=True) as terminal:
        display = terminal.finish()
    assert display.ran.code == 0
    _, _, ready, command, last = display.ran.out.splitlines()
    port = re.fullmatch(r"longcat sandbox: http://127\.0\.0\.1:(\d+)", ready)
    assert port
    assert command.startswith("$ longcat generate 'a long cat in the sun' ")
    named = re.match(r"The picture is (\S+\.png) \((\d+) bytes\)", last)
    assert named
    picture = (tmp_path / named[1]).read_bytes()
    assert (picture[:8], len(picture)) == (PNG, int(named[2]))
    *taken, line = display.screen
    assert "was taken: request longcat-image-498_" in " ".join(taken)
    assert re.fullmatch(r"a long cat in the sun COMPLETED ━+ 100% 0:\d\d:\d\d", line)
    with socket.socket() as caller:
        assert caller.connect_ex(("127.0.0.1", int(port[1]))) != 0

"""The documentation, taken to pieces for its tests: pages, blocks, examples, commands and tables."""

import re
import tomllib
from pathlib import Path
from typing import Final

from attrs import frozen
from sybil import Example, Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

ROOT: Final = Path(__file__).resolve().parents[2]
README: Final = ROOT / "README.md"
ARCHITECTURE: Final = ROOT / "ARCHITECTURE.md"
DOCS: Final = ROOT / "docs"
MEASURED: Final = {DOCS / f"{name}.md" for name in ("polling", "gauntlet", "gauntlet-specs", "performance")}
"""Pages that a benchmark writes."""
PAGES: Final = [README, *sorted(set(DOCS.rglob("*.md")) - MEASURED)]
PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
MAKEFILE: Final = (ROOT / "Makefile").read_text("utf-8")


@frozen
class Program:
    """A block of Python.

    Attributes:
        page: where it stands.
        example: what Sybil makes of it.
        shown: what it prints, as the next block shows it. Empty: it prints nothing.
    """

    page: Path
    example: Example
    shown: str

    @property
    def text(self) -> str:
        """The block."""
        return str(self.example.parsed)


def text_of(page: Path) -> str:
    """Return a page."""
    return page.read_text("utf-8")


def blocks(page: Path, kind: str) -> list[str]:
    """Return the fenced blocks of one kind in a page."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", text_of(page), re.MULTILINE | re.DOTALL)


def programs() -> list[Program]:
    """Return every block of Python, with what it should print."""
    found = []
    for page in PAGES:
        text = text_of(page)
        for example in Sybil(parsers=[PythonCodeBlockParser()]).parse(page).examples():
            shown = re.match(r"(?:```)?\n*```text\n(.*?)^```$", text[example.region.end :], re.DOTALL | re.MULTILINE)
            found.append(Program(page, example, shown[1] if shown else ""))
    return found


def commands() -> list[str]:
    """Return every command in the blocks for the shell, once, without comments."""
    text = "".join(block for page in PAGES for block in blocks(page, "sh")).replace("\\\n", " ")
    return list(dict.fromkeys(re.sub(r" +# .*", "", line).strip() for line in text.splitlines()))


def table(page: Path, heading: str) -> list[list[str]]:
    """Return the cells of the table whose first column has this heading, without backticks."""
    block = next(block for block in text_of(page).split("\n\n") if block.startswith(f"| {heading} |"))
    return [[cell.strip(" `") for cell in row.split("|")[1:-1]] for row in block.splitlines()[2:]]

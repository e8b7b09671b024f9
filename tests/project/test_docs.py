"""What the documentation says is so: its tables, drawings and pictures, and whatever it names or links."""

import html
import importlib
import re
import tokenize
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any, Final
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import draw_rooms
import pytest
from pages import ARCHITECTURE, DOCS, MAKEFILE, MEASURED, PAGES, PROJECT, README, ROOT, blocks, table, text_of

import longcat
import longcat.contract
import longcat.sandbox
import longcat.testing
import longcat.webhooks
from longcat.cli.exit_codes import Exit
from longcat.contract.reports.verdict import Verdict
from longcat.gateway.reading import STATUS_ERRORS

PROSE: Final = [*PAGES, ARCHITECTURE]
GLOSSARY: Final = DOCS / "glossary.md"
PUBLIC: Final[tuple[ModuleType, ...]] = (longcat, longcat.testing, longcat.contract, longcat.sandbox, longcat.webhooks)
MADE: Final = {"build/docs/", ".venv/", "dist/", "caller.py", "books.yaml", "recorded.yaml"}
"""Files and folders on the pages that a command or a reader makes."""
WORDS: Final = {"Authorization", "Bearer", "FailedStatus"}
"""What looks like a class between backticks and is none, or not yet."""


# --- Tables and drawings.


def test_the_readme_ends_before_it_tires() -> None:
    """It has 115 lines at most; the rest is a page away."""
    assert len(text_of(README).splitlines()) <= 115


def test_errors() -> None:
    """The table of errors has every exception of the tree, and no other; the status codes in it are right."""
    tree = {name for name in longcat.__all__ if _is_error(getattr(longcat, name))}
    means = {name: meaning for name, meaning, _ in table(DOCS / "errors.md", "error")}
    assert {*means, "LongCatError"} == tree
    assert {name: meaning[:3] for name, meaning in means.items() if re.match(r"\d{3}:", meaning)} == {
        error.__name__: str(code) for code, error in STATUS_ERRORS.items()
    }


def test_error_tree() -> None:
    """The tree on the page is the one in the module, and each class stands below its base."""
    drawing = blocks(DOCS / "errors.md", "text")[0]
    assert drawing in (longcat.errors.__doc__ or "")
    above: dict[int, str] = {}
    for depth, name in ((len(m[1]), m[2]) for m in re.finditer(r"^([ |+-]*)(\w+)", drawing, re.MULTILINE)):
        above[depth] = name
        bases = [one.__name__ for one in getattr(longcat, name).__bases__]
        assert depth == 0 or above[max(d for d in above if d < depth)] in bases


def _is_error(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, longcat.LongCatError)


def test_exit_codes() -> None:
    """The tables of exit codes have every exit code of the command, and no other."""
    assert [int(code) for code, _ in table(DOCS / "command-line.md", "exit code")] == list(Exit)
    codes = [int(code) for code, _ in table(DOCS / "drift.md", "exit code")]
    assert codes == sorted({*map(int, Verdict), Exit.MISUSED})


def test_extras() -> None:
    """The table of extras has every extra, and what it brings."""
    brings = {extra: what for extra, what, _ in table(DOCS / "tutorial.md", "extra")}
    needs = {"none": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}
    assert brings.pop("all") == "all of these"
    (everything,) = needs.pop("all")
    assert {extra: set(what.split(", ")) for extra, what in brings.items()} == {
        extra: {re.split(r"[^\w.-]", package)[0] for package in packages} for extra, packages in needs.items()
    }
    assert everything == f"{PROJECT['name']}[{','.join(extra for extra in needs if extra != 'none')}]"


def test_figures() -> None:
    """The figures on the page about the schedule are those that were measured."""
    measured = {goal: reached for goal, _, reached, _ in table(DOCS / "polling.md", "goal")}
    page = " ".join(text_of(DOCS / "schedule.md").split())
    assert f"{measured['truthful progress']} of a fixed interval's with truthful progress" in page
    assert f"{measured['without progress, over the limit']} times that limit without progress" in page


def test_reference() -> None:
    """The API reference has every public name, and no other."""
    directive = r"^\.\. (?:auto|py:)\w+:: (\w+)(?:\(\))?$"
    written = [name for page in (DOCS / "api").glob("*.md") for name in _names(directive, page)]
    public = [name for module in PUBLIC for name in module.__all__ if not name.startswith("__")]
    assert sorted(written) == sorted(public)


def test_rooms() -> None:
    """The drawing in ARCHITECTURE.md has each folder and module at the top of the package; its lists are complete."""
    _, drawing, _ = text_of(ARCHITECTURE).split("```")
    drawn = re.findall(r"(?:^longcat/ +|^ {10}|\s{3,})(\w+)/?(?= {2,}\S)", drawing, re.MULTILINE)
    modules = [path.stem for path in (ROOT / "longcat").iterdir() if not path.stem.startswith("_")]
    assert sorted(drawn) == sorted(name for name in modules if name != "py")
    for folder, names in re.findall(r"(\w+)/ .+: ([\w, ]+)", re.sub(r",\n +", ", ", drawing)):
        assert sorted(names.split(", ")) == sorted(path.stem for path in (ROOT / "longcat" / folder).glob("[a-z]*.py"))


@pytest.mark.parametrize(("package", "more"), [("longcat", {"longcat_api"}), ("longcat.contract", set())])
def test_picture(package: str, more: set[str]) -> None:
    """The picture has a box for each room, an arrow for each import that no longer way implies, and is drawn alike."""
    picture = ET.fromstring(draw_rooms.draw(package))  # noqa: S314 - ours.
    spaces = "{http://www.w3.org/2000/svg}"
    folder = ROOT / package.replace(".", "/")
    rooms = {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    boxes = [text.text for text in picture.iter(f"{spaces}text")]
    assert sorted(filter(None, boxes)) == sorted({name for name in rooms if not name.startswith("_")} | more)
    arrows = [path for path in picture.iter(f"{spaces}path") if path.get("class") == "arrow"]
    graph = draw_rooms.imports(package)
    assert 0 < len(arrows) == sum(map(len, draw_rooms.reduced(graph).values())) <= sum(map(len, graph.values()))
    assert draw_rooms.draw(package) == draw_rooms.draw(package)


# --- What they name.


def _names(pattern: str, *pages: Path) -> list[str]:
    return sorted({name for page in pages for name in re.findall(pattern, text_of(page), re.MULTILINE)})


def _code(*pages: Path) -> str:
    """Return what stands between backticks, a piece a line."""
    pieces = [piece for page in pages for piece in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text_of(page))]
    return "\n".join(html.unescape(piece) for piece in pieces)


def test_commands_of_make() -> None:
    """A command that starts with `make` is in the Makefile, and in what `make help` prints."""
    named = _names(r"(?:`|--|^)make ([a-z]+(?:-[a-z]+)*)(?!=)\b", *PROSE, *MEASURED)
    assert [name for name in named if not re.search(rf"^{name}:.* ## \w", MAKEFILE, re.MULTILINE)] == []


def test_files() -> None:
    """A file or folder that is named exists, or is one that a command or a reader makes."""
    named = set(_names(r"`((?:[\w.-]+/)*[\w.-]+(?:/|\.(?:py|md|json|yaml)))`", *PROSE)) - MADE
    folders = [ROOT, DOCS, ROOT / "longcat", ROOT / "generated" / "longcat_api"]
    assert [name for name in sorted(named) if not any((folder / name).exists() for folder in folders)] == []


def test_classes() -> None:
    """A class in backticks is in the package, in the generated client, in httpx, or in Python."""
    named = set(re.findall(r"(?<![\w./'\"-])(?:[a-z]+\.)?(_?[A-Z][a-z]+[A-Z]?\w+)(?![\w:-])", _code(*PROSE)))
    modules = _modules()
    assert [name for name in sorted(named - WORDS) if not any(hasattr(module, name) for module in modules)] == []


def test_glossary() -> None:
    """Each term has a line of its own, and the names between backticks are in the code, each under one term."""
    terms = re.findall(r"^- \*\*(.+?)\*\*: (.+\.)$", text_of(GLOSSARY), re.MULTILINE)
    assert len(terms) == len({term for term, _ in terms}) == text_of(GLOSSARY).count("\n- ")
    names = [name for _, meaning in terms for name in re.findall(r"`([^` ]+)`", meaning)]
    assert [name for name in _unknown(names) if not (ROOT / name).exists()] == []
    assert len(names) == len(set(names))


def _unknown(names: Iterable[str]) -> set[str]:
    """Return those names that the package's code does not have, its modules' names included."""
    unknown = {*names} - {"longcat_api"}
    for path in (ROOT / "longcat").rglob("*.py"):
        unknown.discard(path.stem)
        content = path.read_bytes()
        if any(name.encode() in content for name in unknown):  # To look closer takes longer.
            tokens = tokenize.tokenize(BytesIO(content).readline)
            unknown -= {token.string for token in tokens if token.type == tokenize.NAME}
    return unknown


def _modules() -> list[ModuleType]:
    paths = [path for path in (ROOT / "longcat").rglob("*.py") if path.stem != "__main__"]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in paths]
    names += ["longcat_api.models", "longcat_api.client", "longcat_api.types", "json", "httpx", "builtins"]
    return [importlib.import_module(name) for name in names]


@pytest.mark.parametrize("page", [*PROSE, *sorted(MEASURED), ROOT / "CHANGELOG.md"], ids=lambda page: page.name)
def test_links(page: Path) -> None:
    """Relative links lead to files that exist, and others are whole addresses; `make docs-links` visits those."""
    links = re.findall(r"\]\(([^)\s]+)\)|^\[\w+\]: (\S+)$", text_of(page), re.MULTILINE)
    for link in (one or other for one, other in links):
        parts = urlsplit(link)
        if parts.scheme:
            assert (parts.scheme, bool(re.fullmatch(r"[\w-]+(\.[\w-]+)+", parts.netloc))) == ("https", True), link
        elif parts.path:
            assert (page.parent / parts.path).exists(), link


def test_every_page_is_in_a_table_of_contents() -> None:
    """Each page is reached from the index, and the README links those at the top."""
    listed = {(page.parent / name).with_suffix(".md") for page in DOCS.rglob("*.md") for name in _listed(page)}
    assert listed | {DOCS / "index.md"} == set(DOCS.rglob("*.md"))
    links = re.findall(r"\b(?:docs/)?([\w-]+)\.md\b", text_of(README))
    top = {name.removesuffix("/index") for name in _listed(DOCS / "index.md")} - {"api"}
    assert {name.lower() for name in links} >= top


def _listed(page: Path) -> list[str]:
    return [line for block in blocks(page, r"\{toctree\}") for line in block.splitlines() if line and line[0] != ":"]


def test_changelog() -> None:
    """The changelog begins with the version that this is."""
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert headings[0] == longcat.__version__

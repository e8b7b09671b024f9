"""How Sphinx builds this documentation: `make docs`."""

import re
import sys
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.ext.napoleon import Config, GoogleDocstring
from sphinx.util.docutils import SphinxDirective

import longcat
import longcat.contract
import longcat.sandbox
import longcat.testing

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from draw_rooms import draw  # noqa: E402 - it lies beside the package, not in it.

project = "longcat"
author = "The maintainers of longcat"
project_copyright = "the maintainers of longcat"
version = release = longcat.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"longcat {version}"
html_static_path = ["_static"]
html_css_files = ["longcat.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {"sidebar_hide_name": False}
highlight_language = "text"
pygments_style = "default"
pygments_dark_style = "github-dark"

myst_heading_anchors = 3

# A name between single backticks in a docstring is code.
default_role = "code"
nitpicky = True
# What our signatures name and others document: this machine can't ask them for their index.
nitpick_ignore_regex = [
    (
        "py:.*",
        r"(anyio|attrs|httpx|longcat_api|starlette|collections|contextlib|datetime|decimal|os|pathlib|random|types|typing|enum)\..*",
    ),
    (
        "py:.*",
        r"(AuthenticatedClient|Path|PathLike|Mapping|Sequence|Iterable|Iterator|Callable|Generator|AsyncGenerator|AsyncIterable)",
    ),
    ("py:.*", r"longcat\.\w+\.[\w.]+"),  # Not public, so not documented.
    ("py:.*", r"(date|datetime|timedelta|TimeoutError|ValueError|OSError|Exception|float|optional|Starlette)"),
]
linkcheck_timeout = 20
linkcheck_retries = 2

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"
autodoc_default_options = {"members": True, "imported-members": True}
python_use_unqualified_type_names = True

PUBLIC = (longcat.testing, longcat.contract, longcat.sandbox, longcat)
INCLUDED = re.compile(r"\]\((ARCHITECTURE|CHANGELOG|SECURITY)\.md\)")
FILES = re.compile(r"\]\((?=(?:tests|tools|docs|openapi\.yaml|Makefile|README)[\w./#-]*\))")


class Rooms(SphinxDirective):
    """The picture of a package's rooms, drawn from its imports whenever the documentation is built."""

    required_arguments = 1
    has_content: ClassVar[bool] = False

    def run(self) -> list[nodes.Node]:
        """Return the picture, in the page itself, so that it takes the page's colours."""
        self.env.note_reread()  # The picture may be old though the page is not.
        return [nodes.raw("", draw(self.arguments[0]), format="html")]


def public_name(_app: Sphinx, env: BuildEnvironment, node: pending_xref, text: nodes.TextElement) -> Any:
    """Lead a name such as `longcat.models.Image` to where it is documented: under its public name, `longcat.Image`."""
    target = str(node.get("reftarget", ""))
    if node.get("refdomain") != "py":
        return None
    name = target.rpartition(".")[2]
    home = next((module.__name__ for module in PUBLIC if name in module.__all__), None)
    if home is None or target == f"{home}.{name}":
        return None
    domain = env.domains.python_domain
    return domain.resolve_xref(env, node["refdoc"], _app.builder, "obj", f"{home}.{name}", node, text)


def google_style(_app: Sphinx, what: str, _name: str, _obj: Any, _options: Any, lines: list[str]) -> None:
    """Read a docstring's sections, such as `Args:`. An attribute's has none; napoleon would take its colon for one."""
    if what not in {"attribute", "data", "property"}:
        lines[:] = GoogleDocstring(lines, Config(napoleon_use_ivar=True), what=what).lines()


def from_here(app: Sphinx, docname: str, source: list[str]) -> None:
    """Make the links of a page that is included from the project's root lead to the same files from here."""
    for included in re.findall(r"^```\{include\} \.\./(\w+\.md)$", source[0], re.MULTILINE):
        app.env.note_dependency(str(ROOT / included), docname=docname)
        text = INCLUDED.sub(lambda link: f"]({link[1].lower()}.md)", (ROOT / included).read_text("utf-8"))
        text = FILES.sub("](../", text)
        source[0] = source[0].replace(f"```{{include}} ../{included}\n```", text)


def setup(app: Sphinx) -> None:
    """Add what this documentation has beyond Sphinx."""
    app.add_directive("rooms", Rooms)
    app.connect("missing-reference", public_name)
    app.connect("autodoc-process-docstring", google_style)
    app.connect("source-read", from_here)

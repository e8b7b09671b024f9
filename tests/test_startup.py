"""What a start costs: which modules it imports, and that nobody notices otherwise that they come late.

Modules are counted, not seconds, in processes that have imported nothing before.
"""

import ast
from importlib.util import find_spec
from pathlib import Path

import longcat

# --- The public names.


def test_each_public_name_is_imported_from_where_type_checkers_are_told() -> None:
    """`_names`, which type checkers read, imports each name from the module that `longcat` imports it from."""
    spec = find_spec("longcat._names")
    assert spec is not None
    assert spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text("utf-8"))
    homes = {one.name: node.module for node in tree.body if isinstance(node, ast.ImportFrom) for one in node.names}
    modules = vars(longcat)["_MODULES"]
    assert homes == {name: module for module, names in modules.items() for name in names} | {
        "__version__": "longcat._version"
    }

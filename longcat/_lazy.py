"""Lets a package import its public names when they are asked for (PEP 562). It imports nothing itself."""

TYPE_CHECKING = False  # As in `typing`, the import of which would take longer than all that is here.
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


def lazy_names(
    package: "dict[str, Any]", modules: "Mapping[str, tuple[str, ...]]"
) -> "tuple[Callable[[str], object], Callable[[], list[str]]]":
    """Return the `__getattr__` and the `__dir__` of a package.

    Args:
        package: its globals, which get each name when it is first asked for.
        modules: the modules of the package, by their names in full, and what is public in each. A module at its top can
            be asked for as well.
    """
    name_of_package = package["__name__"]
    homes = {name: module for module, names in modules.items() for name in names}

    def get(name: str) -> object:
        from importlib import import_module  # noqa: PLC0415 - see above.

        if name in homes:
            package[name] = getattr(import_module(homes[name]), name)
        elif f"{name_of_package}.{name}" in modules:
            import_module(f"{name_of_package}.{name}")  # Which binds it in the package.
        else:
            raise AttributeError(f"module {name_of_package!r} has no attribute {name!r}")
        return package[name]

    def names() -> list[str]:
        return sorted({*package, *homes})

    return get, names

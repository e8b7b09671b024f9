"""Wait for the pictures of the LongCat-Image API.

with LongCat() as cat:
    image = cat.wait("the request id")
    cat.download(image, "cat.png")
"""

from longcat._version import __version__ as __version__

TYPE_CHECKING = False  # As in `typing`, the import of which would take longer than all that is here.
if TYPE_CHECKING:
    from longcat._names import *  # noqa: F403 - `_names` has them one by one.
    from longcat._names import __all__ as __all__
else:

    def __getattr__(name: str) -> object:
        """Import the public names when the first of them is asked for: `import longcat` alone costs next to nothing."""
        if name == "__all__" or not name.startswith("_"):
            from longcat import _names  # noqa: PLC0415 - see above.

            globals().update({public: getattr(_names, public) for public in _names.__all__}, __all__=_names.__all__)
        if name in globals():
            return globals()[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__getattr__("__all__")})


del TYPE_CHECKING

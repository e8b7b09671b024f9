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
    # Where each public name is, for `__getattr__`: `import longcat` alone costs next to nothing, and each name what it
    # needs itself. `_names` says the same to type checkers, and a test compares the two.
    _MODULES = {
        "longcat.client.async_client": ("AsyncLongCat",),
        "longcat.client.options": ("BatchOptions",),
        "longcat.client.sync_client": ("LongCat",),
        "longcat.clock": ("Clock",),
        "longcat.errors": (
            *("APIConnectionError", "APIResponseValidationError", "APIStatusError", "APITimeoutError"),
            *("AuthenticationError", "BadRequestError", "ConfigurationError", "DownloadError", "GenerationCancelled"),
            *("GenerationFailed", "InsufficientBalanceError", "InternalServerError", "JournalError", "LongCatError"),
            *("NotFoundError", "PermissionDeniedError", "RateLimitError", "SubmitUnknown", "WaitTimeout"),
        ),
        "longcat.gateway.orders": ("OrderFields",),
        "longcat.gateway.typed": ("api_client",),
        "longcat.models": ("Image", "Order", "OrderRequest", "Pause", "State", "Status", "Violation"),
        "longcat.sending.tasks.batch": ("Outcomes",),
        "longcat.waiting.schedule.adaptive": ("AdaptivePolling",),
        "longcat.waiting.schedule.plan": ("Plan", "Polling"),
        "longcat.waiting.schedule.polling": ("FixedPolling", "GeometricPolling"),
        "longcat.waiting.outcome": ("Outcome",),
        "longcat.waiting.wake": ("Wake",),
    }
    _HOMES = {name: module for module, names in _MODULES.items() for name in names}
    __all__ = sorted(["__version__", *_HOMES])  # noqa: PLE0605 - `_names` has it in full.

    def __getattr__(name: str) -> object:
        """Import a public name, or a module that has only such, when it is first asked for."""
        from importlib import import_module  # noqa: PLC0415 - see above.

        if name in _HOMES:
            globals()[name] = getattr(import_module(_HOMES[name]), name)
        elif f"{__name__}.{name}" in _MODULES:
            import_module(f"{__name__}.{name}")  # Which binds it here.
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return globals()[name]

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


del TYPE_CHECKING

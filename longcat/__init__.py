"""Wait for the pictures of the LongCat-Image API.

with LongCat() as cat:
    image = cat.wait("the request id")
    cat.download(image, "cat.png")
"""

from longcat._lazy import lazy_names
from longcat._version import __version__ as __version__

TYPE_CHECKING = False  # As in `typing`, the import of which would take longer than all that is here.
if TYPE_CHECKING:
    from longcat._names import *  # noqa: F403 - `_names` has them one by one.
    from longcat._names import __all__ as __all__
else:
    # `import longcat` alone costs next to nothing, and each name what it needs itself. `_names` says the same to type
    # checkers, and a test compares the two.
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
        "longcat.gateway.order_fields": ("OrderFields",),
        "longcat.gateway.api_client": ("api_client",),
        "longcat.models": ("Image", "Order", "OrderRequest", "Pause", "State", "Status", "Violation"),
        "longcat.saving.stores.opening": ("open_store",),
        "longcat.saving.stores.store": ("PictureStore",),
        "longcat.sending.tasks.pool": ("Outcomes",),
        "longcat.waiting.schedule.adaptive": ("AdaptivePolling",),
        "longcat.waiting.schedule.plan": ("Plan", "Polling"),
        "longcat.waiting.schedule.polling": ("FixedPolling", "GeometricPolling"),
        "longcat.waiting.outcome": ("Outcome",),
        "longcat.waiting.wake": ("Wake",),
    }
    __all__ = sorted(["__version__", *(name for names in _MODULES.values() for name in names)])  # noqa: PLE0605
    __getattr__, __dir__ = lazy_names(globals(), _MODULES)

del TYPE_CHECKING, lazy_names

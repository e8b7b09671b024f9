"""The public names, from where they are. `import longcat` imports them when the first is asked for."""

from longcat._version import __version__
from longcat.client.async_client import AsyncLongCat
from longcat.client.options import BatchOptions
from longcat.client.sync_client import LongCat
from longcat.clock import Clock
from longcat.errors import (
    APIConnectionError,
    APIResponseValidationError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    DownloadError,
    GenerationCancelled,
    GenerationFailed,
    InsufficientBalanceError,
    InternalServerError,
    JournalError,
    LongCatError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    SubmitUnknown,
    WaitTimeout,
)
from longcat.gateway.api_client import api_client
from longcat.gateway.order_fields import OrderFields
from longcat.models import (
    Image,
    Order,
    OrderRequest,
    Pause,
    State,
    Status,
    Violation,
)
from longcat.saving.stores.opening import open_store
from longcat.saving.stores.store import PictureStore
from longcat.sending.tasks.pool import Outcomes
from longcat.waiting.outcome import Outcome
from longcat.waiting.schedule.adaptive import (
    AdaptivePolling,
)
from longcat.waiting.schedule.plan import Plan, Polling
from longcat.waiting.schedule.polling import FixedPolling, GeometricPolling
from longcat.waiting.wake import Wake

__all__ = [
    "APIConnectionError",
    "APIResponseValidationError",
    "APIStatusError",
    "APITimeoutError",
    "AdaptivePolling",
    "AsyncLongCat",
    "AuthenticationError",
    "BadRequestError",
    "BatchOptions",
    "Clock",
    "ConfigurationError",
    "DownloadError",
    "FixedPolling",
    "GenerationCancelled",
    "GenerationFailed",
    "GeometricPolling",
    "Image",
    "InsufficientBalanceError",
    "InternalServerError",
    "JournalError",
    "LongCat",
    "LongCatError",
    "NotFoundError",
    "Order",
    "OrderFields",
    "OrderRequest",
    "Outcome",
    "Outcomes",
    "Pause",
    "PermissionDeniedError",
    "PictureStore",
    "Plan",
    "Polling",
    "RateLimitError",
    "State",
    "Status",
    "SubmitUnknown",
    "Violation",
    "WaitTimeout",
    "Wake",
    "__version__",
    "api_client",
    "open_store",
]

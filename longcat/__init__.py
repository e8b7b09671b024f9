"""Wait for the pictures of the LongCat-Image API.

with LongCat() as cat:
    image = cat.wait("the request id")
    cat.download(image, "cat.png")
"""

__version__ = "0.1.0"

from longcat.client import AsyncLongCat, LongCat
from longcat.clock import Clock
from longcat.conversation import Outcome
from longcat.crew import Outcomes
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
    LongCatError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    WaitTimeout,
)
from longcat.models import Image, State, Status
from longcat.polling import AdaptivePolling, FixedPolling, GeometricPolling, Plan, Polling
from longcat.schema import Finding

__all__ = [
    "APIConnectionError",
    "APIResponseValidationError",
    "APIStatusError",
    "APITimeoutError",
    "AdaptivePolling",
    "AsyncLongCat",
    "AuthenticationError",
    "BadRequestError",
    "Clock",
    "ConfigurationError",
    "DownloadError",
    "Finding",
    "FixedPolling",
    "GenerationCancelled",
    "GenerationFailed",
    "GeometricPolling",
    "Image",
    "InsufficientBalanceError",
    "InternalServerError",
    "LongCat",
    "LongCatError",
    "NotFoundError",
    "Outcome",
    "Outcomes",
    "PermissionDeniedError",
    "Plan",
    "Polling",
    "RateLimitError",
    "State",
    "Status",
    "WaitTimeout",
    "__version__",
]

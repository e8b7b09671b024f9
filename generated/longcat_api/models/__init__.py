# Generated from openapi.yaml by `make generate`. Never edited by hand.
"""Contains all the data models used in inputs/outputs"""

from .completed_status import CompletedStatus
from .error import Error
from .processing_status import ProcessingStatus
from .status_request import StatusRequest

__all__ = (
    "CompletedStatus",
    "Error",
    "ProcessingStatus",
    "StatusRequest",
)

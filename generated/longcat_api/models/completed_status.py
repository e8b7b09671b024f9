# Generated from openapi.yaml by `make generate`. Never edited by hand.
from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset, read_date_time

T = TypeVar("T", bound="CompletedStatus")


@_attrs_define
class CompletedStatus:
    """The request is done and has an image.

    Attributes:
        status (Literal['completed']):
        progress (float): Always 1.
        request_id (str): The id that was asked for.
        result_url (str): The address of the image.
        created_at (datetime.datetime | Unset): A moment in UTC, as the service gives it.
        duration_seconds (float | Unset): How long the work took, in seconds.
        model_version (str | Unset): The version of the model that made the image.
        success (bool | Unset): Says that the question was answered.
    """

    status: Literal["completed"]
    progress: float
    request_id: str
    result_url: str
    created_at: datetime.datetime | Unset = UNSET
    duration_seconds: float | Unset = UNSET
    model_version: str | Unset = UNSET
    success: bool | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        status = self.status

        progress = self.progress

        request_id = self.request_id

        result_url = self.result_url

        created_at: str | Unset = UNSET
        if not isinstance(self.created_at, Unset):
            created_at = self.created_at.isoformat().replace("+00:00", "Z")

        duration_seconds = self.duration_seconds

        model_version = self.model_version

        success = self.success

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "status": status,
                "progress": progress,
                "request_id": request_id,
                "result_url": result_url,
            }
        )
        if created_at is not UNSET:
            field_dict["created_at"] = created_at
        if duration_seconds is not UNSET:
            field_dict["duration_seconds"] = duration_seconds
        if model_version is not UNSET:
            field_dict["model_version"] = model_version
        if success is not UNSET:
            field_dict["success"] = success

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        status = cast("Literal['completed']", d.pop("status"))
        if status != "completed":
            raise ValueError(f"status must match const 'completed', got '{status}'")

        progress = d.pop("progress")

        request_id = d.pop("request_id")

        result_url = d.pop("result_url")

        _created_at = d.pop("created_at", UNSET)
        created_at: datetime.datetime | Unset
        if isinstance(_created_at, Unset):
            created_at = UNSET
        else:
            created_at = read_date_time(_created_at)

        duration_seconds = d.pop("duration_seconds", UNSET)

        model_version = d.pop("model_version", UNSET)

        success = d.pop("success", UNSET)

        completed_status = cls(
            status=status,
            progress=progress,
            request_id=request_id,
            result_url=result_url,
            created_at=created_at,
            duration_seconds=duration_seconds,
            model_version=model_version,
            success=success,
        )

        completed_status.additional_properties = d
        return completed_status

    @property
    def additional_keys(self) -> list[str]:
        return list(self.additional_properties.keys())

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties

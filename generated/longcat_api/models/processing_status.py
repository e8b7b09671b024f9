# Generated from openapi.yaml by `make generate`. Never edited by hand.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="ProcessingStatus")


@_attrs_define
class ProcessingStatus:
    """The request is under way.

    Attributes:
        status (Literal['processing']):
        progress (float): The part of the work that is done, from 0 to 1.
        request_id (str): The id that was asked for.
        success (bool | Unset): Says that the question was answered, not that the image is done.
    """

    status: Literal["processing"]
    progress: float
    request_id: str
    success: bool | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        status = self.status

        progress = self.progress

        request_id = self.request_id

        success = self.success

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "status": status,
                "progress": progress,
                "request_id": request_id,
            }
        )
        if success is not UNSET:
            field_dict["success"] = success

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        status = cast("Literal['processing']", d.pop("status"))
        if status != "processing":
            raise ValueError(f"status must match const 'processing', got '{status}'")

        progress = d.pop("progress")

        request_id = d.pop("request_id")

        success = d.pop("success", UNSET)

        processing_status = cls(
            status=status,
            progress=progress,
            request_id=request_id,
            success=success,
        )

        processing_status.additional_properties = d
        return processing_status

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

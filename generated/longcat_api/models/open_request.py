# Generated from openapi.yaml by `make generate`. Never edited by hand.
from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.open_request_status import OpenRequestStatus, check_open_request_status
from ..types import UNSET, Unset, read_date_time

T = TypeVar("T", bound="OpenRequest")


@_attrs_define
class OpenRequest:
    """The request waits or runs.

    Attributes:
        request_id (str): The id that was asked for.
        status (OpenRequestStatus):
        model_id (str | Unset): The model that does the work.
        error (None | Unset):
        output (None | Unset):
        created_at (datetime.datetime | Unset): When the request was made.
        updated_at (datetime.datetime | Unset): When the status last changed.
        completed_at (None | Unset):
    """

    request_id: str
    status: OpenRequestStatus
    model_id: str | Unset = UNSET
    error: None | Unset = UNSET
    output: None | Unset = UNSET
    created_at: datetime.datetime | Unset = UNSET
    updated_at: datetime.datetime | Unset = UNSET
    completed_at: None | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        request_id = self.request_id

        status: str = self.status

        model_id = self.model_id

        error = self.error

        output = self.output

        created_at: str | Unset = UNSET
        if not isinstance(self.created_at, Unset):
            created_at = self.created_at.isoformat().replace("+00:00", "Z")

        updated_at: str | Unset = UNSET
        if not isinstance(self.updated_at, Unset):
            updated_at = self.updated_at.isoformat().replace("+00:00", "Z")

        completed_at = self.completed_at

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "request_id": request_id,
                "status": status,
            }
        )
        if model_id is not UNSET:
            field_dict["model_id"] = model_id
        if error is not UNSET:
            field_dict["error"] = error
        if output is not UNSET:
            field_dict["output"] = output
        if created_at is not UNSET:
            field_dict["created_at"] = created_at
        if updated_at is not UNSET:
            field_dict["updated_at"] = updated_at
        if completed_at is not UNSET:
            field_dict["completed_at"] = completed_at

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        request_id = d.pop("request_id")

        status = check_open_request_status(d.pop("status"))

        model_id = d.pop("model_id", UNSET)

        error = d.pop("error", UNSET)

        output = d.pop("output", UNSET)

        _created_at = d.pop("created_at", UNSET)
        created_at: datetime.datetime | Unset
        if isinstance(_created_at, Unset):
            created_at = UNSET
        else:
            created_at = read_date_time(_created_at)

        _updated_at = d.pop("updated_at", UNSET)
        updated_at: datetime.datetime | Unset
        if isinstance(_updated_at, Unset):
            updated_at = UNSET
        else:
            updated_at = read_date_time(_updated_at)

        completed_at = d.pop("completed_at", UNSET)

        open_request = cls(
            request_id=request_id,
            status=status,
            model_id=model_id,
            error=error,
            output=output,
            created_at=created_at,
            updated_at=updated_at,
            completed_at=completed_at,
        )

        open_request.additional_properties = d
        return open_request

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

# Generated from openapi.yaml by `make generate`. Never edited by hand.
from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.failed_request_status import FailedRequestStatus, check_failed_request_status
from ..types import UNSET, Unset, read_date_time

T = TypeVar("T", bound="FailedRequest")


@_attrs_define
class FailedRequest:
    """The request failed. ERROR is a fault of the system and not charged; whether FAILED is, is not said.

    Attributes:
        request_id (str): The id that was asked for.
        status (FailedRequestStatus):
        error (None | str): Why it failed, in words for people.
        model_id (str | Unset): The model that did the work.
        output (None | Unset):
        created_at (datetime.datetime | Unset): When the request was made.
        updated_at (datetime.datetime | Unset): When the status last changed.
        completed_at (datetime.datetime | None | Unset): When the request ended.
    """

    request_id: str
    status: FailedRequestStatus
    error: None | str
    model_id: str | Unset = UNSET
    output: None | Unset = UNSET
    created_at: datetime.datetime | Unset = UNSET
    updated_at: datetime.datetime | Unset = UNSET
    completed_at: datetime.datetime | None | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        request_id = self.request_id

        status: str = self.status

        error: None | str
        error = self.error

        model_id = self.model_id

        output = self.output

        created_at: str | Unset = UNSET
        if not isinstance(self.created_at, Unset):
            created_at = self.created_at.isoformat().replace("+00:00", "Z")

        updated_at: str | Unset = UNSET
        if not isinstance(self.updated_at, Unset):
            updated_at = self.updated_at.isoformat().replace("+00:00", "Z")

        completed_at: None | str | Unset
        if isinstance(self.completed_at, Unset):
            completed_at = UNSET
        elif isinstance(self.completed_at, datetime.datetime):
            completed_at = self.completed_at.isoformat().replace("+00:00", "Z")
        else:
            completed_at = self.completed_at

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "request_id": request_id,
                "status": status,
                "error": error,
            }
        )
        if model_id is not UNSET:
            field_dict["model_id"] = model_id
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

        status = check_failed_request_status(d.pop("status"))

        def _parse_error(data: object) -> None | str:
            if data is None:
                return data
            return cast("None | str", data)

        error = _parse_error(d.pop("error"))

        model_id = d.pop("model_id", UNSET)

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

        def _parse_completed_at(data: object) -> datetime.datetime | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                completed_at_type_0 = read_date_time(data)

                return completed_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast("datetime.datetime | None | Unset", data)

        completed_at = _parse_completed_at(d.pop("completed_at", UNSET))

        failed_request = cls(
            request_id=request_id,
            status=status,
            error=error,
            model_id=model_id,
            output=output,
            created_at=created_at,
            updated_at=updated_at,
            completed_at=completed_at,
        )

        failed_request.additional_properties = d
        return failed_request

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

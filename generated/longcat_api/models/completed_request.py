# Generated from openapi.yaml by `make generate`. Never edited by hand.
from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset, read_date_time

if TYPE_CHECKING:
    from ..models.request_output import RequestOutput


T = TypeVar("T", bound="CompletedRequest")


@_attrs_define
class CompletedRequest:
    """The request is done and has its images.

    Attributes:
        request_id (str): The id that was asked for.
        status (Literal['COMPLETED']):
        output (RequestOutput): The images.
        model_id (str | Unset): The model that did the work.
        error (None | Unset):
        created_at (datetime.datetime | Unset): When the request was made.
        updated_at (datetime.datetime | Unset): When the status last changed.
        completed_at (datetime.datetime | Unset): When the request was done.
    """

    request_id: str
    status: Literal["COMPLETED"]
    output: RequestOutput
    model_id: str | Unset = UNSET
    error: None | Unset = UNSET
    created_at: datetime.datetime | Unset = UNSET
    updated_at: datetime.datetime | Unset = UNSET
    completed_at: datetime.datetime | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        request_id = self.request_id

        status = self.status

        output = self.output.to_dict()

        model_id = self.model_id

        error = self.error

        created_at: str | Unset = UNSET
        if not isinstance(self.created_at, Unset):
            created_at = self.created_at.isoformat().replace("+00:00", "Z")

        updated_at: str | Unset = UNSET
        if not isinstance(self.updated_at, Unset):
            updated_at = self.updated_at.isoformat().replace("+00:00", "Z")

        completed_at: str | Unset = UNSET
        if not isinstance(self.completed_at, Unset):
            completed_at = self.completed_at.isoformat().replace("+00:00", "Z")

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "request_id": request_id,
                "status": status,
                "output": output,
            }
        )
        if model_id is not UNSET:
            field_dict["model_id"] = model_id
        if error is not UNSET:
            field_dict["error"] = error
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

        status = cast("Literal['COMPLETED']", d.pop("status"))
        if status != "COMPLETED":
            raise ValueError(f"status must match const 'COMPLETED', got '{status}'")

        output = RequestOutput.from_dict(d.pop("output"))

        model_id = d.pop("model_id", UNSET)

        error = d.pop("error", UNSET)

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

        _completed_at = d.pop("completed_at", UNSET)
        completed_at: datetime.datetime | Unset
        if isinstance(_completed_at, Unset):
            completed_at = UNSET
        else:
            completed_at = read_date_time(_completed_at)

        completed_request = cls(
            request_id=request_id,
            status=status,
            output=output,
            model_id=model_id,
            error=error,
            created_at=created_at,
            updated_at=updated_at,
            completed_at=completed_at,
        )

        completed_request.additional_properties = d
        return completed_request

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


from ..models.request_output import RequestOutput  # noqa: E402

# Generated from openapi.yaml by `make generate`. Never edited by hand.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.submit_request_acceleration import SubmitRequestAcceleration, check_submit_request_acceleration
from ..models.submit_request_image_size import SubmitRequestImageSize, check_submit_request_image_size
from ..models.submit_request_output_format import SubmitRequestOutputFormat, check_submit_request_output_format
from ..types import UNSET, Unset

T = TypeVar("T", bound="SubmitRequest")


@_attrs_define
class SubmitRequest:
    """An order for images.

    Attributes:
        prompt (str): What the images should show.
        image_size (SubmitRequestImageSize): The shape of the images.
        num_inference_steps (int | Unset): How many steps the model takes.
        guidance_scale (float | Unset): How closely the model keeps to the prompt.
        num_images (int | Unset): How many images to make.
        enable_safety_checker (bool | Unset): Whether the images are checked.
        output_format (SubmitRequestOutputFormat | Unset): The kind of file.
        acceleration (SubmitRequestAcceleration | Unset): How much the work is hastened.
    """

    prompt: str
    image_size: SubmitRequestImageSize
    num_inference_steps: int | Unset = UNSET
    guidance_scale: float | Unset = UNSET
    num_images: int | Unset = UNSET
    enable_safety_checker: bool | Unset = UNSET
    output_format: SubmitRequestOutputFormat | Unset = UNSET
    acceleration: SubmitRequestAcceleration | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        prompt = self.prompt

        image_size: str = self.image_size

        num_inference_steps = self.num_inference_steps

        guidance_scale = self.guidance_scale

        num_images = self.num_images

        enable_safety_checker = self.enable_safety_checker

        output_format: str | Unset = UNSET
        if not isinstance(self.output_format, Unset):
            output_format = self.output_format

        acceleration: str | Unset = UNSET
        if not isinstance(self.acceleration, Unset):
            acceleration = self.acceleration

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "prompt": prompt,
                "image_size": image_size,
            }
        )
        if num_inference_steps is not UNSET:
            field_dict["num_inference_steps"] = num_inference_steps
        if guidance_scale is not UNSET:
            field_dict["guidance_scale"] = guidance_scale
        if num_images is not UNSET:
            field_dict["num_images"] = num_images
        if enable_safety_checker is not UNSET:
            field_dict["enable_safety_checker"] = enable_safety_checker
        if output_format is not UNSET:
            field_dict["output_format"] = output_format
        if acceleration is not UNSET:
            field_dict["acceleration"] = acceleration

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        prompt = d.pop("prompt")

        image_size = check_submit_request_image_size(d.pop("image_size"))

        num_inference_steps = d.pop("num_inference_steps", UNSET)

        guidance_scale = d.pop("guidance_scale", UNSET)

        num_images = d.pop("num_images", UNSET)

        enable_safety_checker = d.pop("enable_safety_checker", UNSET)

        _output_format = d.pop("output_format", UNSET)
        output_format: SubmitRequestOutputFormat | Unset
        if isinstance(_output_format, Unset):
            output_format = UNSET
        else:
            output_format = check_submit_request_output_format(_output_format)

        _acceleration = d.pop("acceleration", UNSET)
        acceleration: SubmitRequestAcceleration | Unset
        if isinstance(_acceleration, Unset):
            acceleration = UNSET
        else:
            acceleration = check_submit_request_acceleration(_acceleration)

        submit_request = cls(
            prompt=prompt,
            image_size=image_size,
            num_inference_steps=num_inference_steps,
            guidance_scale=guidance_scale,
            num_images=num_images,
            enable_safety_checker=enable_safety_checker,
            output_format=output_format,
            acceleration=acceleration,
        )

        submit_request.additional_properties = d
        return submit_request

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

"""Pictures as a caller in Python has them: a file, a PIL image, an array or a tensor."""

from __future__ import annotations

import os
from typing import TypeAlias, TypeGuard

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .reading import as_rgb, read_image

Picture: TypeAlias = "str | os.PathLike[str] | Image.Image | np.ndarray | Tensor"
"""A path; a PIL image of any mode; an array (H, W, 3), (H, W, 4) or (H, W) or a tensor (3, H, W) of
unsigned bytes, in the order red, green, blue."""
KINDS = (str, os.PathLike, Image.Image, np.ndarray, Tensor)


def picture_name(picture: Picture) -> str:
    """The path of a picture that is a file; "" for one that is not."""
    return os.fspath(picture) if isinstance(picture, (str, os.PathLike)) else ""


def is_picture(value: object) -> TypeGuard[Picture]:
    """Whether a value can be a picture, by its type."""
    return isinstance(value, KINDS)


def no_picture(value: object) -> TypeError:
    """The error of a value that is no picture."""
    return TypeError(
        "a picture is a path, a PIL image, an array (H, W, 3) or a tensor (3, H, W), not "
        f"{type(value).__name__}"
    )


def rgb_of(picture: Picture) -> Image.Image:
    """A picture as 8-bit RGB.

    Raises:
        ImageError: an OSError that names the file that cannot be read.
        ValueError: an array or tensor has another shape or other numbers; the image has no pixels.
        TypeError: it is something else.
    """
    if isinstance(picture, (str, os.PathLike)):
        return read_image(picture)
    if isinstance(picture, Image.Image):
        image = as_rgb(picture)
    elif isinstance(picture, np.ndarray):
        image = _from_array(picture, f"an array {picture.shape}", "(H, W, 3)")
    elif isinstance(picture, Tensor):
        values = picture.detach().cpu()
        # torchvision has the channels first.
        values = values.permute(1, 2, 0) if values.dim() == 3 else values
        what = f"a tensor {tuple(picture.shape)}"
        if values.dtype != torch.uint8:  # numpy may have no type for it, such as for bfloat16
            raise _no_bytes(what, str(values.dtype).removeprefix("torch."))
        image = _from_array(values.numpy(), what, "(3, H, W)")
    else:
        raise no_picture(picture)
    if not min(image.size):
        raise ValueError(f"a picture of {image.width} x {image.height} pixels has none")
    return image


def _no_bytes(what: str, numbers: str) -> ValueError:
    # Numbers from 0 to 1 and from 0 to 255 both are usual: a guess would be wrong without a word.
    return ValueError(f"{what} of {numbers} is no picture: give unsigned bytes, 0 to 255 (uint8).")


def _from_array(values: np.ndarray, what: str, shape: str) -> Image.Image:
    if values.dtype != np.uint8:
        raise _no_bytes(what, str(values.dtype))
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    if values.ndim != 2 and (values.ndim != 3 or values.shape[2] not in (3, 4)):
        raise ValueError(f"{what} is no picture: give {shape}.")
    if not values.size:
        raise ValueError(f"{what} has no pixels.")
    return Image.fromarray(np.ascontiguousarray(values)).convert("RGB")

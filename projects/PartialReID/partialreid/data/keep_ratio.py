"""Test images resized without being stretched to the model's shape.

A partial image of a person has other proportions than the model's whole-body input. Stretched to
that input, a head and shoulders become as tall as a person, and nothing in the gallery looks like
them. Here an image keeps its proportions, at a scale that the model knows from training.

The policy, for a model of H x W pixels (INPUT.SIZE_TEST) and INPUT.KEEP_RATIO:

1. The image is scaled to fit into H x W ("fit"), to width W ("width"), to height H ("height") or to
   the area H * W ("area"). Of a body that one side of the picture has cut, "fit" keeps the scale
   whichever side it is, as long as the whole body would have the proportions H : W. Boxes of whole
   people may be narrower: of 3 : 1 the upper half is 1.5 : 1, and would be made 1.5 times as large.
   "gallery" is "fit" once all images have been stretched sideways so that whole people are H : W.
   How high they are by their width is INPUT.KEEP_RATIO_WHOLE or, without a number, what about nine
   tenths of the gallery's images are at least (`whole_people`). By the median, boxes that are wider
   than it by chance would show smaller people than the others.
2. Neither side may be so short that the map has no room for the largest pyramid window, nor longer
   than INPUT.KEEP_RATIO_LONGEST times the model's. An image out of these bounds is scaled further,
   up or down, with its proportions kept. Only where no scale serves, for crops several times longer
   than wide, do sides change on their own: the short one takes its lower bound and the long one its
   upper bound, which are the proportions nearest to the image's that fit. With "fit" and "gallery"
   the scale always stays, and a side too short for the pyramid is stretched alone: kernels of eight
   cells leave an image of 256 x 128 no room to become narrower.
3. Each side is rounded to the model's plus or minus a multiple of INPUT.KEEP_RATIO_STEP, half a
   step up. Few sizes remain, so that images fill batches, and an image whose proportions are H : W
   comes out as H x W exactly. Rounding moves each side by half a step at most.

Sizes are (height, width) everywhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torchvision.transforms as T
from PIL import Image

from .detail import ALL, LimitDetail
from .smallest_sizes import smallest_sides
from .transforms import build_transforms

Size = tuple[int, int]
OFF = "off"
GALLERY = "gallery"
# Those that keep the scale at which a whole body fits into the model's size.
TO_FIT = ("fit", GALLERY)
POLICIES = (*TO_FIT, "width", "height", "area")
LONGEST = 2.0


def target_size(
    image: Size,
    model: Size,
    policy: str,
    step: int,
    least: Size,
    longest: float = LONGEST,
    whole: float = 0.0,
) -> Size:
    """The size an image is resized to; see the module's docstring.

    Args:
        image: size of the image in pixels.
        model: (H, W), the size that the model is made for.
        policy: "fit", "gallery", "width", "height" or "area".
        step: both sides are the model's plus or minus a multiple of it.
        least: sides that the map needs, at most those of the model.
        longest: no side becomes longer than so many times the model's; from 1.
        whole: of "gallery", height by width of an image that shows a whole person; 0: as `model`.

    Raises:
        ValueError: a side or the step is not positive, the policy is unknown, `least` exceeds
            `model`, or `longest` is below 1.
    """
    sides: tuple[float, float] = image
    if policy == GALLERY and whole:
        sides = (image[0], image[1] * whole * model[1] / model[0])
    if min(*image, *model, *least, step) < 1:
        raise ValueError(f"sides and step must be positive: {image}, {model}, {least}, {step}")
    if longest < 1:
        raise ValueError(f"the longest side is {longest} times the model's: it starts at 1")
    if least[0] > model[0] or least[1] > model[1]:
        raise ValueError(f"the model's size {model} has less than the least sides {least}")
    if policy == "width":
        scale = model[1] / sides[1]
    elif policy == "height":
        scale = model[0] / sides[0]
    elif policy == "area":
        scale = math.sqrt(model[0] * model[1] / (sides[0] * sides[1]))
    elif policy in TO_FIT:
        scale = min(own / side for own, side in zip(model, sides))
    else:
        raise ValueError(f"the policy {policy!r} is not {', '.join(POLICIES)}")
    # The bounds lie on the grid of sizes, so that rounding cannot leave them.
    low = [own - (own - bound) // step * step for own, bound in zip(model, least)]
    high = [own + int((longest - 1) * own // step) * step for own in model]
    if policy not in TO_FIT:
        scale = max(scale, *(bound / side for bound, side in zip(low, sides)))
    scale = min(scale, *(bound / side for bound, side in zip(high, sides)))
    height, width = (
        min(max(own + step * math.floor((side * scale - own) / step + 0.5), shortest), most)
        for side, own, shortest, most in zip(sides, model, low, high)
    )
    return height, width


@dataclass(frozen=True)
class KeepRatioResize:
    """Resizes a PIL image to its `target_size`, bicubic as FastReID's test transform.

    Attributes: as the arguments of `target_size`.
    """

    model: Size
    policy: str
    step: int
    least: Size
    longest: float = LONGEST
    whole: float = 0.0

    def target(self, image: Size) -> Size:
        """The size that an image of this size gets."""
        return target_size(
            image, self.model, self.policy, self.step, self.least, self.longest, self.whole
        )

    def __call__(self, image: Image.Image) -> Image.Image:
        """The resized image."""
        height, width = self.target((image.height, image.width))
        return image.resize((width, height), Image.Resampling.BICUBIC)


def keep_ratio_resize(cfg: Any) -> KeepRatioResize | None:
    """The resizing that a config asks for; None where INPUT.KEEP_RATIO is "off".

    For "gallery" what a gallery says is put in its `whole`, see `whole_people`.

    Raises:
        ValueError: the pyramid has no room in the map of an image of INPUT.SIZE_TEST.
    """
    if cfg.INPUT.KEEP_RATIO == OFF:
        return None
    height, width = cfg.INPUT.SIZE_TEST
    keys = cfg.INPUT
    return KeepRatioResize(
        (height, width),
        keys.KEEP_RATIO,
        keys.KEEP_RATIO_STEP,
        smallest_sides(cfg),
        keys.KEEP_RATIO_LONGEST,
        float(keys.KEEP_RATIO_WHOLE),
    )


def build_test_transform(cfg: Any, resize: KeepRatioResize | None) -> Any:
    """FastReID's test transform, with `resize` in place of its own resizing unless that is None.

    INPUT.DETAIL limits what either resizes.

    Returns:
        A function from a PIL image to a float tensor (3, height, width) in 0..255.
    """
    steps = list(build_transforms(cfg, is_train=False).transforms)
    if resize is not None:
        steps = [resize, *(step for step in steps if not isinstance(step, T.Resize))]
    share = float(cfg.INPUT.DETAIL)
    if share < ALL:
        steps = [
            LimitDetail(step, share) if isinstance(step, (T.Resize, KeepRatioResize)) else step
            for step in steps
        ]
    return T.Compose(steps)

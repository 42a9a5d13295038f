"""Draws a pedestrian: a jointed body, turned by its yaw, projected and painted back to front.

Body axes, in fractions of the body height: x to the person's left (the viewer's right when the
person faces the viewer), y down from the crown, z forward. Seen from yaw, a point is at
x cos(yaw) + z sin(yaw) across and z cos(yaw) - x sin(yaw) towards the viewer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import cos, hypot, pi, sin

import numpy as np

from .canvas import Canvas, Point, Texture, plain
from .clothes import (
    head_texture,
    leg_texture,
    skirt_texture,
    sleeve_texture,
    top_texture,
)
from .identity import Identity

# Bodies this small read better a little stouter than life.
WIDEN = 1.16

Joint = tuple[float, float, float]  # (x, y, z)


@dataclass(frozen=True)
class Pose:
    """How a person stands in one picture.

    Attributes:
        yaw: radians; 0 faces the viewer, pi shows the back.
        stride: angle of the legs at the hip, signed, radians.
        swing: angle of the arms at the shoulder, signed, radians.
        elbows: bend of the left and the right elbow, radians.
        centre, top: x of the body's axis and y of the crown, pixels.
        height: from crown to soles, pixels, of a person of mean height.
        tilt: 0 for a level camera, up to 0.3 for one that looks down (shorter, thinner legs).
    """

    yaw: float
    stride: float
    swing: float
    elbows: tuple[float, float]
    centre: float
    top: float
    height: float
    tilt: float = 0.0


def sample_pose(rng: np.random.Generator, yaw: float, box: tuple[float, float, float]) -> Pose:
    """Draw a pose: walking or standing.

    Args:
        rng: where the pose comes from.
        yaw: the direction of the person, radians.
        box: centre x, top y and body height, pixels.
    """
    stride = float(rng.choice((-1, 1)) * rng.uniform(0.05, 0.5))
    elbows = rng.uniform(0.05, 0.7, 2)
    if rng.random() < 0.15:
        elbows[int(rng.integers(2))] = 2.3  # a hand held up, as with a telephone
    swing = -stride * rng.uniform(0.5, 1.1)
    centre, top, height = box
    return Pose(
        yaw, stride, float(swing), (float(elbows[0]), float(elbows[1])), centre, top, height
    )


class _Body:
    """One person in one pose: joints to pixels, parts to the canvas."""

    def __init__(self, canvas: Canvas, person: Identity, pose: Pose) -> None:
        self.canvas, self.person, self.pose = canvas, person, pose
        self.scale = pose.height * person.height
        self.c, self.s = cos(pose.yaw), sin(pose.yaw)

    def row(self, y: float) -> float:
        tilt = self.pose.tilt
        # Shorter people end lower in the picture: their soles stand where all soles stand.
        start = self.pose.top + self.pose.height - self.scale
        return start + self.scale * (y + tilt * y * (1 - y))

    def size(self, y: float) -> float:
        return self.scale * WIDEN * (1 + self.pose.tilt * (0.5 - y))

    def at(self, x: float, y: float, z: float) -> Point:
        return self.pose.centre + self.size(y) * (x * self.c + z * self.s), self.row(y)

    def near(self, x: float, z: float) -> float:
        return z * self.c - x * self.s

    def loft(
        self, knots: list[tuple[float, float]], depth: float, texture: Texture, z: float = 0.0
    ) -> None:
        """Knots are (y, half width); the half depth is `depth` times the half width."""
        ys = [self.row(y) for y, _ in knots]
        halves = [self.size(y) * half * hypot(self.c, depth * self.s) for y, half in knots]
        self.canvas.loft(ys, [self.at(0, y, z)[0] for y, _ in knots], halves, texture)

    def limb(self, joints: list[Joint], radii: list[float], textures: list[Texture]) -> None:
        for i, texture in enumerate(textures):
            p, q = joints[i], joints[i + 1]
            rp, rq = radii[i] * self.size(p[1]), radii[i + 1] * self.size(q[1])
            self.canvas.capsule(self.at(*p), self.at(*q), rp, rq, texture)

    def leg(self, side: int) -> None:
        person, yaw = self.person, self.pose.yaw
        # A skirt shortens the stride.
        angle = side * self.pose.stride * (0.6 if person.bottom_kind == "skirt" else 1.0)
        # The leg behind has lifted its heel; the one in front is nearly straight.
        bend = 0.1 + max(-angle, 0.0) * 0.9
        x, r = side * 0.046 * person.girth, person.girth
        knee = (x * 1.05, 0.5 + 0.24 * cos(angle), 0.24 * sin(angle))
        low = angle - bend
        ankle = (x, knee[1] + 0.215 * cos(low), knee[2] + 0.215 * sin(low))
        wide = 1.12 if person.bottom_kind == "trousers" else 0.9
        self.limb(
            [(x, 0.5, 0.0), knee, ankle],
            [0.056 * r, 0.044 * wide, 0.031 * wide],
            [leg_texture(person, side, yaw, True), leg_texture(person, side, yaw, False)],
        )
        toe = (ankle[0] * 1.2, ankle[1] + 0.018, ankle[2] + 0.075)
        self.limb(
            [(ankle[0], ankle[1] + 0.005, ankle[2] - 0.01), toe],
            [0.032, 0.024],
            [plain(person.shoes)],
        )

    def arm(self, side: int) -> None:
        person, angle = self.person, side * self.pose.swing
        bend = self.pose.elbows[0 if side > 0 else 1]
        x = side * 0.1 * person.shoulders
        elbow = (x * 1.32, 0.215 + 0.15 * cos(angle), 0.15 * sin(angle))
        low = angle + bend
        wrist = (x * 1.28, elbow[1] + 0.14 * cos(low), elbow[2] + 0.14 * sin(low))
        sleeve = sleeve_texture(person)
        fore = plain(person.skin) if person.sleeve == "short" else sleeve
        radii = [0.035 * person.girth**0.5, 0.031, 0.022]
        self.limb([(x, 0.213, 0.0), elbow, wrist], radii, [sleeve, fore])
        hand = self.at(*wrist)
        self.canvas.capsule(hand, hand, 0.026 * self.scale, 0.026 * self.scale, plain(person.skin))
        if person.bag == "hand" and side == person.bag_side:
            top, size = hand[1] + 0.02 * self.scale, 0.055 * self.scale * WIDEN
            halves = [size * 0.8, size, size * 1.05]
            ys = [top, top + size, top + 2.1 * size]
            self.canvas.loft(ys, hand[0], halves, plain(person.bag_colour))

    def torso(self) -> None:
        p, yaw = self.person, self.pose.yaw
        g, s = p.girth, p.shoulders
        if p.bottom_kind == "skirt":
            flare = 0.1 * g + 0.12 * (p.bottom_hem - 0.5)
            knots = [(0.42, 0.085 * g), (0.5, 0.1 * g), (p.bottom_hem, flare)]
            self.loft(knots, 0.8, skirt_texture(p, yaw))
        else:
            self.loft(
                [(0.44, 0.084 * g), (0.5, 0.098 * g), (0.545, 0.085 * g)], 0.72, plain(p.bottom)
            )
        knots = [(0.15, 0.04), (0.168, 0.075 * s), (0.19, 0.105 * s), (0.22, 0.112 * s)]
        knots += [(0.4, 0.088 * g), (0.5, 0.1 * g)]
        knots.append((p.hem, 0.102 * g + 0.1 * max(p.hem - 0.55, 0)))
        self.loft(knots, 0.68, top_texture(p, yaw))

    def head(self) -> None:
        p, size = self.person, self.size(0.07)
        self.limb([(0, 0.12, 0.0), (0, 0.165, 0.0)], [0.034, 0.04], [plain(p.skin)])
        if p.scarf:
            self.limb([(-0.04, 0.15, 0), (0.04, 0.15, 0)], [0.03, 0.03], [plain(p.bag_colour)])
        rx = size * hypot(0.05 * self.c, 0.058 * self.s)
        centre = self.at(0, 0.07, 0.008)
        if p.hair_style == "bun" and p.hat == "none":
            bun = self.at(0, 0.03, -0.05)
            self.canvas.capsule(bun, bun, 0.03 * size, 0.03 * size, plain(p.hair))
        self.canvas.ellipse(centre, rx, 0.07 * self.scale, head_texture(p, self.pose.yaw))
        if p.hat == "cap":
            self.limb([(0, 0.05, 0.045), (0, 0.055, 0.1)], [0.014, 0.01], [plain(p.accent)])

    def long_hair(self) -> None:
        self.loft(
            [(0.05, 0.05), (0.12, 0.062), (0.21, 0.055), (0.235, 0.03)],
            0.7,
            plain(self.person.hair),
            -0.03,
        )

    def backpack(self) -> None:
        knots = [(0.19, 0.06), (0.215, 0.082), (0.42, 0.088), (0.455, 0.06)]

        def texture(u: np.ndarray, v: np.ndarray) -> np.ndarray:
            dim = 1 - 0.25 * (np.abs(v - 0.55) < 0.05)
            return np.asarray(self.person.bag_colour, np.float32) * dim[..., None]

        self.loft(knots, 0.75, texture, -0.105 * self.person.girth)

    def shoulder_bag(self) -> None:
        x = self.person.bag_side * 0.125 * self.person.girth
        middle, size = self.at(x, 0.5, 0.0), self.size(0.5)
        half = size * hypot(0.035 * self.c, 0.075 * self.s)
        ys = [middle[1] - 0.06 * self.scale, middle[1] + 0.07 * self.scale]
        self.canvas.loft(ys, middle[0], [half, half * 1.1], plain(self.person.bag_colour))


def draw_pedestrian(canvas: Canvas, person: Identity, pose: Pose) -> None:
    """Paint one person onto the canvas; `canvas.mask` gains the body.

    Args:
        canvas: is changed in place.
        person: the lasting appearance.
        pose: direction, limbs and place.
    """
    body = _Body(canvas, person, pose)
    sides = sorted((-1, 1), key=lambda side: body.near(side, 0.0))
    for side in sides:
        body.leg(side)

    # Painted by distance to the viewer: the torso is at 0, the head just before it.
    parts: list[tuple[float, Callable[[], None]]] = [(0.0, body.torso), (0.001, body.head)]
    for side in sides:
        depth = body.near(0.12 * side, 0.03)
        parts.append((depth, partial(body.arm, side)))
    if person.hair_style == "long":
        parts.append((body.near(0, -0.03), body.long_hair))
    if person.bag == "backpack":
        parts.append((body.near(0, -0.12), body.backpack))
    if person.bag == "shoulder":
        parts.append((body.near(0.13 * person.bag_side, 0.04), body.shoulder_bag))
    for _, draw in sorted(parts, key=lambda part: part[0]):
        draw()


def facing(rng: np.random.Generator, habit: float) -> float:
    """A yaw: mostly along the camera's walking direction, sometimes any."""
    return float(rng.uniform(-pi, pi) if rng.random() < 0.25 else rng.normal(habit, 0.35))

"""Textures of clothes and heads as functions of the place on the body.

A torso is seen as a round body: a pixel at u in [-1, 1] across it shows the body angle
phi = arcsin(u) - yaw (0: chest, +-pi: back). A logo on the chest is therefore at the
side or out of sight when the person turns, as in real pictures.
"""

from __future__ import annotations

import numpy as np

from .canvas import Texture, plain
from .identity import Colour, Identity


def body_angle(u: np.ndarray, yaw: float) -> np.ndarray:
    """The angle around the body, in (-pi, pi], of what is seen at u."""
    phi = np.arcsin(u) - yaw
    return np.arctan2(np.sin(phi), np.cos(phi))


def _mix(where: np.ndarray, there: Colour, elsewhere: np.ndarray) -> np.ndarray:
    return np.where(where[..., None], np.asarray(there, np.float32), elsewhere)


def _pattern(person: Identity, phi: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Where the top has its accent colour."""
    n = person.bands
    # The torso is about as long as half its girth, so equal numbers make square cells.
    rows, columns = (
        np.floor(v * 2 * n).astype(int) % 2,
        np.floor(phi / np.pi * n + 0.5).astype(int) % 2,
    )
    match person.pattern:
        case "rows":
            return rows == 1
        case "columns":
            return columns == 1
        case "checks":
            return (rows + columns) % 2 == 1
        case "dots":
            a, b = v * n % 1 - 0.5, phi / np.pi * n % 1 - 0.5
            return a * a + b * b < 0.09
        case "yoke":
            return v < 0.32
        case "logo":
            return (np.abs(phi) < 0.5) & (np.abs(v - 0.38) < (0.06 if n == 4 else 0.14))
        case "print":
            return (np.abs(phi) > np.pi - 0.7) & (np.abs(v - 0.4) < 0.2)
        case "open":
            return np.abs(phi) < (0.25 if n == 4 else 0.5)
        case "sash":
            return np.abs(v - 0.5 - 0.4 * np.sin(phi)) < 0.1
    return np.zeros(phi.shape, bool)


def top_texture(person: Identity, yaw: float) -> Texture:
    """The top on the torso, with straps of bags, belt and scarf."""

    def texture(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        phi = body_angle(u, yaw)
        # Patterns scale with the body, not with the length of the garment.
        along = v * (person.hem - 0.155) / 0.4
        colour = _mix(
            _pattern(person, phi, along), person.accent, np.asarray(person.top, np.float32)
        )
        if person.belt:
            colour = _mix(np.abs(along - 0.78) < 0.05, (40, 32, 28), colour)
        if person.bag == "backpack":
            strap = (np.abs(np.abs(phi) - 0.62) < 0.16) & (along < 0.75)
            colour = _mix(strap, person.bag_colour, colour)
        if person.bag == "shoulder":
            line = np.abs(along - 0.45 - 0.5 * person.bag_side * np.sin(phi)) < 0.05
            colour = _mix(line, person.bag_colour, colour)
        if person.scarf:
            colour = _mix(along < 0.12, person.bag_colour, colour)
        return colour

    return texture


def sleeve_texture(person: Identity) -> Texture:
    """The upper arm; stripes go on, everything else is the colour of the sleeve."""
    colour = person.accent if person.sleeve == "accent" else person.top
    if person.pattern not in ("rows", "checks") or person.sleeve == "accent":
        return plain(colour)

    def texture(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        stripe = np.floor(v * person.bands).astype(int) % 2 == 1
        return _mix(stripe, person.accent, np.asarray(colour, np.float32))

    return texture


def leg_texture(person: Identity, side: int, yaw: float, upper: bool) -> Texture:
    """One half of a leg: `upper` from hip to knee, else from knee to ankle."""
    skin: Colour = (44, 42, 48) if person.tights and person.bottom_kind == "skirt" else person.skin
    start, length = (0.5, 0.24) if upper else (0.74, 0.22)
    end = {"trousers": 1.0, "shorts": person.bottom_hem, "skirt": 0.0}[person.bottom_kind]

    def texture(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        y = start + length * v
        cloth = np.broadcast_to(np.asarray(person.bottom, np.float32), (*u.shape, 3))
        if person.bottom_stripe:
            # The outer seam is at +-90 degrees: visible from its side, an edge from the front.
            seam = np.abs(body_angle(u, yaw) - side * np.pi / 2) < 0.5
            cloth = _mix(seam, person.accent, cloth)
        colour = _mix(y > end, skin, cloth)
        return _mix(y > 0.86, person.shoes, colour) if person.boots else colour

    return texture


def skirt_texture(person: Identity, yaw: float) -> Texture:
    """Pleats, darker in their folds."""

    def texture(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        fold = 1 - 0.12 * (np.sin(body_angle(u, yaw) * 9) > 0.4)
        return np.asarray(person.bottom, np.float32) * fold[..., None]

    return texture


def head_texture(person: Identity, yaw: float) -> Texture:
    """Face, hair and hat: the hairline is high in front and low at the nape."""

    def texture(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        phi = np.abs(body_angle(u, yaw))
        colour = np.broadcast_to(np.asarray(person.skin, np.float32), (*u.shape, 3))
        eyes = (np.abs(v - 0.52) < 0.05) & (np.abs(phi - 0.42) < 0.2)
        if person.glasses:
            eyes = (np.abs(v - 0.52) < 0.08) & (phi < 1.2)
        colour = _mix(eyes, (34, 30, 32), colour)
        if person.hair_style != "bald":
            long = person.hair_style == "long"
            line = np.interp(
                phi, (0, 0.8, 1.2, 2.0), (0.24, 0.30, 1.1 if long else 0.55, 1.1 if long else 0.8)
            )
            colour = _mix(v < line, person.hair, colour)
        if person.hat != "none":
            colour = _mix(v < (0.34 if person.hat == "cap" else 0.42), person.accent, colour)
        return colour

    return texture

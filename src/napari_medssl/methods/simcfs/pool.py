"""A pool of single images by class: what the simulator fills panels with.

Beside the images of a folder the pool holds textures that we make (fluorescent spots, sections on a
black ground, label maps, masks, noise), because modalities that nobody shipped appear in figures
too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

Rng = np.random.Generator


@dataclass(frozen=True)
class Pool:
    """Single images, uint8 (Y, X, 3), grouped by class name."""

    classes: dict[str, list[np.ndarray]]

    def __len__(self) -> int:
        return sum(len(images) for images in self.classes.values())

    def draw(self, rng: Rng, name: str | None = None) -> np.ndarray:
        """Return one image of class `name`, or of a class drawn at random."""
        if name is None:
            name = self.draw_class(rng)
        images = self.classes[name]
        return images[rng.integers(len(images))]

    def draw_class(self, rng: Rng) -> str:
        """Return a class name; large classes come more often, though less than in proportion."""
        names = sorted(self.classes)
        weight = np.sqrt([len(self.classes[n]) for n in names])
        return str(names[rng.choice(len(names), p=weight / weight.sum())])


def made_textures(
    seed: int = 0, per_class: int = 24, size: int = 256
) -> dict[str, list[np.ndarray]]:
    """Return textures of modalities that a pool may lack; deterministic by `seed`."""
    rng = np.random.default_rng(seed)
    makers = {
        "made-spots": _spots,
        "made-section": _section,
        "made-labels": _labels,
        "made-mask": _mask,
        "made-grain": _grain,
        "made-membrane": _membrane,
        "made-lattice": _lattice,
        "made-tissue": _tissue,
    }
    return {name: [make(rng, size) for _ in range(per_class)] for name, make in makers.items()}


def _smooth(rng: Rng, size: int, sigma: float) -> np.ndarray:
    noise = ndimage.gaussian_filter(rng.normal(0, 1, (size, size)), sigma, mode="wrap")
    return np.asarray((noise - noise.min()) / (np.ptp(noise) + 1e-9))


def _byte(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.clip(values * 255, 0, 255).astype(np.uint8))


def _grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(_byte(values)[..., None], 3, axis=2)


def _spots(rng: Rng, size: int) -> np.ndarray:
    """Fluorescence: coloured nuclei or puncta on black."""
    image = np.zeros((size, size, 3))
    for channel in rng.choice(3, rng.integers(1, 4), replace=False):
        field = np.zeros((size, size))
        at = rng.integers(0, size, (2, int(rng.choice([15, 60, 200]))))
        field[at[0], at[1]] = rng.uniform(0.3, 1, at.shape[1])
        field = ndimage.gaussian_filter(field, rng.uniform(1.5, 9))
        image[..., channel] = field / (field.max() + 1e-9) + 0.08 * rng.random((size, size))
    return _byte(image * rng.uniform(0.6, 1.1))


def _section(rng: Rng, size: int) -> np.ndarray:
    """A body or brain section: grey texture inside an ellipse on black."""
    yy, xx = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    wobble = 0.15 * (_smooth(rng, size, size / 10) - 0.5)
    a, b = rng.uniform(0.45, 0.9, 2)
    r = np.hypot(xx / a + wobble, yy / b + wobble)
    inside = ndimage.gaussian_filter((r < 1).astype(float), 1.2)
    rim = np.exp(-(((r - 0.93) / 0.05) ** 2)) * rng.uniform(0, 0.8)
    body = (
        0.25 + 0.5 * _smooth(rng, size, rng.uniform(3, 14)) + 0.1 * rng.normal(0, 0.4, (size, size))
    )
    holes = np.hypot(xx - rng.uniform(-0.3, 0.3), yy - rng.uniform(-0.3, 0.3)) < rng.uniform(
        0.05, 0.25
    )
    body = np.where(holes, rng.uniform(0, 1), body)
    return _grey(np.clip(body + rim, 0, 1) * inside)


def _labels(rng: Rng, size: int) -> np.ndarray:
    """A label map: flat coloured regions, often on a dark or white ground."""
    count = int(rng.integers(2, 9))
    field = np.stack([_smooth(rng, size, rng.uniform(8, 30)) for _ in range(count)]).argmax(axis=0)
    palette = rng.integers(0, 256, (count, 3))
    palette[0] = rng.choice([0, 255, 68])
    return np.asarray(palette[field].astype(np.uint8))


def _mask(rng: Rng, size: int) -> np.ndarray:
    """A binary mask: white shapes on black, or the reverse."""
    on = _smooth(rng, size, rng.uniform(6, 25)) > rng.uniform(0.5, 0.85)
    return _grey((on ^ (rng.random() < 0.15)).astype(float))


def _grain(rng: Rng, size: int) -> np.ndarray:
    """Electron microscopy: fine grey grain with larger structure."""
    field = 0.6 * _smooth(rng, size, rng.uniform(1, 3)) + 0.4 * _smooth(
        rng, size, rng.uniform(6, 20)
    )
    return _grey(np.clip((field - 0.5) * rng.uniform(1, 3) + 0.5, 0, 1))


def _membrane(rng: Rng, size: int) -> np.ndarray:
    """Cell borders: distance ridges between random seeds."""
    seeds = np.ones((size, size), bool)
    at = rng.integers(0, size, (2, int(rng.integers(20, 120))))
    seeds[at[0], at[1]] = False
    d = ndimage.distance_transform_edt(seeds)
    ridge = np.clip(d / (d.max() + 1e-9) * 1.3, 0, 1) ** rng.uniform(1, 4)
    tint = rng.uniform(0.2, 1, 3) if rng.random() < 0.5 else np.ones(3)
    return _byte((ridge + 0.1 * rng.random((size, size)))[..., None] * tint)


def _lattice(rng: Rng, size: int) -> np.ndarray:
    """Atomic lattice or stripes, as in high-resolution electron microscopy."""
    yy, xx = np.mgrid[0:size, 0:size]
    field = np.zeros((size, size))
    for _ in range(int(rng.integers(1, 4))):
        angle, period = rng.uniform(0, np.pi), rng.uniform(6, 30)
        field += np.cos((xx * np.cos(angle) + yy * np.sin(angle)) * 2 * np.pi / period)
    field = (field - field.min()) / np.ptp(field)
    return _byte((0.8 * field + 0.2 * rng.random((size, size)))[..., None] * rng.uniform(0.3, 1, 3))


def _tissue(rng: Rng, size: int) -> np.ndarray:
    """A piece of stained tissue on a white glass ground."""
    on = ndimage.gaussian_filter((_smooth(rng, size, 25) > rng.uniform(0.4, 0.6)).astype(float), 1)[
        ..., None
    ]
    color = np.array([rng.uniform(0.6, 0.95), rng.uniform(0.3, 0.6), rng.uniform(0.6, 0.85)])
    texture = color * (0.6 + 0.5 * _smooth(rng, size, 2)[..., None])
    return _byte(on * texture + (1 - on) * rng.uniform(0.93, 1.0))

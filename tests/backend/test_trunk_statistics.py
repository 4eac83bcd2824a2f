"""Statistics of the trunk's maps over images, and models that stand side by side."""

import numpy as np
import pytest
import torch

from napari_medssl.backend.landmark_features import LandmarkModelInfo, MatchSettings
from napari_medssl.backend.landmark_maps import JointLandmarks
from napari_medssl.backend.trunk_statistics import TrunkStatistics, measure


def stages(picture, width):
    """Two maps that grow with the width and the picture."""
    cells = torch.from_numpy(picture.astype(np.float32))
    return {3: torch.stack([cells, cells * width]), 5: cells[None] * 0 + 7}


def test_statistics_are_those_of_all_pictures_alike():
    pictures = [np.arange(6, dtype=np.uint8).reshape(2, 3), np.full((4, 3), 9, np.uint8)]
    found = measure(pictures, (8, 16), stages)
    values = [picture.ravel().astype(float) for picture in pictures]
    mean = np.mean([v.mean() for v in values])
    spread = np.sqrt(np.mean([(v**2).mean() for v in values]) - mean**2)
    assert np.allclose(found.values[8, 3], [[mean, 8 * mean], [spread, 8 * spread]], rtol=1e-5)
    assert np.allclose(found.values[16, 3][0], [mean, 16 * mean], rtol=1e-5)
    assert np.allclose(found.values[8, 5], [[7], [1e-3]], rtol=1e-4)  # one that never moves
    even = found.even(stages(pictures[0], 8)[3], 8, 3)
    assert np.allclose(even[1].numpy(), (pictures[0] - mean) / spread, atol=1e-4)


def test_statistics_go_through_a_card():
    found = measure([np.arange(6, dtype=np.uint8).reshape(2, 3)], (8,), stages)
    back = TrunkStatistics.from_card(found.to_card())
    assert back.values.keys() == found.values.keys()
    for key, value in back.values.items():
        assert np.allclose(value, found.values[key], rtol=1e-3)


@pytest.mark.parametrize(
    "card",
    [{"8": "AAA="}, {"8/3": "?"}, {"8/3": "AAA="}, {"8/3": 1}, {"8/3": "AAAAAA=="}],
)
def test_other_things_on_a_card_are_told(card):
    with pytest.raises((KeyError, TypeError, ValueError)):
        TrunkStatistics.from_card(card)


class Fixed:
    """A model with maps of unit length that it is made with."""

    def __init__(self, name, coarse, *fine):
        self.info = LandmarkModelInfo(name, name)
        self.made = coarse, fine

    def maps(self, pixels, should_stop=None):
        return self.made


def unit(seed, dim):
    values = np.random.default_rng(seed).normal(size=(dim, 2, 3))
    return (values / np.linalg.norm(values, axis=0)).astype(np.float16)


@pytest.mark.parametrize("shares", [None, (1, 3)])
def test_models_side_by_side_average_their_cosines(shares):
    one, other = (
        Fixed("one", unit(0, 4), unit(1, 4)),
        Fixed("other", unit(2, 5), *map(unit, (3, 4), (5, 5))),
    )
    joint = JointLandmarks([one, other], MatchSettings(), shares)
    coarse, fine = joint.maps(np.zeros((8, 8), np.uint8))
    part = 0.5 if shares is None else 0.25
    assert len(fine) == 2

    def cosines(maps):
        flat = maps.astype(np.float32).reshape(len(maps), -1)
        return flat.T @ flat

    due = part * cosines(unit(0, 4)) + (1 - part) * cosines(unit(2, 5))
    assert np.abs(cosines(coarse) - due).max() < 3e-3
    for number, maps in enumerate(fine):
        due = part * cosines(unit(1, 4)) + (1 - part) * cosines(unit(3 + number, 5))
        assert np.abs(cosines(maps) - due).max() < 3e-3
        assert np.abs(np.linalg.norm(maps.astype(np.float32), axis=0) - 1).max() < 3e-3

"""The widget "Landmarks" with the engine that people get: the shipped network, in its process."""

from __future__ import annotations

import math

import pytest
from PIL import Image

from napari_medssl._errors import UserError
from napari_medssl._sample_data import retina_views
from napari_medssl.backend.landmark_models import IMAGENET
from napari_medssl.backend.match_landmarks import LandmarkUse
from napari_medssl.backend.models import find_weights
from napari_medssl.backend.trunks import IMAGENET_TRUNK
from napari_medssl.widgets.landmarks.engine import ComputeEngine

pytestmark = [pytest.mark.gui, pytest.mark.slow]
CORNERS = ((0, 0), (24, -10), (-12, 18))
DISC = (56.0, 100.0)


def test_a_click_finds_the_optic_disc_in_shifted_views(landmarks_window, tmp_path):
    try:
        find_weights(IMAGENET_TRUNK)
    except UserError as error:
        pytest.skip(str(error))
    world = landmarks_window
    world.begin(tmp_path, count=0)
    world.engine = ComputeEngine(LandmarkUse(IMAGENET, "cpu", None), lambda _name: None)
    eye = Image.fromarray(retina_views()[0][0])
    (tmp_path / "eyes").mkdir()
    for number, (x, y) in enumerate(CORNERS):
        box = (25 + x, 107 + y, 25 + x + 220, 107 + y + 220)
        eye.crop(box).save(tmp_path / "eyes" / f"eye{number}.png")
    world.open(tmp_path / "eyes")
    images = world.store.images()
    world.place(images[0], *DISC)
    name = world.store.names()[0]
    clicked = world.store.point(images[0], name).place
    for image, (x, y) in zip(images[1:], CORNERS[1:], strict=True):
        found = world.store.point(image, name)
        assert found.state == "found"
        away = math.dist(found.place, (clicked[0] - x, clicked[1] - y))
        assert away < 11, f"{away:.1f} of 220 pixels away"
    assert not world.widget.error.text()

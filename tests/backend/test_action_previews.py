"""Previews of a training: a small picture of images and classes that changes no number."""

import numpy as np
import pytest
from PIL import Image

from napari_medssl.backend.action_config import TrainActionConfig
from napari_medssl.backend.action_previews import preview_of
from napari_medssl.backend.models import read_weights
from napari_medssl.backend.train_action import train_action


@pytest.fixture
def folder(tmp_path):
    for part in ("images", "masks", "more"):
        (tmp_path / part).mkdir()
    rng = np.random.default_rng(1)
    for number in range(2):
        pixels = rng.integers(0, 255, (80, 70, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{number}.png")
        Image.fromarray((pixels[..., 0] > 128).astype(np.uint8)).save(
            tmp_path / "masks" / f"{number}.png"
        )
        Image.fromarray(pixels[::-1].copy()).save(tmp_path / "more" / f"{number}.png")
    return tmp_path


def trained(folder, name, every):
    out = folder / f"{name}.safetensors"
    seen = []

    def look(progress):
        if "preview" in progress.values:
            seen.append(np.asarray(Image.open(preview_of(out)).convert("RGB")).shape)

    config = TrainActionConfig(
        labelled=folder,
        out=out,
        unlabelled=folder / "more",
        stages="strong-weak",
        steps=2,
        size=64,
        batch=1,
        start="random",
        device="cpu",
        preview_every=every,
    )
    train_action(config, on_progress=look)
    assert not preview_of(out).exists()
    return read_weights(out)[0], seen


def test_a_run_with_previews_gives_the_numbers_of_one_without(folder):
    with_them, seen = trained(folder, "one", 1)
    without, none = trained(folder, "two", 0)
    assert seen == [(144, 288, 3)] * 2
    assert not none
    assert with_them.keys() == without.keys()
    assert all((with_them[key] == without[key]).all() for key in without)

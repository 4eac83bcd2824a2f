"""Whether negatives are shown: what is asked for, and the grounds of images."""

from dataclasses import replace

import numpy as np
import pytest
from action_world import disks, save, small_config, write_labelled, write_unlabelled

from napari_medssl._errors import UserError
from napari_medssl.backend.action_polarity import inverted_share
from napari_medssl.backend.train_action import train_action


def glowing(shape=(40, 60)):
    """Return an image of a light square on a dark ground."""
    pixels = np.full(shape, 10, np.uint8)
    pixels[10:20, 10:30] = 240
    return pixels


def stained(shape=(40, 60)):
    return 255 - glowing(shape)


def test_auto_asks_for_negatives_of_images_of_both_kinds_alone():
    assert inverted_share("auto", [glowing(), stained()]) == 0.2
    assert inverted_share("auto", [stained((40, 60, 3)), glowing(), glowing()]) == 0.2
    for alike in ([glowing()] * 3, [stained()] * 2, [glowing()], []):
        assert inverted_share("auto", alike) == 0


def test_always_and_never_do_not_look_at_the_images():
    assert inverted_share("always", [glowing()]) == 0.2
    assert inverted_share("never", [glowing(), stained()]) == 0


def test_half_light_and_half_dark_is_a_dark_ground():
    half = np.zeros((4, 4), np.uint8)
    half[:2] = 255
    assert inverted_share("auto", [half, glowing()]) == 0
    half[2, 0] = 255
    assert inverted_share("auto", [half, glowing()]) == 0.2


def test_a_training_looks_at_the_images_without_masks_too(tmp_path):
    """One kind was painted, the other one is among the rest; the card tells."""
    labelled = write_labelled(tmp_path / "painted", range(1))
    others = write_unlabelled(tmp_path / "others", range(1, 3))
    for asked, due in (("auto", 0.0), ("always", 0.2)):
        config = small_config(labelled, tmp_path / f"{asked}.safetensors", invert=asked)
        card = train_action(replace(config, unlabelled=others)).card
        assert (card.recipe.config["invert"], card.recipe.config["inverted"]) == (asked, due)
    save(others / "negative.png", 255 - disks(4)[0] // 2)
    config = small_config(labelled, tmp_path / "both.safetensors", unlabelled=others)
    assert train_action(config).card.recipe.config["inverted"] == 0.2


def test_unknown_values_are_refused(tmp_path):
    labelled = write_labelled(tmp_path / "painted", range(1))
    with pytest.raises(UserError, match="invert"):
        train_action(small_config(labelled, tmp_path / "m.safetensors", invert="sometimes"))

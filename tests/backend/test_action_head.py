"""The head that a training begins with."""

import copy

import numpy as np
import pytest
import torch
from action_world import disks, small_config, write_labelled

from napari_medssl.backend.action_comparison_config import EvaluateActionConfig
from napari_medssl.backend.action_data import prepare
from napari_medssl.backend.action_head import fit_head, is_head_random
from napari_medssl.backend.action_segmenter import ActionSegmenter, load_action_segmenter
from napari_medssl.backend.action_start import start_network
from napari_medssl.backend.segmentation_scores import score_case
from napari_medssl.backend.segmenters import SegmentConfig
from napari_medssl.backend.train_action import train_action
from napari_medssl.backend.transfer_data import LabelledImage


def images_of(*seeds, hide=False):
    known = []
    for seed in seeds:
        pixels, classes = disks(seed)
        if hide:
            classes = np.full_like(classes, 255)
        known.append(LabelledImage(str(seed), str(seed), pixels, classes))
    return prepare(known, (), 64)


def mean_dsc(network):
    segmenter = ActionSegmenter(network, "", ("1", "2"), 64, 64)
    rows = []
    for seed in (100, 101, 102):
        pixels, classes = disks(seed)
        rows.append([score.dsc for score in score_case(segmenter.segment(pixels), classes, 2)])
    return float(np.mean(rows))


def test_before_the_first_step_it_tells_classes_apart():
    network = start_network("imagenet", 3, 1)
    before, at_random = copy.deepcopy(network.state_dict()), mean_dsc(network)
    assert fit_head(network, images_of(0, 1), 64, 1)
    assert mean_dsc(network) > at_random + 0.2
    for name, value in network.state_dict().items():
        assert name.startswith("head.") or torch.equal(value, before[name]), name


def test_the_same_seed_gives_the_same_head_and_torchs_state_is_left_alone():
    heads = []
    for draws in (0, 3):
        torch.manual_seed(5)
        torch.rand(draws)
        due = torch.get_rng_state()
        network = start_network("imagenet", 3, 1)
        assert fit_head(network, images_of(0), 64, 7)
        assert torch.equal(torch.get_rng_state(), due)
        heads.append(network.head.weight)
    assert torch.equal(*heads)


@pytest.mark.parametrize("start", ["random", "imagenet"])
def test_without_a_trained_trunk_or_a_labelled_pixel_nothing_is_fitted(start):
    network = start_network(start, 3, 1)
    before = network.head.weight.clone()
    assert not fit_head(network, images_of(0, hide=start == "imagenet"), 64, 1)
    assert not fit_head(network, images_of(), 64, 1)
    assert torch.equal(network.head.weight, before)


def test_the_head_of_a_model_for_as_many_classes_is_kept(tmp_path):
    known = write_labelled(tmp_path / "known", (0,))
    first = small_config(known, tmp_path / "a.safetensors", start="imagenet", steps=1)
    train_action(first)
    assert is_head_random("imagenet", 3)
    assert not is_head_random(str(first.out), 3)
    assert is_head_random(str(first.out), 2)


def test_a_first_step_from_a_fitted_head_is_better_and_can_be_left_out(tmp_path):
    known, found = write_labelled(tmp_path / "known", (0, 1)), {}
    for fitted in (True, False):
        out = tmp_path / f"{fitted}.safetensors"
        config = small_config(known, out, start="imagenet", steps=1, fit_head=fitted)
        card = train_action(config).card
        assert card.recipe.config["fit_head"] is fitted
        segmenter = load_action_segmenter(SegmentConfig(str(out), device="cpu"))
        rows = [score_case(segmenter.segment(p), c, 2) for p, c in map(disks, (100, 101))]
        found[fitted] = np.mean([[score.dsc for score in row] for row in rows])
    assert found[True] > found[False] + 0.2


def test_comparisons_fit_it_unless_told_not_to():
    assert EvaluateActionConfig.fit_head

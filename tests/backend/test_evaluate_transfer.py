"""Weights as a start: what is compared, what is never split, and what a kill leaves."""

import json
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image

from napari_medssl._errors import UserError
from napari_medssl.backend import evaluate_transfer as work
from napari_medssl.backend.evaluate_transfer import evaluate_transfer
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.backend.pixel_embedding import load_pixel_network
from napari_medssl.backend.segmentation_scores import dice
from napari_medssl.backend.transfer_config import (
    EvaluateTransferConfig,
    check_transfer,
    pretraining,
)
from napari_medssl.backend.transfer_data import choose_test_groups, nested_parts, read_set
from napari_medssl.backend.transfer_report import SetReport, TransferRun
from napari_medssl.methods.local_discrimination.network import (
    LocalDiscriminationNetwork,
    NetworkConfig,
)
from napari_medssl.methods.local_discrimination.segmentation import (
    SegmentationNetwork,
    draw_crops,
    segmentation_loss,
)

PRETRAIN = ("patch-steps=1", "steps=1", "batch=1", "grid=4", "width=4", "dim=8", "clusters=3")
SMALL = {"fractions": "20,100", "seeds": 2, "steps": 2, "batch": 2, "size": 32, "device": "cpu"}


def make_set(folder, labels="0|255", groups="aabbccdd", value=255):
    """Write bright squares on grain with their masks, two images of each group."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    rows = ["image,mask,group,labels"]
    for number, group in enumerate(groups):
        rng = np.random.default_rng(number)
        pixels = rng.integers(0, 120, (40, 48), dtype=np.uint8)
        mask = np.zeros((40, 48), np.uint16 if value > 255 else np.uint8)
        mask[8:24, 4 + number : 20 + number] = value
        pixels[mask > 0] += 100
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{number}.png")
        rows.append(f"{number}.png,{number}.png,{group},{labels}")
    (folder / "pairs.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Threads that wait for each other crawl on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def squares(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("sets") / "squares")


def config_of(data, out, **changes):
    return EvaluateTransferConfig(
        data=(data,), out=out, **(SMALL | {"pretrain": PRETRAIN} | changes)
    )


@pytest.fixture(scope="module")
def done(squares, tmp_path_factory):
    """A finished comparison, its config, and the progress that it told."""
    config = config_of(squares, tmp_path_factory.mktemp("out") / "table.json")
    seen = []
    return evaluate_transfer(config, on_progress=seen.append), config, seen


def test_all_runs_are_made_and_written_with_table_and_plot(done):
    report, config, seen = done
    (one,) = report.sets
    kinds = [(run.start, run.percent, run.seed) for run in one.runs]
    assert len(kinds) == len(set(kinds)) == 8
    assert {run.labelled for run in one.runs if run.percent == 20} == {1}
    assert {run.labelled for run in one.runs if run.percent == 100} == {len(one.train)}
    assert all(len(run.dice) == len(one.test) for run in one.runs)
    assert (seen[-1].done, seen[-1].total) == (16, 16)
    written = json.loads(config.out.read_text())
    assert len(written["sets"][0]["scores"]) == 4
    assert str(config.out.parent) not in config.out.read_text()
    table = config.out.with_suffix(".md").read_text()
    assert table.startswith("| set | class | labelled | % | random | local discrimination | gain |")
    assert "| squares | foreground | 1 | 20 | 0." in table
    drawing = ElementTree.fromstring(config.out.with_suffix(".svg").read_text())
    assert len(drawing.findall(".//{*}polyline")) == 2
    assert len(drawing.findall(".//{*}circle")) == 4


def test_weights_are_trained_on_the_images_to_train_on_alone_and_kept(done):
    report, config, _ = done
    (weights,) = config.out.parent.glob("table.squares.*.safetensors")
    card = json.loads(weights.with_suffix(".json").read_text())
    assert card["metrics"]["images"] == len(report.sets[0].train) < 8
    assert report.sets[0].model["sha256"] == card["sha256"]


def test_finished_runs_are_not_made_again(done, monkeypatch):
    report, config, _ = done
    monkeypatch.setattr(work, "run_transfer", lambda *a, **k: pytest.fail("a run was made"))
    again = evaluate_transfer(config)
    assert again == report


def test_a_stopped_comparison_goes_on_to_the_same_scores(done, tmp_path, squares):
    """Stopped in the third run, and its journal torn as by a kill."""
    report, config, _ = done
    (weights,) = config.out.parent.glob("table.squares.*.safetensors")
    due = [run.dice for run in report.sets[0].runs]
    mine = config_of(squares, tmp_path / "t.json", model=str(weights), pretrain=())
    seen = []
    with pytest.raises(Cancelled, match=r"after 2 of 8 runs; they are kept in .*same command"):
        evaluate_transfer(
            mine,
            on_progress=seen.append,
            should_stop=lambda: any(p.values and p.done == 5 for p in seen),
        )
    assert not mine.out.exists()
    with mine.journal.open("ab") as file:
        file.write(b"17 0000")
    seen.clear()
    again = evaluate_transfer(mine, on_progress=seen.append)
    assert min(p.done for p in seen if p.values) == 5  # the run that was stopped, from its start
    assert [run.dice for run in again.sets[0].runs] == due


def test_a_stopped_pretraining_is_gone_on_with(squares, tmp_path):
    config = config_of(squares, tmp_path / "t.json", seeds=1, fractions="100", steps=1)
    seen = []
    with pytest.raises(Cancelled, match=r"weights of 'squares' were trained.*goes on"):
        evaluate_transfer(
            config,
            on_progress=seen.append,
            should_stop=lambda: bool(seen) and "loss" in seen[-1].values,
        )
    assert list(tmp_path.glob("t.squares.*.checkpoint.safetensors"))
    seen.clear()
    evaluate_transfer(config, on_progress=seen.append)
    assert [p.done for p in seen if "pre-training" in p.message and p.values] == [2]
    assert not list(tmp_path.glob("*.checkpoint.*"))


def test_groups_are_never_split_and_the_split_is_that_of_its_seed(squares):
    found = [read_set(squares, 0.5, seed) for seed in range(8)]
    for one in found:
        groups = [{image.group for image in part} for part in (one.train, one.test)]
        assert not groups[0] & groups[1]
        assert len(one.train) + len(one.test) == 8
    assert len({one.digest() for one in found}) > 1
    assert read_set(squares, 0.5, 3).digest() == found[3].digest()


@pytest.mark.parametrize(("share", "due"), [(0.01, 1), (0.35, 4), (0.99, 9)])
def test_some_groups_are_tested_and_some_trained_on(share, due):
    assert len(choose_test_groups([str(n) for n in range(10)], share, 1)) in (due, due - 1)
    assert len(choose_test_groups(["a", "b"], share, 1)) == 1


def test_parts_are_nested_and_hold_one_image_at_least():
    for count in (1, 2, 7, 33):
        parts = list(nested_parts(count, (1, 20, 40, 60, 80, 100), 5).values())
        assert len(parts[0]) >= 1
        assert sorted(parts[-1]) == list(range(count))
        for small, large in pairwise(parts):
            assert set(small) <= set(large)
    assert nested_parts(9, (100,), 1) != nested_parts(9, (100,), 2)


def test_dice_is_that_of_sets_of_pixels():
    rng = np.random.default_rng(0)
    for density in (0.1, 0.5, 0.9):
        found, truth = rng.random((2, 9, 11)) < density
        one = {tuple(place) for place in np.argwhere(found)}
        other = {tuple(place) for place in np.argwhere(truth)}
        due = 2 * len(one & other) / (len(one) + len(other))
        assert dice(found, truth) == pytest.approx(due)
    empty = np.zeros((3, 3), bool)
    assert (dice(~empty, empty), dice(empty, ~empty)) == (0, 0)
    assert np.isnan(dice(empty, empty))


def test_scores_are_means_over_images_then_over_seeds():
    runs = (
        TransferRun("random", 20, 1, 1, ((0.2, 0.4), (0.6, 0.8))),
        TransferRun("random", 20, 1, 2, ((0.4, 0.6), (0.8, 1.0))),
    )
    one = SetReport("s", ("1", "2"), ("a",), ("b", "c"), 2, (2, 2), {}, runs)
    mean, first, second = one.scores()
    assert (mean.mean, first.mean, second.mean) == pytest.approx((0.6, 0.5, 0.7))
    assert mean.std == pytest.approx(np.std([0.5, 0.7], ddof=1), abs=1e-6)
    assert mean.std_images == pytest.approx(np.std([0.4, 0.8]), abs=1e-6)


@pytest.mark.parametrize(
    ("labels", "value", "names"),
    [
        ("0|255", 255, ("foreground",)),
        ("43 instances", 300, ("foreground",)),
        ("0|2|5", 5, ("2", "5")),
    ],
)
def test_masks_of_objects_and_of_black_and_white_are_foreground(tmp_path, labels, value, names):
    found = read_set(make_set(tmp_path / "s", labels, "abcd", value), 0.5, 1)
    assert found.classes == names
    for image in (*found.train, *found.test):
        assert set(np.unique(image.classes)) == {0, len(names)}
        assert (image.classes > 0).sum() == 16 * 16


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_the_network_is_that_of_the_weights_with_another_head(stride):
    whole = LocalDiscriminationNetwork(NetworkConfig(1, 4, 8, 3, stride)).eval()
    network = SegmentationNetwork(whole.config, 5).eval()
    network.start_from(whole.state_dict())
    images = torch.rand(2, 1, 37, 50)
    assert torch.equal(network.trunk.features(images), whole.features(images))
    assert network(images).shape == (2, 5, 37, 50)
    assert not any("embedding" in name for name, _ in network.named_parameters())


def test_both_starts_have_one_head(done):
    _, config, _ = done
    (weights,) = config.out.parent.glob("table.squares.*.safetensors")
    _, trained = load_pixel_network(weights)
    made = []
    for state in (None, trained.state_dict()):
        torch.manual_seed(7)
        network = SegmentationNetwork(trained.config, 2)
        if state:
            network.start_from(state)
        made.append(network)
    heads = [network.head.state_dict() for network in made]
    assert all(torch.equal(heads[0][name], heads[1][name]) for name in heads[0])
    first = "encoder.0.0.weight"
    trunks = [network.trunk.state_dict() for network in made]
    assert not torch.equal(trunks[0][first], trunks[1][first])


def test_the_loss_is_that_of_its_equation():
    torch.manual_seed(0)
    scores, truth = torch.randn(2, 3, 4, 5), torch.randint(0, 3, (2, 4, 5))
    shares = scores.double().softmax(1)
    entropy, dices = 0.0, []
    for b, y, x in np.ndindex(2, 4, 5):
        entropy -= float(shares[b, truth[b, y, x], y, x].log()) / 40
    for k in (1, 2):
        own = (truth == k).double()
        both = float((shares[:, k] * own).sum())
        dices.append((2 * both + 1) / (float(shares[:, k].sum() + own.sum()) + 1))
    due = entropy + 1 - sum(dices) / 2
    assert float(segmentation_loss(scores, truth)) == pytest.approx(due, abs=1e-5)


def test_image_and_mask_are_turned_and_mirrored_together():
    generator = torch.Generator().manual_seed(3)
    mask = torch.zeros(60, 80, dtype=torch.uint8)
    mask[10:40, 20:45] = 1
    crops, truth = draw_crops([mask[None] * 255] * 6, [mask] * 6, 48, generator)
    assert crops.shape == (6, 1, 48, 48)
    assert ((crops[:, 0] > 0.5).long() != truth).float().mean() < 0.01
    assert 0.02 < float(truth.float().mean()) < 0.9
    assert len({tuple(one.flatten().tolist()) for one in truth}) == 6


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"fractions": "0,50"}, "--fractions '0,50'; due are whole numbers from 1 to 100"),
        ({"fractions": "20,many"}, "--fractions '20,many'"),
        ({"pretrain": ("pacth-steps=3",)}, "--pretrain 'pacth-steps=3' is no NAME=VALUE"),
        ({"pretrain": ("steps=few",)}, "--pretrain 'steps=few' has no int as its value"),
        ({"pretrain": ("out=x.safetensors",)}, "is no NAME=VALUE of an option"),
        ({"model": "mine", "pretrain": ("steps=3",)}, "--pretrain is for --model train"),
    ],
)
def test_what_cannot_be_compared_is_told_at_once(squares, tmp_path, changes, text):
    with pytest.raises(UserError, match=text):
        check_transfer(config_of(squares, tmp_path / "t.json", **changes))


def test_places_that_cannot_be_used_are_told(squares, tmp_path):
    with pytest.raises(UserError, match=r"must end in \.json"):
        check_transfer(config_of(squares, tmp_path / "t.csv"))
    twice = EvaluateTransferConfig(data=(squares, squares), out=tmp_path / "t.json")
    with pytest.raises(UserError, match="two folders named 'squares'"):
        check_transfer(twice)
    with pytest.raises(UserError, match=r"has no pairs\.csv"):
        read_set(tmp_path, 0.3, 1)


def test_options_of_the_pretraining_are_passed_on(squares, tmp_path):
    config = config_of(squares, tmp_path / "t.json", pretrain=("--turns=no", "stride=1"))
    found = pretraining(config, squares, tmp_path / "w.safetensors")
    assert (found.turns, found.stride, found.size) == (False, "1", 32)


def test_bad_pairs_are_told_and_left_out(tmp_path):
    folder = make_set(tmp_path / "s", groups="abcd")
    Image.new("L", (5, 5)).save(folder / "masks" / "0.png")
    (folder / "masks" / "1.png").write_bytes(b"nothing")
    found = read_set(folder, 0.3, 1)
    assert [name for name, _ in found.failures] == ["0.png", "1.png"]
    assert "5 x 5 pixels, its image 48 x 40" in found.failures[0][1]
    with (folder / "pairs.csv").open("a") as file:
        file.write("../x.png,2.png,e,0|255\n2.png,,f,0|255\n")
    with pytest.raises(UserError, match="line 7, has no mask"):
        read_set(folder, 0.3, 1)


def test_one_group_cannot_be_split(tmp_path):
    with pytest.raises(UserError, match="readable images of 1 groups; due are 2 at least"):
        read_set(make_set(tmp_path / "s", groups="aaa"), 0.3, 1)


def test_values_that_no_labels_name_are_told(tmp_path):
    folder = make_set(tmp_path / "s", "0|1|2", "abc", 7)
    with pytest.raises(UserError, match="has the value 7, which no labels"):
        read_set(folder, 0.3, 1)

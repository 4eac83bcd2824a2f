"""Training guided by shapes, segmenting with its model, and scoring that."""

import json

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file
from shape_world import eye, small_config, truth, write_world

from napari_medssl._errors import UserError
from napari_medssl.backend.evaluate_segmentation import (
    EvaluateSegmentationConfig,
    evaluate_segmentation,
)
from napari_medssl.backend.flat_pictures import flat_picture
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.backend.models import find_weights, load_card
from napari_medssl.backend.segment_files import places_apart, places_of, segment_files
from napari_medssl.backend.segmentation_scores import dice, score_classes
from napari_medssl.backend.segmenters import SegmentConfig, load_segmenter
from napari_medssl.backend.shape_guided_config import check_trainable
from napari_medssl.backend.train_shape_guided import steered_lines, train_shape_guided
from napari_medssl.cli import main
from napari_medssl.io.images import ImageRef


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return write_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def trained(world, tmp_path_factory):
    """A model, its report and the progress of its training."""
    out = tmp_path_factory.mktemp("models") / "vessels.safetensors"
    seen = []
    report = train_shape_guided(small_config(*world[:2], out), on_progress=seen.append)
    return out, report, seen


def test_a_model_is_trained_and_written_with_its_card(trained):
    out, report, seen = trained
    assert report.card == load_card(out)
    assert report.card.task == "shape-guided"
    assert report.card.config["classes"] == ["vessel"]
    assert report.card.metrics["images"] == 4
    assert report.card.recipe.config["shape_pictures"] == 4
    losses = [p.values for p in seen if p.values]
    due = {"loss", "patch", "mix", "region", "entropy", "area", "render", "learning_rate"}
    due |= {"discriminator", "discriminator_right"}
    assert len(losses) == 3
    assert set(losses[0]) == due  # the discriminator is not believed yet
    assert set(losses[2]) == due | {"shape"}
    assert all(np.isfinite(list(values.values())).all() for values in losses)
    assert not list(out.parent.glob("*.checkpoint.*"))
    assert str(out.parent) not in out.with_suffix(".json").read_text()


def test_a_resumed_run_equals_an_unbroken_one(world, trained, tmp_path):
    whole, _, due = trained
    broken, came = tmp_path / "vessels.safetensors", []
    with pytest.raises(Cancelled, match=r"after 2 of 3 steps.*with --resume goes on from it"):
        train_shape_guided(
            small_config(*world[:2], broken),
            on_progress=came.append,
            should_stop=lambda: sum(bool(p.values) for p in came) == 2,
        )
    train_shape_guided(small_config(*world[:2], broken, resume=True), on_progress=came.append)
    assert [p.values for p in came if p.values] == [p.values for p in due if p.values]
    one, other = load_file(whole), load_file(broken)
    assert all((one[name] == other[name]).all() for name in one)


def test_the_published_form_draws_nothing(world, tmp_path):
    seen = []
    config = small_config(*world[:2], tmp_path / "m.safetensors", render_weight=0.0, steps=1)
    train_shape_guided(config, on_progress=seen.append)
    assert "render" not in next(p.values for p in seen if p.values)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"view": 40}, "--view 40 is not a multiple of 32. Give for example 32."),
        ({"view": 96}, "--view 96 is larger than --size 64."),
        ({"render_weight": 0.0, "adversarial_weight": 0.0}, "leave the shapes out"),
        ({"resume": True}, "There is no checkpoint .* to resume"),
    ],
)
def test_what_cannot_be_trained_is_told(world, tmp_path, changes, text):
    with pytest.raises(UserError, match=text):
        check_trainable(small_config(*world[:2], tmp_path / "m.safetensors", **changes))


def test_a_folder_without_shapes_is_told(world, tmp_path):
    with pytest.raises(UserError, match=r"--shapes .* is not a folder"):
        check_trainable(small_config(world[0], tmp_path / "none", tmp_path / "m.safetensors"))
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    photo = rng.integers(0, 256, (40, 40), dtype=np.uint8)
    Image.fromarray(photo).save(tmp_path / "photos" / "a.png")
    with pytest.raises(UserError, match=r"holds no shape.*due is a binary picture"):
        train_shape_guided(small_config(world[0], tmp_path / "photos", tmp_path / "m.safetensors"))


def test_a_dead_steered_region_is_told():
    assert steered_lines(0.08, 0.09) == ()
    assert "is all but dead: it covers 0.1% of the images" in steered_lines(0.001, 0.09)[0]
    assert "has taken what it should not" in steered_lines(0.7, 0.09)[0]


@pytest.mark.parametrize("readout", ["channel", "cosine"])
def test_both_readouts_stay_inside_the_field_of_view(trained, readout):
    segmenter = load_segmenter(SegmentConfig(str(trained[0]), readout, 0.0, "cpu"))
    found = segmenter.segment(eye(1))
    assert found.shape == (72, 72)
    assert found.dtype == np.uint8
    assert set(np.unique(found)) <= {0, 1}
    assert found[36, 10:60].any()
    assert not found[:5, :5].any()
    assert not found[-5:, -5:].any()
    assert segmenter.classes == ("vessel",)


def test_a_given_field_of_view_is_kept_to(trained):
    segmenter = load_segmenter(SegmentConfig(str(trained[0]), "channel", 0.0, "cpu"))
    inside = np.zeros((72, 72), bool)
    inside[:, :40] = True
    assert not segmenter.segment(eye(1), inside)[:, 42:].any()


def test_a_model_of_another_task_segments_nothing():
    with pytest.raises(UserError, match=r"segments nothing; due is one of shape-guided"):
        load_segmenter(SegmentConfig("simcfs-figures"))


def test_only_stem_png_is_written(trained, world, tmp_path, capsys):
    """One picture of class numbers for each image, at its size, and nothing else."""
    out = tmp_path / "out"
    (tmp_path / "in").mkdir()
    for number in range(2):
        (tmp_path / "in" / f"{number}.png").write_bytes((world[0] / f"{number}.png").read_bytes())
    (tmp_path / "in" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    code = main(
        [
            "segment",
            str(tmp_path / "in"),
            "--model",
            str(trained[0]),
            "--out",
            str(out),
            "--device",
            "cpu",
        ]
    )
    assert code == 1
    assert "bad.png" in capsys.readouterr().err
    assert sorted(path.name for path in out.iterdir()) == ["0.png", "1.png"]
    with Image.open(out / "0.png") as found:
        assert (found.mode, found.size) == ("L", (72, 72))
        assert set(np.unique(np.asarray(found))) <= {0, 1}


def test_places_that_would_be_shared_or_overwrite_are_refused(tmp_path):
    one, other = ImageRef(tmp_path / "a.png"), ImageRef(tmp_path / "b" / "A.jpg")
    with pytest.raises(UserError, match="would both be written to"):
        places_of([one, other], tmp_path / "out")
    with pytest.raises(UserError, match=r"would overwrite the picture 'a.png'"):
        places_of([one], tmp_path)
    pages = [ImageRef(tmp_path / "v.tif", page) for page in (1, 2)]
    assert [p.name for p in places_of(pages, tmp_path)] == ["v-p1.tif", "v-p2.tif"]


def test_pictures_that_share_a_name_get_files_apart(tmp_path):
    out = tmp_path / "out"
    names = ["OD/001.png", "OS/001.png", "x/a.png", "x/a.jpg", "y/b.tif", "y/B.tif", "z/c.png"]
    found = places_apart([ImageRef(tmp_path / name) for name in names], out)
    assert [place.name for place in found] == [
        "OD_001.png",
        "OS_001.png",
        "a_png.png",
        "a_jpg.png",
        "y_b_tif.png",
        "y_B_tif (2).png",
        "c.png",
    ]
    assert len({str(place).casefold() for place in found}) == len(found)
    with pytest.raises(UserError, match=r"'a.png' in .* is one of your images"):
        places_apart([ImageRef(tmp_path / "a.png")], tmp_path)


def test_a_small_picture_is_told_and_the_rest_goes_on(trained, world, tmp_path):
    Image.new("L", (20, 90), 80).save(tmp_path / "small.png")
    refs = [ImageRef(tmp_path / "small.png"), ImageRef(world[0] / "1.png")]
    report = segment_files(refs, tmp_path / "out", SegmentConfig(str(trained[0]), device="cpu"))
    assert [path.name for path in report.written] == ["1.png"]
    assert "20 x 90 pixels; due are at least 32" in report.failures[0][1]


@pytest.mark.parametrize(
    ("pixels", "text"),
    [
        (np.full((40, 40), np.nan), "not a number"),
        (np.zeros((4, 40, 40, 3)), "Of a volume, give one slice"),
    ],
)
def test_what_is_no_picture_is_told(pixels, text):
    with pytest.raises(UserError, match=text):
        flat_picture(pixels, 64, "green")


def test_dice_of_empty_truth():
    """Empty and empty is no score; an invention on empty truth scores 0, where others give 1."""
    empty, some = np.zeros((4, 4), bool), np.eye(4, dtype=bool)
    assert np.isnan(dice(empty, empty))
    assert dice(empty, empty, both_empty=1.0) == 1
    assert dice(some, empty) == dice(empty, some) == 0
    assert dice(some, some) == 1
    half = some.copy()
    half[:2] = False
    assert dice(half, some) == pytest.approx(2 * 2 / (2 + 4))


def test_classes_are_scored_each_by_itself():
    found, due = np.array([[1, 1], [2, 0]], np.uint8), np.array([[1, 0], [2, 2]], np.uint8)
    one, two = score_classes([found], [due], ("a", "b"))
    assert (one.name, one.mean, two.mean) == ("a", pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert one.std == 0


def test_models_and_baselines_are_scored_together(trained, world, tmp_path):
    out = tmp_path / "report.json"
    code = main(
        [
            "evaluate",
            "segmentation",
            "--data",
            str(world[2]),
            "--model",
            str(trained[0]),
            "--device",
            "cpu",
            "--out",
            str(out),
            "--size",
            "72",
        ]
    )
    assert code == 0
    report = json.loads(out.read_text())
    names = [method["method"] for method in report["methods"]]
    assert names == [
        "vessels, channel",
        "vessels, cosine",
        "k-means on intensity",
        "Frangi",
        "Sato",
        "darkness",
    ]
    found = report["methods"][2]["classes"]["foreground"]
    assert found["dsc_mean"] > 0.6  # two grey values are told apart
    assert found["dsc_mean"] == pytest.approx(np.mean(list(found["dsc"].values())))
    assert report["groups"]["3.png"] == "g1"


def test_a_table_that_is_wrong_is_told(world, tmp_path):
    def evaluate(folder):
        return evaluate_segmentation(EvaluateSegmentationConfig(folder))

    with pytest.raises(UserError, match=r"has no pairs.csv with image, mask, group, labels"):
        evaluate(tmp_path)
    (tmp_path / "pairs.csv").write_text("image,mask,group,labels\n../a.png,a.png,1,0|1\n")
    with pytest.raises(UserError, match=r"pairs.csv, line 2: there is no file"):
        evaluate(tmp_path)
    (tmp_path / "pairs.csv").write_text("image,mask,group,labels\na.png,a.png,1,0\n")
    with pytest.raises(UserError, match="labels '0'; due are two values or more"):
        evaluate(tmp_path)
    with pytest.raises(UserError, match="Nothing is to be scored"):
        evaluate_segmentation(EvaluateSegmentationConfig(world[2], baselines=False))


def test_truth_is_what_the_table_says(world):
    from napari_medssl.backend.segmentation_data import read_pairs

    table = read_pairs(world[2])
    pixels, classes = table.read(table.pairs[2])
    assert pixels.shape == (72, 72, 3)
    assert (classes == truth(2)).all()


def test_the_shipped_model_finds_vessels_and_is_small():
    card, path = load_card("retina-vessels"), find_weights("retina-vessels")
    assert (card.task, card.config["classes"]) == ("shape-guided", ["vessel"])
    assert path.stat().st_size < 20e6
    assert all(source.licence for source in card.data)
    found = load_segmenter(SegmentConfig("retina-vessels", device="cpu")).segment(eye(1, 300))
    assert 0.002 < found.mean() < 0.3
